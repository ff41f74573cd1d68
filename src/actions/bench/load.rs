//! One test: all connections send the same requests one after another, until its time is over.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::{
    command::BenchCommand,
    latencies::Latencies,
    measured::{Measured, Test},
};
use crate::{
    clock::{self, Instant},
    config,
    model::{Failure, Reason},
    source::{
        Link, Session, no_reply, reply,
        resp::{Reply, Value},
    },
};

/// What the connections do.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) redis: &'a config::Redis,
    pub(super) key: &'a str,
    /// Entries that the stream may hold.
    pub(super) length: u64,
    pub(super) payload: &'a [u8],
    pub(super) test: Test,
    pub(super) until: Instant,
    /// Ends it early.
    pub(super) over: &'a CancellationToken,
}

/// What came of the requests of a connection.
#[derive(Default)]
struct Tally {
    latencies: Latencies,
    requests: u64,
    entries: u64,
}

impl Job<'_> {
    /// Runs the test. Requests are never given up: what was sent is answered when this returns, unless a connection has failed.
    ///
    /// # Errors
    /// Why a request failed.
    pub(super) async fn run(&self, links: &mut [Link]) -> Result<Measured, Failure> {
        let began = clock::now();
        let mut work: FuturesUnordered<_> =
            links.iter_mut().enumerate().map(|(consumer, link)| self.work(link, consumer)).collect();
        let (mut all, mut failed) = (Tally::default(), None);
        while let Some(result) = work.next().await {
            match result {
                Ok(tally) => {
                    all.latencies.join(&tally.latencies);
                    all.requests += tally.requests;
                    all.entries += tally.entries;
                }
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        let Tally { latencies, requests, entries } = all;
        let took = clock::now() - began;
        failed.map_or(Ok(Measured { test: self.test, requests, entries, took, latencies }), Err)
    }

    /// The work of one connection.
    async fn work(&self, link: &mut Link, consumer: usize) -> Result<Tally, Failure> {
        let result = self.requests(link, consumer).await;
        link.after(&result);
        if result.is_err() {
            self.over.cancel();
            link.disconnect();
        }
        result
    }

    async fn requests(&self, link: &mut Link, consumer: usize) -> Result<Tally, Failure> {
        let session = link.session(self.redis).await?;
        let mut tally = Tally::default();
        while !self.over.is_cancelled() && clock::now() < self.until {
            let began = clock::now();
            let entries = match self.test {
                Test::Add => self.add(session, 1).await?,
                Test::AddPipelined => self.add(session, Test::PIPELINE).await?,
                Test::Range => self.range(session).await?,
                Test::ReadGroup => self.read(session, consumer).await?,
            };
            let took: Duration = clock::now() - began;
            if entries == 0 {
                // The group has read all entries, and this is no request of the test.
                one(session, BenchCommand::Rewind(self.key)).await?;
                continue;
            }
            tally.latencies.add(took);
            tally.entries += entries;
            tally.requests += self.test.requests_at_once();
        }
        Ok(tally)
    }

    async fn add(&self, session: &mut Session, count: usize) -> Result<u64, Failure> {
        let add = BenchCommand::Add { key: self.key, length: self.length, payload: self.payload };
        let mut entries = 0;
        for reply in session.send(&vec![add; count]).await? {
            if reply?.value()? == Value::Nil {
                return Err(gone());
            }
            entries += 1;
        }
        Ok(entries)
    }

    async fn range(&self, session: &mut Session) -> Result<u64, Failure> {
        match reply::range_ids(&one(session, BenchCommand::Range(self.key)).await?)?.len() {
            0 => Err(gone()),
            entries => Ok(u64::try_from(entries).unwrap_or(u64::MAX)),
        }
    }

    async fn read(&self, session: &mut Session, consumer: usize) -> Result<u64, Failure> {
        let ids = reply::delivered_ids(&one(session, BenchCommand::Read(self.key, consumer)).await?)?;
        if !ids.is_empty() {
            reply::count(&one(session, BenchCommand::Acknowledge(self.key, &ids)).await?)?;
        }
        Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
    }
}

/// Sends one command.
pub(super) async fn one(session: &mut Session, command: BenchCommand<'_>) -> Result<Reply, Failure> {
    session.send(&[command]).await?.pop().unwrap_or_else(|| Err(no_reply()))
}

pub(super) fn gone() -> Failure {
    Failure::new(Reason::NoKey, "the bench's stream is gone: somebody deleted it, or it expired")
}
