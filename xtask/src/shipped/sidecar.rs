//! The dashboard of the sidecar itself: whether it reaches Redis, its speed, what it leaves out, and its cost.

use super::{
    board::{Board, Row},
    panel::{Panel, Unit, View},
    query::{Scope, max},
};

const SCOPE: Scope = Scope(&[]);
const EACH: &str = "{{instance}}";

pub(super) fn board() -> Board {
    Board {
        uid: "streamwarden-sidecar",
        title: "Redis Streams: sidecar",
        description: "Whether the sidecars read what they should, and their costs. This dashboard shows each sidecar separately.",
        scope: SCOPE,
        rows: vec![sight(), polls(), probe(), memory(), cluster(), cost(), process()],
    }
}

fn graph(title: &'static str, unit: Unit, description: &str) -> Panel {
    Panel::new(View::Graph, title, unit, description)
}

fn each(panel: Panel, name: &str) -> Panel {
    panel.query(EACH, SCOPE.series(name))
}

fn by_reason(name: &str) -> String {
    format!("sum by (instance, reason) ({})", SCOPE.rate(name))
}

fn sight() -> Row {
    let since = |name| format!("time() - ({} > 0)", SCOPE.series(name));
    Row {
        title: "Status",
        panels: vec![
            Panel::new(View::Table, "Redis", Unit::Short, "Its name or address, and the server that answered. Unknown values are empty.")
                .query("", SCOPE.series("streamwarden_redis_info"))
                .width(24),
            each(
                Panel::new(View::Timeline, "Redis reachable", Unit::YesNo, "Whether each sidecar's last poll succeeded."),
                "streamwarden_redis_up",
            )
            .words(&[("0", "no", "red"), ("1", "yes", "green")]),
            each(
                Panel::new(View::Timeline, "Configuration loaded", Unit::YesNo, "Whether the last load of the configuration succeeded. If not, the previous one is still used."),
                "streamwarden_config_last_reload_successful",
            )
            .words(&[("0", "refused", "red"), ("1", "yes", "green")]),
            graph("Time since the last successful poll", Unit::Seconds, "Metrics older than poll.stale_after are no longer exposed. Dashed: four intervals and two minutes, where an alert starts.")
                .query(EACH, since("streamwarden_poll_last_success_timestamp_seconds"))
                .threshold("alert", format!("4 * {} + 120", max(&SCOPE.series("streamwarden_poll_interval_seconds")))),
            graph("Time since the last search for streams", Unit::Seconds, "Streams created since then are not watched yet.")
                .query(EACH, since("streamwarden_discovery_last_success_timestamp_seconds")),
        ],
    }
}

