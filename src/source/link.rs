//! One connection to Redis and how it is kept: made when it is needed, dropped when it is of no more use.
//!
//! Any failure of [`Class::Reconnect`] drops the connection, and the next use makes a new one: a command that timed
//! out may be answered later, when another one has been asked.

use std::{sync::Arc, time::Duration};

use tracing::{Instrument, Span, info, warn};

use super::{
    Command, Request,
    connect::connect,
    connection::Connection,
    reply,
    resp::{Reply, Texts},
    role::{LostPrimary, RoleQuestions},
    server_clock::ServerClock,
};
use crate::{
    clock::{self, Instant},
    config::{self, Endpoint, Resp},
    model::{Class, Failure, Flavour, Reason, Server},
    self_stats::SelfStats,
    spans,
};

/// What is shown does not need these, and some services refuse them to everybody, in the words of a missing permission.
const OPTIONAL: [&str; 4] = ["client_setname", "client_no_touch", "info", "role"];

/// A connection, while there is one.
pub struct Link {
    stats: Arc<SelfStats>,
    session: Option<Session>,
    connections: u64,
    lost: LostPrimary,
}

impl Link {
    /// A link that connects at its first use.
    #[must_use]
    pub fn new(stats: Arc<SelfStats>) -> Self {
        Self { stats, session: None, connections: 0, lost: LostPrimary::default() }
    }

    /// The connection, made now if there is none.
    ///
    /// # Errors
    /// Why there can be none.
    pub(crate) async fn session(&mut self, redis: &config::Redis) -> Result<&mut Session, Failure> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                self.connections += 1;
                let span = spans::connect();
                let opened = Session::open(redis, Arc::clone(&self.stats), self.connections);
                let opened = opened.instrument(span.clone()).await;
                spans::ended(&span, &opened);
                opened?
            }
        };
        Ok(self.session.insert(session))
    }

    /// Takes in how something on the connection ended: lets it go if the failure says that it is of no more use.
    ///
    /// Whether the server's role has changed meanwhile, so that it is to be done once more, on a new connection: another
    /// server may answer there.
    pub(crate) fn after<T>(&mut self, result: &Result<T, Failure>) -> bool {
        if let Some(session) = &self.session {
            self.lost.note(session.server.role, clock::now());
        }
        let Err(failure) = result else { return false };
        // What a replica says while it has nothing to show: behind the same name a primary may answer.
        let may_be_elsewhere =
            matches!(failure.reason, Reason::Loading | Reason::MasterDown | Reason::ReplicaLinkDown);
        if may_be_elsewhere || failure.reason.class() == Class::Reconnect {
            self.disconnect();
        }
        failure.reason == Reason::RoleChanged
    }

    /// Lets the connection to a replica go from time to time where a primary answered before. To be called before each
    /// reading, so that all of it is from one server.
    pub(crate) fn look_for_primary(&mut self) {
        if self.lost.is_due(clock::now()) {
            self.disconnect();
        }
    }

    /// Lets the connection go: the next use makes a new one.
    pub fn disconnect(&mut self) {
        self.session = None;
    }
}

/// Commands that were handed over.
pub(super) struct Asked {
    span: Span,
    /// When the answers must be there.
    until: Instant,
}

/// A connection in use.
pub(crate) struct Session {
    connection: Connection,
    command_timeout: Duration,
    stats: Arc<SelfStats>,
    pub(super) clock: ServerClock,
    pub(super) role: RoleQuestions,
    /// Which connection of its link this is.
    pub(super) number: u64,
    pub(crate) server: Server,
    pub(super) database: i64,
    pub(super) protocol: Resp,
    endpoint: Endpoint,
}

impl Session {
    async fn open(redis: &config::Redis, stats: Arc<SelfStats>, number: u64) -> Result<Self, Failure> {
        let connected = connect(redis).await?;
        stats.connections.inc();
        let mut session = Self {
            connection: connected.connection,
            command_timeout: redis.command_timeout,
            stats,
            clock: ServerClock::new(redis.billed_by_command),
            role: RoleQuestions::new(connected.protocol == Resp::V3),
            number,
            server: Server::UNKNOWN,
            database: connected.database,
            protocol: connected.protocol,
            endpoint: connected.endpoint,
        };
        session.introduce(connected.is_upstash).await?;
        Ok(session)
    }

