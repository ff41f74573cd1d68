//! The streams: which expected ones are missing, and what can't be determined for existing ones.

use super::{
    Area::Streams,
    Evidence, Finding,
    Level::{self, Notice, Ok, Problem, Warning},
    finding::{counted, first_names},
};
use crate::{
    config::StreamRule,
    evaluate::{Age, clock_behind, grouped, short},
    model::{Failure, Name, Reason, StreamId, StreamState},
    reading::{Reading, StreamReading},
};

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let mut findings = vec![found(evidence)];
    let unreached = evidence.config.unreached();
    findings.extend(
        unreached.map(|setting| {
            Finding::new(Streams, Warning, format!("{} is ignored", setting.at), setting.reason)
        }),
    );
    match evidence.reading {
        Result::Ok(reading) => {
            findings.extend(unreadable(evidence, reading));
            findings.extend(missing_groups(reading));
            findings.extend(ids(reading));
        }
        Err(failure) => {
            let what = "the streams could not be read";
            findings.push(Finding::new(Streams, Problem, what, failure.to_string()));
        }
    }
    findings.extend(expiring(evidence));
    findings
}

fn found(evidence: Evidence<'_>) -> Finding {
    let grouped_len = |count: usize| grouped(u64::try_from(count).unwrap_or(u64::MAX));
    let limit = grouped_len(evidence.config.limits.streams);
    let streams = match evidence.streams {
        Result::Ok(streams) => streams,
        Err(failure) => {
            let what =
                "the search for streams failed; streams that the configuration names are still checked";
            return Finding::new(Streams, Problem, what, failure.to_string());
        }
    };
    let count = streams.streams.len();
    if streams.dropped > 0 {
        let what = format!("{} than limits.streams, {limit}", counted(streams.dropped, "more stream"));
        return Finding::new(
            Streams,
            Warning,
            what,
            "the last ones by name are not watched: raise the limit, or exclude some",
        );
    }
    if count == 0 {
        let what = format!("no stream in database {} matches the configuration", evidence.address.database());
        let meaning = "new streams are found within poll.discovery_interval";
        return Finding::new(Streams, Notice, what, meaning);
    }
    let what = format!("each poll reads {}, of at most {limit}", counted(count, "stream"));
    Finding::new(Streams, Ok, what, "")
}

/// One finding about all these streams; `None` without streams.
fn about(level: Level, streams: &[&Name], what: &str, meaning: &str) -> Option<Finding> {
    if streams.is_empty() {
        return None;
    }
    let names = first_names(streams.iter().copied());
    Some(Finding::new(Streams, level, format!("{what}: {names}"), meaning))
}

