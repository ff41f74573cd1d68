//! Checks that dependencies between the program's modules go one way. A parser reads every path.
//!
//! A module may use the modules that its row lists, and a row lists modules above it only, so there is no cycle. No
//! two files may use each other, including parents and children. Tests are exempt: they may use everything.

mod graph;
mod source;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::ensure;

use source::{Segments, Source};

/// Modules and the modules that each may use, from the bottom of the architecture to the top.
type Modules<'a> = &'a [(&'a str, &'a [&'a str])];

const MODULES: Modules<'_> = &[
    ("model", &[]),
    ("clock", &[]),
    ("signals", &[]),
    ("tasks", &[]),
    ("worker", &[]),
    ("http_client", &[]),
    ("files", &["model"]),
    ("outage", &["model"]),
    ("stuck", &["clock", "model"]),
    ("config", &["files", "model", "stuck"]),
    ("schedule", &["clock", "model"]),
    ("spans", &["config", "model"]),
    ("self_stats", &["clock", "config", "model"]),
    ("telemetry", &["config", "files", "model", "outage"]),
    ("acl", &["config", "model", "stuck"]),
    ("evaluate", &["config", "model"]),
    ("latency", &["config", "model"]),
    ("source", &["clock", "config", "files", "model"]),
    ("recorder", &["config", "model", "self_stats", "source", "spans"]),
    ("retention", &["config", "evaluate", "model", "stuck"]),
    ("reading", &["clock", "config", "evaluate", "latency", "model", "retention", "stuck"]),
    ("removals", &["model"]),
    (
        "reader",
        &["clock", "config", "evaluate", "latency", "model", "reading", "removals", "retention", "source"],
    ),
    (
        "poll",
        &[
            "clock",
            "config",
            "latency",
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
            "stuck",
        ],
    ),
    ("planner", &["clock", "config", "evaluate", "model", "source", "stuck"]),
    ("operator", &["actions", "clock", "config", "model", "planner", "self_stats", "source", "stuck"]),
    ("doctor", &["config", "evaluate", "model", "reading", "retention"]),
    ("views", &["config", "doctor", "evaluate", "latency", "model", "reading", "retention", "stuck"]),
    ("renderer", &["clock", "config", "views", "reading", "self_stats"]),
    ("push", &["clock", "config", "outage", "reading", "schedule", "self_stats", "telemetry", "views"]),
    (
        "notify",
        &[
            "clock",
            "config",
            "evaluate",
            "files",
            "http_client",
            "model",
            "outage",
            "reading",
            "schedule",
            "self_stats",
            "views",
        ],
    ),
    (
        "http",
        &[
            "actions",
            "clock",
            "config",
            "files",
            "model",
            "operator",
            "outage",
            "planner",
            "views",
            "reading",
            "retention",
            "self_stats",
            "source",
            "stuck",
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
            "notify",
            "operator",
            "poll",
            "push",
            "renderer",
            "reader",
            "reading",
            "recorder",
            "reload",
            "removals",
            "self_stats",
            "signals",
            "source",
            "tasks",
            "telemetry",
            "views",
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
            "http_client",
            "model",
            "planner",
            "views",
            "reader",
            "reading",
            "retention",
            "signals",
            "source",
            "stuck",
            "telemetry",
            "worker",
        ],
    ),
];

/// Modules and files that must use no runtime, Redis client, socket, file, clock, randomness or environment.
const PURE: &[&str] = &[
    "model",
    "outage",
    "schedule",
    "evaluate",
    "latency",
    "retention",
    "stuck",
    "reading",
    "doctor",
    "views",
    "acl",
    "actions::bench::latencies",
    "actions::bench::measured",
    "actions::bench::room",
    "notify::changes",
    "notify::queue",
    "reader::budget",
    "source::announced",
    "source::fields",
    "source::portions",
    "source::positions",
    "source::redirect",
    "source::reply",
    "source::resp",
    "source::stream_reply",
    "source::tls_words",
    "source::token",
    "source::topology",
    "source::topology_reply",
];

/// Prefixes of paths that they must not use.
const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "redis",
    "fastrand",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os::unix::net",
    "std::env",
    "std::fs",
    "std::thread",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "crate::clock",
];

/// Plain data that they may use in spite of [`IMPURE`]: values that another module has read from a clock.
const DATA: &[&str] = &["crate::clock::Instant", "crate::clock::Moment"];

/// Checks the project, and reports the number of files, modules and edges.
///
/// # Errors
/// Every edge that the table lacks or that only the table has, every cycle of files, every impure path in a pure
/// module, and everything that hides a path.
pub fn check(project: &Path) -> anyhow::Result<String> {
    let sources = sources(project)?;
    let (edges, problems) = judge(MODULES, &sources);
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    let (files, modules) = (sources.len(), MODULES.len());
    Ok(format!("{files} files, {modules} modules, {edges} edges between them, no cycle\n"))
}

/// The number of edges between modules, and all problems.
fn judge(modules: Modules<'_>, sources: &[Source]) -> (usize, Vec<String>) {
    let mut problems = misplaced(modules);
    let edges = edges(modules, sources, &mut problems);
    let hidden = sources.iter().flat_map(|source| source.hidden.iter().map(move |it| (&source.file, it)));
    problems.extend(hidden.map(|(file, it)| format!("{file}: {it}")));
    problems.extend(graph::cycles(sources));
    problems.extend(impurities(sources));
    (edges, problems)
}

/// Problems of the table: rows that list a module below them, or one that does not exist.
fn misplaced(modules: Modules<'_>) -> Vec<String> {
    let mut above = BTreeSet::new();
    let mut problems = Vec::new();
    for (name, known) in modules {
        let strangers = known.iter().filter(|it| !above.contains(*it));
        problems.extend(strangers.map(|it| format!("the table lets {name} use {it}, which is not above it")));
        above.insert(name);
    }
    problems
}

/// The number of edges between modules. Adds a problem for each edge that the table lacks, and for each that only the
/// table has.
fn edges(modules: Modules<'_>, sources: &[Source], problems: &mut Vec<String>) -> usize {
    let mut edges = BTreeSet::new();
    // `lib.rs` only lists the modules, so it has no row.
    for (source, own) in sources.iter().filter_map(|source| Some((source, source.module.get(1)?))) {
        let Some((_, known)) = modules.iter().find(|(name, _)| name == own) else {
            problems.push(format!("{}: {own} is not in the table of modules", source.file));
            continue;
        };
        let paths = source.uses.iter().filter(|path| path[0] == "crate");
        for (path, used) in paths.filter_map(|path| Some((path, path.get(1)?))).filter(|(_, it)| *it != own) {
            edges.insert((own.as_str(), used.as_str()));
            if !known.contains(&used.as_str()) {
                problems.push(format!("{}: {own} must not use {}", source.file, path.join("::")));
            }
        }
    }
    for (name, known) in modules {
        let unused = known.iter().filter(|it| !edges.contains(&(*name, **it)));
        problems
            .extend(unused.map(|it| format!("the table lets {name} use {it}, which it does not: remove it")));
    }
    edges.len()
}

/// Impure paths in modules that must be pure.
fn impurities(sources: &[Source]) -> Vec<String> {
    let begins = |path: &[String], with: &&str| {
        let count = with.split("::").count();
        with.split("::").eq(path.iter().take(count))
    };
    let is_impure = |path: &&Segments| {
        IMPURE.iter().any(|it| begins(path, it)) && !DATA.contains(&path.join("::").as_str())
    };
    let pure = sources.iter().filter(|source| PURE.iter().any(|it| begins(&source.module[1..], it)));
    let found = |source: &Source| -> Vec<String> {
        let paths = source.uses.iter().filter(is_impure);
        paths.map(|path| format!("{}: is to be pure, and uses {}", source.file, path.join("::"))).collect()
    };
    pure.flat_map(found).collect()
}

/// The files of the program's library. `main.rs` is another crate.
#[expect(clippy::disallowed_methods, reason = "they are files of the project")]
fn sources(project: &Path) -> anyhow::Result<Vec<Source>> {
    let (mut sources, mut folders) = (Vec::new(), vec![project.join("src")]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with("tests") || name.starts_with("test_") || name == "main" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let file = path.strip_prefix(project)?.to_string_lossy().into_owned();
                sources.push(Source::parse(&file, &fs::read_to_string(&path)?)?);
            }
        }
    }
    sources.sort_by(|one, other| one.module.cmp(&other.module));
    Ok(sources)
}
