//! Reads where the groups of some streams are: the clock, and one command a stream, in one pipeline to each server. Single entries
//! that are followed have one each.
//!
//! This is sent several times a second, so it asks for nothing that depends on the size of a stream or of its entries. The role is asked
//! as often as polls do.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use tokio::time::timeout;
use tracing::warn;

use super::{
    Command, Link,
    failure::no_reply,
    names::Names,
    nodes::{Arranged, Cluster, Member, Nodes, PerNode, STOOD_STILL},
    positions::{is_first, positions},
    reply,
};
use crate::{
    clock::{self, Instant},
    config::Config,
    model::{Failure, GroupsAt, Millis, Name, Reason, StreamId, TickQuestion, TickTime},
};

/// How long a node of a cluster may take, since the ticks of the others wait for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one that did not answer is left alone.
const REST: Duration = Duration::from_secs(5);

/// Reads ticks, with connections of its own.
pub struct TickReader {
    nodes: Nodes<TickNode>,
}

/// The reader of one server.
struct TickNode {
    link: Link,
    names: Names,
    /// When its role was last asked for.
    checked_at: Option<Instant>,
    refused: Refused,
}

/// The streams whose pending entries the user may not ask for, on the connection with this number.
#[derive(Default)]
struct Refused {
    connection: u64,
    streams: BTreeSet<Name>,
}

impl PerNode for TickNode {
    fn new(link: Link) -> Self {
        Self { link, names: Names::default(), checked_at: None, refused: Refused::default() }
    }

    fn link(&mut self) -> &mut Link {
        &mut self.link
    }
}

impl TickReader {
    /// A reader that connects at its first tick.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { nodes: Nodes::new(link) }
    }

    /// Reads the groups of these streams; `None` for one that can't be read now. Not cancel-safe: a caller that gives up must
    /// [`reconnect`](Self::reconnect).
    ///
    /// # Errors
    /// The server does not answer; in a cluster, if no node does.
    pub async fn read(
        &mut self,
        config: &Config,
        questions: &[TickQuestion],
    ) -> Result<Vec<Option<GroupsAt>>, Failure> {
        match self.nodes.arrange(config).await? {
            Arranged::Plain(node) => {
                let questions: Vec<_> = questions.iter().collect();
                node.read(config, &questions).await.map(|(read, _)| read)
            }
            Arranged::Cluster(cluster) => of_cluster(cluster, config, questions).await,
        }
    }

    /// Asks again what was refused: the configuration was reloaded.
    pub fn ask_all_again(&mut self) {
        self.nodes.each(|node| node.refused = Refused::default());
    }

    /// Drops the connections, so that the next tick makes new ones.
    pub fn reconnect(&mut self) {
        self.nodes.disconnect();
    }
}

/// Asks each primary for the streams of its slots, all at the same time.
async fn of_cluster(
    cluster: &mut Cluster<TickNode>,
    config: &Config,
    questions: &[TickQuestion],
) -> Result<Vec<Option<GroupsAt>>, Failure> {
    let mut parts = vec![Vec::new(); cluster.members.len()];
    for (place, question) in questions.iter().enumerate() {
        let owner = cluster.owner(question.stream.as_bytes());
        if let Some(part) = owner.and_then(|owner| parts.get_mut(owner)) {
            part.push((place, question));
        }
    }
    let members = cluster.members.iter_mut().zip(&parts).filter(|(_, part)| !part.is_empty());
    let read = join_all(members.map(async |(member, part)| (member.read(config, part).await, part))).await;
    let mut all: Vec<Option<GroupsAt>> = questions.iter().map(|_| None).collect();
    let (mut is_in_doubt, mut failure, mut any) = (false, None, read.is_empty());
    for (result, part) in read {
        match result {
            Ok((read, is_elsewhere)) => {
                (is_in_doubt, any) = (is_in_doubt || is_elsewhere, true);
                for ((place, _), groups) in part.iter().zip(read) {
                    if let Some(slot) = all.get_mut(*place) {
                        *slot = groups;
                    }
                }
            }
            Err(error) => (is_in_doubt, failure) = (true, Some(error)),
        }
    }
    if is_in_doubt {
        cluster.doubt();
    }
    failure.filter(|_| !any).map_or(Ok(all), Err)
}

impl Member<TickNode> {
    async fn read(
        &mut self,
        config: &Config,
        questions: &[(usize, &TickQuestion)],
    ) -> Result<(Vec<Option<GroupsAt>>, bool), Failure> {
        self.rest(REST)?;
        let (had_failed, started) = (self.failing.is_some(), clock::now());
        let questions: Vec<_> = questions.iter().map(|(_, question)| *question).collect();
        let read = match self.knock(config).await {
            Ok(()) => {
                timeout(PATIENCE, self.node.read(config, &questions)).await.unwrap_or_else(|_elapsed| {
                    self.node.link.disconnect();
                    Err(Failure::new(Reason::Timeout, format!("no answer within {PATIENCE:?}")))
                })
            }
            Err(failure) => Err(failure),
        };
        self.note(&read);
        if is_doubtful(had_failed, clock::now() - started, config.latency.tick) {
            // After a failure the topology is read again: another node may have the streams by now.
            return read.map(|_| (questions.iter().map(|_| None).collect(), had_failed));
        }
        read
    }
}

