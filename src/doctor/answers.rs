//! Replies that exceed the server's limits: it disconnects a client when too much output waits for it.

use super::{
    Area::Streams,
    Evidence, Finding,
    Level::{Notice, Ok, Warning},
    finding::first_names,
};
use crate::{
    evaluate::grouped,
    model::{Failure, Name, Reason, Setting, StreamState},
};

/// Size of these in a reply to `XINFO STREAM FULL`, measured on Redis 7.0 to 8.6 and rounded up.
const CONSUMER_BYTES: u64 = 200;
const GROUP_BYTES: u64 = 300;
/// What a server holds for a client in addition to its reply. There are other clients, too.
const CLIENT_BYTES: u64 = 64 * 1024;

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let outputs = evidence.facts.setting(Setting::OutputLimit);
    let clients = evidence.facts.setting(Setting::ClientMemory);
    let limits = [
        outputs.as_ref().ok().and_then(|value| Limit::of_outputs(value)),
        clients.as_ref().ok().and_then(|value| Limit::of_clients(value)),
    ];
    let is_known = outputs.is_ok();
    let mut findings: Vec<Finding> =
        limits.into_iter().flatten().map(|limit| limit.finding(evidence)).collect();
    if findings.is_empty() && is_known {
        findings.push(Finding::new(Streams, Ok, "the server sends replies of any size", ""));
    }
    findings.extend(too_large(evidence));
    findings
}

/// A limit on the output that waits for a client.
struct Limit {
    what: String,
    bytes: u64,
}

impl Limit {
    /// Parses `normal HARD SOFT SECONDS` among other classes; 0 means no limit. The soft limit does not matter:
    /// replies are read within seconds.
    fn of_outputs(value: &str) -> Option<Self> {
        let mut words = value.split_whitespace().skip_while(|word| *word != "normal").skip(1);
        let bytes: u64 = words.next()?.parse().ok().filter(|bytes| *bytes > 0)?;
        let what = format!(
            "client-output-buffer-limit disconnects a client with {} bytes of output",
            grouped(bytes)
        );
        Some(Self { what, bytes })
    }

    /// Parses bytes; 0 means no limit. A percentage is relative to `maxmemory` and is ignored.
    fn of_clients(value: &str) -> Option<Self> {
        let bytes: u64 = value.parse().ok().filter(|bytes| *bytes > 0)?;
        let what =
            format!("maxmemory-clients disconnects clients when all together use {} bytes", grouped(bytes));
        Some(Self { what, bytes: bytes.saturating_sub(CLIENT_BYTES) })
    }

    fn finding(self, evidence: Evidence<'_>) -> Finding {
        let larger: Vec<&Name> =
            streams(evidence).filter(|(_, bytes)| *bytes > self.bytes).map(|(name, _)| name).collect();
        let largest = streams(evidence).map(|(_, bytes)| bytes).max().unwrap_or(0);
        if larger.is_empty() {
            let meaning = format!("the largest reply for a stream has about {} bytes", grouped(largest));
            return Finding::new(Streams, Ok, self.what, meaning);
        }
        let meaning = format!(
            "these streams have larger replies, so they are read without consumers or entries: {}; raise the limit to \
             at least {} bytes",
            first_names(larger),
            grouped(largest.saturating_mul(2))
        );
        Finding::new(Streams, Notice, self.what, meaning)
    }
}

/// The streams that could be read, with the approximate size of a reply to `XINFO STREAM FULL`.
fn streams(evidence: Evidence<'_>) -> impl Iterator<Item = (&Name, u64)> {
    let bytes = |state: &StreamState| {
        let groups = state.groups.values();
        let groups = groups
            .map(|group| group.consumer_count.saturating_mul(CONSUMER_BYTES).saturating_add(GROUP_BYTES));
        groups.fold(state.first_entry_bytes, u64::saturating_add)
    };
    let all = evidence.reading.iter().flat_map(|reading| reading.snapshot.streams.iter());
    all.filter_map(move |(name, state)| Some((name, bytes(state.as_ref().ok()?))))
}

/// Streams whose reply exceeds the limits.
fn too_large(evidence: Evidence<'_>) -> Option<Finding> {
    let all = evidence.reading.iter().flat_map(|reading| reading.snapshot.streams.iter());
    let is_too_large = |state: &Result<StreamState, Failure>| matches!(state, Err(failure) if failure.reason == Reason::TooLarge);
    let too_large: Vec<&Name> = all.filter(|(_, state)| is_too_large(state)).map(|(name, _)| name).collect();
    if too_large.is_empty() {
        return None;
    }
    let what = format!(
        "the reply exceeds the server's limits, so it closes the connection: {}",
        first_names(too_large.iter().copied())
    );
    let meaning = "raise client-output-buffer-limit for normal clients and maxmemory-clients, or remove unused groups \
         and consumers";
    Some(Finding::new(Streams, Warning, what, meaning))
}

#[cfg(test)]
mod tests {
    use super::super::test_evidence::Case;
    use super::*;

    #[test]
    fn a_limit_is_reported_with_its_effect_on_these_streams() {
        let mut case = Case::new("redis://h", "");
        case.stream("s", 10, 1, Some(5));
        let none = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
        for (outputs, clients, words) in [
            (none, "0", vec!["sends replies of any size"]),
            (none, "10%", vec!["sends replies of any size"]),
            (&none.replace("normal 0", "normal 1048576"), "0", vec!["with 1,048,576 bytes of output"]),
            (&none.replace("normal 0", "normal 200"), "65700", vec!["s; raise", "s; raise"]),
            ("refused", "refused", vec![]),
        ] {
            case.set(Setting::OutputLimit, outputs);
            case.set(Setting::ClientMemory, clients);
            let findings = findings(case.evidence());
            let lines: Vec<String> =
                findings.iter().map(|finding| format!("{}: {}", finding.what, finding.meaning)).collect();
            assert_eq!(lines.len(), words.len(), "{outputs}, {clients}: {lines:?}");
            for (line, words) in lines.iter().zip(words) {
                assert!(line.contains(words), "{line}");
            }
        }
    }

    #[test]
    fn a_stream_whose_reply_is_too_large_is_a_warning() {
        let mut case = Case::new("redis://h", "");
        case.failed("crowd", Reason::TooLarge);
        let findings = findings(case.evidence());
        assert!(findings.iter().any(|it| it.level == Warning && it.what.ends_with("connection: crowd")));
    }
}
