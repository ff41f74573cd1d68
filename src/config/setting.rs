//! The types that a key's value can have: how each is read from YAML, shown again and described.

use std::{
    collections::BTreeSet,
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

    /// What a value must be, in words: a sentence that begins with "must be" goes on with them.
    fn values(bounds: &Self::Bounds) -> String;

    /// The same as a JSON Schema.
    fn schema(bounds: &Self::Bounds) -> Value;
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

    fn values(_: &Self::Bounds) -> String {
        "a map of keys and values".to_owned()
    }

    fn schema(_: &Self::Bounds) -> Value {
        json!({"type": ["object", "null"]})
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

    fn values(bounds: &Self::Bounds) -> String {
        T::values(bounds)
    }

    fn schema(bounds: &Self::Bounds) -> Value {
        T::schema(bounds)
    }
}

impl Setting for bool {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, bounds: &()) -> Option<Self> {
        // A variable or a flag is a text.
        section.parse(key, |value| match value.as_str() {
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            _ => value.as_bool().ok_or_else(|| must_be::<Self>(bounds)),
        })
    }

    fn show(&self) -> Shown {
        Shown::Value((*self).into())
    }

    fn values((): &()) -> String {
        "true or false".to_owned()
    }

    fn schema((): &()) -> Value {
        json!({"type": "boolean"})
    }
}

impl Setting for u64 {
    type Bounds = RangeInclusive<Self>;

    fn read(section: &mut Section<'_>, key: &'static str, range: &Self::Bounds) -> Option<Self> {
        section.parse(key, |value| {
            value.as_u64().filter(|number| range.contains(number)).ok_or_else(|| must_be::<Self>(range))
        })
    }

    fn show(&self) -> Shown {
        Shown::Value((*self).into())
    }

    fn values(range: &Self::Bounds) -> String {
        format!("a whole number from {} to {}", range.start(), range.end())
    }

    fn schema(range: &Self::Bounds) -> Value {
        json!({"type": "integer", "minimum": range.start(), "maximum": range.end()})
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

    fn values(range: &Self::Bounds) -> String {
        u64::values(range)
    }

    fn schema(range: &Self::Bounds) -> Value {
        u64::schema(range)
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

    fn values(range: &Self::Bounds) -> String {
        format!("a duration from {} to {}", format_duration(*range.start()), format_duration(*range.end()))
    }

    fn schema(_: &Self::Bounds) -> Value {
        json!({"type": "string", "pattern": "^\\s*([0-9]+\\s*[A-Za-zµ]+\\s*)+$"})
    }
}

impl Setting for String {
    type Bounds = TextCheck;

    fn read(section: &mut Section<'_>, key: &'static str, check: &Self::Bounds) -> Option<Self> {
        section.parse(key, |value| check(&text(value)?))
    }

    fn show(&self) -> Shown {
        Shown::Value(self.as_str().into())
    }

    fn values(_: &Self::Bounds) -> String {
        "text".to_owned()
    }

    fn schema(_: &Self::Bounds) -> Value {
        json!({"type": "string", "minLength": 1})
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
        Shown::Value(self.display().to_string().into())
    }

    fn values(_: &Self::Bounds) -> String {
        "the path of a file".to_owned()
    }

    fn schema(_: &Self::Bounds) -> Value {
        json!({"type": "string", "minLength": 1})
    }
}

impl Setting for SocketAddr {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, bounds: &()) -> Option<Self> {
        let example = "as in 0.0.0.0:19121 or [::1]:19121";
        section.parse(key, |value| {
            text(value)?.parse().map_err(|_not_one| format!("{}, {example}", must_be::<Self>(bounds)))
        })
    }

    fn show(&self) -> Shown {
        Shown::Value(self.to_string().into())
    }

    fn values((): &()) -> String {
        "an IP address and a port".to_owned()
    }

    fn schema((): &()) -> Value {
        json!({"type": "string", "pattern": ":[0-9]+$"})
    }
}

impl Setting for Pattern {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        section.parse(key, |value| Self::parse(&text(value)?).map_err(|error| error.to_string()))
    }

    fn show(&self) -> Shown {
        Shown::Value(self.to_string().into())
    }

    fn values((): &()) -> String {
        "a stream's name, or a glob".to_owned()
    }

    fn schema((): &()) -> Value {
        json!({"type": "string", "minLength": 1})
    }
}

impl Setting for Patterns {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        let parse = |text: String| Pattern::parse(&text).map_err(|error| error.to_string());
        Some(section.list(key, parse)?.into_iter().collect())
    }

    fn show(&self) -> Shown {
        Shown::List(self.iter().map(Setting::show).collect())
    }

    fn values((): &()) -> String {
        "a list of names and globs".to_owned()
    }

    fn schema((): &()) -> Value {
        list_of_texts()
    }
}

impl Setting for Vec<Name> {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        section.list(key, |text| Ok(Name::from(text.as_str())))
    }

    fn show(&self) -> Shown {
        let show = |name: &Name| Shown::Value(name.as_str().unwrap_or_default().into());
        Shown::List(self.iter().map(show).collect())
    }

    fn values((): &()) -> String {
        "a list of names".to_owned()
    }

    fn schema((): &()) -> Value {
        list_of_texts()
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

    fn values((): &()) -> String {
        "a list of metrics' names".to_owned()
    }

    fn schema((): &()) -> Value {
        list_of_texts()
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
        let default = is_one.then_some(default);
        Key { path, about, values: T::values(bounds), schema: T::schema(bounds), default }
    });
}

/// The start of a problem.
pub(super) fn must_be<T: Setting>(bounds: &T::Bounds) -> String {
    format!("must be {}", T::values(bounds))
}

fn list_of_texts() -> Value {
    json!({"type": "array", "items": {"type": "string", "minLength": 1}})
}
