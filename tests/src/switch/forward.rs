//! The forwarding thread: reads frames, asks the links, delivers now or when due.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::link::Fate;
use super::{Links, Shared, Tap};

/// More than any frame: a TAP without offloads hands over the interface's MTU and a header at most.
const FRAME_BYTES_MAX: usize = 65_536;
/// Frames read from one port before the others get their turn.
const FRAMES_PER_TURN_MAX: usize = 64;
/// Learned addresses at most; beyond it unknown ones are flooded.
const ADDRESSES_MAX: usize = 4096;
/// Destination, source and type: what is shorter is no frame.
const HEADER_BYTES: usize = 14;

type Address = [u8; 6];

/// A frame under way. Ordered by its time, then by its arrival, so that equal times keep their order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    due: Instant,
    arrival: u64,
    from: usize,
    to: usize,
    // Shared, because a flooded frame waits once for each port.
    frame: Arc<[u8]>,
}

#[derive(Debug)]
pub(super) struct Forwarder {
    shared: Arc<Shared>,
    ports: usize,
    port_of: BTreeMap<Address, usize>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    arrivals: u64,
}

impl Forwarder {
    pub(super) fn new(shared: Arc<Shared>, ports: usize) -> Self {
        Self { shared, ports, port_of: BTreeMap::new(), waiting: BinaryHeap::new(), arrivals: 0 }
    }

    pub(super) fn run(mut self, taps: &[Tap]) {
        let shared = Arc::clone(&self.shared);
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        // A port leaves this list when its interface is gone: polling it would return at once, for ever.
        let mut open: Vec<usize> = (0..self.ports).collect();
        loop {
            let mut polled = vec![PollFd::new(&shared.stop, PollFlags::IN)];
            polled.extend(open.iter().map(|port| PollFd::new(&taps[*port], PollFlags::IN)));
            let mut gone = Vec::new();
            while gone.is_empty() {
                match poll(&mut polled, self.timeout().as_ref()) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => panic!("poll of the switch failed: {error}"),
                }
                if !polled[0].revents().is_empty() {
                    return;
                }
                // Held across decision and delivery: who has cut a link under this lock can rely on it.
                let mut links = shared.links();
                self.deliver_due(&mut links, taps);
                for (fd, port) in polled[1..].iter().zip(&open) {
                    if !fd.revents().is_empty()
                        && self.take_turn(&mut links, taps, *port, &mut buffer).is_err()
                    {
                        gone.push(*port);
                    }
                }
            }
            open.retain(|port| !gone.contains(port));
        }
    }

    fn timeout(&self) -> Option<Timespec> {
        let Reverse(next) = self.waiting.peek()?;
        let wait = next.due.saturating_duration_since(Instant::now()).min(Duration::from_secs(3600));
        Timespec::try_from(wait).ok()
    }

    fn take_turn(
        &mut self,
        links: &mut Links,
        taps: &[Tap],
        from: usize,
        buffer: &mut [u8],
    ) -> Result<(), Errno> {
        for _ in 0..FRAMES_PER_TURN_MAX {
            let Some(length) = taps[from].read(buffer)? else { break };
            if length >= HEADER_BYTES {
                self.forward(links, taps, from, &buffer[..length]);
            }
        }
        Ok(())
    }

    fn forward(&mut self, links: &mut Links, taps: &[Tap], from: usize, frame: &[u8]) {
        let (destination, source) = addresses(frame);
        if self.port_of.len() < ADDRESSES_MAX || self.port_of.contains_key(&source) {
            self.port_of.insert(source, from);
        }
        let mut shared_frame = None;
        let known = self.port_of.get(&destination).copied().filter(|_| !is_group(destination));
        let targets = known.map_or(0..self.ports, |port| port..port + 1);
        for to in targets.filter(|to| *to != from) {
            let link = links.between(from, to);
            match link.admit(frame.len(), Instant::now()) {
                Fate::Now => link.handed_over(frame.len(), taps[to].write(frame).is_ok()),
                Fate::At(due) => {
                    let frame = Arc::clone(shared_frame.get_or_insert_with(|| Arc::from(frame)));
                    self.arrivals += 1;
                    self.waiting.push(Reverse(Waiting { due, arrival: self.arrivals, from, to, frame }));
                }
                Fate::Dropped => {}
            }
        }
    }

    fn deliver_due(&mut self, links: &mut Links, taps: &[Tap]) {
        let now = Instant::now();
        while self.waiting.peek().is_some_and(|Reverse(next)| next.due <= now) {
            let Some(Reverse(Waiting { from, to, frame, .. })) = self.waiting.pop() else { return };
            let link = links.between(from, to);
            if link.arrive(frame.len()) {
                link.handed_over(frame.len(), taps[to].write(&frame).is_ok());
            }
        }
    }
}

fn addresses(frame: &[u8]) -> (Address, Address) {
    let mut destination = Address::default();
    let mut source = Address::default();
    destination.copy_from_slice(&frame[..6]);
    source.copy_from_slice(&frame[6..12]);
    (destination, source)
}

/// Broadcast and multicast: the lowest bit of the first byte.
fn is_group(address: Address) -> bool {
    address[0] & 1 == 1
}
