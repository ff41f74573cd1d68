//! Streamwarden watches Redis Streams, keeps them within their retention limits and alerts people when something
//! is wrong.
//!
//! # The flow
//!
//! ```text
//! config --> source --> Snapshot (Redis's own words, plain values)
//!                          |
//!              evaluate (pure) --> OpenReading -- answers --> Report
//!                                                               |
//!                  retention (pure): plans --> Reading (one row per stream)
//!                                                  |
//!              Latest (one writer, `watch`) --> MetricsPages --> /metrics
//! ```
//!
//! # The invariants
//!
//! 1. Dependencies go one way, which `cargo xtask layers` checks: [`model`] depends on nothing, [`source`] and
//!    [`evaluate`] on the model and the configuration. [`reading`] joins their results, [`views`] shows them, and
//!    only [`app`] wires the tasks.
//! 2. Model, evaluation and views use no runtime, Redis client, socket, clock or environment. Time is an argument.
//! 3. A scrape never causes a Redis command: it is served from the last poll's reading.
//! 4. Only [`source`] makes Redis commands that read, and only [`actions`] those that write.
//! 5. Unknown is not zero. What Redis does not report is `None` throughout, and has no sample. After failed polls
//!    old numbers never look fresh: past `stale_after` they are dropped.
//! 6. Ages are computed against the server's own `TIME`. It is read with the snapshot, or estimated from an
//!    earlier answer with a known error.
//! 7. Constant work: each poll does the same full, bounded work, and each cap has a metric.
//! 8. One bad key never blanks the rest: a failure is a value in the snapshot, with a reason from a closed set.
//! 9. Text from outside becomes a [`model::Name`] or a [`model::Text`] where it enters: bounded and printable.

pub mod config;
pub mod model;

pub mod source;

pub mod evaluate;
pub mod latency;

pub mod reader;
pub mod reading;
pub mod removals;
pub mod retention;
pub mod stuck;

pub mod poll;

pub mod actions;
pub mod operator;
pub mod planner;

mod renderer;
pub mod views;

pub mod http;

pub mod acl;
pub mod app;
mod cli;
pub mod clock;
mod doctor;
mod files;
mod http_client;
mod notify;
mod outage;
#[cfg(feature = "otlp")]
mod push;
mod recorder;
pub mod reload;
mod schedule;
pub mod self_stats;
mod signals;
mod spans;
mod tasks;
mod telemetry;
pub mod worker;

pub use cli::Cli;
