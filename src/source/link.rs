//! Keeps one connection to Redis: makes it when it is needed, and drops it when it can no longer be used.
//!
//! Any failure of [`Class::Reconnect`] drops the connection, and the next use makes a new one: the reply to a command that
//! timed out may arrive later, as if it belonged to another command.
//!
//! Servers and load balancers close idle connections. The link replaces a closed one silently before anything is sent
//! on it, or after commands that [may be repeated](super::Request::may_repeat) were sent and no reply came.

use std::{sync::Arc, time::Duration};

use tracing::{debug, warn};

use super::{
    Recorder,
    connection::Look,
    role::LostPrimary,
    sentinel::Sentinels,
    session::{Past, Session, next_connection},
};
use crate::{
    clock, config,
    model::{Class, Failure, NodeAddress, Reason},
};

/// A connection, or what the next one needs to know.
pub struct Link {
    recorder: Arc<dyn Recorder>,
    /// The node of a cluster to connect to; `None`: the address of the configuration.
    node: Option<NodeAddress>,
    session: Option<Session>,
    /// What the next connection needs to know of earlier ones.
    past: Past,
    /// How long the last connection took to be made.
    took: Duration,
    /// How long replies may take.
    patience: Duration,
    lost: LostPrimary,
    /// Those of the next connection. A connection has its own.
    sentinels: Sentinels,
}

impl Link {
    /// A link that connects at its first use.
    #[must_use]
    pub fn new(recorder: Arc<impl Recorder + 'static>) -> Self {
        Self::of(recorder, None)
    }

    /// The same to a node of a cluster, with the login and the certificates of the configuration.
    pub(crate) fn to_node(&self, node: NodeAddress) -> Self {
        Self::of(Arc::clone(&self.recorder), Some(node))
    }

    /// The same to a replica, which is to answer itself.
    pub(super) fn to_replica(&self, node: NodeAddress) -> Self {
        let link = self.to_node(node);
        Self { past: Past { is_for_replica: true, ..link.past }, ..link }
    }

    /// Another link to the same place.
    pub(crate) fn another(&self) -> Self {
        Self::of(Arc::clone(&self.recorder), self.node.clone())
    }

    fn of(recorder: Arc<dyn Recorder>, node: Option<NodeAddress>) -> Self {
        let (past, lost, sentinels) = (Past::default(), LostPrimary::default(), Sentinels::default());
        let (took, patience) = (Duration::ZERO, Duration::MAX);
        Self { recorder, node, session: None, past, took, patience, lost, sentinels }
    }

    pub(super) fn recorder(&self) -> &dyn Recorder {
        &*self.recorder
    }

    /// The connection. Makes a new one at the first use, after it was closed, and when the address or the login has changed.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(crate) async fn session(&mut self, redis: &config::Redis) -> Result<&mut Session, Failure> {
        if self.session.as_ref().is_some_and(|session| !session.is_by(redis)) {
            self.disconnect();
            self.past.protocol = None;
            self.past.lacks_info = false;
            self.sentinels = Sentinels::default();
        }
        let session = match self.rested() {
            Some(session) => session,
            None => {
                self.past.connection = next_connection();
                let (node, recorder) = (self.node.clone(), Arc::clone(&self.recorder));
                let started = clock::now();
                let session = Session::open(redis, node, recorder, self.past, &mut self.sentinels).await?;
                self.took = clock::now() - started;
                session
            }
        };
        let session = self.session.insert(session);
        session.set_patience(self.patience);
        Ok(session)
    }

    /// How long replies may take, if that is less than `redis.command_timeout`.
    pub(super) const fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The connection, if it is still open and no byte arrived since it was last used.
    fn rested(&mut self) -> Option<Session> {
        let mut session = self.session.take()?;
        let looked = session.rest();
        if looked == Ok(Look::Silent) {
            return Some(session);
        }
        self.close(session);
        match looked {
            Ok(_closed) => {
                debug!("the idle connection was closed; reconnecting");
                self.past.was_cut = true;
            }
            Err(failure) => {
                warn!(%failure, "dropping the connection; reconnecting");
                self.past.disturbed += 1;
            }
        }
        None
    }

    /// Takes the result of work on the connection, and drops the connection if the failure says that it can no longer be used.
    ///
    /// Returns whether the server's role has changed, so that the work must be repeated on a new connection: another server
    /// may answer there.
    pub(crate) fn after<T>(&mut self, result: &Result<T, Failure>) -> bool {
        match result {
            Ok(_) => {
                self.note_role();
                false
            }
            Err(failure) => self.after_failure(failure),
        }
    }

    fn note_role(&mut self) {
        if let Some(session) = &self.session {
            self.lost.note(session.server.role, clock::now());
        }
    }

    /// [`after`](Self::after) a failure of a part of the work.
    pub(super) fn after_failure(&mut self, failure: &Failure) -> bool {
        self.note_role();
        // Errors of a replica that has no data yet. A primary may answer under the same name.
        let may_be_elsewhere =
            matches!(failure.reason, Reason::Loading | Reason::MasterDown | Reason::ReplicaLinkDown);
        if may_be_elsewhere || failure.class() == Class::Reconnect {
            self.disconnect();
        }
        self.past.disturbed += u64::from(failure.reason == Reason::Protocol);
        self.past.was_cut |= failure.reason == Reason::Closed;
        failure.reason == Reason::RoleChanged
    }

    /// Drops the connection if another server is the primary now: to a replica from time to time, if a primary answered before, and
    /// if the Sentinels name another one. Call it before each reading, so that the whole reading is from one server.
    pub(crate) async fn look_for_primary(&mut self, redis: &config::Redis) {
        if self.lost.is_due(clock::now()) || self.sentinels().name_another_by_now(redis).await {
            self.disconnect();
        }
    }

    /// Returns once the Sentinels name another primary than before, and drops the connection then; never if the address names
    /// none. Cancel-safe.
    pub(super) async fn primary_moves(&mut self, redis: &config::Redis) {
        self.sentinels().name_another_at_last(redis).await;
        self.disconnect();
    }

    /// Whether the server may be written to, by the Sentinels' word.
    ///
    /// # Errors
    /// They name another primary, or none of them answers. Nothing may be written then.
    pub(crate) async fn confirm_primary(&mut self, redis: &config::Redis) -> Result<(), Failure> {
        self.sentinels().confirm(redis).await
    }

    fn sentinels(&mut self) -> &mut Sentinels {
        self.session.as_mut().map_or(&mut self.sentinels, |session| &mut session.sentinels)
    }

    /// Whether the current connection is to a server in cluster mode.
    pub(super) fn is_of_cluster(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_of_cluster)
    }

    /// How long the last connection took to be made.
    pub(super) const fn took(&self) -> Duration {
        self.took
    }

    /// The number of the current connection; 0 without a connection.
    pub(crate) fn number(&self) -> u64 {
        self.session.as_ref().map_or(0, Session::number)
    }

    /// Drops the connection; the next use makes a new one.
    pub fn disconnect(&mut self) {
        if let Some(session) = self.session.take() {
            self.close(session);
        }
    }

    fn close(&mut self, session: Session) {
        self.past = session.past();
        self.sentinels = session.sentinels;
    }
}
