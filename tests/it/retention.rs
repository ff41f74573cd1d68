//! Retention on a real server: what may never go, what must go, and who is named when it can't.

pub(crate) mod cases;
mod chaos;
mod command;
mod enforcer;
mod faults;
mod http;
mod lease;
mod ledger;
pub(crate) mod mutants;
mod oracle;
mod sidecars;
mod steps;
mod stories;
mod world;

use support::{Need, Redis};

/// The server, where what is tested can happen on it. On older ones nothing is trimmed, which has a test of its own.
pub(crate) fn trimming(redis: Redis) -> Option<Redis> {
    redis.if_meets(Need::SAFE_TRIMS)
}
