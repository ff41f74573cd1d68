//! Asks a server once, for `doctor`: its settings and state, its clock, and what the user may do.
//!
//! A refused command fails alone. What it would have reported is unknown, with the reason.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Command, Link, Request,
    failure::no_reply,
    inspect::{Inspect, Trial},
    reply,
    resp::{Reply, Value},
    session::Session,
};
use crate::{
    clock, config,
    model::{
        Answer, Class, ClockSkew, Facts, Failure, Method, Name, Need, Permission, Reason, Rights, Section,
        Setting, Tried,
    },
};

/// Questions in a pipeline.
const BATCH: usize = 100;
/// Round trips that are measured, since a single one may be slow by chance.
const ROUND_TRIPS: usize = 5;
/// How many streams are checked for a time to live.
const MAX_EXPIRING: usize = 1_000;

/// Asks a server on its own connection.
pub struct Examiner {
    link: Link,
}

impl Examiner {
    /// An examiner that connects at its first question.
    #[must_use]
    pub const fn new(link: Link) -> Self {
        Self { link }
    }

    /// Asks the server about itself.
    ///
    /// # Errors
    /// Why there is no connection. Failures of single commands are in the facts.
    pub async fn facts(&mut self, redis: &config::Redis) -> Result<Facts, Failure> {
        let session = self.link.session(redis).await?;
        let (round_trips, clock) = time(session).await?;
        let no_touch = one(session, Command::NoTouch).await?.map(drop);
        let (mut info, mut settings) = (BTreeMap::new(), BTreeMap::new());
        for section in Section::ALL {
            let reply = one(session, Inspect::Info(section)).await?;
            info.insert(section, reply.and_then(|reply| reply::info_fields(&reply)));
        }
        for setting in Setting::ALL {
            let reply = one(session, Inspect::Setting(setting)).await?;
            settings.insert(setting, reply.and_then(|reply| reply::setting(&reply, setting.as_str())));
        }
        let (server, is_resp3) = (session.server.clone(), session.is_resp3());
        Ok(Facts { server, is_resp3, round_trips, clock, no_touch, info, settings })
    }

    /// Asks how many calls all clients have made since the server started: by command with [`Section::CommandStats`], or of
    /// all commands, as `total`, with [`Section::Stats`].
    ///
    /// # Errors
    /// Why there is no connection, or why the server does not report it.
    pub async fn calls(
        &mut self,
        redis: &config::Redis,
        section: Section,
    ) -> Result<BTreeMap<String, u64>, Failure> {
        let session = self.link.session(redis).await?;
        let info = reply::info_fields(&one(session, Inspect::Info(section)).await??)?;
        let calls = reply::calls(&info);
        let silent = || {
            Failure::new(Reason::Unsupported, format!("INFO {} has no counters of calls", section.as_str()))
        };
        if calls.is_empty() { Err(silent()) } else { Ok(calls) }
    }

    /// Asks what a user may do. `is_own` says whether it is the user that is logged in.
    ///
    /// # Errors
    /// Why there is no connection. Failures of the checks are in the rights.
    pub async fn rights(
        &mut self,
        redis: &config::Redis,
        user: &str,
        is_own: bool,
        needs: &[Need],
        streams: &[Name],
    ) -> Result<Rights, Failure> {
        let session = self.link.session(redis).await?;
        Ok(rights(session, user, is_own, needs, streams).await)
    }
}

/// Asks what the user may do on this server.
pub(super) async fn rights(
    session: &mut Session,
    user: &str,
    is_own: bool,
    needs: &[Need],
    streams: &[Name],
) -> Rights {
    let expiring = expiring(session, streams).await;
    let dry_run = permissions(session, needs, |trial| Inspect::DryRun(user, trial)).await;
    let (method, tried) = match dry_run {
        Err(failure) if is_own && is_refusal(&failure) => {
            (Method::Trial, permissions(session, needs, Inspect::Try).await)
        }
        tried => (Method::DryRun, tried),
    };
    Rights { tried, method, expiring }
}

/// Sends one command.
///
/// # Errors
/// Why the connection can no longer be used. Other failures, also those of the whole server, are of this command only.
async fn one(session: &mut Session, command: impl Request) -> Result<Result<Reply, Failure>, Failure> {
    match session.send(&[command]).await {
        Ok(mut replies) => Ok(replies.pop().unwrap_or_else(|| Err(no_reply()))),
        Err(failure) if failure.class() == Class::Reconnect => Err(failure),
        Err(failure) => Ok(Err(failure)),
    }
}

