//! Elects one of several sidecars to trim: the one that holds a key in Redis with a time to live, and renews it.
//!
//! The lease only saves work. Two sidecars that both believe they hold it do no harm, since each step is safe on its
//! own. So plain commands suffice, and no two clocks have to agree.

use std::time::Duration;

use tracing::{Instrument, info, warn};

use super::{Enforcer, Write};
use crate::{
    clock::{self, Instant},
    config::Config,
    files,
    model::{Class, Failure, Reason, Text},
    schedule::Schedule,
    source::{Command, reply},
    spans,
};

/// Share of its time to live after which the lease is renewed: three times within it, so that one or two lost replies
/// do not lose it.
const RENEWED_AFTER: f64 = 0.3;

/// How soon to reconnect when a replica answers: the same address may lead to a primary now.
const PRIMARY_RETRY: Duration = Duration::from_secs(10);

/// The lease, as this sidecar sees it.
pub struct Lease {
    holder: Text,
    is_held: bool,
    /// Whether it counts as held because Redis refuses the lease.
    is_refused: bool,
    /// Since when the node of a cluster that has the lease does not answer.
    down_since: Option<Instant>,
    /// Whether a replica answered last. Replicas grant no lease.
    is_on_replica: bool,
    /// The last known holder.
    known_holder: Option<Text>,
    schedule: Schedule,
}

