//! How sources are put together, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::config::Cluster;

fn check(yaml: &str) -> Result<Config, Problems> {
    check_in(yaml, &[])
}

pub(crate) fn check_in(yaml: &str, environment: &[(&'static str, &str)]) -> Result<Config, Problems> {
    let environment = environment.iter().copied().collect();
    let families = vec!["streamwarden_group_lag", "streamwarden_stream_length"];
    Sources { environment, families, ..Sources::default() }.check(parse(yaml).unwrap())
}

/// The problems of a configuration that is fine but for these lines.
fn problems(yaml: &str) -> String {
    check(&format!("redis: {{uri: 'redis://h'}}\n{yaml}")).unwrap_err().to_string()
}

#[test]
fn an_address_is_enough() {
    let config = check_in("", &[("REDIS_URI", "redis://localhost")]).unwrap();
    assert!(config.enabled && config.streams.is_empty() && config.needs_discovery());
    assert_eq!(config.poll.interval.as_secs(), 15);
    assert_eq!(config.poll.stale_after.as_secs(), 60);
    assert_eq!(config.http.listen.port(), 19121);
    assert_eq!(config.redis.access.address().unwrap().to_string(), "localhost:6379");
}

#[test]
fn where_each_command_is_billed_what_is_not_set_is_done_more_seldom() {
    let seconds = |yaml: &str| {
        let Config { redis, poll, retention, status, .. } = check(yaml).unwrap();
        let poll = [poll.interval, poll.discovery_interval, poll.stale_after, status.window];
        let seconds = poll.into_iter().chain([retention.lease_ttl]).map(|duration| duration.as_secs());
        (redis.billed_by_command, seconds.collect::<Vec<u64>>(), redis.lookups_a_month)
    };
    let seldom = (true, vec![60, 3_600, 240, 600, 1_800], Some(100_000));
    let often = (false, vec![15, 60, 60, 300, 60], None);
    for (yaml, expected) in [
        ("redis: {uri: 'rediss://x.upstash.io'}", &seldom),
        ("redis: {uri: 'rediss://x.upstash.io', billed_by_command: auto}", &seldom),
        ("redis: {uri: 'redis://h', billed_by_command: true}", &seldom),
        ("redis: {uri: 'rediss://x.upstash.io', billed_by_command: false}", &often),
        ("redis: {uri: 'redis://h'}", &often),
    ] {
        assert_eq!(seconds(yaml), *expected, "{yaml}");
    }
    let set = "redis: {uri: 'redis://h', billed_by_command: true, lookups_a_month: 0}\n\
               poll: {interval: 10s, discovery_interval: 2m}\nretention: {lease_ttl: 3m}";
    assert_eq!(seconds(set), (true, vec![10, 120, 60, 300, 180], Some(0)));
    let wrong = check("redis: {uri: 'redis://h', billed_by_command: maybe}").unwrap_err().to_string();
    assert!(wrong.starts_with("redis.billed_by_command: must be one of: auto, true, false"), "{wrong}");
}

#[test]
fn without_an_address_only_a_switched_off_sidecar_starts() {
    let problem = check("").unwrap_err().to_string();
    assert!(problem.starts_with("redis.uri: is missing; set it,"), "{problem}");
    assert!(check_in("", &[("STREAMS_ENABLED", "false")]).is_ok());
    for (word, is_on) in
        [("yes", true), ("On", true), ("1", true), ("no", false), ("OFF", false), ("0", false)]
    {
        let config = check_in("redis: {uri: redis://h}", &[("STREAMS_ENABLED", word)]);
        assert_eq!(config.unwrap().enabled, is_on, "{word}");
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let mut sources = Sources {
        environment: [("STREAMWARDEN_LISTEN", "127.0.0.1:2"), ("STREAMWARDEN_POLL_INTERVAL", "2s")]
            .into_iter()
            .collect(),
        ..Sources::default()
    };
    sources.overrides.set("--poll-interval", "poll.interval", "3s".to_owned());
    let yaml = "redis: {uri: 'redis://h'}\nhttp: {listen: '127.0.0.1:1'}\npoll: {interval: 1s}";
    let config = sources.check(parse(yaml).unwrap()).unwrap();
    assert_eq!(config.http.listen.port(), 2);
    assert_eq!(config.poll.interval.as_secs(), 3);
}

#[test]
fn an_address_from_the_environment_replaces_a_file_of_one() {
    let config = check_in("redis: {uri_file: /no/such/file}", &[("REDIS_URI", "redis://h")]).unwrap();
    assert_eq!(config.redis.access.address().unwrap().to_string(), "h:6379");
}

#[test]
fn a_problem_says_which_source_the_value_came_from() {
    let problem = check_in("", &[("REDIS_URI", "http://h")]).unwrap_err().to_string();
    assert!(
        problem.starts_with("redis.uri (from REDIS_URI): begins with http://; write redis://"),
        "{problem}"
    );
}

#[test]
fn each_wrong_value_is_reported_with_its_place_and_a_fix() {
    for (yaml, problem) in [
        ("pol: {}", "pol: unknown key; did you mean poll?"),
        ("poll: {zzz: 1}", "poll.zzz: unknown key; known here: interval, discovery_interval, stale_after"),
        ("poll: 5", "poll: must be a map of keys and values"),
        (
            "poll: {interval: 5}",
            "poll.interval: must be a duration from 100ms to 1day, as in 15s, 5m or 1h30m",
        ),
        ("poll: {interval: -5s}", "poll.interval: must be a duration from 100ms to 1day"),
        ("poll: {interval: 999999999999999999999s}", "poll.interval: must be a duration from"),
        ("poll: {stale_after: 1s}", "poll.stale_after: must be at least twice the interval, 30s"),
        ("exposition: {states: some}", "exposition.states: must be one of: all, current"),
        (
            "exposition: {exclude: [streamwarden_group_lags]}",
            "exposition.exclude: has an unknown name, streamwarden_group_lags; did you mean streamwarden_group_lag?",
        ),
        ("exposition: {exclude: ['x y']}", "exposition.exclude: has an invalid name"),
        ("streams: {match: a}", "streams: must be a list"),
        ("streams: [{}]", "streams[0].match: is missing"),
        ("streams: [{match: 5}]", "streams[0].match: must be text; put it in quotes"),
        ("streams: [{match: ''}]", "streams[0].match: must not be empty"),
        ("streams: [{match: a}, {match: a}]", "streams[1].match: duplicate `match`; only the first applies"),
        ("streams: [{match: a, groups: g}]", "streams[0].groups: must be a list"),
        (
            "streams: [{match: a, thresholds: {lag: 0}}]",
            "streams[0].thresholds.lag: must be a whole number from 1",
        ),
        (
            "streams: [{match: a, retention: {max_length: -1}}]",
            "streams[0].retention.max_length: must be a whole",
        ),
        (
            "streams: [{match: a, retention: {max_length: 10, ceiling: 10}}]",
            "streams[0].retention.ceiling: must be above max_length",
        ),
        (
            "streams: [{match: a, retention: {max_length: 10, ceiling: 20, mode: strict}}]",
            "streams[0].retention.ceiling: only applies in `safe` mode; remove it",
        ),
        ("retention: {step: 10}", "retention.step: must be a whole number from 1000"),
        (
            "streams: [{match: a, retention: {max_length: 1, mode: sfe}}]",
            "streams[0].retention.mode: must be one of: safe",
        ),
        ("enabled: yes", "enabled: must be true or false"),
        ("log: {format: xml}", "log.format: must be one of: auto, text, json"),
        ("log: {level: 'a=b=c'}", "log.level: must be error, warn, info, debug or trace"),
        ("http: {listen: localhost}", "http.listen: must be an IP address and a port"),
        ("limits: {streams: 1.5}", "limits.streams: must be a whole number"),
    ] {
        let actual = problems(yaml);
        assert!(actual.starts_with(problem), "{yaml}: {actual}");
        assert_eq!(actual.lines().count().max(1), if actual.contains('\n') { 2 } else { 1 }, "{actual}");
    }
}

#[test]
fn an_objective_that_is_impossible_or_too_fine_is_refused_with_a_fix() {
    for (yaml, problem) in [
        ("streams: [{match: a, slo: {}}]", "streams[0].slo.delivery: is missing, and so is handled"),
        (
            "streams: [{match: a, slo: {delivery: 100ms}}]",
            "streams[0].slo.delivery: must be at least latency.tick, 250ms",
        ),
        (
            "latency: {tick: 2s}\nstreams: [{match: a}, {match: b, slo: {handled: 1s}}]",
            "streams[1].slo.handled: must be at least latency.tick, 2s",
        ),
        (
            "streams: [{match: a, slo: {delivery: 5s, handled: 2s}}]",
            "streams[0].slo.handled: is less than delivery",
        ),
        (
            "streams: [{match: a, slo: {handled: 1s, target: 100%}}]",
            "streams[0].slo.target: must be a percentage from 50% to 99.9999%, as in 99% or 99.9%",
        ),
        (
            "streams: [{match: a, slo: {handled: 2h}}]",
            "streams[0].slo.handled: must be a duration from 50ms to 1h",
        ),
        ("latency: {tick: 1ms}", "latency.tick: must be a duration from 50ms to 10s"),
    ] {
        let actual = problems(yaml);
        assert!(actual.starts_with(problem), "{yaml}: {actual}");
        assert_eq!(actual.lines().count(), 1, "{actual}");
    }
}

#[test]
fn memory_is_only_estimated_and_where_commands_are_billed_the_interval_of_asking_must_be_given() {
    let of = |yaml: &str| check(yaml).map(|config| (config.memory.enabled, config.memory.interval.as_secs()));
    assert_eq!(of("redis: {uri: 'redis://h'}").unwrap(), (false, 300));
    let billed = "redis: {uri: 'redis://h', billed_by_command: true}\nmemory:";
    assert_eq!(of(&format!("{billed} {{enabled: true, interval: 1h}}")).unwrap(), (true, 3_600));
    assert_eq!(of(&format!("{billed} {{growth_after: 1m}}")).unwrap(), (false, 300));
    let billed = check(&format!("{billed} {{enabled: true}}")).unwrap_err().to_string();
    assert!(billed.starts_with("memory.interval: is missing: each command"), "{billed}");
    let actual = problems("memory: {samples: 0}");
    assert!(actual.starts_with("memory.samples: must be") && actual.lines().count() == 1, "{actual}");
}

#[test]
fn a_probe_is_off_and_where_commands_are_billed_its_interval_must_be_given() {
    let of = |yaml: &str| check(yaml).map(|config| (config.probe.enabled, config.probe.interval.as_secs()));
    assert_eq!(of("redis: {uri: 'redis://h'}").unwrap(), (false, 15));
    let billed = "redis: {uri: 'redis://h', billed_by_command: true}\nprobe:";
    assert_eq!(of(&format!("{billed} {{enabled: true, interval: 5m}}")).unwrap(), (true, 300));
    assert_eq!(of(&format!("{billed} {{interval: 5m}}")).unwrap(), (false, 300));
    let billed = check(&format!("{billed} {{enabled: true}}")).unwrap_err().to_string();
    assert!(billed.starts_with("probe.interval: is missing: each command"), "{billed}");
    for (yaml, problem) in [
        ("probe: {enabled: true, interval: 10ms}", "probe.interval: must be a duration from 1s to 1h"),
        (
            "streams: [{match: a, dead_letter: {after_deliveries: 5, idle: 1m, to: 'streamwarden:probe:x'}}]",
            "streams[0].dead_letter.to: must not be streamwarden:probe:x",
        ),
    ] {
        let actual = problems(yaml);
        assert!(actual.starts_with(problem), "{yaml}: {actual}");
        assert_eq!(actual.lines().count(), 1, "{actual}");
    }
}

#[test]
fn nodes_of_a_cluster_are_addresses_and_have_an_effect_or_are_refused() {
    let check = |address: &str, keys: &str| check(&format!("redis: {{uri: '{address}', {keys}}}"));
    let keys = "nodes: [a:1, '[::1]:2', 10.0.0.5:3], cluster_address_map: {10.0.0.5:3: B:7001, c:1: b:7001}";
    let redis = check("redis://a", keys).unwrap().redis;
    assert_eq!((redis.cluster, redis.nodes.len()), (Cluster::Auto, 3));
    let used = redis.cluster_address_map.get(&"10.0.0.5:3".parse().unwrap()).unwrap();
    assert_eq!(used.to_string(), "b:7001");
    assert_eq!(check("redis://a", "cluster: off").unwrap().redis.cluster, Cluster::Off);
    for (address, keys, problem) in [
        ("redis://a", "nodes: a:1", "redis.nodes: must be a list of addresses, as in [redis-1"),
        (
            "redis://a",
            "nodes: [a:1, b]",
            "redis.nodes: number 2 has no port from 1 to 65535; write host:port",
        ),
        ("redis://a", "nodes: [6379]", "redis.nodes: number 1 must be text; put it in quotes"),
        ("redis://a", "nodes: [a:1, A:1]", "redis.nodes: number 2 repeats an address; remove it"),
        ("redis://a", "nodes: ['redis://u:s3cret@b:1']", "redis.nodes: number 1 is not host:port"),
        ("redis://a", "nodes: [::1:6379]", "redis.nodes: number 1 is not an IPv6 address in brackets"),
        ("redis://a", "nodes: [b:1], cluster: off", "redis.nodes: has no effect with redis.cluster: off"),
        ("unix:///s", "nodes: [b:1]", "redis.nodes: is set, and the address is a Unix socket"),
        (
            "unix:///s",
            "read_from: replica-preferred",
            "redis.read_from: is replica-preferred, and the address is a Unix",
        ),
        ("redis+sentinel://a/m", "nodes: [b:1]", "redis.nodes: is set, and the address names Sentinels"),
        ("redis://a", "cluster: on", "redis.cluster: must be one of: auto, off"),
        ("redis://a", "cluster_address_map: [a:1]", "redis.cluster_address_map: must be a map of addresses"),
        (
            "redis://a",
            "cluster_address_map: {a: b:1}",
            "redis.cluster_address_map: an address on the left has no port",
        ),
        (
            "redis://a",
            "cluster_address_map: {a:1: 'u:s3cret@b'}",
            "redis.cluster_address_map: the address for a:1 ",
        ),
        (
            "redis://a",
            "cluster_address_map: {a:1: b:1, A:1: c:1}",
            "redis.cluster_address_map: a:1 stands on the left twice",
        ),
        (
            "redis://a",
            "cluster_address_map: {a:1: b:1}, cluster: off",
            "redis.cluster_address_map: has no effect with redis.cluster: off",
        ),
    ] {
        let actual = check(address, keys).unwrap_err().to_string();
        assert!(actual.starts_with(problem), "{keys}: {actual}");
        assert!(!actual.contains("s3cret") && actual.lines().count() == 1, "{actual}");
    }
}

#[test]
fn what_is_shown_of_a_clusters_nodes_is_read_again() {
    let text =
        "redis:\n  uri: redis://a\n  nodes: [b:1]\n  cluster_address_map: {\"10.0.0.5:3\": \"b:7001\"}\n";
    let config = check(text).unwrap();
    let shown = config.to_string().replace(&format!("\"{}\"", crate::config::access::REDACTED), "redis://a");
    let again = check(&shown).unwrap().redis;
    assert_eq!(
        (&again.nodes, &again.cluster_address_map),
        (&config.redis.nodes, &config.redis.cluster_address_map)
    );
}

#[test]
fn the_default_of_each_key_with_a_variable_can_be_given_by_it() {
    for key in keys() {
        let (Some(variable), Some(default)) = (key.about.variable, &key.default) else { continue };
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        let variables = [("REDIS_URI", "redis://h"), (variable, default.as_str())];
        assert!(check_in("", &variables).is_ok(), "{variable}={default}");
    }
}

#[test]
fn what_is_not_yaml_is_refused_in_words_for_users() {
    for (text, words) in [("a: 1\na: 2", "duplicate mapping key"), ("a: 1\n---\nb: 2", "multiple found")] {
        let error = parse(text).unwrap_err();
        assert!(
            error.contains(words) && !error.contains("Options") && !error.contains("from_str"),
            "{error}"
        );
    }
}

#[test]
fn all_problems_are_reported_together() {
    let actual = problems("poll: {interval: 5, x: 1}\nlog: {format: xml}\nnothing: 1");
    assert_eq!(actual.lines().count(), 4, "{actual}");
}

#[test]
fn tls_files_must_be_readable_and_complete() {
    let actual =
        check("redis: {uri: 'rediss://h', tls: {ca_file: /no/such, cert_file: /no/such, server_name: a/b}}")
            .unwrap_err()
            .to_string();
    for problem in [
        "redis.tls.ca_file: cannot read /no/such: ",
        "redis.tls.cert_file: cannot read /no/such: ",
        "redis.tls.key_file: is missing",
        "redis.tls.server_name: must be a host's name or an IP address",
    ] {
        assert!(actual.contains(problem), "{actual}");
    }
}

#[test]
fn a_syntax_error_never_shows_the_line() {
    for yaml in [
        "redis: {uri: 'redis://:s3cret@h",
        "redis:\n  uri: redis://:s3cret@h\n bad",
        "a: &x [*x]\ns3cret: 1: 2",
    ] {
        let error = parse(yaml).unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
        assert!(error.contains("line"), "{error}");
    }
}

#[test]
fn hostile_yaml_is_refused_in_time() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]";
    assert!(parse(bomb).is_err());
    assert!(parse(&"[".repeat(100_000)).is_err());
    assert!(parse("a: 1\na: 2").is_err());
}

#[test]
fn a_byte_order_mark_and_an_empty_file_are_fine() {
    assert!(check("\u{FEFF}redis: {uri: 'redis://h'}").is_ok());
    assert_eq!(parse("# nothing\n").unwrap(), Value::Null);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        if let Ok(tree) = parse(&text) {
            prop_assert!(Sources::default().check(tree).is_err());
        }
    }

    #[test]
    fn no_value_makes_it_panic(value in "[-0-9a-z.: ]{0,30}") {
        for yaml in [format!("poll: {{interval: '{value}'}}"), format!("limits: {{series: {value}}}")] {
            if let Ok(tree) = parse(&yaml) {
                prop_assert!(Sources::default().check(tree).is_err());
            }
        }
    }
}

