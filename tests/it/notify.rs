//! The webhook: each change of a status arrives, once, or says that it is sent again.

mod receiver;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value as Json, json};

use crate::{
    process::{config_file, streamwarden, text},
    tls,
    traces::collector,
};
use receiver::{Answer, Receiver, has_client};
use support::{Need, Redis, Sidecar, free_port, stays_so, wait_for, write};

/// A status settles within 100 ms.
const QUICK: &str = "status: {window: 400ms}\nstreams: [{match: 'events:s', groups: [g]}]\n";

/// The file with this address, in the folder.
fn address_file(folder: &Path, address: &str) -> PathBuf {
    let file = folder.join("webhook");
    write(&file, &format!("{address}\n"));
    file
}

fn config(file: &Path) -> String {
    format!("notify: {{webhook_file: {}}}\n{QUICK}", file.display())
}

/// A sidecar that sends to this port, once it knows that everything is fine.
fn sidecar(redis: &Redis, folder: &Path, port: u16, more: &str) -> Sidecar {
    redis.run::<()>("XGROUP CREATE events:s g 0 MKSTREAM");
    let file = address_file(folder, &format!("http://127.0.0.1:{port}/hook?key=t0ken"));
    let sidecar = Sidecar::with_config(&redis.uri(), &format!("{}{more}", config(&file)));
    is(&sidecar, "healthy");
    sidecar
}

/// Waits until the stream has this health.
#[track_caller]
fn is(sidecar: &Sidecar, health: &str) {
    wait_for(health, || {
        let streams = serde_json::from_slice::<Json>(&sidecar.get("/api/v1/streams").body).ok()?;
        (streams["streams"][0]["health"] == health).then_some(())
    });
}

/// Takes the group away, or gives it back.
fn make(redis: &Redis, sidecar: &Sidecar, health: &str) {
    match health {
        "critical" => drop(redis.run::<u64>("XGROUP DESTROY events:s g")),
        _ => redis.run::<()>("XGROUP CREATE events:s g 0"),
    }
    is(sidecar, health);
}

/// Waits until so many changes had this outcome, and no other waits.
#[track_caller]
fn count(sidecar: &Sidecar, outcome: &str, changes: f64) {
    sidecar.wait(outcome, |page| {
        let counted = page.get("streamwarden_notifications_total", &[("outcome", outcome)]);
        counted == Some(changes) && page.own("streamwarden_waiting_notifications") == 0.0
    });
}

#[test]
fn a_stream_that_turns_red_and_green_is_two_requests_in_order() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let receiver = Receiver::start(0, &[], None);
    let more = "http: {external_url: 'https://page.example'}\nname: orders";
    let sidecar = sidecar(&redis, folder.path(), receiver.port(), more);
    make(&redis, &sidecar, "critical");
    receiver.wait(1);
    // After a restart what is wrong is sent again.
    let other = Sidecar::with_config(&redis.uri(), &config(&folder.path().join("webhook")));
    receiver.wait(2);
    drop(other);
    make(&redis, &sidecar, "healthy");
    let requests = receiver.wait(3);
    let [red, again, green] = requests.as_slice() else { panic!("{requests:?}") };

    assert!(red.head.starts_with("POST /hook?key=t0ken HTTP/1.1\r\n"), "{}", red.head);
    for header in [&format!("host: 127.0.0.1:{}", receiver.port()), "content-type: application/json"] {
        assert!(red.head.contains(&format!("{header}\r\n")), "{}", red.head);
    }
    let expected = json!({
        "schema_version": 1, "id": red.body["id"], "attempt": 1, "dropped": 0,
        "sidecar": support::read("/proc/sys/kernel/hostname").unwrap().trim(),
        "time_unix_ms": red.body["time_unix_ms"], "redis": "orders", "database": "db0",
        "page_url": "https://page.example/#stream=events%3As",
        "kind": "stream", "stream": "events:s", "stream_key": "events%3As",
        "from": "healthy", "to": "critical", "reason": red.body["reason"],
        "cause": {"kind": "group", "group": "g", "others": 0},
        "groups": [{
            "name": "g", "key": "g", "from": "ok", "to": "missing",
            "reason": red.body["groups"][0]["reason"], "cause": red.body["groups"][0]["cause"],
        }],
        "unlisted_groups": 0,
    });
    assert_eq!(red.body, expected);
    assert_eq!(red.body["groups"][0]["cause"]["kind"], "missing");
    assert!(red.body["reason"].as_str().unwrap().starts_with("g is missing: "), "{}", red.body);
    assert!(green.body["time_unix_ms"].as_u64() > red.body["time_unix_ms"].as_u64());

    let statuses =
        |body: &Json| ["from", "to"].map(|key| [body[key].clone(), body["groups"][0][key].clone()]);
    let [from, to] = statuses(&again.body);
    assert_eq!((from, to), ([Json::Null, Json::Null], ["critical".into(), "missing".into()]));
    let [from, to] = statuses(&green.body);
    assert_eq!((from, to), (["critical".into(), "missing".into()], ["healthy".into(), "ok".into()]));
    let ids = [red, again, green].map(|request| request.id().to_owned());
    assert!(ids[0].ends_with("-1") && ids[1].ends_with("-1") && ids[2].ends_with("-2"), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
    count(&sidecar, "sent", 2.0);
    assert_eq!(receiver.received().len(), 3);
}

