//! Acts on stuck work that are asked for, and their answer.

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error, MapAccess, Visitor},
};
use serde_json::Value;

use super::SCHEMA_VERSION;
use crate::{
    model::{Name, StreamId, percent_decoded},
    stuck::{Outcomes, Planned, Script},
};

/// The fields of a request that were not read yet, and what was wrong with those that were.
pub(super) struct Fields {
    pub(super) left: BTreeMap<String, Value>,
    pub(super) problems: Vec<String>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut left = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    match left.entry(name) {
                        Entry::Vacant(place) => drop(place.insert(value)),
                        Entry::Occupied(_) => return Err(A::Error::custom("a field occurs twice")),
                    }
                }
                Ok(Fields { left, problems: Vec::new() })
            }
        }
        deserializer.deserialize_map(Once)
    }
}

impl Fields {
    /// The value of a field, if it has the right form: in words, as in "a number from 1 on".
    pub(super) fn take<T: DeserializeOwned>(
        &mut self,
        name: &str,
        form: &str,
        is_right: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let value = self.left.remove(name).unwrap_or(Value::Null);
        let value = serde_json::from_value(value).ok().filter(is_right);
        if value.is_none() {
            self.problems.push(format!("{name} must be {form}"));
        }
        value
    }
}

/// A request. Each field has a form in words, and a check beyond its type. What is optional has a default where it is used.
macro_rules! request {
    ($(#[$doc:meta])* $name:ident {$(
        $(#[doc = $text:literal])+
        $field:ident: $type:ty, $form:literal, $is_right:expr;
    )+}) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
        pub struct $name {
            $($(#[doc = $text])+ pub $field: $type,)+
        }

        impl $name {
            /// The request in a body.
            ///
            /// # Errors
            /// All that is wrong, without anything that was sent.
            pub fn read(body: &[u8]) -> Result<Self, Vec<String>> {
                let refused = |_| vec!["the body must be a JSON object, with each field once".to_owned()];
                let mut fields: $crate::views::api::acts::Fields = serde_json::from_slice(body).map_err(refused)?;
                $(let $field = fields.take::<$type>(stringify!($field), $form, $is_right);)+
                if !fields.left.is_empty() {
                    let known = [$(stringify!($field)),+].join(", ");
                    fields.problems.push(format!("there is an unknown field; the known ones are: {known}"));
                }
                match ($($field,)+) {
                    ($(Some($field),)+) if fields.problems.is_empty() => Ok(Self { $($field),+ }),
                    _ => Err(fields.problems),
                }
            }
        }
    };
}

pub(super) use request;

/// Items that one request may name or act on.
pub const MOST_ITEMS: u64 = 1_000;
/// A hundred years.
const MOST_SECONDS: f64 = 3_155_760_000.0;

fn are_few(ids: &Option<Vec<StreamId>>) -> bool {
    ids.as_ref()
        .is_none_or(|ids| u64::try_from(ids.len()).is_ok_and(|count| (1..=MOST_ITEMS).contains(&count)))
}

pub(super) fn is_a_span(seconds: &Option<f64>) -> bool {
    seconds.is_none_or(|seconds| (0.0..=MOST_SECONDS).contains(&seconds))
}

fn is_a_max(max: &Option<u64>) -> bool {
    max.is_none_or(|max| (1..=MOST_ITEMS).contains(&max))
}

fn is_a_name(text: &str) -> bool {
    percent_decoded(text).is_some()
}

fn is_positive(number: &Option<u64>) -> bool {
    number.is_none_or(|number| number > 0)
}

pub(super) const fn any<T>(_: &T) -> bool {
    true
}

request! {
    /// Pending entries that are to be set aside: those with `ids`, or those that fit `deliveries` and `idle_seconds`.
    DeadLetterRequest {
        /// These pending entries, 1 to 1,000.
        ids: Option<Vec<StreamId>>, "a list of 1 to 1,000 IDs", are_few;
        /// Entries that were delivered at least so often. Needs `idle_seconds`.
        deliveries: Option<u64>, "a number from 1 on", is_positive;
        /// Only entries that were not delivered for at least so long: longer than any handler works on one.
        idle_seconds: Option<f64>, "a number of seconds from 0 on", is_a_span;
        /// Where to begin: `next` of the last answer.
        from: Option<StreamId>, "an ID", any;
        /// The most entries, from 1 to 1,000 (1,000).
        max: Option<u64>, "a number from 1 to 1,000", is_a_max;
        /// The key of the dead letters, percent-encoded; by default `dead:` and the stream's.
        to: Option<String>, "a key, percent-encoded", |it| it.as_deref().is_none_or(is_a_name);
        /// Moving stops at so many dead letters (as the stream's rule says, else 10,000).
        max_length: Option<u64>, "a number from 1 on", is_positive;
        /// Whether to acknowledge entries that no longer exist (false).
        acknowledge_gone: Option<bool>, "true or false", any;
        /// What the names of added fields begin with (as the rule of the dead letters says, else `dlq:`).
        prefix: Option<String>, "text", any;
        /// Whether to only report what would be done (true).
        dry_run: Option<bool>, "true or false", any;
    }
}

request! {
    /// Pending entries that are to be handed over to another consumer.
    ClaimRequest {
        /// The consumer that is gone: its name's bytes, percent-encoded.
        from: String, "the name of a consumer, percent-encoded", |it| is_a_name(it);
        /// The one that gets its entries. It must exist.
        to: String, "the name of a consumer, percent-encoded", |it| is_a_name(it);
        /// How long the consumer must have done nothing, and each entry not been delivered.
        idle_seconds: f64, "a number of seconds from 0 on", |it| is_a_span(&Some(*it));
        /// The most entries, from 1 to 1,000 (1,000).
        max: Option<u64>, "a number from 1 to 1,000", is_a_max;
        /// Whether to only report what would be done (true).
        dry_run: Option<bool>, "true or false", any;
    }
}

request! {
    /// Consumers that are to be deleted: those that hold nothing.
    ReapRequest {
        /// Only consumers that did not ask for entries for so long (86400): longer than any blocking read waits.
        idle_seconds: Option<f64>, "a number of seconds from 0 on", is_a_span;
        /// Whether an idle time below a day is permitted (false).
        force: Option<bool>, "true or false", any;
        /// Whether to only report what would be done (true).
        dry_run: Option<bool>, "true or false", any;
    }
}

request! {
    /// Dead letters that are to be added to their stream again.
    ReplayRequest {
        /// These dead letters, 1 to 1,000; by default all.
        ids: Option<Vec<StreamId>>, "a list of 1 to 1,000 IDs", are_few;
        /// Only those with these fields and values.
        filter: Option<BTreeMap<String, String>>, "an object of texts", any;
        /// Only those that were set aside within so long.
        since_seconds: Option<f64>, "a number of seconds from 0 on", is_a_span;
        /// The key of the stream that gets them, percent-encoded; by default the one that each is from.
        to: Option<String>, "a key, percent-encoded", |it| it.as_deref().is_none_or(is_a_name);
        /// Where to begin: `next` of the last answer.
        from: Option<StreamId>, "an ID", any;
        /// The most of them, from 1 to 1,000 (1,000).
        max: Option<u64>, "a number from 1 to 1,000", is_a_max;
        /// How often one is replayed (3).
        max_replays: Option<u64>, "a number from 1 on", is_positive;
        /// What the names of added fields begin with (as the rule of the dead letters says, else `dlq:`).
        prefix: Option<String>, "text", any;
        /// Whether to only report what would be done (true).
        dry_run: Option<bool>, "true or false", any;
    }
}

/// What an act would do, or did.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Acts"))]
pub struct ActsDocument<'a> {
    /// Increases when a field is removed or changes its meaning; fields may be added at any time.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA_VERSION)))]
    pub schema_version: u32,
    /// What it is: `dead_letter`, `replay`, `reap` or `claim`.
    pub act: &'static str,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// What would be acted on, or was: one for each stream that gets dead letters, else one.
    pub acts: Vec<ActDocument<'a>>,
    /// How many items stay as they are by the plan, by the reason. `not_looked_at`: at least so many dead letters are behind those of this
    /// request.
    pub left: BTreeMap<&'static str, u64>,
    /// Where to go on, since `max` or the most that one request looks at was reached: with `from`, or with the same request if this one has
    /// acted (a claim has no `from`); `null` if all was looked at.
    pub next: Option<String>,
    /// How many items were done; `null` for a dry run.
    pub done: Option<u64>,
    /// How many items ended how; `null` for a dry run.
    pub outcomes: Option<BTreeMap<&'static str, u64>>,
}

