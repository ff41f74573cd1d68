//! Which key has the dead letters of a stream, and which streams hold dead letters.
//!
//! Both follow from the configuration and the name alone: what was set aside stays protected after its stream is gone.

use std::{ptr, sync::Arc};

use super::{
    Config, DeadLetterKey, DeadLetterRule, Pattern, StreamRule, dead_letter_key::KEY, pattern::literal,
    probe::is_of_probe,
};
use crate::{
    model::{Name, Slot},
    stuck::{DEFAULT_BEGIN, DEFAULT_PREFIX, dead_letters_of, origins_of},
};

impl DeadLetterRule {
    /// The key of this stream's dead letters; `None` if it needs `to`.
    #[must_use]
    pub fn key(&self, stream: &Name) -> Option<Name> {
        self.to.as_ref().map_or_else(|| dead_letters_of(stream), |to| Some(to.of(stream)))
    }
}

/// What a stream of dead letters follows from.
struct Kept<'a> {
    /// What its key begins with, like those of the same rule.
    beginning: &'a str,
    /// The stream that they are from; `None` if they are from several.
    origin: Option<Name>,
    /// The rule that sets them aside; `None` if only commands do.
    rule: Option<&'a DeadLetterRule>,
}

impl Kept<'_> {
    /// Whether a rule is for them: it names their key, or is a glob with the same beginning that their origin does not match.
    fn has(&self, rule: &StreamRule) -> bool {
        match &rule.pattern {
            Pattern::Name(_) => true,
            Pattern::Glob(_) => {
                let begins_so = literal(rule.pattern.glob().unwrap_or_default()).starts_with(self.beginning);
                let is_of_origin = self.origin.as_ref().is_some_and(|origin| rule.pattern.matches(origin));
                !self.beginning.is_empty() && begins_so && !is_of_origin
            }
        }
    }
}

impl Config {
    /// The key of a stream's dead letters: by its rule, else by default. `None` if there is no default.
    #[must_use]
    pub fn dead_letters(&self, stream: &Name) -> Option<Name> {
        let rule = self.rule(stream).and_then(|rule| rule.dead_letter.as_ref());
        rule.map_or_else(|| dead_letters_of(stream), |rule| rule.key(stream))
    }

    /// The rule that sets entries aside in this key, if one does.
    #[must_use]
    pub fn rule_of_dead_letters(&self, key: &Name) -> Option<&DeadLetterRule> {
        self.kept_in(key)?.rule
    }

    /// What the names of the fields begin with that dead letters in this key have: as their rule says, else the default.
    #[must_use]
    pub fn prefix_of_dead_letters(&self, key: &Name) -> &str {
        self.rule_of_dead_letters(key).map_or(DEFAULT_PREFIX, |rule| &rule.prefix)
    }

    /// Whether a stream holds the dead letters of another one.
    #[must_use]
    pub fn holds_dead_letters(&self, key: &Name) -> bool {
        self.kept_in(key).is_some()
    }

    /// The rule of a stream. For one that holds dead letters it is `None`, unless the rule is for these: a common rule is not meant for what failed.
    pub(super) fn rule_of(&self, stream: &Name) -> (Option<&Arc<StreamRule>>, bool) {
        let rule = self.streams.rule(stream);
        match self.kept_in(stream) {
            None => (rule, false),
            Some(kept) => (rule.filter(|rule| kept.has(rule)), true),
        }
    }

