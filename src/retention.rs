//! What retention wants of streams and what came of it: plain data, drawn from readings without asking anybody.
//!
//! A [`Policy`](crate::config::Policy) says what is wanted; a [`Plan`] says what may go and who holds the rest; a [`Run`] is what was done, and a
//! [`RetentionStatus`] what all runs on a stream did. [`actions`](crate::actions) does it.

mod losing;
mod plan;
mod run;
mod status;

pub use losing::Losing;
pub use plan::{BlockReason, Plan, TrimBlocker};
pub use run::{Outcome, Run, Step};
pub use status::{RetentionStatus, RetentionStatuses};

#[cfg(test)]
pub(crate) mod test_policy;
