//! The limits of streams: what retention can promise for each, and what it can't.

use super::{
    Area::Retention,
    Evidence, Finding,
    Level::{Notice, Ok, Problem, Warning},
};
use crate::{
    config::{Config, Mode},
    evaluate::{grouped, short},
    model::{Name, StreamState},
    retention::{Plan, Policy, has_min_id},
};

/// Streams that are told one by one, the worst first.
const SHOWN: usize = 20;

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let mut findings = configured(evidence.config);
    findings.extend(min_id(evidence));
    let mut streams = by_stream(evidence);
    streams.sort_by_key(|finding| finding.level);
    let more = streams.split_off(streams.len().min(SHOWN));
    findings.append(&mut streams);
    if let Some(worst) = more.first() {
        let what = format!("{} more streams have limits", more.len());
        findings.push(Finding::new(Retention, worst.level, what, "none fares worse than those told here"));
    }
    findings
}

/// What the configuration says by itself.
pub(super) fn configured(config: &Config) -> Vec<Finding> {
    let limits = || config.streams.iter().filter_map(|rule| rule.retention.as_ref());
    let finding = |what: &str, meaning: &str| vec![Finding::new(Retention, Notice, what, meaning)];
    if limits().next().is_none() {
        let meaning = "no stream has limits (streams[].retention); so every stream grows for as long as it is \
             written to, unless somebody else trims it";
        return finding("nothing is ever deleted", meaning);
    }
    if !config.retention.enabled {
        return finding("retention is switched off (retention.enabled: false)", "limits are only observed");
    }
    if limits().all(|retention| retention.mode == Mode::Observe) {
        return finding("nothing is ever deleted: every limit is only observed (mode: observe)", "");
    }
    Vec::new()
}

/// Whether the server can trim by ID.
fn min_id(evidence: Evidence<'_>) -> Option<Finding> {
    let server = &evidence.facts.server;
    if has_min_id(server) || !evidence.retains() {
        return None;
    }
    let strict = |policy: Mode, length: Option<u64>| policy == Mode::Strict && length.is_some();
    let mut rules = evidence.config.streams.iter().filter_map(|rule| rule.retention.as_ref());
    let level = if rules.all(|it| it.mode == Mode::Observe || strict(it.mode, it.max_length)) {
        Notice
    } else {
        Problem
    };
    let what = match server.version {
        None => "the server does not tell its version, and XTRIM MINID is safe only from Redis 6.2.7 on",
        Some(version) if version >= (6, 2, 0) => {
            "XTRIM MINID of this server removes entries above the ID (redis#9410, before 6.2.7)"
        }
        Some(_) => "the server has no XTRIM MINID (Redis 6.2)",
    };
    let meaning = "safe mode and limits by age remove nothing here and say `unsupported`; strict lengths are kept. \
         Use Redis 6.2.7 or later, or Valkey";
    Some(Finding::new(Retention, level, what, meaning))
}

fn by_stream(evidence: Evidence<'_>) -> Vec<Finding> {
    let Result::Ok(reading) = evidence.reading else { return Vec::new() };
    let finding = |(name, policy): (&Name, Policy)| {
        // A stream that can't be read has a finding of its own.
        let state = reading.snapshot.streams.get(name)?.as_ref().ok()?;
        let plan = Plan::new(&policy, state, reading.report.streams.get(name)?);
        let step = evidence.config.retention.step;
        Some(promise(name, &policy, state, &plan, step))
    };
    evidence.enforced().filter_map(finding).collect()
}

