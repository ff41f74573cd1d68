//! All samples as OTLP's messages, for a collector: the same families, labels and values as on the page.

use std::{io, time::Duration};

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point::Value,
    },
    resource::v1::Resource,
};
use prost::Message as _;

use super::{
    families::{Family, Kind},
    number::Number,
    samples::Sink,
};

/// The most that the metrics of a message take. Collectors refuse messages of more than 4 MiB by default.
const MESSAGE_BYTES: usize = 512 * 1024;
/// What a point takes besides its labels, at most.
const POINT_BYTES: usize = 40;
/// What a label takes besides its text, at most.
const LABEL_BYTES: usize = 10;

/// Where the metrics come from, and since when the sidecar counts.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The attributes of the sidecar.
    pub resource: Vec<(String, String)>,
    /// The sidecar's start, since the Unix epoch: its own counters began then.
    pub started: Duration,
}

/// Makes messages of samples.
pub(super) struct Messages<'a> {
    origin: &'a Origin,
    now: u64,
    /// The messages that are complete, encoded: that takes a fraction of the room.
    complete: Vec<Bytes>,
    metrics: Vec<Metric>,
    /// The family of the last metric.
    family: Option<&'static Family>,
    /// At least the size of the encoded metrics.
    bytes: usize,
}

impl<'a> Messages<'a> {
    /// `now` is the time of all points, since the Unix epoch.
    pub(super) const fn new(origin: &'a Origin, now: Duration) -> Self {
        Self {
            origin,
            now: nanoseconds(now),
            complete: Vec::new(),
            metrics: Vec::new(),
            family: None,
            bytes: 0,
        }
    }

    /// All messages, each an encoded `ExportMetricsServiceRequest`.
    pub(super) fn end(mut self) -> Vec<Bytes> {
        self.cut();
        self.complete
    }

    fn cut(&mut self) {
        let metrics = std::mem::take(&mut self.metrics);
        (self.family, self.bytes) = (None, 0);
        if metrics.is_empty() {
            return;
        }
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let attributes = self.origin.resource.iter().map(|(key, value)| attribute(key, value.clone()));
        let of_resource = ResourceMetrics {
            resource: Some(Resource { attributes: attributes.collect(), ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        };
        let message = ExportMetricsServiceRequest { resource_metrics: vec![of_resource] };
        self.complete.push(message.encode_to_vec().into());
    }

    /// The points of the family, in the message that is being made.
    fn data(&mut self, family: &'static Family, bytes: usize) -> &mut Data {
        if self.bytes + bytes > MESSAGE_BYTES {
            self.cut();
        }
        self.bytes += bytes;
        if !self.family.is_some_and(|last| std::ptr::eq(last, family)) {
            self.family = Some(family);
            self.bytes += family.name.len() + family.help.len();
            self.metrics.push(Metric {
                name: family.name.to_owned(),
                description: family.help.to_owned(),
                unit: unit(family).to_owned(),
                ..Metric::default()
            });
        }
        let last = self.metrics.last_mut().expect("one of the family was just added, or is there");
        last.data.get_or_insert_with(|| no_points(family.kind))
    }

    /// Since when the family's values count. Only the sidecar's own counters begin with its process: others are Redis's, or
    /// begin when a stream or a group is first seen or recreated. 0 is how OTLP says that a start is unknown.
    const fn start(&self, family: &Family) -> u64 {
        match family.kind {
            Kind::Counter | Kind::Histogram if family.is_own() => nanoseconds(self.origin.started),
            Kind::Counter | Kind::Histogram | Kind::Gauge | Kind::Info => 0,
        }
    }
}

impl Sink for Messages<'_> {
    fn sample(&mut self, family: &'static Family, labels: &[&str], value: Number) -> io::Result<()> {
        let (attributes, bytes) = attributes(&labels.concat());
        let point = NumberDataPoint {
            attributes,
            start_time_unix_nano: self.start(family),
            time_unix_nano: self.now,
            value: Some(number(value)),
            ..NumberDataPoint::default()
        };
        match self.data(family, bytes) {
            Data::Gauge(gauge) => gauge.data_points.push(point),
            Data::Sum(sum) => sum.data_points.push(point),
            Data::Histogram(_) | Data::ExponentialHistogram(_) | Data::Summary(_) => {}
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        family: &'static Family,
        labels: &str,
        buckets: impl Iterator<Item = (f64, u64)>,
        sum: Number,
        count: u64,
    ) -> io::Result<()> {
        let (attributes, bytes) = attributes(labels);
        let (mut explicit_bounds, mut bucket_counts, mut below) = (Vec::new(), Vec::new(), 0);
        for (bound, up_to) in buckets {
            explicit_bounds.push(bound);
            bucket_counts.push(up_to.saturating_sub(below));
            below = up_to;
        }
        bucket_counts.push(count.saturating_sub(below));
        let bytes = bytes + 16 * bucket_counts.len();
        let point = HistogramDataPoint {
            attributes,
            start_time_unix_nano: self.start(family),
            time_unix_nano: self.now,
            count,
            sum: Some(float(sum)),
            bucket_counts,
            explicit_bounds,
            ..HistogramDataPoint::default()
        };
        if let Data::Histogram(histogram) = self.data(family, bytes) {
            histogram.data_points.push(point);
        }
        Ok(())
    }
}

const fn no_points(kind: Kind) -> Data {
    // The enumeration of a message is a number in it.
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
    match kind {
        Kind::Gauge | Kind::Info => Data::Gauge(Gauge { data_points: Vec::new() }),
        Kind::Counter => {
            Data::Sum(Sum { data_points: Vec::new(), aggregation_temporality, is_monotonic: true })
        }
        Kind::Histogram => Data::Histogram(Histogram { data_points: Vec::new(), aggregation_temporality }),
    }
}

/// The unit as UCUM names it.
fn unit(family: &Family) -> &'static str {
    match family.unit() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        _ => "",
    }
}

/// The attributes that a text of labels has, and the bytes that a point with them takes at most.
fn attributes(labels: &str) -> (Vec<KeyValue>, usize) {
    let (mut attributes, mut rest) = (Vec::new(), labels);
    while let Some((name, after)) = rest.split_once("=\"") {
        let (value, end) = value(after);
        attributes.push(attribute(name.trim_start_matches(','), value));
        rest = after.get(end..).unwrap_or_default();
    }
    let bytes = labels.len() + POINT_BYTES + attributes.len() * LABEL_BYTES;
    (attributes, bytes)
}

/// A label's value without its escapes, and where it ends, with its closing quote.
fn value(text: &str) -> (String, usize) {
    let (mut value, mut is_escaped) = (String::new(), false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => value.push(character),
            '\\' => {}
            '"' => return (value, at + 1),
            _ => value.push(character),
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    (value, text.len())
}

fn attribute(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn number(number: Number) -> Value {
    match number {
        Number::Count(count) => {
            i64::try_from(count).map_or_else(|_| Value::AsDouble(float(number)), Value::AsInt)
        }
        Number::Change(change) => Value::AsInt(change),
        Number::Seconds(_) | Number::Float(_) => Value::AsDouble(float(number)),
    }
}

/// As a reader of the text format understands the number.
#[expect(clippy::cast_precision_loss, reason = "so does a reader of the text")]
fn float(number: Number) -> f64 {
    match number {
        Number::Count(count) => count as f64,
        Number::Change(change) => change as f64,
        Number::Seconds(duration) => duration.as_millis() as f64 / 1_000.0,
        Number::Float(float) => float,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it fits for some 500 years since the epoch")]
const fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
