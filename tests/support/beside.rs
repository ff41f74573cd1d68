//! What another client sees while a command does its work.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use redis::{Connection, cmd};

/// How long some work took, and how long a client that pings every half millisecond waited during it, sorted.
#[expect(clippy::disallowed_methods, reason = "benchmarks read the clock")]
pub fn beside(mut client: Connection, work: impl FnOnce()) -> (Duration, Vec<Duration>) {
    let is_over = AtomicBool::new(false);
    scope(|scope| {
        let pinging = scope.spawn(|| {
            let mut waits = Vec::new();
            while !is_over.load(Relaxed) {
                let started = Instant::now();
                cmd("PING").query::<String>(&mut client).unwrap();
                waits.push(started.elapsed());
                sleep(Duration::from_micros(500));
            }
            waits.sort();
            waits
        });
        let started = Instant::now();
        work();
        let took = started.elapsed();
        is_over.store(true, Relaxed);
        (took, pinging.join().unwrap())
    })
}
