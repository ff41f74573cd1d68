//! `GET /api/v1/groups/{key}/{group}/pending`: the pending entries of a group, as Redis has them now.

use std::time::Duration;

use bytes::Bytes;
use hyper::{StatusCode, header::RETRY_AFTER};
use tokio::sync::oneshot;

use super::{
    answer::{Answer, JSON, json, problem, respond, with},
    asked::Asked,
    query::Query,
    server_state::ServerState,
};
use crate::{
    model::{Millis, Name, StreamId},
    operator::Job,
    planner::{Looked, Refusal},
    source::Wanted,
    views::api::PendingDocument,
};

const DEFAULT_LIMIT: usize = 20;
const MOST_LIMIT: usize = 100;
/// Pending entries that one request looks at: ten pages. A client goes on where the answer says.
const LOOK_AT: u64 = 10_000;
/// Ten years, in seconds.
const MOST_IDLE: f64 = 315_576_000.0;
const KNOWN: &str = "consumer, deliveries, idle_seconds, from, limit";

impl ServerState {
    /// Asks Redis for pending entries.
    pub(super) async fn pending(&self, asked: &Asked) -> Answer {
        if !self.config.borrow().http.pending_entries {
            let reason = "http.pending_entries is off, which it is by default where each command is billed";
            return problem(StatusCode::FORBIDDEN, reason);
        }
        let wanted = match wanted(asked.uri.query().unwrap_or_default()) {
            Ok(wanted) => wanted,
            Err(problems) => return problem(StatusCode::BAD_REQUEST, problems),
        };
        let (stream, group) = (asked.stream.clone(), asked.group.clone());
        if !self.is_watched(&stream) {
            let reason = format!("stream {stream} is not watched; /api/v1/streams lists the watched streams");
            return problem(StatusCode::NOT_FOUND, reason);
        }
        let (answer, found) = oneshot::channel();
        if self.jobs.try_send(Job::Look { stream, group, wanted, answer }).is_err() {
            let answer = problem(StatusCode::SERVICE_UNAVAILABLE, "too many questions are waiting");
            return with(answer, RETRY_AFTER, "1");
        }
        match found.await {
            Ok(Ok((Looked { group, found, exist }, now))) => {
                let shown = found.entries.iter().zip(exist);
                let of = (&asked.stream, &group);
                let document = PendingDocument::new(of, (found.looked_at, found.next), shown, now);
                respond(StatusCode::OK, JSON, Bytes::from(json(&document)))
            }
            Ok(Err(refusal)) => refused(refusal),
            Err(_stopping) => problem(StatusCode::SERVICE_UNAVAILABLE, "the sidecar is stopping"),
        }
    }
}

/// Which entries a query asks for.
fn wanted(query: &str) -> Result<Wanted, String> {
    let mut query = Query::new(query);
    let limit = query.value("limit", "a number from 1 to 100", |limit| (1..=MOST_LIMIT).contains(limit));
    let idle =
        query.value("idle_seconds", "a number of seconds from 0 on", |idle| (0.0..=MOST_IDLE).contains(idle));
    let idle = Duration::from_secs_f64(idle.unwrap_or(0.0)).as_millis();
    let wanted = Wanted {
        consumer: query.bytes("consumer").map(Name::from),
        deliveries: query.value("deliveries", "a number", |_| true).unwrap_or(0),
        idle: Millis::new(u64::try_from(idle).unwrap_or(u64::MAX)),
        from: query.value("from", "an ID, as in 1700000000000-0", |_| true).unwrap_or(StreamId::ZERO),
        look_at: LOOK_AT,
        ..Wanted::all(limit.unwrap_or(DEFAULT_LIMIT))
    };
    query.end(KNOWN).map(|()| wanted)
}

/// The answer to a request that is refused.
pub(super) fn refused(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Wrong(all) => {
            let all: Vec<String> = all.into_iter().map(|(name, what)| format!("{name}: {what}")).collect();
            problem(StatusCode::BAD_REQUEST, all.join("; "))
        }
        Refusal::Missing(what) => problem(StatusCode::NOT_FOUND, what),
        Refusal::Forbidden(what) => problem(StatusCode::CONFLICT, what),
        Refusal::Failed(_, what) => problem(StatusCode::BAD_GATEWAY, what),
    }
}
