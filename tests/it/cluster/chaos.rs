//! A cluster whose slots move all the time, and whose primaries are replaced, frozen and killed, one after the other.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{scope, sleep},
    time::Duration,
};

use redis::RedisResult;

use support::{Cluster, wait_for};

/// What is done to a primary.
///
/// A whole shard is never frozen. Once its primary and its replica go on, each may replace the other several times, and what was written
/// in between is lost, as Redis says.
const BLOWS: [Blow; 4] = [Blow::Failover, Blow::ShortFreeze, Blow::Kill, Blow::LongFreeze];

#[derive(Debug, Clone, Copy)]
enum Blow {
    /// Its replica takes over as an operator asks.
    Failover,
    /// It stands still, and nobody takes over.
    ShortFreeze,
    /// It stands still until its replica has taken over.
    LongFreeze,
    Kill,
}

/// What happens to a cluster, and how often it has.
pub(crate) struct Chaos<'a> {
    pub(crate) cluster: &'a Cluster,
    streams: &'a [String],
    /// Held while a slot moves: a primary that fails then takes the move's state with it, which an operator has to repair.
    moving: Mutex<()>,
    /// Held by those who write: what a primary has not yet passed on when it fails is lost, as Redis says.
    writing: RwLock<()>,
    is_over: AtomicBool,
    moves: [AtomicU64; 2],
    blows: [AtomicU64; BLOWS.len()],
}

/// Ends it, also where the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Numbers that look random, the same at each run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn rest(&mut self, at_least: u64, at_most: u64) {
        sleep(Duration::from_millis(at_least + self.roll(at_most - at_least)));
    }

    fn one_of<'b, T>(&mut self, all: &'b [T]) -> Option<&'b T> {
        let index = self.roll(all.len().max(1) as u64);
        all.get(usize::try_from(index).unwrap())
    }
}

fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Chaos<'a> {
    pub(crate) fn new(cluster: &'a Cluster, streams: &'a [String]) -> Self {
        Self {
            cluster,
            streams,
            moving: Mutex::default(),
            writing: RwLock::default(),
            is_over: AtomicBool::new(false),
            moves: Default::default(),
            blows: Default::default(),
        }
    }

    /// Does this while everything goes wrong. When it is over all slots are served.
    pub(crate) fn during<T>(&self, seed: u64, act: impl FnOnce() -> T) -> T {
        let done = scope(|threads| {
            let _ends = Ends(&self.is_over);
            threads.spawn(|| self.move_slots(Dice::new(seed)));
            threads.spawn(|| self.strike_primaries(Dice::new(seed ^ 1)));
            act()
        });
        self.cluster.wait_until_agreed();
        done
    }

    /// Until this is dropped nothing fails that was not broken before.
    pub(crate) fn quiet(&self) -> RwLockReadGuard<'_, ()> {
        self.writing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(SeqCst)
    }

    fn move_slots(&self, mut dice: Dice) {
        let can_move_atomically = self.cluster.can_move_atomically();
        while !self.is_over() {
            let moving = lock(&self.moving);
            let slot = self.cluster.slot(dice.one_of(self.streams).expect("a stream"));
            let primaries: Vec<usize> = self.cluster.primaries().iter().map(|it| it.node).collect();
            let to = *dice.one_of(&primaries).expect("one runs");
            if let Some(from) = self.cluster.owner_of_slot(slot).filter(|from| *from != to) {
                let is_atomic = can_move_atomically && dice.roll(2) == 0;
                if is_atomic {
                    self.cluster.move_atomically(slot..=slot, from, to);
                } else {
                    self.move_slowly(slot, from, to, &mut dice);
                }
                self.moves[usize::from(is_atomic)].fetch_add(1, SeqCst);
            }
            drop(moving);
            dice.rest(5, 100);
        }
    }

    /// Moves a slot key by key, with rests. On a busy machine a replica may take over meanwhile, which has the keys that are left.
    fn move_slowly(&self, slot: u16, mut from: usize, mut to: usize, dice: &mut Dice) {
        wait_for("a slot to move", || match self.try_move(slot, from, to, dice) {
            Ok(()) => Some(()),
            Err(error) => {
                eprintln!("slot {slot} does not move from {from} to {to}: {error}");
                (from, to) = (self.cluster.successor(from), self.cluster.successor(to));
                dice.rest(50, 100);
                None
            }
        });
    }

    fn try_move(&self, slot: u16, from: usize, to: usize, dice: &mut Dice) -> RedisResult<()> {
        self.cluster.try_begin_move(slot, from, to)?;
        dice.rest(0, 150);
        while self.cluster.try_move_keys(slot, from, to, 1)? > 0 {
            dice.rest(0, 50);
        }
        self.cluster.try_end_move(slot, from, to)
    }

    fn strike_primaries(&self, mut dice: Dice) {
        for turn in 0.. {
            dice.rest(500, 2_000);
            if self.is_over() {
                return;
            }
            let kind = turn % BLOWS.len();
            self.strike(BLOWS[kind], &mut dice);
            self.blows[kind].fetch_add(1, SeqCst);
        }
    }

    /// One blow, until the cluster has recovered from it.
    fn strike(&self, blow: Blow, dice: &mut Dice) {
        let moving = lock(&self.moving);
        let writing = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        self.cluster.wait_until_agreed();
        let primaries = self.cluster.primaries();
        let victim = dice.one_of(&primaries).expect("three of them").node;
        // One that has lost all its slots becomes a replica too, so there may be two.
        let replicas = self.cluster.replicas_of(victim);
        let replica = *replicas.first().expect("each has one");
        let port = |node: usize| self.cluster.node(node).port();
        eprintln!("{blow:?} of {}, whose replica is {}", port(victim), port(replica));
        match blow {
            Blow::Failover => {
                self.cluster.failover(replica);
                // Until it hears of that, which takes long on a busy machine, the old primary answers with what was there before.
                wait_for("the old primary to follow", || {
                    self.cluster.replica_of(replica).filter(|node| *node == victim)
                });
                drop(writing);
            }
            Blow::ShortFreeze => {
                self.cluster.freeze(victim);
                drop((moving, writing));
                dice.rest(100, 1_000);
                self.cluster.thaw(victim);
            }
            Blow::LongFreeze => {
                self.cluster.freeze(victim);
                drop((moving, writing));
                self.wait_for_takeover(&replicas);
                dice.rest(0, 1_000);
                self.cluster.thaw(victim);
            }
            Blow::Kill => {
                self.cluster.kill(victim);
                drop((moving, writing));
                self.wait_for_takeover(&replicas);
                dice.rest(0, 1_000);
                self.cluster.restart(victim);
            }
        }
    }

    fn wait_for_takeover(&self, replicas: &[usize]) {
        wait_for("a replica to take over", || {
            self.cluster.primaries().iter().any(|it| replicas.contains(&it.node)).then_some(())
        });
    }

    /// What happened, for people.
    pub(crate) fn counts(&self) -> String {
        let count = |all: &[AtomicU64]| -> Vec<u64> { all.iter().map(|it| it.load(SeqCst)).collect() };
        let (moves, blows) = (count(&self.moves), count(&self.blows));
        format!(
            "{} slots moved key by key, {} at once; {} failovers, {} kills, {} short and {} long freezes",
            moves[0], moves[1], blows[0], blows[2], blows[1], blows[3]
        )
    }
}
