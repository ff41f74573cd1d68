//! `redis.read_from: replica-preferred`: replicas are read, what they can't know is unknown, and the primary is trimmed, and read
//! where no replica is up.

use support::{Cluster, Need, Page, Redis, Sentinels, Sidecar, wait_for};

const PROMPT: &str = "repl-diskless-sync-delay 0";
const QUICK: &str = "poll: {interval: 100ms, discovery_interval: 1s, stale_after: 5s}\n\
     status: {window: 3s, stopped_after: 1s}\nretention: {interval: 1s}\nconsumers: {stuck_after: 1s}\n\
     redis: {read_from: replica-preferred, command_timeout: 1s, connect_timeout: 1s}\n";
const TRIMS: &str = "streams: [{match: kept, retention: {max_length: 100}}, {match: '*'}]";

fn role(page: &Page) -> Option<String> {
    page.label_values("streamwarden_redis_info", "role").pop()
}

/// A primary with a group of which one consumer was given entries and one only waits, and a group without consumers.
fn fill(primary: &Redis) {
    primary.add("s", 100);
    primary.add("kept", 1_000);
    primary.run::<()>("XGROUP CREATE s g 0");
    primary.run::<()>("XGROUP CREATE s nobody 0");
    primary.read("s", "g", "worker", 40);
    let nothing = "XREADGROUP GROUP g waits STREAMS s 0";
    primary.run::<redis::Value>(nothing);
}

/// What a replica knows is right, and the rest is unknown. A consumer of the primary only is not missed, and no group is without.
fn is_of_replica(page: &Page) -> bool {
    let numbers = (
        page.stream("length", "s"),
        page.group("lag", "s", "g"),
        page.group("pending", "s", "g"),
        page.consumer("pending", "worker"),
    );
    let unknown = [
        page.group("consumers", "s", "g"),
        page.group("stuck_consumers", "s", "g"),
        page.consumer("idle_seconds", "worker"),
        page.consumer("inactive_seconds", "worker"),
    ];
    numbers == (Some(100.0), Some(60.0), Some(40.0), Some(40.0)) && unknown == [None; 4]
}

fn has_status(page: &Page, group: &str, status: &str) -> bool {
    let labels = [("stream", "s"), ("group", group), ("status", status)];
    page.get("streamwarden_group_status", &labels) == Some(1.0)
}

fn is_of_primary(page: &Page) -> bool {
    page.stream("length", "s") == Some(100.0) && page.group("consumers", "s", "g") == Some(2.0)
}

#[test]
fn a_replica_is_read_and_the_primary_where_none_is_up() {
    let (primary, mut replica) = (Redis::with_settings(PROMPT), Redis::with_settings(PROMPT));
    fill(&primary);
    let follow = format!("REPLICAOF 127.0.0.1 {}", primary.port());
    replica.run::<()>(&follow);
    wait_for("the replica to follow", || (replica.run::<u64>("XLEN s") == 100).then_some(()));
    let sidecar = Sidecar::with_config(&primary.uri(), &format!("{QUICK}{TRIMS}"));
    let of_replica = |page: &Page| role(page).as_deref() == Some("replica") && is_of_replica(page);
    sidecar.wait("the replica", of_replica);
    let place = format!("127.0.0.1:{}", replica.port());
    assert!(sidecar.get("/api/v1/streams").text().contains(&place), "the server that was read is shown");
    // Retention is the primary's: it is trimmed, and the replica was sent nothing.
    if primary.meets(Need::SAFE_TRIMS) {
        sidecar.wait("retention", |page| page.stream("length", "kept") <= Some(200.0));
        assert!(primary.calls("eval") > 0 && replica.calls("eval") == 0);
    }
    // By now a group without consumers would be reported.
    let page = sidecar.wait("a status", |page| !has_status(page, "nobody", "unknown"));
    let stalled = sidecar.wait("no progress", |page| has_status(page, "nobody", "stalled"));
    for page in [page, stalled] {
        assert!(!has_status(&page, "nobody", "no_consumers") && !has_status(&page, "g", "stopped"));
    }
    let reads = primary.calls("xinfo|stream");
    (0..5).for_each(|_| drop(sidecar.next_poll()));
    assert_eq!(primary.calls("xinfo|stream"), reads, "the primary is not read");
    replica.kill();
    let page = sidecar.wait("the primary", is_of_primary);
    assert_eq!(role(&page).as_deref(), Some("master"));
    assert_eq!(page.stream("recreations_total", "s"), Some(0.0));
    assert_eq!(page.group("entries_lost_total", "s", "g"), Some(0.0));
    sidecar.wait("a group without consumers", |page| has_status(page, "nobody", "no_consumers"));
    replica.restart();
    replica.run::<()>(&follow);
    sidecar.wait("the replica again", of_replica);
    // One that is cut off from its primary is stale.
    replica.run::<()>("REPLICAOF 127.0.0.1 1");
    sidecar.wait("the primary again", is_of_primary);
    assert!(sidecar.log().contains("a replica can't be read"), "{}", sidecar.log());
}

