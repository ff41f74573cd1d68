//! The documentation's table of logins, row by row.

use std::collections::BTreeSet;

use super::{super::load::tests::check_in, *};

const PAGE: &str = include_str!("../../docs/src/configuration.md");

/// The texts in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A setting's value, or for the name of a file the path of one that holds it.
fn value(directory: &Path, name: &str, value: &str) -> String {
    if !name.to_lowercase().ends_with("_file") {
        return value.to_owned();
    }
    let path = directory.join(name);
    std::fs::write(&path, format!("{value}\n")).unwrap();
    path.display().to_string()
}

/// The user and the password, or `error`, and the names that are in the messages.
fn outcome(keys: &[&str], variables: &[&str]) -> (Vec<String>, BTreeSet<String>) {
    let directory = tempfile::tempdir().unwrap();
    let key = |key: &&str| {
        let (key, text) = key.split_once(": ").unwrap();
        format!("{key}: '{}'", value(directory.path(), key, text))
    };
    let keys: Vec<String> = keys.iter().map(key).collect();
    let variables: Vec<(&'static str, String)> = variables
        .iter()
        .map(|variable| {
            let (name, text) = variable.split_once('=').unwrap();
            let names =
                ["REDIS_URI", "REDIS_URI_FILE", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_PASSWORD_FILE"];
            let name = names.into_iter().find(|known| *known == name).unwrap();
            (name, value(directory.path(), name, text))
        })
        .collect();
    let variables: Vec<(&'static str, &str)> =
        variables.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let config = match check_in(&format!("redis: {{{}}}", keys.join(", ")), &variables) {
        Ok(config) => config,
        Err(problems) => {
            let words = problems.to_string();
            assert!(!words.contains("blue") && !words.contains("green"), "{words}");
            let names = words.split([' ', ':', ';', ',']).filter(|word| word.starts_with("redis."));
            return (vec!["error".to_owned()], names.map(str::to_owned).collect());
        }
    };
    let access = &config.redis.access;
    let address = access.address().unwrap();
    let login = address.login().map_or(vec!["no login"], |(user, password)| vec![user, password]);
    let shown = config.to_string();
    for secret in login.iter().skip(1).filter(|secret| !secret.is_empty()) {
        assert!(!shown.contains(&format!("\"{secret}\"")), "{shown}");
    }
    let ignored = access.ignored().iter().map(|ignored| ignored.at.clone()).collect();
    (login.into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect(), ignored)
}

#[test]
fn a_login_is_what_the_documentation_says() {
    let (_, table) = PAGE.split_once("<!-- logins: begin -->").unwrap();
    let (table, _) = table.split_once("<!-- logins: end -->").unwrap();
    let rows: Vec<Vec<&str>> =
        table.lines().skip(3).map(|row| row.split('|').map(str::trim).collect()).collect();
    assert!(rows.len() > 25, "{rows:?}");
    for row in rows {
        let [_, keys, variables, user, password, note, _] = row[..] else { panic!("{row:?}") };
        let (login, names) = outcome(&quoted(keys), &quoted(variables));
        let expected: Vec<&str> = [user, password].into_iter().filter(|word| !word.is_empty()).collect();
        assert_eq!(login, expected, "{row:?}");
        let named: BTreeSet<String> = quoted(note).into_iter().map(str::to_owned).collect();
        assert_eq!(names, named, "{row:?}");
    }
}

#[test]
fn a_file_of_a_secret_must_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    let read = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        Secret::File(path.clone()).read().map(|text| text.expose_secret().to_owned())
    };
    assert_eq!(read(b" a b\r\n").unwrap(), " a b");
    assert_eq!(read(b"a\n\n").unwrap(), "a\n");
    for (content, words) in [
        (b"\n".as_slice(), "is empty"),
        (b"", "is empty"),
        (b"\xFF", "it is not UTF-8"),
        ("\u{feff}word\r\n".as_bytes(), "byte order mark; save it as UTF-8 without one"),
        (&vec![b'a'; 70_000], "it has 70000 bytes, more than the 65536 allowed"),
    ] {
        let error = read(content).unwrap_err();
        assert!(error.ends_with(words), "{error}");
    }
    let absent = Secret::File(directory.path().join("absent")).read().unwrap_err();
    assert!(absent.starts_with("cannot read ") && absent.contains("No such file"), "{absent}");
}

#[test]
fn what_is_read_again_may_have_come_to_contradict() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("uri");
    std::fs::write(&path, "redis://h").unwrap();
    let yaml = format!("redis: {{uri_file: '{}', password: one}}", path.display());
    let access = check_in(&yaml, &[]).unwrap().redis.access;
    assert_eq!(access.address().unwrap().login(), Some((DEFAULT_USER, "one")));
    std::fs::write(&path, "redis://:two@h").unwrap();
    let problems = access.address().unwrap_err().to_string();
    assert_eq!(problems, "redis.password: has another password than redis.uri_file; set only one");
}

#[test]
fn variables_that_are_not_used_need_not_be_of_use() {
    let variables = [("REDIS_PASSWORD_FILE", "/no/such/file")];
    let config = check_in("redis: {uri: 'redis://:one@h'}", &variables).unwrap();
    assert_eq!(config.redis.access.address().unwrap().login(), Some((DEFAULT_USER, "one")));
    let ignored = config.redis.access.ignored()[0].to_string();
    assert_eq!(ignored, "REDIS_PASSWORD_FILE is ignored: redis.uri has another password");
    let problems = check_in("redis: {uri: 'redis://h'}", &variables).unwrap_err().to_string();
    assert!(problems.starts_with("REDIS_PASSWORD_FILE: cannot read /no/such/file"), "{problems}");
}

#[test]
fn what_is_in_force_is_shown_without_the_secret() {
    let variables = [("REDIS_USERNAME", "ann"), ("REDIS_PASSWORD", "s3cret")];
    let shown = check_in("redis: {uri: 'redis://h'}", &variables).unwrap().to_string();
    let lines = "redis:\n  uri: \"<redacted>\"\n  username: \"ann\"\n  password: \"<redacted>\"\n";
    assert!(shown.contains(lines) && !shown.contains("s3cret"), "{shown}");
    let shown = check_in("redis: {uri: 'redis://bob:word@h'}", &variables).unwrap().to_string();
    assert!(!shown.contains("username") && !shown.contains("password"), "{shown}");
}
