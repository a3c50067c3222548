//! Disks that fill up or turn read-only under a real node: it sells nothing that it cannot write down, says why, and
//! sells again once it can.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use popmesh_tests::books::{check, claim_id, put_on_sale};
use popmesh_tests::listener::{Connection, Listener, all_facts};
use popmesh_tests::refusal::problem;
use popmesh_tests::{Child, Event, Mounts, Node, Options};
use serde_json::Value;

const DISK_KIBIBYTES: u32 = 2_048;
const UNITS: u32 = 2_000;
/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);

/// An event, and the folder of its device `hq` on a small disk of its own.
fn on_a_small_disk(mounts: &Mounts) -> Result<(Event, PathBuf)> {
    let event = Event::found("Neon Drop")?;
    let enrolled = event.enrol("enrolled", "hq,pos", "hall-a")?;
    let folder = event.path().join("hq");
    mounts.small_disk(&folder, DISK_KIBIBYTES)?;
    for file in ["device.key", "event.charter", "device.certificate", "event.secret"] {
        mounts.run("cp", &["-p".as_ref(), &enrolled.join(file), &folder])?;
    }
    Ok((event, folder))
}

fn options(mounts: &Mounts) -> Options<'_> {
    Options { mounts: Some(mounts), ..Options::loopback(&[]) }
}

/// Takes all the room that there is.
fn fill(path: &Path) -> Result<()> {
    let mut file = fs::File::create(path).context("make the filler")?;
    for block in [4_096, 1] {
        while file.write_all(&vec![0; block]).is_ok() {}
    }
    Ok(())
}

/// Sells until it is refused; answers the refusal. What was acknowledged is added to `acknowledged`.
fn sell_until_refused(
    hq: &Node<'_>,
    acknowledged: &mut BTreeMap<String, Value>,
) -> Result<popmesh_tests::Answer> {
    for number in 0..UNITS {
        let key = format!("shopper-{}-{number}", acknowledged.len());
        let answer = hq.sell("CAP", Duration::ZERO, Some(&key))?;
        if answer.status != 201 {
            return Ok(answer);
        }
        let claim = answer.ok()?;
        acknowledged.insert(claim_id(&claim)?, claim);
    }
    bail!("a full disk took {UNITS} sales")
}

/// Its sales are those that were acknowledged, and no other.
fn compare(hq: &Node<'_>, acknowledged: &BTreeMap<String, Value>) -> Result<()> {
    let claims = hq.claims()?;
    let known: BTreeMap<String, Value> =
        claims.into_iter().map(|claim| Ok((claim_id(&claim)?, claim))).collect::<Result<_>>()?;
    assert_eq!(known, *acknowledged);
    assert_eq!(check(hq, "CAP")? as usize, known.len());
    Ok(())
}

#[test]
fn a_full_disk() -> Result<()> {
    let mounts = Mounts::new()?;
    let (event, folder) = on_a_small_disk(&mounts)?;
    let mut hq = Node::start(&event, "hq", options(&mounts))?;
    put_on_sale(&hq, "CAP", UNITS)?;
    let mut acknowledged = BTreeMap::new();
    let filler = mounts.outside(&folder.join("filler"));
    for round in 0..2 {
        for _ in 0..5 {
            let claim = hq.sell("CAP", Duration::ZERO, None)?.ok()?;
            acknowledged.insert(claim_id(&claim)?, claim);
        }
        fill(&filler)?;
        let before = acknowledged.len();
        let refused = sell_until_refused(&hq, &mut acknowledged)?;
        println!("round {round}: {} sales on what room was left", acknowledged.len() - before);
        let detail = problem(&refused, 503, "not_stored");
        assert!(detail.contains("not done, because it could not be written down"), "{detail}");
        assert!(detail.contains("is full; make room on it"), "{detail}");
        let health = hq.call("GET", "/v1/health", None, None)?;
        assert!(problem(&health, 503, "not_stored").contains("nothing is sold"));
        let list = hq.call("GET", "/v1/health/list", None, None)?.ok()?;
        let room = list["items"].as_array().into_iter().flatten().find(|one| one["check"] == "disk");
        let room = room.context("nobody looks at the disk")?;
        assert!(room["severity"] == "act" && room["params"]["free_mb"] == 0, "{room}");
        assert_eq!(list["worst"], "act");
        let words = mounts.enter(event.program());
        let mut doctor = std::process::Command::new(&words[0]);
        doctor.args(&words[1..]).arg("--data").arg(&folder).arg("doctor");
        let doctor = doctor.output()?;
        let said = String::from_utf8(doctor.stdout)?;
        assert!(
            said.contains("nothing can be written down, so nothing is sold"),
            "{said}{}",
            String::from_utf8_lossy(&doctor.stderr)
        );
        let said = event.run(&["sell", "CAP", "--api", hq.api()])?;
        let said = String::from_utf8(said.stderr)?;
        assert!(said.contains("is full; make room on it") && said.contains("help: "), "{said}");

        fs::remove_file(&filler).context("make room")?;
        // The same process, by itself.
        let claim = hq.wait_until("a sale after there is room", DEADLINE, |hq| {
            let answer = hq.sell("CAP", Duration::ZERO, None)?;
            if answer.code() == "not_stored" { Ok(None) } else { answer.ok().map(Some) }
        })?;
        acknowledged.insert(claim_id(&claim)?, claim);
        compare(&hq, &acknowledged)?;
    }
    hq.kill()?;
    hq.restart()?;
    compare(&hq, &acknowledged)
}

