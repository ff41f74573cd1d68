//! The only place that reads the environment.

use std::{collections::BTreeMap, ffi::OsString};

pub(super) const URI: &str = "REDIS_URI";
pub(super) const URI_FILE: &str = "REDIS_URI_FILE";
pub(super) const USERNAME: &str = "REDIS_USERNAME";
pub(super) const PASSWORD: &str = "REDIS_PASSWORD";
pub(super) const PASSWORD_FILE: &str = "REDIS_PASSWORD_FILE";

/// The variable that names the configuration file.
pub(super) const CONFIG_FILE: &str = "STREAMWARDEN_CONFIG";

/// The prefixes of the variables of this program and of OpenTelemetry.
const PREFIXES: [&str; 3] = ["REDIS_", "STREAM", "OTEL_"];

/// The environment's variables, read once. Empty ones count as not set.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Reads the process's environment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    pub fn read() -> Self {
        let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self(named.filter(|(name, _)| PREFIXES.iter().any(|prefix| name.starts_with(prefix))).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&OsString> {
        self.0.get(name).filter(|value| !value.is_empty())
    }
}

/// Whether the user wants no colours on a terminal: <https://no-color.org>.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn wants_no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
impl<T: Into<OsString>> FromIterator<(&'static str, T)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'static str, T)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}
