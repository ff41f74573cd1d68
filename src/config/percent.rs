//! A share in percent, such as the target of an objective.

use std::{fmt, ops::RangeInclusive};

use serde_json::{Value, json};

use super::{
    section::Section,
    setting::{Setting, Shown},
};

/// Digits after the point that are kept.
const DIGITS: usize = 4;
/// One percent.
const UNIT: u32 = 10_000;

/// A share, to a ten thousandth of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

impl Percent {
    /// The greatest target: all would leave no error budget.
    pub const MOST: Self = Self(99 * UNIT + 9_999);

    /// Whole percents.
    #[must_use]
    pub const fn new(percent: u32) -> Self {
        Self(percent * UNIT)
    }

    /// As a part of one.
    #[must_use]
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(100 * UNIT)
    }

    /// `99%`, `99.9 %` or `99.9`.
    fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(part) || part.len() > DIGITS {
            return None;
        }
        let part: u32 = format!("{part:0<DIGITS$}").parse().ok()?;
        Some(Self(whole.parse::<u32>().ok()?.checked_mul(UNIT)?.checked_add(part)?))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:0>DIGITS$}", self.0 % UNIT);
        match part.trim_end_matches('0') {
            "" => write!(f, "{}%", self.0 / UNIT),
            part => write!(f, "{}.{part}%", self.0 / UNIT),
        }
    }
}

impl Setting for Percent {
    type Bounds = RangeInclusive<Self>;

    fn read(section: &mut Section<'_>, key: &'static str, range: &Self::Bounds) -> Option<Self> {
        section.parse(key, |value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let inside = Self::parse(&text).filter(|percent| range.contains(percent));
            inside.ok_or_else(|| format!("must be {}, as in 99% or 99.9%", Self::describe(range).0))
        })
    }

    fn show(&self) -> Shown {
        Shown::Word(self.to_string())
    }

    fn describe(range: &Self::Bounds) -> (String, Value) {
        let words = format!("a percentage from {} to {}", range.start(), range.end());
        (words, json!({"type": ["string", "number"], "pattern": "^[0-9]+(\\.[0-9]{1,4})? *%?$"}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_shown_as_it_is_written() {
        for (text, shown) in
            [("99%", "99%"), ("99.9 %", "99.9%"), ("99.95", "99.95%"), ("50.0001%", "50.0001%")]
        {
            assert_eq!(Percent::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "%", "x%", "-1%", "1e2", "99.", ".9", "99.99999%", "99999999999%"] {
            assert_eq!(Percent::parse(text), None, "{text}");
        }
        assert!((Percent::parse("99.9%").unwrap().ratio() - 0.999).abs() < 1e-12);
    }
}
