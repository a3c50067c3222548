//! The picture of the mesh, for people: this device's own links, and those that others tell of in their presences. What
//! nobody told is not in it; nothing is guessed.
//!
//! Example: this device is A, linked to B. B's last presence, 20 s old, says that it is linked to A and C. C has said
//! nothing. The edges are A–B, as of now, and B–C, as of 20 s ago, by B's word alone.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::peers::Peer;
use super::reach::{Short, Word, short};
use crate::id::DeviceId;
use crate::query::{Medium, MeshEdge, MeshNode, MeshPicture};

/// Two devices, the one with the lower key first.
type Pair = (DeviceId, DeviceId);

/// What one of two devices said of a link between them.
struct Said {
    by: DeviceId,
    at_mono_ms: u64,
    medium: Option<Medium>,
}

impl Device {
    pub(super) fn mesh_picture(&self) -> MeshPicture {
        let mut nodes: Vec<MeshNode> = Vec::new();
        for info in self.device_infos() {
            let peer = self.peers.get(&info.device);
            let here = info.device == self.me;
            let gap =
                peer.filter(|peer| peer.is_linked()).and_then(|_| self.sync.gap(&info.device, &self.log));
            let told_at_ms = match here {
                true => Some(self.now.wall_ms),
                false => peer.and_then(|peer| peer.told.as_ref()).map(|told| self.wall_of(told.at_mono_ms)),
            };
            let (lacks, lacked) = (gap.map(|gap| gap.0), gap.map(|gap| gap.1));
            nodes.push(MeshNode { info, here, lacks, lacked, told_at_ms });
        }
        MeshPicture { as_of_ms: self.now.wall_ms, nodes, edges: self.edges() }
    }

    /// What this device's wall clock shows at a time of its monotonic one.
    fn wall_of(&self, mono_ms: u64) -> u64 {
        self.now.wall_ms.saturating_sub(self.now.mono_ms.saturating_sub(mono_ms))
    }

    fn edges(&self) -> Vec<MeshEdge> {
        let mut by_short: BTreeMap<Short, Vec<DeviceId>> = BTreeMap::new();
        for (device, _) in self.peers.iter().filter(|(device, _)| !self.is_retired(device)) {
            by_short.entry(short(device)).or_default().push(*device);
        }
        // Where two have the same first bytes it is not known which is meant.
        let meant = |short: &Short| match by_short.get(short).map(Vec::as_slice) {
            Some([one]) => Some(*one),
            _ => None,
        };
        let mut said: BTreeMap<Pair, Vec<Said>> = BTreeMap::new();
        for (device, peer) in self.peers.iter().filter(|(device, _)| **device != self.me) {
            if peer.is_linked() {
                let medium = if self.narrow.is_to(device) { Medium::Bluetooth } else { Medium::Network };
                let word = Said { by: self.me, at_mono_ms: self.now.mono_ms, medium: Some(medium) };
                said.entry(pair(self.me, *device)).or_default().push(word);
            }
            let Some(told) = peer.told.as_ref().filter(|_| !self.is_retired(device)) else { continue };
            let links = links_of(peer, told.narrowly.as_ref());
            // What it says of a link to this device, this device knows better.
            for (other, medium) in links.iter().filter_map(|(short, medium)| Some((meant(short)?, *medium))) {
                if other != *device && other != self.me {
                    let word = Said { by: *device, at_mono_ms: told.at_mono_ms, medium: Some(medium) };
                    said.entry(pair(*device, other)).or_default().push(word);
                }
            }
        }
        // Who said last whom it is linked to, and left somebody out, says that this link is gone.
        let pairs: Vec<Pair> = said.keys().copied().collect();
        for (a, b) in pairs {
            for (by, other) in [(a, b), (b, a)] {
                let Some(peer) = self.peers.get(&by).filter(|_| by != self.me && other != self.me) else {
                    continue;
                };
                let Some(told) = &peer.told else { continue };
                if !links_of(peer, told.narrowly.as_ref()).contains_key(&short(&other)) {
                    let word = Said { by, at_mono_ms: told.at_mono_ms, medium: None };
                    said.entry((a, b)).or_default().push(word);
                }
            }
        }
        said.into_iter().filter_map(|(pair, words)| self.edge(pair, &words)).collect()
    }

    /// The link between two by what was said of it, of which the latest word counts.
    fn edge(&self, (a, b): Pair, words: &[Said]) -> Option<MeshEdge> {
        let last = words.iter().max_by_key(|word| word.at_mono_ms)?;
        let medium = last.medium?;
        let told_by: BTreeSet<DeviceId> =
            words.iter().filter(|word| word.medium == Some(medium)).map(|word| word.by).collect();
        let as_of_ms = self.wall_of(last.at_mono_ms);
        Some(MeshEdge { a, b, medium, told_by: told_by.into_iter().collect(), as_of_ms })
    }
}

fn pair(one: DeviceId, other: DeviceId) -> Pair {
    if one < other { (one, other) } else { (other, one) }
}

/// Whom a device said it is linked to.
fn links_of(peer: &Peer, narrowly: Option<&Word>) -> BTreeMap<Short, Medium> {
    let narrow = narrowly.into_iter().flat_map(|word| &word.neighbours);
    let broad = peer.word.iter().flat_map(|word| &word.neighbours);
    let narrow = narrow.map(|short| (*short, Medium::Bluetooth));
    narrow.chain(broad.map(|short| (*short, Medium::Network))).collect()
}