fn polls() -> Row {
    let quantile = |q: &str| {
        format!(
            "histogram_quantile({q}, sum by (instance, le) ({}))",
            SCOPE.rate("streamwarden_poll_duration_seconds_bucket")
        )
    };
    Row {
        title: "Failures",
        panels: vec![
            graph("Failed polls", Unit::PerSecond, "Polls that failed as a whole, by reason.")
                .query("{{instance}} {{reason}}", by_reason("streamwarden_poll_failures_total")),
            graph("Streams that could not be read", Unit::PerSecond, "Streams that a successful poll could not read, by reason.")
                .query("{{instance}} {{reason}}", by_reason("streamwarden_stream_read_failures_total")),
            graph("Failed searches", Unit::PerSecond, "Searches for streams that failed, by reason.")
                .query("{{instance}} {{reason}}", by_reason("streamwarden_discovery_failures_total")),
            graph("Failed ticks", Unit::PerSecond, "Ticks that measure objectives, and those that failed as a whole, by reason.")
                .query("{{instance}} ticks", SCOPE.rate("streamwarden_latency_ticks_total"))
                .query("{{instance}} {{reason}}", by_reason("streamwarden_latency_tick_failures_total")),
            graph("Duration of a poll", Unit::Seconds, "Median and 99th percentile. Dashed: 80% of the interval, where an alert starts.")
                .query("{{instance}} median", quantile("0.5"))
                .query("{{instance}} 99%", quantile("0.99"))
                .threshold("alert", format!("0.8 * {}", max(&SCOPE.series("streamwarden_poll_interval_seconds")))),
            Panel::new(View::Table, "Streams that can't be read", Unit::Short, "Streams that the last poll could not read, with the reason.")
                .query("", SCOPE.max("streamwarden_stream_unreadable"))
                .leads_to_the_stream(),
            Panel::new(View::Graph, "Left out", Unit::Short, "Streams, groups, series and lookups beyond the configured limits. They are not monitored.")
                .query("{{instance}} streams", SCOPE.series("streamwarden_unwatched_streams"))
                .query("{{instance}} groups", SCOPE.series("streamwarden_unwatched_groups"))
                .query("{{instance}} series", SCOPE.series("streamwarden_dropped_series"))
                .query("{{instance}} lookups", SCOPE.series("streamwarden_skipped_lookups"))
                .query("{{instance}} objectives", SCOPE.series("streamwarden_latency_unsampled_streams")),
            Panel::new(View::Graph, "Postponed lookups", Unit::Short, "Lookups of the last poll that exceeded the budget of redis.lookups_a_month. Their results are unknown until a later poll.")
                .query(EACH, SCOPE.series("streamwarden_postponed_lookups")),
            Panel::new(View::Graph, "Rereads", Unit::Short, "Streams read again between two polls, per second, because others may soon remove undelivered entries. None where commands are billed.")
                .query(EACH, SCOPE.rate("streamwarden_rereads_total")),
            graph("Webhook", Unit::PerSecond, "Changes for the webhook: sent, refused by its receiver, or dropped since too many waited.")
                .query("{{instance}} {{outcome}}", SCOPE.rate("streamwarden_notifications_total")),
            graph("Waiting for the webhook", Unit::Short, "Changes that wait to be sent. They are kept while the receiver does not answer, up to 1,000.")
                .query(EACH, SCOPE.series("streamwarden_waiting_notifications")),
            graph("Metrics over OTLP", Unit::PerSecond, "Exports of all metrics to a collector: sent, refused in part, or failed. None without telemetry.metrics.")
                .query("{{instance}} {{outcome}}", SCOPE.rate("streamwarden_metrics_exports_total")),
        ],
    }
}

fn probe() -> Row {
    let quantile = |q: &str| {
        format!(
            "histogram_quantile({q}, sum by (instance, stage, le) ({}))",
            SCOPE.rate("streamwarden_probe_seconds_bucket")
        )
    };
    Row {
        title: "Probe",
        panels: vec![
            Panel::new(View::Timeline, "Writing works", Unit::YesNo, "Whether each sidecar's last probe of each server succeeded. Empty without probe.enabled.")
                .query("{{instance}} {{node}}", SCOPE.series("streamwarden_probe_up"))
                .words(&[("0", "no", "red"), ("1", "yes", "green")]),
            graph("Failed probes", Unit::PerSecond, "Probes that failed, by reason.")
                .query("{{instance}} {{reason}}", by_reason("streamwarden_probe_failures_total")),
            graph("Duration of a probe", Unit::Seconds, "Median and 99th percentile of probes that succeeded: until the entry is written, until a blocked reader has it, and until it is delivered and acknowledged.")
                .query("{{instance}} {{stage}} median", quantile("0.5"))
                .query("{{instance}} {{stage}} 99%", quantile("0.99")),
        ],
    }
}

fn memory() -> Row {
    const NODE: &str = "{{instance}} {{node}}";
    Row {
        title: "Memory of Redis",
        panels: vec![
            graph("Growth in a day", Unit::Bytes, "Of all keys, at the rate of the last day, or of the time since the sidecar started. Empty until that is an hour.")
                .query(NODE, SCOPE.series("streamwarden_redis_memory_growth_per_day_bytes")),
            graph("Time until maxmemory is reached", Unit::Seconds, "At this rate. Empty without maxmemory, and while memory does not grow.")
                .query(NODE, SCOPE.series("streamwarden_redis_maxmemory_reached_seconds")),
        ],
    }
}

fn cluster() -> Row {
    const NODE: &str = "{{node}}";
    Row {
        title: "Cluster",
        panels: vec![
            Panel::new(View::Timeline, "Primaries", Unit::YesNo, "Whether each primary of the cluster answered the last poll. Empty if Redis is not a cluster.")
                .query(NODE, SCOPE.max("streamwarden_node_up"))
                .words(&[("0", "no answer", "red"), ("1", "up", "green")]),
            graph("Slots that are not served", Unit::Short, "Slots without a primary, or whose primary the cluster considers failed.")
                .query("", SCOPE.max("streamwarden_cluster_slots_unserved")),
            graph("Duration of a poll by primary", Unit::Seconds, "All primaries are polled at the same time.")
                .query(NODE, SCOPE.max("streamwarden_node_poll_duration_seconds")),
            graph("Streams by primary", Unit::Short, "Watched streams in the slots of each primary.")
                .query(NODE, SCOPE.max("streamwarden_node_streams")),
            graph("Redirections", Unit::PerSecond, "Commands that a node redirected to another one: while slots are moved, and after a failover.")
                .query("{{instance}} {{kind}}", SCOPE.rate("streamwarden_cluster_redirects_total")),
            graph("Age of the topology", Unit::Seconds, "Time since the sidecar read which primary owns which slots.")
                .query(EACH, SCOPE.series("streamwarden_cluster_topology_age_seconds")),
        ],
    }
}

