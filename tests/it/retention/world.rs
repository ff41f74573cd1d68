//! An application that knows what it added and what its consumers handled, while somebody else trims and everything goes wrong.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread::{scope, sleep},
    time::Duration,
};

use redis::{ConnectionLike, Value, cmd};
use streamwarden::model::StreamId;

use super::ledger::{Ledger, Word};

pub(super) const STREAMS: [&str; 3] = ["orders", "payments", "clicks"];
pub(super) const GROUPS: [&str; 2] = ["fast", "careless"];
/// Entries that an application adds, or a consumer is given, at once.
pub(super) const BATCH: u64 = 500;
/// No group is further behind than this many entries.
const MOST_BEHIND: u64 = 5_000;
/// All of a batch are added, or none. Says the stream's last ID and its count of entries before, and the batch's first and last ID.
const ADD: &str = "
    local before = {}
    local fields = redis.call('XINFO', 'STREAM', KEYS[1])
    for index = 1, #fields, 2 do before[fields[index]] = fields[index + 1] end
    local first, last
    for number = ARGV[1], ARGV[2] do
      last = redis.call('XADD', KEYS[1], '*', 'n', number)
      first = first or last
    end
    return {before['last-generated-id'], before['entries-added'], first, last}";

/// Where the application's streams are.
pub(super) trait Servers: Sync {
    /// A connection, or what is needed to know whether it still leads to the right server.
    type Client;

    /// Does this with a connection to the server that has the stream, and that does not change meanwhile.
    fn with<T>(
        &self,
        client: &mut Option<Self::Client>,
        stream: &str,
        work: impl FnOnce(&mut dyn ConnectionLike) -> T,
    ) -> T;
}

/// What `XREADGROUP` and `XAUTOCLAIM` give: IDs with the number that the application gave; none where the entry is gone.
type Entries = Vec<(String, Option<u64>)>;
type Found = Vec<(String, Value)>;

/// What the application knows.
pub(super) struct World<S> {
    pub(super) servers: S,
    /// By stream.
    ledgers: [Ledger; STREAMS.len()],
    is_over: AtomicBool,
}

impl<S: Servers> World<S> {
    /// Streams that are empty, with their groups.
    pub(super) fn new(servers: S) -> Self {
        for stream in STREAMS {
            let mut client = None;
            for group in GROUPS {
                let mut create = cmd("XGROUP");
                create.arg("CREATE").arg(stream).arg(group).arg(0).arg("MKSTREAM");
                servers.with(&mut client, stream, |redis| create.query::<()>(redis).unwrap());
            }
        }
        Self { servers, ledgers: Default::default(), is_over: AtomicBool::new(false) }
    }

    /// Adds and consumes while something is done, and then until all that the servers have is handled.
    pub(super) fn live(&self, act: impl FnOnce()) {
        scope(|threads| {
            // Also where this thread panics: the others would go on for ever.
            let _ends = Ends(&self.is_over);
            for stream in 0..STREAMS.len() {
                threads.spawn(move || self.add(stream));
                (0..GROUPS.len()).for_each(|group| drop(threads.spawn(move || self.consume(stream, group))));
            }
            act();
        });
        for (ledger, stream) in self.ledgers.iter().zip(STREAMS) {
            ledger.believe(self.servers.with(&mut None, stream, |redis| word(redis, stream)));
        }
    }

    /// The entries that were removed from all streams.
    pub(super) fn removed(&self) -> u64 {
        let removed = |stream: usize| {
            let added = self.ledgers[stream].added();
            let length =
                |redis: &mut dyn ConnectionLike| cmd("XLEN").arg(STREAMS[stream]).query::<u64>(redis);
            // What is added meanwhile is not removed.
            added.saturating_sub(self.servers.with(&mut None, STREAMS[stream], length).unwrap())
        };
        (0..STREAMS.len()).map(removed).sum()
    }

    /// Deliveries that there should have been.
    pub(super) fn deliveries(&self) -> u64 {
        self.ledgers.iter().map(Ledger::added).sum::<u64>() * GROUPS.len() as u64
    }

    /// Entries that were acknowledged to the application, and that the servers lost before somebody could trim them.
    pub(super) fn forgotten(&self) -> u64 {
        self.ledgers.iter().map(Ledger::forgotten).sum()
    }

    /// Deliveries that there never were, each of which is listed.
    pub(super) fn all_missing(&self) -> u64 {
        self.ledgers.iter().zip(STREAMS).for_each(|(ledger, stream)| ledger.list_missing(stream));
        let of_stream = |ledger: &Ledger| (0..GROUPS.len()).map(|group| ledger.missing(group)).sum::<u64>();
        self.ledgers.iter().map(of_stream).sum()
    }

