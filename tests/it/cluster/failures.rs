//! Nodes fail, and it costs their own streams at most.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    Cluster, Page, STREAMS, Sidecar, fill, filled, float, follows, is_all_read, is_read, length, names,
    nothing_is_wrong, unreadable, watched,
};
use support::{NODE_TIMEOUT, stays_so, wait_for};

/// A node that has failed before, or answered faster, is given so long.
const PATIENCE: Duration = Duration::from_secs(1);
/// A busy machine may be late by so much.
const TOLERANCE: Duration = Duration::from_secs(2);

fn failures(page: &Page, reason: &str) -> f64 {
    page.get("streamwarden_poll_failures_total", &[("reason", reason)]).unwrap_or_default()
}

/// The streams of a node, and those of the others, by their numbers.
fn parted(cluster: &Cluster, node: usize) -> (Vec<usize>, Vec<usize>) {
    let owners: Vec<usize> = names().iter().map(|stream| cluster.owner(stream)).collect();
    (0..STREAMS).partition(|index| owners[*index] == node)
}

#[test]
fn a_failover_that_is_asked_for_loses_no_stream_and_no_number() {
    let (cluster, sidecar) = filled(Cluster::start());
    for _ in 0..2 {
        let old = cluster.owner("s0");
        let new = wait_for("a replica", || cluster.replica_of(old));
        watched(&sidecar, nothing_is_wrong, || {
            cluster.failover(new);
            (0..4).for_each(|_| drop(sidecar.next_poll()));
        });
        let page = sidecar.wait("all streams", is_all_read);
        nothing_is_wrong(&page);
    }
    follows(&cluster, &sidecar, "s0");
}

#[test]
fn a_dead_primary_costs_its_own_streams_until_its_replica_has_taken_over() {
    let (cluster, sidecar) = filled(Cluster::start());
    let dead = cluster.owner("s0");
    let (of_dead, others) = parted(&cluster, dead);
    let replica = cluster.replica_of(dead).unwrap();
    cluster.kill(dead);
    let page = sidecar.wait("its streams to be unreachable", |page| {
        of_dead.iter().all(|index| unreadable(page, &format!("s{index}")).as_deref() == Some("unreachable"))
    });
    nothing_is_wrong(&page);
    assert!(others.iter().all(|index| is_read(&page, *index)), "another node's stream is not read");
    wait_for("the replica to take over", || {
        nothing_is_wrong(&sidecar.scrape());
        (cluster.owner_of_slot(cluster.slot("s0")) == Some(replica)).then_some(())
    });
    cluster.wait_until_served();
    sidecar.next_poll();
    let page = sidecar.next_poll();
    nothing_is_wrong(&page);
    assert!(is_all_read(&page), "two polls after its slots are served");
    follows(&cluster, &sidecar, "s0");
    cluster.restart(dead);
    wait_for("it to follow", || cluster.replica_of(replica));
    watched(
        &sidecar,
        |page| nothing_is_wrong_but(page, "s0"),
        || (0..4).for_each(|_| drop(sidecar.next_poll())),
    );
}

/// All but the stream that was added to is as it was.
#[track_caller]
fn nothing_is_wrong_but(page: &Page, changed: &str) {
    for (index, stream) in names().iter().enumerate().filter(|(_, stream)| *stream != changed) {
        assert_eq!(page.stream("length", stream), Some(float(length(index))), "{stream}");
        assert_eq!(page.stream("recreations_total", stream), Some(0.0), "{stream}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
fn a_node_that_stands_still_delays_the_others_by_no_more_than_a_second() {
    let cluster = Cluster::with_settings(3, 0, "cluster-node-timeout 60000");
    fill(&cluster);
    let sidecar = Sidecar::start(cluster.node(0));
    sidecar.wait("all streams", is_all_read);
    let frozen = cluster.owner("s0");
    let (_, others) = parted(&cluster, frozen);
    let other = format!("s{}", others[0]);
    cluster.freeze(frozen);
    let took = || {
        let added = Instant::now();
        follows(&cluster, &sidecar, &other);
        added.elapsed()
    };
    let all = [took(), took(), took(), took()];
    cluster.thaw(frozen);
    assert!(
        all.iter().all(|took| *took < PATIENCE + TOLERANCE),
        "another node's stream was seen {all:?} late"
    );
    let page = sidecar.wait("the frozen one's streams", |page| is_read(page, 0));
    assert_eq!(page.stream("recreations_total", "s0"), Some(0.0));
    assert_eq!(page.group("entries_lost_total", "s0", super::GROUP).unwrap_or_default(), 0.0);
}

#[test]
fn slots_that_nobody_serves_are_said_once_where_the_whole_cluster_refuses() {
    let (cluster, sidecar) = filled(Cluster::start());
    let dead = cluster.owner("s0");
    let share = cluster.primaries().into_iter().find(|it| it.node == dead).unwrap().slots[0].clone();
    let alive = (0..3).find(|node| *node != dead).unwrap();
    cluster.kill(cluster.replica_of(dead).unwrap());
    cluster.kill(dead);
    wait_for("the cluster to refuse", || (cluster.info(alive, "cluster_state") == "fail").then_some(()));
    let page = sidecar.wait("the refusal", |page| failures(page, "clusterdown") > 2.0);
    assert_eq!(page.own("streamwarden_redis_up"), 0.0);
    stays_so(Duration::from_secs(2), "nothing wrong is said", || {
        nothing_is_wrong(&sidecar.scrape());
        true
    });
    let words = format!("{}-{}", share.start(), share.end());
    let said: Vec<String> =
        sidecar.log().lines().filter(|line| line.contains(&words)).map(str::to_owned).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    // Its data are lost: what is served again is another stream, or none.
    cluster.restart(dead);
    cluster.wait_until_served();
    let (_, others) = parted(&cluster, dead);
    sidecar.wait("the others' streams", |page| others.iter().all(|index| is_read(page, *index)));
}

#[test]
fn slots_that_nobody_serves_cost_nothing_else_where_full_coverage_is_not_required() {
    let cluster = Cluster::with_settings(3, 0, "cluster-require-full-coverage no");
    fill(&cluster);
    let sidecar = Sidecar::start(cluster.node(0));
    sidecar.wait("all streams", is_all_read);
    let dead = 2;
    let (of_dead, others) = parted(&cluster, dead);
    cluster.kill(dead);
    let is_gone = |page: &Page, index: &usize| unreadable(page, &format!("s{index}")).is_some();
    sidecar.wait("its streams to be unreadable", |page| of_dead.iter().all(|index| is_gone(page, index)));
    stays_so(NODE_TIMEOUT * 2, "the others' streams are read", || {
        let page = sidecar.scrape();
        nothing_is_wrong(&page);
        sleep(Duration::from_millis(50));
        others.iter().all(|index| is_read(&page, *index)) && of_dead.iter().all(|index| is_gone(&page, index))
    });
    follows(&cluster, &sidecar, &format!("s{}", others[0]));
}
