//! Entries that the sidecar itself removed from a stream.

use super::Name;

/// Entries that one step of retention removed, and how many of them each group lost. Exact, since nothing else
/// runs during the step.
///
/// The stream's count of removals tells when the step ran: it shows whether it lies between two readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Entries that anyone had removed from the stream before this step.
    pub ever_before: u64,
    /// Entries removed.
    pub entries: u64,
    /// The groups that lost undelivered entries, and how many.
    pub lost: Box<[(Name, u64)]>,
}
