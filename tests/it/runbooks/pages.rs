//! The pages and their blocks, as people copy them.

use std::{fs, path::PathBuf};

/// A block that a test names: by its page, and by words that no other block of the page has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    pub(crate) page: &'static str,
    pub(crate) words: &'static str,
}

impl Block {
    pub(crate) fn is(&self, block: &str) -> bool {
        block.contains(self.words)
    }

    #[track_caller]
    pub(crate) fn text(&self) -> String {
        let mut found = blocks(self.page).into_iter().filter(|block| self.is(block));
        let block = found.next().unwrap_or_else(|| panic!("no block has {self:?}"));
        assert!(found.next().is_none(), "several blocks have {self:?}");
        block
    }
}

fn folder() -> PathBuf {
    support::project("docs/src/runbooks")
}

fn text(page: &str) -> String {
    support::read(folder().join(format!("{page}.md"))).unwrap()
}

/// The names of all pages, the one with the set-up too.
pub(crate) fn pages() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    files.filter_map(|name| name.to_str()?.strip_suffix(".md").map(str::to_owned)).collect()
}

/// What comes before a page's mitigation, and what comes from there on.
pub(crate) fn halves(page: &str) -> (Vec<String>, Vec<String>) {
    let text = text(page);
    let (before, after) = text.split_once("\n## Mitigation\n").unwrap();
    let blocks = |half: &str| in_fences(half).into_iter().map(|(_, block)| block).collect();
    (blocks(before), blocks(after))
}

/// The blocks of a page that are for a shell.
pub(crate) fn blocks(page: &str) -> Vec<String> {
    fences(page).into_iter().filter(|(kind, _)| kind == "sh").map(|(_, block)| block).collect()
}

/// What stands between fences, with the kind that each has, without the indentation of the list that it is in.
pub(crate) fn fences(page: &str) -> Vec<(String, String)> {
    in_fences(&text(page))
}

/// What stands between the fences of a text, as `fences` has it.
pub(crate) fn in_fences(text: &str) -> Vec<(String, String)> {
    let mut fences: Vec<(String, String)> = Vec::new();
    let mut indent = None;
    for line in text.lines() {
        match (indent, line.trim_start().strip_prefix("```")) {
            (None, Some(kind)) => {
                indent = Some(line.len() - line.trim_start().len());
                fences.push((kind.to_owned(), String::new()));
            }
            (Some(_), Some(_)) => indent = None,
            (Some(indent), None) => {
                let (_, block) = fences.last_mut().unwrap();
                *block += line.get(indent..).unwrap_or_default();
                *block += "\n";
            }
            (None, None) => {}
        }
    }
    assert!(indent.is_none(), "a fence is open at the end");
    fences
}
