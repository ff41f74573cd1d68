//! Documents, made from the last reading on request.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{
    ClusterDocument, FaultDocument, GroupsDocument, Head, NodeDocument, OneStreamDocument, PollDocument,
    SCHEMA_VERSION, ServerDocument, SidecarDocument, StreamsDocument, Summary,
    fault::faults,
    pieces::{Take, write},
    stream::Stream,
    values::{milliseconds, seconds},
    word::Word,
};
use crate::{
    config::Config,
    evaluate::{Health, rate_window, short},
    model::{Failure, Name, Role},
    reading::{NodeReading, Reading, StreamReading},
};

/// What documents are made from.
pub struct View<'a> {
    config: &'a Config,
    reading: Option<&'a Reading>,
    failure: Option<&'a Failure>,
    has_polled: bool,
    /// The reading's age.
    age: Option<Duration>,
    /// The reason of all streams and groups where the reading is stale.
    stale: Option<String>,
    /// How long before the reading each sample was taken.
    ages: Vec<Duration>,
}

impl<'a> View<'a> {
    /// A view of the last reading, which is so old by now. `failure` is why the last poll failed, if it did.
    #[must_use]
    pub fn new(
        config: &'a Config,
        reading: Option<(&'a Reading, Duration)>,
        failure: Option<&'a Failure>,
        has_polled: bool,
    ) -> Self {
        let age = reading.map(|(_, age)| age);
        let stale = age.filter(|age| *age >= config.poll.stale_after).map(|age| last_read(age, failure));
        let reading = reading.map(|(reading, _)| reading);
        let ages = reading.map(|reading| reading.report.ticks.ages().collect()).unwrap_or_default();
        Self { config, reading, failure, has_polled, age, stale, ages }
    }

    /// Whether the reading is too old to rely on.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.stale.is_some()
    }

    /// Why the reading is stale, if it is.
    pub(super) fn stale(&self) -> Option<&str> {
        self.stale.as_deref()
    }

    pub(super) const fn reading(&self) -> Option<&Reading> {
        self.reading
    }

