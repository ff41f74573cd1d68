//! The traffic of links, for metrics, traces and logs.

use tracing::Span;

use crate::{config::Endpoint, model::Failure};

/// Called for what links do. The work runs in the returned spans; a disabled span costs nothing.
pub trait Recorder: Send + Sync {
    /// Before a connection is made. Returns its span.
    fn connecting(&self) -> Span;

    /// The current span is for a connection to this server.
    fn connecting_to(&self, server: &Endpoint);

    /// A connection was made.
    fn connected(&self);

    /// Before a pipeline of commands with these labels is sent. Returns the span for it and its replies.
    fn sending(&self, commands: &[&'static str], server: &Endpoint, database: i64) -> Span;

    /// The work of the span has failed, or a command in it.
    fn failed(&self, span: &Span, failure: &Failure);

    /// A node of a cluster redirected a command: `moved` or `ask`.
    fn redirected(&self, kind: &'static str);

    /// The server does not support the command with this label, or refuses it to the user. Called each time.
    fn refused(&self, command: &'static str, failure: &Failure);
}
