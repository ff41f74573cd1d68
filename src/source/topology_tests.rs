//! Tests with replies of real servers: three primaries with a replica each.
//!
//! "failover": the third primary was killed, and its replica took over. "failing": that one was killed too. "hole": slot 0 was
//! removed as well. "hostname" and "unknown": the preferred endpoint of the first node. "tls": asked over TLS.

use std::{collections::BTreeMap, time::Instant};

use proptest::prelude::*;

use super::{super::resp::tests::reply, *};
use crate::model::{NodeAddress, SlotRanges};

type AddressMap = BTreeMap<NodeAddress, NodeAddress>;

/// Names and replies in turn, with a space in place of each line end.
const REPLIES: &str = include_str!("topology_replies.txt");

fn real(name: &str) -> Reply {
    let after = REPLIES.lines().skip_while(|line| *line != name).nth(1).expect(name);
    reply(after.replace(' ', "\r\n") + "\r\n")
}

fn read(reply: &Reply, is_of_shards: bool, is_tls: bool, address_map: &AddressMap) -> Parsed<Topology> {
    let seen = Seen { asked: &"asked.example:1".parse().unwrap(), address_map };
    if is_of_shards {
        Topology::from_shards(reply, &seen, is_tls)
    } else {
        Topology::from_slots(reply, &seen)
    }
}

fn topology(name: &str) -> Topology {
    read(&real(name), name.contains("shards"), name.ends_with("tls"), &AddressMap::new()).unwrap()
}

/// For each primary its address, replicas and slots, and `!` if it has failed.
fn shown(topology: &Topology) -> Vec<String> {
    let slots =
        |index| Slot::all().filter(|slot| topology.owner(*slot) == Some(index)).collect::<SlotRanges>();
    let primary = |(index, primary): (usize, &Primary)| {
        assert_eq!(slots(index).count(), primary.slots);
        let replicas: String = primary.replicas.iter().map(|replica| format!(" +{replica}")).collect();
        let failing = if primary.is_failing { "!" } else { "" };
        format!("{failing}{}{replicas} {}", primary.address, slots(index))
    };
    topology.primaries().iter().enumerate().map(primary).collect()
}

fn failing(topology: &Topology) -> SlotRanges {
    Slot::all().filter(|slot| topology.owner(*slot).is_some() && !topology.is_served(*slot)).collect()
}

fn check(name: &str, primaries: &[&str]) {
    assert_eq!(shown(&topology(name)), primaries, "{name}");
}

#[test]
fn each_slot_has_the_owner_that_the_cluster_names() {
    check(
        "redis 6.0 slots",
        &[
            "127.0.0.1:27100 +127.0.0.1:27103 0-5460",
            "127.0.0.1:27101 +127.0.0.1:27104 5461-10922",
            "127.0.0.1:27102 +127.0.0.1:27105 10923-16383",
        ],
    );
    // The replicas were loading.
    let primaries = ["127.0.0.1:27200 0-5460", "127.0.0.1:27201 5461-10922", "127.0.0.1:27202 10923-16383"];
    for name in ["redis 7.0 shards", "redis 7.0 shards RESP2", "redis 7.0 slots", "redis 7.0 slots RESP2"] {
        check(name, &primaries);
    }
    assert_eq!(topology("redis 7.0 shards"), topology("redis 7.0 slots"));
    assert_eq!(topology("valkey 9.1 shards"), topology("valkey 9.1 slots"));
    assert_eq!(topology("redis 8.6 shards").primaries().len(), 3);
    assert!(topology("redis 8.6 shards").unowned().is_empty());
}

#[test]
fn a_replica_that_took_over_owns_the_slots() {
    for (name, base) in [("redis 7.0", 27_200), ("redis 8.6", 27_300), ("valkey 9.1", 11_500)] {
        let topology = topology(&format!("{name} shards failover"));
        assert!(failing(&topology).is_empty() && topology.unowned().is_empty(), "{name}");
        let owner = format!("127.0.0.1:{} 10923-16383", base + 5);
        assert_eq!(shown(&topology).last(), Some(&owner), "{name}");
    }
    assert_eq!(topology("redis 7.0 shards failover"), topology("redis 7.0 slots failover"));
    assert_eq!(shown(&topology("redis 6.0 slots failover")).last().unwrap(), "127.0.0.1:27105 10923-16383");
}

