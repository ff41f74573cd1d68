//! A map of the configuration while it is read: typed getters that note every problem and go on.
//!
//! serde would stop at the first. The known keys are simply those that were asked for, so a key that nobody asked
//! for is unknown, and the nearest known one is the likely intention.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each getter takes one kind of value and refuses all others"
)]

use std::{ops::RangeInclusive, time::Duration};

use serde_json::{Map, Value};

use super::problem::Problems;
use crate::model::Text;

/// One map of the tree.
pub(super) struct Section<'a> {
    path: String,
    fields: Map<String, Value>,
    asked: Vec<&'static str>,
    problems: &'a mut Problems,
    origins: &'a [(&'static str, &'static str)],
}

impl<'a> Section<'a> {
    /// The whole tree. `origins` says of keys that the file did not set what did.
    pub(super) fn root(
        tree: Value,
        problems: &'a mut Problems,
        origins: &'a [(&'static str, &'static str)],
    ) -> Self {
        Self::new(String::new(), tree, problems, origins)
    }

    fn new(
        path: String,
        value: Value,
        problems: &'a mut Problems,
        origins: &'a [(&'static str, &'static str)],
    ) -> Self {
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let at = if path.is_empty() { "the configuration" } else { &path };
                problems.add(at, "must be a map of keys and values");
                Map::new()
            }
        };
        Self { path, fields, asked: Vec::new(), problems, origins }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// What set a key, if it was not the file.
    pub(super) fn origin(&self, key: &str) -> Option<&'static str> {
        let path = self.path_of(key);
        self.origins.iter().find(|(set, _)| *set == path).map(|(_, origin)| *origin)
    }

    /// The key's name for people, with what set it.
    pub(super) fn place(&self, key: &str) -> String {
        let path = self.path_of(key);
        self.origin(key).map_or_else(|| path.clone(), |origin| format!("{path} (from {origin})"))
    }

    /// Notes a problem with one of this section's keys.
    pub(super) fn problem(&mut self, key: &str, what: impl Into<Text>) {
        self.problems.add(self.place(key), what);
    }

    /// Notes problems whose places are known.
    pub(super) fn problems(&mut self, problems: Problems) {
        self.problems.0.extend(problems.0);
    }

    /// Whether something is written there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.get(key).is_some_and(|value| !value.is_null())
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.fields.remove(key).filter(|value| !value.is_null())
    }

    /// Takes a value and converts it, or notes what it must be.
    fn parse<T>(&mut self, key: &'static str, convert: impl FnOnce(Value) -> Result<T, String>) -> Option<T> {
        let converted = convert(self.take(key)?);
        converted.map_err(|what| self.problem(key, what)).ok()
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parse(key, text)
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Vec<String> {
        let list = |value| match value {
            Value::Array(items) => items.into_iter().map(text).collect(),
            _ => Err("must be a list, as in [one, two]".to_owned()),
        };
        self.parse(key, list).unwrap_or_default()
    }

    /// Texts that are among these.
    pub(super) fn names(&mut self, key: &'static str, known: &[&'static str]) -> Vec<&'static str> {
        let mut names = Vec::new();
        for text in self.texts(key) {
            match known.iter().find(|name| **name == text) {
                Some(name) => names.push(*name),
                None if is_word(&text) => {
                    let hint = nearest(known, &text).map(|it| format!("; did you mean {it}?"));
                    self.problem(key, format!("has an unknown name, {text}{}", hint.unwrap_or_default()));
                }
                None => self.problem(key, "has an invalid name; each must be one of a family of metrics"),
            }
        }
        names
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let flag = |value: Value| match value.as_str().unwrap_or_default() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => value.as_bool().ok_or_else(|| "must be true or false".to_owned()),
        };
        self.parse(key, flag).unwrap_or(default)
    }

    pub(super) fn count(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let must = format!("must be a whole number from {} to {}", range.start(), range.end());
        self.parse(key, |value| value.as_u64().filter(|number| range.contains(number)).ok_or(must))
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let (least, most) =
            (humantime::format_duration(*range.start()), humantime::format_duration(*range.end()));
        let must = format!("must be a duration from {least} to {most}, as in 15s, 5m or 1h30m");
        self.parse(key, |value| {
            let parsed = value.as_str().and_then(|text| humantime::parse_duration(text).ok());
            parsed.filter(|duration| range.contains(duration)).ok_or(must)
        })
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, default: T, choices: &[(&str, T)]) -> T {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let must = format!("must be one of: {}", names.join(", "));
        self.parse(key, |value| {
            let flag = value.as_bool().map(|flag| if flag { "true" } else { "false" });
            let chosen = choices.iter().find(|(name, _)| Some(*name) == flag.or(value.as_str()));
            chosen.map(|(_, choice)| *choice).ok_or(must)
        })
        .unwrap_or(default)
    }

    /// Reads a map below this one; `None` where it is absent.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> Option<T> {
        let value = self.take(key)?;
        Some(self.child(self.path_of(key), value, read))
    }

    /// Reads a map below this one, as an empty one where it is absent.
    pub(super) fn section_or_default<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let value = self.take(key).unwrap_or_default();
        self.child(self.path_of(key), value, read)
    }

    /// Reads a list of maps.
    pub(super) fn items<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        let list = |value| match value {
            Value::Array(items) => Ok(items),
            _ => Err("must be a list, each item beginning with a dash".to_owned()),
        };
        let items = self.parse(key, list).unwrap_or_default();
        let path = self.path_of(key);
        let read_item = |(index, item)| self.child(format!("{path}[{index}]"), item, &mut read);
        items.into_iter().enumerate().filter_map(read_item).collect()
    }

    fn child<T>(&mut self, path: String, value: Value, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let mut child = Section::new(path, value, self.problems, self.origins);
        let result = read(&mut child);
        child.end();
        result
    }

    /// Notes every key that nobody asked for.
    pub(super) fn end(mut self) {
        for key in std::mem::take(&mut self.fields).keys() {
            let hint = match nearest(&self.asked, key) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            if is_word(key) {
                self.problems.add(self.path_of(key), format!("unknown key; {hint}"));
            } else {
                let at = if self.path.is_empty() { "the configuration" } else { &self.path };
                self.problems.add(at, format!("has an invalid key, which is not shown since it may hold a secret; is a space missing after a colon? {hint}"));
            }
        }
    }
}

/// What somebody may have meant.
fn nearest(known: &[&'static str], word: &str) -> Option<&'static str> {
    let likeness = |known: &str| strsim::jaro_winkler(known, word);
    let nearest = known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    nearest.filter(|known| likeness(known) > 0.75)
}

/// Whether it can be a key. What cannot may be a key and its value, or an address.
fn is_word(key: &str) -> bool {
    key.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.'))
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::String(_) => Err("must not be empty".to_owned()),
        _ => Err("must be text; put it in quotes".to_owned()),
    }
}
