//! What is made of the configuration's keys: the JSON Schemas for editors and for values of the Helm chart, and the table of keys.

use std::{fs, path::Path};

use anyhow::Context;
use serde_json::Value;
use streamwarden::config::{json_schema, schemes, table};

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
        File {
            path: "deploy/helm/streamwarden/values.schema.json",
            text: format!("{:#}\n", values_schema()),
        },
        File { path: "docs/src/configuration-keys.md", text: format!("{HEAD}{}", table()) },
    ]
}

/// A JSON Schema of the chart's values: what is written by hand, the configuration under `config`, and the forms of an address.
fn values_schema() -> Value {
    let by_hand = include_str!("../../deploy/helm/values.schema.json");
    let mut schema: Value = serde_json::from_str(by_hand).expect("values.schema.json is JSON");
    let mut config = json_schema();
    for of_a_file in ["$schema", "title"] {
        config.as_object_mut().expect("a schema is an object").remove(of_a_file);
    }
    schema["properties"]["config"] = config;
    let schemes: Vec<String> = schemes().map(|scheme| scheme.replace('+', r"\+")).collect();
    schema["properties"]["redis"]["properties"]["uri"]["pattern"] =
        format!("^(({})://.*)?$", schemes.join("|")).into();
    schema["$comment"] =
        "Made by `cargo xtask config` from ../values.schema.json, src/config/keys.rs and the schemes of addresses.".into();
    schema
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
