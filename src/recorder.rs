//! Records the traffic that [source](crate::source) reports: as metrics, as spans, and in the log when something
//! changes.

use std::sync::Arc;

use tracing::{Span, info, warn};

use crate::{
    config::Endpoint,
    model::{Failure, Reason},
    self_stats::SelfStats,
    source::Recorder,
    spans,
};

/// Commands that polls can do without. Some hosted services refuse them to every user, with the error of a
/// missing permission.
const OPTIONAL: [&str; 4] = ["client_setname", "client_no_touch", "info", "role"];

impl Recorder for SelfStats {
    fn connecting(&self) -> Span {
        spans::connect()
    }

    fn connecting_to(&self, server: &Endpoint) {
        spans::record_server(&Span::current(), server);
    }

    fn connected(&self) {
        self.connections.inc();
    }

    fn sending(&self, commands: &[&'static str], server: &Endpoint, database: i64) -> Span {
        self.commands(commands);
        self.round_trips.inc();
        spans::pipeline(commands, server, database)
    }

    fn failed(&self, span: &Span, failure: &Failure) {
        spans::record_failure(span, failure);
    }

    fn redirected(&self, kind: &'static str) {
        self.redirects.with_label_values(&[kind]).inc();
    }

    /// Logs each command once. Whatever it would have returned is missing from then on.
    fn refused(&self, command: &'static str, Failure { reason, detail, .. }: &Failure) {
        if !self.is_first_refusal(command) {
            return;
        }
        if *reason == Reason::NoPermission && OPTIONAL.contains(&command) {
            info!(command, %detail, "Redis refuses an optional command; `streamwarden doctor` says what is unknown without it");
        } else if *reason == Reason::NoPermission {
            warn!(
                command,
                %detail,
                "Redis refuses a command; `streamwarden acl` prints the rule that permits it; some hosted services \
                 refuse it to every user"
            );
        } else {
            info!(
                command,
                %detail,
                "Redis does not support a command or refuses it; whatever needs it is missing"
            );
        }
    }
}

/// The same for traffic that has no spans, since it would fill traces several times a second.
pub(crate) struct Untraced(pub(crate) Arc<SelfStats>);

impl Recorder for Untraced {
    fn connecting(&self) -> Span {
        Span::none()
    }

    fn connecting_to(&self, _: &Endpoint) {}

    fn connected(&self) {
        self.0.connected();
    }

    fn sending(&self, commands: &[&'static str], _: &Endpoint, _: i64) -> Span {
        self.0.commands(commands);
        self.0.round_trips.inc();
        Span::none()
    }

    fn failed(&self, _: &Span, _: &Failure) {}

    fn redirected(&self, kind: &'static str) {
        self.0.redirected(kind);
    }

    fn refused(&self, command: &'static str, failure: &Failure) {
        self.0.refused(command, failure);
    }
}
