//! How long entries take: from their IDs to their delivery to a group, and to their acknowledgement. Pure.
//!
//! A group is given entries in order. So how long the n-th entry waited is the horizontal distance between two curves: entries added,
//! and entries delivered. Each tick has a point of both, and no entry is read (`Arrivals`, `Curve`). What is known of an entry is an
//! interval ([`Wait`]): it arrived between two points, and was delivered between two ticks. Acknowledgements are a third curve. They
//! may be out of order, so what it says of single entries is assumed, and held against entries that are followed one by one
//! ([`FollowedOutcomes`]). Where the two disagree, the outcome of the others is unknown.
//!
//! If a curve breaks, as after a rewind, it restarts. Entries in between are left out and counted, each with its [`LeftOut`].

mod arrivals;
#[cfg(test)]
mod breaks_tests;
mod curve;
mod followed;
#[cfg(test)]
mod followed_tests;
mod group;
mod histogram;
mod history;
mod left_out;
mod outcome;
#[cfg(test)]
mod simulation_tests;
mod wait;
mod window;

pub use followed::FollowedOutcomes;
pub use group::{GroupLatency, Stage};
pub use histogram::Histogram;
pub use history::{LatencyHistory, LatencyReport, StreamTick};
pub use left_out::LeftOut;
pub use outcome::{Outcome, Outcomes};
pub use wait::Wait;
pub use window::{Quantile, Quantiles};
