//! Retention where a stream's slot is.

use redis::cmd;

use super::{Cluster, Page, STREAMS, Sidecar, names};
use support::{ClusterClient, Need, wait_for};

const LIMIT: usize = 100;
const CONFIG: &str =
    "retention: {interval: 1s, lease_ttl: 2s}\nstreams: [{match: 's*', retention: {max_length: 100}}]";

fn add(client: &mut ClusterClient, stream: &str, count: usize) {
    (0..count).for_each(|_| {
        client
            .query::<()>(stream, cmd("XADD").arg(stream).arg("* f v".split(' ').collect::<Vec<_>>()))
            .unwrap()
    });
}

fn lengths(cluster: &Cluster) -> Vec<usize> {
    names().iter().map(|stream| cluster.run(stream, &format!("XLEN {stream}"))).collect()
}

#[test]
fn streams_of_all_primaries_are_trimmed_also_in_the_middle_of_a_move() {
    let cluster = Cluster::steady();
    if !cluster.node(0).meets(Need::SAFE_TRIMS) {
        return;
    }
    let mut client = cluster.client();
    // The group that needs all of it is on the second half of the streams.
    for (index, stream) in names().iter().enumerate() {
        add(&mut client, stream, 2 * LIMIT);
        if index >= STREAMS / 2 {
            cluster.run::<()>(stream, &format!("XGROUP CREATE {stream} needs-all 0"));
        }
    }
    let right = |length: usize| -> Vec<usize> {
        (0..STREAMS).map(|index| if index < STREAMS / 2 { LIMIT } else { length }).collect()
    };
    let sidecar = Sidecar::with_config(&cluster.node(2).uri(), CONFIG);
    wait_for("the streams to be trimmed", || (lengths(&cluster) == right(2 * LIMIT)).then_some(()));
    // Slots are half moved: no key, or all keys, are where they will be.
    let moves: Vec<_> = names()
        .iter()
        .map(|stream| (cluster.slot(stream), cluster.owner(stream)))
        .map(|(slot, from)| (slot, from, (from + 1) % 3))
        .collect();
    for (index, (slot, from, to)) in moves.iter().enumerate() {
        cluster.begin_move(*slot, *from, *to);
        if index % 2 == 0 {
            cluster.move_keys(*slot, *from, *to, 10);
        }
    }
    names().iter().for_each(|stream| add(&mut client, stream, LIMIT));
    wait_for("the streams to be trimmed half-way", || (lengths(&cluster) == right(3 * LIMIT)).then_some(()));
    for (slot, from, to) in moves {
        while cluster.move_keys(slot, from, to, 10) > 0 {}
        cluster.end_move(slot, from, to);
    }
    names().iter().for_each(|stream| add(&mut client, stream, LIMIT));
    wait_for("the streams to be trimmed where they are now", || {
        (lengths(&cluster) == right(4 * LIMIT)).then_some(())
    });
    let page = sidecar.next_poll();
    no_loss(&page);
    assert_eq!(
        page.get("streamwarden_retention_failures_total", &[("reason", "other")]).unwrap_or_default(),
        0.0
    );
}

fn no_loss(page: &Page) {
    for stream in names() {
        assert_eq!(
            page.group("entries_lost_total", &stream, "needs-all").unwrap_or_default(),
            0.0,
            "{stream}"
        );
        assert_eq!(page.stream("recreations_total", &stream), Some(0.0), "{stream}");
    }
}

#[test]
fn the_dead_node_that_has_the_lease_stops_retention_for_no_longer_than_the_lease_lasts() {
    let cluster = Cluster::start();
    if !cluster.node(0).meets(Need::SAFE_TRIMS) {
        return;
    }
    let lease = cluster.owner("streamwarden:retention:lease");
    let kept = names().into_iter().find(|stream| cluster.owner(stream) != lease).unwrap();
    let mut client = cluster.client();
    add(&mut client, &kept, 2 * LIMIT);
    let sidecar = Sidecar::with_config(&cluster.node((lease + 1) % 3).uri(), CONFIG);
    let is_trimmed = || cluster_length(&mut cluster.client(), &kept) == LIMIT;
    wait_for("it to be trimmed", || is_trimmed().then_some(()));
    cluster.wait_until_copied();
    cluster.kill(lease);
    add(&mut client, &kept, LIMIT);
    let is_trimmed = || cluster_length(&mut cluster.client(), &kept) == LIMIT;
    wait_for("it to be trimmed again", || is_trimmed().then_some(()));
    drop(sidecar);
}

fn cluster_length(client: &mut ClusterClient, stream: &str) -> usize {
    client.query(stream, cmd("XLEN").arg(stream)).unwrap()
}
