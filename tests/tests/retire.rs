//! A till that is lost with stock in it: retired while it is cut off and still sells, and then it comes back. And the right
//! to retire, which goes from one hq to another.

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
    api.list("/v1/incidents")
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
    assert_eq!(devices[1].post("/v1/retirements", &retire(at_risk), None)?.code(), "not_registrar");
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
    // It is told, says what it sold meanwhile, and hears of nothing else.
    devices[LOST].wait_until("its retirement", DEADLINE, |lost| {
        let own = lost.get(&format!("/v1/devices/{}/retirement", lost.device()?))?;
        Ok((own["retired_by"] == "hq").then_some(()))
    })?;
    for device in &devices[..LOST] {
        device.wait_until("its late sales", DEADLINE, |device| {
            Ok((incidents(device)?.len() >= LATE).then_some(()))
        })?;
    }
    let took = agree(&devices[..LOST])?;
    for device in &devices[..LOST] {
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
    agree(&devices[..LOST])?;
    for device in &devices[..LOST] {
        assert_eq!(device.get("/v1/status")?["incidents"], 0, "{}", device.name);
        assert!(incidents(device)?.iter().all(|incident| incident["resolved_by"] == "hq"), "{}", device.name);
    }
    Ok(())
}

#[test]
fn the_right_goes_to_another_hq_which_then_retires() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let names = ["hq", "desk", "lost"];
    let network = Network::new(72, names.len())?;
    for (name, roles) in names.into_iter().zip(["hq,registrar", "hq", "pos"]) {
        event.enrol(name, roles, "hall-a")?;
    }
    let start = |at: usize| {
        let options = Options { host: Some(network.host(at)), ..Options::default() };
        Node::start(&event, names[at], options)
    };
    let mut nodes = (0..names.len()).map(start).collect::<Result<Vec<_>>>()?;
    put_on_sale(&nodes[0], "CAP", UNITS)?;
    agree(&[&nodes[0], &nodes[1], &nodes[2]])?;
    nodes[2].wait_until("stock to sell", DEADLINE, |lost| {
        Ok((lost.stock("CAP")?["own"]["available"].as_u64() > Some(0)).then_some(()))
    })?;
    agree(&[&nodes[0], &nodes[1], &nodes[2]])?;
    let popmesh = |at: usize, arguments: &[&str]| {
        let data = ["--data", names[at]];
        network.host(at).in_namespace(|| event.popmesh(&[&data[..], arguments].concat()))
    };
    let lost = nodes[2].device()?;
    let retire = |api: &Api<'_>| {
        let risk = api.get(&format!("/v1/devices/{lost}/retirement"))?;
        api.post(
            "/v1/retirements",
            &json!({"device": lost, "at_risk": risk["at_risk"], "reachable": true}),
            None,
        )
    };
    let refused = retire(&nodes[1])?;
    assert_eq!(
        (refused.code(), &refused.body["holders"]),
        ("not_registrar", &json!(["hq"])),
        "{}",
        refused.body
    );
    println!("at desk: {}", refused.body["detail"]);
    let to_a_till = popmesh(0, &["registrar", "give", "lost", "--yes"]).unwrap_err().to_string();
    ensure!(to_a_till.contains("only an hq"), "{to_a_till}");
    assert_eq!(popmesh(0, &["registrar", "give", "desk", "--yes"])?["name"], "desk");
    assert_eq!(retire(&nodes[0])?.code(), "not_registrar");
    agree(&[&nodes[0], &nodes[1], &nodes[2]])?;
    // Who has it knows so after a power cut, and so does who gave it.
    for node in &mut nodes[..2] {
        node.kill()?;
        node.restart()?;
    }
    agree(&[&nodes[0], &nodes[1], &nodes[2]])?;
    // It has written nothing yet: its name comes with its certificate.
    nodes[0].wait_until("desk to be known", DEADLINE, |hq| {
        Ok((hq.get("/v1/registrars")?["items"][0]["name"] == "desk").then_some(()))
    })?;
    let shown = popmesh(0, &["registrar", "show"])?["items"].take();
    assert_eq!(
        (&shown[0]["name"], &shown[0]["given_by"], &shown[0]["here"]),
        (&json!("desk"), &json!("hq"), &json!(false))
    );
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
    let retired = retire(&nodes[1])?.ok()?;
    println!("retired at desk: {retired}");
    agree(&[&nodes[0], &nodes[1]])?;
    for node in &nodes[..2] {
        let risk = node.get(&format!("/v1/devices/{lost}/retirement"))?;
        assert_eq!((&risk["retired_by"], &risk["at_risk"]), (&json!("desk"), &json!(0)), "{}", node.name);
        assert_eq!(incidents(node)?, Vec::<Value>::new(), "{}", node.name);
    }
    Ok(())
}
