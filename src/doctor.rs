//! Diagnoses a server before the sidecar is trusted with it. Pure.
//!
//! `source::Examiner`, a search for streams and one reading collect the evidence. Each file has the rules of one
//! subject. A rule reports what it found, what that means and how to repair it. What is unknown is reported as
//! unknown, never guessed.

mod alerts;
mod answers;
mod bugs;
mod cluster;
mod connection;
mod evidence;
mod failed_step;
mod finding;
mod hosted;
mod lease;
mod limits;
mod memory;
mod nodes;
mod permissions;
mod persistence;
mod sentinels;
mod server;
mod streams;
#[cfg(test)]
mod test_evidence;
mod unreachable;

pub(crate) use evidence::Evidence;
pub(crate) use finding::{Area, Diagnosis, Finding, Level};
pub(crate) use lease::words as words_of_stuck_lease;
pub(crate) use unreachable::{unreachable, unused};

/// Diagnoses a server from this evidence.
#[must_use]
pub(crate) fn diagnose(evidence: Evidence<'_>) -> Diagnosis {
    let subjects = [connection::findings, server::findings, cluster::findings];
    let of_streams = [
        bugs::findings,
        permissions::findings,
        memory::findings,
        persistence::findings,
        nodes::findings,
        lease::findings,
        limits::findings,
        streams::findings,
        hosted::findings,
        answers::findings,
        alerts::findings,
    ];
    // Sentinels hold no streams.
    let of_streams = of_streams.iter().filter(|_| !server::is_sentinel(evidence));
    Diagnosis::new(subjects.iter().chain(of_streams).flat_map(|findings| findings(evidence)).collect())
}
