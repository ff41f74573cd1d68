//! Documents that are kept for a while: their reading grows older, and from `stale_after` on it is stale.

use std::time::Duration;

use super::{Head, OneStreamDocument, StreamDocument, StreamsDocument, Summary};
use crate::evaluate::{GroupStatus, Health, short};

impl StreamsDocument<'_> {
    /// The document as it must be shown so long after it was received.
    #[must_use]
    pub fn held_for(mut self, held: Duration) -> Self {
        if let Some(stale) = self.head.grow_older(held) {
            self.streams.iter_mut().for_each(|stream| stream.forget(&stale));
        }
        self
    }
}

impl OneStreamDocument<'_> {
    /// The document as it must be shown so long after it was received.
    #[must_use]
    pub fn held_for(mut self, held: Duration) -> Self {
        if let Some(stale) = self.head.grow_older(held) {
            self.stream.forget(&stale);
        }
        self
    }
}

impl Head<'_> {
    /// Makes the reading older; the reason of all streams and groups if it became stale.
    fn grow_older(&mut self, by: Duration) -> Option<String> {
        let age = self.poll.age_seconds.map(|age| age + by.as_secs_f64())?;
        self.poll.age_seconds = Some(age);
        if self.poll.stale || age < self.poll.stale_after_seconds {
            return None;
        }
        self.poll.stale = true;
        self.faults.clear();
        if let Some(cluster) = &mut self.cluster {
            cluster.slots_unserved = None;
            cluster.nodes.iter_mut().for_each(|node| node.up = None);
        }
        let Summary { healthy, warning, critical, unknown, .. } = self.summary;
        let unknown = healthy + warning + critical + unknown;
        self.summary =
            Summary { health: Health::Unknown.into(), healthy: 0, warning: 0, critical: 0, unknown };
        Some(format!("last read {} ago", short(Duration::try_from_secs_f64(age).unwrap_or_default())))
    }
}

impl StreamDocument<'_> {
    fn forget(&mut self, stale: &str) {
        self.stale = true;
        (self.health, self.reason) = (Health::Unknown.into(), stale.to_owned().into());
        self.cause = None;
        for group in &mut self.groups {
            group.status = GroupStatus::Unknown.into();
            group.health = GroupStatus::Unknown.health().into();
            group.reason = stale.to_owned().into();
            group.cause = None;
            group.commands.clear();
        }
    }
}
