//! All streams with an objective, from tick to tick.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    GroupLatency, Histogram,
    group::{Aims, Tracker},
};
use crate::{
    config::{Config, Slo},
    model::{GroupsAt, Name, Origin, TickQuestion},
};

/// A stream at a tick.
#[derive(Debug)]
pub struct StreamTick {
    /// Its name.
    pub stream: Name,
    /// Its objectives.
    pub slo: Slo,
    /// The server, the time and the groups; `None` if it could not be read.
    pub read: Option<GroupsAt>,
}

/// What is measured, for the views.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LatencyReport {
    /// Streams and their groups, by name.
    pub streams: BTreeMap<Name, BTreeMap<Name, GroupLatency>>,
}

impl LatencyReport {
    /// The group of the stream.
    #[must_use]
    pub fn group(&self, stream: &Name, group: &Name) -> Option<&GroupLatency> {
        self.streams.get(stream)?.get(group)
    }
}

struct Stream {
    origin: Option<Origin>,
    aims: Aims,
    groups: BTreeMap<Name, Tracker>,
}

/// All streams that are sampled.
#[derive(Default)]
pub struct LatencyHistory {
    streams: BTreeMap<Name, Stream>,
}

impl LatencyHistory {
    /// Takes a tick of all streams that are sampled. The others are forgotten.
    pub fn tick(&mut self, config: &Config, streams: Vec<StreamTick>) {
        let (tick, window) = (config.latency.tick, config.status.window);
        let bounds = Histogram::bounds(tick);
        let mut before = std::mem::take(&mut self.streams);
        for StreamTick { stream, slo, read } in streams {
            let aims = Aims {
                tick,
                bounds: Arc::clone(&bounds),
                window,
                objectives: [slo.delivery, slo.handled],
                target: slo.target,
            };
            let known = before.remove(&stream).filter(|known| known.aims == aims);
            let mut state = known.unwrap_or_else(|| Stream { origin: None, aims, groups: BTreeMap::new() });
            state.take(read);
            self.streams.insert(stream, state);
        }
    }

    /// What to ask of these streams at a tick that comes so long after the last one.
    pub fn questions(&self, streams: impl Iterator<Item = Name>, passed: Duration) -> Vec<TickQuestion> {
        let entries = |known: &Stream| {
            let asked = known.groups.iter().flat_map(|(group, tracker)| {
                tracker.asked(passed, &known.aims).into_iter().map(|id| (group.clone(), id))
            });
            asked.collect()
        };
        let question = |stream| {
            let entries = self.streams.get(&stream).map(entries).unwrap_or_default();
            TickQuestion { stream, entries }
        };
        streams.map(question).collect()
    }

    /// What is known now.
    #[must_use]
    pub fn report(&self) -> LatencyReport {
        let groups = |stream: &Stream| {
            let groups = stream.groups.iter();
            groups.map(|(name, tracker)| (name.clone(), tracker.summary())).collect()
        };
        LatencyReport { streams: self.streams.iter().map(|(name, it)| (name.clone(), groups(it))).collect() }
    }
}

impl Stream {
    fn take(&mut self, read: Option<GroupsAt>) {
        let is_same =
            read.as_ref().zip(self.origin.as_ref()).is_some_and(|(read, before)| read.origin.is_same(before));
        if !is_same {
            self.groups.values_mut().for_each(|group| group.lose(read.is_some(), &self.aims));
        }
        let Some(GroupsAt { origin, time, groups, pending }) = read else { return };
        self.origin = Some(origin);
        let mut answers = BTreeMap::<Name, Vec<_>>::new();
        for (group, id, is_pending) in pending {
            answers.entry(group).or_default().push((id, is_pending));
        }
        let mut before = std::mem::take(&mut self.groups);
        for (name, position) in groups {
            let mut tracker = before.remove(&name).unwrap_or_else(|| Tracker::new(&self.aims));
            let answers = answers.remove(&name).unwrap_or_default();
            tracker.tick(time, position, &answers, &self.aims);
            self.groups.insert(name, tracker);
        }
    }
}
