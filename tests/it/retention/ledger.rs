//! What was added to one stream, and what the consumers of its groups have handled of it.

use std::{
    mem::replace,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use streamwarden::model::StreamId;

use super::world::{BATCH, GROUPS};

/// Entries are known by the numbers that the application gave them.
#[derive(Default)]
pub(super) struct Ledger {
    added: AtomicU64,
    /// Without those that the servers forgot; the newest is last.
    batches: Mutex<Vec<Batch>>,
    forgotten: AtomicU64,
    /// By group.
    handled: [Mutex<Handled>; GROUPS.len()],
    /// Nothing will be added any more.
    pub(super) is_complete: AtomicBool,
}

/// Entries that were added at once.
struct Batch {
    /// Of the first entry.
    number: u64,
    first: StreamId,
    last: StreamId,
    before: Word,
}

/// What a server says of a stream: the last ID that it gave out, and how many entries were ever added. A trim changes neither.
#[derive(Clone, Copy)]
pub(super) struct Word {
    pub(super) last: StreamId,
    pub(super) added: u64,
}

#[derive(Default)]
struct Handled {
    is_handled: Vec<bool>,
    count: u64,
}

impl Handled {
    fn add(&mut self, number: u64) {
        let index = usize::try_from(number).unwrap();
        let most = self.is_handled.len().max(index + 1);
        self.is_handled.resize(most, false);
        self.count += u64::from(!replace(&mut self.is_handled[index], true));
    }

    fn has(&self, number: u64) -> bool {
        self.is_handled.get(usize::try_from(number).unwrap()).is_some_and(|it| *it)
    }
}

impl Ledger {
    pub(super) fn added(&self) -> u64 {
        self.added.load(SeqCst)
    }

    /// Entries that were acknowledged to the application, and that the server which has the stream now was never given.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(SeqCst)
    }

    /// Entries that no consumer of the group has handled.
    pub(super) fn missing(&self, group: usize) -> u64 {
        self.added().saturating_sub(self.handled[group].lock().unwrap().count)
    }

    pub(super) fn handle(&self, group: usize, numbers: impl Iterator<Item = u64>) {
        let mut handled = self.handled[group].lock().unwrap();
        numbers.for_each(|number| handled.add(number));
    }

    /// A batch was added to what the server had before.
    pub(super) fn add(&self, before: Word, first: StreamId, last: StreamId) {
        self.believe(before);
        let number = self.added.fetch_add(BATCH, SeqCst);
        self.batches.lock().unwrap().push(Batch { number, first, last, before });
    }

    /// Takes a server's word for what it was given. One that takes over lacks what its primary had not passed on to it yet: it never
    /// gave out an ID so great. Nobody needs to be given that.
    pub(super) fn believe(&self, word: Word) {
        let mut batches = self.batches.lock().unwrap();
        while let Some(Batch { number, first, last, .. }) = batches.pop_if(|batch| batch.first > word.last) {
            eprintln!(
                "{BATCH} entries from {first} to {last} are forgotten: the stream ends at {}",
                word.last
            );
            self.forgotten.fetch_add(BATCH, SeqCst);
            (0..GROUPS.len()).for_each(|group| self.handle(group, number..number + BATCH));
        }
        let had = batches.last().map_or(0, |batch| batch.before.added + BATCH);
        assert!(word.added >= had, "another stream: {} entries were added, not {had}", word.added);
    }

    /// The batches of which some group has not handled everything, for people.
    pub(super) fn list_missing(&self, stream: &str) {
        for Batch { number, first, last, .. } in &*self.batches.lock().unwrap() {
            for (handled, group) in self.handled.iter().zip(GROUPS) {
                let handled = handled.lock().unwrap();
                let missing = (*number..number + BATCH).filter(|number| !handled.has(*number)).count();
                if missing > 0 {
                    eprintln!("{missing} entries of {stream} from {first} to {last} never reached {group}");
                }
            }
        }
    }
}
