//! The source of documents: a running sidecar, or Redis itself.

use std::{sync::Arc, time::Duration};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use url::Url;

use crate::{
    app::self_stats,
    cli::{command::complain, http},
    config::{Config, Discovered, Watched, Watchlist},
    doctor::words_of_stuck_lease,
    model::{Failure, Name, Reason},
    reader::Reader,
    reading::Reading,
    source::{Details, Discovery, Link},
    views::api::View,
};

/// A source of documents.
pub(super) enum Feed {
    /// A sidecar.
    Sidecar(Box<Url>),
    /// Redis itself.
    Redis(Box<Direct>),
}

/// Reads Redis.
pub(super) struct Direct {
    config: Config,
    only: Option<Name>,
    discovery: Discovery,
    reader: Reader,
    details: Details,
    /// Whether it is not said (again) that the holder of the lease can't be read: once is enough, and never into a live view.
    is_quiet: bool,
    /// The same where the user may not search for streams.
    is_refusal_said: bool,
}

impl Feed {
    /// The sidecar at this address.
    pub(super) fn of_sidecar(url: &str, stream: Option<&Name>) -> Result<Self, String> {
        let form = "--url must be the address of a sidecar, as in http://localhost:19121";
        let mut url = Url::parse(url).map_err(|error| format!("{form}: {error}"))?;
        if http::has_login(&url) {
            return Err(format!("{form}, with no user and no password: a sidecar needs no login"));
        }
        if url.scheme() != "http" || url.host_str().is_none() {
            return Err(format!("{form}; a sidecar only supports plain http"));
        }
        let key = stream.map(|name| format!("/{}", percent_encode(name.as_bytes(), NON_ALPHANUMERIC)));
        let path = format!("{}/api/v1/streams{}", url.path().trim_end_matches('/'), key.unwrap_or_default());
        url.set_path(&path);
        url.set_query(None);
        Ok(Self::Sidecar(Box::new(url)))
    }

    /// The Redis of this configuration. Conditions are reported at once, unless it is watched for longer.
    pub(super) fn of_redis(mut config: Config, only: Option<Name>, is_long: bool) -> Self {
        if !is_long {
            config.status.settle = Duration::ZERO;
        }
        let stats = self_stats();
        let discovery = Discovery::new(Link::new(Arc::clone(&stats)));
        let details = Details::new(Link::new(Arc::clone(&stats)));
        let reader = Reader::new(Link::new(stats)).of_replicas();
        let reader = if is_long { reader.within_budget() } else { reader };
        Self::Redis(Box::new(Direct {
            config,
            only,
            discovery,
            reader,
            details,
            is_quiet: is_long,
            is_refusal_said: is_long,
        }))
    }

    /// Whether a judgement needs two readings.
    pub(super) const fn needs_two_readings(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// The current document.
    pub(super) async fn fetch(&mut self) -> Result<Vec<u8>, String> {
        match self {
            Self::Sidecar(url) => http::get(url).await,
            Self::Redis(direct) => direct.read().await,
        }
    }
}

/// The streams that the configuration names, where the user may not search for others; `None` if it names none, or if something else failed.
fn named(config: &Config, failure: &Failure) -> Option<Watchlist> {
    let named = (failure.reason == Reason::NoPermission).then(|| Discovered::named(config).watchlist(config));
    named.filter(|named| !named.is_empty())
}

impl Direct {
    async fn read(&mut self) -> Result<Vec<u8>, String> {
        if !self.config.enabled {
            return Err("the sidecar is switched off (enabled: false)".to_owned());
        }
        let access = &self.config.redis.access;
        let streams = match &self.only {
            Some(stream) => Watchlist::with_dead_letters(&self.config, [stream.clone()]),
            None => match self.discovery.search(&self.config).await {
                Ok(found) => found.watchlist(&self.config),
                Err(failure) => {
                    let named = named(&self.config, &failure);
                    let named = named.ok_or_else(|| access.cannot("search for streams", &failure))?;
                    if !std::mem::replace(&mut self.is_refusal_said, true) {
                        let what = "only the streams that the configuration names are shown";
                        complain(format_args!("{what}: {failure}\n"));
                    }
                    named
                }
            },
        };
        let reading = match self.reader.read(&self.config, &streams).await {
            Ok(reading) => reading,
            Err(failure) => {
                self.reader.reconnect();
                return Err(access.cannot("read streams", &failure));
            }
        };
        let reading = self.with_holder(reading, &streams).await;
        let view = View::new(&self.config, Some((&reading, Duration::ZERO)), None, true);
        let mut document = Vec::new();
        match &self.only {
            None => view.write_streams(&mut |piece| document.extend(piece)),
            Some(name) => {
                let stream = view.one_stream(name).ok_or_else(|| format!("there is no stream {name}"))?;
                serde_json::to_writer(&mut document, &stream).map_err(|error| error.to_string())?;
            }
        }
        Ok(document)
    }

    /// Adds the sidecar that trims, if a stream has limits that are enforced.
    async fn with_holder(&mut self, reading: Reading, streams: &Watchlist) -> Reading {
        let enforces = |watched: &Watched| watched.policy.as_ref().is_some_and(|policy| policy.enforces());
        if !streams.iter().any(enforces) {
            return reading;
        }
        match self.details.lease_holder(&self.config).await {
            Ok(holder) => {
                if holder.is_some() {
                    self.check_lease().await;
                }
                reading.with_holder(holder)
            }
            Err(failure) if failure.reason == Reason::WrongType => {
                self.check_lease().await;
                reading
            }
            Err(failure) => {
                if !std::mem::replace(&mut self.is_quiet, true) {
                    complain(format_args!("which sidecar trims is unknown: {failure}\n"));
                }
                reading
            }
        }
    }

    /// Reports a lease that no sidecar takes over, once.
    async fn check_lease(&mut self) {
        if self.is_quiet {
            return;
        }
        if let Ok(Some(stuck)) = self.details.stuck_lease(&self.config).await {
            self.is_quiet = true;
            let (what, meaning) = words_of_stuck_lease(stuck, &self.config);
            complain(format_args!("{what}: {meaning}\n"));
        }
    }
}
