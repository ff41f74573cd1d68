//! A service that Sentinels watch: its name, and where they listen.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// The port of a Sentinel that names none.
pub(super) const DEFAULT_PORT: u16 = 26379;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name, or an IP address without brackets.
    pub name: String,
    /// Not 0.
    pub port: u16,
}

impl Host {
    /// The host and the port that a Sentinel announces; `None` if nobody can be reached there.
    #[must_use]
    pub fn announced(name: &str, port: &str) -> Option<Self> {
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let is_host = name.parse::<Ipv6Addr>().is_ok() || is_name(name);
        is_host.then(|| Self { name: name.to_owned(), port })
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.name == "localhost" || self.name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// Whether the text can be the name of a host, or an IPv4 address.
pub(super) fn is_name(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !text.is_empty() && text.len() < 256 && text.bytes().all(is_of_name)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

/// A service: a primary and its replicas, of which the Sentinels know which is the primary now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name, as in `sentinel monitor`.
    pub name: String,
    /// Where the Sentinels listen; at least one.
    pub sentinels: Vec<Host>,
    /// Whether Redis uses TLS.
    pub is_tls: bool,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentinels: Vec<String> = self.sentinels.iter().map(ToString::to_string).collect();
        write!(f, "{}/{}", sentinels.join(","), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_address_is_one_that_can_be_reached() {
        for (name, port, shown) in [
            ("10.0.0.1", "6379", Some("10.0.0.1:6379")),
            ("redis-0.redis.svc", "1", Some("redis-0.redis.svc:1")),
            ("fd00::1", "6379", Some("[fd00::1]:6379")),
            ("10.0.0.1", "0", None),
            ("10.0.0.1", "65536", None),
            ("10.0.0.1", "", None),
            ("", "6379", None),
            ("a b", "6379", None),
            ("user:word@h", "6379", None),
        ] {
            let host = Host::announced(name, port).map(|host| host.to_string());
            assert_eq!(host.as_deref(), shown, "{name} {port}");
        }
    }
}
