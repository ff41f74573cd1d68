//! The dependency graph between files, and its cycles.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Segments, Source};

/// One message per cycle: its files, each with a path that it uses.
pub(super) fn cycles(sources: &[Source]) -> Vec<String> {
    let by_module =
        sources.iter().enumerate().map(|(index, source)| (source.module.as_slice(), index)).collect();
    let files = Files { sources, by_module };
    let edges: Vec<_> = (0..sources.len()).map(|index| files.used_by(index)).collect();
    let reached: Vec<_> = (0..sources.len()).map(|index| reached(&edges, index)).collect();
    let rings: BTreeSet<BTreeSet<usize>> = (0..sources.len())
        .map(|index| reached[index].iter().copied().filter(|it| reached[*it].contains(&index)).collect())
        .collect();
    let names = |ring: &BTreeSet<usize>| {
        let uses = ring.iter().map(|index| {
            let (_, path) = edges[*index].iter().find(|(used, _)| ring.contains(used))?;
            Some(format!("{} ({})", sources[*index].file, path.join("::")))
        });
        format!("files that use each other: {}", uses.flatten().collect::<Vec<_>>().join(", "))
    };
    rings.iter().filter(|ring| !ring.is_empty()).map(names).collect()
}

/// All files that a file uses, directly or indirectly. The file itself is included only if it is part of a cycle.
fn reached(edges: &[BTreeMap<usize, &Segments>], from: usize) -> BTreeSet<usize> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        next.extend(edges[file].keys().filter(|used| seen.insert(**used)));
    }
    seen
}

struct Files<'a> {
    sources: &'a [Source],
    by_module: BTreeMap<&'a [String], usize>,
}

impl<'a> Files<'a> {
    /// The files that a file uses directly, each with a path that it uses.
    fn used_by(&self, index: usize) -> BTreeMap<usize, &'a Segments> {
        let uses = self.sources[index].uses.iter();
        let used = uses.flat_map(|path| self.defining(path, 0).into_iter().map(move |used| (used, path)));
        used.filter(|(used, _)| *used != index).collect()
    }

    /// The files that define the item of a path: the deepest module on the path, or the modules that it re-exports
    /// the item from.
    fn defining(&self, path: &[String], depth: usize) -> BTreeSet<usize> {
        let modules = (1..=path.len()).rev();
        let found = modules.filter_map(|length| Some((length, *self.by_module.get(&path[..length])?))).next();
        let Some((length, index)) = found else { return BTreeSet::new() };
        let elsewhere = path.get(length).and_then(|item| self.sources[index].exports.get(item));
        let elsewhere = elsewhere.into_iter().flatten().filter(|_| depth < 8);
        let defining: BTreeSet<usize> = elsewhere
            .flat_map(|elsewhere| self.defining(&[elsewhere, &path[length + 1..]].concat(), depth + 1))
            .collect();
        if defining.is_empty() { BTreeSet::from([index]) } else { defining }
    }
}
