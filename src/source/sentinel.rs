//! Asks the Sentinels of an address which server is the primary of its service.
//!
//! They are asked at each connection, each second while a reply is overdue or nothing is to be done, and before each write. A primary
//! that was suspended accepts writes for ten seconds after it continues, until the Sentinels have demoted it. So its own word is not
//! enough. Nor is a subscription: the Sentinels publish a failover seconds after they answer with the new primary.
//!
//! The first Sentinel that answers is believed, as by other clients. The next question goes to the same one, on the same connection.

use std::time::Duration;

use redis::Cmd;
use secrecy::ExposeSecret;
use tokio::time::{sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::{
    connection::{Connection, Look},
    failure::{needs_no_password, no_reply, without_password},
    files, reply,
    resp::{Reply, Texts},
    tls_words::{IS_TLS, NOT_TLS},
    transport,
};
use crate::{
    clock::{self, Instant},
    config::{self, Route, Service},
    model::{Class, Failure, NodeAddress, Reason},
};

/// Time between two questions while nothing else is to be done.
const PAUSE: Duration = Duration::from_secs(1);
/// A Sentinel answers from memory. One that takes longer is frozen or unreachable, and the next one is asked.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Before a reading they are not asked again for this long.
const RECENT: Duration = Duration::from_secs(5);
/// How long an answer permits writes. It only bounds how often a run of many steps asks.
const FRESH: Duration = Duration::from_millis(100);

/// The Sentinels of an address. Empty for an address that names none.
#[derive(Default)]
pub(super) struct Sentinels {
    service: Option<Service>,
    /// The Sentinel to ask first: the one that answered last.
    first: usize,
    /// The connection to it.
    open: Option<Connection>,
    /// The primary, as they named it last, and when.
    named: Option<(NodeAddress, Instant)>,
    /// When they were asked last.
    asked: Option<Instant>,
    is_silent: bool,
}

impl Sentinels {
    /// The service that the last connection was made for.
    pub(super) const fn service(&self) -> Option<&Service> {
        self.service.as_ref()
    }

    /// Forgets the Sentinels: the address names a server.
    pub(super) fn clear(&mut self) {
        if self.service.is_some() {
            *self = Self::default();
        }
    }

    /// The primary of this service. Takes less than `redis.connect_timeout`, so that time is left to connect to it.
    ///
    /// # Errors
    /// No Sentinel names one.
    pub(super) async fn primary(
        &mut self,
        service: &Service,
        redis: &config::Redis,
    ) -> Result<NodeAddress, Failure> {
        if self.service.as_ref() != Some(service) {
            *self = Self { service: Some(service.clone()), ..Self::default() };
        }
        self.ask(redis).await
    }

    /// Asks another Sentinel first from now on: this one named a server that is not a primary.
    pub(super) fn doubt(&mut self) {
        self.first += 1;
        self.open = None;
    }

    /// Whether they name another primary than before. Unknown is not a change. Asks at most once in some seconds: what waits for
    /// its turn asks more often.
    pub(super) async fn name_another_by_now(&mut self, redis: &config::Redis) -> bool {
        let is_recent = |at: &Instant| clock::now().saturating_duration_since(*at) < RECENT;
        self.service.is_some()
            && !self.asked.as_ref().is_some_and(is_recent)
            && self.name_another(redis).await
    }

    async fn name_another(&mut self, redis: &config::Redis) -> bool {
        let before = self.named.clone();
        let now = self.ask(redis).await.ok();
        now.is_some_and(|now| before.is_none_or(|(before, _)| before != now))
    }

    /// Returns once they name another primary than before; never if the address names no Sentinels. Cancel-safe.
    pub(super) async fn name_another_at_last(&mut self, redis: &config::Redis) -> Failure {
        if self.service.is_none() {
            return std::future::pending().await;
        }
        loop {
            // From the last question, so that callers that cancel this often still ask.
            sleep_until(self.asked.map_or_else(clock::now, |asked| asked + PAUSE)).await;
            if self.name_another(redis).await {
                return self.changed();
            }
        }
    }

    /// The same, for a reply of the primary that should arrive at once: they are not asked before it is overdue.
    pub(super) async fn name_another_meanwhile(&mut self, redis: &config::Redis) -> Failure {
        sleep(PAUSE).await;
        self.name_another_at_last(redis).await
    }

    /// Whether the server that they named is the primary still, so that it may be written to.
    ///
    /// # Errors
    /// They name another one, or none of them answers.
    pub(super) async fn confirm(&mut self, redis: &config::Redis) -> Result<(), Failure> {
        let is_fresh = |(_, at): &(NodeAddress, Instant)| clock::now().saturating_duration_since(*at) < FRESH;
        if self.service.is_none() || self.named.as_ref().is_some_and(is_fresh) {
            return Ok(());
        }
        let before = self.named.clone();
        let now = self.ask(redis).await.map_err(|failure| {
            let what =
                format!("nothing is written until a Sentinel confirms the primary: {}", failure.detail);
            Failure::new(failure.reason, what)
        })?;
        if before.is_some_and(|(before, _)| before == now) { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Failure {
        let name = self.service.as_ref().map_or("", |service| &service.name);
        let now = self.named.as_ref().map(|(host, _)| host.to_string()).unwrap_or_default();
        Failure::new(Reason::RoleChanged, format!("the Sentinels name another primary of {name}: {now}"))
    }

    /// Asks one Sentinel after the other. Cancel-safe: a connection with an open question is dropped.
    async fn ask(&mut self, redis: &config::Redis) -> Result<NodeAddress, Failure> {
        let Some(service) = self.service.clone() else { return Err(no_reply()) };
        self.asked = Some(clock::now());
        let (mut open, count) = (self.open.take(), service.sentinels.len());
        let share = redis.connect_timeout / u32::try_from(count + 1).unwrap_or(u32::MAX);
        let redis = &config::Redis { connect_timeout: share.min(PATIENCE), ..redis.clone() };
        let mut failures = Vec::new();
        let (before, after) = service.sentinels.split_at(self.first % count.max(1));
        for (turn, sentinel) in after.iter().chain(before).enumerate() {
            let asked = timeout(redis.connect_timeout, ask(sentinel, &service, redis, open.take()));
            let late = |_elapsed| {
                let what = format!("no answer within {:?}", redis.connect_timeout);
                Failure::new(Reason::Timeout, what)
            };
            match asked.await.map_err(late).flatten() {
                Ok((host, connection)) => {
                    self.first = (self.first + turn) % count.max(1);
                    self.open = Some(connection);
                    self.note(&host);
                    return Ok(host);
                }
                Err(failure) => failures.push((sentinel, failure)),
            }
        }
        let failure = no_primary(&service, &failures);
        if !std::mem::replace(&mut self.is_silent, true) {
            warn!(%failure, "no Sentinel names the primary");
            // All in one text may be too long.
            for (sentinel, failure) in &failures {
                warn!(%sentinel, %failure, advice = advice(failure.reason), "a Sentinel names no primary");
            }
        }
        Err(failure)
    }

    fn note(&mut self, host: &NodeAddress) {
        if std::mem::take(&mut self.is_silent) {
            info!(primary = %host, "a Sentinel names the primary again");
        }
        let before = self.named.replace((host.clone(), clock::now()));
        if let Some((before, _)) = before.filter(|(before, _)| before != host) {
            info!(%before, now = %host, "the Sentinels name another primary");
        }
    }
}

/// Asks one Sentinel, on this connection if it is still open.
async fn ask(
    sentinel: &NodeAddress,
    service: &Service,
    redis: &config::Redis,
    open: Option<Connection>,
) -> Result<(NodeAddress, Connection), Failure> {
    let kept = open.and_then(|mut open| (open.look() == Ok(Look::Silent)).then_some(open));
    let mut connection = match kept {
        Some(open) => open,
        None => connect(sentinel, service, redis).await?,
    };
    let reply = one(&mut connection, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &service.name]).await;
    match reply {
        Ok(reply) => Ok((named(&reply?, service)?, connection)),
        Err(failure) => {
            let route = Route::to(sentinel.clone(), redis.sentinel.is_tls(service));
            Err(in_own_words(transport::explained(failure, &route, redis.connect_timeout).await))
        }
    }
}

/// The server that a Sentinel names.
pub(super) fn named(reply: &Reply, service: &Service) -> Result<NodeAddress, Failure> {
    let Some((name, port)) = reply::host_and_port(reply)? else {
        let what =
            format!("it knows no service {}; `SENTINEL MASTERS` shows those that it watches", service.name);
        return Err(Failure::new(Reason::Sentinel, what));
    };
    announced(&name, &port)
        .ok_or_else(|| Failure::new(Reason::Sentinel, "the address that it names is not a host and a port"))
}

/// The address that a Sentinel announces; `None` if nobody can be reached there.
pub(super) fn announced(host: &str, port: &str) -> Option<NodeAddress> {
    NodeAddress::new(host, port.parse().ok()?).ok()
}

/// Connects to a Sentinel and logs in there.
pub(super) async fn connect(
    sentinel: &NodeAddress,
    service: &Service,
    redis: &config::Redis,
) -> Result<Connection, Failure> {
    let settings = redis.sentinel.clone();
    let login = match settings.file() {
        Some(_) => files::read(redis.connect_timeout, move || settings.login()).await?,
        None => settings.login(),
    };
    let login = login.map_err(|problems| Failure::new(Reason::Address, format!("{problems:#}")))?;
    let route = Route::to(sentinel.clone(), redis.sentinel.is_tls(service));
    let mut connection = Connection::new(transport::open(&route, redis).await.map_err(in_own_words)?);
    let Some((user, password)) = login else { return Ok(connection) };
    let password = password.expose_secret();
    let words: Vec<&str> = ["AUTH"].into_iter().chain(user.as_deref()).chain([password]).collect();
    match one(&mut connection, &words).await {
        Ok(Err(failure)) if !needs_no_password(&failure) => Err(without_password(failure, password)),
        Ok(_) => Ok(connection),
        Err(failure) => Err(in_own_words(transport::explained(failure, &route, redis.connect_timeout).await)),
    }
}

/// The failure, with the key that repairs it in place of the address's scheme.
fn in_own_words(failure: Failure) -> Failure {
    match failure.detail.as_str() {
        NOT_TLS => Failure::new(Reason::Tls, "it does not speak TLS: set redis.sentinel.tls to false"),
        IS_TLS => Failure::new(Reason::Tls, "it speaks TLS: set redis.sentinel.tls to true"),
        _ => failure,
    }
}

/// Sends one command. The inner failure is the Sentinel's error.
pub(super) async fn one(
    connection: &mut Connection,
    words: &[&str],
) -> Result<Result<Reply, Failure>, Failure> {
    let mut command = Cmd::new();
    words.iter().for_each(|word| {
        command.arg(*word);
    });
    connection.send(&command.get_packed_command(), 1, 0).await?;
    connection.receive(Texts::Whole).await
}

/// Why no Sentinel names a primary: the failure of each. The most telling reason comes first: one that is not of the network.
fn no_primary(service: &Service, failures: &[(&NodeAddress, Failure)]) -> Failure {
    let is_silence = |reason: Reason| {
        matches!(reason, Reason::Refused | Reason::Timeout | Reason::Closed | Reason::Dns | Reason::Io)
    };
    let told = failures.iter().find(|(_, failure)| !is_silence(failure.reason)).or(failures.first());
    // After a failure of another class, callers go on with the same connection.
    let told = told.filter(|(_, failure)| failure.class() == Class::Reconnect);
    let reason = told.map_or(Reason::Sentinel, |(_, failure)| failure.reason);
    let each: Vec<String> = failures
        .iter()
        .map(|(sentinel, failure)| format!("{sentinel}: {}{}", failure.detail, advice(failure.reason)))
        .collect();
    Failure::new(reason, format!("no Sentinel names the primary of {}: {}", service.name, each.join("; ")))
}

/// What to do about it, where that is not what to do about Redis.
#[expect(clippy::wildcard_enum_match_arm, reason = "of the many reasons a few are those of a Sentinel")]
const fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::NoAuth => ", so set redis.sentinel.password or redis.sentinel.password_file",
        Reason::WrongPassword => ", so check redis.sentinel.username and its password",
        Reason::NoPermission => ", so permit SENTINEL GET-MASTER-ADDR-BY-NAME there",
        Reason::Unsupported => ", so it is no Sentinel: redis+sentinel:// has the Sentinels' addresses",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_address_is_one_that_can_be_reached() {
        for (host, port, shown) in [
            ("10.0.0.1", "6379", Some("10.0.0.1:6379")),
            ("redis-0.redis.svc", "1", Some("redis-0.redis.svc:1")),
            ("Redis-0.redis.svc", "1", Some("redis-0.redis.svc:1")),
            ("FD00:0::1", "6379", Some("[fd00::1]:6379")),
            ("10.0.0.1", "0", None),
            ("10.0.0.1", "65536", None),
            ("10.0.0.1", "", None),
            ("", "6379", None),
            ("a b", "6379", None),
            ("user:word@h", "6379", None),
        ] {
            let address = announced(host, port).map(|address| address.to_string());
            assert_eq!(address.as_deref(), shown, "{host} {port}");
        }
    }
}
