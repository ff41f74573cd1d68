//! Columns of text for a terminal. Everything from outside is escaped before it comes here.

use unicode_width::UnicodeWidthStr;

/// Aligns rows in columns, under their titles.
pub(super) fn table<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = titles.map(UnicodeWidthStr::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.into_iter().zip(widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
        }
        line.trim_end().to_owned() + "\n"
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    [line(titles)].into_iter().chain(rows).collect()
}

/// The same with text behind each row.
pub(super) fn table_with<const N: usize>(
    titles: [&str; N],
    rows: &[[String; N]],
    texts: impl Iterator<Item = String>,
) -> String {
    let table = table(titles, rows);
    // The titles have none.
    let texts = [String::new()].into_iter().chain(texts);
    table.split_inclusive('\n').zip(texts).map(|(line, text)| format!("{line}{text}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["1-0".to_owned(), "a".to_owned()], ["1700000000000-0".to_owned(), "流".to_owned()]];
        let expected = "ID               NAME\n1-0              a\n1700000000000-0  流\n";
        assert_eq!(table(["ID", "NAME"], &rows), expected);
    }
}
