//! The code that a new device shows, and the address that its QR code has besides.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use popmesh_proto::base32::{DIGITS, digits_of};

/// Digits of the part that is announced.
const PLATE: usize = 3;
/// Digits of the part that is secret: 30 bits. Each such code is worth one try, and there are three of them.
const SECRET: usize = 6;
/// The same of a long code: 60 bits, which may be tried as often as somebody likes. A thousand tries a second, which no
/// device here can answer, guess it within an hour with a chance of 3 in 1,000,000,000,000.
const LONG_SECRET: usize = 12;
/// Digits that are shown together; both lengths are multiples of it.
const GROUP: usize = 3;
const SCHEME: &str = "popmesh-join:";

/// Not a code, and not the text of a code's QR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a code to join with: nine letters and digits, such as 417-7K2-M9Q, or fifteen, as `popmesh join` shows \
     them"
)]
pub struct CodeError(String);

/// A code. Its first three digits are no secret: by them the device that shows it is found. What is announced is these
/// alone and nothing that the others go into: 30 bits are searched through in seconds.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinCode {
    /// Those that there are not are 0.
    digits: [u8; PLATE + LONG_SECRET],
    length: usize,
}

impl JoinCode {
    /// The code for one try that random bytes make.
    pub fn from_random(random: [u8; 16]) -> Self {
        let mut code = Self { digits: [0; PLATE + LONG_SECRET], length: PLATE + SECRET };
        let number = u128::from_le_bytes(random);
        code.draw_plate(number);
        code.draw_secret(number >> (32 * PLATE), PLATE..PLATE + SECRET);
        code
    }

    /// The code for any number of tries that random bytes make.
    pub fn long_from_random(plate: [u8; 16], secret: [u8; 16]) -> Self {
        let mut code = Self { digits: [0; PLATE + LONG_SECRET], length: PLATE + LONG_SECRET };
        code.draw_plate(u128::from_le_bytes(plate));
        code.draw_secret(u128::from_le_bytes(secret), PLATE..PLATE + LONG_SECRET);
        code
    }

    /// Whether it stays good however often somebody tries another.
    pub fn is_long(&self) -> bool {
        self.length > PLATE + SECRET
    }

    /// 32 bits for each digit.
    fn draw_plate(&mut self, random: u128) {
        for (at, digit) in self.digits[..PLATE].iter_mut().enumerate() {
            *digit = DIGITS[(((random >> (32 * at)) & 0xffff_ffff) % 10) as usize];
        }
    }

    /// Five bits for each digit.
    fn draw_secret(&mut self, random: u128, range: std::ops::Range<usize>) {
        for (at, digit) in self.digits[range].iter_mut().enumerate() {
            *digit = DIGITS[((random >> (5 * at)) & 31) as usize];
        }
    }

    /// The part that is announced.
    pub fn plate(&self) -> String {
        self.digits(0..PLATE)
    }

    /// What the exchange is keyed with.
    pub(crate) fn password(&self) -> &[u8] {
        &self.digits[..self.length]
    }

    fn digits(&self, range: std::ops::Range<usize>) -> String {
        self.digits[range].iter().map(|digit| char::from(*digit)).collect()
    }
}

impl fmt::Display for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plate())?;
        for from in (PLATE..self.length).step_by(GROUP) {
            write!(f, "-{}", self.digits(from..from + GROUP))?;
        }
        Ok(())
    }
}

impl fmt::Debug for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinCode({}-…)", self.plate())
    }
}

impl FromStr for JoinCode {
    type Err = CodeError;
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let error = || CodeError(text.chars().take(40).collect());
        let given = digits_of(text.trim()).ok_or_else(error)?;
        let length = given.len();
        if ![PLATE + SECRET, PLATE + LONG_SECRET].contains(&length)
            || !given[..PLATE].iter().all(u8::is_ascii_digit)
        {
            return Err(error());
        }
        let mut digits = [0; PLATE + LONG_SECRET];
        digits[..length].copy_from_slice(&given);
        Ok(Self { digits, length })
    }
}

/// What a new device shows: a code and, as its QR code has it, where it is to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The code.
    pub code: JoinCode,
    /// Where the device listens.
    pub address: Option<SocketAddr>,
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{SCHEME}{address}/{}", self.code),
            None => self.code.fmt(f),
        }
    }
}

impl FromStr for Invitation {
    type Err = CodeError;
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let error = || CodeError(text.chars().take(40).collect());
        match text.trim().strip_prefix(SCHEME) {
            None => Ok(Self { code: text.parse()?, address: None }),
            Some(rest) => {
                let (address, code) = rest.split_once('/').ok_or_else(error)?;
                Ok(Self { code: code.parse()?, address: Some(address.parse().map_err(|_| error())?) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_is_read_however_it_is_typed(random: [u8; 16], more: [u8; 16], long: bool) {
            let code = if long {
                JoinCode::long_from_random(random, more)
            } else {
                JoinCode::from_random(random)
            };
            let shown = code.to_string();
            prop_assert_eq!((shown.len(), code.is_long()), (if long { 19 } else { 11 }, long));
            for typed in [
                shown.clone(),
                shown.to_lowercase(),
                format!(" {} ", shown.replace('-', " ")),
                shown.replace('-', "").replace('0', "o").replace('1', "l"),
            ] {
                prop_assert_eq!(typed.parse(), Ok(code.clone()), "{}", typed);
            }
            for address in ["192.0.2.7:4001", "[2001:db8::7]:4001"] {
                let invitation = Invitation { code: code.clone(), address: Some(address.parse().unwrap()) };
                prop_assert_eq!(invitation.to_string().parse(), Ok(invitation));
            }
            prop_assert!(!format!("{code:?}").contains(&shown[4..]), "a log must not have it");
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = text.parse::<Invitation>();
            let _ = format!("{SCHEME}{text}").parse::<Invitation>();
        }
    }

    #[test]
    fn what_is_no_code_says_what_one_is() {
        for wrong in [
            "",
            "417-7K2-M9",
            "417-7K2-M9QQ",
            "417-7K2-M9Q-7K2-M9",
            "41A-7K2-M9Q",
            "417-7K2-M9U",
            "popmesh-join:here/417-7K2-M9Q",
        ] {
            let error = wrong.parse::<Invitation>().unwrap_err();
            assert!(error.to_string().contains("such as 417-7K2-M9Q"), "{error}");
        }
    }

    #[test]
    fn every_digit_is_used_in_every_place() {
        let mut state = 7_u128;
        let mut seen = vec![std::collections::BTreeSet::new(); PLATE + SECRET];
        for _ in 0..4_000 {
            state = state.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(1);
            let code = JoinCode::from_random((state ^ state.rotate_left(61)).to_le_bytes());
            for (seen, digit) in seen.iter_mut().zip(code.digits) {
                seen.insert(digit);
            }
        }
        let counts: Vec<usize> = seen.iter().map(std::collections::BTreeSet::len).collect();
        assert_eq!(counts, [10, 10, 10, 32, 32, 32, 32, 32, 32]);
    }
}
