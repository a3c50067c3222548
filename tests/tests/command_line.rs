//! What somebody meets who types: the program itself, and real nodes behind it.

use std::cell::Cell;
use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::put_on_sale;
use popmesh_tests::{Api, Event, Home, Node, Options, Terminal};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);
/// As in Berlin, without a need for its rules to be installed.
const ZONE: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

fn command(event: &Event, words: &[&str]) -> Command {
    let mut command = Command::new(event.program());
    command
        .args(words)
        .current_dir(event.path())
        .env("HOME", event.path())
        .env("NO_COLOR", "1")
        .env("TZ", ZONE);
    for name in ["POPMESH_DATA", "POPMESH_LOG", "USER", "LOGNAME"] {
        command.env_remove(name);
    }
    command
}

fn run(event: &Event, words: &[&str]) -> Result<Output> {
    let output = command(event, words).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("$ popmesh {}\n{}{}", words.join(" "), text(&output.stdout), text(&output.stderr));
    Ok(output)
}

fn says(event: &Event, words: &[&str]) -> Result<String> {
    let output = run(event, words)?;
    ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn fails(event: &Event, words: &[&str], code: i32) -> Result<String> {
    let output = run(event, words)?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(code), "{words:?} ended with {}: {said}", output.status);
    Ok(said)
}

/// A node to which others are told the way.
fn peer(node: &Api<'_>) -> Result<String> {
    let listening = node.get("/v1/peers")?;
    let addresses = listening["listening"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let near = addresses.into_iter().find(|address| address.contains("/ip4/127.0.0.1/tcp/"));
    Ok(near.context("it listens nowhere")?.to_owned())
}

/// An hq, a till and a locker that see each other.
fn shop(event: &Event) -> Result<Vec<Node<'_>>> {
    event.enrol("hq", "hq,pos", "hall-a")?;
    event.enrol("till", "pos", "hall-a")?;
    event.enrol("locker", "locker", "hall-a")?;
    let hq = Node::start(event, "hq", Options::loopback(&[]))?;
    let peers = [peer(&hq)?];
    let mut nodes = vec![hq];
    for name in ["till", "locker"] {
        let mut options = Options::loopback(&peers);
        options.environment.push(("TZ".to_owned(), ZONE.to_owned()));
        if name == "locker" {
            options.arguments.extend(["--door", "virtual"].map(str::to_owned));
        }
        nodes.push(Node::start(event, name, options)?);
    }
    for node in &nodes {
        node.wait_until("all three", DEADLINE, |node| {
            Ok((node.get("/v1/status")?["reachable"] == 3).then_some(()))
        })?;
    }
    Ok(nodes)
}

/// Without what is reckoned from the clock when it is asked for: when a device was last heard, and until when a cart is held.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let is_now = matches!(name.as_str(), "last_heard_ms" | "until_ms") && field.is_u64();
                *field = if is_now { json!("a time") } else { timeless(field.take()) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    value
}