fn promise(name: &Name, policy: &Policy, state: &StreamState, plan: &Plan, step: u64) -> Finding {
    let length = policy.max_length.map(|length| format!("{} entries", grouped(length)));
    let limits: Vec<String> = length.into_iter().chain(policy.max_age.map(short)).collect();
    let what = format!(
        "{name}: {} entries, limit {}, {}{}",
        grouped(state.length),
        limits.join(" and "),
        policy.mode.as_str(),
        if policy.exact { ", exact" } else { "" }
    );
    let node = state.radix_tree_keys.filter(|nodes| *nodes > 0).map(|nodes| state.length / nodes);
    let protected = state.groups.iter().filter(|(group, _)| !policy.ignore_groups.contains(group)).count();
    let (level, mut meaning) = if node.is_some_and(|node| node > step) && !policy.exact {
        let node = grouped(node.unwrap_or_default());
        let meaning = format!(
            "a node of it holds {node} entries, more than retention.step, so no step removes one: raise it, or set \
             `exact`"
        );
        (Problem, meaning)
    } else if policy.mode == Mode::Strict {
        (
            Notice,
            "entries beyond the limit go, whoever has not read them; what groups lose is counted".to_owned(),
        )
    } else if let Some(holder) = plan.blocked_by() {
        (
            Warning,
            format!(
                "blocked now: {holder}; {} over it, {} may go",
                grouped(plan.excess),
                grouped(plan.at_most)
            ),
        )
    } else if protected == 0 && policy.groups.is_empty() {
        let meaning = "it has no group to protect: entries beyond the limit go. Readers without a group (XREAD) are \
             unknown to Redis, and may lose entries";
        (Warning, meaning.to_owned())
    } else {
        let groups =
            if protected == 1 { "its group has".to_owned() } else { format!("its {protected} groups have") };
        let meaning = format!(
            "nothing goes that {groups} not read and acknowledged; {} over it now; readers without a group (XREAD) \
             are not protected",
            grouped(plan.excess)
        );
        (Ok, meaning)
    };
    if let Some(ceiling) = policy.ceiling {
        meaning += &format!("; past {} entries the oldest go all the same (ceiling)", grouped(ceiling));
    }
    if !policy.ignore_groups.is_empty() && policy.mode == Mode::Safe {
        meaning += &format!("; not protected, as configured: {}", super::some(&policy.ignore_groups));
    }
    Finding::new(Retention, level, what, meaning)
}

#[cfg(test)]
mod tests {
    use super::super::{
        Level,
        test_evidence::{Case, RETAIN},
    };
    use super::*;
    use crate::model::Flavour;

    #[test]
    fn what_is_never_deleted_is_said() {
        for (config, words) in [
            ("", "nothing is ever deleted"),
            ("streams: [{match: s}]", "nothing is ever deleted"),
            (
                "retention: {enabled: false}\nstreams: [{match: s, retention: {max_length: 5}}]",
                "switched off",
            ),
            ("streams: [{match: s, retention: {max_length: 5, mode: observe}}]", "only observed"),
            (RETAIN, ""),
        ] {
            let found = configured(&Case::new("redis://h", config).config);
            assert!(found.iter().all(|it| it.what.contains(words)), "{found:?}");
            assert_eq!(found.is_empty(), words.is_empty(), "{config}");
        }
    }

    #[test]
    fn safe_trimming_needs_a_minid_that_can_be_trusted() {
        let strict = "streams: [{match: s, retention: {max_length: 5, mode: strict}}]";
        for (config, flavour, version, level) in [
            (RETAIN, Flavour::Redis, Some((6, 0, 16)), Some(Problem)),
            (RETAIN, Flavour::Redis, Some((6, 2, 6)), Some(Problem)),
            (RETAIN, Flavour::Redis, Some((6, 2, 7)), None),
            (RETAIN, Flavour::Redis, None, Some(Problem)),
            (RETAIN, Flavour::Valkey, None, None),
            (strict, Flavour::Redis, Some((6, 0, 16)), Some(Notice)),
            ("", Flavour::Redis, Some((6, 0, 16)), None),
        ] {
            let mut case = Case::new("redis://h", config);
            (case.facts.server.flavour, case.facts.server.version) = (flavour, version);
            assert_eq!(min_id(case.evidence()).map(|it| it.level), level, "{config} {version:?}");
        }
    }

    #[test]
    fn each_stream_has_its_promise() {
        let rule = |more: &str| format!("streams: [{{match: s, retention: {{max_length: 10{more}}}}}]");
        for (config, delivered, nodes, level, words) in [
            (rule(""), Some(100), 1, Ok, "nothing goes that its group has not read"),
            (
                rule(""),
                Some(20),
                1,
                Warning,
                "blocked now: group g was not given the oldest entries; 90 over it, 20",
            ),
            (rule(""), None, 1, Warning, "no group to protect"),
            (rule(", mode: strict"), Some(0), 1, Notice, "whoever has not read them"),
            (rule(", ceiling: 50"), Some(100), 1, Ok, "past 50 entries"),
            (rule(", ignore_groups: [g]"), Some(0), 1, Warning, "as configured: g"),
        ] {
            let mut case = Case::new("redis://h", &config);
            case.stream("s", 100, nodes, delivered);
            let found: Vec<(Level, String)> =
                by_stream(case.evidence()).into_iter().map(|it| (it.level, it.meaning)).collect();
            assert_eq!(found.len(), 1, "{config}");
            assert!(found[0].0 == level && found[0].1.contains(words), "{config}: {found:?}");
        }
        let mut case = Case::new("redis://h", RETAIN);
        case.stream("s", 100_000, 1, Some(100_000));
        assert_eq!(by_stream(case.evidence())[0].level, Problem, "one giant node");
    }
}
