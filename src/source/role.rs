//! Which role the server has: a question beside the clock's, and what follows from a replica or a role that changed.
//!
//! A primary is asked by `HELLO 3`, which a connection with RESP3 may always send. Only `INFO replication` and `ROLE`
//! say whether a replica's link to its primary works, so a replica is asked by those where the user may run them.

use std::time::Duration;

use super::{Command, fields::Parsed, reply, resp::Reply};
use crate::{
    clock::{self, Instant},
    model::{PrimaryLink, Role},
};

/// A link that is down since before this is one of which the server does not know since when: Redis 6 answers with the
/// seconds since the Unix epoch, later ones with -1.
const LONGEST_DOWN: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Where a primary has become a replica, another one answers behind the same name within minutes. So long a new
/// connection is tried at each reading, ...
const SEARCH: Duration = Duration::from_secs(5 * 60);
/// ... and then so often.
const SELDOM: Duration = Duration::from_secs(60);

/// How the role is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Hello,
    Role,
    Info,
}

/// What a connection's server and user have answered so far.
#[derive(Debug, Default)]
pub(super) struct RoleQuestions {
    /// These told nothing.
    pub(super) useless: Vec<Question>,
    /// Sent, and not yet answered.
    pub(super) sent: Option<Question>,
}

impl RoleQuestions {
    /// Without RESP3 there may be no `HELLO`, and what does not know it may close the connection.
    pub(super) fn new(is_resp3: bool) -> Self {
        Self { useless: if is_resp3 { Vec::new() } else { vec![Question::Hello] }, sent: None }
    }

    /// What was sent on this connection is sent again on another one, of which these are the questions.
    pub(super) const fn take_over(&mut self, before: &Self) {
        self.sent = before.sent;
    }

    /// The one that tells most of those that are answered; `None` where nothing tells.
    pub(super) fn best(&self, known: Option<Role>) -> Option<Question> {
        let order = if known.is_some_and(Role::is_replica) {
            [Question::Info, Question::Role, Question::Hello]
        } else {
            [Question::Hello, Question::Role, Question::Info]
        };
        order.into_iter().find(|question| !self.useless.contains(question))
    }
}

impl Question {
    pub(super) const fn command(self) -> Command<'static> {
        match self {
            Self::Hello => Command::Hello,
            Self::Role => Command::Role,
            Self::Info => Command::InfoReplication,
        }
    }

    pub(super) fn role(self, reply: &Reply) -> Parsed<Option<Role>> {
        match self {
            Self::Hello => Ok(reply::hello(reply)?.role),
            Self::Role => reply::role(reply),
            Self::Info => {
                let info = reply::info_fields(reply)?;
                let down = info.number("master_link_down_since_seconds").map(Duration::from_secs);
                let link = match info.get("master_link_status") {
                    Some("up") => PrimaryLink::Up,
                    Some(_) => PrimaryLink::Down {
                        since: down
                            .filter(|down| *down < LONGEST_DOWN)
                            .map(|down| clock::unix_time().saturating_sub(down)),
                    },
                    None => PrimaryLink::Unknown,
                };
                Ok(info.get("role").and_then(|role| reply::role_named(role, link)))
            }
        }
    }
}

/// Whether a primary that answered before is to be looked for: behind its name a replica answers now.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LostPrimary {
    was_there: bool,
    /// Since when a replica answers, and when a new connection was last tried.
    lost: Option<(Instant, Instant)>,
}

impl LostPrimary {
    /// Who answered.
    pub(super) fn note(&mut self, role: Option<Role>, now: Instant) {
        match role {
            Some(Role::Primary) => *self = Self { was_there: true, lost: None },
            Some(Role::Replica(_)) if self.was_there => self.lost = self.lost.or(Some((now, now))),
            Some(Role::Replica(_)) | None => {}
        }
    }

