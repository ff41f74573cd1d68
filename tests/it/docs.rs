//! What the documentation says is what the program does, and what it names is there.

mod commands;
mod links;
pub(crate) mod markdown;
mod names;
mod samples;
mod terms;
mod translations;
mod words;

use std::{collections::BTreeSet, fmt::Write, process::Command};

use streamwarden::views::{FAMILIES, Kind};

use crate::process::{streamwarden, text};

use markdown::read;

const CONFIGURATION: &str = include_str!("../../docs/src/configuration.md");

/// The text between two markers.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{begin} is in the page"));
    rest.split_once(end).unwrap_or_else(|| panic!("{end} is in the page")).0
}

#[test]
fn the_readme_is_read_to_its_end() {
    for page in ["README.md", "README.zh-CN.md"] {
        let lines = read(page).lines().count();
        assert!(
            (150..=200).contains(&lines),
            "{page} has {lines} lines: what is longer belongs into docs/src"
        );
    }
}

#[test]
fn the_metric_table_is_the_one_in_the_code() {
    let mut table = "\n| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n".to_owned();
    for family in FAMILIES {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Info => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = family.labels().iter().map(|label| format!("`{label}`")).collect();
        writeln!(table, "| `{}` | {kind} | {} | {} |", family.name, labels.join(" "), family.help).unwrap();
    }
    let metrics = read("docs/src/metrics.md");
    let shown = between(&metrics, "<!-- metrics: begin -->", "<!-- metrics: end -->");
    assert!(shown == table, "the table of docs/src/metrics.md should be:\n{table}");
}

#[test]
fn the_sample_configuration_is_one_and_shows_the_defaults() {
    let sample = between(CONFIGURATION, "<!-- keys: begin -->\n```yaml\n", "```");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), sample).unwrap();
    let check = |arguments: &[&str]| {
        let output = Command::new(support::program())
            .arg("check-config")
            .args(arguments)
            .env_clear()
            .env("REDIS_URI", "redis://localhost")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (sampled, default) = (check(&["--config", file.path().to_str().unwrap()]), check(&[]));
    let differs = |line: &&str| ["streams:", "exclude:", "#"].iter().any(|it| line.starts_with(it));
    for line in default.lines().filter(|line| !differs(line)) {
        let is_shown = sampled.lines().any(|sampled| sampled == line);
        assert!(is_shown, "{line} differs from the sample");
    }
    assert_eq!(keys(sample), keys(&sampled), "the sample's keys are those that check-config prints");
}

/// The keys of a configuration, without those in comments.
fn keys(yaml: &str) -> BTreeSet<&str> {
    let lines = yaml.lines().map(|line| line.split('#').next().unwrap());
    let words = lines.flat_map(|line| line.split([' ', '{']));
    words.filter_map(|word| word.strip_suffix(':')).collect()
}

#[test]
fn the_list_for_large_installations_disables_the_alert_that_is_named() {
    let list = between(CONFIGURATION, "<!-- large: begin -->\n```yaml\n", "```");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), list).unwrap();
    let mut check = Command::new(support::program());
    check
        .args(["check-config", "--config"])
        .arg(file.path())
        .env_clear()
        .env("REDIS_URI", "redis://localhost");
    let output = check.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, disabled) = said.split_once("# Shipped alerts that do not work without").unwrap();
    let (disabled, unmuted) = disabled.split_once("# Shipped alerts that fire beside").unwrap();
    let alerts = |lines: &str| -> Vec<String> {
        lines.lines().skip(1).map(|line| line.split(": ").last().unwrap().to_owned()).collect()
    };
    assert_eq!(alerts(disabled), ["RedisStreamConsumerNearPendingLimit"]);
    assert_eq!(alerts(unmuted), ["RedisStreamGroupLagging"]);
}

#[test]
fn every_variable_is_documented() {
    let help = Command::new(support::program()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let table = between(CONFIGURATION, "| Variable | Key |", "## Addresses");
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let variable = line.split('`').nth(1).unwrap();
        assert!(help.contains(variable), "{variable} is not in --help");
    }
    for variable in streamwarden::config::keys().iter().filter_map(|key| key.about.variable) {
        assert!(table.contains(&format!("`{variable}`")), "{CONFIGURATION}: no row for {variable}");
    }
}

#[test]
fn the_shipped_configurations_are_accepted() {
    let files = [
        "deploy/kubernetes/config/config.yaml",
        "deploy/kubernetes/examples/nexus/application/config.yaml",
        "deploy/compose/streamwarden/config.yaml",
        "examples/demo.yaml",
    ];
    for file in files {
        let output = Command::new(support::program())
            .args(["check-config", "--config"])
            .arg(support::project(file))
            .env_clear()
            .env("REDIS_URI", "redis://localhost")
            .output()
            .unwrap();
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn each_fault_that_no_test_shows_is_in_a_function_that_is_there() {
    let rows = include_str!("../mutants.md").lines().filter(|line| line.starts_with("| `src/"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split('`').collect()).collect();
    assert!(!rows.is_empty());
    for row in rows {
        let (file, function) = (row[1], row[3].rsplit("::").next().unwrap());
        let code = support::read(support::project(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(code.contains(&format!("fn {function}")), "{file} has no {function}");
    }
}

#[test]
fn what_the_form_for_bugs_asks_for_has_no_secret() {
    let password = "kXv7-canary-pQ2z";
    let redis = support::Redis::with_settings(&format!("requirepass {password}"));
    assert!(redis.uri().contains(password));
    let form = support::read(support::project(".github/ISSUE_TEMPLATE/bug.yml")).unwrap();
    for (command, has) in [("doctor --json", "\"findings\""), ("check-config", "<redacted>")] {
        assert!(form.contains(&format!("label: streamwarden {command}\n")), "{command} is not asked for");
        let arguments: Vec<&str> = command.split(' ').collect();
        let output = streamwarden(&arguments, &[("REDIS_URI", &redis.uri())]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains(has) && !said.contains(password), "{command}: {said}");
    }
}
