//! The probes: whether the poll loop runs, and whether there is something to serve.

use hyper::StatusCode;

use super::{
    answer::{Answer, text},
    asked::Asked,
    server_state::ServerState,
};
use crate::clock;

/// Missed turns of the poll loop after which the process counts as hung.
const MISSED_TURNS: u32 = 3;

impl ServerState {
    /// Whether the poll loop runs. Failures of Redis don't count: a restart of the sidecar would not fix Redis.
    pub(super) fn live(&self, _: &Asked) -> Answer {
        let config = self.config.borrow();
        let failure = self.latest.borrow().failure.as_ref().and_then(|failure| failure.reason.least_wait());
        let turn = config.poll.interval + config.poll.stale_after + failure.unwrap_or_default();
        let longest = turn * MISSED_TURNS;
        let silent = clock::now() - *self.heartbeat.borrow();
        if config.enabled && silent > longest {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("the poll loop has made no progress for {silent:?}\n"),
            );
        }
        text(StatusCode::OK, "ok\n")
    }

    /// Whether there is something to serve. The sidecar's readiness decides whether its application gets traffic, so failures
    /// of Redis count only with `?strict=1`.
    pub(super) fn ready(&self, asked: &Asked) -> Answer {
        let (config, latest) = (self.config.borrow(), self.latest.borrow());
        let is_strict =
            asked.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "strict=1"));
        let is_fresh = latest
            .reading
            .as_ref()
            .is_some_and(|reading| clock::now() - reading.read_at.at < config.poll.stale_after);
        let reason =
            latest.failure.as_ref().map_or("nothing was read yet", |failure| failure.reason.as_str());
        if self.stopping.is_cancelled() {
            text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        } else if !config.enabled {
            text(StatusCode::OK, "ok, switched off\n")
        } else if latest.polls == 0 {
            text(StatusCode::SERVICE_UNAVAILABLE, "the first poll has not ended\n")
        } else if is_strict && !is_fresh {
            text(StatusCode::SERVICE_UNAVAILABLE, &format!("no recent reading of Redis: {reason}\n"))
        } else {
            text(StatusCode::OK, "ok\n")
        }
    }
}
