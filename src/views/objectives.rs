//! The samples about objectives: what is configured, and which entries met them.

use super::number::Number::{self, Count, Seconds};
use crate::{
    config::Slo,
    latency::{LeftOut, Outcome, Stage},
    reading::{GroupReading, StreamReading},
};

pub(super) fn slo(row: &StreamReading<'_>) -> Option<Slo> {
    row.rule()?.slo
}

pub(super) fn slo_objectives(row: &StreamReading<'_>) -> Vec<(String, Number)> {
    let slo = slo(row);
    let objectives = slo.iter().flat_map(Slo::objectives);
    objectives.map(|(objective, time)| (format!("objective=\"{objective}\""), Seconds(time))).collect()
}

/// The stages of a group's entries, by the objective for them.
fn stages<'a>(row: &GroupReading<'a>) -> impl Iterator<Item = (&'static str, &'a Stage)> + use<'a> {
    let stages = row.latency.map(|latency| [("delivery", &latency.delivery), ("handled", &latency.handling)]);
    stages.into_iter().flatten()
}

pub(super) fn slo_events(row: &GroupReading<'_>) -> Vec<(String, Number)> {
    let of_stage = |(objective, stage): (&str, &Stage)| {
        let outcomes = stage.outcomes.iter().flat_map(|outcomes| {
            Outcome::ALL.map(|outcome| {
                let labels = format!("objective=\"{objective}\",outcome=\"{}\"", outcome.as_str());
                (labels, Count(outcomes.of(outcome)))
            })
        });
        outcomes.collect::<Vec<_>>()
    };
    stages(row).flat_map(of_stage).collect()
}

pub(super) fn slo_followed(row: &GroupReading<'_>) -> Vec<(String, Number)> {
    let of_stage = |(objective, stage): (&str, &Stage)| {
        let counts = stage.followed.iter().flat_map(|followed| {
            Outcome::ALL.into_iter().flat_map(|outcome| {
                Outcome::ALL.map(|in_order| {
                    let (outcome_label, order_label) = (outcome.as_str(), in_order.as_str());
                    let labels = format!(
                        "objective=\"{objective}\",outcome=\"{outcome_label}\",by_order=\"{order_label}\""
                    );
                    (labels, Count(followed.of(outcome, in_order)))
                })
            })
        });
        counts.collect::<Vec<_>>()
    };
    stages(row).flat_map(of_stage).collect()
}

pub(super) fn slo_in_order(row: &GroupReading<'_>) -> Vec<(String, Number)> {
    let of_stage = |(objective, stage): (&str, &Stage)| {
        let is_in_order = stage.followed.map(|_| Number::from(stage.is_in_order));
        is_in_order.map(|number| (format!("objective=\"{objective}\""), number))
    };
    stages(row).filter_map(of_stage).collect()
}

pub(super) fn slo_left_out(row: &GroupReading<'_>) -> Vec<(String, Number)> {
    let of_stage = |(objective, stage): (&str, &Stage)| {
        let counts = LeftOut::ALL.iter().zip(stage.left_out);
        let of_reason = |(reason, count): (&LeftOut, u64)| {
            (format!("objective=\"{objective}\",reason=\"{}\"", reason.as_str()), Count(count))
        };
        counts.map(of_reason).collect::<Vec<_>>()
    };
    stages(row).flat_map(of_stage).collect()
}
