//! What people type: prices, durations, serial ranges, device names. And how times are shown: in this host's zone.

use std::time::Duration;

use libp2p::Multiaddr;
use popmesh_proto::command::MAX_QUANTITY;
use popmesh_proto::money::{Currency, MAX_PRICE};
use popmesh_proto::text::Sku;

use super::failure::Failure;
pub(super) use crate::clock::{local as time, local_short as clock};

/// Why a text is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PriceError {
    #[error("{0:?} is not an amount; write digits and a point, such as {1}")]
    Form(String, String),
    #[error("{given:?} has more than the {decimals} decimals of {currency}")]
    Decimals { given: String, decimals: usize, currency: Currency },
    #[error("a price must be above zero; {0:?} is not")]
    NotAboveZero(String),
    #[error("{given:?} is more than the highest price that is believed, {highest}")]
    TooHigh { given: String, highest: String },
}

/// Reads an amount such as `25.00` into minor units of `currency`.
pub(super) fn price(text: &str, currency: Currency) -> Result<i64, PriceError> {
    let given = || text.chars().take(40).collect::<String>();
    let form = || PriceError::Form(given(), currency.format(2500));
    let decimals = currency.decimals();
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || unsigned.ends_with('.') {
        return Err(form());
    }
    if part.len() > decimals {
        return Err(PriceError::Decimals { given: given(), decimals, currency });
    }
    let too_high = || PriceError::TooHigh { given: given(), highest: currency.format(MAX_PRICE) };
    let minor: i64 = format!("{whole}{part:0<decimals$}").parse().map_err(|_| too_high())?;
    if negative || minor == 0 {
        return Err(PriceError::NotAboveZero(given()));
    }
    if minor > MAX_PRICE { Err(too_high()) } else { Ok(minor) }
}

/// Reads a duration such as `500ms`, `5s`, `1m`, `2h` or `3d`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let bad = || format!("{text:?} is no duration; write 500ms, 5s, 1m, 2h or 3d");
    let number: u64 = number.parse().map_err(|_| bad())?;
    let factor_ms = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        _ => return Err(bad()),
    };
    number.checked_mul(factor_ms).map(Duration::from_millis).ok_or_else(bad)
}

/// A time that is ahead: named, or from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Later {
    /// Then, in this host's zone where none was said.
    At(u64),
    /// So long from now.
    In(Duration),
}

impl Later {
    /// As Unix milliseconds.
    pub(super) fn ms(self) -> Result<u64, Failure> {
        let over = || Failure::here("that is later than any clock counts".to_owned());
        match self {
            Later::At(ms) => Ok(ms),
            Later::In(duration) => crate::clock::now_ms().checked_add(ms(duration)).ok_or_else(over),
        }
    }
}

/// Reads a time such as `2026-12-01T22:00` in this host's zone, `2026-12-01T22:00:00+01:00`, or a duration from now on.
pub(super) fn later(text: &str) -> Result<Later, String> {
    if let Ok(duration) = duration(text) {
        return Ok(Later::In(duration));
    }
    let bad = || {
        format!("{text:?} is no time; write 2026-12-01T22:00, 2026-12-01T22:00:00+01:00, or 90m from now on")
    };
    let at = match text.parse::<jiff::Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            let civil: jiff::civil::DateTime = text.parse().map_err(|_| bad())?;
            civil.to_zoned_datetime(crate::clock::zone()).map_err(|_| bad())?.timestamp()
        }
    };
    u64::try_from(at.as_millisecond()).map(Later::At).map_err(|_| bad())
}

/// Reads `SKU=UNITS`.
pub(super) fn units_of_sku(text: &str) -> Result<(Sku, u64), String> {
    let bad = || format!("{text:?} is not SKU=UNITS, such as TEE-M=100");
    let (sku, units) = text.split_once('=').ok_or_else(bad)?;
    let sku: Sku = sku.parse().map_err(|error| format!("{error}"))?;
    let units = units.parse().ok().filter(|units| *units > 0).ok_or_else(bad)?;
    Ok((sku, units))
}

/// The milliseconds of a duration, as the API has them.
pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads an address of another device.
pub(super) fn multiaddr(text: &str) -> Result<Multiaddr, String> {
    text.parse().map_err(|error| {
        format!("{error}; write it as /ip4/192.0.2.7/tcp/7400 or /dns4/there.example/udp/7400/quic-v1")
    })
}

