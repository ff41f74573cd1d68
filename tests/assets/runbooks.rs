//! Every alert has a page that says what to do, and every command of it runs as it is written.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{
    it::support::{Redis, Sidecar},
    tools::{alerts, project, read},
};

const SECTIONS: [&str; 4] = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"];

fn pages() -> Vec<String> {
    let names = fs::read_dir(project("docs/runbooks")).unwrap().map(|entry| entry.unwrap().file_name());
    names
        .filter_map(|name| name.to_str()?.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect()
}

fn page(name: &str) -> String {
    read(&format!("docs/runbooks/{name}.md"))
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let alerts: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    assert_eq!(pages().into_iter().collect::<BTreeSet<_>>(), alerts);
    let index = page("README");
    for name in alerts {
        assert!(index.contains(&format!("({name}.md)")), "{name} is not in the index");
        let page = page(&name);
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        let places: Vec<Option<usize>> =
            SECTIONS.iter().map(|section| page.find(&format!("\n{section}\n"))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{name}: {places:?}");
    }
}

#[test]
fn links_lead_to_pages() {
    for name in pages().into_iter().chain(["README".to_owned()]) {
        for (_, rest) in page(&name)
            .match_indices("](")
            .map(|(at, opening)| (at, page(&name)[at + opening.len()..].to_owned()))
        {
            let target = rest.split_once(')').unwrap().0;
            if !target.contains("://") {
                let file = project("docs/runbooks").join(target.split('#').next().unwrap());
                assert!(file.exists(), "{name}: {target}");
            }
        }
    }
}

/// The commands of a page: what stands between fences of `sh`, also where those are indented.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut is_command = false;
    for line in page.lines().map(str::trim_start) {
        match (is_command, line) {
            (false, "```sh") => commands.push(String::new()),
            (true, "```") => {}
            (true, line) => {
                let command = commands.last_mut().unwrap();
                *command += line;
                *command += "\n";
            }
            (false, _) => continue,
        }
        is_command = line != "```";
    }
    commands
}

/// A server with what the pages' variables name: a stream of the sidecar's, and a group with a consumer that holds entries.
fn server() -> Redis {
    let redis = Redis::start();
    redis.run::<()>("XGROUP CREATE events:session nexus-session-consumers 0 MKSTREAM");
    redis.add("events:session", 200);
    redis.read("events:session", "nexus-session-consumers", "consumer-1", 20);
    redis
}

/// A sidecar at work, and the files and variables that the pages speak of.
struct Scene {
    redis: Redis,
    sidecar: Sidecar,
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let redis = server();
        let config = "streams: [{match: \"events:*\", retention: {max_length: 100, mode: observe}}]";
        let sidecar = Sidecar::with_config(&redis.uri(), config);
        sidecar.wait("the stream to be seen", |page| page.stream("length", "events:session").is_some());
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("streamwarden.yaml"), config).unwrap();
        Self { redis, sidecar, directory }
    }

    fn run(&self, command: &str) -> Output {
        let programs = Path::new(env!("CARGO_BIN_EXE_streamwarden")).parent().unwrap();
        let mut bash = Command::new("timeout");
        bash.args(["30", "bash", "-euo", "pipefail", "-c", command])
            .current_dir(self.directory.path())
            .env_clear();
        bash.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()));
        bash.env("REDIS_URI", self.redis.uri()).env("SIDECAR", format!("http://{}", self.sidecar.address()));
        bash.env("STREAMWARDEN_CONFIG", "streamwarden.yaml").env("STREAM", "events:session");
        bash.env("GROUP", "nexus-session-consumers").env("CONSUMER", "consumer-1").output().unwrap()
    }
}

/// What servers and programs say when they refuse; redis-cli succeeds all the same.
const REFUSALS: [&str; 8] =
    ["ERR ", "NOGROUP", "BUSYGROUP", "WRONGTYPE", "NOPERM", "NOAUTH", "error:", "Usage:"];

#[test]
fn every_command_runs_as_it_is_written() {
    for name in pages().into_iter().chain(["README".to_owned()]) {
        let scene = Scene::new();
        match name.as_str() {
            "RedisStreamMissing" => scene.redis.run::<()>("DEL events:session"),
            "RedisStreamGroupMissing" => {
                scene.redis.run::<()>("XGROUP DESTROY events:session nexus-session-consumers");
            }
            _ => {}
        }
        let commands = commands(&page(&name));
        assert!(!commands.is_empty(), "{name} has no command");
        for command in commands {
            let Output { status, stdout, stderr } = scene.run(&command);
            let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
            // The exit code of a status is the health that it found.
            let tells_health = command.starts_with("streamwarden status") && said.contains("events:session");
            assert!(status.success() || tells_health, "{name}: {command}{status}: {said}");
            assert!(!REFUSALS.iter().any(|word| said.contains(word)), "{name}: {command}{said}");
        }
    }
}

#[test]
fn a_poison_entry_is_set_aside_whole() {
    let scene = Scene::new();
    let page = page("RedisStreamPoisonEntries");
    let command = commands(&page).pop().unwrap();
    scene.redis.run::<()>("SET events:session:dead text");
    assert!(!scene.run(&command).status.success());
    let pending = || -> u64 {
        let summary: Vec<redis::Value> = scene.redis.run("XPENDING events:session nexus-session-consumers");
        redis::from_redis_value(summary[0].clone()).unwrap()
    };
    assert_eq!(pending(), 20, "what was not copied stays pending");
    scene.redis.run::<()>("DEL events:session:dead");
    assert!(scene.run(&command).status.success());
    let dead: Vec<(String, Vec<String>)> = scene.redis.run("XRANGE events:session:dead - +");
    let first: Vec<(String, Vec<String>)> = scene.redis.run("XRANGE events:session - + COUNT 1");
    let (id, mut fields) = first[0].clone();
    let mut expected = vec!["origin".to_owned(), id];
    expected.append(&mut fields);
    assert_eq!(dead[0].1, expected);
    assert_eq!(pending(), 19);
}
