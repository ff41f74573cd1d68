//! Which module of the program may know which: one direction, held by a parser that reads every path.
//!
//! A module may use those that its row names, and each row names modules above it only, so there is no cycle. Within a module no
//! file may use one that uses it. Tests are left out: they may look at everything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use syn::{Attribute, Ident, Item, ItemUse, UseTree, visit::Visit};

/// A module, and those that it may use: from the bottom to the top.
const MODULES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("clock", &[]),
    ("signals", &[]),
    ("tasks", &[]),
    ("worker", &[]),
    ("files", &["model"]),
    ("outage", &["model"]),
    ("config", &["files", "model"]),
    ("schedule", &["clock", "model"]),
    ("spans", &["config", "model"]),
    ("self_stats", &["clock", "config", "model"]),
    ("telemetry", &["config", "files", "model", "outage"]),
    ("acl", &["config", "model"]),
    ("evaluate", &["config", "model"]),
    ("source", &["clock", "config", "files", "model"]),
    ("recorder", &["config", "model", "self_stats", "source", "spans"]),
    ("retention", &["config", "evaluate", "model"]),
    ("reading", &["clock", "config", "evaluate", "model", "retention"]),
    ("removals", &["model"]),
    ("reader", &["clock", "config", "evaluate", "model", "reading", "removals", "retention", "source"]),
    (
        "poll",
        &[
            "clock",
            "config",
            "model",
            "outage",
            "reader",
            "reading",
            "schedule",
            "self_stats",
            "source",
            "spans",
        ],
    ),
    (
        "actions",
        &[
            "clock",
            "config",
            "files",
            "model",
            "outage",
            "reader",
            "removals",
            "retention",
            "schedule",
            "self_stats",
            "source",
            "spans",
        ],
    ),
    ("doctor", &["config", "evaluate", "model", "reading", "retention"]),
    ("publish", &["config", "doctor", "evaluate", "model", "reading", "retention"]),
    ("publisher", &["clock", "config", "publish", "reading", "self_stats"]),
    (
        "http",
        &[
            "actions",
            "clock",
            "config",
            "files",
            "model",
            "outage",
            "publish",
            "reading",
            "retention",
            "self_stats",
        ],
    ),
    ("reload", &["config", "files", "model", "outage", "self_stats", "signals"]),
    (
        "app",
        &[
            "actions",
            "clock",
            "config",
            "http",
            "poll",
            "publisher",
            "reader",
            "reading",
            "reload",
            "removals",
            "self_stats",
            "signals",
            "source",
            "tasks",
            "telemetry",
            "worker",
        ],
    ),
    (
        "cli",
        &[
            "acl",
            "actions",
            "app",
            "clock",
            "config",
            "doctor",
            "evaluate",
            "model",
            "publish",
            "reader",
            "reading",
            "retention",
            "source",
            "telemetry",
            "worker",
        ],
    ),
];

/// Modules that hold no runtime, no client of Redis, no socket, no clock and no environment: the beginnings of paths that they
/// must not have.
const PURE: &[&str] = &["model", "outage", "evaluate", "retention", "reading", "doctor", "publish", "acl"];
const IMPURE: &[&str] =
    &["tokio", "hyper", "redis", "std::net::Tcp", "std::env", "std::fs", "std::thread", "std::process"];

/// A path, as the segments behind `crate`.
type Segments = Vec<String>;

/// A source file.
struct Source {
    file: PathBuf,
    module: Segments,
    /// Every path that begins at the crate, this module or the one above, and every other one as it stands.
    inner: BTreeSet<Segments>,
    outer: BTreeSet<String>,
    /// What it names for others: the name, and where it is.
    exports: BTreeMap<String, Segments>,
}

