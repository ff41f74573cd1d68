//! The server's role: which command asks for it, and the search for a primary that was replaced by a replica.
//!
//! A primary gets `HELLO 3`, which a connection with RESP3 may always send. Only `INFO` and `ROLE` report
//! whether a replica's link to its primary is up, so a replica gets those if the user may run them. A poll sends `INFO` to
//! any server where the user may run it: it costs no further command, and reports whether the server accepts writes.

use std::time::Duration;

use super::{Command, fields::Parsed, reply, resp::Reply};
use crate::{
    clock::{self, Instant},
    model::{Condition, PrimaryLink, Role},
};

/// If a link was never up, Redis 6 reports the seconds since the Unix epoch as its time down, and later versions -1. A time
/// longer than this is taken as unknown.
const LONGEST_DOWN: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// After a failover the new primary answers under the same name within minutes. For this long each poll tries a new
/// connection, ...
const SEARCH: Duration = Duration::from_secs(5 * 60);
/// ... and later this is the time between attempts.
const SELDOM: Duration = Duration::from_secs(60);

/// The command that asks for the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Hello,
    Role,
    Info,
}

/// Which of these commands work on a connection.
#[derive(Debug, Default)]
pub(super) struct RoleQuestions {
    /// Commands whose replies had no role.
    pub(super) useless: Vec<Question>,
    /// The command that awaits its reply.
    pub(super) sent: Option<Question>,
}

impl RoleQuestions {
    /// Without RESP3 the server may not know `HELLO`, and may close the connection on it.
    pub(super) fn new(is_resp3: bool) -> Self {
        Self { useless: if is_resp3 { Vec::new() } else { vec![Question::Hello] }, sent: None }
    }

    /// The commands of the connection `before` are sent again on this one, with the question among them.
    pub(super) const fn take_over(&mut self, before: &Self) {
        self.sent = before.sent;
    }

    /// The most informative command that works; `None` if none works.
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
            Self::Info => Command::Info,
        }
    }

    /// The role, and what else the reply reports of the server.
    pub(super) fn answer(self, reply: &Reply) -> Parsed<(Option<Role>, Option<Condition>)> {
        match self {
            Self::Hello => Ok((reply::hello(reply)?.role, None)),
            Self::Role => Ok((reply::role(reply)?, None)),
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
                let role = info.get("role").and_then(|role| reply::role_named(role, link));
                Ok((role, Some(Condition::new(&info))))
            }
        }
    }
}

/// Whether to search for the primary: one answered before, and a replica answers under the same name now.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LostPrimary {
    was_there: bool,
    /// Since when a replica answers, and the last attempt to connect to a primary.
    lost: Option<(Instant, Instant)>,
}

impl LostPrimary {
    /// Takes the role of the server that answered.
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
        question.answer(&reply).unwrap().0
    }

    fn info(lines: &str) -> Option<Role> {
        role_of(Question::Info, &format!("${}\r\n{lines}\r\n", lines.len()))
    }

    #[test]
    fn each_command_reports_the_role_and_two_of_them_the_link() {
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
        // A link that was never up, as Redis 7 and Redis 6 report it.
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
    fn a_command_without_a_useful_reply_is_not_sent_again_and_a_replica_is_asked_for_its_link() {
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
    fn a_lost_primary_is_searched_for_at_each_poll_and_later_once_a_minute() {
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let replica = Some(Role::Replica(PrimaryLink::Up));
        let mut lost = LostPrimary::default();
        lost.note(replica, start);
        assert!(!lost.is_due(at(1)), "a replica from the start is what the configuration asks for");
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
        assert_eq!(polls(&mut lost, 615).len(), 20, "the search starts again when the primary is lost again");
    }
}
