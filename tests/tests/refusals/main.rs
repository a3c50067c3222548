//! What real nodes and the command line refuse: with an exit code or a problem code, in words that say what to do, and
//! with nothing changed.

mod bodies;
mod certificates;
mod commands;
mod databases;
mod folders;
mod noise;

use std::time::Duration;

use anyhow::{Context, Result};
use popmesh_tests::books::put_on_sale;
use popmesh_tests::{Event, Node, Options};

/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);

/// An event with a device `hq` that holds 20 of `CAP`, and `till` that holds none; seen by nobody.
fn event() -> Result<Event> {
    let event = Event::found("Neon Drop")?;
    event.enrol("hq", "hq,pos", "hall-a")?;
    event.enrol("till", "pos", "hall-a")?;
    Ok(event)
}

fn start_hq(event: &Event) -> Result<Node<'static>> {
    let hq = Node::start(event, "hq", Options::loopback(&[]))?;
    put_on_sale(&hq, "CAP", 20)?;
    Ok(hq)
}

/// Starts a device that dials `to`, and waits until it knows the same.
fn start_beside(event: &Event, name: &str, to: &Node<'_>) -> Result<Node<'static>> {
    let node = Node::start(event, name, Options::loopback(&[listening(to, "tcp")?]))?;
    popmesh_tests::books::agree(&[to, &node])?;
    Ok(node)
}

/// An address of a node for others, over `tcp` or `udp`.
fn listening(node: &Node<'_>, over: &str) -> Result<String> {
    node.wait_until("an address to be dialled at", DEADLINE, |node| {
        let peers = node.get("/v1/peers")?;
        let addresses = peers["listening"].as_array().context("no addresses")?;
        let mut addresses = addresses.iter().filter_map(|address| address.as_str());
        let found = addresses.find(|address| address.starts_with(&format!("/ip4/127.0.0.1/{over}/")));
        Ok(found.map(str::to_owned))
    })
}

fn port(address: &str) -> Result<u16> {
    address.split('/').nth(4).context("no port")?.parse().context("no port")
}
