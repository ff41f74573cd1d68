//! Metrics over OTLP, as a collector of the test's own receives them.

use std::{collections::BTreeMap, net::TcpListener, time::Duration};

use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, metric::Data, number_data_point::Value,
};
use support::{Labels, Page, Redis, Sidecar, free_port, stays_so, wait_for};

use crate::{
    process::{streamwarden, text},
    traces::{
        collector::{Collector, PROTOCOLS, attributes},
        faults::assert_stops_in_time,
        sidecar,
    },
};

const SENT: &str = "streamwarden_metrics_exports_total";
const FAILED: &str = "sending metrics failed";

fn environment(protocol: &str, address: &str) -> Vec<(&'static str, String)> {
    vec![
        ("OTEL_METRICS_EXPORTER", "otlp".to_owned()),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint(protocol, address)),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100".to_owned()),
    ]
}

fn endpoint(protocol: &str, address: &str) -> String {
    // To the endpoint of one signal no path is added.
    if protocol == "grpc" { format!("http://{address}") } else { format!("http://{address}/v1/metrics") }
}

type Samples = BTreeMap<(String, Labels), f64>;

#[expect(clippy::cast_precision_loss, reason = "so does a reader of the page")]
fn number(point: &NumberDataPoint) -> f64 {
    match point.value.unwrap() {
        Value::AsInt(count) => count as f64,
        Value::AsDouble(number) => number,
    }
}

/// The samples of metrics, as a page has them. Fails where one is there twice.
#[expect(clippy::cast_precision_loss, reason = "so does a reader of the page")]
#[expect(clippy::wildcard_enum_match_arm, reason = "no others are sent")]
fn samples<'a>(metrics: impl Iterator<Item = &'a Metric>) -> Samples {
    let mut samples = Samples::new();
    let mut add = |name: String, labels: Labels, value: f64| {
        let what = format!("{name} {labels:?}");
        assert!(samples.insert((name, labels), value).is_none(), "{what} twice");
    };
    for Metric { name, data, .. } in metrics {
        match data.as_ref().unwrap() {
            Data::Gauge(gauge) => {
                gauge
                    .data_points
                    .iter()
                    .for_each(|it| add(name.clone(), attributes(&it.attributes), number(it)));
            }
            Data::Sum(sum) => {
                assert!(sum.is_monotonic, "{name}");
                assert_eq!(sum.aggregation_temporality, AggregationTemporality::Cumulative as i32, "{name}");
                sum.data_points
                    .iter()
                    .for_each(|it| add(name.clone(), attributes(&it.attributes), number(it)));
            }
            Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    let (labels, mut below) = (attributes(&point.attributes), 0);
                    let bounds = point.explicit_bounds.iter().map(|bound| format!("{bound:?}"));
                    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&point.bucket_counts) {
                        below += count;
                        let mut labels = labels.clone();
                        labels.insert("le".to_owned(), bound);
                        add(format!("{name}_bucket"), labels, below as f64);
                    }
                    add(format!("{name}_count"), labels.clone(), point.count as f64);
                    add(format!("{name}_sum"), labels, point.sum.unwrap());
                }
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    samples
}

/// The type of each family on a page, and of each metric in messages, by OTLP's words.
fn types_on_page(page: &str) -> BTreeMap<&str, &'static str> {
    let kind = |line: &'_ str| match line {
        "counter" => "sum",
        "histogram" => "histogram",
        "gauge" => "gauge",
        other => panic!("{other}"),
    };
    let lines = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    lines.map(|(name, word)| (name, kind(word))).collect()
}

fn newest(collector: &Collector) -> Vec<Metric> {
    // One message has all here, since there are few series.
    let received = collector.metrics();
    let Some((_, message)) = received.last() else { return Vec::new() };
    let resources = message.resource_metrics.iter();
    resources.flat_map(|it| &it.scope_metrics).flat_map(|scope| scope.metrics.clone()).collect()
}

