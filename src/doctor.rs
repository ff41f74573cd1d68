//! What was found out about a server, and what it means for whoever is about to trust the sidecar with it. Pure.
//!
//! The evidence is gathered by `source::Examiner`, a search for streams and one reading. Each file has the rules of one
//! subject; a rule says what is so, and what it means or mends. What is not known is said to be unknown, never guessed.

mod alerts;
mod answers;
mod bugs;
mod connection;
mod evidence;
mod finding;
mod hosted;
mod limits;
mod memory;
mod nodes;
mod permissions;
mod persistence;
mod server;
mod streams;
#[cfg(test)]
mod test_evidence;
mod unreachable;

pub use evidence::Evidence;
pub use finding::{Area, Diagnosis, Finding, Level, Summary};
pub use unreachable::{unreachable, unused};

/// What the evidence means.
#[must_use]
pub fn diagnose(evidence: Evidence<'_>) -> Diagnosis {
    let subjects = [connection::findings, server::findings];
    let of_streams = [
        bugs::findings,
        permissions::findings,
        memory::findings,
        persistence::findings,
        nodes::findings,
        limits::findings,
        streams::findings,
        hosted::findings,
        answers::findings,
        alerts::findings,
    ];
    // A sentinel is asked for no streams.
    let of_streams = of_streams.iter().filter(|_| !server::is_sentinel(evidence));
    Diagnosis::new(subjects.iter().chain(of_streams).flat_map(|findings| findings(evidence)).collect())
}
