//! Admission by an hq, and by a steward that it made, on machines on which the organiser's key never was.

use std::fs;

use anyhow::{Context, Result, ensure};
use jiff::{Timestamp, ToSpan};
use popmesh_tests::books::{agree, check, put_on_sale};
use popmesh_tests::{Api, Event, Network, Node, Options};

use super::{DEADLINE, NewDevice, VENUE, in_file, objects, run, start, text};

/// An event with an hq, whose organiser has gone home with the key.
fn event_without_organiser() -> Result<Event> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos", VENUE)?;
    fs::remove_dir_all(event.path().join("organiser"))?;
    Ok(event)
}

#[test]
fn by_code_and_by_ticket_and_through_a_steward_and_then_they_sell() -> Result<()> {
    let names = ["hq", "by-code", "by-ticket", "by-steward"];
    let event = event_without_organiser()?;
    let network = Network::new(54, names.len())?;
    let host = |number: usize| Some(network.host(number));
    let on = |number: usize, name: &str| {
        Node::start(&event, name, Options { host: host(number), ..Options::default() })
    };
    let mut nodes = vec![on(0, "hq")?];

    let mut by_code = NewDevice::show(&event, host(1), "by-code")?;
    let (code, _) = by_code.code()?;
    let admit = |data, code, role| {
        ["--json", "--data", data, "device", "admit", code, "--role", role, "--venue", VENUE]
    };
    let months = [&admit("hq", &code, "pos,steward")[..], &["--days", "90"]].concat();
    let (status, said, took) = run(&event, host(0), &months)?;
    ensure!(status.success(), "{said}");
    let admitted = objects(&said).pop().context("no word")?;
    let hq = event.popmesh(&["--data", "hq", "device", "show"])?;
    assert_eq!((&admitted["name"], &admitted["not_after_ms"]), (&"by-code".into(), &hq["not_after_ms"]));
    ensure!(
        text(&admitted, "shortened")?.contains("the certificate of hq, who signs, ends then"),
        "{admitted}"
    );
    let (status, said) = by_code.end()?;
    ensure!(status.success(), "{said}");
    println!("by code: {took:.2?} in all; exchanged in {} ms", admitted["took_ms"]);

    // Whoever serves tickets as well, and does not know this one, is passed over.
    let serve = |data| ["--data", data, "device", "admit", "--tickets"];
    let mut other = start(&event, host(1), "other tickets", &serve("by-code"))?;
    other.wait_for_output("until stopped", DEADLINE)?;
    let mut serving = start(&event, host(0), "tickets", &serve("hq"))?;
    serving.wait_for_output("until stopped", DEADLINE)?;
    let ticket = ["--data", "hq", "device", "ticket", "--role", "pos", "--venue", VENUE];
    let made = event.popmesh(&ticket)?;
    let ticket_file = in_file(&event, text(&made, "ticket")?)?;
    let join = ["--data", "by-ticket", "join", "--name", "by-ticket", "--ticket", &ticket_file];
    let (status, said, took) = run(&event, host(2), &join)?;
    ensure!(status.success(), "{said}");
    println!("by ticket: {took:.2?} in all");
    let said = serving.wait_for_output("use 1 of 1; in", DEADLINE)?;
    ensure!(said.contains("admitted   by-ticket"), "{said}");
    serving.kill()?;
    other.kill()?;
    let beyond = event.run(&[&ticket[..], &["--until", "2099-01-01T00:00:00Z"]].concat())?;
    let said = String::from_utf8(beyond.stderr)?;
    ensure!(!beyond.status.success() && said.contains("that of hq, who signs it"), "{said}");

    let mut by_steward = NewDevice::show(&event, host(3), "by-steward")?;
    let (code, _) = by_steward.code()?;
    let (status, said, _) = run(&event, host(2), &admit("by-ticket", &code, "pos"))?;
    assert_eq!(status.code(), Some(1), "{said}");
    ensure!(said.contains("by-ticket (pos) may not admit devices"), "{said}");
    println!("at a till: {}", text(&objects(&said).pop().context("no word")?, "detail")?);
    // The code is as good as before.
    let (status, said, _) = run(&event, host(1), &admit("by-code", &code, "pos"))?;
    ensure!(status.success(), "{said}");
    let (status, said) = by_steward.end()?;
    ensure!(status.success(), "{said}");

    for (number, name) in names.iter().enumerate().skip(1) {
        nodes.push(on(number, name)?);
    }
    let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    for device in &devices {
        device.wait_until("everybody", DEADLINE, |device| {
            Ok((device.get("/v1/status")?["reachable"] == names.len()).then_some(()))
        })?;
    }
    put_on_sale(devices[0], "CAP", 12)?;
    agree(&devices)?;
    for device in &devices {
        device.sell("CAP", DEADLINE, None)?.ok().with_context(|| device.name.clone())?;
    }
    agree(&devices)?;
    for device in &devices {
        assert_eq!(check(device, "CAP")?, 4, "{}", device.name);
    }
    Ok(())
}