#[test]
fn a_group_that_blocks_retention_is_sent_at_once() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    if !redis.meets(Need::SAFE_TRIMS) {
        return;
    }
    let receiver = Receiver::start(0, &[], None);
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 1_000);
    let file = address_file(folder.path(), &format!("http://127.0.0.1:{}/hook", receiver.port()));
    let config = format!(
        "notify: {{webhook_file: {}}}\nstreams: [{{match: s, retention: {{max_length: 500}}}}]",
        file.display()
    );
    let _sidecar = Sidecar::with_config(&redis.uri(), &config);
    let body = receiver.wait(1)[0].body.clone();
    let reason =
        "its length is 1,000, over its limit of 500: group g has not acknowledged the oldest entries";
    assert_eq!((&body["to"], &body["reason"]), (&"warning".into(), &reason.into()), "{body}");
}

#[test]
fn through_an_outage_of_the_receiver_nothing_is_lost_or_repeated_without_a_word() {
    let (redis, folder, port) = (Redis::start(), tempfile::tempdir().unwrap(), free_port());
    let sidecar = sidecar(&redis, folder.path(), port, "");
    for health in ["critical", "healthy", "critical", "healthy"] {
        make(&redis, &sidecar, health);
    }
    sidecar.wait("four changes", |page| page.own("streamwarden_waiting_notifications") == 4.0);
    wait_for("a line about the receiver", || sidecar.log().contains("\"refused\"").then_some(()));
    // First nobody listened. Then it breaks, sends elsewhere and hangs.
    let answers = [Answer::Status(500), Answer::Status(302), Answer::Never];
    let receiver = Receiver::start(port, &answers, None);
    let requests = receiver.wait(7);

    let ids: Vec<&str> = requests.iter().map(receiver::Request::id).collect();
    assert!(ids[..4].iter().all(|id| *id == ids[0]), "{ids:?}");
    let first = requests[0].attempt();
    assert!(first > 1, "the attempts before were counted, too");
    let attempts: Vec<u64> = requests.iter().map(receiver::Request::attempt).collect();
    assert_eq!(attempts, [first, first + 1, first + 2, first + 3, 1, 1, 1]);
    let to: Vec<&str> = requests[3..].iter().map(|request| request.body["to"].as_str().unwrap()).collect();
    assert_eq!(to, ["critical", "healthy", "critical", "healthy"], "in the order in which they happened");
    assert!(requests.iter().all(|request| request.body["dropped"] == 0));
    assert_eq!(receiver.received().len(), 7);
    for (outcome, changes) in [("sent", 4.0), ("refused", 0.0), ("dropped", 0.0)] {
        count(&sidecar, outcome, changes);
    }
    let log = wait_for("a line about its return", || {
        Some(sidecar.log()).filter(|log| log.contains("takes changes again"))
    });
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("took no change")).collect();
    assert_eq!(lines.len(), 4, "one for each reason, however often it is tried: {lines:?}");
}