    /// Learns who answers. Old servers and narrow permissions refuse some of it, which costs knowledge only.
    async fn introduce(&mut self, is_upstash: bool) -> Result<(), Failure> {
        let is_resp3 = self.is_resp3();
        let identity = if is_resp3 { Command::Hello } else { Command::InfoServer };
        // By its documentation Upstash does not know the last one.
        let no_touch = (!is_upstash).then_some(Command::NoTouch);
        let commands: Vec<_> = [identity, Command::SetName].into_iter().chain(no_touch).collect();
        let mut replies = self.send(&commands).await?.into_iter();
        if let Some(Ok(reply)) = replies.next() {
            let server = if is_resp3 { reply::hello(&reply) } else { reply::info(&reply) };
            self.server = server.unwrap_or(Server::UNKNOWN);
        }
        if is_upstash {
            self.server.flavour = Flavour::Upstash;
        }
        self.learn_role().await
    }

    pub(super) fn is_resp3(&self) -> bool {
        self.protocol == Resp::V3
    }

    /// Sends the commands as one pipeline, one round trip, and gives a result for each.
    ///
    /// # Errors
    /// Where the connection failed, or the server as a whole could not answer: then no single reply is worth
    /// anything. Not cancel-safe: a caller that gives up must drop the connection.
    pub(crate) async fn send<R: Request>(
        &mut self,
        commands: &[R],
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        let asked = self.ask(commands).await?;
        self.answers(commands, asked).await
    }

    /// The first half of [`send`](Self::send): hands the commands over. What is done before the second half is
    /// done while the server works.
    pub(super) async fn ask<R: Request>(&mut self, commands: &[R]) -> Result<Asked, Failure> {
        let span = spans::pipeline(commands, &self.endpoint, self.database);
        let until = clock::now() + self.command_timeout;
        let mut packed = Vec::new();
        for command in commands {
            self.stats.command(command.label());
            command.encode().write_packed_command(&mut packed);
        }
        self.stats.round_trips.inc();
        let texts = if commands.iter().all(Request::has_long_names) { Texts::Whole } else { Texts::Sizes };
        let send = async |connection: &mut Connection| connection.send(&packed, commands.len(), texts).await;
        let sent = self.in_time(until, send);
        let sent = sent.instrument(span.clone()).await;
        spans::ended(&span, &sent);
        sent.map(|()| Asked { span, until })
    }

    /// The second half: a result for each command, as [`send`](Self::send) gives it.
    pub(super) async fn answers<R: Request>(
        &mut self,
        commands: &[R],
        Asked { span, until }: Asked,
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        let replies = self.in_time(until, async |connection| {
            let mut replies = Vec::with_capacity(commands.len());
            for _ in commands {
                replies.push(connection.receive().await?);
            }
            Ok(replies)
        });
        let replies = replies.instrument(span.clone()).await;
        let result: Result<Vec<_>, _> =
            replies.and_then(|all| all.into_iter().map(whole_or_single).collect());
        spans::ended(&span, &result);
        let replies = result?;
        replies.iter().find(|reply| reply.is_err()).inspect(|reply| spans::ended(&span, reply));
        for (command, reply) in commands.iter().zip(&replies) {
            self.note_refusal(command.label(), reply.as_ref().err());
        }
        Ok(replies)
    }

    async fn in_time<T>(
        &mut self,
        until: Instant,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let timeout = self.command_timeout;
        let no_answer = |_elapsed| Failure::new(Reason::Timeout, format!("no answer within {timeout:?}"));
        tokio::time::timeout_at(until, work(&mut self.connection)).await.map_err(no_answer).flatten()
    }

    /// Names a command that the user may not run, or that the server does not know, once: what it would have told is
    /// missing from then on.
    fn note_refusal(&self, command: &'static str, failure: Option<&Failure>) {
        let is_told =
            |failure: &&Failure| matches!(failure.reason, Reason::NoPermission | Reason::Unsupported);
        let Some(Failure { reason, detail, .. }) = failure.filter(is_told) else { return };
        if !self.stats.is_first_refusal(command) {
            return;
        }
        if *reason == Reason::NoPermission && OPTIONAL.contains(&command) {
            info!(command, %detail, "Redis refuses an optional command; all metrics of a primary are complete without it");
        } else if *reason == Reason::NoPermission {
            warn!(
                command,
                %detail,
                "Redis refuses a command; `streamwarden acl` prints the rule that permits it; some hosted services \
                 refuse it to every user"
            );
        } else {
            info!(
                command,
                %detail,
                "Redis does not know a command, or refuses it; what it would have told or done is missing"
            );
        }
    }
}

/// For a command that was left without one.
pub(crate) fn no_reply() -> Failure {
    Failure::new(Reason::Protocol, "fewer replies than commands")
}

/// Parts the failures of the whole server (outer) from those of the single command (inner).
fn whole_or_single(reply: Result<Reply, Failure>) -> Result<Result<Reply, Failure>, Failure> {
    match reply {
        Err(failure) if failure.reason.class() != Class::Object => Err(failure),
        reply => Ok(reply),
    }
}
