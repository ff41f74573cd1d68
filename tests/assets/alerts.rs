//! The rules, their unit tests, the manifest and the example for Alertmanager, by the programs that read them.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::{Value, json};
use streamwarden::config::{ALERT_FAMILIES, AlertFamilies};
use xtask::shipped::{self, RUNBOOKS};

use crate::{
    monitoring::Alertmanager,
    pace::Pace,
    promql,
    tools::{RULES, alerts, project, read, rules, succeeds, tool, yaml},
};

const TESTS: &str = "alerts/streamwarden.test.yml";
const MANIFEST: &str = "alerts/prometheusrule.yaml";
const ALERTMANAGER: &str = "alerts/alertmanager.yml";

#[test]
fn promtool_finds_nothing_to_complain_of() {
    let said =
        succeeds(tool("promtool").args(["check", "rules", "--lint=all", "--lint-fatal"]).arg(project(RULES)));
    assert!(said.contains(&format!("{} rules found", rules().len())), "{said}");
}

#[test]
fn every_alert_passes_its_unit_test() {
    succeeds(tool("promtool").args(["test", "rules"]).arg(project(TESTS)));
    let tests = yaml(&read(TESTS));
    let tests = tests["tests"].as_array().unwrap();
    for alert in alerts() {
        // Where there are several ways to it, what follows a comma tells them apart.
        let of_alert = |test: &&Value| test["name"].as_str().unwrap().split(',').next() == Some(&alert.name);
        let ways: Vec<&Value> = tests.iter().filter(of_alert).collect();
        assert!(!ways.is_empty(), "{} has no unit test", alert.name);
        ways.into_iter().for_each(|test| fires_once_and_clears(&alert.name, test));
    }
}

