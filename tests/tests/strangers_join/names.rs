//! Who has a ticket, and calls itself what another device is called; and secrets that stand in the arguments.

use anyhow::{Context, Result, ensure};
use popmesh_tests::{Child, Event, Host, Network, Node, Options};
use serde_json::Value;

use super::{DEADLINE, VENUE, end, new_device, objects, shown, start};

/// Serves tickets on a host, as the device of a folder.
fn serving_as(event: &Event, host: &Host, data: &str) -> Result<Child> {
    let serve = ["--json", "--data", data, "device", "admit", "--tickets"];
    let mut child = start(event, host, "serving", None, &serve)?;
    child.wait_for_output("addresses", DEADLINE)?;
    Ok(child)
}

/// Joins with a ticket under a name: whether that went well, and what was said.
fn join_as(event: &Event, host: &Host, data: &str, name: &str, ticket: &str) -> Result<(bool, String)> {
    let join = ["--json", "--data", data, "join", "--name", name, "--ticket", "-", "--wait", "30s"];
    let (status, said) = end(&mut start(event, host, data, Some(ticket), &join)?)?;
    Ok((status.success(), said))
}

fn name_in(said: &str) -> Option<String> {
    objects(said).pop()?["name"].as_str().map(str::to_owned)
}

#[test]
fn who_has_a_ticket_gets_no_name_that_another_device_has() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos,registrar", VENUE)?;
    event.enrol("steward", "steward", VENUE)?;
    event.enrol("kasse-1", "pos", VENUE)?;
    let network = Network::new(77, 3)?;
    let hq = Node::start(&event, "hq", Options { host: Some(network.host(0)), ..Options::default() })?;
    let till = Node::start(&event, "kasse-1", Options { host: Some(network.host(1)), ..Options::default() })?;
    hq.wait_until("the till", DEADLINE, |hq| Ok((hq.get("/v1/status")?["reachable"] == 2).then_some(())))?;
    let make = ["--data", "hq", "device", "ticket", "--role", "pos", "--venue", VENUE, "--count", "9"];
    let made = event.popmesh(&make)?;
    let ticket = made["ticket"].as_str().context("no ticket")?;
    let mut serving = serving_as(&event, network.host(0), "hq")?;
    let host = network.host(2);
    for name in ["hq", "HQ", "h\u{200b}q", " ＨＱ", "һq", "Kasse 1", "kasse-1", "Kasse l"] {
        let (joined, said) = join_as(&event, host, "thief", name, ticket)?;
        ensure!(
            !joined && said.contains("that of another device") && said.contains("another --name"),
            "{name:?}: {said}"
        );
    }
    ensure!(!event.path().join("thief/device.certificate").exists(), "it has joined");
    let (joined, said) = join_as(&event, host, "thief", "thief", ticket)?;
    ensure!(joined, "no use of the ticket was lost, nor did it hold a name: {said}");
    // The same device again, under its own name and then another, which frees the first.
    for name in ["thief", "box"] {
        let (joined, said) = join_as(&event, host, "thief", name, ticket)?;
        ensure!(joined, "{name}: {said}");
    }
    let (joined, said) = join_as(&event, host, "second", "box", ticket)?;
    ensure!(!joined && said.contains("that of another device"), "{said}");
    let (joined, said) = join_as(&event, host, "second", "thief", ticket)?;
    ensure!(joined, "{said}");

    // One that was retired has given its name back.
    drop(till);
    let retire = ["--data", "hq", "retire", "kasse-1", "--reachable", "--at-risk", "0"];
    let (status, said) = end(&mut start(&event, network.host(0), "retire", None, &retire)?)?;
    ensure!(status.success(), "{said}");
    let (joined, said) = join_as(&event, host, "third", "Kasse 1", ticket)?;
    ensure!(joined, "{said}");

    let listed = event.popmesh(&["--data", "hq", "device", "tickets"])?;
    let used: Vec<&Value> = listed["tickets"][0]["uses"].as_array().context("no uses")?.iter().collect();
    assert_eq!(used.len(), 3, "{listed}");
    serving.kill()?;
    drop(hq);
    Ok(())
}

