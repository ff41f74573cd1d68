//! Beside the real peers: promtool, Prometheus and redis_exporter, as Debian ships them or newer.
//!
//! `STREAMWARDEN_TEST_TOOLS` names the folder with their programs; `make test-peers` fetches them.
#![allow(
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails, and says where"
)]

mod prometheus;
mod promtool;
mod redis_exporter;
mod relay;
mod seed;
mod tool;
