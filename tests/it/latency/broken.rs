//! Times of entries on streams to which everything happens that breaks a curve, beside what the test knows of each entry.

use std::{thread::sleep, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError},
};
use redis::{Connection, Pipeline, Value};
use support::{Need, Page, Redis, Sidecar, command};

const STREAMS: usize = 24;
/// Nothing breaks the curves of every third stream.
const CALM: usize = 3;
const TICK_MS: u64 = 50;
const OBJECTIVE_MS: u64 = 600;
const CONFIG: &str = "latency: {tick: 50ms}\nstreams: [{match: '*', slo: {delivery: 600ms, handled: 600ms}}]";
/// As documented: an observation of a wider interval is left out, and so an eighth of the time.
const WIDEST_MS: u64 = 20 * TICK_MS;

#[derive(Debug, Clone, Copy)]
enum Op {
    Add(usize),
    /// An ID of the application's own, in the millisecond of the last one.
    AddOwn,
    /// One ahead of the clock.
    AddAhead,
    Read(usize),
    ReadNoack(usize),
    /// By a consumer that acknowledges nothing.
    Hang(usize),
    Acknowledge(usize),
    Trim(usize),
    Delete(usize),
    SetBack(usize),
    SetForward(usize),
    SetToEnd,
    Recreate,
    RecreateAtEnd,
}

impl Op {
    fn breaks(self) -> bool {
        !matches!(
            self,
            Self::Add(_) | Self::Read(_) | Self::ReadNoack(_) | Self::Hang(_) | Self::Acknowledge(_)
        )
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        120 => (1_usize..8).prop_map(Op::Add),
        60 => (1_usize..40).prop_map(Op::Read),
        20 => (1_usize..40).prop_map(Op::ReadNoack),
        4 => (1_usize..3).prop_map(Op::Hang),
        60 => (1_usize..40).prop_map(Op::Acknowledge),
        6 => Just(Op::AddOwn),
        1 => Just(Op::AddAhead),
        2 => (0_usize..40).prop_map(Op::Trim),
        2 => (0_usize..40).prop_map(Op::Delete),
        2 => (1_usize..600).prop_map(Op::SetBack),
        2 => (1_usize..40).prop_map(Op::SetForward),
        1 => Just(Op::SetToEnd),
        1 => Just(Op::Recreate),
        1 => Just(Op::RecreateAtEnd),
    ]
}

/// Entries of a reply: IDs and fields.
type Entries = Vec<(String, Value)>;

/// An ID: milliseconds and number.
type Id = (u64, u64);

fn id(text: &str) -> Id {
    let (ms, number) = text.split_once('-').unwrap();
    (ms.parse().unwrap(), number.parse().unwrap())
}

/// What happens to an entry, between two times of the server.
#[derive(Debug, Clone, Copy)]
struct Between(u64, u64);

#[derive(Debug)]
struct Entry {
    id: Id,
    /// It was given to the group for the first time, or the group's position was set past it.
    passed: Option<Between>,
}

struct Stream {
    name: String,
    entries: Vec<Entry>,
    unacknowledged: Vec<Id>,
    may_break: bool,
}

impl Stream {
    fn last(&self) -> Id {
        self.entries.last().map_or((0, 0), |entry| entry.id)
    }

    /// The position past which so many entries have not been given to the group, or the last one.
    fn ahead(&self, by: usize) -> Id {
        let next = self.entries.iter().filter(|entry| entry.passed.is_none()).nth(by);
        next.map_or_else(|| self.last(), |entry| entry.id)
    }

    fn behind(&self, by: usize) -> Id {
        let passed: Vec<_> = self.entries.iter().filter(|entry| entry.passed.is_some()).collect();
        passed.len().checked_sub(by + 1).map_or((0, 0), |place| passed[place].id)
    }

    fn pass(&mut self, up_to: Id, when: Between) {
        for entry in self.entries.iter_mut().filter(|entry| entry.id <= up_to) {
            entry.passed.get_or_insert(when);
        }
    }