/// As from a sidecar that serves only current states (`exposition.states: current`): a state that ends takes its series along.
#[test]
fn every_alert_passes_its_unit_test_where_only_current_states_are_served() {
    let mut tests = yaml(&read(TESTS));
    tests["rule_files"] = json!([project(RULES)]);
    let mut changed = 0;
    for series in tests["tests"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .flat_map(|test| test["input_series"].as_array_mut().unwrap())
    {
        let name = series["series"].as_str().unwrap();
        if ["streamwarden_stream_health{", "streamwarden_group_status{"]
            .iter()
            .any(|set| name.starts_with(set))
        {
            let values = current_only(series["values"].as_str().unwrap());
            changed += usize::from(values != series["values"]);
            series["values"] = json!(values);
        }
    }
    assert!(changed > 10, "{changed} state sets");
    promtool_passes(&tests);
}

/// Runs unit tests of rules that are no file.
pub(crate) fn promtool_passes(tests: &Value) {
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    serde_json::to_writer(&file, tests).unwrap();
    succeeds(tool("promtool").args(["test", "rules"]).arg(file.path()));
}

/// Values like `0x9 1x14`, of which a zero becomes the end of its series.
pub(crate) fn current_only(values: &str) -> String {
    let mut samples = Vec::new();
    for values in values.split(' ') {
        let (value, more) = values.split_once('x').unwrap_or((values, "0"));
        assert!(["0", "1"].contains(&value), "{values}");
        samples.extend(std::iter::repeat_n(value, more.parse::<usize>().unwrap() + 1));
    }
    let last = [""].into_iter().chain(samples.iter().copied()).collect::<Vec<_>>();
    let one = |(value, before): (&&str, &str)| match (*value, before) {
        ("0", "1") => "stale",
        ("0", _) => "_",
        _ => "1",
    };
    samples.iter().zip(last).map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_table_of_what_alerts_read_is_that_of_the_rules() {
    let recorded: Vec<(String, String)> = rules()
        .iter()
        .filter_map(|rule| Some((rule["record"].as_str()?.to_owned(), rule["expr"].as_str()?.to_owned())))
        .collect();
    let names: Vec<String> = recorded.iter().map(|(name, _)| name.clone()).collect();
    let alerts = alerts();
    assert_eq!(alerts.len(), ALERT_FAMILIES.len());
    for (alert, AlertFamilies { name, needs, mutes }) in alerts.iter().zip(ALERT_FAMILIES) {
        assert_eq!(alert.name, *name);
        // A recorded series is read as its rule reads it.
        let mut expression = alert.expression.clone();
        while let Some((name, of)) = recorded.iter().find(|(name, _)| expression.contains(name.as_str())) {
            expression = expression.replace(name, &format!("({of})"));
        }
        let read: BTreeSet<&str> = needs.iter().chain(*mutes).copied().collect();
        assert_eq!(
            promql::families(&expression, &names),
            read,
            "{name}: `cargo xtask dashboards` writes the table"
        );
        let (needed, _) = expression.split_once("unless").unwrap_or((&expression, ""));
        let needed = promql::families(needed, &names);
        assert!(needed.iter().all(|family| needs.contains(family)), "{name}: {needed:?}");
    }
}

fn fires_once_and_clears(name: &str, test: &Value) {
    let moments = test["alert_rule_test"].as_array().unwrap();
    let fires = moments.iter().map(|moment| {
        assert_eq!(moment["alertname"], name);
        match moment["exp_alerts"].as_array().unwrap().len() {
            0 => false,
            1 => true,
            several => panic!("{name}: {several} alerts for one trouble"),
        }
    });
    assert_eq!(
        fires.collect::<Vec<_>>(),
        [false, true, false],
        "{name}: before its time, then once, then cleared"
    );
    let series: Vec<&str> =
        test["input_series"].as_array().unwrap().iter().map(|it| it["series"].as_str().unwrap()).collect();
    for sidecar in ["a", "b"] {
        let instance = format!("instance=\"{sidecar}\"");
        assert!(series.iter().any(|series| series.contains(&instance)), "{name}: two sidecars tell of it");
    }
}

#[test]
fn the_manifest_holds_the_same_rules() {
    let manifest = yaml(&read(MANIFEST));
    assert_eq!(
        (&manifest["kind"], &manifest["apiVersion"]),
        (&json!("PrometheusRule"), &json!("monitoring.coreos.com/v1"))
    );
    assert_eq!(manifest["spec"], yaml(&read(RULES)));
}

#[test]
fn what_is_generated_is_what_is_there() {
    for file in shipped::files(&read(RULES)) {
        assert!(read(file.path) == file.text, "{} is not what `make dashboards` writes", file.path);
    }
}

#[test]
fn rules_name_metrics_and_labels_of_the_table() {
    let recorded: Vec<String> =
        rules().iter().filter_map(|rule| rule["record"].as_str().map(str::to_owned)).collect();
    for rule in rules() {
        promql::families(rule["expr"].as_str().unwrap(), &recorded);
    }
    let used: String = rules().iter().map(|rule| format!("{} ", rule["expr"].as_str().unwrap())).collect();
    for name in recorded {
        assert!(used.contains(&name), "{name} is recorded and not used");
    }
}

#[test]
fn alerts_say_what_they_must() {
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = &alert.name;
        assert!(names.insert(name.clone()) && name.starts_with("RedisStream"), "{name}");
        assert!(["critical", "warning", "info"].contains(&alert.severity.as_str()), "{name}");
        // Alerts of one kind share their summary, so that it may not tell one from another.
        assert!(alert.summary.ends_with('.') && !alert.summary.contains("{{"), "{name}: {}", alert.summary);
        assert!(alert.description.ends_with('.'), "{name}");
        assert_eq!(alert.runbook, format!("{RUNBOOKS}{name}.md"));
        let collapses = ["without (instance, pod", ":max", ":rate5m", ":ratio", "absent("]
            .iter()
            .any(|it| alert.expression.contains(it));
        assert!(collapses, "{name} would fire once a sidecar");
    }
}

#[test]
fn the_page_of_alerts_lists_them() {
    let mut table = "\n| Alert | Severity | Meaning |\n|---|---|---|\n".to_owned();
    for alert in alerts() {
        let Alert { name, severity, summary, .. } = &alert;
        writeln!(table, "| [`{name}`](runbooks/{name}.md) | {severity} | {summary} |").unwrap();
    }
    let page = read("docs/src/alerts.md");
    let (_, rest) = page.split_once("<!-- alerts: begin -->").expect("the page has a table of alerts");
    assert!(rest.split_once("<!-- alerts: end -->").unwrap().0 == table, "the table should be:\n{table}");
}

use crate::tools::Alert;

#[test]
fn alertmanager_takes_the_example_and_routes_by_severity() {
    succeeds(tool("amtool").arg("check-config").arg(project(ALERTMANAGER)));
    for (severity, receiver) in [("critical", "pager"), ("warning", "chat"), ("info", "nobody")] {
        let mut test = tool("amtool");
        test.args(["config", "routes", "test", "--config.file"]).arg(project(ALERTMANAGER));
        test.arg(format!("--verify.receivers={receiver}"));
        succeeds(test.args(["alertname=RedisStreamMissing", &format!("severity={severity}"), "stream=s"]));
    }
}

/// An alert, its labels beside the job's, and the ones that must be muted by it or not.
struct Muting {
    by: Value,
    muted: Vec<Value>,
    heard: Vec<Value>,
}

fn alert(name: &str, component: &str, labels: &[(&str, &str)]) -> Value {
    let mut all =
        json!({"alertname": name, "component": component, "job": "streamwarden", "namespace": "shop"});
    for (label, value) in labels {
        all[*label] = json!(value);
    }
    all
}

fn mutings() -> Vec<Muting> {
    let (s, t) = ([("db", "db0"), ("stream", "s")], [("db", "db0"), ("stream", "t")]);
    let group = |stream, group| [("db", "db0"), ("stream", stream), ("group", group)];
    let on = |name, labels: &[(&str, &str)]| alert(name, "stream", labels);
    let mut elsewhere = on("RedisStreamMissing", &s);
    elsewhere["job"] = json!("other");
    vec![
        Muting {
            by: alert("RedisStreamRedisUnreachable", "sidecar", &[]),
            muted: vec![
                on("RedisStreamMissing", &s),
                alert("RedisStreamRetentionFailing", "retention", &s),
                alert("RedisStreamSidecarPollsFailing", "sidecar", &[]),
            ],
            heard: vec![elsewhere.clone(), alert("RedisStreamSidecarConfigRefused", "sidecar", &[])],
        },
        Muting {
            by: alert("RedisStreamWritesRefused", "sidecar", &[("reason", "oom")]),
            muted: vec![alert("RedisStreamProbeFailing", "sidecar", &[("node", "10.0.0.5:6379")])],
            heard: vec![on("RedisStreamMissing", &s)],
        },
        Muting {
            by: alert("RedisStreamClusterNodeDown", "sidecar", &[("node", "10.0.0.5:6379")]),
            muted: vec![alert("RedisStreamClusterSlotsUnserved", "sidecar", &[])],
            heard: vec![on("RedisStreamMissing", &s)],
        },
        Muting {
            by: json!({"alertname": "RedisStreamSidecarAbsent", "component": "sidecar"}),
            muted: vec![on("RedisStreamMissing", &s), elsewhere.clone()],
            heard: vec![],
        },
        Muting {
            by: alert("RedisStreamSidecarAbsent", "sidecar", &[]),
            muted: vec![on("RedisStreamMissing", &s)],
            heard: vec![elsewhere],
        },
        Muting {
            by: on("RedisStreamGroupNoConsumers", &group("s", "g")),
            muted: vec![
                on("RedisStreamLagTooOld", &group("s", "g")),
                on("RedisStreamPendingHigh", &group("s", "g")),
                on("RedisStreamGroupLagging", &group("s", "g")),
                on("RedisStreamNearLoss", &group("s", "g")),
                on("RedisStreamGroupStalled", &group("s", "g")),
                alert("RedisStreamRetentionBlocked", "retention", &s),
                on("RedisStreamUnhealthy", &s),
            ],
            heard: vec![
                on("RedisStreamLagTooOld", &group("s", "h")),
                on("RedisStreamGroupStalled", &group("s", "i")),
                on("RedisStreamEntriesLost", &group("s", "g")),
                on("RedisStreamUnhealthy", &t),
            ],
        },
        Muting {
            by: on("RedisStreamLagTooOld", &group("s", "g")),
            muted: vec![
                on("RedisStreamLagHigh", &group("s", "g")),
                on("RedisStreamGroupLagging", &group("s", "g")),
                alert("RedisStreamRetentionBlocked", "retention", &s),
            ],
            heard: vec![
                on("RedisStreamLagHigh", &group("s", "h")),
                alert("RedisStreamRetentionBlocked", "retention", &t),
            ],
        },
        Muting {
            by: on("RedisStreamPoisonEntries", &group("s", "g")),
            muted: vec![
                on("RedisStreamGroupLagging", &group("s", "g")),
                on("RedisStreamPendingTooOld", &group("s", "g")),
            ],
            heard: vec![
                on("RedisStreamGroupLagging", &group("s", "h")),
                on("RedisStreamGroupStalled", &group("s", "g")),
            ],
        },
        Muting {
            by: on("RedisStreamEntriesLost", &group("s", "g")),
            muted: vec![on("RedisStreamLossSuspected", &group("s", "g")), on("RedisStreamUnhealthy", &s)],
            heard: vec![
                on("RedisStreamLossSuspected", &group("s", "h")),
                on("RedisStreamGroupNoConsumers", &group("s", "g")),
            ],
        },
        Muting {
            by: on("RedisStreamMissing", &s),
            muted: vec![
                on("RedisStreamGroupMissing", &group("s", "g")),
                on("RedisStreamRecreated", &s),
                on("RedisStreamsVanished", &[]),
            ],
            heard: vec![on("RedisStreamGroupMissing", &group("t", "g"))],
        },
        Muting {
            by: on("RedisStreamRecreated", &s),
            muted: vec![on("RedisStreamGroupRewound", &group("s", "g"))],
            heard: vec![
                on("RedisStreamGroupRewound", &group("t", "g")),
                on("RedisStreamEntriesLost", &group("s", "g")),
                on("RedisStreamGroupMissing", &group("s", "g")),
            ],
        },
        Muting {
            by: on("RedisStreamGroupMissing", &group("s", "g")),
            muted: vec![alert("RedisStreamRetentionBlocked", "retention", &s)],
            heard: vec![alert("RedisStreamRetentionBlocked", "retention", &t)],
        },
        Muting {
            by: alert("RedisStreamRetentionBlocked", "retention", &s),
            muted: vec![
                alert("RedisStreamLengthOverLimit", "retention", &s),
                on("RedisStreamGroupLagging", &group("s", "g")),
            ],
            heard: vec![
                alert("RedisStreamLengthOverLimit", "retention", &t),
                on("RedisStreamLagHigh", &group("s", "g")),
            ],
        },
        Muting {
            by: on("RedisStreamThroughputHigh", &[("db", "db0")]),
            muted: vec![on("RedisStreamThroughputRising", &[("db", "db0")])],
            heard: vec![on("RedisStreamThroughputRising", &[("db", "db1")])],
        },
        Muting {
            by: on("RedisStreamLagHigh", &group("s", "g")),
            muted: vec![on("RedisStreamLagGrowing", &group("s", "g"))],
            heard: vec![on("RedisStreamLagGrowing", &group("s", "h"))],
        },
    ]
}

#[test]
fn what_follows_from_an_alert_is_muted_and_its_neighbour_is_not() {
    for Muting { by, muted, heard } in mutings() {
        let alertmanager = Alertmanager::start(&Pace::times(300).alertmanager(), "http://127.0.0.1:9/");
        let all: Vec<&Value> = [&by].into_iter().chain(&muted).chain(&heard).collect();
        alertmanager.post(&all);
        for expected in &muted {
            alertmanager.wait_for_state(expected, "suppressed");
        }
        for expected in heard.iter().chain([&by]) {
            alertmanager.wait_for_state(expected, "active");
        }
    }
}
