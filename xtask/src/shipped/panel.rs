//! A panel in Grafana's classic model, as far as the dashboards need it.

use serde_json::{Value, json};

/// A value, the text to show for it, and the text's colour.
pub(crate) type Word = (&'static str, &'static str, &'static str);

/// How values are displayed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Stat,
    Graph,
    Table,
    Timeline,
    /// The buckets of a histogram over time.
    Heat,
}

/// The unit of the values: Grafana's unit IDs.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Short,
    Seconds,
    Milliseconds,
    Bytes,
    PerSecond,
    Share,
    YesNo,
    Moment,
}

/// A panel.
pub(crate) struct Panel {
    title: &'static str,
    description: String,
    view: View,
    unit: Unit,
    pub(super) width: u32,
    targets: Vec<Target>,
    /// The values from which on the panel is orange or red.
    steps: Vec<(f64, &'static str)>,
    /// Texts for values.
    words: Vec<Word>,
    link: bool,
}

struct Target {
    expression: String,
    legend: &'static str,
    /// Drawn as a dashed line: a limit of the values.
    is_threshold: bool,
}

impl Panel {
    pub(crate) fn new(view: View, title: &'static str, unit: Unit, description: &str) -> Self {
        let width = match view {
            View::Stat => 4,
            View::Graph | View::Table | View::Timeline | View::Heat => 12,
        };
        let description = description.to_owned();
        let (targets, steps, words) = (Vec::new(), Vec::new(), Vec::new());
        Self { title, description, view, unit, width, targets, steps, words, link: false }
    }

    pub(crate) fn width(mut self, width: u32) -> Self {
        self.width = width;
        self
    }

    /// Adds a query, with the name of its series.
    pub(crate) fn query(mut self, legend: &'static str, expression: String) -> Self {
        self.targets.push(Target { expression, legend, is_threshold: false });
        self
    }

    /// Adds a limit of the values, drawn as a dashed line.
    pub(crate) fn threshold(mut self, legend: &'static str, expression: String) -> Self {
        self.targets.push(Target { expression, legend, is_threshold: true });
        self
    }

    /// Sets the values from which on the panel is orange or red.
    pub(crate) fn colours(mut self, steps: &[(f64, &'static str)]) -> Self {
        self.steps = steps.to_vec();
        self
    }

    /// Sets texts and colours for values.
    pub(crate) fn words(mut self, words: &[Word]) -> Self {
        self.words = words.to_vec();
        self
    }

    /// Links each series to the dashboard of its stream.
    pub(crate) fn leads_to_the_stream(mut self) -> Self {
        self.link = true;
        self
    }

    pub(super) fn height(&self) -> u32 {
        if self.view == View::Stat { 4 } else { 8 }
    }

    pub(super) fn to_json(&self, id: u32, x: u32, y: u32) -> Value {
        let mut panel = json!({
            "id": id,
            "type": self.view.plugin(),
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height()},
            "targets": self.targets.iter().enumerate().map(|(index, target)| self.target(index, target)).collect::<Vec<_>>(),
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.overrides()},
            "options": self.view.options(),
        });
        if self.view == View::Table {
            panel["transformations"] = json!([
                {"id": "merge", "options": {}},
                {"id": "organize", "options": {"excludeByName": {"Time": true, "job": true, "__name__": true}}}
            ]);
        }
        panel
    }

    fn target(&self, index: usize, target: &Target) -> Value {
        let is_instant = matches!(self.view, View::Table | View::Stat);
        json!({
            "refId": ref_id(index),
            "datasource": datasource(),
            "editorMode": "code",
            "expr": target.expression,
            "legendFormat": target.legend,
            "instant": is_instant,
            "range": !is_instant,
            "format": match self.view {
                View::Table => "table",
                View::Heat => "heatmap",
                View::Stat | View::Graph | View::Timeline => "time_series",
            },
        })
    }