#[test]
fn a_primary_that_has_failed_keeps_its_slots() {
    for name in ["redis 7.0", "valkey 9.1"] {
        let topology = topology(&format!("{name} shards failing"));
        assert_eq!(failing(&topology).to_string(), "10923-16383", "{name}");
        assert!(topology.unowned().is_empty());
    }
    let owners =
        |name| topology(name).primaries().iter().map(|primary| primary.id.clone()).collect::<Vec<_>>();
    assert_eq!(owners("valkey 9.1 shards failing"), owners("valkey 9.1 slots failing"));
}

#[test]
fn slots_without_an_owner_are_unserved_and_found_in_the_other_reply_if_they_are_there() {
    assert_eq!(topology("redis 7.0 shards hole").unowned().to_string(), "0");
    let shards = topology("redis 8.6 shards failing");
    assert_eq!(shards.unowned().to_string(), "10923-16383");
    assert!(failing(&shards).is_empty());
    let slots = topology("redis 8.6 slots failing");
    let whole = shards.completed_by(&slots).unwrap();
    assert_eq!(shown(&whole)[2], "!127.0.0.1:27305 10923-16383");
    assert_eq!(failing(&whole).to_string(), "10923-16383");
    assert!(whole.unowned().is_empty());
    assert_eq!(whole.clone().completed_by(&slots).unwrap(), whole);
}

#[test]
fn a_primary_with_a_part_of_the_missing_slots_is_there_once() {
    let of = |ranges: &str| {
        let node = "*3 $9 127.0.0.1 :7 $1 a";
        let rows: Vec<_> =
            ranges.split(',').map(|range| format!("*3 {} {node}", range.replace(':', " :"))).collect();
        reply(format!("*{} {} ", rows.len(), rows.join(" ")).replace(' ', "\r\n").replace("\r\n\r\n", "\r\n"))
    };
    let read = |ranges| read(&of(ranges), false, false, &AddressMap::new()).unwrap();
    let whole = read(":0:5").completed_by(&read(":0:9,:20:20")).unwrap();
    assert_eq!(shown(&whole), ["127.0.0.1:7 0-9, 20"]);
}

#[test]
fn an_endpoint_that_is_not_known_is_the_host_that_was_asked() {
    let primaries =
        ["asked.example:27200 0-5460", "asked.example:27201 5461-10922", "asked.example:27202 10923-16383"];
    check("redis 7.0 shards unknown", &primaries);
    check("redis 7.0 slots unknown", &primaries);
}

#[test]
fn a_node_without_the_name_that_it_should_announce_has_its_ip_address() {
    let primaries =
        ["127.0.0.1:27200 0-5460", "two.redis.example:27201 5461-10922", "127.0.0.1:27202 10923-16383"];
    check("redis 7.0 shards hostname", &primaries);
    check("redis 7.0 slots hostname", &primaries);
}

#[test]
fn over_tls_the_other_nodes_are_reached_over_tls() {
    check("redis 8.6 shards tls", &["10.0.0.5:11811 0-16383"]);
    check("redis 8.6 slots tls", &["10.0.0.5:11811 0-16383"]);
    let plain = read(&real("redis 8.6 shards tls"), true, false, &AddressMap::new()).unwrap();
    assert_eq!(shown(&plain), ["10.0.0.5:11810 0-16383"]);
}

#[test]
fn the_address_map_replaces_announced_addresses_of_primaries_and_replicas() {
    let address = |text: &str| text.parse::<NodeAddress>().unwrap();
    let map = AddressMap::from([
        (address("127.0.0.1:27101"), address("proxy.example:7001")),
        (address("127.0.0.1:27103"), address("proxy.example:7003")),
        (address("127.0.0.2:27102"), address("proxy.example:7002")),
    ]);
    let topology = read(&real("redis 6.0 slots"), false, false, &map).unwrap();
    assert_eq!(
        shown(&topology),
        [
            "127.0.0.1:27100 +proxy.example:7003 0-5460",
            "proxy.example:7001 +127.0.0.1:27104 5461-10922",
            "127.0.0.1:27102 +127.0.0.1:27105 10923-16383",
        ]
    );
}

