//! The metrics page in each format and encoding, made at most once for each publication and served to all scrapers.

use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
#[cfg(feature = "otlp")]
use std::time::Duration;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use prometheus::proto::MetricFamily;

use super::{
    bound::{SeriesCount, bound},
    exposition::{Format, render},
    rows::Rows,
    served::Served,
};
#[cfg(feature = "otlp")]
use super::{
    otlp::{Messages, Origin},
    samples::samples,
};
use crate::{config::Config, reading::Reading};

/// A variant that no scrape asked for during so many publications is made only on demand.
const FORGOTTEN_AFTER: u64 = 20;
/// A page is a little larger than the last one at most: numbers get longer and streams more.
const SPARE_PART: usize = 16;

/// How a page is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// Compressed.
    Gzip,
}

type Variant = (Format, Encoding);

const VARIANTS: [Variant; 4] = [
    (Format::Text, Encoding::Identity),
    (Format::Text, Encoding::Gzip),
    (Format::OpenMetrics, Encoding::Identity),
    (Format::OpenMetrics, Encoding::Gzip),
];

/// Which variants scrapes ask for: only those are made in advance.
#[derive(Debug, Default)]
pub struct Demand([Asked; VARIANTS.len()]);

#[derive(Debug, Default)]
struct Asked {
    /// The last publication of which a scrape asked for it.
    number: AtomicU64,
    /// Its last size: a buffer that grows to tens of megabytes would be copied many times.
    bytes: AtomicUsize,
}

/// What a publication shows.
pub struct Shown {
    /// The name of the Redis, for people, also without a fresh reading.
    pub name: Option<String>,
    /// The last reading; `None` when there is nothing fresh.
    pub reading: Option<Arc<Reading>>,
    /// Whether the last poll failed as a whole. Then nothing is known of the nodes of a cluster.
    pub has_failed: bool,
}

/// A publication's pages.
pub struct MetricsPages {
    number: u64,
    config: Arc<Config>,
    /// The name of the Redis, for people, also without a fresh reading.
    name: Option<String>,
    has_failed: bool,
    /// Weak, so that it does not keep the reading alive: a poll has memory for the new one and one other.
    reading: Option<Weak<Reading>>,
    own: Vec<MetricFamily>,
    demand: Arc<Demand>,
    made: [OnceLock<Bytes>; VARIANTS.len()],
}

impl MetricsPages {
    /// The next publication, with the variants in demand made.
    ///
    /// `own` gathers the sidecar's own metrics once the number of series is known.
    #[must_use]
    pub fn publish(
        number: u64,
        config: Arc<Config>,
        shown: Shown,
        demand: Arc<Demand>,
        own: impl FnOnce(SeriesCount) -> Vec<MetricFamily>,
    ) -> Self {
        let made = [const { OnceLock::new() }; VARIANTS.len()];
        let Shown { name, reading, has_failed } = shown;
        let (rows, count) = rows(&config, name.as_deref(), reading.as_deref(), has_failed);
        let own = own(count);
        for (made, (variant, asked)) in made.iter().zip(VARIANTS.into_iter().zip(&demand.0)) {
            let last_asked = asked.number.load(Ordering::Relaxed);
            if last_asked > 0 && last_asked + FORGOTTEN_AFTER >= number {
                made.get_or_init(|| make(&config, &rows, &own, variant, asked));
            }
        }
        drop(rows);
        let reading = reading.as_ref().map(Arc::downgrade);
        Self { number, config, name, has_failed, reading, own, demand, made }
    }

    /// Whether the page is already made, so that [`get`](Self::get) returns at once.
    #[must_use]
    pub fn has(&self, format: Format, encoding: Encoding) -> bool {
        self.made.get(index((format, encoding))).is_some_and(|made| made.get().is_some())
    }

    /// The page; made now if it was not made in advance. It is made from `newest` where its own reading has been replaced and
    /// the pages of the new one are still being made.
    #[must_use]
    pub fn get(
        &self,
        format: Format,
        encoding: Encoding,
        newest: impl FnOnce() -> Option<Arc<Reading>>,
    ) -> Bytes {
        let index = index((format, encoding));
        let (Some(made), Some(asked)) = (self.made.get(index), self.demand.0.get(index)) else {
            return Bytes::new();
        };
        asked.number.store(self.number, Ordering::Relaxed);
        let page = || {
            let reading = self.reading(newest);
            let rows = rows(&self.config, self.name.as_deref(), reading.as_deref(), self.has_failed).0;
            make(&self.config, &rows, &self.own, (format, encoding), asked)
        };
        made.get_or_init(page).clone()
    }

    /// The same samples as messages for a collector, each an encoded request of OTLP.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn messages(
        &self,
        origin: &Origin,
        now: Duration,
        newest: impl FnOnce() -> Option<Arc<Reading>>,
    ) -> Vec<Bytes> {
        let reading = self.reading(newest);
        let rows = rows(&self.config, self.name.as_deref(), reading.as_deref(), self.has_failed).0;
        let mut messages = Messages::new(origin, now);
        let made = samples(&Served::new(&self.config.exposition), &rows, &self.own, &mut messages);
        made.expect("messages take any sample");
        messages.end()
    }

    fn reading(&self, newest: impl FnOnce() -> Option<Arc<Reading>>) -> Option<Arc<Reading>> {
        self.reading.as_ref().and_then(|own| own.upgrade().or_else(newest))
    }
}

fn index(of: Variant) -> usize {
    VARIANTS.iter().position(|variant| *variant == of).expect("VARIANTS has each format with each encoding")
}

fn rows<'a>(
    config: &'a Config,
    name: Option<&'a str>,
    reading: Option<&'a Reading>,
    has_failed: bool,
) -> (Rows<'a>, SeriesCount) {
    let rows = Rows::new(config, name, reading);
    let mut rows = if has_failed { rows.without_nodes() } else { rows };
    let count = bound(&mut rows, &Served::new(&config.exposition), config.limits.series);
    (rows, count)
}

fn make(
    config: &Config,
    rows: &Rows<'_>,
    own: &[MetricFamily],
    (format, encoding): Variant,
    asked: &Asked,
) -> Bytes {
    let served = Served::new(&config.exposition);
    let last = asked.bytes.load(Ordering::Relaxed);
    let mut page = Vec::with_capacity(last + last / SPARE_PART);
    let made = match encoding {
        Encoding::Identity => render(&served, rows, own, format, &mut page),
        // The fastest level: the page compresses well at any.
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(&mut page, Compression::fast());
            render(&served, rows, own, format, &mut encoder).and_then(|()| encoder.try_finish())
        }
    };
    made.expect("a Vec takes any bytes");
    asked.bytes.store(page.len(), Ordering::Relaxed);
    page.into()
}
