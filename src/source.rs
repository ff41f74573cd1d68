//! The only code that reads from Redis: connect, discover, observe.
//!
//! A [`Link`] keeps one connection. [`Observer`] and [`Discovery`] have one each, so that a long search never delays a poll. Each
//! [`Command`] is from a closed set, and none of them writes. `doctor` asks once, through the [`Examiner`], from a closed set
//! of its own, so that the sidecar's metrics list no commands that it never sends. A [`Recorder`] is called for all traffic;
//! this module knows no metrics and no spans.
//!
//! The link takes any address that the configuration knows. A cluster would need a link for each primary, and Sentinel another
//! way to resolve the address; both would leave the rest of this module as it is.

mod announced;
mod checks;
mod command;
mod connect;
mod connection;
mod discover;
mod entries;
mod examine;
mod failure;
mod fields;
mod files;
mod inspect;
mod link;
mod lookup;
mod names;
mod observe;
mod pass;
mod plausible;
mod portions;
mod read_strategy;
mod recorder;
#[cfg_attr(not(test), expect(dead_code, reason = "the links to a cluster's nodes use it"))]
mod redirect;
pub(crate) mod reply;
#[cfg(test)]
mod reply_tests;
pub(crate) mod resp;
mod role;
mod seldom;
mod server_clock;
mod session;
mod stream;
mod stream_reply;
mod tls;
mod tls_words;
mod token;
#[cfg_attr(not(test), expect(dead_code, reason = "the links to a cluster's nodes use it"))]
mod topology;
#[cfg_attr(not(test), expect(dead_code, reason = "the links to a cluster's nodes use it"))]
mod topology_reply;
mod transport;
mod watching;

pub use command::{Command, Request};
pub use discover::Discovery;
pub use examine::Examiner;
pub(crate) use failure::no_reply;
pub use link::Link;
pub use observe::Observer;
pub use recorder::Recorder;
pub(crate) use server_clock::polls_between_checks;
pub use stream_reply::read_stream;
pub(crate) use tls::check_files;
pub use watching::Watching;
