//! How times, durations, shares and speeds are written: read and shown. Whole numbers inside, exactly.

const UNITS_US: [(&str, u64); 11] = [
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
    ("hours", 3_600_000_000),
    ("hour", 3_600_000_000),
    ("minutes", 60_000_000),
    ("minute", 60_000_000),
    ("m", 60_000_000),
    ("sec", 1_000_000),
];

/// The seconds of a day.
pub(super) const DAY_S: u64 = 86_400;

/// What a duration looks like, for errors.
pub(super) const DURATION: &str =
    "a duration with its unit in quotes, such as \"4 min\", \"1 h 30 min\", \"90 s\" or \"250 ms\"";
/// What a time looks like, for errors.
pub(super) const TIME: &str =
    "a time of day such as \"18:05\" or \"18:05:30\", or the time since the start such as \"+20 min\"";
/// What a share looks like, for errors.
pub(super) const SHARE: &str =
    "a share in quotes, in steps of a tenth of a percent, such as \"98 %\" or \"0.5 %\"";
/// What a speed looks like, for errors.
pub(super) const SPEED: &str = "a speed in quotes, such as \"150 kbit/s\" or \"20 Mbit/s\"";

/// A decimal number times `scale`, if that is a whole number.
pub(super) fn scaled(text: &str, scale: u64) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 9 {
        return None;
    }
    let divisor = 10_u64.pow(part.len() as u32);
    let part = u128::from(part.parse::<u64>().ok()?) * u128::from(scale);
    if part % u128::from(divisor) != 0 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    whole.checked_add(u64::try_from(part / u128::from(divisor)).ok()?)
}

fn number_and_unit(text: &str) -> (&str, &str) {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..at], text[at..].trim_start())
}

/// Reads `4 min`, `1 h 30 min`, `90s`, `250ms` into microseconds.
pub(super) fn duration_us(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = 0_u64;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = number_and_unit(rest);
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let (_, unit_us) = UNITS_US.into_iter().find(|(name, _)| *name == unit)?;
        if unit_us >= smallest {
            return None;
        }
        smallest = unit_us;
        total = total.checked_add(scaled(number, unit_us)?)?;
        rest = next.trim_start();
    }
    (smallest != u64::MAX).then_some(total)
}

/// Shows microseconds in the largest unit that says them exactly.
pub(super) fn show_us(us: u64) -> String {
    let (name, unit) = UNITS_US[..5]
        .iter()
        .find(|(_, unit)| us > 0 && us.is_multiple_of(*unit))
        .unwrap_or(&("s", 1_000_000));
    format!("{} {name}", us / unit)
}

/// Shows milliseconds in the largest unit that says them exactly.
pub(super) fn show_ms(ms: u64) -> String {
    show_us(ms.saturating_mul(1_000))
}

/// Reads `18:05` or `18:05:30` into seconds after midnight.
pub(super) fn clock_s(text: &str) -> Option<u64> {
    let mut fields = text.trim().split(':').map(|field| {
        let digits = field.len() == 2 && field.bytes().all(|byte| byte.is_ascii_digit());
        if digits { field.parse::<u64>().ok() } else { None }
    });
    let (hours, minutes) = (fields.next()??, fields.next()??);
    let seconds = fields.next().unwrap_or(Some(0))?;
    let is_time = hours < 24 && minutes < 60 && seconds < 60 && fields.next().is_none();
    is_time.then_some(hours * 3_600 + minutes * 60 + seconds)
}

/// Shows seconds after midnight as a time of day.
pub(super) fn show_clock_s(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    if rest == 0 { format!("{hours:02}:{minutes:02}") } else { format!("{hours:02}:{minutes:02}:{rest:02}") }
}

/// Reads a time of day, or a time since the start, into milliseconds since the start; a time of day that is earlier
/// than the start is on the next day.
pub(super) fn time_ms(text: &str, starts_at_s: u64) -> Option<u64> {
    match text.trim().strip_prefix('+') {
        Some(offset) => whole_ms(duration_us(offset)?),
        None => Some((clock_s(text)? + DAY_S - starts_at_s % DAY_S) % DAY_S * 1_000),
    }
}

/// Shows a time of the night so that [`time_ms`] reads it back.
pub(super) fn show_time_ms(ms: u64, starts_at_s: u64) -> String {
    if ms.is_multiple_of(1_000) && ms < DAY_S * 1_000 {
        show_clock_s(starts_at_s + ms / 1_000)
    } else {
        format!("+{}", show_ms(ms))
    }
}

/// Microseconds as milliseconds, if they are whole ones.
pub(super) fn whole_ms(us: u64) -> Option<u64> {
    us.is_multiple_of(1_000).then_some(us / 1_000)
}

