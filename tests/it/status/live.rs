//! The live view in a terminal of the test's own.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
};

use support::{Redis, wait_for};

/// `streamwarden status --watch` in a terminal of 140 columns, which `script` of the base system makes.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn watching(redis: &Redis, config: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config).unwrap();
        let program = support::program();
        let file = file.keep().unwrap().1;
        let watch = format!(
            "stty rows 30 cols 140; exec {program} --config {} status --watch --every 200ms",
            file.display()
        );
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &watch, "/dev/null"])
            .env("REDIS_URI", redis.uri())
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut part) {
                all.lock().unwrap().extend_from_slice(&part[..length]);
            }
        });
        Self { child, keys, shown }
    }

    /// The screen as it was drawn last: what follows the last move of the cursor to its corner but one.
    fn screen(&self) -> String {
        let all = String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned();
        let whole = all.rsplit("\x1b[1;1H").nth(1).unwrap_or_default();
        whole.replace("\x1b[K", "\n")
    }

    #[track_caller]
    fn wait(&self, what: &str) -> String {
        wait_for(what, || Some(self.screen()).filter(|screen| screen.contains(what)))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_live_view_outlives_the_server_and_says_how_old_its_numbers_are() {
    let mut redis = Redis::start();
    redis.add("events:user", 3);
    let mut terminal = Terminal::watching(&redis, "poll: {interval: 500ms, stale_after: 1s}");
    let screen = terminal.wait("1 healthy");
    assert!(screen.contains("events:user") && screen.contains("q quits"), "{screen}");

    redis.kill();
    let screen = terminal.wait("1 unknown");
    assert!(screen.contains("stale") && screen.contains("old: cannot"), "{screen}");
    assert!(screen.contains("events:user") && !screen.contains("healthy"), "{screen}");

    redis.restart();
    redis.add("events:user", 1);
    terminal.wait("1 warning");
    terminal.wait("it was recreated");
    terminal.keys.write_all(b"q").unwrap();
    let status = wait_for("the end", || terminal.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1), "as the last health");
}
