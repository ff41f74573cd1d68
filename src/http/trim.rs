//! `POST /api/v1/streams/{key}/trim`: the only path that changes anything. It exists only where a token is configured.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, ORIGIN, WWW_AUTHENTICATE},
};
use subtle::ConstantTimeEq;
use tokio::{sync::oneshot, task::spawn_blocking, time::timeout};
use tracing::info;

use super::{
    answer::{Answer, JSON, json, problem, respond, with},
    asked::Asked,
    negotiate::header,
    server_state::ServerState,
};
use crate::{
    actions::Order,
    clock,
    config::{Mode, Policy},
    files::{self, Kind},
    model::Name,
    retention::{Losing, Plan},
    views::api::{TrimDocument, TrimMode, TrimRequest},
};

/// A request's body: four short fields.
const MAX_BODY_BYTES: usize = 4 * 1024;
/// For reading the token's file.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(5);
/// For receiving the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

impl ServerState {
    /// Answers a trim request. A trim that has begun goes on if the client disconnects.
    pub(super) async fn trim(&self, asked: Asked, body: Incoming) -> Answer {
        let config = self.config.borrow().clone();
        let token = match &config.http.trim_token_file {
            Some(file) => self.token(file.clone()).await,
            // The configuration has changed since the route was found.
            None => return problem(StatusCode::NOT_FOUND, "no such path"),
        };
        let Some(token) = token else {
            return problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "cannot read http.trim_token_file in time: is its mount hanging?",
            );
        };
        if let Err(answer) = self.admit(&token, &asked.headers) {
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

    /// The token, read for each request, so that a rotated token needs no restart; `None` where that takes too long.
    async fn token(&self, file: PathBuf) -> Option<Vec<u8>> {
        let read = async {
            // Never closed. The thread holds the permit, also after this timed out.
            let place = Arc::clone(&self.trims.token).acquire_owned().await.ok();
            let read = spawn_blocking(move || {
                let _held = place;
                files::read(&file, Kind::Secret).unwrap_or_default()
            });
            read.await.ok()
        };
        timeout(TOKEN_TIMEOUT, read).await.ok().flatten()
    }

    /// Whether the client is allowed to trim.
    fn admit(&self, token: &[u8], headers: &HeaderMap) -> Result<(), Box<Answer>> {
        let refuse = |status, reason: &str| Err(Box::new(problem(status, reason)));
        let token = token.trim_ascii();
        let given = header(headers, &AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default().as_bytes();
        if token.is_empty() || !bool::from(token.ct_eq(given)) {
            self.stats.unauthorized_trims.inc();
            let answer =
                problem(StatusCode::UNAUTHORIZED, "missing or wrong bearer token (http.trim_token_file)");
            return Err(Box::new(with(answer, WWW_AUTHENTICATE, "Bearer")));
        }
        let fetched_by = header(headers, &HeaderName::from_static("sec-fetch-site"));
        if headers.contains_key(ORIGIN) || !matches!(fetched_by, "" | "none" | "same-origin") {
            return refuse(StatusCode::FORBIDDEN, "requests from browsers are refused");
        }
        let content_type =
            header(headers, &CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if content_type != "application/json" {
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
        }
        Ok(())
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
    let body = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let Ok(Ok(body)) = body else {
        return Err("the body is too long or did not arrive in time".to_owned());
    };
    let body = body.to_bytes();
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
