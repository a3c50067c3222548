//! What the description says beyond what the handlers' types say by themselves: bounds, forms that exclude each other,
//! examples, servers, and every way in which a request can be refused.
//!
//! The handlers' types give a description without these ([`finish`] gets it). Each submodule adds one kind of thing, from
//! tables that use the same constants as the parsers; names in these tables are those of the description.

mod codes;
mod examples;
mod fields;
mod forms;
mod numbers;
mod parameters;
mod refusals;
mod variants;
mod words;

use serde_json::{Map, Value, json};

/// Whether a code is one of the API's own, and no refusal of the device's.
pub(super) fn is_own(code: &str) -> bool {
    codes::OWN.iter().any(|(own, _, _)| *own == code)
}

/// The finished description.
pub(super) fn finish(mut api: Value) -> Value {
    words::clean(&mut api);
    numbers::bound(&mut api);
    parameters::name(&mut api);
    parameters::claims(&mut api);
    variants::lists(&mut api);
    fields::bound(&mut api);
    forms::split(&mut api);
    refusals::document(&mut api);
    refusals::share(&mut api);
    variants::name(&mut api);
    examples::show(&mut api);
    each_object(&mut api, &mut |object| {
        if let Some(Value::Object(bytes)) = object.get_mut("application/octet-stream") {
            bytes.insert("schema".to_owned(), json!({"type": "string", "format": "binary"}));
        }
    });
    api["servers"] = json!([
        {
            "url": "http://127.0.0.1:7401",
            "description": "On the device itself, where `popmesh run` listens unless told otherwise. Needs no token.",
        },
        {
            "url": "https://{host}:{port}",
            "description": "From elsewhere, where `popmesh run --api ADDRESS:PORT` listens. Needs a token; the certificate is the device's own.",
            "variables": {
                "host": {"default": "till-1.local", "description": "An address of the device, or its name with .local"},
                "port": {"default": "7443", "description": "The port"},
            },
        },
    ]);
    api
}

/// The component of this name.
fn schema<'a>(api: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    api.pointer_mut("/components/schemas")?.get_mut(name)?.as_object_mut()
}

/// Every operation with its method and path.
fn operations(api: &mut Value) -> impl Iterator<Item = (String, String, &mut Map<String, Value>)> {
    let paths = api.get_mut("paths").and_then(Value::as_object_mut);
    paths.into_iter().flatten().flat_map(|(path, item)| {
        let operations = item.as_object_mut().into_iter().flatten();
        operations.filter_map(|(method, operation)| {
            Some((method.clone(), path.clone(), operation.as_object_mut()?))
        })
    })
}

/// Shows every object of the description to `change`, the outer ones first.
fn each_object(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            change(object);
            object.values_mut().for_each(|value| each_object(value, change));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| each_object(value, change)),
        _ => {}
    }
}

/// The same schema for what is there: without the alternative that it is `null`.
fn given(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("oneOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [one] = choices.as_slice() {
            *schema = one.clone();
        }
    }
}
