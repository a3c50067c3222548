//! Numbers, times and names as people read them. Everything that a report prints of a night passes through here, so
//! that page, terminal and table say the same.

use std::fmt;

use crate::night::{Cause, LaneState, Severity};
use crate::scenario::StockPolicy;

/// A name is shown up to so many characters.
pub(super) const NAME: usize = 28;
/// A sentence is shown up to so many characters.
pub(super) const SENTENCE: usize = 240;

/// A count with its thousands set apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count for an axis: short.
pub(super) fn short_count(number: u64) -> String {
    match number {
        0..10_000 => count(number),
        10_000..10_000_000 => format!("{}k", decimals(number as f64 / 1e3, 1)),
        10_000_000..10_000_000_000 => format!("{}M", decimals(number as f64 / 1e6, 1)),
        _ => format!("{}G", decimals(number as f64 / 1e9, 1)),
    }
}

/// `one` or `many` after a count.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// How long, from microseconds: `84 ms`, `1.25 s`, `3 min 20 s`.
pub(super) fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{} ms", decimals(us as f64 / 1e3, 1)),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..10_000_000 => format!("{} s", decimals(us as f64 / 1e6, 2)),
        10_000_000..60_000_000 => format!("{} s", decimals(us as f64 / 1e6, 1)),
        _ => long(us / 1_000_000),
    }
}

/// How long, from milliseconds.
pub(super) fn millis(ms: u64) -> String {
    if ms == 0 { "0 ms".to_owned() } else { micros(ms.saturating_mul(1_000)) }
}

fn long(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, rest) => format!("{minutes} min {rest} s"),
        (hours, 0, _) => format!("{} h", count(hours)),
        (hours, minutes, _) => format!("{} h {minutes} min", count(hours)),
    }
}

/// Bytes in decimal units.
pub(super) fn bytes(number: u64) -> String {
    match number {
        0..1_000 => format!("{number} B"),
        1_000..1_000_000 => format!("{} kB", decimals(number as f64 / 1e3, 1)),
        1_000_000..1_000_000_000 => format!("{} MB", decimals(number as f64 / 1e6, 1)),
        _ => format!("{} GB", decimals(number as f64 / 1e9, 2)),
    }
}

/// Thousandths as a plain number: 1,250 is `1.25`.
pub(super) fn thousandths(milli: u64) -> String {
    let rest = milli % 1_000;
    let whole = count(milli / 1_000);
    if rest == 0 { whole } else { format!("{whole}.{}", format!("{rest:03}").trim_end_matches('0')) }
}

/// Per mille as a percentage: 984 is `98.4 %`.
pub(super) fn per_mille(milli: u64) -> String {
    if milli.is_multiple_of(10) {
        format!("{} %", count(milli / 10))
    } else {
        format!("{}.{} %", count(milli / 10), milli % 10)
    }
}

/// `part` of `whole` in per mille; absent if there is no whole.
pub(super) fn ratio(part: u64, whole: u64) -> Option<u64> {
    let milli = (u128::from(part) * 1_000).checked_div(u128::from(whole))?;
    Some(u64::try_from(milli).unwrap_or(u64::MAX))
}

/// What stands where a number cannot be given.
pub(super) const NONE: &str = "–";

