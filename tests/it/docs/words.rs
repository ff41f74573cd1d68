//! The documentation is in plain English: a reader who is not a native speaker does not read a sentence twice.

use super::markdown::{files, prose, read};

/// Words and phrases that are rare, old or ambiguous, with what to write in their place.
const PLAIN: [(&str, &str); 32] = [
    ("oftener", "more often"),
    ("anew", "again, or: recreated, restarted"),
    ("fares", "is healthy or unhealthy"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("whoever", "name who"),
    ("whomever", "name who"),
    ("it is none", "it is unknown, or: it does not exist"),
    ("they are none", "they do not exist"),
    ("is no redis", "is not Redis"),
    ("of no use", "cannot be used"),
    ("stands twice", "is a duplicate"),
    ("stands beside", "conflicts with, or: is next to"),
    ("is told", "is reported"),
    ("are told", "are reported"),
    ("is said", "is reported"),
    ("was not given", "was not delivered"),
    ("were not given", "were not delivered"),
    ("is given nothing", "nothing is delivered to"),
    ("no more", "no longer, or: nothing else"),
    ("any more", "any longer, or: no longer"),
    ("is well", "is healthy"),
    ("are well", "are healthy"),
    ("what was read", "the reading, the snapshot"),
    ("comes and goes", "flaps"),
    ("nobody can be asked", "there is no terminal"),
    ("taken up", "applied"),
    ("held up", "delayed"),
    ("hold up", "delay"),
    ("lest", "so that ... not"),
    ("amiss", "wrong"),
    ("bear being", "support being"),
];

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
        for (phrase, plain) in PLAIN {
            let phrase: Vec<&str> = phrase.split(' ').collect();
            for at in words.windows(phrase.len()) {
                if at.iter().map(|(_, word)| word).eq(phrase.iter()) {
                    found.push(format!("{page}: \"{}\" in place of \"{plain}\"", phrase.join(" ")));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
