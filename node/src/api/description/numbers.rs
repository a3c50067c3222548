//! Whole numbers: what fits their types, said in formats that generators of clients know.

use serde_json::{Map, Value, json};

use super::each_object;

/// Gives each whole number its least and its greatest value where its type alone bounds it.
///
/// `int32` and `int64` are the formats that every generator knows, so an unsigned number of 32 bits is an `int64` of at most
/// 4,294,967,295. No number of a request is beyond 63 bits; `Objects` refuses it.
pub(super) fn bound(api: &mut Value) {
    each_object(api, &mut |object: &mut Map<String, Value>| {
        let Some(format) = object.get("format").and_then(Value::as_str) else { return };
        // utoipa writes `uint64` with a dash.
        let (format, maximum) = match format.replace("u-int", "uint").as_str() {
            "uint8" => ("int32", Some(u64::from(u8::MAX))),
            "uint16" => ("int32", Some(u64::from(u16::MAX))),
            "uint32" => ("int64", Some(u64::from(u32::MAX))),
            "uint64" => ("int64", None),
            "int8" | "int16" => ("int32", None),
            _ => return,
        };
        object.insert("format".to_owned(), json!(format));
        if object.get("minimum").and_then(Value::as_f64) == Some(0.0) {
            object.insert("minimum".to_owned(), json!(0));
        }
        if let (Some(maximum), None) = (maximum, object.get("maximum")) {
            object.insert("maximum".to_owned(), json!(maximum));
        }
    });
}
