//! The picture of the mesh.

use anyhow::{Context, Result, ensure};
use popmesh_tests::Event;
use popmesh_tests::books::{agree, put_on_sale};
use serde_json::{Value, json};

use super::{DEADLINE, pair};

fn node<'v>(picture: &'v Value, device: &str) -> Result<&'v Value> {
    let mut nodes = picture["nodes"].as_array().into_iter().flatten();
    nodes.find(|node| node["device"] == device).with_context(|| format!("no {device} in {picture}"))
}

#[test]
fn two_see_each_other_with_link_age_lag_and_version_and_a_cut_takes_the_edge_away() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let [hq, till] = pair(&event)?;
    put_on_sale(&hq, "CAP", 20)?;
    agree(&[&hq, &till])?;
    let said = String::from_utf8(event.run(&["--version"])?.stdout)?;
    let version = said.trim().rsplit(' ').next().context("no version")?.to_owned();
    let (own, other) = (hq.device()?, till.device()?);
    let picture = hq.wait_until("a whole picture", DEADLINE, |hq| {
        let picture = hq.get("/v1/mesh")?;
        let till = node(&picture, &other)?;
        let edge = &picture["edges"][0];
        let is_whole = till["program"].is_string() && till["lacks"] == 0 && edge["rtt_ms"].is_number();
        Ok((is_whole && till["told_at_ms"].is_u64()).then_some(picture))
    })?;
    for device in [&own, &other] {
        assert_eq!(node(&picture, device)?["program"], json!(version));
    }
    assert_eq!(
        (&node(&picture, &own)?["here"], &node(&picture, &other)?["here"]),
        (&json!(true), &json!(false))
    );
    let edge = &picture["edges"][0];
    assert_eq!(picture["edges"].as_array().map(Vec::len), Some(1), "{picture}");
    assert_eq!((&edge["a"], &edge["b"]), (&json!((&own).min(&other)), &json!((&own).max(&other))));
    assert_eq!(edge["medium"], "network");
    ensure!(["tcp", "quic"].contains(&edge["transport"].as_str().unwrap_or("")), "{edge}");
    ensure!(edge["since_ms"].is_u64() && edge["as_of_ms"] == picture["as_of_ms"], "{edge}");

    hq.set_links(false)?;
    let picture = hq.wait_until("no edge", DEADLINE, |hq| {
        let picture = hq.get("/v1/mesh")?;
        Ok((picture["edges"] == json!([])).then_some(picture))
    })?;
    assert_eq!(picture["links_on"], false);
    // What is not known is not said.
    ensure!(node(&picture, &other)?.get("lacks").is_none(), "{picture}");
    Ok(())
}
