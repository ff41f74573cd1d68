//! The only code that writes to Redis: single steps of retention, acts on stuck work, and the lease.
//!
//! Finding the floor and removing entries are one script on one key. As two commands they can lose entries: a group
//! may be created or moved between them, and `WATCH` does not notice. Where scripts are forbidden, one `XTRIM key
//! MINID ~ floor LIMIT n` limits the race to three cases: `XGROUP CREATE` or `SETID` to an older ID, and `XCLAIM
//! FORCE`, between reading and trimming. Reading, acknowledging and adding only ever raise the floor.

use std::{borrow::Cow, sync::Arc};

use tracing::warn;

use super::{
    fallback,
    spare::{in_words, spare_dead_letters},
    write::Write,
};
use crate::{
    config::{Config, Mode, Policy, Watchlist},
    model::{Failure, Name, Reason, Removal, Role, ServerTime, StreamId, StreamState},
    reader::Reader,
    removals::RemovalSender,
    retention::{BlockReason, Plan, Step, TrimBlocker},
    self_stats::SelfStats,
    source::{
        Command, Link, Next, Request, Router, no_reply, reply,
        resp::{Reply, Value},
        send_behind,
    },
};

const WITHOUT_SCRIPTS: &str = "the script, or a command in it, is refused: finding the floor and trimming become two commands, so a group that is \
     created at or set back to an older ID between them may lose entries; only whole nodes are removed, even with `exact`";

/// Parses the script's reply: entries removed, length, floor, blocking group and reason, whether it was forced,
/// entries ever removed, losses.
fn step(reply: &Reply) -> Result<Step, Failure> {
    let unexpected = || Failure::new(Reason::UnexpectedReply, "unexpected reply from the retention script");
    let Value::List(parts) = reply.value()? else { return Err(unexpected()) };
    let [
        Value::Int(removed),
        Value::Int(length),
        Value::Text(floor),
        Value::Text(group),
        Value::Text(word),
        Value::Int(is_forced),
        Value::Int(ever),
        Value::List(lost),
    ] = &parts[..]
    else {
        return Err(unexpected());
    };
    let count = |number: &i64| u64::try_from(*number).map_err(|_negative| unexpected());
    let reason = BlockReason::ALL.into_iter().find(|reason| reason.as_str().as_bytes() == *word);
    let group = (!group.is_empty()).then(|| Name::from(*group));
    Ok(Step {
        removed: count(removed)?,
        length: Some(count(length)?),
        floor: std::str::from_utf8(floor).ok().and_then(|floor| floor.parse().ok()),
        blocked_by: reason.map(|reason| TrimBlocker { group, reason }),
        is_forced: *is_forced != 0,
        removal: removal(count(removed)?, *ever, lost).ok_or_else(unexpected)?,
    })
}

