//! Tests of the check on small programs: what it rejects, and what it accepts.

use super::{Modules, judge, source::Source};

/// The problems of a program with these modules and files, one per line.
fn said(modules: Modules<'_>, files: &[(&str, &str)]) -> String {
    let sources: Vec<_> = files.iter().map(|(file, text)| Source::parse(file, text).unwrap()).collect();
    judge(modules, &sources).1.join("\n")
}

/// The problems of a file in a module that must be pure.
fn impure(text: &str) -> String {
    let clock: &[&str] = if text.contains("clock") { &["clock"] } else { &[] };
    said(&[("clock", &[]), ("reading", clock)], &[("src/clock.rs", ""), ("src/reading.rs", text)])
}

/// The problems of a parent with this text and a child that uses it.
fn with_child(parent: &str) -> String {
    let child = "use super::Finding; pub fn find() -> Finding { Finding }";
    said(&[("doctor", &[])], &[("src/doctor.rs", parent), ("src/doctor/bugs.rs", child)])
}

const RING: &str = "files that use each other: src/doctor.rs (crate::doctor::bugs::find), src/doctor/bugs.rs (crate::doctor::Finding)";

#[test]
fn a_program_in_one_direction_passes() {
    let modules: Modules<'_> =
        &[("clock", &[]), ("model", &[]), ("reading", &["clock", "model"]), ("app", &["clock", "reading"])];
    let problems = said(
        modules,
        &[
            ("src/lib.rs", "mod app; mod clock; mod model; mod reading; pub use app::App;"),
            ("src/clock.rs", "pub use tokio::time::Instant; pub struct Moment { at: Instant }"),
            ("src/model.rs", "mod name; mod text; pub use name::Name;"),
            (
                "src/model/name.rs",
                "use super::text::Text; pub struct Name(Text); pub(in crate::model) fn f() {}",
            ),
            ("src/model/text.rs", "pub struct Text; #[cfg(test)] mod tests { use crate::app::App; }"),
            (
                "src/reading.rs",
                "use crate::{clock::Moment, model::Name}; use std::time::Duration; fn f(name: Name) { g!(name.tokio) }",
            ),
            (
                "src/app.rs",
                "use crate::{clock, reading}; pub struct App; fn f() { reading::latest(clock::now()) }",
            ),
        ],
    );
    assert_eq!(problems, "");
}

#[test]
fn an_edge_that_the_table_does_not_have_is_refused() {
    let app: Modules<'_> = &[("model", &[]), ("app", &[])];
    for text in [
        "use crate::model::Name;",
        "use crate::{model::{Name as Other}};",
        "use super::model::Name;",
        "pub use crate::model::Name;",
        "fn f(name: crate::model::Name) {}",
        "fn f() { tokio::select! { it = g() => { h(crate::model::Name) } } }",
        "fn f() -> bool { matches!(g(), Some(crate::model::Name)) }",
        "macro_rules! name { () => { $crate::model::Name } }",
        "#[derive(Serialize)] struct S { #[serde(with = \"crate::model::Name\")] it: u64 }",
        "use crate as program; fn f() { program::model::Name }",
    ] {
        let problems = said(app, &[("src/model.rs", ""), ("src/app.rs", text)]);
        assert_eq!(problems, "src/app.rs: app must not use crate::model::Name", "{text}");
    }
}

#[test]
fn an_edge_that_only_the_table_has_is_refused() {
    let problems = said(&[("model", &[]), ("app", &["model"])], &[("src/model.rs", ""), ("src/app.rs", "")]);
    assert_eq!(problems, "the table lets app use model, which it does not: remove it");
}

#[test]
fn a_row_that_lists_a_module_below_it_is_refused() {
    let files = [("src/model.rs", "use crate::app::App;"), ("src/app.rs", "pub struct App;")];
    assert_eq!(
        said(&[("model", &["app"]), ("app", &[])], &files),
        "the table lets model use app, which is not above it"
    );
}