/// Says how many modules and edges there are.
///
/// # Errors
/// Every edge that the table does not have, every cycle of files, and every impure path in a pure module.
pub fn check(project: &Path) -> anyhow::Result<String> {
    let sources = sources(&project.join("src"))?;
    let mut problems = order();
    let edges = problems_of_modules(&sources, &mut problems);
    problems.extend(cycles(&sources));
    for source in sources.iter().filter(|it| PURE.contains(&it.module[0].as_str())) {
        let is_impure = |path: &&String| IMPURE.iter().any(|it| path.starts_with(it));
        problems.extend(
            source
                .outer
                .iter()
                .filter(is_impure)
                .map(|path| format!("{}: {path} in a module that is to be pure", source.file.display())),
        );
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    let (files, modules) = (sources.len(), MODULES.len());
    Ok(format!("{files} files, {modules} modules, {edges} edges between them, no cycle\n"))
}

/// Rows that name a module below them, or one that is not there.
fn order() -> Vec<String> {
    let above = |index: usize| MODULES.iter().take(index).map(|(name, _)| *name).collect::<Vec<_>>();
    let wrong = |(index, (name, known)): (usize, &(&str, &[&'static str]))| -> Vec<String> {
        let strangers = known.iter().filter(|it| !above(index).contains(it));
        strangers.map(|it| format!("the table lets {name} use {it}, which is not above it")).collect()
    };
    MODULES.iter().enumerate().flat_map(wrong).collect()
}

fn problems_of_modules(sources: &[Source], problems: &mut Vec<String>) -> usize {
    let mut edges = BTreeSet::new();
    for source in sources.iter().filter(|source| !source.module.is_empty()) {
        let own = source.module[0].as_str();
        if ["lib", "main"].contains(&own) {
            continue;
        }
        let Some((_, known)) = MODULES.iter().find(|(name, _)| *name == own) else {
            problems.push(format!("{}: {own} is not in the table of modules", source.file.display()));
            continue;
        };
        for used in source.inner.iter().filter(|path| path[0] != own) {
            edges.insert((own, used[0].clone()));
            if !known.contains(&used[0].as_str()) {
                let path = used.join("::");
                problems.push(format!("{}: {own} must not use crate::{path}", source.file.display()));
            }
        }
    }
    for (name, known) in MODULES {
        let unused = known.iter().filter(|it| !edges.contains(&(*name, (**it).to_owned())));
        problems
            .extend(unused.map(|it| format!("the table lets {name} use {it}, which it does not: remove it")));
    }
    edges.len()
}

/// Files of one module that use each other.
fn cycles(sources: &[Source]) -> Vec<String> {
    let by_module: BTreeMap<&Segments, usize> =
        sources.iter().enumerate().map(|(index, source)| (&source.module, index)).collect();
    let edges: Vec<BTreeSet<usize>> = (0..sources.len())
        .map(|index| {
            let used =
                sources[index].inner.iter().filter_map(|path| defined_in(path, sources, &by_module, 0));
            used.filter(|used| *used != index).collect()
        })
        .collect();
    let reaches = |from: usize| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            next.extend(edges[file].iter().filter(|used| seen.insert(**used)));
        }
        seen
    };
    let reached: Vec<BTreeSet<usize>> = (0..sources.len()).map(reaches).collect();
    let mut told = BTreeSet::new();
    let mut problems = Vec::new();
    for index in 0..sources.len() {
        let ring: BTreeSet<usize> =
            reached[index].iter().copied().filter(|it| reached[*it].contains(&index)).collect();
        if !ring.is_empty() && told.insert(ring.clone()) {
            let files: Vec<String> = ring.iter().map(|it| sources[*it].file.display().to_string()).collect();
            problems.push(format!("files that use each other: {}", files.join(", ")));
        }
    }
    problems
}

/// The file that defines what a path names: the deepest module on its way, or where that re-exports it from.
fn defined_in(
    path: &Segments,
    sources: &[Source],
    by_module: &BTreeMap<&Segments, usize>,
    depth: usize,
) -> Option<usize> {
    let at = (1..=path.len()).rev().find(|length| by_module.contains_key(&path[..*length].to_vec()))?;
    let index = by_module[&path[..at].to_vec()];
    let Some(item) = path.get(at) else { return Some(index) };
    match sources[index].exports.get(item) {
        Some(elsewhere) if depth < 8 => {
            let whole = elsewhere.iter().chain(&path[at + 1..]).cloned().collect();
            defined_in(&whole, sources, by_module, depth + 1).or(Some(index))
        }
        _ => Some(index),
    }
}

#[expect(clippy::disallowed_methods, reason = "they are files of the project")]
fn sources(folder: &Path) -> anyhow::Result<Vec<Source>> {
    let (mut sources, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let is_test = name.ends_with("tests") || name.starts_with("test_");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !is_test {
                let text = fs::read_to_string(&path)?;
                let file = syn::parse_file(&text).with_context(|| path.display().to_string())?;
                let inside = path.strip_prefix(folder)?.with_extension("");
                let module = inside.iter().map(|it| it.to_string_lossy().into_owned()).collect();
                let mut source = Source {
                    file: Path::new("src").join(path.strip_prefix(folder)?),
                    module,
                    inner: BTreeSet::new(),
                    outer: BTreeSet::new(),
                    exports: BTreeMap::new(),
                };
                file.items.iter().for_each(|item| source.visit_item(item));
                sources.push(source);
            }
        }
    }
    sources.sort_by(|one, other| one.module.cmp(&other.module));
    Ok(sources)
}

