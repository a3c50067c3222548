//! Admission from a page of an hq: the running node opens a window, and the newcomer uses the same command as ever.

use anyhow::{Context, Result, ensure};
use popmesh_tests::{Api, Event, Network, Node, Options};
use serde_json::{Value, json};

use super::{DEADLINE, NewDevice, VENUE, in_file, run, text, wrong};

fn path(window: &Value) -> Result<String> {
    Ok(format!("/v1/admissions/{}", text(window, "admission")?))
}

/// Waits until a window is as said, and answers it.
fn wait_for(hq: &Api<'_>, window: &Value, state: &str) -> Result<Value> {
    let path = path(window)?;
    hq.wait_until(state, DEADLINE, |hq| {
        let window = hq.get(&path)?;
        Ok((window["state"] == state).then_some(window))
    })
}

#[test]
fn by_code_and_by_ticket_and_a_closed_window_lets_nobody_in() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos", VENUE)?;
    let network = Network::new(55, 3)?;
    let host = |number: usize| Some(network.host(number));
    let hq = Node::start(&event, "hq", Options { host: host(0), ..Options::default() })?;

    // The code that a device shows is looked for; asked again under the same key it is the same window.
    let mut by_code = NewDevice::show(&event, host(1), "by-code")?;
    let (code, _) = by_code.code()?;
    let body = json!({"code": code, "roles": ["pos", "locker"], "venue": VENUE, "name": "till-7"});
    let opened = hq.post("/v1/admissions", &body, Some("page-1"))?;
    assert_eq!(opened.status, 201, "{}", opened.body);
    let again = hq.post("/v1/admissions", &body, Some("page-1"))?;
    assert_eq!((again.replayed, &again.body["admission"]), (true, &opened.body["admission"]));
    assert_eq!(opened.location.as_deref(), Some(path(&opened.body)?.as_str()));
    let admitted = wait_for(&hq, &opened.body, "admitted")?;
    let device = &admitted["admitted"][0];
    assert_eq!(
        (&device["name"], &device["roles"]),
        (&json!("till-7"), &json!(["pos", "locker"])),
        "{admitted}"
    );
    let (status, said) = by_code.end()?;
    ensure!(status.success(), "{said}");

    // A ticket for two; where it is served is found by mDNS.
    let body = json!({"roles": ["pos"], "venue": VENUE, "count": 2, "prefix": "till-", "days": 1});
    let window = hq.done("/v1/admissions", &body)?;
    assert_eq!((&window["state"], &window["by"]), (&json!("open"), &json!("ticket")));
    ensure!(text(&window["ticket"], "qr_svg")?.contains("<svg"), "{window}");
    let ticket = in_file(&event, text(&window["ticket"], "text")?)?;
    let join = |data, name| ["--data", data, "join", "--name", name, "--ticket", &ticket, "--wait", "20s"];
    let (status, said, took) = run(&event, host(1), &join("by-ticket", "eight"))?;
    ensure!(status.success(), "{said}");
    println!("by ticket: {took:.2?} in all");
    let half = hq.get(&path(&window)?)?;
    assert_eq!(
        (&half["state"], &half["admitted"][0]["name"]),
        (&json!("open"), &json!("till-eight")),
        "{half}"
    );
    // A name that is in use is refused, and seen on the page.
    let (status, _, _) = run(&event, host(2), &join("twin", "till-7"))?;
    ensure!(!status.success(), "two devices have one name");
    let seen = hq.get(&path(&window)?)?;
    ensure!(
        seen["refusals"].as_u64() > Some(0) && text(&seen["refused"][0], "why")?.contains("till-7"),
        "{seen}"
    );
    let closed = hq.done(&format!("{}/close", path(&window)?), &json!({}))?;
    assert_eq!((&closed["state"], closed.get("ticket")), (&json!("closed"), None), "{closed}");
    // Neither the node nor who serves the tickets of the folder takes it any more.
    let at = window["ticket"]["addresses"][0].as_str().context("no address")?;
    let (status, said, _) = run(
        &event,
        host(2),
        &["--data", "late", "join", "--name", "late", "--ticket", &ticket, "--at", at, "--wait", "2s"],
    )?;
    ensure!(!status.success(), "a closed window let it in: {said}");
    let tickets = event.popmesh(&["--data", "hq", "device", "tickets"])?;
    let ended = tickets["tickets"][0]["until_ms"].as_u64().context("no end")?;
    ensure!(ended < window["until_ms"].as_u64().context("no end")?, "{tickets}");
    ensure!(
        !hq.get("/v1/admissions")?.to_string().contains(text(&window["ticket"], "text")?),
        "it is still shown"
    );

    // A code that nobody shows fails with what to do.
    let mut other = NewDevice::show(&event, host(1), "other")?;
    let (code, at) = other.code()?;
    let body = json!({"code": wrong(&code), "roles": ["pos"], "venue": VENUE, "at": at.to_string()});
    let failed = wait_for(&hq, &hq.done("/v1/admissions", &body)?, "failed")?;
    ensure!(text(&failed, "why")?.contains("admit the one that it shows now"), "{failed}");
    ensure!(!other.has_joined(), "it joined by a wrong code");
    Ok(())
}