#[test]
fn a_module_without_a_row_is_refused() {
    assert_eq!(said(&[], &[("src/app/stop.rs", "")]), "src/app/stop.rs: app is not in the table of modules");
}

#[test]
fn two_files_of_a_module_that_use_each_other_are_refused() {
    let problems = said(
        &[("model", &[])],
        &[
            ("src/model.rs", "mod name; mod text; pub use name::Name;"),
            ("src/model/name.rs", "use super::text::Text; pub struct Name(Text);"),
            ("src/model/text.rs", "pub struct Text; fn f() -> super::Name { super::Name }"),
        ],
    );
    let ring = "src/model/name.rs (crate::model::text::Text), src/model/text.rs (crate::model::Name)";
    assert_eq!(problems, format!("files that use each other: {ring}"));
}

#[test]
fn a_parent_and_a_child_that_use_each_other_are_refused() {
    for parent in [
        "mod bugs; pub struct Finding; use bugs::find;",
        "mod bugs; pub struct Finding; use self::bugs::find as other;",
        "mod bugs; pub struct Finding; fn f() { bugs::find() }",
        "mod bugs; pub struct Finding; fn f() { g!(1, { bugs::find() }) }",
        "mod bugs; pub struct Finding; pub use bugs::find; fn f() { find() }",
        "mod bugs; pub struct Finding; use bugs as others; fn f() { others::find() }",
        // With features, a name may be in one of two places.
        "mod bugs; mod none; pub struct Finding; pub use bugs::find; pub use none::find; fn f() { find() }",
        // A macro may have the name of a child.
        "mod bugs; pub struct Finding; use tracing::bugs; fn f() { bugs::find() }",
    ] {
        assert!(with_child(parent).starts_with("files that use each other: src/doctor.rs ("), "{parent}");
    }
    assert_eq!(with_child("mod bugs; pub struct Finding; use bugs::find;"), RING);
}

#[test]
fn a_parent_that_only_re_exports_its_children_does_not_use_them() {
    let parent =
        "mod bugs; pub struct Finding; pub use bugs::find; fn f(bugs: u64) -> u64 { bugs + g!(self.find) }";
    assert_eq!(with_child(parent), "");
}

#[test]
fn globs_and_inline_modules_are_refused() {
    let refused = |text: &str| said(&[("app", &[])], &[("src/app.rs", text)]);
    for glob in ["crate::model", "super::model", "stop", "std::time"] {
        let problem = format!("src/app.rs: {glob}::* hides what is used: name it");
        assert_eq!(refused(&format!("mod stop; use {glob}::*;")), problem);
        assert_eq!(refused(&format!("mod stop; pub use {glob}::{{*}};")), problem);
    }
    assert_eq!(refused("mod inside { fn f() {} }"), "src/app.rs: give the module inside a file");
}

#[test]
fn an_impure_path_in_a_pure_module_is_refused() {
    for (text, path) in [
        ("use std::time::Instant;", "std::time::Instant"),
        ("use tokio::time::Instant;", "tokio::time::Instant"),
        ("use std::time; fn f() { time::SystemTime::now() }", "std::time::SystemTime::now"),
        ("fn f() { g!(std::env::var(\"HOME\")) }", "std::env::var"),
        ("pub use redis::Cmd;", "redis::Cmd"),
        ("use crate::clock;", "crate::clock"),
        ("fn f() -> f64 { crate::clock::unix_seconds() }", "crate::clock::unix_seconds"),
        ("fn f() { g!(crate::clock::Instant::now()) }", "crate::clock::Instant::now"),
    ] {
        assert_eq!(impure(text), format!("src/reading.rs: is to be pure, and uses {path}"));
    }
}

#[test]
fn a_pure_module_may_use_times_that_others_have_read() {
    let text = "use crate::clock::{Instant, Moment}; use std::time::Duration; use redistribute::All;";
    assert_eq!(impure(text), "");
}
