//! The `streamwarden` command.

use std::process::ExitCode;

/// Configured in `.cargo/config.toml`.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    streamwarden::Cli::main()
}
