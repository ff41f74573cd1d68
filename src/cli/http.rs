//! A request to a running sidecar, over plain HTTP.

use std::{fmt, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, header::HOST};
use tokio::{net::TcpStream, time::timeout};
use url::Url;

use crate::{
    http_client::{endpoint, exchange, host_header},
    model::Text,
    views::api::Problem,
};

/// For the whole response.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Far more than any response of a sidecar.
const MAX_ANSWER_BYTES: usize = 512 * 1024 * 1024;

/// Whether an address has a user or a password. A sidecar needs no login, and a password must not be printed.
pub(super) fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Returns the body of a successful response.
///
/// # Errors
/// Why the document is missing, in the sidecar's own words if it sent any.
pub(super) async fn get(url: &Url) -> Result<Vec<u8>, String> {
    timeout(ANSWER_TIMEOUT, ask(url))
        .await
        .map_err(|_elapsed| format!("{url} did not answer within {ANSWER_TIMEOUT:?}"))?
}

async fn ask(url: &Url) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn fmt::Display| format!("cannot ask {url}: {}", Text::from(error.to_string()));
    let stream = TcpStream::connect(endpoint(url)).await.map_err(|error| failed(&error))?;
    let request = Request::get(url.path())
        .header(HOST, host_header(url))
        .body(Full::default())
        .map_err(|error| failed(&error))?;
    let exchanged = exchange(stream, request, async |answer| {
        let status = answer.status();
        Ok((status, Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await))
    });
    let (status, body) = exchanged.await.map_err(|error| {
        let is_closed = error.is_canceled() || error.is_closed() || error.is_incomplete_message();
        if is_closed { failed(&"it closed the connection without an answer") } else { failed(&error) }
    })?;
    let body = body.map_err(|error| failed(&error))?.to_bytes().to_vec();
    if status == StatusCode::OK {
        return Ok(body);
    }
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    Err(problem.map_or_else(
        || failed(&format!("it answered {status}")),
        |problem| Text::from(problem.detail).into(),
    ))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_closed_without_an_answer_is_reported_as_that() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let url = Url::parse(&url).unwrap();
        let close = async { drop(listener.accept().await.unwrap()) };
        let (answer, ()) = tokio::join!(get(&url), close);
        assert_eq!(
            answer.unwrap_err(),
            format!("cannot ask {url}: it closed the connection without an answer")
        );
    }
}
