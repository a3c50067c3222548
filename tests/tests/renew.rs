//! A certificate that is renewed over the mesh while its device sells: nobody touches the device, and it sells on when the old
//! one is over.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{Timestamp, ToSpan};
use popmesh_tests::books::{agree, check, put_on_sale};
use popmesh_tests::{Api, Event, Network, Node, Options};

const DEADLINE: Duration = Duration::from_secs(60);
const VENUE: &str = "hall-a";
const NAMES: [&str; 3] = ["hq", "till", "other"];

fn until_ms(device: &Api<'_>) -> Result<u64> {
    device.get("/v1/status")?["device"]["certificate_until_ms"].as_u64().context("no end")
}

fn all_reachable(devices: &[&Api<'_>]) -> Result<()> {
    for device in devices {
        device.wait_until("everybody", DEADLINE, |device| {
            Ok((device.get("/v1/status")?["reachable"] == NAMES.len()).then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn the_till_sells_on_when_the_old_certificate_is_over() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    let ends = Timestamp::now() + 45.seconds();
    event.enrol("hq", "hq", VENUE)?;
    event.enrol_for("till", "pos", VENUE, &["--until", &ends.to_string()])?;
    event.enrol("other", "pos", VENUE)?;
    let network = Network::new(55, NAMES.len())?;
    let nodes = network.hosts().iter().zip(NAMES);
    let nodes = nodes
        .map(|(host, name)| Node::start(&event, name, Options { host: Some(host), ..Options::default() }));
    let mut nodes = nodes.collect::<Result<Vec<_>>>()?;
    let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    all_reachable(&devices)?;
    put_on_sale(devices[0], "CAP", 12)?;
    agree(&devices)?;
    devices[1].sell("CAP", DEADLINE, None)?.ok()?;
    let old = until_ms(devices[1])?;
    assert_eq!(i128::from(old), i128::from(ends.as_millisecond()));
    let glance = popmesh(&event, &network, 1, &["--data", "till", "status"])?;
    ensure!(glance.contains("ends soon: renew it with `popmesh device renew till` on an hq"), "{glance}");

    let said = popmesh(&event, &network, 0, &["--data", "hq", "device", "renew", "till", "--days", "2"])?;
    ensure!(said.contains("renewed    till, until"), "{said}");
    let new = devices[1].wait_until("the new certificate", DEADLINE, |till| {
        let until = until_ms(till).unwrap_or(old);
        Ok((until > old).then_some(until))
    })?;
    let shown = || event.popmesh(&["--data", "till", "device", "show"]);
    devices[1].wait_until("it to be installed", DEADLINE, |_| {
        Ok((shown()?["not_after_ms"] == new).then_some(()))
    })?;
    assert_eq!(shown()?["issuer"]["name"], "hq");
    // Others show it, and have heard it before the old one is over.
    devices[2].wait_until("the other to know", DEADLINE, |other| {
        let peers = other.list("/v1/devices")?;
        let knows = peers.iter().any(|peer| peer["certificate_until_ms"] == new);
        Ok(knows.then_some(()))
    })?;
    ensure!(
        Timestamp::now() < ends,
        "this machine is too slow for this test: the certificate is over already"
    );
    devices[0]
        .wait_until("the old one to be over", DEADLINE, |_| Ok((Timestamp::now() > ends).then_some(())))?;
    devices[1].sell("CAP", DEADLINE, None)?.ok().context("after the end of the old one")?;
    all_reachable(&devices)?;
    agree(&devices)?;
    nodes[1].kill()?;
    nodes[1].restart()?;
    let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    assert_eq!(until_ms(devices[1])?, new);
    all_reachable(&devices)?;
    devices[1].sell("CAP", DEADLINE, None)?.ok().context("after a restart")?;
    agree(&devices)?;
    for device in &devices {
        assert_eq!(check(device, "CAP")?, 3, "{}", device.name);
    }
    Ok(())
}

/// What the binary says on a host.
fn popmesh(event: &Event, network: &Network, host: usize, arguments: &[&str]) -> Result<String> {
    let mut command = network.host(host).command(event.program());
    command.args(arguments).current_dir(event.path()).env_remove("POPMESH_DATA").env("NO_COLOR", "1");
    let output = command.output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{said}");
    Ok(said)
}
