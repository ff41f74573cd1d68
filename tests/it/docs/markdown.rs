//! The files of the documentation, and what is in them.

use std::{fs, path::Path};

/// Where the pages of the book are.
pub(super) const BOOK: &str = "docs/src";
/// Where those of the Chinese book are.
pub(super) const CHINESE: &str = "docs/zh/src";

/// The text of a file of the project.
#[track_caller]
pub(crate) fn read(path: &str) -> String {
    support::read(support::project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every page below a folder, by its path in the project.
pub(super) fn below(folder: &str) -> Vec<String> {
    let inside = fs::read_dir(support::project(folder)).unwrap();
    let mut pages: Vec<String> = inside
        .map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap()))
        .flat_map(|path| if support::project(&path).is_dir() { below(&path) } else { vec![path] })
        .filter(|path| Path::new(path).extension().is_some_and(|it| it == "md"))
        .collect();
    pages.sort();
    pages
}

/// All that people read.
pub(super) fn files() -> Vec<String> {
    let others = [
        "README.md",
        "README.zh-CN.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "deploy/README.md",
    ];
    others.iter().map(|&path| path.to_owned()).chain(below("docs")).collect()
}

/// A page as the book has it, with the files that it includes.
pub(super) fn whole(path: &str) -> String {
    let folder = Path::new(path).parent().unwrap();
    let include = |line: &str| {
        let file = line.strip_prefix("{{#include ")?.strip_suffix("}}")?;
        Some(read(&tidy(&folder.join(file))))
    };
    read(path).lines().map(|line| include(line).unwrap_or_else(|| format!("{line}\n"))).collect()
}

/// A path without `..`.
pub(super) fn tidy(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().map(|part| part.to_str().unwrap()) {
        match part {
            ".." => assert!(
                parts.pop().is_some_and(|it| it != ".."),
                "{} leads out of the project",
                path.display()
            ),
            "." => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// A page's lines; those in fences are empty.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().map(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if is_code || is_fence { "" } else { line }
    })
}

/// A page's text, without its code.
pub(super) fn prose(text: &str) -> String {
    let text: Vec<&str> = lines(text).collect();
    let text = text.join("\n");
    text.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The names by which links lead to a page's headings, as GitHub and mdBook make them.
pub(super) fn anchors(text: &str) -> Vec<String> {
    let headings = lines(text).filter(|line| line.starts_with('#'));
    let name = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    };
    headings.map(name).collect()
}

/// A page's tables, each as its rows of cells, the one with the names first.
pub(super) fn tables(text: &str) -> Vec<Vec<Vec<String>>> {
    let mut tables = vec![Vec::new()];
    for line in lines(text).map(str::trim) {
        if let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) {
            let cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
            let is_rule =
                cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|it| "-:".contains(it)));
            if !is_rule {
                tables.last_mut().unwrap().push(cells);
            }
        } else if !tables.last().unwrap().is_empty() {
            tables.push(Vec::new());
        }
    }
    tables.retain(|table| !table.is_empty());
    tables
}
