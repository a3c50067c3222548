//! Axes: where a value lies, and which values are written beside it.

use super::words;

/// A mark on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Where, from 0 to 1.
    pub(super) at: f64,
    /// What is written there.
    pub(super) label: String,
    /// Whether it may go where there is little room.
    pub(super) minor: bool,
}

/// The night's time, from its start to when the run was over.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeAxis {
    starts_at_s: u64,
    end_ms: u64,
}

/// Steps between marks that people count in, seconds.
const TIME_STEPS: [u64; 17] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200];

/// The least step that people count in and that is no shorter than `wanted` seconds.
fn round_step(wanted: u64) -> u64 {
    let days = wanted.div_ceil(86_400).max(1) * 86_400;
    TIME_STEPS.into_iter().find(|step| *step >= wanted).unwrap_or(days)
}

impl TimeAxis {
    pub(super) fn new(starts_at_s: u64, end_ms: u64) -> Self {
        Self { starts_at_s, end_ms: end_ms.max(1) }
    }

    pub(super) fn end_ms(self) -> u64 {
        self.end_ms
    }

    /// Where a moment lies, from 0 to 1.
    pub(super) fn at(self, ms: u64) -> f64 {
        ms.min(self.end_ms) as f64 / self.end_ms as f64
    }

    /// The time of day at a moment.
    pub(super) fn clock(self, ms: u64) -> String {
        words::clock(self.starts_at_s, ms)
    }

    /// From one time of day to another.
    pub(super) fn span(self, from_ms: u64, until_ms: u64) -> String {
        if until_ms <= from_ms {
            self.clock(from_ms)
        } else {
            format!(
                "{}–{} ({})",
                self.clock(from_ms),
                self.clock(until_ms),
                words::millis(until_ms - from_ms)
            )
        }
    }

    /// Which of `bins` equal parts a moment lies in.
    pub(super) fn bin(self, ms: u64, bins: usize) -> usize {
        let bin = u128::from(ms.min(self.end_ms)) * bins as u128 / u128::from(self.end_ms);
        (bin as usize).min(bins.saturating_sub(1))
    }

    /// When a part begins, out of `bins` equal ones.
    pub(super) fn bin_start(self, bin: usize, bins: usize) -> u64 {
        (u128::from(self.end_ms) * bin as u128 / bins.max(1) as u128) as u64
    }

    /// Parts of a round length, at most `most` of them: how long each is, and how many there are.
    pub(super) fn parts(self, most: u64) -> (u64, usize) {
        let wanted = self.end_ms.div_ceil(1_000).div_ceil(most.max(1));
        let step_ms = round_step(wanted).saturating_mul(1_000);
        (step_ms, usize::try_from(self.end_ms.div_ceil(step_ms)).unwrap_or(usize::MAX).max(1))
    }

    /// At most about `most` marks, on round times of day.
    pub(super) fn ticks(self, most: u64) -> Vec<Tick> {
        let wanted = self.end_ms.div_ceil(1_000).div_ceil(most.max(1));
        let step = round_step(wanted);
        let first = (step - self.starts_at_s % step) % step;
        let seconds: Vec<u64> =
            (first..=self.end_ms / 1_000).step_by(usize::try_from(step).unwrap_or(usize::MAX)).collect();
        let many = seconds.len() > 5;
        seconds
            .into_iter()
            .map(|second| {
                let clock = self.clock(second * 1_000);
                Tick {
                    at: self.at(second * 1_000),
                    label: if step < 60 { clock } else { clock[..5].to_owned() },
                    minor: many && (second.saturating_add(self.starts_at_s) / step) % 2 == 1,
                }
            })
            .collect()
    }
}

/// A count from nought upwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountAxis {
    step: u64,
    top: u64,
}

impl CountAxis {
    /// For values up to `max`.
    pub(super) fn new(max: u64) -> Self {
        let wanted = (max / 4).max(1);
        let power = 10_u64.pow(wanted.ilog10());
        let step = [1, 2, 5, 10]
            .into_iter()
            .map(|times| power.saturating_mul(times))
            .find(|step| *step >= wanted)
            .unwrap_or(wanted);
        let top = max.div_ceil(step).max(1).saturating_mul(step);
        Self { step, top }
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn at(self, value: u64) -> f64 {
        value.min(self.top) as f64 / self.top as f64
    }

    pub(super) fn ticks(self) -> Vec<Tick> {
        (0..=self.top / self.step)
            .map(|place| {
                let value = place * self.step;
                Tick { at: self.at(value), label: words::short_count(value), minor: false }
            })
            .collect()
    }
}

/// Durations from microseconds to hours, each power of ten as wide as the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct DurationAxis {
    low: u32,
    high: u32,
}

