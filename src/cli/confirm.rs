//! Commands that change something show what they would do first, and ask.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

use super::command::Error;

/// Whether to ask, and whether to act at all.
#[derive(Debug, Args)]
pub(super) struct Confirm {
    /// Only show what would be done.
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Do not ask.
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) yes: bool,
}

impl Confirm {
    /// # Errors
    /// There is no terminal to ask on.
    pub(super) fn is_possible(&self) -> Result<(), Error> {
        if self.dry_run || self.yes || io::stdin().is_terminal() {
            return Ok(());
        }
        Err(Error::Usage("not a terminal: pass --yes or --dry-run".to_owned()))
    }

    /// Whether to act: not on a dry run, and else with `--yes` or a yes to this question.
    pub(super) fn is_given(&self, question: &str) -> bool {
        !self.dry_run && (self.yes || ask(question))
    }
}

/// Asks a question. One that cannot be shown is not answered with yes.
pub(super) fn ask(question: &str) -> bool {
    let mut out = io::stdout();
    let is_asked = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
    let mut answer = String::new();
    let is_read = io::stdin().lock().read_line(&mut answer).is_ok();
    is_asked.is_ok() && is_read && matches!(answer.trim(), "y" | "Y" | "yes")
}
