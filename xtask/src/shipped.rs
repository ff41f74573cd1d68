//! The files that are shipped beside the program and made from its table of metrics.

mod alert_families;
mod board;
mod overview;
mod panel;
mod query;
mod retention;
mod sidecar;
mod stream;

use std::{fs, path::Path};

use anyhow::Context;

/// Where runbooks are read. Whoever keeps them elsewhere replaces it in `alerts/` and `dashboards/`.
pub const RUNBOOKS: &str = "https://streamwarden.example/runbooks/";

/// A file that is made, with its text.
pub struct File {
    pub path: &'static str,
    pub text: String,
}

/// Writes all of them.
///
/// # Errors
/// Where a file can't be read or written.
#[expect(clippy::disallowed_methods, reason = "it is a file of the project")]
pub fn write(project: &Path) -> anyhow::Result<()> {
    let rules = project.join("alerts/streamwarden.rules.yml");
    let rules = fs::read_to_string(&rules).with_context(|| format!("cannot read {}", rules.display()))?;
    for file in files(&rules) {
        let path = project.join(file.path);
        fs::write(&path, file.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// All of them; `rules` is the text of the rule file.
pub fn files(rules: &str) -> Vec<File> {
    let boards = [
        ("dashboards/overview.json", overview::board()),
        ("dashboards/stream.json", stream::board()),
        ("dashboards/retention.json", retention::board()),
        ("dashboards/sidecar.json", sidecar::board()),
    ];
    let boards =
        boards.into_iter().map(|(path, board)| File { path, text: format!("{:#}\n", board.to_json()) });
    let manifest = File { path: "alerts/prometheusrule.yaml", text: manifest(rules) };
    let table = File { path: "src/config/alert_families.rs", text: alert_families::table(rules) };
    boards.chain([manifest, table]).collect()
}

/// The rule file as a manifest for the Prometheus operator: its `groups`, as they are, under `spec`.
fn manifest(rules: &str) -> String {
    let (_, groups) = rules.split_once("\ngroups:\n").expect("the rule file has groups");
    let groups: String = groups
        .lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") })
        .collect();
    format!(
        "# Made by `make dashboards` from streamwarden.rules.yml, which tells more. Change that, not this.\n\
         apiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\n\
         metadata:\n  name: streamwarden\n  labels:\n    app.kubernetes.io/name: streamwarden\n\
         spec:\n  groups:\n{groups}"
    )
}
