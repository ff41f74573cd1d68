//! Every alert has a page that says what to do. The integration tests run what stands on it.

use std::{collections::BTreeSet, fs};

use crate::tools::{alerts, project, read};

const SECTIONS: [&str; 4] = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"];

fn pages() -> Vec<String> {
    let names = fs::read_dir(project("docs/src/runbooks")).unwrap().map(|entry| entry.unwrap().file_name());
    names
        .filter_map(|name| name.to_str()?.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect()
}

fn page(name: &str) -> String {
    read(&format!("docs/src/runbooks/{name}.md"))
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let alerts: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    assert_eq!(pages().into_iter().collect::<BTreeSet<_>>(), alerts);
    let index = page("README");
    for name in alerts {
        assert!(index.contains(&format!("({name}.md)")), "{name} is not in the index");
        let page = page(&name);
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        let places: Vec<Option<usize>> =
            SECTIONS.iter().map(|section| page.find(&format!("\n{section}\n"))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{name}: {places:?}");
    }
}