#[test]
fn a_collector_gets_each_family_label_and_value_of_the_page() {
    let (password, token) = ("kXv7-canary-pQ2z", "tOk3n-canary");
    let redis = Redis::with_settings(&format!("requirepass {password}"));
    for stream in ["events", "odd\"name\\"] {
        redis.add(stream, 10);
        let _: () = redis::cmd("XGROUP")
            .arg(&["CREATE", stream, "workers", "0"])
            .query(&mut redis.connect())
            .unwrap();
    }
    redis.read("events", "workers", "w1", 4);
    // Its lag cannot be proven, so that a value is missing.
    redis.run::<()>("XGROUP CREATE events lost 5-5");
    redis.run::<()>("XDEL events 5-5");
    for protocol in PROTOCOLS {
        let collector = Collector::start(protocol);
        let mut environment = environment(protocol, &collector.address().to_string());
        environment.extend([
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("x-token={token}%20x,x-more=1")),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
            ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=orders-1".to_owned()),
        ]);
        // One poll only, so that the page stays as it is.
        let config =
            "poll: {interval: 10m, stale_after: 1h}\ntelemetry: {metrics: true}\nlog: {level: trace}";
        let sidecar = sidecar(&redis.uri(), config, &environment);
        sidecar.wait("the poll", |page| page.stream("length", "events").is_some());
        let page = wait_for("an export of that page", || {
            let page = sidecar.get("/metrics").text();
            (samples(newest(&collector).iter()) == *Page::parse(&page).samples()).then_some(page)
        });
        assert!(Page::parse(&page).samples().len() > 300, "{page}");
        let kinds = newest(&collector);
        let kinds: BTreeMap<&str, &str> = kinds.iter().map(|metric| (&*metric.name, kind(metric))).collect();
        assert_eq!(kinds, types_on_page(&page));

        let (headers, message) = collector.metrics().pop().unwrap();
        assert_eq!(headers["x-token"], format!("{token} x"));
        assert_eq!(headers["x-more"], "1");
        let resource = attributes(&message.resource_metrics[0].resource.as_ref().unwrap().attributes);
        assert_eq!((&*resource["service.name"], &*resource["k8s.pod.name"]), ("streamwarden", "orders-1"));
        assert!(resource["service.instance.id"].contains(':'), "{resource:?}");
        assert!(!format!("{message:?}").contains(password), "the password");
        assert!(!sidecar.log().contains("canary"), "a secret: {}", sidecar.log());
        assert!(collector.spans().is_empty(), "the endpoint is that of metrics alone");
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no others are sent")]
fn kind(metric: &Metric) -> &'static str {
    match metric.data.as_ref().unwrap() {
        Data::Gauge(_) => "gauge",
        Data::Sum(_) => "sum",
        Data::Histogram(_) => "histogram",
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_variable_alone_and_the_key_alone_send_nothing_and_the_log_names_the_other() {
    let redis = Redis::start();
    redis.add("s", 1);
    let collector = Collector::start("grpc");
    let all = environment("grpc", &collector.address().to_string());
    let without = |name: &str| all.iter().filter(|(it, _)| *it != name).cloned().collect::<Vec<_>>();
    let key = "telemetry: {metrics: true}";
    let disabled = [all.clone(), vec![("OTEL_SDK_DISABLED", "true".to_owned())]].concat();
    for (config, environment, lacking) in [
        ("", all.clone(), Some("telemetry.metrics: true")),
        (key, without("OTEL_METRICS_EXPORTER"), Some("OTEL_METRICS_EXPORTER=otlp")),
        (key, without("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"), Some("OTEL_EXPORTER_OTLP_ENDPOINT")),
        ("", without("OTEL_METRICS_EXPORTER"), None),
        (key, disabled, None),
        ("telemetry: {metrics: true, otlp: off}", all.clone(), None),
    ] {
        let sidecar = sidecar(&redis.uri(), config, &environment);
        sidecar.next_poll();
        stays_so(Duration::from_millis(400), "nothing is sent", || collector.metrics().is_empty());
        let lines: Vec<String> = sidecar
            .log()
            .lines()
            .filter(|line| line.contains("metrics are not sent"))
            .map(str::to_owned)
            .collect();
        assert_eq!(lines.len(), usize::from(lacking.is_some()), "{}", sidecar.log());
        if let Some(lacking) = lacking {
            assert!(lines[0].contains(lacking) && lines[0].contains("\"INFO\""), "{}", lines[0]);
        }
    }
    // And that the same sidecar would have been seen.
    let _sidecar = sidecar(&redis.uri(), key, &all);
    wait_for("an export", || (!collector.metrics().is_empty()).then_some(()));
}

fn exports(sidecar: &Sidecar, outcome: &str) -> f64 {
    sidecar.scrape().get(SENT, &[("outcome", outcome)]).unwrap()
}

#[test]
fn an_outage_of_the_collector_is_one_line_and_delays_neither_polls_nor_the_end() {
    let redis = Redis::start();
    redis.add("s", 1);
    for protocol in PROTOCOLS {
        let address = format!("127.0.0.1:{}", free_port());
        let mut sidecar =
            sidecar(&redis.uri(), "telemetry: {metrics: true}", &environment(protocol, &address));
        wait_for("failed exports", || (exports(&sidecar, "failed") >= 5.0).then_some(()));
        let log = sidecar.log();
        let line = log.lines().find(|line| line.contains(FAILED)).unwrap();
        assert!(line.contains(&address) && line.contains("Connection refused"), "{line}");
        assert_eq!(exports(&sidecar, "sent"), 0.0);
        let page = sidecar.scrape();
        let polls = page.own("streamwarden_polls_total");
        sidecar.wait("further polls", |page| page.own("streamwarden_polls_total") > polls + 5.0);

        let collector = Collector::start_at(protocol, &address);
        wait_for("an export", || (exports(&sidecar, "sent") >= 3.0).then_some(()));
        assert!(sidecar.log().contains("sending metrics works again"), "{}", sidecar.log());
        assert_eq!(sidecar.log().matches(FAILED).count(), 1, "{}", sidecar.log());

        collector.refuse(7);
        wait_for("a refusal", || (exports(&sidecar, "refused") >= 2.0).then_some(()));
        assert!(sidecar.log().contains("refused 7 data points: too old"), "{}", sidecar.log());
        assert_eq!(sidecar.log().matches(FAILED).count(), 2, "{}", sidecar.log());
        assert_stops_in_time(&mut sidecar);
    }
}

#[test]
fn a_collector_that_never_answers_costs_its_time_and_no_other() {
    let redis = Redis::start();
    redis.add("s", 1);
    for protocol in PROTOCOLS {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut environment = environment(protocol, &silent.local_addr().unwrap().to_string());
        environment.push(("OTEL_METRIC_EXPORT_TIMEOUT", "300".to_owned()));
        let mut sidecar = sidecar(&redis.uri(), "telemetry: {metrics: true}", &environment);
        let _held = silent.accept().unwrap();
        wait_for("failed exports", || (exports(&sidecar, "failed") >= 2.0).then_some(()));
        assert!(sidecar.log().contains("not all was sent within 300ms"), "{}", sidecar.log());
        assert_stops_in_time(&mut sidecar);
    }
}

#[test]
fn wrong_values_are_refused_and_one_for_traces_too_only_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    support::write(file.path(), "redis: {uri: 'redis://h'}\ntelemetry: {metrics: true}\n");
    let bad = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "grpc, http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "name=value"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "zstd", "gzip, none"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "10s", "milliseconds"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "milliseconds"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "soon", "milliseconds"),
    ];
    let mut environment =
        vec![("OTEL_METRICS_EXPORTER", "prometheus, otlp"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318")];
    environment.extend(bad.map(|(variable, value, _)| (variable, value)));
    let arguments = ["check-config", "--config", file.path().to_str().unwrap()];
    let problems = text(&streamwarden(&arguments, &environment).stderr);
    for (variable, _, hint) in bad {
        let mut lines = problems.lines().filter(|line| line.starts_with(&format!("{variable}: ")));
        assert!(lines.next().is_some_and(|line| line.contains(hint)), "{variable}: {hint} in:\n{problems}");
        assert_eq!(lines.next(), None, "{variable} twice in:\n{problems}");
    }
    assert!(!problems.contains("s3cret"), "{problems}");
    environment.truncate(2);
    environment.push(("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://collector/s3cret?key=s3cret"));
    let shown = text(&streamwarden(&arguments, &environment).stdout);
    assert!(shown.contains("metrics: true  # to https://collector:443\n"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}
