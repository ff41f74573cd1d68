//! A service that Sentinels watch: its name, and where they listen.

use std::fmt;

use crate::model::NodeAddress;

/// The port of a Sentinel that names none.
pub(super) const DEFAULT_PORT: u16 = 26379;

/// A service: a primary and its replicas, of which the Sentinels know which is the primary now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name, as in `sentinel monitor`.
    pub name: String,
    /// Where the Sentinels listen; at least one.
    pub sentinels: Vec<NodeAddress>,
    /// Whether Redis uses TLS.
    pub is_tls: bool,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentinels: Vec<String> = self.sentinels.iter().map(ToString::to_string).collect();
        write!(f, "{}/{}", sentinels.join(","), self.name)
    }
}
