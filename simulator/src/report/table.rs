//! Aligned columns of text, and colour for those who ask for it.

use std::fmt::Write;

/// Rows of cells, padded to the widest of their column.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// Columns from the left that are aligned to the left; all others to the right.
    words: usize,
}

impl Table {
    /// An empty table whose first `words` columns are words; numbers come after.
    pub(super) fn new(words: usize) -> Self {
        Self { rows: Vec::new(), words }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// How wide its lines are, without what indents them.
    pub(super) fn width(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
    }

    /// Its lines, each after `indent`.
    pub(super) fn lines(&self, indent: &str) -> Vec<String> {
        let widths = self.widths();
        self.rows
            .iter()
            .map(|row| {
                let mut line = indent.to_owned();
                for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                    if column > 0 {
                        line.push_str("  ");
                    }
                    let pad = " ".repeat(width - cell.chars().count());
                    if column < self.words {
                        line.push_str(cell);
                        line.push_str(&pad);
                    } else {
                        line.push_str(&pad);
                        line.push_str(cell);
                    }
                }
                line.truncate(line.trim_end().len());
                line
            })
            .collect()
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                if widths.len() <= column {
                    widths.push(0);
                }
                widths[column] = widths[column].max(cell.chars().count());
            }
        }
        widths
    }
}

/// Colours of a terminal.
#[derive(Debug, Clone, Copy)]
pub(super) enum Colour {
    Good,
    Warn,
    Bad,
    Dim,
}

/// `text` in a colour, if colour was asked for.
pub(super) fn paint(text: &str, colour: Colour, asked: bool) -> String {
    if !asked {
        return text.to_owned();
    }
    let code = match colour {
        Colour::Good => "1;32",
        Colour::Warn => "1;33",
        Colour::Bad => "1;31",
        Colour::Dim => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Lines as one text.
pub(super) fn joined(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new(1);
        table.row(["é", "1"]);
        table.row(["held", "1,000"]);
        table.row(["alone"]);
        assert_eq!(table.lines("  "), ["  é          1", "  held   1,000", "  alone"]);
        assert_eq!(table.width(), 12);
    }
}
