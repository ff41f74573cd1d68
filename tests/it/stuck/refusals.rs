//! Bad input and unusual names: the commands that act say what is wrong and change nothing, and any bytes can be a name.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    process::Command,
};

use redis::{Connection, Value, cmd};

use super::run;
use crate::process::text;
use support::{Cluster, Redis, program};

/// Each command that acts, on this stream.
fn acts(stream: &str) -> [Vec<&str>; 6] {
    [
        vec!["dead-letter", stream, "g", "--deliveries", "1", "--idle", "0s"],
        vec!["dead-letter", stream, "g", "--acknowledge-gone"],
        vec!["claim", stream, "g", "--from", "c", "--to", "d", "--idle", "0s"],
        vec!["reap-consumers", stream, "g", "--idle", "0s", "--force"],
        vec!["replay", stream, "--id", "1-0"],
        vec!["dead-letters", "purge", stream, "--id", "1-0"],
    ]
}

fn changes(redis: &Redis) -> String {
    let info = redis.run::<String>("INFO persistence");
    info.lines().find(|line| line.starts_with("rdb_changes")).unwrap().to_owned()
}

#[test]
fn what_is_not_a_stream_or_not_there_is_said_by_each_command() {
    let redis = Redis::start();
    redis.run::<()>("SET text value");
    redis.add("s", 1);
    let before = changes(&redis);
    for (stream, words) in [("text", "text is not a stream"), ("nowhere", "nowhere"), ("s", "")] {
        for arguments in acts(stream) {
            for end in ["--yes", "--dry-run"] {
                let (code, shown, complaints) = run(&redis, &[&arguments[..], &[end]].concat());
                assert_eq!(code, 1, "{arguments:?} {end}: {shown}{complaints}");
                assert!(
                    complaints.starts_with("error: ") && complaints.contains(words),
                    "{arguments:?}: {complaints}"
                );
            }
        }
    }
    assert_eq!(changes(&redis), before);
}

#[test]
fn empty_and_huge_arguments_are_refused_or_do_what_they_say() {
    let redis = super::stream(2);
    redis.read("s", "g", "c", 2);
    let (huge, most) = ("x".repeat(100_000), u64::MAX.to_string());
    let before = changes(&redis);
    for (arguments, code, words) in [
        (&["dead-letter", "", "g", "--id", "1-0"][..], 2, "no default name for its dead letters"),
        (&["dead-letter", "s", "", "--id", "1-0"], 1, r"there is no group \empty; the stream has: g"),
        (&["dead-letter", "s", "g", "--id", "1-0", "--to", ""], 2, "--to: empty"),
        (&["dead-letter", "s", "g", "--id", "1-0", "--prefix", ""], 2, "--prefix: empty"),
        (&["dead-letter", "s", "g", "--id", ""], 2, "--id"),
        (&["dead-letter", "s", "g", "--id", "1-0-0"], 2, "--id"),
        (&["dead-letter", "s", &huge, "--id", "1-0"], 1, "there is no group"),
        (&["dead-letter", "s", "g", "--deliveries", "0", "--idle", "1s"], 2, "--deliveries"),
        (&["dead-letter", "s", "g", "--deliveries", "1", "--idle", "99999999999999y"], 2, "--idle"),
        (&["dead-letter", "s", "g", "--id", "1-0", "--max", "0"], 2, "--max"),
        (&["dead-letter", "s", "g", "--id", "1-0", "--max-length", "0"], 2, "--max-length"),
        (&["claim", "s", "g", "--from", "", "--to", "c", "--idle", "0s"], 1, "has no consumer"),
        (&["replay", "s", "--rate", "0"], 2, "--rate"),
        (&["replay", "s", "--filter", "=x", "--max-replays", "0"], 2, "--max-replays"),
    ] {
        let (its_code, shown, complaints) = run(&redis, &[arguments, &["--yes"]].concat());
        let first: String = complaints.chars().take(300).collect();
        assert!(
            its_code == code && complaints.contains(words),
            "{:.200?}: {its_code} {shown}{first}",
            arguments
        );
    }
    let all = [
        "dead-letter",
        "s",
        "g",
        "--deliveries",
        &most,
        "--idle",
        "1000y",
        "--max-length",
        &most,
        "--prefix",
        &huge,
    ];
    assert_eq!(run(&redis, &[&all[..], &["--yes"]].concat()).0, 0);
    assert_eq!(changes(&redis), before);
}

fn query<T: redis::FromRedisValue>(connection: &mut Connection, words: &[&[u8]]) -> T {
    cmd(std::str::from_utf8(words[0]).unwrap()).arg(&words[1..]).query(connection).unwrap()
}

