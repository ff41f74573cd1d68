//! All that writes to Redis: it trims streams, and holds the lease that says which of several sidecars does.
//!
//! [`Enforcer`] sends each write: floor and removal are one script, since a group can be made or moved between two commands. What
//! may go is drawn by [`retention`](crate::retention). The [`Keeper`] runs it, on the one sidecar that holds the [`Lease`].

mod enforce;
mod fallback;
mod keeper;
mod lease;
mod trim;
mod write;

pub use enforce::Enforcer;
pub use keeper::{Keeper, Order};
pub use lease::Lease;
pub use trim::Trim;
pub use write::Write;
