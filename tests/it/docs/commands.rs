//! Every command of the documentation is run as it is written, or says here why it is not.

use std::fs;

use super::markdown::{below, read};
use crate::runbooks::{
    REFUSALS,
    lab::{self, Lab},
    pages::in_fences,
};
use support::{Sidecar, project};

/// Blocks that are not run here: their page, words that no other block of it has, and who runs them, or why nobody does.
const NOT_RUN: [(&str, &str, &str); 20] = [
    ("README.md", "make demo ", "it runs until it is stopped; continuous integration runs `make test`"),
    ("README.md", "cargo build ", "each build of the program is this one"),
    ("CONTRIBUTING.md", "make          #", "continuous integration runs its targets"),
    ("CONTRIBUTING.md", "cargo test --locked --lib lag", "continuous integration runs all of these tests"),
    ("deploy/README.md", "kubectl create secret", CLUSTER),
    ("deploy/README.md", "helm upgrade", CLUSTER),
    ("deploy/README.md", "sudo apt-get install", "installs packages; `make test-deb` does the same"),
    ("deploy/README.md", "docker compose", "needs Docker; tests/deploy validates the file"),
    ("docs/src/alerts.md", "jsonnet", "needs Jsonnet; tests/deploy/mixin_test.py renders each file"),
    ("docs/src/application.md", "npx ", "needs npm; tests/page/client.test.mjs does the same"),
    ("docs/src/get-started.md", "sudo apt-get install", "installs packages"),
    ("docs/src/get-started.md", "cargo build ", "each build of the program is this one"),
    ("docs/src/get-started.md", "make demo", "it runs until it is stopped"),
    ("docs/src/kubernetes.md", "port-forward", CLUSTER),
    ("docs/src/kubernetes.md", "create secret generic streamwarden-login", CLUSTER),
    ("docs/src/kubernetes.md", "-- streamwarden check-config", CLUSTER),
    ("docs/src/kubernetes.md", "exec deployment/shop", CLUSTER),
    ("docs/src/stuck-work.md", "claim", "needs a consumer that is gone; tests/it/stuck/command.rs has one"),
    ("docs/src/traces.md", "--no-default-features", "`make check` checks this build"),
    ("docs/src/views.md", "--watch", "needs a terminal; tests/it/status/live.rs has one"),
];
const CLUSTER: &str = "needs a cluster";

/// Blocks that start the sidecar: their page, and words that no other block of it has. Each serves, on a free port, until it is stopped.
const SERVING: [(&str, &str); 4] = [
    ("docs/src/get-started.md", "REDIS_URI=redis://localhost:6379 streamwarden\n"),
    ("docs/src/get-started.md", "streamwarden --config streamwarden.yaml\n"),
    ("docs/src/otlp-metrics.md", "OTEL_METRICS_EXPORTER=otlp"),
    ("docs/src/traces.md", "OTEL_EXPORTER_OTLP_ENDPOINT"),
];
const SERVE: &str =
    r#"streamwarden() { STREAMWARDEN_LISTEN=127.0.0.1:0 timeout --preserve-status 5 streamwarden "$@"; }"#;

/// Its blocks are a story, which `tests/it/stuck/tour.rs` runs in their order.
const STORY: &str = "docs/src/dead-letters.md";

/// The blocks for a shell on a page.
fn blocks(page: &str) -> Vec<String> {
    in_fences(&read(page)).into_iter().filter(|(kind, _)| kind == "sh").map(|(_, block)| block).collect()
}

/// The pages with commands, but for the runbooks, which have tests of their own, and translations, whose commands are the same.
fn pages() -> Vec<String> {
    let has_others = |page: &String| page.starts_with("docs/src/runbooks/") || page == STORY;
    let of_the_book = below("docs/src").into_iter().filter(|page| !has_others(page));
    ["README.md", "CONTRIBUTING.md", "deploy/README.md"]
        .into_iter()
        .map(str::to_owned)
        .chain(of_the_book)
        .collect()
}

#[test]
fn every_command_runs_as_it_is_written_or_says_why_not() {
    let Some(lab) = Lab::start() else { return };
    lab.redis.run::<()>("ACL SETUSER admin on >password ~* +@all");
    lab.redis.run::<()>("ACL SETUSER streamwarden on >password ~* +@all");
    for folder in ["alerts", "dashboards"] {
        fs::create_dir(lab.folder().join(folder)).unwrap();
        for file in fs::read_dir(project(folder)).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), lab.folder().join(folder).join(file.file_name())).unwrap();
        }
    }
    let token = lab.folder().join("token");
    support::write(&token, "a-token-that-nobody-guesses");
    let write_token = lab.folder().join("write-token");
    support::write(&write_token, "another-token-that-nobody-guesses");
    let config = format!(
        "http: {{trim_token_file: {}, write_token_file: {}}}",
        token.display(),
        write_token.display()
    );
    let sidecar = Sidecar::with_config(&lab.redis.uri(), &config);
    sidecar.wait("the stream to be seen", |page| page.stream("length", lab::STREAM).is_some());
    lab.set("TOKEN=a-token-that-nobody-guesses");
    lab.set("WRITE_TOKEN=another-token-that-nobody-guesses");

    let mut not_run = NOT_RUN.to_vec();
    let mut runs = 0;
    for page in pages() {
        for block in blocks(&page) {
            if let Some(at) = not_run.iter().position(|(on, words, _)| *on == page && block.contains(words)) {
                not_run.remove(at);
                continue;
            }
            let serves = SERVING.iter().any(|(on, words)| *on == page && block.contains(words));
            let serve = if serves { SERVE } else { "" };
            // A curl that is refused fails.
            let block = format!("curl() {{ command curl --fail \"$@\"; }}\n{serve}\n{block}")
                .replace("localhost:6379", &format!("localhost:{}", lab.redis.port()))
                .replace("localhost:19121", &sidecar.address().to_string());
            let (is_done, said) = lab.run(&block);
            assert!(is_done, "{page}: {block}{said}");
            if serves {
                // Its log also has what old servers do not support.
                assert!(said.contains("\"stopped\""), "it did not serve: {block}{said}");
            } else {
                assert!(!REFUSALS.iter().any(|word| said.contains(word)), "{page}: {block}{said}");
            }
            runs += 1;
        }
    }
    assert!(not_run.is_empty(), "no such block: {not_run:?}");
    assert!(runs > 15, "only {runs} blocks were run");
}