/// What commands that look print as JSON is what the API answers, value for value; and what those print that do something is
/// what the API answers to the same call, which it does once.
#[test]
fn json_is_what_the_api_answers() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos,registrar", "hall-a")?;
    let hq = Node::start(&event, "hq", Options::loopback(&[]))?;
    let printed = |words: &[&str]| -> Result<Value> {
        let said = says(&event, &[&["--json", "--data", "hq"], words].concat())?;
        serde_json::from_str(&said).with_context(|| format!("{words:?} printed {said}"))
    };
    let calls = Cell::new(0);
    let does = |words: &[&str], path: &str, body: Value| -> Result<Value> {
        calls.set(calls.get() + 1);
        let key = format!("call-{}", calls.get());
        let done = printed(&[words, &["--idempotency-key", &key]].concat())?;
        let answer = hq.call("POST", path, Some(&body).filter(|body| !body.is_null()), Some(&key))?;
        ensure!(answer.replayed, "{path} was not what popmesh {words:?} had done: {}", answer.body);
        ensure!(answer.body == done, "popmesh {words:?} printed {done}, and {path} answers {}", answer.body);
        Ok(done)
    };
    let units = |count: u64| json!({"drop": "neon", "sku": "TEE", "units": {"count": count}});
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    does(
        &["product", "add", "TEE", "Tee", "--price", "25.00", "--tax", "19"],
        "/v1/products",
        json!({"sku": "TEE", "name": "Tee", "price": 2500, "tax": 1900}),
    )?;
    does(
        &["drop", "new", "neon"],
        "/v1/drops",
        json!({"drop": "neon", "title": "neon", "pickup_within_ms": null, "unclaimed": "keep", "ends_ms": null}),
    )?;
    does(&["drop", "open", "neon"], "/v1/drops/neon/steps", json!({"step": "open"}))?;
    let mint = ["lot", "mint", "--drop", "neon", "--sku", "TEE", "--serials", "1-20"];
    let lot = json!({"drop": "neon", "sku": "TEE", "first": 1, "last": 20, "numbered": true, "place": null, "edition": null});
    does(&mint, "/v1/lots", lot)?;
    let place = json!("store");
    does(
        &["move", "--drop", "neon", "--sku", "TEE", "--count", "2", "--place", "store"],
        "/v1/moves",
        with(units(2), "place", place),
    )?;
    does(&["damage", "--drop", "neon", "--sku", "TEE", "--count", "1"], "/v1/damage", units(1))?;
    let claim =
        printed(&["sell", "TEE", "--pickup-at", "hq"])?["claim"].as_str().context("a claim")?.to_owned();
    let cart = printed(&["cart", "new", "TEE"])?["cart"].as_str().context("a cart")?.to_owned();
    let other = printed(&["cart", "new", "TEE"])?["cart"].as_str().context("a cart")?.to_owned();
    does(&["cart", "release", &other], &format!("/v1/carts/{other}/release"), Value::Null)?;
    printed(&["sell", "TEE", "--tender", "card", "--deferred", "--reference", "T-1"])?;
    printed(&["drop", "new", "late", "--open"])?;

    let device = hq.device()?;
    let claim_path = format!("/v1/claims/{claim}");
    let looks: Vec<(Vec<&str>, String)> = vec![
        (vec!["status"], "/v1/status".to_owned()),
        (vec!["peers"], "/v1/peers".to_owned()),
        (vec!["product", "list"], "/v1/programme".to_owned()),
        (vec!["drop", "list"], "/v1/programme".to_owned()),
        (vec!["lot", "list"], "/v1/programme".to_owned()),
        (vec!["stock"], "/v1/stock".to_owned()),
        (vec!["stock", "--sku", "TEE"], "/v1/stock?sku=TEE".to_owned()),
        (vec!["claims"], "/v1/claims?limit=20".to_owned()),
        (vec!["claims", "--state", "issued"], "/v1/claims?limit=20&state=issued".to_owned()),
        (vec!["claims", "--limit", "1"], "/v1/claims?limit=1".to_owned()),
        (vec!["claim", "show", &claim], claim_path.clone()),
        (vec!["claim", "token", &claim], format!("{claim_path}/token")),
        (vec!["cart", "list"], "/v1/carts".to_owned()),
        (vec!["cart", "token", &cart], format!("/v1/carts/{cart}/token")),
        (vec!["incidents", "list"], "/v1/incidents".to_owned()),
        (vec!["registrar", "show"], "/v1/registrars".to_owned()),
        (vec!["receipts"], format!("/v1/receipts?device={device}&limit=20")),
        (vec!["receipt", "1"], format!("/v1/receipts/{device}/1")),
        (vec!["takings"], "/v1/takings".to_owned()),
        (vec!["payment", "list"], "/v1/payments/waiting".to_owned()),
        (vec!["people", "list"], "/v1/people".to_owned()),
        (vec!["doors"], "/v1/doors".to_owned()),
        (vec!["log"], "/v1/log?limit=20".to_owned()),
        (vec!["check"], "/v1/check".to_owned()),
    ];
    let mut wrong = Vec::new();
    for (words, path) in &looks {
        let (shown, answer) = (timeless(printed(words)?), timeless(hq.get(path)?));
        if shown != answer {
            wrong.push(format!("popmesh {words:?}\n  {shown}\n{path}\n  {answer}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let described: Value = serde_json::from_str(&says(&event, &["openapi"])?)?;
    assert_eq!(described, hq.get("/v1/openapi.json")?);
    // A refusal is the API's as well, on standard error, with nothing beside it.
    let said = fails(&event, &["--json", "--data", "hq", "sell", "NONE"], 1)?;
    let refused: Value = serde_json::from_str(&said)?;
    let body = json!({"items": [{"sku": "NONE", "quantity": 1}]});
    assert_eq!(refused, hq.post("/v1/sales", &body, None)?.body);
    for words in [&["--json", "sell"][..], &["nothing", "--json"], &["sell", "TEE", "--json", "-n", "0"]] {
        let usage: Value = serde_json::from_str(&fails(&event, words, 2)?)?;
        assert_eq!(usage["code"], "usage");
    }
    Ok(())
}

#[test]
fn people_read_local_times_and_programs_read_unix_milliseconds() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let nodes = shop(&event)?;
    put_on_sale(&nodes[0], "CAP", 30)?;
    let sold = says(&event, &["--json", "--data", "till", "sell", "CAP"])?;
    let sold: Value = serde_json::from_str(&sold)?;
    let (claim, at_ms) = (sold["claim"].as_str().context("a claim")?, sold["sold_at_ms"].as_u64());
    ensure!(at_ms.or(sold["at_ms"].as_u64()).is_some_and(|ms| ms > 1_700_000_000_000), "{sold}");
    // Refused in words that say UTC, by a layer that knows no zone; shown in this one's.
    let said = fails(&event, &["--data", "till", "claim", "redeem", claim], 1)?;
    ensure!(said.contains(" CET at till") || said.contains(" CEST at till"), "{said}");
    for words in [
        &["device", "show"][..],
        &["status"],
        &["peers"],
        &["claims"],
        &["claim", "show", claim],
        &["receipts"],
        &["receipt", "1"],
        &["log"],
        &["stock"],
        &["doctor"],
    ] {
        let shown = run(&event, &[&["--data", "till"], words].concat())?;
        let shown = String::from_utf8(shown.stdout)?;
        ensure!(shown.contains(" CET") || shown.contains(" CEST"), "popmesh {words:?}: {shown}");
        ensure!(!shown.contains("UTC"), "popmesh {words:?}: {shown}");
    }
    // What it logs for people says how far from UTC it is.
    let mut nodes = nodes;
    let log = nodes[1].child().output()?;
    ensure!(log.contains("+01:00 ") || log.contains("+02:00 "), "{log}");
    Ok(())
}

#[test]
fn run_tells_a_person_where_it_is_whom_it_sees_and_what_is_wrong() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos", "hall-a")?;
    event.enrol("till", "pos", "hall-a")?;
    let alone = ["--api", "127.0.0.1:0", "--no-mdns", "--interface", "lo"];
    let mut hq = Terminal::start(&mut command(&event, &[&["--data", "hq", "run"], &alone[..]].concat()))?;
    let up = hq.wait_for("Ctrl-C stops it", DEADLINE)?;
    let place = fs::read_to_string(event.path().join("hq/api.addr"))?;
    for text in
        ["hq (", "is up: pos,hq at hall-a, in the event Neon Drop (", place.trim(), "until 20", "product add"]
    {
        ensure!(up.contains(text), "{text}: {up}");
    }
    ensure!(up.contains("popmesh --data hq ") && !up.contains("INFO"), "{up}");
    // A second one on this folder, and on this port.
    let said = fails(&event, &[&["--data", "hq", "run"], &alone[..]].concat(), 1)?;
    ensure!(
        said.contains("another popmesh node")
            && said.contains("stop it, or give this one a folder of its own"),
        "{said}"
    );
    let mut taken = alone;
    taken[1] = place.trim();
    let said = fails(&event, &[&["--data", "till", "run"], &taken[..]].concat(), 1)?;
    ensure!(said.contains("is in use") && said.contains("choose another with --api"), "{said}");
    // Others come and go.
    let status = says(&event, &["--json", "--data", "hq", "peers"])?;
    let listening: Value = serde_json::from_str(&status)?;
    let near = listening["listening"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let near = near.into_iter().find(|address| address.contains("/ip4/127.0.0.1/tcp/")).context("nowhere")?;
    let till = Node::start(&event, "till", Options::loopback(&[near.to_owned()]))?;
    hq.wait_for("sees till (", DEADLINE)?;
    says(&event, &["--data", "hq", "links", "off"])?;
    hq.wait_for("problem: links are off", DEADLINE)?;
    hq.wait_for("till is out of reach; nobody else is in reach", DEADLINE)?;
    says(&event, &["--data", "hq", "links", "on"])?;
    hq.wait_for("solved: links are on", DEADLINE)?;
    till.stop()?;
    hq.interrupt()?;
    ensure!(hq.ends(DEADLINE)?.success(), "{}", hq.shown());
    // Who asks for a log gets that.
    for (name, value, more) in
        [("POPMESH_LOG", "popmesh=info", None), ("NO_COLOR", "1", Some("--log-format=human"))]
    {
        let mut words = [&["--data", "hq", "run"], &alone[..]].concat();
        words.extend(more);
        let logged = Terminal::start(command(&event, &words).env(name, value))?;
        let log = logged.wait_for(" running ", DEADLINE)?;
        ensure!(log.contains("INFO") && !log.contains("is up:"), "{log}");
    }
    Ok(())
}

#[test]
fn a_folder_that_nobody_made_is_told_of_and_what_makes_one() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    for words in [
        &["status"][..],
        &["stock"],
        &["sell", "CAP"],
        &["check"],
        &["links", "off"],
        &["device", "show"],
        &["event", "show"],
        &["api", "certificate"],
        &["api", "token", "list"],
        &["token", "inspect", "POPMESH1:A"],
        &["device", "tickets"],
        &["run"],
        &["export", "out"],
        &["people", "list"],
        &["doors"],
        &["peers"],
    ] {
        let said = fails(&event, &[&["--data", "till-1"], words].concat(), 1)?;
        ensure!(said.contains("there is no folder till-1"), "{words:?}: {said}");
        ensure!(
            said.contains("--data till-1 quickstart NAME") && said.contains("--data till-1 join"),
            "{words:?}: {said}"
        );
    }
    assert!(!event.path().join("till-1").exists() && !event.path().join("out").exists());
    // One that is there, and no device's.
    fs::create_dir(event.path().join("empty"))?;
    let said = fails(&event, &["--data", "empty", "status"], 1)?;
    ensure!(said.contains("empty has no device key") && said.contains("popmesh --data empty join"), "{said}");
    // One whose device is in no event yet.
    says(&event, &["--data", "new", "device", "new", "--name", "new"])?;
    let said = fails(&event, &["--data", "new", "status"], 1)?;
    ensure!(said.contains("in no event yet") && said.contains("popmesh --data new join"), "{said}");
    Ok(())
}

#[test]
fn a_newcomers_wrong_turns_are_told_the_way() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let nodes = shop(&event)?;
    put_on_sale(&nodes[0], "CAP", 30)?;
    let locker = &nodes[2];
    // Units that never got there: who has them, and what to type there. Then they are there.
    locker.wait_until("its share", DEADLINE, |locker| {
        // It has to hear of the SKU first.
        let Ok(stock) = locker.stock("CAP") else { return Ok(None) };
        let hq =
            stock["holders"].as_array().into_iter().flatten().find(|holder| holder["name"] == "hq").cloned();
        Ok(hq.filter(|_| stock["own"]["available"].as_u64() > Some(0)))
    })?;
    let said = fails(
        &event,
        &[
            "--data",
            "locker",
            "stow",
            "--drop",
            "cap",
            "--sku",
            "CAP",
            "--count",
            "30",
            "--compartment",
            "07",
        ],
        1,
    )?;
    // How many may have changed meanwhile: stock drifts.
    ensure!(said.contains("this device holds ") && said.contains(" of CAP free to give ("), "{said}");
    ensure!(
        said.contains("hq holds ")
            && said.contains("popmesh transfer --drop cap --sku CAP --count 30 --to locker"),
        "{said}"
    );
    let answer = locker.post(
        "/v1/moves",
        &json!({"drop": "cap", "sku": "CAP", "units": {"count": 30}, "place": "locker/07"}),
        None,
    )?;
    assert_eq!((answer.status, answer.code()), (409, "not_held"), "{}", answer.body);
    ensure!(
        answer.body["serials"].is_string() && answer.body["holders"][0]["units"].is_u64(),
        "{}",
        answer.body
    );
    // Whose address it is, and who was meant.
    fs::copy(event.path().join("hq/api.addr"), event.path().join("till/api.addr"))?;
    let said = fails(&event, &["--data", "till", "status"], 1)?;
    ensure!(said.contains("hq (") && said.contains("till (") && said.contains("was meant"), "{said}");
    ensure!(said.contains("popmesh run --data till"), "{said}");
    fs::write(event.path().join("till/api.addr"), nodes[1].api().trim_start_matches("http://"))?;
    // Who may not, and who may.
    let said = fails(&event, &["--data", "till", "product", "add", "HAT", "Hat", "--price", "5"], 1)?;
    ensure!(said.contains("till has the roles pos") && said.contains("in reach with it: hq"), "{said}");
    // A door is settled by whoever is there, whether or not the environment knows a name.
    let sold = says(&event, &["--json", "--data", "till", "sell", "CAP", "--pickup-at", "locker"])?;
    let claim = serde_json::from_str::<Value>(&sold)?["claim"].as_str().context("a claim")?.to_owned();
    let said = fails(&event, &["--data", "locker", "door", "settle", &claim, "--handed-over"], 1)?;
    ensure!(!said.contains("--by"), "{said}");
    let said = says(&event, &["--data", "hq", "check"])?;
    ensure!(said.contains("none twice") && said.contains("Nothing is wrong."), "{said}");
    Ok(())
}

