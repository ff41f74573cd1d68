//! The cap on series: what is left out when there are more, and in which order.

#![expect(clippy::wildcard_enum_match_arm, reason = "each kind of row has the samples of a few sources")]

use super::{
    families::{Family, Source},
    rows::Rows,
};
use crate::evaluate::GroupStatus;

/// How many series of a snapshot a page shows and leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeriesCount {
    /// On the page.
    pub shown: usize,
    /// Left out.
    pub dropped: usize,
}

/// Leaves out whole rows until the series of the rest fit under `limit`: consumers first, then groups, then
/// streams, the last names first.
pub(super) fn bound(
    rows: &mut Rows<'_>,
    families: impl Iterator<Item = &'static Family> + Clone,
    limit: usize,
) -> SeriesCount {
    let series = |samples: &dyn Fn(Source) -> usize| {
        families.clone().map(|family| samples(family.source)).sum::<usize>()
    };
    let mut count = SeriesCount::default();
    let mut keep = |series: usize| {
        // Once a row was left out, no later one is shown: what is seen must not depend on what happens to fit.
        let fits = count.dropped == 0 && count.shown + series <= limit;
        *if fits { &mut count.shown } else { &mut count.dropped } += series;
        fits
    };
    rows.streams.retain(|row| {
        keep(series(&|source| match source {
            Source::Stream(value) => value(row).is_some().into(),
            Source::StreamMore(_, values) => values(row).len(),
            _ => 0,
        }))
    });
    rows.groups.retain(|row| {
        keep(series(&|source| match source {
            Source::Group(value) => value(row).is_some().into(),
            Source::GroupStatus if row.status.is_some() => GroupStatus::ALL.len(),
            _ => 0,
        }))
    });
    rows.consumers.retain(|row| {
        keep(series(&|source| match source {
            Source::Consumer(value) => value(row).is_some().into(),
            _ => 0,
        }))
    });
    count
}
