//! The probe: at each interval it writes an entry to a stream of its own on each primary, and reads it, so that a server that
//! answers reads and refuses writes shows before a producer meets it.
//!
//! It stands apart from polls: it has connections and a schedule of its own, and its results say nothing about the watched
//! streams. It must leave nothing behind: each key expires, and is written to only while it can be made to expire.

mod command;
mod key;
mod server;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::future::join_all;
use tokio::{sync::watch, time::sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock,
    config::Config,
    model::{Failure, Reason, Text},
    outage::{News, Outage},
    schedule::Schedule,
    self_stats::SelfStats,
    source::Primaries,
};
pub(crate) use command::ProbeCommand;
use key::Keys;
use server::{Probed, probe};

/// What the task needs.
pub struct Prober {
    primaries: Primaries,
    config: watch::Receiver<Arc<Config>>,
    stats: Arc<SelfStats>,
    keys: Keys,
    /// The keys whose groups were there after the last probe.
    ready: BTreeSet<String>,
    /// By node; an empty name for a server that is no node of a cluster.
    outages: BTreeMap<String, Outage>,
}

/// What came of a probe of one server.
struct Attempt {
    node: String,
    tag: Option<u32>,
    key: String,
    result: Result<Probed, Failure>,
}

impl Prober {
    /// Commands per probe of each server, as long as it succeeds.
    pub const COMMANDS: u64 = 6;
    /// All values of the `command` label.
    pub const LABELS: &'static [&'static str] = ProbeCommand::LABELS;

    /// A task that connects at its first probe.
    #[must_use]
    pub fn new(primaries: Primaries, config: watch::Receiver<Arc<Config>>, stats: Arc<SelfStats>) -> Self {
        let (keys, ready, outages) = (Keys::new(), BTreeSet::new(), BTreeMap::new());
        Self { primaries, config, stats, keys, ready, outages }
    }

    /// Probes until it is stopped, while the configuration asks for it.
    pub async fn run(mut self, stop: CancellationToken) {
        let interval = self.config.borrow().probe.interval;
        let mut schedule = Schedule::new(clock::now(), interval, fastrand::f64());
        loop {
            let config = Arc::clone(&self.config.borrow_and_update());
            if config.probe.enabled {
                self.stats.probe.begins();
            } else {
                self.rest();
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = self.config.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    schedule.restart(clock::now(), self.config.borrow().probe.interval);
                    continue;
                }
                () = sleep_until(schedule.due()), if config.probe.enabled => {}
            }
            let began = clock::now();
            let wait = tokio::select! {
                wait = self.round(&config) => wait,
                () = stop.cancelled() => return,
            };
            match wait {
                Some(reason) => schedule.failed_by(reason, clock::now(), fastrand::f64()),
                None => schedule.succeeded(began, clock::now()),
            }
        }
    }

    /// Stops until the configuration asks for probes again.
    fn rest(&mut self) {
        self.primaries.disconnect();
        self.ready.clear();
        self.outages.clear();
        self.stats.probe.ends();
    }

    /// Probes each server once, all at the same time. Returns a reason that requires a longer wait than the interval.
    async fn round(&mut self, config: &Config) -> Option<Reason> {
        let id = self.keys.next_id();
        let primaries = match self.primaries.arrange(config).await {
            Ok(primaries) => primaries,
            Err(failure) => {
                self.note([(String::new(), Err(failure.clone()))]);
                return failure.reason.least_wait().map(|_| failure.reason);
            }
        };
        let probes = primaries.into_iter().map(async |primary| {
            let key = self.keys.key(primary.tag);
            let is_ready = self.ready.contains(&key);
            let result = probe(primary.pair, config, (&key, id), is_ready).await;
            let node = primary.node.map(|node| node.to_string()).unwrap_or_default();
            Attempt { node, tag: primary.tag, key, result }
        });
        let results = join_all(probes).await;
        self.ready.clear();
        for Attempt { tag, key, result, .. } in &results {
            if result.is_ok() {
                self.ready.insert(key.clone());
            } else {
                self.keys.abandon(*tag);
            }
        }
        let failures = || results.iter().filter_map(|attempt| attempt.result.as_ref().err());
        let long_wait = failures().map(|failure| failure.reason).find(|reason| reason.least_wait().is_some());
        if failures().next().is_some() {
            self.primaries.doubt();
        }
        self.note(results.into_iter().map(|attempt| (attempt.node, attempt.result)));
        long_wait
    }

    /// Counts and logs the results of a round. Nodes that it did not probe are forgotten.
    fn note(&mut self, results: impl IntoIterator<Item = (String, Result<Probed, Failure>)>) {
        let mut before = std::mem::take(&mut self.outages);
        for (node, result) in results {
            let mut outage = before.remove(&node).unwrap_or_default();
            match &result {
                Ok(Probed { write, wake_up, round_trip }) => {
                    self.stats.probe.succeeded(&node, [*write, *wake_up, *round_trip]);
                    log(&node, &mut outage, None);
                }
                // The slot is moving: the next probe is of another key, or finds it there. A server that is not known as a node can't
                // learn that.
                Err(failure) if is_elsewhere(failure) && !node.is_empty() => {}
                Err(failure) => {
                    self.stats.probe.failed(&node, failure);
                    log(&node, &mut outage, Some(failure));
                }
            }
            self.outages.insert(node, outage);
        }
        for node in before.into_keys() {
            self.stats.probe.forget(&node);
        }
    }
}

const fn is_elsewhere(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::Moved | Reason::Ask | Reason::TryAgain)
}

fn log(node: &str, outage: &mut Outage, failure: Option<&Failure>) {
    let node = (!node.is_empty()).then(|| tracing::field::display(Text::from(node)));
    match (outage.note(failure), failure) {
        (Some(News::Failed), Some(Failure { reason, detail, .. })) => {
            warn!(node, reason = reason.as_str(), %detail, "the probe failed; trying again at the next interval");
        }
        (Some(News::Recovered { after, failures }), _) => {
            info!(node, after, failures, "the probe works again")
        }
        _ => {}
    }
}