/// Parts of one power of ten.
pub(super) const PARTS: usize = 8;

impl DurationAxis {
    /// For durations in microseconds, of which `least` and `most` are the extremes.
    pub(super) fn new(least: u64, most: u64) -> Self {
        let low = least.max(1).ilog10();
        let high = most.max(1).ilog10() + 1;
        Self { low: low.min(high.saturating_sub(2)), high }
    }

    pub(super) fn at(self, us: u64) -> f64 {
        let decades = f64::from(self.high - self.low);
        (((us.max(1) as f64).log10() - f64::from(self.low)) / decades).clamp(0.0, 1.0)
    }

    /// How many bins it has.
    pub(super) fn bins(self) -> usize {
        (self.high - self.low) as usize * PARTS
    }

    /// Which bin a duration lies in.
    pub(super) fn bin(self, us: u64) -> usize {
        ((self.at(us) * self.bins() as f64) as usize).min(self.bins() - 1)
    }

    /// Where a bin begins, microseconds.
    pub(super) fn bin_start(self, bin: usize) -> u64 {
        let exponent = f64::from(self.low) + bin as f64 / PARTS as f64;
        10_f64.powf(exponent).round() as u64
    }

    pub(super) fn ticks(self) -> Vec<Tick> {
        (self.low..=self.high)
            .map(|power| {
                let us = 10_u64.saturating_pow(power);
                let label = match power {
                    0..3 => format!("{us} µs"),
                    3..6 => format!("{} ms", us / 1_000),
                    _ => format!("{} s", words::count(us / 1_000_000)),
                };
                Tick {
                    at: self.at(us),
                    label,
                    minor: self.high - self.low > 5 && (power - self.low) % 2 == 1,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_marks_stand_on_round_times_of_day() {
        let axis = TimeAxis::new(17 * 3_600 + 50 * 60, 7_200_000);
        let labels: Vec<_> = axis.ticks(10).into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["18:00", "18:15", "18:30", "18:45", "19:00", "19:15", "19:30", "19:45"]);
        assert_eq!(axis.parts(72), (120_000, 60));
        assert_eq!(axis.bin(7_200_000, 60), 59);
        assert_eq!(axis.bin_start(30, 60), 3_600_000);
    }

    #[test]
    fn any_night_has_a_few_marks() {
        for end_ms in [0, 1, 999, 60_000, 86_400_000, 40 * 86_400_000, u64::MAX] {
            let ticks = TimeAxis::new(86_399, end_ms).ticks(10);
            assert!(ticks.len() <= 12, "{end_ms}: {}", ticks.len());
            assert!(TimeAxis::new(0, end_ms).parts(72).1 <= 73, "{end_ms}");
        }
    }

    #[test]
    fn counts_end_on_a_round_step_above_the_greatest() {
        let labels = |max| CountAxis::new(max).ticks().into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        assert_eq!(labels(0), ["0", "1"]);
        assert_eq!(labels(3), ["0", "1", "2", "3"]);
        assert_eq!(labels(730), ["0", "200", "400", "600", "800"]);
        for max in [1, 9, 10, 99, 12_345, u64::MAX] {
            assert!(CountAxis::new(max).ticks().len() <= 6, "{max}");
            assert!(CountAxis::new(max).at(max) <= 1.0);
        }
    }

    #[test]
    fn durations_fall_into_their_bin() {
        let axis = DurationAxis::new(800, 2_000_000);
        assert_eq!(axis.bins(), 5 * PARTS);
        for us in [0, 800, 1_000, 9_999, 2_000_000, u64::MAX] {
            assert!(axis.bin(us) < axis.bins());
        }
        assert!(axis.bin(1_100) > axis.bin(900));
        assert_eq!(axis.bin_start(PARTS), 1_000);
    }
}
