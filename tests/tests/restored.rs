//! A till whose database is set back to an earlier state, or moved away: it says so, sells nothing alone, hears from another
//! what it did, and goes on without selling anything twice.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use popmesh_tests::books::{agree, claim_id, put_on_sale, serials};
use popmesh_tests::refusal::problem;
use popmesh_tests::{Api, Event, Network, Node, Options};

const NAMES: [&str; 2] = ["hq", "till"];
const TILL: usize = 1;
const UNITS: u32 = 20;
const DEADLINE: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_secs(3);

/// The database, without what lies beside it.
fn copy_database(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for suffix in ["", "-wal"] {
        let name = format!("popmesh.db{suffix}");
        match fs::copy(from.join(&name), to.join(&name)) {
            // Closed in good order, there is no log beside it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !suffix.is_empty() => {
                let left = to.join(&name);
                if left.exists() {
                    fs::remove_file(left)?;
                }
            }
            other => drop(other.context("copy the database")?),
        }
    }
    Ok(())
}

#[test]
fn it_sells_nothing_until_another_has_told_it_what_it_did() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(73, NAMES.len())?;
    for (name, roles) in NAMES.into_iter().zip(["hq", "pos"]) {
        event.enrol(name, roles, "hall-a")?;
    }
    let start = |index: usize| {
        let host = Some(&network.hosts()[index]);
        Node::start(&event, NAMES[index], Options { host, ..Options::default() })
    };
    let (hq, mut till) = (start(0)?, start(TILL)?);
    put_on_sale(&hq, "CAP", UNITS)?;
    agree(&[&hq, &till])?;
    // Stock drifts to where it sells.
    till.wait_until("stock to sell", DEADLINE, |till| {
        Ok((till.stock("CAP")?["own"]["available"].as_u64() >= Some(8)).then_some(()))
    })?;
    agree(&[&hq, &till])?;
    let folder = event.path().join(NAMES[TILL]);
    let image = event.path().join("image");
    till.kill()?;
    copy_database(&folder, &image)?;
    till.restart()?;

    // What is sold from here on, the image does not know.
    let mut sold: BTreeSet<String> = BTreeSet::new();
    let mut units: BTreeSet<u32> = BTreeSet::new();
    let mut take = |claim: &serde_json::Value| -> Result<()> {
        ensure!(sold.insert(claim_id(claim)?), "a claim twice: {claim}");
        for unit in serials(claim)? {
            ensure!(units.insert(unit), "unit {unit} is sold twice");
        }
        Ok(())
    };
    for _ in 0..3 {
        take(&till.sell("CAP", WAIT, None)?.ok()?)?;
    }
    agree(&[&hq, &till])?;
    network.cut_off(TILL);
    till.kill()?;
    copy_database(&image, &folder)?;
    till.restart()?;

    let refused = till.sell("CAP", Duration::ZERO, None)?;
    let text = problem(&refused, 503, "past_unknown");
    assert!(text.contains("its database was set back") && text.contains("popmesh past accept"), "{text}");
    assert_eq!(till.get("/v1/status")?["past_unknown"], true);
    // A restart does not make it forget that.
    till.kill()?;
    till.restart()?;
    problem(&till.sell("CAP", Duration::ZERO, None)?, 503, "past_unknown");

    network.rejoin(TILL);
    till.wait_until("it to have heard", DEADLINE, |till| {
        Ok((till.get("/v1/status")?["past_unknown"] == false).then_some(()))
    })?;
    for _ in 0..5 {
        take(&till.sell("CAP", WAIT, None)?.ok()?)?;
    }
    agree(&[&hq, &till])?;
    let incidents = hq.list("/v1/incidents")?;
    assert!(incidents.is_empty(), "{incidents:?}");
    // Nor does the next start doubt it.
    till.kill()?;
    till.restart()?;
    assert_eq!(till.get("/v1/status")?["past_unknown"], false);
    Ok(())
}

#[test]
fn a_person_can_answer_for_it_where_nobody_else_is_left() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos", "hall-a")?;
    let mut hq = Node::start(&event, "hq", Options::loopback(&[]))?;
    put_on_sale(&hq, "CAP", UNITS)?;
    let (folder, image) = (event.path().join("hq"), event.path().join("image"));
    hq.kill()?;
    copy_database(&folder, &image)?;
    hq.restart()?;
    // A sale that the image does not know; with it, this start is counted.
    hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    hq.kill()?;
    copy_database(&image, &folder)?;
    hq.restart()?;
    problem(&hq.sell("CAP", Duration::ZERO, None)?, 503, "past_unknown");
    accept_past(&event, &hq)?;
    hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    hq.kill()?;
    hq.restart()?;
    let api: &Api<'_> = &hq;
    assert_eq!(api.get("/v1/status")?["past_unknown"], false);
    Ok(())
}

