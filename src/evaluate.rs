//! Turns what Redis reports into verdicts. Pure: time is an argument.
//!
//! Between two polls, a [`History`] keeps what a single reading can't prove. [`History::begin`] compares a reading
//! with it and returns the open questions. [`OpenReading::finish`] computes the [`Report`] from the reading and the
//! answers.

mod age;
mod baseline;
mod cause;
mod checkpoints;
mod counters;
mod debounce;
mod dropped;
mod group_history;
mod group_tracker;
mod growth;
mod history;
mod judge;
mod lag;
mod losses;
mod memory;
mod moment;
mod present;
mod questions;
mod rates;
mod report;
mod rereads;
mod second_look;
mod sentence;
mod series;
mod server_fault;
mod set_aside;
mod sources;
mod status;
mod stillness;
mod stream_history;
mod stream_tracker;
mod takeover;
mod trend;

pub use age::{Age, NoAge, clock_behind};
pub use cause::{Backlog, GroupCause, NearLimit, Over, Recreation, StreamCause, StuckConsumer, Unread};
pub use history::{History, OpenReading};
pub use lag::Lag;
pub use losses::Losses;
pub use moment::rate_window;
pub use questions::MOST_QUESTIONS;
pub use rates::Rate;
pub use report::{GroupReport, GroupVerdict, NodeMemory, Report, StreamMemory, StreamReport, StreamVerdict};
pub use sentence::{counted, entries, grouped, short};
pub use series::{SLOTS, Series, Ticks};
pub use server_fault::{SeenFault, ServerFault, refusing_writes};
pub use status::{GroupStatus, Health};

#[cfg(test)]
mod cluster_tests;
#[cfg(test)]
mod extremes_tests;
#[cfg(test)]
mod hosted_tests;
#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod losses_tests;
#[cfg(test)]
mod moves_tests;
#[cfg(test)]
mod simulation_tests;
#[cfg(test)]
mod test_readings;
