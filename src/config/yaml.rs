//! YAML 1.2 as a tree of values, and the line of each key. A tree has no lines, so a file is parsed once more where something
//! is wrong with it.

use std::{collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use serde_saphyr::{Spanned, UserMessageFormatter};

/// Parses a text. An empty one is `Null`.
///
/// # Errors
/// What the parser reports, with line and column.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    parse_as::<Value>(text).map(Option::unwrap_or_default)
}

/// Snippets are off: they would show the line with the password.
fn parse_as<T: DeserializeOwned>(text: &str) -> Result<Option<T>, String> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text.trim_start_matches('\u{FEFF}'), options)
        .map_err(|error| error.without_snippet().render_with_formatter(&UserMessageFormatter))
}

/// The line of each key, by its path.
#[derive(Default)]
pub(super) struct Lines(HashMap<String, u64>);

impl Lines {
    /// Those of a file that can be parsed.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(Some(node)) = parse_as::<Node>(text) {
            lines.add("", &node);
        }
        lines
    }

    fn add(&mut self, path: &str, node: &Node) {
        match node {
            Node::Value => {}
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add_at(format!("{path}[{index}]"), item.referenced.line(), &item.value);
                }
            }
            Node::Map(entries) => {
                for (key, value) in entries {
                    let inside =
                        if path.is_empty() { key.value.clone() } else { format!("{path}.{}", key.value) };
                    self.add_at(inside, key.referenced.line(), &value.value);
                }
            }
        }
    }

    fn add_at(&mut self, path: String, line: u64, node: &Node) {
        self.add(&path, node);
        self.0.insert(path, line);
    }

    /// The line of this key, or of the section that it is missing in.
    pub(super) fn of_key(&self, path: &str) -> Option<u64> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            (path, _) = path.rsplit_once(['.', '['])?;
        }
    }
}

/// A value of the file, of which only the place matters.
enum Node {
    Value,
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

macro_rules! scalar {
    ($($visit:ident: $type:ty),+) => {
        $(fn $visit<E>(self, _: $type) -> Result<Node, E> {
            Ok(Node::Value)
        })+
    };
}

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    scalar! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}
