//! The five devices, enrolled and running.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use popmesh_tests::stage::free_port;
use popmesh_tests::{Api, Event, Node, Options};

/// What is at this venue: name and role of each device.
pub(crate) const DEVICES: [(&str, &str); 5] =
    [("hq", "hq"), ("till-1", "pos"), ("till-2", "pos"), ("encoder", "encoder"), ("locker", "locker")];
/// Where things lie.
const PLACE: &str = "hall-a";
/// Generous: it only bounds how long a broken venue takes to say so.
const DEADLINE: Duration = Duration::from_secs(60);

/// The running venue; dropping it ends its processes and removes its folder.
#[derive(Debug)]
pub(crate) struct Venue {
    // Before the event: nodes must be gone when their folders are removed.
    nodes: Vec<Node<'static>>,
    event: Event,
    stop: Arc<AtomicBool>,
}

impl Venue {
    /// Founds the event, enrols the devices, starts their nodes, and waits until each has found all others.
    pub(crate) fn open(stop: &Arc<AtomicBool>) -> Result<Self> {
        let started = Instant::now();
        step("Founding an event and enrolling five devices, by file, as a crew would");
        let event = Event::found("Neon Drop")?;
        for (name, role) in DEVICES {
            event.enrol(name, role, PLACE)?;
        }
        step("Starting five nodes; no address is configured, they find each other by mDNS");
        let start = |(name, _)| {
            let mut arguments = vec!["--interface".to_owned(), "lo".to_owned()];
            if name == "locker" {
                arguments.extend(["--door", "virtual"].map(str::to_owned));
            }
            // The console is at the same address after each start.
            let api_port = free_port()?;
            Node::start(&event, name, Options { api_port, arguments, quiet: true, ..Options::default() })
        };
        let nodes = DEVICES.into_iter().map(start).collect::<Result<_>>()?;
        let venue = Self { nodes, event, stop: Arc::clone(stop) };
        for device in venue.devices() {
            venue.wait(device, "every other device to be found by mDNS", |device| {
                Ok((device.get("/v1/status")?["reachable"] == DEVICES.len()).then_some(()))
            })?;
        }
        done(&format!(
            "all five see each other, {:.1} s after the first step",
            started.elapsed().as_secs_f64()
        ));
        Ok(venue)
    }

    /// The ways to the devices, in the order of [`DEVICES`].
    pub(crate) fn devices(&self) -> impl ExactSizeIterator<Item = &Api<'static>> {
        self.nodes.iter().map(|node| &**node)
    }

    /// The way to one device.
    pub(crate) fn device(&self, name: &str) -> Result<&Api<'static>> {
        self.devices().find(|device| device.name == name).with_context(|| format!("no device {name}"))
    }

    /// The running devices, for who goes on with them.
    pub(crate) fn take_nodes(&mut self) -> Vec<Node<'static>> {
        std::mem::take(&mut self.nodes)
    }

    /// Whether somebody wants the venue closed.
    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until `look` answers something, or somebody wants the venue closed.
    pub(crate) fn wait<T>(
        &self,
        device: &Api<'_>,
        what: &str,
        mut look: impl FnMut(&Api<'_>) -> Result<Option<T>>,
    ) -> Result<T> {
        device.wait_until(what, DEADLINE, |device| {
            if self.stopping() {
                bail!("interrupted");
            }
            look(device)
        })
    }

    /// Lets time pass, unless somebody wants the venue closed.
    pub(crate) fn pause(&self, time: Duration) {
        if !self.stopping() {
            thread::sleep(time);
        }
    }

    /// Says how to go on by hand.
    pub(crate) fn print_hints(&self) {
        let program = self.event.program().display();
        let folder = self.event.path().display();
        println!("\nThe venue stays open until Ctrl-C. In another terminal:\n");
        println!("  export POPMESH_DATA={folder}/till-1      # or hq, till-2, encoder, locker");
        for command in [
            "status --watch",
            "stock",
            "claims",
            "peers",
            "log",
            "links off",
            "sell STICKERS",
            "doctor",
            "--help",
        ] {
            println!("  {program} {command}");
        }
    }
}

/// Says what happens next.
pub(crate) fn step(text: &str) {
    println!("\n==> {text}");
}

/// Says what has happened.
pub(crate) fn done(text: &str) {
    println!("    {text}");
}
