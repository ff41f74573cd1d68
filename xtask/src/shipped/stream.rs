//! The dashboard of one stream: its groups, their pending entries, their consumers, and the stream itself.

use super::{
    board::{Board, Row},
    overview::{HEALTHS, health},
    panel::{Panel, Unit, View, Word},
    query::{Scope, max, worst},
};

const SCOPE: Scope = Scope(&["db", "stream", "group"]);
const GROUP: &str = "{{group}}";
/// The statuses by urgency, with the number that represents each.
const STATUSES: [Word; 9] = [
    ("0", "ok", "green"),
    ("1", "unknown", "text"),
    ("2", "lagging", "yellow"),
    ("3", "rewound", "orange"),
    ("4", "stalled", "red"),
    ("5", "stopped", "red"),
    ("6", "no_consumers", "dark-red"),
    ("7", "trimmed_past", "dark-red"),
    ("8", "missing", "purple"),
];

pub(super) fn board() -> Board {
    Board {
        uid: "streamwarden-stream",
        title: "Redis Streams: one stream",
        description: "One stream and its groups, from symptoms to causes.",
        scope: SCOPE,
        rows: vec![now(), lag(), objectives(), pending(), losses(), consumers(), stream()],
    }
}

/// A default threshold, for streams without a configured one.
fn unless_written(default: &str, written: &str) -> String {
    format!("{} unless on (job) {}", SCOPE.max(default), SCOPE.max(written))
}

fn stat(title: &'static str, unit: Unit, description: &str) -> Panel {
    Panel::new(View::Stat, title, unit, description)
}

fn graph(title: &'static str, unit: Unit, description: &str) -> Panel {
    Panel::new(View::Graph, title, unit, description)
}

/// The status as a number.
fn status() -> String {
    worst(SCOPE, "streamwarden_group_status", &STATUSES)
}

fn now() -> Row {
    Row {
        title: "Health",
        panels: vec![
            stat(
                "Health",
                Unit::Short,
                "The worst status of its groups and of its own length, age, silence and presence.",
            )
            .query("{{stream}}", health(SCOPE))
            .words(&HEALTHS),
            stat(
                "Longest waiting time",
                Unit::Seconds,
                "Age of the oldest entry not yet delivered to some group.",
            )
            .query("", format!("max({})", SCOPE.series("streamwarden_group_lag_seconds"))),
            stat("Greatest lag", Unit::Short, "Entries not yet delivered to a group; an upper bound.")
                .query("", format!("max({})", SCOPE.series("streamwarden_group_lag_upper_bound"))),
            stat("Pending", Unit::Short, "Entries delivered but not acknowledged, in all groups.")
                .query("", format!("sum({})", SCOPE.max("streamwarden_group_pending"))),
            stat("Length", Unit::Short, "Entries in the stream.")
                .query("", SCOPE.max("streamwarden_stream_length")),
            stat("Groups", Unit::Short, "Consumer groups of the stream.")
                .query("", SCOPE.max("streamwarden_stream_groups")),
            Panel::new(
                View::Timeline,
                "Status of groups",
                Unit::Short,
                "The status of each group, over the configured window.",
            )
            .query(GROUP, status())
            .words(&STATUSES)
            .width(24),
        ],
    }
}

fn lag() -> Row {
    Row {
        title: "Lag",
        panels: vec![
            graph("Waiting time", Unit::Seconds, "Age of the oldest entry not yet delivered to the group. Dashed: the threshold.")
                .query(GROUP, SCOPE.max("streamwarden_group_lag_seconds"))
                .threshold("threshold", SCOPE.max("streamwarden_stream_lag_threshold_seconds"))
                .threshold("default", unless_written("streamwarden_lag_default_threshold_seconds", "streamwarden_stream_lag_threshold_seconds")),
            graph("Lag", Unit::Short, "Entries not yet delivered to the group: the exact number, if known, and an upper bound. Dashed: the threshold.")
                .query(GROUP, SCOPE.max("streamwarden_group_lag"))
                .query("{{group}} at most", SCOPE.max("streamwarden_group_lag_upper_bound"))
                .threshold("threshold", SCOPE.max("streamwarden_stream_lag_threshold")),
            graph("Added and read", Unit::PerSecond, "Entries added to the stream, and read by its groups. The difference becomes lag.")
                .query("added", max(&SCOPE.rate("streamwarden_stream_entries_added_total")))
                .query("read by {{group}}", max(&SCOPE.rate("streamwarden_group_entries_read_total"))),
            graph("Distance of the group's position", Unit::Milliseconds, "Time between the last ID in the stream and the last ID delivered to the group. If it rises steadily, nothing is delivered.")
                .query(GROUP, format!(
                    "{} - ignoring (group) group_right () {}",
                    SCOPE.max("streamwarden_stream_last_generated_id"),
                    SCOPE.max("streamwarden_group_last_delivered_id"),
                )),
            graph("Lag known", Unit::YesNo, "1 if the exact lag is known, 0 if only its upper bound is.")
                .query(GROUP, SCOPE.max("streamwarden_group_lag_known"))
                .width(24),
        ],
    }
}

