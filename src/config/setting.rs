//! The types that a key's value can have: how each is read from YAML, shown again and described.

use std::{
    collections::BTreeSet,
    fmt,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use humantime::format_duration;
use serde_json::{Value, json};

use super::{
    Pattern, Patterns,
    key::{About, Key},
    section::{Section, is_word, nearest, text},
};
use crate::model::Name;

/// Checks a text and returns it in the form that is kept, or what it must be.
pub(super) type TextCheck = fn(&str) -> Result<String, String>;
/// Checks the file that a key names, or returns what is wrong with it.
pub(super) type FileCheck = fn(&Path) -> Result<(), String>;

/// The value of a key.
pub(super) trait Setting: Sized {
    /// What a value must meet, as a range does. For a section it is what its defaults depend on.
    type Bounds;

    /// Reads a key. Returns `None` if it is absent, or wrong: the problem is noted then.
    fn read(section: &mut Section<'_>, key: &'static str, bounds: &Self::Bounds) -> Option<Self>;

    /// The value as YAML has it.
    fn show(&self) -> Shown;

    /// What a value must be: the words that follow "must be", and the same as a JSON Schema.
    fn describe(bounds: &Self::Bounds) -> (String, Value);
}

/// A map of keys, each with a type of its own. [`section!`](super::declare) declares one.
pub(super) trait Group: Sized {
    /// What its defaults depend on.
    type Bounds;

    /// Reads all of its keys. What is wrong is noted, and a default stands in its place.
    fn read_keys(section: &mut Section<'_>, bounds: &Self::Bounds) -> Self;

    /// Its keys and values in order.
    fn show_keys(&self) -> Shown;

    /// Reads it. An absent one is read as an empty one.
    fn read_or_empty(section: &mut Section<'_>, key: &'static str, bounds: &Self::Bounds) -> Self {
        let value = section.take(key).unwrap_or_default();
        section.map(key, value, |child| Self::read_keys(child, bounds))
    }
}

/// A value as YAML has it. The keys of a map keep their order.
pub(super) enum Shown {
    /// A number or `true`, or a text that YAML wants in quotes.
    Value(Value),
    /// A text that needs no quotes.
    Word(String),
    List(Vec<Self>),
    Map(Vec<(&'static str, Self)>),
}

impl Shown {
    /// A text in quotes.
    fn text(text: impl fmt::Display) -> Self {
        Self::Value(text.to_string().into())
    }

    /// What is not set, and so not shown.
    pub(super) const NOTHING: Self = Self::Value(Value::Null);

    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Value(Value::Null))
    }
}

impl From<Shown> for Value {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::Value(value) => value,
            Shown::Word(word) => match word.parse::<bool>() {
                Ok(flag) => flag.into(),
                Err(_not_one) => word.into(),
            },
            Shown::List(items) => items.into_iter().map(Self::from).collect(),
            Shown::Map(entries) => {
                let entries = entries.into_iter().filter(|(_, value)| !value.is_nothing());
                Self::Object(entries.map(|(key, value)| (key.to_owned(), value.into())).collect())
            }
        }
    }
}

impl<T: Group> Setting for T {
    type Bounds = T::Bounds;

    fn read(section: &mut Section<'_>, key: &'static str, bounds: &Self::Bounds) -> Option<Self> {
        let value = section.take(key).or(section.is_recorded().then_some(Value::Null))?;
        Some(section.map(key, value, |child| Self::read_keys(child, bounds)))
    }

    fn show(&self) -> Shown {
        self.show_keys()
    }

    fn describe(_: &Self::Bounds) -> (String, Value) {
        (
            "a map of keys and values".to_owned(),
            json!({"type": ["object", "null"], "additionalProperties": false}),
        )
    }
}

impl<T: Setting> Setting for Option<T> {
    type Bounds = T::Bounds;

    fn read(section: &mut Section<'_>, key: &'static str, bounds: &Self::Bounds) -> Option<Self> {
        T::read(section, key, bounds).map(Some)
    }

    fn show(&self) -> Shown {
        self.as_ref().map_or(Shown::NOTHING, T::show)
    }

    fn describe(bounds: &Self::Bounds) -> (String, Value) {
        T::describe(bounds)
    }
}

impl Setting for bool {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, bounds: &()) -> Option<Self> {
        // A variable or a flag is a text, in the words of other programs too.
        let is_text = section.origin(key).is_some();
        section.parse(key, |value| match value.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some("yes" | "on") if is_text => Ok(true),
            Some("no" | "off") if is_text => Ok(false),
            _ => value.as_bool().ok_or_else(|| must_be::<Self>(bounds)),
        })
    }

    fn show(&self) -> Shown {
        Shown::Value((*self).into())
    }

    fn describe((): &()) -> (String, Value) {
        ("true or false".to_owned(), json!({"type": "boolean"}))
    }
}

impl Setting for u64 {
    type Bounds = RangeInclusive<Self>;

    fn read(section: &mut Section<'_>, key: &'static str, range: &Self::Bounds) -> Option<Self> {
        // A variable or a flag is a text; in the file a number is one.
        let is_text = section.origin(key).is_some();
        section.parse(key, |value| {
            let number =
                if is_text { value.as_str().and_then(|text| text.parse().ok()) } else { value.as_u64() };
            number.filter(|number| range.contains(number)).ok_or_else(|| must_be::<Self>(range))
        })
    }

    fn show(&self) -> Shown {
        Shown::Value((*self).into())
    }

    fn describe(range: &Self::Bounds) -> (String, Value) {
        let (least, most) = (range.start(), range.end());
        let schema = json!({"type": "integer", "minimum": least, "maximum": most});
        (format!("a whole number from {least} to {most}"), schema)
    }
}

