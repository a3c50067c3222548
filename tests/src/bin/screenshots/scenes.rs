//! What is on the screen when a picture is taken.

use anyhow::{Context, Result};
use popmesh_tests::browser::{SIZES, Size};
use popmesh_tests::{Page, Stage};
use serde_json::json;

use crate::STREAMS;

/// A page, and what is done on it before its picture is taken.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) device: &'static str,
    pub(crate) page: &'static str,
    pub(crate) sizes: &'static [Size],
    /// Where there is no dark look.
    pub(crate) only_light: bool,
    pub(crate) act: fn(&Page<'_>, &Stage) -> Result<()>,
}

const fn scene(
    name: &'static str,
    device: &'static str,
    page: &'static str,
    act: fn(&Page<'_>, &Stage) -> Result<()>,
) -> Scene {
    Scene { name, device, page, sizes: &SIZES, only_light: false, act }
}

/// All scenes.
pub(crate) const SCENES: &[Scene] = &[
    scene("till", "till-1", "till", cart),
    scene("till-pay", "till-1", "till", |page, stage| {
        cart(page, stage)?;
        page.find("button", "Pay ").tap()
    }),
    scene("till-sold", "till-1", "till", |page, stage| {
        cart(page, stage)?;
        page.find("button", "Pay ").tap()?;
        page.find("button", "€70.00").tap()?;
        page.wait_for("Hand it over now.").map(drop)
    }),
    scene("till-takings", "till-1", "till", |page, _| {
        page.find("button", "Takings").tap()?;
        page.wait_for("Cash").map(drop)
    }),
    scene("desk", "locker", "desk", |page, _| page.wait_for("Ready for the next code").map(drop)),
    scene("desk-good", "locker", "desk", |page, stage| {
        page.wait_for("Ready for the next code")?;
        page.scan(&pickup(stage)?)?;
        page.wait_for("Hand out").map(drop)
    }),
    scene("desk-bad", "locker", "desk", |page, stage| {
        page.wait_for("Ready for the next code")?;
        let token = pickup(stage)?;
        page.scan(&token)?;
        page.wait_for("Hand out")?;
        page.scan(&token)?;
        page.wait_for("Already handed out").map(drop)
    }),
    scene("desk-doors", "locker", "desk", |page, _| {
        page.tappable("Doors").tap()?;
        page.wait_for("07").map(drop)
    }),
    scene("encoder", "encoder", "encoder", |page, _| page.wait_for("claimed").map(drop)),
    scene("encoder-close", "encoder", "encoder", |page, _| {
        page.find("button", "Close now").tap()?;
        page.wait_for("stop selling").map(drop)
    }),
    scene("hq", "hq", "hq", |page, _| page.wait_for("till-2").map(drop)),
    scene("hq-stock", "hq", "hq", |page, _| hq_part(page, "Stock", "Afterglow")),
    scene("hq-programme", "hq", "hq", |page, _| hq_part(page, "Programme", "Afterglow")),
    scene("hq-incidents", "hq", "hq", |page, _| hq_part(page, "Incidents", "ncident")),
    scene("hq-takings", "hq", "hq", |page, _| hq_part(page, "Takings", "Cash")),
    scene("hq-people", "hq", "hq", |page, _| hq_part(page, "People", "sealed")),
    scene("health", "till-1", "health", |page, _| page.wait_for("Selling goes on.").map(drop)),
    scene("health-cut-off", "till-2", "health", |page, _| page.wait_for("Links are switched off").map(drop)),
    Scene {
        name: "overlay",
        device: "encoder",
        page: "overlay",
        sizes: &STREAMS,
        only_light: true,
        act: |page, _| {
            // A video is never white.
            let colour = json!({"color": {"r": 36, "g": 48, "b": 60, "a": 1}});
            page.protocol("Emulation.setDefaultBackgroundColorOverride", colour)?;
            page.wait_for("claimed").map(drop)
        },
    },
];

fn cart(page: &Page<'_>, _: &Stage) -> Result<()> {
    page.button("Afterglow, LP, numbered").tap()?;
    page.button("Riso print").tap()?;
    page.button("Enamel pin, moon").tap()?;
    page.wait_for("Pay €64.00").map(drop)
}

fn hq_part(page: &Page<'_>, name: &str, shown: &str) -> Result<()> {
    page.tappable(name).tap()?;
    page.wait_for(shown).map(drop)
}

/// The token of a new pickup at the locker.
fn pickup(stage: &Stage) -> Result<String> {
    let (till, locker) = (stage.device("till-1")?, stage.device("locker")?);
    let body = json!({
        "drop": "afterglow", "items": [{"sku": "STICKERS", "quantity": 2}], "tender": "card", "pickup_at": locker.device()?,
    });
    let sold = till.done("/v1/sales", &body)?;
    let claim = sold["claim"].as_str().context("no claim")?.to_owned();
    let token = till.get(&format!("/v1/claims/{claim}/token"))?;
    token["token"].as_str().map(str::to_owned).context("no token")
}
