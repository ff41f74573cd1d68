//! The dashboards, by the rules of dashboard-linter and the table of metrics.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use streamwarden::views::{FAMILIES, Kind};

use crate::{
    alerts::{current_only, promtool_passes},
    promql,
    tools::{read, rules},
};

/// Every board, with its file's name.
pub(crate) fn boards() -> Vec<(&'static str, Value)> {
    let names = ["overview", "stream", "retention", "sidecar"];
    let board = |name| serde_json::from_str(&read(&format!("dashboards/{name}.json"))).unwrap();
    names.into_iter().map(|name| (name, board(name))).collect()
}

/// The board's panels, without rows.
pub(crate) fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// The queries of a panel.
pub(crate) fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].as_str().unwrap())
}

pub(crate) fn variables(board: &Value) -> &[Value] {
    board["templating"]["list"].as_array().unwrap()
}

/// Grafana's unit IDs that the boards use, from its list of value formats.
const UNITS: [&str; 8] =
    ["short", "s", "ms", "bytes", "cps", "percentunit", "bool_yes_no", "dateTimeFromNow"];

#[test]
fn boards_can_be_imported_and_provisioned() {
    let mut uids = BTreeSet::new();
    for (name, board) in boards() {
        let uid = board["uid"].as_str().unwrap();
        assert!(uid.len() <= 40 && uids.insert(uid.to_owned()), "{name}: {uid}");
        // Inputs are filled in by the import wizard alone, and a number of another Grafana may be taken here.
        assert!(board.get("__inputs").is_none() && board.get("id").is_none(), "{name}");
        assert_eq!(
            board["editable"],
            json!(false),
            "{name}: an edited copy would be lost at the next provisioning"
        );
        let ids: Vec<u64> =
            board["panels"].as_array().unwrap().iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{name}: panel IDs are unique");
    }
}

#[test]
fn panels_do_not_overlap_and_fill_the_grid() {
    for (name, board) in boards() {
        let mut taken = BTreeSet::new();
        for panel in board["panels"].as_array().unwrap() {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            assert!(x + w <= 24, "{name}: {}", panel["title"]);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{name}: {} covers another panel at {cell:?}", panel["title"]);
            }
        }
    }
}

#[test]
fn variables_follow_the_linter_s_rules() {
    for (name, board) in boards() {
        let (source, queried) = variables(&board).split_first().unwrap();
        assert_eq!(
            (&source["name"], &source["type"], &source["query"]),
            (&json!("datasource"), &json!("datasource"), &json!("prometheus"))
        );
        assert_eq!(source["label"], "Data source", "{name}");
        for variable in queried {
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{name}");
            assert_eq!(variable["refresh"], 2, "{name}: read again when the time changes");
            assert_eq!(variable["label"], variable["name"], "{name}");
            let is_all = variable["allValue"] == ".+" && variable["multi"] == json!(true);
            // One stream in depth: several at once would be unreadable. Of the page one address is enough for a link.
            let is_one = variable["name"] == "stream" && name == "stream"
                || variable["name"] == "page" && variable["hide"] == 2;
            assert!(is_all || is_one, "{name}: {}", variable["name"]);
        }
        assert_eq!([&queried[0]["name"], &queried[1]["name"]], ["job", "instance"], "{name}");
    }
}

#[test]
fn panels_say_what_they_show() {
    for (name, board) in boards() {
        for panel in panels(&board) {
            let title = panel["title"].as_str().unwrap();
            let description = panel["description"].as_str().unwrap();
            assert!(!title.is_empty() && description.ends_with('.'), "{name}: {title}: {description}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {title}");
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap();
            assert!(UNITS.contains(&unit), "{name}: {title}: {unit}");
            assert!(queries(panel).next().is_some(), "{name}: {title} asks nothing");
        }
    }
}

#[test]
fn every_selector_takes_the_job_and_the_instance() {
    for (name, board) in boards() {
        for query in panels(&board).flat_map(queries) {
            let selectors: Vec<_> = promql::matchers(query).collect();
            assert!(!selectors.is_empty(), "{name}: {query}");
            for (_, matchers) in selectors {
                assert!(
                    matchers.contains("job=~\"$job\"") && matchers.contains("instance=~\"$instance\""),
                    "{name}: {query}"
                );
            }
        }
    }
}

#[test]
fn counters_are_rated_over_the_interval_that_grafana_chooses() {
    for (name, board) in boards() {
        for query in panels(&board).flat_map(queries) {
            for (before, _) in promql::matchers(query) {
                let metric = before.rsplit(|it: char| !(it.is_alphanumeric() || it == '_')).next().unwrap();
                let family = promql::family(metric).unwrap();
                let is_rated = ["rate(", "increase("]
                    .iter()
                    .any(|function| before.ends_with(&format!("{function}{metric}")));
                let counts = family.kind == Kind::Counter || family.kind == Kind::Histogram;
                assert_eq!(counts, is_rated, "{name}: {query}");
            }
            for (_, range) in query
                .match_indices('[')
                .filter_map(|(at, _)| query[at + 1..].split_once(']').map(|(range, _)| (at, range)))
            {
                let is_variable =
                    range == "$__rate_interval" || range == "$__range" && query.contains("increase(");
                // Runs are hourly: over less there is nothing to see.
                let is_hourly = range == "1h" && query.contains("increase(streamwarden_retention_runs_total");
                // Burn rates are over what their alerts compare, and the budget is that of 30 days.
                let is_of_budget = ["1h", "6h", "30d"].contains(&range)
                    && query.contains("rate(streamwarden_slo_events_total");
                assert!(is_variable || is_hourly || is_of_budget, "{name}: {query}");
            }
        }
    }
}

