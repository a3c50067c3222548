//! Every line of SECURITY.md names the test that shows it: each row of its tables has a column "shown by", and what is
//! named there exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The column that names tests.
const SHOWN_BY: &str = "shown by";
/// Tables without the column list words, not promises.
const TABLES_MIN: usize = 4;

#[test]
fn every_line_names_tests_that_there_are() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate lies in the repository")?;
    let page = fs::read_to_string(root.join("SECURITY.md"))?;
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut column = None;
    let (mut tables, mut wrong) = (0, Vec::new());
    for line in page.lines() {
        let Some(cells) = cells(line) else {
            column = None;
            continue;
        };
        let Some(at) = column else {
            column = Some(cells.iter().position(|cell| *cell == SHOWN_BY));
            tables += usize::from(column.flatten().is_some());
            continue;
        };
        let Some(at) = at else { continue };
        let cell = cells.get(at).copied().unwrap_or_default();
        if cell.starts_with("--") {
            continue;
        }
        let named = named(cell);
        if named.is_empty() {
            wrong.push(format!("no test is named: {line}"));
        }
        for (path, test) in named {
            let text = match files.get(&path) {
                Some(text) => text,
                None => {
                    let text = fs::read_to_string(root.join(&path)).unwrap_or_default();
                    files.entry(path.clone()).or_insert(text)
                }
            };
            if !text.contains(&format!("fn {test}(")) {
                wrong.push(format!("{path} has no test {test}"));
            }
        }
    }
    ensure!(tables >= TABLES_MIN, "only {tables} tables have a column {SHOWN_BY:?}");
    ensure!(wrong.is_empty(), "SECURITY.md:\n{}", wrong.join("\n"));
    Ok(())
}

/// The cells of a row of a table, if the line is one.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// What stands in backticks: `path::test`, or a test of the path before.
fn named(cell: &str) -> Vec<(String, String)> {
    let mut path = String::new();
    let mut named = Vec::new();
    for text in cell.split('`').skip(1).step_by(2) {
        let test = match text.split_once("::") {
            Some((file, test)) => {
                path = file.to_owned();
                test
            }
            None => text,
        };
        named.push((path.clone(), test.to_owned()));
    }
    named
}
