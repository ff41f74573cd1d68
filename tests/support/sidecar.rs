//! The built binary, run as its users run it.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;

use super::{Page, Redis, program, signal, wait_for, write};

/// A running sidecar; it ends with the test.
pub struct Sidecar {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    directory: TempDir,
}

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let name = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_owned)
    }
}

/// Sends bytes on a connection of its own and reads until the server closes it.
pub fn send(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // A server that closes while the request is still being sent resets the connection: the bytes received until then count.
    drop(stream.read_to_end(&mut answer));
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).replace("\r\n", "\n");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head, body: answer.get(end + 4..).unwrap_or_default().to_vec() }
}

/// Polls as often as the configuration allows, so that tests wait little.
const FAST: &str = "poll: {interval: 100ms, discovery_interval: 200ms, stale_after: 2s}\n";

fn with_poll(config: &str) -> String {
    let poll = if config.contains("poll:") { "" } else { FAST };
    format!("{poll}{config}")
}

impl Sidecar {
    /// Watches every stream of the server.
    pub fn start(redis: &Redis) -> Self {
        Self::with_config(&redis.uri(), "")
    }

    /// With more lines of configuration.
    pub fn with_config(uri: &str, config: &str) -> Self {
        Self::in_environment(uri, config, &[])
    }

    /// With more variables.
    pub fn in_environment(uri: &str, config: &str, environment: &[(&str, &str)]) -> Self {
        Self::launch(uri, &with_poll(config), &[], environment).listening()
    }

    /// Polls as often as it does by itself: nothing is added to the configuration.
    pub fn with_default_polls(uri: &str, config: &str) -> Self {
        Self::launch(uri, config, &[], &[]).listening()
    }

    /// Starts it and waits for nothing.
    pub fn unready(uri: &str, config: &str, arguments: &[&str]) -> Self {
        Self::launch(uri, &with_poll(config), arguments, &[])
    }

    fn listening(mut self) -> Self {
        self.address = wait_for("the sidecar to listen", || {
            assert!(self.child.try_wait().unwrap().is_none(), "the sidecar ended: {}", self.log());
            let log = self.log();
            let listen = log.split_once("\"listen\":\"")?.1;
            listen.split_once('"')?.0.parse().ok()
        });
        self
    }

    fn launch(uri: &str, config: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        write(&file, config);
        let mut child = Command::new(program())
            .args(["--config", file.to_str().unwrap(), "--log-format", "json", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_clear()
            .env("REDIS_URI", uri)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, lines) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writeln!(lines.lock().unwrap(), "{line}").unwrap();
            }
        });
        Self { child, address: ([127, 0, 0, 1], 0).into(), log, directory }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.directory.path().join("config.yaml")
    }

    /// Replaces its configuration.
    pub fn configure(&self, config: &str) {
        write(&self.configuration(), &with_poll(config));
    }

    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    pub fn wait_for_exit(&mut self) -> ExitStatus {
        wait_for("the sidecar to end", || self.child.try_wait().unwrap())
    }

    /// Sends bytes on a connection of its own and reads until the server closes it.
    pub fn send(&self, request: &[u8]) -> Answer {
        send(self.address, request)
    }

    pub fn request(&self, method: &str, path: &str, headers: &str) -> Answer {
        self.send(
            format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n")
                .as_bytes(),
        )
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "")
    }

    pub fn scrape(&self) -> Page {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200);
        Page::parse(&answer.text())
    }

    /// Waits until the server, full of connections, has a place again.
    #[track_caller]
    pub fn wait_for_a_place(&self) {
        wait_for("a place", || (self.get("/livez").status == 200).then_some(()));
    }

    /// Scrapes until the page is as it should be.
    #[track_caller]
    pub fn wait(&self, what: &str, is_so: impl Fn(&Page) -> bool) -> Page {
        wait_for(what, || Some(self.scrape()).filter(&is_so))
    }

    /// Waits for a page of a poll that began after this call.
    #[track_caller]
    pub fn next_poll(&self) -> Page {
        let polls = |page: &Page| page.own("streamwarden_polls_total");
        let before = polls(&self.scrape());
        // The poll under way may have begun before; the one after it has not.
        self.wait("two polls", |page| polls(page) >= before + 2.0)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
