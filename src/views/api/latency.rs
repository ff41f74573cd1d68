//! How long a group's entries take, in the API.

use serde::{Deserialize, Serialize};

use super::values::span;
use crate::{
    latency::{GroupLatency, Outcome, Quantile, Quantiles, Stage},
    model::Millis,
};

/// How long a group's entries take.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Latency"))]
pub struct LatencyDocument {
    /// From an entry's ID to its delivery to the group.
    pub delivery: StageDocument,
    /// From an entry's ID to its acknowledgement. All but the mean and `followed` assumes that entries are acknowledged in the order of their
    /// delivery.
    pub handled: StageDocument,
}

/// How long entries take to a stage, and whether they meet the objective for it.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "LatencyStage"))]
pub struct StageDocument {
    /// Entries measured since the sidecar measures the group.
    pub entries: u64,
    /// Their mean time; `null` before the first.
    pub mean_seconds: Option<f64>,
    /// Entries that were not measured.
    pub left_out: u64,
    /// Half of the entries of `status.window` took no longer; `null` without any.
    pub p50: Option<QuantileDocument>,
    /// 95 of 100 of them took no longer.
    pub p95: Option<QuantileDocument>,
    /// 99 of 100 of them took no longer.
    pub p99: Option<QuantileDocument>,
    /// Entries that met the objective; `null` without one.
    pub good: Option<u64>,
    /// Entries that missed it.
    pub bad: Option<u64>,
    /// Entries of which neither is certain.
    pub unknown: Option<u64>,
    /// Share of the error budget that is left of the entries measured: 1 if none missed the objective, below 0 if too many did.
    pub error_budget_left: Option<f64>,
    /// Single entries that were followed to their acknowledgement, for `handled` with an objective; else `null`. Where the latest are out
    /// of order, what is left of the budget is that of theirs, else that of all entries.
    pub followed: Option<FollowedDocument>,
}

/// Single entries that were followed: right in any order of acknowledgements.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "FollowedEntries"))]
pub struct FollowedDocument {
    /// Those that met the objective.
    pub good: u64,
    /// Those that missed it.
    pub bad: u64,
    /// Those of which neither is certain.
    pub unknown: u64,
    /// Those that met it although they missed it by the order of acknowledgements, and the other way round.
    pub out_of_order: u64,
    /// Whether the order was right about the latest of them. If not, other entries are unknown, and p50, p95 and p99 are `null`.
    pub is_in_order: bool,
}

/// A quantile.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Quantile"))]
pub struct QuantileDocument {
    /// About what it is.
    pub seconds: f64,
    /// It is not less.
    pub at_least_seconds: f64,
    /// It is not more.
    pub at_most_seconds: f64,
}

impl LatencyDocument {
    /// `target` is the share of entries that must meet an objective.
    pub(super) fn new(latency: &GroupLatency, target: Option<f64>) -> Self {
        Self { delivery: stage(&latency.delivery, target), handled: stage(&latency.handling, target) }
    }
}

fn stage(stage: &Stage, target: Option<f64>) -> StageDocument {
    let entries = stage.histogram.count();
    let quantiles = stage.quantiles();
    let quantile = |of: fn(&Quantiles) -> Quantile| quantiles.as_ref().map(of).map(quantile);
    let outcome = |outcome| stage.outcomes.map(|outcomes| outcomes.of(outcome));
    let (good, bad) = (outcome(Outcome::Good), outcome(Outcome::Bad));
    let followed = followed(stage);
    // As the alerts do.
    let out_of_order = followed.filter(|followed| !followed.is_in_order);
    let certain = out_of_order.map_or_else(|| good.zip(bad), |followed| Some((followed.good, followed.bad)));
    let budget = certain.zip(target).and_then(|((good, bad), target)| budget_left(good, bad, target));
    StageDocument {
        entries,
        mean_seconds: stage.histogram.sum_ms.checked_div(entries).map(|ms| span(Millis::new(ms))),
        left_out: stage.left_out.iter().sum(),
        p50: quantile(|it| it.p50),
        p95: quantile(|it| it.p95),
        p99: quantile(|it| it.p99),
        good,
        bad,
        unknown: outcome(Outcome::Unknown),
        error_budget_left: budget,
        followed,
    }
}

fn followed(stage: &Stage) -> Option<FollowedDocument> {
    let outcomes = stage.followed?;
    let [good, bad, unknown] = Outcome::ALL.map(|outcome| outcomes.all(outcome));
    let out_of_order = outcomes.of(Outcome::Good, Outcome::Bad) + outcomes.of(Outcome::Bad, Outcome::Good);
    Some(FollowedDocument { good, bad, unknown, out_of_order, is_in_order: stage.is_in_order })
}

fn quantile(quantile: Quantile) -> QuantileDocument {
    let seconds = |ms| span(Millis::new(ms));
    QuantileDocument {
        seconds: seconds(quantile.likely),
        at_least_seconds: seconds(quantile.least),
        at_most_seconds: seconds(quantile.most),
    }
}

/// `None` if no outcome is certain.
fn budget_left(good: u64, bad: u64, target: f64) -> Option<f64> {
    let [good, bad] = [good, bad].map(|count| Millis::new(count).duration().as_secs_f64());
    let all = good + bad;
    // Three digits: the rest is noise.
    (all > 0.0).then(|| ((1.0 - bad / all / (1.0 - target)) * 1_000.0).round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_what_the_target_leaves() {
        for (good, bad, left) in [(100, 0, 1.0), (199, 1, 0.5), (99, 1, 0.0), (98, 2, -1.0)] {
            assert_eq!(budget_left(good, bad, 0.99), Some(left), "{good} {bad}");
        }
        assert_eq!(budget_left(0, 0, 0.99), None);
    }
}