#[test]
fn a_ticket_with_a_prefix_puts_it_in_front_of_names() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(78, 3)?;
    let make =
        ["device", "ticket", "--event", "organiser", "--role", "pos", "--venue", VENUE, "--count", "3"];
    let made = event.popmesh(&[&make[..], &["--prefix", "till-"]].concat())?;
    assert_eq!(made["prefix"], "till-");
    let ticket = made["ticket"].as_str().context("no ticket")?;
    let serve = ["--json", "device", "admit", "--tickets", "--event", "organiser"];
    let mut serving = start(&event, network.host(0), "serving", None, &serve)?;
    serving.wait_for_output("addresses", DEADLINE)?;
    for (data, name, gets) in [("a", "hq", "till-hq"), ("b", "till-2", "till-2")] {
        let (joined, said) = join_as(&event, network.host(1), data, name, ticket)?;
        ensure!(joined && name_in(&said).as_deref() == Some(gets), "{said}");
    }
    // What it would get is what must not be in use, also by who was signed from a file.
    event.enrol("Till-9", "pos", VENUE)?;
    for name in ["2", "9"] {
        let (joined, said) = join_as(&event, network.host(1), "c", name, ticket)?;
        ensure!(!joined && said.contains("that of another device"), "{said}");
    }
    let listed = event.popmesh(&["device", "tickets", "--event", "organiser"])?;
    let listed = &listed["tickets"][0];
    assert_eq!((&listed["prefix"], &listed["count"]), (&"till-".into(), &3.into()));
    let names: Vec<_> =
        listed["uses"].as_array().context("no uses")?.iter().map(|user| &user["name"]).collect();
    assert_eq!(names, ["till-hq", "till-2"]);
    for wrong in ["", " x", &"x".repeat(41)] {
        ensure!(!event.run(&[&make[..], &["--prefix", wrong]].concat())?.status.success(), "{wrong:?}");
    }
    serving.kill()?;
    Ok(())
}

#[test]
fn by_a_code_too_and_a_person_may_say_that_the_other_is_gone() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let network = Network::new(79, 2)?;
    let admit = |new: &mut Child, more: &[&str]| -> Result<(bool, String)> {
        let (code, _) = shown(&new.output()?).context("no code")?;
        let admit = ["device", "admit", "-", "--event", "organiser", "--role", "pos", "--venue", VENUE];
        let arguments = [&admit[..], more].concat();
        let (status, said) = end(&mut start(&event, network.host(0), "admitting", Some(&code), &arguments)?)?;
        Ok((status.success(), said))
    };
    let (mut first, _) = new_device(&event, &network)?;
    let (admitted, said) = admit(&mut first, &[])?;
    ensure!(admitted && end(&mut first)?.0.success(), "{said}");
    // Its disk is gone, and with it its key.
    std::fs::rename(event.path().join("till"), event.path().join("broken"))?;
    let (mut again, _) = new_device(&event, &network)?;
    let (admitted, said) = admit(&mut again, &[])?;
    ensure!(!admitted && said.contains("that of another device") && said.contains("--reuse-name"), "{said}");
    ensure!(end(&mut again)?.1.contains("that of another device"));
    let (mut again, _) = new_device(&event, &network)?;
    let (admitted, said) = admit(&mut again, &["--name", "till-b"])?;
    ensure!(admitted && end(&mut again)?.0.success(), "{said}");
    let (mut again, _) = new_device(&event, &network)?;
    let (admitted, said) = admit(&mut again, &["--reuse-name"])?;
    ensure!(admitted && end(&mut again)?.0.success(), "{said}");
    Ok(())
}

#[test]
fn secrets_do_not_stand_in_the_arguments() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let refused = |arguments: &[&str]| -> Result<()> {
        let output = event.run(arguments)?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        ensure!(said.contains("`ps`") && said.contains("@FILE"), "{said}");
        Ok(())
    };
    refused(&["--data", "till", "join", "--ticket", "popmesh-ticket-1:AAAA"])?;
    refused(&["status", "--api", "https://192.0.2.7:7443", "--token", "popmesh_0000"])?;
    ensure!(!event.path().join("till").exists(), "it has begun");
    // From a file each is taken, and looked at.
    std::fs::write(event.path().join("given"), "popmesh-ticket-1:AAAA\n")?;
    let output = event.run(&["--data", "till", "join", "--ticket", "@given"])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(said.contains("this is not a ticket"), "{said}");
    let network = Network::new(80, 1)?;
    let sell = ["sell", "CAP", "--pickup-at", "locker", "--pin"];
    let mut missing = start(&event, network.host(0), "sell", Some("0417"), &[&sell[..], &["-"]].concat())?;
    let (_, said) = end(&mut missing)?;
    // Whichever folder this user has: what was read on standard input is not what it fails for.
    ensure!(said.contains("no device was made") || said.contains("no node runs"), "{said}");
    Ok(())
}
