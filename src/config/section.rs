//! A map of the configuration while it is read. Every problem is noted, whereas serde would stop at the first one.
//!
//! The known keys are those that were asked for. Any other key is unknown, and the nearest known one is suggested.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a getter takes one kind of value and refuses all others"
)]

use serde_json::{Map, Value};

use super::{Environment, key::Key, problem::Problems};
use crate::model::Text;

/// One map of the tree.
pub(super) struct Section<'a> {
    path: String,
    fields: Map<String, Value>,
    /// The keys that were asked for, and whether each is set.
    asked: Vec<(&'static str, bool)>,
    found: &'a mut Found,
    context: &'a Context<'a>,
}

/// The results of reading a tree, beside its values.
#[derive(Default)]
pub(super) struct Found {
    pub(super) problems: Problems,
    /// The keys that were asked for, where they are wanted.
    pub(super) keys: Option<Vec<Key>>,
}

/// The origins of values beside the tree.
pub(super) struct Context<'a> {
    /// The keys that the file did not set, each with the variable or flag that did.
    pub(super) set: Vec<(&'static str, &'static str)>,
    pub(super) environment: &'a Environment,
    /// The metrics' names.
    pub(super) families: &'a [&'static str],
    /// Whether the address of Redis may be missing.
    pub(super) is_address_optional: bool,
}

impl<'a> Section<'a> {
    /// A map at this path, which is empty for the root.
    pub(super) fn new(path: String, value: Value, found: &'a mut Found, context: &'a Context<'a>) -> Self {
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            _ => {
                found.problems.add(place_of(&path), "must be a map of keys and values");
                Map::new()
            }
        };
        Self { path, fields, asked: Vec::new(), found, context }
    }

    pub(super) const fn context(&self) -> &'a Context<'a> {
        self.context
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The variable or flag that set a key.
    pub(super) fn origin(&self, key: &str) -> Option<&'static str> {
        let path = self.path_of(key);
        self.context.set.iter().find(|(set, _)| *set == path).map(|(_, origin)| *origin)
    }

    /// The key's name for people, with what set it.
    pub(super) fn place(&self, key: &str) -> String {
        let path = self.path_of(key);
        match self.origin(key) {
            Some(origin) => format!("{path} (from {origin})"),
            None => path,
        }
    }

    /// Notes a problem with one of this section's keys.
    pub(super) fn problem(&mut self, key: &str, what: impl Into<Text>) {
        self.found.problems.add(self.place(key), what);
    }

    /// All problems so far, to add those whose places are known.
    pub(super) const fn problems(&mut self) -> &mut Problems {
        &mut self.found.problems
    }

    /// Whether a key that was asked for is set, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.asked.contains(&(key, true))
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<Value> {
        let value = self.fields.remove(key).filter(|value| !value.is_null());
        self.asked.push((key, value.is_some()));
        value
    }

    /// Takes a value and converts it, or notes what it must be.
    pub(super) fn parse<T>(
        &mut self,
        key: &'static str,
        convert: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        match convert(self.take(key)?) {
            Ok(value) => Some(value),
            Err(what) => {
                self.problem(key, what);
                None
            }
        }
    }

    /// Takes a list of texts and converts each, or notes what is wrong with it.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        convert: impl Fn(String) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let items = self.parse(key, |value| match value {
            Value::Array(items) => Ok(items),
            _ => Err("must be a list, as in [one, two]".to_owned()),
        })?;
        let mut list = Vec::new();
        for item in items {
            match text(item).and_then(&convert) {
                Ok(item) => list.push(item),
                Err(what) => self.problem(key, what),
            }
        }
        Some(list)
    }

    /// Takes one of these words. `true` and `false` are words too.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        self.parse(key, |value| {
            let word = match value.as_bool() {
                Some(true) => Some("true"),
                Some(false) => Some("false"),
                None => value.as_str(),
            };
            let chosen = choices.iter().find(|(name, _)| Some(*name) == word);
            let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            chosen.map(|(_, choice)| *choice).ok_or_else(|| format!("must be one of: {}", names()))
        })
    }

    /// Takes a list of maps and reads each.
    pub(super) fn items<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Section<'_>) -> T,
    ) -> Option<Vec<T>> {
        let path = self.path_of(key);
        if self.is_recorded() {
            self.child(format!("{path}[]"), Value::Null, &read);
        }
        let items = self.parse(key, |value| match value {
            Value::Array(items) => Ok(items),
            _ => Err("must be a list, each item beginning with a dash".to_owned()),
        })?;
        let read_item = |(index, item)| self.child(format!("{path}[{index}]"), item, &read);
        Some(items.into_iter().enumerate().map(read_item).collect())
    }

    /// Reads a map that was taken from one of this section's keys.
    pub(super) fn map<T>(&mut self, key: &str, value: Value, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        self.child(self.path_of(key), value, read)
    }

    fn child<T>(&mut self, path: String, value: Value, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let mut child = Section::new(path, value, self.found, self.context);
        let result = read(&mut child);
        child.end();
        result
    }

    /// Notes that a required key is missing, and returns a placeholder.
    pub(super) fn missing<T: Default>(&mut self, key: &'static str, hint: &str) -> T {
        if !self.has(key) {
            self.problem(key, format!("is missing; {hint}"));
        }
        T::default()
    }

    /// Whether keys are wanted.
    pub(super) const fn is_recorded(&self) -> bool {
        self.found.keys.is_some()
    }

    /// Records one of this section's keys, above those inside it, where keys are wanted.
    pub(super) fn record(&mut self, key: &str, describe: impl FnOnce(String) -> Key) {
        let path = self.path_of(key);
        if let Some(keys) = &mut self.found.keys {
            let is_inside =
                |key: &Key| key.path.strip_prefix(&path).is_some_and(|rest| rest.starts_with(['.', '[']));
            let place = keys.iter().position(is_inside).unwrap_or(keys.len());
            keys.insert(place, describe(path));
        }
    }

    /// Notes every unknown key.
    pub(super) fn end(mut self) {
        let known: Vec<&str> = self.asked.iter().map(|(key, _)| *key).collect();
        for key in std::mem::take(&mut self.fields).keys() {
            let hint = match nearest(known.iter().copied(), key) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("known here: {}", known.join(", ")),
            };
            if is_word(key) {
                self.found.problems.add(self.path_of(key), format!("unknown key; {hint}"));
            } else {
                let what = "has an invalid key, which is not shown since it may hold a secret; is a space missing after a colon?";
                self.found.problems.add(place_of(&self.path), format!("{what} {hint}"));
            }
        }
    }
}

/// The name of a section for people.
fn place_of(path: &str) -> &str {
    if path.is_empty() { "the configuration" } else { path }
}

/// The known word that is likely meant.
pub(super) fn nearest<'a>(known: impl Iterator<Item = &'a str>, word: &str) -> Option<&'a str> {
    let likeness = |known: &str| strsim::jaro_winkler(known, word);
    let nearest = known.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    nearest.filter(|known| likeness(known) > 0.75)
}

/// Whether a text can be a key. Any other may be a key and its value, or an address.
pub(super) fn is_word(key: &str) -> bool {
    key.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.'))
}

pub(super) fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::String(_) => Err("must not be empty".to_owned()),
        _ => Err("must be text; put it in quotes".to_owned()),
    }
}
