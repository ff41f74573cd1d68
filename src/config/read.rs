//! The shape of the configuration as it is written: keys, defaults and ranges.

use std::{collections::BTreeSet, ops::RangeInclusive, path::PathBuf, time::Duration};

use rustls::pki_types::ServerName;
use url::Url;

use super::{
    Address, ClientCertificate, Config, Consumers, Entries, Environment, Exposition, Http, LagCount, Limits,
    Log, LogFormat, Mode, Pattern, Poll, ReadFrom, Redis, Retention, States, Status, StreamRetention,
    StreamRule, Thresholds, Tls, read_access::access, section::Section, telemetry::telemetry,
};
use crate::{
    files::{self, Kind},
    model::{Name, Text},
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
/// Ages and thresholds: up to a hundred years, so that no sum of them overflows.
const AGES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3_155_760_000);
/// Of a name that stands in alerts and at the head of pages.
const MOST_NAME_BYTES: usize = 100;
/// Shorter ones can be guessed.
const MIN_TOKEN_BYTES: usize = 16;
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const COUNTS: RangeInclusive<u64> = 1..=1_000_000_000_000;
/// Where each command is billed. With polls and retention of five streams it stays below 500,000 commands a month, which
/// is what a free tier has.
const LOOKUPS_A_MONTH: u64 = 100_000;
/// `auto` goes by the host's name.
const BILLED: &[(&str, Option<bool>)] = &[("auto", None), ("true", Some(true)), ("false", Some(false))];

