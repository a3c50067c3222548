//! The plug is pulled in the middle of a sale, and the node comes back: the sale is done once, and the page says so.

use anyhow::{Result, ensure};
use popmesh_tests::Page;
use popmesh_tests::books::check;
use popmesh_tests::browser::{Browser, Settings, watched};
use serde_json::json;

use crate::sale::{hand_over, pay_exactly};
use crate::shop::{CAP, DEADLINE, TILLS, claims, open};
use crate::texts::Texts;

/// How often the plug is pulled.
const PULLS: usize = 4;

#[test]
fn a_sale_is_done_once_when_the_plug_is_pulled_in_its_middle() -> Result<()> {
    let mut stage = open(&TILLS, 24, 12)?;
    let texts = Texts::load("en")?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("till-1", "")?)?;
        for pull in 0..PULLS {
            page.button(CAP.1).tap()?;
            // Every other time the answer is under way, else the request finds nobody.
            if pull % 2 == 0 {
                pay_exactly(&page, &texts, 2500)?;
                stage.node("till-1")?.kill()?;
            } else {
                stage.node("till-1")?.kill()?;
                pay_exactly(&page, &texts, 2500)?;
                page.wait_for(&texts.say("till.asking_whether", &[])?)?;
            }
            stage.node("till-1")?.restart()?;
            hand_over(&page, &texts)?;
        }
        Ok(())
    })?;
    let till = stage.device("till-1")?;
    till.wait_until("its sales", DEADLINE, |till| {
        Ok((claims(till, "redeemed")?.len() >= PULLS).then_some(()))
    })?;
    assert_eq!(claims(till, "redeemed")?.len(), PULLS, "as many as were handed over");
    assert_eq!(check(till, CAP.0)?, PULLS as u64);
    Ok(())
}

#[test]
fn a_page_that_is_loaded_again_in_the_middle_finishes_what_it_began() -> Result<()> {
    let mut stage = open(&TILLS, 24, 12)?;
    let texts = Texts::load("en")?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("till-1", "")?)?;
        page.button(CAP.1).tap()?;
        stage.node("till-1")?.kill()?;
        pay_exactly(&page, &texts, 2500)?;
        page.wait_for(&texts.say("till.asking_whether", &[])?)?;
        stage.node("till-1")?.restart()?;
        // The tablet was locked, or somebody pressed reload.
        page.reload()?;
        let till = stage.device("till-1")?;
        till.wait_until("the sale", DEADLINE, |till| {
            Ok((claims(till, "redeemed")?.len() == 1).then_some(()))
        })?;
        page.wait_until("the page to say so", |page| {
            let shown = page.text()?;
            let once = texts.say("frame.act_done", &[("what", ""), ("at", "")])?;
            let once = once.rsplit(':').next().unwrap_or_default().trim().to_owned();
            let said = [once, texts.say("till.sold_now", &[])?];
            Ok(said.iter().any(|text| shown.contains(text)).then_some(()))
        })?;
        page.reload()?;
        page.button(CAP.1).seen()?;
        ensure!(claims(till, "redeemed")?.len() == 1, "sold twice");
        Ok(())
    })
}

#[test]
fn what_is_lost_is_said_with_since_when_and_comes_back_by_itself() -> Result<()> {
    let mut stage = open(&TILLS, 12, 12)?;
    let texts = Texts::load("en")?;
    let lost = texts.say("frame.reconnecting", &[("since", "")])?;
    let lost = lost.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("till-1", "")?)?;
        page.button(CAP.1).seen()?;
        stage.node("till-1")?.kill()?;
        page.wait_for(&lost)?;
        stage.node("till-1")?.restart()?;
        page.wait_for_end_of(&lost)?;
        page.wait_for(&texts.say("frame.linked", &[("count", "2")])?).map(drop)
    })
}

/// Keeps a page from files, as a node does that is killed while it gives them; none of them with an empty list.
fn keep_from(page: &Page<'_>, files: &[&str]) -> Result<()> {
    page.protocol("Network.enable", json!({}))?;
    page.protocol("Network.setBlockedURLs", json!({"urls": files})).map(drop)
}

#[test]
fn a_page_whose_node_was_killed_while_it_loaded_comes_back_by_itself() -> Result<()> {
    let stage = open(&TILLS, 12, 12)?;
    let texts = Texts::load("en")?;
    // A file of the frame: nothing can be shown; of the page: the frame says so; of what is opened later.
    for file in ["*/frame/live.js", "*/pages/till/grid.js", "*/frame/again.js"] {
        // What the browser says of the file that it could not have is no defect of the page.
        let browser = Browser::start(&Settings::default())?;
        let page = browser.open("about:blank")?;
        keep_from(&page, &[file])?;
        page.go(&stage.page("till-1", "till")?)?;
        match file {
            "*/frame/live.js" => {}
            "*/pages/till/grid.js" => page.wait_for(&texts.say("frame.page_failed", &[])?).map(drop)?,
            _ => page.button(CAP.1).seen().map(drop)?,
        }
        page.script("window.before = true", json!([]))?;
        keep_from(&page, &[])?;
        page.wait_until("the page to be loaded again", |page| {
            Ok(page.script("return window.before === undefined", json!([]))?.as_bool().filter(|is| *is))
        })?;
        page.button(CAP.1).tap()?;
        page.wait_for(&texts.say("till.cart_count", &[("count", "1")])?)?;
    }
    Ok(())
}
