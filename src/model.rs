//! What Redis reports, as plain values: the vocabulary that all other modules share.
//!
//! The model depends on no other module, and on no Redis client, runtime or clock. `None` means that Redis did not
//! report the value.

mod condition;
mod detail;
mod facts;
mod failure;
mod in_order;
mod info;
mod lookup;
mod millis;
mod name;
mod name_map;
mod node;
mod pending;
mod percent;
mod permission;
mod removal;
mod role;
mod sentinel;
mod slot;
mod snapshot;
mod stream_id;
mod terms;
#[cfg(test)]
pub(crate) mod test_snapshot;
mod text;
mod tick;
mod weight;

pub use condition::{Condition, NEARLY_FULL_PERCENT};
pub use detail::{Consumer, Content, Entry, GroupPending, PendingEntry};
pub use facts::{
    ClockSkew, ClusterFacts, Facts, PrimaryFacts, Rights, Section, SeedFacts, Setting, StuckLease,
};
pub use failure::{Class, Failure, Reason};
pub use in_order::InOrder;
pub use info::Info;
pub use lookup::{Answers, Counted, Finding, GroupAnswers, Lookup, Question};
pub use millis::Millis;
pub use name::Name;
pub use name_map::NameMap;
pub use node::{NodeAddress, NodeAddressError};
pub use pending::{OldestPending, PENDING_SAMPLE, Pending, PendingSample};
pub use percent::percent_decoded;
pub use permission::{Answer, Feature, Method, Need, Permission, Tried};
pub use removal::Removal;
pub use role::{PrimaryLink, Role};
pub use sentinel::{ReplicaView, SentinelView, ServiceState};
pub(crate) use slot::hash_tag;
pub use slot::{Slot, SlotRanges};
pub use snapshot::{
    ClusterState, ConsumerState, EntryHead, Flavour, GroupState, Idempotence, Node, NodeIndex, Now, Origin,
    Server, ServerTime, Snapshot, StreamState,
};
pub use stream_id::{ParseStreamIdError, StreamId};
pub use terms::Terms;
pub use text::Text;
pub(crate) use text::cleaned;
pub use tick::{GroupPosition, GroupsAt, TickQuestion, TickTime};
pub use weight::{Weight, Weights};