/// How many times as fast as allowed the error budget is spent, over this range. As in the alerts, it is that of all entries, and where
/// they were acknowledged out of order, that of those that are followed.
fn burn(range: &str) -> String {
    let rate = |name: &str, outcomes: &str| {
        let rate = format!("rate({}[{range}])", SCOPE.series_with(name, outcomes));
        format!("sum without (outcome, by_order) ({rate})")
    };
    let in_order = format!("min_over_time({}[{range}])", SCOPE.series("streamwarden_slo_in_order"));
    let share = |name: &str| {
        let (bad, certain) = (rate(name, "outcome=\"bad\""), rate(name, "outcome=~\"good|bad\""));
        format!("{bad} / {certain}")
    };
    let (all, followed) = (share("streamwarden_slo_events_total"), share("streamwarden_slo_followed_total"));
    let target = SCOPE.max("streamwarden_slo_target_ratio");
    format!(
        "max without (instance, pod) (({followed} and ({in_order} == 0)) or ({all})) / on (job, db, stream) group_left () (1 - {target})"
    )
}

fn objectives() -> Row {
    const OBJECTIVE: &str = "{{group}} {{objective}}";
    let increase = |name: &str| max(&SCOPE.over("increase", name, "$__rate_interval"));
    let heat = |name: &str| format!("sum by (le) ({})", increase(name));
    let quantile = |name: &str| {
        let rate = max(&SCOPE.rate(name));
        format!("histogram_quantile(0.99, sum by (group, le) ({rate}))")
    };
    let heat_map = |title, what: &str| Panel::new(View::Heat, title, Unit::Short, what);
    Row {
        title: "How long entries take",
        panels: vec![
            heat_map("Time to delivery", "Entries by the time from their IDs to their delivery. Empty without an objective (slo).")
                .query("{{le}}", heat("streamwarden_group_delivery_seconds_bucket")),
            heat_map("Time to acknowledgement", "Entries by the time from their IDs to their acknowledgement. Empty without an objective (slo).")
                .query("{{le}}", heat("streamwarden_group_handling_seconds_bucket")),
            graph("99th percentile", Unit::Seconds, "99 of 100 entries took no longer, to a bucket of the histogram. Dashed: the objectives.")
                .query("{{group}} delivery", quantile("streamwarden_group_delivery_seconds_bucket"))
                .query("{{group}} handled", quantile("streamwarden_group_handling_seconds_bucket"))
                .threshold("{{objective}}", SCOPE.max("streamwarden_slo_objective_seconds")),
            graph("Burn rate", Unit::Short, "How many times as fast as allowed the error budget is spent: 1 spends all of it in 30 days. Over an hour, and over six.")
                .query("{{group}} {{objective}}, 1h", burn("1h"))
                .query("{{group}} {{objective}}, 6h", burn("6h")),
            graph("Error budget left", Unit::Share, "Of the budget of 30 days, as far as Prometheus keeps them; below 0 the objective is missed.")
                .query(OBJECTIVE, format!("1 - ({})", burn("30d"))),
            graph("Not measured", Unit::Short, "Entries whose outcome is unknown, and those that were left out, with the reason, per interval of the graph.")
                .query("{{group}} {{objective}} unknown", max(&format!(
                    "increase({}[$__rate_interval])",
                    SCOPE.series_with("streamwarden_slo_events_total", "outcome=\"unknown\"")
                )))
                .query("{{group}} {{objective}} {{reason}}", format!("{} > 0", increase("streamwarden_slo_left_out_total"))),
            graph("Followed entries", Unit::Short, "Single entries that were followed to their acknowledgement, per interval of the graph: whether they met the objective, and in brackets what the order of acknowledgements says of them. Where good and bad differ, the time to acknowledgement is right in the mean only.")
                .query("{{group}} {{outcome}} ({{by_order}})", format!("{} > 0", increase("streamwarden_slo_followed_total")))
                .width(24),
        ],
    }
}