#[test]
fn a_change_that_its_receiver_calls_invalid_is_given_up_and_the_next_one_arrives() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let receiver = Receiver::start(0, &[Answer::Status(422)], None);
    let sidecar = sidecar(&redis, folder.path(), receiver.port(), "");
    make(&redis, &sidecar, "critical");
    make(&redis, &sidecar, "healthy");
    let requests = receiver.wait(2);
    assert_eq!((requests[1].attempt(), &requests[1].body["to"]), (1, &json!("healthy")));
    count(&sidecar, "sent", 1.0);
    count(&sidecar, "refused", 1.0);
    let log = sidecar.log();
    assert!(log.contains("it answered 422"), "{log}");
    let given_up = log.lines().find(|line| line.contains("it is not sent again")).unwrap();
    assert!(given_up.contains(requests[0].id()), "{given_up}");
}

#[test]
fn redis_that_goes_away_is_one_change_and_its_return_another() {
    let (mut redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let receiver = Receiver::start(0, &[], None);
    let sidecar = sidecar(&redis, folder.path(), receiver.port(), "http: {external_url: 'https://p'}");
    redis.kill();
    let down = receiver.wait(1)[0].body.clone();
    redis.restart();
    let up = receiver.wait(2)[1].body.clone();
    let fields = |body: &Json| ["kind", "from", "to", "failure", "page_url"].map(|key| body[key].clone());
    let page = json!("https://p/");
    assert_eq!(fields(&down), [json!("redis"), json!("up"), json!("down"), json!("refused"), page.clone()]);
    assert_eq!(fields(&up), [json!("redis"), json!("down"), json!("up"), Json::Null, page]);
    let reason = down["reason"].as_str().unwrap();
    assert!(reason.starts_with("last read 2s ago: refused"), "{reason}");
    assert_eq!(down["redis"], json!(format!("127.0.0.1:{}/0", redis.port())));
    drop(sidecar);
}

#[test]
fn the_address_is_read_for_each_request_and_shown_nowhere() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let answers = [Answer::Status(401), Answer::Status(404)];
    let receiver = Receiver::start(0, &answers, None);
    let mut sidecar = sidecar(&redis, folder.path(), receiver.port(), "");
    make(&redis, &sidecar, "critical");
    receiver.wait(1);
    // A file that cannot be used is reported, and its repair needs no restart.
    address_file(folder.path(), "t0ken");
    wait_for("a line about the file", || sidecar.log().contains("holds no address").then_some(()));
    // A host without an address.
    address_file(folder.path(), "https://t0ken.invalid/t0ken");
    wait_for("a line about the host", || sidecar.log().contains("\"dns\"").then_some(()));
    address_file(folder.path(), &format!("http://127.0.0.1:{}/t0ken/other", receiver.port()));
    let requests = receiver.wait(2);
    assert!(requests[1].head.starts_with("POST /t0ken/other HTTP/1.1\r\n"), "{}", requests[1].head);
    assert_eq!(requests[0].id(), requests[1].id());
    for path in ["/metrics", "/api/v1/config", "/api/v1/streams", "/"] {
        assert!(!sidecar.get(path).text().contains("t0ken"), "{path}");
    }
    make(&redis, &sidecar, "healthy");
    sidecar.signal("TERM");
    assert!(sidecar.wait_for_exit().success());
    let log = wait_for("a line about what is unsent", || {
        Some(sidecar.log()).filter(|log| log.contains("has not taken") || log.contains("\"stopped\""))
    });
    assert!(!log.contains("t0ken"), "{log}");
}

#[test]
fn what_is_unsent_at_the_end_is_logged() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let mut sidecar = sidecar(&redis, folder.path(), free_port(), "");
    make(&redis, &sidecar, "critical");
    make(&redis, &sidecar, "healthy");
    sidecar.wait("two changes", |page| page.own("streamwarden_waiting_notifications") == 2.0);
    sidecar.signal("TERM");
    assert!(sidecar.wait_for_exit().success());
    wait_for("their number", || sidecar.log().contains("\"unsent\":2").then_some(()));
}

