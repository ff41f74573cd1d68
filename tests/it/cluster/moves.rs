//! Slots move, and every page is right meanwhile.

use super::{
    Cluster, Page, STREAMS, Sidecar, filled, follows, is_all_read, names, nothing_is_wrong, unreadable,
    watched,
};
use support::{skip, wait_for};

/// Fails where anything is wrong or was not read: moves cost nothing.
#[track_caller]
fn all_is_read(page: &Page) {
    nothing_is_wrong(page);
    for stream in names() {
        assert_eq!(unreadable(page, &stream), None, "{stream}");
        assert!(page.stream("length", &stream).is_some(), "{stream} is not on the page");
    }
}

fn redirects(page: &Page, kind: &str) -> f64 {
    page.get("streamwarden_cluster_redirects_total", &[("kind", kind)]).unwrap_or_default()
}

#[test]
fn streams_whose_slots_move_key_by_key_are_read_at_every_poll() {
    let (cluster, sidecar) = filled(Cluster::steady());
    watched(&sidecar, all_is_read, || {
        for turn in 0..2 {
            for stream in names().iter().skip(turn).step_by(2) {
                let (slot, from) = (cluster.slot(stream), cluster.owner(stream));
                cluster.move_slot(slot, from, (from + 1 + turn) % 3);
            }
        }
    });
    let page = sidecar.next_poll();
    assert!(is_all_read(&page));
    assert!(redirects(&page, "moved") > 0.0, "no poll met a stream that had moved");
    follows(&cluster, &sidecar, "s0");
}

/// Streams of one slot, with as many entries as their place says.
fn tagged(cluster: &Cluster) -> Vec<String> {
    let streams: Vec<String> = (0..6).map(|index| format!("{{tag}}{index}")).collect();
    streams.iter().enumerate().for_each(|(index, stream)| cluster.add(stream, 5 + index));
    streams
}

#[test]
fn streams_of_a_slot_that_stays_half_moved_are_read_on_either_side() {
    let (cluster, sidecar) = filled(Cluster::steady());
    let streams = tagged(&cluster);
    let is_tagged_read = |page: &Page| {
        streams
            .iter()
            .enumerate()
            .all(|(index, it)| page.stream("length", it) == Some(super::float(5 + index)))
    };
    let all_is_read = |page: &Page| {
        all_is_read(page);
        assert!(is_tagged_read(page), "a stream of the slot is not read, or not right");
        streams.iter().for_each(|it| assert_eq!(page.stream("recreations_total", it), Some(0.0), "{it}"));
    };
    sidecar.wait("the slot's streams", is_tagged_read);
    let (slot, from) = (cluster.slot("{tag}"), cluster.owner("{tag}"));
    let to = (from + 1) % 3;
    let some_polls = || (0..5).for_each(|_| drop(sidecar.next_poll()));
    watched(&sidecar, all_is_read, || {
        cluster.begin_move(slot, from, to);
        some_polls();
        assert_eq!(cluster.move_keys(slot, from, to, 3), 3);
        some_polls();
    });
    assert!(redirects(&sidecar.scrape(), "ask") > 0.0, "no poll met a stream that had moved");
    // One that is made meanwhile is made where the slot goes.
    cluster.add("{tag}new", 2);
    sidecar.wait("the new one", |page| page.stream("length", "{tag}new") == Some(2.0));
    follows(&cluster, &sidecar, "{tag}new");
    watched(&sidecar, all_is_read, || {
        while cluster.move_keys(slot, from, to, 1) > 0 {}
        cluster.end_move(slot, from, to);
        some_polls();
    });
    follows(&cluster, &sidecar, "{tag}0");
}

#[test]
fn a_stream_that_is_in_two_places_is_read_where_its_slot_is() {
    let (cluster, sidecar) = filled(Cluster::steady());
    let (slot, from) = (cluster.slot("s3"), cluster.owner("s3"));
    let to = (from + 1) % 3;
    // As a MIGRATE whose reply was lost leaves it.
    cluster.begin_move(slot, from, to);
    let port = cluster.node(to).port();
    cluster.node(from).run::<()>(&format!("MIGRATE 127.0.0.1 {port} s3 0 5000 COPY"));
    watched(&sidecar, all_is_read, || (0..6).for_each(|_| drop(sidecar.next_poll())));
    let page = sidecar.scrape();
    assert_eq!(page.count("streamwarden_stream_length"), STREAMS);
    follows(&cluster, &sidecar, "s3");
}

#[test]
fn a_slot_whose_nodes_redirect_to_each_other_is_unserved_until_one_of_them_takes_it() {
    let (cluster, sidecar) = filled(Cluster::steady());
    let (slot, from) = (cluster.slot("s3"), cluster.owner("s3"));
    let to = (from + 1) % 3;
    // As a resharding leaves it that tells the old owner first, and dies.
    cluster.begin_move(slot, from, to);
    while cluster.move_keys(slot, from, to, 10) > 0 {}
    let id: String = cluster.node(to).run("CLUSTER MYID");
    cluster.node(from).run::<()>(&format!("CLUSTER SETSLOT {slot} NODE {id}"));
    let page = sidecar.wait("a slot that no node serves", |page| {
        page.own("streamwarden_cluster_slots_unserved") == 1.0
            && unreadable(page, "s3").as_deref() == Some("clusterdown")
    });
    nothing_is_wrong(&page);
    let is_read = |index: usize| index == 3 || super::is_read(&page, index);
    assert!((0..STREAMS).all(is_read), "another stream is not read");
    cluster.end_move(slot, from, to);
    sidecar.next_poll();
    all_is_read(&sidecar.next_poll());
    assert_eq!(sidecar.scrape().own("streamwarden_cluster_slots_unserved"), 0.0);
    follows(&cluster, &sidecar, "s3");
}

#[test]
fn streams_whose_slots_move_at_once_are_read_at_every_poll() {
    let (cluster, sidecar) = filled(Cluster::steady());
    if !cluster.can_move_atomically() {
        return skip("Redis 8.4 or Valkey 9, which move slots at once");
    }
    // All slots of a primary, which becomes a replica of the one that has them all then.
    watched(&sidecar, all_is_read, || cluster.move_atomically(0..=5_460, 0, 1));
    watched(&sidecar, all_is_read, || {
        wait_for("a replica", || cluster.primaries().iter().all(|it| it.node != 0).then_some(()));
        (0..6).for_each(|_| drop(sidecar.next_poll()));
    });
    let sidecar = Sidecar::start(cluster.node(0));
    let page = sidecar.wait("all streams, from the address of the one that is a replica now", is_all_read);
    nothing_is_wrong(&page);
    names().iter().step_by(7).for_each(|stream| follows(&cluster, &sidecar, stream));
}
