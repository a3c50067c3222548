//! Measuring in turns, and saying what came of it.

use std::path::Path;
use std::time::Duration;

/// What was measured of one thing.
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn time(&mut self, time: Duration) {
        self.add(time.as_secs_f64());
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * share).round() as usize]
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// This, of that: each sample by the one that was taken next to it.
    fn by(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| own / other).collect())
    }

    /// Median, quartiles and extremes.
    fn line(&self, unit: Unit) -> String {
        let [min, low, median, high, max] =
            [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| unit.text(self.at(share)));
        let count = self.count();
        format!("median {median}   quartiles {low} to {high}   all {min} to {max}   ({count} times)")
    }
}

/// What a sample counts.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Seconds,
    Megabytes,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Unit::Seconds if value < 1e-3 => format!("{:.1} µs", value * 1e6),
            Unit::Seconds if value < 1.0 => format!("{:.2} ms", value * 1e3),
            Unit::Seconds => format!("{value:.2} s"),
            Unit::Megabytes => format!("{value:.1} MB"),
        }
    }
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    AtLeast(f64),
    AtMost(f64),
    None,
}

impl Aim {
    fn verdict(self, value: f64) -> String {
        let (met, text) = match self {
            Aim::AtLeast(aim) => (value >= aim, format!("at least {aim}")),
            Aim::AtMost(aim) => (value <= aim, format!("at most {aim}")),
            Aim::None => return String::new(),
        };
        format!("   aim: {text}: {}", if met { "met" } else { "MISSED" })
    }
}

/// Prints what was measured of one thing.
pub(crate) fn say(name: &str, samples: &Samples, unit: Unit) {
    println!("  {name:<44} {}", samples.line(unit));
}

/// Prints the ratio of two medians, and beside it the quartiles of the ratios of neighbours: if those lie far apart,
/// the machine was too busy for the ratio to mean much.
pub(crate) fn compare(name: &str, one: &Samples, other: &Samples, aim: Aim) {
    let value = one.median() / other.median();
    let pairs = one.by(other);
    println!(
        "  = {name}: {value:.3}   (of neighbours: {:.3}, quartiles {:.3} to {:.3}){}",
        pairs.median(),
        pairs.at(0.25),
        pairs.at(0.75),
        aim.verdict(value)
    );
}

/// Prints a ratio of two counts.
pub(crate) fn ratio(name: &str, value: f64, aim: Aim) {
    println!("  = {name}: {value:.3}{}", aim.verdict(value));
}

/// Prints a figure that has an aim of its own.
pub(crate) fn figure(name: &str, value: f64, unit: Unit, aim: f64) {
    let met = if value <= aim { "met" } else { "MISSED" };
    println!("  = {name}: {}   aim: below {}: {met}", unit.text(value), unit.text(aim));
}

/// The file system that `path` is on.
pub(crate) fn file_system(path: &Path) -> String {
    const KNOWN: [(u64, &str); 5] = [
        (0xef53, "ext4"),
        (0x0102_1994, "tmpfs: IN MEMORY, the figures mean nothing"),
        (0x9123_683e, "btrfs"),
        (0x5846_5342, "xfs"),
        (0x794c_7630, "overlayfs"),
    ];
    let kind = rustix::fs::statfs(path).unwrap().f_type as u64;
    let known = KNOWN.iter().find(|(magic, _)| *magic == kind);
    known.map_or_else(|| format!("of type {kind:#x}"), |(_, name)| (*name).to_owned())
}

/// What else the machine does: how many programs have wanted to run at a time, in the last minute and the last five.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    text.split_whitespace().take(2).collect::<Vec<_>>().join(", ")
}

/// Numbers that look random and are the same every time (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
