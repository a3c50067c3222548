//! The overlay never lies: "claimed" never moves back, "left" is a bound, with all linked and quiet it is the truth, and it is
//! right again when either side was started anew.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::Page;
use popmesh_tests::books::agree;
use popmesh_tests::browser::{Settings, watched};
use popmesh_tests::stage::Cast;

use crate::shop::{CAP, DROP, open};

const CAST: [Cast<'static>; 4] =
    [("hq", "hq,registrar"), ("till-1", "pos"), ("till-2", "pos"), ("encoder", "encoder")];

/// The number before a word, and whether it is said to be a bound: `3+ claimed`, `at most 9 left`.
fn shown(text: &str, word: &str) -> Option<(u64, bool)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words.iter().position(|one| *one == word)?;
    let number = words.get(at.checked_sub(1)?)?;
    let bound = number.ends_with('+') || (at > 1 && words[at - 2] == "most");
    Some((number.trim_end_matches('+').parse().ok()?, bound))
}

fn wait_for(page: &Page<'_>, word: &str, wanted: (u64, bool)) -> Result<()> {
    page.wait_until(&format!("{wanted:?} {word}"), |page| {
        Ok((shown(&page.text()?, word) == Some(wanted)).then_some(()))
    })
}

#[test]
fn what_it_says_is_a_bound_and_the_truth_when_all_are_linked() -> Result<()> {
    // 10 caps and 2 pins in one drop.
    let mut stage = open(&CAST, 10, 2)?;
    let sell = |till: &str| -> Result<()> {
        stage.device(till)?.sell(CAP.0, Duration::from_secs(5), None)?.ok().map(drop)
    };
    let address = format!("{}?drop={DROP}", stage.page("encoder", "overlay")?);
    watched(&Settings::default(), |browser| {
        let page = browser.open(&address)?;
        wait_for(&page, "left", (12, false))?;
        for sold in 1..=3 {
            sell("till-1")?;
            agree(&stage.devices())?;
            wait_for(&page, "claimed", (sold, false))?;
            wait_for(&page, "left", (12 - sold, false))?;
        }
        // One till is cut off, and sells on: what is shown is a bound, and never moves back.
        stage.device("till-2")?.set_links(false)?;
        wait_for(&page, "claimed", (3, true))?;
        sell("till-2")?;
        sell("till-1")?;
        wait_for(&page, "claimed", (4, true))?;
        let (left, bound) = shown(&page.text()?, "left").context("nothing is left, it says")?;
        ensure!(bound && left >= 7, "at most {left}: {}", page.text()?);
        stage.device("till-2")?.set_links(true)?;
        wait_for(&page, "claimed", (5, false))?;
        wait_for(&page, "left", (7, false))?;
        Ok(())
    })?;
    // Either side is started anew.
    watched(&Settings::default(), |browser| {
        let page = browser.open(&address)?;
        wait_for(&page, "claimed", (5, false))?;
        stage.node("encoder")?.kill()?;
        stage.node("encoder")?.restart()?;
        wait_for(&page, "claimed", (5, false))?;
        page.reload()?;
        wait_for(&page, "claimed", (5, false))?;
        wait_for(&page, "left", (7, false))
    })
}

#[test]
fn it_is_drawn_on_nothing() -> Result<()> {
    let stage = open(&CAST[..1], 10, 2)?;
    watched(&Settings::default(), |browser| {
        let page = browser.open(&stage.page("hq", "overlay")?)?;
        wait_for(&page, "left", (12, false))?;
        let behind = "return [getComputedStyle(document.documentElement), getComputedStyle(document.body)]
            .map((style) => `${style.backgroundColor} ${style.backgroundImage}`).join()";
        assert_eq!(
            page.script(behind, serde_json::json!([]))?,
            "rgba(0, 0, 0, 0) none,rgba(0, 0, 0, 0) none"
        );
        Ok(())
    })
}

#[test]
fn numbers_are_read_off_the_screen() {
    assert_eq!(shown("Neon 62+ claimed at most 9 left", "claimed"), Some((62, true)));
    assert_eq!(shown("Neon 62+ claimed at most 9 left", "left"), Some((9, true)));
    assert_eq!(shown("62 claimed\n3 left", "left"), Some((3, false)));
    assert_eq!(shown("Sold out", "left"), None);
}