#[test]
fn a_cluster_without_slots_has_no_primaries_and_one_without_shards_is_no_answer() {
    for name in ["redis 7.0 shards no slots", "redis 7.0 slots no slots"] {
        assert_eq!(shown(&topology(name)), Vec::<String>::new());
        assert_eq!(topology(name).unowned().count(), 16_384);
    }
    let failure = read(&reply("*0\r\n"), true, false, &AddressMap::new()).unwrap_err();
    assert_eq!(failure.to_string(), "unexpected_reply: the reply has no usable shards");
}

#[test]
fn a_node_has_two_to_four_parts_or_more_and_a_row_may_have_none() {
    let text = "*4 *2 :0 :4 *3 :5 :9 *2 $9 127.0.0.1 :7 \
                *3 :10 :19 *5 $9 127.0.0.1 :8 $1 a *0 $1 x *4 :20 :29 *3 $9 127.0.0.1 :8 $1 a *1 $1 r";
    let topology =
        read(&reply(text.replace(' ', "\r\n") + "\r\n"), false, false, &AddressMap::new()).unwrap();
    assert_eq!(shown(&topology), ["127.0.0.1:7 5-9", "127.0.0.1:8 10-29"]);
    let ids: Vec<_> = topology.primaries().iter().map(|primary| primary.id.as_str()).collect();
    assert_eq!(ids, ["127.0.0.1:7", "a"]);
}

#[test]
fn of_two_owners_the_last_one_that_is_online_has_the_slots() {
    let shard = |id: &str, port: u16, health: &str, first: u16, last: u16| {
        let health = format!("${} {health}", health.len());
        let node =
            format!("%5 $2 id $1 {id} $4 port :{port} $8 endpoint $1 h $4 role $6 master $6 health {health}");
        format!("%2 $5 slots *2 :{first} :{last} $5 nodes *1 {node}")
    };
    let text = [
        shard("a", 1, "online", 0, 99),
        shard("b", 2, "fail", 50, 149),
        shard("c", 3, "online", 140, 199),
        shard("d", 4, "online", 0, 9),
    ];
    let text = format!("*4 {}", text.join(" ")).replace(' ', "\r\n") + "\r\n";
    let topology = read(&reply(text), true, false, &AddressMap::new()).unwrap();
    assert_eq!(shown(&topology), ["h:4 0-9", "h:1 10-99", "!h:2 100-139", "h:3 140-199"]);
    assert_eq!(failing(&topology).to_string(), "100-139");
}

#[test]
fn what_is_no_topology_is_refused_with_what_is_wrong() {
    let failed = |text: &str, is_of_shards| {
        let reply = reply(text.replace(' ', "\r\n") + "\r\n");
        read(&reply, is_of_shards, false, &AddressMap::new()).unwrap_err().to_string()
    };
    for (text, what) in [
        (":1", "slots"),
        ("*1 :1", "range of slots"),
        ("*1 *0", "range of slots"),
        ("*1 *3 :0 :16384 *2 $1 h :1", "range of slots"),
        ("*1 *3 :9 :0 *2 $1 h :1", "range of slots"),
        ("*1 *3 :0 :9 *1 $1 h", "port of a node"),
        ("*1 *3 :0 :9 *2 $1 h :65536", "port of a node"),
        ("*1 *3 :0 :9 :1", "node"),
    ] {
        assert_eq!(
            failed(text, false),
            format!("unexpected_reply: the reply has no usable {what}"),
            "{text}"
        );
    }
    for (text, what) in [(":1", "shards"), ("*1 %0", "slots"), ("*1 %1 $5 slots *0", "nodes")] {
        assert_eq!(failed(text, true), format!("unexpected_reply: the reply has no usable {what}"), "{text}");
    }
    let host = failed("*1 *3 :0 :9 *2 $3 a/b :1", false);
    assert!(
        host.starts_with("unexpected_reply: the cluster announces a node as \"a/b\", port 1, which"),
        "{host}"
    );
}

