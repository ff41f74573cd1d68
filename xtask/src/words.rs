//! Finds words in code and texts that readers stumble over. The list is `tests/words.txt`.

use std::{fs, path::Path};

use anyhow::{Context, ensure};

/// The list, which the test of the documentation reads too.
const LIST: &str = "tests/words.txt";

/// Files and folders that are checked.
const COVERED: &[&str] = &[
    "ARCHITECTURE.md",
    "Makefile",
    "alerts",
    "benches",
    "dashboards",
    "deploy",
    "examples",
    "src",
    "tests",
    "web",
    "xtask",
];

/// A phrase, and what to write in its place.
struct Rule<'a> {
    phrase: Vec<&'a str>,
    instead: &'a str,
}

/// Checks all covered files, and reports how many there are.
///
/// # Errors
/// Every place that has a phrase of the list, with what to write instead.
#[expect(clippy::disallowed_methods, reason = "they are files of the project")]
pub fn check(project: &Path) -> anyhow::Result<String> {
    let list = fs::read_to_string(project.join(LIST)).context(LIST)?;
    let rules = rules(&list)?;
    let mut paths: Vec<_> = COVERED.iter().map(|path| project.join(path)).collect();
    let (mut files, mut problems) = (0, Vec::new());
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                paths.push(entry?.path());
            }
        } else if path == project.join(LIST) {
            // It has the phrases.
        } else if let Ok(text) =
            String::from_utf8(fs::read(&path).with_context(|| path.display().to_string())?)
        {
            files += 1;
            let file = path.strip_prefix(project)?.display();
            problems.extend(find(&rules, &text).iter().map(|problem| format!("{file}:{problem}")));
        }
    }
    problems.sort();
    ensure!(problems.is_empty(), "words to avoid ({LIST}):\n{}", problems.join("\n"));
    Ok(format!("{files} files, {} phrases, none found\n", rules.len()))
}

/// The rules for everything that is not Markdown: those of the first section.
fn rules(list: &str) -> anyhow::Result<Vec<Rule<'_>>> {
    let lines = list.lines().take_while(|line| !line.starts_with('['));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rule = |line| {
        let (phrase, instead) = str::split_once(line, '\t').with_context(|| format!("no tab: {line}"))?;
        Ok(Rule { phrase: phrase.split(' ').collect(), instead })
    };
    lines.map(rule).collect()
}

/// The line of each phrase in a text, the phrase, and what to write instead.
fn find(rules: &[Rule<'_>], text: &str) -> Vec<String> {
    let words = words(text);
    let mut found = Vec::new();
    for Rule { phrase, instead } in rules {
        for at in words.windows(phrase.len()) {
            if at.iter().map(|(_, word)| word).eq(phrase) {
                found.push(format!("{}: \"{}\": write {instead}", at[0].0, phrase.join(" ")));
            }
        }
    }
    found
}

/// The words of a text in lower case, each with its line.
fn words(text: &str) -> Vec<(usize, String)> {
    let is_of_word = |letter: char| letter.is_alphanumeric() || "_'.".contains(letter);
    let of_line = |(index, line)| {
        let words: Vec<_> = plain(line).split(|letter| !is_of_word(letter)).map(str::to_owned).collect();
        words.into_iter().filter(|word| !word.is_empty()).map(move |word| (index + 1, word))
    };
    text.lines().enumerate().flat_map(of_line).collect()
}

/// A line without code: without what is in backticks, and without `None`. The words of a function's name are separated,
/// and each punctuation mark is a full stop.
fn plain(line: &str) -> String {
    let outside: Vec<&str> = line.split('`').step_by(2).collect();
    let mut text = outside.join(" . ").replace("None", ".").to_lowercase();
    if let Some(name) = text.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next()) {
        text = text.replace(name, &name.replace('_', " "));
    }
    text.replace(['.', ',', ';', ':', '(', ')', '"', '!', '?'], " . ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        "# a comment\noldish\tagain\ngot said\tis reported\n\n[documentation]\nno more\tno longer\n";

    fn found(text: &str) -> Vec<String> {
        find(&rules(LIST).unwrap(), text)
    }

    #[test]
    fn a_phrase_is_found_in_comments_texts_and_names_and_across_lines() {
        for text in [
            "// Who got said.",
            "//! Oldish, got said",
            "    /// All that got\n    /// said of it.",
            "fn a_failure_got_said_once() {}",
            "warn!(\"nobody got said\");",
        ] {
            assert!(found(text).iter().any(|it| it.ends_with("\"got said\": write is reported")), "{text}");
        }
        assert_eq!(found("one\nstart oldish"), ["2: \"oldish\": write again"]);
    }

    #[test]
    fn code_other_words_and_the_phrases_of_the_documentation_are_not_found() {
        for text in ["it got. Said once", "`got said`", "got_said(x)", "oldishly", "no more", "got `x` said"]
        {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_line_of_the_list_without_a_tab_is_refused() {
        assert!(rules("oldish again").is_err());
    }
}
