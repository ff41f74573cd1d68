//! Nothing that a group needs is removed while everything goes wrong: sidecars are killed, another server takes over, one
//! sidecar may run no scripts, and they do not agree on the limits. `make chaos` removes a million entries so, the suite a tenth of them.

use std::{
    sync::{
        Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{scope, sleep},
    time::Duration,
};

use redis::{Connection, Value, cmd, pipe};

use support::{Need, Proxy, Redis, Sidecar, wait_at_most, wait_for};

use crate::truth::number;

const STREAMS: [&str; 3] = ["orders", "payments", "clicks"];
const GROUPS: [&str; 2] = ["fast", "careless"];
/// Entries that an application adds, or a consumer is given, at once.
const BATCH: u64 = 500;
/// No group is further behind than this many entries.
const MOST_BEHIND: u64 = 5_000;
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Far longer than a lease lasts.
const TAKEOVER: Duration = Duration::from_secs(60);
const PROMPT: &str = "repl-diskless-sync-delay 0";

/// What `XREADGROUP` and `XAUTOCLAIM` give: IDs with the number that the application gave; none where the entry is gone.
type Entries = Vec<(String, Option<usize>)>;
type Found = Vec<(String, Value)>;

/// Two servers, of which one is the primary, and what the application knows.
struct World {
    servers: [Redis; 2],
    name: Proxy,
    /// Which is the primary, and how often that has changed. Nobody works while it changes.
    primary: RwLock<(usize, u64)>,
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

impl World {
    fn start() -> Self {
        let servers = [Redis::with_settings(PROMPT), Redis::with_settings(PROMPT)];
        for server in &servers {
            server.run::<()>("ACL SETUSER noscripts on nopass ~* &* +@all -@scripting");
        }
        for stream in STREAMS {
            GROUPS
                .iter()
                .for_each(|group| servers[0].run(&format!("XGROUP CREATE {stream} {group} 0 MKSTREAM")));
        }
        follow(&servers[1], &servers[0]);
        let name = Proxy::to(servers[0].port());
        let (primary, is_over) = (RwLock::new((0, 0)), AtomicBool::new(false));
        Self { servers, name, primary, added: Default::default(), handled: Default::default(), is_over }
    }

    /// Does this with a connection to the primary, which stays the primary meanwhile.
    fn with<T>(&self, client: &mut Client, work: impl FnOnce(&mut Connection) -> T) -> T {
        let held = self.primary.read().unwrap();
        let (primary, changes) = *held;
        let connection = match client.0.take() {
            Some((of, connection)) if of == changes => connection,
            _ => self.servers[primary].connect(),
        };
        work(&mut client.0.insert((changes, connection)).1)
    }

    /// The other server takes over, with everything that was acknowledged to the application.
    fn promote(&self) {
        let mut primary = self.primary.write().unwrap();
        let (old, new) = (&self.servers[primary.0], &self.servers[1 - primary.0]);
        wait_for("the replica to have everything", || is_followed(old).then_some(()));
        new.run::<()>("REPLICAOF NO ONE");
        self.name.switch_to(new.port());
        follow(old, new);
        *primary = (1 - primary.0, primary.1 + 1);
    }

    /// The entries that were removed from a stream.
    fn removed(&self, client: &mut Client, stream: usize) -> u64 {
        let length = self.with(client, |redis| cmd("XLEN").arg(STREAMS[stream]).query::<u64>(redis).unwrap());
        self.added[stream].load(SeqCst) - length
    }

    /// Entries that no consumer of the group has handled.
    fn missing(&self, stream: usize, group: usize) -> u64 {
        self.added[stream].load(SeqCst).saturating_sub(self.handled[stream][group].lock().unwrap().count)
    }

    fn add(&self, stream: usize) {
        let mut client = Client::default();
        while !self.is_over.load(SeqCst) {
            if (0..GROUPS.len()).any(|group| self.missing(stream, group) > MOST_BEHIND) {
                sleep(Duration::from_millis(5));
                continue;
            }
            let first = self.added[stream].load(SeqCst);
            let mut batch = pipe();
            for number in first..first + BATCH {
                batch.cmd("XADD").arg(STREAMS[stream]).arg("*").arg("n").arg(number).ignore();
            }
            self.with(&mut client, |redis| batch.query::<()>(redis).unwrap());
            self.added[stream].fetch_add(BATCH, SeqCst);
        }
    }

    /// Reads and acknowledges until all is handled. The careless one acknowledges late, and dies now and then with entries in hand.
    fn consume(&self, stream: usize, group: usize) {
        let (mut client, mut name, mut in_hand) = (Client::default(), 0_u64, Entries::new());
        for turn in 0_u64.. {
            let is_last = self.is_over.load(SeqCst);
            let entries = self.with(&mut client, |redis| read(redis, stream, group, name));
            let got = entries.len();
            in_hand.extend(entries);
            let dies = GROUPS[group] == "careless" && turn % 41 == 40;
            if dies || is_last {
                name += u64::from(dies);
                in_hand = self.with(&mut client, |redis| claim_all(redis, stream, group, name));
            }
            let acknowledges = GROUPS[group] == "fast" || turn % 3 == 0 || is_last;
            if acknowledges && !dies {
                self.handle(&mut client, stream, group, std::mem::take(&mut in_hand));
            }
            if is_last
                && got == 0
                && self.with(&mut client, |redis| claim_all(redis, stream, group, name)).is_empty()
            {
                return;
            }
            if got == 0 {
                sleep(Duration::from_millis(2));
            }
        }
    }

    fn handle(&self, client: &mut Client, stream: usize, group: usize, entries: Entries) {
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
        self.with(client, |redis| acknowledge.query::<u64>(redis).unwrap());
    }
}

/// Tells the application that it is over.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// A connection, with the change of primary that it is of.
#[derive(Default)]
struct Client(Option<(u64, Connection)>);

fn follow(replica: &Redis, primary: &Redis) {
    replica.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    wait_for("the replica to follow", || is_followed(primary).then_some(()));
}

/// Whether a replica has all that was written until now: `WAIT` waits for what its own connection wrote.
fn is_followed(primary: &Redis) -> bool {
    let mut written = pipe();
    written.cmd("SET").arg("written").arg(1).ignore().cmd("WAIT").arg(1).arg(1_000);
    written.query::<(u64,)>(&mut primary.connect()).unwrap().0 == 1
}

fn entries(found: Found) -> Entries {
    let number = |fields: Value| {
        let field: Option<(String, usize)> = redis::from_redis_value(fields).unwrap();
        field.map(|(_, number)| number)
    };
    found.into_iter().map(|(id, fields)| (id, number(fields))).collect()
}

fn read(redis: &mut Connection, stream: usize, group: usize, consumer: u64) -> Entries {
    let mut command = cmd("XREADGROUP");
    command.arg("GROUP").arg(GROUPS[group]).arg(consumer).arg("COUNT").arg(BATCH);
    let streams: Option<Vec<(String, Found)>> =
        command.arg("STREAMS").arg(STREAMS[stream]).arg(">").query(redis).unwrap();
    streams.into_iter().flatten().flat_map(|(_, found)| entries(found)).collect()
}

/// All pending entries of all consumers.
fn claim_all(redis: &mut Connection, stream: usize, group: usize, consumer: u64) -> Entries {
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

/// One of two sidecars, which do not agree: on the limit, and on whether scripts may be run.
fn sidecar(world: &World, number: usize) -> Sidecar {
    let (user, limit) = [("", 1_000), ("noscripts@", 200)][number];
    let uri = world.name.uri().replace("redis://", &format!("redis://{user}"));
    let streams: String = STREAMS
        .iter()
        .map(|stream| format!("\n- {{match: {stream}, retention: {{max_length: {limit}}}}}"))
        .collect();
    let config =
        format!("poll: {{interval: 2s}}\nretention: {{interval: 1s, lease_ttl: 2s}}\nstreams:{streams}");
    Sidecar::with_config(&uri, &config)
}

/// Entries that a sidecar has trimmed since it started.
fn trimmed(sidecar: &Sidecar) -> f64 {
    let (page, family) = (sidecar.scrape(), "streamwarden_retention_trimmed_entries_total");
    STREAMS.iter().filter_map(|stream| page.get(family, &[("stream", stream)])).sum()
}

#[test]
fn nothing_needed_is_removed_while_sidecars_are_killed_and_servers_change_for_a_while() {
    remove(100_000);
}

#[test]
#[ignore = "minutes: make chaos"]
fn nothing_needed_is_removed_whatever_happens_to_sidecars_and_servers() {
    remove(number("STREAMWARDEN_TEST_ENTRIES", 1_000_000));
}

/// Has so many entries removed at least, by each of the sidecars, and another server take over at least once.
fn remove(least: u64) {
    let world = World::start();
    if !world.servers[0].meets(Need::COUNTED_ADDITIONS) {
        return;
    }
    let (mut client, mut kills) = (Client::default(), [0_u64; 2]);
    let mut removed = 0;
    scope(|threads| {
        // Also where this thread panics: the others would go on for ever.
        let _ends = Ends(&world.is_over);
        for stream in 0..STREAMS.len() {
            let world = &world;
            threads.spawn(move || world.add(stream));
            (0..GROUPS.len()).for_each(|group| drop(threads.spawn(move || world.consume(stream, group))));
        }
        let mut sidecars = [0, 1].map(|number| sidecar(&world, number));
        wait_at_most(PATIENCE, "so many removals", || {
            sleep(Duration::from_secs(4));
            let victim = usize::from(kills[0] > kills[1]);
            sidecars[victim].signal("KILL");
            // Until the other one has taken the lease over and trims, so that each of them does.
            wait_at_most(TAKEOVER, "the other sidecar to trim", || {
                (trimmed(&sidecars[1 - victim]) > 0.0).then_some(())
            });
            sidecars[victim] = sidecar(&world, victim);
            kills[victim] += 1;
            if kills[0] == kills[1] {
                world.promote();
            }
            removed = (0..STREAMS.len()).map(|stream| world.removed(&mut client, stream)).sum();
            (removed >= least && kills[0] == kills[1]).then_some(())
        });
    });
    let changes = world.primary.read().unwrap().1;
    let of_stream = |stream| (0..GROUPS.len()).map(|group| world.missing(stream, group)).sum::<u64>();
    let missing: u64 = (0..STREAMS.len()).map(of_stream).sum();
    eprintln!(
        "{removed} removed, {kills:?} kills, {changes} takeovers; {missing} of {} deliveries missing",
        world.added.iter().map(|added| added.load(SeqCst)).sum::<u64>() * GROUPS.len() as u64,
    );
    assert_eq!(missing, 0, "needed entries were removed");
}