#[test]
fn a_count_that_replicas_are_not_given_is_unknown() {
    let (primary, replica) = (Redis::with_settings(PROMPT), Redis::with_settings(PROMPT));
    replica.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    wait_for("the replica to follow", || {
        replica.run::<String>("INFO replication").contains("master_link_status:up").then_some(())
    });
    primary.add("s", 100);
    primary.run::<()>("XGROUP CREATE s g 0");
    // Redis 7.0 passes the count on with this, and not with the next.
    primary.run::<redis::Value>("XREADGROUP GROUP g worker COUNT 10 NOACK STREAMS s >");
    primary.read("s", "g", "worker", 30);
    let sidecar = Sidecar::with_config(&primary.uri(), QUICK);
    let page = sidecar.wait("the replica", |page| {
        role(page).as_deref() == Some("replica") && page.group("lag", "s", "g") == Some(60.0)
    });
    let read = page.group("entries_read_total", "s", "g");
    assert!(read.is_none_or(|read| read == 40.0), "{read:?}");
}

#[test]
fn replicas_of_a_service_are_read_until_one_is_its_primary() {
    let mut all = Sentinels::start();
    fill(&all.primary);
    wait_for("the replica to follow", || (all.replica.run::<u64>("XLEN s") == 100).then_some(()));
    let sidecar = Sidecar::with_config(&all.uri(), &format!("{QUICK}{TRIMS}"));
    sidecar.wait("the replica", |page| role(page).as_deref() == Some("replica") && is_of_replica(page));
    if all.primary.meets(Need::SAFE_TRIMS) {
        sidecar.wait("retention", |page| page.stream("length", "kept") <= Some(200.0));
    }
    all.primary.kill();
    all.wait_until_they_name_the_replica(3);
    all.replica.add("kept", 1_000);
    let page = sidecar.wait("the new primary", |page| role(page).as_deref() == Some("master"));
    assert_eq!(page.stream("recreations_total", "s"), Some(0.0));
    if all.replica.meets(Need::SAFE_TRIMS) {
        sidecar.wait("retention there", |page| page.stream("length", "kept") <= Some(200.0));
    }
}

fn nodes(sidecar: &Sidecar) -> Vec<serde_json::Value> {
    let text = sidecar.get("/api/v1/streams").text();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    document["cluster"]["nodes"].as_array().unwrap().clone()
}

/// The roles of the nodes that own slots.
fn roles(sidecar: &Sidecar) -> Vec<serde_json::Value> {
    let nodes = nodes(sidecar).into_iter();
    nodes.filter(|node| node["slots"] != 0).map(|node| node["role"].clone()).collect()
}

#[test]
fn replicas_of_a_cluster_are_read_while_slots_move() {
    let cluster = Cluster::steady();
    super::cluster::fill(&cluster);
    let config = format!("{QUICK}streams: [{{match: missing}}, {{match: '*'}}]");
    let sidecar = Sidecar::with_config(&cluster.node(0).uri(), &config);
    let all_replicas = vec![serde_json::Value::from("replica"); 3];
    sidecar.wait("all streams", super::cluster::is_all_read);
    wait_for("all replicas", || (roles(&sidecar) == all_replicas).then_some(()));
    let reads = || (0..3).map(|node| cluster.node(node).calls("xinfo|stream")).sum::<u64>();
    let before = reads();
    (0..5).for_each(|_| drop(sidecar.next_poll()));
    // Only for the stream that is missing.
    assert!(reads() < before + 30, "the primaries are read: {before}, {}, {}", reads(), sidecar.log());
    sidecar.wait("the missing one", |page| page.stream("present", "missing") == Some(0.0));
    // A key that has moved is not missing, although a replica does not know where it is.
    let (slot, from) = (cluster.slot("s1"), cluster.owner("s1"));
    let to = (from + 1) % 3;
    super::cluster::watched(&sidecar, super::cluster::nothing_is_wrong, || {
        cluster.begin_move(slot, from, to);
        while cluster.move_keys(slot, from, to, 1) > 0 {}
        (0..5).for_each(|_| drop(sidecar.next_poll()));
        cluster.end_move(slot, from, to);
    });
    sidecar.wait("all streams", super::cluster::is_all_read);
    super::cluster::follows(&cluster, &sidecar, "s1");
    // Where the replica is gone, its primary is read.
    let replica = cluster.replica_of(to).unwrap();
    cluster.kill(replica);
    wait_for("a primary among them", || {
        let roles = roles(&sidecar);
        (roles.iter().filter(|role| **role == "master").count() == 1).then_some(())
    });
    super::cluster::follows(&cluster, &sidecar, "s1");
}

