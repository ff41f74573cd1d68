//! What the bench prints: its figures, what the watched streams carried, and how much is left.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use super::carried::Carried;
use crate::{
    actions::{self, BenchOrder, Measured, Test},
    cli::{command::Error, table::table},
    evaluate::{counted, grouped, short},
    model::Failure,
};

/// Entries a second at which an application should leave Redis Streams, if it keeps them up.
const MARK: u64 = 10_000;
/// Goes up when a field is removed or changes its meaning.
const SCHEMA_VERSION: u32 = 1;

/// The result of a bench.
pub(super) struct Report {
    /// The address of the server that was measured.
    pub(super) place: String,
    /// The same, if it is a node of a cluster.
    pub(super) node: Option<String>,
    pub(super) order: BenchOrder,
    pub(super) measured: Vec<Measured>,
    pub(super) carried: Result<Carried, Failure>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    /// The server that was measured, without user and password.
    address: &'a str,
    /// Whether it is one node of a cluster: the others were not measured.
    is_node_of_cluster: bool,
    payload_bytes: u32,
    connections: usize,
    tests: Vec<Row>,
    watched: Option<WatchedRow>,
    /// Why that is unknown.
    watched_failure: Option<String>,
    mark_per_second: u64,
    /// What is left below the mark; `null` if not all that the watched streams carry is known.
    left_per_second: Option<u64>,
    /// Entries that the server took beside those of the watched streams, in the faster test of `XADD`. It may take more: the client and the
    /// network have limits too.
    headroom_per_second: u64,
}

#[derive(Serialize)]
struct Row {
    test: &'static str,
    pipeline: usize,
    seconds: f64,
    requests: u64,
    entries: u64,
    requests_per_second: u64,
    entries_per_second: u64,
    latency_seconds: Latency,
}

#[derive(Serialize)]
struct Latency {
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    max: f64,
}

#[derive(Serialize)]
struct WatchedRow {
    streams: usize,
    /// Watched streams of which the number is unknown.
    unknown_streams: usize,
    seconds: f64,
    entries: u64,
    entries_per_second: u64,
}

impl Report {
    pub(super) fn text(&self) -> String {
        let of_cluster =
            if self.node.is_some() { ", one node of the cluster; the others were not measured" } else { "" };
        let mut text = format!(
            "{}{of_cluster}: {} connections, payloads of {}, {} in all\n\n{}\n",
            self.place,
            actions::Bench::CONNECTIONS,
            counted(self.order.size.into(), "byte"),
            short(self.order.duration),
            self.table()
        );
        let mut add = |name: &str, what: &str| {
            writeln!(text, "{name:16} {what}").expect("a String takes any text");
        };
        add("watched streams", &self.watched());
        add("mark", &self.left());
        add("this server", &self.headroom());
        text
    }

    fn table(&self) -> String {
        let row = |measured: &Measured| {
            let percentile = |percent| measured.latencies.percentile(percent).map_or("?".to_owned(), millis);
            [
                name(measured.test).to_owned(),
                grouped(per_second(measured.requests, measured.took)),
                grouped(per_second(measured.entries, measured.took)),
                percentile(50),
                percentile(95),
                percentile(99),
                millis(measured.latencies.longest()),
            ]
        };
        let rows: Vec<_> = self.measured.iter().map(row).collect();
        table(["TEST", "REQUESTS/S", "ENTRIES/S", "P50 MS", "P95 MS", "P99 MS", "MAX MS"], &rows)
    }

    fn watched(&self) -> String {
        match &self.carried {
            Ok(Carried { streams: 0, unknown: 0, .. }) => "nothing is watched".to_owned(),
            Ok(Carried { streams: 0, .. }) => {
                "what they carry is unknown: Redis counts additions since 7.0, and the user must be permitted to read them".to_owned()
            }
            Ok(carried @ Carried { streams, unknown, entries, time }) => {
                let rest = match unknown {
                    0 => String::new(),
                    unknown => format!("; {unknown} more unknown"),
                };
                format!(
                    "{} a second meanwhile: {} in {} ({}{rest})",
                    grouped(carried.per_second()),
                    counted(*entries, "entry"),
                    short(*time),
                    counted(u64::try_from(*streams).unwrap_or(u64::MAX), "stream")
                )
            }
            Err(failure) => format!("what they carry is unknown: {failure}"),
        }
    }

    /// What is left below the mark.
    fn left(&self) -> String {
        let mark = format!("{} entries a second", grouped(MARK));
        let Ok(carried) = &self.carried else { return format!("{mark}: what is left is unknown") };
        match (MARK.checked_sub(carried.per_second()), carried.unknown) {
            (None | Some(0), _) => format!("{mark}: nothing is left"),
            (Some(left), 0) => format!("{mark}: {} are left", grouped(left)),
            (Some(left), _) => format!("{mark}: at most {} are left", grouped(left)),
        }
    }

