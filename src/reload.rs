//! Loads the configuration again at SIGHUP and when its file changes.
//!
//! A bad configuration is refused as a whole, and the running one stays. The file is compared by its content: a mounted ConfigMap
//! is replaced through a symbolic link, which a watch on the file would not notice. If the system cannot read the file now, its
//! content is unknown, and it is read again later.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    config::{Config, Ignored, LoadError, Sources},
    files::{self, Kind, ReadError},
    model::Text,
    outage::{News, Outage},
    self_stats::SelfStats,
    signals,
};

/// How often the file is read.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What reloading needs.
pub struct Reloader {
    /// Where the configuration comes from.
    pub sources: Sources,
    /// The running configuration.
    pub config: watch::Sender<Arc<Config>>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Reloader {
    /// Reloads until it is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let mut hangup = match signals::hangup() {
            Ok(hangup) => hangup,
            Err(error) => {
                error!(%error, "no handler for SIGHUP");
                return;
            }
        };
        let path = self.sources.path();
        let mut looks = Looks::default();
        let mut content = looks.end(read(path.as_deref()).await).flatten();
        let mut is_asked = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _received = hangup.recv() => is_asked = true,
                () = sleep(LOOK_EVERY) => {}
            }
            // A mount may hang.
            let now = tokio::select! {
                () = stop.cancelled() => return,
                now = read(path.as_deref()) => now,
            };
            let Some(now) = looks.end(now) else { continue };
            if is_asked || now != content {
                let sources = self.sources.clone();
                let loaded = tokio::select! {
                    () = stop.cancelled() => return,
                    loaded = spawn_blocking(move || load(&sources)) => loaded,
                };
                // It never panics and is never cancelled.
                let Ok(loaded) = loaded else { continue };
                if matches!(&loaded, Err(LoadError::Read(error)) if error.may_pass()) {
                    is_asked = true;
                    continue;
                }
                (content, is_asked) = (now, false);
                self.take(loaded);
            }
        }
    }

    fn take(&self, loaded: Result<Config, LoadError>) {
        match loaded {
            Ok(mut config) => {
                self.stats.config_reload_successful.set(1);
                keep_running(&self.config.borrow(), &mut config);
                self.config.send_replace(Arc::new(config));
                info!("the configuration was reloaded");
            }
            Err(error) => {
                self.stats.config_reload_successful.set(0);
                error!(error = %format_args!("{error:#}"), "the changed configuration is refused; the running one stays");
            }
        }
    }
}

/// Some keys take effect only at a start. The running values stay, so that pages, probes and the API show them.
fn keep_running(running: &Config, new: &mut Config) {
    let is_changed = [
        ("enabled", running.enabled != new.enabled),
        ("http.listen", running.http.listen != new.http.listen),
        ("log.format", running.log.format != new.log.format),
        ("log.level", running.log.level != new.log.level),
        ("telemetry.otlp", running.telemetry.otlp != new.telemetry.otlp),
        ("telemetry.metrics", running.telemetry.wants_metrics != new.telemetry.wants_metrics),
    ];
    for (key, _) in is_changed.iter().filter(|(_, is_changed)| *is_changed) {
        warn!(key, "the change takes effect only at the next start");
    }
    (new.enabled, new.http.listen) = (running.enabled, running.http.listen);
    new.log.clone_from(&running.log);
    new.telemetry.clone_from(&running.telemetry);
}

/// Loads and checks everything. It may take long with thousands of rules, so it runs on a thread for blocking work.
fn load(sources: &Sources) -> Result<Config, LoadError> {
    let config = sources.load()?;
    warn_of_ignored(&config);
    Ok(config)
}

/// The most settings without effect that are logged: one glob may replace thousands of rules.
const NAMED_AT_ONCE: usize = 20;

/// Logs the settings without effect, since another one replaces them.
pub(crate) fn warn_of_ignored(config: &Config) {
    let ignored = config.ignored();
    for Ignored { at, reason } in ignored.iter().take(NAMED_AT_ONCE) {
        warn!(setting = %at, reason, "a setting is ignored");
    }
    if let Some(more) = ignored.len().checked_sub(NAMED_AT_ONCE).filter(|more| *more > 0) {
        warn!(more, "more settings are ignored; check-config lists them");
    }
}

/// Whether the file can be read: logs when that changes.
#[derive(Default)]
struct Looks(Outage);

impl Looks {
    fn end<T>(&mut self, look: Result<T, ReadError>) -> Option<T> {
        let error = look.as_ref().err().map(|error| Text::from(error.to_string()));
        match self.0.note_reason(error.as_deref().map(|error| ("unreadable", error))) {
            Some(News::Failed) => {
                warn!(
                    error = error.as_deref(),
                    "cannot read the configuration file now; the running configuration stays"
                );
            }
            Some(News::Recovered { failures, .. }) => {
                info!(failures, "the configuration file can be read again")
            }
            None => {}
        }
        look.ok()
    }
}

/// Returns the content of the file. `None` if it cannot be read until somebody repairs it: loading it reports why.
async fn read(path: Option<&Path>) -> Result<Option<Vec<u8>>, ReadError> {
    let Some(path) = path.map(Path::to_owned) else { return Ok(None) };
    let reading = spawn_blocking(move || files::read(&path, Kind::Config));
    match reading.await {
        Ok(Err(error)) if error.may_pass() => Err(error),
        // It never panics and is never cancelled.
        content => Ok(content.ok().and_then(Result::ok)),
    }
}
