//! What is made of the configuration's keys is what the program does, and what is checked in.

use crate::process::{streamwarden, text};

#[test]
fn what_is_made_of_the_keys_is_what_is_there() {
    for file in xtask::reference::files() {
        let there = support::read(support::project(file.path)).unwrap_or_default();
        assert!(there == file.text, "{} is not what `cargo xtask config` writes", file.path);
    }
}

#[test]
fn a_problem_of_a_file_is_shown_with_its_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "poll:\n  interval: 15s\n  stale_afterr: 1m\n").unwrap();
    let path = file.path().to_str().unwrap();
    let output = streamwarden(&["check-config", "--config", path], &[("REDIS_URI", "redis://h")]);
    let expected = format!("{path}:3: poll.stale_afterr: unknown key; did you mean stale_after?");
    assert_eq!((output.status.code(), text(&output.stderr).trim()), (Some(2), expected.as_str()));
}
