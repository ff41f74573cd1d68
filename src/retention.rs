//! What retention wants of streams and what came of it: plain data, drawn from readings without asking anybody.
//!
//! A [`Policy`](crate::config::Policy) says what is wanted; a [`Plan`] says what may go and who holds the rest; a [`Run`] is what was done, and a
//! [`Standing`] what all runs on a stream did. [`actions`](crate::actions) does it.

mod losing;
mod plan;
mod run;
mod standing;

pub use losing::Losing;
pub use plan::{Hold, Holder, Plan};
pub use run::{Outcome, Run, Step};
pub use standing::{Standing, Standings};

#[cfg(test)]
pub(crate) mod test_policy;
