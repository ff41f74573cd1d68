//! `streamwarden check-config`: prints the configuration in force, or what is wrong with it; with `--cost` what it costs.

use std::time::Duration;

use clap::Args;

use super::{
    command::{Error, Exit, print},
    cost,
};
use crate::{
    config::{Config, Exclusion, Log, SilentAlerts, Sources},
    source::check_files,
    telemetry,
};

/// Check the configuration and print what is in force, without secrets.
#[derive(Debug, Args)]
pub(super) struct CheckConfig {
    /// Print the cost on this Redis, in commands and money, and what other clients send.
    #[arg(long)]
    cost: bool,

    /// How long to count the commands of other clients; 0s does not count.
    #[arg(long, value_name = "DURATION", requires = "cost", default_value = "5s", value_parser = humantime::parse_duration)]
    count_for: Duration,
}

impl CheckConfig {
    pub(super) fn run(self, config: &Config, sources: Sources, log: &Log) -> Result<Exit, Error> {
        telemetry::start_logging(log);
        if self.cost { cost::run(config, sources, self.count_for) } else { show(config) }
    }
}

/// Prints what is in force, or what is wrong with the files that only a connection reads.
fn show(config: &Config) -> Result<Exit, Error> {
    if let Ok(address) = config.redis.access.address() {
        check_files(&address, &config.redis).map_err(|failure| Error::Usage(failure.detail.to_string()))?;
    }
    print(config)?;
    print(silent_alerts(config))?;
    print(exclusions(config))?;
    print(objectives(config))?;
    Ok(Exit::Success)
}

/// As comments, since the output can be used as a file.
fn silent_alerts(config: &Config) -> String {
    let silent = config.silent_alerts();
    let line = |it: &SilentAlerts| format!("#   {}: {}\n", it.names.join(", "), it.reason);
    let lines: String = silent.iter().map(line).collect();
    if lines.is_empty() {
        lines
    } else {
        format!("# Shipped alerts that cannot fire with this configuration:\n{lines}")
    }
}

fn objectives(config: &Config) -> String {
    let lines: String = config.notes_on_objectives().iter().map(|note| format!("#   {note}\n")).collect();
    if lines.is_empty() { lines } else { format!("# Objectives:\n{lines}") }
}

fn exclusions(config: &Config) -> String {
    let exclusions = config.exclusions();
    let lines = |head: &str, alerts: fn(&Exclusion) -> &[&str]| -> String {
        let concerned = exclusions.iter().filter(|it| !alerts(it).is_empty());
        let lines: String =
            concerned.map(|it| format!("#   {}: {}\n", it.family, alerts(it).join(", "))).collect();
        if lines.is_empty() { lines } else { format!("# {head}:\n{lines}") }
    };
    lines("Shipped alerts that do not work without what exposition.exclude leaves out", |it| &it.disabled)
        + &lines(
            "Shipped alerts that fire beside the alert that is their cause, since it does not mute them",
            |it| &it.unmuted,
        )
}
