//! One run of an act: its items in steps, each of which is one script.

use std::{collections::VecDeque, time::Duration};

use tokio::time::sleep;
use tracing::{Instrument, debug, info};

use super::{Enforcer, write::Write};
use crate::{
    config::Config,
    model::{Failure, Name, Reason},
    source::resp::{Reply, Value},
    spans,
    stuck::{Act, Outcome, Outcomes, Script},
};

/// Items of one script: 100 copies take the server one to two milliseconds.
const STEP: usize = 100;

/// An act, and how to run it.
pub struct Acting<'a> {
    /// Where, and how long to pause between two steps.
    pub config: &'a Config,
    /// What to do.
    pub act: &'a Act,
    /// Who gave the order, for the log.
    pub by: &'a str,
    /// The most items in a second; `None` for no limit.
    pub rate: Option<u32>,
    /// Whether to stop before the next step.
    pub is_over: &'a (dyn Fn() -> bool + Sync),
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Acted {
    /// What came of the items that a script answered for.
    pub outcomes: Outcomes,
    /// Why the run ended early. If the connection was lost, the last step may have been executed.
    pub failure: Option<Failure>,
    /// Whether it was stopped before its last item.
    pub is_cut_short: bool,
}

impl Acting<'_> {
    /// Acts on these items, step by step. Stops when the dead letters are full, or their key is a live stream.
    ///
    /// Safe to interrupt and to repeat: each step is complete on its own, and what was done is not done again.
    pub async fn run(self, enforcer: &mut Enforcer, items: Vec<Box<[u8]>>) -> Acted {
        let mut acted = Acted::default();
        if let Err(failure) = self.prepare(enforcer).await {
            return Acted { failure: Some(failure), ..acted };
        }
        let mut left = VecDeque::from(items);
        while !left.is_empty() {
            if (self.is_over)() {
                return Acted { is_cut_short: true, ..acted };
            }
            let size = self.rate.map_or(STEP, |rate| STEP.min(usize::try_from(rate).unwrap_or(STEP)).max(1));
            let step: Vec<Box<[u8]>> = left.drain(..size.min(left.len())).collect();
            let outcomes = match self.step(enforcer, &step).await {
                Ok(outcomes) => outcomes,
                Err(failure) => return Acted { failure: Some(failure), ..acted },
            };
            // The first item of a step has another outcome, or an error is the reply.
            if outcomes.iter().all(|outcome| *outcome == Outcome::Left) {
                return Acted { failure: Some(unexpected()), ..acted };
            }
            let mut again = Vec::new();
            for (item, outcome) in step.into_iter().zip(&outcomes) {
                if *outcome == Outcome::Left {
                    again.push(item);
                } else {
                    acted.outcomes.add(*outcome);
                }
            }
            again.into_iter().rev().for_each(|item| left.push_front(item));
            if let Some(end) = outcomes.iter().find(|outcome| outcome.ends_run()) {
                left.iter().for_each(|_| acted.outcomes.add(*end));
                break;
            }
            if !left.is_empty() {
                sleep(self.pause(size)).await;
            }
        }
        acted
    }

    /// How long to wait after a step of so many items.
    fn pause(&self, items: usize) -> Duration {
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        let pause = self.config.retention.pause;
        self.rate.map_or(pause, |rate| pause.max(Duration::from_secs(1) * items / rate.max(1)))
    }

    /// Checks that the server is a primary, and that what comes after a copy is permitted.
    async fn prepare(&self, enforcer: &mut Enforcer) -> Result<(), Failure> {
        // Only its role is of interest.
        let key = self.act.keys.first().map_or(&[][..], |key| key.as_bytes());
        drop(enforcer.check(self.config, key).await?);
        let group = self.act.arguments.first().map(|group| Name::from(&**group));
        let trial = match (self.act.script, self.act.keys.as_slice(), &group) {
            (Script::DeadLetter, [stream, ..], Some(group)) => Write::TryAcknowledge(stream, group),
            (Script::Replay, [dead_letters, ..], _) => Write::TryDelete(dead_letters),
            _ => return Ok(()),
        };
        enforcer.send(self.config, trial).await.map(drop)
    }

    async fn step(&self, enforcer: &mut Enforcer, items: &[Box<[u8]>]) -> Result<Vec<Outcome>, Failure> {
        let span = spans::act(self.act.script.as_str(), self.act.keys.first());
        let reply = enforcer.send(self.config, Write::Act(self.act, items)).instrument(span.clone()).await;
        let result = reply.and_then(|reply| words(&reply, items.len()));
        spans::record_result(&span, &result);
        if let Ok(outcomes) = &result {
            let done = outcomes.iter().filter(|outcome| outcome.is_done()).count();
            let (act, stream) = (self.act.script.as_str(), self.act.keys.first());
            let (stream, to) =
                (stream.map(tracing::field::display), self.act.keys.get(1).map(tracing::field::display));
            // While the dead letters are full each run of a rule tries one step, which changes nothing.
            if done > 0 {
                info!(act, stream, to, by = self.by, done, of = items.len(), "acted on stuck work");
            } else {
                debug!(act, stream, to, by = self.by, of = items.len(), "nothing of this step was done");
            }
        }
        result
    }
}

fn unexpected() -> Failure {
    Failure::new(Reason::UnexpectedReply, "unexpected reply from the script")
}

/// The script's reply: a word for each item.
fn words(reply: &Reply, items: usize) -> Result<Vec<Outcome>, Failure> {
    let Value::List(words) = reply.value()? else { return Err(unexpected()) };
    let outcome = |word: &Value<'_>| match word {
        Value::Text(word) => Outcome::of(word),
        Value::Nil | Value::Int(_) | Value::List(_) => None,
    };
    let outcomes: Option<Vec<Outcome>> = words.iter().map(outcome).collect();
    outcomes.filter(|outcomes| outcomes.len() == items).ok_or_else(unexpected)
}
