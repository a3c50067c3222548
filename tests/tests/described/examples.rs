//! Each example of a body is taken by a real node, or refused for the state of things alone.

use anyhow::{Context, Result, ensure};
use popmesh_tests::Event;
use serde_json::Value;

use crate::stage::Stage;

/// What a request is refused with that is wrong by itself.
const WRONG: [u16; 4] = [400, 404, 415, 422];
/// Refused for the state of things, although their status says that something is not there.
const STATE: [&str; 3] = ["unknown_incident", "no_door", "unknown_device"];

/// Puts the names of what there is where an example has made-up ones.
fn made_real(value: &mut Value, name: &str, known: &Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| made_real(value, name, known)),
        Value::Array(items) => items.iter_mut().for_each(|value| made_real(value, name, known)),
        Value::String(_)
            if ["claim", "cart", "device", "to", "pickup_at", "entry", "token"].contains(&name) =>
        {
            if let Some(real) = known[name].get(0) {
                *value = real.clone();
            }
        }
        _ => {}
    }
}

#[test]
fn every_example_is_taken_or_refused_for_the_state_of_things() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let stage = Stage::set(&event)?;
    let node = &stage.node;
    let mut known = stage.known.clone();
    // The first claim has been paid back; the second waits, and has a PIN.
    known["claim"] = serde_json::json!([known["claim"][1]]);
    // Before anything is handed out: a token is issued while there is something to hand out.
    let token = |kind: &str, name: &Value| -> Result<Value> {
        let path = format!("/v1/{kind}/{}/token", name.as_str().context("no name")?);
        Ok(serde_json::json!([node.get(&path)?["token"]]))
    };
    let tokens = [token("carts", &known["cart"][0])?, token("claims", &known["claim"][0])?];
    let api = node.get("/v1/openapi.json")?;
    let mut seen = 0;
    for (path, item) in api["paths"].as_object().context("no paths")? {
        for (method, operation) in item.as_object().context("no operations")? {
            let Some(body) = operation.get("requestBody") else { continue };
            let examples = body["content"]["application/json"]["examples"].as_object();
            let examples = examples.with_context(|| format!("{method} {path} has no example"))?;
            ensure!(!examples.is_empty(), "{method} {path} has no example");
            for example in examples.values() {
                let mut body = example["value"].clone();
                known["token"] = if path == "/v1/carts/take" { tokens[0].clone() } else { tokens[1].clone() };
                made_real(&mut body, "", &known);
                let cart = known["cart"][0].as_str().unwrap_or("");
                let place = path.replace("{cart}", cart).replace("{drop}", "neon");
                let answer = node.call(&method.to_uppercase(), &place, Some(&body), None)?;
                let (status, code) = (answer.status, answer.code().to_owned());
                println!("{method} {path} {body}: {status} {code}");
                let listed = operation["responses"][status.to_string()].is_object();
                ensure!(listed, "{method} {path} answers {status}, which is not described");
                ensure!(
                    !WRONG.contains(&status)
                        || STATE.contains(&code.as_str())
                        || is_state(&answer.body, operation),
                    "{method} {path} refuses its own example {body}: {}",
                    answer.body
                );
                seen += 1;
            }
        }
    }
    ensure!(seen >= 40, "{seen} examples");
    Ok(())
}

/// Whether what is wrong with a field is something that no schema can say.
fn is_state(problem: &Value, operation: &Value) -> bool {
    let field = problem["field"].as_str().unwrap_or("");
    let rules = operation["x-not-in-schema"].as_array();
    problem["code"] == "invalid"
        && rules
            .into_iter()
            .flatten()
            .any(|rule| rule["field"].as_str().is_some_and(|of| field.starts_with(of)))
}
