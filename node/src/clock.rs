//! This machine's wall clock, as the milliseconds since the Unix epoch that everything here counts in; and times as people
//! here read them, in this machine's zone, or that of `TZ`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use popmesh_proto::clock::{utc, with_times};

/// Now.
pub(crate) fn now_ms() -> u64 {
    unix_ms(SystemTime::now())
}

pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    // A machine whose clock was never set may think that it is before 1970.
    milliseconds(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where this machine is.
pub(crate) fn zone() -> TimeZone {
    TimeZone::system()
}

/// A time for people, with its zone: `2026-12-01 09:59:40 CET`.
pub(crate) fn local(ms: u64) -> String {
    in_zone(ms, &zone())
}

/// The same, without the date if that is today's.
pub(crate) fn local_short(ms: u64) -> String {
    short(ms, now_ms(), &zone())
}

/// The same to the millisecond, by its distance from UTC: `2026-12-01T10:59:40.123+01:00`.
pub(crate) fn local_precise(ms: u64) -> String {
    shown(ms, &zone(), "%Y-%m-%dT%H:%M:%S%.3f%:z")
}

/// A text of another device, or of a layer that knows of no zone, with its times as people here read them.
pub(crate) fn localised(text: &str) -> String {
    let zone = zone();
    with_times(text, |ms| in_zone(ms, &zone))
}

/// A time in words of a zone, which is said.
pub(crate) fn in_zone(ms: u64, zone: &TimeZone) -> String {
    shown(ms, zone, "%Y-%m-%d %H:%M:%S %Z")
}

fn short(ms: u64, now_ms: u64, zone: &TimeZone) -> String {
    let day = |ms| shown(ms, zone, "%Y-%m-%d");
    if day(ms) == day(now_ms) { shown(ms, zone, "%H:%M:%S %Z") } else { in_zone(ms, zone) }
}

fn shown(ms: u64, zone: &TimeZone, format: &str) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    // A time beyond the year 9999 is nobody's clock.
    at.map_or_else(|| utc(ms), |at| at.to_zoned_datetime(zone.clone()).strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_zone_and_say_so() {
        // As in Berlin, without a need for its rules to be installed.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let (winter, summer) = (1_796_119_180_000, 1_783_000_000_000);
        assert_eq!(in_zone(winter, &zone), "2026-12-01 10:59:40 CET");
        assert_eq!(in_zone(summer, &zone), "2026-07-02 15:46:40 CEST");
        assert_eq!(in_zone(winter, &TimeZone::UTC), "2026-12-01 09:59:40 UTC");
        assert_eq!(short(winter, winter + 60_000, &zone), "10:59:40 CET");
        // The same day in UTC, and the next one here.
        let late = winter + 13 * 3_600_000 + 30 * 60_000;
        assert_eq!(short(winter, late, &zone), "2026-12-01 10:59:40 CET");
        assert_eq!(in_zone(u64::MAX, &zone), utc(u64::MAX));
    }
}