#[test]
fn a_clock_that_is_wrong_is_said_with_both() -> Result<()> {
    let event = event_without_organiser()?;
    let mut new = NewDevice::show(&event, None, "till")?;
    let (code, at) = new.code()?;
    let (tomorrow, at) = ((Timestamp::now() + 24.hours()).to_string(), at.to_string());
    let admit = ["--data", "hq", "device", "admit", &code, "--role", "pos", "--venue", VENUE, "--at", &at];
    let (status, said, _) = run(&event, None, &[&admit[..], &["--from", &tomorrow]].concat())?;
    assert_eq!(status.code(), Some(1), "{said}");
    let (ended, told) = new.end()?;
    assert_eq!(ended.code(), Some(1), "{told}");
    for said in [&said, &told] {
        let both = "the new device's clock says 20";
        ensure!(said.contains(both) && said.contains("the admitting side's 20"), "{said}");
    }
    ensure!(!new.has_joined(), "it has joined");
    Ok(())
}

#[test]
fn a_device_whose_certificate_is_over_joins_again_and_sells() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let names = ["hq", "till"];
    let ends = Timestamp::now() + 20.seconds();
    event.enrol("hq", "hq", VENUE)?;
    event.enrol_for("till", "pos", VENUE, &["--until", &ends.to_string()])?;
    fs::remove_dir_all(event.path().join("organiser"))?;
    let network = Network::new(56, names.len())?;
    let nodes = network.hosts().iter().zip(names);
    let nodes = nodes
        .map(|(host, name)| Node::start(&event, name, Options { host: Some(host), ..Options::default() }));
    let mut nodes = nodes.collect::<Result<Vec<_>>>()?;
    let reachable = |device: &Api<'_>| {
        device.wait_until("everybody", DEADLINE, |device| {
            Ok((device.get("/v1/status")?["reachable"] == names.len()).then_some(()))
        })
    };
    reachable(&nodes[0])?;
    put_on_sale(&nodes[0], "CAP", 6)?;
    agree(&[&*nodes[0], &*nodes[1]])?;
    nodes[1].sell("CAP", DEADLINE, None)?.ok()?;
    nodes[1].wait_until("its end", DEADLINE, |_| Ok((Timestamp::now() > ends).then_some(())))?;
    let refused = nodes[1].sell("CAP", DEADLINE, None)?;
    assert_eq!((refused.status, refused.code()), (403, "certificate"), "{}", refused.body);
    ensure!(
        refused.body["detail"].as_str().is_some_and(|said| said.contains("popmesh join")),
        "{}",
        refused.body
    );
    // Its peers hear nothing of it, so there is nothing that an hq could tell it.
    nodes[0].wait_until("it to be cut off", DEADLINE, |hq| {
        Ok((hq.get("/v1/status")?["reachable"] == 1).then_some(()))
    })?;
    nodes[1].kill()?;

    let mut again = NewDevice::show(&event, Some(network.host(1)), "till")?;
    let (code, _) = again.code()?;
    let admit = ["--data", "hq", "device", "admit", &code, "--role", "pos", "--venue", VENUE];
    let (status, said, _) = run(&event, Some(network.host(0)), &admit)?;
    ensure!(status.success(), "{said}");
    let (status, said) = again.end()?;
    ensure!(status.success(), "{said}");
    nodes[1].restart()?;
    reachable(&nodes[0])?;
    agree(&[&*nodes[0], &*nodes[1]])?;
    nodes[1].sell("CAP", DEADLINE, None)?.ok()?;
    agree(&[&*nodes[0], &*nodes[1]])?;
    check(&nodes[0], "CAP")?;
    check(&nodes[1], "CAP")?;
    Ok(())
}
