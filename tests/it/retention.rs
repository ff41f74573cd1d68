//! Retention on a real server: what may never go, what must go, and who is named when it can't.

mod command;
mod faults;
mod http;
mod oracle;
mod sidecars;
mod steps;
mod stories;

use support::Redis;

/// Whether the server has an `XTRIM MINID` that can be trusted: Redis 6.2.7 and later, and Valkey.
pub(crate) fn has_min_id(redis: &Redis) -> bool {
    let info: String = redis.run("INFO server");
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).expect("a version");
    let mut parts = version.split('.').map(|part| part.parse::<u32>().expect("a number"));
    (parts.next(), parts.next(), parts.next()) >= (Some(6), Some(2), Some(7))
}

/// The server, where what is tested can happen on it. On older ones nothing is trimmed, which has a test of its own.
pub(crate) fn trimming(redis: Redis) -> Option<Redis> {
    has_min_id(&redis).then_some(redis)
}