#[test]
fn renewals_do_what_they_can_and_say_the_rest() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol_for("hq", "hq,pos", "hall-a", &["--days", "5"])?;
    event.enrol_for("till", "pos", "hall-a", &["--days", "2"])?;
    event.enrol("other", "hq", "hall-a")?;
    let hq = Node::start(&event, "hq", Options::loopback(&[]))?;
    let peers = [peer(&hq)?];
    let _others = ["till", "other"].map(|name| Node::start(&event, name, Options::loopback(&peers)));
    hq.wait_until("all three", DEADLINE, |hq| Ok((hq.get("/v1/status")?["devices"] == 3).then_some(())))?;
    let renew = |more: &[&str]| says(&event, &[&["--data", "hq", "device", "renew"], more].concat());
    // Good for longer than that already: nothing is to be done, and nothing has failed.
    let said = renew(&["till", "--days", "1"])?;
    ensure!(said.contains("as before  till is good until") && said.contains("already"), "{said}");
    let said = renew(&["--all"])?;
    ensure!(said.contains("renewed    till, until"), "{said}");
    ensure!(said.contains("as before  other is hq") && said.contains("device renew --event DIR"), "{said}");
    let said = renew(&["till", "--days", "3"])?;
    ensure!(said.contains("as before  till"), "{said}");
    // What only the organiser can sign, at that device.
    let said = fails(&event, &["--data", "hq", "device", "renew", "till", "--days", "30"], 1)?;
    ensure!(said.contains("hq, who would sign") && said.contains("device renew --event DIR"), "{said}");
    let said = renew(&["--event", "organiser", "--days", "40"])?;
    ensure!(said.contains("renewed    hq, until") && said.contains("next start"), "{said}");
    let said = fails(&event, &["--data", "hq", "device", "renew", "--event", "organiser", "--days", "2"], 1)?;
    ensure!(said.contains("already"), "{said}");
    fails(&event, &["--data", "hq", "device", "renew", "--event", "hq"], 1)?;
    hq.stop()?;
    let hq = Node::start(&event, "hq", Options::loopback(&[]))?;
    let end = hq.get("/v1/status")?["device"]["certificate_until_ms"].as_u64();
    let shown: Value = serde_json::from_str(&says(&event, &["--json", "--data", "hq", "device", "show"])?)?;
    assert_eq!(end, shown["not_after_ms"].as_u64());
    assert_eq!(shown["issuer"], Value::Null, "the organiser's own word");
    Ok(())
}

