//! The task that looks into single entries, and acts on stuck work, when a client of the API asks for it: one request at a time, and a
//! pause behind each, so that clients can't make it a load on Redis.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    actions::{Acting, Enforcer},
    clock,
    config::Config,
    model::{Name, ServerTime},
    planner::{Looked, Looker, Order, Plan, Refusal, cannot_act},
    self_stats::SelfStats,
    source::{Details, Wanted},
    stuck::Outcomes,
};

/// The pause after a request: at most twenty in a second.
const PAUSE: Duration = Duration::from_millis(50);
/// Who gives the orders, in dead letters and in the log.
const BY: &str = "http";

/// What a client asks for.
pub enum Job {
    /// The pending entries of a group.
    Look {
        /// The stream.
        stream: Name,
        /// The group.
        group: Name,
        /// Which entries.
        wanted: Wanted,
        /// Receives the entries, and the server's clock.
        answer: oneshot::Sender<Result<(Looked, Option<ServerTime>), Refusal>>,
    },
    /// An act on stuck work.
    Act {
        /// What to do.
        order: Order,
        /// Whether to only plan it.
        is_dry: bool,
        /// Receives what came of it.
        answer: oneshot::Sender<Result<Done, Refusal>>,
    },
}

/// What came of an order.
pub struct Done {
    /// What was planned.
    pub plan: Plan,
    /// How its items ended; `None` for a dry run.
    pub outcomes: Option<Outcomes>,
}

/// The task and its inputs.
pub struct Operator {
    /// The connection that reads.
    pub details: Details,
    /// Those that write.
    pub enforcer: Enforcer,
    /// The current configuration.
    pub config: watch::Receiver<Arc<Config>>,
    /// What to do.
    pub jobs: mpsc::Receiver<Job>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Operator {
    /// Runs until `stop`. Waits for an act that has begun.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(job)) = stop.run_until_cancelled(self.jobs.recv()).await {
            let config = Arc::clone(&self.config.borrow());
            // A client may be gone before its turn, or before its answer.
            match job {
                Job::Look { answer, .. } if answer.is_closed() => continue,
                Job::Look { stream, group, wanted, answer } => {
                    let mut looker = Looker { config: &config, stream: &stream, details: &mut self.details };
                    let looked = stop.run_until_cancelled(look(&mut looker, &group, &wanted)).await;
                    drop(looked.map(|looked| answer.send(looked)));
                }
                Job::Act { answer, .. } if answer.is_closed() => continue,
                Job::Act { order, is_dry, answer } => {
                    drop(answer.send(self.act(&config, &order, is_dry).await));
                }
            }
            sleep(PAUSE).await;
        }
        // Without clients it waits to be stopped.
        stop.cancelled().await;
    }

    async fn act(&mut self, config: &Config, order: &Order, is_dry: bool) -> Result<Done, Refusal> {
        let plan = order.plan(config, &mut self.details, BY).await?;
        if is_dry {
            return Ok(Done { plan, outcomes: None });
        }
        let mut outcomes = Outcomes::default();
        for planned in plan.planned.iter().filter(|planned| !planned.items.is_empty()) {
            let act = planned.act_at(clock::now());
            let acting = Acting { config, act: &act, by: BY, rate: None, is_over: &|| false };
            let acted = acting.run(&mut self.enforcer, planned.items.clone()).await;
            self.stats.acted(planned.act.script.as_str(), acted.outcomes.done());
            outcomes.join(&acted.outcomes);
            if let Some(failure) = acted.failure {
                // The number first, since a long text is cut at its end.
                let why = cannot_act(config, &planned.act, &failure).replace('\n', "; ");
                let what = format!("{} items were done before this: {why}", outcomes.done());
                return Err(Refusal::Failed(failure.reason, what));
            }
        }
        Ok(Done { plan, outcomes: Some(outcomes) })
    }
}

async fn look(
    looker: &mut Looker<'_>,
    group: &Name,
    wanted: &Wanted,
) -> Result<(Looked, Option<ServerTime>), Refusal> {
    let group = looker.group(group).await?;
    let looked = looker.look(group, wanted).await?;
    if let Some(consumer) = wanted.consumer.as_ref().filter(|_| looked.found.entries.is_empty()) {
        looker.check_consumer(&looked.group.name, consumer).await?;
    }
    Ok((looked, looker.time().await?))
}
