//! Types of which each value is one of several, told apart by one field: each has a name of its own, which generators give
//! their classes.

use serde_json::{Map, Value, json};

use super::{each_object, schema};

/// The types: their names, the field that tells values apart, and what the names of the parts end with.
const TAGGED: [(&str, &str, &str); 3] =
    [("Refusal", "code", "Refusal"), ("Fact", "event", "Event"), ("Signal", "event", "Signal")];

/// Names each part.
pub(super) fn name(api: &mut Value) {
    for (name, tag, ending) in TAGGED {
        let Some(Value::Array(parts)) = schema(api, name).and_then(|whole| whole.get("oneOf").cloned())
        else {
            continue;
        };
        let mut mapping = Map::new();
        let mut choices = Vec::new();
        for part in parts {
            let mut part = joined(api, part);
            let Some(value) = part["properties"][tag]["enum"][0].as_str().map(str::to_owned) else {
                continue;
            };
            part["properties"][tag] = json!({"type": "string", "const": value});
            let reference = format!("#/components/schemas/{}{ending}", pascal(&value));
            choices.push(json!({"$ref": reference}));
            mapping.insert(value.clone(), json!(reference));
            if let Some(Value::Object(schemas)) = api.pointer_mut("/components/schemas") {
                schemas.insert(format!("{}{ending}", pascal(&value)), part);
            }
        }
        if let Some(whole) = schema(api, name) {
            whole.insert("oneOf".to_owned(), choices.into());
            whole.insert("discriminator".to_owned(), json!({"propertyName": tag, "mapping": mapping}));
        }
    }
    let parts = ["UnitCount", "UnitSerials"];
    let Some(Value::Array(choices)) = schema(api, "Units").and_then(|units| units.get("oneOf").cloned())
    else {
        return;
    };
    if let Some(Value::Object(schemas)) = api.pointer_mut("/components/schemas") {
        schemas.extend(parts.iter().zip(choices).map(|(name, part)| ((*name).to_owned(), part)));
    }
    if let Some(units) = schema(api, "Units") {
        let choices = parts.map(|name| json!({"$ref": format!("#/components/schemas/{name}")}));
        units.insert("oneOf".to_owned(), choices.to_vec().into());
    }
}

/// Names parts of lists as what they are lists of: `List_Claim` is `ClaimList`.
pub(super) fn lists(api: &mut Value) {
    let Some(Value::Object(schemas)) = api.pointer_mut("/components/schemas") else { return };
    let (lists, others): (Map<_, _>, Map<_, _>) =
        std::mem::take(schemas).into_iter().partition(|(name, _)| name.starts_with("List_"));
    *schemas = others;
    for (name, mut list) in lists {
        // What an item is has a name of its own.
        let item = name.trim_start_matches("List_");
        if schemas.contains_key(item) {
            list["properties"]["items"]["items"] = json!({"$ref": format!("#/components/schemas/{item}")});
        }
        schemas.insert(list_name(&name), list);
    }
    each_object(api, &mut |object| {
        if let Some(Value::String(reference)) = object.get_mut("$ref")
            && let Some((before, name)) = reference.rsplit_once('/')
            && name.starts_with("List_")
        {
            *reference = format!("{before}/{}", list_name(name));
        }
    });
}

fn list_name(name: &str) -> String {
    format!("{}List", name.trim_start_matches("List_"))
}

/// A part that is another type with the field beside it, as one object.
fn joined(api: &mut Value, part: Value) -> Value {
    let Some(Value::Array(all)) = part.get("allOf") else { return part };
    let mut whole = json!({"type": "object", "required": [], "properties": {}});
    for one in all {
        let one = match one["$ref"].as_str().and_then(|at| at.rsplit('/').next()) {
            Some(name) => schema(api, name).cloned().unwrap_or_default(),
            None => one.as_object().cloned().unwrap_or_default(),
        };
        if let (Some(to), Some(Value::Object(from))) =
            (whole["properties"].as_object_mut(), one.get("properties"))
        {
            to.extend(from.clone());
        }
        if let (Some(to), Some(Value::Array(from))) = (whole["required"].as_array_mut(), one.get("required"))
        {
            to.extend(from.clone());
        }
    }
    whole["description"] = part["description"].clone();
    whole
}

fn pascal(text: &str) -> String {
    let words = text.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    });
    words.collect()
}
