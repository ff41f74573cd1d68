//! Explains failures of TLS and how to fix them. Pure.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library has many errors and may add more; only some need another text"
)]

use std::time::{Duration, UNIX_EPOCH};

use rustls::{
    AlertDescription, CertificateError, Error, InconsistentKeys, InvalidMessage, pki_types::UnixTime,
};

/// A server replies to a handshake with something else.
pub(super) const NOT_TLS: &str =
    "the server does not speak TLS; for a Redis without TLS use redis://, which is not encrypted";

/// A server takes a command for an invalid handshake.
pub(super) const IS_TLS: &str = "the server speaks TLS; use rediss:// instead of redis://";

/// The last second of the year 9999.
const LATEST: u64 = 253_402_300_799;
/// How many of a certificate's names are shown.
const NAMES: usize = 3;

/// Explains an error of the TLS library.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => format!("the server's certificate {}", predicate(error)),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => NOT_TLS.to_owned(),
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "it is not the key of the certificate in redis.tls.cert_file".to_owned()
        }
        Error::PeerIncompatible(_) => {
            format!("the server and the sidecar have no version, cipher or signature in common: {error}")
        }
        other => format!("TLS failed: {other}"),
    }
}

/// Explains why a certificate is rejected, in a clause whose subject is the certificate.
pub(super) fn predicate(error: &CertificateError) -> String {
    let text = match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            return format!("expired on {}", date(*not_after));
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            return format!("is not valid before {}; check this machine's clock", date(*not_before));
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            return format!(
                "is for {}, not for {}; use its name in the address, or set redis.tls.server_name to it",
                names(presented),
                expected.to_str()
            );
        }
        CertificateError::UnknownIssuer => {
            "is signed by an authority that is not trusted; put that authority, or the server's own certificate, into \
             redis.tls.ca_file"
        }
        other if is_of_authority(other) => {
            "is an authority's or self-signed; to trust it, put it into redis.tls.ca_file"
        }
        CertificateError::BadSignature => {
            "is not signed by the authority in redis.tls.ca_file, but by another one with the same name"
        }
        CertificateError::BadEncoding => "is malformed",
        other if is_of_old_version(other) => {
            "has X.509 version 1 or 2, which is not supported; create one with version 3, as `openssl req -x509` does"
        }
        CertificateError::Revoked => "was revoked",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for servers: its extended key usage has no serverAuth"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "has a signature that is not supported, such as one with SHA-1 or a key of less than 2,048 bits"
        }
        other => return format!("is not accepted: {other}"),
    };
    text.to_owned()
}

/// Whether the certificate is expired or not yet valid.
pub(super) fn is_of_the_dates(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

/// Whether only the issuer or the names of the certificate are wrong. The library checks those after the dates.
pub(super) fn is_of_issuer_or_name(error: &CertificateError) -> bool {
    matches!(error, CertificateError::UnknownIssuer | CertificateError::NotValidForNameContext { .. })
        || is_of_authority(error)
}

/// Whether a server presents an authority's certificate, as `openssl req -x509` makes by default.
fn is_of_authority(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity"))
}

fn is_of_old_version(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion"))
}

/// Explains an alert from the server.
fn of_alert(alert: AlertDescription) -> String {
    let refusal = match alert {
        AlertDescription::CertificateRequired => {
            return "the server asks for a client certificate; set redis.tls.cert_file and redis.tls.key_file".to_owned();
        }
        AlertDescription::HandshakeFailure => {
            return "the server refused the handshake: it may ask for a client certificate (redis.tls.cert_file and \
                    redis.tls.key_file), or have no cipher in common"
                .to_owned();
        }
        AlertDescription::ProtocolVersion => {
            return "the server supports neither TLS 1.2 nor TLS 1.3".to_owned();
        }
        AlertDescription::UnrecognisedName => {
            return "the server does not know the name in the address; set redis.tls.server_name".to_owned();
        }
        AlertDescription::CertificateExpired => "it is expired or not yet valid".to_owned(),
        AlertDescription::UnknownCA => "the server does not trust its authority".to_owned(),
        AlertDescription::CertificateRevoked => "it was revoked".to_owned(),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => format!("{alert:?}"),
        other => return format!("the server ended the connection: TLS alert {other:?}"),
    };
    format!("the server refuses the client certificate of redis.tls.cert_file: {refusal}")
}

/// In UTC, as `2026-11-01 12:00:00 UTC`.
fn date(time: UnixTime) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(time.as_secs().min(LATEST));
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// As the library writes them: `DnsName("db.example")`, `IpAddress(127.0.0.1)`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner);
        inner.trim_end_matches(')').trim_matches('"').to_owned()
    };
    let shown: Vec<String> = presented.iter().take(NAMES).map(bare).collect();
    match presented.len().saturating_sub(NAMES) {
        _ if presented.is_empty() => "no name at all (it has no subject alternative name)".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more names", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;

    use super::*;

    #[test]
    fn dates_are_written_in_utc() {
        let at = |seconds| date(UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(1_793_534_399), "2026-11-01 11:59:59 UTC");
        assert_eq!(at(u64::MAX), "9999-12-31 23:59:59 UTC");
    }

    #[test]
    fn a_certificates_names_are_shown_without_their_kind() {
        for (presented, words) in [
            (vec!["DnsName(\"db.example\")"], "is for db.example, not for localhost;"),
            (vec!["DnsName(\"*.db\")", "IpAddress(::1)"], "is for *.db, ::1, not for localhost;"),
            (vec!["DnsName(\"a\")"; 5], "is for a, a, a and 2 more names, not for localhost;"),
            (vec![], "is for no name at all (it has no subject alternative name), not for localhost;"),
        ] {
            let presented = presented.into_iter().map(str::to_owned).collect();
            let expected = ServerName::try_from("localhost").unwrap();
            let printed = predicate(&CertificateError::NotValidForNameContext { expected, presented });
            assert!(printed.starts_with(words), "{printed}");
        }
    }
}
