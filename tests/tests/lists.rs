//! What a program of somebody else's does with the API of real devices: walks lists while others sell, and fetches whatever it
//! was told that it has made, from the device that made it and from another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, put_on_sale};
use popmesh_tests::{Api, Event, Network, Node, Options};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_secs(5);
/// Sold before the walk begins.
const BEFORE: usize = 24;

/// A walk over a list in parts of `limit`: how often each item came, by what names it.
fn walk(api: &Api<'_>, path: &str, name: &str, limit: usize) -> Result<BTreeMap<String, usize>> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let part = api.get(&format!("{path}?limit={limit}{after}"))?;
        let items = part["items"].as_array().with_context(|| format!("{path} is no list: {part}"))?;
        ensure!(items.len() <= limit, "{path}: {} items", items.len());
        for item in items {
            let name = item[name].as_str().with_context(|| format!("no {name} in {item}"))?;
            *seen.entry(name.to_owned()).or_default() += 1;
        }
        match part["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(seen),
        }
    }
}

#[test]
fn a_walk_gives_each_item_once_while_another_process_sells() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(81, 2)?;
    for (name, roles) in [("hq", "hq,pos"), ("till", "pos")] {
        event.enrol(name, roles, "hall-a")?;
    }
    let start = |at: usize, name| {
        Node::start(&event, name, Options { host: Some(network.host(at)), ..Options::default() })
    };
    let (hq, till) = (start(0, "hq")?, start(1, "till")?);
    put_on_sale(&hq, "CAP", 2_000)?;
    agree(&[&hq, &till])?;
    let mut before = BTreeSet::new();
    for number in 0..BEFORE {
        let api: &Api<'_> = if number % 2 == 0 { &hq } else { &till };
        let claim = api.sell("CAP", WAIT, None)?.ok()?;
        before.insert(claim["claim"].as_str().context("no claim")?.to_owned());
    }
    agree(&[&hq, &till])?;
    let entries: BTreeSet<String> = walk(&hq, "/v1/log", "entry", 7)?.into_keys().collect();
    let first = hq.get("/v1/claims?limit=3")?;
    assert_eq!(first["count"], BEFORE);

    let over = AtomicBool::new(false);
    let sold = thread::scope(|scope| -> Result<usize> {
        let selling = scope.spawn(|| -> Result<usize> {
            let mut sold = 0;
            while !over.load(Ordering::Relaxed) {
                till.sell("CAP", WAIT, None)?.ok()?;
                sold += 1;
            }
            Ok(sold)
        });
        let walked = (|| -> Result<()> {
            for api in [&*hq, &*till] {
                for limit in [1, 3, 1_000] {
                    let seen = walk(api, "/v1/claims", "claim", limit)?;
                    ensure!(seen.values().all(|times| *times == 1), "{} at {limit}: twice", api.name);
                    let all = before.iter().all(|claim| seen.contains_key(claim));
                    let lost: Vec<&String> =
                        before.iter().filter(|claim| !seen.contains_key(*claim)).collect();
                    ensure!(all, "{} at {limit}: {lost:?} are not among {seen:?}", api.name);
                }
                let seen = walk(api, "/v1/log", "entry", 9)?;
                ensure!(seen.values().all(|times| *times == 1), "{}: an entry came twice", api.name);
                let all = entries.iter().all(|entry| seen.contains_key(entry));
                ensure!(all, "{}: an entry is lost", api.name);
                let receipts = walk(api, "/v1/receipts", "entry", 2)?;
                ensure!(receipts.values().all(|times| *times == 1), "{}: a receipt came twice", api.name);
            }
            // A cursor of the other device is as good: it names a place, and no number of items.
            let next = first["next"].as_str().context("no next")?;
            let rest = till.get(&format!("/v1/claims?limit=1000&after={next}"))?;
            ensure!(rest["items"].as_array().map(Vec::len) == Some(BEFORE - 3), "{rest}");
            ensure!(rest["count"] == BEFORE, "{}", rest["count"]);
            Ok(())
        })();
        over.store(true, Ordering::Relaxed);
        let sold = selling.join().map_err(|_| anyhow::anyhow!("the seller panicked"))?;
        walked?;
        sold
    })?;
    ensure!(sold > 0, "nothing was sold meanwhile");
    println!("{sold} were sold while the lists were walked");
    agree(&[&hq, &till])?;
    assert_eq!(hq.claims()?.len(), BEFORE + sold);
    Ok(())
}

/// The same without what changes by itself, or is of one device alone.
fn lasting(mut body: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for own in ["secret", "payload", "compartment", "until_ms", "here"] {
                    object.remove(own);
                }
                object.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut body);
    body
}

