//! Redis's address: parsed by the client library, which is who has to understand it, and explained by us.

use std::{fmt, net::IpAddr};

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// A checked address. It prints as host and port, without user and password.
#[derive(Clone)]
pub struct Address(ConnectionInfo);

/// Where a server listens, as traces tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its host, or the path of its socket.
    pub address: String,
    /// Its port; `None` for the default one, and for a socket.
    pub port: Option<u16>,
}

/// Redis's own port.
const DEFAULT_PORT: u16 = 6379;

/// Why a text is not an address; it never repeats the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The scheme or the form is wrong.
    #[error(
        "is not a Redis address; write redis://[user:password@]host[:port][/db], rediss://... for TLS, or \
         redis+unix:///path[?db=N], with @ : / ? # in a password percent-encoded"
    )]
    Form,
    /// `#insecure` was asked for.
    #[error(
        "asks for TLS without verification (#insecure); give the server's authority in redis.tls.ca_file instead"
    )]
    Insecure,
}

impl Address {
    /// Parses `redis://`, `rediss://`, `valkey://`, `valkeys://`, `redis+unix://` and `unix://`.
    ///
    /// # Errors
    /// [`AddressError`], which says what an address looks like.
    pub fn parse(uri: &SecretString) -> Result<Self, AddressError> {
        // Own errors: the library's name the part that it stumbled over, and that may be the password.
        let url = Url::parse(uri.expose_secret().trim()).map_err(|_url_error| AddressError::Form)?;
        if url.fragment().is_some() {
            return Err(AddressError::Insecure);
        }
        url.into_connection_info().map(Self).map_err(|_client_error| AddressError::Form)
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.0.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// The number of the database.
    #[must_use]
    pub fn database(&self) -> i64 {
        self.0.redis_settings().db()
    }

    /// The user to log in as; `None` for the default one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.0.redis_settings().username()
    }

    /// Whether there is a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.0.redis_settings().password().is_some()
    }

    /// Whether the connection stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let (ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }) = self.0.addr() else {
            return true;
        };
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether the host is Upstash's, which bills each command.
    #[must_use]
    pub fn is_upstash(&self) -> bool {
        let (ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }) = self.0.addr() else {
            return false;
        };
        host.to_ascii_lowercase().ends_with(".upstash.io")
    }

    /// The server's end of the connection.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        let (ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }) = self.0.addr()
        else {
            return Endpoint { address: self.to_string(), port: None };
        };
        Endpoint { address: host.clone(), port: Some(*port).filter(|port| *port != DEFAULT_PORT) }
    }

    pub(crate) fn connection_info(&self) -> &ConnectionInfo {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.addr().fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, AddressError> {
        Address::parse(&SecretString::from(text))
    }

    #[test]
    fn the_usual_forms_are_addresses() {
        for (uri, shown, tls, database) in [
            ("redis://localhost", "localhost:6379", false, 0),
            ("rediss://default:secret@host:6380/3", "host:6380", true, 3),
            ("redis+unix:///run/redis.sock?db=2", "/run/redis.sock", false, 2),
            ("redis://:p%40ss@10.0.0.1:7000\n", "10.0.0.1:7000", false, 0),
        ] {
            let address = parse(uri).unwrap();
            assert_eq!(
                (address.to_string().as_str(), address.is_tls(), address.database()),
                (shown, tls, database)
            );
            assert!(!format!("{address:?}").contains("secret"));
        }
    }

    #[test]
    fn upstash_is_known_by_its_domain() {
        for (uri, is_upstash) in [
            ("rediss://default:secret@eu1-calm-cat-1.upstash.io:6379", true),
            ("rediss://default:secret@EU1-calm-cat-1.Upstash.io", true),
            ("redis://upstash.io.example", false),
            ("redis://notupstash.io", false),
            ("redis+unix:///run/x.upstash.io", false),
        ] {
            assert_eq!(parse(uri).unwrap().is_upstash(), is_upstash, "{uri}");
        }
    }

    #[test]
    fn the_default_port_and_a_sockets_are_no_part_of_the_endpoint() {
        for (uri, address, port) in [
            ("redis://host", "host", None),
            ("rediss://host:6380", "host", Some(6380)),
            ("redis+unix:///run/redis.sock", "/run/redis.sock", None),
        ] {
            assert_eq!(parse(uri).unwrap().endpoint(), Endpoint { address: address.to_owned(), port });
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for uri in ["", "localhost:6379", "http://h", "redis://", "redis://:s3cret@host:port", "redis://h/x"]
        {
            let error = parse(uri).unwrap_err();
            assert_eq!(error, AddressError::Form, "{uri}");
            assert!(!error.to_string().contains("s3cret"));
        }
        assert_eq!(parse("rediss://h/#insecure").unwrap_err(), AddressError::Insecure);
    }
}
