//! The dashboard of retention: whether limits are kept, what blocks trims, and what the runs did.

use super::{
    board::{Board, Row},
    panel::{Panel, Unit, View},
    query::{Scope, count, max},
};

const SCOPE: Scope = Scope(&["db", "stream"]);
const STREAM: &str = "{{stream}}";

pub(super) fn board() -> Board {
    Board {
        uid: "streamwarden-retention",
        title: "Redis Streams: retention",
        description: "Whether streams stay within their limits, what blocks trims, and what was removed.",
        scope: SCOPE,
        rows: vec![kept(), limits(), runs()],
    }
}

fn stat(title: &'static str, unit: Unit, description: &str) -> Panel {
    Panel::new(View::Stat, title, unit, description)
}

fn graph(title: &'static str, unit: Unit, description: &str) -> Panel {
    Panel::new(View::Graph, title, unit, description).leads_to_the_stream()
}

fn kept() -> Row {
    let blocked = max(&SCOPE.series("streamwarden_retention_blocked"));
    Row {
        title: "Limits",
        panels: vec![
            stat("Blocked streams", Unit::Short, "Streams above their limits whose retention is blocked.")
                .query("", count(&format!("max without (group, reason) ({blocked}) == 1")))
                .colours(&[(1.0, "red")]),
            stat("Entries over their limits", Unit::Short, "Entries beyond max_length, in all streams.")
                .query("", format!("sum({})", SCOPE.max("streamwarden_retention_over_limit_entries"))),
            stat("Removable entries", Unit::Short, "Entries beyond max_length that no group needs.")
                .query("", format!("sum({})", SCOPE.max("streamwarden_retention_removable_entries"))),
            stat("Entries removed", Unit::Short, "Entries that retention removed, in the selected time range.")
                .query("", format!("sum({})", SCOPE.over("increase", "streamwarden_retention_trimmed_entries_total", "$__range"))),
            stat("Leaders", Unit::Short, "Sidecars that hold the lease and therefore trim. Should be 1 if limits are enforced.")
                .query("", format!("sum({})", SCOPE.series("streamwarden_retention_leader"))),
            stat("Interval", Unit::Seconds, "The configured time between two runs on a stream, unless its rule sets another.")
                .query("", format!("max({})", SCOPE.series("streamwarden_retention_interval_seconds"))),
            Panel::new(View::Table, "What blocks retention", Unit::Short, "The group that needs the oldest entries of a stream above its limits, and why.")
                .query("", blocked)
                .leads_to_the_stream(),
            Panel::new(View::Table, "Modes", Unit::Short, "safe: only entries that no group needs are removed. strict: entries beyond the limit are removed even if groups need them. observe: nothing is removed.")
                .query("", SCOPE.max("streamwarden_retention_info"))
                .leads_to_the_stream(),
        ],
    }
}

fn limits() -> Row {
    let share = |value, limit| format!("{} / {}", SCOPE.max(value), SCOPE.max(limit));
    Row {
        title: "Distance from the limits",
        panels: vec![
            graph("Length relative to its limit", Unit::Share, "Entries in the stream, as a share of max_length. An alert fires above 110% for two hours.")
                .query(STREAM, share("streamwarden_stream_length", "streamwarden_stream_max_length"))
                .colours(&[(1.0, "orange"), (1.1, "red")]),
            graph("Age relative to its limit", Unit::Share, "Age of the oldest entry, as a share of max_age.")
                .query(STREAM, share("streamwarden_stream_oldest_entry_age_seconds", "streamwarden_stream_max_age_seconds"))
                .colours(&[(1.0, "orange"), (1.1, "red")]),
            graph("Unread entries relative to the limit", Unit::Share, "The group's lag, as a share of max_length. An alert fires above 80%, unless retention waits for the group: entries are about to be lost.")
                .query("{{stream}} {{group}}", format!(
                    "{} / ignoring (group) group_left () {}",
                    SCOPE.max("streamwarden_group_lag"),
                    SCOPE.max("streamwarden_stream_max_length"),
                ))
                .colours(&[(0.8, "red")]),
            graph("Entries lost", Unit::Short, "Entries that anyone removed before they were delivered to the group, per interval of the graph: certainly lost, and possibly lost.")
                .query("{{stream}} {{group}}", max(&SCOPE.over("increase", "streamwarden_group_entries_lost_total", "$__rate_interval")))
                .query("{{stream}} {{group}} possibly", max(&SCOPE.over("increase", "streamwarden_group_entries_suspected_lost_total", "$__rate_interval"))),
        ],
    }
}

fn runs() -> Row {
    Row {
        title: "Runs",
        panels: vec![
            graph("Entries removed", Unit::PerSecond, "Entries removed per second, by all sidecars.")
                .query(STREAM, format!("sum without (instance, pod) ({})", SCOPE.rate("streamwarden_retention_trimmed_entries_total"))),
            Panel::new(View::Graph, "Runs by outcome", Unit::Short, "Runs in the hour before each point; the default is one run per stream and hour. reached: within the limits. blocked: a group needs the remaining entries. incomplete: the time budget was exhausted. failed: Redis refused.")
                .query("{{outcome}}", format!("sum by (outcome) ({})", SCOPE.over("increase", "streamwarden_retention_runs_total", "1h"))),
            graph("Last successful run", Unit::Moment, "End of the last run that did not fail; it may have been blocked.")
                .query(STREAM, format!("1000 * ({} > 0)", SCOPE.max("streamwarden_retention_last_success_timestamp_seconds"))),
            Panel::new(View::Graph, "Failures", Unit::PerSecond, "Runs and lease requests that Redis refused or did not answer, by reason.")
                .query("{{reason}}", format!("sum by (reason) ({})", SCOPE.rate("streamwarden_retention_failures_total"))),
            Panel::new(View::Timeline, "Leader", Unit::YesNo, "Which sidecar holds the lease.")
                .query("{{instance}}", SCOPE.series("streamwarden_retention_leader"))
                .words(&[("0", "no", "text"), ("1", "leader", "green")])
                .width(24),
        ],
    }
}
