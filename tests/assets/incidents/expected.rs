//! What each incident must lead to: the promise of the alerts, as a table.

use std::fmt;

use super::{lab::Lab, stories};
use crate::monitoring::Prometheus;

/// One incident, and whom it reaches.
pub(super) struct Incident {
    /// Also the label `job` of its sidecar.
    pub(super) name: &'static str,
    /// The sidecar's `streams`; durations in `<>` are as they are by default.
    pub(super) streams: &'static str,
    pub(super) story: fn(&mut Lab, &Prometheus),
    /// Each is notified once, and once more when it is over. Nothing else is.
    pub(super) notified: &'static [Notice],
}

/// A notification: to whom, of what, and at the latest when.
pub(super) struct Notice {
    pub(super) receiver: &'static str,
    pub(super) alert: &'static str,
    /// Seconds after the fault.
    pub(super) within: u64,
    /// Whether it depends on the moment of a poll: then it may also be missing.
    pub(super) is_certain: bool,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { receiver, alert, within, is_certain } = self;
        let perhaps = if *is_certain { "" } else { "perhaps " };
        write!(f, "{perhaps}{receiver} {alert} in {within} s")
    }
}

const fn page(alert: &'static str, minutes: u64) -> Notice {
    Notice { receiver: "pager", alert, within: 60 * minutes, is_certain: true }
}

const fn chat(alert: &'static str, minutes: u64) -> Notice {
    Notice { receiver: "chat", alert, within: 60 * minutes, is_certain: true }
}

/// Streams of the example application, as somebody lists them who has no thresholds yet.
const PLAIN: &str = r#"
  - {match: "events:session", groups: [nexus-session-consumers]}
  - {match: "events:*"}
"#;
/// With all thresholds, and a limit that the group's consumers hold up when they stop.
const STRICT: &str = r#"
  - match: "events:session"
    groups: [nexus-session-consumers]
    thresholds: {lag: 200, lag_age: <1m>, pending: 1000, pending_age: <5m>, deliveries: 5}
    retention: {max_length: 500}
  - {match: "events:*"}
"#;

pub(super) const INCIDENTS: &[Incident] = &[
    Incident {
        name: "consumers-stopped",
        streams: STRICT,
        story: stories::consumers_stop,
        notified: &[page("RedisStreamGroupNoConsumers", 4)],
    },
    Incident {
        name: "consumers-crashed",
        streams: r#"
  - match: "events:session"
    thresholds: {lag: 200, lag_age: <1m>, pending_age: <5m>}
    retention: {max_length: 2000, mode: strict}
  - {match: "events:*"}
"#,
        story: stories::consumers_crash,
        notified: &[page("RedisStreamGroupNoConsumers", 4)],
    },
    Incident {
        name: "application-gone",
        streams: PLAIN,
        story: stories::application_gone,
        notified: &[page("RedisStreamGroupNoConsumers", 4)],
    },
    Incident {
        name: "no-consumer",
        streams: PLAIN,
        story: stories::no_consumer,
        notified: &[page("RedisStreamGroupNoConsumers", 4)],
    },
    Incident {
        name: "consumers-hung",
        streams: STRICT,
        story: stories::consumers_hang,
        notified: &[page("RedisStreamGroupStalled", 8)],
    },
    Incident {
        name: "consumers-slow",
        streams: r#"
  - {match: "events:session", thresholds: {lag_age: <1m>}}
  - {match: "events:*"}
"#,
        story: stories::consumers_slow,
        notified: &[page("RedisStreamLagTooOld", 10)],
    },
    Incident {
        name: "flood",
        streams: PLAIN,
        story: stories::flood,
        notified: &[chat("RedisStreamGroupLagging", 10)],
    },
    Incident {
        name: "poison",
        streams: PLAIN,
        story: stories::poison,
        notified: &[chat("RedisStreamPoisonEntries", 5)],
    },
    Incident {
        name: "careless-trim",
        streams: PLAIN,
        story: stories::careless_trim,
        notified: &[page("RedisStreamEntriesLost", 2)],
    },
    Incident {
        name: "group-recreated",
        streams: PLAIN,
        story: stories::group_recreated,
        // Where a poll comes before its consumers have read everything again.
        notified: &[Notice { is_certain: false, ..chat("RedisStreamGroupRewound", 2) }],
    },
    Incident {
        name: "group-destroyed",
        streams: r#"
  - {match: "events:session", groups: [nexus-session-consumers, audit]}
  - {match: "events:*"}
"#,
        story: stories::group_destroyed,
        notified: &[page("RedisStreamGroupMissing", 3)],
    },
    Incident {
        name: "stream-deleted",
        streams: r#"
  - {match: "imports", groups: [importers]}
  - {match: "events:*"}
"#,
        story: stories::stream_deleted,
        notified: &[page("RedisStreamMissing", 3)],
    },
    Incident {
        name: "redis-away-1m",
        streams: PLAIN,
        story: stories::redis_away_for_a_minute,
        notified: &[],
    },
    Incident {
        name: "redis-away-5m",
        streams: STRICT,
        story: stories::redis_away_for_five_minutes,
        notified: &[page("RedisStreamRedisUnreachable", 3)],
    },
    Incident {
        name: "redis-empty",
        streams: PLAIN,
        story: stories::redis_empty,
        notified: &[chat("RedisStreamRecreated", 2)],
    },
    Incident { name: "failover", streams: PLAIN, story: stories::failover, notified: &[] },
    Incident {
        name: "sidecar-killed",
        streams: PLAIN,
        story: stories::sidecar_killed,
        notified: &[page("RedisStreamSidecarAbsent", 5)],
    },
    Incident {
        name: "retention-blocked",
        streams: r#"
  - {match: "events:session", retention: {max_length: 500}}
  - {match: "events:*"}
"#,
        story: stories::retention_blocked,
        notified: &[page("RedisStreamRetentionBlocked", 15)],
    },
    Incident {
        name: "producers-silent",
        streams: r#"
  - {match: "events:session", thresholds: {silence: <2m>}}
  - {match: "events:*"}
"#,
        story: stories::producers_silent,
        notified: &[chat("RedisStreamSilent", 5)],
    },
    Incident { name: "deploy", streams: STRICT, story: stories::deploy, notified: &[] },
    Incident { name: "many-deploys", streams: STRICT, story: stories::many_deploys, notified: &[] },
    Incident { name: "healthy", streams: STRICT, story: stories::healthy, notified: &[] },
    Incident {
        name: "two-at-once",
        streams: PLAIN,
        story: stories::two_at_once,
        notified: &[page("RedisStreamGroupNoConsumers", 4), page("RedisStreamGroupStalled", 8)],
    },
];
