//! A connection in use: the server on it, and how to send commands and collect replies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::{Instrument, Span, debug};

use super::{
    Command, Recorder, Request,
    connect::connect,
    connection::{Connection, Look},
    failure::no_reply,
    reply,
    resp::{Reply, Texts},
    role::RoleQuestions,
    sentinel::Sentinels,
    server_clock::ServerClock,
};
use crate::{
    clock::{self, Instant},
    config::{self, DEFAULT_PORT, Endpoint, Resp},
    model::{Class, Condition, Failure, Flavour, NodeAddress, Origin, Reason, Role, Server},
};

const SENTINEL: &str = "this is the port of a Sentinel, which holds no streams; write redis+sentinel://HOST:PORT/SERVICE for the Redis that it watches";

/// What a connection needs to know of its purpose and of earlier ones.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Past {
    /// The number of the last one, unique in the process; 0 before the first.
    pub(super) connection: u64,
    /// The last protocol.
    pub(super) protocol: Option<Resp>,
    /// Whether one was closed by the other side, so that it matters whether the next one is to the same server.
    pub(super) was_cut: bool,
    /// Whether the server does not reveal that.
    pub(super) is_anonymous: bool,
    /// Whether the user may not run `INFO`.
    pub(super) lacks_info: bool,
    /// Whether it is for a replica.
    pub(super) is_for_replica: bool,
    /// Connections with an unexpected reply. Earlier replies on them may belong to other commands.
    pub(super) disturbed: u64,
}

/// The number of the next connection. It is unique in the process, so that connections of several links are never confused.
pub(super) fn next_connection() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Commands that were handed over. Their replies may be collected in parts.
#[derive(Clone)]
pub(crate) struct Asked {
    span: Span,
    /// When the replies must have arrived.
    until: Instant,
    /// Whether they may be sent again on a new connection, if this one was closed before.
    may_repeat: bool,
    /// Whether long strings in the replies are kept.
    texts: Texts,
}

/// A connection in use.
pub(crate) struct Session {
    connection: Connection,
    /// The configuration that it was made with.
    redis: config::Redis,
    /// The node of a cluster that it leads to; `None`: the address of the configuration.
    node: Option<NodeAddress>,
    pub(super) past: Past,
    /// Whether nothing was sent since the last pause.
    is_rested: bool,
    is_default_user: bool,
    recorder: Arc<dyn Recorder>,
    pub(super) clock: ServerClock,
    pub(super) role: RoleQuestions,
    /// As of the last question about the role; unknown unless that was `INFO`.
    pub(super) condition: Condition,
    /// The run ID of the server's process.
    run_id: Option<String>,
    pub(crate) server: Server,
    pub(super) database: i64,
    pub(super) protocol: Resp,
    endpoint: Endpoint,
    is_tls: bool,
    place: String,
    /// How long replies may take.
    patience: Duration,
    /// They named this server, if the address names them.
    pub(super) sentinels: Sentinels,
}

