//! A device with a valid certificate that cheats all the time, while its own program goes on as its mask: it writes what it
//! has no right to write, and tells it to whoever it has a link with.
//!
//! What it crafts stands in the ledger as written, and in none of the truths there: so each promise is judged among all
//! others as if none of it had ever come, at every step. That views show nothing of it is seen after the night
//! ([`World::shows_truth`]). An entry that has to be refused is not in the ledger: whoever stores it breaks I3 or I6.

mod craft;
mod judge;
mod lies;

use std::collections::BTreeMap;

use popmesh_crafted::{Author, message};
use popmesh_proto::clock::Hlc;
use popmesh_proto::record::Record;

use super::queue::{Event, NodeIndex};
use super::{MS, World};

/// So often it acts, milliseconds.
const ACTS_EVERY_MS: (u64, u64) = (300, 4_000);
/// So many of a thousand acts are no entries.
const LIES: u64 = 350;
/// So many of a thousand entries have a second form, for the other half of its peers; and so many in a night.
const TWO_FACED: u64 = 80;
const MOST_FORKS: u64 = 2;
/// So many of a thousand entries are told to all peers at once; the others to one, from whom the rest hear.
const TO_ALL: u64 = 500;

/// What adversaries have written by hand.
#[derive(Debug, Default)]
pub(super) struct Adversaries {
    /// The chains of each node, by document.
    authors: BTreeMap<(NodeIndex, String), Author>,
    /// What was crafted: in all, and of it what has to be refused.
    pub(super) crafted: u64,
    pub(super) to_be_refused: u64,
    /// What was said that is not so, and how often chains were begun by the dozen.
    pub(super) lies: u64,
    pub(super) floods: u64,
    /// Chains that have two ends.
    pub(super) forks: u64,
}

/// What an adversary has made.
struct Crafted {
    /// For the trace.
    what: String,
    /// The chain as it was, if it was there.
    before: Option<Author>,
    /// The chain with the entry at its end.
    author: Author,
    /// Nobody may take it in.
    is_refused: bool,
}

impl World<'_> {
    /// The time for an adversary to act, if the fault that makes it one goes on.
    pub(super) fn acts(&mut self, fault: usize, node: NodeIndex) {
        if !self.active[fault] {
            return;
        }
        if self.nodes[node].is_running() {
            if self.random.chance(LIES) {
                self.lies(node);
            } else if let Some(crafted) = self.craft(node) {
                self.tell_crafted(node, crafted);
            }
        }
        self.acts_again(fault, node);
    }

    /// Plans its next act.
    pub(super) fn acts_again(&mut self, fault: usize, node: NodeIndex) {
        self.ledger.adversaries.insert(self.nodes[node].id);
        let wait_ms = self.random.within(ACTS_EVERY_MS.0..=ACTS_EVERY_MS.1);
        self.queue.plan(self.now_us + wait_ms * MS, Event::Act { fault, node });
    }

    fn tell_crafted(&mut self, node: NodeIndex, crafted: Crafted) {
        let Crafted { what, before, author, is_refused } = crafted;
        self.note(|| format!("{node} crafts {what}"));
        self.adversaries.crafted += 1;
        self.adversaries.to_be_refused += u64::from(is_refused);
        let mut peers: Vec<NodeIndex> = self.links.peers(node).collect();
        if !self.random.chance(TO_ALL) {
            self.random.shuffle(&mut peers);
            peers.truncate(1);
        }
        let bytes = message(vec![author.range()]);
        let mut others = Vec::new();
        if !is_refused && self.adversaries.forks < MOST_FORKS && self.random.chance(TWO_FACED) {
            others = self.second_form(node, before, &author, &mut peers);
        }
        if !is_refused {
            self.keep_crafted(node, &author);
            let key = (node, author.document.to_string());
            match others.is_empty() {
                true => _ = self.adversaries.authors.insert(key, author),
                // It is found out, and the chain ends before it.
                false => _ = self.adversaries.authors.remove(&key),
            }
        }
        for (peer, bytes) in others {
            self.send_over_link(node, peer, bytes.into());
        }
        for peer in peers {
            self.send_over_link(node, peer, bytes.clone().into());
        }
    }

    /// Has the ledger know what stands in a chain that was crafted.
    fn keep_crafted(&mut self, node: NodeIndex, author: &Author) {
        self.ledger.crafted.insert(author.chain);
        let (life, me) = (self.nodes[node].life, self.nodes[node].id);
        for entry in &author.entries {
            let kept = self.ledger.stored((node, life), me, entry);
            self.check(kept);
        }
    }

    /// The last entry of a chain once more, otherwise, and half of `peers`, who hear of that instead.
    fn second_form(
        &mut self,
        node: NodeIndex,
        before: Option<Author>,
        author: &Author,
        peers: &mut Vec<NodeIndex>,
    ) -> Vec<(NodeIndex, Vec<u8>)> {
        let record = author.entries.last().and_then(|last| Record::decode(&last.body).ok());
        let Some((mut other, record)) = before.zip(record) else { return Vec::new() };
        let half = peers.split_off(peers.len() / 2);
        if half.is_empty() || other.entries.is_empty() {
            peers.extend(half);
            return Vec::new();
        }
        other.write(Hlc(record.at.0 + 1), record.body);
        self.note(|| format!("{node} writes that a second time, for others"));
        self.adversaries.forks += 1;
        self.ledger.two_faced.insert(author.chain);
        let bytes = message(vec![other.range()]);
        half.into_iter().map(|peer| (peer, bytes.clone())).collect()
    }
}
