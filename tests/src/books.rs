//! What devices' books say, and when they agree.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::Api;
use crate::node::wait_until;

/// Within this devices that can reach each other must agree, or something is broken.
const AGREE_TIMEOUT: Duration = Duration::from_secs(60);

/// Puts a product on the programme at 25.00, and its drop of the same name in lower case on sale, with units
/// `1..=units`, all held by this device.
///
/// # Errors
/// When it refuses.
pub fn put_on_sale(hq: &Api<'_>, sku: &str, units: u32) -> Result<()> {
    let drop = sku.to_lowercase();
    hq.done("/v1/products", &json!({"sku": sku, "name": format!("Product {sku}"), "price": 2500}))?;
    hq.done("/v1/drops", &json!({"drop": drop, "title": format!("Drop of {sku}")}))?;
    open_drop(hq, &drop)?;
    hq.done("/v1/lots", &json!({"drop": drop, "sku": sku, "first": 1, "last": units}))?;
    Ok(())
}

/// Opens a drop that is planned.
///
/// # Errors
/// When it refuses.
pub fn open_drop(hq: &Api<'_>, drop: &str) -> Result<()> {
    hq.done(&format!("/v1/drops/{drop}/steps"), &json!({"step": "open"}))?;
    Ok(())
}

/// Gives units of a SKU that [`put_on_sale`] put on sale.
///
/// # Errors
/// When the giver refuses.
pub fn give(from: &Api<'_>, sku: &str, units: u32, to: &Api<'_>) -> Result<()> {
    let drop = sku.to_lowercase();
    from.done(
        "/v1/transfers",
        &json!({"drop": drop, "sku": sku, "units": {"count": units}, "to": to.device()?}),
    )?;
    Ok(())
}

/// Everything that a command could have changed: equal before and after one that was refused.
///
/// # Errors
/// When the device does not answer.
pub fn books(api: &Api<'_>) -> Result<Value> {
    let status = api.get("/v1/status")?;
    let mut stock = api.get("/v1/stock")?;
    for line in stock["items"].as_array_mut().into_iter().flatten() {
        for holder in line["holders"].as_array_mut().into_iter().flatten() {
            // Time alone changes it.
            holder["last_heard_ms"] = Value::Null;
        }
    }
    Ok(json!({
        "digest": status["digest"], "entries": status["entries"], "sales_waiting": status["sales_waiting"],
        "stock": stock, "programme": api.get("/v1/programme")?, "claims": api.get("/v1/claims")?,
    }))
}

/// The serials of a sale of one numbered lot, and of every lot whose serials no other has.
///
/// # Errors
/// When `claim` is none.
pub fn serials(claim: &Value) -> Result<Vec<u32>> {
    let mut serials = Vec::new();
    for item in claim["items"].as_array().with_context(|| format!("no items in {claim}"))? {
        let units = item["units"].as_str().with_context(|| format!("no units in {item}"))?;
        for range in units.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            serials.extend(first.parse::<u32>()?..=last.parse::<u32>()?);
        }
    }
    Ok(serials)
}

/// The name of a claim.
///
/// # Errors
/// When `claim` is none.
pub fn claim_id(claim: &Value) -> Result<String> {
    ensure!(claim["items"].is_array(), "no claim: {claim}");
    Ok(claim["claim"].to_string())
}

/// Waits until all devices have the same digest; answers how long that took.
///
/// # Errors
/// When they do not agree within a minute, with what each had.
pub fn agree(devices: &[&Api<'_>]) -> Result<Duration> {
    let before = Instant::now();
    let digests = || devices.iter().map(|device| device.digest()).collect::<Result<BTreeSet<_>>>();
    let agreed =
        wait_until("equal digests", AGREE_TIMEOUT, || Ok((digests()?.len() == 1).then(|| before.elapsed())));
    agreed.with_context(|| {
        let each =
            devices.iter().map(|device| device.get("/v1/status").unwrap_or_default()["digest"].clone());
        format!("digests: {:?}", each.collect::<Vec<_>>())
    })
}

/// Has the device check its invariants, and its stock of a SKU against the law of conservation; answers units sold.
///
/// # Errors
/// What does not hold.
pub fn check(api: &Api<'_>, sku: &str) -> Result<u64> {
    let check = api.get("/v1/check")?;
    ensure!(check["problems"] == json!([]) && check["incidents"] == json!([]), "{}: {check}", api.name);
    ensure!(check["sold_twice"] == 0, "{}: {check}", api.name);
    let line = api.stock(sku)?;
    let level = |name: &str| line["mesh"][name].as_u64().with_context(|| format!("no {name} in {line}"));
    let minted = line["minted"].as_u64().context("nothing minted")?;
    let mut sum = 0;
    for name in ["available", "held", "committed", "in_transit", "sold", "damaged", "frozen"] {
        sum += level(name)?;
    }
    ensure!(sum == minted, "{}: {minted} minted are not {sum}: {line}", api.name);
    level("sold")
}
