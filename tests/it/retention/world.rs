//! An application that knows what it added and what its consumers handled, while somebody else trims and everything goes wrong.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{scope, sleep},
    time::Duration,
};

use redis::{ConnectionLike, Value, cmd};

pub(super) const STREAMS: [&str; 3] = ["orders", "payments", "clicks"];
const GROUPS: [&str; 2] = ["fast", "careless"];
/// Entries that an application adds, or a consumer is given, at once.
const BATCH: u64 = 500;
/// No group is further behind than this many entries.
const MOST_BEHIND: u64 = 5_000;
/// All of a batch are added, or none.
const ADD: &str = "for number = ARGV[1], ARGV[2] do redis.call('XADD', KEYS[1], '*', 'n', number) end";

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
type Entries = Vec<(String, Option<usize>)>;
type Found = Vec<(String, Value)>;

/// What the application knows.
pub(super) struct World<S> {
    pub(super) servers: S,
    /// By stream: entries added.
    added: [AtomicU64; 3],
    /// By stream and group.
    handled: [[Mutex<Handled>; 2]; 3],
    is_over: AtomicBool,
}

/// Entries that some consumer of a group has handled, by their number.
#[derive(Default)]
struct Handled {
    is_handled: Vec<bool>,
    count: u64,
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
        Self {
            servers,
            added: Default::default(),
            handled: Default::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Adds and consumes while something is done, and then until all is handled.
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
    }

    /// The entries that were removed from all streams.
    pub(super) fn removed(&self) -> u64 {
        let removed = |stream: usize| {
            let added = self.added[stream].load(SeqCst);
            let length =
                |redis: &mut dyn ConnectionLike| cmd("XLEN").arg(STREAMS[stream]).query::<u64>(redis);
            // What is added meanwhile is not removed.
            added.saturating_sub(self.servers.with(&mut None, STREAMS[stream], length).unwrap())
        };
        (0..STREAMS.len()).map(removed).sum()
    }

    /// Deliveries that there should have been.
    pub(super) fn deliveries(&self) -> u64 {
        self.added.iter().map(|added| added.load(SeqCst)).sum::<u64>() * GROUPS.len() as u64
    }

    /// Deliveries that there never were.
    pub(super) fn all_missing(&self) -> u64 {
        let of_stream = |stream| (0..GROUPS.len()).map(|group| self.missing(stream, group)).sum::<u64>();
        (0..STREAMS.len()).map(of_stream).sum()
    }

    /// Entries that no consumer of the group has handled.
    fn missing(&self, stream: usize, group: usize) -> u64 {
        self.added[stream].load(SeqCst).saturating_sub(self.handled[stream][group].lock().unwrap().count)
    }

    fn add(&self, stream: usize) {
        let mut client = None;
        while !self.is_over.load(SeqCst) {
            if (0..GROUPS.len()).any(|group| self.missing(stream, group) > MOST_BEHIND) {
                sleep(Duration::from_millis(5));
                continue;
            }
            let first = self.added[stream].load(SeqCst);
            let mut batch = cmd("EVAL");
            batch.arg(ADD).arg(1).arg(STREAMS[stream]).arg(first).arg(first + BATCH - 1);
            self.servers.with(&mut client, STREAMS[stream], |redis| batch.query::<()>(redis).unwrap());
            self.added[stream].fetch_add(BATCH, SeqCst);
        }
    }

    /// Reads and acknowledges until all is handled. The careless one acknowledges late, and dies now and then with entries in hand.
    fn consume(&self, stream: usize, group: usize) {
        let (mut client, mut name, mut in_hand) = (None, 0_u64, Entries::new());
        for turn in 0_u64.. {
            let is_last = self.is_over.load(SeqCst);
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
        let mut handled = self.handled[stream][group].lock().unwrap();
        for (id, number) in &entries {
            acknowledge.arg(id);
            if let Some(number) = *number {
                let most = handled.is_handled.len().max(number + 1);
                handled.is_handled.resize(most, false);
                handled.count += u64::from(!std::mem::replace(&mut handled.is_handled[number], true));
            }
        }
        drop(handled);
        self.servers.with(client, STREAMS[stream], |redis| acknowledge.query::<u64>(redis).unwrap());
    }
}

/// Tells the application that it is over.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn entries(found: Found) -> Entries {
    let number = |fields: Value| {
        let field: Option<(String, usize)> = redis::from_redis_value(fields).unwrap();
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
