//! How fast a test lives: the shipped rules and routes with their durations divided. What they compare is as it is.

use std::time::Duration;

use serde_json::{Value, json};

use crate::tools::{RULES, read, yaml};

const ALERTMANAGER: &str = "alerts/alertmanager.yml";
/// The shortest duration of a rule that scrapes of four a second can fill.
const SHORTEST: Duration = Duration::from_secs(1);

/// By what durations are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace(u32);

impl Pace {
    /// As shipped.
    pub(crate) const REAL: Self = Self(1);

    pub(crate) const fn times(faster: u32) -> Self {
        Self(faster)
    }

    pub(crate) fn of(self, duration: Duration) -> Duration {
        duration / self.0
    }

    /// What would have passed, had nothing been divided.
    pub(crate) fn undone(self, passed: Duration) -> Duration {
        passed * self.0
    }

    /// Lets so much of the test's time pass.
    pub(crate) fn pass(self, duration: Duration) {
        std::thread::sleep(self.of(duration));
    }

    /// A duration of a configuration, in its own form.
    pub(crate) fn text(self, duration: &str) -> String {
        format!("{}ms", self.of(parsed(duration)).as_millis())
    }

    /// The shipped rules.
    pub(crate) fn rules(self) -> Value {
        let mut rules = yaml(&read(RULES));
        if self == Self::REAL {
            return rules;
        }
        for group in rules["groups"].as_array_mut().unwrap() {
            for rule in group["rules"].as_array_mut().unwrap() {
                for key in ["for", "keep_firing_for"] {
                    if let Some(duration) = rule.get(key).and_then(Value::as_str) {
                        rule[key] = json!(self.of_rule(duration));
                    }
                }
                rule["expr"] = json!(self.with_ranges(rule["expr"].as_str().unwrap()));
            }
        }
        rules
    }

    fn of_rule(self, duration: &str) -> String {
        let duration = parsed(duration);
        let divided = if duration.is_zero() { duration } else { self.of(duration).max(SHORTEST) };
        format!("{}ms", divided.as_millis())
    }

    /// Ranges, which stand in brackets.
    fn with_ranges(self, expression: &str) -> String {
        let mut parts = expression.split('[');
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| {
            let (range, rest) = part.split_once(']').unwrap();
            format!("{text}[{}]{rest}", self.of_rule(range))
        })
    }

    /// The shipped configuration of Alertmanager. When it repeats itself stays, since no test lasts so long.
    pub(crate) fn alertmanager(self) -> Value {
        let mut config = yaml(&read(ALERTMANAGER));
        self.divide_waits(&mut config["route"]);
        config
    }

    fn divide_waits(self, route: &mut Value) {
        for key in ["group_wait", "group_interval"] {
            if let Some(duration) = route.get(key).and_then(Value::as_str) {
                route[key] = json!(self.text(duration));
            }
        }
        if let Some(routes) = route.get_mut("routes").and_then(Value::as_array_mut) {
            routes.iter_mut().for_each(|route| self.divide_waits(route));
        }
    }
}

fn parsed(duration: &str) -> Duration {
    humantime::parse_duration(duration).unwrap_or_else(|error| panic!("{duration}: {error}"))
}
