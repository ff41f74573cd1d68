//! What may stand on a page: for every name there, which values are right. A value that nothing is known of here fails.

use std::collections::BTreeMap;

use proptest::{prop_assert, test_runner::TestCaseError};
use serde_json::Value;

use super::told::{Subject, Told};

/// Which values are right.
#[derive(Debug, Clone)]
pub(super) enum Right {
    Is(Value),
    /// Both ends included.
    Between(f64, f64),
    OneOf(Vec<Value>),
    /// The last values of a number, the newest last: those that each may have. Any may be unknown.
    Series(Vec<Vec<f64>>),
    /// Words, or what nobody can know here; it is not counted.
    Any,
}

/// A value that belongs on the page.
#[derive(Debug, Clone)]
struct Truth {
    right: Right,
    /// Whether it may never be left out.
    is_always_known: bool,
}

/// Which of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Metrics,
    Document,
}

/// What is right on a page of metrics, and in a document.
#[derive(Debug, Default)]
pub(super) struct Truths {
    metrics: BTreeMap<(Subject, &'static str), Truth>,
    document: BTreeMap<(Subject, &'static str), Truth>,
}

/// How many values were compared.
#[derive(Debug, Clone, Default)]
pub(super) struct Compared {
    pub(super) numbers: u64,
    pub(super) unknown: u64,
}

impl Truths {
    /// A value that is always known, by its names on both kinds of page; an empty name where it does not stand there.
    pub(super) fn known(&mut self, subject: &Subject, names: (&'static str, &'static str), right: Right) {
        self.put(subject, names, right, true);
    }

    /// A value that may be unknown.
    pub(super) fn maybe(&mut self, subject: &Subject, names: (&'static str, &'static str), right: Right) {
        self.put(subject, names, right, false);
    }

    /// A value that is known if there is one, and must be absent if there is not.
    pub(super) fn known_if(
        &mut self,
        subject: &Subject,
        names: (&'static str, &'static str),
        right: Option<Right>,
    ) {
        right.into_iter().for_each(|right| self.known(subject, names, right));
    }

    /// A value that may be unknown where there is one.
    pub(super) fn maybe_if(
        &mut self,
        subject: &Subject,
        names: (&'static str, &'static str),
        right: Option<Right>,
    ) {
        right.into_iter().for_each(|right| self.maybe(subject, names, right));
    }

    fn put(
        &mut self,
        subject: &Subject,
        (in_metrics, in_document): (&'static str, &'static str),
        right: Right,
        is_always_known: bool,
    ) {
        let truth = Truth { right, is_always_known };
        for (page, name) in [(&mut self.metrics, in_metrics), (&mut self.document, in_document)] {
            if !name.is_empty() {
                page.insert((subject.clone(), name), truth.clone());
            }
        }
    }

    /// Lets ages be unknown: of a stream that is found elsewhere no clock may have been read.
    pub(super) fn without_clocks(&mut self) {
        for page in [&mut self.metrics, &mut self.document] {
            let ages = page.iter_mut().filter(|((_, name), _)| name.ends_with("_seconds"));
            ages.for_each(|(_, truth)| truth.is_always_known = false);
        }
    }

    fn of(&self, kind: Kind) -> &BTreeMap<(Subject, &'static str), Truth> {
        match kind {
            Kind::Metrics => &self.metrics,
            Kind::Document => &self.document,
        }
    }

    /// Holds the values that a page has against what is right, where much may be missing.
    pub(super) fn hold_the_numbers(&self, kind: Kind, told: &Told) -> Result<Compared, TestCaseError> {
        let mut compared = Compared::default();
        for ((subject, name), value) in told {
            if let Some(Truth { right, .. }) = self.of(kind).get(&(subject.clone(), name.as_str())) {
                prop_assert!(
                    right.allows(value),
                    "{kind:?}: {name} of {subject:?} is {value}, in truth {right:?}"
                );
                compared.numbers += right.counts(value);
            }
        }
        Ok(compared)
    }

    /// Holds every value of a page against what is right.
    pub(super) fn hold(&self, kind: Kind, told: &Told) -> Result<Compared, TestCaseError> {
        let truths = self.of(kind);
        for ((subject, name), value) in told {
            let is_known = truths.contains_key(&(subject.clone(), name.as_str()));
            prop_assert!(is_known, "{kind:?}: {name} of {subject:?} is {value}, and should not be there");
        }
        let mut compared = self.hold_the_numbers(kind, told)?;
        for ((subject, name), truth) in truths {
            let is_unknown = !told.contains_key(&(subject.clone(), (*name).to_owned()));
            prop_assert!(
                !(is_unknown && truth.is_always_known),
                "{kind:?}: no {name} of {subject:?}, in truth {:?}",
                truth.right
            );
            compared.unknown += u64::from(is_unknown);
        }
        Ok(compared)
    }
}

impl Right {
    pub(super) fn number(number: u64) -> Self {
        Self::Is(number.into())
    }

    pub(super) fn between(least: u64, most: u64) -> Self {
        Self::Between(float(least), float(most))
    }

    pub(super) fn at_most(most: u64) -> Self {
        Self::between(0, most)
    }

    pub(super) fn at_least(least: u64) -> Self {
        Self::Between(float(least), f64::INFINITY)
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Is(Value::from(text.into()))
    }

    fn allows(&self, told: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Is(right) => is_same(told, right),
            Self::OneOf(right) => right.iter().any(|right| is_same(told, right)),
            Self::Between(least, most) => {
                told.as_f64().is_some_and(|told| *least - SLACK <= told && told <= *most + SLACK)
            }
            Self::Series(right) => {
                let told = told.as_array().map(Vec::as_slice).unwrap_or_default();
                told.len() <= right.len()
                    && told.iter().rev().zip(right.iter().rev()).all(|(told, right)| match told.as_f64() {
                        Some(told) => right.iter().any(|right| (told - right).abs() <= SLACK),
                        None => told.is_null(),
                    })
            }
        }
    }

    /// How many numbers a value is.
    fn counts(&self, told: &Value) -> u64 {
        match (self, told) {
            (Self::Any, _) => 0,
            (_, Value::Array(values)) => values.iter().filter(|value| !value.is_null()).count() as u64,
            _ => 1,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few, and milliseconds")]
fn float(number: u64) -> f64 {
    number as f64
}

/// What floats and milliseconds leave open.
const SLACK: f64 = 0.001_001;

fn is_same(told: &Value, right: &Value) -> bool {
    match (told.as_f64(), right.as_f64()) {
        (Some(told), Some(right)) => (told - right).abs() < 0.000_1,
        _ => told == right,
    }
}
