//! From file, environment and flags to a checked configuration: flags win over the environment, that over the file.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    Config, Environment, Http, Problems,
    environment::{CONFIG_FILE, VARIABLES},
    read,
    section::Section,
};
use crate::{
    files::{self, Kind, ReadError},
    model::Text,
};

/// What flags set, by key.
#[derive(Debug, Clone, Default)]
pub struct Overrides(Vec<(&'static str, &'static str, String)>);

impl Overrides {
    /// Sets `key` to what `flag` was given, if it was.
    pub fn set(&mut self, flag: &'static str, key: &'static str, value: Option<String>) {
        self.0.extend(value.map(|value| (flag, key, value)));
    }
}

/// Where the configuration comes from; it can be loaded again when the file has changed.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file that a flag names.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Environment,
    /// The flags.
    pub overrides: Overrides,
    /// The names that `exposition.exclude` may have: those of the metrics' families.
    pub families: Vec<&'static str>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read, or is too large to be a configuration.
    #[error("cannot use the configuration file: {0}")]
    Read(#[from] ReadError),
    /// The file is not YAML.
    #[error("the configuration file {path} is not YAML: {what}")]
    Syntax {
        /// The file.
        path: Text,
        /// What the parser said, with line and column, without the text of the file.
        what: Text,
    },
    /// The file is YAML, but some values are wrong.
    #[error(transparent)]
    Invalid(Problems),
}

impl Sources {
    /// The configuration file, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        self.file.clone().or_else(|| self.environment.get(CONFIG_FILE).map(PathBuf::from))
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// [`LoadError`]: the file, its syntax, or every wrong value at once.
    pub fn load(&self) -> Result<Config, LoadError> {
        let tree = self.path().map_or(Ok(Value::Null), |path| read_file(&path))?;
        self.check(tree).map_err(LoadError::Invalid)
    }

    /// Where the sidecar listens, whatever else is wrong: a file that has become bad is no reason to end a sidecar that runs on
    /// what it read before.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        let mut tree = self.path().and_then(|path| read_file(&path).ok()).unwrap_or_default();
        self.overlay(&mut tree, &mut Problems::default());
        let listen = tree.pointer("/http/listen").and_then(Value::as_str);
        listen.and_then(|listen| listen.parse().ok()).unwrap_or(Http::LISTEN)
    }

    fn check(&self, mut tree: Value) -> Result<Config, Problems> {
        let mut problems = Problems::default();
        let origins = self.overlay(&mut tree, &mut problems);
        let mut root = Section::root(tree, &mut problems, &origins);
        let config = read::config(&mut root, &self.environment, &self.families);
        root.end();
        match config {
            Some(config) if problems.0.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// Lays the environment and the flags over the file; each key that they set, with what set it.
    fn overlay(&self, tree: &mut Value, problems: &mut Problems) -> Vec<(&'static str, &'static str)> {
        let mut origins = Vec::new();
        for (variable, key) in VARIABLES {
            match self.environment.get(variable).map(|value| value.to_str()) {
                Some(Some(value)) => set(tree, key, value),
                Some(None) => problems.add(*variable, "is not UTF-8"),
                None => continue,
            }
            origins.push((*key, *variable));
        }
        for (flag, key, value) in &self.overrides.0 {
            set(tree, key, value);
            origins.retain(|(set, _)| set != key);
            origins.push((*key, *flag));
        }
        origins
    }
}

/// Sets `section.key` or `key`. An address and the file that holds one replace each other.
fn set(tree: &mut Value, key: &str, value: &str) {
    let (section, key) = key.rsplit_once('.').map_or(("", key), |(section, key)| (section, key));
    let Some(mut fields) = as_map(tree) else { return };
    if !section.is_empty() {
        let Some(inner) = as_map(fields.entry(section).or_insert(Value::Null)) else { return };
        fields = inner;
    }
    match key {
        "uri" => drop(fields.remove("uri_file")),
        "uri_file" => drop(fields.remove("uri")),
        _ => {}
    }
    fields.insert(key.to_owned(), value.into());
}

/// The map, made where there is nothing; `None` where there is something else, which reading will complain about.
fn as_map(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

fn read_file(path: &Path) -> Result<Value, LoadError> {
    let text = files::read_text(path, Kind::Config)?;
    parse(&text).map_err(|what| LoadError::Syntax { path: path.into(), what: what.into() })
}

/// Parses YAML 1.2. Snippets are off: they would print the line with the password.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_str_with_options::<Option<Value>>(text.trim_start_matches('\u{FEFF}'), options)
        .map(Option::unwrap_or_default)
        .map_err(|error| error.without_snippet().to_string())
}

#[cfg(test)]
#[path = "load_tests.rs"]
pub(crate) mod tests;
