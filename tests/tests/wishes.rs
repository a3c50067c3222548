//! What is left of the stock when somebody leaves, or wants more than there is: on real nodes, over a real network.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, give, put_on_sale};
use popmesh_tests::{Api, Event, Network, Node, Options};
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_secs(3);
const DEADLINE: Duration = Duration::from_secs(60);

fn entries(api: &Api<'_>) -> Result<u64> {
    api.get("/v1/status")?["entries"].as_u64().context("no number of entries")
}

fn available(api: &Api<'_>) -> Result<u64> {
    api.stock("CAP")?["own"]["available"].as_u64().context("no number of units")
}

#[test]
fn two_that_leave_to_each_other_do_not_give_the_same_units_for_ever() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let names = ["hq", "till"];
    let network = Network::new(81, names.len())?;
    for (name, roles) in names.into_iter().zip(["hq", "pos"]) {
        event.enrol(name, roles, "hall-a")?;
    }
    let start = |at: usize| {
        let options = Options { host: Some(network.host(at)), ..Options::default() };
        Node::start(&event, names[at], options)
    };
    let mut nodes = (0..names.len()).map(start).collect::<Result<Vec<_>>>()?;
    put_on_sale(&nodes[0], "CAP", 40)?;
    agree(&[&nodes[0], &nodes[1]])?;
    let (hq, till) = (nodes[0].device()?, nodes[1].device()?);
    nodes[1].wait_until("stock to sell", DEADLINE, |till| Ok((available(till)? > 0).then_some(())))?;
    nodes[1].leave(&hq)?.ok()?;
    agree(&[&nodes[0], &nodes[1]])?;
    let refused = nodes[0].leave(&till)?;
    assert_eq!(refused.code(), "invalid", "{}", refused.body);
    ensure!(refused.body.to_string().contains("has left"), "{}", refused.body);
    let before = entries(&nodes[0])?;
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!((entries(&nodes[0])?, available(&nodes[0])?, available(&nodes[1])?), (before, 40, 0));
    // Others know it after a restart, and the next start of the till ends it.
    nodes[0].kill()?;
    nodes[0].restart()?;
    nodes[0].wait_until("a link", DEADLINE, |hq| Ok((!hq.links()?.is_empty()).then_some(())))?;
    assert_eq!(nodes[0].leave(&till)?.code(), "invalid");
    nodes[1].kill()?;
    nodes[1].restart()?;
    nodes[1].wait_until("stock to sell", DEADLINE, |till| Ok((available(till)? > 0).then_some(())))?;
    nodes[1].sell("CAP", WAIT, None)?.ok()?;
    Ok(())
}

#[test]
fn a_refused_wish_leaves_the_others_what_they_had() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let names = ["till-1", "till-2", "till-3", "till-4"];
    let network = Network::new(82, names.len())?;
    for (name, roles) in names.into_iter().zip(["hq,pos", "pos", "pos", "pos"]) {
        event.enrol(name, roles, "hall-a")?;
    }
    let nodes =
        network.hosts().iter().zip(names).map(|(host, name)| {
            Node::start(&event, name, Options { host: Some(host), ..Options::default() })
        });
    let nodes = nodes.collect::<Result<Vec<_>>>()?;
    let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    put_on_sale(devices[0], "CAP", 100)?;
    agree(&devices)?;
    std::thread::sleep(Duration::from_secs(5));
    agree(&devices)?;
    for to in &devices[1..] {
        let has = available(to)?;
        let units = u32::try_from(25_u64.saturating_sub(has))?;
        if units > 0 {
            give(devices[0], "CAP", units, to)?;
        }
    }
    agree(&devices)?;
    let held = || devices.iter().map(|device| available(device)).collect::<Result<Vec<_>>>();
    let before = held()?;
    ensure!(before.iter().all(|units| *units >= 20), "{before:?}");
    let wish = |units: u64| {
        let body = json!({"items": [{"sku": "CAP", "quantity": units}], "wait_ms": 5_000});
        devices[0].post("/v1/sales", &body, None)
    };
    for units in [1_000, 100, 95] {
        let refused = wish(units)?;
        assert_eq!((refused.status, refused.code()), (409, "held_elsewhere"), "{}", refused.body);
        let body: Value = refused.body.clone();
        ensure!(body["could_get"].as_u64().is_some_and(|units| (80..95).contains(&units)), "{body}");
    }
    agree(&devices)?;
    assert_eq!(held()?, before);
    for host in 0..names.len() {
        network.cut_off(host);
    }
    for device in &devices[1..] {
        for _ in 0..5 {
            device.sell("CAP", WAIT, None)?.ok()?;
        }
    }
    network.heal();
    agree(&devices)?;
    // What can be spared is sold, and then each has some left.
    let answer = wish(60)?;
    ensure!(answer.status == 201, "{}", answer.body);
    agree(&devices)?;
    for device in &devices[1..] {
        ensure!(available(device)? >= 4, "{:?}", held()?);
    }
    Ok(())
}
