//! `./scripts/demo` becomes a venue to play with: its addresses are said, and what is typed or tapped happens to real nodes.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::browser::{Settings, watched};
use popmesh_tests::{Terminal, wait_until};

/// Generous: the venue first sells a run of 100.
const DEADLINE: Duration = Duration::from_secs(180);
const SOON: Duration = Duration::from_secs(60);

/// The address after a word in what the demo prints.
fn address(shown: &str, word: &str) -> Result<String> {
    let line = shown.lines().find(|line| line.trim_start().starts_with(word) && line.contains("http://"));
    let after =
        line.with_context(|| format!("no {word} in {shown}"))?.split("http://").nth(1).unwrap_or_default();
    Ok(format!("http://{}", after.split([' ', ',']).next().unwrap_or_default().trim_end_matches('/')))
}

#[test]
fn the_venue_is_played_with_by_typing_and_by_its_page() -> Result<()> {
    let mut demo = Terminal::start(Command::new(env!("CARGO_BIN_EXE_popmesh-demo")).env("NO_COLOR", "1"))?;
    let shown = demo.wait_for("\"verdict\":\"kept\"", DEADLINE)?;
    let (till, overlay) = (address(&shown, "till-1")?, address(&shown, "overlay")?);
    let controls = address(&shown, "Controls are at")?;
    ensure!(overlay.ends_with("/overlay"), "{overlay}");
    for (typed, said) in [
        ("cut till-9", "there is no \"till-9\" here"),
        ("cut till-2", "till-2 is cut off"),
        ("pull locker", "locker's plug is pulled"),
        ("cut locker", "locker has no power"),
        ("start locker", "locker runs again"),
        ("heal till-2", "till-2 is healed"),
        ("crowd on", "the crowd comes"),
    ] {
        demo.types(&format!("{typed}\n"))?;
        demo.wait_for(said, SOON)?;
    }
    watched(&Settings::default(), |browser| {
        let page = browser.open(&format!("{controls}/"))?;
        // The page is drawn anew every few seconds.
        page.wait_until("shoppers to buy", |page| {
            let shown = page.text()?;
            Ok((shown.contains("so far it bought") && !shown.contains("bought 0 times")).then_some(()))
        })?;
        page.button("Send it home: crowd off").tap()?;
        page.button("Let it come: crowd on").seen()?;
        page.button("Pull the plug: pull till-1").tap()?;
        page.wait_for("plug pulled")?;
        page.button("Start again: start till-1").tap()?;
        page.wait_for_end_of("plug pulled")?;
        // Its console is where it was.
        let console = browser.open_another(&format!("{till}/"))?;
        console.button("Afterglow tee, M").seen().map(drop)
    })?;
    demo.types("close\n")?;
    ensure!(demo.ends(SOON)?.success(), "{}", demo.shown());
    wait_until("the nodes to be gone", SOON, || {
        Ok(std::net::TcpStream::connect(till.trim_start_matches("http://")).is_err().then_some(()))
    })
}
