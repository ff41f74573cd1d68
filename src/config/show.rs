//! The effective configuration as YAML: what `check-config` prints. It can be used as a file, but for its secrets.

use std::{
    fmt::{self, Write},
    path::Path,
    time::Duration,
};

use super::{
    Config, Exposition, LogFormat, Otlp, ReadFrom, States, StreamRule, Thresholds,
    access::{Given, REDACTED, Secret},
    load::parse,
};
use crate::model::Name;

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "enabled: {}", self.enabled)?;
        if let Some(name) = &self.name {
            writeln!(f, "name: {}", quoted(name))?;
        }
        self.fmt_redis(f)?;
        writeln!(f, "poll:")?;
        writeln!(f, "  interval: {}", duration(self.poll.interval))?;
        writeln!(f, "  discovery_interval: {}", duration(self.poll.discovery_interval))?;
        writeln!(f, "  stale_after: {}", duration(self.poll.stale_after))?;
        if self.streams.is_empty() {
            writeln!(f, "streams: []  # every stream of the database")?;
        } else {
            writeln!(f, "streams:")?;
            self.streams.iter().try_for_each(|rule| fmt_rule(f, rule))?;
        }
        let excluded: Vec<String> = self.exclude.iter().map(|pattern| quoted(pattern.to_string())).collect();
        writeln!(f, "exclude: [{}]", excluded.join(", "))?;
        writeln!(f, "consumers:\n  metrics: {}", self.consumers.metrics)?;
        writeln!(f, "  max_per_group: {}", self.consumers.max_per_group)?;
        writeln!(f, "  stuck_after: {}", duration(self.consumers.stuck_after))?;
        writeln!(f, "status:\n  window: {}", duration(self.status.window))?;
        writeln!(f, "  stopped_after: {}", duration(self.status.stopped_after))?;
        writeln!(f, "lag_count:\n  entries: {}\n  bytes: {}", self.lag_count.entries, self.lag_count.bytes)?;
        let entries = &self.entries;
        writeln!(f, "entries:\n  last: {}\n  streams: {}", entries.last, entries.streams)?;
        writeln!(f, "  bytes: {}\n  type_field: {}", entries.bytes, quoted(&entries.type_field))?;
        self.fmt_exposition(f)?;
        writeln!(
            f,
            "limits:\n  streams: {}\n  groups_per_stream: {}",
            self.limits.streams, self.limits.groups_per_stream
        )?;
        writeln!(f, "  series: {}", self.limits.series)?;
        self.fmt_retention(f)?;
        writeln!(f, "http:\n  listen: {}", quoted(self.http.listen))?;
        if let Some(url) = &self.http.external_url {
            writeln!(f, "  external_url: {}", quoted(url))?;
        }
        if let Some(path) = &self.http.trim_token_file {
            writeln!(f, "  trim_token_file: {}", file(path))?;
        }
        writeln!(f, "log:\n  format: {}", name(self.log.format, LogFormat::CHOICES))?;
        writeln!(f, "  level: {}", quoted(&self.log.level))?;
        let traces = self.telemetry.traces.as_ref();
        let whereto = traces.map(|traces| format!("  # traces to {}", traces.collector)).unwrap_or_default();
        writeln!(f, "telemetry:\n  otlp: {}{whereto}", name(self.telemetry.otlp, Otlp::CHOICES))
    }
}

impl Config {
    fn fmt_exposition(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exposition { redis_exporter_names, states, exclude } = &self.exposition;
        let excluded: Vec<&str> = exclude.iter().copied().collect();
        writeln!(f, "exposition:\n  redis_exporter_names: {redis_exporter_names}")?;
        writeln!(f, "  states: {}", name(*states, States::CHOICES))?;
        writeln!(f, "  exclude: [{}]", excluded.join(", "))
    }

    fn fmt_retention(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let retention = &self.retention;
        writeln!(f, "retention:\n  enabled: {}", retention.enabled)?;
        writeln!(f, "  interval: {}\n  step: {}", duration(retention.interval), retention.step)?;
        writeln!(f, "  pause: {}\n  budget: {}", duration(retention.pause), duration(retention.budget))?;
        writeln!(f, "  lease_key: {}", quoted(&retention.lease_key))?;
        writeln!(f, "  lease_ttl: {}", duration(retention.lease_ttl))
    }

