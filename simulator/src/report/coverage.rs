//! What a soak has met: kinds of fault against states, holes in plain sight.

use serde::Serialize;

use crate::coverage::{Coverage, Holes};

use super::files::{WriteError, pretty};
use super::table::{Colour, Table, joined, paint};
use super::words::{self, counted, spaced};

/// Wider than that, columns are numbered and named below.
const WIDE: usize = 110;
/// A pair that never met.
const NEVER: &str = "·";

/// The matrix for the terminal: how often each kind of fault met each state, `·` where it never did, and the holes in
/// words. With ANSI colours if `colour`.
pub fn table(coverage: &Coverage, colour: bool) -> String {
    let names: Vec<_> = coverage.states.iter().map(|state| spaced(state)).collect();
    let mut matrix = drawn(coverage, &names);
    let numbered = matrix.width() > WIDE;
    if numbered {
        let numbers: Vec<_> = (1..=names.len()).map(|number| number.to_string()).collect();
        matrix = drawn(coverage, &numbers);
    }
    let seeds = counted(coverage.seeds, "seed", "seeds");
    let mut lines = vec![
        format!("Faults (rows) that struck in each state (columns), over {seeds}; {NEVER} never met"),
        String::new(),
    ];
    for (place, line) in matrix.lines("  ").into_iter().enumerate() {
        let hole = place > 0 && place <= coverage.kinds.len() && coverage.happened(place - 1) == 0;
        lines.push(match (place, hole) {
            (0, _) => paint(&line, Colour::Dim, colour),
            (_, true) => paint(&line, Colour::Bad, colour),
            (_, false) => line,
        });
    }
    if numbered {
        lines.push(String::new());
        let mut key = Table::new(2);
        for (number, name) in names.iter().enumerate() {
            key.row([format!("{:>2}", number + 1), name.clone()]);
        }
        lines.extend(key.lines("  "));
    }
    lines.push(String::new());
    lines.extend(holes(&coverage.holes(), colour));
    joined(&lines)
}

fn drawn(coverage: &Coverage, columns: &[String]) -> Table {
    let mut table = Table::new(1);
    let heading = ["fault", "all"].map(str::to_owned).into_iter().chain(columns.iter().cloned());
    table.row(heading);
    let cell = |times: u64| if times == 0 { NEVER.to_owned() } else { words::short_count(times) };
    for (row, kind) in coverage.kinds.iter().enumerate() {
        let happened = coverage.happened(row);
        let all = if happened == 0 { "HOLE".to_owned() } else { words::short_count(happened) };
        let cells = (0..coverage.states.len()).map(|column| cell(coverage.count(row, column)));
        table.row([spaced(kind), all].into_iter().chain(cells));
    }
    let met = (0..coverage.states.len()).map(|column| match coverage.met(column) {
        0 => "HOLE".to_owned(),
        times => words::short_count(times),
    });
    let all = (0..coverage.kinds.len()).fold(0_u64, |sum, row| sum.saturating_add(coverage.happened(row)));
    table.row(["all".to_owned(), words::short_count(all)].into_iter().chain(met));
    table
}

fn holes(holes: &Holes, colour: bool) -> Vec<String> {
    if holes.kinds.is_empty() && holes.states.is_empty() {
        let pairs = match holes.pairs.len() as u64 {
            0 => "every kind met every state".to_owned(),
            pairs => format!("{} never met ({NEVER})", counted(pairs, "pair", "pairs")),
        };
        return vec![paint(
            &format!("No hole: every kind happened, every state was met; {pairs}."),
            Colour::Good,
            colour,
        )];
    }
    let mut lines = Vec::new();
    let named = |names: &[String]| names.iter().map(|name| spaced(name)).collect::<Vec<_>>().join(", ");
    for (names, one, many, what) in [
        (&holes.kinds, "kind", "kinds", "never happened"),
        (&holes.states, "state", "states", "never met by any fault"),
    ] {
        if !names.is_empty() {
            let line = format!("HOLE: {} {what}: {}", counted(names.len() as u64, one, many), named(names));
            lines.push(paint(&line, Colour::Bad, colour));
        }
    }
    if !holes.pairs.is_empty() {
        lines.push(format!(
            "{} of the others never met ({NEVER})",
            counted(holes.pairs.len() as u64, "pair", "pairs")
        ));
    }
    lines
}

/// The matrix and its holes as JSON, indented.
///
/// # Errors
///
/// If it has no JSON form, which is a bug.
pub fn json(coverage: &Coverage) -> Result<String, WriteError> {
    #[derive(Serialize)]
    struct Twin<'a> {
        #[serde(flatten)]
        coverage: &'a Coverage,
        holes: Holes,
    }
    pretty(&Twin { coverage, holes: coverage.holes() })
}