fn pending() -> Row {
    Row {
        title: "Pending",
        panels: vec![
            graph(
                "Pending entries",
                Unit::Short,
                "Entries delivered but not acknowledged. Dashed: the threshold.",
            )
            .query(GROUP, SCOPE.max("streamwarden_group_pending"))
            .query("{{group}} released", SCOPE.max("streamwarden_group_nacked_entries"))
            .threshold("threshold", SCOPE.max("streamwarden_stream_pending_threshold")),
            graph(
                "Oldest pending entry",
                Unit::Seconds,
                "Its age, and the time since its last delivery. Dashed: the threshold for the age.",
            )
            .query("{{group}} age", SCOPE.max("streamwarden_group_oldest_pending_age_seconds"))
            .query("{{group}} idle", SCOPE.max("streamwarden_group_oldest_pending_idle_seconds"))
            .threshold("threshold", SCOPE.max("streamwarden_stream_pending_age_threshold_seconds"))
            .threshold(
                "default",
                unless_written(
                    "streamwarden_pending_age_default_threshold_seconds",
                    "streamwarden_stream_pending_age_threshold_seconds",
                ),
            ),
            graph(
                "Deliveries of the oldest pending entry",
                Unit::Short,
                "Number of its deliveries. Dashed: the threshold from which an entry counts as poison.",
            )
            .query(GROUP, SCOPE.max("streamwarden_group_oldest_pending_deliveries"))
            .threshold("threshold", SCOPE.max("streamwarden_stream_deliveries_threshold")),
            graph(
                "Entries that can't be processed",
                Unit::Short,
                "Poison: delivered again and again. Dangling: pending, but no longer in the stream.",
            )
            .query("{{group}} poison", SCOPE.max("streamwarden_group_poison_entries"))
            .query("{{group}} dangling", SCOPE.max("streamwarden_group_dangling_pending")),
            graph(
                "Dead letters",
                Unit::Short,
                "Entries that were set aside, and how many the rule moved per interval of the graph. Dashed: where moving stops.",
            )
            .query("dead letters", SCOPE.max("streamwarden_dead_letters"))
            .query(
                "moved ({{reason}})",
                max(&SCOPE.over("increase", "streamwarden_dead_letters_moved_total", "$__rate_interval")),
            )
            .threshold("limit", SCOPE.max("streamwarden_dead_letters_max_length")),
            graph("Oldest dead letter", Unit::Seconds, "Time since it was set aside.")
                .query("age", SCOPE.max("streamwarden_dead_letters_oldest_age_seconds")),
        ],
    }
}

fn losses() -> Row {
    Row {
        title: "Losses",
        panels: vec![
            graph("Entries lost", Unit::Short, "Entries removed before they were delivered to the group, per interval of the graph: lower bound, upper bound, and suspected losses, which had waited longer than a poll interval.")
                .query(GROUP, max(&SCOPE.over("increase", "streamwarden_group_entries_lost_total", "$__rate_interval")))
                .query("{{group}} at most", max(&SCOPE.over("increase", "streamwarden_group_entries_lost_upper_bound_total", "$__rate_interval")))
                .query("{{group}} suspected", max(&SCOPE.over("increase", "streamwarden_group_entries_suspected_lost_total", "$__rate_interval"))),
            graph("Rewinds and recreations", Unit::Short, "How often the group's position went back and the stream was recreated, per interval of the graph.")
                .query("{{group}} rewound", max(&SCOPE.over("increase", "streamwarden_group_rewinds_total", "$__rate_interval")))
                .query("recreated", max(&SCOPE.over("increase", "streamwarden_stream_recreations_total", "$__rate_interval"))),
        ],
    }
}

