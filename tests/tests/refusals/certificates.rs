//! Devices whose certificate is over, or of another event.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use popmesh_tests::refusal::{problem, refused_to_run, unchanged};
use popmesh_tests::{Event, Node, Options};
use serde_json::json;

use crate::{DEADLINE, event, listening, start_beside, start_hq};

/// How long the short certificate lasts: longer than a start and a sync.
const LASTS: Duration = Duration::from_secs(5);

fn soon() -> Result<String> {
    let until = SystemTime::now().duration_since(UNIX_EPOCH)? + LASTS;
    let output =
        Command::new("date").args(["-u", "+%FT%TZ", "-d", &format!("@{}", until.as_secs())]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[test]
fn a_certificate_that_ends() -> Result<()> {
    let event = event()?;
    let hq = start_hq(&event)?;
    event.enrol_for("guest", "pos", "hall-b", &["--until", &soon()?])?;
    let guest = start_beside(&event, "guest", &hq)?;
    guest.wait_until("the end of its certificate", DEADLINE, |guest| {
        // Refused before, for its role, and after.
        let answer = guest.post("/v1/drops", &json!({"drop": "moon", "title": "Moon"}), None)?;
        Ok((answer.code() == "certificate").then_some(()))
    })?;
    let answer = unchanged(&[&guest, &hq], || guest.sell("CAP", Duration::ZERO, None))?;
    let detail = problem(&answer, 403, "certificate");
    assert!(
        detail.contains("certificate of guest is not valid after 20") && detail.contains(" UTC"),
        "{detail}"
    );
    assert!(
        detail.contains("check the clock, or have the device admitted again with `popmesh join`"),
        "{detail}"
    );

    // The link ends with it, no new one comes up, and both are told why.
    for (api, other) in [(&hq, "guest"), (&guest, "hq")] {
        let state = api.wait_until("that the link was refused", DEADLINE, |api| {
            let peers = api.get("/v1/peers")?;
            let peer = peers["peers"].as_array().into_iter().flatten().find(|peer| peer["name"] == other);
            let state = peer.and_then(|peer| peer["state"].as_str()).unwrap_or_default().to_owned();
            Ok(state.starts_with("refused: ").then_some(state))
        })?;
        println!("{} about {other}: {state}", api.name);
        assert!(state.contains("the certificate of guest is not valid after 20"), "{state}");
        assert_eq!(api.get("/v1/status")?["reachable"], 1, "{} still reaches {other}", api.name);
    }
    hq.sell("CAP", Duration::ZERO, None)?.ok()?;
    guest.stop()?;
    let said = refused_to_run(&event, "guest", &[])?;
    assert!(said.contains("not valid after 20") && said.contains("popmesh join"), "{said}");
    Ok(())
}

#[test]
fn a_device_of_another_event() -> Result<()> {
    let (ours, theirs) = (event()?, Event::found("Rival Drop")?);
    theirs.enrol("rival", "hq,pos", "hall-a")?;
    let mut hq = start_hq(&ours)?;
    let address = listening(&hq, "tcp")?;
    let address = address.split("/p2p/").next().context("no address")?.to_owned();
    let before = popmesh_tests::books::books(&hq)?;
    let mut rival = Node::start(&theirs, "rival", Options::loopback(&[address]))?;
    // Who is called by a stranger learns nothing of it, and who calls learns that it is none of theirs.
    for (node, words) in [(&mut hq, "no device of this event"), (&mut rival, "it is of another event")] {
        let said = node.child().wait_for_output(words, DEADLINE)?;
        assert!(said.contains("WARN"), "{said}");
    }
    for node in [&hq, &rival] {
        let status = node.get("/v1/status")?;
        assert_eq!((&status["devices"], &status["reachable"]), (&json!(1), &json!(1)), "{status}");
    }
    assert_eq!(popmesh_tests::books::books(&hq)?, before);
    hq.sell("CAP", Duration::ZERO, None)?.ok().map(drop)
}
