//! The tests' own cluster does what the other tests have it do.

use support::{Cluster, wait_for};

fn length(cluster: &Cluster, stream: &str) -> u64 {
    cluster.run(stream, &format!("XLEN {stream}"))
}

#[test]
fn a_slot_moves_key_by_key_and_its_streams_are_found_in_the_middle_of_it() {
    let cluster = Cluster::steady();
    let (here, there) = ("{tag}here", "{tag}there");
    [here, there].iter().for_each(|stream| cluster.add(stream, 10));
    let (slot, from) = (cluster.slot(here), cluster.owner(here));
    let to = (from + 1) % 3;
    cluster.begin_move(slot, from, to);
    assert_eq!(cluster.move_keys(slot, from, to, 1), 1);
    assert_eq!((cluster.owner(here), length(&cluster, here), length(&cluster, there)), (from, 10, 10));
    while cluster.move_keys(slot, from, to, 1) > 0 {}
    cluster.end_move(slot, from, to);
    assert_eq!((cluster.owner(here), length(&cluster, here), length(&cluster, there)), (to, 10, 10));
    cluster.move_slot(slot, to, from);
    assert_eq!((cluster.owner(here), length(&cluster, here)), (from, 10));
    if cluster.can_move_atomically() {
        cluster.move_atomically(slot..=slot, from, to);
        assert_eq!((cluster.owner(here), length(&cluster, here)), (to, 10));
    }
}

#[test]
fn a_replica_takes_over_from_a_primary_that_is_asked_to_stop_that_dies_and_that_stands_still() {
    let cluster = Cluster::start();
    cluster.add("s", 10);
    cluster.wait_until_copied();
    let old = cluster.owner("s");
    let replica = cluster.replica_of(old).unwrap();
    cluster.failover(replica);
    assert_eq!((cluster.owner("s"), length(&cluster, "s")), (replica, 10));

    wait_for("the old one to follow", || cluster.replica_of(replica).filter(|node| *node == old));
    cluster.wait_until_copied();
    cluster.kill(replica);
    assert_eq!((cluster.owner("s"), length(&cluster, "s")), (old, 10));
    cluster.restart(replica);
    wait_for("the dead one to follow", || cluster.replica_of(old).filter(|node| *node == replica));
    cluster.wait_until_copied();

    cluster.freeze(old);
    assert_eq!((cluster.owner("s"), length(&cluster, "s")), (replica, 10));
    cluster.thaw(old);
    wait_for("the one that stood still to follow", || {
        cluster.replica_of(replica).filter(|node| *node == old)
    });
}
