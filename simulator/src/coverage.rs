//! Which kinds of fault met which states over a soak. What never met was never tested, however many seeds ran.

use serde::{Deserialize, Serialize};

/// How often each kind of fault struck in each state, over all seeds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The kinds of fault, such as `power_cut`.
    pub kinds: Vec<String>,
    /// The states that they can meet, such as `sale_waits`.
    pub states: Vec<String>,
    /// How often: a row for each kind, a column for each state.
    pub counts: Vec<Vec<u64>>,
    /// How many seeds were run.
    pub seeds: u64,
}

/// What a soak has left untested.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Holes {
    /// Kinds of fault that never happened.
    pub kinds: Vec<String>,
    /// States that no fault ever met.
    pub states: Vec<String>,
    /// Kinds and states that both happened, but never together.
    pub pairs: Vec<(String, String)>,
}

impl Coverage {
    /// Nothing met yet. The names are given beforehand, because what never happens cannot name itself.
    pub fn new(
        kinds: impl IntoIterator<Item = impl Into<String>>,
        states: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let kinds: Vec<String> = kinds.into_iter().map(Into::into).collect();
        let states: Vec<String> = states.into_iter().map(Into::into).collect();
        let counts = vec![vec![0; states.len()]; kinds.len()];
        Self { kinds, states, counts, seeds: 0 }
    }

    /// A fault of `kind` struck while something was in `state`. Names that are new are taken in.
    pub fn record(&mut self, kind: &str, state: &str) {
        self.add(kind, state, 1);
    }

    /// Takes in what other seeds have met. Rows and columns are matched by their names.
    pub fn merge(&mut self, other: &Self) {
        self.seeds = self.seeds.saturating_add(other.seeds);
        for (row, kind) in other.kinds.iter().enumerate() {
            place(&mut self.kinds, kind);
            for (column, state) in other.states.iter().enumerate() {
                self.add(kind, state, other.count(row, column));
            }
        }
    }

    /// How often the kind of `row` met the state of `column`.
    pub fn count(&self, row: usize, column: usize) -> u64 {
        self.counts.get(row).and_then(|counts| counts.get(column)).copied().unwrap_or(0)
    }

    /// How often the kind of `row` happened at all.
    pub fn happened(&self, row: usize) -> u64 {
        (0..self.states.len()).fold(0, |sum, column| sum.saturating_add(self.count(row, column)))
    }

    /// How often the state of `column` was met by anything.
    pub fn met(&self, column: usize) -> u64 {
        (0..self.kinds.len()).fold(0, |sum, row| sum.saturating_add(self.count(row, column)))
    }

    /// What was never tested.
    pub fn holes(&self) -> Holes {
        let mut holes = Holes::default();
        for (column, state) in self.states.iter().enumerate() {
            if self.met(column) == 0 {
                holes.states.push(state.clone());
            }
        }
        for (row, kind) in self.kinds.iter().enumerate() {
            if self.happened(row) == 0 {
                holes.kinds.push(kind.clone());
                continue;
            }
            for (column, state) in self.states.iter().enumerate() {
                if self.count(row, column) == 0 && self.met(column) > 0 {
                    holes.pairs.push((kind.clone(), state.clone()));
                }
            }
        }
        holes
    }

    fn add(&mut self, kind: &str, state: &str, times: u64) {
        let row = place(&mut self.kinds, kind);
        let column = place(&mut self.states, state);
        if self.counts.len() <= row {
            self.counts.resize(row + 1, Vec::new());
        }
        let counts = &mut self.counts[row];
        if counts.len() <= column {
            counts.resize(column + 1, 0);
        }
        counts[column] = counts[column].saturating_add(times);
    }
}

/// Where `name` stands in `names`; at the end if it is new.
fn place(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage() -> Coverage {
        Coverage::new(["power_cut", "offline", "disk_full"], ["idle", "sale_waits", "recovering"])
    }

    #[test]
    fn what_never_met_is_a_hole() {
        let mut met = coverage();
        met.record("power_cut", "idle");
        met.record("offline", "sale_waits");
        let holes = met.holes();
        assert_eq!(holes.kinds, ["disk_full"]);
        assert_eq!(holes.states, ["recovering"]);
        let pair = |kind: &str, state: &str| (kind.to_owned(), state.to_owned());
        assert_eq!(holes.pairs, [pair("power_cut", "sale_waits"), pair("offline", "idle")]);
    }

    #[test]
    fn merging_goes_by_name_whatever_the_order() {
        let mut met = coverage();
        met.record("offline", "idle");
        let mut other = Coverage::new(["offline", "clock_step"], ["sale_waits", "idle"]);
        other.record("offline", "idle");
        other.record("offline", "sale_waits");
        other.seeds = 3;
        met.merge(&other);
        assert_eq!(met.kinds, ["power_cut", "offline", "disk_full", "clock_step"]);
        assert_eq!((met.count(1, 0), met.count(1, 1), met.seeds), (2, 1, 3));
        assert_eq!(met.holes().kinds, ["power_cut", "disk_full", "clock_step"]);
    }

    #[test]
    fn a_table_with_missing_rows_counts_as_nought() {
        let torn = Coverage { counts: vec![vec![4]], ..coverage() };
        assert_eq!((torn.count(0, 0), torn.count(0, 1), torn.count(2, 2)), (4, 0, 0));
        let mut met = coverage();
        met.merge(&torn);
        assert_eq!(met.happened(0), 4);
    }
}
