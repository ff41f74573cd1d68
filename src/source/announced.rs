//! The addresses that a cluster announces of its nodes, and the ones to use. Pure.

use std::collections::BTreeMap;

use crate::model::{NodeAddress, NodeAddressError};

/// What the addresses in a node's reply depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// Where the node that replied was reached.
    pub(crate) asked: &'a NodeAddress,
    /// Announced addresses, and the ones to use in their place.
    pub(crate) address_map: &'a BTreeMap<NodeAddress, NodeAddress>,
}

/// How a node is announced: as what a client is to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Announced<'a> {
    /// A name or an IP address. `None` or empty: the host that was asked (`cluster-preferred-endpoint-type
    /// unknown-endpoint`). `?`: the node has no name to announce.
    pub(super) endpoint: Option<&'a str>,
    /// Its IP address, which is not for clients while there is an endpoint.
    pub(super) ip: Option<&'a str>,
    pub(super) port: u16,
}

impl Announced<'_> {
    /// The address to connect to.
    ///
    /// # Errors
    /// The cluster announces what is not an address.
    pub(super) fn resolve(&self, seen: &Seen<'_>) -> Result<NodeAddress, NodeAddressError> {
        let host = match self.endpoint {
            Some("?") => self.ip.filter(|ip| !ip.is_empty()),
            endpoint => endpoint.filter(|endpoint| !endpoint.is_empty()),
        };
        let announced = NodeAddress::new(host.unwrap_or(seen.asked.host()), self.port)?;
        Ok(seen.address_map.get(&announced).cloned().unwrap_or(announced))
    }
}
