//! The limits of streams: what retention can and can't guarantee for each.

use super::{
    Area::Retention,
    Evidence, Finding,
    Level::{self, Notice, Ok, Problem, Warning},
    finding::{counted, first_names},
};
use crate::{
    config::{Config, Mode, Policy},
    evaluate::{entries, grouped, short},
    model::{Name, StreamState},
    reading::{RetentionReading, StreamReading},
    retention::Plan,
};

/// Maximum number of streams with a finding of their own, the worst first.
const SHOWN: usize = 20;

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let mut findings = configured(evidence.config);
    findings.extend(min_id(evidence));
    let mut streams = by_stream(evidence);
    streams.sort_by_key(|finding| finding.level);
    let more = streams.split_off(streams.len().min(SHOWN));
    findings.append(&mut streams);
    if let Some(worst) = more.first() {
        let verb = if more.len() == 1 { "has" } else { "have" };
        let what = format!("{} {verb} limits", counted(more.len(), "more stream"));
        findings.push(Finding::new(Retention, worst.level, what, "none is worse than those listed"));
    }
    findings
}

/// Findings that need the configuration only.
pub(super) fn configured(config: &Config) -> Vec<Finding> {
    let limits = || config.streams.iter().filter_map(|rule| rule.retention.as_ref());
    let finding = |what: &str, meaning: &str| vec![Finding::new(Retention, Notice, what, meaning)];
    if limits().next().is_none() {
        let meaning =
            "no stream has limits (streams[].retention), so each one grows unless something else trims it";
        return finding("nothing is ever deleted", meaning);
    }
    if !config.retention.enabled {
        return finding("retention is switched off (retention.enabled: false)", "limits are only observed");
    }
    if limits().all(|retention| retention.mode == Mode::Observe) {
        return finding("nothing is ever deleted: all limits are only observed (mode: observe)", "");
    }
    Vec::new()
}

/// Reports a server that can't trim by ID.
fn min_id(evidence: Evidence<'_>) -> Option<Finding> {
    let server = &evidence.facts.server;
    if server.trims_by_id() || !evidence.retains() {
        return None;
    }
    let mut rules = evidence.config.streams.iter().filter_map(|rule| rule.retention.as_ref());
    let level = if rules.all(|it| it.mode == Mode::Observe || is_by_length_alone(it.mode, it.max_length)) {
        Notice
    } else {
        Problem
    };
    let what = match server.version {
        None => "the server does not report its version, and XTRIM MINID is safe only from Redis 6.2.7 on",
        Some(version) if version >= (6, 2, 0) => {
            "XTRIM MINID of this server removes entries above the ID (redis#9410, before 6.2.7)"
        }
        Some(_) => "the server has no XTRIM MINID (Redis 6.2)",
    };
    let meaning = "safe mode and age limits remove nothing and report `unsupported`; strict length limits work. \
         Use Redis 6.2.7 or later, or Valkey";
    Some(Finding::new(Retention, level, what, meaning))
}

fn by_stream(evidence: Evidence<'_>) -> Vec<Finding> {
    let Result::Ok(reading) = evidence.reading else { return Vec::new() };
    // A stream that can't be read has a finding of its own.
    let finding = |stream: StreamReading<'_>| {
        let (state, RetentionReading { policy, plan, .. }) = (stream.read()?, stream.retention?);
        let (level, meaning) = guarantee(evidence, policy, state, plan.as_ref()?);
        let what = format!("{}: {}, {}", stream.name, entries(state.length), limit(policy));
        Some(Finding::new(Retention, level, what, format!("{meaning}{}", exceptions(policy))))
    };
    reading.streams().filter_map(finding).collect()
}

fn limit(policy: &Policy) -> String {
    let length = policy.max_length.map(entries);
    let limits: Vec<String> = length.into_iter().chain(policy.max_age.map(short)).collect();
    let exact = if policy.exact { ", exact" } else { "" };
    format!("limit {}, {}{exact}", limits.join(" and "), policy.mode.as_str())
}

