//! Tests of the program that ships, against real servers. Each test starts its own.
//!
//! `STREAMWARDEN_TEST_REDIS` names another server's program than `redis-server`.
#![allow(
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails, and says where"
)]

mod acl;
mod addresses;
mod api;
mod bench;
mod billed;
mod blind;
mod cluster;
mod codes;
mod config;
mod connections;
mod cost;
mod docs;
mod doctor;
mod failover;
mod faults;
mod finds;
mod hosted;
mod http;
mod latency;
mod losses;
mod many;
mod memory;
mod metrics;
mod notify;
mod outage;
mod probe;
mod process;
mod push;
mod replicas;
mod retention;
mod rotation;
mod runbooks;
mod sentinel;
mod smoke;
mod status;
mod stuck;
mod texts;
mod tls;
mod traces;
mod truth;
mod typos;
