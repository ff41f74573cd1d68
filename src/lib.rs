//! Streamwarden watches Redis Streams, keeps them within their retention and tells people when something is wrong.
//!
//! # The flow
//!
//! ```text
//! config --> source --> Snapshot (Redis's own words, plain values)
//!                          |
//!              evaluate (pure) --> OpenReading -- answers --> Report
//!                                                               |
//!                  retention (pure): plans --> Reading (one row a stream)
//!                                                  |
//!              Latest (one writer, `watch`) --> MetricsPages --> /metrics
//! ```
//!
//! # The invariants
//!
//! 1. One direction, held by `cargo xtask layers`: the [`model`] knows nobody, [`source`] and [`evaluate`] know model and
//!    configuration, [`reading`] joins them, [`views`] shows that; only [`app`] wires.
//! 2. Model, evaluation and views hold no runtime, no Redis client, no socket, clock or environment. Time is an
//!    argument.
//! 3. A scrape never causes a Redis command: pages are made from what the last poll read.
//! 4. Only [`source`] makes Redis commands that read, and only [`actions`] those that write.
//! 5. Unknown is not zero. What Redis does not say is `None` all the way, and has no sample. After failed polls
//!    old numbers never look fresh: past `stale_after` they are gone.
//! 6. Ages are computed against the server's own `TIME`, read with the snapshot, or estimated from an earlier answer with
//!    an error that is known.
//! 7. Constant work: each poll does the same full, bounded work, and each cap shows as a metric.
//! 8. One bad key never blanks the rest: a failure is a value in the snapshot, with a reason of a closed set.
//! 9. Text from outside is a [`model::Name`] or a [`model::Text`] from where it enters: bounded and readable.

pub mod config;
pub mod model;

pub mod source;

pub mod evaluate;

pub mod reader;
pub mod reading;
pub mod removals;
pub mod retention;

pub mod poll;

pub mod actions;

pub mod renderer;
pub mod views;

pub mod http;

pub mod acl;
pub mod app;
mod cli;
pub mod clock;
pub mod doctor;
pub mod files;
pub mod outage;
mod recorder;
pub mod reload;
pub mod schedule;
pub mod self_stats;
pub mod signals;
mod spans;
pub mod tasks;
pub mod telemetry;
pub mod worker;

pub use cli::Cli;