    fn defaults(&self) -> Value {
        let base = if self.steps.is_empty() { "blue" } else { "green" };
        let mut steps = vec![json!({"color": base, "value": null})];
        steps.extend(self.steps.iter().map(|(value, colour)| json!({"color": colour, "value": value})));
        let mut defaults = json!({
            "unit": self.unit.id(),
            "color": {"mode": if self.view == View::Graph { "palette-classic" } else { "thresholds" }},
            "thresholds": {"mode": "absolute", "steps": steps},
            "mappings": self.mappings(),
            "custom": self.view.custom(!self.steps.is_empty()),
        });
        if self.view == View::Graph {
            defaults["min"] = json!(0);
        }
        if self.link {
            let series = "var-db=${__field.labels.db}&var-stream=${__field.labels.stream}";
            let url = match self.view {
                View::Table => {
                    "/d/streamwarden-stream?var-db=${__data.fields.db}&var-stream=${__data.fields.stream}"
                        .to_owned()
                }
                View::Stat | View::Graph | View::Timeline | View::Heat => {
                    format!("/d/streamwarden-stream?{series}")
                }
            };
            defaults["links"] = json!([{"title": "Stream dashboard", "url": format!("{url}&${{__url_time_range}}&var-datasource=${{datasource}}")}]);
        }
        defaults
    }

    fn mappings(&self) -> Value {
        let word = |(value, text, colour): &Word| (value.to_string(), json!({"text": text, "color": colour}));
        if self.words.is_empty() {
            return json!([]);
        }
        json!([{"type": "value", "options": self.words.iter().map(word).collect::<serde_json::Map<_, _>>()}])
    }

    fn overrides(&self) -> Value {
        let thresholds = self.targets.iter().enumerate().filter(|(_, target)| target.is_threshold);
        thresholds
            .map(|(index, _)| {
                json!({
                    "matcher": {"id": "byFrameRefID", "options": ref_id(index)},
                    "properties": [
                        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}},
                        {"id": "custom.fillOpacity", "value": 0},
                        {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}},
                    ],
                })
            })
            .collect()
    }
}

impl View {
    fn plugin(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::Graph => "timeseries",
            Self::Table => "table",
            Self::Timeline => "state-timeline",
            Self::Heat => "heatmap",
        }
    }

    fn options(self) -> Value {
        let tooltip = json!({"mode": "multi", "sort": "desc"});
        match self {
            Self::Stat => json!({
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "colorMode": "value", "graphMode": "none", "textMode": "auto",
            }),
            Self::Graph => json!({
                "legend": {"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"]},
                "tooltip": tooltip,
            }),
            Self::Heat => json!({
                "calculate": false,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Blues", "steps": 64, "exponent": 0.5, "fill": "dark-blue", "scale": "exponential", "reverse": false},
                "exemplars": {"color": "rgba(255,0,255,0.7)"},
                "filterValues": {"le": 1e-9},
                "legend": {"show": true},
                "rowsFrame": {"layout": "auto"},
                "tooltip": {"mode": "single", "yHistogram": false, "showColorScale": false},
                "yAxis": {"axisPlacement": "left", "unit": "s", "reverse": false},
            }),
            Self::Table => json!({"showHeader": true, "cellHeight": "sm"}),
            Self::Timeline => json!({
                "mergeValues": true, "showValue": "auto", "rowHeight": 0.9,
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true}, "tooltip": tooltip,
            }),
        }
    }

    fn custom(self, has_steps: bool) -> Value {
        match self {
            Self::Graph => json!({
                "drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false,
                "thresholdsStyle": {"mode": if has_steps { "dashed" } else { "off" }},
            }),
            Self::Stat | Self::Table | Self::Timeline | Self::Heat => json!({}),
        }
    }
}

impl Unit {
    fn id(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Bytes => "bytes",
            Self::PerSecond => "cps",
            Self::Share => "percentunit",
            Self::YesNo => "bool_yes_no",
            Self::Moment => "dateTimeFromNow",
        }
    }
}

/// The data source that the dashboard's variable selects.
pub(super) fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn ref_id(index: usize) -> String {
    char::from_u32('A' as u32 + u32::try_from(index).unwrap_or(0)).unwrap_or('A').to_string()
}
