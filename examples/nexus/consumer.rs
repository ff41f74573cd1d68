//! A consumer: reads entries for its group, processes them, and acknowledges those that succeeded. Flags make it fail
//! in the ways that real consumers do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use redis::{RedisError, RedisResult, cmd};

use crate::{
    events::{Fields, decode},
    link::Link,
    shutdown::Shutdown,
    topic::Topic,
    totals::Totals,
    waits::Waits,
};

const BATCH: u32 = 10;
const BLOCK_MILLISECONDS: u32 = 1_000;
/// How soon a stopped consumer notices that its connection was lost.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Time that a slow consumer takes for an entry.
const SLOWNESS: Duration = Duration::from_millis(200);

/// An entry's ID and its fields; `None` for a pending entry that was trimmed.
type Entry = (String, Option<Fields>);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Stays connected but stops reading.
    Stop,
    /// Disappears with a batch that it has read but not acknowledged.
    Crash,
    /// Takes a long time for each entry.
    Slow,
}

pub(crate) struct Consumer {
    pub(crate) topic: Topic,
    pub(crate) name: String,
    pub(crate) link: Link,
    /// Share of entries whose processing fails.
    pub(crate) failures: f64,
    /// How often it retries unacknowledged entries; `None`: only when it starts.
    pub(crate) retry: Option<Duration>,
    pub(crate) fault: Option<Fault>,
    pub(crate) fault_after: Duration,
    pub(crate) started: Instant,
    pub(crate) totals: Arc<Totals>,
    pub(crate) waits: Arc<Waits>,
    pub(crate) shutdown: Shutdown,
}

impl Consumer {
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        while let Err(error) = self.consume().await {
            if is_group_missing(&error) {
                continue;
            }
            tokio::select! {
                () = self.shutdown.requested() => return Ok(()),
                recovered = self.link.recover(error) => {
                    let (name, stream) = (&self.name, self.topic.stream());
                    recovered.map_err(|error| anyhow!("{name} cannot consume {stream}: {error}"))?;
                }
            }
        }
        Ok(())
    }

    /// Reads until the program stops, or until this consumer's fault.
    async fn consume(&mut self) -> RedisResult<()> {
        self.create_group().await?;
        // Starts with entries that were delivered to this consumer earlier and are not acknowledged, then continues
        // with new ones.
        let (mut after, mut tried) = ("0".to_owned(), self.started.elapsed());
        while !self.shutdown.is_requested() {
            let fault = self.fault.filter(|_| self.started.elapsed() >= self.fault_after);
            if fault == Some(Fault::Stop) {
                return self.idle().await;
            }
            let now = self.started.elapsed();
            if self.retry.is_some_and(|every| now - tried >= every) {
                (after, tried) = ("0".to_owned(), now);
            }
            let entries = self.read(&after).await?;
            if after == ">" {
                entries.iter().for_each(|(id, _)| self.waits.delivered(self.topic, id));
            }
            if fault == Some(Fault::Crash) && !entries.is_empty() {
                return Ok(());
            }
            if fault == Some(Fault::Slow) {
                tokio::time::sleep(SLOWNESS * u32::try_from(entries.len()).unwrap_or(BATCH)).await;
            }
            match entries.last() {
                None => after = ">".to_owned(),
                Some((id, _)) if after != ">" => after.clone_from(id),
                Some(_) => {}
            }
            self.process(&entries).await?;
        }
        Ok(())
    }

    async fn create_group(&mut self) -> RedisResult<()> {
        let (stream, group) = (self.topic.stream(), self.topic.group());
        let command = cmd("XGROUP").arg("CREATE").arg(stream).arg(group).arg("0").arg("MKSTREAM").take();
        match self.link.query(&command).await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            created => created,
        }
    }

    async fn read(&mut self, after: &str) -> RedisResult<Vec<Entry>> {
        let command = cmd("XREADGROUP")
            .arg("GROUP")
            .arg(self.topic.group())
            .arg(&self.name)
            .arg("COUNT")
            .arg(BATCH)
            .arg("BLOCK")
            .arg(BLOCK_MILLISECONDS)
            .arg("STREAMS")
            .arg(self.topic.stream())
            .arg(after)
            .take();
        let streams: Option<Vec<(String, Vec<Entry>)>> = self.link.query(&command).await?;
        Ok(streams.into_iter().flatten().flat_map(|(_stream, entries)| entries).collect())
    }

    async fn process(&mut self, entries: &[Entry]) -> RedisResult<()> {
        let handled: Vec<&str> = entries
            .iter()
            .filter(|(_, fields)| self.handle(fields.as_ref()))
            .map(|(id, _)| id.as_str())
            .collect();
        if !handled.is_empty() {
            let command = cmd("XACK").arg(self.topic.stream()).arg(self.topic.group()).arg(&handled).take();
            self.totals.acknowledged(self.link.query(&command).await?);
            handled.iter().for_each(|id| self.waits.handled(self.topic, id));
        }
        Ok(())
    }

    /// Processes an entry, and returns whether to acknowledge it. A real application would do its work here.
    fn handle(&self, fields: Option<&Fields>) -> bool {
        // A trimmed entry needs no processing.
        let Some(fields) = fields else { return true };
        let succeeded = decode(fields).is_ok() && fastrand::f64() >= self.failures;
        if !succeeded {
            self.totals.failed();
        }
        succeeded
    }

    async fn idle(&mut self) -> RedisResult<()> {
        loop {
            tokio::select! {
                () = self.shutdown.requested() => return Ok(()),
                () = tokio::time::sleep(PING_INTERVAL) => self.link.query::<()>(&cmd("PING")).await?,
            }
        }
    }
}

/// Someone destroyed the group or deleted its stream, perhaps while this consumer was blocked on it.
fn is_group_missing(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOGROUP" | "UNBLOCKED"))
}