/// Any bytes can be the name of a stream, a group, a consumer or a field. What is moved and replayed is the same in the end.
#[test]
fn entries_of_streams_with_unusual_names_are_moved_and_played_back() {
    let redis = Redis::start();
    let connection = &mut redis.connect();
    let names: [&[u8]; 12] = [
        b"a b",
        b"a\nb\r\n",
        b"{",
        b"}",
        b"{}",
        b"a{b}c",
        b"\xff\xfe{\x80}",
        b"*",
        b"--yes",
        b"'\"\\$(x)",
        "\u{6d41}".as_bytes(),
        &[b'k'; 5_000],
    ];
    for name in names {
        query::<Value>(connection, &[b"XGROUP", b"CREATE", name, name, b"0", b"MKSTREAM"]);
        query::<Value>(connection, &[b"XADD", name, b"1-0", name, name, b"", b"\0"]);
        query::<Value>(connection, &[b"XREADGROUP", b"GROUP", name, name, b"STREAMS", name, b">"]);
        let run = |arguments: &[&[u8]]| {
            let arguments = arguments.iter().map(|it| OsString::from_vec(it.to_vec()));
            let output = Command::new(program())
                .args(arguments)
                .env_clear()
                .env("REDIS_URI", redis.uri())
                .output()
                .unwrap();
            assert_eq!(
                output.status.code(),
                Some(0),
                "{:?}: {}{}",
                OsStr::from_bytes(name),
                text(&output.stdout),
                text(&output.stderr)
            );
        };
        // In one slot, with a hash tag or without.
        let to = [b"dead:", name].concat();
        run(&[b"dead-letter", b"--id", b"1-0", b"--yes", b"--to", &to, b"--", name, name]);
        let moved: Vec<(String, Vec<Vec<u8>>)> = query(connection, &[b"XRANGE", &to, b"-", b"+"]);
        let words: Vec<&[u8]> = moved[0].1.iter().map(Vec::as_slice).collect();
        let prefix: [&[u8]; 8] = [name, name, b"", b"\0", b"dlq:stream", name, b"dlq:group", name];
        assert_eq!(words[..8], prefix);
        assert_eq!(words[11], name, "the consumer");
        run(&[b"dead-letters", b"show", &to, b"--show"]);
        run(&[b"replay", b"--yes", &to]);
        let all: Vec<(String, Vec<Vec<u8>>)> = query(connection, &[b"XRANGE", name, b"-", b"+"]);
        assert_eq!((all.len(), &all[1].1[..4]), (2, &all[0].1[..]));
        run(&[b"pending", b"--show", b"--", name, name]);
        run(&[b"reap-consumers", b"--idle", b"0s", b"--force", b"--yes", b"--", name, name]);
    }
}

#[test]
fn in_a_cluster_each_command_finds_its_stream_and_keys_of_two_slots_are_refused() {
    let cluster = Cluster::steady();
    let (slot, owner) = (cluster.slot("s"), cluster.owner("s"));
    let redis = cluster.node(owner);
    let other = cluster.node((owner + 1) % 3);
    redis.run::<()>("XGROUP CREATE s g 0 MKSTREAM");
    redis.add("s", 4);
    redis.read("s", "g", "c", 4);
    redis.run::<()>("XGROUP CREATECONSUMER s g d");
    redis.run::<()>("XGROUP CREATECONSUMER s g unused");
    let pending = || redis.run::<(u64, Value, Value, Value)>("XPENDING s g").0;
    let move_all = ["dead-letter", "s", "g", "--deliveries", "1", "--idle", "0s", "--max", "2", "--yes"];
    let elsewhere = (0..)
        .map(|number| format!("aside{number}"))
        .find(|key| cluster.owner(key) == owner && cluster.slot(key) != slot);
    for to in ["aside", elsewhere.unwrap().as_str()] {
        let (code, _, complaints) = run(other, &[&move_all[..], &["--to", to]].concat());
        let words = format!("s and {to} must be in one slot of the cluster: `to` needs the same hash tag");
        assert!(code == 1 && complaints.contains(&words), "{complaints}");
    }
    let to = (owner + 1) % 3;
    cluster.begin_move(slot, owner, to);
    let (code, _, complaints) = run(other, &move_all);
    assert!(code == 1 && complaints.contains("are moving to another node of the cluster"), "{complaints}");
    assert_eq!(pending(), 4, "nothing was changed");
    for node in [owner, to] {
        cluster.node(node).run::<()>(&format!("CLUSTER SETSLOT {slot} STABLE"));
    }
    for arguments in [
        &move_all[..],
        &["claim", "s", "g", "--from", "c", "--to", "d", "--idle", "0s", "--yes"],
        &["reap-consumers", "s", "g", "--idle", "0s", "--force", "--yes"],
        &["replay", "dead:{s}", "--max", "1", "--yes"],
        &["dead-letters", "purge", "dead:{s}", "--all", "--yes"],
    ] {
        let (code, shown, complaints) = run(other, arguments);
        assert_eq!(code, 0, "{arguments:?}: {shown}{complaints}");
    }
    let held: Vec<(String, u64)> = redis.run::<(u64, Value, Value, Vec<(String, u64)>)>("XPENDING s g").3;
    assert_eq!(held, [("d".to_owned(), 2)]);
    assert_eq!((redis.run::<u64>("XLEN s"), redis.run::<u64>("XLEN dead:{s}")), (5, 0));
}
