//! What becomes of what the [source](crate::source) tells of its traffic: metrics, spans, and a line in the log for what is news.

use tracing::{Span, info, warn};

use crate::{
    config::Endpoint,
    model::{Failure, Reason},
    self_stats::SelfStats,
    source::Recorder,
    spans,
};

/// What is shown does not need these, and some services refuse them to everybody, in the words of a missing permission.
const OPTIONAL: [&str; 4] = ["client_setname", "client_no_touch", "info", "role"];

impl Recorder for SelfStats {
    fn connecting(&self) -> Span {
        spans::connect()
    }

    fn connecting_to(&self, server: &Endpoint) {
        spans::to_server(&Span::current(), server);
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
        spans::failed(span, failure);
    }

    /// Names the command once: what it would have told is missing from then on.
    fn refused(&self, command: &'static str, Failure { reason, detail, .. }: &Failure) {
        if !self.is_first_refusal(command) {
            return;
        }
        if *reason == Reason::NoPermission && OPTIONAL.contains(&command) {
            info!(command, %detail, "Redis refuses an optional command; all metrics of a primary are complete without it");
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
                "Redis does not know a command, or refuses it; what it would have told or done is missing"
            );
        }
    }
}