impl Source {
    /// Notes a path; where it begins at the crate, this module or one above, as segments from the crate on.
    fn note(&mut self, path: &[String]) -> Option<Segments> {
        let (first, rest) = path.split_first()?;
        let above = path.iter().take_while(|it| *it == "super").count();
        let base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().saturating_sub(above)].to_vec(),
            _ => {
                self.outer.insert(path.join("::"));
                return None;
            }
        };
        let rest = if above > 0 { &path[above..] } else { rest };
        let whole: Segments = base.iter().chain(rest).cloned().collect();
        (!whole.is_empty()).then(|| {
            self.inner.insert(whole.clone());
            whole
        })
    }

    fn note_use(&mut self, tree: &UseTree, before: &[String], is_public: bool) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.note_use(&path.tree, &with(path.ident.to_string()), is_public),
            UseTree::Group(group) => group.items.iter().for_each(|it| self.note_use(it, before, is_public)),
            UseTree::Glob(_) => drop(self.note(before)),
            UseTree::Name(name) => self.note_name(&name.ident, &name.ident, before, is_public),
            UseTree::Rename(rename) => self.note_name(&rename.ident, &rename.rename, before, is_public),
        }
    }

    fn note_name(&mut self, name: &Ident, known_as: &Ident, before: &[String], is_public: bool) {
        let name = name.to_string();
        let path = if name == "self" { before.to_vec() } else { [before, &[name]].concat() };
        // Of a module's own child a path may begin with its name alone.
        let is_relative = !["crate", "self", "super"].contains(&path[0].as_str());
        let whole = if is_relative && is_public { Some(self.below(&path)) } else { self.note(&path) };
        if let Some(whole) = whole.filter(|_| is_public) {
            self.exports.insert(known_as.to_string(), whole);
        }
    }

    /// A path that begins with a child's name, without noting it: naming a child for others uses nothing.
    fn below(&self, path: &[String]) -> Segments {
        self.module.iter().chain(path).cloned().collect()
    }
}

impl<'ast> Visit<'ast> for Source {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other item of the program is for tests alone")]
    fn visit_item(&mut self, item: &'ast Item) {
        // What else may be for tests alone is in a module of tests.
        let is_for_tests = match item {
            Item::Mod(item) => item.attrs.iter().any(is_test),
            Item::Use(item) => item.attrs.iter().any(is_test),
            Item::Fn(item) => item.attrs.iter().any(is_test),
            Item::Impl(item) => item.attrs.iter().any(is_test),
            _ => false,
        };
        if !is_for_tests {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        self.note_use(&item.tree, &[], is_public);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Segments = path.segments.iter().map(|it| it.ident.to_string()).collect();
        if segments.len() > 1 {
            self.note(&segments);
        }
        syn::visit::visit_path(self, path);
    }
}

fn is_test(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
    list.path.is_ident("cfg") && list.tokens.to_string() == "test"
}
