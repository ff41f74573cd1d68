//! The walk through dead letters, as its page has it: the bad events of the example application end in the dead letters, and a replay after the
//! fix is handled.

use std::{
    path::PathBuf,
    process::{Child, Command},
};

use redis::Value;
use support::{Redis, Sidecar, nexus, program, project, wait_for};

use crate::runbooks::pages::in_fences;

const DEAD: &str = "dead:{events:session}";

struct Tour {
    redis: Redis,
    sidecar: Sidecar,
    folder: tempfile::TempDir,
    blocks: std::vec::IntoIter<String>,
}

impl Tour {
    fn start() -> Self {
        let page = support::read(project("docs/src/dead-letters.md")).unwrap();
        let fences = in_fences(&page);
        let of = |kind: &str| -> Vec<String> {
            fences.iter().filter(|(its_own, _)| its_own == kind).map(|(_, block)| block.clone()).collect()
        };
        let redis = Redis::start();
        let config = of("yaml").remove(0).replace("localhost:6379", &format!("localhost:{}", redis.port()));
        // So that nobody waits: the rule looks each second.
        let fast = config.replace("interval: 5s", "interval: 1s, lease_ttl: 1s");
        assert_ne!(fast, config);
        let folder = tempfile::tempdir().unwrap();
        support::write(&folder.path().join("dead.yaml"), &config);
        let sidecar = Sidecar::with_config(&redis.uri(), &fast);
        let mut blocks = of("sh").into_iter();
        assert_eq!(blocks.next().unwrap().trim(), "streamwarden --config dead.yaml");
        Self { redis, sidecar, folder, blocks }
    }

    /// The next block of the page, as it is run here: faster, and on this server.
    fn command(&mut self) -> Command {
        let block = self.blocks.next().unwrap();
        let block = block
            .replace("localhost:6379", &format!("localhost:{}", self.redis.port()))
            .replace("localhost:19121", &self.sidecar.address().to_string())
            .replace("--retry 1s --for 10s", "--retry 100ms --for 1s")
            .replace(" &\n", "\n");
        let health = r#"streamwarden() { command streamwarden "$@" || [[ $1 == status && $? -le 3 ]]; }"#;
        let mut bash = Command::new("timeout");
        bash.args(["30", "bash", "-euo", "pipefail", "-c", &format!("{health}\n{block}")]);
        let folder = |program: PathBuf| program.parent().unwrap().display().to_string();
        let folders = [PathBuf::from(program()), nexus()].map(folder);
        bash.env_clear().env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", folders.join(":")));
        bash.current_dir(self.folder.path());
        bash
    }

    /// Runs the next block, and gives what it printed.
    #[track_caller]
    fn run(&mut self) -> String {
        let mut command = self.command();
        let output = command.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{command:?}: {said}");
        said
    }

    /// Pending entries that were delivered so often, each with its consumer.
    fn pending(&self, deliveries: u64) -> Vec<(String, String)> {
        let rows: Vec<(String, String, u64, u64)> =
            self.redis.run("XPENDING events:session nexus-session-consumers - + 1000");
        let rows = rows.into_iter().filter(|row| row.3 >= deliveries);
        rows.map(|(id, consumer, ..)| (id, consumer)).collect()
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        support::signal(&self.0, "TERM");
        drop(self.0.wait());
    }
}

#[test]
fn the_walk_through_dead_letters_is_as_its_page_says() {
    let mut tour = Tour::start();
    tour.run();
    tour.run();
    let poison = tour.pending(5);
    assert!(!poison.is_empty(), "nothing failed five times");
    let shown = tour.run();
    assert!(shown.contains(&poison[0].0), "{shown}");

    // A minute passes.
    for (id, consumer) in &poison {
        let claim =
            format!("XCLAIM events:session nexus-session-consumers {consumer} 0 {id} IDLE 61000 JUSTID");
        tour.redis.run::<Value>(&claim);
    }
    wait_for("the rule to set them aside", || tour.pending(5).is_empty().then_some(()));
    let listed = tour.run();
    assert!(listed.contains(DEAD), "{listed}");
    let dead: u64 = tour.redis.run(&format!("XLEN {DEAD}"));
    let metric = |labels: &str| {
        format!("streamwarden_dead_letters{{db=\"db0\",stream=\"events:session\"}} {labels}\n")
    };
    let session = [("stream", "events:session")];
    let number = dead.to_string().parse::<f64>().unwrap();
    tour.sidecar.wait("the dead letters to be counted", |page| {
        page.get("streamwarden_dead_letters", &session) == Some(number)
    });
    let scraped = tour.run();
    assert!(scraped.contains(&metric(&dead.to_string())), "{scraped}");
    let status = tour.run();
    assert!(status.contains(&format!("{DEAD}: {dead} of at most 10,000")), "{status}");
    let contents = tour.run();
    assert!(contents.contains("event_type = "), "{contents}");

    let fixed = Running(tour.command().spawn().unwrap());
    let replayed = tour.run();
    assert!(
        replayed.contains("nexus-session-consumers") && replayed.contains(&format!("{dead} replayed")),
        "{replayed}"
    );
    wait_for("the events to be handled", || {
        (tour.pending(0).is_empty() && tour.redis.run::<u64>(&format!("XLEN {DEAD}")) == 0).then_some(())
    });
    tour.sidecar.wait("no dead letters", |page| page.get("streamwarden_dead_letters", &session) == Some(0.0));
    let at_last = tour.run();
    assert!(at_last.contains("has no dead letters") && at_last.contains(&metric("0")), "{at_last}");
    assert_eq!(tour.blocks.next(), None, "each block was run");
    drop(fixed);
}
