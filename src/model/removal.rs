//! What the sidecar itself removed from a stream.

use super::Name;

/// Entries that one step of retention removed, with what each group lost by it: exact, since the step held the server.
///
/// The stream's own count of removals says when it was, so that whoever compares two readings knows whether it was
/// between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The entries that were ever removed from the stream before, by whoever.
    pub ever_before: u64,
    /// Entries removed.
    pub entries: u64,
    /// The groups that lost entries that were not delivered to them, and how many.
    pub lost: Box<[(Name, u64)]>,
}
