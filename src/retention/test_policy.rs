//! A policy for tests.

use crate::config::{Mode, Policy};

/// A limit of 70 entries.
pub(crate) fn policy(mode: Mode) -> Policy {
    Policy {
        max_length: Some(70),
        max_age: None,
        mode,
        ceiling: None,
        exact: false,
        spares_dead_letters: false,
        ignore_groups: Vec::new(),
        groups: Vec::new(),
        interval: std::time::Duration::from_secs(1),
    }
}
