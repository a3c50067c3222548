//! Gossip: from device to device, each passing on what it takes, once.

use std::collections::VecDeque;
use std::rc::Rc;

use popmesh_proto::io::{GossipToken, Input};

use super::World;
use super::queue::{Event, Life, NodeIndex};

/// A gossiped message on its way.
#[derive(Debug)]
struct Gossip {
    bytes: Rc<[u8]>,
    /// Who has seen it, a bit for each node.
    seen: Vec<u64>,
    /// When the first of the copies under way to each node arrives.
    due_us: Vec<u64>,
    /// Copies under way.
    copies: u64,
}

/// Everything gossiped that is on its way, by number.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    /// The number of the first.
    first: u64,
    all: VecDeque<Option<Gossip>>,
}

impl UnderWay {
    fn begin(&mut self, gossip: Gossip) -> u64 {
        self.all.push_back(Some(gossip));
        self.first + self.all.len() as u64 - 1
    }

    fn place(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first)?).ok()
    }

    fn get(&self, id: u64) -> Option<&Gossip> {
        self.all.get(self.place(id)?)?.as_ref()
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Gossip> {
        let place = self.place(id)?;
        self.all.get_mut(place)?.as_mut()
    }

    fn end(&mut self, id: u64) {
        if let Some(gossip) = self.place(id).and_then(|place| self.all.get_mut(place)) {
            *gossip = None;
        }
        while self.all.front().is_some_and(Option::is_none) {
            self.all.pop_front();
            self.first += 1;
        }
    }
}

/// Gossip that a device judges right now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judging {
    pub(super) token: GossipToken,
    /// Which, unless it was spoiled on the way.
    pub(super) id: Option<u64>,
    pub(super) from: NodeIndex,
}

impl World<'_> {
    pub(super) fn publish(&mut self, node: NodeIndex, bytes: Rc<[u8]>) {
        let mut seen = vec![0; self.nodes.len().div_ceil(64)];
        mark(&mut seen, node);
        let due_us = vec![u64::MAX; self.nodes.len()];
        let id = self.gossip.begin(Gossip { bytes, seen, due_us, copies: 0 });
        self.pass_on(node, id, None);
        self.forget_arrived(id);
    }

    pub(super) fn pass_on(&mut self, node: NodeIndex, id: u64, but: Option<NodeIndex>) {
        let Some(bytes) = self.gossip.get(id).map(|gossip| gossip.bytes.clone()) else { return };
        for peer in self.links.gossip_peers(node).iter().copied() {
            if Some(peer) == but || self.is_quiet(node, peer) {
                continue;
            }
            let to = self.nodes[peer].id;
            self.check_sends_to(node, &to);
            let life = self.nodes[peer].life;
            for arrival in self.travel(node, peer, bytes.len()).into_iter().flatten() {
                let at_us = self.in_order(node, peer, arrival);
                let Some(gossip) = self.gossip.get_mut(id) else { return };
                if !arrival.spoiled {
                    let due_us = gossip.due_us.get(peer).copied().unwrap_or(u64::MAX);
                    if due_us <= at_us || is_marked(&gossip.seen, peer) {
                        // It takes its time on the air, and then makes no difference.
                        continue;
                    }
                    if let Some(due_us) = gossip.due_us.get_mut(peer) {
                        *due_us = at_us;
                    }
                }
                gossip.copies += 1;
                let spoiled = arrival.spoiled.then(|| self.spoil(&bytes));
                self.queue.plan(at_us, Event::Gossip { from: node, to: peer, life, id, spoiled });
            }
        }
    }

    pub(super) fn deliver_gossip(
        &mut self,
        from: NodeIndex,
        to: NodeIndex,
        life: Life,
        id: u64,
        spoiled: Option<Rc<[u8]>>,
    ) {
        let Some(gossip) = self.gossip.get_mut(id) else { return };
        gossip.copies -= 1;
        let arrives =
            self.nodes[to].life == life && self.nodes[to].is_running() && self.links.are_linked(from, to);
        let (bytes, known) = match spoiled {
            // Its hash is another: to the mesh it is another message.
            Some(bytes) => (bytes, None),
            None => (gossip.bytes.clone(), Some(id)),
        };
        if arrives && (known.is_none() || mark(&mut gossip.seen, to)) {
            self.calls += 1;
            let token = self.calls;
            self.judging = Some(Judging { token, id: known, from });
            let from = self.nodes[from].id;
            self.give(to, Input::Gossip { from, bytes: bytes.to_vec(), token });
            self.judging = None;
        }
        self.forget_arrived(id);
    }

    fn forget_arrived(&mut self, id: u64) {
        if self.gossip.get(id).is_some_and(|gossip| gossip.copies == 0) {
            self.gossip.end(id);
        }
    }
}

fn is_marked(seen: &[u64], node: NodeIndex) -> bool {
    seen.get(node / 64).is_some_and(|word| word & (1 << (node % 64)) != 0)
}

/// Sets a node's bit; whether it was not set.
fn mark(seen: &mut Vec<u64>, node: NodeIndex) -> bool {
    let (word, bit) = (node / 64, 1 << (node % 64));
    if seen.len() <= word {
        seen.resize(word + 1, 0);
    }
    let fresh = seen[word] & bit == 0;
    seen[word] |= bit;
    fresh
}
