//! The `streamwarden` command.

use std::process::ExitCode;

use clap::Parser;

/// Its settings are in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    streamwarden::Cli::parse().run()
}