#[test]
fn who_may_not_admit_is_told_and_nothing_is_opened() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    for (name, roles) in [("hq", "hq,pos"), ("till", "pos")] {
        event.enrol(name, roles, VENUE)?;
    }
    let hq = Node::start(&event, "hq", Options::loopback(&[]))?;
    let till = Node::start(&event, "till", Options::loopback(&[]))?;
    let body = json!({"roles": ["pos"], "venue": VENUE});
    let refused = till.post("/v1/admissions", &body, None)?;
    assert_eq!((refused.status, refused.code()), (403, "may_not_admit"), "{}", refused.body);
    ensure!(text(&refused.body, "detail")?.contains("do it on an hq or a steward"), "{}", refused.body);
    let with_code = json!({"code": "417-7K2-M9Q", "roles": ["hq"], "venue": VENUE, "at": "127.0.0.1:9"});
    assert_eq!(hq.post("/v1/admissions", &with_code, None)?.code(), "may_not_grant");
    for (field, more) in [
        ("roles", json!({"roles": []})),
        ("roles", json!({"roles": ["steward"]})),
        ("venue", json!({"venue": "hq/07"})),
        ("code", json!({"code": "no code"})),
        ("name", json!({"name": "till-9"})),
        ("at", json!({"at": "127.0.0.1:9"})),
        ("count", json!({"count": 0})),
        ("count", json!({"count": 201})),
        ("days", json!({"days": 367})),
        ("prefix", json!({"prefix": " till"})),
        ("open_ms", json!({"open_ms": 86_400_001})),
        ("until_ms", json!({"until_ms": 1})),
    ] {
        let mut wrong = body.clone();
        wrong.as_object_mut().context("no object")?.extend(more.as_object().cloned().unwrap_or_default());
        let refused = hq.post("/v1/admissions", &wrong, None)?;
        assert_eq!((refused.code(), &refused.body["field"]), ("invalid", &json!(field)), "{more}");
    }
    assert_eq!(hq.list("/v1/admissions")?, Vec::<Value>::new());
    // Eight at once; a page that is opened again and again opens no more.
    let idle = json!({"code": "417-7K2-M9Q", "roles": ["pos"], "venue": VENUE, "at": "127.0.0.1:9", "open_ms": 60_000});
    for _ in 0..8 {
        hq.done("/v1/admissions", &idle)?;
    }
    assert_eq!(hq.post("/v1/admissions", &idle, None)?.code(), "too_many_admissions");
    let first = hq.list("/v1/admissions")?.pop().context("no window")?;
    assert_eq!(hq.done(&format!("{}/close", path(&first)?), &json!({}))?["state"], "closed");
    hq.done("/v1/admissions", &idle)?;
    assert_eq!(
        hq.post("/v1/admissions/0000000000000000/close", &json!({}), None)?.code(),
        "no_such_admission"
    );
    Ok(())
}