/// Answers for what a device has forgotten, as a person does who has looked: not before saying how much that is.
fn accept_past(event: &Event, device: &Api<'_>) -> Result<()> {
    let missing = device.get("/v1/status")?["past"]["entries"].as_u64().context("no number")?;
    let accept = |entries: u64| {
        let entries = entries.to_string();
        event.run(&["past", "accept", "--device", &device.name, "--entries", &entries, "--api", device.api()])
    };
    let refused = accept(missing + 1)?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(said.contains(&format!("{missing} missing entries now")), "{said}");
    ensure!(device.get("/v1/status")?["past_unknown"] == true, "it was accepted all the same");
    let done = accept(missing)?;
    ensure!(done.status.success(), "{done:?}");
    Ok(())
}

/// Moves the database out of the folder, as a node with a damaged one asks people to; what lies beside it stays.
fn move_database_away(folder: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for suffix in ["", "-wal"] {
        let name = format!("popmesh.db{suffix}");
        match fs::rename(folder.join(&name), to.join(&name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !suffix.is_empty() => {}
            other => other.context("move the database")?,
        }
    }
    Ok(())
}

#[test]
fn a_database_that_was_moved_away_comes_back_with_its_keys() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(75, NAMES.len())?;
    for (name, roles) in NAMES.into_iter().zip(["hq", "pos"]) {
        event.enrol(name, roles, "hall-a")?;
    }
    let start = |index: usize| {
        let host = Some(&network.hosts()[index]);
        Node::start(&event, NAMES[index], Options { host, ..Options::default() })
    };
    let (hq, mut till) = (start(0)?, start(TILL)?);
    put_on_sale(&hq, "CAP", UNITS)?;
    agree(&[&hq, &till])?;
    let first = till.sell("CAP", WAIT, Some("order-1"))?.ok()?;
    let second = till.sell("CAP", WAIT, Some("order-2"))?.ok()?;
    agree(&[&hq, &till])?;
    network.cut_off(TILL);
    till.kill()?;
    let folder = event.path().join(NAMES[TILL]);
    ensure!(folder.join("mark").exists(), "no mark beside the database");
    move_database_away(&folder, &event.path().join("damaged"))?;
    till.restart()?;

    // Alone it knows that it has forgotten something, and how much.
    let status = till.get("/v1/status")?;
    assert_eq!(status["past_unknown"], true, "{status}");
    ensure!(status["past"]["entries"].as_u64() >= Some(4), "{status}");
    let refused = till.sell("CAP", Duration::ZERO, Some("order-1"))?;
    ensure!(refused.status >= 400, "{}", refused.body);

    network.rejoin(TILL);
    till.wait_until("it to have heard", DEADLINE, |till| {
        Ok((till.get("/v1/status")?["past_unknown"] == false).then_some(()))
    })?;
    for (key, sold) in [("order-1", &first), ("order-2", &second)] {
        let again = till.sell("CAP", WAIT, Some(key))?.ok()?;
        assert_eq!(claim_id(&again)?, claim_id(sold)?, "{key}");
    }
    // Another request under a key that came back, of which the whole is lost.
    let refused = till.sell("CAP", Duration::from_millis(7), Some("order-1"))?;
    ensure!(refused.status == 422, "{}", refused.body);
    let third = till.sell("CAP", WAIT, Some("order-3"))?.ok()?;
    agree(&[&hq, &till])?;
    let mut units: BTreeSet<u32> = BTreeSet::new();
    for claim in [&first, &second, &third] {
        for unit in serials(claim)? {
            ensure!(units.insert(unit), "unit {unit} is sold twice");
        }
    }
    let incidents = hq.list("/v1/incidents")?;
    assert!(incidents.is_empty(), "{incidents:?}");
    Ok(())
}

#[test]
fn without_its_mark_a_database_is_doubted_until_a_person_answers() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos", "hall-a")?;
    let mut hq = Node::start(&event, "hq", Options::loopback(&[]))?;
    put_on_sale(&hq, "CAP", UNITS)?;
    hq.kill()?;
    fs::remove_file(event.path().join("hq").join("mark"))?;
    hq.restart()?;
    problem(&hq.sell("CAP", Duration::ZERO, None)?, 503, "past_unknown");
    let said = event.run(&["status", "--api", hq.api()])?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(text.contains("in doubt") && text.contains("past accept"), "{text}");
    accept_past(&event, &hq)?;
    hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    hq.kill()?;
    hq.restart()?;
    hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    Ok(())
}