    /// Does it, and notes when.
    fn take(&mut self, op: Op, redis: &mut Connection) {
        if op.breaks() && !self.may_break {
            return;
        }
        let name = self.name.clone();
        let group = |words: &str, id: Id| format!("XGROUP {words} {name} g {}-{}", id.0, id.1);
        match op {
            Op::Add(count) => self.add(redis, count, "*"),
            Op::AddOwn => self.add(redis, 1, &format!("{}-*", self.last().0)),
            Op::AddAhead => self.add(redis, 1, &format!("{}-0", self.last().0 + 900)),
            Op::Read(count) => {
                let read = self.read(redis, count, "one", "");
                self.unacknowledged.extend(read);
            }
            Op::ReadNoack(count) => drop(self.read(redis, count, "one", "NOACK")),
            Op::Hang(count) => drop(self.read(redis, count, "hung", "")),
            Op::Acknowledge(count) => {
                let some: Vec<Id> =
                    self.unacknowledged.drain(..count.min(self.unacknowledged.len())).collect();
                let ids: String = some.iter().map(|id| format!(" {}-{}", id.0, id.1)).collect();
                if !some.is_empty() {
                    timed(redis, &[format!("XACK {name} g{ids}")]);
                }
            }
            Op::Trim(keep) => self.skip(redis, &format!("XTRIM {name} MAXLEN = {keep}")),
            Op::Delete(ahead) => {
                let (ms, number) = self.ahead(ahead);
                self.skip(redis, &format!("XDEL {name} {ms}-{number}"));
            }
            Op::SetBack(by) => drop(timed(redis, &[group("SETID", self.behind(by))])),
            Op::SetForward(by) => self.set(redis, &[], &group, self.ahead(by)),
            Op::SetToEnd => self.set(redis, &[], &group, self.last()),
            Op::Recreate => {
                let (to, destroy) = (self.behind(200), format!("XGROUP DESTROY {name} g"));
                timed(redis, &[destroy, group("CREATE", to)]);
                self.unacknowledged.clear();
            }
            Op::RecreateAtEnd => {
                self.set(
                    redis,
                    &[format!("XGROUP DESTROY {name} g")],
                    &|_, id| group("CREATE", id),
                    self.last(),
                );
                self.unacknowledged.clear();
            }
        }
    }

    fn add(&mut self, redis: &mut Connection, count: usize, id_words: &str) {
        let adds = vec![format!("XADD {} {id_words} field value", self.name); count];
        let (_, replies) = timed(redis, &adds);
        for reply in replies {
            let text: String = redis::from_redis_value(reply).unwrap();
            self.entries.push(Entry { id: id(&text), passed: None });
        }
    }

    fn read(&mut self, redis: &mut Connection, count: usize, consumer: &str, more: &str) -> Vec<Id> {
        let words = format!("XREADGROUP GROUP g {consumer} COUNT {count} {more} STREAMS {} >", self.name);
        let (when, mut replies) = timed(redis, &[words]);
        let read: Option<Vec<(String, Entries)>> = redis::from_redis_value(replies.remove(0)).unwrap();
        let entries = read.into_iter().flatten().flat_map(|(_, entries)| entries);
        let ids: Vec<Id> = entries.map(|(text, _)| id(&text)).collect();
        if let Some(last) = ids.last() {
            self.pass(*last, when);
        }
        ids
    }

    fn set(&mut self, redis: &mut Connection, before: &[String], words: &dyn Fn(&str, Id) -> String, to: Id) {
        let commands: Vec<_> = before.iter().cloned().chain([words("SETID", to)]).collect();
        let (when, _) = timed(redis, &commands);
        self.pass(to, when);
    }

    /// Removes entries, delivered or not. When the group passes those that are not delivered is Redis's business.
    fn skip(&mut self, redis: &mut Connection, words: &str) {
        let (when, _) = timed(redis, &[words.to_owned()]);
        let left: Vec<Value> =
            redis::from_redis_value(timed(redis, &[format!("XRANGE {} - +", self.name)]).1.remove(0))
                .unwrap();
        let left: Vec<Id> = left
            .into_iter()
            .map(|entry| {
                let (text, _): (String, Value) = redis::from_redis_value(entry).unwrap();
                id(&text)
            })
            .collect();
        for entry in self.entries.iter_mut().filter(|entry| left.binary_search(&entry.id).is_err()) {
            entry.passed.get_or_insert(Between(when.0, u64::MAX));
        }
    }

