//! Short texts that people give things: SKUs, drop names, places, compartments. Bounded, so that they fit records and
//! labels.

use std::fmt;
use std::str::FromStr;

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} cannot be a {what}: 1 to {max} letters, digits or . _ - (and no spaces){}", hint(what))]
pub struct TextError {
    what: &'static str,
    max: usize,
    given: String,
}

fn hint(what: &str) -> &'static str {
    match what {
        "place" => ", or a device's name and its compartment, such as L1/07",
        "compartment" => ", a letter or a digit first",
        _ => "",
    }
}

/// The letters and digits of names, by their first and last: those of the scripts that merchandise is named in. Not all that Unicode
/// calls alphanumeric, as a pattern that every program's regular expressions read has to say the same; see [`letters`].
#[rustfmt::skip]
const LETTERS: [(char, char); 37] = [
    ('0', '9'), ('A', 'Z'), ('a', 'z'), ('\u{aa}', '\u{aa}'), ('\u{b5}', '\u{b5}'), ('\u{ba}', '\u{ba}'), ('\u{c0}', '\u{d6}'), ('\u{d8}', '\u{f6}'), ('\u{f8}', '\u{2c1}'), ('\u{370}', '\u{373}'), ('\u{376}', '\u{377}'), ('\u{37b}', '\u{37d}'), ('\u{386}', '\u{386}'), ('\u{388}', '\u{38a}'), ('\u{38e}', '\u{3a1}'), ('\u{3a3}', '\u{3f5}'), ('\u{3f7}', '\u{481}'), ('\u{48a}', '\u{52f}'), ('\u{531}', '\u{556}'), ('\u{561}', '\u{587}'), ('\u{5d0}', '\u{5ea}'), ('\u{620}', '\u{64a}'), ('\u{660}', '\u{669}'), ('\u{671}', '\u{6d3}'), ('\u{904}', '\u{939}'), ('\u{966}', '\u{96f}'), ('\u{e01}', '\u{e30}'), ('\u{e40}', '\u{e46}'), ('\u{e50}', '\u{e59}'), ('\u{10d0}', '\u{10fa}'), ('\u{1e00}', '\u{1f15}'), ('\u{3041}', '\u{3096}'), ('\u{30a1}', '\u{30fa}'), ('\u{3105}', '\u{312f}'), ('\u{3400}', '\u{4dbf}'), ('\u{4e00}', '\u{9fff}'), ('\u{ac00}', '\u{d7a3}'),
];

/// The same, as the inside of a class of a regular expression.
#[cfg(feature = "schema")]
#[rustfmt::skip]
macro_rules! letters {
    () => {
        concat!(
            r"0-9A-Za-z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02c1\u0370-\u0373",
            r"\u0376-\u0377\u037b-\u037d\u0386\u0388-\u038a\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481",
            r"\u048a-\u052f\u0531-\u0556\u0561-\u0587\u05d0-\u05ea\u0620-\u064a\u0660-\u0669",
            r"\u0671-\u06d3\u0904-\u0939\u0966-\u096f\u0e01-\u0e30\u0e40-\u0e46\u0e50-\u0e59",
            r"\u10d0-\u10fa\u1e00-\u1f15\u3041-\u3096\u30a1-\u30fa\u3105-\u312f\u3400-\u4dbf",
            r"\u4e00-\u9fff\uac00-\ud7a3",
        )
    };
}
#[cfg(feature = "schema")]
pub(crate) use letters;

