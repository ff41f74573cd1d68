//! Numbers as the exposition writes them.

use std::{fmt::Write, time::Duration};

/// A sample's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A count, exact whatever its size.
    Count(u64),
    /// A duration, written in seconds with milliseconds.
    Seconds(Duration),
    /// A change of a count, which may be negative.
    Change(i64),
    /// Anything else.
    Float(f64),
}

impl Number {
    /// Appends the number's text.
    pub(super) fn write(self, page: &mut String) {
        match self {
            Self::Count(count) => page.push_str(itoa::Buffer::new().format(count)),
            Self::Change(change) => page.push_str(itoa::Buffer::new().format(change)),
            Self::Seconds(duration) => {
                page.push_str(itoa::Buffer::new().format(duration.as_secs()));
                let milliseconds = duration.subsec_millis();
                if milliseconds > 0 {
                    page.push('.');
                    // With a digit before, so that zeros behind the point are not left out.
                    page.push_str(
                        itoa::Buffer::new().format(1_000 + milliseconds).get(1..).unwrap_or_default(),
                    );
                }
            }
            Self::Float(float) if float.is_nan() => page.push_str("NaN"),
            Self::Float(float) if float.is_infinite() => {
                page.push_str(if float > 0.0 { "+Inf" } else { "-Inf" });
            }
            Self::Float(float) => write!(page, "{float}").expect("a String takes any text"),
        }
    }
}

impl From<bool> for Number {
    fn from(flag: bool) -> Self {
        Self::Count(flag.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        for (number, text) in [
            (Number::Count(u64::MAX), "18446744073709551615"),
            (Number::Change(-7), "-7"),
            (Number::Seconds(Duration::from_millis(12_034)), "12.034"),
            (Number::Seconds(Duration::from_secs(60)), "60"),
            (Number::Float(0.005), "0.005"),
            (Number::Float(f64::INFINITY), "+Inf"),
            (Number::Float(f64::NAN), "NaN"),
            (true.into(), "1"),
        ] {
            let mut page = String::new();
            number.write(&mut page);
            assert_eq!(page, text);
        }
    }
}
