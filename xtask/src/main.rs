//! The project's chores. `cargo xtask` lists them.
#![allow(clippy::print_stdout, reason = "standard output is where a chore reports what it found")]

use std::path::Path;

use anyhow::bail;
#[cfg(feature = "openapi")]
use xtask::openapi;
use xtask::{features, layers, manual, project, reference, shipped, words};

/// A name, what it does, and how.
type Chore = (&'static str, &'static str, fn(&Path) -> anyhow::Result<String>);

const CHORES: &[Chore] = &[
    ("config", "Write the configuration's JSON Schema and its table of keys.", |project| {
        reference::write(project).map(|()| String::new())
    }),
    (
        "dashboards",
        "Write dashboards, the PrometheusRule manifest and the table of alerts' families.",
        |project| shipped::write(project).map(|()| String::new()),
    ),
    ("features", "Check that what is shipped is built as what is tested.", features::compare),
    ("layers", "Check that modules and files use each other in one direction.", layers::check),
    ("manual", "Write manual pages and completions for shells to target/manual.", manual::write),
    #[cfg(feature = "openapi")]
    ("openapi", "Write the description of the API.", openapi::write),
    #[cfg(feature = "openapi")]
    ("openapi-check", "Check that the description of the API is up to date.", openapi::check),
    ("words", "Find words that readers stumble over.", words::check),
];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            println!("Usage: cargo xtask CHORE\n");
            for (name, about, _) in CHORES {
                println!("  {name:14} {about}");
            }
        }
        [word] => match CHORES.iter().find(|(name, ..)| name == word) {
            Some((.., run)) => print!("{}", run(&project())?),
            None => bail!("no chore {word}; `cargo xtask` lists them"),
        },
        _ => bail!("one chore at a time; `cargo xtask` lists them"),
    }
    Ok(())
}
