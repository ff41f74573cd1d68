//! A line of a terminal: pieces of text with colours, cut to the terminal's width.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::model::cleaned;

/// Bytes of a piece where the terminal's width is unknown.
const LONGEST_PIECE: usize = 2_000;

/// Before the lines of a text that has no room behind its cells.
const BELOW: &str = "      ";

/// What the terminal can show, and what the user wants.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Whether colours are wanted.
    pub has_colours: bool,
    /// Whether small histories are wanted.
    pub has_history: bool,
    /// Columns; `None` cuts nothing.
    pub width: Option<usize>,
}

/// A colour that every terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Healthy.
    Green,
    /// Look at it.
    Yellow,
    /// Look at it now.
    Red,
    /// Not known.
    Magenta,
    /// Less important.
    Dim,
    /// Important.
    Bold,
}

/// To which side a cell's text is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// To the left.
    Left,
    /// To the right.
    Right,
}

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(Vec<(String, Option<Colour>)>);

impl Line {
    /// A line of one piece.
    #[must_use]
    pub fn plain(text: &str) -> Self {
        let mut line = Self::default();
        line.push(text, None);
        line
    }

    /// Adds a piece. Its text may come from another program.
    pub fn push(&mut self, text: &str, colour: Option<Colour>) {
        self.0.push((cleaned(text.as_bytes(), text.len(), LONGEST_PIECE), colour));
    }

    /// Adds a cell of this width, and a space.
    pub(super) fn cell(&mut self, text: &str, columns: usize, align: Align, colour: Option<Colour>) {
        let text = truncated(text, columns);
        let space = " ".repeat(columns.saturating_sub(width(&text)));
        match align {
            Align::Left => {
                self.push(&text, colour);
                self.push(&format!("{space} "), None);
            }
            Align::Right => {
                self.push(&space, None);
                self.push(&format!("{text} "), colour);
            }
        }
    }

    /// Adds the text behind the cells.
    pub(super) fn rest(&mut self, text: &str, colour: Option<Colour>) {
        self.push(" ", None);
        self.push(text, colour);
    }

    /// Adds a text behind the cells if it fits, else on lines of its own below: it is never cut.
    pub(super) fn and_below(mut self, text: &str, style: Style) -> Vec<Self> {
        let used: usize = self.0.iter().map(|(piece, _)| width(piece)).sum();
        if style.width.is_none_or(|columns| used + 1 + width(text) <= columns) {
            self.rest(text, None);
            return vec![self];
        }
        let columns = style.width.unwrap_or(usize::MAX).saturating_sub(BELOW.len()).max(1);
        let below = wrapped(text, columns).into_iter().map(|part| Self::plain(&format!("{BELOW}{part}")));
        std::iter::once(self).chain(below).collect()
    }

    /// The line's text, without spaces at its end.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let mut left = style.width.unwrap_or(usize::MAX);
        let mut text = String::new();
        for (piece, colour) in &self.0 {
            let piece = truncated(piece, left);
            left -= width(&piece);
            match colour.filter(|_| style.has_colours && !piece.trim().is_empty()) {
                Some(colour) => {
                    text.push_str(colour.sequence());
                    text.push_str(&piece);
                    text.push_str("\x1b[0m");
                }
                None => text.push_str(&piece),
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl Colour {
    const fn sequence(self) -> &'static str {
        match self {
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
            Self::Magenta => "\x1b[35m",
            Self::Dim => "\x1b[2m",
            Self::Bold => "\x1b[1m",
        }
    }
}

/// The columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in lines of at most so many columns, broken between words, and within words that are longer.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
        while let Some(line) = lines.last_mut().filter(|line| width(line) > columns) {
            let fits = (1..=line.len()).filter(|at| line.is_char_boundary(*at));
            let at = fits.take_while(|at| width(line.get(..*at).unwrap_or_default()) <= columns).last();
            let Some(at) = at.filter(|at| *at < line.len()) else { break };
            let rest = line.split_off(at);
            lines.push(rest);
        }
    }
    lines
}

/// A text of at most so many columns; one that is cut ends in dots.
fn truncated(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |character: &char| {
        let takes = character.width().unwrap_or_default();
        left.checked_sub(takes).map(|rest| left = rest).is_some()
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    if columns > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_whatever_is_on_it() {
        let mut line = Line::default();
        line.cell("日本語のストリーム", 10, Align::Left, Some(Colour::Red));
        line.cell("12", 4, Align::Right, None);
        line.rest("a reason that is long", None);
        let plain = |width| line.render(Style { width, ..Style::default() });
        assert_eq!(plain(None), "日本語の…    12  a reason that is long");
        for columns in 0..40 {
            assert!(width(&plain(Some(columns))) <= columns, "{columns}");
        }
    }

    #[test]
    fn colours_are_for_those_who_want_them() {
        let mut line = Line::default();
        line.push("critical", Some(Colour::Red));
        assert_eq!(line.render(Style::default()), "critical");
        assert_eq!(line.render(Style { has_colours: true, ..Style::default() }), "\x1b[31mcritical\x1b[0m");
    }
}