fn consumers() -> Row {
    Row {
        title: "Consumers",
        panels: vec![
            Panel::new(View::Table, "Pending by consumer", Unit::Short, "Entries delivered to each consumer but not acknowledged.")
                .query("", SCOPE.max("streamwarden_consumer_pending")),
            graph("Idle time of consumers", Unit::Seconds, "Time since each consumer last tried to read, claim or acknowledge.")
                .query("{{group}} {{consumer}}", SCOPE.max("streamwarden_consumer_idle_seconds")),
            graph("Inactive time of consumers", Unit::Seconds, "Time since each consumer last received an entry.")
                .query("{{group}} {{consumer}}", SCOPE.max("streamwarden_consumer_inactive_seconds")),
            graph("Age of data about consumers", Unit::Seconds, "Time since the consumers were read, if not every poll reads them.")
                .query(GROUP, SCOPE.max("streamwarden_group_consumers_age_seconds")),
            graph("Consumers", Unit::Short, "All consumers, idle ones with pending entries (stuck), and those without series of their own (not listed), with their pending entries.")
                .query(GROUP, SCOPE.max("streamwarden_group_consumers"))
                .query("{{group}} stuck", SCOPE.max("streamwarden_group_stuck_consumers"))
                .query("{{group}} not listed", SCOPE.max("streamwarden_group_unlisted_consumers"))
                .query("{{group}} pending, not listed", SCOPE.max("streamwarden_group_unlisted_pending")),
            graph("Consumers deleted", Unit::Short, "Consumers without pending entries that the rule reap_consumers deleted, per interval of the graph.")
                .query("deleted", max(&SCOPE.over("increase", "streamwarden_consumers_reaped_total", "$__rate_interval"))),
        ],
    }
}

fn stream() -> Row {
    Row {
        title: "Stream",
        panels: vec![
            graph("Length", Unit::Short, "Entries in the stream. Dashed: its limit.")
                .query("length", SCOPE.max("streamwarden_stream_length"))
                .threshold("limit", SCOPE.max("streamwarden_stream_max_length")),
            graph(
                "Age of the oldest entry",
                Unit::Seconds,
                "Age by its ID and the server's clock. Dashed: the limit.",
            )
            .query("age", SCOPE.max("streamwarden_stream_oldest_entry_age_seconds"))
            .threshold("limit", SCOPE.max("streamwarden_stream_max_age_seconds")),
            graph(
                "Time since the last entry",
                Unit::Seconds,
                "Time without a new entry. Dashed: the configured threshold.",
            )
            .query("silent", SCOPE.max("streamwarden_stream_last_write_age_seconds"))
            .threshold("expected", SCOPE.max("streamwarden_stream_silence_threshold_seconds")),
            graph(
                "Idempotent producers",
                Unit::PerSecond,
                "Entries added with a producer's ID, and entries refused as duplicates.",
            )
            .query("added", max(&SCOPE.rate("streamwarden_stream_idempotent_ids_added_total")))
            .query("duplicates", max(&SCOPE.rate("streamwarden_stream_idempotent_duplicates_total"))),
            graph(
                "Remembered producers",
                Unit::Short,
                "Producers and their IDs. Dashed: the maximum number of IDs per producer, and how long they are remembered.",
            )
            .query("producers", SCOPE.max("streamwarden_stream_idempotent_producers"))
            .query("IDs", SCOPE.max("streamwarden_stream_idempotent_ids"))
            .threshold("maximum per producer", SCOPE.max("streamwarden_stream_idempotence_max_ids"))
            .threshold("seconds", SCOPE.max("streamwarden_stream_idempotence_window_seconds")),
            graph(
                "Radix tree",
                Unit::Short,
                "Keys and nodes of the tree that holds the entries. Few entries per key waste memory.",
            )
            .query("keys", SCOPE.max("streamwarden_stream_radix_tree_keys"))
            .query("nodes", SCOPE.max("streamwarden_stream_radix_tree_nodes")),
            memory(),
            growth(),
            graph(
                "Time until the greatest size is reached",
                Unit::Seconds,
                "On servers that limit the size of a stream, at the rate of the last day. Empty if the stream does not grow.",
            )
            .query("left", SCOPE.max("streamwarden_stream_size_limit_reached_seconds")),
        ],
    }
}

fn memory() -> Panel {
    graph(
        "Memory",
        Unit::Bytes,
        "As Redis counted it, or estimated where it was not asked or its answer is not true.",
    )
    .query("counted", SCOPE.max("streamwarden_stream_memory_bytes"))
    .query("estimated", SCOPE.max("streamwarden_stream_memory_estimate_bytes"))
}

fn growth() -> Panel {
    graph(
        "Growth of the memory in a day",
        Unit::Bytes,
        "At the rate of the last day, or of the time since the sidecar knows the stream. Empty until that is an hour.",
    )
    .query("growth", SCOPE.max("streamwarden_stream_memory_growth_per_day_bytes"))
}
