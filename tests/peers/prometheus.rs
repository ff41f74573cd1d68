//! A real Prometheus takes the page whole, in each format.

use std::collections::BTreeSet;

use serde_json::Value;

use support::{Labels, Page, Redis, Sidecar, wait_for, write};

use crate::{
    relay::{Accept, Relay},
    seed,
    tool::Peer,
};

/// A Prometheus that scrapes one target; it ends with the test.
struct Prometheus {
    peer: Peer,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn scraping(target: std::net::SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("prometheus.yml");
        let job = format!("{{job_name: sidecar, static_configs: [{{targets: ['{target}']}}]}}");
        write(
            &file,
            &format!("global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs: [{job}]\n"),
        );
        let (file, data) = (file.to_str().unwrap(), directory.path().to_str().unwrap());
        let arguments = [&format!("--config.file={file}")[..], &format!("--storage.tsdb.path={data}/data")];
        let peer = Peer::start("prometheus", "--web.listen-address", &arguments);
        Self { peer, _directory: directory }
    }

    /// The `data` of an answer of its API.
    fn api(&mut self, path: &str) -> Option<Value> {
        let answer: Value = serde_json::from_str(&self.peer.get(&format!("/api/v1/{path}"))?).unwrap();
        Some(answer["data"].clone())
    }

    /// The series of an instant query, by name and labels without those of the target, with their values.
    fn query(&mut self, query: &str) -> Option<Vec<((String, Labels), f64)>> {
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.api(&format!("query?query={query}"))?;
        let series = |result: &Value| {
            let labels = result["metric"].as_object().unwrap().iter();
            let mut labels: Labels =
                labels.map(|(label, value)| (label.clone(), value.as_str().unwrap().to_owned())).collect();
            labels.retain(|label, _| label != "instance" && label != "job");
            let name = labels.remove("__name__").unwrap_or_default();
            ((name, labels), result["value"][1].as_str().unwrap().parse().unwrap())
        };
        Some(data["result"].as_array()?.iter().map(series).collect())
    }

    /// The one value of a query.
    fn value(&mut self, query: &str) -> Option<f64> {
        Some(self.query(query)?.first()?.1)
    }
}

/// The page as the target serves it in the format that Prometheus got.
fn page(sidecar: &Sidecar, accept: &str) -> String {
    sidecar.request("GET", "/metrics", &format!("accept: {accept}\r\n")).text()
}

/// What a page tells of its families: name, type and help.
fn families(page: &str) -> BTreeSet<(String, String, String)> {
    let lines =
        |start: &'static str| page.lines().filter_map(move |line| line.strip_prefix(start)?.split_once(' '));
    let help = |name: &str| {
        lines("# HELP ").find(|(it, _)| *it == name).unwrap_or_else(|| panic!("no help: {name}")).1
    };
    lines("# TYPE ").map(|(name, kind)| (name.to_owned(), kind.to_owned(), help(name).to_owned())).collect()
}

fn known_families(metadata: &Value) -> BTreeSet<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_page = metadata.as_object().unwrap().iter();
    of_page.map(|(name, of)| (name.clone(), text(&of[0]["type"]), text(&of[0]["help"]))).collect()
}

/// Everything about streams, groups and consumers.
fn of_streams<'a>(series: impl Iterator<Item = &'a (String, Labels)>) -> BTreeSet<(String, Labels)> {
    series
        .filter(|(name, labels)| name.starts_with("streamwarden_") && labels.contains_key("stream"))
        .cloned()
        .collect()
}

fn takes_everything(accept: Accept, content_type: &str) {
    let redis = Redis::start();
    let names = [seed::names(5), seed::hostile_names()].concat();
    seed::streams(&redis, &names);
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == names.len());
    let relay = Relay::start(sidecar.address(), accept);
    let mut prometheus = Prometheus::scraping(relay.address);

    let target = wait_for("a scrape", || {
        let target = prometheus.api("targets")?["activeTargets"][0].clone();
        (target["health"] != "unknown" && !target.is_null()).then_some(target)
    });
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    let (asked, answered) = relay.seen().unwrap();
    assert!(answered.starts_with(content_type), "{asked} was answered by {answered}");

    let page_now = page(&sidecar, &asked);
    let samples = page_now.lines().filter(|line| !line.starts_with('#')).count();
    for count in ["scrape_samples_scraped", "scrape_samples_post_metric_relabeling"] {
        let taken = wait_for("a count of samples", || prometheus.value(count));
        assert_eq!(taken, f64::from(u32::try_from(samples).unwrap()), "{count}");
    }
    assert_eq!(known_families(&prometheus.api("metadata").unwrap()), families(&page_now));
    let text = Page::parse(&page(&sidecar, "text/plain"));
    let taken = prometheus.query("{job=\"sidecar\"}").unwrap();
    let (taken, shown) =
        (of_streams(taken.iter().map(|(series, _)| series)), of_streams(text.samples().keys()));
    assert_eq!(taken, shown);
    assert!(shown.len() > names.len() * 50, "{} series of streams", shown.len());
}

#[test]
fn prometheus_takes_the_page_in_the_format_that_it_asks_for() {
    takes_everything(Accept::AsAsked, "application/openmetrics-text; version=1.0.0");
}

#[test]
fn prometheus_takes_the_page_in_the_text_format() {
    takes_everything(Accept::Text, "text/plain; version=0.0.4");
}
