//! Lives: which chains of a device follow which, and whether one of them can prove that it has two pasts.

use super::{Chain, Log};
use crate::id::{ChainId, Ref};

impl Log {
    /// Whether another chain names this one as the one before it.
    pub fn is_followed(&self, chain: &ChainId) -> bool {
        self.successors.contains_key(chain)
    }

    /// Whether a chain may be part of a proof that its author has two pasts: another one begins where it does, or what it or
    /// one that follows it names as the end of the one before is not that. Of all others nothing of the kind can be said.
    pub(crate) fn bears_on_pasts(&self, id: &ChainId) -> bool {
        let Some(chain) = self.chains.get(id) else { return false };
        let alike = |other: &&ChainId| {
            let other = self.chains.get(other);
            other.is_some_and(|other| other.device == chain.device && other.document == chain.document)
        };
        let beside = match &chain.previous {
            Some(previous) => self.successors.get(&previous.chain),
            None => self.beginnings.get(&chain.device),
        };
        let followed_by = self.successors.get(id).into_iter().flatten().filter_map(|id| self.chains.get(id));
        beside.into_iter().flatten().filter(alike).nth(1).is_some()
            || self.forgets(chain)
            || followed_by.into_iter().any(|later| self.forgets(later))
    }

    /// Whether an entry that has just come may tell something new of its author's past: it begins a life that bears on
    /// that, or is the one that a later life names as the end of this one, or the first after it. What follows then tells
    /// nothing more.
    pub(crate) fn may_tell_of_pasts(&self, entry: &Ref) -> bool {
        if entry.seq == 1 && self.bears_on_pasts(&entry.chain) {
            return true;
        }
        let later = self.successors.get(&entry.chain).into_iter().flatten();
        let ends = later.filter_map(|id| self.chains.get(id)?.previous.as_ref());
        ends.into_iter().any(|end| entry.seq == end.seq || Some(entry.seq) == end.seq.checked_add(1))
            && self.bears_on_pasts(&entry.chain)
    }

    /// Whether a chain names as the end of the one before it what is not its end.
    fn forgets(&self, chain: &Chain) -> bool {
        let Some(previous) = &chain.previous else { return false };
        self.chains.get(&previous.chain).is_some_and(|before| {
            before.len() > previous.seq
                || before.hash(previous.seq).is_some_and(|hash| *hash != previous.hash)
        })
    }

    /// A chain is new here.
    pub(super) fn follow(&mut self, chain: &Chain) {
        let beside = match &chain.previous {
            Some(previous) => self.successors.entry(previous.chain).or_default(),
            None => self.beginnings.entry(chain.device).or_default(),
        };
        beside.push(chain.id);
    }

    /// A chain is here no more.
    pub(super) fn follow_no_more(&mut self, chain: &Chain) {
        let Some(previous) = &chain.previous else {
            if let Some(beside) = self.beginnings.get_mut(&chain.device) {
                beside.retain(|other| *other != chain.id);
            }
            return;
        };
        if let Some(beside) = self.successors.get_mut(&previous.chain) {
            beside.retain(|other| *other != chain.id);
            if beside.is_empty() {
                self.successors.remove(&previous.chain);
            }
        }
    }
}
