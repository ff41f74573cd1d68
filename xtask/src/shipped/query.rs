//! PromQL for panels, made from the table of metrics: a name that is not in it, or a rate of what does not count,
//! ends the generator.

use streamwarden::views::{FAMILIES, Family, Kind};

use super::panel::Word;

/// The variables that narrow a board's queries, beside the job and the instance.
#[derive(Clone, Copy)]
pub(crate) struct Scope(pub(crate) &'static [&'static str]);

impl Scope {
    /// Whether the variable holds several values, so that Grafana writes a regular expression.
    pub(crate) fn is_several(self, label: &str) -> bool {
        label != "stream" || !self.0.contains(&"group")
    }

    /// How the variable is matched.
    pub(crate) fn operator(self, label: &str) -> &'static str {
        if self.is_several(label) { "=~" } else { "=" }
    }

    /// The family's series that the board's variables select.
    pub(crate) fn series(self, name: &str) -> String {
        self.series_with(name, "")
    }

    /// The same, with more matchers.
    pub(crate) fn series_with(self, name: &str, matchers: &str) -> String {
        let family = family(name);
        let narrowed = self.0.iter().filter(|label| family.labels().contains(label));
        let mut all = vec!["job=~\"$job\"".to_owned(), "instance=~\"$instance\"".to_owned()];
        all.extend(narrowed.map(|label| format!("{label}{}\"${label}\"", self.operator(label))));
        all.extend((!matchers.is_empty()).then(|| matchers.to_owned()));
        format!("{name}{{{}}}", all.join(", "))
    }

    /// The series without what differs between sidecars that watch the same Redis.
    pub(crate) fn max(self, name: &str) -> String {
        max(&self.series(name))
    }

    /// What is added a second, by each sidecar.
    pub(crate) fn rate(self, name: &str) -> String {
        self.over("rate", name, "$__rate_interval")
    }

    /// A function of a counter over a time.
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

/// One value where several sidecars tell the same.
pub(crate) fn max(expression: &str) -> String {
    format!("max without (instance, pod) ({expression})")
}

/// The worst status of a state set as a number: its place in `statuses`, from the best to the worst.
pub(crate) fn worst(scope: Scope, name: &str, statuses: &[Word]) -> String {
    let one = |(number, status, _): &Word| {
        format!("{number} * {}", scope.series_with(name, &format!("status=\"{status}\"")))
    };
    let all: Vec<String> = statuses.iter().map(one).collect();
    format!("max without (instance, pod, status) ({})", all.join(" or "))
}

/// How many series there are: 0 where there are none.
pub(crate) fn count(expression: &str) -> String {
    format!("count({expression}) or vector(0)")
}

/// The family of a series' name, if it is in the table of metrics.
pub(super) fn find(name: &str) -> Option<&'static Family> {
    let of = |name: &str| FAMILIES.iter().find(|family| family.name == name);
    of(name)
        .or_else(|| ["_bucket", "_sum", "_count"].iter().find_map(|suffix| of(name.strip_suffix(suffix)?)))
}

fn family(name: &str) -> &'static Family {
    find(name).unwrap_or_else(|| panic!("{name} is not in the table of metrics"))
}
