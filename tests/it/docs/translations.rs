//! A translation has the pages, headings, tables, code and commands of its original.

use super::markdown::{BOOK, CHINESE, below, lines, read, tables};
use crate::runbooks::pages::in_fences;

/// The pages that are translated, beside all runbooks.
const PAGES: [&str; 3] = ["get-started.md", "configuration.md", "troubleshooting.md"];

/// Each original with its translation.
fn pairs() -> Vec<(String, String)> {
    let runbooks = below(&format!("{BOOK}/runbooks"));
    let pages = PAGES.iter().map(|page| format!("{BOOK}/{page}")).chain(runbooks);
    let of_the_book = pages.map(|page| (page.clone(), page.replacen(BOOK, CHINESE, 1)));
    of_the_book.chain([("README.md".to_owned(), "README.zh-CN.md".to_owned())]).collect()
}

/// A block without its comments, which are for people.
fn commands(block: &str) -> String {
    let code = |line: &str| {
        let comment = line
            .find("# ")
            .filter(|&at| line[..at].trim_end() == line[..at].trim() || line[..at].ends_with(' '));
        comment.map_or(line, |at| &line[..at]).trim_end().to_owned() + "\n"
    };
    block.lines().map(code).collect()
}

/// What of a cell is the same in every language: its code, and the pages that it leads to.
fn code(cell: &str) -> Vec<&str> {
    let spans = cell.split('`').skip(1).step_by(2);
    let links = cell.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap());
    let pages = links.map(|link| link.rsplit('/').next().unwrap());
    let mut found: Vec<&str> = spans.chain(pages).collect();
    found.sort_unstable();
    found
}

/// The levels of a page's headings, in their order.
fn outline(text: &str) -> Vec<usize> {
    let headings = lines(text).filter(|line| line.starts_with('#'));
    headings.map(|line| line.len() - line.trim_start_matches('#').len()).collect()
}

#[test]
fn the_chinese_book_has_the_pages_that_it_should_have() {
    let mut expected: Vec<String> =
        pairs().into_iter().map(|(_, page)| page).filter(|page| page.starts_with(CHINESE)).collect();
    expected.push(format!("{CHINESE}/SUMMARY.md"));
    expected.sort();
    assert_eq!(below(CHINESE), expected);
}

#[test]
fn a_translation_has_the_commands_headings_and_tables_of_its_original() {
    for (page, translation) in pairs() {
        let (original, translated) = (read(&page), read(&translation));
        assert_eq!(outline(&translated), outline(&original), "{translation}: its headings");

        let blocks = |text: &str| -> Vec<(String, String)> {
            in_fences(text).into_iter().map(|(kind, block)| (kind, commands(&block))).collect()
        };
        for (ours, theirs) in blocks(&translated).into_iter().zip(blocks(&original)) {
            assert_eq!(ours, theirs, "{translation}: a block");
        }
        assert_eq!(blocks(&translated).len(), blocks(&original).len(), "{translation}: its blocks");

        let (ours, theirs) = (tables(&translated), tables(&original));
        assert_eq!(ours.len(), theirs.len(), "{translation}: its tables");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours.len(), theirs.len(), "{translation}: the rows of a table: {:?}", ours[0]);
            for (row, original) in ours.iter().zip(theirs) {
                let cells = |row: &[String]| row.iter().map(|cell| code(cell).join(" ")).collect::<Vec<_>>();
                // README's list of pages leads to translations where there are some.
                if row[0].contains('`') || !page.starts_with("README") {
                    assert_eq!(cells(row), cells(original), "{translation}: {row:?}");
                }
            }
        }
    }
}
