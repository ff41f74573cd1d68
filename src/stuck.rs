//! What to do with stuck work: which dead letters belong to a stream, orders to act on items, and what came of each. Pure.
//!
//! An [`Act`] is an order. Its items are IDs of entries, or names of consumers, that somebody has seen. The script of an act checks each item
//! again, and answers with an [`Outcome`] for each. [`actions`](crate::actions) sends it.

mod act;
mod command_line;
mod dead_letter;
mod outcome;
mod round;
mod status;

pub use act::{Act, DEFAULT_PREFIX, MOST_REPLAYS, Planned, Script};
pub use command_line::{LONG_IDLE, LONG_IDLE_FLAG, command_line, seems_to_fail};
pub use dead_letter::{DEFAULT_BEGIN, DeadLetter, dead_letters_of, origins_of};
pub use outcome::{Outcome, Outcomes};
pub use round::Round;
pub use status::{Cause, RuleRun, RuleStatus, Stop};
