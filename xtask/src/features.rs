//! Compares the features of the program's crates between the program that ships and the builds that tests run.
//!
//! Cargo enables a feature for a whole build if anything in that build asks for it. A crate that gets a feature from
//! a test's dependency works in every test, but not in the program that ships. So each difference needs an entry
//! here, with the reason why it is harmless.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
    process::Command,
};

use anyhow::{Context, bail, ensure};

/// A build that runs code of the program.
struct Build {
    what: &'static str,
    package: &'static str,
    /// Crates whose features differ from those of the program that ships, and why that is harmless.
    differences: &'static [(&'static str, &'static str)],
}

/// All other tests run the program itself.
const TESTED: [Build; 2] = [
    Build {
        what: "unit tests and micro-benchmarks",
        package: "streamwarden",
        differences: &[
            (
                "clap",
                "divan, which measures the micro-benchmarks, wraps its help; no unit test reads arguments",
            ),
            ("clap_builder", "as clap"),
            ("regex-syntax", "proptest makes texts of any script; globs are matched as bytes"),
        ],
    },
    Build {
        what: "integration tests that call the library",
        package: "streamwarden-tests",
        differences: &[
            ("hyper-util", "the tests' collector of traces is a server; the program asks for no service"),
            ("regex-syntax", "as in unit tests"),
        ],
    },
];

type Features = BTreeMap<String, BTreeSet<String>>;

/// Compares the program's crates with those of each tested build, and reports the differences.
///
/// # Errors
/// Differences without a reason, and reasons for crates that no longer differ.
pub fn compare(project: &Path) -> anyhow::Result<String> {
    let shipped = features(project, "streamwarden", "normal")?;
    let (mut report, mut problems) = (String::new(), String::new());
    for Build { what, package, differences } in TESTED {
        let tested = features(project, package, "normal,dev")?;
        let differing: BTreeMap<&str, String> = shipped
            .iter()
            .filter_map(|(name, features)| Some((name, features, tested.get(name)?)))
            .filter(|(_, features, tested)| features != tested)
            .map(|(name, features, tested)| {
                let (more, fewer) = (tested - features, features - tested);
                (name.as_str(), format!("tests add {more:?} and lack {fewer:?}"))
            })
            .collect();
        writeln!(report, "{what}: {} crates, {} differ", shipped.len(), differing.len())?;
        for (name, difference) in &differing {
            match differences.iter().find(|(known, _)| is_version_of(known, name)) {
                Some((_, reason)) => writeln!(report, "  {name}: {difference}: {reason}")?,
                None => writeln!(problems, "{what}: {name}: {difference}")?,
            }
        }
        for (name, _) in
            differences.iter().filter(|(known, _)| !differing.keys().any(|name| is_version_of(known, name)))
        {
            writeln!(problems, "{what}: {name} no longer differs: remove its reason")?;
        }
    }
    if !problems.is_empty() {
        bail!(
            "the features of what is tested are not those of what ships (xtask/src/features.rs):\n{problems}"
        );
    }
    Ok(report)
}

/// Whether a crate, given by name and version, has this name.
fn is_version_of(name: &str, package: &str) -> bool {
    package.split(' ').next() == Some(name)
}

/// The features of all crates in a package's build on this machine, by name and version.
fn features(project: &Path, package: &str, edges: &str) -> anyhow::Result<Features> {
    let tree = ["tree", "--locked", "--package", package, "--edges", edges, "--prefix", "none", "--format"];
    let output = Command::new(env!("CARGO")).args(tree).arg("{p}|{f}").current_dir(project).output();
    let output = output.context("cannot run cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let mut all = Features::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let mut fields = line.trim_end_matches(" (*)").split('|');
        let (package, features) = (fields.next().context("a package")?, fields.next().context("features")?);
        // Name and version, without the path that may follow.
        let name = package.split(" (").next().context("a name")?;
        let features = features.split(',').filter(|feature| !feature.is_empty()).map(str::to_owned);
        // A crate that proc-macros use as well is listed twice, each time with other features.
        all.entry(name.to_owned()).or_default().extend(features);
    }
    Ok(all)
}