#[test]
fn whatever_is_made_can_be_fetched_here_and_on_another_device() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(82, 3)?;
    event.enrol("hq", "hq,pos,registrar", "hall-a")?;
    event.enrol("till", "hq,pos", "hall-a")?;
    event.enrol_for("lost", "pos", "hall-a", &["--days", "1"])?;
    let start = |at: usize, name| {
        Node::start(&event, name, Options { host: Some(network.host(at)), ..Options::default() })
    };
    let (hq, till, mut lost) = (start(0, "hq")?, start(1, "till")?, start(2, "lost")?);
    hq.wait_until("the others", DEADLINE, |hq| Ok((hq.get("/v1/status")?["reachable"] == 3).then_some(())))?;
    hq.done("/v1/products", &json!({"sku": "CAP", "name": "Cap", "price": 2500}))?;
    let mut made: Vec<(&str, String, Value)> = Vec::new();
    let mut make = |api: &Api<'_>, path: &'static str, body: Value| -> Result<Value> {
        let answer = api.post(path, &body, None)?;
        ensure!(answer.status == 201, "{path} {body}: {} {}", answer.status, answer.body);
        let location = answer.location.with_context(|| format!("{path} says no Location"))?;
        let here = api.get(&location)?;
        assert_eq!(lasting(here), lasting(answer.body.clone()), "{path}: {location} at {}", api.name);
        assert_eq!(api.call("HEAD", &location, None, None)?.status, 200, "{location}");
        made.push((path, location, answer.body.clone()));
        Ok(answer.body)
    };
    make(
        &hq,
        "/v1/drops",
        json!({"drop": "neon", "title": "Neon", "unclaimed": "refund", "pickup_within_ms": 600_000}),
    )?;
    hq.call("POST", "/v1/drops/neon/steps", Some(&json!({"step": "open"})), None)?.ok()?;
    make(&hq, "/v1/lots", json!({"drop": "neon", "sku": "CAP", "first": 1, "last": 60}))?;
    let units = |count: u32| json!({"drop": "neon", "sku": "CAP", "units": {"count": count}});
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    make(&hq, "/v1/transfers", with(units(2), "to", json!("till")))?;
    make(&hq, "/v1/moves", with(units(1), "place", json!("stall-1")))?;
    make(&hq, "/v1/damage", units(1))?;
    let items = json!([{"sku": "CAP"}]);
    let sale = make(&hq, "/v1/sales", json!({"items": items}))?;
    make(&hq, "/v1/refunds", json!({"claim": sale["claim"]}))?;
    let cart = make(&hq, "/v1/carts", json!({"items": items, "ttl_ms": 60_000, "shopper": "order-7"}))?;
    let card = json!({"items": items, "tender": "card", "deferred": true, "reference": "T-1"});
    let sold = make(&hq, "/v1/sales", card)?;
    let settled = make(&hq, "/v1/settlements", json!({"claim": sold["claim"], "failed": true}))?;
    let incident = hq.list("/v1/incidents")?.first().cloned().context("no incident of a failed payment")?;
    make(&hq, "/v1/resolutions", json!({"incident": incident["incident"], "note": "paid in cash"}))?;
    let pickup = make(&hq, "/v1/sales", json!({"items": items, "pickup_at": "hq"}))?;
    make(&hq, "/v1/redemptions", json!({"claim": pickup["claim"]}))?;
    let pickup = make(&hq, "/v1/sales", json!({"items": items, "pickup_at": "hq"}))?;
    make(&hq, "/v1/custody", json!({"claim": pickup["claim"], "to": "till"}))?;
    make(&hq, "/v1/sales", json!({"items": items, "pickup_at": "hq", "pickup_within_ms": 1}))?;
    hq.wait_until("its time to be over", DEADLINE, |hq| {
        Ok((hq.get("/v1/claims?late=true&custodian=hq")?["count"] == 1).then_some(()))
    })?;
    make(&hq, "/v1/sweeps", json!({"drop": "neon", "device": "hq", "claims": 1}))?;
    let note = json!({"kind": "note", "content": "left a bag", "shopper": "order-7"});
    make(&hq, "/v1/people", note)?;
    make(&hq, "/v1/people/erase", json!({"shopper": "order-7"}))?;
    make(&hq, "/v1/devices/renewals", json!({"device": "lost", "days": 3}))?;
    agree(&[&hq, &till])?;
    lost.kill()?;
    let risk = hq.wait_until("it to be out of reach", DEADLINE, |hq| {
        let risk = hq.get("/v1/devices/lost/retirement")?;
        Ok((risk["reachable"] == false).then_some(risk))
    })?;
    make(&hq, "/v1/retirements", json!({"device": "lost", "at_risk": risk["at_risk"]}))?;
    make(&hq, "/v1/registrars", json!({"to": "till"}))?;
    agree(&[&hq, &till])?;

    // On the other device it is the same, as far as it is not of one device alone.
    for (path, location, body) in &made {
        let there = till.get(location).with_context(|| format!("{path}: {location}"))?;
        match *path {
            // What has gone on since: claims, a drop that is open, an address that is erased.
            "/v1/sales" | "/v1/drops" | "/v1/people" | "/v1/refunds" => {
                let name = ["entry", "claim", "drop"].into_iter().find(|name| body[name].is_string());
                let name = name.with_context(|| format!("nothing names {body}"))?;
                assert_eq!(there[name], body[name], "{path}: {location}");
            }
            _ => assert_eq!(lasting(there), lasting(body.clone()), "{path}: {location}"),
        }
    }
    println!("{} things were made, and fetched on both devices", made.len());
    // What is no such thing is not told as one.
    let entry = settled["entry"].as_str().context("no entry")?;
    for other in ["transfers", "moves", "redemptions", "refunds", "sweeps", "retirements", "people"] {
        let answer = till.call("GET", &format!("/v1/{other}/{entry}"), None, None)?;
        assert_eq!((answer.status, answer.code()), (404, "unknown_entry"), "{other}");
    }
    assert_eq!(till.get(&format!("/v1/log/{entry}"))?["entry"], entry);
    // A cart that is over is told as that.
    let cart = cart["cart"].as_str().context("no cart")?;
    hq.call("POST", &format!("/v1/carts/{cart}/release"), None, None)?.ok()?;
    assert_eq!(hq.get(&format!("/v1/carts/{cart}"))?["over"], true);
    // Where nothing was made, nothing is said to be somewhere.
    let nothing = hq.post("/v1/sweeps", &json!({"drop": "neon", "device": "hq", "claims": 0}), None)?;
    assert_eq!((nothing.status, nothing.location), (200, None), "{}", nothing.body);
    Ok(())
}