    /// Compares what the page tells of it.
    fn check(&self, page: &Page, first: usize) -> Result<(), TestCaseError> {
        let told = |family: &str, more: &[(&str, &str)]| {
            let labels =
                [&[("stream", &*self.name), ("group", "g"), ("objective", "delivery")], more].concat();
            page.get(&format!("streamwarden_slo_{family}_total"), &labels).map(whole)
        };
        let reasons = page.label_values("streamwarden_slo_left_out_total", "reason");
        let left_out: u64 = reasons.iter().filter_map(|reason| told("left_out", &[("reason", reason)])).sum();
        let [good, bad, unknown] =
            ["good", "bad", "unknown"].map(|outcome| told("events", &[("outcome", outcome)]).unwrap_or(0));
        let passed: Vec<(u64, u64)> = self.entries[first..]
            .iter()
            .filter_map(|entry| {
                let Between(from, to) = entry.passed?;
                Some((from.saturating_sub(entry.id.0 + 1), to.saturating_sub(entry.id.0)))
            })
            .collect();
        let counted = whole(page.group("delivery_seconds_count", &self.name, "g").unwrap_or(0.0));
        let all = passed.len() as u64;
        let what = format!(
            "{}: {counted} counted, {left_out} left out, {good} {bad} {unknown}; {all} passed",
            self.name
        );
        let may = |is: &dyn Fn(&(u64, u64)) -> bool| passed.iter().filter(|wait| is(wait)).count() as u64;
        prop_assert!(good <= may(&|wait| wait.0 <= OBJECTIVE_MS), "too many are good: {what}");
        prop_assert!(bad <= may(&|wait| wait.1 > OBJECTIVE_MS), "too many are bad: {what}");
        if !self.may_break {
            prop_assert_eq!(counted + left_out, all, "each is counted once: {}", what);
            let outcomes = good + bad + unknown;
            prop_assert!((counted..=all).contains(&outcomes), "each has one outcome: {what}");
        }
        prop_assert!(counted <= all, "{what}");
        // Of the buckets: as many as there may be with what an interval allows.
        for bucket in page.label_values("streamwarden_group_delivery_seconds_bucket", "le") {
            let le: f64 = bucket.parse().unwrap();
            if le.is_infinite() {
                continue;
            }
            let labels = [("stream", &*self.name), ("group", "g"), ("le", &bucket)];
            let below = page.get("streamwarden_group_delivery_seconds_bucket", &labels).map_or(0, whole);
            let ms = whole(le * 1_000.0);
            let may_be = may(&|wait| wait.0 <= ms + WIDEST_MS + ms / 8);
            let may_be_above = may(&|wait| wait.1.saturating_add(WIDEST_MS + wait.1 / 8) > ms);
            prop_assert!(below <= may_be, "{below} of at most {le} s, and {may_be} may be: {what}");
            prop_assert!(counted - below <= may_be_above, "above {le} s, {may_be_above} may be: {what}");
        }
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts and whole milliseconds")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// Sends these, and returns between which times of the server they were executed, with the replies.
fn timed(redis: &mut Connection, commands: &[String]) -> (Between, Vec<Value>) {
    let mut pipe = Pipeline::new();
    pipe.cmd("TIME");
    for words in commands {
        pipe.add_command(command(words));
    }
    pipe.cmd("TIME");
    let mut replies: Vec<Value> = pipe.query(redis).unwrap();
    let time = |reply: Option<Value>| {
        let (seconds, micros): (u64, u64) = redis::from_redis_value(reply.unwrap()).unwrap();
        seconds * 1_000 + micros / 1_000
    };
    let to = time(replies.pop()) + 1;
    (Between(time(Some(replies.remove(0))), to), replies)
}

proptest! {
    #![proptest_config(Config { cases: 1, failure_persistence: None, max_shrink_iters: 0, ..Config::default() })]

    /// Adds, reads, acknowledgements, and all that breaks a curve. An entry is good or bad only if it certainly is, no time is wild, and
    /// where nothing breaks each entry is counted once.
    #[test]
    fn no_time_is_wild_whatever_happens_to_a_stream(
        ops in prop::collection::vec((0..STREAMS, op(), 0_u64..6), 6_000..7_000),
    ) {
        let redis = Redis::start();
        if !redis.meets(Need::COUNTED_ADDITIONS) {
            return Ok(());
        }
        let mut connection = redis.connect();
        let mut streams: Vec<Stream> = (0..STREAMS)
            .map(|number| Stream {
                name: format!("s{number}"),
                entries: Vec::new(),
                unacknowledged: Vec::new(),
                may_break: number % CALM > 0,
            })
            .collect();
        for stream in &mut streams {
            stream.add(&mut connection, 1, "*");
            timed(&mut connection, &[format!("XGROUP CREATE {} g 0", stream.name)]);
            stream.read(&mut connection, 1, "one", "");
        }
        let sidecar = Sidecar::with_config(&redis.uri(), CONFIG);
        let last = streams.last().map(|stream| stream.name.clone()).unwrap_or_default();
        sidecar.wait("a tick", |page| page.group("delivery_seconds_count", &last, "g").is_some());
        for (stream, op, pause) in ops {
            streams[stream].take(op, &mut connection);
            if pause == 0 {
                sleep(Duration::from_millis(2));
            }
        }
        for stream in &mut streams {
            stream.read(&mut connection, 10_000, "one", "");
        }
        // The ticks of the last reads, what the sampler passes on each second, and then two polls.
        sleep(Duration::from_millis(1_500 + 10 * TICK_MS));
        sidecar.next_poll();
        let page = sidecar.next_poll();
        for stream in &streams {
            stream.check(&page, 1)?;
        }
        let counted: f64 = streams.iter().filter_map(|it| page.group("delivery_seconds_count", &it.name, "g")).sum();
        prop_assert!(counted > 5_000.0, "{counted} entries were measured");
    }
}