#[test]
fn https_needs_a_certificate_of_an_authority_of_the_system() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    tls::certificates(folder.path(), "localhost");
    let acceptor = collector::acceptor(folder.path(), "http/protobuf");
    let receiver = Receiver::start(0, &[], Some(acceptor.config().clone()));
    // It is missing, which is sent at once.
    let file = address_file(folder.path(), &format!("https://localhost:{}/t0ken", receiver.port()));
    let authorities = folder.path().join("ca.pem");
    let trusting = [("SSL_CERT_FILE", authorities.to_str().unwrap())];
    let sidecar = Sidecar::in_environment(&redis.uri(), &config(&file), &trusting);
    assert_eq!(receiver.wait(1)[0].body["to"], "critical");
    // The certificate is not for this name.
    address_file(folder.path(), &format!("https://127.0.0.1:{}/t0ken", receiver.port()));
    redis.run::<()>("XGROUP CREATE events:s g 0 MKSTREAM");
    let log = wait_for("a line about the name", || {
        Some(sidecar.log()).filter(|log| log.contains("its certificate is for another host"))
    });
    let port = format!(":{}", receiver.port());
    assert!(!log.contains("localhost") && !log.contains(&port) && !log.contains("t0ken"), "{log}");
    drop(sidecar);
    redis.run::<()>("DEL events:s");

    let file = address_file(folder.path(), &format!("https://localhost:{}/t0ken", receiver.port()));
    let others = tempfile::tempdir().unwrap();
    tls::certificates(others.path(), "localhost");
    let authorities = others.path().join("ca.pem");
    let distrusting = [("SSL_CERT_FILE", authorities.to_str().unwrap())];
    let sidecar = Sidecar::in_environment(&redis.uri(), &config(&file), &distrusting);
    let log = wait_for("a line about the certificate", || {
        Some(sidecar.log()).filter(|log| log.contains("\"reason\":\"tls\""))
    });
    assert!(!log.contains("localhost") && !log.contains("t0ken"), "{log}");
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn switched_off_or_without_the_key_nobody_is_connected_to() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let file = address_file(folder.path(), &address);
    // The group is missing.
    let sidecar = Sidecar::with_config(&redis.uri(), &format!("enabled: false\n{}", config(&file)));
    let without = Sidecar::with_config(&redis.uri(), QUICK);
    is(&without, "critical");
    stays_so(Duration::from_secs(1), "nobody connects", || !has_client(&listener));
    count(&sidecar, "sent", 0.0);
    // The key can be added and removed while it runs.
    without.configure(&config(&file));
    wait_for("a client", || has_client(&listener).then_some(()));
    without.configure(QUICK);
    count(&without, "dropped", 1.0);
}

#[test]
fn a_file_that_holds_no_address_is_refused_with_all_other_problems() {
    let folder = tempfile::tempdir().unwrap();
    let file = address_file(folder.path(), "hooks.example/t0ken");
    let config = config_file(&format!("poll: {{interval: 5}}\n{}", config(&file)));
    let path = config.path().to_str().unwrap();
    for arguments in [&["check-config", "--config", path][..], &["--config", path]] {
        let output = streamwarden(arguments, &[("REDIS_URI", "redis://h")]);
        let problems = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{problems}");
        assert!(problems.contains("poll.interval: ") && problems.contains("notify.webhook_file: holds no"));
        assert!(!problems.contains("t0ken"), "{problems}");
    }
}

/// Ends with the test.
struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_receiver_of_the_documentation_receives() {
    let (redis, folder, port) = (Redis::start(), tempfile::tempdir().unwrap(), free_port());
    let page = support::read(support::project("docs/src/webhook.md")).unwrap();
    let (_, program) = page.split_once("<<'END'\n").unwrap();
    let (program, _) = program.split_once("\nEND\n").unwrap();
    let file = folder.path().join("receiver.py");
    write(&file, &program.replace("8080", &port.to_string()));
    let output = folder.path().join("output");
    let said = std::fs::File::create(&output).unwrap();
    let _python =
        Python(Command::new("python3").arg(&file).stdout(said).stderr(Stdio::null()).spawn().unwrap());
    let sidecar = sidecar(&redis, folder.path(), port, "");
    make(&redis, &sidecar, "critical");
    make(&redis, &sidecar, "healthy");
    let said = wait_for("two lines", || support::read(&output).ok().filter(|said| said.lines().count() == 2));
    assert!(said.starts_with("events:s healthy -> critical g is missing"), "{said}");
    assert!(said.contains("\nevents:s critical -> healthy its group is ok"), "{said}");
}