fn decimals(number: f64, places: usize) -> String {
    let text = format!("{number:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The time of day, `ms` after a start at `starts_at_s` seconds past midnight.
pub(super) fn clock(starts_at_s: u64, ms: u64) -> String {
    let second = starts_at_s.saturating_add(ms / 1_000) % 86_400;
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// A text that came from outside, for one line: no control or direction characters, at most `most` characters.
pub(super) fn plain(text: &str, most: usize) -> String {
    let mut shown: String =
        text.chars().take(most + 1).map(|c| if misleads(c) { '\u{fffd}' } else { c }).collect();
    if let Some((end, _)) = shown.char_indices().nth(most) {
        shown.truncate(shown[..end].char_indices().next_back().map_or(0, |(last, _)| last));
        shown.push('…');
    }
    shown
}

/// Characters that move the cursor or turn the reading direction.
fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A name of code for people: `power_cut` is `power cut`.
pub(super) fn spaced(name: &str) -> String {
    plain(name, NAME).replace('_', " ")
}

/// The invariant that a check's name ends with, such as `I1` in `no oversell (I1)`.
pub(super) fn invariant(name: &str) -> Option<&str> {
    let inner = name.rsplit_once('(')?.1.strip_suffix(')')?;
    let number = inner.strip_prefix('I')?;
    number.bytes().all(|digit| digit.is_ascii_digit()).then_some(inner)
}

/// A promise in plain words, by its invariant.
pub(super) fn promise(invariant: &str) -> Option<&'static str> {
    Some(match invariant {
        "I1" => "No unit was sold to two shoppers.",
        "I2" => "No claim was handed out twice, or both handed out and refunded.",
        "I3" => "What a device had confirmed was still there after every power cut.",
        "I4" => "Every unit is accounted for, on every device, all night long.",
        "I5" => "Once the links were back, all devices agreed on everything.",
        "I6" => "Nobody changed anything that was not theirs to change.",
        "I7" => {
            "What every device says it took and paid back is what it wrote, to the cent; receipts have no gaps; a retry sells nothing twice."
        }
        "I8" => "While a unit was free within reach, a shopper who waited got it.",
        "I10" => {
            "While nothing happened, the mesh wrote nothing and left the air to others; what a device works for an entry did not grow."
        }
        "I11" => "Who was retired heard nothing more but that it was.",
        "I12" => "No board showed a number that was not true, and nothing that was claimed went back.",
        "I13" => "Who knew of a close sold no more, and all tell the same steps.",
        "I9" => "The same seed gives the same night, byte for byte.",
        _ => return None,
    })
}

/// Why a shopper was refused, by the reason's name.
pub(super) fn reason(name: &str) -> &'static str {
    match name {
        "sold_out" => "Every unit was sold.",
        "held_elsewhere" => "Units were left, but on devices that did not give any in time.",
        "no_power" => "The device had no power.",
        "no_answer" => "The device lost power while the shopper waited.",
        "not_stored" => "The sale could not be written to disk, so it was not made.",
        "busy" => "Too many shoppers at once on this device.",
        "drop_not_open" => "The drop had not opened yet, or was over.",
        "certificate" => "The device's certificate did not hold.",
        "gave_up" => "The shopper left before the answer.",
        _ => "",
    }
}

/// What kept a shopper, and what that means.
pub(super) fn cause(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::SoldOut => ("sold out", "Fewer units were left in the whole event than were wanted."),
        Cause::Elsewhere => ("elsewhere", "Enough units were left, and not where the shopper stood."),
        Cause::NotOpen => ("not open", "The drop did not open while the shopper waited, or was over."),
        Cause::NoPower => ("no power", "The till had no power."),
        Cause::DeadTill => ("dead till", "The till had died."),
        Cause::TillUnfit => {
            ("till unfit", "The till ran and could not sell: its disk, or its past, or its right.")
        }
        Cause::GaveUp => ("gave up", "The shopper left before the answer."),
    }
}

/// A device's state, for people.
pub(super) fn state(state: LaneState) -> &'static str {
    match state {
        LaneState::Online => "online",
        LaneState::OnBattery => "on battery",
        LaneState::CutOff => "cut off",
        LaneState::NotStoring => "not storing",
        LaneState::Off => "off",
        LaneState::Dead => "dead",
        LaneState::Restored => "restored",
    }
}

/// How bad a finding is, for people.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Broken => "promise broken",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A stock policy, for people.
pub(super) fn policy(policy: StockPolicy) -> &'static str {
    match policy {
        StockPolicy::ByRate => "popmesh (by rate of sale)",
        StockPolicy::OnDemand => "on demand only",
        StockPolicy::StaticShares => "static shares",
        StockPolicy::PlainCounter => "plain counter",
        StockPolicy::CentralServer => "central server",
    }
}

/// A text from outside, for HTML: in text and in quoted attributes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['<', '>', '&', '"', '\'']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'&' => "&amp;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            ["0", "999", "1,000", "12,345,678"],
            [0, 999, 1_000, 12_345_678].map(count).each_ref().map(|s| &s[..])
        );
        assert_eq!(short_count(12_500), "12.5k");
        assert_eq!(
            [999, 1_500, 84_900, 1_250_000, 59_940_000].map(micros),
            ["999 µs", "1.5 ms", "84 ms", "1.25 s", "59.9 s"]
        );
        assert_eq!([0, 60_000, 200_000, 7_260_000].map(millis), ["0 ms", "1 min", "3 min 20 s", "2 h 1 min"]);
        assert_eq!([999, 1_500, 42_100_000].map(bytes), ["999 B", "1.5 kB", "42.1 MB"]);
        assert_eq!([0, 1_250, 30].map(thousandths), ["0", "1.25", "0.03"]);
        assert_eq!([1_000, 984, 5].map(per_mille), ["100 %", "98.4 %", "0.5 %"]);
        assert_eq!(ratio(u64::MAX, 2), Some(u64::MAX));
        assert_eq!(ratio(1, 0), None);
        assert_eq!(clock(86_399, 2_000), "00:00:01");
    }

    #[test]
    fn texts_from_outside_stay_in_their_line() {
        assert_eq!(plain("till\n\u{1b}[2J", 40), "till\u{fffd}\u{fffd}[2J");
        assert_eq!(plain("\u{202e}tac", 40), "\u{fffd}tac");
        assert_eq!(plain("abcdef", 6), "abcdef");
        assert_eq!(plain("abcdefg", 6), "abcde…");
        assert_eq!(plain("ééééééé", 3), "éé…");
        assert_eq!(Escaped("<a title='b\"&'>").to_string(), "&lt;a title=&#39;b&quot;&amp;&#39;&gt;");
    }

    #[test]
    fn a_check_names_its_invariant() {
        assert_eq!(invariant("no oversell (I1)"), Some("I1"));
        assert_eq!(invariant("half of the sales (within 200 ms)"), None);
        assert_eq!(invariant("none"), None);
    }
}
