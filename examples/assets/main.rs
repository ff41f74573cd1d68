//! Writes the dashboards and the PrometheusRule manifest: `cargo run --example assets`, in the project's folder.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a generator that meets a name of no metric stops; JSON's own index inserts"
)]

mod shipped;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let rules =
        std::fs::read_to_string("alerts/streamwarden.rules.yml").context("run it in the project's folder")?;
    for file in shipped::files(&rules) {
        std::fs::write(file.path, file.text).with_context(|| format!("cannot write {}", file.path))?;
    }
    Ok(())
}
