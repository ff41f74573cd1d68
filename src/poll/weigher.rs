//! The loop that asks Redis for the memory of streams, with a connection and a schedule of its own.
//!
//! It asks about the streams of the last reading, since only together with what that says of a stream an answer is known to be true.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{changes::OutageLog, turns::Turns};
use crate::{
    clock::{self, Instant},
    config::{Config, Memory},
    model::{Class, Failure, Name, Reason, StreamState, Weight, Weights},
    reading::{Latest, Reading},
    source::Details,
};

/// The pause until it looks again whether there is a reading.
const UNTIL_READ: Duration = Duration::from_secs(1);
/// Answers are kept for so many rounds longer than it takes to ask about all streams.
const MORE_ROUNDS: u32 = 2;

/// What the loop needs.
pub struct Weigher {
    /// Asks Redis.
    pub details: Details,
    /// The configuration, which may change.
    pub config: watch::Receiver<Arc<Config>>,
    /// The last reading.
    pub latest: watch::Receiver<Latest>,
    /// Where the answers go.
    pub weights: watch::Sender<Arc<Weights>>,
}

/// The answers, each with its time.
#[derive(Default)]
struct Answers {
    known: BTreeMap<Name, (Weight, Instant)>,
    /// The stream that was asked about last.
    last: Option<Name>,
}

impl Weigher {
    /// Asks until it is stopped, while the configuration wants it.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = OutageLog::new("measuring the memory of streams");
        let mut turns = Turns::new(self.config.clone(), |config| config.memory.interval);
        let mut answers = Answers::default();
        // The configuration with which the user was refused: nothing is asked again until it is reloaded.
        let mut refused: Option<Arc<Config>> = None;
        while let Some(config) = turns.next(&stop).await {
            let started = clock::now();
            let is_refused = refused.as_ref().is_some_and(|refused| Arc::ptr_eq(refused, &config));
            if !config.memory.enabled || is_refused {
                answers = Answers::default();
                self.weights.send_replace(Arc::default());
                self.details.disconnect();
                turns.schedule.succeeded(started, clock::now());
                continue;
            }
            let Some(reading) = self.latest.borrow().reading.clone() else {
                turns.schedule.retry_in(clock::now(), UNTIL_READ);
                continue;
            };
            let result = tokio::select! {
                result = answers.round(&mut self.details, &config, &reading) => result,
                () = stop.cancelled() => return,
            };
            self.weights.send_replace(Arc::new(answers.fresh(&config.memory, &reading)));
            match &result {
                Err(failure) if failure.reason == Reason::NoPermission => {
                    warn!(detail = %failure.detail, "the user may not run MEMORY USAGE, so the memory of streams is only estimated: permit +memory|usage, then reload");
                    refused = Some(config);
                    turns.schedule.succeeded(started, clock::now());
                }
                Err(failure) => {
                    outage.note(Some(failure));
                    turns.schedule.failed_by(failure.reason, clock::now(), fastrand::f64());
                }
                Ok(()) => {
                    outage.note(None);
                    turns.schedule.succeeded(started, clock::now());
                }
            }
        }
    }
}

impl Answers {
    /// Asks about as many streams as a round may have, from where the last one ended.
    ///
    /// # Errors
    /// Why no more could be asked.
    async fn round(
        &mut self,
        details: &mut Details,
        config: &Config,
        reading: &Reading,
    ) -> Result<(), Failure> {
        for (name, state) in turn(readable(reading), self.last.as_ref(), config.memory.streams) {
            match details.memory(config, name, config.memory.samples).await {
                Ok(bytes) => {
                    let weight = reading.snapshot.node_of(name).zip(bytes).and_then(|(node, bytes)| {
                        Weight::new(bytes, state, &node.server, config.memory.samples)
                    });
                    self.known.remove(name);
                    self.known.extend(weight.map(|weight| (name.clone(), (weight, clock::now()))));
                }
                Err(failure)
                    if failure.class() == Class::Object && failure.reason != Reason::NoPermission =>
                {
                    self.known.remove(name);
                }
                Err(failure) => return Err(failure),
            }
            self.last = Some(name.clone());
        }
        Ok(())
    }

    /// The answers about streams that are still there, without those that are too old.
    fn fresh(&mut self, memory: &Memory, reading: &Reading) -> Weights {
        let rounds = readable(reading).count().div_ceil(memory.streams.max(1));
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX).saturating_add(MORE_ROUNDS);
        let oldest = memory.interval.saturating_mul(rounds);
        let now = clock::now();
        self.known.retain(|name, (_, at)| now - *at <= oldest && reading.stream(name).is_some());
        self.known.iter().map(|(name, (weight, _))| (name.clone(), *weight)).collect()
    }
}

fn readable(reading: &Reading) -> impl Iterator<Item = (&Name, &StreamState)> {
    let streams = &reading.snapshot.streams;
    streams.iter().filter_map(|(name, state)| Some((name, state.as_ref().ok()?)))
}

/// The next streams in the order of their names, at most so many and each once: those behind the last one, then the first ones.
fn turn<'a, T>(
    streams: impl Iterator<Item = (&'a Name, T)>,
    last: Option<&Name>,
    most: usize,
) -> Vec<(&'a Name, T)> {
    let (first, mut behind): (Vec<_>, Vec<_>) =
        streams.partition(|(name, _)| last.is_some_and(|last| *name <= last));
    behind.extend(first);
    behind.truncate(most);
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_follow_each_other_and_come_to_each_stream() {
        let names = ["a", "b", "c", "d", "e"].map(Name::from);
        let next = |last: Option<&str>, most| -> String {
            let last = last.map(Name::from);
            let streams = turn(names.iter().map(|name| (name, ())), last.as_ref(), most);
            streams.into_iter().map(|(name, ())| name.to_string()).collect()
        };
        assert_eq!(next(None, 2), "ab");
        assert_eq!(next(Some("b"), 2), "cd");
        assert_eq!(next(Some("d"), 2), "ea");
        assert_eq!(next(Some("e"), 9), "abcde");
        // It is gone by now.
        assert_eq!(next(Some("bb"), 3), "cde");
    }
}
