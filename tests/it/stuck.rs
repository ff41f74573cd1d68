//! Stuck work: pending entries and single entries are shown, and the commands that act on them.

mod bounds;
mod command;
mod hints;
mod http;
mod kills;
mod look;
mod races;
mod refusals;
mod rules;
mod scripts;
mod stories;
mod targets;
mod tour;

use redis::Value;

use support::Redis;

use crate::process::{streamwarden, text};

/// Its exit code, and what it printed and complained about.
fn run(redis: &Redis, arguments: &[&str]) -> (i32, String, String) {
    let output = streamwarden(arguments, &[("REDIS_URI", &redis.uri())]);
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// What a command that succeeds prints.
#[track_caller]
fn printed(redis: &Redis, arguments: &[&str]) -> String {
    let (code, printed, complaints) = run(redis, arguments);
    assert_eq!((code, complaints.as_str()), (0, ""), "{arguments:?}: {printed}");
    printed
}

/// A stream `s` of entries 1-0, 2-0 and so on, with a group `g` that has read nothing.
fn stream(entries: u64) -> Redis {
    let redis = Redis::start();
    redis.run::<()>("XGROUP CREATE s g 0 MKSTREAM");
    let mut pipeline = redis::pipe();
    for number in 1..=entries {
        pipeline
            .cmd("XADD")
            .arg("s")
            .arg(format!("{number}-0"))
            .arg("field")
            .arg(format!("value {number}"))
            .ignore();
    }
    pipeline.query::<()>(&mut redis.connect()).unwrap();
    redis
}

/// Delivers a pending entry again, and makes it as idle as this.
fn redeliver(redis: &Redis, group: &str, id: &str, deliveries: u64, idle: u64) {
    let words = format!("XCLAIM s {group} c 0 {id} IDLE {idle} RETRYCOUNT {deliveries}");
    redis.run::<Value>(&words);
}
