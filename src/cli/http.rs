//! A request to a running sidecar, over plain HTTP.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use url::Url;

use crate::{model::Text, views::api::Problem};

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
    timeout(ANSWER_TIMEOUT, exchange(url))
        .await
        .map_err(|_elapsed| format!("{url} did not answer within {ANSWER_TIMEOUT:?}"))?
}

async fn exchange(url: &Url) -> Result<Vec<u8>, String> {
    let failed = |error: &dyn fmt::Display| format!("cannot ask {url}: {}", Text::from(error.to_string()));
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let address = (host.trim_start_matches('[').trim_end_matches(']'), port);
    let stream = TcpStream::connect(address).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let request = Request::get(url.path())
        .header(HOST, format!("{host}:{port}"))
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok::<_, String>((status, body.map_err(|error| failed(&error))?.to_bytes().to_vec()))
    };
    let (status, body) = tokio::select! {
        exchanged = exchange => exchanged?,
        ended = connection => return Err(failed(&ended.err().map_or("it closed the connection".to_owned(), |error| error.to_string()))),
    };
    if status == StatusCode::OK {
        return Ok(body);
    }
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    Err(problem.map_or_else(
        || failed(&format!("it answered {status}")),
        |problem| Text::from(problem.detail).into(),
    ))
}
