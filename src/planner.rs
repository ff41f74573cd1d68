//! Reads single entries, and plans acts on stuck work: the same for the commands and for requests over HTTP. Nothing here writes.
//!
//! [`Looker`] reads details of one stream. Each order makes a plan: an [`Act`](crate::stuck::Act) and its items, and what would be left.
//! What can't be answered or planned is a [`Refusal`], which says what is wrong and where.

mod claim;
mod dead_letter;
mod failed_act;
mod live;
mod looker;
mod older;
mod order;
mod reap;
mod refusal;
mod replay;

pub use claim::{ClaimOrder, ClaimPlan};
pub use dead_letter::{DeadLetterOrder, DeadLetterPlan};
pub use failed_act::cannot_act;
pub use looker::{Looked, Looker};
pub use older::Older;
pub use order::{Order, Plan};
pub use reap::{ReapOrder, ReapPlan};
pub use refusal::{Refusal, Wrong};
pub use replay::{Pages, ReplayOrder, ReplayPlan, Replayed, Rest, select};
