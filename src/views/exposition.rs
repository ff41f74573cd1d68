//! The metrics page: the table's families, filled from rows and the sidecar's own registry.

use std::{
    fmt::{self, Write as _},
    io,
    time::Duration,
};

use prometheus::proto;

use super::{
    families::{Family, Kind, REDIS_LABELS, Source},
    number::Number,
    rows::{RedisRow, Rows, escaped},
    served::Served,
};
use crate::{
    evaluate::{GroupStatus, Health},
    latency::Histogram,
    model::Server,
};

/// A page may be tens of megabytes, so it leaves in pieces: into a buffer that grows, or into a compressor.
const CHUNK_BYTES: usize = 64 * 1024;

/// The text formats that scrapers ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of a page in this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes the page to `out`. `own` is what the sidecar's registry gathered.
///
/// # Errors
/// Those of `out`.
pub(super) fn render(
    served: &Served,
    rows: &Rows<'_>,
    own: &[proto::MetricFamily],
    format: Format,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let text = String::with_capacity(CHUNK_BYTES * 2);
    let mut page = Page { out, format, served, text, header_due: None };
    for family in served.families.iter().copied() {
        page.header_due = Some(family);
        page.family(family, rows, own)?;
    }
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.flush()
}

struct Page<'a, W> {
    out: &'a mut W,
    format: Format,
    served: &'a Served,
    text: String,
    /// The family whose header is to be written before its first sample: a family without samples has none.
    header_due: Option<&'static Family>,
}

