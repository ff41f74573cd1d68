//! The manual pages and the completions for shells, made from the commands. They are shipped beside the program, which stays
//! smaller than with what makes them.

use std::{fs, path::Path};

use clap_complete::{Shell, generate_to};

/// Writes them to `target/manual`.
///
/// # Errors
/// Where a file can't be written.
pub fn write(project: &Path) -> anyhow::Result<String> {
    let (pages, completions) =
        (project.join("target/manual/man1"), project.join("target/manual/completions"));
    for folder in [&pages, &completions] {
        fs::create_dir_all(folder)?;
    }
    // Without the commit and the features, which are this build's.
    let mut program = streamwarden::Cli::program().version(env!("CARGO_PKG_VERSION"));
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        generate_to(shell, &mut program, "streamwarden", &completions)?;
    }
    clap_mangen::generate_to(program.disable_help_subcommand(true), &pages)?;
    Ok(String::new())
}
