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
    retention::{Losing, Plan},
    views::api::{TrimDocument, TrimMode, TrimRequest},
};

/// A request's body: four short fields.
const MAX_BODY_BYTES: usize = 4 * 1024;

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
        let mode = match request.mode {
            TrimMode::Safe => Mode::Safe,
            TrimMode::Strict => Mode::Strict,
        };
        let policy = Policy::by_hand(&config, &stream, request.max_length, mode, request.exact);
        let Some((length, age, plan, losing)) = self.plan(&stream, &policy) else {
            return problem(
                StatusCode::NOT_FOUND,
                format!("stream {stream} is not watched, or could not be read"),
            );
        };
        if request.dry_run {
            return found(&TrimDocument::planned(&stream, length, age, &plan, &losing));
        }
        info!(%stream, max_length = request.max_length, mode = mode.as_str(), "trim requested over HTTP");
        self.order(stream, policy, &plan).await
    }

    /// The stream's length and the reading's age, the plan, and the groups that would lose entries.
    fn plan(&self, stream: &Name, policy: &Policy) -> Option<(u64, Duration, Plan, Vec<Losing>)> {
        let latest = self.latest.borrow();
        let reading = latest.reading.as_ref()?;
        let read = reading.stream(stream)?;
        let state = read.read()?;
        let plan = Plan::new(policy, state, read.verdict);
        let losing = plan.losing(policy, state, read.verdict);
        Some((state.length, clock::now() - reading.read_at.at, plan, losing))
    }

    async fn order(&self, stream: Name, policy: Policy, plan: &Plan) -> Answer {
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
    // serde would accept a list of the fields' values.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("the body must be a JSON object".to_owned());
    }
    serde_json::from_slice(&body).map_err(|error| without_input(&error.to_string()))
}

/// A parser's error without the text that the client sent, in which a secret may be.
fn without_input(error: &str) -> String {
    match (error.split_once('`'), error.find(", expected")) {
        (Some((what, _)), Some(expected)) => {
            format!("{}{}", what.trim_end(), &error.get(expected..).unwrap_or_default())
        }
        _ => error.to_owned(),
    }
}

fn found(document: &TrimDocument<'_>) -> Answer {
    respond(StatusCode::OK, JSON, Bytes::from(json(document)))
}
