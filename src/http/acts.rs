//! `POST` paths that act on stuck work. They exist only where `http.write_token_file` is configured.

use std::time::Duration;

use hyper::{
    StatusCode,
    body::{Bytes, Incoming},
    header::RETRY_AFTER,
};
use tokio::sync::oneshot;
use tracing::info;

use super::{
    answer::{Answer, JSON, json, problem, respond, with},
    asked::Asked,
    gate::{Token, received},
    pending::refused,
    server_state::ServerState,
};
use crate::{
    model::{Millis, Name, StreamId, percent_decoded},
    operator::{Done, Job},
    planner::{ClaimOrder, DeadLetterOrder, Order, Plan, ReapOrder, ReplayOrder},
    stuck::{MOST_REPLAYS, Script, origins_of},
    views::api::{ActsDocument, ClaimRequest, DeadLetterRequest, MOST_ITEMS, ReapRequest, ReplayRequest},
};

/// A thousand IDs, and more than that.
const MAX_BODY_BYTES: usize = 64 * 1024;
const DAY: f64 = 86_400.0;

impl ServerState {
    /// Answers a request to act. What has begun goes on if the client disconnects.
    pub(super) async fn act(&self, script: Script, asked: Asked, body: Incoming) -> Answer {
        let config = self.config.borrow().clone();
        if let Err(answer) = self.admit(Token::Write, &config, &asked).await {
            return *answer;
        }
        let body = match received(body, MAX_BODY_BYTES).await {
            Ok(body) => body,
            Err(reason) => return problem(StatusCode::BAD_REQUEST, reason),
        };
        let (order, is_dry) = match order(script, &asked, &body) {
            Ok(order) => order,
            Err(problems) => return problem(StatusCode::BAD_REQUEST, problems.join("; ")),
        };
        let key = order.key();
        // Dead letters by their default name belong to a stream.
        let is_of_watched =
            script == Script::Replay && origins_of(key).any(|origin| self.is_watched(&origin));
        if !self.is_watched(key) && !is_of_watched {
            let reason = format!("stream {key} is not watched; /api/v1/streams lists the watched streams");
            return problem(StatusCode::NOT_FOUND, reason);
        }
        if !is_dry {
            info!(act = script.as_str(), stream = %key, by = "http", peer = %asked.peer, "act requested over HTTP");
        }
        let (answer, done) = oneshot::channel();
        if self.jobs.try_send(Job::Act { order, is_dry, answer }).is_err() {
            let answer = problem(StatusCode::SERVICE_UNAVAILABLE, "too many requests are waiting");
            return with(answer, RETRY_AFTER, "1");
        }
        match done.await {
            Ok(Ok(Done { plan: Plan { planned, left, next }, outcomes })) => {
                let document = ActsDocument::new(script, &planned, (&left, next), outcomes.as_ref());
                respond(StatusCode::OK, JSON, Bytes::from(json(&document)))
            }
            Ok(Err(refusal)) => refused(refusal),
            Err(_stopping) => problem(StatusCode::SERVICE_UNAVAILABLE, "the sidecar is stopping"),
        }
    }
}

/// What a request asks for, and whether it only wants to see what would be done; or all that is wrong with it.
fn order(script: Script, asked: &Asked, body: &[u8]) -> Result<(Order, bool), Vec<String>> {
    let (stream, group) = (asked.stream.clone(), asked.group.clone());
    let max = |max: Option<u64>| usize::try_from(max.unwrap_or(MOST_ITEMS)).unwrap_or(usize::MAX);
    let (order, dry_run) = match script {
        Script::DeadLetter => {
            let it = DeadLetterRequest::read(body)?;
            let others = [("from", it.from.is_some()), ("max", it.max.is_some())];
            alone(it.ids.is_some(), &others)?;
            let order = DeadLetterOrder {
                stream,
                group,
                ids: it.ids.unwrap_or_default(),
                deliveries: it.deliveries,
                idle: it.idle_seconds.map(millis),
                from: it.from.unwrap_or(StreamId::ZERO),
                max: max(it.max),
                to: it.to.as_deref().map(name),
                max_length: it.max_length,
                acknowledge_gone: it.acknowledge_gone.unwrap_or(false),
                prefix: it.prefix,
            };
            (Order::DeadLetter(order), it.dry_run)
        }
        Script::Claim => {
            let it = ClaimRequest::read(body)?;
            let (from, to, idle) = (name(&it.from), name(&it.to), millis(it.idle_seconds));
            (Order::Claim(ClaimOrder { stream, group, from, to, idle, max: max(it.max) }), it.dry_run)
        }
        Script::Reap => {
            let it = ReapRequest::read(body)?;
            let (idle, force) = (millis(it.idle_seconds.unwrap_or(DAY)), it.force.unwrap_or(false));
            (Order::Reap(ReapOrder { stream, group, idle, force }), it.dry_run)
        }
        Script::Replay => {
            let it = ReplayRequest::read(body)?;
            let others = [
                ("filter", it.filter.is_some()),
                ("since_seconds", it.since_seconds.is_some()),
                ("from", it.from.is_some()),
                ("max", it.max.is_some()),
            ];
            alone(it.ids.is_some(), &others)?;
            let order = ReplayOrder {
                key: stream,
                ids: it.ids.unwrap_or_default(),
                filter: it.filter.unwrap_or_default().into_iter().collect(),
                since: it.since_seconds.map(millis),
                to: it.to.as_deref().map(name),
                from: it.from.unwrap_or(StreamId::ZERO),
                max: max(it.max),
                most_replays: it.max_replays.unwrap_or(MOST_REPLAYS),
                prefix: it.prefix,
            };
            (Order::Replay(order), it.dry_run)
        }
    };
    Ok((order, dry_run.unwrap_or(true)))
}

/// Checks that beside `ids` there is no field that chooses others.
fn alone(has_ids: bool, others: &[(&str, bool)]) -> Result<(), Vec<String>> {
    let given: Vec<String> = others
        .iter()
        .filter(|(_, is_given)| has_ids && *is_given)
        .map(|(name, _)| format!("{name} has no effect beside ids"))
        .collect();
    if given.is_empty() { Ok(()) } else { Err(given) }
}

/// Of a name that was checked.
fn name(key: &str) -> Name {
    Name::from(percent_decoded(key).unwrap_or_default())
}

/// Of seconds that were checked.
fn millis(seconds: f64) -> Millis {
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    Millis::new(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
