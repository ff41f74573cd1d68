//! What is made of the configuration's keys is what the program does, and what is checked in.

use crate::process::{config_file, streamwarden, text};

#[test]
fn what_is_made_of_the_keys_is_what_is_there() {
    for file in xtask::reference::files() {
        let there = support::read(support::project(file.path)).unwrap_or_default();
        assert!(there == file.text, "{} is not what `cargo xtask config` writes", file.path);
    }
}

/// What `check-config` says about a file and an address, with the file's path left out.
fn problem(yaml: &str, uri: &str) -> String {
    let file = config_file(yaml);
    let path = file.path().to_str().unwrap();
    let output = streamwarden(&["check-config", "--config", path], &[("REDIS_URI", uri)]);
    assert_eq!(output.status.code(), Some(2));
    text(&output.stderr).trim().replace(path, "FILE")
}

#[test]
fn a_problem_of_a_file_is_shown_with_its_line() {
    let problem = problem("poll:\n  interval: 15s\n  stale_afterr: 1m\n", "redis://h");
    assert_eq!(problem, "FILE:3: poll.stale_afterr: unknown key; did you mean stale_after?");
}

#[test]
fn a_problem_of_a_variable_is_not_shown_at_a_line_of_the_file() {
    let problem = problem("redis: {connect_timeout: 5s}\n", "redis://h:port");
    assert!(problem.starts_with("redis.uri (from REDIS_URI): "), "{problem}");
}

#[test]
fn the_schema_of_the_program_is_the_one_beside_it() {
    let output = streamwarden(&["config-schema"], &[]);
    let there = support::read(support::project("deploy/streamwarden.schema.json")).unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), there));
}

#[test]
fn every_command_has_a_manual_page_and_every_flag_is_completed() {
    xtask::manual::write(&support::project("")).unwrap();
    let help = text(&streamwarden(&["--help"], &[]).stdout);
    let (commands, flags) = help.split_once("Options:").unwrap();
    let script = support::read(support::project("target/manual/completions/streamwarden.bash")).unwrap();
    let commands = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let commands: Vec<&str> = commands.filter(|command| *command != "help").collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        let page = support::read(support::project(&format!("target/manual/man1/streamwarden-{command}.1")));
        assert!(page.unwrap().contains(".SH SYNOPSIS") && script.contains(command), "{command}");
    }
    for flag in flags.split_whitespace().filter(|word| word.starts_with("--")) {
        assert!(script.contains(flag), "{flag}");
    }
}
