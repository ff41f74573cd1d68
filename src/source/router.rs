//! Single commands to the server that has their key, for everything that writes.

use std::time::Duration;

use redis::Cmd;

use super::{
    Command, Link, Request,
    nodes::{Arranged, Nodes},
    redirect::RedirectKind,
    resp::Reply,
    session::Session,
};
use crate::{
    config::Config,
    model::{Class, Failure, NodeAddress, Reason},
};

/// How long a node that did not answer is left alone, so that each of its streams does not wait for it.
const REST: Duration = Duration::from_secs(5);

/// A command, perhaps behind `ASKING`, without which a node of a cluster does not execute it while its slot is being moved there.
enum Behind<'a, R> {
    Asking,
    Command(&'a R),
}

impl<R: Request> Request for Behind<'_, R> {
    fn label(&self) -> &'static str {
        match self {
            Self::Asking => Command::Asking.label(),
            Self::Command(command) => command.label(),
        }
    }

    fn encode(&self) -> Cmd {
        match self {
            Self::Asking => Command::Asking.encode(),
            Self::Command(command) => command.encode(),
        }
    }

    fn may_repeat(&self) -> bool {
        // On another connection nothing is behind `ASKING`.
        matches!(self, Self::Command(command) if command.may_repeat())
    }

    fn key(&self) -> Option<&[u8]> {
        None
    }

    fn has_long_names(&self) -> bool {
        match self {
            // Its reply has no strings.
            Self::Asking => true,
            Self::Command(command) => command.has_long_names(),
        }
    }
}

/// Sends commands, each behind `ASKING` if it is needed. Returns a result for each of them.
///
/// # Errors
/// As [`Session::send`].
pub(crate) async fn send_behind<R: Request>(
    session: &mut Session,
    asking: bool,
    commands: &[&R],
) -> Result<Vec<Result<Reply, Failure>>, Failure> {
    let behind = |command| asking.then_some(Behind::Asking).into_iter().chain([Behind::Command(command)]);
    let all: Vec<Behind<'_, R>> = commands.iter().copied().flat_map(behind).collect();
    let replies = session.send(&all).await?.into_iter();
    let is_own = |(index, _): &(usize, _)| !asking || index % 2 == 1;
    Ok(replies.enumerate().filter(is_own).map(|(_, reply)| reply).collect())
}

/// Finds the server that has a key.
pub struct Router {
    nodes: Nodes<Link>,
    /// Where the last redirection led.
    redirected: Option<Destination>,
    /// The member that was used last.
    current: Option<usize>,
}

struct Destination {
    key: Vec<u8>,
    to: NodeAddress,
    /// Whether each command must be behind `ASKING`.
    asking: bool,
}

/// What follows from the result of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The result stands.
    Keep,
    /// Another server has the key, or the same one in another role. The command was not executed.
    AskAgain,
}

impl Router {
    /// A router that connects at its first command.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { nodes: Nodes::new(link), redirected: None, current: None }
    }

    /// The connection to the server that has the key, and whether a command for the key must be behind `ASKING`.
    ///
    /// # Errors
    /// There is no connection, or no node serves the key's slot.
    pub(crate) async fn session(
        &mut self,
        config: &Config,
        key: &[u8],
    ) -> Result<(&mut Session, bool), Failure> {
        self.current = None;
        match self.nodes.arrange(config).await? {
            Arranged::Plain(link) => Ok((link.session(&config.redis).await?, false)),
            Arranged::Cluster(cluster) => {
                let redirected = self.redirected.as_ref().filter(|redirected| redirected.key == key);
                let owner = match redirected {
                    Some(redirected) => Some(cluster.member_at(&redirected.to)),
                    None => cluster.owner(key),
                };
                let unserved = || {
                    Failure::new(
                        Reason::ClusterDown,
                        "CLUSTERDOWN Hash slot not served: no node of the cluster has the slot of the key",
                    )
                };
                let member = owner.and_then(|owner| cluster.members.get_mut(owner)).ok_or_else(unserved)?;
                member.rest(REST)?;
                self.current = owner;
                let connected = member.knock(config).await;
                member.note(&connected);
                connected?;
                let session = member.node.session(&config.redis).await?;
                Ok((session, redirected.is_some_and(|redirected| redirected.asking)))
            }
        }
    }

    /// Whether the server may be written to, by the word of the Sentinels that the address names.
    ///
    /// # Errors
    /// They name another primary, or none of them answers. Nothing may be written then.
    pub(crate) async fn confirm_primary(&mut self, config: &Config) -> Result<(), Failure> {
        match self.nodes.arranged() {
            Arranged::Plain(link) => link.confirm_primary(&config.redis).await,
            Arranged::Cluster(_) => Ok(()),
        }
    }

    /// Takes the result of a command for the key, and drops the connection if it can no longer be used.
    pub(crate) fn after<T>(&mut self, config: &Config, key: &[u8], result: &Result<T, Failure>) -> Next {
        let cluster = match self.nodes.arranged() {
            Arranged::Plain(link) => {
                return if link.after(result) { Next::AskAgain } else { Next::Keep };
            }
            Arranged::Cluster(cluster) => cluster,
        };
        let Some(member) = self.current.and_then(|current| cluster.members.get_mut(current)) else {
            return Next::Keep;
        };
        member.node.after(result);
        let Err(failure) = result else { return Next::Keep };
        let redirect = member.redirect(failure, config);
        if failure.class() != Class::Object && failure.reason != Reason::RoleChanged {
            member.note(result);
        }
        let is_of_server = failure.class() != Class::Object;
        if is_of_server || matches!(failure.reason, Reason::Moved | Reason::ClusterDown) {
            cluster.doubt();
        }
        if is_of_server {
            self.redirected = None;
        }
        if !matches!(failure.reason, Reason::Moved | Reason::Ask | Reason::RoleChanged | Reason::ReadOnly) {
            return Next::Keep;
        }
        self.redirected = redirect.map(|redirect| Destination {
            key: key.to_vec(),
            to: redirect.to,
            asking: redirect.kind == RedirectKind::Ask,
        });
        Next::AskAgain
    }

    /// The number of the connection that was used last; 0 without one.
    pub(crate) fn connection(&mut self) -> u64 {
        match (self.nodes.arranged(), self.current) {
            (Arranged::Plain(link), _) => link.number(),
            (Arranged::Cluster(cluster), Some(current)) => {
                cluster.members.get(current).map_or(0, |member| member.node.number())
            }
            (Arranged::Cluster(_), None) => 0,
        }
    }

    /// Begins work of its own: earlier redirections are over.
    pub(crate) fn begin(&mut self) {
        self.redirected = None;
    }

    /// Whether there are several servers, so that one that does not answer says nothing about the others.
    pub(crate) fn is_of_cluster(&mut self) -> bool {
        matches!(self.nodes.arranged(), Arranged::Cluster(_))
    }

    /// Drops the connections, so that the next command makes new ones.
    pub fn disconnect(&mut self) {
        self.nodes.disconnect();
    }
}
