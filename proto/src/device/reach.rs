//! Who is in reach: who can be got to over links, hop by hop.
//!
//! Each device tells in its presence whom it is linked to. Of two devices the later word tells whether there is a link
//! between them, so that one that is dead, and says nothing any more, is out of reach as soon as all its neighbours have
//! said that they lost it. Example: A is linked to B, and B to C. C loses its power; B notices, and tells A that it is
//! linked to A alone: from then on C is out of A's reach. That a device is lost, its neighbours alone can say, each for
//! its own link; whoever hears that of a device to which it is linked itself looks whether that is there.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;

use super::Device;
use super::peers::{Peer, Peers};
use crate::clock::Hlc;
use crate::id::DeviceId;
use crate::io::Output;
use crate::message::MAX_NEIGHBOURS;

/// A device, as a presence names it among its author's neighbours: the first bytes of its key. What they decide is whom to
/// ask first, so that two devices with the same are a nuisance at worst.
pub(super) type Short = [u8; 4];

/// A device that was lost by another is looked at so often at the most, milliseconds.
const LOOK_AT_AGAIN_MS: u64 = 2_000;

pub(super) fn short(device: &DeviceId) -> Short {
    [device.0[0], device.0[1], device.0[2], device.0[3]]
}

/// Whom a device said it is linked to, and when.
#[derive(Debug, Clone, Default)]
pub(super) struct Word {
    pub(super) at: Hlc,
    pub(super) neighbours: BTreeSet<Short>,
    /// Whether this device has told everybody of its own links since it came. One whose clock is ahead has the later word
    /// whatever it is told: to say it again would change nothing.
    pub(super) is_answered: bool,
}

impl Word {
    /// The neighbours of a presence. `None` if they cannot be read.
    pub(super) fn read(at: Hlc, neighbours: &[u8]) -> Option<Self> {
        let (shorts, rest) = neighbours.as_chunks::<4>();
        let fits = rest.is_empty() && shorts.len() <= MAX_NEIGHBOURS;
        fits.then(|| Self { at, neighbours: shorts.iter().copied().collect(), is_answered: false })
    }

    pub(super) fn written(&self) -> ByteVec {
        self.neighbours.iter().flatten().copied().collect::<Vec<u8>>().into()
    }
}

/// What two devices said last of a link between them: the later word counts, and one that says nothing has none.
fn is_link((a, of_a): (Short, Option<&Word>), (b, of_b): (Short, Option<&Word>)) -> bool {
    let says = |word: Option<&Word>, of: &Short| word.map(|word| (word.at, word.neighbours.contains(of)));
    says(of_a, &b).max(says(of_b, &a)).is_some_and(|(_, there)| there)
}

impl Peers {
    /// Those that can be got to from `me` over links: directly to the linked ones, and on as far as words that are not too
    /// old tell.
    pub(super) fn component(&self, me: &DeviceId, is_fresh: impl Fn(&Peer) -> bool) -> BTreeSet<DeviceId> {
        let mut by_short: BTreeMap<Short, Vec<&DeviceId>> = BTreeMap::new();
        let fresh: BTreeMap<&DeviceId, &Peer> = self
            .iter()
            .filter(|(device, peer)| *device != me && (peer.is_linked() || is_fresh(peer)))
            .collect();
        for device in fresh.keys() {
            by_short.entry(short(device)).or_default().push(device);
        }
        // Who says that it is linked to whom, so that a word of one end alone is found from the other.
        let mut named_by: BTreeMap<Short, Vec<&DeviceId>> = BTreeMap::new();
        for (device, peer) in &fresh {
            for neighbour in peer.word.iter().flat_map(|word| &word.neighbours) {
                named_by.entry(*neighbour).or_default().push(device);
            }
        }
        let mut seen: BTreeSet<DeviceId> =
            fresh.iter().filter(|(_, peer)| peer.is_linked()).map(|(device, _)| **device).collect();
        let mut open: Vec<DeviceId> = seen.iter().copied().collect();
        while let Some(at) = open.pop() {
            let Some(peer) = fresh.get(&at) else { continue };
            let at = short(&at);
            let word = peer.word.as_ref();
            let named = word.iter().flat_map(|word| &word.neighbours).filter_map(|short| by_short.get(short));
            for next in named.chain(named_by.get(&at)).flatten().copied() {
                let theirs = fresh.get(next).and_then(|peer| peer.word.as_ref());
                if is_link((at, word), (short(next), theirs)) && seen.insert(*next) {
                    open.push(*next);
                }
            }
            // Of those over narrow links its word is all there is.
            for next in &peer.reaches {
                if next != me && self.certificate(next).is_some() && seen.insert(*next) {
                    open.push(*next);
                }
            }
        }
        seen
    }
}

