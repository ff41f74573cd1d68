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

pub use parse::AddressError;
pub use service::{Host, Service};

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

impl Route {
    /// Over TCP, with TLS or without.
    #[must_use]
    pub fn to(host: Host, is_tls: bool) -> Self {
        let Host { name: host, port } = host;
        if is_tls { Self::Tls { host, port } } else { Self::Tcp { host, port } }
    }

    /// The host; `None` for a socket.
    fn host(&self) -> Option<Host> {
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port } => {
                Some(Host { name: host.clone(), port: *port })
            }
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port } if host.contains(':') => {
                write!(f, "[{host}]:{port}")
            }
            Self::Tcp { host, port } | Self::Tls { host, port } => write!(f, "{host}:{port}"),
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

    /// The same login, protocol and database at a node of the cluster.
    #[must_use]
    pub fn of_node(self, node: &NodeAddress) -> Self {
        self.at(Host { name: node.host().to_owned(), port: node.port() })
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
    pub fn at(self, server: Host) -> Self {
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
            Target::Server(route) => matches!(route, Route::Tls { .. }),
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

    /// The host; `None` for a socket and a service.
    fn host(&self) -> Option<Host> {
        self.route()?.host()
    }

    /// Whether the connection stays on this machine. For a service, whether those to the Sentinels do.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self.service() {
            Some(service) => service.sentinels.iter().all(Host::is_local),
            None => self.host().is_none_or(|host| host.is_local()),
        }
    }

    /// Whether the host is Upstash's, which bills each command.
    #[must_use]
    pub fn is_upstash(&self) -> bool {
        self.host().is_some_and(|host| host.name.to_ascii_lowercase().ends_with(".upstash.io"))
    }

    /// The server's end of the connection.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        match self.host() {
            None => Endpoint { address: self.to_string(), port: None },
            Some(Host { name, port }) => {
                Endpoint { address: name, port: Some(port).filter(|port| *port != DEFAULT_PORT) }
            }
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
