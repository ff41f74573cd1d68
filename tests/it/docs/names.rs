//! What the documentation names is there: files, functions, tests, and targets of `make`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    between,
    markdown::{self, read},
};

/// Every file of Rust or Python below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let inside = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_source = |path: &PathBuf| path.extension().is_some_and(|it| it == "rs" || it == "py");
    inside
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(is_source)
        .collect()
}

/// Whether a word of code is a file or a folder of the project. What is in `target/` is made.
fn is_path(word: &str) -> bool {
    let is_of_path = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let has_form = word.contains('/') || [".md", ".toml", ".lock"].iter().any(|end| word.ends_with(end));
    has_form && word.chars().all(is_of_path) && !word.starts_with('/') && !word.starts_with("target/")
}

/// Whether a word of code is a function, such as a test.
fn is_function(word: &str) -> bool {
    word.contains('_') && word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
}

/// All code of the project that a page may name a function of.
fn code() -> String {
    let files = ["src", "tests", "xtask"].iter().flat_map(|folder| sources(&support::project(folder)));
    files.map(|file| support::read(file).unwrap()).collect()
}

/// What is between backticks, of spans and of blocks, as words.
fn quoted(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.split('`').skip(1).step_by(2).map(|code| code.split_whitespace().collect())
}

#[test]
fn each_target_and_chore_that_a_page_names_is_there() {
    let (makefile, chores) = (read("Makefile"), read("xtask/src/main.rs"));
    let is_target = |word: &str| word.chars().all(|it| it.is_ascii_lowercase() || it == '-');
    for page in markdown::files() {
        for pair in
            quoted(&read(&page)).flat_map(|words| words.windows(2).map(<[_]>::to_vec).collect::<Vec<_>>())
        {
            let is_there = match pair[..] {
                ["make", target] if is_target(target) => makefile.contains(&format!("\n{target}:")),
                ["xtask", chore] => {
                    chores.contains(&format!("(\"{chore}\","))
                        || chores.contains(&format!("\n        \"{chore}\","))
                }
                _ => true,
            };
            assert!(is_there, "{page}: {pair:?} is not there");
        }
    }
}

#[test]
fn what_the_pages_for_contributors_name_is_there() {
    let pages = read("CONTRIBUTING.md") + &read("SECURITY.md");
    let code = code();
    let definitions = code.split("fn ").chain(code.split("def "));
    let functions: BTreeSet<&str> = definitions.filter_map(|rest| rest.split(['(', '<']).next()).collect();
    for word in quoted(&pages).flatten() {
        assert!(!is_path(word) || support::project(word).exists(), "{word} is not there");
        assert!(!is_function(word) || functions.contains(word), "no function {word}");
    }
    let rows = between(&pages, "|---|---|---|\n| Metric", "<!-- declared: end -->").lines();
    for row in rows.map(|row| row.split('`').collect::<Vec<_>>()) {
        assert!(read(row[1]).contains(row[3]), "{} declares no {}", row[1], row[3]);
    }
}

#[test]
fn each_row_of_the_comparison_has_a_test_or_says_no() {
    let (page, code) = (read("docs/src/comparison.md"), code());
    let tables = markdown::tables(&page);
    let compared: Vec<_> = tables.iter().filter(|table| table[0].last().unwrap() == "Evidence").collect();
    assert_eq!(compared.len(), 3);
    for row in compared.into_iter().flat_map(|table| &table[1..]) {
        let (evidence, others) = row.split_last().unwrap();
        let is_test = |name: &str| code.contains(&format!("#[test]\nfn {}()", name.trim_matches('`')));
        let is_shown = match evidence.as_str() {
            "" => others.contains(&"no".to_owned()),
            "the table below" => true,
            tests => tests.split(", ").all(is_test),
        };
        assert!(is_shown, "{row:?}: no test of this name");
    }
}