/// Asks for the time several times. The fastest reply gives the best estimate of the difference between the clocks.
async fn time(session: &mut Session) -> Result<(Vec<Duration>, Result<ClockSkew, Failure>), Failure> {
    let mut round_trips = Vec::new();
    let mut skew: Result<ClockSkew, Failure> = Err(Failure::new(Reason::Other, "nothing was measured"));
    for _ in 0..ROUND_TRIPS {
        let (sent, sent_at) = (clock::now(), clock::unix_time());
        let reply = one(session, Command::Time).await?;
        let took = clock::now() - sent;
        round_trips.push(took);
        let ms = |ms: u128| i64::try_from(ms).unwrap_or(i64::MAX);
        let here = ms((sent_at + took / 2).as_millis());
        skew = match (reply.and_then(|reply| reply::server_time(&reply)), skew) {
            (Ok(_), Ok(best)) if best.error <= took / 2 => Ok(best),
            (Ok(time), _) => Ok(ClockSkew { ms: ms(time.0.into()).saturating_sub(here), error: took / 2 }),
            (Err(failure), _) => Err(failure),
        };
    }
    Ok((round_trips, skew))
}

async fn expiring(session: &mut Session, streams: &[Name]) -> Result<BTreeMap<Name, Duration>, Failure> {
    let mut expiring = BTreeMap::new();
    let streams = streams.get(..MAX_EXPIRING).unwrap_or(streams);
    for batch in streams.chunks(BATCH) {
        let questions: Vec<_> = batch.iter().map(Inspect::TimeToLive).collect();
        for (stream, reply) in batch.iter().zip(session.send(&questions).await?) {
            let reply = match reply {
                // Another node of the cluster has it, and is asked too.
                Err(failure) if matches!(failure.reason, Reason::Moved | Reason::Ask | Reason::TryAgain) => {
                    continue;
                }
                reply => reply?,
            };
            if let Some(left) = reply::time_to_live(&reply) {
                expiring.insert(stream.clone(), left);
            }
        }
    }
    Ok(expiring)
}

/// Whether the server does not know the command, or the user may not run it.
const fn is_refusal(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::NoPermission | Reason::Unsupported)
}

/// Checks the needs with the commands that `ask` makes.
///
/// # Errors
/// Why the needs cannot be checked with these commands.
async fn permissions<'a>(
    session: &mut Session,
    needs: &'a [Need],
    ask: impl Fn(Trial<'a>) -> Inspect<'a>,
) -> Result<Vec<Tried>, Failure> {
    static NO_KEY: std::sync::LazyLock<Name> = std::sync::LazyLock::new(|| Name::from(""));
    let database = session.database;
    let mut tried = Vec::new();
    for need in needs {
        let permission = need.permission;
        let keys: Vec<Option<&Name>> =
            if permission.has_key() { need.keys.iter().map(Some).collect() } else { vec![None] };
        let trial = |key: &Option<&'a Name>| Trial { permission, key: key.unwrap_or(&NO_KEY), database };
        let questions: Vec<Inspect<'a>> = keys.iter().map(|key| ask(trial(key))).collect();
        let mut answers = Vec::new();
        for (batch, keys) in questions.chunks(BATCH).zip(keys.chunks(BATCH)) {
            for ((question, key), reply) in batch.iter().zip(keys).zip(session.send(batch).await?) {
                answers.push((key.cloned(), answer(*question, reply)?));
            }
        }
        tried.push(Tried { need: need.clone(), answers });
    }
    Ok(tried)
}

/// What a reply says about the permission.
///
/// # Errors
/// The server cannot or may not check permissions with this command.
fn answer(question: Inspect<'_>, reply: Result<Reply, Failure>) -> Result<Answer, Failure> {
    let is_unknown_command =
        |failure: &Failure| failure.detail.to_ascii_lowercase().contains("unknown command");
    Ok(match (question, reply) {
        (Inspect::DryRun(..), Ok(reply)) => reply::dry_run(&reply),
        (Inspect::DryRun(..), Err(failure)) => {
            // The dry run of a command that the server does not have.
            if failure.detail.contains("not found") && failure.detail.contains("Command") {
                Answer::Absent
            } else {
                return Err(failure);
            }
        }
        (Inspect::Try(Trial { permission: Permission::Del, .. }), reply) => match reply {
            Ok(reply) if reply.value() == Ok(Value::Int(1)) => Answer::Permitted,
            Ok(_) => Answer::Refused,
            Err(failure) => Answer::Unknown(failure),
        },
        (_, Err(failure)) if failure.reason == Reason::NoPermission => Answer::Refused,
        (_, Err(failure)) if is_unknown_command(&failure) => Answer::Absent,
        // The command passed the check of permissions. An error about its arguments does not matter.
        (_, Ok(_) | Err(_)) => Answer::Permitted,
    })
}