/// Reads the whole tree; `None`, or noted problems, where it can't be used.
pub(super) fn config(
    root: &mut Section<'_>,
    environment: &Environment,
    families: &[&'static str],
) -> Option<Config> {
    let enabled = root.flag("enabled", true);
    let name = name(root);
    let redis = root.section_or_default("redis", |section| redis(section, enabled, environment));
    // Where each command is billed, what the user did not set is done less often.
    let is_billed = redis.as_ref().is_some_and(|redis| redis.billed_by_command);
    let poll = root.section_or_default("poll", |section| poll(section, is_billed));
    let streams = root.items("streams", stream_rule);
    refuse_duplicates(root, &streams);
    let exclude = root.texts("exclude").iter().filter_map(|text| pattern(root, "exclude", text)).collect();
    let consumers = root.section_or_default("consumers", |section| Consumers {
        metrics: section.flag("metrics", true),
        max_per_group: size(section.count("max_per_group", 0..=100_000), 20),
        stuck_after: section.duration("stuck_after", AGES).unwrap_or(300 * SECOND),
    });
    let status = root.section_or_default("status", |section| status(section, poll.interval));
    let lag_count = root.section_or_default("lag_count", |section| LagCount {
        entries: section.count("entries", 0..=10_000_000).unwrap_or(20_000),
        bytes: section.count("bytes", 0..=1_000_000_000).unwrap_or(8_000_000),
    });
    let entries = root.section_or_default("entries", |section| Entries {
        last: section.count("last", 0..=100).unwrap_or(0),
        streams: size(section.count("streams", 1..=10_000), 100),
        bytes: section.count("bytes", 0..=1_000_000_000).unwrap_or(1_000_000),
        type_field: section.text("type_field").unwrap_or_else(|| "event_type".to_owned()),
    });
    let exposition = root.section_or_default("exposition", |section| Exposition {
        redis_exporter_names: section.flag("redis_exporter_names", false),
        states: section.choice("states", States::All, States::CHOICES),
        exclude: section.names("exclude", families).into_iter().collect(),
    });
    let limits = root.section_or_default("limits", |section| Limits {
        streams: size(section.count("streams", 1..=1_000_000), 10_000),
        groups_per_stream: size(section.count("groups_per_stream", 1..=1_000_000), 1_000),
        series: size(section.count("series", 1..=100_000_000), 500_000),
    });
    let retention = root.section_or_default("retention", |section| retention(section, is_billed));
    let http = root.section_or_default("http", http);
    let log = root.section_or_default("log", log);
    let telemetry = telemetry(root, environment);
    Some(Config {
        enabled,
        name,
        redis: redis?,
        poll,
        streams: streams.into_iter().collect(),
        exclude,
        consumers,
        status,
        lag_count,
        entries,
        exposition,
        limits,
        retention,
        http: http?,
        log,
        telemetry,
    })
}

fn name(root: &mut Section<'_>) -> Option<String> {
    let name = root.text("name")?;
    let is_readable = name.trim() == name && !name.is_empty() && Text::from(name.as_str()).as_str() == name;
    if name.len() > MOST_NAME_BYTES || !is_readable || name.contains("://") {
        let must = format!("must be a readable line of at most {MOST_NAME_BYTES} bytes, and no address");
        root.problem("name", must);
    }
    Some(name)
}

fn size(count: Option<u64>, default: usize) -> usize {
    count.and_then(|count| usize::try_from(count).ok()).unwrap_or(default)
}

fn redis(section: &mut Section<'_>, enabled: bool, environment: &Environment) -> Option<Redis> {
    let access = access(section, enabled, environment);
    let tls = section.section_or_default("tls", tls);
    let connect_timeout =
        section.duration("connect_timeout", SECOND / 20..=60 * SECOND).unwrap_or(5 * SECOND);
    let command_timeout =
        section.duration("command_timeout", SECOND / 20..=60 * SECOND).unwrap_or(5 * SECOND);
    let billed = section.choice("billed_by_command", None, BILLED);
    let read_from = section.choice("read_from", ReadFrom::Any, ReadFrom::CHOICES);
    let lookups = section.count("lookups_a_month", 0..=*COUNTS.end());
    let (access, address) = access?;
    if tls.as_ref().zip(address.as_ref()).is_some_and(|(tls, address)| tls.is_without_effect(address)) {
        section.problem("tls", Tls::WITHOUT_EFFECT);
    }
    let is_billed = billed.unwrap_or_else(|| address.as_ref().is_some_and(Address::is_upstash));
    Some(Redis {
        place: address.as_ref().map(|address| format!("{address}/{}", address.database())),
        access,
        tls: tls?,
        connect_timeout,
        command_timeout,
        read_from,
        billed_by_command: is_billed,
        lookups_a_month: lookups.or(is_billed.then_some(LOOKUPS_A_MONTH)),
    })
}

fn tls(section: &mut Section<'_>) -> Option<Tls> {
    let server_name = section.text("server_name");
    if server_name.as_ref().is_some_and(|name| ServerName::try_from(name.as_str()).is_err()) {
        section.problem("server_name", "must be a host's name or an IP address, as in redis.example");
    }
    let mut file = |key| section.text(key).map(PathBuf::from);
    let (ca_file, cert_file, key_file) = (file("ca_file"), file("cert_file"), file("key_file"));
    for (key, path) in [("ca_file", &ca_file), ("cert_file", &cert_file), ("key_file", &key_file)] {
        if let Some(error) = path.as_ref().and_then(|path| files::read(path, Kind::Pem).err()) {
            section.problem(key, error.to_string());
        }
    }
    let client = match (cert_file, key_file) {
        (Some(cert_file), Some(key_file)) => Some(ClientCertificate { cert_file, key_file }),
        (None, None) => None,
        (Some(_), None) => {
            section.problem("key_file", "is missing; a client certificate needs its key");
            return None;
        }
        (None, Some(_)) => {
            section.problem("cert_file", "is missing; a key needs its client certificate");
            return None;
        }
    };
    Some(Tls { ca_file, server_name, client })
}

fn poll(section: &mut Section<'_>, is_billed: bool) -> Poll {
    let (often, seldom) = if is_billed { (60 * SECOND, 3600 * SECOND) } else { (15 * SECOND, 60 * SECOND) };
    let interval = section.duration("interval", SECOND / 10..=DAY).unwrap_or(often);
    let discovery_interval = section.duration("discovery_interval", SECOND / 10..=DAY).unwrap_or(seldom);
    let default = (4 * interval).max(60 * SECOND);
    let stale_after = section.duration("stale_after", SECOND / 10..=7 * DAY).unwrap_or(default);
    if stale_after < 2 * interval {
        let least = humantime::format_duration(2 * interval);
        section.problem(
            "stale_after",
            format!("must be at least twice the interval, {least}, or each slow poll blanks the page"),
        );
    }
    Poll { interval, discovery_interval, stale_after }
}

fn status(section: &mut Section<'_>, interval: Duration) -> Status {
    let default = (10 * interval).max(300 * SECOND);
    let window = section.duration("window", SECOND / 10..=7 * DAY).unwrap_or(default);
    if window < 4 * interval {
        let least = humantime::format_duration(4 * interval);
        section.problem("window", format!("must be at least four times poll.interval, {least}"));
    }
    let stopped_after = section.duration("stopped_after", AGES).unwrap_or(120 * SECOND);
    Status { window, settle: window / 4, stopped_after }
}

fn pattern(section: &mut Section<'_>, key: &str, text: &str) -> Option<Pattern> {
    Pattern::parse(text).map_err(|error| section.problem(key, error.to_string())).ok()
}

fn stream_rule(section: &mut Section<'_>) -> Option<StreamRule> {
    let text = section.text("match");
    if text.is_none() {
        section.problem("match", "is missing; give a stream's name or a glob");
    }
    let pattern = text.and_then(|text| pattern(section, "match", &text));
    let groups = section.texts("groups").iter().map(|group| Name::from(group.as_str())).collect();
    let retention = section.section("retention", stream_retention);
    let thresholds = section.section_or_default("thresholds", |section| Thresholds {
        lag: section.count("lag", COUNTS),
        lag_age: section.duration("lag_age", AGES),
        pending: section.count("pending", COUNTS),
        pending_age: section.duration("pending_age", AGES),
        deliveries: section.count("deliveries", COUNTS),
        silence: section.duration("silence", AGES),
    });
    Some(StreamRule { pattern: pattern?, groups, retention, thresholds })
}

fn refuse_duplicates(root: &mut Section<'_>, streams: &[StreamRule]) {
    let mut seen = BTreeSet::new();
    for text in streams.iter().map(|rule| rule.pattern.to_string()) {
        if seen.contains(&text) {
            root.problem("streams", format!("duplicate match {text}: only the first applies; remove one"));
        }
        seen.insert(text);
    }
}

fn stream_retention(section: &mut Section<'_>) -> StreamRetention {
    let has_limit = section.has("max_length") || section.has("max_age");
    let max_length = section.count("max_length", COUNTS);
    let max_age = section.duration("max_age", SECOND..=*AGES.end());
    if !has_limit {
        section.problem("max_length", "is missing, and so is max_age; give at least one limit");
    }
    let mode = section.choice("mode", Mode::Safe, Mode::CHOICES);
    let ignore_groups =
        section.texts("ignore_groups").iter().map(|group| Name::from(group.as_str())).collect();
    let ceiling = section.count("ceiling", COUNTS);
    match (ceiling, max_length) {
        (Some(_), _) if mode != Mode::Safe => {
            section.problem("ceiling", "has a meaning in safe mode only; remove it")
        }
        (Some(ceiling), Some(length)) if ceiling <= length => {
            section
                .problem("ceiling", "must be above max_length: past it, entries go that a group still needs");
        }
        _ => {}
    }
    StreamRetention {
        max_length,
        max_age,
        mode,
        ignore_groups,
        ceiling,
        exact: section.flag("exact", false),
        interval: section.duration("interval", SECOND..=7 * DAY),
    }
}

fn retention(section: &mut Section<'_>, is_billed: bool) -> Retention {
    let lease_ttl = if is_billed { 30 * 60 * SECOND } else { 60 * SECOND };
    Retention {
        enabled: section.flag("enabled", true),
        interval: section.duration("interval", SECOND..=7 * DAY).unwrap_or(60 * 60 * SECOND),
        step: section.count("step", 1_000..=1_000_000).unwrap_or(10_000),
        pause: section.duration("pause", Duration::ZERO..=SECOND).unwrap_or(Duration::from_millis(5)),
        budget: section.duration("budget", SECOND..=600 * SECOND).unwrap_or(20 * SECOND),
        lease_key: section.text("lease_key").unwrap_or_else(|| "streamwarden:retention:lease".to_owned()),
        lease_ttl: section.duration("lease_ttl", SECOND..=60 * 60 * SECOND).unwrap_or(lease_ttl),
    }
}

fn http(section: &mut Section<'_>) -> Option<Http> {
    let listen = section.text("listen").unwrap_or_else(|| Http::LISTEN.to_string());
    let must = "must be an IP address and a port, as in 0.0.0.0:19121 or [::1]:19121";
    let listen = listen.parse().map_err(|_parse_error| section.problem("listen", must)).ok();
    let external_url = external_url(section);
    let trim_token_file = section.text("trim_token_file").map(PathBuf::from);
    let token = trim_token_file.as_ref().map(|file| files::read(file, Kind::Secret));
    let wrong = match token {
        Some(Err(error)) => Some(error.to_string()),
        Some(Ok(token)) if token.trim_ascii().len() < MIN_TOKEN_BYTES => Some(format!(
            "holds no token of at least {MIN_TOKEN_BYTES} characters, as `openssl rand -hex 32` makes one"
        )),
        _ => None,
    };
    if let Some(what) = wrong {
        section.problem("trim_token_file", what);
    }
    Some(Http { listen: listen?, external_url, trim_token_file })
}

/// A link that goes into alerts, so it must hold no secret.
fn external_url(section: &mut Section<'_>) -> Option<String> {
    let text = section.text("external_url")?;
    let url = Url::parse(&text).ok().filter(|url| {
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_open = url.username().is_empty() && url.password().is_none();
        is_web && is_open && url.query().is_none() && url.fragment().is_none()
    });
    if url.is_none() {
        let must = "must be an address of the page as people reach it, without a login, a query or a #, as in https://streamwarden.example";
        section.problem("external_url", must);
    }
    url.map(|url| url.as_str().trim_end_matches('/').to_owned())
}

fn log(section: &mut Section<'_>) -> Log {
    let format = section.choice("format", LogFormat::Auto, LogFormat::CHOICES);
    let level = section.text("level").unwrap_or_else(|| "info".to_owned());
    // A word that is no level is a filter too, for a part of the program of that name: then nothing else is logged.
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word.trim()));
    let is_clear = |part: &str| part.contains('=') || is_level(part);
    if !level.split(',').all(is_clear) || level.parse::<tracing_subscriber::EnvFilter>().is_err() {
        section
            .problem("level", "must be error, warn, info, debug or trace, or a filter like info,hyper=debug");
    }
    Log { format, level }
}
