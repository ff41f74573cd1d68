//! The configuration while the process runs: loaded anew at SIGHUP and when its file changes.
//!
//! A bad one is refused whole and the running one stays. The file is compared by its content: a mounted
//! ConfigMap is swapped by a symbolic link, which no watch on the file itself would see.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    config::{Config, Ignored, Sources},
    files::{self, Kind},
    self_stats::SelfStats,
    signals,
};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What reloading needs.
pub struct Reloader {
    /// Where the configuration comes from.
    pub sources: Sources,
    /// Where a new one goes.
    pub config: watch::Sender<Arc<Config>>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Reloader {
    /// Reloads until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut hangup = match signals::hangup() {
            Ok(hangup) => hangup,
            Err(error) => {
                error!(%error, "no handler for SIGHUP");
                return;
            }
        };
        let path = self.sources.path();
        let mut content = read(path.as_deref()).await;
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                _received = hangup.recv() => true,
                () = sleep(LOOK_EVERY) => false,
            };
            let now = read(path.as_deref()).await;
            if asked || now != content {
                content = now;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match self.sources.load() {
            Ok(config) => {
                self.stats.config_reload_successful.set(1);
                warn_of_ignored(&config);
                self.warn_of_restart(&config);
                self.config.send_replace(Arc::new(config));
                info!("the configuration was loaded anew");
            }
            Err(error) => {
                self.stats.config_reload_successful.set(0);
                error!(error = %format_args!("{error:#}"), "the changed configuration is refused; the running one stays");
            }
        }
    }

    /// Some keys take effect at a start only.
    fn warn_of_restart(&self, new: &Config) {
        let running = self.config.borrow();
        let fixed = [
            ("enabled", running.enabled != new.enabled),
            ("http.listen", running.http.listen != new.http.listen),
            ("log.format", running.log.format != new.log.format),
            ("log.level", running.log.level != new.log.level),
            ("telemetry.otlp", running.telemetry.otlp != new.telemetry.otlp),
        ];
        for (key, _) in fixed.iter().filter(|(_, changed)| *changed) {
            warn!(key, "the change takes effect at the next start only");
        }
    }
}

/// Logs which settings have no effect, since another one takes their place.
pub(crate) fn warn_of_ignored(config: &Config) {
    for Ignored { at, why } in config.redis.access.ignored() {
        warn!(setting = %at, why, "a setting is ignored");
    }
}

/// The file's content; `None` where it can't be read, and that is what loading it will say.
async fn read(path: Option<&Path>) -> Option<Vec<u8>> {
    let path = path?.to_owned();
    spawn_blocking(move || files::read(&path, Kind::Config).ok()).await.ok()?
}
