//! `streamwarden healthcheck`: the liveness probe for images that have nothing else to ask with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use url::Url;

use super::{
    command::{Error, Exit, block_on},
    http,
};
use crate::config::Sources;

/// Ask the sidecar on this machine whether its loop turns; exits with 0 if so, else with 1.
#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    /// Ask here instead, as in http://localhost:19121/readyz; without it, where the configuration says
    /// that it listens.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
}

impl Healthcheck {
    pub(super) fn run(self, sources: &Sources) -> Result<Exit, Error> {
        if self.url.as_ref().is_some_and(http::has_login) {
            let reason = "--url must be without a user or a password: a sidecar asks for none";
            return Err(Error::Other(reason.to_owned()));
        }
        let url = self.url.map_or_else(|| local(sources.listen()), Ok).map_err(Error::Other)?;
        block_on(http::get(&url))?.map_err(Error::Other)?;
        Ok(Exit::Success)
    }
}

/// The probe of a sidecar that listens there; one that listens everywhere is asked on the loopback interface.
fn local(listen: SocketAddr) -> Result<Url, String> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    let url = format!("http://{}/livez", SocketAddr::new(ip, listen.port()));
    Url::parse(&url).map_err(|error| format!("{url} is no address: {error}"))
}
