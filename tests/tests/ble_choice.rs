//! More devices in radio range of each other than each may be linked to: real nodes, each on a virtual Bluetooth controller.
//!
//! Times are printed, not asserted: they are the machine's as much as ours.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use popmesh_ble::testing::{Controllers, free_ports};
use popmesh_tests::books::{agree, check, put_on_sale};
use popmesh_tests::{Api, Event, Node, Options};

/// All hear each other, but for the last, which only the one before it hears.
const NAMES: [&str; 6] = ["hq", "north", "east", "south", "west", "locker"];
const PLACES: usize = 3;
/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(180);
/// How long a sale waits for units from elsewhere.
const WAIT: Duration = Duration::from_secs(60);

fn links(device: &Api<'_>) -> Result<usize> {
    Ok(device.links()?.len())
}

#[test]
fn with_too_few_places_everybody_is_reached_all_the_same() -> Result<()> {
    let event = Event::found("Neon Drop")?;
    for name in NAMES {
        event.enrol(name, if name == "hq" { "hq" } else { "pos" }, "hall-a")?;
    }
    let ports: [u16; 6] = free_ports()?;
    let crowd = &ports[..5];
    let mut pairs: Vec<(u16, u16, i8)> = Vec::new();
    for (index, one) in crowd.iter().enumerate() {
        // Whoever stands next to each other is heard best, so that all would like the same ones.
        pairs.extend(
            crowd[..index].iter().enumerate().map(|(far, other)| (*one, *other, -40 - 10 * far as i8)),
        );
    }
    pairs.push((ports[4], ports[5], -85));
    let _controllers = Controllers::start_at(&ports, &pairs).context("virtual controllers")?;
    let start = |name: &str, port: u16| {
        let arguments =
            ["--ble-only", "--ble", &format!("tcp:127.0.0.1:{port}"), "--ble-links", &PLACES.to_string()]
                .map(str::to_owned);
        Node::start(&event, name, Options { arguments: arguments.into(), ..Options::default() })
    };
    // The crowd is linked before the locker comes, whom nobody has a place for unless one is made.
    let mut nodes = Vec::new();
    for (name, port) in NAMES.into_iter().zip(ports).take(5) {
        nodes.push(start(name, port)?);
    }
    let began = Instant::now();
    for node in &nodes {
        node.wait_until("a link", DEADLINE, |device| Ok((links(device)? > 0).then_some(())))?;
    }
    put_on_sale(&nodes[0], "CAP", 12)?;
    let crowd: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    println!("five agreed {:?} later, {:?} after the last was up", agree(&crowd)?, began.elapsed());

    nodes.push(start(NAMES[5], ports[5])?);
    let began = Instant::now();
    let devices: Vec<&Api<'_>> = nodes.iter().map(|node| &**node).collect();
    let locker = devices[5];
    locker.wait_until("a link", DEADLINE, |device| Ok((links(device)? > 0).then_some(())))?;
    println!("a place for the sixth was there {:?} after it was up", began.elapsed());
    agree(&devices)?;
    locker.sell("CAP", WAIT, None)?.ok()?;
    println!("all six agreed {:?} after the sale", agree(&devices)?);
    for device in &devices {
        let held = links(device)?;
        ensure!((1..=PLACES).contains(&held), "{} has {held} links", device.name);
        ensure!(check(device, "CAP")? == 1, "the books of {} say something else", device.name);
    }

    // Whoever reaches the locker goes: it is out of range of all others, who close the gap.
    nodes.remove(4).stop()?;
    let crowd: Vec<&Api<'_>> = nodes[..4].iter().map(|node| &**node).collect();
    nodes[0].sell("CAP", WAIT, None)?.ok()?;
    println!("the four that are left agreed {:?} after that", agree(&crowd)?);
    for node in nodes {
        node.stop()?;
    }
    Ok(())
}
