//! The project's chores. `cargo xtask dashboards` writes the dashboards and the PrometheusRule manifest.

use anyhow::bail;
use xtask::{project, shipped};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["dashboards"] => shipped::write(&project()),
        _ => bail!("usage: cargo xtask dashboards"),
    }
}