#[test]
fn check_fails_where_something_is_wrong() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq", "hall-a")?;
    event.enrol("other", "hq", "hall-a")?;
    let hq = Node::start(&event, "hq", Options::loopback(&[]))?;
    let other = Node::start(&event, "other", Options::loopback(&[peer(&hq)?]))?;
    for node in [&hq, &other] {
        node.wait_until("both", DEADLINE, |node| {
            Ok((node.get("/v1/status")?["reachable"] == 2).then_some(()))
        })?;
    }
    says(&event, &["--data", "hq", "product", "add", "CAP", "Cap", "--price", "5"])?;
    says(&event, &["--data", "hq", "drop", "new", "cap", "--open"])?;
    other.wait_until("the drop", DEADLINE, |other| {
        Ok((other.get("/v1/programme")?["drops"][0]["state"] == "open").then_some(()))
    })?;
    for name in ["hq", "other"] {
        says(&event, &["--data", name, "links", "off"])?;
        says(&event, &["--data", name, "lot", "mint", "--drop", "cap", "--sku", "CAP", "--serials", "1-5"])?;
    }
    for name in ["hq", "other"] {
        says(&event, &["--data", name, "check"])?;
        says(&event, &["--data", name, "links", "on"])?;
    }
    hq.wait_until("the incident", DEADLINE, |hq| {
        Ok(hq.get("/v1/check")?["incidents"].as_array().is_some_and(|all| !all.is_empty()).then_some(()))
    })?;
    let output = run(&event, &["--data", "hq", "check"])?;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout)?;
    ensure!(said.contains("incident  ") && said.contains("popmesh incidents list"), "{said}");
    let output = run(&event, &["--json", "--data", "hq", "check"])?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout)?, hq.get("/v1/check")?);
    Ok(())
}

