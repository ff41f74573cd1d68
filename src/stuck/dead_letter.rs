//! Dead letters: their stream's name, and what one is made of.

use crate::model::{Content, Entry, Name, StreamId, hash_tag};

/// What the default name begins with.
pub const DEFAULT_BEGIN: &str = "dead:";
const BEGIN: &[u8] = DEFAULT_BEGIN.as_bytes();
/// Fields that a dead letter has behind those of its entry, in this order. `script_head.lua` has them too.
const FIELDS: [&str; 7] = ["stream", "group", "id", "consumer", "deliveries", "time", "by"];

/// The default name of a stream's dead letters: `dead:` and its key, in braces unless it has a hash tag. Both are in one slot.
/// `None` for keys that have no such name, such as `a}b`.
#[must_use]
pub fn dead_letters_of(stream: &Name) -> Option<Name> {
    let key = stream.as_bytes();
    let has_tag = hash_tag(key).len() < key.len();
    let name = if has_tag { [BEGIN, key].concat() } else { [BEGIN, b"{", key, b"}"].concat() };
    (hash_tag(&name) == hash_tag(key)).then(|| Name::from(name))
}

/// The streams whose dead letters have this key as their default name: `dead:{a}` is that of `a` and of `{a}`.
pub fn origins_of(key: &Name) -> impl Iterator<Item = Name> {
    let rest = key.as_bytes().strip_prefix(BEGIN);
    let bare = rest.and_then(|rest| rest.strip_prefix(b"{")).and_then(|rest| rest.strip_suffix(b"}"));
    let origins = [bare, rest].into_iter().flatten().map(Name::from);
    origins.filter(|origin| dead_letters_of(origin).as_ref() == Some(key))
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter<'a> {
    /// Its own ID.
    pub id: StreamId,
    /// The stream that it is from.
    pub stream: Name,
    /// The group that could not handle it.
    pub group: Name,
    /// The ID that it had there.
    pub origin_id: Option<StreamId>,
    /// The consumer that held it.
    pub consumer: Name,
    /// How often it was delivered.
    pub deliveries: Option<u64>,
    /// When it was set aside, in milliseconds since the Unix epoch.
    pub time: Option<u64>,
    /// How often it was replayed before.
    pub replays: u64,
    /// The fields of the entry.
    pub fields: &'a [(Content, Content)],
}

impl<'a> DeadLetter<'a> {
    /// Whether this entry is a dead letter, whatever the prefix of its fields.
    #[must_use]
    pub fn is(entry: &'a Entry) -> bool {
        let first = entry.fields.len().checked_sub(FIELDS.len()).and_then(|first| entry.fields.get(first));
        let name = first.and_then(|(name, _)| std::str::from_utf8(name.bytes()?).ok());
        let prefix = name.and_then(|name| name.strip_suffix("stream")).filter(|prefix| !prefix.is_empty());
        prefix.is_some_and(|prefix| Self::of(entry, prefix).is_some())
    }

