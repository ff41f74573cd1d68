//! Prometheus, Alertmanager and a webhook of the test's own.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use url::form_urlencoded;

use support::{free_port, wait_for, write};

use crate::tools::tool;

/// Alerts take longer than a poll: scrape, evaluation, waiting and grouping come one after the other.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits longer than a poll's test does.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests wait against the clock")]
pub(crate) fn eventually<T>(what: &str, ready: impl FnMut() -> Option<T>) -> T {
    eventually_within(DEADLINE, what, ready)
}

pub(crate) fn eventually_within<T>(
    deadline: Duration,
    what: &str,
    mut ready: impl FnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(result) = ready() {
            return result;
        }
        assert!(started.elapsed() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(100));
    }
}

/// A program that ends with the test; what it says goes to a file.
struct Program {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Program {
    fn start(mut command: Command, directory: TempDir, port: u16) -> Self {
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        command.current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut program = Self { child, address: ([127, 0, 0, 1], port).into(), directory };
        wait_for("the program to be ready", || {
            let ended = program.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{command:?} ended: {}",
                support::read(program.directory.path().join("log")).unwrap()
            );
            request(program.address, "GET", "/-/ready", "").filter(|(status, _)| *status == 200)
        });
        program
    }

    /// An answer as JSON.
    fn get(&self, path: &str) -> Value {
        let (_, body) =
            request(self.address, "GET", path, "").unwrap_or_else(|| panic!("no answer to {path}"));
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One request; HTTP 1.0, so that the answer comes in one piece.
fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A running Alertmanager.
pub(crate) struct Alertmanager(Program);

impl Alertmanager {
    /// With a configuration whose receivers all send to `webhook`.
    pub(crate) fn start(config: &Value, webhook: &str) -> Self {
        let mut config = config.clone();
        for receiver in config["receivers"].as_array_mut().unwrap() {
            if let Some(hook) = receiver.pointer_mut("/webhook_configs/0/url") {
                *hook = json!(webhook);
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let (file, port) = (directory.path().join("config.yml"), free_port());
        write(&file, &config.to_string());
        let mut command = tool("alertmanager");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", directory.path().display()));
        command.arg("--cluster.listen-address=").arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Self(Program::start(command, directory, port))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Alerts, by their labels.
    pub(crate) fn post(&self, alerts: &[&Value]) {
        let alerts: Vec<Value> = alerts.iter().map(|labels| json!({"labels": labels})).collect();
        let (status, said) =
            request(self.0.address, "POST", "/api/v2/alerts", &json!(alerts).to_string()).unwrap();
        assert_eq!(status, 200, "{said}");
    }

    #[track_caller]
    pub(crate) fn wait_for_state(&self, labels: &Value, state: &str) {
        eventually(&format!("{labels} to be {state}"), || {
            let alerts = self.0.get("/api/v2/alerts");
            let alert = alerts.as_array().unwrap().iter().find(|alert| alert["labels"] == *labels)?;
            (alert["status"]["state"] == state).then_some(())
        });
    }
}

/// A running Prometheus.
pub(crate) struct Prometheus {
    program: Program,
    jobs: Mutex<Jobs>,
}

/// What is scraped, by job.
pub(crate) type Jobs = BTreeMap<String, Vec<SocketAddr>>;

/// Jobs as Prometheus reads them.
fn targets_of(jobs: &Jobs) -> String {
    let group = |(job, targets)| json!({"targets": targets, "labels": {"job": job, "namespace": "shop"}});
    json!(jobs.iter().map(group).collect::<Vec<Value>>()).to_string()
}

impl Prometheus {
    /// Scrapes the targets of a file that may change, and judges them, each interval.
    pub(crate) fn start(rules: &Value, alertmanager: SocketAddr, interval: Duration, jobs: Jobs) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        write(&at("rules.yml"), &rules.to_string());
        let pace = format!("{}ms", interval.as_millis());
        let timeout = format!("{}ms", interval.min(Duration::from_secs(10)).as_millis());
        let config = json!({
            "global": {"scrape_interval": pace, "scrape_timeout": timeout, "evaluation_interval": pace},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.to_string()]}]}]},
            "scrape_configs": [{"job_name": "streamwarden", "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}]}],
        });
        write(&at("prometheus.yml"), &config.to_string());
        write(&at("targets.json"), &targets_of(&jobs));
        let port = free_port();
        let mut command = tool("prometheus");
        command.arg(format!("--config.file={}", at("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", at("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.arg(format!("--rules.alert.resend-delay={}ms", (4 * interval).as_millis()));
        let program = Program::start(command, directory, port);
        let prometheus = Self { program, jobs: Mutex::new(jobs) };
        // It looks for Alertmanagers every few seconds; what fires before arrives late.
        eventually("Prometheus to find Alertmanager", || {
            let found = prometheus.program.get("/api/v1/alertmanagers");
            (!found["data"]["activeAlertmanagers"].as_array().unwrap().is_empty()).then_some(())
        });
        prometheus
    }

    pub(crate) fn scrape(&self, targets: &[SocketAddr]) {
        self.scrape_job("streamwarden", targets);
    }

    /// The sidecars of one job, beside those of the others.
    pub(crate) fn scrape_job(&self, job: &str, targets: &[SocketAddr]) {
        let mut jobs = self.jobs.lock().unwrap();
        jobs.insert(job.to_owned(), targets.to_vec());
        let file: &Path = &self.program.directory.path().join("targets.json");
        // Moved into place, so that it is never read half-written.
        write(&file.with_extension("new"), &targets_of(&jobs));
        std::fs::rename(file.with_extension("new"), file).unwrap();
    }

    pub(crate) fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        self.program.get(&format!("/api/v1/{path}?{query}"))
    }

    /// The alerts that are pending or firing.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        self.get("alerts", &[])["data"]["alerts"].as_array().unwrap().clone()
    }
}

/// What Alertmanager sends: one or more alerts of a group, for one receiver.
#[derive(Debug, Clone)]
pub(crate) struct Notification {
    pub(crate) at: Instant,
    pub(crate) body: Value,
}

/// Where Alertmanager's notifications arrive.
pub(crate) struct Webhook {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Notification>>>,
}

impl Webhook {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, received) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let notifications = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let notifications = Arc::clone(&notifications);
                std::thread::spawn(move || receive(stream, &notifications));
            }
        });
        Self { address, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What has arrived so far.
    pub(crate) fn received(&self) -> Vec<Notification> {
        self.received.lock().unwrap().clone()
    }

    /// Whether an alert of this name was reported.
    pub(crate) fn has_told(&self, name: &str) -> bool {
        let received = self.received.lock().unwrap();
        let mut alerts = received.iter().flat_map(|it| it.body["alerts"].as_array().unwrap());
        alerts.any(|alert| alert["labels"]["alertname"] == name)
    }

    /// Waits for an alert of this name with these labels to be told as firing or resolved.
    #[track_caller]
    pub(crate) fn wait(&self, status: &str, name: &str, labels: &[(&str, &str)]) -> Value {
        eventually(&format!("{name} {labels:?} to be told as {status}"), || {
            let received = self.received.lock().unwrap();
            let alerts = received.iter().flat_map(|it| it.body["alerts"].as_array().unwrap());
            let has = |alert: &&Value, label: &str, value: &str| alert["labels"][label] == value;
            let mut found = alerts.filter(|alert| has(alert, "alertname", name) && alert["status"] == status);
            found.find(|alert| labels.iter().all(|(label, value)| has(alert, label, value))).cloned()
        })
    }
}

/// Takes the notifications of one connection.
#[expect(clippy::disallowed_methods, reason = "when a notification arrives is measured")]
fn receive(stream: TcpStream, received: &Mutex<Vec<Notification>>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let mut length = 0;
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body = serde_json::from_slice(&body).unwrap();
            received.lock().unwrap().push(Notification { at: Instant::now(), body });
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
        line.clear();
    }
}