/// The words of a command, of the name of its page: what follows the name of its parent's page is one word.
fn words_of<'a>(name: &'a str, names: &[String]) -> Vec<&'a str> {
    let rests = names
        .iter()
        .filter_map(|parent| Some((parent, name.strip_prefix(parent.as_str())?.strip_prefix('-')?)));
    let Some((parent, rest)) = rests.min_by_key(|(_, rest)| rest.len()) else { return vec![] };
    [words_of(&name[..parent.len()], names), vec![rest]].concat()
}

#[test]
fn there_is_a_manual_page_for_each_command() -> Result<()> {
    let home = Home::new()?;
    home.says(&["man", "pages"])?;
    let mut pages = 0;
    let names: Vec<String> =
        home.files()?.keys().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    for (path, text) in home.files()? {
        let (name, text) =
            (path.file_stem().context("a name")?.to_string_lossy().into_owned(), String::from_utf8(text)?);
        ensure!(
            text.contains(".TH ") && text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"),
            "{name}: {text}"
        );
        // As many words as it is called by: each has help.
        let words = words_of(&name, &names);
        home.says(&[&words[..], &["--help"]].concat())?;
        // Nothing of the host where it was made.
        ensure!(!text.contains("root") || name == "popmesh", "{name}: {text}");
        pages += 1;
        // Where there is a formatter, it has nothing to say.
        let formatted = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&path).output();
        if let Ok(formatted) = formatted {
            let said = String::from_utf8_lossy(&formatted.stdout).into_owned();
            ensure!(said.is_empty(), "{name}: {said}");
        }
    }
    ensure!(pages > 80, "{pages} pages");
    let main = home.says(&["man"])?;
    for section in ["EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"] {
        ensure!(main.contains(section), "{section}: {main}");
    }
    // Every command is in the main page, and every page it names is there.
    for command in ["quickstart", "run", "check", "man"] {
        ensure!(main.contains(&format!("popmesh\\-{command}(1)")), "{command}: {main}");
    }
    Ok(())
}