fn is_letter(c: char) -> bool {
    LETTERS.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

fn has_form(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.chars().count() <= max
        && text.chars().all(|c| is_letter(c) || matches!(c, '.' | '_' | '-'))
}

fn check(
    what: &'static str,
    max: usize,
    text: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<String, TextError> {
    if fits(text) {
        Ok(text.to_owned())
    } else {
        Err(TextError { what, max, given: text.chars().take(80).collect() })
    }
}

/// A place is plain, or a compartment: `<device name>/<compartment>`.
fn is_place(text: &str) -> bool {
    match text.split_once('/') {
        None => has_form(text, MAX_PLACE),
        Some((name, compartment)) => {
            text.chars().count() <= MAX_PLACE && has_form(name, MAX_PLACE) && is_compartment(compartment)
        }
    }
}

/// Names go into paths and arguments of door boards: none may be taken for an option, or for a folder.
fn is_compartment(text: &str) -> bool {
    has_form(text, MAX_COMPARTMENT) && text.starts_with(is_letter)
}

/// What [`has_form`] takes, as a pattern; the length stands beside it.
#[cfg(feature = "schema")]
const PLAIN: &str = concat!("^[", letters!(), "._-]+$");
const MAX_PLACE: usize = 40;
const MAX_COMPARTMENT: usize = 12;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:expr, $what:literal, $fits:expr, $pattern:expr, $description:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        crate::schema::text_schema!(
            $name,
            crate::schema::TextSchema {
                name: stringify!($name),
                description: $description,
                example: $example,
                pattern: $pattern,
                length: (1, Some($max)),
            }
        );

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = TextError;
            fn from_str(text: &str) -> Result<Self, TextError> {
                check($what, $max, text, $fits).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.str(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                d.str()?.parse().map_err(|_| minicbor::decode::Error::message(concat!("not a ", $what)))
            }
        }
    };
}

name!(
    /// A stock keeping unit: one variant of one product.
    Sku, 40, "SKU", |text| has_form(text, 40), PLAIN,
    "A stock keeping unit: one variant of one product.", "TEE-M"
);
name!(
    /// A drop, by the short name that its documents carry.
    DropId, 40, "drop name", |text| has_form(text, 40), PLAIN, "A drop, by its short name.", "neon"
);
name!(
    /// The edition of a numbered lot: a word that is printed with each serial, such as `gold`.
    Edition, 20, "edition", |text| has_form(text, 20), PLAIN,
    "The edition of a numbered lot: a word that is printed with each serial.", "gold"
);
name!(
    /// Who a shopper is, as far as the till needs to know: an order's number, a pseudonym of the stream's. No personal data.
    ShopperRef, 40, "shopper reference", |text| has_form(text, 40), PLAIN,
    "Who a shopper is, as far as the till needs to know: an order's number, a pseudonym of the stream's. No personal data.",
    "order-7"
);
name!(
    /// Where a unit lies: a venue, a stall, or a compartment of a device, written `<device name>/<compartment>`.
    Place, MAX_PLACE, "place", is_place,
    concat!("^[", letters!(), "._-]+(/[", letters!(), "][", letters!(), "._-]{0,11})?$"),
    "Where a unit lies: a venue, a stall, or a compartment of a device, written DEVICE/COMPARTMENT.", "hall-a"
);
name!(
    /// One compartment of a device, such as `07`. Begins with a letter or a digit.
    Compartment, MAX_COMPARTMENT, "compartment", is_compartment,
    concat!("^[", letters!(), "][", letters!(), "._-]*$"),
    "One compartment of a device. Begins with a letter or a digit.", "07"
);

impl Place {
    /// A compartment of the device of this name.
    ///
    /// # Errors
    /// [`TextError`] if the device's name cannot be part of a place, or both together are too long.
    pub fn in_device(name: &str, compartment: &Compartment) -> Result<Self, TextError> {
        format!("{name}/{compartment}").parse()
    }

    /// Which compartment of the device of this name it is, if it is one.
    pub fn compartment_of(&self, name: &str) -> Option<Compartment> {
        let compartment = self.0.strip_prefix(name)?.strip_prefix('/')?;
        compartment.parse().ok()
    }

    /// Whether it is a compartment of some device.
    pub fn is_compartment(&self) -> bool {
        self.0.contains('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compartment_is_a_place_of_its_device_alone() {
        let seven: Compartment = "07".parse().unwrap();
        let place = Place::in_device("L1", &seven).unwrap();
        assert_eq!((place.as_str(), place.is_compartment()), ("L1/07", true));
        assert_eq!(place.compartment_of("L1"), Some(seven.clone()));
        assert_eq!(place.compartment_of("L"), None);
        assert_eq!("hall-a".parse::<Place>().unwrap().compartment_of("hall-a"), None);
        assert!(Place::in_device("Locker 1", &seven).is_err(), "no spaces in places");
        for bad in
            ["/07", "L1/", "L1/07/1", "L1/-rf", "L1/..", "a/b c", "/", &format!("{}/07", "x".repeat(38))]
        {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
        for bad in ["-1", ".", "..", "_a", "a/b", "1234567890123", ""] {
            assert!(bad.parse::<Compartment>().is_err(), "{bad}");
        }
    }
}
