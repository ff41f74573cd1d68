//! What a connection asks its server about itself, beside the streams: the clock and the role, and what follows from the answers.

use super::{Command, failure::no_reply, resp::Reply, role::Question, session::Session};
use crate::{
    clock::{self, Instant},
    config::{self, ReadFrom},
    model::{Failure, Now, PrimaryLink, Reason, Role, ServerTime},
};

impl Session {
    /// What is asked beside the streams. The answers are to be [noted](Self::note).
    pub(super) fn questions(&mut self) -> Vec<Command<'static>> {
        [Command::Time].into_iter().chain(self.role_question()).collect()
    }

    /// Takes the answers to [`questions`](Self::questions), which were sent at this moment and have just come.
    ///
    /// # Errors
    /// Where the server's role has changed. The inner failure is the server's own, about its clock.
    pub(super) fn note(
        &mut self,
        replies: &mut impl Iterator<Item = Result<Reply, Failure>>,
        sent: Instant,
    ) -> Result<Result<Now, Failure>, Failure> {
        let now = self.clock.note(replies, sent, clock::now());
        self.note_role(replies).map(|()| now)
    }

    /// Asks now, whatever is known: what is about to be written depends on it.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`note`](Self::note). Not cancel-safe either.
    pub(crate) async fn check(&mut self) -> Result<Result<ServerTime, Failure>, Failure> {
        let (sent, questions) = (clock::now(), self.questions());
        let mut replies = self.send(&questions).await?.into_iter();
        Ok(self.note(&mut replies, sent)?.map(|now| now.time))
    }

    /// The question about the role, where there is one that tells it. Its answer is to be [noted](Self::note_role).
    pub(super) fn role_question(&mut self) -> Option<Command<'static>> {
        self.role.sent = self.role.best(self.server.role);
        self.role.sent.map(Question::command)
    }

    /// Takes the answer to [`role_question`](Self::role_question), if one was sent.
    ///
    /// # Errors
    /// [`Reason::RoleChanged`] where the server was a primary and is a replica, or the other way: behind the same name
    /// another server may answer now, and what was proven on this connection may not hold there.
    pub(super) fn note_role(
        &mut self,
        replies: &mut impl Iterator<Item = Result<Reply, Failure>>,
    ) -> Result<(), Failure> {
        let Some(question) = self.role.sent.take() else { return Ok(()) };
        let reply = replies.next().unwrap_or_else(|| Err(no_reply()));
        let answer = reply.and_then(|reply| question.role(&reply)).ok().flatten();
        if answer.is_none() {
            self.role.useless.push(question);
        }
        let before = self.server.role;
        // A question that told nothing leaves what is known to the next one, while there is one.
        self.server.role = answer.or(before.filter(|_| self.role.best(before).is_some()));
        match (before, answer) {
            (Some(before), Some(now)) if before.is_replica() != now.is_replica() => {
                let (before, now) = (before.as_str(), now.as_str());
                Err(Failure::new(
                    Reason::RoleChanged,
                    format!("the server was a {before} and is a {now} now"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Asks a new connection's server until it is known how the role is best asked, and whether a replica follows.
    pub(super) async fn learn_role(&mut self) -> Result<(), Failure> {
        let is_open = |role: Role| role.primary_link() == Some(PrimaryLink::Unknown);
        while self.server.role.is_none_or(is_open)
            && self.role.best(self.server.role).is_some_and(|question| question != Question::Hello)
            && let Some(question) = self.role_question()
        {
            let mut replies = self.send_once(&[question]).await?.into_iter();
            self.note_role(&mut replies)?;
        }
        Ok(())
    }

    /// Whether what is read here may be shown.
    ///
    /// # Errors
    /// On a replica that the configuration does not want, and on one that does not follow its primary.
    pub(super) fn may_be_read(&self, redis: &config::Redis) -> Result<(), Failure> {
        let Some(link) = self.server.role.and_then(Role::primary_link) else { return Ok(()) };
        if redis.read_from == ReadFrom::Primary {
            let what = "the server is a replica, and redis.read_from is primary";
            return Err(Failure::new(Reason::Replica, what));
        }
        let PrimaryLink::Down { since } = link else { return Ok(()) };
        let when = since.map_or(String::new(), |since| {
            format!(" since {}", humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since))
        });
        let what = format!("the server is a replica, and its link to its primary is down{when}");
        Err(Failure { since, ..Failure::new(Reason::ReplicaLinkDown, what) })
    }

    /// Whether it may be written to.
    ///
    /// # Errors
    /// On a replica, also on one that would take writes: nobody else would see them.
    pub(crate) fn may_be_written(&self) -> Result<(), Failure> {
        let refusal = || Failure::new(Reason::ReadOnly, "the server is a replica: nothing is written to it");
        if self.server.role.is_some_and(Role::is_replica) { Err(refusal()) } else { Ok(()) }
    }
}
