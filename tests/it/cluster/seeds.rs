//! How a cluster is found: by one address, by several, and by what its nodes announce.

use std::process::{Command, Output};

use support::{free_port, program, wait_for, write};

use super::{Cluster, Page, Sidecar, fill, is_all_read, names, unreadable};

#[test]
fn another_seed_is_asked_where_the_first_one_is_dead() {
    let cluster = Cluster::start();
    fill(&cluster);
    let (nobody, seed) = (free_port(), cluster.node(1).port());
    let nodes = format!("redis: {{nodes: ['127.0.0.1:{seed}', '127.0.0.1:{nobody}']}}");
    let uri = format!("redis://127.0.0.1:{nobody}/0");
    let sidecar = Sidecar::with_config(&uri, &nodes);
    sidecar.wait("all streams", is_all_read);
    // All that it was given are dead: it knows the others by now.
    let replica = cluster.replica_of(1).unwrap();
    cluster.kill(1);
    wait_for("the replica to take over", || {
        cluster.primaries().iter().find(|it| it.node == replica).map(drop)
    });
    cluster.wait_until_served();
    sidecar.wait("all streams", is_all_read);
}

/// Runs a command with this configuration.
fn run(words: &str, config: &str) -> (String, Option<i32>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    write(&file, config);
    let mut command = Command::new(program());
    command.args(words.split(' ')).arg("--config").arg(&file).env_clear();
    let Output { status, stdout, stderr } = command.output().unwrap();
    (format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)), status.code())
}

#[test]
fn commands_use_the_other_seeds_and_name_the_nodes_that_do_not_answer() {
    let cluster = Cluster::with_settings(3, 0, "cluster-require-full-coverage no");
    fill(&cluster);
    let letters: Vec<String> = (0..9).map(|index| format!("dead:{{s{index}}}")).collect();
    letters.iter().for_each(|key| cluster.add(key, 2));
    let (nobody, another, seed) = (free_port(), free_port(), cluster.node(1).port());
    let config = |nodes: &str| format!("redis: {{uri: 'redis://127.0.0.1:{nobody}', nodes: [{nodes}]}}");
    let one = config(&format!("'127.0.0.1:{another}', '127.0.0.1:{seed}'"));
    let (said, code) = run("doctor", &one);
    for words in [
        format!(
            "no connection to 127.0.0.1:{nobody}: nothing listens there; a node of redis.nodes was asked instead"
        ),
        format!("connected to 127.0.0.1:{seed}"),
        format!("127.0.0.1:{another} of redis.nodes does not answer (refused)"),
        "a cluster of 3 primaries, and all slots are served".to_owned(),
    ] {
        assert!(said.contains(&words), "{words}: {said}");
    }
    assert_eq!(code, Some(0), "{said}");
    let none = config(&format!("'127.0.0.1:{another}'"));
    let (said, code) = run("doctor", &none);
    assert!(said.contains(&format!("127.0.0.1:{another} of redis.nodes does not answer")), "{said}");
    assert_eq!(code, Some(1));
    let (said, _) = run("status", &none);
    assert!(said.contains("nor is redis.nodes of use") && said.contains(&another.to_string()), "{said}");

    let lists = |said: &str, key: &String| said.lines().any(|line| line.starts_with(&format!("{key} ")));
    let (said, code) = run("dead-letters list", &one);
    assert!(letters.iter().all(|key| lists(&said, key)) && code == Some(0), "{said}");
    let lost: Vec<&String> = letters.iter().filter(|key| cluster.owner(key) == 2).collect();
    cluster.kill(2);
    let (said, code) = run("dead-letters list", &one);
    assert!(letters.iter().all(|key| lists(&said, key) != lost.contains(&key)), "{said}");
    let gone = format!("127.0.0.1:{}", cluster.node(2).port());
    assert!(said.contains("the list is incomplete") && said.contains(&gone) && code == Some(1), "{said}");
}

#[test]
fn one_node_alone_is_watched_where_cluster_is_off() {
    let cluster = Cluster::steady();
    fill(&cluster);
    let sidecar = Sidecar::with_config(&cluster.node(0).uri(), "redis: {cluster: off}");
    let own: Vec<String> = names().into_iter().filter(|stream| cluster.owner(stream) == 0).collect();
    let page = sidecar.wait("its streams", |page| own.iter().all(|it| page.stream("length", it).is_some()));
    assert_eq!(page.count("streamwarden_stream_length"), own.len());
    assert_eq!(page.count("streamwarden_node_up"), 0);
}

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

#[test]
fn nodes_that_announce_a_name_that_leads_nowhere_are_read_where_the_map_leads() {
    let settings = "cluster-preferred-endpoint-type hostname\ncluster-announce-hostname nowhere.invalid";
    let cluster = Cluster::with_settings(3, 0, settings);
    fill(&cluster);
    let pair = |port| format!("\"nowhere.invalid:{port}\": \"127.0.0.1:{port}\"");
    let map: Vec<String> = cluster.ports().into_iter().map(pair).collect();
    let config = format!("redis: {{cluster_address_map: {{{}}}}}", map.join(", "));
    let sidecar = Sidecar::with_config(&cluster.node(0).uri(), &config);
    sidecar.wait("all streams", is_all_read);
    let stream = "s1";
    let (slot, from) = (cluster.slot(stream), cluster.owner(stream));
    cluster.move_slot(slot, from, (from + 1) % 3);
    super::follows(&cluster, &sidecar, stream);
}
