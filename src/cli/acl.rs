//! `streamwarden acl`: the rule of the Redis user that this configuration needs.

use clap::Args;

use super::command::{Error, Exit, block_on, cannot, complain, print};
use crate::{
    acl,
    app::self_stats,
    config::{Config, Log},
    model::{Flavour, Server},
    source::Link,
    telemetry,
};

/// Print the ACL rule of the Redis user that this configuration needs, as a line for redis-cli.
#[derive(Debug, Args)]
pub(super) struct Acl {
    /// The user's name.
    #[arg(long, value_name = "NAME", default_value = "streamwarden", value_parser = parse_user)]
    user: String,

    /// The version of Redis, as in 7.0; without it the server is asked.
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    redis_version: Option<(u16, u16, u16)>,
}

impl Acl {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        telemetry::start_logging(log);
        let (rule, note) = self.rule(config)?;
        print(format_args!("{rule}\n"))?;
        if let Some(note) = note {
            complain(format_args!("{note}\n"));
        }
        Ok(Exit::Success)
    }

    /// The rule, and what there is to know about it.
    fn rule(self, config: &Config) -> Result<(String, Option<String>), Error> {
        let address = config.redis.access.address().map_err(|problems| Error::Other(problems.to_string()))?;
        let server = match self.redis_version {
            Some(version) => Server { flavour: Flavour::Redis, version: Some(version), ..Server::UNKNOWN },
            // Its host says it all.
            None if address.is_upstash() => Server { flavour: Flavour::Upstash, ..Server::UNKNOWN },
            None => ask(config)?,
        };
        let rule = acl::rule(config, &self.user, address.database(), &server);
        Ok((rule, acl::note(&server, &self.user)))
    }
}

/// Who the server is. The user may not be there yet: then it is not known, and that is said.
fn ask(config: &Config) -> Result<Server, Error> {
    let mut link = Link::new(self_stats());
    let server = block_on(async { link.session(&config.redis).await.map(|session| session.server.clone()) })?;
    Ok(server.unwrap_or_else(|failure| {
        let reason = cannot("ask for the version", &config.redis.access, &failure);
        complain(format_args!(
            "{reason}: this is the rule for Redis 7.2 and later, and \
             Valkey; for an earlier one give --redis-version\n"
        ));
        Server::UNKNOWN
    }))
}

/// Redis takes more names, but no line for redis-cli does without quotes.
fn parse_user(text: &str) -> Result<String, String> {
    let is_plain = |character: char| character.is_ascii_graphic() && !matches!(character, '"' | '\'' | '\\');
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err(
            "a user's name has one character at least, and no blanks, quotes or backslashes".to_owned()
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
