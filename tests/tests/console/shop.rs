//! The venue that the tests of the console play in.

use std::time::Duration;

use anyhow::{Context, Result};
use popmesh_tests::books::{agree, open_drop};
use popmesh_tests::stage::Cast;
use popmesh_tests::{Api, Stage};
use serde_json::{Value, json};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// An hq and two tills.
pub(crate) const TILLS: [Cast<'static>; 3] = [("hq", "hq,registrar"), ("till-1", "pos"), ("till-2", "pos")];
/// What is sold: its SKU, its name, its price.
pub(crate) const CAP: (&str, &str, u32) = ("CAP", "Tour cap", 2500);
pub(crate) const PIN: (&str, &str, u32) = ("PIN", "Enamel pin", 750);
/// The drop that both are sold in.
pub(crate) const DROP: &str = "night";

/// Opens a venue where caps and pins are sold, so many of each. All devices know of them.
pub(crate) fn open(devices: &[Cast<'_>], caps: u32, pins: u32) -> Result<Stage> {
    open_with(devices, caps, pins, |_| Vec::new())
}

/// The same, telling each device something more.
pub(crate) fn open_with(
    devices: &[Cast<'_>],
    caps: u32,
    pins: u32,
    more: impl Fn(&str) -> Vec<String>,
) -> Result<Stage> {
    let stage = Stage::open_with("Neon Nights", devices, more)?;
    let hq = stage.device("hq")?;
    hq.done("/v1/drops", &json!({"drop": DROP, "title": "Neon night"}))?;
    for ((sku, name, price), units) in [(CAP, caps), (PIN, pins)] {
        hq.done("/v1/products", &json!({"sku": sku, "name": name, "price": price}))?;
        hq.done("/v1/lots", &json!({"drop": DROP, "sku": sku, "first": 1, "last": units}))?;
    }
    open_drop(hq, DROP)?;
    agree(&stage.devices())?;
    Ok(stage)
}

/// Waits until a device has a share of a SKU, at least two: stock spreads by itself.
pub(crate) fn has_some(stage: &Stage, device: &str, sku: &str) -> Result<()> {
    let device = stage.device(device)?;
    device.wait_until("a share of the stock", DEADLINE, |device| {
        // Until it has heard of the lot there is no line of it.
        Ok(free(device, sku).is_ok_and(|free| free > 1).then_some(()))
    })
}

/// How many units a device could sell by itself now.
pub(crate) fn free(device: &Api<'_>, sku: &str) -> Result<u64> {
    device.stock(sku)?["own"]["available"].as_u64().context("no free units in the answer")
}

/// The claims that a device knows, of one state.
pub(crate) fn claims(device: &Api<'_>, state: &str) -> Result<Vec<Value>> {
    Ok(device.claims()?.into_iter().filter(|claim| claim["state"] == state).collect())
}

/// The units in those claims.
pub(crate) fn units(claims: &[Value]) -> Result<Vec<String>> {
    let items = claims.iter().flat_map(|claim| claim["items"].as_array().into_iter().flatten());
    items.map(|item| Ok(format!("{} {}", item["sku"], item["units"].as_str().context("no units")?))).collect()
}
