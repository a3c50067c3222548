//! The hq's page: a device is let in, an incident is settled, the picture of the mesh shows who is gone.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use popmesh_tests::browser::{ENTER, Settings, watched};
use popmesh_tests::{Api, Child, Node, Options};
use serde_json::{Value, json};

use crate::shop::{CAP, DEADLINE, DROP, TILLS, open};
use crate::texts::Texts;

#[test]
fn a_device_is_let_in_by_the_code_that_it_shows() -> Result<()> {
    let stage = open(&TILLS, 12, 12)?;
    let texts = Texts::load("en")?;
    let mut command = Command::new(stage.event().program());
    command
        .args([
            "--json",
            "--data",
            "newcomer",
            "join",
            "--name",
            "newcomer",
            "--listen",
            "127.0.0.1:0",
            "--no-mdns",
        ])
        .current_dir(stage.event().path())
        .env_remove("POPMESH_DATA");
    let mut newcomer = Child::start("newcomer", &mut command)?;
    let said = newcomer.wait_for_output("\"attempt\":1", DEADLINE)?;
    let shown: Value = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find(|line: &Value| line["attempt"] == 1)
        .context("no code")?;
    let code = shown["code"].as_str().context("no code")?;
    let at: SocketAddr = shown["addresses"][0].as_str().context("no address")?.parse()?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("hq", "hq/devices")?)?;
        let open = texts.say("hq.admit.open", &[])?;
        page.button(&open).tap()?;
        page.field(&texts.say("hq.admit.code", &[])?).fills(code)?;
        page.find("disclosuretriangle", &texts.say("hq.admit.more", &[])?).tap()?;
        page.field(&texts.say("hq.admit.at", &[])?).fills(&at.to_string())?;
        page.button(&texts.say("hq.admit.yes_code", &[])?).tap()?;
        page.wait_for("newcomer is in")?;
        page.button(&texts.say("frame.close", &[])?).tap()
    })?;
    ensure!(newcomer.wait(DEADLINE)?.success(), "{}", newcomer.output()?);
    let node = Node::start(stage.event(), "newcomer", Options { quiet: true, ..Options::loopback(&[]) })?;
    assert_eq!(node.get("/v1/status")?["device"]["name"], "newcomer");
    Ok(())
}

#[test]
fn an_incident_is_settled_with_what_was_done() -> Result<()> {
    let stage = open(&TILLS, 12, 12)?;
    let texts = Texts::load("en")?;
    let till = stage.device("till-1")?;
    // A card terminal that was offline, and a card that was not good.
    let sale = json!({
        "drop": DROP, "items": [{"sku": CAP.0}],
        "payments": [{"tender": "card", "amount": CAP.2, "deferred": true, "reference": "SLIP-13"}],
    });
    till.done("/v1/sales", &sale)?;
    let failed = texts.say("till.failed", &[])?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("till-1", "")?)?;
        page.button(&texts.say("till.takings", &[])?).tap()?;
        page.wait_for(&texts.say("till.waiting", &[])?)?;
        page.button(&failed).tap()?;
        page.wait_for(&texts.say("till.failed_title", &[])?)?;
        page.button(&texts.say("till.failed_yes", &[])?).tap()?;
        let hq = stage.device("hq")?;
        hq.wait_until("the incident", DEADLINE, |hq| {
            Ok((hq.list("/v1/incidents")?.len() == 1).then_some(()))
        })?;

        let page = browser.open_another(&stage.page("hq", "hq/incidents")?)?;
        page.wait_for(&texts.say("hq.incident.payment.name", &[])?)?;
        page.button(&texts.say("hq.incident.resolve", &[])?).tap()?;
        page.field(&texts.say("hq.incident.note", &[])?).fills("Paid in cash at the till")?;
        page.button(&texts.say("hq.incident.yes", &[])?).tap()?;
        page.wait_for(&texts.say("hq.incident.all_settled", &[])?)?;
        page.wait_for("Paid in cash at the till").map(drop)
    })?;
    for device in stage.devices() {
        device.wait_until("the resolution", DEADLINE, |device| {
            let incidents = device.list("/v1/incidents")?;
            Ok((incidents.len() == 1 && incidents[0]["resolved"] == "Paid in cash at the till").then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn the_picture_of_the_mesh_shows_who_is_gone_and_who_is_back() -> Result<()> {
    let mut stage = open(&TILLS, 12, 12)?;
    let texts = Texts::load("en")?;
    let all = texts.say("hq.mesh.count", &[("count", "3")])?;
    let fine = texts.say("hq.mesh.all_in_reach", &[("all", &all)])?;
    let gone = texts.say("hq.mesh.some_far", &[("all", &all), ("count", "1"), ("names", "till-2")])?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("hq", "hq")?)?;
        page.wait_for(&fine)?;
        stage.node("till-2")?.kill()?;
        page.wait_for(&gone)?;
        stage.node("till-2")?.restart()?;
        page.wait_for(&fine).map(drop)
    })
}

#[test]
fn a_device_that_is_lost_is_retired_once_its_name_is_typed() -> Result<()> {
    let mut stage = open(&TILLS, 12, 12)?;
    let texts = Texts::load("en")?;
    stage.node("till-2")?.kill()?;
    let hq = stage.device("hq")?;
    hq.wait_until("the till to be out of reach", DEADLINE, |hq| {
        Ok((hq.get("/v1/status")?["reachable"] == 2).then_some(()))
    })?;
    let retired = |hq: &Api<'_>| -> Result<bool> {
        Ok(hq.list("/v1/devices")?.iter().any(|one| one["name"] == "till-2" && !one["retired_by"].is_null()))
    };
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("hq", "hq/devices")?)?;
        let yes = texts.say("hq.retire.yes", &[("name", "till-2")])?;
        page.button("till-2").tap()?;
        page.button(&texts.say("hq.retire.open", &[])?).tap()?;
        let field = page.field(&texts.say("hq.retire.type", &[("name", "till-2")])?);
        // Another name retires nobody.
        field.fills("till-1")?;
        page.button(&yes).seen_when(|seen| !seen.enabled)?;
        page.keys(&ENTER.to_string())?;
        ensure!(!retired(hq)?, "by another name");
        field.fills("till-2")?;
        page.button(&yes).tap()?;
        let done = texts.say("hq.retire.done", &[("name", "till-2"), ("number", "")])?;
        page.wait_for(done.split(';').next().unwrap_or_default()).map(drop)
    })?;
    ensure!(retired(hq)?, "it says so, and has not done it");
    Ok(())
}
