//! A request as handlers see it.

use std::net::IpAddr;

use hyper::{HeaderMap, Uri};

use crate::model::Name;

/// A request without its body.
pub(super) struct Asked {
    /// Where it comes from.
    pub(super) peer: IpAddr,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    /// The stream, where the path has one.
    pub(super) stream: Name,
    /// The group, where the path has one.
    pub(super) group: Name,
}
