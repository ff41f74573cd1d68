//! One probe of one server: a reader blocks, an entry is written, read and acknowledged, and the reader wakes up.

use std::time::Duration;

use super::command::{ProbeCommand, READING, WAITING};
use crate::{
    clock,
    config::Config,
    model::{Failure, Millis, Reason, StreamId},
    source::{
        Pair, Session, no_reply, reply,
        resp::{Reply, Value},
    },
};

/// A key lives for so many intervals after the last probe that succeeded.
const LIFE: u32 = 10;

/// How long a probe took, from sending the entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probed {
    /// Until Redis had confirmed that it has the entry.
    pub(super) write: Duration,
    /// Until a reader that was blocked had received the entry.
    pub(super) wake_up: Duration,
    /// Until the entry was written, delivered and acknowledged.
    pub(super) round_trip: Duration,
}

/// Probes a server. `is_ready` says whether the groups are there, as far as is known. Not cancel-safe: a caller that gives up must
/// drop the connections.
///
/// # Errors
/// What failed first. The key must not be used again then.
pub(super) async fn probe(
    pair: &mut Pair,
    config: &Config,
    entry: (&str, StreamId),
    is_ready: bool,
) -> Result<Probed, Failure> {
    let mut result = attempt(pair, config, entry, is_ready).await;
    // The key was evicted, deleted or expired, or is not on the server that is the primary now. None of that is a fault.
    if is_ready && matches!(&result, Err(failure) if failure.reason == Reason::NoGroup) {
        result = attempt(pair, config, entry, false).await;
    }
    result
}

async fn attempt(
    pair: &mut Pair,
    config: &Config,
    entry: (&str, StreamId),
    is_ready: bool,
) -> Result<Probed, Failure> {
    let result = attempt_now(pair, config, entry, is_ready).await;
    pair.working.after(&result);
    if result.is_err() {
        // Replies may still be to come.
        pair.working.disconnect();
        pair.waiting.disconnect();
    }
    result
}

async fn attempt_now(
    pair: &mut Pair,
    config: &Config,
    (key, id): (&str, StreamId),
    is_ready: bool,
) -> Result<Probed, Failure> {
    let before = pair.working.number();
    pair.working.look_for_primary(&config.redis).await;
    pair.working.session(&config.redis).await?.may_be_written()?;
    pair.working.confirm_primary(&config.redis).await?;
    let is_same = pair.working.number() == before;
    if !is_same {
        // It may lead to another server.
        pair.waiting.disconnect();
    }
    let life = Millis::from(LIFE * config.probe.interval).get();
    let working = pair.working.session(&config.redis).await?;
    if !(is_ready && is_same) {
        prepare(working, key, life).await?;
    }
    // A reader that is not woken up is answered before the client gives up on the server.
    let patience = Millis::from(config.redis.command_timeout / 2).get();
    let waiting = pair.waiting.session(&config.redis).await?;
    let wait = [ProbeCommand::Drain(key), ProbeCommand::Wait(key, patience)];
    let asked = waiting.ask(&wait, 0).await?;
    let [drain, wait] = &wait;
    // When the first of the two is answered, the server has begun with the second.
    only(waiting.answers(std::slice::from_ref(drain), asked.clone()).await?)?;

    let commands = [
        ProbeCommand::Add(key, id),
        ProbeCommand::Read(key),
        ProbeCommand::Acknowledge(key, id),
        ProbeCommand::Expire(key, life),
    ];
    let started = clock::now();
    let written = async {
        let asked_to_write = working.ask(&commands, 0).await?;
        let (add, rest) = commands.split_at(1);
        let added = working.answers(add, asked_to_write.clone()).await?;
        let write = started.elapsed();
        only(added)?;
        let replies = working.answers(rest, asked_to_write).await?;
        let round_trip = started.elapsed();
        check(replies, id)?;
        Ok((write, round_trip))
    };
    let woken = async {
        let reply = only(waiting.answers(std::slice::from_ref(wait), asked).await?)?;
        let wake_up = started.elapsed();
        if reply.value()? == Value::Nil {
            return Err(Failure::new(Reason::Timeout, "a reader that was blocked was not woken up"));
        }
        has_entry(&reply, id)?;
        Ok(wake_up)
    };
    let ((write, round_trip), wake_up) = tokio::try_join!(written, woken)?;
    Ok(Probed { write, wake_up, round_trip })
}

/// Makes the stream with its groups. It is not made unless it can be made to expire.
async fn prepare(session: &mut Session, key: &str, life: u64) -> Result<(), Failure> {
    only(session.send(&[ProbeCommand::Expire(key, life)]).await?)?;
    let commands = [
        ProbeCommand::Create(key, READING),
        ProbeCommand::Create(key, WAITING),
        ProbeCommand::Expire(key, life),
    ];
    let is_there = |failure: &Failure| failure.code() == Some("BUSYGROUP");
    for reply in session.send(&commands).await? {
        if let Err(failure) = reply
            && !is_there(&failure)
        {
            return Err(failure);
        }
    }
    Ok(())
}

/// Checks that the entry was delivered, that it was acknowledged, and that the key expires.
fn check(replies: Vec<Result<Reply, Failure>>, id: StreamId) -> Result<(), Failure> {
    let mut replies = replies.into_iter();
    let mut next = || replies.next().unwrap_or_else(|| Err(no_reply()));
    has_entry(&next()?, id)?;
    for what in ["acknowledged", "made to expire"] {
        if reply::count(&next()?)? == 0 {
            return Err(Failure::new(
                Reason::UnexpectedReply,
                format!("the entry or its key could not be {what}"),
            ));
        }
    }
    Ok(())
}

fn only(replies: Vec<Result<Reply, Failure>>) -> Result<Reply, Failure> {
    replies.into_iter().next().unwrap_or_else(|| Err(no_reply()))
}

fn has_entry(reply: &Reply, id: StreamId) -> Result<(), Failure> {
    match holds(&reply.value()?, id.to_string().as_bytes()) {
        true => Ok(()),
        false => Err(Failure::new(Reason::UnexpectedReply, "the entry was written and not delivered")),
    }
}

/// Whether this text is among the values. Nothing but the entry's ID is like it in the replies about the probe's stream.
fn holds(value: &Value<'_>, wanted: &[u8]) -> bool {
    match value {
        Value::Text(text) => *text == wanted,
        Value::List(values) => values.iter().any(|value| holds(value, wanted)),
        Value::Nil | Value::Int(_) => false,
    }
}
