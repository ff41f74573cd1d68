//! A dashboard in Grafana's classic model.

use serde_json::{Value, json};

use super::{
    RUNBOOKS,
    panel::{Panel, datasource},
    query::Scope,
};

/// The schema version that Grafana 10 and later read without loss.
const SCHEMA_VERSION: u32 = 39;
/// The width of Grafana's grid.
const GRID: u32 = 24;

/// A dashboard.
pub(crate) struct Board {
    pub(crate) uid: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    /// The variables in addition to data source, job and instance.
    pub(crate) scope: Scope,
    /// The rows, from symptoms to causes.
    pub(crate) rows: Vec<Row>,
}

/// A titled row of panels.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) panels: Vec<Panel>,
}

impl Board {
    /// The JSON that Grafana imports and provisions.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["streamwarden"],
            "editable": false,
            "graphTooltip": 1,
            "schemaVersion": SCHEMA_VERSION,
            "timezone": "browser",
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "links": [
                {
                    "type": "dashboards", "title": "Streamwarden", "tags": ["streamwarden"], "asDropdown": true,
                    "includeVars": true, "keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "", "url": "",
                },
                {
                    "type": "link", "title": "Runbooks", "tags": [], "asDropdown": false, "includeVars": false,
                    "keepTime": false, "targetBlank": true, "icon": "doc", "tooltip": "What each alert means and what to do",
                    "url": format!("{RUNBOOKS}README.md"),
                },
                {
                    "type": "link", "title": "Page", "tags": [], "asDropdown": false, "includeVars": false,
                    "keepTime": false, "targetBlank": true, "icon": "external link",
                    "tooltip": "The sidecar's own page, if http.external_url is set",
                    "url": "${page}/",
                },
            ],
            "annotations": {"list": [self.annotations()]},
            "templating": {"list": self.variables()},
            "panels": self.panels(),
        })
    }

    fn annotations(&self) -> Value {
        // Alerts about a whole Redis or a sidecar have no stream label, so the empty label matches too.
        let narrowed =
            self.scope.0.iter().map(|label| format!(", {label}=~\"(${label})?\"")).collect::<String>();
        json!({
            "name": "Alerts",
            "datasource": datasource(),
            "enable": true,
            "hide": false,
            "iconColor": "red",
            "expr": format!("ALERTS{{alertname=~\"RedisStream.+\", alertstate=\"firing\"{narrowed}}}"),
            "titleFormat": "{{alertname}}",
            "textFormat": "{{stream}} {{group}}",
        })
    }

    fn variables(&self) -> Vec<Value> {
        let mut matchers = "job=~\"$job\"".to_owned();
        let mut variables = vec![
            json!({
                "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus",
                "hide": 0, "multi": false, "includeAll": false, "options": [], "refresh": 1, "regex": "",
            }),
            variable("job", "label_values(streamwarden_build_info, job)", true),
            variable("instance", "label_values(streamwarden_build_info{job=~\"$job\"}, instance)", true),
        ];
        let mut page = variable(
            "page",
            "label_values(streamwarden_redis_info{job=~\"$job\", external_url!=\"\"}, external_url)",
            false,
        );
        // Only links use it, so it is not offered for selection.
        page["hide"] = json!(2);
        variables.push(page);
        for label in self.scope.0 {
            let family =
                if *label == "group" { "streamwarden_group_status" } else { "streamwarden_stream_health" };
            let is_several = self.scope.is_several(label);
            variables.push(variable(
                label,
                &format!("label_values({family}{{{matchers}}}, {label})"),
                is_several,
            ));
            matchers += &format!(", {label}{}\"${label}\"", self.scope.operator(label));
        }
        variables
    }

    fn panels(&self) -> Vec<Value> {
        let (mut panels, mut y, mut id) = (Vec::new(), 0, 0);
        let mut next_id = || {
            id += 1;
            id
        };
        for row in &self.rows {
            panels.push(json!({
                "id": next_id(), "type": "row", "title": row.title, "collapsed": false, "panels": [],
                "gridPos": {"x": 0, "y": y, "w": GRID, "h": 1},
            }));
            y += 1;
            let (mut x, mut height) = (0, 0);
            for panel in &row.panels {
                if x + panel.width > GRID {
                    (x, y, height) = (0, y + height, 0);
                }
                panels.push(panel.to_json(next_id(), x, y));
                x += panel.width;
                height = height.max(panel.height());
            }
            y += height;
        }
        panels
    }
}

fn variable(name: &str, query: &str, is_several: bool) -> Value {
    let mut variable = json!({
        "type": "query", "name": name, "label": name, "datasource": datasource(),
        "query": {"query": query, "refId": "Variable"},
        "hide": 0, "multi": is_several, "includeAll": is_several,
        "options": [], "refresh": 2, "regex": "", "sort": 1,
    });
    if is_several {
        variable["current"] = json!({"text": ["All"], "value": ["$__all"]});
        variable["allValue"] = json!(".+");
    }
    variable
}
