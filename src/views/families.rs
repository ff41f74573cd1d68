//! The table of all metric families: name, type, labels, help, and the source of the values.
//!
//! A test compares the documentation's list with it.

use super::{
    number::Number::{self, Change, Count, Seconds},
    objectives::{slo, slo_events, slo_followed, slo_in_order, slo_left_out, slo_objectives},
    rows::escaped,
};
use crate::{
    config::{StreamRetention, Thresholds},
    evaluate::{Age, GroupReport, NodeMemory, StreamMemory, refusing_writes},
    latency::Histogram as Waits,
    model::{self, ClusterState, Condition, ConsumerState, Idempotence, OldestPending, Reason, StreamId},
    reading::{GroupReading, NodeReading, StreamReading},
    retention::{Outcome, Plan, RetentionStatus, TrimBlocker},
    stuck::Cause,
};

use Kind::{Counter, Gauge, Histogram, Info};
use Source::{
    Consumer, Group, GroupHistogram, GroupMore, MemoryOfNodes, Node, OfCluster, OfNodes, OfServer, Own,
    Redis, Stream, StreamMore,
};

/// A metric family.
pub struct Family {
    /// The name, as Prometheus's text format has it.
    pub name: &'static str,
    /// The metric type.
    pub kind: Kind,
    /// The help text.
    pub help: &'static str,
    pub(super) source: Source,
}

/// A metric type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only increases, except for a reset.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
    /// Always 1; its information is in the labels.
    Info,
}