#[test]
fn a_disk_that_is_full_or_read_only_at_the_start() -> Result<()> {
    let mounts = Mounts::new()?;
    let (event, folder) = on_a_small_disk(&mounts)?;
    let filler = mounts.outside(&folder.join("filler"));
    fill(&filler)?;
    let said = does_not_start(&event, &mounts)?;
    assert!(said.contains("is full; make room on it"), "{said}");
    fs::remove_file(&filler)?;

    let mut hq = Node::start(&event, "hq", options(&mounts))?;
    put_on_sale(&hq, "CAP", UNITS)?;
    let claim = hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    let acknowledged = BTreeMap::from([(claim_id(&claim)?, claim)]);
    hq.kill()?;
    mounts.set_read_only(&folder, true)?;
    let said = does_not_start(&event, &mounts)?;
    assert!(said.contains("is read-only; make it writable for this user"), "{said}");
    mounts.set_read_only(&folder, false)?;
    hq.restart()?;
    compare(&hq, &acknowledged)
}

fn does_not_start(event: &Event, mounts: &Mounts) -> Result<String> {
    let words = mounts.enter(event.program());
    let mut command = std::process::Command::new(&words[0]);
    command.args(&words[1..]).arg("--data").arg(event.path().join("hq"));
    command.args(["run", "--api", "127.0.0.1:0", "--no-mdns", "--interface", "lo"]);
    let mut node = Child::start("hq", &mut command)?;
    let status = node.wait(DEADLINE)?;
    let said = node.output()?;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.lines().any(|line| line.starts_with("error: ")), "{said}");
    Ok(said)
}

/// Hears all that is stored by now, over the connection that it has.
fn hear_all(listener: &mut Listener, connection: &mut Connection, hq: &Node<'_>) -> Result<()> {
    let end = all_facts(hq)?.last().map(|(id, _)| id.clone());
    ensure!(listener.listen(connection, usize::MAX, |listener| listener.last == end)?, "the stream ended");
    Ok(())
}

/// What was told of sales is what was acknowledged, each once.
fn compare_told(facts: &[(String, Value)], acknowledged: &BTreeMap<String, Value>) -> Result<()> {
    let ids: BTreeSet<&String> = facts.iter().map(|(id, _)| id).collect();
    ensure!(ids.len() == facts.len(), "an id came twice");
    let sold = facts.iter().filter(|(_, fact)| fact["event"] == "sold");
    let sold: Vec<String> = sold.map(|(_, fact)| claim_id(fact)).collect::<Result<_>>()?;
    ensure!(sold.len() == acknowledged.len(), "{} told, {} acknowledged", sold.len(), acknowledged.len());
    ensure!(sold.iter().all(|claim| acknowledged.contains_key(claim)), "a refused sale was told");
    Ok(())
}

#[test]
fn a_listener_on_a_full_disk_hears_of_each_sale_that_was_taken_and_of_no_other() -> Result<()> {
    let mounts = Mounts::new()?;
    let (event, folder) = on_a_small_disk(&mounts)?;
    let mut hq = Node::start(&event, "hq", options(&mounts))?;
    let mut listener = Listener::default();
    let mut connection = listener.connect(hq.api())?;
    put_on_sale(&hq, "CAP", UNITS)?;
    let mut acknowledged = BTreeMap::new();
    let filler = mounts.outside(&folder.join("filler"));
    for round in 0..2 {
        for _ in 0..5 {
            let claim = hq.sell("CAP", Duration::ZERO, None)?.ok()?;
            acknowledged.insert(claim_id(&claim)?, claim);
        }
        fill(&filler)?;
        let refused = sell_until_refused(&hq, &mut acknowledged)?;
        problem(&refused, 503, "not_stored");
        hear_all(&mut listener, &mut connection, &hq)?;
        compare_told(&listener.facts, &acknowledged)?;

        fs::remove_file(&filler).context("make room")?;
        let claim = hq.wait_until("a sale after there is room", DEADLINE, |hq| {
            let answer = hq.sell("CAP", Duration::ZERO, None)?;
            if answer.code() == "not_stored" { Ok(None) } else { answer.ok().map(Some) }
        })?;
        acknowledged.insert(claim_id(&claim)?, claim);
        hear_all(&mut listener, &mut connection, &hq)?;
        println!("round {round}: {} events, {} sales", listener.facts.len(), acknowledged.len());
        compare_told(&listener.facts, &acknowledged)?;
    }
    assert_eq!(listener.resets, Vec::<Value>::new());
    assert!(listener.facts == all_facts(&hq)?, "it heard what is stored");

    hq.kill()?;
    hq.restart()?;
    let beginning = listener.facts.first().map(|(id, _)| id.replace(":1", ":0"));
    let mut again = Listener { last: beginning, ..Listener::default() };
    let mut connection = again.connect(hq.api())?;
    hear_all(&mut again, &mut connection, &hq)?;
    assert_eq!(again.resets, Vec::<Value>::new());
    assert!(again.facts == listener.facts, "from the beginning it is the same");
    Ok(())
}
