//! Money: integer minor units and an ISO 4217 code. Never a float.

use std::fmt;
use std::str::FromStr;

/// The highest price of one unit that is believed, in minor units: beyond it a slip of the finger is likelier.
pub const MAX_PRICE: i64 = 100_000_000;

/// Not a currency code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an ISO 4217 currency code: three capital letters, such as EUR")]
pub struct CurrencyError(pub String);

/// An ISO 4217 alphabetic code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The code's three letters.
    pub fn code(&self) -> &str {
        // The constructor admits ASCII capitals only.
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Digits after the decimal point (ISO 4217's minor unit exponent).
    pub fn decimals(&self) -> usize {
        match self.code() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
            | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }

    /// The least that cash can pay, in minor units: the smallest coin that is still in use, where that is not one minor
    /// unit. Where countries of one currency differ (EUR), the event's rule says it.
    ///
    /// Source: <https://en.wikipedia.org/wiki/Cash_rounding>, which names each central bank's rule; the same values are
    /// `cashRounding` and `cashDigits` in Unicode CLDR's `currencyData`, where it has them.
    pub fn cash_coin(&self) -> i64 {
        match self.code() {
            "AUD" | "CAD" | "CHF" => 5,
            "NZD" => 10,
            "DKK" => 50,
            "CZK" | "NOK" | "SEK" => 100,
            "HUF" => 500,
            _ => 1,
        }
    }

    /// `minor` units as people write them, such as `25.00 EUR`.
    pub fn format(&self, minor: i64) -> String {
        let decimals = self.decimals();
        let scale = 10u64.pow(decimals as u32);
        let sign = if minor < 0 { "-" } else { "" };
        let (whole, part) = (minor.unsigned_abs() / scale, minor.unsigned_abs() % scale);
        if decimals == 0 {
            format!("{sign}{whole} {self}")
        } else {
            format!("{sign}{whole}.{part:0decimals$} {self}")
        }
    }
}

/// The highest coin that cash is rounded to, in minor units.
pub const MAX_COIN: i64 = 10_000;

/// `amount` in whole coins of `coin` minor units; half a coin counts as one. Neither may be negative.
pub fn in_coins(amount: i64, coin: i64) -> i64 {
    let coin = coin.max(1);
    let rest = amount % coin;
    let down = amount - rest;
    if rest >= coin - rest { down.saturating_add(if rest == 0 { 0 } else { coin }) } else { down }
}

impl FromStr for Currency {
    type Err = CurrencyError;
    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(CurrencyError(text.chars().take(20).collect())),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

crate::schema::text_schema!(
    Currency,
    crate::schema::TextSchema {
        name: "Currency",
        description: "An alphabetic currency code of ISO 4217.",
        example: "EUR",
        pattern: r"^[A-Z]+$",
        length: (3, Some(3)),
    }
);

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}

impl<'de> serde::Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<C> minicbor::Encode<C> for Currency {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.code())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Currency {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a currency code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_the_currencys_decimals() {
        let eur: Currency = "EUR".parse().unwrap();
        let jpy: Currency = "JPY".parse().unwrap();
        assert_eq!(eur.format(2500), "25.00 EUR");
        assert_eq!(eur.format(-7), "-0.07 EUR");
        assert_eq!(jpy.format(2500), "2500 JPY");
    }

    #[test]
    fn cash_is_paid_in_coins_that_there_are() {
        let coin = |code: &str| code.parse::<Currency>().unwrap().cash_coin();
        assert_eq!(["EUR", "CHF", "DKK", "SEK", "JPY"].map(coin), [1, 5, 50, 100, 1]);
        for (amount, coin, rounded) in
            [(1234, 5, 1235), (1232, 5, 1230), (1225, 50, 1250), (1224, 50, 1200), (1249, 100, 1200)]
        {
            assert_eq!(in_coins(amount, coin), rounded, "{amount} in coins of {coin}");
        }
        for exact in [0, 1, 7, 1234] {
            assert_eq!(in_coins(exact, 1), exact);
        }
        assert_eq!((in_coins(2, 5), in_coins(3, 5), in_coins(5, 5)), (0, 5, 5));
    }

    #[test]
    fn codes_are_three_capitals() {
        for bad in ["eur", "EURO", "", "E1R", "€"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }
}
