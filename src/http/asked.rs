//! A request as handlers see it.

use hyper::{HeaderMap, Uri};

use crate::model::Name;

/// A request without its body.
pub(super) struct Asked {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    /// The stream, where the path has one.
    pub(super) stream: Name,
    /// The group, where the path has one.
    pub(super) group: Name,
}
