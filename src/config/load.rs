//! Loads the configuration from file, environment and flags. Flags win over the environment, and the environment over the file.

use std::{net::SocketAddr, path::PathBuf};

use serde_json::{Map, Value};

use super::{
    Config, Environment, Http, Problems,
    environment::CONFIG_FILE,
    reference::keys,
    section::{Context, Found, Section},
    setting::Group,
    yaml::parse,
};
use crate::{
    files::{self, Kind, ReadError},
    model::Text,
};

/// The keys that flags set.
#[derive(Debug, Clone, Default)]
pub struct Overrides(Vec<(&'static str, &'static str, String)>);

impl Overrides {
    /// Sets `key` to the value of `flag`.
    pub fn set(&mut self, flag: &'static str, key: &'static str, value: String) {
        self.0.push((flag, key, value));
    }
}

/// Where the configuration comes from. It can be loaded again when the file has changed.
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
    /// Whether the address of Redis may be missing.
    pub is_address_optional: bool,
}

/// Why the configuration cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read, or is too large.
    #[error("cannot use the configuration file: {0}")]
    Read(#[from] ReadError),
    /// The file is not YAML.
    #[error("the configuration file {path} is not YAML: {what}")]
    Syntax {
        /// The file.
        path: Text,
        /// What the parser reports, with line and column, without the text of the file.
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
    /// [`LoadError`]: the file, its syntax, or every wrong value at once, with its line.
    pub fn load(&self) -> Result<Config, LoadError> {
        let Some(path) = self.path() else { return self.check(Value::Null).map_err(LoadError::Invalid) };
        let text = files::read_text(&path, Kind::Config)?;
        let tree = parse(&text)
            .map_err(|what| LoadError::Syntax { path: path.as_path().into(), what: what.into() })?;
        self.check(tree).map_err(|mut problems| {
            problems.locate(&path, &text);
            LoadError::Invalid(problems)
        })
    }

    /// The address that the sidecar listens on, even if other keys are wrong: a running sidecar keeps its last configuration if the
    /// file has become bad.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        let tree = self.path().and_then(|path| {
            let text = files::read_text(&path, Kind::Config).ok()?;
            parse(&text).ok()
        });
        let mut tree = tree.unwrap_or_default();
        self.overlay(&mut tree, &mut Problems::default());
        let listen = tree.pointer("/http/listen").and_then(Value::as_str);
        listen.and_then(|listen| listen.parse().ok()).unwrap_or(Http::LISTEN)
    }

    fn check(&self, mut tree: Value) -> Result<Config, Problems> {
        let mut found = Found::default();
        let set = self.overlay(&mut tree, &mut found.problems);
        let context = Context {
            set,
            environment: &self.environment,
            families: &self.families,
            is_address_optional: self.is_address_optional,
        };
        let mut root = Section::new(String::new(), tree, &mut found, &context);
        let config = Config::read_keys(&mut root, &());
        root.end();
        if found.problems.0.is_empty() { Ok(config) } else { Err(found.problems) }
    }

    /// Lays the environment and the flags over the file. Returns each key that they set, with what set it.
    fn overlay(&self, tree: &mut Value, problems: &mut Problems) -> Vec<(&'static str, &'static str)> {
        let mut origins = Vec::new();
        for key in keys() {
            let Some(variable) = key.about.variable else { continue };
            let Some(value) = self.environment.get(variable) else { continue };
            match value.to_str() {
                Some(value) => set(tree, &key.path, value),
                None => problems.add(variable, "is not UTF-8"),
            }
            origins.push((key.path.as_str(), variable));
        }
        for (flag, key, value) in &self.overrides.0 {
            set(tree, key, value);
            origins.retain(|(set, _)| set != key);
            origins.push((*key, *flag));
        }
        origins
    }
}

/// Sets a key. An address and the file that holds one replace each other. Something else in place of a section stays: reading
/// reports it.
fn set(tree: &mut Value, path: &str, value: &str) {
    if tree.is_null() {
        *tree = Value::Object(Map::new());
    }
    let Some(fields) = tree.as_object_mut() else { return };
    if let Some((section, path)) = path.split_once('.') {
        return set(fields.entry(section).or_insert(Value::Null), path, value);
    }
    match path {
        "uri" => drop(fields.remove("uri_file")),
        "uri_file" => drop(fields.remove("uri")),
        _ => {}
    }
    fields.insert(path.to_owned(), value.into());
}

#[cfg(test)]
#[path = "load_tests.rs"]
pub(crate) mod tests;
