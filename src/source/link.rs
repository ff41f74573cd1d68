//! One connection to Redis and how it is kept: made when it is needed, dropped when it is of no more use.
//!
//! Any failure of [`Class::Reconnect`] drops the connection, and the next use makes a new one: a command that timed
//! out may be answered later, when another one has been asked.
//!
//! Servers and load balancers close connections that were idle. One that is found closed is replaced without a word: before
//! anything is sent on it, or after commands that [may be repeated](super::Request::may_repeat) were sent and nothing came back.

use std::sync::Arc;

use tracing::{debug, warn};

use super::{
    Recorder,
    connection::Look,
    role::LostPrimary,
    session::{Past, Session},
};
use crate::{
    clock, config,
    model::{Class, Failure, Reason},
};

/// A connection, while there is one.
pub struct Link {
    recorder: Arc<dyn Recorder>,
    session: Option<Session>,
    /// What the next connection needs to know of those before.
    past: Past,
    lost: LostPrimary,
}

impl Link {
    /// A link that connects at its first use.
    #[must_use]
    pub fn new(recorder: Arc<impl Recorder + 'static>) -> Self {
        Self { recorder, session: None, past: Past::default(), lost: LostPrimary::default() }
    }

    /// The connection, made now if there is none, if it was closed, or if it is to another address or by another login.
    ///
    /// # Errors
    /// Why there can be none.
    pub(crate) async fn session(&mut self, redis: &config::Redis) -> Result<&mut Session, Failure> {
        if self.session.as_ref().is_some_and(|session| !session.is_by(redis)) {
            self.disconnect();
            self.past.protocol = None;
        }
        let session = match self.rested() {
            Some(session) => session,
            None => {
                self.past.connections += 1;
                Session::open(redis, Arc::clone(&self.recorder), self.past).await?
            }
        };
        Ok(self.session.insert(session))
    }

    /// The connection, if there is one that is still open and on which nothing came since it was last used.
    fn rested(&mut self) -> Option<Session> {
        let mut session = self.session.take()?;
        self.past = session.past();
        match session.rest() {
            Ok(Look::Silent) => return Some(session),
            Ok(Look::Closed) => {
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

    /// Takes in how something on the connection ended: lets it go if the failure says that it is of no more use.
    ///
    /// Whether the server's role has changed meanwhile, so that it is to be done once more, on a new connection: another
    /// server may answer there.
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

    /// [`after`](Self::after) something that failed, in the middle of what may still succeed.
    pub(super) fn after_failure(&mut self, failure: &Failure) -> bool {
        self.note_role();
        // What a replica says while it has nothing to show: behind the same name a primary may answer.
        let may_be_elsewhere =
            matches!(failure.reason, Reason::Loading | Reason::MasterDown | Reason::ReplicaLinkDown);
        if may_be_elsewhere || failure.reason.class() == Class::Reconnect {
            self.disconnect();
        }
        self.past.disturbed += u64::from(failure.reason == Reason::Protocol);
        self.past.was_cut |= failure.reason == Reason::Closed;
        failure.reason == Reason::RoleChanged
    }

    /// Lets the connection to a replica go from time to time where a primary answered before. To be called before each
    /// reading, so that all of it is from one server.
    pub(crate) fn look_for_primary(&mut self) {
        if self.lost.is_due(clock::now()) {
            self.disconnect();
        }
    }

    /// Which of its connections this is; 0 where there is none.
    pub(crate) fn number(&self) -> u64 {
        self.session.as_ref().map_or(0, Session::number)
    }

    /// Lets the connection go: the next use makes a new one.
    pub fn disconnect(&mut self) {
        if let Some(session) = self.session.take() {
            self.past = session.past();
        }
    }
}
