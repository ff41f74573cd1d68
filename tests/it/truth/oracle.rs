//! The truth, by counting every entry of the stream.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prop_assert, prop_assert_eq, test_runner::TestCaseError};
use redis::{Cmd, Connection, Value, cmd};
use streamwarden::{
    evaluate::{Age, GroupReport, Lag, Losses, PENDING_SAMPLE},
    model::{Name, Pending, ServerTime, StreamId},
    poll::Reading,
};

use super::{
    Tally,
    story::{Place, Polls},
};

/// What happened to a group since the last poll, and what the poll before said.
#[derive(Debug, Clone, Copy, Default)]
struct Watched {
    /// Entries that were removed before the group had them, since the first poll that saw the group.
    lost: u64,
    /// Entries that were removed since the last poll behind where the group was then.
    lost_at_most: u64,
    /// What it had lost at the last poll, and what was reported then.
    lost_then: u64,
    reported_then: Losses,
    /// Whether the losses since the last poll have to be known exactly.
    is_exact: bool,
    delivered: StreamId,
    is_lag_known: bool,
}

/// Where a group is: the last entry that it was given, and the server's count of those it has read.
type Position = (StreamId, Option<i64>);

pub(super) struct Oracle<'a> {
    connection: &'a mut Connection,
    tally: &'a mut Tally,
    groups: BTreeMap<String, Watched>,
    /// The groups at the last poll.
    positions: BTreeMap<String, Position>,
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
    /// Whether something happened that can't be told from ordinary life.
    pub(super) is_over: bool,
}

type Entries = Vec<(String, Vec<String>)>;

fn id(text: &str) -> StreamId {
    text.parse().expect("an ID of the server's")
}