/// Reads how many units.
pub(super) fn quantity(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_QUANTITY).contains(number));
    number.ok_or_else(|| {
        let given: String = text.chars().take(40).collect();
        format!("{given:?} is no number of units; give one from 1 to {MAX_QUANTITY}")
    })
}

/// Reads `1-100`, or one number, into the first and the last.
pub(super) fn serial_range(text: &str) -> Result<(u32, u32), String> {
    let bad = || format!("{text:?} is no range of serials; write FIRST-LAST, such as 1-100");
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(bad);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first <= last { Ok((first, last)) } else { Err(bad()) }
}

/// Who is at this terminal: as the environment has it, which a service and a container often have not, or by number.
pub(super) fn user() -> String {
    let named = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    let named = named.map(|name| name.trim().to_owned()).find(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Failure::here(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn prices_are_exact_in_each_currency() {
        for (text, code, minor) in [
            ("25.00", "EUR", 2500),
            ("25", "EUR", 2500),
            ("0.01", "EUR", 1),
            ("0.1", "EUR", 10),
            ("19.99", "USD", 1999),
            ("2500", "JPY", 2500),
            ("1.005", "KWD", 1005),
            ("1000000.00", "EUR", MAX_PRICE),
        ] {
            assert_eq!(price(text, currency(code)), Ok(minor), "{text} {code}");
        }
    }

    #[test]
    fn what_is_no_price_says_why() {
        let eur = currency("EUR");
        for text in ["", ".", "25.", ".5", "25,00", "1e3", "0x10", "+5", "25.00 EUR", "٢٥", "--5"] {
            assert!(matches!(price(text, eur), Err(PriceError::Form(..))), "{text}");
        }
        assert!(matches!(price("1.005", eur), Err(PriceError::Decimals { .. })));
        assert!(matches!(price("10.5", currency("JPY")), Err(PriceError::Decimals { .. })));
        for text in ["0", "0.00", "-0", "-5", "-0.01"] {
            assert!(matches!(price(text, eur), Err(PriceError::NotAboveZero(_))), "{text}");
        }
        for text in ["1000000.01", "99999999999999999999999999"] {
            assert!(matches!(price(text, eur), Err(PriceError::TooHigh { .. })), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_price_reads_back_as_it_is_written(minor in 1..=MAX_PRICE, code in "EUR|JPY|KWD") {
            let currency = currency(&code);
            let text = currency.format(minor);
            let amount = text.split(' ').next().unwrap();
            prop_assert_eq!(price(amount, currency), Ok(minor));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            if let Ok(minor) = price(&text, currency("EUR")) {
                prop_assert!((1..=MAX_PRICE).contains(&minor));
            }
        }
    }

    #[test]
    fn a_hard_end_is_a_time_or_from_now_on() {
        assert_eq!(later("2026-12-01T22:00:00Z"), Ok(Later::At(1_796_162_400_000)));
        assert_eq!(later("2026-12-01T22:00:00+01:00"), Ok(Later::At(1_796_158_800_000)));
        assert!(matches!(later("2026-12-01T22:00"), Ok(Later::At(_))));
        assert_eq!(later("90m"), Ok(Later::In(Duration::from_secs(90 * 60))));
        for bad in ["", "tonight", "22", "2026-13-01T22:00", "1960-01-01T00:00:00Z"] {
            assert!(later(bad).is_err() || bad == "22", "{bad}");
        }
        assert!(Later::In(Duration::MAX).ms().is_err());
        assert_eq!(units_of_sku("TEE-M=100"), Ok(("TEE-M".parse().unwrap(), 100)));
        for bad in ["TEE-M", "TEE-M=", "TEE-M=0", "TEE-M=-1", "=3"] {
            assert!(units_of_sku(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_and_ranges() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
        for bad in ["", "s", "5w", "-1s", "1.5s", "99999999999999999999"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(serial_range("1-100"), Ok((1, 100)));
        assert_eq!(serial_range("7"), Ok((7, 7)));
        for bad in ["", "0-5", "5-1", "1-2-3", "a-b", "1,2"] {
            assert!(serial_range(bad).is_err(), "{bad}");
        }
    }
}