    fn streams(&self) -> impl Iterator<Item = Stream<'_>> {
        self.reading.into_iter().flat_map(Reading::streams).map(|stream| self.of(stream))
    }

    fn of<'b>(&'b self, stream: StreamReading<'b>) -> Stream<'b> {
        Stream { of: stream, ages: &self.ages, stale: self.stale.as_deref() }
    }

    /// The common part of all documents.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        let server = self.reading.map(|reading| reading.snapshot.server());
        Head {
            schema_version: SCHEMA_VERSION,
            sidecar: SidecarDocument {
                version: env!("CARGO_PKG_VERSION").into(),
                enabled: self.config.enabled,
            },
            name: self.config.redis_name(self.reading.map(|reading| &*reading.snapshot)).map(Into::into),
            server: server.map(|server| ServerDocument {
                flavour: server.flavour.into(),
                version: server.version_text().map(Into::into),
                role: server.role.map(Word::Known),
                primary_link: server.role.and_then(Role::primary_link).map(Word::Known),
                mode: server.mode.as_deref().map(Into::into),
            }),
            database: self.reading.map(|reading| format!("db{}", reading.snapshot.database).into()),
            cluster: self.cluster(),
            faults: self.faults(),
            poll: self.poll(),
            summary: self.summary(),
            window_seconds: seconds(self.config.status.window),
            rate_window_seconds: seconds(rate_window(self.config.status.window)),
            history_ages_seconds: self.ages.iter().copied().map(seconds).collect(),
        }
    }

    fn cluster(&self) -> Option<ClusterDocument<'_>> {
        let reading = self.reading?;
        let cluster = reading.snapshot.cluster.as_ref()?;
        // A poll that failed as a whole says nothing about single nodes.
        let is_current = self.failure.is_none() && !self.is_stale();
        let mut nodes: Vec<_> =
            reading.nodes().into_iter().map(|node| node_document(&node, is_current)).collect();
        nodes.sort_by(|one, other| one.address.cmp(&other.address));
        Some(ClusterDocument {
            slots_unserved: is_current.then(|| number(cluster.unserved_slots)),
            topology_age_seconds: seconds(cluster.topology_age),
            nodes,
        })
    }

    /// Those of a stale reading may be over.
    fn faults(&self) -> Vec<FaultDocument<'_>> {
        self.reading.filter(|_| !self.is_stale()).into_iter().flat_map(faults).collect()
    }

    fn poll(&self) -> PollDocument<'_> {
        let (poll, read_at) = (&self.config.poll, self.reading.map(|reading| reading.read_at.unix));
        PollDocument {
            up: self.has_polled.then_some(self.failure.is_none()),
            interval_seconds: seconds(poll.interval),
            stale_after_seconds: seconds(poll.stale_after),
            last_success_unix_ms: read_at.map(milliseconds),
            age_seconds: self.age.map(seconds),
            stale: self.is_stale(),
            stale_since_unix_ms: read_at
                .filter(|_| self.is_stale())
                .map(|read_at| milliseconds(read_at + poll.stale_after)),
            last_failure: self.failure.map(|failure| failure.reason.into()),
            last_failure_since_unix_ms: self.failure.and_then(|failure| failure.since).map(milliseconds),
            clock_error_seconds: self.reading.and_then(|reading| reading.snapshot.clock_error()).map(seconds),
            last_failure_words: self.failure.and_then(Failure::words).map(|words| (**words).into()),
        }
    }

    fn summary(&self) -> Summary {
        let counts = self.reading.map(|reading| reading.health).unwrap_or_default();
        let counts = if self.is_stale() { counts.all_unknown() } else { counts };
        let worst = counts.worst().unwrap_or(Health::Unknown);
        // A node that was never read may have streams that nobody knows of.
        let is_whole = self.reading.is_none_or(Reading::is_whole);
        let worst = if worst == Health::Healthy && !is_whole { Health::Unknown } else { worst };
        let of_server = self.faults().iter().filter_map(|fault| fault.health.known()).max();
        let health = of_server.map_or(worst, |health| health.max(worst));
        Summary {
            health: health.into(),
            healthy: counts.of(Health::Healthy),
            warning: counts.of(Health::Warning),
            critical: counts.of(Health::Critical),
            unknown: counts.of(Health::Unknown),
        }
    }

    /// Hands over `/api/v1/streams` piece by piece. Each stream's document is made when it is written: all at once would
    /// take many times the memory.
    pub fn write_streams(&self, take: Take<'_>) {
        let streams = Sequence(|| self.streams().map(|stream| stream.document()));
        write(&StreamsDocument { head: self.head(), streams }, take);
    }

    /// Hands over `/api/v1/groups` piece by piece.
    pub fn write_groups(&self, take: Take<'_>) {
        let groups = Sequence(|| self.streams().flat_map(Stream::groups_with_stream));
        write(&GroupsDocument { head: self.head(), groups }, take);
    }

    /// One stream in depth; `None` for one that is not watched.
    #[must_use]
    pub fn one_stream(&self, name: &Name) -> Option<OneStreamDocument<'_>> {
        let stream = self.of(self.reading?.stream(name)?);
        Some(OneStreamDocument { stream: stream.document(), head: self.head() })
    }
}

/// Why a reading of this age is stale.
pub(super) fn last_read(age: Duration, failure: Option<&Failure>) -> String {
    let cause = failure.map_or("no poll has ended since", |failure| failure.reason.as_str());
    format!("last read {} ago: {cause}", short(age))
}

fn node_document<'a>(
    &NodeReading { node, slots, streams }: &NodeReading<'a>,
    is_current: bool,
) -> NodeDocument<'a> {
    let failure = node.failure.as_ref();
    NodeDocument {
        address: node.address.as_str().into(),
        up: is_current.then_some(failure.is_none()),
        failure: failure.map(|failure| failure.reason.into()),
        failure_since_unix_ms: failure.and_then(|failure| failure.since).map(milliseconds),
        version: node.server.version_text().map(Into::into),
        role: node.server.role.map(Word::Known),
        poll_duration_seconds: failure.is_none().then(|| seconds(node.took)),
        slots: number(slots),
        streams,
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A sequence whose items are made while it is written.
struct Sequence<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Sequence<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}