#[test]
fn sidecars_that_watch_the_same_count_once() {
    for (name, board) in boards().into_iter().filter(|(name, _)| *name != "sidecar") {
        for panel in panels(&board) {
            for query in queries(panel) {
                let is_collapsed =
                    ["without (instance, pod", "max(", "sum by ("].iter().any(|it| query.contains(it));
                let is_of_sidecars = query.contains("streamwarden_retention_");
                assert!(is_collapsed || is_of_sidecars, "{name}: {}: {query}", panel["title"]);
            }
        }
    }
}

#[test]
fn boards_link_to_each_other_and_to_the_runbooks() {
    for (name, board) in boards() {
        let links = board["links"].as_array().unwrap();
        let of = |kind: &str| links.iter().find(|link| link["type"] == kind).unwrap();
        assert_eq!(of("dashboards")["tags"], board["tags"], "{name}");
        assert_eq!(of("dashboards")["includeVars"], json!(true), "{name}");
        assert!(of("link")["url"].as_str().unwrap().ends_with("/runbooks/README.md"), "{name}");
        for panel in panels(&board) {
            for link in
                panel.pointer("/fieldConfig/defaults/links").and_then(Value::as_array).into_iter().flatten()
            {
                let uid =
                    link["url"].as_str().unwrap().strip_prefix("/d/").unwrap().split('?').next().unwrap();
                assert!(boards().iter().any(|(_, board)| board["uid"] == uid), "{name}: {uid}");
            }
        }
    }
}

#[test]
fn every_metric_is_looked_at_and_no_other() {
    let mut used = BTreeSet::new();
    for (_, board) in boards() {
        for query in panels(&board).flat_map(queries) {
            used.extend(promql::families(query, &[]));
        }
    }
    let recorded: Vec<String> =
        rules().iter().filter_map(|rule| rule["record"].as_str().map(str::to_owned)).collect();
    for rule in rules() {
        used.extend(promql::families(rule["expr"].as_str().unwrap(), &recorded));
    }
    let unused: Vec<&str> =
        FAMILIES.iter().map(|family| family.name).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "in no panel and no alert: {unused:?}");
}

/// `exposition.states: current` leaves out the states that do not hold: what panels show is the same without them.
#[test]
fn panels_show_the_same_where_only_current_states_are_served() {
    let set = |family: &str, labels: &str, states: &[&str]| -> Vec<Value> {
        let series = |(place, state): (usize, &&str)| {
            let values = (0..states.len())
                .map(|now| if now == place { "1" } else { "0" })
                .collect::<Vec<_>>()
                .join(" ");
            let of = |job: &str, values: &str| {
                let series = format!(
                    "{family}{{job=\"{job}\",instance=\"a\",db=\"db0\",stream=\"s\"{labels},status=\"{state}\"}}"
                );
                json!({"series": series, "values": values})
            };
            [of("all", &values), of("current", &current_only(&values))]
        };
        states.iter().enumerate().flat_map(series).collect()
    };
    let healths = ["healthy", "unknown", "warning", "critical"];
    let statuses = [
        "ok",
        "unknown",
        "lagging",
        "stalled",
        "stopped",
        "no_consumers",
        "rewound",
        "trimmed_past",
        "missing",
    ];
    let series = [
        set("streamwarden_stream_health", "", &healths),
        set("streamwarden_group_status", ",group=\"g\"", &statuses),
    ];
    let mut tests = Vec::new();
    for query in boards()
        .iter()
        .flat_map(|(_, board)| panels(board).flat_map(queries).map(str::to_owned).collect::<Vec<_>>())
    {
        if !["streamwarden_stream_health", "streamwarden_group_status"].iter().any(|set| query.contains(set))
        {
            continue;
        }
        let of = |job: &str| {
            let query = query.replace("$job", job);
            ["$instance", "$db", "$stream", "$group"].iter().fold(query, |query, variable| {
                query.replace(&format!("=~\"{variable}\""), "=~\".+\"").replace(variable, "s")
            })
        };
        let (all, current) = (of("all"), of("current"));
        for minute in 0..healths.len() {
            let at = format!("{minute}m");
            for nothing in [
                format!("({all}) unless ignoring (job) ({current})"),
                format!("({current}) unless ignoring (job) ({all})"),
                format!("({all}) != ignoring (job) ({current})"),
            ] {
                tests.push(json!({"expr": nothing, "eval_time": at, "exp_samples": []}));
            }
        }
        // So that it is not nothing beside nothing.
        let something = json!({"expr": format!("count({all}) > bool 0"), "eval_time": "3m", "exp_samples": [{"labels": "{}", "value": 1}]});
        tests.push(something);
    }
    assert!(tests.len() > 60, "{}", tests.len());
    promtool_passes(&json!({
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series.concat(), "promql_expr_test": tests}],
    }));
}

#[test]
fn thresholds_are_drawn_where_alerts_compare_with_them() {
    let drawn: String = boards()
        .iter()
        .flat_map(|(_, board)| panels(board).flat_map(queries).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let compared = FAMILIES
        .iter()
        .map(|family| family.name)
        .filter(|name| name.contains("threshold") || name.starts_with("streamwarden_stream_max_"));
    for name in compared {
        assert!(drawn.contains(name), "{name} is drawn in no panel");
    }
}
