//! What Sentinels report about a service, for `doctor`.

use super::{Failure, Text};

/// What one Sentinel reports.
#[derive(Debug, Clone)]
pub struct SentinelView {
    /// Where it listens: host and port.
    pub sentinel: Text,
    /// The address of the primary that it names.
    pub primary: Result<Text, Failure>,
    /// What else it knows. Its user may lack the permission.
    pub state: Result<ServiceState, Failure>,
    /// The replicas, one of which it would name after a failover.
    pub replicas: Result<Vec<ReplicaView>, Failure>,
}

/// A replica that a Sentinel announces.
#[derive(Debug, Clone)]
pub struct ReplicaView {
    /// Its host and port.
    pub at: Text,
    /// Whether something listens there.
    pub reached: Result<(), Failure>,
}

/// What a Sentinel knows about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceState {
    /// Sentinels that must agree that the primary is down.
    pub quorum: u64,
    /// Sentinels that it knows, without itself.
    pub others: u64,
    /// The state of the primary, as in `master,s_down`.
    pub flags: Text,
}
