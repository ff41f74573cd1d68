//! What a connection asks its server beside the streams: its clock and its role, and what follows from the replies.

use super::{Command, failure::no_reply, resp::Reply, role::Question, session::Session};
use crate::{
    clock::{self, Instant},
    config::{self, ReadFrom},
    model::{Failure, Flavour, Now, PrimaryLink, Reason, Role},
};

impl Session {
    /// The commands that ask for the clock and the role. Pass the replies to [`note`](Self::note).
    pub(super) fn questions(&mut self) -> Vec<Command<'static>> {
        [Command::Time].into_iter().chain(self.role_question()).collect()
    }

    /// [`questions`](Self::questions) of a poll. The role comes from `INFO` if the user may run it, which reports more.
    pub(super) fn questions_of_poll(&mut self) -> Vec<Command<'static>> {
        let is_useless =
            self.role.useless.contains(&Question::Info) || self.server.flavour == Flavour::Upstash;
        if is_useless || self.past.lacks_info {
            return self.questions();
        }
        self.role.sent = Some(Question::Info);
        vec![Command::Time, Question::Info.command()]
    }

    /// Takes the replies to [`questions`](Self::questions), which were sent at this moment and have just arrived.
    ///
    /// # Errors
    /// The server's role has changed. The inner failure is the server's error for its clock.
    pub(super) fn note(
        &mut self,
        replies: &mut impl Iterator<Item = Result<Reply, Failure>>,
        sent: Instant,
    ) -> Result<Result<Now, Failure>, Failure> {
        let now = self.clock.note(replies, sent, clock::now());
        self.note_role(replies).map(|()| now)
    }

    /// Asks now, whatever is known, since a write depends on the replies.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`note`](Self::note). Not cancel-safe either.
    pub(crate) async fn check(&mut self) -> Result<Result<Now, Failure>, Failure> {
        let (sent, questions) = (clock::now(), self.questions());
        let mut replies = self.send(&questions).await?.into_iter();
        self.note(&mut replies, sent)
    }

    /// The command that asks for the role, if one is known to work. Pass its reply to [`note_role`](Self::note_role).
    pub(super) fn role_question(&mut self) -> Option<Command<'static>> {
        self.role.sent = self.role.best(self.server.role);
        self.role.sent.map(Question::command)
    }

    /// Takes the reply to [`role_question`](Self::role_question), if one was sent.
    ///
    /// # Errors
    /// [`Reason::RoleChanged`] if a primary has become a replica, or the other way round. Another server may answer under the
    /// same name now, and what was proven on this connection may not hold there.
    pub(super) fn note_role(
        &mut self,
        replies: &mut impl Iterator<Item = Result<Reply, Failure>>,
    ) -> Result<(), Failure> {
        let Some(question) = self.role.sent.take() else { return Ok(()) };
        let reply = replies.next().unwrap_or_else(|| Err(no_reply()));
        let (answer, condition) = reply.and_then(|reply| question.answer(&reply)).unwrap_or_default();
        if answer.is_none() {
            self.role.useless.push(question);
            self.past.lacks_info |= question == Question::Info;
        }
        // What an earlier reply said may be over.
        self.condition = condition.unwrap_or_default();
        let before = self.server.role;
        // A useless reply changes nothing while another question is left to try.
        self.server.role = answer.or(before.filter(|_| self.role.best(before).is_some()));
        match (before, answer) {
            (Some(before), Some(now)) if before.is_replica() != now.is_replica() => {
                let (before, now) = (before.as_str(), now.as_str());
                Err(Failure::new(
                    Reason::RoleChanged,
                    format!("the server was a {before} and is now a {now}"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Asks on a new connection until it is known which command gives the role, and whether a replica follows its primary.
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

    /// Whether readings from this server may be exposed.
    ///
    /// # Errors
    /// The server is a replica that the configuration excludes, or one that does not follow its primary.
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

    /// Whether the server may be written to.
    ///
    /// # Errors
    /// The server is a replica. Some replicas accept writes, which no other server would see.
    pub(crate) fn may_be_written(&self) -> Result<(), Failure> {
        let refusal = || Failure::new(Reason::ReadOnly, "the server is a replica: nothing is written to it");
        if self.server.role.is_some_and(Role::is_replica) { Err(refusal()) } else { Ok(()) }
    }
}
