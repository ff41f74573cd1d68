//! What a link tells of its traffic, so that others can count, trace and log it.

use tracing::Span;

use crate::{config::Endpoint, model::Failure};

/// Told what links do. The spans are what the work is done in; one that is not recorded costs nothing.
pub trait Recorder: Send + Sync {
    /// A connection is to be made: the span for it.
    fn connecting(&self) -> Span;

    /// The current span is of a connection to this server.
    fn connecting_to(&self, server: &Endpoint);

    /// A connection was made.
    fn connected(&self);

    /// A pipeline of commands with these labels is to be sent: the span for it and its replies.
    fn sending(&self, commands: &[&'static str], server: &Endpoint, database: i64) -> Span;

    /// What the span is for has failed, or a command in it.
    fn failed(&self, span: &Span, failure: &Failure);

    /// The server does not know the command of this label, or refuses it to the user. Told each time.
    fn refused(&self, command: &'static str, failure: &Failure);
}
