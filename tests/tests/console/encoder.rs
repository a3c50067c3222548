//! The encoder runs a drop by its page, with no hq there; a till that was cut off sells on, and its sales are listed as after
//! the close.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::Stage;
use popmesh_tests::books::agree;
use popmesh_tests::browser::{Settings, watched};
use popmesh_tests::stage::Cast;
use serde_json::json;

use crate::shop::{CAP, DEADLINE, DROP, free, has_some};
use crate::texts::Texts;

const CAST: [Cast<'static>; 4] =
    [("hq", "hq,registrar"), ("till-1", "pos"), ("till-2", "pos"), ("encoder", "encoder")];
const TITLE: &str = "Neon night";

/// A drop that is planned, and no more.
fn planned() -> Result<Stage> {
    planned_for(&CAST)
}

fn planned_for(cast: &[Cast<'_>]) -> Result<Stage> {
    let stage = Stage::open("Neon Nights", cast)?;
    let hq = stage.device("hq")?;
    hq.done("/v1/products", &json!({"sku": CAP.0, "name": CAP.1, "price": CAP.2}))?;
    hq.done("/v1/drops", &json!({"drop": DROP, "title": TITLE}))?;
    hq.done("/v1/lots", &json!({"drop": DROP, "sku": CAP.0, "first": 1, "last": 24}))?;
    agree(&stage.devices())?;
    // To another place nothing goes by itself.
    for (till, _) in cast.iter().filter(|(name, roles)| *roles == "pos" && !name.contains('@')) {
        has_some(&stage, till, CAP.0)?;
    }
    Ok(stage)
}

#[test]
fn an_encoder_runs_the_drop_while_the_hq_is_off() -> Result<()> {
    let mut stage = planned()?;
    let texts = Texts::load("en")?;
    stage.node("hq")?.kill()?;
    let state = |name: &str| texts.say(&format!("encoder.states.{name}"), &[]);
    let wait = Duration::from_secs(2);
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("encoder", "")?)?;
        let button = |name: &str| -> Result<()> { page.button(&texts.say(name, &[])?).tap() };
        page.wait_for(&state("planned")?)?;
        button("encoder.steps.announce")?;
        page.wait_for(&texts.say("encoder.announce_title", &[("drop", TITLE)])?)?;
        button("encoder.steps.announce")?;
        page.wait_for(&state("announced")?)?;
        button("encoder.steps.open")?;
        page.wait_for(&texts.say("encoder.open_title", &[("drop", TITLE)])?)?;
        button("encoder.steps.open")?;
        page.wait_for(&state("open")?)?;
        for till in ["till-1", "till-2"] {
            stage.device(till)?.wait_until("the drop to open", DEADLINE, |till| {
                Ok((till.sell(CAP.0, wait, None)?.status == 201).then_some(()))
            })?;
        }
        page.wait_for("of 24 claimed")?;
        button("encoder.steps.last_call")?;
        page.wait_for(&state("last_call")?)?;
        // One till is out of reach from here on.
        stage.device("till-2")?.set_links(false)?;
        // It asks, and says what will happen; leaving it does nothing.
        button("encoder.close_now")?;
        page.wait_for(&texts.say("encoder.close_points.carts", &[])?)?;
        button("frame.cancel")?;
        page.wait_for(&state("last_call")?)?;
        button("encoder.close_now")?;
        page.wait_for(&texts.say("encoder.close_points.carts", &[])?)?;
        button("encoder.close_now")?;
        page.wait_for(&state("closed")?)?;
        page.wait_for(&texts.say("encoder.did.close", &[])?)?;
        let closed = stage.device("till-1")?.wait_until("the till to stop", DEADLINE, |till| {
            let answer = till.sell(CAP.0, Duration::ZERO, None)?;
            Ok((answer.status != 201).then_some(answer))
        })?;
        assert_eq!(closed.code(), "drop_not_open", "{}", closed.body);
        // Who was cut off has done nothing wrong.
        let late = stage.device("till-2")?.sell(CAP.0, Duration::ZERO, None)?.ok()?;
        stage.device("till-2")?.set_links(true)?;
        page.wait_for(&texts.say("encoder.late", &[])?)?;
        page.wait_for(late["code"].as_str().context("no code")?)?;
        Ok(())
    })?;
    stage.node("hq")?.restart()?;
    agree(&stage.devices())?;
    for device in stage.devices() {
        let late = device.list(&format!("/v1/drops/{DROP}/late"))?;
        assert_eq!(late.len(), 1, "{}: {late:?}", device.name);
        let steps = device.list(&format!("/v1/drops/{DROP}/steps"))?;
        let kinds: Vec<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
        for kind in ["announce", "open", "last_call", "close"] {
            ensure!(kinds.iter().filter(|one| **one == kind).count() == 1, "{}: {kinds:?}", device.name);
        }
    }
    ensure!(free(stage.device("hq")?, CAP.0)? > 0, "nothing came back to the hq");
    Ok(())
}

