//! Why a question about stuck work has no answer, or an act no plan.

use crate::model::Reason;

/// A parameter that is wrong, whatever Redis holds: its name, as in `max_length`, and what is wrong with it.
pub type Wrong = (&'static str, String);

/// Why there is no answer or no plan. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// All parameters that are wrong.
    Wrong(Vec<Wrong>),
    /// Something that was asked about does not exist.
    Missing(String),
    /// What Redis holds does not permit it.
    Forbidden(String),
    /// Redis did not answer, or refused: why, and a sentence with its address.
    Failed(Reason, String),
}

impl Refusal {
    /// One parameter is wrong.
    #[must_use]
    pub fn wrong(parameter: &'static str, what: impl Into<String>) -> Self {
        Self::Wrong(vec![(parameter, what.into())])
    }
}
