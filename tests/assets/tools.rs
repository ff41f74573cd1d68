//! The programs that read what is shipped, and its files.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

pub(crate) use support::project;

pub(crate) fn read(path: &str) -> String {
    let path = project(path);
    support::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each alert has two aliases: more in all than the library takes of a stranger.
pub(crate) fn yaml(text: &str) -> Value {
    let options = serde_saphyr::options! { budget: None };
    serde_saphyr::from_str_with_options(text, options).unwrap()
}

/// A program of the folder that `STREAMWARDEN_TEST_TOOLS` names.
#[expect(clippy::disallowed_methods, reason = "where the programs are is the caller's choice")]
pub(crate) fn tool(name: &str) -> Command {
    let folder =
        std::env::var("STREAMWARDEN_TEST_TOOLS").expect("STREAMWARDEN_TEST_TOOLS; see make test-assets");
    Command::new(PathBuf::from(folder).join(name))
}

/// Runs it and returns what it says, if it succeeds.
#[track_caller]
pub(crate) fn succeeds(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {said}");
    said
}

/// A rule that alerts.
pub(crate) struct Alert {
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) severity: String,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) runbook: String,
}

pub(crate) const RULES: &str = "alerts/streamwarden.rules.yml";

/// All rules of the shipped file.
pub(crate) fn rules() -> Vec<Value> {
    let groups = yaml(&read(RULES));
    let groups = groups["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Those that alert.
pub(crate) fn alerts() -> Vec<Alert> {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned();
    let rules = rules().into_iter().filter(|rule| rule.get("alert").is_some());
    rules
        .map(|rule| Alert {
            name: text(&rule["alert"]),
            expression: text(&rule["expr"]),
            severity: text(&rule["labels"]["severity"]),
            summary: text(&rule["annotations"]["summary"]),
            description: text(&rule["annotations"]["description"]),
            runbook: text(&rule["annotations"]["runbook_url"]),
        })
        .collect()
}
