//! The project's chores:
//!
//! - `cargo xtask dashboards` writes the dashboards, the PrometheusRule manifest and the table of metric families by
//!   alert.
//! - `cargo xtask features` compares the features of the program that ships with those that tests run.
//! - `cargo xtask layers` checks that dependencies between modules and files go one way.
#![allow(clippy::print_stdout, reason = "standard output is where a chore says what it found")]

use anyhow::bail;
use xtask::{features, layers, project, shipped};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["dashboards"] => shipped::write(&project()),
        ["features"] => {
            print!("{}", features::compare(&project())?);
            Ok(())
        }
        ["layers"] => {
            print!("{}", layers::check(&project())?);
            Ok(())
        }
        _ => bail!("usage: cargo xtask dashboards | features | layers"),
    }
}
