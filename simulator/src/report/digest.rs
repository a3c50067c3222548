//! What is drawn from a night before anything is printed: the headline, the findings in order, the faults by kind. Page
//! and terminal say the same.

use crate::night::{FaultSpan, Finding, Night};

use super::words::{self, plain};

/// So many names stand for all.
const NAMES: usize = 5;

/// How the night ended, in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// All is well.
    Passed,
    /// Every promise was kept, but a threshold was missed.
    Missed,
    /// A promise was broken.
    Failed,
}

/// The headline of a verdict and the sentence below it.
pub(super) fn headline(night: &Night) -> (Tone, &'static str, String) {
    let checks = &night.verdict.checks;
    let (mut broken, mut missed, mut wanted, mut promised) = (0, 0, 0, 0);
    for check in checks {
        let threshold = !check.wanted.is_empty();
        wanted += u64::from(threshold);
        promised += u64::from(!threshold);
        match (check.passed, threshold) {
            (true, _) => {}
            (false, true) => missed += 1,
            (false, false) => broken += 1,
        }
    }
    let reached = match (missed, wanted) {
        (_, 0) => "No threshold was set.".to_owned(),
        (0, _) => "Every threshold was reached.".to_owned(),
        (1, wanted) => format!("1 of {} was missed.", words::counted(wanted, "threshold", "thresholds")),
        (missed, wanted) => format!("{missed} of {wanted} thresholds were missed."),
    };
    let kept = if promised == 0 { "No promise was checked." } else { "Every promise was kept." };
    if night.verdict.passed {
        return (Tone::Passed, "Passed", format!("{kept} {reached}"));
    }
    match (broken, missed) {
        (0, 0) => (Tone::Failed, "Not passed", "The run was not judged to its end.".to_owned()),
        (0, _) => (Tone::Missed, "Not passed: thresholds missed", format!("{kept} {reached}")),
        (broken, _) => {
            let broken = words::counted(broken, "promise was", "promises were");
            (Tone::Failed, "Not passed: promises broken", format!("{broken} broken. {reached}"))
        }
    }
}

/// The findings in the order in which a person should read them.
pub(super) fn findings(night: &Night) -> Vec<&Finding> {
    let mut findings: Vec<_> = night.findings.iter().collect();
    findings.sort_by(|a, b| {
        (b.severity, &a.invariant, a.first_ms, &a.text).cmp(&(a.severity, &b.invariant, b.first_ms, &b.text))
    });
    findings
}

/// The first few names, and how many more.
pub(super) fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(NAMES).map(|name| plain(name, words::NAME)).collect();
    let left = names.len() - shown.len();
    if left == 0 { shown.join(", ") } else { format!("{} and {left} more", shown.join(", ")) }
}

/// All faults of one kind, added up.
#[derive(Debug)]
pub(super) struct FaultKindNight<'a> {
    /// The kind.
    pub(super) kind: &'a str,
    /// How many faults of it there were.
    pub(super) faults: u64,
    /// How often they did something.
    pub(super) times: u64,
    /// How long they lasted together, milliseconds.
    pub(super) lasted_ms: u64,
    /// The first of them.
    pub(super) first: &'a FaultSpan,
}

/// The faults by kind: the most frequent kind first.
pub(super) fn by_kind(night: &Night) -> Vec<FaultKindNight<'_>> {
    let mut kinds: Vec<FaultKindNight<'_>> = Vec::new();
    for fault in &night.faults {
        let place = kinds.iter().position(|known| known.kind == fault.kind).unwrap_or_else(|| {
            kinds.push(FaultKindNight { kind: &fault.kind, faults: 0, times: 0, lasted_ms: 0, first: fault });
            kinds.len() - 1
        });
        let kind = &mut kinds[place];
        kind.faults += 1;
        kind.times = kind.times.saturating_add(fault.times);
        kind.lasted_ms = kind.lasted_ms.saturating_add(fault.until_ms.saturating_sub(fault.from_ms));
        if fault.from_ms < kind.first.from_ms {
            kind.first = fault;
        }
    }
    kinds.sort_by_key(|kind| (u64::MAX - kind.faults, kind.kind));
    kinds
}

/// The value below which `per_mille` of `sorted` lie, or at which: nearest rank.
pub(super) fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1_000).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!([500, 900, 990, 1_000].map(|at| percentile(&values, at)), [50, 90, 99, 100]);
        assert_eq!((percentile(&[7], 500), percentile(&[7], 0), percentile(&[], 500)), (7, 7, 0));
    }
}
