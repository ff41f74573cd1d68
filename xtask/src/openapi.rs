//! The description of the API: a file that is made from the types of its documents.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use streamwarden::http::openapi::openapi;

const FILE: &str = "src/views/api/openapi.json";

/// Writes it.
///
/// # Errors
/// Where the file can't be written.
pub fn write(project: &Path) -> anyhow::Result<String> {
    fs::write(project.join(FILE), openapi()).with_context(|| format!("cannot write {FILE}"))?;
    Ok(String::new())
}

/// Compares it with the file.
///
/// # Errors
/// Where they differ, or the file can't be read.
#[expect(clippy::disallowed_methods, reason = "it is a file of the project")]
pub fn check(project: &Path) -> anyhow::Result<String> {
    let file = fs::read_to_string(project.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    ensure!(file == openapi(), "{FILE} is out of date: run `cargo xtask openapi` and commit the file");
    Ok(format!("{FILE} is up to date\n"))
}
