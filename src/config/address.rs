//! The address of Redis, checked by [`parse`](mod@parse).
//!
//! The parser is our own. The client library ignores what it does not know, and supports `rediss://` only with its own TLS. The
//! crate `url` misreads addresses: it drops an empty password (`watcher:@host` would not log in), accepts a lone `%`, and removes
//! line breaks. Its errors do not name the wrong part.

mod foreign;
mod parse;
mod service;
#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

pub use parse::{AddressError, schemes};
pub use service::Service;

use crate::model::NodeAddress;

/// A checked address. It prints as host and port, without user and password.
#[derive(Clone)]
pub struct Address {
    target: Target,
    protocol: Option<Resp>,
    user: Option<String>,
    password: Option<SecretString>,
    database: i64,
}

/// What an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// A server.
    Server(Route),
    /// A service, whose primary the Sentinels name.
    Service(Service),
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Over TCP.
    Tcp(NodeAddress),
    /// Over TCP with TLS.
    Tls(NodeAddress),
    /// Over a Unix socket.
    Unix(PathBuf),
}

impl Route {
    /// Over TCP, with TLS or without.
    #[must_use]
    pub const fn to(address: NodeAddress, is_tls: bool) -> Self {
        if is_tls { Self::Tls(address) } else { Self::Tcp(address) }
    }

    /// The host and the port; `None` for a socket.
    const fn node(&self) -> Option<&NodeAddress> {
        match self {
            Self::Tcp(address) | Self::Tls(address) => Some(address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Tls(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
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
/// Characters that would end the name of a service.
const NOT_IN_NAME: &AsciiSet = &NOT_IN_PATH.add(b'/').add(b'@');

impl Address {
    /// The same server and database, with this login.
    pub(super) fn with_login(self, user: Option<String>, password: Option<SecretString>) -> Self {
        Self { user, password, ..self }
    }

    /// How the server is reached; `None` for a [service](Self::service).
    #[must_use]
    pub const fn route(&self) -> Option<&Route> {
        match &self.target {
            Target::Server(route) => Some(route),
            Target::Service(_) => None,
        }
    }

    /// The service whose primary the Sentinels name; `None` for a server.
    #[must_use]
    pub const fn service(&self) -> Option<&Service> {
        match &self.target {
            Target::Server(_) => None,
            Target::Service(service) => Some(service),
        }
    }

    /// The address of this server, with the same login, database and encryption.
    #[must_use]
    pub fn at(self, server: NodeAddress) -> Self {
        let route = Route::to(server, self.is_tls());
        Self { target: Target::Server(route), ..self }
    }

    /// The protocol to use; `None` for RESP3 if the server supports it.
    #[must_use]
    pub const fn protocol(&self) -> Option<Resp> {
        self.protocol
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        match &self.target {
            Target::Server(route) => matches!(route, Route::Tls(_)),
            Target::Service(service) => service.is_tls,
        }
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

    /// The host and the port; `None` for a socket and a service.
    fn node(&self) -> Option<&NodeAddress> {
        self.route()?.node()
    }

    /// Whether the connection stays on this machine. For a service, whether those to the Sentinels do.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self.service() {
            Some(service) => service.sentinels.iter().all(NodeAddress::is_local),
            None => self.node().is_none_or(NodeAddress::is_local),
        }
    }

    /// Whether the host is Upstash's, which bills each command.
    #[must_use]
    pub fn is_upstash(&self) -> bool {
        self.node().is_some_and(|node| node.host().ends_with(".upstash.io"))
    }

    /// The server's end of the connection.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        match self.node() {
            None => Endpoint { address: self.to_string(), port: None },
            Some(node) => Endpoint {
                address: node.host().to_owned(),
                port: Some(node.port()).filter(|port| *port != DEFAULT_PORT),
            },
        }
    }

    /// The address for people, with placeholders for the user and the password.
    #[must_use]
    pub fn written_for(&self, user: &str, password: &str) -> String {
        let database = self.database;
        let scheme = if self.is_tls() { "rediss" } else { "redis" };
        match &self.target {
            Target::Server(Route::Unix(path)) => {
                let path = path.display().to_string();
                let path = utf8_percent_encode(&path, NOT_IN_PATH);
                format!("unix://{user}:{password}@{path}?db={database}")
            }
            Target::Server(_) => format!("{scheme}://{user}:{password}@{self}/{database}"),
            Target::Service(service) => {
                let name = utf8_percent_encode(&service.name, NOT_IN_NAME).to_string();
                let service = Service { name, ..service.clone() };
                format!("{scheme}+sentinel://{user}:{password}@{service}/{database}")
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Server(route) => route.fmt(f),
            Target::Service(service) => service.fmt(f),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
