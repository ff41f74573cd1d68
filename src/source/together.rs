//! Reading from a server that bills each command: a batch goes out as one script, which runs its commands in turn.
//!
//! The script (`together.lua`) is given the commands' keys, and for each command how many words it has and the words.
//! It answers for each with its reply, its error as text, or that a number in the reply is too large for Lua, which
//! knows none beyond 2^53. Of an entry's fields only their size in bytes is sent, since nothing else is wanted of them.
//! It stops after so many values, some 50 ms of the server's time: the rest is asked by another script.
//!
//! Whoever asks reads the same replies either way. What can't go into a script goes on its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::replace,
};

use tracing::{info, warn};

use super::{
    Command,
    link::{Asked, Session, no_reply},
    reply, resp,
};
use crate::model::{Failure, Name, Reason};

pub(super) const SCRIPT: &str = include_str!("together.lua");

/// The command that runs the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eval {
    /// `EVAL_RO`, which refuses to write. Redis 7.0 and later.
    ReadOnly,
    /// `EVAL`, for servers without it.
    Any,
}

/// How the commands of one connection are put together.
pub(super) struct Together {
    /// What runs the script; `None`: each command goes on its own.
    eval: Option<Eval>,
    /// Keys whose commands go on their own: they hold numbers that are too large, or the user may not read them and the
    /// script would be refused as a whole. They stay here as long as the connection.
    apart: BTreeSet<Name>,
}

impl Together {
    pub(super) fn new(is_billed: bool) -> Self {
        Self { eval: is_billed.then_some(Eval::ReadOnly), apart: BTreeSet::new() }
    }

    fn is_apart(&self, command: &Command<'_>) -> bool {
        command.key().is_some_and(|key| self.apart.contains(key))
    }
}

/// Commands with their places in the batch.
type Placed<'a> = Vec<(usize, Command<'a>)>;
type Reply = Result<resp::Reply, Failure>;

impl Session {
    /// Whether each command is billed, so that they go out together.
    pub(super) fn is_billed(&self) -> bool {
        self.together.eval.is_some()
    }

    /// Begins to [`read`](Self::read), for who has something to do while the server works; where each command is billed
    /// nothing is sent yet.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(super) async fn begin(&mut self, commands: &[Command<'_>]) -> Result<Option<Asked>, Failure> {
        if self.is_billed() { Ok(None) } else { self.ask(commands).await.map(Some) }
    }

    /// Ends what was begun: as [`read`](Self::read) of the same commands.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(super) async fn end(
        &mut self,
        commands: &[Command<'_>],
        begun: Option<Asked>,
    ) -> Result<Vec<Reply>, Failure> {
        let Some(asked) = begun else { return self.read(commands).await };
        let replies = self.answers(commands, asked).await?;
        self.note_refusals(commands, &replies);
        Ok(replies)
    }

    /// Sends commands that read keys or the clock, and gives a result for each: together where each is billed, else as
    /// [`send`](Self::send) does.
    ///
    /// # Errors
    /// As [`send`](Self::send). Not cancel-safe either.
    pub(super) async fn read(&mut self, commands: &[Command<'_>]) -> Result<Vec<Reply>, Failure> {
        if !self.is_billed() {
            return self.send(commands).await;
        }
        let commands = commands.iter().copied().enumerate();
        let (mut alone, together): (Placed<'_>, Placed<'_>) =
            commands.partition(|(_, command)| self.together.is_apart(command));
        let mut told = BTreeMap::new();
        let (left, refusal) = self.read_together(together, &mut told).await?;
        alone.extend(left);
        if !alone.is_empty() {
            let (places, commands): (Vec<usize>, Vec<Command<'_>>) = alone.into_iter().unzip();
            let replies = self.send(&commands).await?;
            if let Some(failure) = refusal {
                self.note_script_refusal(&failure, commands.iter().zip(&replies));
            }
            told.extend(places.into_iter().zip(replies));
        }
        Ok(told.into_values().collect())
    }

    /// Runs scripts as long as they answer. Gives the commands that are left, and why the script was refused if it was.
    async fn read_together<'a>(
        &mut self,
        mut open: Placed<'a>,
        told: &mut BTreeMap<usize, Reply>,
    ) -> Result<(Placed<'a>, Option<Failure>), Failure> {
        let (mut left, mut refusal) = (Vec::new(), None);
        while open.len() > 1
            && refusal.is_none()
            && let Some(eval) = self.together.eval
        {
            let commands: Vec<Command<'_>> = open.iter().map(|(_, command)| *command).collect();
            match self.run(eval, &commands).await? {
                Ok(answers) => {
                    let rest = open.split_off(answers.len().min(open.len()));
                    for ((place, command), answer) in replace(&mut open, rest).into_iter().zip(answers) {
                        if let Some(reply) = answer {
                            told.insert(place, self.checked(command, reply)?);
                        } else {
                            self.together.apart.extend(command.key().cloned());
                            left.push((place, command));
                        }
                    }
                }
                Err(failure) => refusal = Some(failure),
            }
        }
        left.append(&mut open);
        Ok((left, refusal))
    }

    /// Runs one script; the inner failure is the script's own.
    async fn run(
        &mut self,
        eval: Eval,
        commands: &[Command<'_>],
    ) -> Result<Result<Vec<Option<Reply>>, Failure>, Failure> {
        let reply = self.pipeline(&[Command::Together(eval, commands)]).await?.pop();
        let answers = reply.unwrap_or_else(|| Err(no_reply())).and_then(|reply| reply::together(&reply));
        if answers.is_ok() && eval == Eval::Any && self.stats.is_first_refusal("EVAL_RO") {
            info!("Redis has no EVAL_RO: EVAL runs the commands that read");
        }
        Ok(answers)
    }

    /// The script was refused, and its commands went out on their own: was it for a key that the user may not read, or
    /// for itself?
    fn note_script_refusal<'a>(
        &mut self,
        failure: &Failure,
        replies: impl Iterator<Item = (&'a Command<'a>, &'a Reply)>,
    ) {
        let is_denied =
            |reply: &Reply| reply.as_ref().is_err_and(|failure| failure.reason == Reason::NoPermission);
        let denied = replies.filter(|(_, reply)| is_denied(reply)).filter_map(|(command, _)| command.key());
        let known = self.together.apart.len();
        self.together.apart.extend(denied.cloned());
        if self.together.apart.len() > known {
            return;
        }
        self.together.eval = match (self.together.eval, failure.reason) {
            (Some(Eval::ReadOnly), Reason::Unsupported) => Some(Eval::Any),
            _ => None,
        };
        if self.together.eval.is_none() && self.stats.is_first_refusal("scripts") {
            warn!(
                detail = failure.detail,
                "Redis refuses scripts, so each command goes out, and is billed, on its own; `streamwarden acl` \
                 prints the rule that permits them"
            );
        }
    }
}
