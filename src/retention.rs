//! Keeps streams within their limits, without removing what a group still needs.
//!
//! A [`Policy`] says what is wanted; a [`Plan`], drawn from a reading without asking anybody, says what may go and
//! who holds the rest; `enforce` is the only code of the program that writes to Redis: floor and removal are one
//! script, since a group can be made or moved between two commands. The [`Keeper`] runs it, on one sidecar of
//! several: the one that holds the lease.

mod enforce;
mod fallback;
mod keeper;
mod lease;
mod losing;
mod plan;
mod policy;
mod removals;
mod run;
mod standing;

pub(crate) use enforce::has_min_id;
pub use enforce::{Enforcer, Step, Write};
pub use keeper::{Keeper, Order};
pub use lease::Lease;
pub use losing::Losing;
pub use plan::{Hold, Holder, Plan};
pub use policy::Policy;
pub use removals::{Listener, Teller, removals};
pub use run::{Outcome, Run, trim};
pub use standing::{Standing, Standings};
