//! Configurations for the tests of all modules.

use super::{Config, check_in};

/// The default configuration with this YAML.
pub(crate) fn config(more: &str) -> Config {
    check_in(&format!("redis: {{uri: 'redis://h'}}\n{more}"), &[]).unwrap()
}
