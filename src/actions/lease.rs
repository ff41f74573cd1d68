//! Which of several sidecars trims: the one that holds a key in Redis for a while, and renews it.
//!
//! Only work is saved by it. Two sidecars that both believe they hold it do no harm, since each step is safe by
//! itself; so plain commands do, and no clock has to agree with another.

use std::{path::Path, time::Duration};

use tracing::{Instrument, info, warn};

use super::{Enforcer, Write};
use crate::{
    clock::{self, Instant},
    config::Config,
    files::{self, Kind},
    model::{Class, Failure, Reason, Text},
    schedule::Schedule,
    source::{Command, reply},
    spans,
};

/// Looked after each time that this part of its time is over: three times within it, so that a lost reply or two do
/// not lose it.
const RENEWED_AFTER: f64 = 0.3;

/// Where a replica answers, a new connection is tried so soon: behind the same name there may be a primary now.
const PRIMARY_RETRY: Duration = Duration::from_secs(10);

/// The lease, as this sidecar sees it.
pub struct Lease {
    holder: Text,
    is_held: bool,
    /// Whether it counts as held since Redis refuses it.
    is_unleased: bool,
    /// Whether a replica answered last, which gives no lease.
    is_on_replica: bool,
    /// Who holds it, as far as it was seen.
    seen: Option<Text>,
    schedule: Schedule,
}

impl Lease {
    /// A lease that nobody is known to hold, to be looked after at once.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        // The host tells people which sidecar it is: in Kubernetes it is the Pod's name.
        let host = files::read(Path::new("/proc/sys/kernel/hostname"), Kind::System).unwrap_or_default();
        let host = Text::from(host.trim_ascii());
        let holder = format!("{host}:{}:{:08x}", std::process::id(), fastrand::u32(..)).into();
        let schedule = Schedule::new(clock::now(), Self::pace(config), fastrand::f64());
        Self { holder, is_held: false, is_unleased: false, is_on_replica: false, seen: None, schedule }
    }

    /// Between two looks after it: each is two commands for its holder, and one for others.
    #[must_use]
    pub fn pace(config: &Config) -> Duration {
        config.retention.lease_ttl.mul_f64(RENEWED_AFTER)
    }

    /// Whether this sidecar holds it.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.is_held
    }

    /// When to look after it next.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.schedule.due()
    }

    /// The configuration has changed, and perhaps the server: it is looked after at once.
    pub fn reload(&mut self, config: &Config) {
        self.schedule.restart(clock::now(), Self::pace(config));
    }

    /// Redis does not answer, or only a replica: the lease is not held until it was looked after again, which is after the
    /// back-off or the wait that the reason asks for.
    pub fn unanswered(&mut self, failure: &Failure) {
        self.is_held = false;
        if failure.reason != Reason::ReadOnly {
            self.schedule.failed_by(failure.reason, clock::now(), fastrand::f64());
            return;
        }
        self.schedule.retry_in(clock::now(), PRIMARY_RETRY);
        if !std::mem::replace(&mut self.is_on_replica, true) {
            warn!(detail = %failure.detail, "a replica answers: retention waits for a primary");
        }
    }

    /// Takes it, renews it or sees who has it, if it is time to. Where Redis refuses it, it counts as held: it saves
    /// work, and nothing depends on it.
    ///
    /// # Errors
    /// Where Redis did not answer, and then it is not held, or refused.
    pub async fn keep(&mut self, enforcer: &mut Enforcer, config: &Config) -> Result<(), Failure> {
        if clock::now() < self.due() {
            return Ok(());
        }
        let span = spans::retention_lease();
        let result = self.renew(enforcer, config).instrument(span.clone()).await;
        spans::ended(&span, &result);
        result
    }

    async fn renew(&mut self, enforcer: &mut Enforcer, config: &Config) -> Result<(), Failure> {
        let began = clock::now();
        let (is_held, seen, result) = match self.look(enforcer, config).await {
            Ok(holder) => (holder == self.holder, Some(holder), Ok(())),
            // A server out of memory takes no lease, and trimming is the cure.
            Err(failure) if failure.reason.class() == Class::Object => (true, None, Err(failure)),
            Err(failure) => {
                self.unanswered(&failure);
                return Err(failure);
            }
        };
        self.schedule.succeeded(began, clock::now());
        if std::mem::take(&mut self.is_on_replica) {
            info!("a primary answers: retention goes on");
        }
        if seen.is_some() && self.seen != seen {
            info!(holder = seen.as_deref(), held_here = is_held, "the retention lease has a new holder");
        }
        if let (Err(failure), false) = (&result, self.is_unleased) {
            warn!(%failure, "the retention lease is refused: trimming without it");
        }
        self.is_unleased = result.is_err();
        self.is_held = is_held;
        self.seen = seen;
        result
    }

    /// Who holds it, after taking or renewing it.
    async fn look(&self, enforcer: &mut Enforcer, config: &Config) -> Result<Text, Failure> {
        let key = config.retention.lease_key.as_str();
        let ms = u64::try_from(config.retention.lease_ttl.as_millis()).unwrap_or(u64::MAX);
        if let Some(holder) = reply::optional_text(&enforcer.look(config, Command::Get(key)).await?)? {
            if holder == self.holder {
                enforcer.send(config, Write::Keep(key, ms)).await?;
            }
            return Ok(holder);
        }
        let taken = reply::optional_text(&enforcer.send(config, Write::Take(key, &self.holder, ms)).await?)?;
        // Somebody else was faster: who, the next look tells.
        Ok(taken.map_or_else(|| "another sidecar".into(), |_ok| self.holder.clone()))
    }

    /// Gives it up, so that another sidecar need not wait for its end.
    pub async fn release(&mut self, enforcer: &mut Enforcer, config: &Config) {
        if std::mem::take(&mut self.is_held) {
            let key = config.retention.lease_key.as_str();
            let release = async {
                let holder = reply::optional_text(&enforcer.look(config, Command::Get(key)).await?)?;
                if holder.as_ref() == Some(&self.holder) {
                    enforcer.send(config, Write::Release(key)).await?;
                }
                Ok::<(), Failure>(())
            };
            let span = spans::retention_lease();
            // If this fails, the key's own end gives the lease up.
            spans::ended(&span, &release.instrument(span.clone()).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn a_server_that_does_not_answer_is_asked_again_after_the_back_off_and_after_a_reload_at_once() {
        let mut sources = Sources::default();
        sources.overrides.set("--uri", "redis.uri", Some("redis://h".to_owned()));
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
        assert!(lease.due() >= now + PRIMARY_RETRY, "a replica is asked again and again");
    }
}
