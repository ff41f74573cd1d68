//! The metrics page in each format and encoding, made at most once a publication and served to every scraper.

use std::{
    io::{self, Write},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use prometheus::proto::MetricFamily;

use super::{
    bound::{SeriesCount, bound},
    exposition::{Format, render},
    families::served,
    rows::Rows,
};
use crate::{config::Config, poll::Reading};

/// A variant that nobody asked for during so many publications is made on demand only.
const FORGOTTEN_AFTER: u64 = 20;

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

/// Which variants scrapers ask for, by the publication that they last asked: only those are made ahead.
#[derive(Debug, Default)]
pub struct Demand([AtomicU64; VARIANTS.len()]);

/// A publication's pages.
pub struct Pages {
    number: u64,
    config: Arc<Config>,
    reading: Option<Arc<Reading>>,
    own: Vec<MetricFamily>,
    demand: Arc<Demand>,
    made: [OnceLock<Bytes>; VARIANTS.len()],
}

impl Pages {
    /// The next publication, with the variants in demand made.
    ///
    /// `own` gathers the sidecar's own metrics once the number of series is known. `reading` is what to show:
    /// `None` when there is nothing fresh.
    #[must_use]
    pub fn publish(
        number: u64,
        config: Arc<Config>,
        reading: Option<Arc<Reading>>,
        demand: Arc<Demand>,
        own: impl FnOnce(SeriesCount) -> Vec<MetricFamily>,
    ) -> Self {
        let made = [const { OnceLock::new() }; VARIANTS.len()];
        let mut pages = Self { number, config, reading, own: Vec::new(), demand, made };
        let (rows, count) = rows(&pages.config, pages.reading.as_deref());
        let own = own(count);
        for (made, (variant, asked)) in pages.made.iter().zip(VARIANTS.into_iter().zip(&pages.demand.0)) {
            let asked = asked.load(Ordering::Relaxed);
            if asked > 0 && asked + FORGOTTEN_AFTER >= number {
                made.get_or_init(|| make(&pages.config, &rows, &own, variant));
            }
        }
        drop(rows);
        pages.own = own;
        pages
    }

    /// The page, made now if nobody was expected to ask for it.
    #[must_use]
    pub fn get(&self, format: Format, encoding: Encoding) -> Bytes {
        let index = VARIANTS.iter().position(|variant| *variant == (format, encoding));
        let index = index.expect("each format stands there with each encoding");
        let (Some(made), Some(asked)) = (self.made.get(index), self.demand.0.get(index)) else {
            return Bytes::new();
        };
        asked.store(self.number, Ordering::Relaxed);
        let page = || {
            make(&self.config, &rows(&self.config, self.reading.as_deref()).0, &self.own, (format, encoding))
        };
        made.get_or_init(page).clone()
    }
}

fn rows<'a>(config: &'a Config, reading: Option<&'a Reading>) -> (Rows<'a>, SeriesCount) {
    let mut rows = reading.map(|reading| Rows::new(config, reading)).unwrap_or_default();
    let count = bound(&mut rows, served(&config.exposition), config.limits.series);
    (rows, count)
}

fn make(config: &Config, rows: &Rows<'_>, own: &[MetricFamily], (format, encoding): Variant) -> Bytes {
    let families = served(&config.exposition);
    let page = match encoding {
        Encoding::Identity => {
            let mut page = Vec::new();
            render(families, rows, own, format, &mut page).map(|()| page)
        }
        Encoding::Gzip => gzip(|encoder| render(families, rows, own, format, encoder)),
    };
    page.expect("a Vec takes any bytes").into()
}

/// The fastest level: the page compresses well at any.
fn gzip(write: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    write(&mut encoder)?;
    encoder.flush()?;
    encoder.finish()
}
