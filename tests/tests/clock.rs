//! A till whose clock has no battery: it starts in 1970, sells what it holds, and says what is wrong.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, give, put_on_sale};
use popmesh_tests::{Event, Node, Options};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

/// What has a program believe that it is 1970, and leaves the clock alone that nobody sets. From the Debian package faketime.
fn in_1970() -> Result<Vec<(String, String)>> {
    let libraries = std::fs::read_dir("/usr/lib")?.flatten().map(|folder| folder.path());
    let library: PathBuf = libraries
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .context("no libfaketimeMT.so.1; install faketime, as scripts/test does")?;
    let library = library.to_str().context("a path that is no text")?;
    let set = [
        ("LD_PRELOAD", library),
        ("FAKETIME", "@1970-01-01 00:10:00"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    Ok(set.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
}

fn at_ms(claim: &Value) -> Result<u64> {
    claim["at_ms"].as_u64().with_context(|| format!("no time in {claim}"))
}

#[test]
fn a_till_that_starts_in_1970_sells_alone_and_says_so_where_it_is_heard() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos", "hall-a")?;
    event.enrol("till", "pos", "hall-a")?;
    let hq = Node::start(&event, "hq", Options::loopback(&[]))?;
    let listening = hq.get("/v1/peers")?;
    let address = listening["listening"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let address = address.filter(|address| address.contains("/tcp/")).map(str::to_owned).next();
    let address = address.with_context(|| format!("hq listens nowhere: {listening}"))?;
    put_on_sale(&hq, "CAP", 12)?;
    let till = Node::start(&event, "till", Options::loopback(std::slice::from_ref(&address)))?;
    agree(&[&hq, &till])?;
    give(&hq, "CAP", 6, &till)?;
    agree(&[&hq, &till])?;
    let before = till.sell("CAP", Duration::ZERO, None)?.ok()?;
    till.stop()?;

    // Alone, as far as it knows.
    let wrong = Options { environment: in_1970()?, ..Options::loopback(&[]) };
    let till = Node::start(&event, "till", wrong)?;
    let first = till.sell("CAP", Duration::ZERO, None)?.ok()?;
    ensure!(at_ms(&first)? >= at_ms(&before)?, "{first} is dated before {before}");
    let said = event.run(&["--data", "till", "doctor", "--api", "127.0.0.1:0"])?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.contains("clock"), "{said}");
    till.stop()?;

    // And again, in reach of a clock that is right.
    let wrong = Options { environment: in_1970()?, ..Options::loopback(&[address]) };
    let till = Node::start(&event, "till", wrong)?;
    till.sell("CAP", Duration::ZERO, None)?.ok()?;
    for node in [&hq, &till] {
        let apart = node.wait_until("the clocks to have been compared", DEADLINE, |node| {
            let apart = node.get("/v1/status")?["clocks_apart"].clone();
            Ok((!apart.is_null()).then_some(apart))
        })?;
        assert_eq!((&apart["behind"]["name"], &apart["ahead"]["name"]), (&json!("till"), &json!("hq")));
    }
    till.sell("CAP", Duration::ZERO, None)?.ok()?;
    agree(&[&hq, &till])?;
    assert!(hq.list("/v1/incidents")?.is_empty());

    // What is forfeit by a clock is not taken meanwhile.
    let late = json!({"drop": "late", "title": "Late", "pickup_within_ms": 60_000, "unclaimed": "forfeit"});
    hq.done("/v1/drops", &late)?;
    let swept = hq.post("/v1/sweeps", &json!({"drop": "late", "device": hq.device()?, "claims": 0}), None)?;
    assert_eq!((swept.status, swept.code()), (409, "clocks_disagree"), "{}", swept.body);
    let detail = swept.body["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("till (1970-01-01 00:1") && detail.contains("hq (20"), "{detail}");
    Ok(())
}
