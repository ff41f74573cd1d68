//! A build without traces: warns if the environment asks for them.

use std::time::Duration;

use tracing::warn;
use tracing_subscriber::{
    fmt::format::{Format, Full, Json},
    layer::Identity,
};

use super::TelemetryError;
use crate::config;

/// Replaces the exporter. Remembers whether traces were requested.
#[derive(Default)]
pub struct Traces {
    is_wanted: bool,
}

impl Traces {
    #[expect(clippy::unnecessary_wraps, reason = "as where there are traces")]
    pub(super) fn start(_config: &config::Traces) -> Result<Self, TelemetryError> {
        Ok(Self { is_wanted: true })
    }

    pub(super) fn layer(&self) -> Option<Identity> {
        None
    }

    pub(super) fn announce(&self) {
        if self.is_wanted {
            warn!("the environment configures traces, but this build does not support them (feature otlp)");
        }
    }

    /// Does nothing: there are no traces.
    pub async fn flush(self, _longest: Duration) {}
}

pub(super) fn in_json(format: Format<Json>) -> Format<Json> {
    format
}

pub(super) fn in_text(format: Format<Full>) -> Format<Full> {
    format
}
