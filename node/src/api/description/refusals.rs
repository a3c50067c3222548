//! Each way in which a request can be refused, by operation: its status, its codes in words, and the headers that come with it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::codes::{ALL, INEXPRESSIBLE, OPERATIONS, OWN, REFUSALS, WITH_BODY, WRITES};
use super::operations;
use crate::api::PROBLEM_JSON;

/// Documents the problems of every operation, and the headers of what succeeds.
pub(super) fn document(api: &mut Value) {
    let words = words_of_refusals(api);
    api["components"]["headers"] = headers();
    for (method, _, operation) in operations(api) {
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
        let writes = method == "post";
        let codes = codes(&id, writes, method != "get");
        let responses = operation.entry("responses").or_insert_with(|| json!({}));
        let Some(responses) = responses.as_object_mut() else { continue };
        responses.retain(|status, _| !status.starts_with(['4', '5']));
        for (status, response) in responses.iter_mut() {
            let mut headers = vec!["Popmesh-Device"];
            if status == "201" {
                headers.push("Location");
            }
            if writes {
                headers.push("Idempotency-Replayed");
            }
            add_headers(response, headers);
        }
        for (status, codes) in codes {
            responses.insert(status.to_string(), problem(&id, status, &codes, &words));
        }
        let rules: Vec<Value> = rules(&id).map(|(field, why)| json!({"field": field, "why": why})).collect();
        if !rules.is_empty() {
            operation.insert("x-not-in-schema".to_owned(), rules.into());
        }
    }
}

/// Has responses that several operations have alike stand in the components, once.
pub(super) fn share(api: &mut Value) {
    let mut uses: BTreeMap<String, u32> = BTreeMap::new();
    for (_, _, operation) in operations(api) {
        for response in
            operation.get("responses").and_then(Value::as_object).into_iter().flat_map(|all| all.values())
        {
            *uses.entry(response.to_string()).or_default() += 1;
        }
    }
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut shared = serde_json::Map::new();
    for (_, _, operation) in operations(api) {
        for (status, response) in
            operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten()
        {
            let text = response.to_string();
            if status.starts_with('2') || uses.get(&text).is_none_or(|uses| *uses < 2) {
                continue;
            }
            let number = names.values().filter(|name| name.starts_with(&format!("Problem{status}"))).count();
            let letter = char::from(b'A' + u8::try_from(number).unwrap_or(25).min(25));
            let name = names.entry(text).or_insert_with(|| format!("Problem{status}{letter}")).clone();
            let whole =
                std::mem::replace(response, json!({"$ref": format!("#/components/responses/{name}")}));
            shared.insert(name, whole);
        }
    }
    api["components"]["responses"] = shared.into();
}

fn words_of_refusals(api: &Value) -> BTreeMap<String, String> {
    let each = api.pointer("/components/schemas/Refusal/oneOf").and_then(Value::as_array);
    let words = each.into_iter().flatten().filter_map(|refusal| {
        // What only carries another type has its code in the second part.
        let code = ["/properties/code/enum/0", "/allOf/1/properties/code/enum/0"];
        let code = code.iter().find_map(|at| refusal.pointer(at)?.as_str())?;
        Some((code.to_owned(), refusal["description"].as_str()?.to_owned()))
    });
    words.chain(OWN.iter().map(|(code, _, words)| ((*code).to_owned(), (*words).to_owned()))).collect()
}

/// The codes of an operation, by status.
fn codes(id: &str, writes: bool, with_body: bool) -> BTreeMap<u16, Vec<&'static str>> {
    let own = OPERATIONS.iter().find(|(of, _)| *of == id).map_or(&[][..], |(_, codes)| codes);
    let written = if writes { WRITES } else { &[] };
    let read = if with_body { WITH_BODY } else { &[] };
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in [own, written, read, ALL].concat() {
        // The one code that has another status in one place: what is kept under the key forbids it.
        let status = match code {
            "key_reused" | "key_of_another" if id == "people_create" => Some(409),
            code => status_of(code),
        };
        let of_status = by_status.entry(status.unwrap_or(500)).or_default();
        if !of_status.contains(&code) {
            of_status.push(code);
        }
    }
    by_status
}

/// The status that a code comes with.
pub(super) fn status_of(code: &str) -> Option<u16> {
    let own = OWN.iter().find(|(of, _, _)| *of == code).map(|(_, status, _)| *status);
    own.or_else(|| REFUSALS.iter().find(|(_, codes)| codes.contains(&code)).map(|(status, _)| *status))
}

