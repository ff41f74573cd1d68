//! Objectives, and what people should know of them.

use std::time::Duration;

use humantime::format_duration;

use super::{Config, Slo};

/// An objective that is fewer ticks long leaves many entries unknown, since each is known to two ticks or so.
const CLEAR_TICKS: u32 = 5;

impl Slo {
    /// The objectives that are set, by their keys.
    pub fn objectives(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let set = [("delivery", self.delivery), ("handled", self.handled)];
        set.into_iter().filter_map(|(key, objective)| Some((key, objective?)))
    }
}

impl Config {
    /// What to know of the objectives, a line each: those that the tick resolves badly, and streams that have none although a later
    /// rule for them has.
    #[must_use]
    pub fn notes_on_objectives(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (index, rule) in self.streams.iter().enumerate() {
            let at = format!("streams[{index}] ({})", rule.pattern);
            for (key, objective) in rule.slo.iter().flat_map(Slo::objectives) {
                if objective < CLEAR_TICKS * self.latency.tick {
                    let tick = format_duration(objective / CLEAR_TICKS);
                    let objective = format_duration(objective);
                    notes.push(format!("{at}: slo.{key} of {objective} is close to latency.tick, so many entries near it count as unknown; a tick of {tick} resolves it"));
                }
            }
            let name = rule.pattern.exact().filter(|_| rule.slo.is_none());
            let later = self.streams.iter().enumerate().skip(index + 1);
            let hidden = name.and_then(|name| {
                later.into_iter().find(|(_, other)| other.slo.is_some() && other.pattern.matches(name))
            });
            if let Some((other, with)) = hidden {
                notes.push(format!("{at} has no slo: streams[{other}] ({}) has one and matches too, but only the first rule applies", with.pattern));
            }
        }
        let has_any = self.streams.iter().any(|rule| rule.slo.is_some());
        if has_any && !self.latency.enabled {
            let why = if self.redis.billed_by_command { ", since each command is billed" } else { "" };
            notes.push(format!("no objective is measured{why}; latency.enabled: true measures them"));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use crate::config::test_config::config;

    #[test]
    fn objectives_that_are_hard_to_measure_or_not_measured_have_a_note() {
        let notes = |yaml: &str| config(yaml).notes_on_objectives();
        let rules = "streams: [{match: 'a*', slo: {delivery: 2s}}, {match: b}]";
        assert_eq!(notes(rules), [""; 0]);
        assert_eq!(notes("latency: {enabled: false}"), [""; 0]);
        let off = notes(&format!("{rules}\nlatency: {{enabled: false}}"));
        assert!(off[0].starts_with("no objective is measured; latency.enabled"), "{off:?}");
        let close = notes("streams: [{match: a, slo: {delivery: 500ms, handled: 5s}}]");
        assert!(close.len() == 1 && close[0].ends_with("a tick of 100ms resolves it"), "{close:?}");
        let hidden = notes("streams: [{match: ab}, {match: 'a*', slo: {delivery: 2s}}]");
        assert!(hidden[0].starts_with("streams[0] (ab) has no slo: streams[1] (a*) has one"), "{hidden:?}");
    }
}