#[test]
fn each_problem_of_a_file_has_its_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let yaml = "# comment\npoll:\n  interval: 5\n  nothing: 1\nstreams:\n  - match: a\n    groups:\n      - 1\n  - {match: a,\n     retention: {}}\n";
    std::fs::write(file.path(), yaml).unwrap();
    let environment = [("REDIS_URI", "http://h")].into_iter().collect();
    let sources = Sources { file: Some(file.path().to_owned()), environment, ..Sources::default() };
    let problems = sources.load().unwrap_err().to_string();
    let path = file.path().display().to_string();
    let actual: Vec<String> = problems.lines().map(|line| line.replace(&path, "F")).collect();
    let expected = [
        "redis.uri (from REDIS_URI): begins with",
        "F:3: poll.interval: must be a duration",
        "F:4: poll.nothing: unknown key",
        "F:7: streams[0].groups: must be text",
        "F:10: streams[1].retention.max_length: is missing",
        "F:9: streams[1].match: duplicate",
    ];
    assert_eq!(actual.len(), expected.len(), "{problems}");
    for (actual, expected) in actual.iter().zip(expected) {
        assert!(actual.starts_with(expected), "{actual}: {expected}");
    }
}

#[test]
fn a_webhook_is_one_address_in_a_file_and_no_error_shows_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let check = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().display();
        check(&format!(
            "redis: {{uri: 'redis://h'}}\npoll: {{interval: 5}}\nnotify: {{webhook_file: {path}}}"
        ))
    };
    for (text, is_accepted) in [
        ("https://hooks.example/t0ken?k=t0ken\n", true),
        ("  http://[::1]:8080\n\n", true),
        ("", false),
        ("t0ken", false),
        ("hooks.example/t0ken", false),
        ("ftp://hooks.example/t0ken", false),
        ("https://t0ken@hooks.example/", false),
        ("https://u:t0ken@hooks.example/", false),
        ("https://hooks.example/#t0ken", false),
        ("https://hooks.example/t0ken\nhttps://hooks.example/t0ken", false),
    ] {
        // The other problem is reported too.
        let problems = check(text).unwrap_err().to_string();
        let expected = if is_accepted { 1 } else { 2 };
        assert_eq!(problems.lines().count(), expected, "{text}: {problems}");
        assert!(is_accepted || problems.contains("notify.webhook_file: holds no address"), "{problems}");
        assert!(!problems.contains("t0ken"), "{problems}");
    }
    // In place of the file's name.
    let problems = problems("notify: {webhook_file: 'https://hooks.example/t0ken'}");
    assert!(
        problems.starts_with("notify.webhook_file: cannot read the file of this name, which is not shown")
    );
    assert!(!problems.contains("t0ken"), "{problems}");
}

#[test]
fn the_key_of_the_lease_is_no_stream_of_the_configuration() {
    let actual = problems("retention: {lease_key: orders}\nstreams: [{match: orders}]");
    assert!(actual.contains("retention.lease_key: must not be a stream of the configuration"), "{actual}");
    assert!(
        check("redis: {uri: 'redis://h'}\nretention: {lease_key: orders}\nstreams: [{match: 'orders:*'}]")
            .is_ok()
    );
}
