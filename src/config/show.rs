//! The effective configuration as YAML: what `check-config` prints. It can be used as a file, but for its secrets.

use std::fmt::{self, Write};

use serde_json::Value;

use super::{
    Config, Metrics, Thresholds,
    setting::{Group, Shown},
};

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown::Map(keys) = self.show_keys() else { return Ok(()) };
        let traces = self.telemetry.traces.as_ref();
        let traces = traces.map(|traces| format!("  # traces to {}", traces.collector.name));
        let metrics = match &self.telemetry.metrics {
            Metrics::On(metrics) => Some(format!("  # to {}", metrics.collector.name)),
            Metrics::Lacking(what) => Some(format!("  # not sent, without {what}")),
            Metrics::Off => None,
        };
        Yaml { f, traces, metrics }.block(&keys, 0)
    }
}

impl Config {
    /// The same as a tree of maps and lists.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.show_keys().into()
    }
}

struct Yaml<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    /// A comment on where traces go.
    traces: Option<String>,
    /// The same for metrics.
    metrics: Option<String>,
}

impl Yaml<'_, '_> {
    /// A map, a key a line.
    fn block(&mut self, keys: &[(&str, Shown)], indent: usize) -> fmt::Result {
        for (key, value) in keys.iter().filter(|(_, value)| is_set(value)) {
            let space = " ".repeat(indent);
            match value {
                Shown::Map(keys) => {
                    writeln!(self.f, "{space}{key}:")?;
                    self.block(keys, indent + 2)?;
                }
                Shown::List(rules) if *key == "streams" && !rules.is_empty() => {
                    writeln!(self.f, "streams:")?;
                    rules.iter().try_for_each(|rule| self.rule(rule))?;
                }
                Shown::Value(_) | Shown::Word(_) | Shown::List(_) => {
                    let comment = match *key {
                        "streams" if indent == 0 => "  # every stream of the database",
                        "otlp" => self.traces.as_deref().unwrap_or_default(),
                        "metrics" => self.metrics.as_deref().unwrap_or_default(),
                        _ => "",
                    };
                    writeln!(self.f, "{space}{key}: {}{comment}", Flow(value))?;
                }
            }
        }
        Ok(())
    }

    fn rule(&mut self, rule: &Shown) -> fmt::Result {
        let Shown::Map(keys) = rule else { return Ok(()) };
        let mut space = "  - ";
        for (key, value) in keys.iter().filter(|(_, value)| !is_off(value)) {
            let comment = if *key == "thresholds" { defaults_beside(value) } else { String::new() };
            writeln!(self.f, "{space}{key}: {}{comment}", Flow(value))?;
            space = "    ";
        }
        Ok(())
    }
}

/// The default thresholds that apply where a rule writes none: in a comment, since a threshold that is written can be
/// critical.
fn defaults_beside(thresholds: &Shown) -> String {
    let Shown::Map(keys) = thresholds else { return String::new() };
    let defaults = [("lag_age", Thresholds::LAG_AGE), ("pending_age", Thresholds::PENDING_AGE)];
    let absent =
        defaults.iter().filter(|(name, _)| keys.iter().any(|(key, value)| key == name && value.is_nothing()));
    let absent: Vec<String> =
        absent.map(|(name, default)| format!("{name}: {}", humantime::format_duration(*default))).collect();
    if absent.is_empty() { String::new() } else { format!("  # and by default {}", absent.join(", ")) }
}

/// Whether a value is set, and in a section anything.
fn is_set(value: &Shown) -> bool {
    match value {
        Shown::Map(keys) => keys.iter().any(|(_, value)| is_set(value)),
        Shown::Value(_) | Shown::Word(_) | Shown::List(_) => !value.is_nothing(),
    }
}

/// What is left out of a rule.
fn is_off(value: &Shown) -> bool {
    match value {
        Shown::Value(value) => value.is_null() || *value == Value::Bool(false),
        Shown::List(items) => items.is_empty(),
        Shown::Word(_) | Shown::Map(_) => false,
    }
}

/// A value in one line.
struct Flow<'a>(&'a Shown);

impl fmt::Display for Flow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Shown::Word(word) => f.write_str(word),
            Shown::Value(value) => write!(f, "{value}"),
            Shown::List(items) => {
                f.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, Self(item))?;
                }
                f.write_char(']')
            }
            Shown::Map(keys) => {
                f.write_char('{')?;
                let keys = keys.iter().filter(|(_, value)| !is_off(value));
                for (index, (key, value)) in keys.enumerate() {
                    write!(f, "{}{key}: {}", if index == 0 { "" } else { ", " }, Flow(value))?;
                }
                f.write_char('}')
            }
        }
    }
}