/// The source of a family's samples, which also determines their labels. `None` means no sample.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// The sidecar's own registry, with these labels.
    Own(&'static [&'static str]),
    /// Information about the Redis server, in the labels.
    Redis,
    /// A value of the server.
    OfServer(fn(&model::Server) -> Option<Number>),
    /// A value of the cluster.
    OfCluster(fn(&ClusterState) -> Option<Number>),
    /// Several values of the servers that were read, each with a label of its own.
    OfNodes(&'static [&'static str], fn(&[model::Node]) -> Vec<(String, Number)>),
    /// A value of the memory of each server, by node; the label is empty for a server that is no node of a cluster.
    MemoryOfNodes(fn(&NodeMemory) -> Option<Number>),
    /// A value per primary of the cluster.
    Node(fn(&NodeReading<'_>) -> Option<Number>),
    /// A value per stream.
    Stream(fn(&StreamReading<'_>) -> Option<Number>),
    /// Several values per stream, each with additional labels. The list has all labels.
    StreamMore(&'static [&'static str], fn(&StreamReading<'_>) -> Vec<(String, Number)>),
    /// A stream's health: a sample per status, 1 for the current one.
    StreamHealth,
    /// A group's status, in the same form.
    GroupStatus,
    /// A value per group.
    Group(fn(&GroupReading<'_>) -> Option<Number>),
    /// Several values per group, each with additional labels. The list has all labels.
    GroupMore(&'static [&'static str], fn(&GroupReading<'_>) -> Vec<(String, Number)>),
    /// A histogram per group.
    GroupHistogram(for<'a> fn(&GroupReading<'a>) -> Option<&'a Waits>),
    /// A value per consumer.
    Consumer(fn(&ConsumerState) -> Option<Number>),
}

pub(super) const REDIS_LABELS: [&str; 6] = ["name", "flavour", "version", "role", "mode", "external_url"];

impl Family {
    /// The labels of the family's samples.
    #[must_use]
    pub const fn labels(&self) -> &'static [&'static str] {
        match self.source {
            Own(labels) => labels,
            Redis => &REDIS_LABELS,
            OfServer(_) | OfCluster(_) => &[],
            Node(_) | MemoryOfNodes(_) => &["node"],
            Stream(_) => &["db", "stream"],
            StreamMore(labels, _) | OfNodes(labels, _) => labels,
            Source::StreamHealth => &["db", "stream", "status"],
            Source::GroupStatus => &["db", "stream", "group", "status"],
            Group(_) | GroupHistogram(_) => &["db", "stream", "group"],
            GroupMore(labels, _) => labels,
            Consumer(_) => &["db", "stream", "group", "consumer"],
        }
    }

    /// Whether the values are of the sidecar's own registry.
    #[cfg(feature = "otlp")]
    pub(super) const fn is_own(&self) -> bool {
        matches!(self.source, Own(_))
    }

    /// The unit, if the name has one as its suffix.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit))
    }
}

pub(super) const fn family(name: &'static str, kind: Kind, source: Source, help: &'static str) -> Family {
    Family { name, kind, help, source }
}

/// All families, in the order of the page.
#[rustfmt::skip]
pub const FAMILIES: &[Family] = &[
    family("streamwarden_stream_present", Gauge, Stream(|row| present(row).map(Into::into)),
        "1 if the stream exists, 0 if the configuration names it but it is missing or the key has another type."),
    family("streamwarden_stream_unreadable", Gauge, StreamMore(&["db", "stream", "reason"], unreadable),
        "1 if the last poll could not read the stream, with the reason. Its other series are left out, except for the length if it is known."),
    family("streamwarden_stream_health", Gauge, Source::StreamHealth,
        "Health of the stream: 1 for its current status (healthy, unknown, warning or critical), 0 for the others (left out with exposition.states: current). It is the worst of its groups and of its own length, age, silence and presence."),
    family("streamwarden_stream_length", Gauge, Stream(|row| Some(Count(row.length()?))),
        "Entries in the stream."),
    family("streamwarden_stream_max_length", Gauge, Stream(|row| Some(Count(retention(row)?.max_length?))),
        "The configured limit on the stream's entries."),
    family("streamwarden_stream_max_age_seconds", Gauge, Stream(|row| Some(Seconds(retention(row)?.max_age?))),
        "The configured limit on the age of the stream's entries."),
    family("streamwarden_stream_entries_added_total", Counter, Stream(|row| Some(Count(row.read()?.entries_added?))),
        "Entries ever added to the stream. Redis 7.0 and later."),
    family("streamwarden_stream_groups", Gauge, Stream(|row| Some(Count(row.read()?.group_count()))),
        "Consumer groups of the stream."),
    family("streamwarden_stream_oldest_entry_age_seconds", Gauge, Stream(|row| seconds(row.report?.oldest_entry_age)),
        "Age of the stream's oldest entry, by its ID and the server's clock. Left out if the stream is empty, or if IDs are not times or are ahead of the clock."),
    family("streamwarden_stream_last_write_age_seconds", Gauge, Stream(|row| seconds(row.report?.last_write_age)),
        "Time since the last entry was added, by its ID and the server's clock. Left out if IDs are not times or are ahead of the clock."),
    family("streamwarden_stream_last_generated_id", Gauge, Stream(|row| id_ms(row.read()?.last_generated_id)),
        "The milliseconds part of the last ID that was added to the stream."),
    family("streamwarden_stream_radix_tree_keys", Gauge, Stream(|row| Some(Count(row.read()?.radix_tree_keys?))),
        "Keys of the radix tree that holds the stream's entries."),
    family("streamwarden_stream_radix_tree_nodes", Gauge, Stream(|row| Some(Count(row.read()?.radix_tree_nodes?))),
        "Nodes of the radix tree that holds the stream's entries."),
    family("streamwarden_stream_memory_bytes", Gauge, Stream(|row| Some(Count(memory(row, false)?.bytes))),
        "Memory of the stream, as Redis counted it (MEMORY USAGE) in the last round of memory.interval. Only with memory.enabled, and only where that is close to the truth; else streamwarden_stream_memory_estimate_bytes is there instead."),
    family("streamwarden_stream_memory_estimate_bytes", Gauge, Stream(|row| Some(Count(memory(row, true)?.bytes))),
        "Estimated memory of the stream, where Redis's own count is missing: from its entries, its nodes of entries, its first entry and its pending entries, or extrapolated by Redis. Entries of very different sizes make it wrong. Left out if too little is known."),
    family("streamwarden_stream_memory_growth_per_day_bytes", Gauge, Stream(|row| Some(Change(row.verdict.memory.as_ref()?.growth_a_day?))),
        "Growth of the stream's memory in a day, at the rate of the last day or of the time since the sidecar knows the stream. Left out until that is memory.growth_after (default 1h)."),
    family("streamwarden_stream_size_limit_reached_seconds", Gauge, Stream(|row| Some(Seconds(row.verdict.memory.as_ref()?.size_limit_after?))),
        "Time until the stream has the greatest size that its server allows, if it goes on growing at this rate. Only on servers with such a limit (Upstash), and only for streams that grow."),
    family("streamwarden_stream_recreations_total", Counter, Stream(|row| Some(Count(row.report?.recreations))),
        "Times the stream was deleted and recreated, or rolled back as after a failover, as far as polls noticed."),
    family("streamwarden_stream_idempotence_window_seconds", Gauge, Stream(|row| Some(Seconds(idempotence(row)?.duration))),
        "How long the stream remembers an ID of an idempotent producer. This and the other idempotence metrics are left out until the stream has had such a producer. Redis 8.6 and later."),
    family("streamwarden_stream_idempotence_max_ids", Gauge, Stream(|row| Some(Count(idempotence(row)?.max_ids))),
        "Maximum number of IDs that the stream remembers of each idempotent producer."),
    family("streamwarden_stream_idempotent_producers", Gauge, Stream(|row| Some(Count(idempotence(row)?.producers))),
        "Idempotent producers that the stream remembers."),
    family("streamwarden_stream_idempotent_ids", Gauge, Stream(|row| Some(Count(idempotence(row)?.ids))),
        "IDs of idempotent producers that the stream remembers."),
    family("streamwarden_stream_idempotent_ids_added_total", Counter, Stream(|row| Some(Count(idempotence(row)?.ids_added))),
        "Entries added with an ID of an idempotent producer."),
    family("streamwarden_stream_idempotent_duplicates_total", Counter, Stream(|row| Some(Count(idempotence(row)?.duplicates))),
        "Entries not added because an idempotent producer had already sent them."),
    family("streamwarden_stream_lag_threshold", Gauge, Stream(|row| threshold(row, |thresholds| thresholds.lag.map(Count))),
        "The configured threshold for the lag of the stream's groups, in entries."),
    family("streamwarden_stream_lag_threshold_seconds", Gauge, Stream(|row| threshold(row, |thresholds| thresholds.lag_age.map(Seconds))),
        "The configured threshold for the age of the oldest entry not yet delivered to a group."),
    family("streamwarden_stream_pending_threshold", Gauge, Stream(|row| threshold(row, |thresholds| thresholds.pending.map(Count))),
        "The configured threshold for the pending entries of the stream's groups."),
    family("streamwarden_stream_pending_age_threshold_seconds", Gauge, Stream(|row| threshold(row, |thresholds| thresholds.pending_age.map(Seconds))),
        "The configured threshold for the age of a group's oldest pending entry."),
    family("streamwarden_stream_deliveries_threshold", Gauge, Stream(|row| threshold(row, |thresholds| thresholds.deliveries.map(Count))),
        "The configured threshold for the deliveries of one entry."),
    family("streamwarden_stream_silence_threshold_seconds", Gauge, Stream(|row| threshold(row, |thresholds| thresholds.silence.map(Seconds))),
        "The configured threshold for the time without a new entry."),

    family("streamwarden_lag_default_threshold_seconds", Gauge, Own(&[]),
        "The default threshold for the age of the oldest entry not yet delivered to a group, for streams without a configured one. Beyond it a group is lagging; no alert pages."),
    family("streamwarden_pending_age_default_threshold_seconds", Gauge, Own(&[]),
        "The default threshold for the age of a group's oldest pending entry, for streams without a configured one."),

    family("streamwarden_group_present", Gauge, Group(|row| row.is_expected.then(|| row.state.is_some().into())),
        "For groups that the configuration expects: 1 if the group exists, 0 if it is missing."),
    family("streamwarden_group_status", Gauge, Source::GroupStatus,
        "Status of the group over status.window: 1 for the current one (missing, trimmed_past, no_consumers, stopped, stalled, rewound, lagging, ok or unknown), 0 for the others (left out with exposition.states: current)."),
    family("streamwarden_group_ignored", Gauge, Group(|row| row.is_ignored.then_some(Count(1))),
        "1 for groups in ignore_groups of the stream's retention: their status is ok, and no alert fires for them. Left out for others."),
    family("streamwarden_group_lag", Gauge, Group(|row| Some(Count(row.report?.lag.known()?))),
        "Entries not yet delivered to the group. Exact; left out if the exact number is unknown."),
    family("streamwarden_group_lag_known", Gauge, Group(|row| Some(row.report?.lag.known().is_some().into())),
        "1 if the group's exact lag is known, 0 if only an upper bound is."),
    family("streamwarden_group_lag_upper_bound", Gauge, Group(|row| Some(Count(row.report?.lag.upper_bound()))),
        "Upper bound of the group's lag in entries; the lag itself if it is known."),
    family("streamwarden_group_lag_seconds", Gauge, Group(|row| seconds(report(row)?.lag_age)),
        "Age of the oldest entry not yet delivered to the group, by its ID and the server's clock; 0 if nothing waits. Left out if IDs are not times or are ahead of the clock."),
    family("streamwarden_group_entries_lost_total", Counter, Group(|row| Some(Count(report(row)?.lost?.at_least))),
        "Entries that were certainly trimmed or deleted, by anyone, before they were delivered to the group, since the sidecar started to watch it. Left out if IDs are not times. Redis 7.0 and later."),
    family("streamwarden_group_entries_lost_upper_bound_total", Counter, Group(|row| Some(Count(report(row)?.lost?.at_most))),
        "Upper bound of the entries lost before they were delivered. Between two polls it equals the lower bound if only the sidecar removed entries, with its script, or if the group's lag was known at both polls and its position did not change, or on Redis 7.0 its count of deliveries was known (see Limits in the documentation). Otherwise it may include entries that were delivered and removed between two polls."),
    family("streamwarden_group_entries_suspected_lost_total", Counter, Group(|row| Some(Count(report(row)?.lost?.suspected))),
        "Entries that may be lost: the difference of both bounds, counted only if the oldest undelivered entry was older than poll.interval and was removed."),
    family("streamwarden_group_rewinds_total", Counter, Group(|row| Some(Count(report(row)?.rewinds.into()))),
        "Times the group's position went back, because it was set back or the group was recreated."),
    family("streamwarden_group_pending", Gauge, Group(|row| Some(Count(row.state?.pending))),
        "Entries delivered to the group but not acknowledged."),
    family("streamwarden_group_nacked_entries", Gauge, Group(|row| Some(Count(row.state?.nacked?))),
        "Pending entries that consumers have released (XNACK) and that no consumer owns. Redis 8.8 and later."),
    family("streamwarden_group_oldest_pending_age_seconds", Gauge, Group(|row| seconds(report(row)?.oldest_pending_age)),
        "Age of the oldest pending entry that still exists in the stream, by its ID and the server's clock; 0 if nothing is pending. Left out if IDs are not times or are ahead of the clock."),
    family("streamwarden_group_oldest_pending_idle_seconds", Gauge, Group(|row| Some(Seconds(oldest_pending(row)?.idle?.duration()))),
        "Time since the oldest pending entry was last delivered. Left out if nothing is pending, or if the entry was released (XNACK)."),
    family("streamwarden_group_oldest_pending_deliveries", Gauge, Group(|row| Some(Count(oldest_pending(row)?.counted_deliveries()?))),
        "Times the oldest pending entry was delivered. Left out if nothing is pending, or if a consumer marked the entry as fatal (XNACK), which makes it poison."),
    family("streamwarden_group_dangling_pending", Gauge, Group(|row| Some(Count(report(row)?.dangling?.get()))),
        "Pending entries older than the stream's first entry: they no longer exist and can't be delivered again. Only the 100 oldest pending entries are checked, so there may be more. Entries deleted from the middle are not detected."),
    family("streamwarden_group_pending_dropped_total", Counter, Group(|row| Some(Count(report(row)?.dropped?.get()))),
        "Pending entries that disappeared with their consumers (XGROUP DELCONSUMER), since the sidecar started to watch the group: no consumer receives them again. An upper bound. Counted are the entries of consumers that had been idle for longer than poll.interval at one poll and were deleted at the next, except for entries that other consumers own then. Entries that were acknowledged between these two polls may be included, since no server reports the difference. Not counted are the entries of a consumer that was active in the interval before it was deleted, or that was recreated under its name before the next poll: both happen in a deployment. Nothing is counted between two polls that may have read different servers. Left out if two polls can't be compared: more consumers than are listed, consumers that were not read, or no permission for TIME."),
    family("streamwarden_group_poison_entries", Gauge, Group(|row| Some(Count(report(row)?.poison?.get().into()))),
        "Pending entries that were delivered at least as often as the threshold (default 5), among the 100 oldest: at least so many, if more than 100 are pending. Left out while the oldest one changes with each poll."),
    family("streamwarden_group_stuck_consumers", Gauge, Group(|row| Some(Count(row.state?.stuck_consumers?.get()))),
        "Consumers with pending entries that have been idle, or have received nothing, for longer than consumers.stuck_after."),
    family("streamwarden_group_entries_read_total", Counter, Group(|row| Some(Count(row.state?.entries_read?.try_into().ok()?))),
        "Redis's own count of the entries that the group has read. Left out if Redis does not know it. Redis 7.0 and later."),
    family("streamwarden_group_consumers", Gauge, Group(|row| Some(Count(row.consumer_count()?))),
        "Consumers of the group, active or not: Redis keeps them until they are deleted. Left out where a replica is read, which lacks consumers that were never given an entry."),
    family("streamwarden_group_unlisted_consumers", Gauge, Group(unlisted),
        "Consumers of the group without series of their own, because the group has more than the limit."),
    family("streamwarden_group_unlisted_pending", Gauge, Group(|row| Some(Count(row.state?.unlisted_pending?.get()))),
        "Pending entries of the group's consumers without series of their own."),
    family("streamwarden_group_consumers_age_seconds", Gauge, Group(|row| Some(Seconds(row.state?.consumers_age?.duration()))),
        "Time since the consumers of the group were read. If a stream has more than 500 consumers or large entries, not every poll reads them; stuck and unlisted consumers and the consumers' own series are of that time. Left out if every poll reads them."),
    family("streamwarden_group_last_delivered_id", Gauge, Group(|row| id_ms(Some(row.state?.last_delivered_id))),
        "The milliseconds part of the last ID delivered to the group."),

    family("streamwarden_group_delivery_seconds", Histogram, GroupHistogram(|row| Some(&row.latency?.delivery.histogram)),
        "Time from an entry's ID to its delivery to the group, of every entry, for streams with an objective (slo). Each observation is known to an interval of two ticks (latency.tick) or less, or wider where a tick is late, and a value in it is counted; intervals of more than 20 ticks and an eighth of the time are left out. Redis 7.0 and later."),
    family("streamwarden_group_handling_seconds", Histogram, GroupHistogram(|row| Some(&row.latency?.handling.histogram)),
        "Time from an entry's ID to its acknowledgement, measured in the same way. The mean is right in any order. Buckets assume that entries are acknowledged in the order of their delivery: entries that are retried or held for long seem to take less long, and the others longer; streamwarden_slo_followed_total shows whether they are. Entries that a group reads with NOACK count as acknowledged when they are delivered."),
    family("streamwarden_slo_events_total", Counter, GroupMore(&["db", "stream", "group", "objective", "outcome"], slo_events),
        "Entries by whether they met the objective (delivery or handled): good, bad, or unknown if the observation is an interval with the objective in it. An entry that waits for longer than that is bad before it is delivered. For handled this assumes that entries are acknowledged in the order of their delivery; while the entries of streamwarden_slo_followed_total contradict that, all others are unknown."),
    family("streamwarden_slo_followed_total", Counter, GroupMore(&["db", "stream", "group", "objective", "outcome", "by_order"], slo_followed),
        "Single entries that were followed to their acknowledgement, the last one delivered at each tick: whether they met the objective (handled only), and what the order of acknowledgements says of them (by_order). outcome is right in any order; where by_order is the opposite, entries are acknowledged out of order."),
    family("streamwarden_slo_in_order", Gauge, GroupMore(&["db", "stream", "group", "objective"], slo_in_order),
        "Whether the latest entries of streamwarden_slo_followed_total agree with the order of acknowledgements (handled only). Where they do not (0), all other entries are unknown, and the alerts go by those that are followed."),
    family("streamwarden_slo_left_out_total", Counter, GroupMore(&["db", "stream", "group", "objective", "reason"], slo_left_out),
        "Entries that are not in the histogram (delivery or handled), by reason: unread, clock, lag_unknown, rewound, trimmed, ids_not_times, consumer_deleted, late_tick or start."),
    family("streamwarden_slo_objective_seconds", Gauge, StreamMore(&["db", "stream", "objective"], slo_objectives),
        "The configured objectives of the stream (delivery or handled)."),
    family("streamwarden_slo_target_ratio", Gauge, Stream(|row| Some(Number::Float(slo(row)?.target.ratio()))),
        "The configured share of entries that must meet each objective of the stream."),

    family("streamwarden_consumer_pending", Gauge, Consumer(|consumer| Some(Count(consumer.pending))),
        "Entries delivered to the consumer but not acknowledged."),
    family("streamwarden_consumer_pending_limit", Gauge, OfServer(|server| Some(Count(server.terms().consumer_pending?))),
        "Number of pending entries at which the server stops delivering entries to a consumer. Only on servers with such a limit."),
    family("streamwarden_consumer_idle_seconds", Gauge, Consumer(|consumer| Some(Seconds(consumer.idle?.duration()))),
        "Time since the consumer last tried to read, claim or acknowledge."),
    family("streamwarden_consumer_inactive_seconds", Gauge, Consumer(|consumer| Some(Seconds(consumer.inactive?.duration()))),
        "Time since the consumer last received an entry. Left out if it never received one. Redis 7.2 and later."),

    family("streamwarden_retention_info", Info, StreamMore(&["db", "stream", "mode"], retention_mode),
        "The stream's retention mode, as a label; always 1. If retention is switched off, the mode is observe."),
    family("streamwarden_retention_over_limit_entries", Gauge, Stream(|row| Some(Count(plan(row)?.excess))),
        "Entries beyond the stream's max_length."),
    family("streamwarden_retention_removable_entries", Gauge, Stream(|row| plan(row)?.removable().map(Count)),
        "Entries beyond the stream's max_length that no group needs. Left out if the number is unknown without counting."),
    family("streamwarden_retention_blocked", Gauge, StreamMore(&["db", "stream", "group", "reason"], blocked),
        "1 if something keeps the stream above its limits, with the reason and the group that needs the oldest entries. The label `group` is empty if the reason is the stream or the server."),
    family("streamwarden_retention_runs_total", Counter, StreamMore(&["db", "stream", "outcome"], runs),
        "Runs on the stream by this sidecar, by outcome: reached, blocked, incomplete (the time budget was exhausted) or failed."),
    family("streamwarden_retention_trimmed_entries_total", Counter, Stream(|row| enforced(row).map(|status| Count(status.trimmed))),
        "Entries that this sidecar removed from the stream."),
    family("streamwarden_retention_last_success_timestamp_seconds", Gauge, Stream(|row| enforced(row).map(|status| Number::Float(status.last_success.map_or(0.0, |at| at.as_secs_f64())))),
        "Time of the last run on the stream that did not fail (it may have been blocked), by the sidecar's clock; 0 before the first run by this sidecar."),
    family("streamwarden_retention_interval_seconds", Gauge, Own(&[]),
        "The configured time between two runs on a stream, unless its rule sets another."),
    family("streamwarden_retention_leader", Gauge, Own(&[]),
        "1 while this sidecar trims: it holds the lease, or goes on without it, because Redis refuses it or the node of a cluster that has it does not answer. 0 otherwise."),
    family("streamwarden_retention_failures_total", Counter, Own(&["reason"]),
        "Runs and lease requests that Redis refused or did not answer."),

    family("streamwarden_dead_letters", Gauge, Stream(|row| Some(Count(row.dead_letter()?.1.length?))),
        "Entries in the stream that has the dead letters of this one, by its rule dead_letter; 0 if it does not exist. Left out if it could not be read."),
    family("streamwarden_dead_letters_max_length", Gauge, Stream(|row| Some(Count(row.dead_letter()?.0.max_length))),
        "Dead letters at which moving stops."),
    family("streamwarden_dead_letters_oldest_age_seconds", Gauge, Stream(|row| seconds(row.dead_letter()?.1.oldest_age)),
        "Time since the oldest dead letter was set aside, by its ID and the server's clock. Left out if there are no dead letters."),
    family("streamwarden_dead_letters_moved_total", Counter, StreamMore(&["db", "stream", "reason"], moved),
        "Pending entries that this sidecar moved to the dead letters, by reason: deliveries, or fatal if a consumer had marked the entry so (XNACK)."),
    family("streamwarden_dead_letters_stopped", Gauge, StreamMore(&["db", "stream", "reason"], stopped),
        "1 if the last run left entries pending that should be moved to the dead letters, with the reason: full (dead_letter.max_length: replay or purge some, or raise it), too_many_fields, live_stream (the key of the dead letters), or that of a failure."),
    family("streamwarden_consumers_reaped_total", Counter, Stream(|row| row.watched.reap_consumers().and(row.rules).map(|rules| Count(rules.status.reaped))),
        "Consumers of the stream's groups that this sidecar deleted, by its rule reap_consumers."),

    family("streamwarden_redis_info", Info, Redis,
        "Information about the watched Redis, as labels; always 1. `name` is the configured name, else host, port and database; `external_url` is http.external_url; the other labels describe the server. Unknown labels are empty."),
    family("streamwarden_redis_up", Gauge, Own(&[]),
        "1 if the last poll succeeded, 0 otherwise."),
    family("streamwarden_redis_connections_total", Counter, Own(&[]),
        "Connections opened to Redis."),
    family("streamwarden_redis_commands_total", Counter, Own(&["command"]),
        "Commands sent to Redis, except those of the login. A script counts as one command."),
    family("streamwarden_redis_round_trips_total", Counter, Own(&[]),
        "Pipelines of commands sent to Redis. Two of a poll may be under way at once."),
    family("streamwarden_redis_writes_refused", Gauge, OfNodes(&["reason"], refusing),
        "Servers that answer reads but refuse writes, by reason: `oom` (memory is above maxmemory and nothing may be evicted), `misconf` (data can't be persisted), `noreplicas` (too few replicas are connected). 0 or 1, or the number of primaries of a cluster. A reason is left out while it is unknown whether it applies, for replicas, while the last poll failed, and if the user may not run INFO."),
    family("streamwarden_redis_memory_growth_per_day_bytes", Gauge, MemoryOfNodes(|node| Some(Change(node.growth_a_day?))),
        "Growth of the server's used memory in a day, of all keys, measured as that of streams. A node of a cluster has its address in the label. Left out if the user may not run INFO."),
    family("streamwarden_redis_maxmemory_reached_seconds", Gauge, MemoryOfNodes(|node| Some(Seconds(node.maxmemory_after?))),
        "Time until the server's used memory reaches maxmemory, if it goes on growing at this rate. Left out without maxmemory, while memory does not grow, for more than ten years, and if any key may be evicted and memory is nearly full."),
    family("streamwarden_node_up", Gauge, Node(|row| Some(row.node.failure.is_none().into())),
        "1 if the primary of the cluster answered the last poll, 0 otherwise. `node` is its address, as the cluster announces it or as redis.cluster_address_map replaces it. The metrics of nodes and of the cluster are left out if the server is not in cluster mode, and while the last poll failed as a whole."),
    family("streamwarden_node_poll_duration_seconds", Gauge, Node(|row| row.node.failure.is_none().then_some(Seconds(row.node.took))),
        "Duration of the primary's part of the last poll. Left out if the primary did not answer."),
    family("streamwarden_node_streams", Gauge, Node(|row| Some(Count(row.streams))),
        "Watched streams in the primary's slots, whether they could be read or not."),
    family("streamwarden_cluster_slots_unserved", Gauge, OfCluster(|cluster| cluster.unserved_slots.try_into().ok().map(Count)),
        "Slots of the cluster without a primary, or whose primary the cluster considers failed."),
    family("streamwarden_cluster_topology_age_seconds", Gauge, OfCluster(|cluster| Some(Seconds(cluster.topology_age))),
        "Age of the cluster's topology at the last poll: which primary owns which slots. It is read again after poll.discovery_interval, and sooner if an answer contradicts it or a primary does not answer."),
    family("streamwarden_cluster_redirects_total", Counter, Own(&["kind"]),
        "Commands that a node of a cluster redirected to another node: `moved`, or `ask` while a slot is being moved."),
    family("streamwarden_polls_total", Counter, Own(&[]),
        "Polls started."),
    family("streamwarden_poll_failures_total", Counter, Own(&["reason"]),
        "Polls that failed as a whole."),
    family("streamwarden_stream_read_failures_total", Counter, Own(&["reason"]),
        "Streams that a successful poll could not read, counted in each poll."),
    family("streamwarden_poll_duration_seconds", Histogram, Own(&[]),
        "Duration of polls, including failed ones."),
    family("streamwarden_poll_interval_seconds", Gauge, Own(&[]),
        "The configured time between two polls."),
    family("streamwarden_poll_last_success_timestamp_seconds", Gauge, Own(&[]),
        "Time of the last successful poll, by the sidecar's clock; 0 before the first."),
    family("streamwarden_discovery_last_success_timestamp_seconds", Gauge, Own(&[]),
        "Time of the last successful search for streams, by the sidecar's clock; 0 before the first."),
    family("streamwarden_discovery_failures_total", Counter, Own(&["reason"]),
        "Failed searches for streams. Streams that were found earlier stay watched."),
    family("streamwarden_watched_streams", Gauge, Own(&[]),
        "Streams that each poll reads."),
    family("streamwarden_unwatched_streams", Gauge, Own(&[]),
        "Streams that were found but are not watched, because there are more than limits.streams."),
    family("streamwarden_unwatched_groups", Gauge, Own(&[]),
        "Groups that are not watched, because their streams have more than limits.groups_per_stream."),
    family("streamwarden_found_streams", Gauge, Own(&[]),
        "Streams that the last search found by the configured patterns, without those that the configuration names; 0 if it names all."),
    family("streamwarden_forbidden_streams", Gauge, Own(&[]),
        "Streams that a search found but whose keys the user may not read, as of the last poll. They have no series of their own."),
    family("streamwarden_latency_ticks_total", Counter, Own(&[]),
        "Times that the groups of streams with an objective were read, each latency.tick. The metrics about them are as of the last poll."),
    family("streamwarden_latency_tick_failures_total", Counter, Own(&["reason"]),
        "Ticks that failed as a whole."),
    family("streamwarden_latency_unsampled_streams", Gauge, Own(&[]),
        "Streams with an objective that are not measured, because there are more than latency.streams."),
    family("streamwarden_probe_seconds", Histogram, Own(&["stage"]),
        "Time from sending the probe's entry until Redis confirms it (`write`), until a reader that was blocked has it (`wake_up`), and until it is written, delivered and acknowledged (`round_trip`). Only with probe.enabled, and only of probes that succeeded."),
    family("streamwarden_probe_failures_total", Counter, Own(&["reason"]),
        "Probes that failed. Only with probe.enabled. It never counts as a poll."),
    family("streamwarden_probe_up", Gauge, Own(&["node"]),
        "1 if the last probe of the server succeeded, 0 if it failed. A node of a cluster has its address in the label. Only with probe.enabled."),
    family("streamwarden_series", Gauge, Own(&[]),
        "Series about streams, groups and consumers on this page."),
    family("streamwarden_dropped_series", Gauge, Own(&[]),
        "Series left out, because there are more than limits.series: consumers' first, then groups', then streams'."),
    family("streamwarden_skipped_lookups", Gauge, Own(&[]),
        "Lookups that the last poll left out, because it had more than 10,000. Their results are missing."),
    family("streamwarden_postponed_lookups", Gauge, Own(&[]),
        "Lookups that the last poll left out, because the budget (redis.lookups_a_month) was exhausted. Their results are missing until a later poll."),
    family("streamwarden_rereads_total", Counter, Own(&[]),
        "Streams read again between two polls, each second and at most 20, because others may soon remove undelivered entries. Never if commands are billed."),
    family("streamwarden_config_last_reload_successful", Gauge, Own(&[]),
        "1 if the last load of the configuration succeeded, 0 if a changed configuration was rejected."),
    family("streamwarden_http_rejected_connections_total", Counter, Own(&[]),
        "Connections rejected because too many were open."),
    family("streamwarden_http_unauthorized_trims_total", Counter, Own(&[]),
        "Trim requests over HTTP without the configured token."),
    family("streamwarden_http_unauthorized_writes_total", Counter, Own(&[]),
        "Requests over HTTP to act on stuck work without the configured token."),
    family("streamwarden_http_acted_items_total", Counter, Own(&["act"]),
        "Entries and consumers that requests over HTTP changed: entries set aside, played back or handed over, consumers deleted."),
    family("streamwarden_notifications_total", Counter, Own(&["outcome"]),
        "Changes for the webhook (notify.webhook_file), by what came of them: `sent`; `refused`, if its receiver said that the change is invalid; `dropped`, if too many waited or the webhook was removed from the configuration."),
    family("streamwarden_waiting_notifications", Gauge, Own(&[]),
        "Changes that wait to be sent to the webhook, at most 1,001."),
    family("streamwarden_metrics_exports_total", Counter, Own(&["outcome"]),
        "Exports of all metrics to a collector (telemetry.metrics), by what came of them: `sent`; `refused`, if the collector did not take some of the values; `failed`, if it is not known to have all of them."),
    family("streamwarden_build_info", Info, Own(&["version"]),
        "The sidecar's version, as a label; always 1."),

    family("process_cpu_seconds_total", Counter, Own(&[]),
        "User and system CPU time spent by the sidecar."),
    family("process_max_fds", Gauge, Own(&[]),
        "Maximum number of file descriptors that the sidecar may open."),
    family("process_open_fds", Gauge, Own(&[]),
        "File descriptors that the sidecar has open."),
    family("process_resident_memory_bytes", Gauge, Own(&[]),
        "The sidecar's resident memory."),
    family("process_start_time_seconds", Gauge, Own(&[]),
        "Start time of the sidecar, in seconds since the Unix epoch."),
    family("process_threads", Gauge, Own(&[]),
        "The sidecar's threads."),
    family("process_virtual_memory_bytes", Gauge, Own(&[]),
        "The sidecar's virtual memory."),
];

fn refusing(nodes: &[model::Node]) -> Vec<(String, Number)> {
    let number = |reason: Reason| {
        Some((format!("reason=\"{}\"", reason.as_str()), Count(refusing_writes(nodes, reason)?)))
    };
    Condition::REFUSALS.into_iter().filter_map(number).collect()
}

fn seconds(age: Option<Age>) -> Option<Number> {
    age.map(|Age(age)| Seconds(age.duration()))
}

pub(super) fn id_ms(id: Option<StreamId>) -> Option<Number> {
    id.map(|id| Count(id.ms))
}

/// Only for a stream that has ever had an idempotent producer: all values of the others are 0.
fn idempotence<'a>(row: &'a StreamReading<'_>) -> Option<&'a Idempotence> {
    row.read()?.idempotence.as_deref().filter(|idempotence| idempotence.ids_added > 0)
}

fn retention<'a>(row: &StreamReading<'a>) -> Option<&'a StreamRetention> {
    row.rule()?.retention.as_ref()
}

/// The plan for a stream with a limit on its length.
fn plan<'a>(row: &'a StreamReading<'_>) -> Option<&'a Plan> {
    let retention = row.retention.as_ref()?;
    retention.policy.max_length?;
    retention.plan.as_ref()
}

/// What this sidecar has done to a stream whose limits are enforced; zeros before its first run.
fn enforced(row: &StreamReading<'_>) -> Option<RetentionStatus> {
    let retention = row.retention.as_ref().filter(|retention| retention.policy.enforces())?;
    Some(retention.retention_status.clone().unwrap_or_default())
}

fn runs(row: &StreamReading<'_>) -> Vec<(String, Number)> {
    let runs = enforced(row).map(|status| status.runs);
    let outcomes = Outcome::ALL.into_iter().zip(runs.into_iter().flatten());
    outcomes.map(|(outcome, runs)| (format!("outcome=\"{}\"", outcome.as_str()), Count(runs))).collect()
}

fn moved(row: &StreamReading<'_>) -> Vec<(String, Number)> {
    let moved = row.dead_letter().map(|(_, rules)| rules.status.moved);
    let causes = Cause::ALL.into_iter().zip(moved.into_iter().flatten());
    causes.map(|(cause, moved)| (format!("reason=\"{}\"", cause.as_str()), Count(moved))).collect()
}

fn stopped(row: &StreamReading<'_>) -> Vec<(String, Number)> {
    let stop = row.dead_letters_stopped();
    stop.iter().map(|stop| (format!("reason=\"{}\"", stop.as_str()), Count(1))).collect()
}

fn retention_mode(row: &StreamReading<'_>) -> Vec<(String, Number)> {
    let retention = row.retention.iter();
    retention.map(|retention| (format!("mode=\"{}\"", retention.policy.mode.as_str()), Count(1))).collect()
}

fn blocked(row: &StreamReading<'_>) -> Vec<(String, Number)> {
    let blocker = row.blocked_by();
    let labels = |blocker: &TrimBlocker| {
        let group = blocker.group.as_ref().map(escaped).unwrap_or_default();
        format!("group=\"{group}\",reason=\"{}\"", blocker.reason.as_str())
    };
    blocker.iter().map(|blocker| (labels(blocker), Count(1))).collect()
}

/// The memory of a stream, if it is of this kind.
fn memory<'a>(row: &StreamReading<'a>, is_estimate: bool) -> Option<&'a StreamMemory> {
    row.verdict.memory.as_deref().filter(|memory| memory.is_estimate == is_estimate)
}

/// Absence is reported only for streams that the configuration names.
fn present(row: &StreamReading<'_>) -> Option<bool> {
    row.present().filter(|is_there| *is_there || row.watched.is_expected)
}

fn unreadable(row: &StreamReading<'_>) -> Vec<(String, Number)> {
    row.unreadable().iter().map(|reason| (format!("reason=\"{}\"", reason.as_str()), Count(1))).collect()
}

/// A configured threshold, for streams that exist.
fn threshold(row: &StreamReading<'_>, which: fn(&Thresholds) -> Option<Number>) -> Option<Number> {
    which(&row.rule()?.thresholds)
}

fn report<'a>(row: &GroupReading<'a>) -> Option<&'a GroupReport> {
    row.report
}

fn oldest_pending(row: &GroupReading<'_>) -> Option<OldestPending> {
    row.report?.oldest_pending(row.state?).oldest()
}

/// `None` where consumers are not listed.
fn unlisted(row: &GroupReading<'_>) -> Option<Number> {
    let group = row.state?;
    group.unlisted_pending?;
    let listed = u64::try_from(group.consumers.len()).unwrap_or(u64::MAX);
    Some(Count(row.consumer_count()?.saturating_sub(listed)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let names: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
        for family in FAMILIES {
            let name = family.name;
            assert!(name.starts_with("streamwarden_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), family.kind == Counter, "{name}");
            assert_eq!(name.ends_with("_info"), family.kind == Info, "{name}");
            assert!(family.help.ends_with('.') && !family.help.contains(['\n', '\\', '"']), "{name}");
        }
    }
}
