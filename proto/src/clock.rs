//! Time as proto sees it: an input, and a hybrid logical clock that orders entries.
//!
//! Source of the clock: Kulkarni et al., "Logical Physical Clocks", 2014.

use std::fmt;

/// What the runtime's clocks show when an input arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch, as the wall clock has it. May jump.
    pub wall_ms: u64,
    /// Milliseconds of a clock that never goes back, from an origin of its own. Deadlines are in it.
    pub mono_ms: u64,
}

/// A hybrid time: 48 bits of milliseconds since the Unix epoch, then a 16-bit counter.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = u64))]
pub struct Hlc(#[n(0)] pub u64);

impl Hlc {
    /// The largest millisecond that fits.
    pub const MAX_MS: u64 = (1 << 48) - 1;

    /// The first hybrid time of a millisecond.
    pub fn from_ms(ms: u64) -> Self {
        Self(ms.min(Self::MAX_MS) << 16)
    }

    /// The milliseconds since the Unix epoch.
    pub fn ms(self) -> u64 {
        self.0 >> 16
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.ms(), self.0 & 0xffff)
    }
}

/// How far ahead of its own wall clock a device lets the others' times draw it, in milliseconds.
///
/// Entries from further ahead are admitted all the same; they only stop moving this clock, so that one wrong clock
/// does not become everybody's.
pub const MAX_DRIFT_MS: u64 = 5 * 60 * 1000;

/// A device's own hybrid clock: never below the latest time that the device has durable, whatever its wall clock says.
/// What that is at a start: the beginning of its certificate, its own entries, and, with a wall clock that shows a time
/// before its certificate, the programme.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    last: Hlc,
}

impl Clock {
    /// The time that the device goes by, Unix milliseconds: what its wall clock shows, unless it has seen a later one.
    /// An entry that it writes now bears this time, or a few milliseconds more.
    pub fn time_ms(&self, now: Now) -> u64 {
        now.wall_ms.max(self.last.ms())
    }

    /// A time later than every one that this clock has given or seen within the drift allowed.
    pub fn next(&mut self, now: Now) -> Hlc {
        self.last = Hlc::from_ms(now.wall_ms).max(Hlc(self.last.0.saturating_add(1)));
        self.last
    }

    /// Takes note of another device's time.
    pub fn observe(&mut self, seen: Hlc, now: Now) {
        if seen.ms() <= now.wall_ms.saturating_add(MAX_DRIFT_MS) {
            self.last = self.last.max(seen);
        }
    }

    /// Takes note of a time that has been for certain, as one that this device itself has written; however far ahead.
    pub fn resume(&mut self, own: Hlc) {
        self.last = self.last.max(own);
    }
}

/// A time in words, to the second; for people far from the clock that showed it, so in UTC. Who knows where the reader is,
/// finds these again with [`with_times`].
pub fn utc(unix_ms: u64) -> String {
    let (days, seconds) = (unix_ms / 86_400_000, unix_ms / 1_000 % 86_400);
    // Civil from days, with years that begin in March: https://howardhinnant.github.io/date_algorithms.html
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// A text with each time that [`utc`] wrote into it as `shown` writes it, which gets its Unix milliseconds.
pub fn with_times(text: &str, shown: impl Fn(u64) -> String) -> String {
    const ZONE: &str = " UTC";
    const TIME: usize = "2026-12-01 09:59:40".len();
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(ZONE) {
        let (before, after) = rest.split_at(at);
        // Absent where it is too short, or would begin inside of a character.
        let time = before.len().checked_sub(TIME).and_then(|from| before.split_at_checked(from));
        match time.and_then(|(before, time)| Some((before, unix_ms(time)?))) {
            Some((before, unix_ms)) => {
                told.push_str(before);
                told.push_str(&shown(unix_ms));
            }
            None => {
                told.push_str(before);
                told.push_str(ZONE);
            }
        }
        rest = after.strip_prefix(ZONE).unwrap_or(after);
    }
    told.push_str(rest);
    told
}

/// What [`utc`] wrote, without the zone behind it, for years from 1970 to 9999.
fn unix_ms(time: &str) -> Option<u64> {
    let separators = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if separators.into_iter().any(|(at, byte)| time.as_bytes().get(at) != Some(&byte)) {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = time.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u64>().ok()
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    // Days from civil, the other way round: https://howardhinnant.github.io/date_algorithms.html
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    let ms = (days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000;
    // A day that the month does not have is none.
    (utc(ms).get(..time.len()) == Some(time)).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_from_far_ahead_moves_no_clock_and_one_from_within_the_drift_does() {
        let now = Now { wall_ms: 1_790_000_000_000, mono_ms: 0 };
        let mut clock = Clock::default();
        clock.observe(Hlc::from_ms(now.wall_ms + MAX_DRIFT_MS + 1), now);
        clock.observe(Hlc(u64::MAX), now);
        assert_eq!(clock.next(now), Hlc::from_ms(now.wall_ms));
        let within = Hlc::from_ms(now.wall_ms + MAX_DRIFT_MS);
        clock.observe(within, now);
        assert_eq!((clock.time_ms(now), clock.next(now)), (within.ms(), Hlc(within.0 + 1)));
        // What is earlier sets nothing back.
        clock.observe(Hlc::from_ms(1), now);
        assert_eq!(clock.next(now), Hlc(within.0 + 2));
    }

    #[test]
    fn times_are_readable() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399_999, "2000-02-28 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_735_689_600_000, "2025-01-01 00:00:00 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(ms), text);
        }
        assert!(!utc(u64::MAX).is_empty());
    }

    #[test]
    fn times_in_a_text_are_found_again_and_nothing_else_is() {
        for ms in
            [0, 951_782_399_000, 951_782_400_000, 1_735_689_600_000, 4_107_542_400_000, 253_402_300_799_000]
        {
            let text = format!("ünder {} – and {}.", utc(ms), utc(0));
            assert_eq!(with_times(&text, |ms| format!("<{ms}>")), format!("ünder <{ms}> – and <0>."));
        }
        for text in [
            "",
            " UTC",
            "times are UTC",
            "at 09:27:31 UTC",
            "2026-02-29 09:27:31 UTC",
            "2026-13-01 09:27:31 UTC",
            "1969-12-31 23:59:59 UTC",
            "2026-12-01 24:00:00 UTC",
            "+026-12-01 09:27:31 UTC",
            "2026-12-01T09:27:31 UTC",
            "2026-12-01 09:27:31 UT",
            "\u{1f4a9}\u{1f4a9}\u{1f4a9}\u{1f4a9}\u{1f4a9} UTC",
        ] {
            assert_eq!(with_times(text, |_| "found".to_owned()), text);
        }
    }
}
