//! How a cluster is found: by one address, by several, and by what its nodes announce.

use super::{Cluster, Page, Sidecar, fill, is_all_read, names, unreadable};

#[test]
fn nodes_are_found_whatever_they_announce() {
    let settings = [
        "cluster-preferred-endpoint-type unknown-endpoint",
        "cluster-preferred-endpoint-type hostname\ncluster-announce-hostname localhost",
        // No name is set, so that the address is shown.
        "cluster-preferred-endpoint-type hostname",
    ];
    for settings in settings {
        let cluster = Cluster::with_settings(3, 0, settings);
        fill(&cluster);
        let sidecar = Sidecar::start(cluster.node(1));
        sidecar.wait(settings, is_all_read);
        let stream = "s1";
        let (slot, from) = (cluster.slot(stream), cluster.owner(stream));
        cluster.move_slot(slot, from, (from + 1) % 3);
        super::follows(&cluster, &sidecar, stream);
    }
}

#[test]
fn a_password_that_one_node_does_not_take_costs_its_own_streams() {
    let cluster = Cluster::start();
    fill(&cluster);
    (0..6).filter(|node| *node != 2).for_each(|node| {
        cluster.node(node).run::<()>("ACL SETUSER warden on >right ~* &* +@all");
    });
    cluster.node(2).run::<()>("ACL SETUSER warden on >wrong ~* &* +@all");
    let uri = cluster.node(0).uri().replace("redis://", "redis://warden:right@");
    let sidecar = Sidecar::with_config(&uri, "");
    let (refused, others): (Vec<String>, Vec<String>) =
        names().into_iter().partition(|it| cluster.owner(it) == 2);
    let is_read = |page: &Page, stream: &String| page.stream("length", stream).is_some();
    let page = sidecar.wait("the others' streams", |page| others.iter().all(|stream| is_read(page, stream)));
    assert!(!refused.iter().any(|stream| is_read(&page, stream)));
    assert!(refused.iter().all(|stream| page.stream("present", stream) != Some(0.0)));
    assert!(!sidecar.log().contains("right"), "a password is in the log");
    cluster.node(2).run::<()>("ACL SETUSER warden >right");
    let page = sidecar.wait("all streams", is_all_read);
    assert!(names().iter().all(|stream| unreadable(&page, stream).is_none()));
}