/// Whether a node of a cluster may have stood still and been replaced meanwhile: it first answers with what it had before.
fn is_doubtful(had_failed: bool, took: Duration, tick: Duration) -> bool {
    had_failed || took > tick.max(STOOD_STILL)
}

impl TickNode {
    /// The groups of each stream, and whether a stream is said to be on another node.
    async fn read(
        &mut self,
        config: &Config,
        questions: &[&TickQuestion],
    ) -> Result<(Vec<Option<GroupsAt>>, bool), Failure> {
        let result = self.read_now(config, questions).await;
        if self.link.after(&result) {
            self.checked_at = None;
        }
        result
    }

    async fn read_now(
        &mut self,
        config: &Config,
        questions: &[&TickQuestion],
    ) -> Result<(Vec<Option<GroupsAt>>, bool), Failure> {
        let is_check = self.checked_at.is_none_or(|at| at.elapsed() >= config.poll.interval);
        if is_check {
            self.names.turn();
            self.link.look_for_primary(&config.redis).await;
        }
        let session = self.link.session(&config.redis).await?;
        session.has_streams()?;
        let role = if is_check { session.role_question() } else { None };
        self.refused.on(session.number());
        let of_streams = questions.iter().flat_map(|question| {
            let stream = &question.stream;
            let pending = self
                .refused
                .entries_of(question)
                .iter()
                .map(move |(group, id)| Command::Pending(stream, group, *id, 1));
            [Command::Groups(stream)].into_iter().chain(pending)
        });
        let commands: Vec<_> = role.into_iter().chain([Command::Time]).chain(of_streams).collect();
        let sent = clock::now();
        let mut replies = session.send(&commands).await?.into_iter();
        let took = Millis::from(clock::now() - sent).get() + 1;
        if is_check {
            session.note_role(&mut replies)?;
            self.checked_at = Some(sent);
        }
        session.may_be_read(&config.redis)?;
        let from = reply::server_time(&replies.next().unwrap_or_else(|| Err(no_reply()))?)?.0;
        let (origin, time) = (session.origin(), TickTime { from, to: from.saturating_add(took) });
        let (mut is_elsewhere, mut refused) = (false, Vec::new());
        let mut read = Vec::with_capacity(questions.len());
        for question in questions {
            let reply = replies.next().unwrap_or_else(|| Err(no_reply()));
            is_elsewhere |= reply.as_ref().is_err_and(|failure| {
                matches!(failure.reason, Reason::Moved | Reason::Ask | Reason::ClusterDown)
            });
            // In the order in which they were asked for, also if the groups can't be read.
            let entries = self.refused.entries_of(question);
            let of_entries: Vec<_> = replies.by_ref().take(entries.len()).collect();
            let is_refused = |reply: &Result<_, Failure>| {
                reply.as_ref().is_err_and(|failure| failure.reason == Reason::NoPermission)
            };
            if of_entries.iter().any(is_refused) {
                refused.push(question.stream.clone());
            }
            let pending = entries.iter().zip(of_entries).filter_map(|((group, id), reply)| {
                Some((group.clone(), *id, is_first(*id, &reply.ok()?).ok()?))
            });
            let (origin, pending) = (origin.clone(), pending.collect());
            let groups =
                reply.and_then(|reply| positions(&reply, &self.names, config.limits.groups_per_stream));
            read.push(groups.ok().map(|groups| GroupsAt { origin, time, groups, pending }));
        }
        self.refused.add(refused);
        Ok((read, is_elsewhere))
    }
}

impl Refused {
    /// Forgets what was refused on another connection: the user may be another one, or may do more.
    fn on(&mut self, connection: u64) {
        if self.connection != connection {
            *self = Self { connection, ..Self::default() };
        }
    }

    /// The entries to ask for.
    fn entries_of<'a>(&self, question: &'a TickQuestion) -> &'a [(Name, StreamId)] {
        if self.streams.contains(&question.stream) { &[] } else { &question.entries }
    }

    fn add(&mut self, streams: Vec<Name>) {
        if let (true, Some(stream)) = (self.streams.is_empty(), streams.first()) {
            warn!(%stream, "the user may not run XPENDING, so no entries are followed: permit +xpending, then reload or reconnect");
        }
        self.streams.extend(streams);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_failed_or_stood_still_is_doubted() {
        let (tick, ms) = (Duration::from_millis(250), Duration::from_millis);
        for (had_failed, took, tick, expected) in [
            (false, ms(1), tick, false),
            (true, ms(1), tick, true),
            (false, ms(500), tick, false),
            (false, ms(501), tick, true),
            (false, ms(900), ms(1_000), false),
        ] {
            assert_eq!(is_doubtful(had_failed, took, tick), expected, "{had_failed} {took:?} {tick:?}");
        }
    }

    #[test]
    fn what_was_refused_is_not_asked_again_on_the_same_connection() {
        let question = TickQuestion { stream: "s".into(), entries: vec![("g".into(), StreamId::new(1, 0))] };
        let other = TickQuestion { stream: "other".into(), ..question.clone() };
        let asked = |refused: &Refused| [&question, &other].map(|it| refused.entries_of(it).len());
        let mut refused = Refused::default();
        refused.on(7);
        assert_eq!(asked(&refused), [1, 1]);
        refused.add(vec!["s".into()]);
        refused.on(7);
        assert_eq!(asked(&refused), [0, 1]);
        refused.on(8);
        assert_eq!(asked(&refused), [1, 1]);
    }
}