/// What retention guarantees for the stream now.
fn guarantee(evidence: Evidence<'_>, policy: &Policy, state: &StreamState, plan: &Plan) -> (Level, String) {
    let over = grouped(plan.excess);
    if policy.mode == Mode::Observe {
        return (Notice, format!("only observed: nothing is removed; {over} over the limit now"));
    }
    if !evidence.facts.server.trims_by_id() && !is_by_length_alone(policy.mode, policy.max_length) {
        return (Problem, "nothing is removed: this server can't trim by ID".to_owned());
    }
    let node = state.radix_tree_keys.filter(|nodes| *nodes > 0).map_or(0, |nodes| state.length / nodes);
    if node > evidence.config.retention.step && !policy.exact {
        let meaning = format!(
            "a node holds {}, more than retention.step, so no step can remove it: raise retention.step, or \
             set `exact`",
            entries(node)
        );
        return (Problem, meaning);
    }
    if policy.mode == Mode::Strict {
        let meaning =
            "entries beyond the limit are removed even if groups have not read them; losses are counted";
        return (Notice, meaning.to_owned());
    }
    if let Some(blocker) = plan.blocked_by() {
        let at_most = grouped(plan.at_most);
        return (Warning, format!("blocked: {blocker}; {over} over the limit, {at_most} removable"));
    }
    let is_protected = |group: &Name| !policy.ignore_groups.contains(group);
    let groups = match state.groups.iter().filter(|(group, _)| is_protected(group)).count() {
        0 if policy.groups.is_empty() => {
            let meaning = "no group needs protection, so entries beyond the limit are removed. Redis does not track \
                 readers without a group (XREAD); they may lose entries";
            return (Warning, meaning.to_owned());
        }
        1 => "its group".to_owned(),
        count => format!("all {count} groups"),
    };
    let meaning = format!(
        "entries are removed only after {groups} read and acknowledged them; {over} over the limit now; readers without a group \
         (XREAD) are not protected"
    );
    (Ok, meaning)
}

/// The configured exceptions to the guarantee.
fn exceptions(policy: &Policy) -> String {
    let mut text = String::new();
    if let Some(ceiling) = policy.ceiling {
        text += &format!("; above {} the oldest are removed in any case (ceiling)", entries(ceiling));
    }
    if !policy.ignore_groups.is_empty() && policy.mode == Mode::Safe {
        text += &format!("; not protected, as configured: {}", first_names(&policy.ignore_groups));
    }
    text
}

/// Whether these limits need no `MINID`.
fn is_by_length_alone(mode: Mode, max_length: Option<u64>) -> bool {
    mode == Mode::Strict && max_length.is_some()
}

#[cfg(test)]
mod tests {
    use super::super::test_evidence::{Case, RETAIN};
    use super::*;
    use crate::model::Flavour;

    #[test]
    fn a_configuration_that_never_deletes_is_reported() {
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
    fn safe_trimming_needs_a_correct_minid() {
        let strict = "streams: [{match: s, retention: {max_length: 5, mode: strict}}]";
        for (config, flavour, version, level) in [
            (RETAIN, Flavour::Redis, Some((6, 0, 16)), Some(Problem)),
            (RETAIN, Flavour::Redis, Some((6, 2, 6)), Some(Problem)),
            (RETAIN, Flavour::Redis, Some((6, 2, 7)), None),
            (RETAIN, Flavour::Redis, None, Some(Problem)),
            (RETAIN, Flavour::Valkey, None, None),
            (RETAIN, Flavour::Upstash, Some((6, 2, 6)), None),
            (strict, Flavour::Redis, Some((6, 0, 16)), Some(Notice)),
            ("", Flavour::Redis, Some((6, 0, 16)), None),
        ] {
            let mut case = Case::new("redis://h", config);
            (case.facts.server.flavour, case.facts.server.version) = (flavour, version);
            assert_eq!(min_id(case.evidence()).map(|it| it.level), level, "{config} {version:?}");
        }
    }

    #[test]
    fn each_stream_has_its_guarantee() {
        let rule = |more: &str| format!("streams: [{{match: s, retention: {{max_length: 10{more}}}}}]");
        for (config, delivered, nodes, level, words) in [
            (rule(""), Some(100), 1, Ok, "only after its group read and acknowledged them"),
            (
                rule(""),
                Some(20),
                1,
                Warning,
                "blocked: group g has not read the oldest entries; 90 over the limit, 20 removable",
            ),
            (rule(""), None, 1, Warning, "no group needs protection"),
            (rule(", mode: observe"), Some(0), 1, Notice, "nothing is removed; 90 over the limit"),
            (rule(", mode: strict"), Some(0), 1, Notice, "even if groups have not read them"),
            (rule(", ceiling: 50"), Some(100), 1, Ok, "above 50 entries"),
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
        case.facts.server.version = Some((6, 0, 16));
        assert!(by_stream(case.evidence())[0].meaning.contains("can't trim by ID"));
    }
}