/// A cluster with streams, and a sidecar that reads the replica of each primary.
fn of_replicas(cluster: Cluster, config: &str) -> (Cluster, Sidecar) {
    super::cluster::fill(&cluster);
    let sidecar = Sidecar::with_config(&cluster.node(0).uri(), config);
    sidecar.wait("all streams", super::cluster::is_all_read);
    wait_for("all replicas", || roles(&sidecar).iter().all(|role| role == "replica").then_some(()));
    (cluster, sidecar)
}

#[test]
fn replicas_that_stand_still_leave_their_primary_its_time() {
    let cluster = Cluster::with_settings(1, 2, "cluster-node-timeout 60000");
    let (cluster, sidecar) = of_replicas(cluster, QUICK);
    let replicas = cluster.replicas_of(0);
    replicas.iter().for_each(|replica| cluster.freeze(*replica));
    super::cluster::follows(&cluster, &sidecar, "s1");
    replicas.iter().for_each(|replica| cluster.thaw(*replica));
}

#[test]
fn the_replica_of_a_primary_that_stands_still_is_read() {
    let (cluster, sidecar) = of_replicas(Cluster::steady(), QUICK);
    let frozen = cluster.owner("s0");
    cluster.freeze(frozen);
    // Each second another node is asked for the topology, this one too.
    for _ in 0..50 {
        let page = sidecar.next_poll();
        assert!(super::cluster::is_all_read(&page), "{}", sidecar.log());
    }
    cluster.thaw(frozen);
}

#[test]
fn a_primary_is_listed_once_where_it_was_asked_beside_its_replica() {
    let config = format!("{QUICK}streams: [{{match: missing}}, {{match: '*'}}]");
    let (cluster, sidecar) = of_replicas(Cluster::steady(), &config);
    // The nodes are as they are now until they are searched for again.
    sidecar.configure(&config.replace("discovery_interval: 1s", "discovery_interval: 1h"));
    sidecar.signal("HUP");
    (0..3).for_each(|_| drop(sidecar.next_poll()));
    // Its replica leaves it to the primary to say that there is no such stream.
    sidecar.wait("the missing one", |page| page.stream("present", "missing") == Some(0.0));
    let primary = cluster.owner("missing");
    let address = format!("127.0.0.1:{}", cluster.node(primary).port());
    let listed =
        || nodes(&sidecar).into_iter().filter(|node| node["address"] == *address).collect::<Vec<_>>();
    assert_eq!(listed().len(), 1, "beside its replica");
    cluster.kill(cluster.replica_of(primary).unwrap());
    wait_for("the primary in its place", || listed().iter().any(|node| node["slots"] != 0).then_some(()));
    assert_eq!(listed().len(), 1, "{:?}", nodes(&sidecar));
    super::cluster::follows(&cluster, &sidecar, "s1");
}

#[test]
fn a_primary_that_refuses_to_name_its_replicas_is_not_asked_at_each_poll() {
    let primary = Redis::start();
    if !primary.meets(Need::COUNTED_ADDITIONS) {
        return;
    }
    primary.add("s", 1);
    primary.run::<()>("ACL SETUSER narrow on nopass ~* +@all -role");
    let uri = primary.uri().replace("redis://", "redis://narrow:any@");
    let config = QUICK.replace("discovery_interval: 1s", "discovery_interval: 1h");
    let sidecar = Sidecar::with_config(&uri, &config);
    sidecar.wait("the primary", |page| page.stream("length", "s") == Some(1.0));
    let refused = || {
        let stats: String = primary.run("INFO commandstats");
        let line = stats.lines().find(|line| line.starts_with("cmdstat_role:")).unwrap();
        line.split("rejected_calls=").nth(1).unwrap().split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let before = refused();
    (0..5).for_each(|_| drop(sidecar.next_poll()));
    assert!(before > 0 && refused() == before, "refused {before} times, then {}", refused());
}
