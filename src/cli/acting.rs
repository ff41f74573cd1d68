//! How commands act on stuck work: a plan, a question, a run, and what came of it.

use super::{
    command::{Error, Exit, block_on, print},
    confirm::Confirm,
};
use crate::{
    actions::{Acting, Enforcer},
    app::self_stats,
    config::{Config, Log},
    evaluate::grouped,
    model::{Failure, Reason},
    stuck::{Act, Outcomes, Planned},
    telemetry,
};

/// Who gives the orders.
pub(super) const BY: &str = "cli";
/// Rows of a plan that are shown.
pub(super) const MOST_ROWS: usize = 20;

/// Runs a command that shows a plan and asks.
pub(super) fn run_asking(
    confirm: &Confirm,
    log: &Log,
    command: impl Future<Output = Result<Exit, Error>>,
) -> Result<Exit, Error> {
    confirm.is_possible()?;
    telemetry::start_logging(log);
    block_on(command)?
}

/// Asks, acts, and prints the result. The plan was shown already.
pub(super) async fn carry_out(
    config: &Config,
    confirm: &Confirm,
    question: &str,
    plans: Vec<Planned>,
    rate: Option<u32>,
) -> Result<Exit, Error> {
    if plans.iter().all(|plan| plan.items.is_empty()) {
        print("nothing to do\n")?;
        return Ok(Exit::Success);
    }
    if !confirm.is_given(question) {
        print("nothing was changed\n")?;
        return Ok(Exit::Success);
    }
    let mut enforcer = Enforcer::new(self_stats());
    let mut is_done = true;
    for Planned { act, items } in plans {
        let wanted = u64::try_from(items.len()).unwrap_or(u64::MAX);
        let acted = Acting { config, act: &act, by: BY, rate }.run(&mut enforcer, items).await;
        print(summary(&acted.outcomes))?;
        if let Some(failure) = &acted.failure {
            return Err(Error::Other(reason(config, &act, failure)));
        }
        is_done &= acted.outcomes.done() == wanted;
    }
    Ok(Exit::success_if(is_done))
}

fn summary(outcomes: &Outcomes) -> String {
    outcomes.iter().map(|(outcome, count)| format!("{} {}\n", grouped(count), outcome.meaning())).collect()
}

/// Why a step failed, and what that means for the items.
fn reason(config: &Config, act: &Act, failure: &Failure) -> String {
    let keys: Vec<String> = act.keys.iter().map(ToString::to_string).collect();
    let keys = keys.join(" and ");
    let hint = HINTS
        .iter()
        .find(|(reason, _)| *reason == failure.reason)
        .map(|(_, hint)| hint.replace("KEYS", &keys));
    let hint = hint.map(|hint| format!("\n{hint}")).unwrap_or_default();
    format!("{}{hint}", config.redis.access.cannot("act on stuck work", failure))
}

const UNKNOWN: &str = "it is unknown whether the last step was executed. Run the command again: what was done is not done twice";
const NO_WRITES: &str = "the server accepts no writes now, so nothing of this step was changed";
const HINTS: [(Reason, &str); 14] = [
    (Reason::CrossSlot, "KEYS must be in one slot of the cluster: pass --to with the same hash tag"),
    (Reason::OutOfMemory, "the server refuses the copy, so nothing of this step was acknowledged or removed"),
    (
        Reason::NoKey,
        "the stream that gets the entries does not exist: XGROUP CREATE ... MKSTREAM creates it with a group",
    ),
    (Reason::WrongType, "one of KEYS is not a stream; nothing of this step was changed"),
    (Reason::ReadOnly, "this server is a replica, which accepts no writes: run the command on its primary"),
    (
        Reason::NoPermission,
        "`streamwarden acl --acting` prints the rule of a user that may do this, with watched streams and keys that begin with dead:; \
         for another key (--to) add ~KEY",
    ),
    (
        Reason::TryAgain,
        "KEYS are moving to another node of the cluster; nothing of this step was changed. Run the command again in a moment",
    ),
    (Reason::Misconfigured, NO_WRITES),
    (Reason::NoReplicas, NO_WRITES),
    (Reason::Closed, UNKNOWN),
    (Reason::Timeout, UNKNOWN),
    (Reason::Io, UNKNOWN),
    (Reason::Protocol, UNKNOWN),
    (Reason::RoleChanged, UNKNOWN),
];
