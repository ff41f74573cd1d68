//! Dead letters that a limit is not meant for. The script of a step looks for them itself; here is what it says in words, and the same look
//! for servers without scripts.

use super::Enforcer;
use crate::{
    config::Config,
    model::{Failure, Name, Reason},
    source::{Command, entries_at_the_ends},
    stuck::DeadLetter,
};

/// The error of the script.
const CODE: &str = "DEADLETTER";
const WORDS: &str = "its oldest or newest entry is a dead letter, and only a limit that is written for dead letters may remove it: \
     write a rule whose `match` is this key before the one that applies";

fn refusal() -> Failure {
    Failure::new(Reason::Other, WORDS)
}

/// The failure of a step, in words where it is an error of the script's own.
pub(super) fn in_words(failure: Failure) -> Failure {
    if failure.detail.contains(CODE) { refusal() } else { failure }
}

impl Enforcer {
    /// Refuses to remove anything from a stream whose oldest or newest entry is a dead letter.
    pub(super) async fn spare_dead_letters(&mut self, config: &Config, stream: &Name) -> Result<(), Failure> {
        let ends = match self.send(config, Command::StreamSummary(stream)).await {
            Ok(reply) => entries_at_the_ends(&reply)?,
            Err(failure) if failure.reason == Reason::NoKey => return Ok(()),
            Err(failure) => return Err(failure),
        };
        if ends.iter().any(DeadLetter::is) { Err(refusal()) } else { Ok(()) }
    }
}