/// An act with its items.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Act"))]
pub struct ActDocument<'a> {
    /// The stream or the dead letters that it is about, for people.
    pub key: Cow<'a, str>,
    /// The key that gets entries, for people; `null` where none does.
    pub to: Option<Cow<'a, str>>,
    /// IDs of entries, or names of consumers, for people.
    pub items: Vec<String>,
}

impl<'a> ActsDocument<'a> {
    /// The document of acts that were planned, and of what came of them.
    #[must_use]
    pub fn new(
        script: Script,
        planned: &'a [Planned],
        (left, next): (&Outcomes, Option<StreamId>),
        outcomes: Option<&Outcomes>,
    ) -> Self {
        let words = |outcomes: &Outcomes| outcomes.iter().map(|(it, count)| (it.as_str(), count)).collect();
        Self {
            schema_version: SCHEMA_VERSION,
            act: script.as_str(),
            dry_run: outcomes.is_none(),
            acts: planned.iter().map(ActDocument::new).collect(),
            left: words(left),
            next: next.map(|next| next.to_string()),
            done: outcomes.map(Outcomes::done),
            outcomes: outcomes.map(words),
        }
    }
}

impl<'a> ActDocument<'a> {
    fn new(Planned { act, items, .. }: &'a Planned) -> Self {
        let text = |name: &Name| Cow::Owned(name.to_string());
        Self {
            key: act.keys.first().map(text).unwrap_or_default(),
            to: act.keys.get(1).map(text),
            items: items.iter().map(|item| Name::from(&**item).to_string()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_with_a_request_is_said_at_once_without_what_was_sent() {
        let body = br#"{"ids": "s3cret", "max": 0, "idle_seconds": -1, "s3cret": 1, "dry_run": null}"#;
        let problems = DeadLetterRequest::read(body).unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert_eq!(problems[0], "ids must be a list of 1 to 1,000 IDs");
        assert!(problems[3].starts_with("there is an unknown field; the known ones are: ids, deliveries, "));
        assert!(!problems.concat().contains("s3cret"));
        let missing = ClaimRequest::read(b"{}").unwrap_err();
        assert_eq!(missing.len(), 3, "{missing:?}");
        for body in [&b""[..], b"[]", b"1", b"{", br#"{"dry_run": true, "dry_run": false}"#] {
            let problems = ReapRequest::read(body).unwrap_err();
            assert_eq!(problems, ["the body must be a JSON object, with each field once"]);
        }
        let read = DeadLetterRequest::read(br#"{"ids": ["1-0"], "idle_seconds": 0.5}"#).unwrap();
        assert_eq!(
            (read.ids, read.idle_seconds, read.dry_run),
            (Some(vec![StreamId::new(1, 0)]), Some(0.5), None)
        );
    }
}
