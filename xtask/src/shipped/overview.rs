//! The dashboard of all streams: what is wrong, and where.

use super::{
    board::{Board, Row},
    panel::{Panel, Unit, View, Word},
    query::{Scope, count, max, worst},
};

const SCOPE: Scope = Scope(&["db", "stream"]);
/// Statuses as numbers, for timelines.
pub(super) const HEALTHS: [Word; 4] = [
    ("0", "healthy", "green"),
    ("1", "unknown", "text"),
    ("2", "warning", "orange"),
    ("3", "critical", "red"),
];

pub(super) fn board() -> Board {
    Board {
        uid: "streamwarden-overview",
        title: "Redis Streams: overview",
        description: "All streams that Streamwarden watches, from symptoms to causes.",
        scope: SCOPE,
        rows: vec![wrong(), waiting(), flow(), streams()],
    }
}

/// The health as a number.
pub(super) fn health(scope: Scope) -> String {
    worst(scope, "streamwarden_stream_health", &HEALTHS)
}

fn with_status(name: &str, status: &str) -> String {
    format!("{} == 1", max(&SCOPE.series_with(name, status)))
}

fn wrong() -> Row {
    Row { title: "Is anything wrong?", panels: counts().into_iter().chain(named()).collect() }
}

/// Numbers of streams and groups with problems.
fn counts() -> Vec<Panel> {
    let stat = |title, unit, description| Panel::new(View::Stat, title, unit, description);
    vec![
        stat(
            "Redis reachable",
            Unit::YesNo,
            "Whether any sidecar can read Redis. If not, everything below is stale.",
        )
        .query("", format!("max({})", SCOPE.series("streamwarden_redis_up")))
        .words(&[("0", "no", "red"), ("1", "yes", "green")]),
        stat("Critical streams", Unit::Short, "Streams whose health is critical: look now.")
            .query("", count(&with_status("streamwarden_stream_health", "status=\"critical\"")))
            .colours(&[(1.0, "red")]),
        stat("Streams with a warning", Unit::Short, "Streams whose health is warning: look soon.")
            .query("", count(&with_status("streamwarden_stream_health", "status=\"warning\"")))
            .colours(&[(1.0, "orange")]),
        stat("Unhealthy groups", Unit::Short, "Consumer groups whose status is neither ok nor unknown.")
            .query("", count(&with_status("streamwarden_group_status", "status!~\"ok|unknown\"")))
            .colours(&[(1.0, "red")]),
        stat(
            "Entries lost",
            Unit::Short,
            "Entries removed before they were delivered to a group, in the selected time range.",
        )
        .query(
            "",
            format!(
                "sum({}) or vector(0)",
                max(&SCOPE.over("increase", "streamwarden_group_entries_lost_total", "$__range"))
            ),
        )
        .colours(&[(0.5, "red")]),
        stat(
            "Messages per second",
            Unit::PerSecond,
            "Entries added to all streams. Above 10,000 for a long time, consider another log.",
        )
        .query("", format!("sum({})", max(&SCOPE.rate("streamwarden_stream_entries_added_total"))))
        .colours(&[(8000.0, "orange"), (10_000.0, "red")]),
    ]
}

/// The streams and groups with problems, by name.
fn named() -> Vec<Panel> {
    vec![
        Panel::new(View::Table, "Unhealthy groups", Unit::Short, "Groups that are not ok, and their status.")
            .query("", with_status("streamwarden_group_status", "status!~\"ok|unknown\""))
            .leads_to_the_stream(),
        Panel::new(
            View::Timeline,
            "Health of streams",
            Unit::Short,
            "The worst status of the stream's groups and of its own length, age, silence and presence.",
        )
        .query("{{stream}}", health(SCOPE))
        .words(&HEALTHS)
        .leads_to_the_stream(),
    ]
}

fn waiting() -> Row {
    let graph =
        |title, unit, description| Panel::new(View::Graph, title, unit, description).leads_to_the_stream();
    let threshold = |name| SCOPE.max(name);
    Row {
        title: "Waiting entries",
        panels: vec![
            graph("Waiting time", Unit::Seconds, "Age of the oldest entry not yet delivered to the group. Dashed: the stream's threshold.")
                .query("{{stream}} {{group}}", SCOPE.max("streamwarden_group_lag_seconds"))
                .threshold("threshold {{stream}}", threshold("streamwarden_stream_lag_threshold_seconds")),
            graph("Lag", Unit::Short, "Entries not yet delivered to the group, if the exact number is known. Dashed: the stream's threshold.")
                .query("{{stream}} {{group}}", SCOPE.max("streamwarden_group_lag"))
                .threshold("threshold {{stream}}", threshold("streamwarden_stream_lag_threshold")),
            graph("Oldest pending entry", Unit::Seconds, "Age of the oldest entry that was delivered but not acknowledged. Dashed: the stream's threshold.")
                .query("{{stream}} {{group}}", SCOPE.max("streamwarden_group_oldest_pending_age_seconds"))
                .threshold("threshold {{stream}}", threshold("streamwarden_stream_pending_age_threshold_seconds")),
            graph("Pending entries", Unit::Short, "Entries delivered but not acknowledged. Dashed: the stream's threshold.")
                .query("{{stream}} {{group}}", SCOPE.max("streamwarden_group_pending"))
                .threshold("threshold {{stream}}", threshold("streamwarden_stream_pending_threshold")),
        ],
    }
}

fn flow() -> Row {
    let graph = |title, description| Panel::new(View::Graph, title, Unit::PerSecond, description);
    Row {
        title: "Throughput",
        panels: vec![
            graph("Messages per second, all streams", "Entries added to all streams. The lines mark when to plan for another log, and when to move to it.")
                .query("{{db}}", format!("sum without (stream) ({})", max(&SCOPE.rate("streamwarden_stream_entries_added_total"))))
                .colours(&[(8000.0, "orange"), (10_000.0, "red")]),
            graph("Added", "Entries added to each stream per second.")
                .query("{{stream}}", max(&SCOPE.rate("streamwarden_stream_entries_added_total")))
                .leads_to_the_stream(),
        ],
    }
}

fn streams() -> Row {
    let graph =
        |title, unit, description| Panel::new(View::Graph, title, unit, description).leads_to_the_stream();
    Row {
        title: "Streams",
        panels: vec![
            graph("Length", Unit::Short, "Entries in each stream. Dashed: its limit.")
                .query("{{stream}}", SCOPE.max("streamwarden_stream_length"))
                .threshold("limit {{stream}}", SCOPE.max("streamwarden_stream_max_length")),
            graph(
                "Time since the last entry",
                Unit::Seconds,
                "Time without a new entry. Dashed: the configured threshold.",
            )
            .query("{{stream}}", SCOPE.max("streamwarden_stream_last_write_age_seconds"))
            .threshold("expected {{stream}}", SCOPE.max("streamwarden_stream_silence_threshold_seconds")),
            Panel::new(
                View::Table,
                "Missing streams",
                Unit::YesNo,
                "Whether each stream that the configuration names, or that was found, exists.",
            )
            .query("", SCOPE.max("streamwarden_stream_present"))
            .words(&[("0", "missing", "red"), ("1", "present", "green")]),
            Panel::new(
                View::Table,
                "Missing groups",
                Unit::YesNo,
                "Whether each group that the configuration expects exists.",
            )
            .query("", SCOPE.max("streamwarden_group_present"))
            .words(&[("0", "missing", "red"), ("1", "present", "green")])
            .leads_to_the_stream(),
        ],
    }
}
