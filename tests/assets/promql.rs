//! What a query names: its metrics and labels, found without a parser of the whole language.

use std::collections::BTreeSet;

use streamwarden::views::{FAMILIES, Family};

/// Labels that a target has, or that Prometheus and Grafana give.
const OF_TARGETS: [&str; 7] = ["job", "instance", "pod", "namespace", "le", "alertname", "alertstate"];

/// Checks a query against the table of metrics and returns the families that it names.
#[track_caller]
pub(crate) fn families(query: &str, recorded: &[String]) -> BTreeSet<&'static str> {
    let names = words(query).filter(|word| word.contains("streamwarden_") || word.starts_with("process_"));
    let names: Vec<&str> = names.filter(|name| !recorded.iter().any(|it| it == name)).collect();
    let known: BTreeSet<&str> = names
        .iter()
        .map(|name| {
            family(name).unwrap_or_else(|| panic!("{name} is not in the table of metrics: {query}")).name
        })
        .collect();
    for name in &names {
        let family = family(name).unwrap();
        for (before, matchers) in matchers(query).filter(|(before, _)| before.ends_with(name)) {
            for label in labels_of(matchers) {
                let has = OF_TARGETS.contains(&label) || family.labels().contains(&label);
                assert!(has, "{} has no label {label}: {before}{{{matchers}}}", family.name);
            }
        }
    }
    for list in ["by", "without", "on", "ignoring", "group_left", "group_right"] {
        for label in lists(query, list) {
            let has = OF_TARGETS.contains(&label) || FAMILIES.iter().any(|it| it.labels().contains(&label));
            assert!(has, "no metric has a label {label}: {query}");
        }
    }
    known
}

/// The family of a series' name.
pub(crate) fn family(name: &str) -> Option<&'static Family> {
    let of = |name: &str| FAMILIES.iter().find(|family| family.name == name);
    of(name)
        .or_else(|| ["_bucket", "_sum", "_count"].iter().find_map(|suffix| of(name.strip_suffix(suffix)?)))
}

/// Names in a query, outside of quotes.
fn words(query: &str) -> impl Iterator<Item = &str> {
    let outside = query.split('"').step_by(2);
    outside.flat_map(|text| text.split(|it: char| !(it.is_alphanumeric() || it == '_' || it == ':')))
}

/// What stands before each brace, and within.
pub(crate) fn matchers(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.match_indices('{').filter_map(|(at, _)| Some((&query[..at], query[at + 1..].split_once('}')?.0)))
}

fn labels_of(matchers: &str) -> impl Iterator<Item = &str> {
    let names = matchers.split('"').step_by(2).map(|text| text.trim_matches([',', ' ']));
    names.map(|name| name.trim_end_matches(['=', '~', '!'])).filter(|name| !name.is_empty())
}

fn lists<'a>(query: &'a str, keyword: &str) -> impl Iterator<Item = &'a str> {
    let opening = format!(" {keyword} (");
    let begins: Vec<usize> = query.match_indices(&opening).map(|(at, opening)| at + opening.len()).collect();
    let inner = begins.into_iter().filter_map(|at| Some(query[at..].split_once(')')?.0));
    inner.flat_map(|list| list.split(',').map(str::trim)).filter(|label| !label.is_empty())
}
