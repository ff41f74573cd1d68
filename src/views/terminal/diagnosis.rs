//! The findings of `doctor` as a table: the fact on the left, its meaning on the right, each wrapped to its column. Where the
//! output's width is unknown, each finding is one line.

use super::line::{Align::Left, Colour, Line, Style, width, wrapped};
use crate::doctor::{Diagnosis, Finding, Level};

const LEVEL_WIDTH: usize = 9;
/// Narrower columns are too narrow for words.
const LEAST_WIDTH: usize = 8;

/// The findings under the titles of their areas.
#[must_use]
pub fn diagnosis(diagnosis: &Diagnosis, style: Style) -> Vec<Line> {
    let mut lines = Vec::new();
    for area in diagnosis.findings.chunk_by(|one, other| one.area == other.area) {
        if let Some(first) = area.first() {
            let mut title = Line::default();
            title.push(&first.area.as_str().to_uppercase(), Some(Colour::Bold));
            lines.push(title);
        }
        lines.extend(area.iter().flat_map(|finding| rows(finding, style)));
        lines.push(Line::default());
    }
    lines
}

fn rows(finding: &Finding, style: Style) -> Vec<Line> {
    let left = match style.width {
        None => usize::MAX,
        Some(width) => (width.saturating_sub(LEVEL_WIDTH) * 2 / 5).max(LEAST_WIDTH),
    };
    let right =
        style.width.map_or(usize::MAX, |width| width.saturating_sub(LEVEL_WIDTH + left + 3).max(LEAST_WIDTH));
    // A fact without a meaning may take the whole line.
    let left = if finding.meaning.is_empty() { left.saturating_add(right).saturating_add(1) } else { left };
    let (what, meaning) = (wrapped(&finding.what, left), wrapped(&finding.meaning, right));
    let column = style.width.map_or_else(|| width(&finding.what), |_| left);
    let row = |index: usize| {
        let level = if index == 0 { finding.level.as_str() } else { "" };
        let mut line = Line::default();
        line.cell(&format!("  {level}"), LEVEL_WIDTH, Left, Some(colour(finding.level)));
        line.cell(what.get(index).map_or("", String::as_str), column, Left, None);
        line.rest(meaning.get(index).map_or("", String::as_str), Some(Colour::Dim));
        line
    };
    (0..what.len().max(meaning.len())).map(row).collect()
}

const fn colour(level: Level) -> Colour {
    match level {
        Level::Problem => Colour::Red,
        Level::Warning => Colour::Yellow,
        Level::Unknown => Colour::Magenta,
        Level::Notice => Colour::Bold,
        Level::Ok => Colour::Green,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Area;

    fn finding(what: &str, meaning: &str) -> Finding {
        let (what, meaning) = (what.into(), meaning.into());
        Finding { area: Area::Server, level: Level::Warning, what, meaning, permission: None }
    }

    fn drawn(width: Option<usize>, findings: Vec<Finding>) -> Vec<String> {
        let style = Style { width, ..Style::default() };
        diagnosis(&Diagnosis::new(findings), style).iter().map(|line| line.render(style)).collect()
    }

    #[test]
    fn nothing_is_lost_to_a_narrow_terminal() {
        let long = "x".repeat(150);
        let finding =
            finding(&format!("some words and {long}"), "what they mean, in more words than fit on a line");
        for columns in [30, 50, 80, 140] {
            let lines = drawn(Some(columns), vec![finding.clone()]);
            assert!(lines.iter().all(|line| width(line) <= columns), "{lines:#?}");
            let text = lines.concat();
            assert_eq!(text.matches('x').count(), 150, "{lines:#?}");
            assert!(!text.contains('…') && text.contains("fit"), "{lines:#?}");
        }
    }

    #[test]
    fn a_finding_is_a_line_where_there_is_no_terminal() {
        let lines = drawn(None, vec![finding("a thing", "its meaning"), finding("another", "")]);
        assert_eq!(lines, ["SERVER", "  warning a thing  its meaning", "  warning another", ""]);
    }
}
