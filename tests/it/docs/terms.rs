//! The metrics, keys and fields that the documentation names are those of the program.

use std::collections::BTreeSet;

use streamwarden::views::{FAMILIES, REDIS_EXPORTER_FAMILIES};

use super::markdown::{files, read, tables};

/// The pages about the program as it is now, with the words of their code.
fn pages() -> Vec<(String, String)> {
    let is_of_users = |page: &String| page.starts_with("README") || page.starts_with("docs/");
    files().into_iter().filter(is_of_users).map(|page| (page.clone(), read(&page))).collect()
}

/// Every word of a text that consists of these letters.
fn words<'a>(text: &'a str, is_of_word: impl Fn(char) -> bool + 'a) -> impl Iterator<Item = &'a str> {
    text.split(move |letter| !is_of_word(letter)).filter(|word| !word.is_empty())
}

#[test]
fn each_metric_that_a_page_names_is_exposed() {
    let names: BTreeSet<&str> =
        FAMILIES.iter().chain(REDIS_EXPORTER_FAMILIES).map(|family| family.name).collect();
    let is_exposed = |word: &str| {
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        // A name that ends with a line stands for all that begin so.
        names.contains(base) || word.ends_with('_') && names.iter().any(|name| name.starts_with(word))
    };
    for (page, text) in pages() {
        let metrics = words(&text, |it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
            .filter(|word| word.starts_with("streamwarden_") || word.starts_with("redis_stream_"));
        for metric in metrics {
            assert!(is_exposed(metric), "{page}: no metric {metric}");
        }
    }
}

#[test]
fn each_metric_of_redis_exporter_has_a_row_on_the_page_for_migrations() {
    let page = read("docs/src/migrate.md");
    let rows: BTreeSet<String> = tables(&page)[0][1..].iter().map(|row| row[0].replace('`', "")).collect();
    let served = REDIS_EXPORTER_FAMILIES.iter().map(|family| family.name.to_owned()).collect();
    assert_eq!(rows, served);
}

#[test]
fn each_key_that_a_page_names_is_one() {
    let keys = read("docs/src/configuration-keys.md");
    let keys: BTreeSet<&str> =
        keys.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let sections: BTreeSet<&str> = keys.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    let fields = read("src/views/api/openapi.json");
    // Of a rule too, without the list that it is in, and the part of a key that leads to others.
    let names: Vec<&str> =
        keys.iter().flat_map(|key| [*key, key.strip_prefix("streams[].").unwrap_or(key)]).collect();
    let is_key = |word: &str| {
        names
            .iter()
            .any(|name| name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    for (page, text) in pages() {
        for code in text.split('`').skip(1).step_by(2) {
            let Some((section, key)) = code.split_once('.') else { continue };
            let is_name = code.chars().all(|it| it.is_ascii_lowercase() || "_.".contains(it));
            if is_name && (sections.contains(section) || section == "thresholds") {
                let is_field = fields.contains(&format!("\"{key}\""));
                assert!(is_key(code) || is_field, "{page}: neither a key nor a field: {code}");
            }
        }
    }
}
