//! Maps errors of the server and the system to the closed set of reasons.

#![expect(clippy::wildcard_enum_match_arm, reason = "the system's kinds may grow, and an unknown one is Io")]

use std::io;

use super::tls_words::words;
use crate::model::{Failure, Reason, Text};

/// The server, or something in between, closed the connection.
pub(super) fn closed() -> Failure {
    Failure::new(Reason::Closed, "Redis closed the connection")
}

/// For a command without a reply.
pub(crate) fn no_reply() -> Failure {
    Failure::new(Reason::Protocol, "fewer replies than commands")
}

/// Why the server refused, by the first word of its error where that is enough. `start` is the part of the error that was
/// kept, of `size` bytes.
pub(super) fn from_error(start: &[u8], size: usize) -> Failure {
    let text = String::from_utf8_lossy(start);
    // The rest repeats our command, and in a login that is the password.
    let text = text.split(", with args beginning with").next().unwrap_or_default();
    // An error from a script may have the general code before its own.
    let own = text.trim_start_matches("ERR ");
    let reason = from_code(own.split(' ').next().unwrap_or_default());
    let reason = if reason == Reason::Other { from_general_error(own) } else { reason };
    Failure::new(reason, if text.len() < start.len() { text.into() } else { Text::from_start(start, size) })
}

/// Whether the default user has no password, so that it is logged in already. `HELLO` accepts any password then, and only
/// `AUTH` fails, before Redis 6.0 with the first of these texts.
pub(super) fn needs_no_password(failure: &Failure) -> bool {
    ["but no password is set", "without any password configured for the default user"]
        .iter()
        .any(|words| failure.detail.contains(words))
}

/// The failure of a login, without the text of a server that repeats the password.
pub(super) fn without_password(failure: Failure, password: &str) -> Failure {
    if password.is_empty() || !failure.detail.contains(password) {
        return failure;
    }
    let what = "the server's answer to the login repeats the password, so it is left out";
    Failure::new(failure.reason, what)
}

fn from_code(code: &str) -> Reason {
    match code {
        "NOAUTH" => Reason::NoAuth,
        "WRONGPASS" => Reason::WrongPassword,
        "DENIED" => Reason::Protected,
        "LOADING" => Reason::Loading,
        "BUSY" => Reason::Busy,
        "MASTERDOWN" => Reason::MasterDown,
        "CLUSTERDOWN" => Reason::ClusterDown,
        "TRYAGAIN" => Reason::TryAgain,
        "MOVED" => Reason::Moved,
        "ASK" => Reason::Ask,
        "CROSSSLOT" => Reason::CrossSlot,
        "READONLY" => Reason::ReadOnly,
        "NOPERM" => Reason::NoPermission,
        "WRONGTYPE" => Reason::WrongType,
        "NOGROUP" => Reason::NoGroup,
        "OOM" => Reason::OutOfMemory,
        "MISCONF" => Reason::Misconfigured,
        "NOREPLICAS" => Reason::NoReplicas,
        _ => Reason::Other,
    }
}

/// Errors of commands that a script may not run.
const REFUSALS: &[&str] =
    &["can't run this command", "can't access at least one of the keys", "acl failure in script"];
/// Errors that Upstash, according to its documentation, sends for every command.
const QUOTAS: &[&str] = &[
    "max requests limit exceeded",
    "max daily request limit exceeded",
    "max concurrent connections exceeded",
];
/// Errors that Upstash, according to its documentation, sends for writes that add data.
const CAPACITIES: &[&str] = &["db capacity quota exceeded", "max single record size exceeded"];
const UNKNOWN: &[&str] = &["unknown command", "unknown redis command", "unknown subcommand", "syntax"];

fn contains_any(detail: &str, words: &[&str]) -> bool {
    words.iter().any(|words| detail.contains(words))
}

/// `ERR` says nothing by itself, so only the text after it can be matched.
fn from_general_error(detail: &str) -> Reason {
    let detail = detail.to_ascii_lowercase();
    if detail.contains("no such key") {
        Reason::NoKey
    } else if contains_any(&detail, REFUSALS) {
        // A command inside a script, whose own code is lost.
        Reason::NoPermission
    } else if detail.contains("access a non local key") {
        // A script on a cluster node that does not serve the key.
        Reason::Moved
    } else if detail.contains("max number of clients") {
        Reason::MaxClients
    } else if contains_any(&detail, QUOTAS) {
        Reason::Quota
    } else if contains_any(&detail, CAPACITIES) {
        Reason::Capacity
    } else if contains_any(&detail, UNKNOWN) {
        Reason::Unsupported
    } else {
        Reason::Other
    }
}

/// Why the connection failed, by the system's error or the TLS library's error inside it.
///
/// The detail has no secret, since neither knows the login.
pub(super) fn from_io(error: &io::Error) -> Failure {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(error) = tls {
        return Failure::new(Reason::Tls, words(error));
    }
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::Refused,
        io::ErrorKind::TimedOut => Reason::Timeout,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => Reason::Closed,
        _ => Reason::Io,
    };
    // The TLS library reports this if the other side closes without a TLS close message, as most do.
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return closed();
    }
    Failure::new(reason, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason_of(text: &str) -> Reason {
        from_error(text.as_bytes(), text.len()).reason
    }

    #[test]
    fn quotas_are_recognised_by_their_text_also_from_a_script() {
        for (text, reason) in [
            ("ERR max requests limit exceeded. Limit: 500000, Usage: 500000. See https://h/", Reason::Quota),
            ("ERR max daily request limit exceeded. Limit: 10000, Usage: 10001.", Reason::Quota),
            ("ERR max concurrent connections exceeded", Reason::Quota),
            ("ERR DB capacity quota exceeded", Reason::Capacity),
            ("ERR max single record size exceeded", Reason::Capacity),
            // Only this command is too large.
            ("ERR max request size exceeded. Limit: 1048576 bytes", Reason::Other),
            ("ERR max key size exceeded. Limit: 32768 bytes", Reason::Other),
            ("ERR max number of clients reached", Reason::MaxClients),
        ] {
            assert_eq!(reason_of(text), reason, "{text}");
            assert_eq!(reason_of(&format!("ERR {text} script: f_1, on @user_script:1.")), reason);
        }
    }

    #[test]
    fn a_code_is_recognised_also_from_a_script() {
        let cases = [
            ("READONLY You can't write against a read only replica.", Reason::ReadOnly),
            ("ERR READONLY You can't write against a read only replica.", Reason::ReadOnly),
            (
                "ERR ERR The user executing the script can't run this command or subcommand",
                Reason::NoPermission,
            ),
            ("ERR Script attempted to access a non local key in a cluster node", Reason::Moved),
            ("MOVED 3828 127.0.0.1:6380", Reason::Moved),
            ("ASK 3828 127.0.0.1:6380", Reason::Ask),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Reason::TryAgain),
            ("CROSSSLOT Keys in request don't hash to the same slot", Reason::CrossSlot),
            ("ERR unknown command 'XINFO', with args beginning with: ", Reason::Unsupported),
            ("ERR no such key", Reason::NoKey),
            ("ERR", Reason::Other),
            ("", Reason::Other),
        ];
        for (text, reason) in cases {
            assert_eq!(reason_of(text), reason, "{text}");
        }
    }
}
