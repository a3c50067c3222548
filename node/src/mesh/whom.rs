//! Whom to dial over the network, of the devices that the peer book has. No clock and no network of its own.

use std::{collections::BTreeSet, time::Duration};

use libp2p::Multiaddr;
use popmesh_proto::links;
use tokio::time::Instant;

use super::{
    DeviceKey,
    peers::{PeerBook, PeerState},
};

/// With fewer links than this, all devices that have an address are dialled, beside those on the ring.
pub(crate) const LINKS_FEW: usize = 6;

/// So long those on the ring come first: where most devices are in reach, they are all that is needed.
const RING_FIRST: Duration = Duration::from_secs(1);

/// Devices beside the ring that are being dialled at once at most.
const BESIDE_AT_ONCE_MAX: usize = 32;

/// Whom a device wants links to, and whom it dials for want of better ones.
#[derive(Debug, Default)]
pub(crate) struct Whom {
    ring: BTreeSet<DeviceKey>,
    few_since: Option<Instant>,
}

impl Whom {
    /// Chooses anew. The ring is of devices that have shown a certificate, here or to others that wrote of it (`known`), so
    /// that both ends of a link choose from the same ones, and nobody else takes a place.
    pub(crate) fn choose(
        &mut self,
        event: &[u8; 32],
        me: &DeviceKey,
        known: &BTreeSet<DeviceKey>,
        book: &PeerBook,
    ) {
        let all: BTreeSet<DeviceKey> = known.iter().chain(book.peers.keys()).copied().collect();
        self.ring = links::wanted(event, me, &all);
    }

    /// The devices that links are wanted to.
    pub(crate) fn ring(&self) -> &BTreeSet<DeviceKey> {
        &self.ring
    }

    /// Whom to dial now, the most wanted first, given how many links there are and which addresses may be dialled.
    pub(crate) fn due(
        &mut self,
        book: &PeerBook,
        links: usize,
        may: impl Fn(&Multiaddr) -> bool,
        now: Instant,
    ) -> Vec<DeviceKey> {
        if links >= LINKS_FEW {
            self.few_since = None;
        } else {
            self.few_since.get_or_insert(now);
        }
        let is_wanted = |device: &DeviceKey| {
            self.ring.contains(device) || book.peers.get(device).is_some_and(|peer| !peer.named_at.is_empty())
        };
        let (mut due, mut beside): (Vec<_>, Vec<_>) = book.due(may, now).into_iter().partition(is_wanted);
        if self.few_since.is_some_and(|since| now - since >= RING_FIRST) {
            let is_dialled = |device: &DeviceKey, state: &PeerState| {
                matches!(state, PeerState::Dialling { .. }) && !is_wanted(device)
            };
            let dialled = book.peers.iter().filter(|(device, peer)| is_dialled(device, &peer.state)).count();
            // Who was heard of last is the most likely to be in reach.
            beside.sort_by_key(|device| {
                let peer = book.peers.get(device);
                std::cmp::Reverse(peer.map(|peer| peer.seen))
            });
            beside.truncate(BESIDE_AT_ONCE_MAX.saturating_sub(dialled));
            due.append(&mut beside);
        }
        due
    }
}

#[cfg(test)]
mod model;