impl Device {
    /// The neighbours over broad links.
    pub(super) fn neighbours(&self) -> BTreeSet<Short> {
        let broad = |(device, peer): &(&DeviceId, &Peer)| peer.is_linked() && !self.narrow.is_to(device);
        self.peers.iter().filter(broad).map(|(device, _)| short(device)).take(MAX_NEIGHBOURS).collect()
    }

    /// The neighbours over narrow links; `None` if there are none.
    pub(super) fn narrow_neighbours(&self) -> Option<ByteVec> {
        let narrow = |(device, peer): &(&DeviceId, &Peer)| peer.is_linked() && self.narrow.is_to(device);
        let there = self.peers.iter().filter(narrow).flat_map(|(device, _)| short(device));
        let there: Vec<u8> = there.take(4 * MAX_NEIGHBOURS).collect();
        (!there.is_empty()).then(|| there.into())
    }

    /// Whether links are otherwise than what was told of them: one that is gone, which the other side has not said either,
    /// and one that is new.
    pub(super) fn links_differ_from_what_was_told(&self) -> (bool, bool) {
        let (me, told) = (short(&self.me), self.telling.word.as_ref());
        let (mut lost, mut gained) = (false, false);
        for (device, peer) in self.peers.iter().filter(|(device, _)| **device != self.me) {
            let other = short(device);
            let is_told = told.is_some_and(|word| word.neighbours.contains(&other));
            let is_believed = is_link((me, told), (other, peer.word.as_ref()))
                && (is_told || peer.word.as_ref().is_some_and(|word| !word.is_answered));
            let is_there = peer.is_linked() && !self.narrow.is_to(device);
            lost |= !is_there && (is_believed || self.telling.told_one.contains(&other));
            gained |= is_there && !is_told;
        }
        (lost, gained)
    }

    /// A device says whom it is linked to.
    pub(super) fn take_word(&mut self, from: DeviceId, word: Option<Word>, reaches: Vec<DeviceId>) {
        let before = self.peers.get(&from).and_then(|peer| peer.word.clone());
        let lost: Vec<DeviceId> = match (&before, &word) {
            (Some(before), Some(word)) => {
                let gone: BTreeSet<&Short> = before.neighbours.difference(&word.neighbours).collect();
                let linked = self.peers.iter().filter(|(_, peer)| peer.is_linked());
                linked
                    .filter(|(device, _)| gone.contains(&short(device)))
                    .map(|(device, _)| *device)
                    .collect()
            }
            _ => Vec::new(),
        };
        let peer = self.peers.get_mut(&from);
        let changed = peer.reaches != reaches
            || peer.word.as_ref().map(|word| &word.neighbours) != word.as_ref().map(|word| &word.neighbours);
        peer.word = word;
        peer.reaches = reaches;
        if changed {
            self.peers.links_changed();
        }
        for device in lost {
            self.look_at_link(device);
        }
    }

    /// Somebody lost a device to which this one is linked: is it there?
    fn look_at_link(&mut self, peer: DeviceId) {
        let now = self.now.mono_ms;
        let known = self.peers.get_mut(&peer);
        if !self.narrow.is_to(&peer) && known.looked_at_ms.is_none_or(|at| now >= at + LOOK_AT_AGAIN_MS) {
            known.looked_at_ms = Some(now);
            self.outbox.emit_now(Output::Probe { peer });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_the_later_word_counts() {
        let (a, b) = ([1; 4], [2; 4]);
        let word = |at, of: &[Short]| Word {
            at: Hlc(at),
            neighbours: of.iter().copied().collect(),
            is_answered: false,
        };
        let cases = [
            (Some(word(1, &[b])), None, true),
            (None, Some(word(1, &[a])), true),
            (None, None, false),
            (Some(word(1, &[b])), Some(word(2, &[])), false),
            (Some(word(3, &[b])), Some(word(2, &[])), true),
            (Some(word(1, &[])), Some(word(2, &[a])), true),
        ];
        for (of_a, of_b, there) in cases {
            assert_eq!(is_link((a, of_a.as_ref()), (b, of_b.as_ref())), there, "{of_a:?} {of_b:?}");
            assert_eq!(is_link((b, of_b.as_ref()), (a, of_a.as_ref())), there, "{of_b:?} {of_a:?}");
        }
    }

    #[test]
    fn words_are_bounded() {
        assert!(Word::read(Hlc(1), &[0; 4 * MAX_NEIGHBOURS]).is_some());
        assert!(Word::read(Hlc(1), &[0; 4 * MAX_NEIGHBOURS + 4]).is_none());
        assert!(Word::read(Hlc(1), &[0; 5]).is_none());
    }
}
