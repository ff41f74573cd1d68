//! Addresses of a cluster's nodes as values of keys.
//!
//! A problem does not repeat a text that is not such an address, since it may have a password.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    section::{Section, text},
    setting::{Setting, Shown},
};
use crate::model::NodeAddress;

const LIST: &str = "a list of addresses, as in [redis-1.example:6379, redis-2.example:6379]";
const MAP: &str = "a map of addresses, as in {\"10.0.0.5:6379\": \"proxy.example:7001\"}";

fn address(value: Value, place: &str) -> Result<NodeAddress, String> {
    let text = text(value).map_err(|what| format!("{place} {what}"))?;
    text.parse().map_err(|error| format!("{place} {error}"))
}

/// Other nodes to ask.
impl Setting for Vec<NodeAddress> {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        let items = section.parse(key, |value| {
            if let Value::Array(items) = value { Ok(items) } else { Err(format!("must be {LIST}")) }
        })?;
        let mut nodes = Self::new();
        for (index, item) in items.into_iter().enumerate() {
            let place = format!("number {}", index + 1);
            match address(item, &place) {
                Ok(node) if nodes.contains(&node) => {
                    section.problem(key, format!("{place} repeats an address; remove it"));
                }
                Ok(node) => nodes.push(node),
                Err(what) => section.problem(key, what),
            }
        }
        Some(nodes)
    }

    fn show(&self) -> Shown {
        Shown::List(self.iter().map(|node| Shown::Value(node.to_string().into())).collect())
    }

    fn describe((): &()) -> (String, Value) {
        (LIST.to_owned(), json!({"type": "array", "items": schema(), "uniqueItems": true}))
    }
}

/// Announced addresses, and the ones to use in their place.
impl Setting for BTreeMap<NodeAddress, NodeAddress> {
    type Bounds = ();

    fn read(section: &mut Section<'_>, key: &'static str, (): &()) -> Option<Self> {
        let entries = section.parse(key, |value| {
            if let Value::Object(entries) = value { Ok(entries) } else { Err(format!("must be {MAP}")) }
        })?;
        let mut map = Self::new();
        for (announced, used) in entries {
            let read = address(announced.into(), "an address on the left").and_then(|announced| {
                Ok((address(used, &format!("the address for {announced}"))?, announced))
            });
            match read {
                Ok((_, announced)) if map.contains_key(&announced) => {
                    section.problem(key, format!("{announced} stands on the left twice; remove one"));
                }
                Ok((used, announced)) => {
                    map.insert(announced, used);
                }
                Err(what) => section.problem(key, what),
            }
        }
        Some(map)
    }

    fn show(&self) -> Shown {
        if self.is_empty() {
            return Shown::NOTHING;
        }
        let entries = self.iter().map(|(announced, used)| (announced.to_string(), used.to_string().into()));
        Shown::Value(Value::Object(entries.collect()))
    }

    fn describe((): &()) -> (String, Value) {
        let schema = json!({"type": "object", "propertyNames": schema(), "additionalProperties": schema()});
        (MAP.to_owned(), schema)
    }
}

fn schema() -> Value {
    json!({"type": "string", "pattern": "^[^/@]+:[0-9]+$"})
}
