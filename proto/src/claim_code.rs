//! The short code of a claim: what people say to each other, and type, when there is no scanner.
//!
//! Six digits of Crockford's base 32. It is a hash of the claim's reference and proves nothing: among 1,000 claims, the
//! odds that any two share one are 1 in 2,000.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::base32::{DIGITS, digits_of};
use crate::id::Ref;

const LENGTH: usize = 6;

/// Not a claim's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a claim's code: six letters and digits, such as 7K2-M9Q, as they stand under its QR code"
)]
pub struct ClaimCodeError(String);

/// A claim's short code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimCode([u8; LENGTH]);

impl ClaimCode {
    /// That of a claim.
    pub fn of(claim: &Ref) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"popmesh claim code v1");
        hasher.update(claim.chain.as_bytes());
        hasher.update(claim.seq.to_be_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let mut code = [0; LENGTH];
        for (digit, byte) in code.iter_mut().zip(digest) {
            *digit = DIGITS[usize::from(byte % 32)];
        }
        Self(code)
    }
}

impl fmt::Display for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: String = self.0.iter().map(|digit| char::from(*digit)).collect();
        write!(f, "{}-{}", &digits[..3], &digits[3..])
    }
}

impl fmt::Debug for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ClaimCode {
    type Err = ClaimCodeError;
    fn from_str(text: &str) -> Result<Self, ClaimCodeError> {
        let error = || ClaimCodeError(text.chars().take(40).collect());
        digits_of(text).and_then(|digits| digits.try_into().ok()).map(Self).ok_or_else(error)
    }
}

crate::schema::text_schema!(
    ClaimCode,
    crate::schema::TextSchema {
        name: "ClaimCode",
        description: "The short code of a claim, as it stands under its QR code. Dashes, blanks and case do not matter where it is read, nor O \
            for 0, nor I and L for 1.",
        example: "7K2-M9Q",
        pattern: r"^[ -]*([0-9A-TV-Za-tv-z][ -]*){6}$",
        length: (6, None),
    }
);

impl serde::Serialize for ClaimCode {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ClaimCode {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChainId;

    fn code(seq: u64) -> ClaimCode {
        ClaimCode::of(&Ref { chain: ChainId([7; 16]), seq })
    }

    #[test]
    fn what_is_printed_is_read_however_it_is_typed() {
        for seq in 1..2_000 {
            let printed = code(seq).to_string();
            for typed in [
                printed.clone(),
                printed.to_lowercase(),
                printed.replace('-', " "),
                printed.replace('-', "").replace('0', "o").replace('1', "l"),
            ] {
                assert_eq!(typed.parse(), Ok(code(seq)), "{typed}");
            }
        }
        for wrong in ["", "7K2-M9", "7K2-M9QQ", "7K2-M9U", "7K2_M9Q", "ÄÖÜ-123"] {
            let error = wrong.parse::<ClaimCode>().unwrap_err();
            assert!(error.to_string().contains("such as 7K2-M9Q"), "{error}");
        }
    }

    #[test]
    fn claims_have_codes_of_their_own() {
        let all: std::collections::BTreeSet<ClaimCode> = (1..1_000).map(code).collect();
        assert!(all.len() >= 998, "{}", all.len());
    }
}
