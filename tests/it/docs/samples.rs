//! Every sample of YAML is accepted by what it is for.

use std::process::Command;

use super::markdown::{below, read};
use crate::runbooks::pages::in_fences;

/// Samples that are not the sidecar's configuration, by their page and words that they have, with what holds them to the truth.
const OTHERS: [(&str, &str, &str); 9] = [
    ("deploy/README.md", "resources: [streamwarden/deploy", "tests/deploy renders it"),
    ("deploy/README.md", "resources: [shop.yaml]", "tests/deploy renders it"),
    ("deploy/README.md", "serviceMonitor: {enabled: true}", "tests/deploy/helm_test.py renders it"),
    ("deploy/README.md", "dependencies:", "tests/deploy/helm_test.py renders it"),
    ("deploy/README.md", "podMonitor: {enabled: true}", "tests/deploy/helm_test.py renders it"),
    ("deploy/README.md", ".Subcharts", "tests/deploy/helm_test.py renders it"),
    (
        "deploy/README.md",
        "/etc/streamwarden/redis/password",
        "the file is in the Pod; tests/it/rotation.rs changes such a file",
    ),
    (
        "docs/src/kubernetes.md",
        "kind: Middleware",
        "tests/deploy validates the Ingress; the Middleware is Traefik's",
    ),
    ("docs/src/webhook.md", "webhook_file:", "tests/it/notify.rs has such a file"),
];

#[test]
fn every_sample_of_a_configuration_is_accepted() {
    let mut others: Vec<_> = OTHERS.to_vec();
    let pages = ["README.md", "CONTRIBUTING.md", "deploy/README.md"].map(str::to_owned);
    for page in pages.into_iter().chain(below("docs")) {
        for (_, sample) in in_fences(&read(&page)).into_iter().filter(|(kind, _)| kind == "yaml") {
            if let Some(at) = others.iter().position(|(on, words, _)| *on == page && sample.contains(words)) {
                others.remove(at);
                continue;
            }
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &sample).unwrap();
            let mut check = Command::new(support::program());
            check.args(["check-config", "--config"]).arg(file.path()).env_clear();
            if !sample.contains("uri:") {
                check.env("REDIS_URI", "redis://localhost");
            }
            let output = check.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{page}: {sample}{said}");
        }
    }
    assert!(others.is_empty(), "no such sample: {others:?}");
}