impl Setting for usize {
    type Bounds = RangeInclusive<u64>;

    fn read(section: &mut Section<'_>, key: &'static str, range: &Self::Bounds) -> Option<Self> {
        u64::read(section, key, range).and_then(|number| number.try_into().ok())
    }

    fn show(&self) -> Shown {
        Shown::Value((*self).into())
    }

    fn describe(range: &Self::Bounds) -> (String, Value) {
        u64::describe(range)
    }
}

impl Setting for Duration {
    type Bounds = RangeInclusive<Self>;

    fn read(section: &mut Section<'_>, key: &'static str, range: &Self::Bounds) -> Option<Self> {
        section.parse(key, |value| {
            let parsed = value.as_str().and_then(|text| humantime::parse_duration(text).ok());
            let inside = parsed.filter(|duration| range.contains(duration));
            inside.ok_or_else(|| format!("{}, as in 15s, 5m or 1h30m", must_be::<Self>(range)))
        })
    }

    fn show(&self) -> Shown {
        Shown::Word(format_duration(*self).to_string())
    }

    fn describe(range: &Self::Bounds) -> (String, Value) {
        let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
        let schema = json!({"type": "string", "pattern": "^\\s*([0-9]+\\s*[A-Za-zµ]+\\s*)+$"});
        (format!("a duration from {least} to {most}"), schema)
    }
}

impl Setting for String {
    type Bounds = TextCheck;

    fn read(section: &mut Section<'_>, key: &'static str, check: &Self::Bounds) -> Option<Self> {
        section.parse(key, |value| check(&text(value)?))
    }

    fn show(&self) -> Shown {
        Shown::text(self)
    }

    fn describe(_: &Self::Bounds) -> (String, Value) {
        ("text".to_owned(), schema_of_text())
    }
}

impl Setting for PathBuf {
    type Bounds = FileCheck;

    fn read(section: &mut Section<'_>, key: &'static str, check: &Self::Bounds) -> Option<Self> {
        section.parse(key, |value| {
            let path = Self::from(text(value)?);
            check(&path).map(|()| path)
        })
    }

    fn show(&self) -> Shown {
        Shown::text(self.display())
    }

    fn describe(_: &Self::Bounds) -> (String, Value) {
        ("the path of a file".to_owned(), schema_of_text())
    }
}

impl Setting for SocketAddr {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        section.parse(key, |value| {
            let must = "must be an IP address and a port, as in 0.0.0.0:19121 or [::1]:19121";
            text(value)?.parse().map_err(|_not_one| must.to_owned())
        })
    }

    fn show(&self) -> Shown {
        Shown::text(self)
    }

    fn describe((): &()) -> (String, Value) {
        ("an IP address and a port".to_owned(), json!({"type": "string", "pattern": ":[0-9]+$"}))
    }
}

impl Setting for Pattern {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        section.parse(key, |value| pattern(text(value)?))
    }

    fn show(&self) -> Shown {
        Shown::text(self)
    }

    fn describe((): &()) -> (String, Value) {
        ("a stream's name, or a glob".to_owned(), schema_of_text())
    }
}

impl Setting for Patterns {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        Some(section.list(key, pattern)?.into_iter().collect())
    }

    fn show(&self) -> Shown {
        Shown::List(self.iter().map(Shown::text).collect())
    }

    fn describe((): &()) -> (String, Value) {
        ("a list of names and globs".to_owned(), schema_of_texts())
    }
}

impl Setting for Vec<Name> {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        section.list(key, |text| Ok(Name::from(text.as_str())))
    }

    fn show(&self) -> Shown {
        Shown::List(self.iter().map(|name| Shown::text(name.as_str().unwrap_or_default())).collect())
    }

    fn describe((): &()) -> (String, Value) {
        ("a list of names".to_owned(), schema_of_texts())
    }
}

/// Names of metrics.
impl Setting for BTreeSet<&'static str> {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        let known = section.context().families;
        let names = section.list(key, |text| match known.iter().find(|name| **name == text) {
            Some(name) => Ok(*name),
            None if is_word(&text) => {
                let hint = nearest(known.iter().copied(), &text);
                let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
                Err(format!("has an unknown name, {text}{hint}"))
            }
            None => Err("has an invalid name; each must be the name of a metric".to_owned()),
        });
        Some(names?.into_iter().collect())
    }

    fn show(&self) -> Shown {
        Shown::List(self.iter().map(|name| Shown::Word((*name).to_owned())).collect())
    }

    fn describe((): &()) -> (String, Value) {
        ("a list of metrics' names".to_owned(), schema_of_texts())
    }
}

/// Records a key of a section, where keys are wanted.
pub(super) fn record<T: Setting>(
    section: &mut Section<'_>,
    key: &str,
    bounds: &T::Bounds,
    default: &T,
    about: About,
) {
    section.record(key, |path| {
        let default = Value::from(default.show());
        let is_one = !default.is_null() && !default.is_object() && about.required.is_none();
        let (values, schema) = T::describe(bounds);
        Key { path, about, values, schema, default: is_one.then_some(default) }
    });
}

/// The start of a problem.
fn must_be<T: Setting>(bounds: &T::Bounds) -> String {
    format!("must be {}", T::describe(bounds).0)
}

fn pattern(text: String) -> Result<Pattern, String> {
    Pattern::parse(&text).map_err(|error| error.to_string())
}

fn schema_of_text() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn schema_of_texts() -> Value {
    json!({"type": "array", "items": schema_of_text()})
}
