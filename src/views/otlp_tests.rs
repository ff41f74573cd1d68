//! The messages of a fixed reading, compared with its page.

use std::collections::BTreeMap;

use super::{
    super::{
        exposition::{Format, render},
        families::FAMILIES,
        rows::Rows,
        samples::samples,
        served::Served,
        test_reading::{config, reading, snapshot},
    },
    *,
};

const NOW: Duration = Duration::from_secs(2_000_000_000);
const STARTED: Duration = Duration::from_secs(1_900_000_000);

fn origin() -> Origin {
    Origin { resource: vec![("service.name".to_owned(), "streamwarden".to_owned())], started: STARTED }
}

fn own() -> Vec<prometheus::proto::MetricFamily> {
    let registry = prometheus::Registry::new();
    let durations =
        prometheus::HistogramOpts::new("streamwarden_poll_duration_seconds", "h").buckets(vec![0.5, 1.0]);
    let durations = prometheus::Histogram::with_opts(durations).unwrap();
    [0.25, 0.75, 0.75, 7.0].into_iter().for_each(|seconds| durations.observe(seconds));
    registry.register(Box::new(durations)).unwrap();
    let polls = prometheus::IntCounter::new("streamwarden_polls_total", "h").unwrap();
    polls.inc();
    registry.register(Box::new(polls)).unwrap();
    registry.gather()
}

fn decoded(messages: &[Bytes]) -> Vec<Metric> {
    let requests =
        messages.iter().map(|message| ExportMetricsServiceRequest::decode(message.clone()).unwrap());
    let resources = requests.flat_map(|request| request.resource_metrics);
    resources.flat_map(|resource| resource.scope_metrics).flat_map(|scope| scope.metrics).collect()
}

fn labels(attributes: &[KeyValue]) -> String {
    let text = |attribute: &KeyValue| {
        let Some(any_value::Value::StringValue(text)) = attribute.value.clone().unwrap().value else {
            panic!("not a text: {attribute:?}")
        };
        format!("{}=\"{}\"", attribute.key, text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    attributes.iter().map(text).collect::<Vec<_>>().join(",")
}

fn value(point: &NumberDataPoint) -> f64 {
    match point.value.unwrap() {
        Value::AsInt(count) => float(Number::Count(count.try_into().unwrap())),
        Value::AsDouble(float) => float,
    }
}

/// The series of messages, as a page has them.
fn series(metrics: &[Metric]) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    let mut add = |name: &str, labels: &str, value: f64| {
        let labels = labels.trim_matches(',');
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        assert_eq!(series.insert(format!("{name}{labels}"), value), None, "{name}{labels} twice");
    };
    for metric in metrics {
        let name = &metric.name;
        match metric.data.as_ref().unwrap() {
            Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. }) => {
                data_points.iter().for_each(|point| add(name, &labels(&point.attributes), value(point)));
            }
            Data::Histogram(Histogram { data_points, .. }) => {
                for point in data_points {
                    let (labels, mut below) = (labels(&point.attributes), 0);
                    let bounds = point.explicit_bounds.iter().map(|bound| format!("{bound:?}"));
                    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&point.bucket_counts) {
                        below += count;
                        let below = float(Number::Count(below));
                        add(&format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), below);
                    }
                    add(&format!("{name}_count"), &labels, float(Number::Count(point.count)));
                    add(&format!("{name}_sum"), &labels, point.sum.unwrap());
                }
            }
            Data::ExponentialHistogram(_) | Data::Summary(_) => panic!("{name} is of another kind"),
        }
    }
    series
}

