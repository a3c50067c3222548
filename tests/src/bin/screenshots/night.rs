//! The venue in the middle of its night.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::agree;
use popmesh_tests::wares::{self, DROP, WARES};
use popmesh_tests::{Api, Random, Stage};
use serde_json::{Value, json};

/// Generous: it only bounds how long a broken venue takes to say so.
const DEADLINE: Duration = Duration::from_secs(60);
/// Shoppers so far.
const SHOPPERS: usize = 70;

/// Opens it.
pub(crate) fn open() -> Result<Stage> {
    let devices = [
        ("hq", "hq,registrar"),
        ("till-1", "pos"),
        ("till-2", "pos"),
        ("encoder", "encoder"),
        ("locker", "locker"),
    ];
    let doors = |name: &str| match name {
        "locker" => ["--door", "virtual"].map(str::to_owned).to_vec(),
        _ => Vec::new(),
    };
    let stage = Stage::open_with("Neon Nights", &devices, doors)?;
    wares::put_on_sale(stage.device("hq")?)?;
    let tills = [stage.device("till-1")?, stage.device("till-2")?, stage.device("encoder")?];
    for till in tills {
        till.wait_until("a share of everything", DEADLINE, |till| {
            let stock = till.get("/v1/stock")?;
            let lines = stock["items"].as_array().context("no stock")?;
            let some = lines.iter().filter(|line| line["own"]["available"].as_u64() > Some(0)).count();
            Ok((some == WARES.len()).then_some(()))
        })?;
    }
    stow(&stage)?;
    sell(&stage, &tills)?;
    let hq = stage.device("hq")?;
    // Somebody comes back with more money.
    tills[0].done(
        "/v1/carts",
        &json!({"drop": DROP, "items": [{"sku": "HOODIE-M"}], "ttl_ms": 1_800_000, "shopper": "Jo"}),
    )?;
    agree(&stage.devices())?;
    // One till is out of reach, and sells on.
    tills[1].set_links(false)?;
    tills[1].sell("TOTE", Duration::ZERO, None)?.ok()?;
    hq.wait_until("the till to be out of reach", DEADLINE, |hq| {
        Ok((hq.get("/v1/status")?["reachable"] == devices.len() - 1).then_some(()))
    })?;
    Ok(stage)
}

/// Posters lie in two compartments of the locker.
fn stow(stage: &Stage) -> Result<()> {
    let (hq, locker) = (stage.device("hq")?, stage.device("locker")?);
    for (sku, place, count) in [("POSTER-A2", "locker/03", 4), ("LP-GLOW", "locker/07", 2)] {
        let body = json!({"drop": DROP, "sku": sku, "units": {"count": count}, "to": locker.device()?});
        hq.done("/v1/transfers", &body)?;
        agree(&stage.devices())?;
        locker.done(
            "/v1/moves",
            &json!({"drop": DROP, "sku": sku, "units": {"count": count}, "place": place}),
        )?;
    }
    agree(&stage.devices()).map(drop)
}

fn sell(stage: &Stage, tills: &[&Api<'static>]) -> Result<()> {
    let locker = stage.device("locker")?;
    let at = locker.device()?;
    let mut random = Random::new(7);
    let mut pickups: Vec<Value> = Vec::new();
    for shopper in 0..SHOPPERS {
        let till = tills[shopper % tills.len()];
        let ware = WARES[(random.next() % WARES.len() as u64) as usize];
        let tender = if random.ratio() < 0.4 { "cash" } else { "card" };
        let mut sale =
            json!({"drop": DROP, "items": [{"sku": ware.sku}], "tender": tender, "wait_ms": 5_000});
        if shopper % 8 == 0 {
            sale["pickup_at"] = json!(at);
            sale["shopper"] = json!(format!("order-{}", 4700 + shopper));
        }
        let answer = till.post("/v1/sales", &sale, None)?;
        if answer.status == 201 && answer.body["state"] == "issued" {
            pickups.push(json!([till.name, answer.body["claim"]]));
        } else {
            ensure!(answer.status == 201 || answer.status == 409, "{}", answer.body);
        }
    }
    // Some have fetched theirs.
    for pickup in pickups.iter().take(pickups.len() / 2) {
        let till = stage.device(pickup[0].as_str().context("no till")?)?;
        let claim = pickup[1].as_str().context("no claim")?;
        let token = till.get(&format!("/v1/claims/{claim}/token"))?;
        locker.done("/v1/redemptions", &json!({"token": token["token"]}))?;
    }
    Ok(())
}
