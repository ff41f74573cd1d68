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
        description: "Whether streams stay within their limits, who keeps them from it, and what was removed.",
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
        title: "Are the limits kept?",
        panels: vec![
            stat("Blocked streams", Unit::Short, "Streams that something keeps above their limits.")
                .query("", count(&format!("max without (group, reason) ({blocked}) == 1")))
                .colours(&[(1.0, "red")]),
            stat("Entries over their limits", Unit::Short, "Entries beyond max_length, in all streams.")
                .query("", format!("sum({})", SCOPE.max("streamwarden_retention_over_limit_entries"))),
            stat("Of them removable", Unit::Short, "Entries beyond max_length that no group needs any more.")
                .query("", format!("sum({})", SCOPE.max("streamwarden_retention_removable_entries"))),
            stat("Entries removed", Unit::Short, "Entries that retention removed, in the time shown.")
                .query("", format!("sum({})", SCOPE.over("increase", "streamwarden_retention_trimmed_entries_total", "$__range"))),
            stat("Leaders", Unit::Short, "Sidecars that hold the lease, and so trim. One, where limits are to be enforced.")
                .query("", format!("sum({})", SCOPE.series("streamwarden_retention_leader"))),
            stat("Interval", Unit::Seconds, "The configured time between two runs on a stream, where its rule sets no other.")
                .query("", format!("max({})", SCOPE.series("streamwarden_retention_interval_seconds"))),
            Panel::new(View::Table, "What holds entries back", Unit::Short, "The group that needs the oldest entries of a stream above its limits, and why.")
                .query("", blocked)
                .leads_to_the_stream(),
            Panel::new(View::Table, "How limits are kept", Unit::Short, "safe: only what no group needs goes. strict: the limit holds whoever loses. observe: nothing goes.")
                .query("", SCOPE.max("streamwarden_retention_info"))
                .leads_to_the_stream(),
        ],
    }
}

fn limits() -> Row {
    let share = |value, limit| format!("{} / {}", SCOPE.max(value), SCOPE.max(limit));
    Row {
        title: "How close are they?",
        panels: vec![
            graph("Length, of its limit", Unit::Share, "Entries in the stream, as a share of max_length. From 110% on for two hours, an alert.")
                .query(STREAM, share("streamwarden_stream_length", "streamwarden_stream_max_length"))
                .colours(&[(1.0, "orange"), (1.1, "red")]),
            graph("Age, of its limit", Unit::Share, "Age of the oldest entry, as a share of max_age.")
                .query(STREAM, share("streamwarden_stream_oldest_entry_age_seconds", "streamwarden_stream_max_age_seconds"))
                .colours(&[(1.0, "orange"), (1.1, "red")]),
            graph("What is not read, of the limit", Unit::Share, "A group's lag, as a share of max_length. From 80% on, unless retention waits for the group, an alert: entries are about to be lost.")
                .query("{{stream}} {{group}}", format!(
                    "{} / ignoring (group) group_left () {}",
                    SCOPE.max("streamwarden_group_lag"),
                    SCOPE.max("streamwarden_stream_max_length"),
                ))
                .colours(&[(0.8, "red")]),
            graph("Entries lost", Unit::Short, "Entries removed, by whoever, before they were delivered to a group, within the interval of the graph: certainly lost, and maybe lost.")
                .query("{{stream}} {{group}}", max(&SCOPE.over("increase", "streamwarden_group_entries_lost_total", "$__rate_interval")))
                .query("{{stream}} {{group}} maybe", max(&SCOPE.over("increase", "streamwarden_group_entries_suspected_lost_total", "$__rate_interval"))),
        ],
    }
}

fn runs() -> Row {
    Row {
        title: "What do the runs do?",
        panels: vec![
            graph("Entries removed", Unit::PerSecond, "Entries removed a second, by all sidecars.")
                .query(STREAM, format!("sum without (instance, pod) ({})", SCOPE.rate("streamwarden_retention_trimmed_entries_total"))),
            Panel::new(View::Graph, "Runs by outcome", Unit::Short, "In the hour before each point: a run an hour and stream is the default, which no rate a second would show. reached: within the limits. blocked: as far as groups let it. incomplete: out of time. failed: Redis refused.")
                .query("{{outcome}}", format!("sum by (outcome) ({})", SCOPE.over("increase", "streamwarden_retention_runs_total", "1h"))),
            graph("Last run that went through", Unit::Moment, "When one last went through, blocked or not.")
                .query(STREAM, format!("1000 * ({} > 0)", SCOPE.max("streamwarden_retention_last_success_timestamp_seconds"))),
            Panel::new(View::Graph, "Failures", Unit::PerSecond, "Runs and lease requests that Redis refused or did not answer, by reason.")
                .query("{{reason}}", format!("sum by (reason) ({})", SCOPE.rate("streamwarden_retention_failures_total"))),
            Panel::new(View::Timeline, "Who trims", Unit::YesNo, "Which sidecar holds the lease.")
                .query("{{instance}}", SCOPE.series("streamwarden_retention_leader"))
                .words(&[("0", "no", "text"), ("1", "leader", "green")])
                .width(24),
        ],
    }
}
