//! `streamwarden acl`: the rule of the Redis user that this configuration needs.

use clap::Args;

use super::command::{Error, Exit, block_on, complain, load, print};
use crate::{
    acl,
    app::self_stats,
    config::{Address, Config, Log, Sources},
    model::{Flavour, Server},
    source::Link,
    telemetry,
};

/// Print the ACL rule of the Redis user that this configuration needs, as a line for redis-cli.
#[derive(Debug, Args)]
pub(super) struct Acl {
    /// Name of the user.
    #[arg(long, value_name = "NAME", default_value = "streamwarden", value_parser = parse_user)]
    user: String,

    /// Also permit what dead-letter, replay, claim, reap-consumers and their like need. The sidecar itself needs none of it.
    #[arg(long)]
    acting: bool,

    /// Also permit what bench needs. The sidecar itself needs none of it.
    #[arg(long, conflicts_with = "acting")]
    bench: bool,

    /// Version of Redis, as in 7.0. Then no server is asked, and no address is needed.
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    redis_version: Option<(u16, u16, u16)>,
}

impl Acl {
    pub(super) fn run(self, mut sources: Sources, log: &Log) -> Result<Exit, Error> {
        sources.is_address_optional = self.redis_version.is_some();
        let config = load(&sources)?;
        telemetry::start_logging(log);
        let address = match &config.redis.place {
            None if sources.is_address_optional => None,
            _ => Some(config.redis.access.address().map_err(|problems| Error::Other(problems.to_string()))?),
        };
        let server = match (self.redis_version, &address) {
            (Some(version), _) => {
                Server { flavour: Flavour::Redis, version: Some(version), ..Server::UNKNOWN }
            }
            // The host is enough.
            (None, Some(address)) if address.is_upstash() => {
                Server { flavour: Flavour::Upstash, ..Server::UNKNOWN }
            }
            _ => ask(&config)?,
        };
        let holder = match (self.acting, self.bench) {
            (true, _) => acl::Holder::Actor,
            (false, true) => acl::Holder::Bencher,
            (false, false) => acl::Holder::Sidecar,
        };
        let database = address.as_ref().map_or(0, Address::database);
        print(format_args!("{}\n", acl::rule(&config, &self.user, holder, database, &server)))?;
        if address.is_none() {
            complain("no address is configured: this is the rule for Redis of that version, database 0\n");
        }
        if address.as_ref().is_some_and(|address| address.service().is_some()) {
            let user = config.redis.sentinel.user().unwrap_or(&self.user);
            // Not on standard output, which may go to a Redis.
            complain(format_args!(
                "the user on each Sentinel, since Redis 6.2: {}\n",
                acl::sentinel_rule(user)
            ));
        }
        if let Some(note) = acl::note(&server, &self.user) {
            complain(format_args!("{note}\n"));
        }
        Ok(Exit::Success)
    }
}

/// Asks which server it is. The user may not exist yet: then it is unknown, and a note says so.
fn ask(config: &Config) -> Result<Server, Error> {
    let mut link = Link::new(self_stats());
    let server = block_on(async { link.session(&config.redis).await.map(|session| session.server.clone()) })?;
    Ok(server.unwrap_or_else(|failure| {
        let reason = config.redis.access.cannot("ask for the version", &failure);
        complain(format_args!(
            "{reason}: this is the rule for Redis 7.2 and later, and Valkey; for an earlier version pass \
             --redis-version\n"
        ));
        Server::UNKNOWN
    }))
}

/// Redis allows more names, but redis-cli needs quotes for them.
fn parse_user(text: &str) -> Result<String, String> {
    let is_plain = |character: char| character.is_ascii_graphic() && !matches!(character, '"' | '\'' | '\\');
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err(
            "a user's name has at least one character, and no blanks, quotes or backslashes".to_owned()
        );
    }
    Ok(text.to_owned())
}

fn parse_version(text: &str) -> Result<(u16, u16, u16), String> {
    let mut parts = text.split('.').map(str::parse::<u16>);
    let version = (parts.next(), parts.next().unwrap_or(Ok(0)), parts.next().unwrap_or(Ok(0)), parts.next());
    match version {
        (Some(Ok(major)), Ok(minor), Ok(patch), None) => Ok((major, minor, patch)),
        _ => Err("a version looks like 7.0 or 7.0.15".to_owned()),
    }
}
