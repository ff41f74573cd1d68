//! Generates the table of metric families by alert from the rule file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::query::find;

const HEAD: &str = "\
//! Which shipped alert reads which families. `cargo xtask dashboards` writes it, from the rule file.

/// A shipped alert, with the families that its expression reads, also through recording rules.
#[derive(Debug)]
pub struct AlertFamilies {
    /// The alert's name.
    pub name: &'static str,
    /// Those without which it does not work.
    pub needs: &'static [&'static str],
    /// Others, which mute it (`unless`).
    pub mutes: &'static [&'static str],
}

/// Each alert.
#[rustfmt::skip]
pub const ALERT_FAMILIES: &[AlertFamilies] = &[
";

type Families = BTreeSet<&'static str>;

/// The table; `rules` is the text of the rule file.
pub(super) fn table(rules: &str) -> String {
    let mut recorded: BTreeMap<&str, Families> = BTreeMap::new();
    let mut table = HEAD.to_owned();
    for rule in rules.split("\n      - ").skip(1) {
        let (kind, name) = rule.lines().next().and_then(|line| line.split_once(": ")).unwrap_or_default();
        let of = |word: &str| {
            recorded.get(word).cloned().unwrap_or_else(|| find(word).map(|it| it.name).into_iter().collect())
        };
        let (needs, mutes) = words(expression(rule));
        let needs: Families = needs.into_iter().flat_map(of).collect();
        let mutes: Families =
            mutes.into_iter().flat_map(of).filter(|family| !needs.contains(family)).collect();
        if kind == "record" {
            recorded.insert(name, needs.union(&mutes).copied().collect());
        } else if kind == "alert" {
            let (needs, mutes): (Vec<_>, Vec<_>) = (needs.iter().collect(), mutes.iter().collect());
            writeln!(table, "    AlertFamilies {{ name: {name:?}, needs: &{needs:?}, mutes: &{mutes:?} }},")
                .expect("a String takes any text");
        }
    }
    table + "];\n"
}

/// The rule's expression: everything up to the next key.
fn expression(rule: &str) -> &str {
    let (_, rest) = rule.split_once("\n        expr: ").unwrap_or_default();
    let is_key = |end: &usize| rest.get(end + 9..).is_some_and(|next| !next.starts_with([' ', '\n']));
    let end = rest.match_indices("\n        ").map(|(at, _)| at).find(is_key);
    end.and_then(|end| rest.get(..end)).unwrap_or(rest)
}

/// The names in an expression outside of quotes, and separately those after an `unless`: up to the next set operator
/// of the same depth, or the end of the parentheses.
fn words(expression: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut needs, mut mutes, mut depth, mut muting) = (Vec::new(), Vec::new(), 0, None);
    let is_of_word = |it: char| it.is_alphanumeric() || it == '_' || it == ':';
    for text in expression.split('"').step_by(2) {
        for part in text.split_inclusive(|it: char| !is_of_word(it)) {
            let word = part.trim_end_matches(|it: char| !is_of_word(it));
            match word {
                "unless" if muting.is_none_or(|at| at >= depth) => muting = Some(depth),
                "and" | "or" if muting.is_some_and(|at| at >= depth) => muting = None,
                _ if muting.is_some() => mutes.push(word),
                _ => needs.push(word),
            }
            depth += match part.chars().next_back() {
                Some('(') => 1,
                Some(')') => -1,
                _ => 0,
            };
            muting = muting.filter(|at| *at <= depth);
        }
    }
    (needs, mutes)
}
