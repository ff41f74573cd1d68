//! One run on one stream: steps until the limit is reached, something blocks it, or the time budget is exhausted.

use std::time::Duration;

use tokio::time::sleep;
use tracing::Instrument;

use super::Enforcer;
use crate::{
    clock,
    config::{Config, Policy},
    model::{Failure, Name, StreamId},
    retention::{Run, Step},
    spans,
};

/// The parameters of one run.
pub struct Trim<'a, O> {
    /// Determines size and pace of the steps.
    pub config: &'a Config,
    /// The stream.
    pub stream: &'a Name,
    /// The limits to apply.
    pub policy: &'a Policy,
    /// Maximum duration.
    pub budget: Duration,
    /// Whether to stop after the current step.
    pub is_over: O,
}

impl<O: Fn() -> bool> Trim<'_, O> {
    /// Trims, and calls `after_step` after each step. Pauses between steps, so that the server can serve others.
    ///
    /// Safe to interrupt between steps and to repeat: each step is complete on its own.
    pub async fn run(self, enforcer: &mut Enforcer, mut after_step: impl FnMut(&Run)) -> Run {
        let mut run = Run::default();
        let until = clock::now() + self.budget;
        let now = match enforcer.check(self.config, self.stream.as_bytes()).await {
            // Without an age limit the run needs no clock, so `TIME` may be refused.
            Ok(Err(_refused)) if self.policy.max_age.is_none() => None,
            Ok(Ok(now)) => Some(now),
            Ok(Err(failure)) | Err(failure) => return Run { failure: Some(failure), ..run },
        };
        let cutoff = self.policy.cutoff(now);
        while !run.is_complete && clock::now() < until && !(self.is_over)() {
            match self.step(enforcer, cutoff).await {
                Ok(step) => run.add(step),
                Err(failure) => return Run { failure: Some(failure), ..run },
            }
            after_step(&run);
            if !run.is_complete {
                sleep(self.config.retention.pause).await;
            }
        }
        run
    }

    /// One step. Its span ends before the pause.
    async fn step(&self, enforcer: &mut Enforcer, cutoff: Option<StreamId>) -> Result<Step, Failure> {
        let span = spans::retention_step(self.stream);
        let step = enforcer.step(self.config, self.stream, self.policy, cutoff);
        let result = step.instrument(span.clone()).await;
        spans::record_result(&span, &result);
        if let Ok(step) = &result {
            span.record("streamwarden.retention.removed", spans::int(step.removed));
        }
        result
    }
}
