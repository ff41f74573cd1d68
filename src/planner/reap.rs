//! Which consumers to delete.

use std::time::Duration;

use super::{Looker, Refusal};
use crate::{
    config::Config,
    model::{Consumer, Millis, Name},
    source::Details,
    stuck::{Act, Outcome, Outcomes, Planned},
};

/// A shorter idle time must be asked for twice: a blocking read is idle while it waits.
const LEAST_IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// Which consumers to delete.
#[derive(Debug, Clone)]
pub struct ReapOrder {
    /// The stream.
    pub stream: Name,
    /// The group.
    pub group: Name,
    /// Only those that did not ask for entries for so long.
    pub idle: Millis,
    /// Whether an idle time below a day is permitted.
    pub force: bool,
}

/// Which consumers would be deleted.
#[derive(Debug)]
pub struct ReapPlan {
    /// All consumers of the group.
    pub all: usize,
    /// Those that would be deleted.
    pub unused: Vec<Consumer>,
    /// Those that are as idle, and hold pending entries.
    pub holding: Vec<Consumer>,
    /// The act.
    pub planned: Planned,
}

impl ReapOrder {
    /// What is wrong, whatever Redis holds.
    ///
    /// # Errors
    /// The idle time is too short.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.force || self.idle.duration() >= LEAST_IDLE {
            return Ok(());
        }
        let what =
            "a consumer is idle while a blocking read waits; less than 1d needs --force (over HTTP: `force`)";
        Err(Refusal::wrong("idle", what))
    }

    /// # Errors
    /// A parameter is wrong, something is missing, or Redis failed.
    pub async fn plan(&self, config: &Config, details: &mut Details) -> Result<ReapPlan, Refusal> {
        self.check()?;
        let Self { stream, group, idle, .. } = self;
        let mut looker = Looker { config, stream, details };
        looker.group(group).await?;
        let consumers = looker.consumers(group).await?;
        let all = consumers.len();
        let is_idle = |consumer: &Consumer| consumer.idle >= *idle;
        let (holding, unused): (Vec<Consumer>, Vec<Consumer>) =
            consumers.into_iter().filter(is_idle).partition(|consumer| consumer.pending > 0);
        let names = unused.iter().map(|consumer| &consumer.name);
        let planned = Planned::of_names(Act::reap(stream, group, *idle, all), names);
        Ok(ReapPlan { all, unused, holding, planned })
    }
}

impl ReapPlan {
    /// What would stay as it is, and why.
    #[must_use]
    pub fn left(&self) -> Outcomes {
        Outcomes::of(Outcome::HoldsPending, u64::try_from(self.holding.len()).unwrap_or(u64::MAX))
    }
}
