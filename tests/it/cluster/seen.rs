//! What is seen of a cluster that nobody touches.

use std::process::Command;

use super::{Cluster, STREAMS, Sidecar, fill, is_all_read, nothing_is_wrong};
use support::program;

#[test]
fn every_stream_of_every_primary_is_seen_from_any_nodes_address() {
    let cluster = Cluster::steady();
    fill(&cluster);
    let sidecars: Vec<Sidecar> = (0..6)
        .map(|index| match index {
            // As users have it, who change nothing.
            0 | 3 => Sidecar::with_default_polls(&cluster.node(index).uri(), ""),
            _ => Sidecar::start(cluster.node(index)),
        })
        .collect();
    for sidecar in &sidecars {
        let page = sidecar.wait("all streams", is_all_read);
        nothing_is_wrong(&page);
        assert_eq!(page.count("streamwarden_stream_length"), STREAMS);
    }
}

#[test]
fn the_status_command_sees_every_stream_and_says_healthy_of_all() {
    let cluster = Cluster::steady();
    fill(&cluster);
    let output = Command::new(program())
        .args(["status", "--json"])
        .env_clear()
        .env("REDIS_URI", cluster.node(4).uri())
        .output()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a document");
    let streams = document["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), STREAMS);
    for stream in streams {
        let key = stream["key"].as_str().expect("a key");
        let node = format!("127.0.0.1:{}", cluster.node(cluster.owner(key)).port());
        assert_eq!((&stream["present"], &stream["node"]), (&true.into(), &node.into()), "{key}");
    }
}

#[test]
fn named_streams_are_read_where_their_hash_tags_are_and_one_that_is_not_there_is_missing() {
    let cluster = Cluster::steady();
    let there = ["{one}a", "{one}b", "{two}a", "x{three}y", "{}four", "five{"];
    there.iter().enumerate().for_each(|(index, stream)| cluster.add(stream, 5 + index));
    cluster.add("another", 3);
    let escaped = |stream: &str| stream.replace('{', "\\{").replace('}', "\\}");
    let named: String = there.iter().map(|stream| format!("\n- match: '{}'", escaped(stream))).collect();
    let config = format!("streams:{named}\n- match: missing\n");
    let sidecar = Sidecar::with_config(&cluster.node(1).uri(), &config);
    let page =
        sidecar.wait("the named streams", |page| page.count("streamwarden_stream_length") == there.len());
    for (index, stream) in there.iter().enumerate() {
        assert_eq!(page.stream("length", stream), Some(super::float(5 + index)), "{stream}");
    }
    assert_eq!(page.stream("present", "another"), None);
    sidecar.wait("the missing one", |page| page.stream("present", "missing") == Some(0.0));
}

#[test]
fn streams_that_come_and_go_on_any_primary_are_noticed() {
    let (cluster, sidecar) = super::filled(Cluster::steady());
    let new: Vec<String> = (0..9).map(|index| format!("new{index}")).collect();
    new.iter().for_each(|stream| cluster.add(stream, 2));
    sidecar
        .wait("the new streams", |page| new.iter().all(|stream| page.stream("length", stream) == Some(2.0)));
    new.iter().for_each(|stream| cluster.run::<()>(stream, &format!("DEL {stream}")));
    let page = sidecar
        .wait("them to leave", |page| new.iter().all(|stream| page.stream("length", stream).is_none()));
    nothing_is_wrong(&page);
}
