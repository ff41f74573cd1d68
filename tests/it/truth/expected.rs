//! What should stand on a page, from all that the server says and from what happened.

mod exporter;
mod group;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use streamwarden::{clock::Instant, evaluate::Health, model::StreamId};

use super::{
    facts::{Facts, Group},
    story::Polls,
    told::Subject,
    truths::{Right, Truths},
};

/// Sets what the numbers are judged by.
pub(super) const SETTINGS: &str = "
poll: {interval: 100ms, stale_after: 60s}
status: {window: 400ms, stopped_after: STOPPED}
consumers: {max_per_group: CONSUMERS, stuck_after: 3ms}
entries: {last: ENTRIES}
exposition: {redis_exporter_names: true}
streams:
- match: STREAMS
  groups: [g0]
  retention: {max_length: 10, max_age: 1h, mode: observe}
  thresholds: {lag: 4, lag_age: 1h, pending: 3, pending_age: 2h, deliveries: 2, silence: 3h}
";
pub(super) const INTERVAL_MS: u64 = 100;
/// The metrics of a cluster as a whole.
const CLUSTER: [&str; 2] = ["cluster_slots_unserved", "cluster_topology_age_seconds"];
const STUCK_AFTER_MS: u64 = 3;
const MAX_LENGTH: u64 = 10;
const POISON_FROM: u64 = 2;
/// Rates are taken over a quarter of the window.
const RATE_WINDOW: Duration = Duration::from_millis(100);
/// No ID that is a time is smaller, and none is further ahead of the clock.
const EARLIEST_MS: u64 = 1_000_000_000_000;
const AHEAD_MS: u64 = 5_000;

/// What is known of a poll that is over, or of this one.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    pub(super) length: Option<u64>,
    pub(super) added: Option<u64>,
    pub(super) lags: BTreeMap<String, u64>,
    /// What each group lost, as reported: for certain and maybe.
    pub(super) lost: BTreeMap<String, u64>,
}

/// The polls that the histories on the page are of: how long ago each was, and what was so; `None` where it was another
/// stream's.
pub(super) type Ticks<'a> = Vec<(Duration, Option<&'a Past>)>;

/// What can't be seen in the stream as it is: it follows from what happened.
#[derive(Debug, Default)]
pub(super) struct Happened<'a> {
    pub(super) recreations: (u64, u64),
    pub(super) groups: BTreeMap<String, GroupHappened>,
    pub(super) ticks: Option<Ticks<'a>>,
}

#[derive(Debug, Clone)]
pub(super) struct GroupHappened {
    pub(super) is_lag_told: bool,
    pub(super) lost: Right,
    pub(super) lost_at_most: Right,
    pub(super) suspected: Right,
    pub(super) dropped: Right,
    pub(super) rewinds: Right,
    /// How long polls have seen it without a break.
    pub(super) there_for: Duration,
}

/// When the reading was made, by the server's clock: a moment, or between two. The last is when it was over.
#[derive(Debug, Clone, Copy)]
pub(super) struct When {
    /// When it began: where the clock is not asked at each poll, what the page says of it may be some milliseconds ahead.
    pub(super) began: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) over: u64,
    /// What was asked at an earlier poll, and has not changed, may seem older by as much as that poll took.
    pub(super) slowest: u64,
}

/// How many of each a page lists at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    /// Of the configuration: each is listed.
    pub(super) streams: u64,
    /// Of a group.
    pub(super) consumers: usize,
    /// The last ones of the stream.
    pub(super) entries: usize,
}

/// One reading.
pub(super) struct Expected<'a> {
    /// The stream's name, which is its key.
    pub(super) stream: &'a str,
    pub(super) facts: Option<&'a Facts>,
    pub(super) when: When,
    pub(super) happened: &'a Happened<'a>,
    pub(super) listed: Listed,
    pub(super) polls: Polls,
}