    /// Whether to try a new connection now.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let Some((since, tried)) = &mut self.lost else { return false };
        let is_due = now - *since < SEARCH || now - *tried >= SELDOM;
        if is_due {
            *tried = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn role_of(question: Question, reply: &str) -> Option<Role> {
        let reply = Reply::whole(&Bytes::from(reply.to_owned())).unwrap();
        question.role(&reply).unwrap()
    }

    fn info(lines: &str) -> Option<Role> {
        role_of(Question::Info, &format!("${}\r\n{lines}\r\n", lines.len()))
    }

    #[test]
    fn each_question_tells_the_role_and_two_of_them_the_link() {
        let (replica, down) = (Role::Replica, PrimaryLink::Down { since: None });
        let of_role = |state: &str| {
            let state = format!("${}\r\n{state}", state.len());
            role_of(Question::Role, &format!("*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n{state}\r\n:-1\r\n"))
        };
        assert_eq!(role_of(Question::Hello, "%1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"), Some(Role::Primary));
        let hello = role_of(Question::Hello, "%1\r\n$4\r\nrole\r\n$7\r\nreplica\r\n");
        assert_eq!(hello, Some(replica(PrimaryLink::Unknown)));
        assert_eq!(role_of(Question::Role, "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"), Some(Role::Primary));
        assert_eq!(role_of(Question::Role, "*2\r\n$8\r\nsentinel\r\n*0\r\n"), None);
        assert_eq!(of_role("connected"), Some(replica(PrimaryLink::Up)));
        assert_eq!(of_role("sync"), Some(replica(down)));
        assert_eq!(info("role:master\r\n"), Some(Role::Primary));
        assert_eq!(info("role:slave\r\nmaster_link_status:up\r\n"), Some(replica(PrimaryLink::Up)));
        // A link that never was up: in the words of Redis 7, and of Redis 6.
        for never in ["-1", "1795689268"] {
            let lines = format!(
                "role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:{never}\r\n"
            );
            assert_eq!(info(&lines), Some(replica(down)), "{never}");
        }
        let lines = "role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:7\r\n";
        let Some(Role::Replica(PrimaryLink::Down { since: Some(since) })) = info(lines) else {
            panic!("no time")
        };
        assert!((clock::unix_time() - since).abs_diff(Duration::from_secs(7)) < Duration::from_secs(1));
    }

    #[test]
    fn what_tells_nothing_is_not_asked_again_and_a_replica_is_asked_for_its_link() {
        let replica = Some(Role::Replica(PrimaryLink::Unknown));
        let mut questions = RoleQuestions::new(true);
        assert_eq!(questions.best(None), Some(Question::Hello));
        assert_eq!(questions.best(replica), Some(Question::Info));
        questions.useless = vec![Question::Info];
        assert_eq!(questions.best(replica), Some(Question::Role));
        questions.useless.push(Question::Role);
        assert_eq!(questions.best(replica), Some(Question::Hello));
        let mut questions = RoleQuestions::new(false);
        assert_eq!(questions.best(Some(Role::Primary)), Some(Question::Role));
        questions.useless.extend([Question::Role, Question::Info]);
        assert_eq!(questions.best(None), None);
    }

    #[test]
    fn a_primary_that_is_lost_is_looked_for_at_each_poll_and_later_once_a_minute() {
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let replica = Some(Role::Replica(PrimaryLink::Up));
        let mut lost = LostPrimary::default();
        lost.note(replica, start);
        assert!(!lost.is_due(at(1)), "a replica from the start is what was asked for");
        lost.note(Some(Role::Primary), start);
        assert!(!lost.is_due(at(1)));
        let polls = |lost: &mut LostPrimary, from: u64| -> Vec<u64> {
            (0..20)
                .map(|poll| from + 15 * poll)
                .filter(|seconds| {
                    lost.note(replica, at(*seconds));
                    lost.is_due(at(*seconds))
                })
                .collect()
        };
        assert_eq!(polls(&mut lost, 0).len(), 20, "each poll of the first five minutes");
        assert_eq!(polls(&mut lost, 300), [345, 405, 465, 525, 585]);
        lost.note(Some(Role::Primary), at(600));
        assert_eq!(polls(&mut lost, 615).len(), 20, "it is looked for again when it is lost again");
    }
}
