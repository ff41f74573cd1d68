//! Every alert has a page that says what to do, and every command of it runs as it is written.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::{
    it::support::{Redis, wait_for},
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

/// The commands of a page: what stands between fences of `sh`.
fn commands(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// A server with what the pages' variables name: a stream of the sidecar's, and a group with a consumer that holds entries.
fn server() -> Redis {
    let redis = Redis::start();
    redis.run::<()>("XGROUP CREATE events:session nexus-session-consumers 0 MKSTREAM");
    redis.add("events:session", 200);
    redis.read("events:session", "nexus-session-consumers", "consumer-1", 20);
    redis
}

#[test]
fn every_command_runs_as_it_is_written() {
    let programs = Path::new(env!("CARGO_BIN_EXE_streamwarden")).parent().unwrap();
    let mut count = 0;
    for name in pages().into_iter().chain(["README".to_owned()]) {
        let redis = server();
        let text = page(&name);
        let blocks = commands(&text);
        assert!(!blocks.is_empty(), "{name} has no command");
        let directory = tempfile::tempdir().unwrap();
        fs::write(
            directory.path().join("streamwarden.yaml"),
            "streams: [{match: \"events:*\", retention: {max_length: 100}}]",
        )
        .unwrap();
        let page_address = format!("127.0.0.1:{}", crate::it::support::free_port());
        let mut sidecar = Command::new(env!("CARGO_BIN_EXE_streamwarden"))
            .args(["--listen", &page_address, "--poll-interval", "500ms", "--log-level", "error"])
            .env_clear()
            .env("REDIS_URI", redis.uri())
            .spawn()
            .unwrap();
        wait_for("the sidecar to listen", || std::net::TcpStream::connect(&page_address).ok());
        for block in blocks {
            count += 1;
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c", block])
                .current_dir(directory.path())
                .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()))
                .env("REDIS_URI", redis.uri())
                .env("SIDECAR", format!("http://{page_address}"))
                .env("STREAMWARDEN_CONFIG", "streamwarden.yaml")
                .env("STREAM", "events:session")
                .env("GROUP", "nexus-session-consumers")
                .env("CONSUMER", "consumer-1")
                .output()
                .unwrap();
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            // redis-cli succeeds whatever the server answers.
            let is_refused = ["ERR ", "NOGROUP", "BUSYGROUP", "WRONGTYPE", "NOPERM", "NOAUTH"]
                .iter()
                .any(|word| said.contains(word));
            assert!(output.status.success() && !is_refused, "{name}: {block}{said}");
        }
        sidecar.kill().unwrap();
        sidecar.wait().unwrap();
    }
    assert!(count > alerts().len(), "only {count} commands");
}
