//! All writes to Redis: trims, the lease that elects one of several sidecars to trim, acts on stuck work, the probe, and the bench.
//!
//! [`Enforcer`] sends each write. Finding the floor and removing entries are one script, since a group can be created
//! or moved between two commands. [`retention`](crate::retention) computes what may be removed. [`Keeper`] runs it on
//! the sidecar that holds the [`Lease`], and beside it [`StuckWork`], the rules that set entries aside and delete consumers. [`Acting`] runs
//! their orders and those of commands: a script checks each item again. [`Prober`] and [`Bench`] write to streams of their own only.

mod acting;
mod bench;
mod enforce;
mod fallback;
mod keeper;
mod lease;
mod pace;
mod probe;
mod spare;
mod stuck_work;
mod trim;
mod write;

pub use acting::{Acted, Acting};
pub use bench::{Bench, BenchError, BenchOrder, Latencies, Measured, Test};
pub use enforce::Enforcer;
pub use keeper::{Keeper, Order};
pub use lease::Lease;
pub use probe::Prober;
pub use stuck_work::StuckWork;
pub use trim::Trim;
pub use write::Write;
