//! Findings, the results of the rules, and their order.

use std::fmt;

use serde::Serialize;

use crate::{
    evaluate,
    model::{Failure, Name, Reason},
};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something that is configured can't work.
    Problem,
    /// It works, but may cost entries or numbers.
    Warning,
    /// Could not be determined.
    Unknown,
    /// Worth knowing.
    Notice,
    /// No problem.
    Ok,
}

impl Level {
    /// The level's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Notice => "notice",
            Self::Ok => "ok",
        }
    }
}

/// The subject of a finding, in display order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Address, encryption, latency and clocks.
    Connection,
    /// Version, role and topology.
    Server,
    /// Permissions of the user.
    Permissions,
    /// Eviction.
    Memory,
    /// What survives a restart of the server.
    Persistence,
    /// Which limits can be enforced.
    Retention,
    /// The streams.
    Streams,
    /// The shipped alerts that can't fire.
    Alerts,
}

impl Area {
    /// The area's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Permissions => "permissions",
            Self::Memory => "memory",
            Self::Persistence => "persistence",
            Self::Retention => "retention",
            Self::Streams => "streams",
            Self::Alerts => "alerts",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The subject.
    pub area: Area,
    /// The severity.
    pub level: Level,
    /// The observation.
    pub what: String,
    /// What it means and how to repair it; empty where that is obvious.
    pub meaning: String,
    /// The permission that is needed to determine what is unknown.
    pub permission: Option<&'static str>,
}

impl Finding {
    pub(super) fn new(area: Area, level: Level, what: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self { area, level, what: what.into(), meaning: meaning.into(), permission: None }
    }

    /// A fact that could not be determined: the permission that is needed for it, and the failure.
    pub(super) fn unknown(area: Area, what: &str, permission: &'static str, failure: &Failure) -> Self {
        let is_refused = failure.reason == Reason::NoPermission;
        let meaning = if is_refused {
            format!("the user lacks +{permission}")
        } else if failure.reason == Reason::Unsupported {
            "the server does not support the command".to_owned()
        } else {
            failure.to_string()
        };
        let permission = is_refused.then_some(permission);
        Self { permission, ..Self::new(area, Level::Unknown, format!("{what}: unknown"), meaning) }
    }
}

/// All findings, by subject and then by severity, worst first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Number of findings by level.
    pub summary: Summary,
    /// The findings.
    pub findings: Vec<Finding>,
}

/// Number of findings by level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    pub problem: usize,
    pub warning: usize,
    pub unknown: usize,
    pub notice: usize,
    pub ok: usize,
}

impl Diagnosis {
    /// Sorts and counts findings.
    #[must_use]
    pub fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| (finding.area, finding.level));
        let count = |level| findings.iter().filter(|finding| finding.level == level).count();
        let summary = Summary {
            problem: count(Level::Problem),
            warning: count(Level::Warning),
            unknown: count(Level::Unknown),
            notice: count(Level::Notice),
            ok: count(Level::Ok),
        };
        Self { summary, findings }
    }

    /// The same with one finding for all alerts that can't fire: without a configuration there are a dozen, which hide
    /// the findings that matter.
    #[must_use]
    pub fn with_silent_alerts_in_one(&self) -> Self {
        let is_silent = |finding: &Finding| finding.area == Area::Alerts && finding.level == Level::Notice;
        let (silent, mut findings): (Vec<_>, Vec<_>) = self.findings.iter().cloned().partition(is_silent);
        if silent.len() < 2 {
            return self.clone();
        }
        let alerts: usize = silent.iter().map(|finding| finding.what.split(", ").count()).sum();
        let what = format!("{alerts} of the shipped alerts can't fire");
        let meaning = "a threshold or limit is not configured, the server does not report enough, or \
                       exposition.exclude leaves out what they need; --verbose lists them";
        findings.push(Finding::new(Area::Alerts, Level::Notice, what, meaning));
        Self::new(findings)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [problems, warnings, notices] =
            [(self.problem, "problem"), (self.warning, "warning"), (self.notice, "notice")]
                .map(|(count, noun)| counted(count, noun));
        write!(f, "{problems}, {warnings}, {notices}, {} unknown, {} ok", self.unknown, self.ok)
    }
}

/// A number with its noun, which is given in the singular.
pub(super) fn counted(count: usize, noun: &str) -> String {
    evaluate::counted(u64::try_from(count).unwrap_or(u64::MAX), noun)
}

/// The first names, and how many more there are.
pub(super) fn first_names<'a>(names: impl IntoIterator<Item = &'a Name>) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
    let shown = names.get(..SHOWN).unwrap_or(&names).join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_that_can_not_fire_are_one_line_and_all_else_stays() {
        let alert = |what: &str| Finding::new(Area::Alerts, Level::Notice, what, "");
        let memory = Finding::new(Area::Memory, Level::Warning, "eviction", "");
        let all = Diagnosis::new(vec![alert("can't fire: A, B"), memory.clone(), alert("can't fire: C")]);
        let one = all.with_silent_alerts_in_one();
        assert_eq!((one.summary.notice, one.summary.warning), (1, 1), "it counts what it lists");
        assert_eq!((one.findings.len(), &one.findings[0]), (2, &memory));
        assert_eq!(one.findings[1].what, "3 of the shipped alerts can't fire");
        let single = Diagnosis::new(vec![alert("can't fire: A")]);
        assert_eq!(single.with_silent_alerts_in_one(), single);
    }
}
