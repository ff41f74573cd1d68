//! All samples of a reading: the table's families, filled from rows and the sidecar's own registry.
//!
//! What becomes of them is the sink's business: a page, or messages to a collector. So both have the same families, labels and values.

use std::{io, time::Duration};

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

/// Takes the samples, one family after the other.
pub(super) trait Sink {
    /// Takes a sample. Its labels are these texts in turn, as the text format writes them.
    fn sample(&mut self, family: &'static Family, labels: &[&str], value: Number) -> io::Result<()>;

    /// Takes a histogram: its buckets by their upper bounds, each with those below it.
    fn histogram(
        &mut self,
        family: &'static Family,
        labels: &str,
        buckets: impl Iterator<Item = (f64, u64)>,
        sum: Number,
        count: u64,
    ) -> io::Result<()>;
}

/// Passes all samples to `sink`. `own` is what the sidecar's registry gathered.
///
/// # Errors
/// Those of `sink`.
pub(super) fn samples(
    served: &Served,
    rows: &Rows<'_>,
    own: &[proto::MetricFamily],
    sink: &mut impl Sink,
) -> io::Result<()> {
    let mut samples = Samples { served, rows, own, sink };
    served.families.iter().try_for_each(|family| samples.family(family))
}

struct Samples<'a, S> {
    served: &'a Served,
    rows: &'a Rows<'a>,
    own: &'a [proto::MetricFamily],
    sink: &'a mut S,
}

impl<S: Sink> Samples<'_, S> {
    fn family(&mut self, family: &'static Family) -> io::Result<()> {
        let (rows, own) = (self.rows, self.own);
        match family.source {
            Source::Own(_) => own
                .iter()
                .filter(|gathered| gathered.name() == family.name)
                .flat_map(proto::MetricFamily::get_metric)
                .try_for_each(|metric| self.of_registry(family, metric)),
            Source::Redis => rows.redis.as_ref().map_or(Ok(()), |redis| self.redis(family, redis)),
            Source::OfServer(value) => match rows.redis.as_ref().and_then(|redis| value(redis.server?)) {
                Some(value) => self.sink.sample(family, &[], value),
                None => Ok(()),
            },
            Source::OfCluster(value) => match rows.cluster.and_then(value) {
                Some(value) => self.sink.sample(family, &[], value),
                None => Ok(()),
            },
            Source::OfNodes(_, values) => {
                let mut values = values(rows.servers).into_iter();
                values.try_for_each(|(label, value)| self.sink.sample(family, &[&label], value))
            }
            Source::MemoryOfNodes(value) => rows.memory.iter().try_for_each(|of| {
                let Some(value) = value(of) else { return Ok(()) };
                self.sink.sample(family, &["node=\"", &of.node, "\""], value)
            }),
            Source::Node(value) => self.rows(family, &rows.nodes, |row| (&row.labels, value(&row.of))),
            Source::Stream(value) => self.rows(family, &rows.streams, |row| (&row.labels, value(&row.of))),
            Source::StreamMore(_, values) => rows.streams.iter().try_for_each(|row| {
                let mut more = values(&row.of).into_iter();
                more.try_for_each(|(labels, value)| {
                    self.sink.sample(family, &[&row.labels, ",", &labels], value)
                })
            }),
            Source::StreamHealth => rows.streams.iter().try_for_each(|row| {
                let states = self.served.states(Health::ALL, row.of.health());
                self.states(family, &row.labels, states.map(|(of, is)| (of.as_str(), is)))
            }),
            Source::Group(value) => self.rows(family, &rows.groups, |row| (&row.labels, value(&row.of))),
            Source::GroupMore(_, values) => rows.groups.iter().try_for_each(|row| {
                let mut more = values(&row.of).into_iter();
                more.try_for_each(|(labels, value)| {
                    self.sink.sample(family, &[&row.labels, ",", &labels], value)
                })
            }),
            Source::GroupHistogram(value) => rows.groups.iter().try_for_each(|row| match value(&row.of) {
                Some(waits) => self.waits(family, &row.labels, waits),
                None => Ok(()),
            }),
            Source::GroupStatus => rows.groups.iter().try_for_each(|row| {
                let states = self.served.states(GroupStatus::ALL, row.of.verdict.status);
                self.states(family, &row.labels, states.map(|(of, is)| (of.as_str(), is)))
            }),
            Source::Consumer(value) => rows.consumers().try_for_each(|(group, consumer)| {
                let Some(value) = value(consumer) else { return Ok(()) };
                let label = [&group.labels, ",consumer=\"", &escaped(&consumer.name), "\""];
                self.sink.sample(family, &label, value)
            }),
        }
    }

    fn rows<R>(
        &mut self,
        family: &'static Family,
        rows: &[R],
        sample: impl Fn(&R) -> (&String, Option<Number>),
    ) -> io::Result<()> {
        for (labels, value) in rows.iter().map(sample) {
            if let Some(value) = value {
                self.sink.sample(family, &[labels], value)?;
            }
        }
        Ok(())
    }

    /// A sample a state, with whether it is the one.
    fn states<'b>(
        &mut self,
        family: &'static Family,
        labels: &str,
        mut states: impl Iterator<Item = (&'b str, bool)>,
    ) -> io::Result<()> {
        states.try_for_each(|(state, is)| {
            self.sink.sample(family, &[labels, ",status=\"", state, "\""], is.into())
        })
    }

    fn redis(
        &mut self,
        family: &'static Family,
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
        self.sink.sample(
            family,
            &[&labels_text(labels.map(|(label, value)| (label, value.unwrap_or_default())))],
            Number::Count(1),
        )
    }

    fn of_registry(&mut self, family: &'static Family, metric: &proto::Metric) -> io::Result<()> {
        let labels = labels_text(metric.get_label().iter().map(|pair| (pair.name(), pair.value())));
        match family.kind {
            Kind::Counter => {
                self.sink.sample(family, &[&labels], Number::Float(metric.get_counter().get_value()))
            }
            Kind::Gauge | Kind::Info => {
                self.sink.sample(family, &[&labels], Number::Float(metric.get_gauge().get_value()))
            }
            Kind::Histogram => self.histogram(family, &labels, metric.get_histogram()),
        }
    }

    fn histogram(
        &mut self,
        family: &'static Family,
        labels: &str,
        histogram: &proto::Histogram,
    ) -> io::Result<()> {
        let buckets = histogram.get_bucket().iter();
        let buckets = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        let sum = Number::Float(histogram.get_sample_sum());
        self.sink.histogram(family, labels, buckets, sum, histogram.get_sample_count())
    }

    fn waits(&mut self, family: &'static Family, labels: &str, waits: &Histogram) -> io::Result<()> {
        let mut sum = 0;
        let buckets = waits.bounds.iter().zip(&waits.buckets).map(|(bound, entries)| {
            sum += entries;
            (Duration::from_millis(*bound).as_secs_f64(), sum)
        });
        let all = Number::Seconds(Duration::from_millis(waits.sum_ms));
        self.sink.histogram(family, labels, buckets, all, waits.count())
    }
}

/// Labels of the sidecar's own, or of the server's handshake.
fn labels_text<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",")
}
