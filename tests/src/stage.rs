//! A venue on this machine for tests that look at pages: devices that are linked, each with its console at an address that
//! stays the same when its node is killed and started again.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Api, Event, Node, Options};

/// Generous: it only bounds how long a broken venue takes to say so.
const DEADLINE: Duration = Duration::from_secs(60);
/// Where all devices are.
pub const PLACE: &str = "hall-a";

/// A device and its roles. Such as `till-3@hall-b` where it is at another place than [`PLACE`].
pub type Cast<'a> = (&'a str, &'a str);

/// The running venue. Dropping it ends its processes and removes its folder.
#[derive(Debug)]
pub struct Stage {
    // Before the event: nodes must be gone when their folders are removed.
    nodes: Vec<Node<'static>>,
    event: Event,
}

impl Stage {
    /// Founds an event, enrols the devices and starts them; each sees all others.
    ///
    /// # Errors
    /// When a device cannot be enrolled or does not come up.
    pub fn open(event: &str, devices: &[Cast<'_>]) -> Result<Self> {
        Self::open_with(event, devices, |_| Vec::new())
    }

    /// The same, telling `popmesh run` of each device something more.
    ///
    /// # Errors
    /// When a device cannot be enrolled or does not come up.
    pub fn open_with(event: &str, devices: &[Cast<'_>], more: impl Fn(&str) -> Vec<String>) -> Result<Self> {
        let event = Event::found(event)?;
        // All at once, so that none is given out twice.
        let held = devices.iter().map(|_| Ok((held_port()?, held_port()?))).collect::<Result<Vec<_>>>()?;
        let ports =
            held.iter().map(|(api, mesh)| Ok((port(api)?, port(mesh)?))).collect::<Result<Vec<_>>>()?;
        drop(held);
        let mut nodes = Vec::new();
        for (index, (name, roles)) in devices.iter().enumerate() {
            let (name, place) = name.split_once('@').unwrap_or((name, PLACE));
            event.enrol(name, roles, place)?;
            let others = ports.iter().enumerate().filter(|(other, _)| *other != index);
            let others =
                others.map(|(_, (_, mesh))| format!("/ip4/127.0.0.1/tcp/{mesh}")).collect::<Vec<_>>();
            let (api_port, mesh) = ports[index];
            let mut options = Options { api_port, quiet: true, ..Options::loopback(&others) };
            options.arguments.extend(["--listen-port".to_owned(), mesh.to_string()]);
            options.arguments.extend(more(name));
            nodes.push(Node::start(&event, name, options)?);
        }
        let stage = Self { nodes, event };
        stage.wait_for_all()?;
        Ok(stage)
    }

    /// Waits until each device sees all others.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_for_all(&self) -> Result<()> {
        self.devices().iter().try_for_each(|device| {
            device.wait_until("all others in reach", DEADLINE, |device| {
                Ok((device.get("/v1/status")?["reachable"] == self.nodes.len()).then_some(()))
            })
        })
    }

    /// The event's folder, and the organiser's.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The ways to all devices, in the order in which they were named.
    pub fn devices(&self) -> Vec<&Api<'static>> {
        self.nodes.iter().map(|node| &**node).collect()
    }

    /// The way to one device.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn device(&self, name: &str) -> Result<&Api<'static>> {
        let mut all = self.nodes.iter();
        all.find(|node| node.name == name).map(|node| &**node).with_context(|| format!("no device {name}"))
    }

    /// One device's process, to pull its plug.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn node(&mut self, name: &str) -> Result<&mut Node<'static>> {
        self.nodes.iter_mut().find(|node| node.name == name).with_context(|| format!("no device {name}"))
    }

    /// The address of a page of a device's console; of the one that it begins with if `page` is empty.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn page(&self, device: &str, page: &str) -> Result<String> {
        Ok(address(self.device(device)?, page))
    }
}

/// The address of a page of a console.
pub fn address(device: &Api<'_>, page: &str) -> String {
    match page {
        "" => format!("{}/", device.api()),
        "overlay" => format!("{}/overlay", device.api()),
        page => format!("{}/#/{page}", device.api()),
    }
}

/// A port of loopback that nobody else gets while this lives.
fn held_port() -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).context("find a free port")
}

fn port(held: &TcpListener) -> Result<u16> {
    Ok(held.local_addr()?.port())
}

/// A free port of loopback.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    port(&held_port()?)
}
