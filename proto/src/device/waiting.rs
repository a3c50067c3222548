//! Entries that are vouched for, but need others first. They wait outside log and views, in bounded room.
//!
//! Whoever has signed entries that wait is their author, whoever sent them; so the room is accounted to authors, and one
//! that fills it loses its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::by_name::Wanted;
use crate::id::{ChainId, DeviceId, Hash, Ref};
use crate::log::{Linked, Tip};

/// The most memory that one author's waiting entries take. Beyond it its longest waiting chain is dropped; the chain's
/// frontier brings it back.
const MAX_BYTES_EACH: usize = 8 << 20;
/// The most for all authors together. Beyond it, who has most loses as above.
const MAX_BYTES: usize = 32 << 20;
/// What an entry takes beside its body.
const ENTRY_BYTES: usize = 256;

/// What an entry may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// An entry that it names.
    Entry(Ref),
    /// A change of the programme that it depends on.
    Change(Hash),
}

#[derive(Debug)]
struct Queue {
    author: DeviceId,
    /// The peer that the last of them came from.
    from: DeviceId,
    entries: VecDeque<Linked>,
    bytes: usize,
    /// What its first entry waits for.
    blocked_on: Option<Need>,
}

/// What waits, by chain.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queues: BTreeMap<ChainId, Queue>,
    blocked: BTreeMap<Need, BTreeSet<ChainId>>,
    bytes: BTreeMap<DeviceId, usize>,
    /// When what they wait for is asked for by name.
    pub(super) wanted: Wanted,
}

fn bytes_of(entry: &Linked) -> usize {
    entry.body.len() + ENTRY_BYTES
}

impl Waiting {
    pub(super) fn len(&self) -> u64 {
        self.queues.values().map(|queue| queue.entries.len() as u64).sum()
    }

    /// The end of a chain, counting what waits; `None` if nothing of it waits.
    pub(super) fn tip(&self, chain: &ChainId) -> Option<Tip> {
        let last = self.queues.get(chain)?.entries.back()?;
        Some(Tip { seq: last.entry.seq, hash: last.hash, at: last.at })
    }

    pub(super) fn has(&self, chain: &ChainId) -> bool {
        self.queues.contains_key(chain)
    }

    pub(super) fn author(&self, chain: &ChainId) -> Option<DeviceId> {
        self.queues.get(chain).map(|queue| queue.author)
    }

    /// The first waiting entry of a chain.
    pub(super) fn first(&self, chain: &ChainId) -> Option<&Linked> {
        self.queues.get(chain)?.entries.front()
    }

    /// Puts entries that came from a peer behind those of their chain that wait already.
    pub(super) fn push(&mut self, chain: ChainId, author: DeviceId, from: DeviceId, entries: Vec<Linked>) {
        let more = entries.iter().map(bytes_of).sum::<usize>();
        let queue = self.queues.entry(chain).or_insert_with(|| Queue {
            author,
            from,
            entries: VecDeque::new(),
            bytes: 0,
            blocked_on: None,
        });
        queue.from = from;
        queue.bytes += more;
        queue.entries.extend(entries);
        *self.bytes.entry(author).or_default() += more;
    }

    /// Takes the first entry of a chain.
    pub(super) fn pop(&mut self, chain: &ChainId) -> Option<Linked> {
        let queue = self.queues.get_mut(chain)?;
        let linked = queue.entries.pop_front()?;
        let (author, bytes) = (queue.author, bytes_of(&linked));
        queue.bytes -= bytes;
        if queue.entries.is_empty() {
            self.drop_chain(chain);
        }
        self.give_back(&author, bytes);
        Some(linked)
    }

    /// Drops whatever waits of a chain.
    pub(super) fn drop_chain(&mut self, chain: &ChainId) {
        let Some(queue) = self.queues.remove(chain) else { return };
        self.give_back(&queue.author, queue.bytes);
        if let Some(need) = queue.blocked_on {
            self.waits_no_more(chain, &need);
        }
    }

    fn waits_no_more(&mut self, chain: &ChainId, need: &Need) {
        if let Some(chains) = self.blocked.get_mut(need) {
            chains.remove(chain);
            if chains.is_empty() {
                self.blocked.remove(need);
                self.wanted.forget(need);
            }
        }
    }

    fn give_back(&mut self, author: &DeviceId, bytes: usize) {
        if let Some(all) = self.bytes.get_mut(author) {
            *all = all.saturating_sub(bytes);
            if *all == 0 {
                self.bytes.remove(author);
            }
        }
    }

    /// The first entry of a chain waits for something.
    pub(super) fn block(&mut self, chain: ChainId, need: Need, now_ms: u64) {
        let Some(queue) = self.queues.get_mut(&chain) else { return };
        let (author, from) = (queue.author, queue.from);
        if let Some(before) = queue.blocked_on.replace(need).filter(|before| *before != need) {
            self.waits_no_more(&chain, &before);
        }
        self.blocked.entry(need).or_default().insert(chain);
        self.wanted.want(author, need, from, now_ms);
    }

    /// The chains that waited for what is here now.
    pub(super) fn unblock(&mut self, need: &Need) -> BTreeSet<ChainId> {
        let Some(chains) = self.blocked.remove(need) else { return BTreeSet::new() };
        self.wanted.forget(need);
        for chain in &chains {
            if let Some(queue) = self.queues.get_mut(chain) {
                queue.blocked_on = None;
            }
        }
        chains
    }

