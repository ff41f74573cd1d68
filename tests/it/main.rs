//! Tests of the built binary against real servers. Each test starts its own.
//!
//! `STREAMWARDEN_TEST_REDIS` names another server's program than `redis-server`.

mod support;

mod cost;
mod faults;
mod http;
mod metrics;
mod process;
mod tls;
mod truth;
