//! What the pages of an hq and of every device ask for, of real nodes: what is wrong in words, the picture of the mesh, the looks of
//! products, tokens for tablets. (New devices that are admitted from a page: `join/by_page.rs`.)

mod health;
mod looks;
mod mesh;
mod tablets;

use std::time::Duration;

use anyhow::Result;
use popmesh_tests::{Event, Node, Options};

/// Generous: it only bounds how long a broken build takes to fail.
const DEADLINE: Duration = Duration::from_secs(60);

/// An hq, and a till that is linked to it.
fn pair<'a>(event: &Event) -> Result<[Node<'a>; 2]> {
    event.enrol("hq", "hq,pos,locker", "hall-a")?;
    event.enrol("till", "pos", "hall-a")?;
    let mut options = Options::loopback(&[]);
    options.arguments.extend(["--door", "virtual"].map(str::to_owned));
    let hq = Node::start(event, "hq", options)?;
    let till = Node::start(event, "till", Options::loopback(&[address(&hq)?]))?;
    for node in [&hq, &till] {
        node.wait_until("the other", DEADLINE, |node| {
            Ok((node.get("/v1/status")?["reachable"] == 2).then_some(()))
        })?;
    }
    Ok([hq, till])
}

/// Where a node can be dialled.
fn address(node: &Node<'_>) -> Result<String> {
    node.wait_until("an address", DEADLINE, |node| {
        let peers = node.get("/v1/peers")?;
        let listening = peers["listening"].as_array().into_iter().flatten();
        let tcp = listening.filter_map(|at| at.as_str()).find(|at| at.contains("/tcp/"));
        Ok(tcp.map(str::to_owned))
    })
}
