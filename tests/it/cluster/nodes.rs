//! The metrics and documents about the nodes themselves.

use super::{Cluster, Page, STREAMS, Sidecar, fill, filled, float, is_all_read};
use support::wait_for;

fn address(cluster: &Cluster, node: usize) -> String {
    format!("127.0.0.1:{}", cluster.node(node).port())
}

fn of_node(page: &Page, family: &str, cluster: &Cluster, node: usize) -> Option<f64> {
    page.get(&format!("streamwarden_node_{family}"), &[("node", &address(cluster, node))])
}

fn is_up(page: &Page, cluster: &Cluster, node: usize) -> Option<f64> {
    of_node(page, "up", cluster, node)
}

#[test]
fn each_primary_is_on_the_page_by_its_address() {
    let (cluster, sidecar) = filled(Cluster::start());
    let page = sidecar.next_poll();
    assert_eq!(page.label_values("streamwarden_node_up", "node").len(), 3);
    let streams = |node| of_node(&page, "streams", &cluster, node).unwrap();
    for node in 0..3 {
        assert_eq!(is_up(&page, &cluster, node), Some(1.0));
        assert!(of_node(&page, "poll_duration_seconds", &cluster, node).is_some_and(|took| took < 5.0));
        let own = super::names().iter().filter(|stream| cluster.owner(stream) == node).count();
        assert_eq!(streams(node), float(own));
    }
    assert_eq!((0..3).map(streams).sum::<f64>(), float(STREAMS));
    assert_eq!(page.own("streamwarden_cluster_slots_unserved"), 0.0);
    assert!(page.own("streamwarden_cluster_topology_age_seconds") < 60.0);
}

#[test]
fn streams_that_are_gone_are_a_fault_of_no_single_node() {
    let (cluster, sidecar) = filled(Cluster::with_settings(3, 0, ""));
    let names = super::names();
    for stream in names.iter().skip(1) {
        cluster.run::<u64>(stream, &format!("DEL {stream}"));
    }
    let fault = wait_for("the fault", || {
        let answer = sidecar.get("/api/v1/streams").body;
        let fault = serde_json::from_slice::<serde_json::Value>(&answer).unwrap()["faults"][0].clone();
        Some(fault).filter(|fault| fault["cause"]["found"] == 1)
    });
    let reason = format!("the search finds 1 stream; within the last 6h it found {}: ", names.len());
    assert!(fault["reason"].as_str().is_some_and(|it| it.starts_with(&reason)), "{fault}");
    assert_eq!(fault["node"], serde_json::Value::Null);
}

#[test]
fn a_dead_primary_is_down_until_its_replica_has_its_place() {
    let (cluster, sidecar) = filled(Cluster::start());
    let replica = cluster.replica_of(1).unwrap();
    cluster.kill(1);
    let page = sidecar.wait("it to be down", |page| is_up(page, &cluster, 1) == Some(0.0));
    assert_eq!((is_up(&page, &cluster, 0), is_up(&page, &cluster, 2)), (Some(1.0), Some(1.0)));
    assert_eq!(of_node(&page, "poll_duration_seconds", &cluster, 1), None);
    wait_for("the replica to take over", || {
        cluster.primaries().iter().find(|it| it.node == replica).map(drop)
    });
    cluster.wait_until_served();
    let page = sidecar.wait("the new one", |page| is_up(page, &cluster, replica) == Some(1.0));
    assert_eq!(is_up(&page, &cluster, 1), None);
    sidecar.wait("all streams", is_all_read);
    sidecar.wait("all slots", |page| page.own("streamwarden_cluster_slots_unserved") == 0.0);
}

#[test]
fn slots_that_nobody_serves_are_counted() {
    let cluster = Cluster::with_settings(3, 0, "cluster-require-full-coverage no");
    fill(&cluster);
    let sidecar = Sidecar::start(cluster.node(0));
    sidecar.wait("all streams", is_all_read);
    let slots = cluster.primaries().iter().find(|it| it.node == 2).unwrap().slots[0].clone().count();
    cluster.kill(2);
    let unserved = |page: &Page| page.get("streamwarden_cluster_slots_unserved", &[]);
    sidecar.wait("the slots", |page| unserved(page) == Some(float(slots)));
    assert_eq!(is_up(&sidecar.next_poll(), &cluster, 2), Some(0.0));
}
