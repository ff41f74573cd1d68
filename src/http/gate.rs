//! Who may write over HTTP: who has the token of the path, and is no web page.

use std::{path::PathBuf, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap, StatusCode,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE},
};
use subtle::ConstantTimeEq;
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    answer::{Answer, problem, with},
    asked::Asked,
    negotiate::header,
    server_state::ServerState,
};
use crate::{
    clock,
    config::Config,
    files::{self, Kind},
};

/// For reading the token's file.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(5);
/// For receiving a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Which token a path needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// That of trims.
    Trim,
    /// That of acts on stuck work.
    Write,
}

impl Token {
    /// The key of the configuration.
    const fn key(self) -> &'static str {
        match self {
            Self::Trim => "http.trim_token_file",
            Self::Write => "http.write_token_file",
        }
    }

    fn file(self, config: &Config) -> Option<PathBuf> {
        match self {
            Self::Trim => config.http.trim_token_file.clone(),
            Self::Write => config.http.write_token_file.clone(),
        }
    }
}

impl ServerState {
    /// Whether the client may do what needs this token; or the answer that refuses it.
    pub(super) async fn admit(
        &self,
        token: Token,
        config: &Config,
        asked: &Asked,
    ) -> Result<(), Box<Answer>> {
        let attempts = || self.gate.attempts.lock().expect("no thread panics while it holds the lock");
        if attempts().are_too_many(asked.peer, clock::now()) {
            let answer = problem(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens from this address");
            return Err(Box::new(with(answer, RETRY_AFTER, "60")));
        }
        let Some(file) = token.file(config) else {
            // The configuration has changed since the route was found.
            return Err(Box::new(problem(StatusCode::NOT_FOUND, "no such path")));
        };
        let Some(expected) = self.token(file).await else {
            let reason =
                format!("cannot read the file of {}: is it there, and its mount not hanging?", token.key());
            return Err(Box::new(problem(StatusCode::SERVICE_UNAVAILABLE, reason)));
        };
        let expected = expected.trim_ascii();
        let given =
            header(&asked.headers, &AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default().as_bytes();
        if expected.is_empty() || !bool::from(expected.ct_eq(given)) {
            attempts().note(asked.peer, clock::now());
            match token {
                Token::Trim => self.stats.unauthorized_trims.inc(),
                Token::Write => self.stats.unauthorized_writes.inc(),
            }
            let reason = format!("missing or wrong bearer token ({})", token.key());
            let answer = problem(StatusCode::UNAUTHORIZED, reason);
            return Err(Box::new(with(answer, WWW_AUTHENTICATE, "Bearer")));
        }
        is_from_a_program(&asked.headers)
    }

    /// The token, read for each request, so that a rotated token needs no restart; `None` if it can't be read in time.
    async fn token(&self, file: PathBuf) -> Option<Vec<u8>> {
        let read = async {
            // Never closed. The thread holds the permit, also after this timed out.
            let place = Arc::clone(&self.gate.reading).acquire_owned().await.ok();
            let read = spawn_blocking(move || {
                let _held = place;
                files::read(&file, Kind::Secret).ok()
            });
            read.await.ok().flatten()
        };
        timeout(TOKEN_TIMEOUT, read).await.ok().flatten()
    }
}

/// Refuses web pages, and bodies that are not JSON.
fn is_from_a_program(headers: &HeaderMap) -> Result<(), Box<Answer>> {
    let refuse = |status, reason: &str| Err(Box::new(problem(status, reason)));
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

/// A body of at most so many bytes.
pub(super) async fn received(body: Incoming, most: usize) -> Result<Bytes, String> {
    match timeout(BODY_TIMEOUT, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        _ => Err("the body is too long or did not arrive in time".to_owned()),
    }
}
