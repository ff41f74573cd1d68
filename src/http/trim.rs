//! `POST /api/v1/streams/{key}/trim`: trims a stream. It exists only where a token is configured.

use std::time::Duration;

use bytes::Bytes;
use hyper::{StatusCode, body::Incoming};
use tokio::sync::oneshot;
use tracing::info;

use super::{
    answer::{Answer, JSON, json, problem, respond},
    asked::Asked,
    gate::{Token, received},
    server_state::ServerState,
};
use crate::{
    actions::Order,
    clock,
    config::{Mode, Policy},
    model::Name,
    retention::{Losing, Plan, TooOld, losing},
    views::api::{TrimDocument, TrimMode, TrimRequest},
};

/// A request's body: five short fields.
const MAX_BODY_BYTES: usize = 4 * 1024;

/// What a trim would do.
struct Planned {
    length: u64,
    /// Of the reading.
    age: Duration,
    plan: Plan,
    too_old: Option<TooOld>,
    /// The groups that would lose entries.
    losing: Vec<Losing>,
}

impl ServerState {
    /// Answers a trim request. A trim that has begun goes on if the client disconnects.
    pub(super) async fn trim(&self, asked: Asked, body: Incoming) -> Answer {
        let config = self.config.borrow().clone();
        if let Err(answer) = self.admit(Token::Trim, &config, &asked).await {
            return *answer;
        }
        let stream = asked.stream;
        let request = match request(body).await {
            Ok(request) => request,
            Err(reason) => {
                return problem(StatusCode::BAD_REQUEST, format!("invalid trim request: {reason}"));
            }
        };
        let mode = match request.mode.unwrap_or_default() {
            TrimMode::Safe => Mode::Safe,
            TrimMode::Strict => Mode::Strict,
        };
        let TrimRequest { max_length, max_age_seconds, .. } = request;
        let max_age = max_age_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let by_hand = Policy::by_hand(&config, &stream, 0, mode, request.exact.unwrap_or(false));
        let policy = Policy { max_length, max_age, ..by_hand };
        let Some(planned) = self.plan(&stream, &policy) else {
            return problem(
                StatusCode::NOT_FOUND,
                format!("stream {stream} is not watched, or could not be read"),
            );
        };
        let Planned { length, age, plan, too_old, losing } = planned;
        if request.dry_run.unwrap_or(true) {
            return found(&TrimDocument::planned(&stream, length, age, (&plan, too_old.as_ref()), &losing));
        }
        info!(%stream, max_length, max_age_seconds, mode = mode.as_str(), "trim requested over HTTP");
        self.order(stream, policy, (&plan, too_old.as_ref())).await
    }

    /// The plan, by the last reading.
    fn plan(&self, stream: &Name, policy: &Policy) -> Option<Planned> {
        let latest = self.latest.borrow();
        let reading = latest.reading.as_ref()?;
        let read = reading.stream(stream)?;
        let state = read.read()?;
        let plan = Plan::new(policy, state, read.verdict);
        let too_old = TooOld::of(policy, read.server_time(), (state, read.verdict), &plan);
        let removed = plan.at_most.max(too_old.as_ref().map_or(0, |too_old| too_old.removable_at_most));
        let losing = losing(removed, policy, state, read.verdict);
        let age = clock::now() - reading.read_at.at;
        Some(Planned { length: state.length, age, plan, too_old, losing })
    }

    async fn order(&self, stream: Name, policy: Policy, plan: (&Plan, Option<&TooOld>)) -> Answer {
        let Some(_under_way) = self.trims.begin(&stream) else {
            return problem(StatusCode::CONFLICT, "this stream is already being trimmed");
        };
        let (answer, result) = oneshot::channel();
        let order = Order { stream: stream.clone(), policy, answer };
        if self.trims.orders.try_send(order).is_err() {
            return problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many trims are waiting, or retention is switched off",
            );
        }
        match result.await {
            Ok(run) => match &run.failure {
                Some(failure) => problem(StatusCode::BAD_GATEWAY, format!("Redis refused: {failure}")),
                None => found(&TrimDocument::done(&stream, plan, &run)),
            },
            Err(_stopping) => problem(StatusCode::SERVICE_UNAVAILABLE, "the sidecar is stopping"),
        }
    }
}

/// The request in a body, or why it is invalid.
async fn request(body: Incoming) -> Result<TrimRequest, String> {
    let body = received(body, MAX_BODY_BYTES).await?;
    let request = TrimRequest::read(&body).map_err(|problems| problems.join("; "))?;
    if request.max_length.is_none() && request.max_age_seconds.is_none() {
        return Err("max_length or max_age_seconds is needed".to_owned());
    }
    Ok(request)
}

fn found(document: &TrimDocument<'_>) -> Answer {
    respond(StatusCode::OK, JSON, Bytes::from(json(document)))
}
