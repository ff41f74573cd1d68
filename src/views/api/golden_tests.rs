//! Every document of a fixed reading, and the terminal's lines of it, compared with a golden file.

use std::{fmt::Write as _, time::Duration};

use super::{super::test_reading, *};
use crate::{
    config::{Config, Mode, Policy},
    evaluate::History,
    model::{EntryHead, Failure, Name, Reason, StreamId, StreamState},
    reading::Reading,
    retention::{Plan, Run, losing},
    views::terminal::{self, Line, Style},
};

const AGE: Duration = Duration::from_millis(2_345);
/// Enough for every status to be known.
const POLLS: u32 = 30;
const STALE: Duration = Duration::from_secs(3_600);

/// The last of many readings, so that there are rates, histories and statuses.
fn reading(config: &Config) -> Reading {
    let mut history = History::default();
    let mut next = |poll: u32| {
        let mut snapshot = test_reading::snapshot();
        let entry = |id, kind: Option<&[u8]>| EntryHead { id, kind: kind.map(Name::from) };
        let last = StreamId::new(test_reading::NOW - 1_250, poll.into());
        let entries = vec![entry(last, Some(b"Created \xff")), entry(StreamId::new(7, 1), None)];
        snapshot.last_entries.insert("events:session".into(), entries);
        let grown = snapshot.streams.iter().map(|(name, state)| {
            let grow = |mut state: StreamState| {
                let added = u64::from(poll * 7);
                state.length += added;
                state.entries_added = state.entries_added.map(|before| before + added);
                state.last_generated_id = state.entries_added.map(|_| last).or(state.last_generated_id);
                state
            };
            (name.clone(), state.clone().map(grow))
        });
        snapshot.streams = grown.collect();
        let at = Duration::from_millis(15_004) * poll;
        test_reading::next_reading(&mut history, snapshot, config, at)
    };
    (0..POLLS).for_each(|poll| drop(next(poll)));
    next(POLLS)
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut document = Vec::new();
    write(&mut document);
    let text = String::from_utf8(document).unwrap();
    text.replace(&format!("\"{}\"", env!("CARGO_PKG_VERSION")), "\"VERSION\"")
}

fn lines(lines: &[Line]) -> String {
    let style = Style { has_history: true, ..Style::default() };
    lines.iter().map(|line| line.render(style) + "\n").collect()
}

#[test]
fn documents_and_what_the_terminal_makes_of_them_are_as_they_were() {
    let config = test_reading::config();
    let reading = reading(&config);
    let of_cluster = test_reading::reading(test_reading::cluster_snapshot(), &config);
    let failure = Failure::new(Reason::Timeout, "words");
    let name = Name::from("events:session");
    let mut all = String::new();
    let mut add = |title: &str, text: &str| writeln!(all, "== {title}\n{text}").unwrap();
    let style = Style { has_history: true, ..Style::default() };
    for (title, of, failure) in [
        ("fresh", Some((&reading, AGE)), None),
        ("stale", Some((&reading, STALE)), Some(&failure)),
        ("nothing read", None, Some(&failure)),
        ("cluster", Some((&of_cluster, AGE)), None),
        ("cluster, failed poll", Some((&of_cluster, AGE)), Some(&failure)),
    ] {
        let view = View::new(&config, of, failure, true);
        let streams = text(|out| view.write_streams(&mut |piece| out.extend(piece)));
        add(&format!("{title}: streams"), &streams);
        add(&format!("{title}: groups"), &text(|out| view.write_groups(&mut |piece| out.extend(piece))));
        let document: StreamsDocument = serde_json::from_str(&streams).unwrap();
        add(&format!("{title}: terminal"), &lines(&terminal::streams(&document, style)));
        add(
            &format!("{title}: terminal, later"),
            &lines(&terminal::streams(&document.held_for(STALE), style)),
        );
        if let Some(stream) = view.one_stream(&name) {
            let one = text(|out| serde_json::to_writer(out, &stream).unwrap());
            add(&format!("{title}: one stream"), &one);
            let document: OneStreamDocument = serde_json::from_str(&one).unwrap();
            add(&format!("{title}: one stream, terminal"), &lines(&terminal::one_stream(&document, style)));
        }
    }
    let of = reading.stream(&name).unwrap();
    let policy = Policy::by_hand(&config, &name, 5, Mode::Strict, false);
    let plan = Plan::new(&policy, of.read().unwrap(), of.verdict);
    let losing = losing(plan.at_most, &policy, of.read().unwrap(), of.verdict);
    let planned = TrimDocument::planned(&name, 12, AGE, (&plan, None), &losing);
    add("trim, dry run", &serde_json::to_string(&planned).unwrap());
    let run = Run { removed: 7, is_complete: true, length: Some(5), ..Run::default() };
    add("trim", &serde_json::to_string(&TrimDocument::done(&name, (&plan, None), &run)).unwrap());
    test_reading::assert_golden("documents", &all);
}

/// With one blank between two words, whatever lines they are on.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_narrow_terminal_cuts_no_reason() {
    let config = test_reading::config();
    let reading = reading(&config);
    let view = View::new(&config, Some((&reading, AGE)), None, true);
    let streams = text(|out| view.write_streams(&mut |piece| out.extend(piece)));
    let document: StreamsDocument = serde_json::from_str(&streams).unwrap();
    let reasons = || {
        let bad = document.streams.iter().filter(|stream| stream.health.as_str() != "healthy");
        let groups = document.streams.iter().flat_map(|stream| &stream.groups);
        let own = bad.filter(|stream| stream.present == Some(false)).map(|stream| &stream.reason);
        own.chain(groups.filter(|group| group.status.as_str() != "ok").map(|group| &group.reason))
    };
    assert!(reasons().count() > 1);
    for (columns, has_history) in [(40, false), (60, false), (80, true), (100, true), (140, true)] {
        let style = Style { has_history, width: Some(columns), ..Style::default() };
        let lines: Vec<String> =
            terminal::streams(&document, style).iter().skip(2).map(|line| line.render(style)).collect();
        let shown = words(&lines.join("\n"));
        reasons()
            .for_each(|reason| assert!(shown.contains(&words(reason)), "{columns}: {reason}\n{lines:#?}"));
    }
}
