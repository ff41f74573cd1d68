//! The address of Redis, checked by [`parse`](mod@parse).
//!
//! The parser is our own. The client library ignores what it does not know, and supports `rediss://` only with its own TLS. The
//! crate `url` misreads addresses: it drops an empty password (`watcher:@host` would not log in), accepts a lone `%`, and removes
//! line breaks. Its errors do not name the wrong part.

mod foreign;
mod parse;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr, path::PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

pub use parse::AddressError;

use crate::model::NodeAddress;

/// A checked address. It prints as host and port, without user and password.
#[derive(Clone)]
pub struct Address {
    route: Route,
    protocol: Option<Resp>,
    user: Option<String>,
    password: Option<SecretString>,
    database: i64,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Over TCP.
    Tcp {
        /// A name, or an IP address without brackets.
        host: String,
        /// Not 0.
        port: u16,
    },
    /// Over TCP with TLS.
    Tls {
        /// A name, or an IP address without brackets.
        host: String,
        /// Not 0.
        port: u16,
    },
    /// Over a Unix socket.
    Unix(PathBuf),
}

/// A version of Redis's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resp {
    /// RESP2.
    V2,
    /// RESP3, since Redis 6.0.
    V3,
}

/// Where a server listens, for traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its host, or the path of its socket.
    pub address: String,
    /// Its port; `None` for the default one, and for a socket.
    pub port: Option<u16>,
}

/// Redis's own port.
pub(crate) const DEFAULT_PORT: u16 = 6379;

/// The user of a connection that does not log in as another.
pub(crate) const DEFAULT_USER: &str = "default";

/// Characters that would end the path of a socket, or are not printable.
const NOT_IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'#').add(b'?');

impl Address {
    /// The same server and database, with this login.
    pub(super) fn with_login(self, user: Option<String>, password: Option<SecretString>) -> Self {
        Self { user, password, ..self }
    }

    /// The same login, protocol and database at a node of the cluster.
    #[must_use]
    pub fn of_node(self, node: &NodeAddress) -> Self {
        let (host, port) = (node.host().to_owned(), node.port());
        let route = if self.is_tls() { Route::Tls { host, port } } else { Route::Tcp { host, port } };
        Self { route, ..self }
    }

    /// How the server is reached.
    #[must_use]
    pub const fn route(&self) -> &Route {
        &self.route
    }

    /// The protocol to use; `None` for RESP3 if the server supports it.
    #[must_use]
    pub const fn protocol(&self) -> Option<Resp> {
        self.protocol
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self.route, Route::Tls { .. })
    }

    /// The number of the database.
    #[must_use]
    pub const fn database(&self) -> i64 {
        self.database
    }

    /// The user to log in as; `None` for the default one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(super) const fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// Whether there is a password.
    #[must_use]
    pub const fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The user and the password to log in with; `None`: no login. A user without a password has an empty one, so that a named user
    /// is never taken for the default user.
    #[must_use]
    pub fn login(&self) -> Option<(&str, &str)> {
        let password = self.password().map(ExposeSecret::expose_secret);
        match (self.user(), password) {
            (None, None) => None,
            (user, password) => Some((user.unwrap_or(DEFAULT_USER), password.unwrap_or_default())),
        }
    }

    /// The host and the port; `None` for a socket.
    const fn host(&self) -> Option<(&String, u16)> {
        match &self.route {
            Route::Tcp { host, port } | Route::Tls { host, port } => Some((host, *port)),
            Route::Unix(_) => None,
        }
    }

    /// Whether the connection stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let Some((host, _)) = self.host() else { return true };
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether the host is Upstash's, which bills each command.
    #[must_use]
    pub fn is_upstash(&self) -> bool {
        self.host().is_some_and(|(host, _)| host.to_ascii_lowercase().ends_with(".upstash.io"))
    }

    /// The server's end of the connection.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        match self.host() {
            None => Endpoint { address: self.to_string(), port: None },
            Some((host, port)) => {
                Endpoint { address: host.clone(), port: Some(port).filter(|port| *port != DEFAULT_PORT) }
            }
        }
    }

    /// The address for people, with placeholders for the user and the password.
    #[must_use]
    pub fn written_for(&self, user: &str, password: &str) -> String {
        let database = self.database;
        match &self.route {
            Route::Tcp { .. } => format!("redis://{user}:{password}@{self}/{database}"),
            Route::Tls { .. } => format!("rediss://{user}:{password}@{self}/{database}"),
            Route::Unix(path) => {
                let path = path.display().to_string();
                let path = utf8_percent_encode(&path, NOT_IN_PATH);
                format!("unix://{user}:{password}@{path}?db={database}")
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.route {
            Route::Tcp { host, port } | Route::Tls { host, port } if host.contains(':') => {
                write!(f, "[{host}]:{port}")
            }
            Route::Tcp { host, port } | Route::Tls { host, port } => write!(f, "{host}:{port}"),
            Route::Unix(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
