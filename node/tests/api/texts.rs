//! What the description says of each type that is read from a text, and what its parser takes: the same.

use std::str::FromStr;

use popmesh_proto::claim_code::ClaimCode;
use popmesh_proto::document::Document;
use popmesh_proto::id::{ChainId, DeviceId, EventId, Hash, ReceiptHash, Ref};
use popmesh_proto::money::Currency;
use popmesh_proto::payment::is_reference;
use popmesh_proto::pin::Pin;
use popmesh_proto::schema::Text;
use popmesh_proto::text::{Compartment, DropId, Edition, Place, ShopperRef, Sku};
use popmesh_proto::units::{UnitSet, UnitsError};
use proptest::prelude::*;
use proptest::string::string_regex;
use regex::Regex;
use serde_json::Value;

/// What a schema of the description says of a text.
struct Said {
    pattern: Regex,
    length: std::ops::RangeInclusive<usize>,
    /// Texts that the pattern matches.
    texts: BoxedStrategy<String>,
}

impl Said {
    fn of(schema: &Value) -> Self {
        let pattern = schema["pattern"].as_str().expect("a pattern");
        let least = schema["minLength"].as_u64().unwrap_or(0) as usize;
        let most = schema["maxLength"].as_u64().unwrap_or(u64::MAX) as usize;
        // Generated texts are whole ones already.
        let inside = pattern.replace('^', "\u{1}").replace("[\u{1}", "[^").replace(['\u{1}', '$'], "");
        let texts = string_regex(&inside).expect("a pattern that texts can be made from").boxed();
        Self { pattern: Regex::new(pattern).expect("a pattern"), length: least..=most, texts }
    }

    fn takes(&self, text: &str) -> bool {
        self.length.contains(&text.chars().count()) && self.pattern.is_match(text)
    }

    /// Compares with a parser, over texts that fit, texts that nearly fit, and any others.
    fn is_what(&self, name: &str, parses: impl Fn(&str) -> bool) {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let others = prop_oneof![
            6 => (self.texts.clone(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(text, at, other)| {
                let mut letters: Vec<char> = text.chars().collect();
                if !letters.is_empty() {
                    let at = at.index(letters.len());
                    letters[at] = other;
                }
                letters.into_iter().collect::<String>()
            }),
            6 => self.texts.clone(),
            2 => (self.texts.clone(), self.texts.clone()).prop_map(|(one, other)| one + &other),
            1 => ".{0,60}",
            1 => "[ -~]{0,60}",
        ];
        let compared = runner.run(&others, |text| {
            prop_assert_eq!(self.takes(&text), parses(&text), "{}: {:?}", name, text);
            Ok(())
        });
        compared.unwrap_or_else(|error| panic!("{error}"));
    }
}

fn described(name: &str) -> Value {
    let api = popmesh::api::description();
    api["components"]["schemas"][name].clone()
}

fn compare<T: Text + FromStr>() {
    let name = T::TEXT.name;
    let said = Said::of(&described(name));
    assert!(said.takes(T::TEXT.example), "{name}: its own example");
    said.is_what(name, |text| text.parse::<T>().is_ok());
}

#[test]
fn each_text_type_takes_what_its_schema_says_and_nothing_else() {
    compare::<Sku>();
    compare::<DropId>();
    compare::<Edition>();
    compare::<ShopperRef>();
    compare::<Place>();
    compare::<Compartment>();
    compare::<DeviceId>();
    compare::<EventId>();
    compare::<ChainId>();
    compare::<Hash>();
    compare::<ReceiptHash>();
    compare::<Ref>();
    compare::<ClaimCode>();
    compare::<Currency>();
    compare::<Pin>();
    compare::<Document>();
}

#[test]
fn serials_are_what_their_schema_says_but_for_what_no_pattern_can() {
    let said = Said::of(&described("UnitSet"));
    said.is_what("UnitSet", |text| match text.parse::<UnitSet>() {
        Ok(_) => true,
        // Nothing behind that was looked at.
        Err(UnitsError::Backwards { .. } | UnitsError::TooMany) => said.takes(text),
        // A serial beyond 32 bits has the form of one.
        Err(UnitsError::Syntax(_)) => {
            text.split([',', '-'])
                .any(|number| number.trim_matches(' ').parse::<u64>().is_ok_and(|n| n > u32::MAX.into()))
                && said.takes(text)
        }
    });
}

/// The letters of names are told twice, as a table and as a class: character by character they are the same.
#[test]
fn every_character_is_a_letter_of_names_or_is_none() {
    let said = Said::of(&described("Sku"));
    for letter in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
        let text = letter.to_string();
        assert_eq!(said.takes(&text), text.parse::<Sku>().is_ok(), "{letter:?}");
        assert!(letter.is_alphanumeric() || !said.takes(&text) || "._-".contains(letter), "{letter:?}");
    }
}

#[test]
fn a_line_is_what_its_schema_says() {
    let said = Said::of(&described("PaymentNew")["properties"]["reference"]);
    said.is_what("a reference", is_reference);
}