#[test]
fn shells_complete_commands_and_values() -> Result<()> {
    let home = Home::new()?;
    let script = home.says(&["completions", "bash"])?;
    fs::write(home.path().join("popmesh.bash"), script)?;
    for (typed, offered) in [
        ("popmesh qu", "quickstart"),
        ("popmesh device re", "renew"),
        ("popmesh device sign x --role ", "pos locker encoder hq registrar steward"),
        ("popmesh device ticket --role ", "pos locker encoder hq registrar steward"),
        ("popmesh api token new --scope ", "till locker encoder read-only manager"),
        ("popmesh claims --state ", "issued refund-requested redeemed refunded returned expired"),
        ("popmesh run --log-format ", "human json"),
        ("popmesh quickstart x --currency E", "EGP ERN ETB EUR"),
        ("popmesh sell x --tender ", "cash card voucher other"),
        ("popmesh drop new x --unclaimed ", "keep refund forfeit"),
    ] {
        let mut words: Vec<&str> = typed.split(' ').collect();
        let last = words.pop().context("a word")?;
        let quoted: Vec<String> = words.iter().chain([&last]).map(|word| format!("'{word}'")).collect();
        let program = format!(
            "source popmesh.bash; COMP_WORDS=({}); COMP_CWORD={}; _popmesh popmesh '{last}' '{}'; echo \"${{COMPREPLY[*]}}\"",
            quoted.join(" "),
            words.len(),
            words.last().context("a word before")?
        );
        let output = Command::new("bash").args(["-c", &program]).current_dir(home.path()).output()?;
        let found = String::from_utf8(output.stdout)?;
        assert_eq!(found.trim(), offered, "{typed}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // The others are read by whoever has them: what they know is the same.
    let zsh = home.says(&["completions", "zsh"])?;
    ensure!(
        zsh.contains("(pos locker encoder hq registrar steward)") && zsh.contains("quickstart:"),
        "{zsh}"
    );
    let fish = home.says(&["completions", "fish"])?;
    fs::write(home.path().join("popmesh.fish"), &fish)?;
    ensure!(
        fish.contains("__fish_seen_subcommand_from api; and __fish_seen_subcommand_from token"),
        "{fish}"
    );
    for (typed, offered) in [
        ("popmesh links ", "off on"),
        ("popmesh api token new --scope ", "encoder locker manager read-only till"),
    ] {
        let program = format!("source popmesh.fish; complete -C '{typed}'");
        let Ok(output) = Command::new("fish")
            .args(["-c", &program])
            .current_dir(home.path())
            .env("HOME", home.path())
            .output()
        else {
            println!("fish is not installed");
            return Ok(());
        };
        let found = String::from_utf8(output.stdout)?;
        let mut found: Vec<&str> = found.lines().filter_map(|line| line.split('\t').next()).collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), offered, "{typed}");
    }
    Ok(())
}