/// Reads `0.5 %` into thousandths.
pub(super) fn share_per_mille(text: &str) -> Option<u64> {
    let number = text.trim().strip_suffix('%')?;
    scaled(number.trim_end(), 10)
}

/// Shows thousandths as percent.
pub(super) fn show_share(per_mille: u64) -> String {
    format!("{} %", show_scaled(per_mille, 10))
}

/// Shows `value / scale` as a decimal number; `scale` is a power of ten.
pub(super) fn show_scaled(value: u64, scale: u64) -> String {
    if value.is_multiple_of(scale) {
        return (value / scale).to_string();
    }
    let digits = scale.ilog10() as usize;
    let part = format!("{:0digits$}", value % scale);
    format!("{}.{}", value / scale, part.trim_end_matches('0'))
}

/// Reads `150 kbit/s` or `20 Mbit/s` into kbit/s.
pub(super) fn speed_kbit_per_s(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text.trim());
    let scale = match unit {
        "kbit/s" => 1,
        "Mbit/s" => 1_000,
        "Gbit/s" => 1_000_000,
        _ => return None,
    };
    scaled(number, scale)
}

/// Shows kbit/s in the largest unit that says them exactly.
pub(super) fn show_speed(kbit_per_s: u64) -> String {
    match kbit_per_s {
        1.. if kbit_per_s.is_multiple_of(1_000_000) => format!("{} Gbit/s", kbit_per_s / 1_000_000),
        1.. if kbit_per_s.is_multiple_of(1_000) => format!("{} Mbit/s", kbit_per_s / 1_000),
        _ => format!("{kbit_per_s} kbit/s"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, us) in [
            ("4 min", 240_000_000),
            ("90s", 90_000_000),
            ("250ms", 250_000),
            ("1 h 30 min", 5_400_000_000),
            ("1h5m", 3_900_000_000),
            ("1.5 s", 1_500_000),
            ("0 s", 0),
            ("300 us", 300),
        ] {
            assert_eq!(duration_us(text), Some(us), "{text}");
        }
        for text in [
            "",
            "4",
            "min",
            "4 weeks",
            "-4 s",
            "4 s 4 s",
            "5 s 1 min",
            "1.5.5 s",
            "1e3 s",
            ". s",
            "0.0000001 s",
        ] {
            assert_eq!(duration_us(text), None, "{text}");
        }
        assert_eq!(duration_us("99999999999999999 h"), None);
    }

    #[test]
    fn times_of_day_after_midnight_are_on_the_next_day() {
        let starts = 18 * 3_600;
        assert_eq!(time_ms("18:05", starts), Some(300_000));
        assert_eq!(time_ms("18:05:30", starts), Some(330_000));
        assert_eq!(time_ms("00:30", starts), Some(6 * 3_600_000 + 1_800_000));
        assert_eq!(time_ms("+20m", starts), Some(1_200_000));
        for text in ["24:00", "18:60", "8:05", "18", "18:05:30:01", "18:5", "+", "+3", "20 min", "+1 us"] {
            assert_eq!(time_ms(text, starts), None, "{text}");
        }
    }

    #[test]
    fn shares_and_speeds_are_exact() {
        assert_eq!(share_per_mille("98 %"), Some(980));
        assert_eq!(share_per_mille("0.5%"), Some(5));
        assert_eq!(share_per_mille("0.55 %"), None);
        assert_eq!(share_per_mille("98"), None);
        assert_eq!(speed_kbit_per_s("1.5 Mbit/s"), Some(1_500));
        assert_eq!(speed_kbit_per_s("150 kbit/s"), Some(150));
        assert_eq!(speed_kbit_per_s("150 kB/s"), None);
        assert_eq!(show_scaled(1_050, 1_000), "1.05");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(value in 0..u64::MAX / 10_000_000, starts in 0..DAY_S, ms in 0..200_000_000_u64) {
            prop_assert_eq!(duration_us(&show_us(value)), Some(value));
            prop_assert_eq!(share_per_mille(&show_share(value)), Some(value));
            prop_assert_eq!(speed_kbit_per_s(&show_speed(value)), Some(value));
            prop_assert_eq!(scaled(&show_scaled(value, 1_000), 1_000), Some(value));
            prop_assert_eq!(clock_s(&show_clock_s(starts)), Some(starts));
            prop_assert_eq!(time_ms(&show_time_ms(ms, starts), starts), Some(ms));
            prop_assert_eq!(time_ms(&show_time_ms(ms / 1_000 * 1_000, starts), starts), Some(ms / 1_000 * 1_000));
        }
    }
}