impl Lease {
    /// A lease without a known holder, due at once.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        // The host name shows people which sidecar it is.
        let host = files::host_name();
        let holder = format!("{host}:{}:{:08x}", std::process::id(), fastrand::u32(..)).into();
        let schedule = Schedule::new(clock::now(), Self::pace(config), fastrand::f64());
        Self {
            holder,
            is_held: false,
            is_refused: false,
            down_since: None,
            is_on_replica: false,
            known_holder: None,
            schedule,
        }
    }

    /// Time between two checks. Each takes two commands for the holder, one for the others.
    #[must_use]
    pub fn pace(config: &Config) -> Duration {
        config.retention.lease_ttl.mul_f64(RENEWED_AFTER)
    }

    /// Whether this sidecar holds it.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.is_held
    }

    /// The other sidecar that holds it; `None` if this one does, or none is known.
    #[must_use]
    pub fn other_holder(&self) -> Option<&Text> {
        self.known_holder.as_ref().filter(|holder| !self.is_held && **holder != self.holder)
    }

    /// When the next check is due.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.schedule.due()
    }

    /// Makes the next check due at once, since the configuration and perhaps the server have changed.
    pub fn reload(&mut self, config: &Config) {
        self.schedule.restart(clock::now(), Self::pace(config));
    }

    /// Records that Redis did not answer, or only a replica. The lease does not count as held until the next check,
    /// after the back-off or the wait that the reason requires.
    pub fn unanswered(&mut self, failure: &Failure) {
        self.is_held = false;
        if failure.reason != Reason::ReadOnly {
            self.schedule.failed_by(failure.reason, clock::now(), fastrand::f64());
            return;
        }
        self.schedule.retry_in(clock::now(), PRIMARY_RETRY);
        if !std::mem::replace(&mut self.is_on_replica, true) {
            warn!(detail = %failure.detail, "the server is a replica: retention waits for a primary");
        }
    }

    /// Takes or renews the lease or reads its holder, if the check is due. If Redis refuses, the lease counts as
    /// held: it only saves work.
    ///
    /// # Errors
    /// Redis refused, or it did not answer; then the lease does not count as held.
    pub async fn check_if_due(&mut self, enforcer: &mut Enforcer, config: &Config) -> Result<(), Failure> {
        if clock::now() < self.due() {
            return Ok(());
        }
        let span = spans::retention_lease();
        let result = self.check(enforcer, config).instrument(span.clone()).await;
        spans::record_result(&span, &result);
        result
    }

    async fn check(&mut self, enforcer: &mut Enforcer, config: &Config) -> Result<(), Failure> {
        let began = clock::now();
        let (is_held, holder, result) = match self.take_or_renew(enforcer, config).await {
            Ok(holder) => (holder == self.holder, Some(holder), Ok(())),
            // A server out of memory refuses the lease, and a trim makes room.
            Err(failure) if failure.class() == Class::Object => (true, None, Err(failure)),
            // The other nodes go on without it: two sidecars at once do no harm.
            Err(failure) if enforcer.is_of_cluster() && self.is_down_for_long(began, config) => {
                (true, None, Err(failure))
            }
            Err(failure) => {
                self.unanswered(&failure);
                return Err(failure);
            }
        };
        self.down_since = self.down_since.filter(|_| result.is_err());
        self.schedule.succeeded(began, clock::now());
        if std::mem::take(&mut self.is_on_replica) {
            info!("the server is a primary again: retention continues");
        }
        if holder.is_some() && self.known_holder != holder {
            info!(holder = holder.as_deref(), held_here = is_held, "the retention lease has a new holder");
        }
        if let (Err(failure), false) = (&result, self.is_refused) {
            warn!(%failure, "the retention lease can't be taken: trimming without it");
        }
        self.is_refused = result.is_err();
        self.is_held = is_held;
        self.known_holder = holder;
        result
    }

    /// Whether the lease would have expired since the node that has it stopped answering.
    fn is_down_for_long(&mut self, now: Instant, config: &Config) -> bool {
        now - *self.down_since.get_or_insert(now) >= config.retention.lease_ttl
    }

    /// Takes or renews the lease, and returns its holder.
    async fn take_or_renew(&self, enforcer: &mut Enforcer, config: &Config) -> Result<Text, Failure> {
        let key = config.retention.lease_key.as_str();
        let ms = u64::try_from(config.retention.lease_ttl.as_millis()).unwrap_or(u64::MAX);
        if let Some(holder) = reply::optional_text(&enforcer.read_state(config, Command::Get(key)).await?)? {
            if holder == self.holder {
                enforcer.send(config, Write::Renew(key, ms)).await?;
            }
            return Ok(holder);
        }
        let taken = reply::optional_text(&enforcer.send(config, Write::Take(key, &self.holder, ms)).await?)?;
        // Another sidecar was faster. The next check shows which.
        Ok(taken.map_or_else(|| "another sidecar".into(), |_ok| self.holder.clone()))
    }

    /// Releases the lease, so that another sidecar need not wait until it expires.
    pub async fn release(&mut self, enforcer: &mut Enforcer, config: &Config) {
        if std::mem::take(&mut self.is_held) {
            let key = config.retention.lease_key.as_str();
            let release = async {
                let holder = reply::optional_text(&enforcer.read_state(config, Command::Get(key)).await?)?;
                if holder.as_ref() == Some(&self.holder) {
                    enforcer.send(config, Write::Release(key)).await?;
                }
                Ok::<(), Failure>(())
            };
            let span = spans::retention_lease();
            // If this fails, the key expires.
            spans::record_result(&span, &release.instrument(span.clone()).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn the_lease_is_checked_after_the_back_off_and_at_once_after_a_reload() {
        let mut sources = Sources::default();
        sources.overrides.set("--uri", "redis.uri", "redis://h".to_owned());
        let config = sources.load().unwrap();
        let mut lease = Lease::new(&config);
        let now = clock::now();
        assert!(lease.due() <= now);
        lease.schedule.succeeded(now, now);
        assert!(lease.due() > now && lease.due() <= now + Lease::pace(&config));
        lease.reload(&config);
        assert!(lease.due() <= clock::now());
        lease.is_held = true;
        lease.unanswered(&Failure::new(Reason::Timeout, ""));
        assert!(
            !lease.is_held() && lease.due() > now && lease.due() <= clock::now() + Duration::from_millis(100)
        );
        lease.unanswered(&Failure::new(Reason::ReadOnly, ""));
        assert!(lease.due() >= now + PRIMARY_RETRY, "a replica is asked too soon");
    }
}
