//! The parameters of a request's query. All that is wrong is reported at once.

use std::str::FromStr;

use crate::model::percent_decoded;

/// The parameters that were not read yet, and what was wrong with those that were.
pub(super) struct Query {
    left: Vec<(String, Vec<u8>)>,
    problems: Vec<String>,
}

impl Query {
    pub(super) fn new(query: &str) -> Self {
        let mut problems = Vec::new();
        let mut decoded = |text: &str| {
            percent_decoded(&text.replace('+', " ")).unwrap_or_else(|| {
                problems.push("the query has a % that is not followed by two hexadecimal digits".to_owned());
                Vec::new()
            })
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (String::from_utf8_lossy(&decoded(name)).into_owned(), decoded(value))
        };
        let left = pairs.map(pair).collect();
        Self { left, problems }
    }

    /// The bytes of a parameter.
    pub(super) fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        let at = self.left.iter().position(|(its_own, _)| its_own == name)?;
        Some(self.left.swap_remove(at).1)
    }

    /// The value of a parameter, if it has the right form: in words, as in "a number from 1 to 100".
    pub(super) fn value<T: FromStr>(
        &mut self,
        name: &str,
        form: &str,
        is_right: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let bytes = self.bytes(name)?;
        let value = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).filter(is_right);
        if value.is_none() {
            self.problems.push(format!("{name} must be {form}"));
        }
        value
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All problems; also parameters that occur twice, or that nobody asked for.
    pub(super) fn end(mut self, known: &str) -> Result<(), String> {
        let unknown = self.left.iter().map(|(name, _)| format!("{name}: twice, or not one of {known}"));
        self.problems.extend(unknown);
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_all_problems_are_found() {
        let mut query = Query::new("limit=7&consumer=a%20b+c%FF&&from=");
        assert_eq!(query.value("limit", "a number", |_| true), Some(7_u64));
        assert_eq!(query.bytes("consumer").as_deref(), Some(&b"a b c\xff"[..]));
        assert_eq!(query.value::<u64>("from", "a number", |_| true), None);
        assert_eq!(query.value::<u64>("other", "a number", |_| true), None);
        assert_eq!(query.end("limit"), Err("from must be a number".to_owned()));
        let mut query = Query::new("limit=0&limit=1&x");
        assert_eq!(query.value::<u64>("limit", "above 0", |it| *it > 0), None);
        let problems = query.end("limit").unwrap_err();
        assert_eq!(
            problems,
            "limit must be above 0; x: twice, or not one of limit; limit: twice, or not one of limit"
        );
        assert_eq!(Query::new("").end(""), Ok(()));
    }
}
