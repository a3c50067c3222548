//! Which connection becomes the link to a peer. The gate asks here; the answer keeps it to one connection a peer and
//! medium.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use libp2p::Multiaddr;
use tokio::{sync::oneshot, time::Instant};

use super::{
    DeviceKey,
    gate::{Boot, NotPassed},
    medium::Medium,
};

/// A connection reaches the swarm within this after it was let in, or never: the gate's own timeout and a little more.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(6);

/// A link younger than this stays, though the peer's handshake says that it has none: the two have merely crossed.
const CROSSED_WITHIN: Duration = Duration::from_secs(2);

const PENDING: u8 = 0;
const PASSED: u8 = 1;
const FAILED: u8 = 2;

/// What gates tell the task that owns the swarm.
#[derive(Debug)]
pub(crate) enum GateNote {
    /// A connection wants to become the link to a peer.
    Enter(EntryRequest),
    /// A connection did not pass.
    NotPassed { device: Option<DeviceKey>, address: Multiaddr, dialled: bool, reason: NotPassed },
}

/// Why a connection with a good certificate is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// There is a link, or one is about to be.
    Duplicate,
    /// There is no room for another link.
    Busy,
}

/// A connection's wish to become the link to a peer.
#[derive(Debug)]
pub(crate) struct EntryRequest {
    pub(crate) device: DeviceKey,
    pub(crate) medium: Medium,
    boot: Boot,
    /// What the peer showed, and this device found good.
    certificate: Bytes,
    /// Whether the peer said that it has a link to this device over this medium.
    peer_linked: bool,
    /// Whether this end decides which connection stays.
    arbiter: bool,
    reply: oneshot::Sender<Result<Entry, Turned>>,
}

impl EntryRequest {
    fn way(&self) -> Way {
        (self.device, self.medium)
    }

    pub(crate) fn new(
        device: DeviceKey,
        medium: Medium,
        boot: Boot,
        certificate: Bytes,
        peer_linked: bool,
        arbiter: bool,
    ) -> (Self, oneshot::Receiver<Result<Entry, Turned>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { device, medium, boot, certificate, peer_linked, arbiter, reply }, receiver)
    }
}

/// A place kept for one connection until it arrives in the swarm or fails.
#[derive(Debug)]
pub(crate) struct Entry(Arc<AtomicU8>);

impl Entry {
    pub(crate) fn passed(&self) {
        self.0.store(PASSED, Ordering::Release);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Only a place that nobody passed through becomes free; the exchange keeps the other outcome.
        let _ = self.0.compare_exchange(PENDING, FAILED, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[derive(Debug)]
struct Place {
    boot: Boot,
    state: Arc<AtomicU8>,
    since: Instant,
}

impl Place {
    fn is_taken(&self, now: Instant) -> bool {
        match self.state.load(Ordering::Acquire) {
            PENDING => true,
            PASSED => now - self.since < ARRIVAL_TIMEOUT,
            _ => false,
        }
    }
}

/// The link that there is to a peer, as far as this choice is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Existing {
    pub(crate) boot: Boot,
    pub(crate) since: Instant,
}

/// What to do about a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Let it in.
    Grant,
    /// Close the link that there is, then let it in.
    Replace,
    /// Turn it away.
    Turn(Turned),
}

/// A peer, and what the connection to it runs over.
type Way = (DeviceKey, Medium);

/// The places kept for connections that are in the gate, requests that wait for an old link to close, and what those
/// who were let in have shown.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    places: HashMap<Way, Place>,
    waiting: HashMap<Way, EntryRequest>,
    certificates: HashMap<DeviceKey, Bytes>,
}

impl Admissions {
    /// Decides on a request, given the link that there is.
    pub(crate) fn decide(
        &self,
        request: &EntryRequest,
        existing: Option<Existing>,
        room: bool,
        now: Instant,
    ) -> Decision {
        if !request.arbiter {
            // The arbiter has decided. If there is a link here, it knows of none, or knows it to be dead.
            return if existing.is_some() { Decision::Replace } else { Decision::Grant };
        }
        if self.waiting.contains_key(&request.way()) {
            return Decision::Turn(Turned::Duplicate);
        }
        if let Some(link) = existing {
            let restarted = link.boot != request.boot;
            let lost_there = !request.peer_linked && now - link.since >= CROSSED_WITHIN;
            return if restarted || lost_there {
                Decision::Replace
            } else {
                Decision::Turn(Turned::Duplicate)
            };
        }
        let taken = self
            .places
            .get(&request.way())
            .is_some_and(|place| place.is_taken(now) && place.boot == request.boot);
        match (taken, room) {
            (true, _) => Decision::Turn(Turned::Duplicate),
            (false, false) => Decision::Turn(Turned::Busy),
            (false, true) => Decision::Grant,
        }
    }

