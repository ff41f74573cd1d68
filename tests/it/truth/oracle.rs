//! The truth: what is done to the stream, what it loses by it, and what a page may therefore say.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::{prop_assert, test_runner::TestCaseError};
use redis::{Cmd, ConnectionLike, Value, cmd};
use streamwarden::{
    clock::Instant,
    model::{Now, StreamId},
    reading::Reading,
};
use support::wait_at_most;

use super::{
    Tally,
    expected::{Expected, Happened, Listed, Past, When, ticks},
    facts::{self, Facts},
    memory::{Memory, Poll, Positions, number, past},
    story::{Place, Polls},
    told::{Subject, Told},
    truths::Kind,
};

/// However long a cluster takes to recover.
const SERVED_WITHIN: Duration = Duration::from_secs(60);

/// A reading, and what the pages made of it tell of one stream.
pub(super) struct Read {
    pub(super) reading: std::sync::Arc<Reading>,
    pub(super) metrics: Told,
    pub(super) document: Told,
}

impl Read {
    /// Whether the stream was read.
    pub(super) fn is_read(&self) -> bool {
        !self.metrics.contains_key(&(Subject::Stream, "stream_unreadable".to_owned()))
    }
}

pub(super) struct Oracle<'a> {
    connection: &'a mut dyn ConnectionLike,
    stream: String,
    tally: &'a mut Tally,
    listed: Listed,
    memory: Memory,
    polls: BTreeMap<Instant, Past>,
    /// How long a poll took at most, in milliseconds.
    slowest: u64,
    /// The groups at the last poll.
    positions: Positions,
    /// The last ID that the stream had given out then.
    last_id: StreamId,
    /// Whether something of then is there still, without which it may be another stream.
    lives_on: bool,
    /// Entries that went from the middle since, without a trace.
    holes: Vec<StreamId>,
    /// Whether it became another stream since.
    is_remade: bool,
    /// Whether it was set back since to what it was once.
    is_restored: bool,
    recreations: u64,
    pub(super) has_copy: bool,
    /// Whether something happened that can't be distinguished from ordinary life.
    pub(super) is_over: bool,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(
        connection: &'a mut dyn ConnectionLike,
        stream: &str,
        tally: &'a mut Tally,
        listed: Listed,
    ) -> Self {
        Self {
            connection,
            stream: stream.to_owned(),
            tally,
            listed,
            memory: Memory::default(),
            polls: BTreeMap::new(),
            slowest: 0,
            positions: BTreeMap::new(),
            last_id: StreamId::ZERO,
            lives_on: false,
            holes: Vec::new(),
            is_remade: false,
            is_restored: false,
            recreations: 0,
            has_copy: false,
            is_over: false,
        }
    }

    /// Runs a command that may well be refused: a group that is not there, an option that the server lacks. It is given as
    /// words, of which `s` is the stream.
    pub(super) fn run(&mut self, words: &str) {
        let command = self.command(words);
        self.send(&command);
    }

    fn command(&self, words: &str) -> Cmd {
        let mut command = Cmd::new();
        for word in words.split(' ') {
            command.arg(if word == "s" { &self.stream } else { word });
        }
        command
    }

    fn send(&mut self, command: &Cmd) {
        drop(command.query::<Value>(self.connection));
    }

    /// Runs a command that may remove entries, and notes who lost them.
    pub(super) fn run_removing(&mut self, words: &str) {
        let command = self.command(words);
        self.removed_by(&command);
    }

    /// The entries that a command removes.
    fn removed_by(&mut self, command: &Cmd) -> Vec<StreamId> {
        let (before, positions) = (self.ids(), self.positions());
        self.send(command);
        let after: BTreeSet<StreamId> = self.ids().into_iter().collect();
        let removed: Vec<StreamId> = before.into_iter().filter(|entry| !after.contains(entry)).collect();
        removed.iter().for_each(|entry| self.memory.removed(*entry, &positions, &self.positions));
        removed
    }

    /// Runs a command that may remove entries in the middle without a trace.
    pub(super) fn run_making_holes(&mut self, words: &str) {
        let command = self.command(words);
        let removed = self.removed_by(&command);
        let first = self.ids().first().copied();
        self.holes.extend(removed.into_iter().filter(|entry| first.is_some_and(|first| *entry > first)));
    }

    /// Runs a command that makes another stream of it, or none.
    pub(super) fn remake(&mut self, words: &str) {
        let command = self.command(words);
        self.remake_by(&command);
    }

    fn remake_by(&mut self, command: &Cmd) {
        self.removed_by(command);
        self.is_remade = true;
    }

    /// Makes the stream what it was when it was copied.
    pub(super) fn restore(&mut self, by_copy: bool) {
        let before = (self.ids(), self.positions());
        if by_copy {
            self.remake("COPY copy s REPLACE");
        } else {
            let dump: Vec<u8> = cmd("DUMP").arg("copy").query(self.connection).unwrap_or_default();
            self.remake_by(cmd("RESTORE").arg(&self.stream).arg(0).arg(dump).arg("REPLACE"));
        }
        self.is_restored |= before != (self.ids(), self.positions());
    }

    /// Whether something happened since the last poll that no reading can tell from ordinary life: entries that went from
    /// the middle while a group was elsewhere that is back now, or a stream that went back and was added to.
    fn cannot_be_told(&self, now: &Positions, is_told: bool) -> bool {
        let went_on = |then: &(StreamId, Option<i64>), now: &(StreamId, Option<i64>)| {
            let counts_fit = match (then.1, now.1) {
                (Some(then), Some(now)) => then <= now,
                (Some(_), None) => false,
                (None, _) => true,
            };
            then.0 <= now.0 && counts_fit
        };
        let passed = |hole: &StreamId| {
            now.iter().any(|(name, position)| {
                self.positions.get(name).is_some_and(|then| went_on(then, position)) && *hole > position.0
            })
        };
        self.holes.iter().any(passed) || (self.is_restored && !is_told)
    }

    fn ids(&mut self) -> Vec<StreamId> {
        facts::ids(self.connection, &self.stream)
    }

    /// All of the stream, if its server can be asked now.
    pub(super) fn look(&mut self) -> Option<Facts> {
        if self.connection.check_connection() { self.facts() } else { None }
    }

    pub(super) fn facts(&mut self) -> Option<Facts> {
        Facts::ask(self.connection, &self.stream)
    }

    /// The same as soon as a server can be asked.
    pub(super) fn wait_for_facts(&mut self) -> Facts {
        wait_at_most(SERVED_WITHIN, "a server to ask", || self.look())
    }

    /// Takes the word of the server that has the stream now, when nothing was done to it since the last poll. One that takes over may
    /// lack the last entries and readings, which nobody removed or took back.
    pub(super) fn take_over(&mut self, facts: &Facts) {
        let now = positions(facts);
        self.memory.take_over(&now);
        self.positions = now;
    }

    fn positions(&mut self) -> Positions {
        self.facts().map(|facts| positions(&facts)).unwrap_or_default()
    }

    pub(super) fn pending(&mut self, group: &str) -> Vec<StreamId> {
        let facts = self.facts();
        let group = facts.as_ref().and_then(|facts| facts.groups.get(group));
        group.into_iter().flat_map(|group| &group.pending).map(|pending| pending.id).collect()
    }

    /// Deletes a consumer, with what it has pending.
    pub(super) fn delete_consumer(&mut self, group: &str, consumer: &str) {
        let (facts, now) = (self.facts(), facts::time(self.connection));
        let it = facts.as_ref().and_then(|facts| facts.groups.get(group)?.consumers.get(consumer));
        if let Some(it) = it {
            self.memory.deleted(group, consumer, it, now);
        }
        self.run(&format!("XGROUP DELCONSUMER s {group} {consumer}"));
    }

    /// The ID at a place of the stream, as commands take it.
    pub(super) fn id_at(&mut self, place: Place) -> String {
        let ids = self.ids();
        let entry = |share: u8| ids.get(ids.len() * usize::from(share) / 256).copied().unwrap_or_default();
        match place {
            Place::Beginning => "0".to_owned(),
            Place::End => ids.last().map_or("0".to_owned(), ToString::to_string),
            Place::Entry(share) => entry(share).to_string(),
            Place::Before(share) => {
                let StreamId { ms, seq } = entry(share);
                let before = seq
                    .checked_sub(1)
                    .map_or(StreamId::new(ms.saturating_sub(1), 9), |seq| StreamId::new(ms, seq));
                before.to_string()
            }
        }
    }

    /// An ID behind the last one.
    pub(super) fn own_id(&mut self, ahead: u64) -> StreamId {
        let last = self.ids().last().copied().unwrap_or_default();
        StreamId::new(last.ms + ahead, 0)
    }

    /// The server's clock.
    pub(super) fn time(&mut self) -> u64 {
        facts::time(self.connection)
    }

    /// Compares all that a reading's pages tell with the truth. Nothing happens meanwhile.
    pub(super) fn compare(&mut self, began: u64, read: &Read, polls: Polls) -> Result<(), TestCaseError> {
        let facts = self.facts();
        let positions = facts.as_ref().map(positions).unwrap_or_default();
        let recreations =
            number(&read.metrics, Subject::Stream, "stream_recreations").unwrap_or(self.recreations);
        let is_told = recreations > self.recreations;
        self.is_over = polls == Polls::Between && self.cannot_be_told(&positions, is_told);
        self.tally.untold += u64::from(self.is_over);
        if self.is_over {
            return Ok(());
        }
        let (now, over) = (clock(read), self.time());
        let (time, error) = (now.time.0, now.error.as_millis() + 1);
        let is_right =
            u128::from(began) <= u128::from(time) + error && u128::from(time) <= u128::from(over) + error;
        prop_assert!(is_right, "the clock says {} to {}, told is {} within {} ms", began, over, time, error);
        self.slowest = self.slowest.max(over.saturating_sub(time));
        let when = When { began, from: time, to: time, over, slowest: self.slowest };
        self.judge(&[facts.as_ref()], when, read, polls)
    }

    /// Compares a reading of a stream that may have moved to another server meanwhile, where a consumer's times may differ: with
    /// what was true before the reading, or after it. Returns whether the stream was read.
    pub(super) fn compare_moving(
        &mut self,
        facts: [&Facts; 2],
        (began, over): (u64, u64),
        read: &Read,
    ) -> Result<bool, TestCaseError> {
        self.slowest = self.slowest.max(over - began);
        let when = When { began, from: began.saturating_sub(1), to: over + 1, over, slowest: self.slowest };
        if read.is_read() {
            self.judge(&facts.map(Some), when, read, Polls::Moving)?;
        } else {
            self.polls.insert(read.reading.read_at.at, Past::default());
            let nothing = Happened::default();
            let expected = self.expected(Some(facts[1]), when, &nothing, Polls::Moving);
            self.tally.compared(&expected.truths().hold_the_numbers(Kind::Metrics, &read.metrics)?);
        }
        Ok(read.is_read())
    }

    /// Holds the pages against the facts; where there are several the last are of now, and any may be told.
    fn judge(
        &mut self,
        facts: &[Option<&Facts>],
        when: When,
        read: &Read,
        polls: Polls,
    ) -> Result<(), TestCaseError> {
        let now = facts.last().copied().flatten();
        let positions = now.map(positions).unwrap_or_default();
        let recreations =
            number(&read.metrics, Subject::Stream, "stream_recreations").unwrap_or(self.recreations);
        let is_told = recreations > self.recreations;
        let was_remade = self.is_remade;
        let recreations_between = (self.recreations, self.recreations + u64::from(was_remade));
        // While it is away the reader has nothing to tell.
        (self.recreations, self.is_remade, self.is_restored) =
            (recreations, now.is_none() && was_remade, false);
        self.holes.clear();
        let last_id = self.last_id;
        let is_of_then = |id: &StreamId| *id != StreamId::ZERO && *id <= last_id;
        self.lives_on = !was_remade
            && (now.and_then(|facts| facts.ids.first()).is_some_and(is_of_then)
                || positions.values().any(|(delivered, _)| is_of_then(delivered)));
        self.positions = positions;
        self.last_id = now.map(Facts::last_id).unwrap_or_default();

        self.polls.insert(read.reading.read_at.at, past(now, &read.metrics));
        let mut happened = Happened { recreations: recreations_between, ..Happened::default() };
        let poll = Poll {
            told: &read.metrics,
            read_at: read.reading.read_at.at,
            time: when.to,
            polls,
            lives_on: self.lives_on,
            is_remade: was_remade,
            is_recreated: is_told,
        };
        for (name, group) in now.iter().flat_map(|facts| &facts.groups) {
            let group = self.memory.happened(name, group, &poll, self.tally);
            happened.groups.insert(name.clone(), group);
        }
        self.memory.keep(now);
        let ages = read.reading.report.ticks.ages();
        happened.ticks = Some(ticks(ages, read.reading.read_at.at, &self.polls));
        for (kind, told) in [(Kind::Metrics, &read.metrics), (Kind::Document, &read.document)] {
            let hold = |facts: &Option<&Facts>| {
                self.expected(*facts, when, &happened, polls).truths().hold(kind, told)
            };
            let held: Vec<_> = facts.iter().map(hold).collect();
            let compared = held.iter().find_map(|it| it.as_ref().ok());
            prop_assert!(compared.is_some(), "{held:?}");
            let compared = compared.cloned().unwrap_or_default();
            self.tally.compared(&compared);
        }
        self.tally.note(&read.metrics, happened.groups.keys());
        Ok(())
    }

    fn expected<'b>(
        &'b self,
        facts: Option<&'b Facts>,
        when: When,
        happened: &'b Happened<'b>,
        polls: Polls,
    ) -> Expected<'b> {
        Expected { stream: &self.stream, facts, when, happened, listed: self.listed, polls }
    }

    /// Compares a document of somebody who has just begun to watch.
    pub(super) fn compare_first(&mut self, look: impl FnOnce() -> Told) -> Result<(), TestCaseError> {
        let from = self.time();
        let told = look();
        let (to, facts) = (self.time(), self.facts());
        // Where the clock is not asked at each look it is estimated, and the document says how well.
        let error = told.get(&(Subject::Page, "poll.clock_error_seconds".to_owned()));
        let error = Duration::from_secs_f64(error.and_then(serde_json::Value::as_f64).unwrap_or_default());
        let error = u64::try_from(error.as_millis()).expect("a second at most");
        let (from, to) = (from - error, to + error);
        let happened = Happened::default();
        let when = When { began: from, from, to, over: to, slowest: to - from };
        let expected = self.expected(facts.as_ref(), when, &happened, Polls::Around);
        self.tally.compared(&expected.truths().hold(Kind::Document, &told)?);
        Ok(())
    }
}

/// The clock of a server that answered.
fn clock(read: &Read) -> &Now {
    let mut nodes = read.reading.snapshot.nodes.iter();
    nodes.find_map(|node| node.time.as_ref().ok()).expect("TIME is allowed")
}

fn positions(facts: &Facts) -> Positions {
    facts.groups.iter().map(|(name, group)| (name.clone(), (group.delivered, group.entries_read))).collect()
}