    /// The dead letters that a stream holds, if it holds some.
    fn kept_in(&self, key: &Name) -> Option<Kept<'_>> {
        if let Some(origin) = origins_of(key).find(|origin| self.watches(origin)) {
            let rule = self.rule(&origin).and_then(|rule| rule.dead_letter.as_ref());
            let rule = rule.filter(|rule| rule.to.is_none());
            return Some(Kept { beginning: DEFAULT_BEGIN, origin: Some(origin), rule });
        }
        let (rule, to) = self.rule_to(key)?;
        Some(Kept { beginning: to.beginning(), origin: to.origin(key), rule: rule.dead_letter.as_ref() })
    }

    /// Whether the `to` of a rule is this key, or becomes it.
    #[must_use]
    pub fn names_for_dead_letters(&self, key: &Name) -> bool {
        self.rule_to(key).is_some()
    }

    /// The rule whose `to` is this key, or becomes it.
    fn rule_to(&self, key: &Name) -> Option<(&StreamRule, &DeadLetterKey)> {
        let is_of = |rule: &StreamRule, to: &DeadLetterKey| match to.origin(key) {
            Some(origin) => {
                let first = self.streams.rule(&origin);
                first.is_some_and(|first| ptr::eq(Arc::as_ptr(first), rule)) && !self.excludes(&origin)
            }
            None => to.is_only(key),
        };
        let mut of_rules =
            self.streams.iter().filter_map(|rule| Some((rule, rule.dead_letter.as_ref()?.to.as_ref()?)));
        of_rules.find(|(rule, to)| is_of(rule, to))
    }

    /// Rules whose entries can't be set aside where they say, each as its key and what is wrong.
    pub(super) fn misplaced_dead_letters(&self) -> Vec<(String, String)> {
        let rules = self.streams.iter().enumerate();
        let rules = rules.filter_map(|(index, rule)| Some((index, rule, rule.dead_letter.as_ref()?)));
        let problem = |(index, rule, dead_letter): (usize, &StreamRule, &DeadLetterRule)| {
            let what = self.misplaced(&rule.pattern, dead_letter)?;
            Some((format!("streams[{index}].dead_letter.to"), what))
        };
        rules.filter_map(problem).collect()
    }

    fn misplaced(&self, pattern: &Pattern, rule: &DeadLetterRule) -> Option<String> {
        // Of a glob that is a beginning and a `*`, one of its keys stands for all.
        let (stream, is_sample) = match (pattern.exact(), pattern.prefix()) {
            (Some(name), _) => (name.clone(), false),
            (None, Some(prefix)) if rule.to.is_some() => (format!("{prefix}x").as_str().into(), true),
            _ => return None,
        };
        let Some(key) = rule.key(&stream) else {
            return Some(format!(
                "is missing: {stream} has no default key for dead letters in its slot of a cluster"
            ));
        };
        if key == stream {
            return Some("must be another key than that of the stream".to_owned());
        }
        if key.as_bytes() == self.retention.lease_key.as_bytes() {
            return Some(format!("must not be {key}, the key of the lease (retention.lease_key)"));
        }
        if is_of_probe(&key) {
            return Some(format!(
                "must not be {key}: streams with such names are those of probes and benches"
            ));
        }
        if let Some(other) = self.rule_of_dead_letters(&key).filter(|other| other.prefix != rule.prefix) {
            return Some(format!(
                "leads to {key}, as another rule does whose prefix is {}, not {}: dead letters of one key need one prefix",
                other.prefix, rule.prefix
            ));
        }
        if self.holds_dead_letters(&stream) && !is_sample {
            return Some(format!(
                "{stream} holds dead letters, which are not moved again; remove `dead_letter`"
            ));
        }
        let of_key =
            self.streams.rule(&key).filter(|of_key| of_key.dead_letter.is_some() && rule.to.is_some());
        if let Some(of_key) = of_key.filter(|_| !self.excludes(&key)) {
            return Some(format!(
                "leads to {key}, which the rule `match: {}` watches to set entries aside as well: dead letters are not moved again. Put a \
                 rule for {key} without `dead_letter` before it, or choose another key",
                of_key.pattern
            ));
        }
        let is_cluster = !self.redis.nodes.is_empty() || !self.redis.cluster_address_map.is_empty();
        (is_cluster && Slot::of(key.as_bytes()) != Slot::of(stream.as_bytes())).then(|| {
            format!("leads from {stream} to {key}, which is in another slot of the cluster; give both the same hash tag, as in dead:{{{KEY}}}")
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Watched, Watchlist, check_in, test_config::config};

    const RULE: &str = "after_deliveries: 8, idle: 10m";
    const LIMIT: &str = "retention: {max_length: 5}";

    fn dead_letters(yaml: &str, stream: &str) -> Option<String> {
        config(yaml).dead_letters(&stream.into()).map(|key| key.to_string())
    }

    #[test]
    fn dead_letters_are_where_the_rule_says_and_by_default_beside_the_stream() {
        let with = |to: &str| {
            format!(
                "streams: [{{match: '*:dlq'}}, {{match: 'a*', dead_letter: {{{RULE}{to}}}}}, {{match: b}}]"
            )
        };
        for (to, stream, key) in [
            ("", "a", Some("dead:{a}")),
            ("", "a}b", None),
            (", to: 'failed:{%s}'", "a}b", Some("failed:{a}b}")),
            (", to: '%s:dlq'", "a", Some("a:dlq")),
            (", to: 'x{y}'", "a", Some("x{y}")),
            (", to: 'x'", "b", Some("dead:{b}")),
        ] {
            assert_eq!(dead_letters(&with(to), stream).as_deref(), key, "{to} {stream}");
        }
    }

    #[test]
    fn a_stream_of_dead_letters_is_known_by_its_name_alone() {
        let yaml = format!(
            "exclude: ['old*']\nstreams:\n  - {{match: 'a*', dead_letter: {{{RULE}, to: 'failed:{{%s}}'}}}}\n  - {{match: 'c*', \
             dead_letter: {{{RULE}, to: every}}}}\n  - {{match: 'old*', dead_letter: {{{RULE}, to: '%s-dead'}}}}\n  - {{match: b}}"
        );
        let config = config(&yaml);
        for (key, is) in [
            ("failed:{a1}", true),
            ("failed:{b}", false),
            ("failed:{}", false),
            ("failed:a1", false),
            ("every", true),
            ("every2", false),
            ("dead:{a1}", true),
            ("dead:{b}", true),
            ("dead:{x}", false),
            ("old-dead", false),
            ("a1", false),
        ] {
            assert_eq!(config.holds_dead_letters(&key.into()), is, "{key}");
        }
    }

    #[test]
    fn only_a_limit_that_is_for_dead_letters_applies_to_them() {
        let limit = |length: u32| format!("groups: [g], retention: {{max_length: {length}}}");
        let to = "{match: 'a*', dead_letter: {after_deliveries: 8, idle: 10m, to: 'failed:{%s}'}}";
        let default = "{match: 'a*', dead_letter: {after_deliveries: 8, idle: 10m}}";
        for (rules, key, applies) in [
            (format!("{to}, {{match: '*', {}}}", limit(1)), "failed:{a}", None),
            (format!("{to}, {{match: 'f*', {}}}", limit(1)), "failed:{a}", None),
            (format!("{to}, {{match: 'failed:*', {}}}", limit(2)), "failed:{a}", Some(2)),
            (
                format!("{to}, {{match: 'failed:{{a}}', {}}}, {{match: '*', {}}}", limit(3), limit(4)),
                "failed:{a}",
                Some(3),
            ),
            // A glob that begins like the key but is for the origins.
            (
                format!(
                    "{{match: 'a:b', dead_letter: {{after_deliveries: 8, idle: 10m, to: 'a:{{%s}}:dead'}}}}, {{match: 'a:*', {}}}",
                    limit(1)
                ),
                "a:{a:b}:dead",
                None,
            ),
            (format!("{default}, {{match: '*', {}}}", limit(1)), "dead:{a}", None),
            (format!("{default}, {{match: '{{dead,x}}:*', {}}}", limit(1)), "dead:{a}", None),
            (format!("{default}, {{match: 'dead:*', {}}}", limit(2)), "dead:{a}", Some(2)),
            (format!("{default}, {{match: '*', {}}}", limit(5)), "b", Some(5)),
        ] {
            let config = config(&format!("streams: [{rules}]"));
            let list = Watchlist::new(&config, [key.into()]);
            let watched = list.get(&key.into()).unwrap();
            let its_own = watched.policy.as_ref().and_then(|policy| policy.max_length);
            assert_eq!((its_own, watched.groups().is_empty()), (applies, applies.is_none()), "{rules} {key}");
            assert!(watched.dead_letter().is_none());
        }
    }

    #[test]
    fn limits_of_a_glob_are_common_unless_they_are_for_dead_letters() {
        let config = config(&format!(
            "streams: [{{match: 'dead:*', {LIMIT}}}, {{match: exact, {LIMIT}}}, {{match: 'failed:*', {LIMIT}}}, \
             {{match: 'a*', {LIMIT}, dead_letter: {{{RULE}, to: 'failed:{{%s}}'}}}}, {{match: '*', {LIMIT}}}]"
        ));
        let names = ["dead:x", "exact", "failed:{a}", "failed:b", "a", "b"].map(Into::into);
        let list = Watchlist::new(&config, names);
        let spares =
            |watched: &&Watched| watched.policy.as_ref().is_some_and(|policy| policy.spares_dead_letters);
        let spared = list.iter().filter(spares).map(|watched| watched.name.to_string());
        assert_eq!(spared.collect::<Vec<_>>(), ["a", "b", "failed:b"]);
        assert!(list.iter().all(|watched| watched.policy.is_some()));
    }

    fn problems(yaml: &str) -> String {
        let yaml = format!("redis: {{uri: 'redis://h'}}\n{yaml}");
        check_in(&yaml, &[]).map_or_else(|problems| problems.to_string(), |_| String::new())
    }

    #[test]
    fn a_rule_that_would_move_too_early_or_nowhere_is_refused() {
        for (rule, expected) in [
            ("{}", &["after_deliveries: is missing", "idle: is missing"][..]),
            ("{after_deliveries: 4, idle: 10m}", &["after_deliveries: must be a whole number from 5 to"]),
            ("{after_deliveries: 5, idle: 59s}", &["idle: must be a duration from 1m to"]),
            ("{after_deliveries: 5, idle: 1m, to: '%s'}", &["to: must be more than %s"]),
            (
                "{after_deliveries: 5, idle: 1m, to: '%s%s'}",
                &["to: must have %s, which stands for the key of the stream, only once"],
            ),
            ("{after_deliveries: 5, idle: 1m, to: ''}", &["to: must not be empty"]),
            ("{after_deliveries: 5, idle: 1m, to: s}", &["to: must be another key"]),
            (
                "{after_deliveries: 5, idle: 1m, max_length: 0}",
                &["max_length: must be a whole number from 1"],
            ),
        ] {
            let actual = problems(&format!("streams: [{{match: s, dead_letter: {rule}}}]"));
            assert_eq!(
                actual.lines().filter(|line| line.contains("dead_letter")).count(),
                expected.len(),
                "{actual}"
            );
            for expected in expected {
                assert!(actual.contains(&format!("streams[0].dead_letter.{expected}")), "{rule}: {actual}");
            }
        }
        assert_eq!(
            problems(
                "streams: [{match: s, dead_letter: {after_deliveries: 5, idle: 1m}, reap_consumers: {idle: 1d}}]"
            ),
            ""
        );
        let reap = problems("streams: [{match: s, reap_consumers: {idle: 23h}}]");
        assert!(reap.contains("reap_consumers.idle: must be a duration from 1day to"), "{reap}");
    }

    #[test]
    fn dead_letters_that_would_be_moved_again_or_that_no_slot_holds_are_refused_all_at_once() {
        let nodes = "redis: {uri: 'redis://h', nodes: ['h:1']}\n";
        for (head, rules, expected) in [
            (
                "",
                vec![rule("a}b", "")],
                &["streams[0].dead_letter.to: is missing: a}b has no default key"][..],
            ),
            (
                "",
                vec![rule("a", ", to: b"), rule("b", ", to: a")],
                &[
                    "streams[0].dead_letter.to: a holds dead letters",
                    "streams[1].dead_letter.to: b holds dead letters",
                ],
            ),
            (
                "",
                vec![rule("x:*", ", to: 'x:dead'")],
                &["leads to x:dead, which the rule `match: x:*` watches"],
            ),
            (
                "",
                vec![rule("*", ", to: 'failed:{%s}'")],
                &["leads to failed:{x}, which the rule `match: *` watches"],
            ),
            ("", vec!["{match: 'failed:*'}".to_owned(), rule("*", ", to: 'failed:{%s}'")], &[]),
            (
                "",
                vec![rule("dead:{s}", ""), rule("s", "")],
                &["streams[0].dead_letter.to: dead:{s} holds dead letters"],
            ),
            ("", vec![rule("*", "")], &[]),
            ("", vec![rule("a", ", to: b"), rule("c", ", to: b")], &[]),
            (
                nodes,
                vec![rule("a", ", to: b"), rule("c", ", to: '{%s}d'"), rule("e*", ", to: f")],
                &[
                    "leads from a to b, which is in another slot",
                    "leads from ex to f, which is in another slot",
                ],
            ),
        ] {
            are_refused(head, &rules, expected);
        }
    }

    #[test]
    fn a_key_of_our_own_and_two_prefixes_for_one_key_are_refused() {
        are_refused(
            "",
            &[rule("a", ", to: 'streamwarden:retention:lease'")],
            &["streams[0].dead_letter.to: must not be streamwarden:retention:lease"],
        );
        are_refused(
            "",
            &[rule("a", ", to: b"), rule("c", ", to: b, prefix: 'x-'")],
            &["streams[1].dead_letter.to: leads to b, as another rule does whose prefix is dlq:, not x-"],
        );
    }

    fn rule(of: &str, to: &str) -> String {
        format!("{{match: '{of}', dead_letter: {{{RULE}{to}}}}}")
    }

    /// The rules have exactly these problems.
    #[track_caller]
    fn are_refused(head: &str, rules: &[String], expected: &[&str]) {
        let rules = rules.join(", ");
        let head = if head.is_empty() { "redis: {uri: 'redis://h'}\n" } else { head };
        let problems = check_in(&format!("{head}streams: [{rules}]"), &[]);
        let actual = problems.map_or_else(|problems| problems.to_string(), |_| String::new());
        assert_eq!(actual.lines().count(), expected.len(), "{rules}: {actual}");
        for expected in expected {
            assert!(actual.contains(expected), "{rules}: {actual}");
        }
    }
}
