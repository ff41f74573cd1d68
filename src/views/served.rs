//! Which families of the table a configuration exposes, and which series of a state set.

use super::{
    families::{FAMILIES, Family},
    redis_exporter::REDIS_EXPORTER_FAMILIES,
};
use crate::config::{Exposition, States};

/// Every name that a family can have: what `exposition.exclude` may name.
pub fn family_names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().chain(REDIS_EXPORTER_FAMILIES).map(|family| family.name)
}

/// What a configuration exposes.
pub(super) struct Served {
    /// In the order of the page.
    pub families: Vec<&'static Family>,
    states: States,
}

impl Served {
    pub(super) fn new(exposition: &Exposition) -> Self {
        let more = if exposition.redis_exporter_names { REDIS_EXPORTER_FAMILIES } else { &[] };
        let families = FAMILIES.iter().chain(more);
        let families = families.filter(|family| !exposition.exclude.contains(family.name)).collect();
        Self { families, states: exposition.states }
    }

    /// The states of a set that have a series, each with whether it is the current one.
    pub(super) fn states<T: Copy + PartialEq>(
        &self,
        all: &'static [T],
        current: T,
    ) -> impl Iterator<Item = (T, bool)> + use<T> {
        let states = self.states;
        let each = all.iter().map(move |state| (*state, *state == current));
        each.filter(move |(_, is_current)| *is_current || states == States::All)
    }
}
