//! The rules of streams in their order. The first match applies.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use super::{
    Patterns, StreamRule,
    section::Section,
    setting::{Group, Setting, Shown},
};
use crate::model::Name;

/// Rules in their order. A rule is shared by its streams.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Arc<StreamRule>>,
    patterns: Patterns,
}

impl Rules {
    /// The rule for this stream: the first whose pattern matches.
    #[must_use]
    pub fn rule(&self, stream: &Name) -> Option<&Arc<StreamRule>> {
        self.rules.get(self.position(stream)?)
    }

    /// The place of that rule.
    #[must_use]
    pub fn position(&self, stream: &Name) -> Option<usize> {
        self.patterns.position(stream)
    }

    /// The patterns of the rules, in the same order.
    #[must_use]
    pub const fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// The rules, in order.
    pub fn iter(&self) -> impl Iterator<Item = &StreamRule> {
        self.rules.iter().map(Arc::as_ref)
    }

    /// Whether there are no rules.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl FromIterator<StreamRule> for Rules {
    fn from_iter<T: IntoIterator<Item = StreamRule>>(rules: T) -> Self {
        let rules: Vec<_> = rules.into_iter().map(Arc::new).collect();
        let patterns = rules.iter().map(|rule| rule.pattern.clone()).collect();
        Self { rules, patterns }
    }
}

impl Setting for Rules {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        let rules = section.items(key, |item| StreamRule::read_keys(item, &()))?;
        let mut seen = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            // A rule whose pattern is missing or wrong has its own problem.
            let is_placeholder = rule.pattern.to_string().is_empty();
            if !is_placeholder && !seen.insert(rule.pattern.to_string()) {
                section
                    .problem(&format!("{key}[{index}].match"), "duplicate `match`; only the first applies");
            }
        }
        Some(rules.into_iter().collect())
    }

    fn show(&self) -> Shown {
        Shown::List(self.iter().map(Group::show_keys).collect())
    }

    fn describe((): &()) -> (String, Value) {
        ("a list of rules".to_owned(), json!({"type": ["array", "null"]}))
    }
}