/// The series of a page.
fn on_page(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

#[test]
fn messages_have_the_series_of_the_page_and_no_other() {
    let (config, own) = (config(), own());
    let reading = reading(snapshot(), &config);
    let rows = Rows::new(&config, Some("redis.example:6379/0"), Some(&reading));
    let served = Served::new(&config.exposition);
    let mut page = Vec::new();
    render(&served, &rows, &own, Format::Text, &mut page).unwrap();
    let origin = origin();
    let mut messages = Messages::new(&origin, NOW);
    samples(&served, &rows, &own, &mut messages).unwrap();
    let metrics = decoded(&messages.end());
    let (expected, sent) = (on_page(&String::from_utf8(page).unwrap()), series(&metrics));
    assert!(expected.len() > 100, "{}", expected.len());
    assert_eq!(sent, expected);
    for metric in &metrics {
        let family = FAMILIES.iter().find(|family| family.name == metric.name).unwrap();
        let is_sum = matches!(&metric.data, Some(Data::Sum(sum)) if sum.is_monotonic);
        assert_eq!(is_sum, family.kind == Kind::Counter, "{}", metric.name);
        assert_eq!(metric.description, family.help);
    }
}

#[test]
fn only_the_sidecars_own_counters_have_a_known_start() {
    let (config, own, origin) = (config(), own(), origin());
    let reading = reading(snapshot(), &config);
    let rows = Rows::new(&config, None, Some(&reading));
    let mut messages = Messages::new(&origin, NOW);
    samples(&Served::new(&config.exposition), &rows, &own, &mut messages).unwrap();
    let metrics = decoded(&messages.end());
    let times = |name: &str| {
        let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
        match metric.data.as_ref().unwrap() {
            Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. }) => {
                (data_points[0].start_time_unix_nano, data_points[0].time_unix_nano)
            }
            Data::Histogram(Histogram { data_points, .. }) => {
                (data_points[0].start_time_unix_nano, data_points[0].time_unix_nano)
            }
            Data::ExponentialHistogram(_) | Data::Summary(_) => panic!("{name} is of another kind"),
        }
    };
    let (now, started) = (2_000_000_000_000_000_000, 1_900_000_000_000_000_000);
    assert_eq!(times("streamwarden_polls_total"), (started, now));
    assert_eq!(times("streamwarden_poll_duration_seconds"), (started, now));
    assert_eq!(times("streamwarden_stream_entries_added_total"), (0, now), "Redis counts them");
    assert_eq!(times("streamwarden_stream_length"), (0, now));
}

#[test]
fn a_label_is_its_text_without_escapes() {
    let (attributes, _) = attributes(r#"stream="a\"b\\,c=\"",group="",consumer="ü\\""#);
    let text = |attribute: KeyValue| {
        let Some(any_value::Value::StringValue(text)) = attribute.value.unwrap().value else {
            panic!("{} is not a text", attribute.key)
        };
        (attribute.key, text)
    };
    let texts: Vec<(String, String)> = attributes.into_iter().map(text).collect();
    let expected = [("stream", r#"a"b\,c=""#), ("group", ""), ("consumer", r"ü\")];
    assert_eq!(texts, expected.map(|(key, text)| (key.to_owned(), text.to_owned())));
}

#[test]
fn no_message_is_too_large_and_no_point_is_left_out() {
    let origin = origin();
    let mut messages = Messages::new(&origin, NOW);
    let families: Vec<_> = FAMILIES.iter().filter(|family| family.kind != Kind::Histogram).collect();
    let mut points = 0;
    for family in families.iter().take(20) {
        for number in 0..2_000_u64 {
            let label = format!("{number:>0width$}", width = usize::try_from(number).unwrap() % 200);
            messages
                .sample(family, &["db=\"db0\",stream=\"", &label, "\""], Number::Count(u64::MAX - number))
                .unwrap();
            points += 1;
        }
    }
    let messages = messages.end();
    assert!(messages.len() > 5, "{}", messages.len());
    for message in &messages {
        assert!(message.len() < MESSAGE_BYTES + 1_000, "{}", message.len());
    }
    let of = |metric: &Metric| match metric.data.as_ref().unwrap() {
        Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. }) => data_points.len(),
        Data::Histogram(_) | Data::ExponentialHistogram(_) | Data::Summary(_) => 0,
    };
    assert_eq!(decoded(&messages).iter().map(of).sum::<usize>(), points);
}
