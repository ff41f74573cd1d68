//! The process: exit codes, signals, secrets, and its configuration while it runs.

use std::{
    process::{Command, Output},
    time::Duration,
};

use support::{Redis, Sidecar, stays_so, wait_for};

pub(crate) fn streamwarden(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(support::program())
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn config_file(config: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    file
}

#[test]
fn the_version_has_the_revision_and_the_features() {
    let version = text(&streamwarden(&["--version"], &[]).stdout);
    let head = concat!("streamwarden ", env!("CARGO_PKG_VERSION"), " (revision ");
    let revision =
        version.strip_prefix(head).and_then(|rest| rest.strip_suffix("; features: jemalloc, otlp)\n"));
    assert!(revision.is_some_and(|revision| !revision.is_empty()), "{version}");
}

#[test]
fn every_problem_of_a_configuration_is_reported_at_once_with_exit_code_2() {
    let file = config_file(
        "redis: {uri: 'redis://:s3cret@h:port'}\npoll: {intervall: 15s, interval: 15}\nhttp: {listen: here}\n\
         streams: [{match: 'a['}, {match: b, retention: {}}]\n",
    );
    let output = streamwarden(&["--config", file.path().to_str().unwrap()], &[("STREAMS_ENABLED", "maybe")]);
    assert_eq!(output.status.code(), Some(2));
    let problems = text(&output.stderr);
    let place = |line: u64, key: &str| format!("{}:{line}: {key}: ", file.path().display());
    for (key, hint) in [
        ("enabled (from STREAMS_ENABLED): ".to_owned(), "true or false"),
        (place(1, "redis.uri"), "redis://"),
        (place(2, "poll.intervall"), "did you mean interval?"),
        (place(2, "poll.interval"), "15s"),
        (place(3, "http.listen"), "0.0.0.0:19121"),
        (place(4, "streams[0].match"), "not a glob"),
        (place(4, "streams[1].retention.max_length"), "at least one limit"),
    ] {
        let line = problems.lines().find(|line| line.starts_with(&key));
        assert!(line.is_some_and(|line| line.contains(hint)), "{key}{hint} in:\n{problems}");
    }
    assert!(!problems.contains("s3cret"));
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_is_0() {
    // Its 2 is a critical stream.
    assert_eq!(streamwarden(&["status", "--no-such-flag"], &[]).status.code(), Some(3));
    assert_eq!(streamwarden(&["trim", "status", "--no-such-flag"], &[]).status.code(), Some(2));
    assert_eq!(streamwarden(&["--no-such-flag"], &[]).status.code(), Some(2));
    assert_eq!(streamwarden(&["no-such-command"], &[]).status.code(), Some(2));
    assert_eq!(streamwarden(&[], &[]).status.code(), Some(2), "no address of Redis");
    let missing = streamwarden(&["--config", "/no/such/file"], &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("/no/such/file"));
    let help = streamwarden(&["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("REDIS_URI"));
}

#[test]
fn a_flag_is_refused_where_it_has_no_effect_and_works_wherever_it_is_offered() {
    let environment = [("REDIS_URI", "redis://127.0.0.1:1")];
    for (arguments, code) in [
        (&["--listen", "127.0.0.1:1", "doctor"][..], 2),
        (&["doctor", "--listen", "127.0.0.1:1"], 2),
        (&["trim", "s", "--max-length", "1", "--poll-interval", "1s"], 2),
        (&["healthcheck", "--log-level", "debug"], 2),
        (&["status", "--url", "http://127.0.0.1:1", "--log-level", "debug"], 3),
        (&["status", "--url", "http://127.0.0.1:1", "--config", "/dev/null"], 3),
    ] {
        let refused = streamwarden(arguments, &environment);
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).starts_with("error: "), "{arguments:?}: {}", text(&refused.stderr));
    }
    let redis = Redis::start();
    redis.run::<()>("ACL SETUSER warden on >word ~* +@read -xinfo");
    let uri = redis.uri().replace("redis://", "redis://warden:word@");
    let log = |arguments: &[&str]| text(&streamwarden(arguments, &[("REDIS_URI", &uri)]).stderr);
    for arguments in [["doctor", "--log-level", "warn"], ["--log-level", "warn", "doctor"]] {
        assert!(log(&arguments).contains("WARN"), "{arguments:?}: {}", log(&arguments));
    }
    assert_eq!(log(&["doctor"]), "", "nothing is logged unasked");
    let status = streamwarden(&["status"], &environment);
    assert_eq!(text(&status.stderr).matches("error: ").count(), 1, "{}", text(&status.stderr));
    let probed = streamwarden(&["healthcheck", "--listen", "127.0.0.1:1"], &[]);
    assert!(text(&probed.stderr).contains("127.0.0.1:1"), "{}", text(&probed.stderr));
}

#[test]
fn output_that_cannot_be_written_is_exit_code_1() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(support::program())
        .arg("check-config")
        .env_clear()
        .env("REDIS_URI", "redis://h")
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: cannot write the output"), "{}", text(&output.stderr));
}

#[test]
fn check_config_prints_what_takes_effect_without_the_secret() {
    let file = config_file("streams: [{match: 'events:*', retention: {max_length: 5, max_age: 30d}}]");
    let arguments = ["check-config", "--config", file.path().to_str().unwrap(), "--poll-interval", "7s"];
    let output = streamwarden(&arguments, &[("REDIS_URI", "redis://user:s3cret@h")]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output.stdout);
    assert!(shown.contains("interval: 7s") && shown.contains("max_length: 5"), "{shown}");
    assert!(!shown.contains("s3cret"));

    // What it prints is a configuration again, but for the secret.
    let again = config_file(&shown.replace("<redacted>", "redis://user:s3cret@h"));
    let output = streamwarden(&["check-config", "--config", again.path().to_str().unwrap()], &[]);
    assert_eq!(text(&output.stdout), shown, "{}", text(&output.stderr));
}

#[test]
fn check_config_reads_the_certificates_too() {
    let certificates = config_file("no certificate");
    for (path, words) in [
        ("/no/such/ca.pem", "redis.tls.ca_file: cannot read /no/such/ca.pem"),
        (certificates.path().to_str().unwrap(), "redis.tls.ca_file"),
    ] {
        let file = config_file(&format!("redis: {{tls: {{ca_file: {path}}}}}"));
        let arguments = ["check-config", "--config", file.path().to_str().unwrap()];
        let output = streamwarden(&arguments, &[("REDIS_URI", "rediss://localhost")]);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}

#[test]
fn who_stops_reading_the_output_ends_nothing_in_a_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(support::program());
    let output = command.arg("check-config").env("REDIS_URI", "redis://h").stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_taken_port_is_exit_code_1_with_a_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = streamwarden(&["--listen", &address], &[("REDIS_URI", "redis://localhost")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("set http.listen"), "{}", text(&output.stderr));
}

#[test]
fn sigterm_and_sigint_end_it_with_exit_code_0() {
    let redis = Redis::start();
    for name in ["TERM", "INT"] {
        let mut sidecar = Sidecar::start(&redis);
        sidecar.next_poll();
        sidecar.signal(name);
        assert_eq!(sidecar.wait_for_exit().code(), Some(0), "SIG{name}");
        // The last lines may still be on their way.
        wait_for("the log to say so", || sidecar.log().contains("\"stopped\"").then_some(()));
    }
}

#[test]
fn signals_at_once_are_one() {
    let redis = Redis::start();
    let mut sidecar = Sidecar::start(&redis);
    sidecar.next_poll();
    let id = sidecar.id();
    let kill = format!("kill -TERM {id}; kill -INT {id}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    assert_eq!(sidecar.wait_for_exit().code(), Some(0));
    wait_for("the log to say so", || sidecar.log().contains("\"stopped\"").then_some(()));
    assert!(!sidecar.log().contains("stopped immediately"), "{}", sidecar.log());
}

#[test]
fn it_stops_while_redis_hangs_and_a_client_is_slow() {
    let redis = Redis::start();
    let mut sidecar = Sidecar::start(&redis);
    sidecar.next_poll();
    redis.pause();
    let _slow = std::net::TcpStream::connect(sidecar.address()).unwrap();
    // Connections are accepted in turn, so the slow one is there from the first answer on.
    stays_so(Duration::from_millis(300), "the sidecar is alive", || sidecar.get("/livez").status == 200);
    sidecar.signal("TERM");
    assert_eq!(sidecar.wait_for_exit().code(), Some(0));
    redis.resume();
}

#[test]
fn switched_off_it_serves_its_own_metrics_and_touches_no_redis() {
    let redis = Redis::start();
    redis.add("s", 1);
    let before: String = redis.run("INFO stats");
    let connections = |stats: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let sidecar = Sidecar::with_config(&redis.uri(), "enabled: false");
    let page = sidecar.scrape();
    assert_eq!(page.own("streamwarden_polls_total"), 0.0);
    assert_eq!(page.own("streamwarden_build_info"), 1.0);
    assert_eq!(sidecar.get("/readyz").status, 200);
    assert_eq!(sidecar.get("/livez").status, 200);
    // Each look is a connection of this test's own.
    let mut own = 0;
    stays_so(Duration::from_millis(500), "the sidecar does not connect", || {
        own += 1;
        connections(&redis.run::<String>("INFO stats")) - connections(&before) == own
    });
}

#[test]
fn a_changed_configuration_is_taken_up_and_a_bad_one_refused() {
    let redis = Redis::start();
    redis.add("a", 1);
    redis.add("b", 1);
    let sidecar = Sidecar::with_config(&redis.uri(), "streams: [{match: a}]");
    sidecar.wait("the first stream", |page| page.stream("length", "a") == Some(1.0));

    sidecar.configure("streams: [{match: b}]");
    sidecar.signal("HUP");
    let page = sidecar.wait("the other stream", |page| page.stream("length", "b") == Some(1.0));
    assert_eq!(page.stream("length", "a"), None);
    assert_eq!(page.own("streamwarden_config_last_reload_successful"), 1.0);

    sidecar.configure("streams: [{macht: c}]");
    sidecar.signal("HUP");
    let refused = |page: &support::Page| page.own("streamwarden_config_last_reload_successful") == 0.0;
    let page = sidecar.wait("the refusal", refused);
    assert_eq!(page.stream("length", "b"), Some(1.0), "the running configuration stays");
    assert!(sidecar.log().contains("did you mean match?"), "{}", sidecar.log());

    // Without a signal the file is looked at now and then.
    sidecar.configure("streams: [{match: a}]");
    let page = sidecar.wait("the fixed file", |page| page.stream("length", "a") == Some(1.0));
    assert_eq!(page.own("streamwarden_config_last_reload_successful"), 1.0);
}

#[test]
fn a_changed_configuration_is_polled_with_at_once_however_long_the_interval() {
    let redis = Redis::start();
    redis.add("a", 1);
    redis.add("b", 1);
    let config = |stream: &str, interval: &str| {
        format!("streams: [{{match: {stream}}}]\npoll: {{interval: {interval}, stale_after: 3h}}")
    };
    let sidecar = Sidecar::with_config(&redis.uri(), &config("a", "1h"));
    sidecar.wait("the first poll", |page| page.stream("length", "a") == Some(1.0));
    sidecar.configure(&config("b", "1h"));
    sidecar.signal("HUP");
    sidecar.wait("the other stream", |page| page.stream("length", "b") == Some(1.0));
    sidecar.configure(&config("b", "100ms"));
    sidecar.signal("HUP");
    sidecar.next_poll();
}

#[test]
fn what_needs_a_restart_is_shown_as_it_runs() {
    let redis = Redis::start();
    redis.add("a", 1);
    let sidecar = Sidecar::with_config(&redis.uri(), "streams: [{match: a}]");
    sidecar.wait("the first poll", |page| page.stream("length", "a") == Some(1.0));
    sidecar.configure("enabled: false\nlog: {level: debug}\nstreams: [{match: b}]");
    sidecar.signal("HUP");
    sidecar.wait("the other stream", |page| page.stream("present", "b") == Some(0.0));
    for key in ["enabled", "log.level"] {
        let warned = format!("\"key\":\"{key}\"");
        assert_eq!(sidecar.log().matches(&warned).count(), 1, "{key}: {}", sidecar.log());
    }
    assert!(sidecar.get("/api/v1/config").text().contains("\"enabled\":true"));
    assert_eq!(sidecar.get("/readyz").text(), "ok\n");
    sidecar.configure("streams: [{match: a}]");
    sidecar.signal("HUP");
    sidecar.wait("the first stream again", |page| page.stream("length", "a") == Some(1.0));
    assert_eq!(
        sidecar.log().matches("only at the next start").count(),
        2,
        "nothing is logged on the way back"
    );
}

#[test]
fn a_server_that_repeats_the_login_does_not_bring_the_password_to_light() {
    let password = "kXv7-canary-pQ2z";
    for (renamed, query) in [("AUTH", "?protocol=resp2"), ("HELLO", "?protocol=resp3"), ("HELLO", "")] {
        let redis = Redis::with_settings(&format!("rename-command {renamed} \"\""));
        let uri = format!("{}{query}", redis.uri());
        let environment =
            [("REDIS_URI", uri.as_str()), ("REDIS_USERNAME", "watcher"), ("REDIS_PASSWORD", password)];
        for command in
            [&["status"][..], &["doctor"], &["acl"], &["trim", "s", "--max-length", "1", "--dry-run"]]
        {
            let output = streamwarden(command, &environment);
            let printed = text(&output.stdout) + &text(&output.stderr);
            assert!(!printed.contains(password), "{renamed} {command:?}: {printed}");
            assert!(!printed.contains("with args beginning"), "{renamed} {command:?}: {printed}");
        }
    }
}

#[test]
fn a_level_that_would_silence_the_log_is_refused() {
    for level in ["WARNING", "inof", "x y", "info,hyper"] {
        let environment = [("REDIS_URI", "redis://h"), ("STREAMWARDEN_LOG_LEVEL", level)];
        let output = streamwarden(&["check-config"], &environment);
        assert_eq!(output.status.code(), Some(2), "{level}");
        assert!(text(&output.stderr).contains("must be error, warn, info, debug or trace"), "{output:?}");
    }
    for level in ["WARN", "off", "info,hyper=debug", "streamwarden=trace"] {
        let environment = [("REDIS_URI", "redis://h"), ("STREAMWARDEN_LOG_LEVEL", level)];
        assert_eq!(streamwarden(&["check-config"], &environment).status.code(), Some(0), "{level}");
    }
}

#[test]
fn the_password_shows_nowhere() {
    let password = "kXv7-canary-pQ2z";
    let redis = Redis::with_settings(&format!("requirepass {password}"));
    redis.add("s", 1);
    let sidecar = Sidecar::unready(&redis.uri(), "log: {level: trace}", &[]);
    wait_for("a poll", || sidecar.log().contains("watching 1 stream").then_some(()));
    redis.run::<u64>("CLIENT KILL TYPE normal");
    redis.run::<()>("CONFIG SET requirepass other");
    let admin = redis::Client::open(format!("redis://:other@127.0.0.1:{}", redis.port())).unwrap();
    let mut admin = admin.get_connection().unwrap();
    redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .arg("SKIPME")
        .arg("yes")
        .query::<u64>(&mut admin)
        .unwrap();
    wait_for("the failed login", || sidecar.log().contains("wrongpass").then_some(()));
    let command_line = support::read(format!("/proc/{}/cmdline", sidecar.id())).unwrap();
    assert!(!command_line.contains(password), "ps shows it");
    assert!(!sidecar.log().contains(password), "{}", sidecar.log());
}

#[test]
fn a_secret_in_the_wrong_place_shows_nowhere() {
    let address = "redis://user:s3cret@h";
    let check = ["check-config"];
    let file = |text: &str| config_file(text);
    let slips = [
        file("redis: {uri: 'redis://h', password:s3cret}"),
        file("redis: {redis://user:s3cret@h}"),
        file("redis://user:s3cret@h: x"),
        file("redis: {uri_file: 'redis://user:s3cret@h'}"),
    ];
    let of_files = slips.iter().map(|file| {
        let arguments = [&check[..], &["--config", file.path().to_str().unwrap()]].concat();
        streamwarden(&arguments, &[])
    });
    let of_variables = [
        streamwarden(&check, &[("REDIS_URI_FILE", address)]),
        streamwarden(&check, &[("REDIS_URI", "redis://h"), ("REDIS_PASSWORD_FILE", "s3cret")]),
        streamwarden(&["--redis-uri-file", address, "check-config"], &[]),
        streamwarden(&[address], &[]),
        streamwarden(&["redis://user:s3cret@http-cache"], &[]),
        streamwarden(&["status", address], &[("REDIS_URI", "redis://127.0.0.1:1")]),
    ];
    for (slip, output) in of_files.chain(of_variables).enumerate() {
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_ne!(output.status.code(), Some(0), "{slip}: {said}");
        assert!(!said.contains("s3cret") && !said.is_empty(), "{slip}: {said}");
    }
}

#[test]
fn certificates_without_encryption_are_refused() {
    let certificates = config_file("none");
    let file = config_file(&format!("redis: {{tls: {{ca_file: {}}}}}", certificates.path().display()));
    let arguments = ["check-config", "--config", file.path().to_str().unwrap()];
    let output = streamwarden(&arguments, &[("REDIS_URI", "redis://localhost")]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("redis.tls: is set, and the address is not rediss://"), "{said}");
}

#[test]
fn healthcheck_asks_the_sidecar_and_exits_by_its_answer() {
    let redis = Redis::start();
    let mut sidecar = Sidecar::start(&redis);
    let listen = sidecar.address().to_string();
    let check = |arguments: &[&str]| streamwarden(&[&["healthcheck"], arguments].concat(), &[]);
    sidecar.next_poll();
    // Whatever else is wrong: the sidecar runs on what it read before.
    let refused = config_file(&format!("{{http: {{listen: '{listen}'}}, poll: {{intervall: 5s}}}}"));
    let refused = refused.path().to_str().unwrap();
    for arguments in [["--listen", &listen], ["--config", refused]] {
        let asked = check(&arguments);
        assert_eq!(asked.status.code(), Some(0), "{arguments:?}: {}", text(&asked.stderr));
    }
    let by_variable = || streamwarden(&["healthcheck"], &[("STREAMWARDEN_LISTEN", &listen)]);
    assert_eq!(by_variable().status.code(), Some(0), "{}", text(&by_variable().stderr));
    let url = format!("http://{listen}/readyz");
    assert_eq!(check(&["--url", &url]).status.code(), Some(0));
    let lost = check(&["--url", &format!("http://{listen}/nothing")]);
    assert_eq!(lost.status.code(), Some(1));
    assert!(text(&lost.stderr).contains("404"), "{}", text(&lost.stderr));

    sidecar.signal("TERM");
    sidecar.wait_for_exit();
    let ended = by_variable();
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains(&listen), "{}", text(&ended.stderr));
    assert_eq!(check(&["--url", "there"]).status.code(), Some(2));
}