    fn headroom(&self) -> String {
        let took = self.took();
        format!(
            "takes at least {} entries a second beside that, {}.{} times the mark",
            grouped(took),
            took / MARK,
            took % MARK * 10 / MARK
        )
    }

    /// What the server took in the faster test of `XADD`. Any test proves that it takes as much; none that it takes no more.
    fn took(&self) -> u64 {
        let is_write = |measured: &&Measured| matches!(measured.test, Test::Add | Test::AddPipelined);
        let took = |measured: &Measured| per_second(measured.entries, measured.took);
        self.measured.iter().filter(is_write).map(took).max().unwrap_or(0)
    }

    pub(super) fn json(&self) -> Result<String, Error> {
        let row = |measured: &Measured| Row {
            test: name(measured.test),
            pipeline: if measured.test == Test::AddPipelined { Test::PIPELINE } else { 1 },
            seconds: measured.took.as_secs_f64(),
            requests: measured.requests,
            entries: measured.entries,
            requests_per_second: per_second(measured.requests, measured.took),
            entries_per_second: per_second(measured.entries, measured.took),
            latency_seconds: Latency {
                p50: measured.latencies.percentile(50).map(|it| it.as_secs_f64()),
                p95: measured.latencies.percentile(95).map(|it| it.as_secs_f64()),
                p99: measured.latencies.percentile(99).map(|it| it.as_secs_f64()),
                max: measured.latencies.longest().as_secs_f64(),
            },
        };
        let watched = self.carried.as_ref().ok();
        let document = Document {
            schema_version: SCHEMA_VERSION,
            address: &self.place,
            is_node_of_cluster: self.node.is_some(),
            payload_bytes: self.order.size,
            connections: actions::Bench::CONNECTIONS,
            tests: self.measured.iter().map(row).collect(),
            watched: watched.map(|carried| WatchedRow {
                streams: carried.streams,
                unknown_streams: carried.unknown,
                seconds: carried.time.as_secs_f64(),
                entries: carried.entries,
                entries_per_second: carried.per_second(),
            }),
            watched_failure: self.carried.as_ref().err().map(ToString::to_string),
            mark_per_second: MARK,
            left_per_second: watched
                .filter(|carried| carried.unknown == 0)
                .map(|carried| MARK.saturating_sub(carried.per_second())),
            headroom_per_second: self.took(),
        };
        let text =
            serde_json::to_string_pretty(&document).map_err(|error| Error::Other(error.to_string()))?;
        Ok(text + "\n")
    }
}

impl Carried {
    fn per_second(&self) -> u64 {
        per_second(self.entries, self.time)
    }
}

const fn name(test: Test) -> &'static str {
    match test {
        Test::Add => "XADD",
        Test::AddPipelined => "XADD, pipelines of 16",
        Test::Range => "XRANGE of 10",
        Test::ReadGroup => "XREADGROUP of 10, XACK",
    }
}

fn per_second(count: u64, time: Duration) -> u64 {
    let rate = u128::from(count) * Duration::from_secs(1).as_nanos() / time.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// In milliseconds, to the hundredth.
fn millis(time: Duration) -> String {
    let hundredths = time.as_micros() / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reason;

    #[test]
    fn what_is_left_is_exact_only_where_all_is_known() {
        let report = |carried| Report {
            place: "h:1".to_owned(),
            node: None,
            order: BenchOrder { duration: Duration::from_secs(4), size: 1 },
            measured: Vec::new(),
            carried,
        };
        let carried = |streams, unknown, entries| {
            Ok(Carried { streams, unknown, entries, time: Duration::from_secs(2) })
        };
        for (carried, watched, left) in [
            (carried(0, 0, 0), "nothing is watched", ": 10,000 are left"),
            (
                carried(2, 0, 3_000),
                "1,500 a second meanwhile: 3,000 entries in 2s (2 streams)",
                ": 8,500 are left",
            ),
            (carried(2, 1, 3_000), "(2 streams; 1 more unknown)", ": at most 8,500 are left"),
            (carried(0, 1, 0), "what they carry is unknown", ": at most 10,000 are left"),
            (carried(1, 0, 30_000), "15,000 a second", ": nothing is left"),
            (
                Err(Failure::new(Reason::Timeout, "late")),
                "what they carry is unknown",
                ": what is left is unknown",
            ),
        ] {
            let report = report(carried);
            assert!(report.watched().contains(watched), "{}", report.watched());
            assert!(report.left().ends_with(left), "{}", report.left());
        }
        assert_eq!(millis(Duration::from_micros(12_349)), "12.34");
    }
}
