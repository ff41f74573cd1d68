//! PromQL for panels, built from the table of metrics. An unknown name, or a rate of something that is not a counter,
//! stops the generator.

use streamwarden::views::{FAMILIES, Family, Kind};

use super::panel::Word;

/// The variables that filter a dashboard's queries, in addition to job and instance.
#[derive(Clone, Copy)]
pub(crate) struct Scope(pub(crate) &'static [&'static str]);

impl Scope {
    /// Whether the variable may hold several values, which Grafana joins into a regular expression.
    pub(crate) fn is_several(self, label: &str) -> bool {
        label != "stream" || !self.0.contains(&"group")
    }

    /// The operator that matches the variable.
    pub(crate) fn operator(self, label: &str) -> &'static str {
        if self.is_several(label) { "=~" } else { "=" }
    }

    /// The series of a family, filtered by the dashboard's variables.
    pub(crate) fn series(self, name: &str) -> String {
        self.series_with(name, "")
    }

    /// The same, with additional matchers.
    pub(crate) fn series_with(self, name: &str, matchers: &str) -> String {
        let family = family(name);
        let narrowed = self.0.iter().filter(|label| family.labels().contains(label));
        let mut all = vec!["job=~\"$job\"".to_owned(), "instance=~\"$instance\"".to_owned()];
        all.extend(narrowed.map(|label| format!("{label}{}\"${label}\"", self.operator(label))));
        all.extend((!matchers.is_empty()).then(|| matchers.to_owned()));
        format!("{name}{{{}}}", all.join(", "))
    }

    /// The maximum over sidecars that watch the same Redis.
    pub(crate) fn max(self, name: &str) -> String {
        max(&self.series(name))
    }

    /// The increase per second, for each sidecar.
    pub(crate) fn rate(self, name: &str) -> String {
        self.over("rate", name, "$__rate_interval")
    }

    /// A function of a counter over a time range.
    pub(crate) fn over(self, function: &str, name: &str, range: &str) -> String {
        let counted = name.strip_suffix("_sum").or_else(|| name.strip_suffix("_bucket"));
        let family = family(name);
        assert!(
            family.kind == Kind::Counter || counted.is_some() && family.kind == Kind::Histogram,
            "{name} does not count"
        );
        format!("{function}({}[{range}])", self.series(name))
    }
}

/// The maximum over sidecars that report the same value.
pub(crate) fn max(expression: &str) -> String {
    format!("max without (instance, pod) ({expression})")
}

/// The worst status of a state set, as a number: its index in `statuses`, from best to worst.
pub(crate) fn worst(scope: Scope, name: &str, statuses: &[Word]) -> String {
    let one = |(number, status, _): &Word| {
        format!("{number} * {}", scope.series_with(name, &format!("status=\"{status}\"")))
    };
    let all: Vec<String> = statuses.iter().map(one).collect();
    format!("max without (instance, pod, status) ({})", all.join(" or "))
}

/// The number of series; 0 without series.
pub(crate) fn count(expression: &str) -> String {
    format!("count({expression}) or vector(0)")
}

/// The family of a series, if its name is in the table of metrics.
pub(super) fn find(name: &str) -> Option<&'static Family> {
    let of = |name: &str| FAMILIES.iter().find(|family| family.name == name);
    of(name)
        .or_else(|| ["_bucket", "_sum", "_count"].iter().find_map(|suffix| of(name.strip_suffix(suffix)?)))
}

fn family(name: &str) -> &'static Family {
    find(name).unwrap_or_else(|| panic!("{name} is not in the table of metrics"))
}
