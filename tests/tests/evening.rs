//! One shopper's evening over real processes and sockets: put aside at one till, paid at another, and picked up with a PIN
//! at a locker that has been cut off since before.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, check, give, put_on_sale, serials};
use popmesh_tests::{Api, Event, Network, Node, Options};
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["hq", "till-1", "till-2", "locker"];
const LOCKER: usize = 3;
const DEADLINE: Duration = Duration::from_secs(60);
const TRIES: u64 = 5;

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("no text: {value}"))
}

#[test]
fn from_the_cart_over_another_till_to_the_locker_with_a_pin() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(61, NAMES.len())?;
    for (name, roles) in NAMES.into_iter().zip(["hq", "pos", "pos", "locker"]) {
        event.enrol(name, roles, "hall-a")?;
    }
    let nodes =
        network.hosts().iter().zip(NAMES).map(|(host, name)| {
            Node::start(&event, name, Options { host: Some(host), ..Options::default() })
        });
    let mut nodes = nodes.collect::<Result<Vec<_>>>()?;
    {
        let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
        for device in &devices {
            device.wait_until("everybody", DEADLINE, |device| {
                Ok((device.get("/v1/status")?["reachable"] == NAMES.len()).then_some(()))
            })?;
        }
        put_on_sale(devices[0], "CAP", 120)?;
        agree(&devices)?;
        give(devices[0], "CAP", 4, devices[1])?;
        agree(&devices)?;
    }
    let locker = nodes[LOCKER].device()?;
    network.cut_off(LOCKER);
    let items = json!([{"sku": "CAP", "quantity": 2}]);
    let cart = nodes[1].done("/v1/carts", &json!({"items": items, "shopper": "order-4711"}))?;
    let id = text(&cart["cart"])?;
    let token = text(&nodes[1].get(&format!("/v1/carts/{id}/token"))?["token"])?;

    // The other till is asked while the first one is out of reach, and says so.
    network.cut_off(1);
    nodes[2].wait_until("the first till to be gone", DEADLINE, |till| {
        let first = till.list("/v1/devices")?.into_iter().find(|peer| peer["name"] == "till-1");
        Ok(first.filter(|peer| peer["reachable"] == false))
    })?;
    let take = json!({"token": token, "wait_ms": 2_000});
    let refused = nodes[2].post("/v1/carts/take", &take, None)?;
    assert_eq!((refused.status, refused.code()), (409, "cart_out_of_reach"), "{}", refused.body);
    println!("at till-2: {}", refused.body["detail"]);
    network.rejoin(1);
    let taken = nodes[2].wait_until("the cart", DEADLINE, |till| {
        let answer = till.post("/v1/carts/take", &take, None)?;
        Ok((answer.status == 200).then_some(answer.body))
    })?;
    assert_eq!(serials(&taken)?, serials(&cart)?);

    let pay = json!({"cart": id, "tender": "card", "pickup_at": locker, "pin": "0417"});
    let sold = nodes[2].done("/v1/sales", &pay)?;
    assert_eq!((&sold["shopper"], &sold["pin"]), (&json!("order-4711"), &json!(true)));
    assert_eq!(serials(&sold)?, serials(&cart)?);
    let claim = text(&sold["claim"])?;
    let token = text(&nodes[2].get(&format!("/v1/claims/{claim}/token"))?["token"])?;

    // The locker has heard of nothing of this.
    let show = |locker: &Api<'_>, pin: Option<&str>| {
        locker.post("/v1/redemptions", &json!({"token": token, "pin": pin}), None)
    };
    assert_eq!(show(&nodes[LOCKER], None)?.code(), "pin_needed");
    for tried in 1..=TRIES {
        let wrong = show(&nodes[LOCKER], Some("9999"))?;
        assert_eq!(
            (wrong.code(), &wrong.body["left"]),
            ("wrong_pin", &json!(TRIES - tried)),
            "{}",
            wrong.body
        );
        nodes[LOCKER].kill()?;
        nodes[LOCKER].restart()?;
    }
    let locked = show(&nodes[LOCKER], Some("0417"))?;
    assert_eq!((locked.status, locked.code()), (403, "pin_locked"));
    println!("at the locker: {}", locked.body["detail"]);
    let unlock = format!("/v1/claims/{claim}/unlock");
    let early = nodes[LOCKER].call("POST", &unlock, None, None)?;
    let wait_ms = early.body["unlock_in_ms"].as_u64().unwrap_or_default();
    ensure!(early.code() == "pin_locked" && (1..=60_000).contains(&wait_ms), "{}", early.body);
    // An hq need not wait: it hears of it, looks who is there, and its word goes to the locker.
    network.heal();
    nodes[0].wait_until("the lock to be heard of", DEADLINE, |hq| {
        let unlocked = hq.call("POST", &unlock, None, None)?;
        Ok((unlocked.status == 200).then_some(()))
    })?;
    let handed = nodes[LOCKER].wait_until("the hq's word", DEADLINE, |locker| {
        let shown = show(locker, Some("0417"))?;
        ensure!(shown.code() != "wrong_pin", "{}", shown.body);
        Ok((shown.status == 201).then_some(shown.body))
    })?;
    assert_eq!(handed["items"][0]["sku"], "CAP");
    assert_eq!(show(&nodes[LOCKER], Some("0417"))?.code(), "already_redeemed");
    network.heal();
    let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    agree(&devices)?;
    for device in devices {
        assert_eq!(check(device, "CAP")?, 2, "{}", device.name);
        let known = device.get(&format!("/v1/claims/{claim}"))?;
        ensure!(known["state"] == "redeemed", "{}: {known}", device.name);
    }
    Ok(())
}
