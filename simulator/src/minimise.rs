//! Makes a night that breaks a promise small, so that a person sees why: leaves out what it still breaks without.
//!
//! Source: Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002 (ddmin, in the plain form that
//! only leaves out).

use crate::scenario::Scenario;

/// So many nights are played at the most.
const RUNS: usize = 150;

/// The smallest night found for which `breaks` still holds.
pub fn minimise(scenario: &Scenario, mut breaks: impl FnMut(&Scenario) -> bool) -> Scenario {
    let mut smallest = scenario.clone();
    let mut runs = 0;
    let mut try_it = |candidate: Scenario, smallest: &mut Scenario| {
        if runs >= RUNS {
            return false;
        }
        runs += 1;
        let still = breaks(&candidate);
        if still {
            *smallest = candidate;
        }
        still
    };
    shrink(
        &mut smallest,
        &mut try_it,
        |scenario| scenario.faults.len(),
        |scenario, range| {
            scenario.faults.drain(range);
        },
    );
    shrink(
        &mut smallest,
        &mut try_it,
        |scenario| scenario.demand.len(),
        |scenario, range| {
            scenario.demand.drain(range);
        },
    );
    loop {
        let mut shorter = smallest.clone();
        shorter.duration_ms = shorter.duration_ms * 2 / 3;
        for drop in &mut shorter.drops {
            drop.close_ms = drop.close_ms.filter(|close_ms| *close_ms <= shorter.duration_ms);
        }
        let last = shorter.faults.iter().map(|fault| fault.until_ms).max().unwrap_or(0);
        if shorter.duration_ms < 10_000 || last > shorter.duration_ms || !try_it(shorter, &mut smallest) {
            return smallest;
        }
    }
}

/// Leaves out ever smaller parts of a list.
fn shrink(
    smallest: &mut Scenario,
    try_it: &mut impl FnMut(Scenario, &mut Scenario) -> bool,
    length: impl Fn(&Scenario) -> usize,
    remove: impl Fn(&mut Scenario, std::ops::Range<usize>),
) {
    let mut part = length(smallest).div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < length(smallest) {
            let mut candidate = smallest.clone();
            let end = (at + part).min(length(smallest));
            remove(&mut candidate, at..end);
            if !try_it(candidate, smallest) {
                at = end;
            }
        }
        if part == 1 {
            return;
        }
        part = part.div_ceil(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::FaultKind;

    #[test]
    fn only_the_faults_that_matter_are_left() {
        let night = crate::mix::draw("default", 3).expect("the mix is there");
        let mut night = night;
        let culprit = crate::scenario::Fault {
            from_ms: 1_000,
            until_ms: 2_000,
            kind: FaultKind::ClockStep { device: 0, by_ms: 4_242 },
        };
        night.faults.insert(night.faults.len() / 2, culprit.clone());
        let smallest = minimise(&night, |night| night.faults.contains(&culprit));
        assert_eq!(smallest.faults, [culprit]);
        assert!(smallest.demand.is_empty());
    }
}