/// Parses the losses: pairs of group and number. The inner `None` means that they are unknown.
fn removal(entries: u64, ever: i64, lost: &[Value<'_>]) -> Option<Option<Removal>> {
    let Ok(ever) = u64::try_from(ever) else { return Some(None) };
    let lost = lost.chunks(2).map(|pair| match pair {
        [Value::Text(group), Value::Int(lost)] => Some((Name::from(*group), u64::try_from(*lost).ok()?)),
        _ => None,
    });
    Some(Some(Removal {
        ever_before: ever.checked_sub(entries)?,
        entries,
        lost: lost.collect::<Option<_>>()?,
    }))
}

/// Redirections that are followed for one command.
const MOST_REDIRECTIONS: usize = 3;

/// Executes steps, on a connection of its own.
pub struct Enforcer {
    router: Router,
    /// Reads the same data as the script, where scripts are forbidden.
    reader: Reader,
    /// The connection (by its number) on which this run read the state of the server. Writes depend on that state, so they
    /// are sent on this connection only: another one may lead to another server. `None` before the first read.
    checked_connection: Option<u64>,
    is_without_scripts: bool,
    /// Reports each step to the polls.
    removals: Option<RemovalSender>,
}

impl Enforcer {
    /// An enforcer that connects at its first step.
    #[must_use]
    pub fn new(stats: Arc<SelfStats>) -> Self {
        let router = Router::new(Link::new(Arc::clone(&stats)));
        Self {
            router,
            reader: Reader::new(Link::new(stats)).asking_owners_only(),
            checked_connection: None,
            is_without_scripts: false,
            removals: None,
        }
    }

    /// Also reports what it removes to the polls.
    #[must_use]
    pub fn reporting_to(self, removals: RemovalSender) -> Self {
        Self { removals: Some(removals), ..self }
    }

    /// Closes the connections.
    pub fn reconnect(&mut self) {
        self.router.disconnect();
        self.reader.reconnect();
    }

    /// Whether there are several servers, so that one that does not answer says nothing about the others.
    pub(super) fn is_of_cluster(&mut self) -> bool {
        self.router.is_of_cluster()
    }

    /// Begins a run for this key: reads the clock of the server that has it, and checks that it is a primary. The inner failure is
    /// the error of `TIME` alone.
    pub(super) async fn check(
        &mut self,
        config: &Config,
        key: &[u8],
    ) -> Result<Result<ServerTime, Failure>, Failure> {
        self.router.begin();
        let mut result = self.check_once(config, key).await;
        if self.router.after(config, key, &result) == Next::AskAgain {
            result = self.check_once(config, key).await;
            self.router.after(config, key, &result);
        }
        result
    }

    async fn check_once(
        &mut self,
        config: &Config,
        key: &[u8],
    ) -> Result<Result<ServerTime, Failure>, Failure> {
        let (session, _asking) = self.router.session(config, key).await?;
        let time = session.check().await?;
        self.checked_connection = Some(session.number());
        session.may_be_written().map(|()| time.map(|now| now.time))
    }

    /// Reads from a primary the state that the next writes depend on. Not cancel-safe, like [`send`](Self::send).
    pub(super) async fn read_state(
        &mut self,
        config: &Config,
        command: Command<'_>,
    ) -> Result<Reply, Failure> {
        let reply = self.send(config, command).await;
        self.checked_connection = Some(self.router.connection());
        reply
    }

    /// Sends one command to the primary that has its key. Not cancel-safe: a caller that gives up must
    /// [`reconnect`](Self::reconnect).
    pub(super) async fn send(&mut self, config: &Config, command: impl Request) -> Result<Reply, Failure> {
        let key = command.key().unwrap_or_default();
        let mut result = self.send_once(config, &command, key).await;
        let mut redirections = 0;
        while self.router.after(config, key, &result) == Next::AskAgain
            && self.router.is_of_cluster()
            && command.checks_again()
            && redirections < MOST_REDIRECTIONS
        {
            redirections += 1;
            // The command was not executed, and the node that is asked now must be a primary too.
            if !command.may_repeat()
                && let Err(failure) = self.check_once(config, key).await
            {
                result = Err(failure);
                continue;
            }
            result = self.send_once(config, &command, key).await;
        }
        result
    }

    async fn send_once<R: Request>(
        &mut self,
        config: &Config,
        command: &R,
        key: &[u8],
    ) -> Result<Reply, Failure> {
        let is_write = !command.may_repeat();
        self.router.session(config, key).await?.0.may_be_written()?;
        if is_write {
            self.router.confirm_primary(config).await?;
        }
        let (session, asking) = self.router.session(config, key).await?;
        if is_write
            && self
                .checked_connection
                .is_some_and(|checked_connection| checked_connection != session.number())
        {
            let what = "the connection was closed after the state that this write depends on was read";
            return Err(Failure::new(Reason::Closed, what));
        }
        send_behind(session, asking, &[command]).await?.pop().unwrap_or_else(|| Err(no_reply()))
    }

    /// Removes at most `retention.step` entries of the stream that may be removed now.
    ///
    /// # Errors
    /// Why nothing was removed. After a lost connection it is unknown whether entries were removed.
    pub async fn step(
        &mut self,
        config: &Config,
        stream: &Name,
        policy: &Policy,
        cutoff: Option<StreamId>,
    ) -> Result<Step, Failure> {
        let has_min_id = self.router.session(config, stream.as_bytes()).await?.0.server.trims_by_id();
        if !has_min_id && (policy.mode == Mode::Safe || policy.max_length.is_none()) {
            return Ok(Step::blocked(BlockReason::Unsupported));
        }
        let cutoff = cutoff.filter(|_| has_min_id);
        let script = Write::Step(stream, policy, cutoff, config.retention.step);
        match self.run_script(config, stream, script).await {
            Ok(step) => {
                self.is_without_scripts = false;
                let is_cut_short = policy.max_age.is_some() && !has_min_id && step.removed == 0;
                return Ok(if is_cut_short { Step::blocked(BlockReason::Unsupported) } else { step });
            }
            Err(failure) if matches!(failure.reason, Reason::NoPermission | Reason::Unsupported) => {
                if !std::mem::replace(&mut self.is_without_scripts, true) {
                    warn!(%failure, "{WITHOUT_SCRIPTS}");
                }
            }
            Err(failure) => return Err(in_words(failure)),
        }
        self.step_without_script(config, stream, policy, cutoff).await
    }

    /// Polls that end meanwhile wait for this, and for nothing else.
    async fn run_script(
        &mut self,
        config: &Config,
        stream: &Name,
        script: Write<'_>,
    ) -> Result<Step, Failure> {
        if let Some(removals) = &self.removals {
            removals.begin();
        }
        let step = self.send(config, script).await.and_then(|reply| step(&reply));
        if let Some(removals) = &self.removals {
            removals.end(stream, step.as_ref().ok().and_then(|step| step.removal.as_ref()));
        }
        step
    }

    async fn step_without_script(
        &mut self,
        config: &Config,
        stream: &Name,
        policy: &Policy,
        cutoff: Option<StreamId>,
    ) -> Result<Step, Failure> {
        let reading = self.reader.read(config, &Watchlist::new(config, [stream.clone()])).await?;
        let Some(read) = reading.stream(stream) else {
            return Ok(Step { length: Some(0), ..Step::default() });
        };
        if read.node().and_then(|node| node.server.role).is_some_and(Role::is_replica) {
            // A replica may lack entries and positions that the primary has.
            self.reader.reconnect();
            return Err(Failure::new(Reason::ReadOnly, "the state of the stream was read from a replica"));
        }
        let (session, _) = self.router.session(config, stream.as_bytes()).await?;
        let named = session.named_place();
        if named.is_some_and(|named| read.node().is_none_or(|node| *node.address != *named)) {
            // Sentinels or the cluster have named another primary in between.
            self.reader.reconnect();
            let what = "the state of the stream was read from another server";
            return Err(Failure::new(Reason::RoleChanged, what));
        }
        let state = read.state.as_ref().map_err(Clone::clone)?;
        let state = &self.with_first_id(config, stream, state, cutoff).await?;
        let plan = Plan::new(policy, state, read.verdict);
        let mut step = Step { length: Some(state.length), floor: plan.guard, ..Step::default() };
        let trims = || fallback::trims(stream, state, &plan, policy, cutoff, config.retention.step);
        if policy.spares_dead_letters && trims().any(|trim| trim.may_remove_from(state)) {
            spare_dead_letters(self.send(config, Command::StreamSummary(stream)).await)?;
        }
        for trim in trims() {
            let removed = self.send(config, trim.command).await.and_then(|reply| reply::count(&reply))?;
            if removed > 0 {
                let length = Some(state.length.saturating_sub(removed));
                return Ok(Step { removed, length, is_forced: trim.is_forced, ..step });
            }
        }
        let limit = plan.excess.min(config.retention.step);
        if plan.unknown.is_some() {
            step.blocked_by = plan.unknown.clone().filter(|_| plan.excess > 0);
        } else if let Some((id, blocker)) = plan.floor.clone().filter(|_| plan.excess > 0) {
            // No whole node can be removed any more. What is left is in the first node, so this reads at most one
            // node.
            let rest =
                u64::try_from(self.ids_before(config, stream, id, limit).await?.len()).unwrap_or(u64::MAX);
            step.blocked_by = (rest < limit).then_some(blocker);
        }
        if let (Some(cutoff), None) = (cutoff, &step.blocked_by) {
            step.blocked_by = match fallback::are_times(state) {
                true => self.blocker_of_too_old(config, stream, plan, cutoff).await?,
                false => Some(TrimBlocker { group: None, reason: BlockReason::NotTimes }),
            };
        }
        Ok(step)
    }

    /// The stream with its first ID. The reading omits it where entries are large, and an age limit needs it.
    async fn with_first_id<'a>(
        &mut self,
        config: &Config,
        stream: &Name,
        state: &'a StreamState,
        cutoff: Option<StreamId>,
    ) -> Result<Cow<'a, StreamState>, Failure> {
        if state.first_entry_id.is_some() || state.length == 0 || cutoff.is_none() {
            return Ok(Cow::Borrowed(state));
        }
        let first_entry_id = self.first_from(config, stream, StreamId::ZERO).await?;
        Ok(Cow::Owned(StreamState { first_entry_id, ..state.clone() }))
    }

    /// What needs an entry that is too old, if nothing could be removed.
    async fn blocker_of_too_old(
        &mut self,
        config: &Config,
        stream: &Name,
        plan: Plan,
        cutoff: StreamId,
    ) -> Result<Option<TrimBlocker>, Failure> {
        let unknown = plan.unknown.map(|blocker| (StreamId::ZERO, blocker));
        let Some((from, blocker)) = unknown.or(plan.floor).filter(|(from, _)| *from < cutoff) else {
            return Ok(None);
        };
        let needed = self.first_from(config, stream, from).await?;
        Ok(needed.filter(|needed| *needed < cutoff).map(|_| blocker))
    }

    async fn first_from(
        &mut self,
        config: &Config,
        stream: &Name,
        from: StreamId,
    ) -> Result<Option<StreamId>, Failure> {
        Ok(reply::range_ids(&self.send(config, Command::First(stream, from)).await?)?.first().copied())
    }

    /// The first IDs before this one.
    async fn ids_before(
        &mut self,
        config: &Config,
        stream: &Name,
        id: StreamId,
        most: u64,
    ) -> Result<Vec<StreamId>, Failure> {
        // No ID is before the first possible one, and the server refuses such a range.
        if id == StreamId::ZERO {
            return Ok(Vec::new());
        }
        reply::range_ids(&self.send(config, Command::Before(stream, id, most)).await?)
    }
}

#[cfg(test)]
#[path = "enforce_tests.rs"]
pub(super) mod tests;