impl<'a> Oracle<'a> {
    pub(super) fn new(connection: &'a mut Connection, tally: &'a mut Tally) -> Self {
        Self {
            connection,
            tally,
            groups: BTreeMap::new(),
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

    /// Runs a command that may well be refused: a group that is not there, an option that the server lacks.
    pub(super) fn run(&mut self, command: &Cmd) {
        drop(command.query::<Value>(self.connection));
    }

    /// Runs a command that may remove entries, and notes who lost them.
    pub(super) fn run_removing(&mut self, command: &Cmd) {
        self.removed_by(command);
    }

    /// The entries that a command removes.
    fn removed_by(&mut self, command: &Cmd) -> Vec<StreamId> {
        let (before, positions) = (self.ids(), self.positions());
        self.run(command);
        let after: BTreeSet<StreamId> = self.ids().into_iter().collect();
        let removed: Vec<StreamId> = before.into_iter().filter(|entry| !after.contains(entry)).collect();
        for removed in &removed {
            for (name, watched) in &mut self.groups {
                let is_behind = |(delivered, _): &Position| removed > delivered;
                watched.lost += u64::from(positions.get(name).is_some_and(is_behind));
                // Who was elsewhere in between looks as though it had not been given it.
                watched.lost_at_most += u64::from(self.positions.get(name).is_some_and(is_behind));
            }
        }
        removed
    }

    /// Runs a command that may remove entries in the middle without a trace.
    pub(super) fn run_making_holes(&mut self, command: &Cmd) {
        let removed = self.removed_by(command);
        let first = self.ids().first().copied();
        self.holes.extend(removed.into_iter().filter(|entry| first.is_some_and(|first| *entry > first)));
    }

    /// Runs a command that makes another stream of it, or none.
    pub(super) fn remake(&mut self, command: &Cmd) {
        self.run_removing(command);
        self.is_remade = true;
    }

    /// Makes the stream what it was when it was copied.
    pub(super) fn restore(&mut self, by_copy: bool) {
        let before = (self.ids(), self.positions());
        if by_copy {
            self.remake(cmd("COPY").arg("copy").arg("s").arg("REPLACE"));
        } else {
            let dump: Vec<u8> = cmd("DUMP").arg("copy").query(self.connection).unwrap_or_default();
            self.remake(cmd("RESTORE").arg("s").arg(0).arg(dump).arg("REPLACE"));
        }
        self.is_restored |= before != (self.ids(), self.positions());
    }

    /// Whether something happened since the last poll that no reading can tell from ordinary life: entries that went from
    /// the middle while a group was elsewhere that is back now, or a stream that went back and was added to.
    fn cannot_be_told(&self, now: &BTreeMap<String, Position>, is_told: bool) -> bool {
        let went_on = |then: &Position, now: &Position| {
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

    fn range(&mut self, from: &str) -> Vec<StreamId> {
        let entries: Entries =
            cmd("XRANGE").arg("s").arg(from).arg("+").query(self.connection).unwrap_or_default();
        entries.iter().map(|(entry, _)| id(entry)).collect()
    }

    fn ids(&mut self) -> Vec<StreamId> {
        self.range("-")
    }

    fn positions(&mut self) -> BTreeMap<String, Position> {
        let groups: Vec<BTreeMap<String, Value>> =
            cmd("XINFO").arg("GROUPS").arg("s").query(self.connection).unwrap_or_default();
        let text = |group: &BTreeMap<String, Value>, field: &str| -> String {
            redis::from_redis_value(group[field].clone()).unwrap()
        };
        let entries_read = |group: &BTreeMap<String, Value>| -> Option<i64> {
            redis::from_redis_value(group.get("entries-read")?.clone()).ok()?
        };
        let position = |group| (id(&text(group, "last-delivered-id")), entries_read(group));
        groups.iter().map(|group| (text(group, "name"), position(group))).collect()
    }

    /// Every pending ID of a group, with its deliveries.
    fn pending_with_deliveries(&mut self, group: &str) -> Vec<(StreamId, u64)> {
        let rows: Vec<(String, String, u64, u64)> = cmd("XPENDING")
            .arg("s")
            .arg(group)
            .arg("-")
            .arg("+")
            .arg(10_000)
            .query(self.connection)
            .unwrap_or_default();
        rows.into_iter().map(|(entry, _, _, deliveries)| (id(&entry), deliveries)).collect()
    }

    pub(super) fn pending(&mut self, group: &str) -> Vec<StreamId> {
        self.pending_with_deliveries(group).into_iter().map(|(entry, _)| entry).collect()
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

    /// Compares a reading with the truth. Nothing happens meanwhile.
    pub(super) fn compare(&mut self, reading: &Reading, polls: Polls) -> Result<(), TestCaseError> {
        let report = reading.report.streams.get(&Name::from("s"));
        let positions = self.positions();
        let recreations = report.map_or(self.recreations, |report| report.recreations);
        let is_told = recreations > self.recreations;
        prop_assert!(!is_told || self.is_remade, "it never became another stream");
        self.is_over = polls == Polls::Between && self.cannot_be_told(&positions, is_told);
        self.tally.untold += u64::from(self.is_over);
        if self.is_over {
            return Ok(());
        }
        let was_remade = self.is_remade;
        // While it is away the reader has nothing to tell.
        (self.recreations, self.is_remade, self.is_restored) =
            (recreations, report.is_none() && self.is_remade, false);
        self.holes.clear();
        self.positions.clone_from(&positions);
        let last_id = self.last_id;
        let is_of_then = |id: &StreamId| *id != StreamId::ZERO && *id <= last_id;
        self.lives_on = !was_remade
            && (self.ids().first().is_some_and(is_of_then)
                || positions.values().any(|(delivered, _)| is_of_then(delivered)));
        let state = reading.snapshot.streams.get(&Name::from("s")).and_then(|state| state.as_ref().ok());
        self.last_id = state.and_then(|state| state.last_generated_id).unwrap_or_default();
        if let Some(Ok(stream)) = reading.snapshot.streams.get(&Name::from("s")) {
            self.tally.counted_additions += u64::from(stream.entries_added.is_some());
        }
        let reported = report.map_or(0, |report| report.groups.len());
        prop_assert_eq!(reported, positions.len(), "groups");
        self.groups.retain(|name, _| positions.contains_key(name));
        let (ids, time) = (self.ids(), reading.snapshot.time.as_ref().expect("TIME is allowed").time);
        for (name, (delivered, _)) in positions {
            let group = report.expect("checked above").groups.get(&Name::from(name.as_str())).unwrap();
            self.compare_lag(group, &ids, delivered, time)?;
            self.compare_pending(group, &name, &ids, time)?;
            self.compare_losses(group, name, delivered, polls)?;
        }
        Ok(())
    }

    fn compare_lag(
        &mut self,
        group: &GroupReport,
        ids: &[StreamId],
        delivered: StreamId,
        time: ServerTime,
    ) -> Result<(), TestCaseError> {
        let ahead: Vec<&StreamId> = ids.iter().filter(|entry| **entry > delivered).collect();
        let lag = u64::try_from(ahead.len()).unwrap();
        self.tally.lags += 1;
        if let Lag::Exactly(known) = group.lag {
            self.tally.known_lags += 1;
            prop_assert_eq!(known, lag, "lag");
        }
        prop_assert!(group.lag.upper_bound() >= lag, "{:?} is no bound of {}", group.lag, lag);
        let age = ahead.first().map_or(Some(Age::ZERO), |first| Age::of(**first, time));
        if group.lag_age.is_some() || group.lag.known() == Some(0) {
            self.tally.lag_ages += 1;
            prop_assert_eq!(group.lag_age, age, "age of the oldest entry not delivered");
        }
        Ok(())
    }

    fn compare_pending(
        &mut self,
        group: &GroupReport,
        name: &str,
        ids: &[StreamId],
        time: ServerTime,
    ) -> Result<(), TestCaseError> {
        let pending = self.pending_with_deliveries(name);
        let is_gone = |entry: &StreamId| ids.first().is_none_or(|first| entry < first);
        let oldest = pending.iter().find(|(entry, _)| !is_gone(entry));
        match (group.oldest_pending, oldest) {
            (Pending::None, None) => prop_assert_eq!(group.oldest_pending_age, Some(Age::ZERO)),
            (Pending::Oldest(told), Some((entry, deliveries))) => {
                prop_assert_eq!((told.id, told.deliveries), (*entry, *deliveries));
                prop_assert_eq!(group.oldest_pending_age, Age::of(*entry, time));
            }
            (Pending::Unknown, _) => {
                self.tally.unknown_pending += 1;
                prop_assert_eq!(group.oldest_pending_age, None);
            }
            (told, truth) => prop_assert!(false, "oldest pending {told:?}, in truth {truth:?}"),
        }
        let sample = || pending.iter().take(usize::try_from(PENDING_SAMPLE).unwrap());
        let gone = sample().filter(|(entry, _)| is_gone(entry)).count();
        if let Some(dangling) = group.dangling {
            prop_assert_eq!(dangling, u64::try_from(gone).unwrap(), "dangling");
        } else {
            self.tally.unknown_pending += 1;
        }
        if let Some(poison) = group.poison {
            let truth = sample().filter(|(entry, deliveries)| *deliveries >= 2 && !is_gone(entry)).count();
            prop_assert_eq!(poison, u64::try_from(truth).unwrap(), "poison");
        }
        Ok(())
    }

    fn compare_losses(
        &mut self,
        group: &GroupReport,
        name: String,
        delivered: StreamId,
        polls: Polls,
    ) -> Result<(), TestCaseError> {
        let is_lag_known = group.lag.known().is_some();
        let mut now = Watched { delivered, is_lag_known, ..Watched::default() };
        now.reported_then = self.groups.get(&name).map_or(Losses::default(), |before| before.reported_then);
        if let Some(before) = self.groups.get(&name)
            && delivered >= before.delivered
        {
            now.lost = before.lost;
            if let Some(reported) = group.lost {
                self.tally.losses += 1;
                let (truth, then) = (now.lost - before.lost_then, before.reported_then);
                let told = reported.at_least.wrapping_sub(then.at_least);
                let at_most = reported.at_most.wrapping_sub(then.at_most);
                // Who was elsewhere in between, or of another stream, looks as though it had not been given more.
                let most_told = if polls == Polls::Around { truth } else { truth.max(before.lost_at_most) };
                prop_assert!(told <= most_told, "{} lost since the last poll, in truth {}", told, truth);
                let is_bounded = polls == Polls::Around && self.lives_on;
                prop_assert!(
                    truth <= at_most || !is_bounded,
                    "at most {} lost since the last poll, in truth {}",
                    at_most,
                    truth
                );
                self.tally.tight_losses += u64::from(told == at_most);
                let has_to_know = delivered == before.delivered
                    && before.is_lag_known
                    && is_lag_known
                    && before.is_exact
                    && self.lives_on;
                if polls == Polls::Around && (truth == 0 || has_to_know) {
                    self.tally.exact_losses += 1;
                    prop_assert_eq!(told, truth, "lost since the last poll, the group standing still");
                }
            }
        }
        now.lost_then = now.lost;
        now.reported_then = group.lost.unwrap_or(now.reported_then);
        now.is_exact = group.lost.is_some();
        self.groups.insert(name, now);
        Ok(())
    }
}