    fn add(&self, stream: usize) {
        let (mut client, ledger) = (None, &self.ledgers[stream]);
        // Consumers that ended before would not be given what is added here.
        let _completes = Ends(&ledger.is_complete);
        while !self.is_over.load(SeqCst) {
            if (0..GROUPS.len()).any(|group| ledger.missing(group) > MOST_BEHIND) {
                sleep(Duration::from_millis(5));
                continue;
            }
            let number = ledger.added();
            let mut batch = cmd("EVAL");
            batch.arg(ADD).arg(1).arg(STREAMS[stream]).arg(number).arg(number + BATCH - 1);
            let (before, added, first, last): (String, u64, String, String) =
                self.servers.with(&mut client, STREAMS[stream], |redis| batch.query(redis).unwrap());
            ledger.add(Word { last: id(&before), added }, id(&first), id(&last));
        }
    }

    /// Reads and acknowledges until all is handled. The careless one acknowledges late, and dies now and then with entries in hand.
    fn consume(&self, stream: usize, group: usize) {
        let (mut client, mut name, mut in_hand) = (None, 0_u64, Entries::new());
        for turn in 0_u64.. {
            let is_last = self.ledgers[stream].is_complete.load(SeqCst);
            let entries =
                self.servers.with(&mut client, STREAMS[stream], |redis| read(redis, stream, group, name));
            let got = entries.len();
            in_hand.extend(entries);
            let dies = GROUPS[group] == "careless" && turn % 41 == 40;
            if dies || is_last {
                name += u64::from(dies);
                in_hand = self
                    .servers
                    .with(&mut client, STREAMS[stream], |redis| claim_all(redis, stream, group, name));
            }
            let acknowledges = GROUPS[group] == "fast" || turn % 3 == 0 || is_last;
            if acknowledges && !dies {
                self.handle(&mut client, stream, group, std::mem::take(&mut in_hand));
            }
            if is_last
                && got == 0
                && self
                    .servers
                    .with(&mut client, STREAMS[stream], |redis| claim_all(redis, stream, group, name))
                    .is_empty()
            {
                return;
            }
            if got == 0 {
                sleep(Duration::from_millis(2));
            }
        }
    }

    fn handle(&self, client: &mut Option<S::Client>, stream: usize, group: usize, entries: Entries) {
        if entries.is_empty() {
            return;
        }
        let mut acknowledge = cmd("XACK");
        acknowledge.arg(STREAMS[stream]).arg(GROUPS[group]);
        for (id, _) in &entries {
            acknowledge.arg(id);
        }
        self.ledgers[stream].handle(group, entries.iter().filter_map(|(_, number)| *number));
        self.servers.with(client, STREAMS[stream], |redis| acknowledge.query::<u64>(redis).unwrap());
    }
}

/// Tells the others that it is over, also where a thread panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn id(text: &str) -> StreamId {
    text.parse().expect("an ID")
}

/// What the server says of a stream.
fn word(redis: &mut dyn ConnectionLike, stream: &str) -> Word {
    let fields: BTreeMap<String, Value> = cmd("XINFO").arg("STREAM").arg(stream).query(redis).unwrap();
    let field = |name: &str| redis::from_redis_value::<String>(fields[name].clone()).unwrap();
    Word { last: id(&field("last-generated-id")), added: field("entries-added").parse().unwrap() }
}

fn entries(found: Found) -> Entries {
    let number = |fields: Value| {
        let field: Option<(String, u64)> = redis::from_redis_value(fields).unwrap();
        field.map(|(_, number)| number)
    };
    found.into_iter().map(|(id, fields)| (id, number(fields))).collect()
}

fn read(redis: &mut dyn ConnectionLike, stream: usize, group: usize, consumer: u64) -> Entries {
    let mut command = cmd("XREADGROUP");
    command.arg("GROUP").arg(GROUPS[group]).arg(consumer).arg("COUNT").arg(BATCH);
    let streams: Option<Vec<(String, Found)>> =
        command.arg("STREAMS").arg(STREAMS[stream]).arg(">").query(redis).unwrap();
    streams.into_iter().flatten().flat_map(|(_, found)| entries(found)).collect()
}

/// All pending entries of all consumers.
fn claim_all(redis: &mut dyn ConnectionLike, stream: usize, group: usize, consumer: u64) -> Entries {
    let (mut all, mut cursor) = (Entries::new(), "0-0".to_owned());
    loop {
        let mut command = cmd("XAUTOCLAIM");
        command
            .arg(STREAMS[stream])
            .arg(GROUPS[group])
            .arg(consumer)
            .arg(0)
            .arg(&cursor)
            .arg("COUNT")
            .arg(BATCH);
        let (next, found, gone): (String, Found, Vec<String>) = command.query(redis).unwrap();
        assert!(
            gone.is_empty(),
            "{} pending entries of {} are gone: {gone:?}",
            GROUPS[group],
            STREAMS[stream]
        );
        all.extend(entries(found));
        if next == "0-0" {
            return all;
        }
        cursor = next;
    }
}
