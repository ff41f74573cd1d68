//! Plans of retention and results of its runs: plain data, computed from readings.
//!
//! A [`Policy`](crate::config::Policy) has the configured limits. A [`Plan`] says which entries may be removed and
//! what blocks the others. A [`Run`] is the result of one run, and a [`RetentionStatus`] that of all runs on a
//! stream. [`actions`](crate::actions) executes them.

mod losing;
mod plan;
mod run;
mod status;
mod too_old;
mod unblocking;

pub use losing::{Losing, losing};
pub use plan::{BlockReason, Plan, TrimBlocker};
pub use run::{Outcome, Run, Step};
pub use status::{RetentionStatus, RetentionStatuses};
pub use too_old::TooOld;
pub use unblocking::unblocking;

#[cfg(test)]
pub(crate) mod test_policy;