fn unreadable(evidence: Evidence<'_>, reading: &Reading) -> Vec<Finding> {
    let failed = |is_it: &dyn Fn(&Failure) -> bool| -> Vec<&Name> {
        let failed = reading.streams().filter(|stream| stream.state.as_ref().err().is_some_and(is_it));
        failed.map(|stream| stream.name).collect()
    };
    let database = evidence.address.database();
    let of_another = format!("it was deleted, evicted or renamed, or is in a database other than {database}");
    let other = failed(&|failure| !failure.is_absence());
    let reason = other.first().and_then(|name| reading.stream(name)?.state.as_ref().err());
    [
        about(Problem, &failed(&|it| it.reason == Reason::NoKey), "configured but missing", &of_another),
        about(
            Problem,
            &failed(&|it| it.reason == Reason::WrongType),
            "configured but not a stream",
            "the key holds another type",
        ),
        about(Problem, &other, "can't be read", &reason.map(ToString::to_string).unwrap_or_default()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The streams that could be read.
fn readable(reading: &Reading) -> impl Iterator<Item = (StreamReading<'_>, &StreamState)> {
    reading.streams().filter_map(|stream| Some((stream, stream.read()?)))
}

fn missing_groups(reading: &Reading) -> Option<Finding> {
    let missing: Vec<String> = readable(reading)
        .flat_map(|(stream, _)| {
            let missing = stream.groups().filter(|group| group.present() == Some(false));
            missing.map(move |group| format!("{} of {}", group.name, stream.name))
        })
        .collect();
    let names: Vec<Name> = missing.iter().map(|text| Name::from(text.as_str())).collect();
    let meaning =
        "its consumers get NOGROUP, and safe retention removes nothing: create it with XGROUP CREATE";
    about(Problem, &names.iter().collect::<Vec<_>>(), "missing groups", meaning)
}

/// Reports IDs that are not times, or are ahead of the server's clock.
fn ids(reading: &Reading) -> Vec<Finding> {
    let mut timed = Vec::new();
    let mut untimed = Vec::new();
    let mut ahead = Vec::new();
    let mut unmeasured = Vec::new();
    for (stream, state) in readable(reading) {
        let Some(last) = state.last_generated_id.filter(|id| *id != StreamId::ZERO) else { continue };
        let Some(now) = stream.server_time() else { continue };
        let is_time = clock_behind(last, now).is_none() && Age::of(last, now).is_some();
        if !is_time && stream.rule().is_some_and(|rule| rule.slo.is_some()) {
            unmeasured.push(stream.name);
        }
        if clock_behind(last, now).is_some() {
            ahead.push(stream.name);
        } else if Age::of(last, now).is_none() {
            let needs_time = stream.rule().is_some_and(needs_time);
            if needs_time { timed.push(stream.name) } else { untimed.push(stream.name) }
        }
    }
    [
        about(
            Problem,
            &timed,
            "age limits or age thresholds, but IDs that are not times",
            "max_age removes nothing, and lag_age, pending_age and silence never fire: use limits and thresholds on \
             numbers of entries",
        ),
        about(
            Problem,
            &unmeasured,
            "objectives (slo), but IDs that are not times of the server's clock",
            "nothing is measured of their entries, and no alert about an error budget fires: let Redis make the IDs (XADD *)",
        ),
        about(Notice, &untimed, "IDs that are not times", "ages are unknown, and losses are not counted"),
        about(
            Warning,
            &ahead,
            "IDs ahead of the server's clock",
            "ages are unknown and age alerts can't fire until the clock has caught up: was it set back, did a failover lead \
             to a server whose clock is behind, or does a producer with a wrong clock make IDs of its own?",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn needs_time(rule: &StreamRule) -> bool {
    let thresholds = &rule.thresholds;
    rule.retention.as_ref().is_some_and(|retention| retention.max_age.is_some())
        || thresholds.lag_age.is_some()
        || thresholds.pending_age.is_some()
        || thresholds.silence.is_some()
}

fn expiring(evidence: Evidence<'_>) -> Option<Finding> {
    match &evidence.rights.as_ref().ok()?.expiring {
        Result::Ok(expiring) => {
            let (soonest, left) = expiring.iter().min_by_key(|(_, left)| **left)?;
            let names: Vec<&Name> = expiring.keys().collect();
            let meaning = format!(
                "each is deleted whole, with its groups and unread entries; {soonest} in {}: PERSIST prevents it",
                short(*left)
            );
            about(Warning, &names, "streams that expire", &meaning)
        }
        Err(failure) => Some(Finding::unknown(Streams, "whether streams expire", "ttl", failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_evidence::Case;
    use std::time::Duration;

    use super::*;
    use crate::config::Discovered;

    fn levels(case: &Case) -> Vec<(Level, String)> {
        findings(case.evidence()).into_iter().map(|it| (it.level, it.what)).collect()
    }

    #[test]
    fn streams_that_are_named_and_cannot_be_read_are_problems() {
        for (reason, words) in [
            (Reason::NoKey, "configured but missing: s"),
            (Reason::WrongType, "configured but not a stream: s"),
            (Reason::Moved, "can't be read: s"),
        ] {
            let mut case = Case::new("redis://h", "streams: [{match: s}]");
            case.failed("s", reason);
            assert_eq!(levels(&case)[1], (Problem, words.to_owned()));
        }
    }

    #[test]
    fn missing_groups_are_reported_if_the_configuration_expects_them() {
        let mut case = Case::new("redis://h", "streams: [{match: s, groups: [g, other]}]");
        case.stream("s", 100, 1, Some(100));
        assert!(levels(&case)[1].1.ends_with("missing groups: other of s"), "{:?}", levels(&case));
    }

    #[test]
    fn ids_that_are_not_times_are_reported() {
        let aged = "streams: [{match: s, retention: {max_age: 30d}}]";
        let timed = "streams: [{match: s, slo: {delivery: 1s}}]";
        for (config, last_ms, expected) in [
            ("", Case::NOW_MS, None),
            ("", Case::NOW_MS + 60_000, Some(Warning)),
            ("", Case::NOW_MS + 100_000_000, Some(Warning)),
            ("", 10 * Case::NOW_MS, Some(Notice)),
            ("", 5, Some(Notice)),
            (aged, 5, Some(Problem)),
            (aged, Case::NOW_MS, None),
            (timed, 5, Some(Problem)),
            (timed, Case::NOW_MS + 60_000, Some(Problem)),
            (timed, Case::NOW_MS, None),
        ] {
            let mut case = Case::new("redis://h", config);
            case.stream("s", 100, 1, Some(100));
            case.last_id("s", StreamId::new(last_ms, 0));
            assert_eq!(levels(&case).get(1).map(|it| it.0), expected, "{config} {last_ms}");
        }
    }

    #[test]
    fn the_number_of_streams_is_compared_with_the_limit() {
        for (count, dropped, level) in [(0, 0, Notice), (2, 0, Ok), (2, 5, Warning)] {
            let mut case = Case::new("redis://h", "");
            let streams = (0..count).map(|index| Name::from(format!("s{index}").as_str())).collect();
            case.streams = Result::Ok(Discovered { streams, dropped, ..Discovered::default() });
            assert_eq!(levels(&case)[0].0, level);
        }
    }

    #[test]
    fn expiring_streams_are_reported_with_the_first_to_expire() {
        let mut case = Case::new("redis://h", "");
        let expiring =
            [("a", 100), ("b", 50)].map(|(name, left)| (Name::from(name), Duration::from_secs(left)));
        case.rights.as_mut().unwrap().expiring = Result::Ok(expiring.into());
        let last = findings(case.evidence()).pop().unwrap();
        assert!(last.level == Warning && last.meaning.contains("b in 50s"), "{last:?}");
    }
}
