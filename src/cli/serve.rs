//! `streamwarden serve`: the sidecar.

use super::command::{Error, Exit, block_on};
use crate::{
    app,
    config::{Config, Sources},
    telemetry,
};

/// Runs the sidecar until a signal stops it.
pub(super) fn run(config: Config, sources: Sources) -> Result<Exit, Error> {
    let ended = block_on(async {
        let traces = telemetry::start(&config)?;
        Ok::<_, Error>(app::run(config, sources, traces).await)
    })??;
    match ended {
        Ok(()) => Ok(Exit::Success),
        Err(error) => {
            tracing::error!(%error, "the sidecar cannot continue");
            Ok(Exit::Failure)
        }
    }
}
