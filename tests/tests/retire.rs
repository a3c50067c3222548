//! A till that is lost with stock in it: retired while it is cut off and still sells, and then it comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, claim_id, put_on_sale, serials};
use popmesh_tests::{Api, Event, Network, Node, Options};
use serde_json::{Value, json};

const NAMES: [&str; 3] = ["hq", "till", "lost"];
const LOST: usize = 2;
const UNITS: u32 = 20;
const LATE: usize = 3;
const DEADLINE: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_secs(3);

fn incidents(api: &Api<'_>) -> Result<Vec<Value>> {
    api.get("/v1/incidents")?.as_array().cloned().context("no list of incidents")
}

#[test]
fn its_late_sales_are_incidents_and_no_more_than_was_said_before() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(71, NAMES.len())?;
    for (name, roles) in NAMES.into_iter().zip(["hq,registrar", "pos", "pos"]) {
        event.enrol(name, roles, "hall-a")?;
    }
    let nodes =
        network.hosts().iter().zip(NAMES).map(|(host, name)| {
            Node::start(&event, name, Options { host: Some(host), ..Options::default() })
        });
    let nodes = nodes.collect::<Result<Vec<_>>>()?;
    let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    put_on_sale(devices[0], "CAP", UNITS)?;
    agree(&devices)?;
    // Stock drifts to where it sells.
    devices[LOST].wait_until("stock to sell", DEADLINE, |lost| {
        Ok((lost.stock("CAP")?["own"]["available"].as_u64() >= Some(6)).then_some(()))
    })?;
    agree(&devices)?;
    let lost = devices[LOST].device()?;

    network.cut_off(LOST);
    devices[0].wait_until("it to be out of reach", DEADLINE, |hq| {
        let risk = hq.get(&format!("/v1/devices/{lost}/retirement"))?;
        Ok((risk["reachable"] == false).then_some(()))
    })?;
    let mut late = BTreeSet::new();
    for _ in 0..LATE {
        late.insert(claim_id(&devices[LOST].sell("CAP", WAIT, None)?.ok()?)?);
    }
    let risk = devices[0].get(&format!("/v1/devices/{lost}/retirement"))?;
    let at_risk = risk["at_risk"].as_u64().context("no number")?;
    ensure!(at_risk >= LATE as u64, "{risk}");
    println!("before: {at_risk} units could go out twice");
    let retire = |at_risk: u64| json!({"device": lost, "at_risk": at_risk});
    assert_eq!(devices[0].post("/v1/retirements", &retire(at_risk + 1), None)?.code(), "risk_changed");
    assert_eq!(devices[1].post("/v1/retirements", &retire(at_risk), None)?.code(), "role_forbids");
    devices[0].done("/v1/retirements", &retire(at_risk))?;
    agree(&devices[..2])?;

    // Everything is for sale again, to the last unit, and sold.
    let mut sold: BTreeSet<u32> = BTreeSet::new();
    for _ in 0..UNITS {
        for serial in serials(&devices[1].sell("CAP", Duration::from_secs(10), None)?.ok()?)? {
            ensure!(sold.insert(serial), "{serial} was sold twice at the till");
        }
    }

    network.heal();
    let took = agree(&devices)?;
    for device in &devices {
        let known = incidents(device)?;
        // Besides, it may have given a unit away, which nobody who could hear the registrar had heard.
        let claims = known.iter().map(|incident| &incident["claim"]).filter(|claim| !claim.is_null());
        assert_eq!(claims.map(Value::to_string).collect::<BTreeSet<_>>(), late, "{}: {known:?}", device.name);
        ensure!(known.len() as u64 <= at_risk, "{known:?}");
        let check = device.get("/v1/check")?;
        assert_eq!((&check["problems"], &check["sold_twice"]), (&json!([]), &json!(0)), "{}", device.name);
    }
    println!(
        "after: {} late sales are incidents on all {} devices, {took:?} after healing",
        late.len(),
        devices.len()
    );
    assert_eq!(devices[LOST].sell("CAP", WAIT, None)?.code(), "retired");

    for incident in incidents(devices[0])? {
        let note = "the second buyer has the money back";
        devices[0].done("/v1/resolutions", &json!({"incident": incident["incident"], "note": note}))?;
    }
    agree(&devices)?;
    for device in &devices {
        assert_eq!(device.get("/v1/status")?["incidents"], 0, "{}", device.name);
        assert!(incidents(device)?.iter().all(|incident| incident["resolved_by"] == "hq"), "{}", device.name);
    }
    Ok(())
}
