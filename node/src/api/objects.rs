//! A deserializer that takes objects for structures, and nothing else.
//!
//! Serde's derived code also takes a list, each element for the field in its place: `{"items": [["CAP"]]}` would be a
//! sale. Names are what makes a request readable and a field added later harmless, so lists are refused, at any depth.
//!
//! And where a device is expected, its name will do (see [`super::called`]).

use std::fmt;

use popmesh_proto::id::DeviceId;
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::called::Names;

/// Up to here a float is a whole number exactly: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Whatever it wraps, with every structure below it read from an object, and every device by whatever names it.
pub(super) struct Objects<'n, T>(pub(super) T, pub(super) &'n Names);

macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* Objects(visitor, self.1))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_any() deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64()
        deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str() deserialize_string()
        deserialize_bytes() deserialize_byte_buf() deserialize_option() deserialize_unit() deserialize_seq()
        deserialize_map() deserialize_identifier() deserialize_ignored_any()
        deserialize_unit_struct(name: &'static str)
        deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize)
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name != DeviceId::NEWTYPE {
            return self.0.deserialize_newtype_struct(name, Objects(visitor, self.1));
        }
        let text = String::deserialize(self.0)?;
        let device = self.1.find(&text).map_err(D::Error::custom)?;
        visitor.visit_newtype_struct(device.to_string().into_deserializer())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, NoList(Objects(visitor, self.1)))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident($type:ty))*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Objects<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    visit! {
        visit_bool(bool) visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128) visit_u8(u8)
        visit_u16(u16) visit_u32(u32) visit_u128(u128) visit_f32(f32) visit_char(char)
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String) visit_bytes(&[u8])
        visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<V::Value, E> {
        // Few languages have more, and the description says no more.
        if i64::try_from(value).is_err() {
            return Err(E::custom("too large a number"));
        }
        self.0.visit_u64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        // To JSON 1.0 and 1e0 are the number 1.
        if value.fract() != 0.0 || value.abs() > EXACT {
            return self.0.visit_f64(value);
        }
        match value as i64 {
            whole @ 0.. => self.0.visit_u64(whole.unsigned_abs()),
            whole => self.0.visit_i64(whole),
        }
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Objects(inner, self.1))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Objects(inner, self.1))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Objects(list, self.1))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(object, self.1))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, choice: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Objects(choice, self.1))
    }
}

/// The visitor of a structure's fields.
struct NoList<'n, V>(Objects<'n, V>);

impl<'de, V: Visitor<'de>> Visitor<'de> for NoList<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("send an object with named fields, not a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(object)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Objects(inner, self.1))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Objects(seed, self.1))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Objects(seed, self.1))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Objects(seed, self.1))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, 'n, A: EnumAccess<'de>> EnumAccess<'de> for Objects<'n, A> {
    type Error = A::Error;
    type Variant = Objects<'n, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.0.variant_seed(Objects(seed, self.1))?;
        Ok((value, Objects(variant, self.1)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Objects<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Objects(seed, self.1))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(length, Objects(visitor, self.1))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, NoList(Objects(visitor, self.1)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    enum Choice {
        Unit,
        New(Inner),
        Two(u8, Inner),
        Named { inner: Inner },
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    struct Inner {
        value: i64,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Outer {
        list: Vec<Inner>,
        option: Option<Inner>,
        map: BTreeMap<String, Inner>,
        tuple: Option<(u8, String)>,
        choices: Vec<Choice>,
    }

    fn read(text: &str) -> Result<Outer, String> {
        let mut json = serde_json::Deserializer::from_str(text);
        let names = Names::default();
        Outer::deserialize(Objects(&mut json, &names)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_with_names_is_read_as_ever() {
        let text = r#"{
            "list": [{"value": 1}], "option": {"value": -2}, "map": {"a": {"value": 3}}, "tuple": [4, "four"],
            "choices": ["Unit", {"New": {"value": 5}}, {"Two": [6, {"value": 6}]}, {"Named": {"inner": {"value": 7}}}]
        }"#;
        assert_eq!(read(text).unwrap(), serde_json::from_str(text).unwrap());
    }

    #[test]
    fn whole_numbers_are_whole_however_they_are_written_and_fit_63_bits() {
        for (text, value) in
            [("1.0", 1), ("-2.0", -2), ("3e2", 300), ("9223372036854775807", i64::MAX), ("-0.0", 0)]
        {
            let outer = read(&format!(r#"{{"list": [{{"value": {text}}}]}}"#)).unwrap();
            assert_eq!(outer.list, [Inner { value }], "{text}");
        }
        for text in ["1.5", "1e300", "9223372036854775808", "18446744073709551615", "-1e19"] {
            assert!(read(&format!(r#"{{"list": [{{"value": {text}}}]}}"#)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_for_an_object_is_refused_wherever_it_stands() {
        for text in [
            r"[[]]",
            r#"{"list": [[1]]}"#,
            r#"{"option": [1]}"#,
            r#"{"map": {"a": [1]}}"#,
            r#"{"choices": [{"New": [1]}]}"#,
            r#"{"choices": [{"Two": [1, [1]]}]}"#,
            r#"{"choices": [{"Named": [{"value": 1}]}]}"#,
            r#"{"choices": [{"Named": {"inner": [1]}}]}"#,
        ] {
            serde_json::from_str::<Outer>(text).expect("derived code takes it");
            let error = read(text).unwrap_err();
            assert!(error.starts_with("send an object with named fields, not a list"), "{text}: {error}");
        }
    }
}