impl<W: io::Write> Page<'_, W> {
    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }

    fn family(
        &mut self,
        family: &'static Family,
        rows: &Rows<'_>,
        own: &[proto::MetricFamily],
    ) -> io::Result<()> {
        let name = family.name;
        match family.source {
            Source::Own(_) => own
                .iter()
                .filter(|gathered| gathered.name() == name)
                .flat_map(proto::MetricFamily::get_metric)
                .try_for_each(|metric| self.own(family, metric)),
            Source::Redis => rows.redis.as_ref().map_or(Ok(()), |redis| self.redis(name, redis)),
            Source::OfServer(value) => match rows.redis.as_ref().and_then(|redis| value(redis.server?)) {
                Some(value) => self.sample(name, &[], value),
                None => Ok(()),
            },
            Source::OfCluster(value) => match rows.cluster.and_then(value) {
                Some(value) => self.sample(name, &[], value),
                None => Ok(()),
            },
            Source::OfNodes(_, values) => {
                let mut values = values(rows.servers).into_iter();
                values.try_for_each(|(label, value)| self.sample(name, &[&label], value))
            }
            Source::Node(value) => self.rows(name, &rows.nodes, |row| (&row.labels, value(&row.of))),
            Source::Stream(value) => self.rows(name, &rows.streams, |row| (&row.labels, value(&row.of))),
            Source::StreamMore(_, values) => rows.streams.iter().try_for_each(|row| {
                let mut more = values(&row.of).into_iter();
                more.try_for_each(|(labels, value)| self.sample(name, &[&row.labels, ",", &labels], value))
            }),
            Source::StreamHealth => rows.streams.iter().try_for_each(|row| {
                let states = self.served.states(Health::ALL, row.of.verdict.health);
                self.states(name, &row.labels, states.map(|(of, is)| (of.as_str(), is)))
            }),
            Source::Group(value) => self.rows(name, &rows.groups, |row| (&row.labels, value(&row.of))),
            Source::GroupMore(_, values) => rows.groups.iter().try_for_each(|row| {
                let mut more = values(&row.of).into_iter();
                more.try_for_each(|(labels, value)| self.sample(name, &[&row.labels, ",", &labels], value))
            }),
            Source::GroupHistogram(value) => rows.groups.iter().try_for_each(|row| match value(&row.of) {
                Some(waits) => self.waits(name, &row.labels, waits),
                None => Ok(()),
            }),
            Source::GroupStatus => rows.groups.iter().try_for_each(|row| {
                let states = self.served.states(GroupStatus::ALL, row.of.verdict.status);
                self.states(name, &row.labels, states.map(|(of, is)| (of.as_str(), is)))
            }),
            Source::Consumer(value) => rows.consumers().try_for_each(|(group, consumer)| {
                let Some(value) = value(consumer) else { return Ok(()) };
                let label = [&group.labels, ",consumer=\"", &escaped(&consumer.name), "\""];
                self.sample(name, &label, value)
            }),
        }
    }

    fn rows<R>(
        &mut self,
        name: &str,
        rows: &[R],
        sample: impl Fn(&R) -> (&String, Option<Number>),
    ) -> io::Result<()> {
        for (labels, value) in rows.iter().map(sample) {
            if let Some(value) = value {
                self.sample(name, &[labels], value)?;
            }
        }
        Ok(())
    }

    /// A sample a state, with whether it is the one.
    fn states<'b>(
        &mut self,
        name: &str,
        labels: &str,
        mut states: impl Iterator<Item = (&'b str, bool)>,
    ) -> io::Result<()> {
        states.try_for_each(|(state, is)| self.sample(name, &[labels, ",status=\"", state, "\""], is.into()))
    }

    /// A sample whose labels are these texts in turn.
    fn sample(&mut self, name: &str, labels: &[&str], value: Number) -> io::Result<()> {
        if let Some(family) = self.header_due.take() {
            self.header(family);
        }
        self.text.push_str(name);
        if labels.iter().any(|text| !text.is_empty()) {
            self.text.push('{');
            labels.iter().for_each(|text| self.text.push_str(text));
            self.text.push('}');
        }
        self.text.push(' ');
        value.write(&mut self.text);
        self.text.push('\n');
        if self.text.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    /// OpenMetrics names a counter and an info without their suffix, and tells the unit.
    fn header(&mut self, family: &Family) {
        let (suffix, kind) = match (family.kind, self.format) {
            (Kind::Counter, Format::OpenMetrics) => ("_total", "counter"),
            (Kind::Counter, Format::Text) => ("", "counter"),
            (Kind::Info, Format::OpenMetrics) => ("_info", "info"),
            (Kind::Info, Format::Text) | (Kind::Gauge, _) => ("", "gauge"),
            (Kind::Histogram, _) => ("", "histogram"),
        };
        let name = family.name.strip_suffix(suffix).unwrap_or(family.name);
        self.line(format_args!("# HELP {name} {}", family.help));
        self.line(format_args!("# TYPE {name} {kind}"));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, family.unit()) {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes any text");
    }

    fn redis(
        &mut self,
        family: &str,
        RedisRow { name, external_url, server }: &RedisRow<'_>,
    ) -> io::Result<()> {
        let version = server.and_then(Server::version_text);
        let values = [
            *name,
            server.map(|server| server.flavour.as_str()),
            version.as_deref(),
            server.and_then(|server| Some(server.role?.as_str())),
            server.and_then(|server| server.mode.as_deref()),
            *external_url,
        ];
        let labels = REDIS_LABELS.into_iter().zip(values);
        self.sample(
            family,
            &[&labels_text(labels.map(|(label, value)| (label, value.unwrap_or_default())))],
            Number::Count(1),
        )
    }

    fn own(&mut self, family: &Family, metric: &proto::Metric) -> io::Result<()> {
        let labels = labels_text(metric.get_label().iter().map(|pair| (pair.name(), pair.value())));
        match family.kind {
            Kind::Counter => {
                self.sample(family.name, &[&labels], Number::Float(metric.get_counter().get_value()))
            }
            Kind::Gauge | Kind::Info => {
                self.sample(family.name, &[&labels], Number::Float(metric.get_gauge().get_value()))
            }
            Kind::Histogram => self.histogram(family.name, metric.get_histogram()),
        }
    }

    fn histogram(&mut self, name: &str, histogram: &proto::Histogram) -> io::Result<()> {
        let buckets = histogram.get_bucket().iter();
        let buckets = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        let sum = Number::Float(histogram.get_sample_sum());
        self.buckets(name, "", buckets, sum, histogram.get_sample_count())
    }

    fn waits(&mut self, name: &str, labels: &str, waits: &Histogram) -> io::Result<()> {
        let mut sum = 0;
        let buckets = waits.bounds.iter().zip(&waits.buckets).map(|(bound, entries)| {
            sum += entries;
            (Duration::from_millis(*bound).as_secs_f64(), sum)
        });
        let all = Number::Seconds(Duration::from_millis(waits.sum_ms));
        self.buckets(name, labels, buckets, all, waits.count())
    }

    /// Buckets by their upper bounds, each with those below it.
    fn buckets(
        &mut self,
        name: &str,
        labels: &str,
        buckets: impl Iterator<Item = (f64, u64)>,
        sum: Number,
        count: u64,
    ) -> io::Result<()> {
        let (bucket_name, total) = (format!("{name}_bucket"), Number::Count(count));
        let comma = if labels.is_empty() { "" } else { "," };
        for (bound, count) in buckets {
            // OpenMetrics wants the bound as a float even where it is whole, which Debug writes.
            let bound = format!("le=\"{bound:?}\"");
            self.sample(&bucket_name, &[labels, comma, &bound], Number::Count(count))?;
        }
        self.sample(&bucket_name, &[labels, comma, "le=\"+Inf\""], total)?;
        self.sample(&format!("{name}_sum"), &[labels], sum)?;
        self.sample(&format!("{name}_count"), &[labels], total)
    }
}

/// Labels of the sidecar's own, or of the server's handshake.
fn labels_text<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
