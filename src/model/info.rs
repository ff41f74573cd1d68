//! A reply to `INFO`.

use std::collections::BTreeMap;

use super::Text;

/// A section of `INFO`: its fields by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Info(pub BTreeMap<String, Text>);

impl Info {
    /// A field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(Text::as_str)
    }

    /// A numeric field.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<u64> {
        self.get(field)?.parse().ok()
    }
}
