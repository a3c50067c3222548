//! Tables for people: columns aligned, numbers to the right, nothing else.

/// Rows under a heading.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// A table with these columns; one whose heading begins with `>` is aligned to the right.
    pub(super) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let heading = headings.iter().map(|heading| heading.trim_start_matches('>').to_uppercase()).collect();
        Self { rows: vec![heading], right }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// Whether it has no row but the heading.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .zip(widths.iter().zip(&self.right))
                .map(
                    |(cell, (width, right))| {
                        if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                    },
                )
                .collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Names come from other people; none may steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["name", ">units"]);
        table.row(["hq".to_owned(), "100".to_owned()]);
        table.row(["till-1\u{1b}".to_owned(), "7".to_owned()]);
        assert_eq!(table.to_string(), "NAME     UNITS\nhq         100\ntill-1\u{fffd}      7\n");
    }
}