    /// The same as a tree of maps and lists.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        parse(&self.to_string()).expect("what is shown can be read")
    }

    fn fmt_redis(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "redis:")?;
        let access = &self.redis.access;
        fmt_secret(f, "uri", access.address.as_ref())?;
        if let Some(user) = access.in_force(|login| login.user.as_ref()) {
            writeln!(f, "  username: {}", quoted(&user.value))?;
        }
        fmt_secret(f, "password", access.in_force(|login| login.password.as_ref()))?;
        let tls = &self.redis.tls;
        let client = tls.client.as_ref();
        let keys = [
            ("ca_file", tls.ca_file.as_deref().map(file)),
            ("server_name", tls.server_name.as_ref().map(quoted)),
            ("cert_file", client.map(|client| file(&client.cert_file))),
            ("key_file", client.map(|client| file(&client.key_file))),
        ];
        if keys.iter().any(|(_, value)| value.is_some()) {
            writeln!(f, "  tls:")?;
        }
        for (key, value) in keys.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            writeln!(f, "    {key}: {value}")?;
        }
        writeln!(f, "  connect_timeout: {}", duration(self.redis.connect_timeout))?;
        writeln!(f, "  command_timeout: {}", duration(self.redis.command_timeout))?;
        writeln!(f, "  read_from: {}", name(self.redis.read_from, ReadFrom::CHOICES))?;
        writeln!(f, "  billed_by_command: {}", self.redis.billed_by_command)?;
        let lookups = self.redis.lookups_a_month;
        lookups.map_or(Ok(()), |lookups| writeln!(f, "  lookups_a_month: {lookups}"))
    }
}

fn fmt_secret(f: &mut fmt::Formatter<'_>, key: &str, secret: Option<&Given<Secret>>) -> fmt::Result {
    match secret.map(|given| &given.value) {
        None => Ok(()),
        Some(Secret::Inline(_)) => writeln!(f, "  {key}: \"{REDACTED}\""),
        Some(Secret::File(path)) => writeln!(f, "  {key}_file: {}", file(path)),
    }
}

fn fmt_rule(f: &mut fmt::Formatter<'_>, rule: &StreamRule) -> fmt::Result {
    writeln!(f, "  - match: {}", quoted(&rule.pattern))?;
    if !rule.groups.is_empty() {
        writeln!(f, "    groups: {}", names(&rule.groups))?;
    }
    if let Some(retention) = &rule.retention {
        let mut fields = vec![format!("mode: {}", retention.mode.as_str())];
        fields.extend(retention.max_length.map(|length| format!("max_length: {length}")));
        fields.extend(retention.max_age.map(|age| format!("max_age: {}", duration(age))));
        fields.extend(retention.ceiling.map(|ceiling| format!("ceiling: {ceiling}")));
        fields.extend(retention.interval.map(|interval| format!("interval: {}", duration(interval))));
        fields.extend(retention.exact.then(|| "exact: true".to_owned()));
        if !retention.ignore_groups.is_empty() {
            fields.push(format!("ignore_groups: {}", names(&retention.ignore_groups)));
        }
        writeln!(f, "    retention: {{{}}}", fields.join(", "))?;
    }
    let thresholds = &rule.thresholds;
    let by_default: Vec<String> = [
        ("lag_age", thresholds.lag_age, Thresholds::LAG_AGE),
        ("pending_age", thresholds.pending_age, Thresholds::PENDING_AGE),
    ]
    .into_iter()
    .filter(|(_, set, _)| set.is_none())
    .map(|(key, _, default)| format!("{key}: {}", duration(default)))
    .collect();
    let fields: Vec<String> = [
        ("lag", thresholds.lag.map(|count| count.to_string())),
        ("lag_age", thresholds.lag_age.map(duration)),
        ("pending", thresholds.pending.map(|count| count.to_string())),
        ("pending_age", thresholds.pending_age.map(duration)),
        ("deliveries", thresholds.deliveries.map(|count| count.to_string())),
        ("silence", thresholds.silence.map(duration)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some(format!("{key}: {}", value?)))
    .collect();
    // A comment, since a threshold that is written can be critical.
    let comment = match by_default.is_empty() {
        true => String::new(),
        false => format!("  # and by default {}", by_default.join(", ")),
    };
    writeln!(f, "    thresholds: {{{}}}{comment}", fields.join(", "))
}

fn names(groups: &[Name]) -> String {
    let groups: Vec<String> = groups.iter().map(|group| quoted(group.as_str().unwrap_or_default())).collect();
    format!("[{}]", groups.join(", "))
}

fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn name<T: PartialEq>(value: T, choices: &[(&'static str, T)]) -> &'static str {
    choices.iter().find(|(_, choice)| *choice == value).map_or("", |(name, _)| name)
}

fn file(path: &Path) -> String {
    quoted(path.display())
}

/// Text in double quotes, where YAML and JSON agree.
fn quoted(text: impl fmt::Display) -> String {
    let mut quoted = String::new();
    write!(quoted, "{}", serde_json::Value::from(text.to_string())).expect("a String takes any text");
    quoted
}
