//! The documentation is in plain English: a reader who is not a native speaker does not read a sentence twice.

use super::markdown::{files, prose, read};

/// Phrases to avoid, with what to write in their place: in code too, and in documentation only.
fn phrases() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("../../words.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
}

/// Words of a text, in lower case, each with its line.
fn words(text: &str) -> Vec<(usize, String)> {
    let numbered = text.lines().enumerate();
    let split = |(line, text): (usize, &str)| {
        let words = text.split(|it: char| !it.is_alphanumeric() && it != '\'');
        words.filter(|word| !word.is_empty()).map(|word| (line + 1, word.to_lowercase())).collect::<Vec<_>>()
    };
    numbered.flat_map(split).collect()
}

/// A text without what it quotes.
fn own_words(text: &str) -> String {
    prose(text).split('"').step_by(2).collect::<Vec<_>>().join("\"")
}

#[test]
fn the_documentation_is_in_plain_english() {
    let mut found = Vec::new();
    for page in files() {
        let text = own_words(&read(&page));
        let words = words(&text);
        for (phrase, plain) in phrases() {
            let phrase: Vec<&str> = phrase.split(' ').collect();
            for at in words.windows(phrase.len()) {
                if at.iter().map(|(_, word)| word).eq(phrase.iter()) {
                    let line = at[0].0;
                    found.push(format!("{page}:{line}: \"{}\" in place of \"{plain}\"", phrase.join(" ")));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
