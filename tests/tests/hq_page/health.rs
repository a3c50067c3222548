//! What is wrong, in words: one list for `doctor` and for pages.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, put_on_sale};
use popmesh_tests::{Api, Event};
use serde_json::{Value, json};

use super::{DEADLINE, pair};

fn found(node: &Api<'_>, code: &str) -> Result<Option<Value>> {
    let list = node.get("/v1/health/list")?;
    Ok(list["items"].as_array().into_iter().flatten().find(|item| item["code"] == code).cloned())
}

fn wait_for(node: &Api<'_>, code: &str) -> Result<Value> {
    node.wait_until(code, DEADLINE, |node| found(node, code))
}

fn codes(items: &Value) -> BTreeSet<String> {
    items
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["code"].as_str())
        .map(str::to_owned)
        .collect()
}

#[test]
fn doctor_and_the_page_say_the_same_and_what_to_do_next() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let [hq, till] = pair(&event)?;
    put_on_sale(&hq, "CAP", 20)?;
    agree(&[&hq, &till])?;
    till.wait_until("a share", DEADLINE, |till| {
        Ok(till.stock("CAP").ok().filter(|stock| stock["own"]["available"].as_u64() > Some(0)))
    })?;

    let list = hq.get("/v1/health/list?fresh=true")?;
    let doctor = event.popmesh(&["--data", "hq", "doctor"])?;
    assert_eq!(codes(&list["items"]), codes(&doctor), "{list}\n{doctor}");
    for code in
        ["clock_ok", "folder_ok", "key_ok", "certificate_ok", "node_ok", "books_ok", "past_ok", "reach_ok"]
    {
        ensure!(codes(&list["items"]).contains(code), "{code} is not in {list}");
    }
    let books = found(&hq, "books_ok")?.context("no word of the books")?;
    assert_eq!(books["params"]["minted"], 20, "{books}");

    // Links that are off, and a door that is jammed.
    hq.set_links(false)?;
    let jam = json!({"compartment": "07", "jammed": true});
    hq.call("PUT", "/v1/doors/jam", Some(&jam), None)?.ok()?;
    assert_eq!(wait_for(&hq, "doors_jammed")?["params"]["compartments"], json!(["07"]));
    wait_for(&hq, "links_off")?;
    hq.set_links(true)?;
    hq.wait_until("links again", DEADLINE, |hq| {
        Ok((hq.get("/v1/status")?["reachable"] == 2 && found(hq, "links_off")?.is_none()).then_some(()))
    })?;

    // A till that is gone, with what it holds, since when.
    let stock = till.stock("CAP")?["own"]["available"].clone();
    let device = till.device()?;
    till.stop()?;
    let gone = wait_for(&hq, "unreachable")?;
    assert_eq!((&gone["device"], &gone["params"]["name"]), (&json!(device), &json!("till")), "{gone}");
    ensure!(gone["params"]["units"].as_u64() >= stock.as_u64(), "{gone}, and it had {stock}");
    ensure!(gone["since_ms"].is_u64(), "{gone}");
    let list = hq.get("/v1/health/list")?;
    let severities: Vec<&str> =
        list["items"].as_array().into_iter().flatten().filter_map(|item| item["severity"].as_str()).collect();
    let rank = |severity: &&&str| ["act", "look", "ok"].iter().position(|of| of == *severity);
    ensure!(
        severities.iter().map(|severity| rank(&severity)).is_sorted(),
        "not the worst first: {severities:?}"
    );
    assert_eq!(list["worst"], "look", "{list}");
    for item in list["items"].as_array().into_iter().flatten() {
        assert_eq!(item["next"].is_string(), item["severity"] != "ok", "{item}");
    }
    let output = event.run(&["--data", "hq", "doctor"])?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{said}");
    ensure!(said.contains("warn  reach        till is out of reach (last heard 20"), "{said}");
    Ok(())
}
