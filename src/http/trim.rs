//! `POST /api/v1/streams/{key}/trim`: the one path that changes anything. It is not there unless a token is configured.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap, StatusCode,
    body::Body,
    header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN, WWW_AUTHENTICATE},
};
use subtle::ConstantTimeEq;
use tokio::{sync::oneshot, task::spawn_blocking, time::timeout};
use tracing::info;

use super::{
    answer::{Answer, problem, respond, with},
    asked::Asked,
    server_state::ServerState,
};
use crate::{
    actions::Order,
    config::{Mode, Policy},
    files::{self, Kind},
    model::Name,
    retention::{Losing, Plan},
    views::api::{TrimDocument, TrimMode, TrimRequest},
};

/// A request's body: a handful of fields.
const MAX_BODY_BYTES: usize = 4 * 1024;
/// For the token to be read.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(5);
/// For that body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

impl ServerState {
    /// The answer to a request for a trim. The trim itself goes on if the client goes away.
    pub(super) async fn trim<B: Body<Data = Bytes> + Unpin>(&self, asked: Asked, body: B) -> Answer
    where
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let config = self.config.borrow().clone();
        let token = match &config.http.trim_token_file {
            Some(file) => self.token(file.clone()).await,
            // The configuration has changed since the path was found.
            None => return problem(StatusCode::NOT_FOUND, "there is no such path"),
        };
        let Some(token) = token else {
            return problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "http.trim_token_file is not read in time: does a mount hang?",
            );
        };
        if let Err(answer) = self.admit(&token, &asked.headers) {
            return *answer;
        }
        let stream = asked.stream;
        let body = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
        let Ok(Ok(body)) = body else {
            return problem(StatusCode::BAD_REQUEST, "the body is too long, or did not arrive in time");
        };
        let body = body.to_bytes();
        // A list would be taken for the fields in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return problem(StatusCode::BAD_REQUEST, "the body is no trim: it must be a JSON object");
        }
        let wish: TrimRequest = match serde_json::from_slice(&body) {
            Ok(wish) => wish,
            Err(error) => {
                return problem(StatusCode::BAD_REQUEST, format!("the body is no trim: {error}"));
            }
        };
        let mode = match wish.mode {
            TrimMode::Safe => Mode::Safe,
            TrimMode::Strict => Mode::Strict,
        };
        let policy = Policy::by_hand(&config, &stream, wish.max_length, mode, wish.exact);
        let Some((length, plan, losing)) = self.plan(&stream, &policy) else {
            return problem(
                StatusCode::NOT_FOUND,
                format!("no stream {stream} is watched, or it can't be read"),
            );
        };
        if wish.dry_run {
            return json(&TrimDocument::planned(&stream, length, &plan, &losing));
        }
        info!(%stream, max_length = wish.max_length, mode = mode.as_str(), "a trim was asked for over HTTP");
        self.order(stream, policy, &plan).await
    }

    /// The token's file, read each time, so that a rotated token needs no restart; `None` where that takes too long.
    async fn token(&self, file: PathBuf) -> Option<Vec<u8>> {
        let read = async {
            // Never closed. Held by the thread, which may go on after this has given up.
            let place = Arc::clone(&self.trims.token).acquire_owned().await.ok();
            let read = spawn_blocking(move || {
                let _held = place;
                files::read(&file, Kind::Secret).unwrap_or_default()
            });
            read.await.ok()
        };
        timeout(TOKEN_TIMEOUT, read).await.ok().flatten()
    }

    /// Whether who asks may.
    fn admit(&self, token: &[u8], headers: &HeaderMap) -> Result<(), Box<Answer>> {
        let refuse = |status, reason: &str| Err(Box::new(problem(status, reason)));
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = token.trim_ascii();
        let given = text(AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default().as_bytes();
        if token.is_empty() || !bool::from(token.ct_eq(given)) {
            self.stats.unauthorized_trims.inc();
            let answer = problem(StatusCode::UNAUTHORIZED, "the token of http.trim_token_file is needed");
            return Err(Box::new(with(answer, WWW_AUTHENTICATE, "Bearer")));
        }
        let fetched_by = text(hyper::header::HeaderName::from_static("sec-fetch-site"));
        if headers.contains_key(ORIGIN) || !matches!(fetched_by, "" | "none" | "same-origin") {
            return refuse(StatusCode::FORBIDDEN, "no web page may ask for this");
        }
        let content_type =
            text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if content_type != "application/json" {
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
        }
        Ok(())
    }

    /// The stream's length, what would go, and who would lose.
    fn plan(&self, stream: &Name, policy: &Policy) -> Option<(u64, Plan, Vec<Losing>)> {
        let latest = self.latest.borrow();
        let reading = latest.reading.as_ref()?;
        let read = reading.stream(stream)?;
        let state = read.read()?;
        let plan = Plan::new(policy, state, read.verdict);
        let losing = plan.losing(policy, state, read.verdict);
        Some((state.length, plan, losing))
    }

    async fn order(&self, stream: Name, policy: Policy, plan: &Plan) -> Answer {
        let busy = |status, reason: &str| problem(status, reason);
        let Some(_under_way) = self.trims.begin(&stream) else {
            return busy(StatusCode::CONFLICT, "this stream is being trimmed already");
        };
        let (answer, result) = oneshot::channel();
        let order = Order { stream: stream.clone(), policy, answer };
        if self.trims.orders.try_send(order).is_err() {
            return busy(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many trims wait, or retention is switched off",
            );
        }
        match result.await {
            Ok(run) => match &run.failure {
                Some(failure) => problem(StatusCode::BAD_GATEWAY, format!("Redis refused: {failure}")),
                None => json(&TrimDocument::done(&stream, plan, &run)),
            },
            Err(_stopping) => busy(StatusCode::SERVICE_UNAVAILABLE, "the sidecar is about to stop"),
        }
    }
}

fn json(document: &TrimDocument<'_>) -> Answer {
    let body = serde_json::to_vec(document).expect("a document is JSON");
    respond(StatusCode::OK, "application/json", Bytes::from(body))
}