    /// What first entries of chains wait for.
    pub(super) fn needs(&self) -> impl Iterator<Item = Need> {
        self.blocked.keys().copied()
    }

    /// Drops what waits of a chain from `first` on. The chains that waited for any of it.
    pub(super) fn cut(&mut self, first: &Ref) -> Vec<ChainId> {
        let mut freed = 0;
        if let Some(queue) = self.queues.get_mut(&first.chain) {
            while let Some(last) = queue.entries.pop_back_if(|last| last.entry.seq >= first.seq) {
                freed += bytes_of(&last);
            }
            queue.bytes -= freed;
            let author = queue.author;
            if queue.entries.is_empty() {
                self.drop_chain(&first.chain);
            }
            self.give_back(&author, freed);
        }
        let last = Ref { chain: first.chain, seq: u64::MAX };
        let needs: Vec<Need> =
            self.blocked.range(Need::Entry(*first)..=Need::Entry(last)).map(|(need, _)| *need).collect();
        needs.iter().flat_map(|need| self.unblock(need)).collect()
    }

    /// Makes room, at the cost of who takes more than its share.
    pub(super) fn keep_in_bounds(&mut self) {
        loop {
            let all: usize = self.bytes.values().sum();
            let most =
                self.bytes.iter().max_by_key(|(_, bytes)| **bytes).map(|(author, bytes)| (*author, *bytes));
            let Some((author, _)) = most.filter(|(_, bytes)| all > MAX_BYTES || *bytes > MAX_BYTES_EACH)
            else {
                return;
            };
            let of_author = self.queues.iter().filter(|(_, queue)| queue.author == author);
            let Some(longest) = of_author.max_by_key(|(_, queue)| queue.bytes).map(|(chain, _)| *chain)
            else {
                return;
            };
            self.drop_chain(&longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Hlc;
    use crate::log::Admitted;
    use crate::record::{Body, Received, Record};

    const HONEST: DeviceId = DeviceId([1; 32]);
    const HOSTILE: DeviceId = DeviceId([2; 32]);

    fn entries(chain: ChainId, author: DeviceId, from: u64, count: u64, bytes: usize) -> Vec<Linked> {
        let record = Record {
            at: Hlc::default(),
            body: Body::Received(Received { transfers: Vec::new() }),
            key: None,
        };
        (from..from + count)
            .map(|seq| Linked {
                entry: Ref { chain, seq },
                author,
                body: vec![0; bytes],
                hash: Hash([0; 32]),
                at: Hlc::default(),
                signature: None,
                content: Admitted::Record(record.clone()),
            })
            .collect()
    }

    fn need(number: u64) -> Need {
        Need::Entry(Ref { chain: ChainId([9; 16]), seq: number })
    }

    #[test]
    fn who_fills_the_room_loses_its_own() {
        let mut waiting = Waiting::default();
        let honest = ChainId([0; 16]);
        waiting.push(honest, HONEST, HONEST, entries(honest, HONEST, 1, 20_000, 100));
        waiting.block(honest, need(1), 0);
        for number in 0..2_000u64 {
            let mut chain = ChainId([1; 16]);
            chain.0[..8].copy_from_slice(&number.to_be_bytes());
            waiting.push(chain, HOSTILE, HOSTILE, entries(chain, HOSTILE, 1, 1, 64 << 10));
            waiting.block(chain, need(1_000 + number), 0);
            waiting.keep_in_bounds();
            assert!(waiting.bytes[&HOSTILE] <= MAX_BYTES_EACH);
        }
        assert_eq!(waiting.queues[&honest].entries.len(), 20_000);
        assert_eq!(waiting.blocked.len(), waiting.queues.len(), "what was dropped waits for nothing");
        assert_eq!(waiting.unblock(&need(1)), BTreeSet::from([honest]));
    }

    #[test]
    fn many_that_fill_it_together_lose_and_not_who_has_little() {
        let mut waiting = Waiting::default();
        let honest = ChainId([0; 16]);
        waiting.push(honest, HONEST, HONEST, entries(honest, HONEST, 1, 2_000, 100));
        for author in 2..30u8 {
            let (chain, author) = (ChainId([author; 16]), DeviceId([author; 32]));
            waiting.push(chain, author, author, entries(chain, author, 1, 100, 60 << 10));
            waiting.keep_in_bounds();
        }
        assert!(waiting.bytes.values().sum::<usize>() <= MAX_BYTES);
        assert!(waiting.has(&honest));
    }

    #[test]
    fn what_is_taken_or_dropped_leaves_nothing_behind() {
        let mut waiting = Waiting::default();
        let chain = ChainId([1; 16]);
        waiting.push(chain, HONEST, HONEST, entries(chain, HONEST, 1, 3, 10));
        waiting.block(chain, need(1), 0);
        waiting.block(chain, need(2), 0);
        assert!(waiting.unblock(&need(1)).is_empty());
        assert_eq!(waiting.unblock(&need(2)).len(), 1);
        assert_eq!(waiting.pop(&chain).map(|linked| linked.entry.seq), Some(1));
        waiting.block(chain, need(3), 0);
        waiting.drop_chain(&chain);
        assert!(waiting.blocked.is_empty() && waiting.bytes.is_empty() && waiting.queues.is_empty());
        waiting.push(chain, HONEST, HONEST, entries(chain, HONEST, 1, 1, 10));
        assert!(waiting.pop(&chain).is_some() && waiting.pop(&chain).is_none());
        assert!(waiting.bytes.is_empty() && !waiting.has(&chain));
    }
}