fn seconds(from_ms: u64, to_ms: u64) -> Right {
    let seconds = |ms| Duration::from_millis(ms).as_secs_f64();
    Right::Between(seconds(from_ms), seconds(to_ms))
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Right {
    Right::OneOf(texts.into_iter().map(Value::from).collect())
}

fn healths() -> Right {
    texts(Health::ALL.iter().map(|health| health.as_str()))
}

fn rounded(rate: f64) -> f64 {
    (rate * 1_000.0).round() / 1_000.0
}

impl When {
    /// The time since then; zero where it is ahead.
    fn since(self, ms: u64) -> Right {
        seconds(self.from.saturating_sub(ms), self.to.saturating_sub(ms))
    }

    /// The age of an entry, where its ID is a time that is over.
    fn age(self, id: StreamId) -> Option<Right> {
        let is_time = id.ms >= EARLIEST_MS && id.ms <= self.to + AHEAD_MS;
        is_time.then(|| self.since(id.ms))
    }
}

impl Expected<'_> {
    pub(super) fn truths(&self) -> Truths {
        let mut truths = Truths::default();
        self.page(&mut truths);
        self.settings(&mut truths);
        let present = u64::from(self.facts.is_some());
        truths.known(&Subject::Stream, ("stream_present", "present"), Right::number(present));
        truths.known(&Subject::Stream, ("stream_health", "health"), healths());
        if let Some(facts) = self.facts {
            self.stream(&mut truths, facts);
            self.retention(&mut truths, facts);
            self.exporter(&mut truths, facts);
            for (name, group) in &facts.groups {
                self.group(&mut truths, facts, name, group);
            }
        }
        self.histories(&mut truths);
        if self.facts.is_none_or(|facts| !facts.groups.contains_key("g0")) {
            self.missing(&mut truths);
        }
        if self.polls == Polls::Moving {
            truths.without_clocks();
        }
        truths
    }

    /// What is always known while the stream stays where it is. Elsewhere it is found without its last entries, and how idle consumers
    /// are is what a new owner can't know.
    fn known_at_rest(
        &self,
        truths: &mut Truths,
        subject: &Subject,
        names: (&'static str, &'static str),
        right: Option<Right>,
    ) {
        match self.polls {
            Polls::Moving => truths.maybe_if(subject, names, right),
            Polls::Around | Polls::Between => truths.known_if(subject, names, right),
        }
    }

    fn page(&self, truths: &mut Truths) {
        let page = Subject::Page;
        truths.known(&page, ("redis_info", ""), Right::Any);
        truths.known(&page, ("", "faults"), Right::Is(json!([])));
        for words in ["sidecar.version", "server.flavour", "server.version", "server.role", "server.mode"] {
            truths.maybe(&page, ("", words), Right::Any);
        }
        if self.polls == Polls::Moving {
            // A primary may have become a replica at the moment.
            truths.maybe(&page, ("", "server.primary_link"), Right::Any);
            CLUSTER.iter().for_each(|name| truths.maybe(&page, (name, ""), Right::Any));
            truths.known(&Subject::Stream, ("", "node"), Right::Any);
        }
        truths.known(&page, ("", "summary.health"), healths());
        for health in ["summary.healthy", "summary.warning", "summary.critical", "summary.unknown"] {
            truths.known(&page, ("", health), Right::at_most(self.listed.streams));
        }
        let numbers = [
            ("schema_version", json!(1)),
            ("sidecar.enabled", json!(1)),
            ("database", json!("db0")),
            ("poll.up", json!(1)),
            ("poll.interval_seconds", json!(0.1)),
            ("poll.stale_after_seconds", json!(60)),
            ("poll.age_seconds", json!(0)),
            ("poll.stale", json!(0)),
            ("window_seconds", json!(0.4)),
            ("rate_window_seconds", json!(RATE_WINDOW.as_secs_f64())),
        ];
        numbers.into_iter().for_each(|(name, right)| truths.known(&page, ("", name), Right::Is(right)));
        let read_at = Right::between(self.when.from - 1_000, self.when.over);
        truths.known(&page, ("", "poll.last_success_unix_ms"), read_at);
        truths.known(&page, ("", "name"), Right::Any);
        truths.known(&page, ("", "poll.clock_error_seconds"), Right::Between(0.0, 1.0));
        truths.known(&page, ("", "history_ages_seconds"), Right::Any);
    }

    /// What the configuration says.
    fn settings(&self, truths: &mut Truths) {
        let stream = Subject::Stream;
        for (names, right) in [
            (("", "name"), json!(self.stream)),
            (("", "key"), json!(self.stream)),
            (("", "stale"), json!(0)),
            (("", "holds_dead_letters"), json!(0)),
            (("retention_info", "mode"), json!("observe")),
            (("", "retention.trimmed_entries"), json!(0)),
            (("stream_max_length", "max_length"), json!(MAX_LENGTH)),
            (("stream_max_age_seconds", "max_age_seconds"), json!(3_600)),
            (("stream_lag_threshold", "thresholds.lag"), json!(4)),
            (("stream_lag_threshold_seconds", "thresholds.lag_age_seconds"), json!(3_600)),
            (("stream_pending_threshold", "thresholds.pending"), json!(3)),
            (("stream_pending_age_threshold_seconds", "thresholds.pending_age_seconds"), json!(7_200)),
            (("stream_deliveries_threshold", "thresholds.deliveries"), json!(POISON_FROM)),
            (("stream_silence_threshold_seconds", "thresholds.silence_seconds"), json!(10_800)),
        ] {
            truths.known(&stream, names, Right::Is(right));
        }
        truths.known(&stream, ("", "reason"), Right::Any);
    }

    fn stream(&self, truths: &mut Truths, facts: &Facts) {
        let (stream, last_id, first) = (Subject::Stream, facts.last_id(), facts.ids.first());
        let count = |of: &str| facts.number(of).map(Right::number);
        truths.known(&stream, ("stream_length", "length"), Right::number(facts.length()));
        truths.known_if(&stream, ("stream_entries_added", "entries_added"), count("entries-added"));
        truths.known(&stream, ("stream_groups", ""), Right::number(facts.groups.len() as u64));
        let age = |id: StreamId| self.when.age(id);
        let oldest = first.and_then(|first| age(*first));
        truths.known_if(&stream, ("stream_oldest_entry_age_seconds", "oldest_entry_age_seconds"), oldest);
        let last_write = ("stream_last_write_age_seconds", "last_write_age_seconds");
        truths.known_if(&stream, last_write, age(last_id));
        truths.known(&stream, ("stream_last_generated_id", ""), Right::number(last_id.ms));
        truths.known(&stream, ("", "last_generated_id"), Right::text(last_id.to_string()));
        truths.known_if(&stream, ("", "first_entry_id"), first.map(|id| Right::text(id.to_string())));
        let newest = facts.ids.iter().rev().take(self.listed.entries);
        let newest: Vec<Value> = newest.map(|id| json!({"id": id.to_string(), "type": null})).collect();
        // An empty stream is not asked.
        let newest = Some(newest).filter(|newest| !newest.is_empty());
        let newest = newest.map(|newest| Right::Is(newest.into()));
        self.known_at_rest(truths, &stream, ("", "last_entries"), newest);
        truths.known_if(&stream, ("stream_radix_tree_keys", ""), count("radix-tree-keys"));
        truths.known_if(&stream, ("stream_radix_tree_nodes", ""), count("radix-tree-nodes"));
        // An estimate; `memory.rs` compares it with the truth. Its growth is unknown for an hour.
        let names = ("stream_memory_estimate_bytes", "memory.bytes");
        truths.maybe(&stream, names, Right::between(300, 10_000_000));
        truths.maybe(&stream, ("", "memory.is_estimate"), Right::between(1, 1));
        let recreations = Right::between(self.happened.recreations.0, self.happened.recreations.1);
        truths.known(&stream, ("stream_recreations", "recreations"), recreations);
        if self.happened.recreations.1 > 0 {
            truths.maybe(&stream, ("", "last_recreation_unix_ms"), Right::between(1, self.when.to));
        }
        truths.known(&stream, ("", "unwatched_groups"), Right::number(0));
        if facts.number("iids-added").is_some_and(|added| added > 0) {
            for (names, field) in [
                (("stream_idempotence_window_seconds", "idempotence.window_seconds"), "idmp-duration"),
                (("stream_idempotence_max_ids", "idempotence.max_ids"), "idmp-maxsize"),
                (("stream_idempotent_producers", "idempotence.producers"), "pids-tracked"),
                (("stream_idempotent_ids", "idempotence.ids"), "iids-tracked"),
                (("stream_idempotent_ids_added", "idempotence.ids_added"), "iids-added"),
                (("stream_idempotent_duplicates", "idempotence.duplicates"), "iids-duplicates"),
            ] {
                truths.known_if(&stream, names, count(field));
            }
        }
    }

    /// What retention would find: the entries from the front that no group needs.
    fn retention(&self, truths: &mut Truths, facts: &Facts) {
        let excess = facts.length().saturating_sub(MAX_LENGTH);
        let over = ("retention_over_limit_entries", "retention.excess");
        truths.known(&Subject::Stream, over, Right::number(excess));
        let is_needed = |entry: &StreamId| {
            facts.groups.values().any(|group| {
                *entry > group.delivered || group.pending.iter().any(|pending| pending.id == *entry)
            })
        };
        let is_missing = !facts.groups.contains_key("g0");
        let free =
            if is_missing { 0 } else { facts.ids.iter().take_while(|id| !is_needed(id)).count() as u64 };
        let removable = Right::number(free.min(excess));
        truths.maybe(&Subject::Stream, ("retention_removable_entries", ""), removable);
        if free < excess {
            let unread = |(name, group): (&String, &Group)| {
                (!facts.ahead(group).is_empty()).then(|| format!("{name} unread"))
            };
            let pending = |(name, group): (&String, &Group)| {
                (!group.pending.is_empty()).then(|| format!("{name} pending"))
            };
            let missing = is_missing.then(|| "g0 missing_group".to_owned());
            let holders = facts.groups.iter().filter_map(unread);
            let holders = holders.chain(facts.groups.iter().filter_map(pending)).chain(missing);
            let holders = Right::OneOf(holders.map(Value::from).collect());
            truths.maybe(&Subject::Stream, ("retention_blocked", "retention.blocked_by"), holders);
        }
    }

    /// What was at earlier polls, and rates, which are of two of them.
    fn histories(&self, truths: &mut Truths) {
        let (stream, ticks) = (Subject::Stream, self.happened.ticks.as_ref());
        let none = Ticks::new();
        let all = ticks.unwrap_or(&none);
        let or_any = |right| if ticks.is_some() { right } else { Right::Any };
        let values = |of: &dyn Fn(&Past) -> Vec<u64>| {
            let of_tick = |past: &Option<&Past>| past.map(of).unwrap_or_default();
            Right::Series(
                all.iter().map(|(_, past)| of_tick(past).into_iter().map(whole).collect()).collect(),
            )
        };
        let lengths = values(&|past| past.length.into_iter().collect());
        truths.known(&stream, ("", "history.length"), or_any(lengths));
        let lags = values(&|past| past.lags.values().copied().collect());
        truths.known(&stream, ("", "history.worst_lag"), or_any(lags));
        let added = |past: &Past| past.added.map(u64::cast_signed);
        let rates = all.windows(2).map(|two| rate(&two[0], &two[1], added));
        let rates = all.first().map(|_| Vec::new()).into_iter().chain(rates).collect();
        truths.known(&stream, ("", "history.rate_in_per_second"), or_any(Right::Series(rates)));
        let since = |oldest: Duration, of: &dyn Fn(&Past) -> Option<i64>| {
            let last = all.last();
            let recent = all.iter().filter(|(age, _)| *age <= oldest.min(RATE_WINDOW));
            let rates = recent.flat_map(|tick| last.map(|last| rate(tick, last, of)).unwrap_or_default());
            Right::OneOf(rates.map(Value::from).collect())
        };
        if self.facts.is_some() {
            truths.maybe(&stream, ("", "rate_in_per_second"), or_any(since(Duration::MAX, &added)));
        }
        for name in self.facts.iter().flat_map(|facts| facts.groups.keys()) {
            let subject = Subject::Group(name.clone());
            let lags = values(&|past| past.lags.get(name).copied().into_iter().collect());
            truths.known(&subject, ("", "history.lag"), or_any(lags));
            let there_for = self.happened.groups.get(name).map_or(Duration::ZERO, |group| group.there_for);
            let passed = |past: &Past| {
                // It may be less than nothing: of what was lost some was never counted as added, in another stream.
                let lost = past.lost.get(name).copied().unwrap_or_default();
                Some(added(past)? - past.lags.get(name)?.cast_signed() - lost.cast_signed())
            };
            truths.maybe(&subject, ("", "rate_out_per_second"), or_any(since(there_for, &passed)));
        }
    }
}

fn whole(number: u64) -> f64 {
    u32::try_from(number).map(f64::from).unwrap_or(f64::MAX)
}

/// Entries a second between two polls.
fn rate(
    (older, then): &(Duration, Option<&Past>),
    (newer, now): &(Duration, Option<&Past>),
    of: impl Fn(&Past) -> Option<i64>,
) -> Vec<f64> {
    let of = |past: &Option<&Past>| past.and_then(&of);
    let entries = of(now).zip(of(then)).and_then(|(now, then)| u64::try_from(now - then).ok());
    let over = older.checked_sub(*newer).filter(|over| !over.is_zero());
    entries
        .zip(over)
        .map(|(entries, over)| rounded(whole(entries) / over.as_secs_f64()))
        .into_iter()
        .collect()
}

/// The polls of a reading's histories, from those that there were.
pub(super) fn ticks(
    ages: impl Iterator<Item = Duration>,
    read_at: Instant,
    polls: &BTreeMap<Instant, Past>,
) -> Ticks<'_> {
    ages.map(|age| (age, read_at.checked_sub(age).and_then(|at| polls.get(&at)))).collect()
}
