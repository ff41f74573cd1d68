//! The book lists every page, and each link leads somewhere.

use std::{collections::BTreeSet, path::Path};

use super::markdown::{BOOK, CHINESE, anchors, below, files, prose, read, tidy, whole};

/// Where the links of a page lead.
fn links(text: &str) -> Vec<String> {
    let links = prose(text);
    links.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect()
}

/// The pages that a book lists, by their paths in the project.
fn listed(book: &str) -> Vec<String> {
    links(&read(&format!("{book}/SUMMARY.md"))).iter().map(|page| format!("{book}/{page}")).collect()
}

#[test]
fn each_book_lists_every_page_once() {
    for book in [BOOK, CHINESE] {
        let mut listed = listed(book);
        listed.push(format!("{book}/SUMMARY.md"));
        listed.sort();
        assert_eq!(listed, below(book));
    }
}

#[test]
fn each_link_leads_to_a_page_and_a_heading_that_are_there() {
    for page in files() {
        let folder = Path::new(&page).parent().unwrap();
        for link in links(&read(&page)).iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { tidy(&folder.join(file)) };
            assert!(support::project(&target).exists(), "{page}: {link} leads nowhere");
            let is_there = || anchors(&whole(&target)).iter().any(|anchor| anchor == heading);
            assert!(heading.is_empty() || is_there(), "{page}: {link} leads to no heading");
        }
    }
}

#[test]
fn links_of_the_books_stay_in_the_books() {
    let listed: BTreeSet<String> = listed(BOOK).into_iter().chain(listed(CHINESE)).collect();
    for page in &listed {
        let folder = Path::new(page).parent().unwrap();
        // What is included is a page elsewhere too, and its links have to be right at both places.
        for link in links(&whole(page)).iter().filter(|link| !link.contains("://") && !link.starts_with('#'))
        {
            let target = tidy(&folder.join(link.split('#').next().unwrap()));
            let is_picture =
                (target.ends_with(".png") || target.ends_with(".svg")) && support::project(&target).exists();
            assert!(is_picture || listed.contains(&target), "{page}: {link} is in no book");
        }
    }
}
