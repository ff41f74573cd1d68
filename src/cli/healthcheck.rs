//! `streamwarden healthcheck`: the liveness probe, for images without another HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use url::Url;

use super::{
    command::{Error, Exit, block_on},
    http,
};
use crate::config::Sources;

/// Check that the sidecar on this machine is alive. Exit code: 0 if it is, else 1.
#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    /// Address to ask, as in http://localhost:19121/readyz. Without it, /livez at http.listen.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
}

impl Healthcheck {
    pub(super) fn run(self, sources: &Sources) -> Result<Exit, Error> {
        if self.url.as_ref().is_some_and(http::has_login) {
            let reason = "--url must have no user and no password: a sidecar needs no login";
            return Err(Error::Other(reason.to_owned()));
        }
        let url = self.url.map_or_else(|| local(sources.listen()), Ok).map_err(Error::Other)?;
        block_on(http::get(&url))?.map_err(Error::Other)?;
        Ok(Exit::Success)
    }
}

/// The liveness probe of a sidecar with this address. If it listens on all interfaces, the loopback interface is used.
fn local(listen: SocketAddr) -> Result<Url, String> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    let url = format!("http://{}/livez", SocketAddr::new(ip, listen.port()));
    Url::parse(&url).map_err(|error| format!("{url} is not an address: {error}"))
}
