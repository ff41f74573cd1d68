//! Sends changes one by one, in order, each until its receiver has taken it.

use std::sync::Arc;

use hyper::StatusCode;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{outbox::Outbox, post::post};
use crate::{
    config::Config,
    model::{Failure, Reason},
    outage::{News, Outage},
    schedule::DeliveryBackOff,
    self_stats::SelfStats,
};

/// The task that sends changes.
pub(crate) struct Sender {
    /// The current configuration.
    pub config: watch::Receiver<Arc<Config>>,
    /// The changes.
    pub outbox: Arc<Outbox>,
}

/// What an answer means for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It has arrived.
    Taken,
    /// It is invalid, and would be the next time.
    Refused,
    /// It is sent again.
    Again,
}

/// Only these statuses are about the change itself. With any other one the receiver, its address or what is before it may be
/// repaired, and the change waits for that. Redirections are not followed: they may lead a secret elsewhere.
const fn verdict(status: StatusCode) -> Verdict {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Verdict::Refused
        }
        _ if status.as_u16() / 100 == 2 => Verdict::Taken,
        _ => Verdict::Again,
    }
}

impl Sender {
    /// Sends until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let outbox = Arc::clone(&self.outbox);
        tokio::select! {
            () = self.send() => {}
            () = stop.cancelled() => {}
        }
        let unsent = outbox.len();
        if unsent > 0 {
            warn!(unsent, "stopping with changes that the webhook's receiver has not taken");
        }
    }

    async fn send(&mut self) {
        let (mut outage, mut back_off) = (Outage::default(), DeliveryBackOff::default());
        loop {
            let body = self.outbox.next_attempt().await;
            let file = self.config.borrow_and_update().notify.webhook_file.clone();
            let Some(file) = file else {
                let dropped = self.outbox.clear();
                info!(dropped, "the webhook is no longer configured");
                continue;
            };
            let answer = post(&file, body).await;
            let verdict = answer.as_ref().map_or(Verdict::Again, |status| verdict(*status));
            self.log(&mut outage, answer, verdict);
            match verdict {
                Verdict::Taken => drop(self.outbox.finish(SelfStats::SENT)),
                Verdict::Refused => {
                    let id = self.outbox.finish(SelfStats::REFUSED);
                    warn!(id, "the webhook's receiver calls a change invalid; it is not sent again");
                }
                Verdict::Again => {
                    tokio::select! {
                        () = sleep(back_off.failed(fastrand::f64())) => {}
                        // It may have another file. If the sender is gone, the process ends.
                        _changed = self.config.changed() => {}
                    }
                    continue;
                }
            }
            back_off = DeliveryBackOff::default();
        }
    }

    fn log(&self, outage: &mut Outage, answer: Result<StatusCode, Failure>, verdict: Verdict) {
        let failure = match (answer, verdict) {
            (Err(failure), _) => Some(failure),
            (Ok(_), Verdict::Taken) => None,
            (Ok(status), Verdict::Refused | Verdict::Again) => {
                Some(Failure::new(Reason::UnexpectedReply, format!("it answered {status}")))
            }
        };
        match (outage.note(failure.as_ref()), failure) {
            (Some(News::Failed), Some(failure)) => {
                let (reason, waiting) = (failure.reason.as_str(), self.outbox.len());
                warn!(reason, detail = %failure.detail, waiting, "the webhook's receiver took no change");
            }
            (Some(News::Recovered { after, failures }), _) => {
                info!(after, failures, "the webhook's receiver takes changes again");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_about_the_change_itself_gives_it_up() {
        for (statuses, expected) in [
            (&[200, 201, 202, 204, 299][..], Verdict::Taken),
            (&[400, 413, 422], Verdict::Refused),
            (
                &[301, 302, 307, 308, 401, 403, 404, 405, 408, 410, 415, 429, 500, 502, 503, 504],
                Verdict::Again,
            ),
        ] {
            for status in statuses {
                assert_eq!(verdict(StatusCode::from_u16(*status).unwrap()), expected, "{status}");
            }
        }
    }
}