/// The reply to `CLUSTER SHARDS` or `CLUSTER SLOTS` of this many primaries with a replica each and slots that are dealt out
/// one by one.
fn scattered(primaries: u16, is_of_shards: bool) -> Reply {
    let id = |node: u16| format!("${} {node:040x}", 40);
    let node = |node: u16, role: &str| {
        let host = format!("10.0.{}.{}", node / 250, node % 250);
        let host = format!("${} {host}", host.len());
        let role = format!("${} {role}", role.len());
        match is_of_shards {
            true => format!(
                "%7 $2 id {} $4 port :6379 $2 ip {host} $8 endpoint {host} $4 role {role} $18 replication-offset :0 \
                 $6 health $6 online",
                id(node)
            ),
            false => format!("*4 {host} :6379 {} %0", id(node)),
        }
    };
    let nodes = |first: u16| format!("{} {}", node(first, "master"), node(first + primaries, "replica"));
    let text = match is_of_shards {
        true => {
            let shard = |first: u16| {
                let slots: Vec<_> = (first..Slot::COUNT).step_by(primaries.into()).collect();
                let pairs: String = slots.iter().map(|slot| format!(":{slot} :{slot} ")).collect();
                format!("%2 $5 slots *{} {pairs}$5 nodes *2 {}", slots.len() * 2, nodes(first))
            };
            format!("*{primaries} {}", (0..primaries).map(shard).collect::<Vec<_>>().join(" "))
        }
        false => {
            let row = |slot: u16| format!("*4 :{slot} :{slot} {}", nodes(slot % primaries));
            format!("*{} {}", Slot::COUNT, (0..Slot::COUNT).map(row).collect::<Vec<_>>().join(" "))
        }
    };
    reply(text.replace(' ', "\r\n") + "\r\n")
}

#[test]
fn a_large_and_scattered_topology_is_the_same_in_both_replies() {
    let read = |is_of_shards| read(&scattered(500, is_of_shards), is_of_shards, false, &AddressMap::new());
    let shards = read(true).unwrap();
    assert_eq!((shards.primaries().len(), shards.unowned().count()), (500, 0));
    assert_eq!(shards, read(false).unwrap());
}

#[test]
#[ignore = "measures: cargo test --release --lib topology -- --ignored --nocapture"]
#[expect(clippy::disallowed_methods, reason = "measures real time")]
fn how_long_a_large_topology_takes() {
    for primaries in [500, 1_000] {
        for (name, is_of_shards) in [("SHARDS", true), ("SLOTS", false)] {
            let reply = scattered(primaries, is_of_shards);
            let began = Instant::now();
            for _ in 0..20 {
                assert!(read(&reply, is_of_shards, false, &AddressMap::new()).is_ok());
            }
            println!("{primaries} primaries, 16384 ranges, {name}: {:?}", began.elapsed() / 20);
        }
    }
}

fn any_value() -> impl Strategy<Value = String> {
    let words =
        ["slots", "nodes", "id", "port", "ip", "endpoint", "role", "master", "health", "fail", "?", ""];
    let word = prop::sample::select(words.to_vec()).prop_map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let number = any::<i64>().prop_map(|number| format!(":{number}\r\n"));
    let slot = (0..17_000).prop_map(|number| format!(":{number}\r\n"));
    let leaf = prop_oneof![word, number, slot, Just("_\r\n".to_owned())];
    leaf.prop_recursive(5, 64, 8, |inner| {
        let list = |values: Vec<String>| format!("*{}\r\n{}", values.len(), values.concat());
        prop::collection::vec(inner, 0..8).prop_map(list)
    })
}

proptest! {
    #[test]
    fn no_reply_causes_a_panic(value in any_value()) {
        let value = reply(value);
        for (is_of_shards, is_tls) in [(true, false), (false, false), (true, true)] {
            drop(read(&value, is_of_shards, is_tls, &AddressMap::new()));
        }
    }

    #[test]
    fn no_damage_to_a_real_reply_causes_a_panic(at in 0_usize..1_400, byte in any::<u8>()) {
        for name in ["redis 7.0 shards", "redis 7.0 slots hostname"] {
            let mut bytes = REPLIES.lines().skip_while(|line| *line != name).nth(1).unwrap().replace(' ', "\r\n").into_bytes();
            bytes.extend_from_slice(b"\r\n");
            if let Some(changed) = bytes.get_mut(at) {
                *changed = byte;
            }
            // The protocol's own parser refuses many of them.
            if let Ok(damaged) = Reply::whole(&bytes.into()) {
                drop(read(&damaged, name.contains("shards"), false, &AddressMap::new()));
            }
        }
    }
}
