//! Limits of hosted services that Redis does not have, as documented, and how close the streams are to them.

use super::{
    Area::{Memory, Server, Streams},
    Evidence, Finding,
    Level::{Notice, Ok, Unknown, Warning},
    finding::first_names,
};
use crate::{
    evaluate::{NearLimit, grouped},
    model::{GroupState, Name, Section, StreamState},
};

/// An estimate from one entry may be wrong by this factor.
const ESTIMATE_FACTOR: u64 = 2;
const MB: u64 = 1_000_000;

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let terms = evidence.facts.server.terms();
    let pending = terms.consumer_pending.map(|limit| pending(evidence, limit));
    let size = terms.stream_bytes.map(|limit| size(evidence, limit));
    let lag = if terms.reads_may_lag { Some(reads_may_lag()) } else { None };
    let eviction = if terms.evicts_any_key { eviction(evidence) } else { None };
    [pending, size, lag, eviction].into_iter().flatten().collect()
}

/// The streams that could be read.
fn streams<'a>(evidence: Evidence<'a>) -> impl Iterator<Item = (&'a Name, &'a StreamState)> {
    let streams = evidence.reading.iter().flat_map(|reading| &reading.snapshot.streams);
    streams.filter_map(|(name, state)| Some((name, state.as_ref().ok()?)))
}

fn pending(evidence: Evidence<'_>, limit: u64) -> Finding {
    let is_near =
        |group: &GroupState| NearLimit::of(group.most_pending.map(u64::from), Some(limit)).is_some();
    let near = streams(evidence).filter(|(_, state)| state.groups.values().any(is_near));
    let near: Vec<&Name> = near.map(|(name, _)| name).collect();
    let limit = grouped(limit);
    if near.is_empty() {
        let what = format!("a consumer may have {limit} pending entries");
        let meaning =
            "at that number it receives no more entries; its group has a warning from 80 % of it on";
        return Finding::new(Streams, Notice, what, meaning);
    }
    let what = format!("a consumer is close to {limit} pending entries: {}", first_names(near));
    let meaning = "at that number it receives no more entries until it acknowledges some or others claim them: \
         docs/src/runbooks/RedisStreamConsumerNearPendingLimit.md";
    Finding::new(Streams, Warning, what, meaning)
}

fn size(evidence: Evidence<'_>, limit: u64) -> Finding {
    let estimate = |state: &StreamState| state.length.saturating_mul(state.first_entry_bytes);
    let mut large: Vec<(u64, &Name)> =
        streams(evidence).map(|(name, state)| (estimate(state), name)).collect();
    large.retain(|(bytes, _)| *bytes >= limit / ESTIMATE_FACTOR);
    large.sort_unstable_by(|one, other| other.cmp(one));
    let limit = grouped(limit / MB);
    let Some((bytes, _)) = large.first() else {
        let what = format!("a stream may hold {limit} MB");
        let meaning = "no stream is close to that, estimated from length and first entry";
        return Finding::new(Streams, Ok, what, meaning);
    };
    let bytes = grouped(bytes / MB);
    let what = format!(
        "close to {limit} MB, the maximum size of a stream: {}",
        first_names(large.iter().map(|it| it.1))
    );
    let meaning = format!(
        "the largest has about {bytes} MB, estimated from length and first entry; at the limit nothing can be added \
         (\"max single record size exceeded\"), but trimming still works: set a max_length"
    );
    Finding::new(Streams, Warning, what, meaning)
}

fn reads_may_lag() -> Finding {
    let what = "a new connection may reach a replica that lags behind";
    let meaning = "so older data after a reconnect counts neither as a rewind nor as a recreated stream";
    Finding::new(Server, Notice, what, meaning)
}

/// If the server reports its eviction policy, the rules for Redis apply.
fn eviction(evidence: Evidence<'_>) -> Option<Finding> {
    let info = evidence.facts.info(Section::Memory).ok()?;
    if info.get("maxmemory_policy").is_some() {
        return None;
    }
    let what = "whether eviction is enabled: unknown";
    let meaning = "the server does not report it; if it is enabled, any key may be evicted at random, a stream with its \
         groups too: switch it off in the service's console";
    Some(Finding::new(Memory, Unknown, what, meaning))
}

#[cfg(test)]
mod tests {
    use nonmax::NonMaxU64;

    use super::super::test_evidence::Case;
    use super::*;
    use crate::model::Flavour;

    fn upstash() -> Case {
        let mut case = Case::new("redis://h", "");
        case.facts.server.flavour = Flavour::Upstash;
        case
    }

    fn actual(case: &Case) -> Vec<String> {
        let found = findings(case.evidence());
        found.into_iter().map(|it| format!("{} {} {}", it.level.as_str(), it.what, it.meaning)).collect()
    }

    #[test]
    fn a_self_hosted_server_has_no_such_limits() {
        assert_eq!(actual(&Case::new("redis://h", "")), [""; 0]);
    }

    #[test]
    fn limits_are_reported_and_warned_of_when_streams_are_close_to_them() {
        for (most_pending, bytes, levels) in
            [(799, 1, ["notice", "ok"]), (800, 1, ["warning", "ok"]), (0, 500_000, ["notice", "warning"])]
        {
            let mut case = upstash();
            case.stream("s", 100, 1, Some(100));
            case.change("s", |stream| {
                stream.first_entry_bytes = bytes;
                let most_pending = NonMaxU64::new(most_pending);
                stream.groups.values_mut().for_each(|group| group.most_pending = most_pending);
            });
            let actual = actual(&case);
            assert!(actual.iter().zip(levels).all(|(text, level)| text.starts_with(level)), "{actual:?}");
        }
    }

    #[test]
    fn eviction_is_unknown_unless_the_server_reports_it() {
        let mut case = upstash();
        assert!(actual(&case).iter().any(|text| text.starts_with("unknown whether eviction is enabled")));
        case.info(Section::Memory, "maxmemory_policy:optimistic-volatile");
        assert!(!actual(&case).iter().any(|text| text.contains("eviction")));
    }
}
