//! The only code that reads from Redis: connect, discover, observe.
//!
//! A [`Link`] keeps one connection. [`Observer`] and [`Discovery`] have one each to each server, so that a long search never delays a
//! poll. So has the [`TickReader`], and the probe, which works on all [`Primaries`]. Each
//! [`Command`] is from a closed set, and none of them writes. `doctor` asks once, through the [`Examiner`], from a closed set
//! of its own, so that the sidecar's metrics list no commands that it never sends. So do commands that show single entries, through
//! [`Details`]. A [`Recorder`] is called for all traffic;
//! this module knows no metrics and no spans.
//!
//! If an address names Sentinels, those name the server at each connection. `Nodes` are the servers that hold the data: one, or each primary of a cluster. [`Router`] sends single commands to the one that
//! has their key.

mod announced;
mod checks;
mod cluster_survey;
mod command;
mod connect;
mod connection;
mod copies;
mod details;
mod discover;
mod entries;
mod examine;
mod failure;
mod fields;
mod files;
mod inspect;
mod late;
mod link;
mod lookup;
mod merge;
mod names;
mod node_observer;
mod nodes;
mod observe;
mod pass;
mod plausible;
mod portions;
mod positions;
mod primaries;
mod read_strategy;
mod recorder;
mod redirect;
mod redirected;
pub(crate) mod reply;
#[cfg(test)]
mod reply_tests;
pub(crate) mod resp;
mod role;
mod router;
mod seldom;
mod sentinel;
mod sentinel_survey;
mod server_clock;
mod session;
mod stream;
mod stream_reply;
mod ticks;
mod tls;
mod tls_words;
mod token;
mod topology;
mod topology_reply;
mod transport;
mod watching;

pub(crate) use cluster_survey::ClusterSurvey;
pub use command::{Command, Request};
pub(crate) use details::entries_at_the_ends;
pub use details::{Details, Found, Wanted};
pub use discover::Discovery;
pub use examine::Examiner;
pub(crate) use failure::no_reply;
pub use link::Link;
pub use observe::Observer;
pub(crate) use primaries::Pair;
pub use primaries::Primaries;
pub use recorder::Recorder;
pub(crate) use router::send_behind;
pub use router::{Next, Router};
pub(crate) use sentinel_survey::survey_sentinels;
pub(crate) use server_clock::polls_between_checks;
pub(crate) use session::Session;
pub use stream_reply::read_stream;
pub use ticks::TickReader;
pub(crate) use tls::check_files;
pub use watching::Watching;
