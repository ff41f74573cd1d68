//! Dead letters that a limit is not meant for. The script of a step looks for them itself; here is what it says in words, and the same look
//! for servers without scripts.

use crate::{
    model::{Failure, Reason},
    source::{entries_at_the_ends, resp::Reply},
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
    if failure.code() == Some(CODE) { refusal() } else { failure }
}

/// Refuses to remove anything from a stream whose oldest or newest entry is a dead letter, by its summary (`XINFO STREAM`).
pub(super) fn spare_dead_letters(summary: Result<Reply, Failure>) -> Result<(), Failure> {
    let ends = match summary {
        Ok(reply) => entries_at_the_ends(&reply)?,
        Err(failure) if failure.reason == Reason::NoKey => return Ok(()),
        Err(failure) => return Err(failure),
    };
    if ends.iter().any(DeadLetter::is) { Err(refusal()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_error_of_the_script_is_put_in_words() {
        let of = |detail: &str| in_words(Failure::new(Reason::Other, detail)).detail;
        assert_eq!(&*of("DEADLETTER at an end of the stream"), WORDS);
        let other = "ERR the stream DEADLETTER is full";
        assert_eq!(&*of(other), other);
    }
}
