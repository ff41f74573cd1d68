//! A stream that is written to, and one consumer of its group, which fails in the way that a test sets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    thread::{JoinHandle, sleep, spawn},
    time::Duration,
};

use redis::{Cmd, Connection, RedisResult, Value};

use support::{Redis, wait_for};

/// Between two rounds.
const ROUND: Duration = Duration::from_millis(25);

/// What the consumer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mode {
    /// Reads all there is, and acknowledges it.
    Works,
    /// Does nothing.
    Hangs,
    /// Asks for what it has already, and acknowledges nothing.
    Spins,
    /// Reads less than comes in, but now and then more.
    FallsBehind,
    /// Works, but for one entry that it takes again and again.
    Fails,
}

const MODES: [Mode; 5] = [Mode::Works, Mode::Hangs, Mode::Spins, Mode::FallsBehind, Mode::Fails];

/// A producer and a consumer; they end with the test.
pub(super) struct Life {
    mode: Arc<AtomicU8>,
    rounds: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Life {
    pub(super) fn start(redis: &Redis) -> Self {
        let mode = Arc::new(AtomicU8::new(0));
        let rounds = Arc::new(AtomicU64::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let mut connection = redis.connect();
        let (wanted, begun, over) = (Arc::clone(&mode), Arc::clone(&rounds), Arc::clone(&ended));
        let thread = spawn(move || {
            for round in 0_u64.. {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                begun.store(round, Ordering::SeqCst);
                let mode = MODES[usize::from(wanted.load(Ordering::SeqCst))];
                // The group may be gone, and so may the server.
                drop(live(&mut connection, mode, round));
                sleep(ROUND);
            }
        });
        Self { mode, rounds, ended, thread: Some(thread) }
    }

    pub(super) fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
        // The round under way is still of the mode before: the second one from here is whole, and of this mode.
        let under_way = self.rounds.load(Ordering::SeqCst);
        wait_for("a round", || (self.rounds.load(Ordering::SeqCst) > under_way + 1).then_some(()));
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn live(connection: &mut Connection, mode: Mode, round: u64) -> RedisResult<()> {
    words("XADD s * f v").query::<Value>(connection)?;
    match mode {
        Mode::Works => take(connection, 1_000, |_| true),
        Mode::Hangs => Ok(()),
        Mode::Spins => {
            words("XREADGROUP GROUP g c COUNT 10 STREAMS s 0").query::<Value>(connection).map(drop)
        }
        Mode::FallsBehind if round.is_multiple_of(20) => take(connection, 6, |_| true),
        Mode::FallsBehind if round.is_multiple_of(2) => take(connection, 1, |_| true),
        Mode::FallsBehind => Ok(()),
        Mode::Fails => {
            let oldest: Vec<(String, String, u64, u64)> =
                words("XPENDING s g - + 1").query(connection).unwrap_or_default();
            if let Some((id, ..)) = oldest.first() {
                words(&format!("XCLAIM s g c 0 {id}")).query::<Value>(connection)?;
            }
            let is_first = oldest.is_empty();
            take(connection, 1_000, |index| index > 0 || !is_first)
        }
    }
}

type Entries = Vec<(String, Value)>;

/// Reads so many entries, and acknowledges those that are to be.
fn take(connection: &mut Connection, count: usize, is_done: impl Fn(usize) -> bool) -> RedisResult<()> {
    let read = words(&format!("XREADGROUP GROUP g c COUNT {count} STREAMS s >"));
    let reply: Option<Vec<(String, Entries)>> = read.query(connection)?;
    let entries = reply.into_iter().flatten().flat_map(|(_stream, entries)| entries);
    let done: Vec<String> =
        entries.enumerate().filter(|(index, _)| is_done(*index)).map(|(_, (id, _))| id).collect();
    if done.is_empty() {
        return Ok(());
    }
    redis::cmd("XACK").arg("s").arg("g").arg(done).query(connection)
}

fn words(words: &str) -> Cmd {
    let mut command = Cmd::new();
    words.split_whitespace().for_each(|word| {
        command.arg(word);
    });
    command
}
