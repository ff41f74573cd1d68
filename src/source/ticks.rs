//! Reads where the groups of some streams are: the clock, and one command a stream, in one pipeline to each server. Single entries
//! that are followed have one each.
//!
//! This is sent several times a second, so it asks for nothing that depends on the size of a stream or of its entries. The role is asked
//! as often as polls do.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{
    Command, Link,
    failure::no_reply,
    names::Names,
    nodes::{Arranged, Cluster, Member, Nodes, PerNode},
    positions::{is_first, positions},
    reply,
};
use crate::{
    clock::{self, Instant},
    config::Config,
    model::{Failure, GroupsAt, Millis, Reason, TickQuestion, TickTime},
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
}

impl PerNode for TickNode {
    fn new(link: Link) -> Self {
        Self { link, names: Names::default(), checked_at: None }
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
        read
    }
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
        let of_streams = questions.iter().flat_map(|TickQuestion { stream, entries }| {
            let pending = entries.iter().map(move |(group, id)| Command::Pending(stream, group, *id, 1));
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
        let mut is_elsewhere = false;
        let mut read = Vec::with_capacity(questions.len());
        for question in questions {
            let reply = replies.next().unwrap_or_else(|| Err(no_reply()));
            is_elsewhere |= reply.as_ref().is_err_and(|failure| {
                matches!(failure.reason, Reason::Moved | Reason::Ask | Reason::ClusterDown)
            });
            // In the order in which they were asked for, also if the groups can't be read.
            let of_entries = replies.by_ref().take(question.entries.len());
            let asked = question.entries.iter().zip(of_entries);
            let pending = asked.filter_map(|((group, id), reply)| {
                Some((group.clone(), *id, is_first(*id, &reply.ok()?).ok()?))
            });
            let (origin, pending) = (origin.clone(), pending.collect());
            let groups =
                reply.and_then(|reply| positions(&reply, &self.names, config.limits.groups_per_stream));
            read.push(groups.ok().map(|groups| GroupsAt { origin, time, groups, pending }));
        }
        Ok((read, is_elsewhere))
    }
}
