//! The nodes that streams are stored in. They are removed whole, so their size determines how closely a limit can be
//! kept.

use super::{
    Area::Retention,
    Evidence, Finding,
    Level::{Notice, Ok, Problem, Warning},
};
use crate::{evaluate::grouped, model::Setting};

/// Minimum size of an entry in a node.
const LEAST_ENTRY_BYTES: u64 = 8;

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    if !evidence.retains() {
        return Vec::new();
    }
    let facts = evidence.facts;
    vec![match (facts.number(Setting::NodeMaxEntries), facts.number(Setting::NodeMaxBytes)) {
        (Result::Ok(entries), Result::Ok(bytes)) => bounded(evidence, entries, bytes),
        (Err(failure), _) | (_, Err(failure)) => {
            let what = "maximum size of a stream's nodes (stream-node-max-entries, -bytes)";
            Finding::unknown(Retention, what, "config|get", &failure)
        }
    }]
}

fn bounded(evidence: Evidence<'_>, entries: u64, bytes: u64) -> Finding {
    let step = evidence.config.retention.step;
    let mut rules = evidence.config.streams.iter().filter_map(|rule| rule.retention.as_ref());
    // An exact limit also removes single entries of a node.
    let level = if rules.all(|retention| retention.exact) { Notice } else { Problem };
    match (entries, bytes) {
        (0, 0) => {
            let what = "nodes of streams have no maximum size (stream-node-max-entries 0, -bytes 0)";
            let meaning = "only whole nodes are removed, so without `exact` nothing ever is: set \
                 stream-node-max-entries 100, which applies to new nodes";
            Finding::new(Retention, level, what, meaning)
        }
        (0, bytes) if bytes / LEAST_ENTRY_BYTES > step => {
            let what = format!("nodes have up to {} bytes, with any number of entries", grouped(bytes));
            let meaning = format!(
                "a node with more entries than retention.step ({}) is never removed: set stream-node-max-entries 100",
                grouped(step)
            );
            Finding::new(Retention, Warning.max(level), what, meaning)
        }
        (0, bytes) => {
            let what = format!("nodes have up to {} bytes", grouped(bytes));
            Finding::new(
                Retention,
                Ok,
                what,
                "only whole nodes are removed: without `exact`, up to one more than the limit stays",
            )
        }
        (entries, _) if entries > step => {
            let what = format!("a node may hold {} entries, more than retention.step", grouped(entries));
            let meaning = format!(
                "a step of {} entries can't remove such a node: raise retention.step to {}",
                grouped(step),
                grouped(entries)
            );
            Finding::new(Retention, level, what, meaning)
        }
        (entries, _) => {
            let what = format!("nodes have up to {} entries", grouped(entries));
            let meaning = format!(
                "only whole nodes are removed: without `exact`, up to {} entries more than the limit stay",
                grouped(entries - 1)
            );
            Finding::new(Retention, Ok, what, meaning)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Level::Unknown,
        test_evidence::{Case, RETAIN},
    };
    use super::*;

    #[test]
    fn a_node_must_fit_into_a_step() {
        let exact = "streams: [{match: s, retention: {max_length: 5, exact: true}}]";
        for (config, entries, bytes, level) in [
            (RETAIN, "100", "4096", Some(Ok)),
            (RETAIN, "0", "4096", Some(Ok)),
            (RETAIN, "0", "1000000", Some(Warning)),
            (RETAIN, "0", "0", Some(Problem)),
            (exact, "0", "0", Some(Notice)),
            (RETAIN, "20000", "0", Some(Problem)),
            (RETAIN, "refused", "0", Some(Unknown)),
            ("", "0", "0", None),
        ] {
            let mut case = Case::new("redis://h", config);
            case.set(Setting::NodeMaxEntries, entries);
            case.set(Setting::NodeMaxBytes, bytes);
            let found = findings(case.evidence());
            assert_eq!(found.first().map(|it| it.level), level, "{config} {entries} {bytes}");
        }
    }
}
