//! A real server of the test's own, on a free port, without persistence.

use std::{
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use redis::{Cmd, Connection, FromRedisValue, RedisResult, Value};
use tempfile::TempDir;

use super::{free_port, signal, wait_for, write};

/// A free port may be taken before the server has it: another one then, so many times.
const PORTS_TRIED: usize = 3;

/// The server's program: Debian's, or the one that the environment names.
fn server_program() -> String {
    named_server().unwrap_or_else(|| "redis-server".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "which server to test is the caller's choice")]
fn named_server() -> Option<String> {
    std::env::var("STREAMWARDEN_TEST_REDIS").ok()
}

/// Whether tests run on the server that they all have to run on.
pub(super) fn is_default_server() -> bool {
    named_server().is_none()
}

/// A running server; it ends with the test.
pub struct Redis {
    child: Mutex<Child>,
    directory: TempDir,
    settings: String,
    port: u16,
    password: Option<String>,
}

impl Redis {
    pub fn start() -> Self {
        Self::with_settings("")
    }

    /// A server with more lines of `redis.conf`.
    pub fn with_settings(settings: &str) -> Self {
        for _ in 0..PORTS_TRIED {
            let mut server = Self::not_listening(settings);
            let has_answered = wait_for("the server to answer", || match server.has_ended() {
                true => Some(false),
                false => server.try_ping().map(|_| true),
            });
            // If it has ended, its port was taken meanwhile, and somebody else answers there.
            if has_answered && !server.has_ended() {
                return server;
            }
        }
        panic!("the server ended {PORTS_TRIED} times: {settings}");
    }

    /// A server that does not answer on its plain port: for TLS only.
    pub fn not_listening(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let password = settings.lines().find_map(|line| line.strip_prefix("requirepass ")).map(str::to_owned);
        let child = launch(&directory, settings, port);
        Self { child: Mutex::new(child), directory, settings: settings.to_owned(), port, password }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn uri(&self) -> String {
        let login = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{login}127.0.0.1:{}/0", self.port)
    }

    fn try_ping(&self) -> Option<Value> {
        redis::cmd("PING").query(&mut self.try_connect()?).ok()
    }

    fn try_connect(&self) -> Option<Connection> {
        let client = redis::Client::open(self.uri()).unwrap();
        client.get_connection_with_timeout(Duration::from_secs(5)).ok()
    }

    /// A machine may stand still for longer than a connection may take.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        wait_for("the server to accept connections", || self.try_connect())
    }

    /// Runs one command, given as words.
    #[track_caller]
    pub fn run<T: FromRedisValue>(&self, words: &str) -> T {
        self.try_run(words).unwrap_or_else(|error| panic!("{words}: {error}"))
    }

    /// The same for one that may be refused.
    pub fn try_run<T: FromRedisValue>(&self, words: &str) -> RedisResult<T> {
        command(words).query(&mut self.connect())
    }

    /// Adds `count` entries to a stream.
    #[track_caller]
    pub fn add(&self, stream: &str, count: usize) {
        let mut pipeline = redis::pipe();
        (0..count).for_each(|_| {
            pipeline.cmd("XADD").arg(stream).arg("*").arg("field").arg("value").ignore();
        });
        pipeline.query::<()>(&mut self.connect()).unwrap();
    }

    /// Lets a consumer of a group read `count` entries.
    #[track_caller]
    pub fn read(&self, stream: &str, group: &str, consumer: &str, count: usize) {
        let _entries: Value =
            self.run(&format!("XREADGROUP GROUP {group} {consumer} COUNT {count} STREAMS {stream} >"));
    }

    /// Calls of a command so far, by the server's own count.
    pub fn calls(&self, command: &str) -> u64 {
        let stats: String = self.run("INFO commandstats");
        let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(['=', ',']).nth(1)).map_or(0, |calls| calls.parse().unwrap())
    }

    /// Closes all other clients' connections.
    pub fn kill_clients(&self) {
        self.run::<u64>("CLIENT KILL TYPE normal");
    }

    /// The server's own clock, in milliseconds since the Unix epoch.
    pub fn milliseconds(&self) -> u64 {
        let (seconds, microseconds): (u64, u64) = self.run("TIME");
        seconds * 1_000 + microseconds / 1_000
    }

    fn has_ended(&mut self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_some()
    }

    pub fn pause(&self) {
        signal(&self.child.lock().unwrap(), "STOP");
    }

    pub fn resume(&self) {
        signal(&self.child.lock().unwrap(), "CONT");
    }

    pub fn kill(&mut self) {
        self.end();
    }

    /// Starts it again on the same port, empty.
    pub fn restart(&mut self) {
        self.begin_again();
    }

    /// [`kill`](Self::kill) for a node of a cluster, which others look at meanwhile.
    pub(super) fn end(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// [`restart`](Self::restart) for a node of a cluster.
    pub(super) fn begin_again(&self) {
        *self.child.lock().unwrap() = launch(&self.directory, &self.settings, self.port);
        wait_for("the server to answer again", || self.try_ping());
    }
}

/// A command, given as words.
pub fn command(words: &str) -> Cmd {
    let mut command = Cmd::new();
    words.split_whitespace().for_each(|word| {
        command.arg(word);
    });
    command
}

fn launch(directory: &TempDir, settings: &str, port: u16) -> Child {
    let plain = if settings.contains("tls-port PORT") { 0 } else { port };
    let file = directory.path().join("redis.conf");
    let settings = settings.replace("PORT", &port.to_string());
    write(&file, &format!("port {plain}\nbind 127.0.0.1\nsave \"\"\nappendonly no\n{settings}\n"));
    let program = server_program();
    Command::new(&program)
        .arg(&file)
        .args(settings.contains("sentinel monitor").then_some("--sentinel"))
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

impl Drop for Redis {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(child.kill());
        drop(child.wait());
    }
}