    /// The dead letter that is in this entry; `None` if it is not one.
    #[must_use]
    pub fn of(entry: &'a Entry, prefix: &str) -> Option<Self> {
        let (fields, origin) =
            entry.fields.split_at_checked(entry.fields.len().checked_sub(FIELDS.len())?)?;
        let is_named = |(content, name): (&Content, &str)| {
            content.bytes().and_then(|bytes| bytes.strip_prefix(prefix.as_bytes())) == Some(name.as_bytes())
        };
        if !origin.iter().map(|(name, _)| name).zip(FIELDS).all(is_named) {
            return None;
        }
        let value = |index: usize| origin.get(index).and_then(|(_, value)| value.bytes());
        let text = |index: usize| value(index).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let name = |index: usize| value(index).map(Name::from);
        let last = fields.split_last().filter(|((name, _), _)| is_named((name, "replays")));
        let replays = last.and_then(|((_, value), _)| std::str::from_utf8(value.bytes()?).ok()?.parse().ok());
        Some(Self {
            id: entry.id,
            stream: name(0)?,
            group: name(1)?,
            origin_id: text(2).and_then(|id| id.parse().ok()),
            consumer: name(3)?,
            deliveries: text(4).and_then(|number| number.parse().ok()),
            time: text(5).and_then(|number| number.parse().ok()),
            replays: replays.unwrap_or(0),
            fields: last.map_or(fields, |(_, rest)| rest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_name_is_in_the_slot_of_the_stream_or_does_not_exist() {
        for (key, name) in [
            ("events:session", Some("dead:{events:session}")),
            ("a{b}c", Some("dead:a{b}c")),
            ("{b}", Some("dead:{b}")),
            ("a{b", Some("dead:{a{b}")),
            ("a}b", None),
            ("{}x", None),
            ("a{}b{c}", None),
            ("", None),
        ] {
            assert_eq!(dead_letters_of(&key.into()).map(|name| name.to_string()).as_deref(), name, "{key}");
        }
    }

    #[test]
    fn the_origin_is_known_by_the_name() {
        for (key, origins) in [
            ("dead:{events}", "events {events}"),
            ("dead:a{b}c", "a{b}c"),
            ("dead:events", ""),
            ("dead:{}", ""),
            ("dead:", ""),
            ("events", ""),
        ] {
            let found: Vec<String> = origins_of(&key.into()).map(|name| name.to_string()).collect();
            assert_eq!(found.join(" "), origins, "{key}");
        }
    }

    proptest! {
        #[test]
        fn a_default_name_has_the_hash_tag_of_its_stream(key in "[ab{}]{0,6}") {
            if let Some(name) = dead_letters_of(&key.as_str().into()) {
                prop_assert!(origins_of(&name).any(|origin| origin == key.as_str().into()));
                prop_assert_eq!(hash_tag(name.as_bytes()), hash_tag(key.as_bytes()));
                prop_assert_ne!(name.as_bytes(), key.as_bytes());
            }
        }
    }

    fn entry(words: &str) -> Entry {
        let content = |word: &str| Content::Whole(word.as_bytes().into());
        let pair =
            |pair: &str| pair.split_once('=').map(|(name, value)| (content(name), content(value))).unwrap();
        Entry { id: StreamId::new(9, 0), fields: words.split(' ').map(pair).collect() }
    }

    const ORIGIN: &str =
        "dlq:stream=s dlq:group=g dlq:id=1-2 dlq:consumer=c dlq:deliveries=7 dlq:time=1700 dlq:by=me";

    #[test]
    fn a_dead_letter_is_its_entry_and_where_it_is_from() {
        let found = entry(&format!("a=1 dlq:stream=own {ORIGIN}"));
        let letter = DeadLetter::of(&found, "dlq:").unwrap();
        assert_eq!((letter.stream, letter.group, letter.consumer), ("s".into(), "g".into(), "c".into()));
        assert_eq!((letter.origin_id, letter.deliveries), (Some(StreamId::new(1, 2)), Some(7)));
        assert_eq!((letter.time, letter.replays, letter.fields.len()), (Some(1_700), 0, 2));
        assert!(DeadLetter::is(&found) && DeadLetter::is(&entry(&ORIGIN.replace("dlq:", "x-"))));
        let replayed = entry(&format!("a=1 dlq:replays=2 {ORIGIN}"));
        let letter = DeadLetter::of(&replayed, "dlq:").unwrap();
        assert_eq!((letter.replays, letter.fields.len()), (2, 1));
    }

    #[test]
    fn the_scripts_have_the_same_fields() {
        let fields = FIELDS.map(|field| format!("'{field}'")).join(", ");
        let line = format!("\nlocal ORIGIN = {{{fields}}}\n");
        assert!(include_str!("../actions/script_head.lua").contains(&line), "{line}");
    }

    #[test]
    fn an_entry_of_another_form_is_not_a_dead_letter() {
        for words in ["a=1", "a=1 dlq:stream=s", &format!("{ORIGIN} a=1"), &ORIGIN.replace("dlq:", "")] {
            assert!(!DeadLetter::is(&entry(words)), "{words}");
        }
        for words in ["a=1", "a=1 dlq:stream=s", &format!("{ORIGIN} a=1"), &ORIGIN.replace("dlq:", "x:")] {
            assert_eq!(DeadLetter::of(&entry(words), "dlq:"), None, "{words}");
        }
    }
}
