//! Where a node of a cluster is reached.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// The longest name that DNS has.
const LONGEST_HOST: usize = 253;

/// The host and the port of a node. Prints as `host:port`, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeAddress {
    host: String,
    port: u16,
}

/// A problem with a node's address. The text follows a name or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what is wrong")]
pub enum NodeAddressError {
    #[error("has no host; write host:port, as in redis.example:6379")]
    NoHost,
    #[error(
        "is not host:port with a host of letters, digits, dots and hyphens; write it as in redis.example:6379, without redis:// \
         and a password"
    )]
    Host,
    #[error("is not an IPv6 address in brackets and a port; write it as in [::1]:6379")]
    Ipv6,
    #[error("has no port from 1 to 65535; write host:port, as in redis.example:6379")]
    Port,
}

impl NodeAddress {
    /// The address of this host and port. The host is a name, or an IP address without brackets.
    ///
    /// # Errors
    /// The host or the port cannot be one.
    pub fn new(host: &str, port: u16) -> Result<Self, NodeAddressError> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let host = match host.parse::<Ipv6Addr>() {
            Ok(ip) => ip.to_string(),
            Err(_) if host.is_empty() => return Err(NodeAddressError::NoHost),
            Err(_) if host.len() <= LONGEST_HOST && host.bytes().all(is_of_name) => host.to_ascii_lowercase(),
            Err(_) => return Err(NodeAddressError::Host),
        };
        if port == 0 { Err(NodeAddressError::Port) } else { Ok(Self { host, port }) }
    }

    /// This machine, where Redis listens by default.
    #[must_use]
    pub fn local() -> Self {
        Self { host: "localhost".to_owned(), port: 6379 }
    }

    /// A name in lower case, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The port, which is not 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for NodeAddress {
    type Err = NodeAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) = bracketed.split_once("]:").ok_or(NodeAddressError::Ipv6)?;
                host.parse::<Ipv6Addr>().map_err(|_not_one| NodeAddressError::Ipv6)?;
                (host, port)
            }
            None if text.parse::<Ipv6Addr>().is_ok() => return Err(NodeAddressError::Ipv6),
            None => text.rsplit_once(':').unwrap_or((text, "")),
        };
        // Rust's parser would also accept a leading `+`.
        let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
        Self::new(host, port.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_it_prints() {
        for (text, host, printed) in [
            ("redis.example:6379", "redis.example", "redis.example:6379"),
            ("Redis_1.Example:6379", "redis_1.example", "redis_1.example:6379"),
            ("10.0.0.5:7000", "10.0.0.5", "10.0.0.5:7000"),
            ("[::1]:6379", "::1", "[::1]:6379"),
            ("[2001:DB8:0:0::5]:1", "2001:db8::5", "[2001:db8::5]:1"),
        ] {
            let address: NodeAddress = text.parse().unwrap();
            assert_eq!((address.host(), address.to_string().as_str()), (host, printed));
            assert_eq!(printed.parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_wrong() {
        use NodeAddressError::{Host, Ipv6, NoHost, Port};
        for (text, error) in [
            ("", NoHost),
            (":6379", NoHost),
            ("redis.example", Port),
            ("redis.example:", Port),
            ("redis.example:0", Port),
            ("redis.example:65536", Port),
            ("redis.example:+1", Port),
            ("redis://redis.example:6379", Host),
            ("user:word@redis.example:6379", Host),
            ("a b:6379", Host),
            ("a,b:6379", Host),
            ("redis\n:6379", Host),
            ("/run/redis.sock", Host),
            ("::1", Ipv6),
            ("::1:6379", Ipv6),
            ("[::1]", Ipv6),
            ("[redis.example]:6379", Ipv6),
        ] {
            assert_eq!(text.parse::<NodeAddress>(), Err(error), "{text}");
        }
        assert_eq!(NodeAddress::new(&"a".repeat(254), 1), Err(Host));
    }
}
