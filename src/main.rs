//! The `streamwarden` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    streamwarden::Cli::parse().run()
}
