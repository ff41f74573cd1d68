//! A server with a fault, and a terminal in which a page's blocks are run one after the other.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use redis::{FromRedisValue, Value};
use tempfile::TempDir;

use super::pages::{Block, blocks};
use support::{Redis, wait_for};

use crate::retention::trimming;

/// As the set-up of the runbooks names them.
pub(crate) const STREAM: &str = "events:session";
pub(crate) const GROUP: &str = "nexus-session-consumers";
/// Short, since tests wait until entries and consumers have been idle for so long.
pub(crate) const IDLE_MS: u64 = 300;

pub(crate) struct Lab {
    pub(crate) redis: Redis,
    /// Whether blocks are run as in Kubernetes: by the functions of the set-up, and a `kubectl` that runs here what it is to
    /// run there.
    pub(crate) is_in_cluster: bool,
    directory: TempDir,
}

/// An entry's ID, with its fields and values unless it is gone.
type Entry = (String, Option<Vec<Vec<u8>>>);

/// A pending entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) id: String,
    pub(crate) consumer: String,
    pub(crate) idle: u64,
    pub(crate) deliveries: u64,
}

/// The block that sets what all others use.
pub(crate) fn set_up() -> String {
    blocks("README").swap_remove(0)
}

/// The block that has all others run in a cluster.
fn in_cluster() -> String {
    blocks("README").swap_remove(1)
}

/// It refuses all but what the set-up should ask for.
const KUBECTL: &str = r#"
kubectl() {
  [[ "$1 $2 $3 $4 $5" == "--context production --namespace shop exec" ]] || return 64
  case "$6 $7 $8" in
    "statefulset/redis -- redis-cli") shift 7; command "$@" ;;
    "deployment/streamwarden --container streamwarden") shift 9; command "$@" || [[ $2 == status && $? -le 3 ]] ;;
    *) return 64 ;;
  esac
}"#;

impl Lab {
    /// A stream of 200 entries, of which consumer-1 holds the first 20; `None` on servers that the runbooks are not for.
    pub(crate) fn start() -> Option<Self> {
        let redis = trimming(Redis::start())?;
        redis.run::<()>(&format!("XGROUP CREATE {STREAM} {GROUP} 0 MKSTREAM"));
        redis.add(STREAM, 200);
        redis.read(STREAM, GROUP, "consumer-1", 20);
        let lab = Self { redis, is_in_cluster: false, directory: tempfile::tempdir().unwrap() };
        fs::write(lab.state(), set_up()).unwrap();
        lab.configure("");
        for (name, value) in [("REDIS_URI", lab.redis.uri()), ("IDLE", format!("{IDLE_MS}ms"))] {
            assert!(set_up().contains(&format!("export {name}=")), "the set-up has {name}");
            lab.set(&format!("{name}={value}"));
        }
        Some(lab)
    }

    /// Writes the sidecar's configuration.
    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.directory.path().join("streamwarden.yaml"), config).unwrap();
    }

    /// Where blocks are run.
    pub(crate) fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// The terminal's variables.
    fn state(&self) -> PathBuf {
        self.directory.path().join("variables")
    }

    /// Sets variables, as the reader of a page does.
    pub(crate) fn set(&self, assignments: &str) {
        let mut state = OpenOptions::new().append(true).open(self.state()).unwrap();
        writeln!(state, "export {assignments}").unwrap();
    }

    /// Runs a block, as strictly as bash can be; whether it succeeded, and what was printed. `streamwarden status` may find any
    /// health.
    pub(crate) fn run(&self, block: &str) -> (bool, String) {
        let programs = Path::new(support::program()).parent().unwrap();
        let health = r#"streamwarden() { command streamwarden "$@" || [[ $1 == status && $? -le 3 ]]; }"#;
        let health =
            if self.is_in_cluster { format!("{KUBECTL}\n{}", in_cluster()) } else { health.to_owned() };
        let script = format!("set -a; . ./variables; {health}\n{block}\nexport -p > variables");
        let mut bash = Command::new("timeout");
        bash.args(["30", "bash", "-euo", "pipefail", "-c", &script]).current_dir(self.directory.path());
        bash.env_clear().env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()));
        let output = bash.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Runs a block that succeeds, and gives what it printed, by lines.
    #[track_caller]
    pub(crate) fn runs(&self, block: Block) -> Vec<String> {
        let (is_done, said) = self.run(&block.text());
        assert!(is_done, "{block:?}: {said}");
        said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Runs a block that prints these words and changes nothing.
    #[track_caller]
    pub(crate) fn refuses(&self, block: Block, words: &str) {
        let before = self.changes();
        let (_, said) = self.run(&block.text());
        assert!(said.contains(words), "{block:?}: {said}");
        assert_eq!(self.changes(), before, "{block:?}: {said}");
    }

    /// The server's own count of changes.
    pub(crate) fn changes(&self) -> u64 {
        let persistence: String = self.redis.run("INFO persistence");
        let line = persistence.lines().find_map(|line| line.strip_prefix("rdb_changes_since_last_save:"));
        line.unwrap().parse().unwrap()
    }

    /// All that is pending in the group, the oldest first.
    pub(crate) fn pending(&self) -> Vec<Pending> {
        let rows: Vec<(String, String, u64, u64)> =
            self.redis.run(&format!("XPENDING {STREAM} {GROUP} - + 1000"));
        rows.into_iter()
            .map(|(id, consumer, idle, deliveries)| Pending { id, consumer, idle, deliveries })
            .collect()
    }

    /// The IDs that a consumer holds.
    pub(crate) fn held_by(&self, consumer: &str) -> Vec<String> {
        let pending = self.pending().into_iter().filter(|row| row.consumer == consumer);
        pending.map(|row| row.id).collect()
    }

    /// A stream's entries, with their fields and values as they are.
    pub(crate) fn entries(&self, stream: &str) -> Vec<(String, Vec<Vec<u8>>)> {
        self.redis.run(&format!("XRANGE {stream} - +"))
    }

    /// What a consumer is answered when it reads from here: `>` for what is new, `0` for its history.
    pub(crate) fn read(&self, consumer: &str, from: &str) -> Vec<String> {
        let read = format!("XREADGROUP GROUP {GROUP} {consumer} COUNT 1000 STREAMS {STREAM} {from}");
        let streams: Option<Vec<(String, Vec<Entry>)>> = self.redis.run(&read);
        let entries = streams.into_iter().flatten().flat_map(|(_, entries)| entries);
        entries.filter(|(_, fields)| fields.is_some()).map(|(id, _)| id).collect()
    }

    /// Waits until a consumer has been silent for longer than `IDLE`, and all that it holds for as long.
    pub(crate) fn wait_until_idle(&self, consumer: &str) {
        wait_for("the consumer and its entries to be idle", || {
            let consumers: Vec<BTreeMap<String, Value>> =
                self.redis.run(&format!("XINFO CONSUMERS {STREAM} {GROUP}"));
            let silent = consumers.into_iter().find(|it| it["name"] == Value::BulkString(consumer.into()));
            let idle = u64::from_redis_value(silent?.remove("idle")?).ok();
            let is_old = |row: &Pending| row.consumer != consumer || row.idle > IDLE_MS;
            (idle? > IDLE_MS && self.pending().iter().all(is_old)).then_some(())
        });
    }
}
