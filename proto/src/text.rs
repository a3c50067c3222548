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

fn has_form(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.chars().count() <= max
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))
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
    has_form(text, MAX_COMPARTMENT) && text.starts_with(char::is_alphanumeric)
}

/// What [`has_form`] takes, as a pattern; the length stands beside it.
const PLAIN: &str = r"^[\p{Alphabetic}\p{N}._-]+$";
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
    r"^[\p{Alphabetic}\p{N}._-]+(/[\p{Alphabetic}\p{N}][\p{Alphabetic}\p{N}._-]{0,11})?$",
    "Where a unit lies: a venue, a stall, or a compartment of a device, written DEVICE/COMPARTMENT.", "hall-a"
);
name!(
    /// One compartment of a device, such as `07`. Begins with a letter or a digit.
    Compartment, MAX_COMPARTMENT, "compartment", is_compartment,
    r"^[\p{Alphabetic}\p{N}][\p{Alphabetic}\p{N}._-]*$",
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
