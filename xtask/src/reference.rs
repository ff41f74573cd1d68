//! What is made of the configuration's keys: the JSON Schema for editors, and the table of keys.

use std::{fs, path::Path};

use anyhow::Context;
use streamwarden::config::{json_schema, table};

use crate::shipped::File;

const HEAD: &str = "\
# Configuration keys

Each key with its default. `streams[]` is a rule of the list `streams`. [Configuration](configuration.md) has a sample of all keys.
A duration is written as in `15s`, `5m` or `1h30m`.

<!-- Made by `cargo xtask config` from src/config/keys.rs. Change that, not this. -->

";

/// All of them.
#[must_use]
pub fn files() -> Vec<File> {
    vec![
        File { path: "deploy/streamwarden.schema.json", text: format!("{:#}\n", json_schema()) },
        File { path: "docs/src/configuration-keys.md", text: format!("{HEAD}{}", table()) },
    ]
}

/// Writes all of them.
///
/// # Errors
/// Where a file can't be written.
pub fn write(project: &Path) -> anyhow::Result<()> {
    for file in files() {
        let path = project.join(file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, file.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
