//! The key of dead letters, as a rule has it.

use std::fmt;

use serde_json::{Value, json};

use super::{
    section::{Section, text},
    setting::{Setting, Shown},
};
use crate::model::Name;

/// What stands for the key of the stream.
pub(super) const KEY: &str = "%s";

/// The key of dead letters: a text in which `%s` is the key of the stream. Braces are those of a hash tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterKey {
    before: String,
    /// What follows the key of the stream; `None` if all streams have the same key of dead letters.
    after: Option<String>,
}

impl DeadLetterKey {
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(KEY).collect();
        match parts.as_slice() {
            ["", ""] => Err(format!(
                "must be more than {KEY}: dead letters need a key of their own, as in dead:{{{KEY}}}"
            )),
            [before] => Ok(Self { before: (*before).to_owned(), after: None }),
            [before, after] => Ok(Self { before: (*before).to_owned(), after: Some((*after).to_owned()) }),
            _ => Err(format!("must have {KEY}, which stands for the key of the stream, only once")),
        }
    }

    /// The key of this stream's dead letters.
    pub(super) fn of(&self, stream: &Name) -> Name {
        match &self.after {
            None => Name::from(self.before.as_str()),
            Some(after) => Name::from([self.before.as_bytes(), stream.as_bytes(), after.as_bytes()].concat()),
        }
    }

    /// The patterns of its keys, for streams with these patterns. `escape` makes a pattern of a text.
    #[must_use]
    pub fn around(&self, patterns: &[String], escape: impl Fn(&str) -> String) -> Vec<String> {
        let Some(after) = &self.after else { return vec![escape(&self.before)] };
        patterns
            .iter()
            .map(|pattern| [escape(&self.before), pattern.clone(), escape(after)].concat())
            .collect()
    }

    /// Whether all streams have this key of dead letters.
    pub(super) fn is_only(&self, key: &Name) -> bool {
        self.after.is_none() && self.before.as_bytes() == key.as_bytes()
    }

    /// The stream whose dead letters have this key.
    pub(super) fn origin(&self, key: &Name) -> Option<Name> {
        let rest = key.as_bytes().strip_prefix(self.before.as_bytes())?;
        rest.strip_suffix(self.after.as_ref()?.as_bytes()).filter(|origin| !origin.is_empty()).map(Name::from)
    }

    /// The beginning that all such keys share, without the braces of a hash tag.
    pub(super) fn beginning(&self) -> &str {
        self.before.split('{').next().unwrap_or_default()
    }
}

impl fmt::Display for DeadLetterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        self.after.as_ref().map_or(Ok(()), |after| write!(f, "{KEY}{after}"))
    }
}

impl Setting for DeadLetterKey {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        section.parse(key, |value| Self::parse(&text(value)?))
    }

    fn show(&self) -> Shown {
        Shown::Value(self.to_string().into())
    }

    fn describe((): &()) -> (String, Value) {
        ("text".to_owned(), json!({"type": "string"}))
    }
}