impl Session {
    /// Makes a connection and learns which server answers. Takes the Sentinels over if that succeeds.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn open(
        redis: &config::Redis,
        node: Option<NodeAddress>,
        recorder: Arc<dyn Recorder>,
        past: Past,
        sentinels: &mut Sentinels,
    ) -> Result<Self, Failure> {
        let span = recorder.connecting();
        let opening = Self::open_now(redis, node, Arc::clone(&recorder), past, sentinels);
        let opened = opening.instrument(span.clone()).await;
        opened.inspect_err(|failure| recorder.failed(&span, failure))
    }

    async fn open_now(
        redis: &config::Redis,
        node: Option<NodeAddress>,
        recorder: Arc<dyn Recorder>,
        past: Past,
        sentinels: &mut Sentinels,
    ) -> Result<Self, Failure> {
        let connected = connect(redis, node.as_ref(), past.protocol, sentinels, &*recorder).await?;
        recorder.connected();
        let mut session = Self {
            connection: connected.connection,
            redis: redis.clone(),
            node,
            past: Past { protocol: Some(connected.protocol), ..past },
            is_rested: false,
            is_default_user: connected.is_default_user,
            recorder,
            clock: ServerClock::new(redis.billed_by_command),
            role: RoleQuestions::new(connected.protocol == Resp::V3),
            condition: Condition::default(),
            run_id: None,
            server: Server::UNKNOWN,
            database: connected.database,
            protocol: connected.protocol,
            endpoint: connected.endpoint,
            is_tls: connected.is_tls,
            place: connected.place,
            patience: redis.command_timeout,
            sentinels: std::mem::take(sentinels),
        };
        let introduced = session.introduce(connected.is_upstash).await.and_then(|()| session.is_as_named());
        if let Err(failure) = introduced {
            *sentinels = session.sentinels;
            return Err(failure);
        }
        Ok(session)
    }

    /// Whether the server is a primary, if Sentinels name it as one.
    fn is_as_named(&mut self) -> Result<(), Failure> {
        let is_primary = !self.server.role.is_some_and(Role::is_replica);
        let Some(service) = self.sentinels.service().filter(|_| !is_primary) else { return Ok(()) };
        let name = &service.name;
        let what = format!("a Sentinel names {} as the primary of {name}, and it is a replica", self.place);
        self.sentinels.doubt();
        Err(Failure::new(Reason::Replica, what))
    }

    /// The server, for people: with its service if it has one.
    pub(super) fn place(&self) -> String {
        match self.sentinels.service() {
            Some(service) => format!("{} at {}", service.name, self.place),
            None => self.place.clone(),
        }
    }

    /// The same for a server that Sentinels or a cluster have named; `None` for the server of the address.
    pub(crate) fn named_place(&self) -> Option<String> {
        let is_named = self.sentinels.service().is_some() || self.node.is_some();
        is_named.then(|| self.place())
    }

    /// Learns which server answers. Old servers and narrow permissions refuse some of the commands, which only costs knowledge.
    async fn introduce(&mut self, is_upstash: bool) -> Result<(), Failure> {
        let hello = self.is_resp3().then_some(Command::Hello);
        let wants_run_id = !is_upstash && self.wants_run_id();
        let info = (!self.is_resp3() || wants_run_id).then_some(Command::InfoServer);
        // According to its documentation, Upstash does not support `CLIENT NO-TOUCH`.
        let no_touch = (!is_upstash).then_some(Command::NoTouch);
        let commands: Vec<_> =
            hello.into_iter().chain(info).chain([Command::SetName]).chain(no_touch).collect();
        let mut replies = self.send_once(&commands).await?.into_iter();
        let hello = hello.and_then(|_| replies.next()?.ok());
        let info_reply = info.and_then(|_| replies.next()?.ok());
        let server = match (&hello, &info_reply) {
            (Some(hello), _) => reply::hello(hello).ok(),
            (None, Some(info)) => reply::info(info).ok(),
            (None, None) => None,
        };
        self.server = server.unwrap_or(Server::UNKNOWN);
        self.run_id = info_reply.as_ref().and_then(reply::run_id);
        self.past.is_anonymous |= info.is_some() && self.run_id.is_none();
        if is_upstash {
            self.server.flavour = Flavour::Upstash;
        }
        if self.past.is_for_replica && self.is_of_cluster() {
            self.send_once(&[Command::ReadOnly]).await?.pop().unwrap_or_else(|| Err(no_reply()))?;
        }
        self.learn_role().await
    }

    /// Whether to ask for the run ID, which lets knowledge about streams outlive the connection. Users with few permissions may not
    /// ask, so they do not until a connection is closed by the other side. Billed commands are not spent on it.
    const fn wants_run_id(&self) -> bool {
        let is_worth_it = self.past.was_cut || self.is_default_user;
        is_worth_it && !self.past.is_anonymous && !self.redis.billed_by_command
    }

    /// # Errors
    /// The server is a Sentinel, which has no streams.
    pub(super) fn has_streams(&self) -> Result<(), Failure> {
        match self.server.mode.as_deref() {
            Some("sentinel") => Err(Failure::new(Reason::Sentinel, SENTINEL)),
            _ => Ok(()),
        }
    }

    /// Makes the connection again, to send the same commands on it.
    async fn reopen(&mut self) -> Result<(), Failure> {
        debug!("the connection was closed before a reply; sending the commands again on a new one");
        let past = Past { connection: next_connection(), was_cut: true, ..self.past };
        let (node, recorder) = (self.node.clone(), Arc::clone(&self.recorder));
        let mut new = Self::open(&self.redis, node, recorder, past, &mut self.sentinels).await?;
        // The question about the role is among them, if there was one.
        new.role.take_over(&self.role);
        new.patience = self.patience;
        *self = new;
        Ok(())
    }

    /// How long replies may take from now on, at most `redis.command_timeout`.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience.min(self.redis.command_timeout);
    }

    /// Whether the connection was made with this configuration.
    pub(super) fn is_by(&self, redis: &config::Redis) -> bool {
        self.redis == *redis
    }

    /// What the next connection needs to know.
    pub(super) const fn past(&self) -> Past {
        self.past
    }

    /// Looks at the connection before it is used again, without waiting.
    ///
    /// # Errors
    /// As [`look`](Connection::look).
    pub(super) fn rest(&mut self) -> Result<Look, Failure> {
        self.is_rested = true;
        self.connection.look()
    }

    /// The number of this connection, unique in the process.
    pub(crate) const fn number(&self) -> u64 {
        self.past.connection
    }

    /// Which server this is. A server whose role has changed counts as another one.
    pub(super) fn origin(&self) -> Origin {
        let of_process = |(run_id, role): (&String, Role)| {
            format!("{run_id}, {}, database {}, {}", role.as_str(), self.database, self.past.disturbed)
        };
        // Some services may reply from a replica that lags behind.
        let is_telling = !self.server.terms().reads_may_lag;
        let process = self.run_id.as_ref().zip(self.server.role).filter(|_| is_telling).map(of_process);
        Origin { connection: self.number(), process }
    }

    /// Whether the server is in cluster mode.
    pub(super) fn is_of_cluster(&self) -> bool {
        self.server.is_of_cluster()
    }

    /// Its address; that of this machine for a socket.
    pub(crate) fn node_address(&self) -> NodeAddress {
        let Endpoint { address, port } = &self.endpoint;
        NodeAddress::new(address, port.unwrap_or(DEFAULT_PORT)).unwrap_or_else(|_socket| NodeAddress::local())
    }

    /// Whether the connection is encrypted.
    pub(super) const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The data set that was requested.
    pub(super) fn source(&self) -> String {
        let Endpoint { address, port } = &self.endpoint;
        match self.sentinels.service() {
            Some(service) => format!("{service} {}", self.database),
            None => format!("{address} {port:?} {}", self.database),
        }
    }

    pub(super) fn is_resp3(&self) -> bool {
        self.protocol == Resp::V3
    }

    /// Sends the commands as one pipeline, in one round trip, and returns a result for each.
    ///
    /// # Errors
    /// The connection failed, or the server as a whole cannot answer: then no single reply counts. Not cancel-safe: a caller that
    /// gives up must drop the connection.
    pub(crate) async fn send<R: Request>(
        &mut self,
        commands: &[R],
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        let asked = self.ask(commands, 0).await?;
        self.answers(commands, asked).await
    }

    /// The first half of [`send`](Self::send): sends the commands. The caller can work while the server does. `behind` is how
    /// many replies to earlier commands the caller still awaits.
    pub(crate) async fn ask<R: Request>(&mut self, commands: &[R], behind: usize) -> Result<Asked, Failure> {
        let is_rested = std::mem::take(&mut self.is_rested);
        let may_repeat = is_rested && behind == 0 && commands.iter().all(Request::may_repeat);
        match self.hand_over(commands, behind).await {
            Err(failure) if may_repeat && failure.reason == Reason::Closed => {
                self.reopen().await?;
                self.hand_over(commands, behind).await
            }
            asked => asked.map(|asked| Asked { may_repeat, ..asked }),
        }
    }

    /// The second half: returns a result for each command, as [`send`](Self::send) does.
    pub(crate) async fn answers<R: Request>(
        &mut self,
        commands: &[R],
        asked: Asked,
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        let may_repeat = asked.may_repeat;
        match self.collect(commands, asked).await {
            Err(failure)
                if may_repeat && failure.reason == Reason::Closed && !self.connection.has_heard() =>
            {
                self.reopen().await?;
                self.send_once(commands).await
            }
            replies => replies,
        }
    }

    /// [`send`](Self::send), on this connection and no other.
    pub(super) async fn send_once<R: Request>(
        &mut self,
        commands: &[R],
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        let asked = self.hand_over(commands, 0).await?;
        self.collect(commands, asked).await
    }

    async fn hand_over<R: Request>(&mut self, commands: &[R], behind: usize) -> Result<Asked, Failure> {
        let labels: Vec<_> = commands.iter().map(Request::label).collect();
        let span = self.recorder.sending(&labels, &self.endpoint, self.database);
        let until = clock::now() + self.patience;
        let mut packed = Vec::new();
        for command in commands {
            command.encode().write_packed_command(&mut packed);
        }
        let texts = if commands.iter().all(Request::has_long_names) { Texts::Whole } else { Texts::Sizes };
        let send = async |connection: &mut Connection| connection.send(&packed, commands.len(), behind).await;
        let sent = self.in_time(until, send);
        match sent.instrument(span.clone()).await {
            Ok(()) => Ok(Asked { span, until, may_repeat: false, texts }),
            Err(failure) => {
                self.recorder.failed(&span, &failure);
                Err(failure)
            }
        }
    }

    async fn collect<R: Request>(
        &mut self,
        commands: &[R],
        Asked { span, until, texts, .. }: Asked,
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        let replies = self.in_time(until, async |connection| {
            let mut replies = Vec::with_capacity(commands.len());
            for _ in commands {
                replies.push(connection.receive(texts).await?);
            }
            // If one more reply arrived, each of these may belong to an earlier command.
            if connection.awaited() == 0 {
                connection.look()?;
            }
            Ok(replies)
        });
        let replies = replies.instrument(span.clone()).await;
        let result: Result<Vec<_>, _> =
            replies.and_then(|all| all.into_iter().map(whole_or_single).collect());
        let replies = result.inspect_err(|failure| self.recorder.failed(&span, failure))?;
        let failures =
            || commands.iter().zip(&replies).filter_map(|(of, reply)| Some((of, reply.as_ref().err()?)));
        if let Some((_, failure)) = failures().next() {
            self.recorder.failed(&span, failure);
        }
        for (command, failure) in failures().filter(|(_, failure)| is_refusal(failure)) {
            self.recorder.refused(command.label(), failure);
        }
        Ok(replies)
    }

    async fn in_time<T>(
        &mut self,
        until: Instant,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let patience = self.patience;
        let no_answer = |_elapsed| Failure::new(Reason::Timeout, format!("no answer within {patience:?}"));
        let done = tokio::select! {
            biased;
            done = tokio::time::timeout_at(until, work(&mut self.connection)) => done.map_err(no_answer).flatten(),
            failure = self.sentinels.name_another_meanwhile(&self.redis) => Err(failure),
        };
        done.map_err(|failure| failure.at(&self.place))
    }
}

const fn is_refusal(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::NoPermission | Reason::Unsupported)
}

/// Separates failures of the whole server (outer) from those of a single command (inner).
fn whole_or_single(reply: Result<Reply, Failure>) -> Result<Result<Reply, Failure>, Failure> {
    match reply {
        Err(failure) if failure.class() != Class::Object => Err(failure),
        reply => Ok(reply),
    }
}