fn rules(id: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let of: Vec<_> =
        INEXPRESSIBLE.iter().filter(|(of, _, _)| *of == id).map(|(_, field, why)| (*field, *why)).collect();
    of.into_iter()
}

fn problem(id: &str, status: u16, codes: &[&str], words: &BTreeMap<String, String>) -> Value {
    let mut text = title(status).to_owned();
    for code in codes {
        text.push_str(&format!("\n- `{code}`"));
        if let Some(words) = words.get(*code) {
            text.push_str(&format!(": {words}"));
        }
    }
    if status == 422 && rules(id).next().is_some() {
        text.push_str("\n\n`invalid` names the field. What a schema cannot say:");
        for (field, why) in rules(id) {
            text.push_str(&format!("\n- `{field}`: {why}"));
        }
    }
    let mut response = json!({
        "description": text,
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        "x-codes": codes,
    });
    let mut headers = vec!["Popmesh-Device"];
    match status {
        401 => headers.push("WWW-Authenticate"),
        403 | 408 | 409 | 429 | 503 | 504 => headers.push("Retry-After"),
        _ => {}
    }
    add_headers(&mut response, headers);
    response
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be read.",
        401 => "There is no good token.",
        403 => "This caller, or this device, may not.",
        404 => "There is no such thing, as far as this device knows.",
        406 => "There is no such form of the answer.",
        410 => "What was asked for is kept no more.",
        408 => "The body took too long.",
        409 => "The state of things forbids it.",
        413 => "The body is too large.",
        415 => "The body is of another type.",
        421 => "Another device was meant.",
        422 => "The request cannot be.",
        429 => "Too much.",
        500 => "Something is wrong with this node.",
        503 => "Not now.",
        _ => "It took too long.",
    }
}

fn add_headers(response: &mut Value, headers: Vec<&str>) {
    let Some(response) = response.as_object_mut() else { return };
    let all = response.entry("headers").or_insert_with(|| json!({}));
    if let Some(all) = all.as_object_mut() {
        let reference = |name: &str| json!({"$ref": format!("#/components/headers/{name}")});
        all.extend(headers.into_iter().map(|name| (name.to_owned(), reference(name))));
    }
}

fn headers() -> Value {
    json!({
        "Popmesh-Device": {
            "description": "The device that answers.",
            "required": true,
            "schema": {"$ref": "#/components/schemas/DeviceId"},
        },
        "Idempotency-Replayed": {
            "description": "`true` if this was done before, under the same key, and is not done again; absent otherwise.",
            "schema": {"type": "string", "enum": ["true"]},
        },
        "Location": {
            "description": "Where what was made can be looked up.",
            "required": true,
            "schema": {"type": "string", "format": "uri-reference"},
        },
        "WWW-Authenticate": {"description": "`Bearer`: send a token.", "schema": {"type": "string"}},
        "Retry-After": {
            "description": "In how many seconds to try again, if that can help.",
            "schema": {"type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX},
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_and_every_code_is_in_the_tables() {
        let mut api = crate::api::description();
        let mapping = api.pointer("/components/schemas/Refusal/discriminator/mapping").unwrap();
        let own = OWN.iter().map(|(code, _, _)| (*code).to_owned());
        let refusals: BTreeSet<String> = mapping.as_object().unwrap().keys().cloned().chain(own).collect();
        let listed: BTreeSet<String> = REFUSALS
            .iter()
            .flat_map(|(_, codes)| codes.iter())
            .chain(OWN.iter().map(|(code, _, _)| code))
            .map(|code| (*code).to_owned())
            .collect();
        assert_eq!(refusals, listed);
        let told: BTreeSet<&str> = OPERATIONS
            .iter()
            .flat_map(|(_, codes)| *codes)
            .chain(ALL)
            .chain(WRITES)
            .chain(WITH_BODY)
            .copied()
            .collect();
        let told: BTreeSet<String> = told.into_iter().map(str::to_owned).collect();
        assert_eq!(told, listed, "each code comes from some operation");
        let described: BTreeSet<String> = operations(&mut api)
            .filter_map(|(_, _, operation)| Some(operation.get("operationId")?.as_str()?.to_owned()))
            .collect();
        let known: BTreeSet<String> = OPERATIONS.iter().map(|(id, _)| (*id).to_owned()).collect();
        assert_eq!(described, known);
        for (id, _, _) in INEXPRESSIBLE {
            assert!(known.contains(*id), "{id}");
        }
    }
}
