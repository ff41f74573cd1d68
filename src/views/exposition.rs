//! The metrics page: all samples as text.

use std::{
    fmt::{self, Write as _},
    io,
};

use prometheus::proto;

use super::{
    families::{Family, Kind},
    number::Number,
    rows::Rows,
    samples::{Sink, samples},
    served::Served,
};

/// A page may be tens of megabytes, so it leaves in pieces: into a buffer that grows, or into a compressor.
const CHUNK_BYTES: usize = 64 * 1024;

/// The text formats that scrapers ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of a page in this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes the page to `out`. `own` is what the sidecar's registry gathered.
///
/// # Errors
/// Those of `out`.
pub(super) fn render(
    served: &Served,
    rows: &Rows<'_>,
    own: &[proto::MetricFamily],
    format: Format,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let text = String::with_capacity(CHUNK_BYTES * 2);
    let mut page = Page { out, format, text, headed: None };
    samples(served, rows, own, &mut page)?;
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.flush()
}

struct Page<'a, W> {
    out: &'a mut W,
    format: Format,
    text: String,
    /// The family whose header was written last, before its first sample: a family without samples has none.
    headed: Option<&'static Family>,
}

impl<W: io::Write> Page<'_, W> {
    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }

    /// A sample whose labels are these texts in turn.
    fn line(&mut self, name: &str, labels: &[&str], value: Number) -> io::Result<()> {
        self.text.push_str(name);
        if labels.iter().any(|text| !text.is_empty()) {
            self.text.push('{');
            labels.iter().for_each(|text| self.text.push_str(text));
            self.text.push('}');
        }
        self.text.push(' ');
        value.write(&mut self.text);
        self.text.push('\n');
        if self.text.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    /// OpenMetrics names a counter and an info without their suffix, and tells the unit.
    fn header(&mut self, family: &'static Family) {
        if self.headed.is_some_and(|headed| std::ptr::eq(headed, family)) {
            return;
        }
        self.headed = Some(family);
        let (suffix, kind) = match (family.kind, self.format) {
            (Kind::Counter, Format::OpenMetrics) => ("_total", "counter"),
            (Kind::Counter, Format::Text) => ("", "counter"),
            (Kind::Info, Format::OpenMetrics) => ("_info", "info"),
            (Kind::Info, Format::Text) | (Kind::Gauge, _) => ("", "gauge"),
            (Kind::Histogram, _) => ("", "histogram"),
        };
        let name = family.name.strip_suffix(suffix).unwrap_or(family.name);
        self.comment(format_args!("# HELP {name} {}", family.help));
        self.comment(format_args!("# TYPE {name} {kind}"));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, family.unit()) {
            self.comment(format_args!("# UNIT {name} {unit}"));
        }
    }

    fn comment(&mut self, line: fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes any text");
    }
}

impl<W: io::Write> Sink for Page<'_, W> {
    fn sample(&mut self, family: &'static Family, labels: &[&str], value: Number) -> io::Result<()> {
        self.header(family);
        self.line(family.name, labels, value)
    }

    fn histogram(
        &mut self,
        family: &'static Family,
        labels: &str,
        buckets: impl Iterator<Item = (f64, u64)>,
        sum: Number,
        count: u64,
    ) -> io::Result<()> {
        self.header(family);
        let name = family.name;
        let (bucket_name, total) = (format!("{name}_bucket"), Number::Count(count));
        let comma = if labels.is_empty() { "" } else { "," };
        for (bound, count) in buckets {
            // OpenMetrics wants the bound as a float even where it is whole, which Debug writes.
            let bound = format!("le=\"{bound:?}\"");
            self.line(&bucket_name, &[labels, comma, &bound], Number::Count(count))?;
        }
        self.line(&bucket_name, &[labels, comma, "le=\"+Inf\""], total)?;
        self.line(&format!("{name}_sum"), &[labels], sum)?;
        self.line(&format!("{name}_count"), &[labels], total)
    }
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
