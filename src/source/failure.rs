//! From the client library's errors to the closed set of reasons.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's kinds may grow, and an unknown one is Other"
)]

use redis::{ErrorKind, RedisError};

use crate::model::{Failure, Reason};

/// Why it failed, by the server's first word where the server spoke.
///
/// The detail is the server's or the system's message. It holds no secret: the client never puts the address's
/// user information or the arguments of `AUTH` into an error.
pub(super) fn from_redis(error: &RedisError) -> Failure {
    let reason = match error.code() {
        Some(code) => from_code(code, error.detail().unwrap_or_default()),
        None => from_kind(error),
    };
    let detail = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    };
    Failure::new(reason, detail)
}

/// Why a command inside a script failed, by the error's text.
pub(super) fn from_text(text: &str) -> Failure {
    let (code, detail) = text.split_once(' ').unwrap_or((text, ""));
    Failure::new(from_code(code, detail), text)
}

fn from_code(code: &str, detail: &str) -> Reason {
    match code {
        "NOAUTH" => Reason::NoAuth,
        "WRONGPASS" => Reason::WrongPassword,
        "LOADING" => Reason::Loading,
        "BUSY" => Reason::Busy,
        "MASTERDOWN" => Reason::MasterDown,
        "CLUSTERDOWN" => Reason::ClusterDown,
        "TRYAGAIN" => Reason::TryAgain,
        "MOVED" | "ASK" => Reason::Moved,
        "CROSSSLOT" => Reason::CrossSlot,
        "READONLY" => Reason::ReadOnly,
        "NOPERM" => Reason::NoPermission,
        "WRONGTYPE" => Reason::WrongType,
        "NOGROUP" => Reason::NoGroup,
        "OOM" => Reason::OutOfMemory,
        "MISCONF" => Reason::Misconfigured,
        "NOREPLICAS" => Reason::NoReplicas,
        _ => from_general_error(detail),
    }
}

/// `ERR` says nothing by itself: here the words behind it are all there is.
fn from_general_error(detail: &str) -> Reason {
    let detail = detail.to_ascii_lowercase();
    if detail.contains("no such key") {
        Reason::NoKey
    } else if ["can't run this command", "can't access at least one of the keys", "acl failure in script"]
        .iter()
        .any(|refusal| detail.contains(refusal))
    {
        // A command inside a script: its own code is lost.
        Reason::NoPermission
    } else if detail.contains("max number of clients") {
        Reason::MaxClients
    } else if detail.contains("unknown command")
        || detail.contains("unknown redis command")
        || detail.contains("unknown subcommand")
        || detail.contains("syntax")
    {
        Reason::Unsupported
    } else {
        Reason::Other
    }
}

fn from_kind(error: &RedisError) -> Reason {
    match error.kind() {
        ErrorKind::AuthenticationFailed => Reason::WrongPassword,
        ErrorKind::InvalidClientConfig => Reason::Address,
        ErrorKind::Parse => Reason::Protocol,
        ErrorKind::Io if error.is_timeout() => Reason::Timeout,
        ErrorKind::Io if error.is_connection_refusal() => Reason::Refused,
        ErrorKind::Io => from_io(error),
        _ if error.is_connection_dropped() => Reason::Closed,
        _ => Reason::Other,
    }
}

fn from_io(error: &RedisError) -> Reason {
    let text = error.to_string().to_ascii_lowercase();
    if ["certificate", "handshake", "tls", "alert"].iter().any(|word| text.contains(word)) {
        Reason::Tls
    } else if ["lookup", "name or service", "nodename", "no such host"].iter().any(|word| text.contains(word))
    {
        Reason::Dns
    } else if error.is_connection_dropped() {
        Reason::Closed
    } else {
        Reason::Io
    }
}