#[test]
fn a_hard_end_that_runs_out_closes_the_drop_by_itself() -> Result<()> {
    let stage = planned()?;
    let texts = Texts::load("en")?;
    let encoder = stage.device("encoder")?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("encoder", "")?)?;
        page.wait_for(&texts.say("encoder.states.planned", &[])?)?;
        let now = encoder.get(&format!("/v1/drops/{DROP}/board"))?["now_ms"].as_u64().context("no time")?;
        let steps = format!("/v1/drops/{DROP}/steps");
        let ends = now + 20_000;
        encoder.done(&steps, &json!({"step": "announce", "units": {CAP.0: 24}, "ends_ms": ends}))?;
        encoder.done(&steps, &json!({"step": "open"}))?;
        page.wait_for(&texts.say("encoder.states.open", &[])?)?;
        page.wait_for(&texts.say("encoder.hard_end_at", &[("time", "")])?)?;
        // No device is told anything from here on.
        for device in stage.devices() {
            device.set_links(false)?;
        }
        page.wait_for(&texts.say("encoder.ended_itself", &[("time", "")])?.replace('.', ""))?;
        page.wait_for(&texts.say("encoder.states.closed", &[])?)?;
        let till = browser.open_another(&stage.page("till-1", "")?)?;
        till.wait_for(&texts.say("till.shut.closed", &[])?).map(drop)
    })?;
    let refused = stage.device("till-1")?.sell(CAP.0, Duration::ZERO, None)?;
    assert_eq!(refused.code(), "drop_not_open", "{}", refused.body);
    Ok(())
}

#[test]
fn a_drop_is_closed_at_one_venue_and_goes_on_at_the_other() -> Result<()> {
    let cast = [("hq", "hq,registrar"), ("till-1", "pos"), ("till-2@hall-b", "pos"), ("encoder", "encoder")];
    let stage = planned_for(&cast)?;
    let texts = Texts::load("en")?;
    let open = json!({"step": "open"});
    stage.device("encoder")?.done(&format!("/v1/drops/{DROP}/steps"), &open)?;
    agree(&stage.devices())?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("encoder", "")?)?;
        let button = |name: &str| -> Result<()> { page.button(&texts.say(name, &[])?).tap() };
        page.wait_for(&texts.say("encoder.states.open", &[])?)?;
        page.field(&texts.say("encoder.where", &[])?).chooses("hall-b")?;
        button("encoder.close_now")?;
        let there = texts.say("encoder.at_venue", &[("venue", "hall-b")])?;
        page.wait_for(&texts.say("encoder.close_title", &[("drop", TITLE), ("where", &there)])?)?;
        button("encoder.close_now")?;
        let closed = texts.say("encoder.states.closed", &[])?;
        page.wait_for(&texts.say("encoder.differs", &[("venue", "hall-b"), ("state", &closed)])?).map(drop)
    })?;
    agree(&stage.devices())?;
    let refused = stage.device("till-2")?.sell(CAP.0, Duration::ZERO, None)?;
    assert_eq!(refused.code(), "drop_not_open", "{}", refused.body);
    stage.device("till-1")?.sell(CAP.0, Duration::ZERO, None)?.ok()?;
    Ok(())
}
