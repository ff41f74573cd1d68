//! How commands act on stuck work: a plan, a question, a run, and what came of it.

use super::{
    command::{Error, Exit, block_on, print},
    confirm::Confirm,
};
use crate::{
    actions::{Acting, Enforcer},
    app::self_stats,
    clock,
    config::{Config, Log},
    evaluate::grouped,
    model::StreamId,
    planner::{Looked, Rest, cannot_act},
    stuck::{Outcomes, Planned},
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

/// Asks, acts, and prints the result, with what is left beyond the bound of the command. The plan, and what it leaves, was shown already.
pub(super) async fn carry_out(
    config: &Config,
    confirm: &Confirm,
    question: &str,
    plans: Vec<Planned>,
    rate: Option<u32>,
    rest: Option<&str>,
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
    let (mut is_done, mut outcomes) = (true, Outcomes::default());
    for planned in plans {
        let (act, items) = (planned.act_at(clock::now()), planned.items);
        let wanted = u64::try_from(items.len()).unwrap_or(u64::MAX);
        let acting = Acting { config, act: &act, by: BY, rate, is_over: &|| false };
        let acted = acting.run(&mut enforcer, items).await;
        outcomes.join(&acted.outcomes);
        if let Some(failure) = &acted.failure {
            print(summary(&outcomes))?;
            return Err(Error::Other(cannot_act(config, &act, failure)));
        }
        is_done &= acted.outcomes.done() == wanted;
    }
    print(summary(&outcomes))?;
    rest.map_or(Ok(()), print)?;
    Ok(Exit::success_if(is_done))
}

/// What is left beyond `--max`.
pub(super) fn beyond_max(rest: Option<Rest>, max: u32) -> Option<String> {
    let Rest { at_least, is_exact, .. } = rest?;
    let at_least = format!("{}{}", if is_exact { "" } else { "at least " }, grouped(at_least));
    let max = grouped(max.into());
    Some(format!(
        "stopped at --max {max}: {at_least} behind these were not looked at. Run it again for the next {max}, or with a larger --max\n"
    ))
}

/// What is left of a group's pending entries.
pub(super) fn unlooked(
    Looked { group, found, .. }: &Looked,
    how: impl Fn(StreamId) -> String,
) -> Option<String> {
    let (next, looked_at, all) = (found.next?, grouped(found.looked_at), grouped(group.pending));
    Some(format!("looked at {looked_at} of the group's {all} pending entries; {}\n", how(next)))
}

fn summary(outcomes: &Outcomes) -> String {
    outcomes.iter().map(|(outcome, count)| format!("{} {}\n", grouped(count), outcome.meaning())).collect()
}