    pub(crate) fn grant(&mut self, request: EntryRequest, now: Instant) {
        let state = Arc::new(AtomicU8::new(PENDING));
        self.places
            .insert(request.way(), Place { boot: request.boot, state: Arc::clone(&state), since: now });
        self.certificates.insert(request.device, request.certificate);
        // If the gate has gone meanwhile, the entry is dropped here, which frees the place.
        let _ = request.reply.send(Ok(Entry(state)));
    }

    pub(crate) fn turn(request: EntryRequest, turned: Turned) {
        let _ = request.reply.send(Err(turned));
    }

    /// Lets a request wait until the old link is closed. A newer request takes the place of an older one.
    pub(crate) fn wait(&mut self, request: EntryRequest) {
        if let Some(older) = self.waiting.insert(request.way(), request) {
            Self::turn(older, Turned::Duplicate);
        }
    }

    /// The link to a device is closed: whoever waited for that may enter.
    pub(crate) fn closed(&mut self, device: DeviceKey, medium: Medium, now: Instant) {
        if let Some(request) = self.waiting.remove(&(device, medium)) {
            self.grant(request, now);
        }
    }

    /// A connection arrived in the swarm. Says of which run of the peer it is.
    pub(crate) fn arrived(&mut self, device: DeviceKey, medium: Medium) -> Option<Boot> {
        self.places.remove(&(device, medium)).map(|place| place.boot)
    }

    /// The certificate that a device showed when it was last let in.
    pub(crate) fn certificate(&self, device: &DeviceKey) -> Option<&Bytes> {
        self.certificates.get(device)
    }

    /// Forgets places that are free again, and what devices showed that are not linked any more.
    pub(crate) fn tidy(&mut self, now: Instant, is_linked: impl Fn(&DeviceKey) -> bool) {
        self.places.retain(|_, place| place.is_taken(now));
        self.waiting.retain(|_, request| !request.reply.is_closed());
        let is_coming = |device: &DeviceKey| self.places.keys().any(|(coming, _)| coming == device);
        self.certificates.retain(|device, _| is_linked(device) || is_coming(device));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: DeviceKey = [5; 32];

    fn request(boot: u8, peer_linked: bool, arbiter: bool) -> EntryRequest {
        EntryRequest::new(PEER, Medium::Ip, [boot; 16], Bytes::new(), peer_linked, arbiter).0
    }

    #[test]
    fn the_arbiter_lets_in_one_connection_at_a_time() {
        let now = Instant::now();
        let mut admissions = Admissions::default();
        let (first, mut reply) = EntryRequest::new(PEER, Medium::Ip, [1; 16], Bytes::new(), false, true);
        assert_eq!(admissions.decide(&first, None, true, now), Decision::Grant);
        admissions.grant(first, now);
        let second = request(1, false, true);
        assert_eq!(admissions.decide(&second, None, true, now), Decision::Turn(Turned::Duplicate));
        drop(reply.try_recv().unwrap().unwrap());
        assert_eq!(
            admissions.decide(&second, None, true, now),
            Decision::Grant,
            "a failed one frees its place"
        );
        assert_eq!(admissions.decide(&second, None, false, now), Decision::Turn(Turned::Busy));
    }

    #[test]
    fn a_restarted_peer_replaces_its_old_link_and_a_crossed_dial_does_not() {
        let now = Instant::now();
        let admissions = Admissions::default();
        let fresh = Some(Existing { boot: [1; 16], since: now });
        let old = Some(Existing { boot: [1; 16], since: now.checked_sub(CROSSED_WITHIN).unwrap() });
        assert_eq!(admissions.decide(&request(2, false, true), fresh, true, now), Decision::Replace);
        assert_eq!(
            admissions.decide(&request(1, false, true), fresh, true, now),
            Decision::Turn(Turned::Duplicate)
        );
        assert_eq!(
            admissions.decide(&request(1, true, true), old, true, now),
            Decision::Turn(Turned::Duplicate)
        );
        assert_eq!(admissions.decide(&request(1, false, true), old, true, now), Decision::Replace);
        assert_eq!(admissions.decide(&request(1, true, false), fresh, true, now), Decision::Replace);
    }
}