fn cost() -> Row {
    Row {
        title: "Load on Redis",
        panels: vec![
            graph("Polls", Unit::PerSecond, "Polls started per second.")
                .query(EACH, SCOPE.rate("streamwarden_polls_total")),
            graph(
                "Commands",
                Unit::PerSecond,
                "Commands sent to Redis by all sidecars, by name. Some hosted services bill them.",
            )
            .query(
                "{{command}}",
                format!("sum by (command) ({})", SCOPE.rate("streamwarden_redis_commands_total")),
            ),
            graph(
                "Round trips and connections",
                Unit::PerSecond,
                "Pipelines sent to Redis, and connections opened to it.",
            )
            .query("{{instance}} round trips", SCOPE.rate("streamwarden_redis_round_trips_total"))
            .query("{{instance}} connections", SCOPE.rate("streamwarden_redis_connections_total")),
            graph(
                "Watched streams and series",
                Unit::Short,
                "Streams that each poll reads, streams that the last search found, streams that the user may not read, and series.",
            )
            .query("{{instance}} streams", SCOPE.series("streamwarden_watched_streams"))
            .query("{{instance}} found", SCOPE.series("streamwarden_found_streams"))
            .query("{{instance}} forbidden", SCOPE.series("streamwarden_forbidden_streams"))
            .query("{{instance}} series", SCOPE.series("streamwarden_series")),
        ],
    }
}

fn process() -> Row {
    let of_sidecars = |name: &str| {
        format!("{} and on (job, instance) {}", SCOPE.series(name), SCOPE.series("streamwarden_build_info"))
    };
    let table = |title, description| Panel::new(View::Table, title, Unit::Short, description);
    Row {
        title: "Processes",
        panels: vec![
            graph("CPU", Unit::Share, "CPU time, as a share of one core.").query(
                EACH,
                format!(
                    "{} and on (job, instance) {}",
                    SCOPE.rate("process_cpu_seconds_total"),
                    SCOPE.series("streamwarden_build_info")
                ),
            ),
            graph("Memory", Unit::Bytes, "Resident and virtual memory.")
                .query("{{instance}} resident", of_sidecars("process_resident_memory_bytes"))
                .query("{{instance}} virtual", of_sidecars("process_virtual_memory_bytes")),
            graph("File descriptors", Unit::Short, "Open file descriptors. Dashed: the limit.")
                .query(EACH, of_sidecars("process_open_fds"))
                .threshold("at most, {{instance}}", of_sidecars("process_max_fds")),
            graph("Threads", Unit::Short, "Threads of each process.")
                .query(EACH, of_sidecars("process_threads")),
            graph("Uptime", Unit::Seconds, "Time since the start. A sawtooth means repeated restarts.")
                .query(EACH, format!("time() - {}", of_sidecars("process_start_time_seconds"))),
            graph(
                "Rejected requests",
                Unit::PerSecond,
                "Connections beyond the limit, and requests to trim or to act without a valid token.",
            )
            .query("{{instance}} connections", SCOPE.rate("streamwarden_http_rejected_connections_total"))
            .query("{{instance}} trims", SCOPE.rate("streamwarden_http_unauthorized_trims_total"))
            .query("{{instance}} acts", SCOPE.rate("streamwarden_http_unauthorized_writes_total")),
            graph(
                "Acts over HTTP",
                Unit::PerSecond,
                "Entries and consumers that requests over HTTP changed.",
            )
            .query("{{instance}} {{act}}", SCOPE.rate("streamwarden_http_acted_items_total")),
            table("Versions", "Versions of the sidecars.").query("", SCOPE.series("streamwarden_build_info")),
            table("Servers", "The Redis servers.").query("", SCOPE.series("streamwarden_redis_info")),
        ],
    }
}
