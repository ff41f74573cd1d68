//! Compares what was notified with what should have been, and writes both down.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    fs,
};

use serde_json::{Value, json};

use super::{
    expected::{Incident, Notice},
    lab::Lab,
};
use crate::{monitoring::Notification, pace::Pace, tools::project};

/// A busy machine may be late by so much, where durations are divided: a second of the test is worth fifteen.
const TOLERANCE: u64 = 90;

/// What was notified of one alert, to one receiver.
#[derive(Debug, Default)]
struct Seen {
    /// In seconds after the fault, as if nothing had been divided.
    fired: Vec<u64>,
    resolved: Vec<u64>,
}

/// One incident's notifications, by receiver and alert.
struct Line {
    incident: &'static Incident,
    seen: BTreeMap<(String, String), Seen>,
    tolerance: u64,
}

/// All incidents.
pub(super) struct Report {
    lines: Vec<Line>,
    /// Notifications of no incident's sidecar.
    strays: Vec<Value>,
}

pub(super) fn judge(labs: &[Lab], notifications: &[Notification], pace: Pace) -> Report {
    let tolerance = if pace == Pace::REAL { 0 } else { TOLERANCE };
    let lines = labs.iter().map(|lab| {
        let mut seen: BTreeMap<_, Seen> = BTreeMap::new();
        for Notification { at, body } in notifications.iter().filter(|it| job(&it.body) == lab.incident.name)
        {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let of = (text(&body["receiver"]), text(&body["commonLabels"]["alertname"]));
            let after = pace.undone(lab.since_fault(*at).unwrap_or_default()).as_secs();
            let seen = seen.entry(of).or_default();
            if body["status"] == "firing" { seen.fired.push(after) } else { seen.resolved.push(after) }
        }
        Line { incident: lab.incident, seen, tolerance }
    });
    let lines = lines.collect();
    let is_stray = |it: &&Notification| !labs.iter().any(|lab| job(&it.body) == lab.incident.name);
    Report { lines, strays: notifications.iter().filter(is_stray).map(|it| it.body.clone()).collect() }
}

/// The job that all of its alerts have.
fn job(notification: &Value) -> &str {
    notification["commonLabels"]["job"].as_str().unwrap_or_default()
}

impl Report {
    pub(super) fn wrong(&self) -> Vec<String> {
        let strays = self.strays.iter().map(|it| format!("of no incident: {it}"));
        self.lines.iter().flat_map(Line::wrong).chain(strays).collect()
    }
}

impl Line {
    fn wrong(&self) -> Vec<String> {
        let name = self.incident.name;
        let mut wrong = Vec::new();
        for Notice { receiver, alert, within, is_certain } in self.incident.notified {
            let seen = self.seen.get(&((*receiver).to_owned(), (*alert).to_owned()));
            match seen.map(|seen| (seen.fired.as_slice(), seen.resolved.len())) {
                Some(([after], 0 | 1)) if *after <= within + self.tolerance => {}
                Some(_) => {
                    wrong.push(format!("{name}: {alert} within {within} s, once and once over: {seen:?}"))
                }
                None if !is_certain => {}
                None => wrong.push(format!("{name}: no {alert} to {receiver}")),
            }
        }
        let is_expected = |of: &(String, String)| {
            self.incident.notified.iter().any(|it| it.receiver == of.0 && it.alert == of.1)
        };
        let others = self.seen.iter().filter(|(of, _)| !is_expected(of));
        wrong.extend(
            others.map(|((receiver, alert), seen)| format!("{name}: also {alert} to {receiver}: {seen:?}")),
        );
        wrong
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| Incident | Expected | Notified, seconds after the fault | |\n|---|---|---|---|")?;
        for line in &self.lines {
            let expected: Vec<String> = line.incident.notified.iter().map(ToString::to_string).collect();
            let seen: Vec<String> = line
                .seen
                .iter()
                .map(|((receiver, alert), seen)| format!("{receiver} {alert} {seen}"))
                .collect();
            let or_nobody =
                |texts: Vec<String>| if texts.is_empty() { "nobody".to_owned() } else { texts.join("; ") };
            let verdict = if line.wrong().is_empty() { "ok" } else { "**no**" };
            writeln!(
                f,
                "| {} | {} | {} | {verdict} |",
                line.incident.name,
                or_nobody(expected),
                or_nobody(seen)
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |times: &[u64]| times.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "at {}", list(&self.fired))?;
        if self.resolved.is_empty() { Ok(()) } else { write!(f, ", over at {}", list(&self.resolved)) }
    }
}

/// Prints the table, and writes it and all notifications, whole, to `target/incidents`.
pub(super) fn keep(report: &Report, notifications: &[Notification]) {
    let folder = project("target/incidents");
    fs::create_dir_all(&folder).unwrap();
    let mut all = String::new();
    for Notification { body, .. } in notifications {
        writeln!(all, "{:#}", json!(body)).unwrap();
    }
    support::write(&folder.join("notifications.json"), &all);
    support::write(&folder.join("table.md"), &report.to_string());
    eprintln!("{report}");
}
