//! The programs under test: each built by a `cargo build` of its own, as users build it, never together with tests.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::SystemTime,
};

/// The project's folder.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// The program that ships: the one that `STREAMWARDEN_TEST_PROGRAM` names, else what README's build makes. One that
/// is older than its sources proves nothing, and fails the test.
pub fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = named("STREAMWARDEN_TEST_PROGRAM");
        let built = modified(&program).unwrap_or_else(|error| {
            panic!("{}: {error}; build it: cargo build --release", program.display())
        });
        // A program of an image or an archive was built from a copy of the sources.
        if program.starts_with(project("")) {
            let is_built = ["src", "web"].iter().all(|sources| newest(&project(sources)) <= built);
            assert!(is_built, "{} is older than its sources: cargo build --release", program.display());
        }
        program.into_os_string().into_string().unwrap()
    })
}

/// The example application, as `STREAMWARDEN_TEST_NEXUS` names it.
pub fn nexus() -> PathBuf {
    let program = named("STREAMWARDEN_TEST_NEXUS");
    assert!(program.exists(), "{} is not there: cargo build --package nexus", program.display());
    program
}

/// Both have a default in `.cargo/config.toml`.
#[expect(clippy::disallowed_methods, reason = "which program to test is the caller's choice")]
fn named(variable: &str) -> PathBuf {
    let program =
        env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run tests by cargo"));
    project("").join(program)
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

/// When a file, or the last changed one in a folder, was written.
fn newest(path: &Path) -> SystemTime {
    let Ok(inside) = fs::read_dir(path) else { return modified(path).unwrap() };
    let inside = inside.map(|entry| newest(&entry.unwrap().path()));
    inside.max().unwrap_or(SystemTime::UNIX_EPOCH)
}
