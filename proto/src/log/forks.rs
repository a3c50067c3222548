//! Forks: a life with two histories ends before they part, on every device. What follows is in no document; the proof
//! keeps as much of both as it takes to check it alone.

use super::admission::{Fault, Gate, Tip};
use super::{Chain, Log, Range, change_hash, signed_message};
use crate::document::Document;
use crate::id::{ChainId, DeviceId, Hash, Ref};
use crate::identity::{Signature, SignedCertificate};
use crate::planted::Planted;
use crate::programme::Edit;
use crate::record::{Branch, Fork, Record};

/// Where a chain ends because its author forked it.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    seq: u64,
    /// The hash of the last entry that counts.
    previous: Option<Hash>,
    /// What follows that entry in one of the histories, up to one that is signed: that signature vouches for it.
    vouch: (Vec<Vec<u8>>, Signature),
}

/// What a cut took out of the log.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    /// How many entries.
    pub(crate) entries: u64,
    /// The hashes of those that were changes of the programme.
    pub(crate) edits: Vec<Hash>,
}

impl Chain {
    /// Up to where a proof of a fork vouches for it, if it ends before one.
    pub(super) fn vouched_by_fork(&self) -> Option<u64> {
        let cut = self.cut.as_ref()?;
        let ends_there = cut.seq.checked_sub(1) == Some(self.len());
        (ends_there && self.hash(self.len()) == cut.previous.as_ref()).then(|| self.len())
    }

    /// What has to follow entries up to `last` so that a signature vouches for them: part of a history that counts for
    /// nothing, and that whoever knows of the fork leaves out.
    pub(super) fn tail_of_fork(&self, last: u64) -> Option<(&[Vec<u8>], Signature)> {
        let (bodies, signature) = &self.cut.as_ref()?.vouch;
        let bare = self.vouched_by_fork() == Some(last) && self.signature(last).is_none();
        bare.then_some((bodies.as_slice(), *signature))
    }

    /// The bodies from `seq` on up to the first that is signed, and that signature.
    fn branch_from(&self, seq: u64) -> Option<(Vec<Vec<u8>>, Signature)> {
        let bodies = |last: u64| -> Vec<Vec<u8>> {
            (seq..=last).filter_map(|seq| self.body(seq)).map(<[u8]>::to_vec).collect()
        };
        if let Some((last, signature)) = self.signatures.range(seq..).next() {
            return Some((bodies(*last), *signature));
        }
        let last = self.vouched_by_fork()?;
        let (tail, signature) = &self.cut.as_ref()?.vouch;
        let mut bodies = bodies(last);
        bodies.extend(tail.iter().cloned());
        Some((bodies, *signature))
    }

    fn truncate(&mut self, len: u64) -> Dropped {
        let mut dropped = Dropped { entries: self.len().saturating_sub(len), edits: Vec::new() };
        let keep = usize::try_from(len).unwrap_or(usize::MAX).min(self.ends.len());
        if self.document == Document::Programme {
            dropped.edits = self.hashes[keep..].to_vec();
        }
        self.ends.truncate(keep);
        self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
        self.hashes.truncate(keep);
        self.signatures.split_off(&(len + 1));
        self.ended = false;
        self.last_at = self.body(len).and_then(|body| time_of(self, len, body)).unwrap_or_default();
        dropped
    }
}

fn time_of(chain: &Chain, seq: u64, body: &[u8]) -> Option<crate::clock::Hlc> {
    match chain.document {
        Document::Programme => Edit::read(&chain.id, seq, body).ok().map(|edit| edit.at),
        _ => Record::decode(body).ok().map(|record| record.at),
    }
}

/// The hashes of entries of a chain that follow each other, from the `seq`-th on; `None` if one cannot be read.
fn hashes(chain: &Chain, seq: u64, previous: Option<Hash>, bodies: &[Vec<u8>]) -> Option<Vec<Hash>> {
    let mut scratch = Vec::new();
    let mut hashes: Vec<Hash> = Vec::with_capacity(bodies.len());
    for (body, seq) in bodies.iter().zip(seq..) {
        let hash = if chain.document == Document::Programme {
            Edit::read(&chain.id, seq, body).ok()?.hash
        } else {
            let at = Record::decode(body).ok()?.at;
            let before = hashes.last().copied().or(previous);
            change_hash(chain, seq, before.as_ref(), at, body, &mut scratch)
        };
        hashes.push(hash);
    }
    Some(hashes)
}

impl Gate {
    /// The certificate that a chain which was forked begins with; `None` if it cannot be read.
    pub(crate) fn certificate_of(&mut self, fork: &Fork) -> Option<SignedCertificate> {
        self.certificate(&super::admission::start_of(&fork.start).ok()?.certificate).ok()
    }

    /// Checks a proof of a fork, alone. Who forked.
    ///
    /// # Errors
    /// [`Fault::Proof`] if it proves nothing, or what is wrong with how its chain begins.
    pub(crate) fn check_fork(&mut self, fork: &Fork, verify: bool) -> Result<(DeviceId, Document), Fault> {
        let opening = self.open(&fork.chain, super::admission::start_of(&fork.start)?)?;
        let chain = Chain::new(fork.chain, opening);
        let programme = chain.document == Document::Programme;
        if fork.previous.is_some() != (fork.seq > 1 && !programme) {
            return Err(Fault::Proof);
        }
        let mut firsts = Vec::new();
        for branch in &fork.branches {
            let bodies = branch.unpack().ok_or(Fault::Proof)?;
            let hashes = hashes(&chain, fork.seq, fork.previous, &bodies).ok_or(Fault::Proof)?;
            let (Some(first), Some(last)) = (hashes.first(), hashes.last()) else {
                return Err(Fault::Proof);
            };
            // A change of the programme does not name the one before it in a way that is looked at here.
            if programme && hashes.len() != 1 {
                return Err(Fault::Proof);
            }
            let message = signed_message(&self.event(), &chain.document, last);
            if verify && !self.signatures().verifies(&branch.signature, &chain.device, &message) {
                return Err(Fault::Proof);
            }
            firsts.push(*first);
        }
        match firsts.as_slice() {
            [one, other] if one != other => Ok((chain.device, chain.document)),
            _ => Err(Fault::Proof),
        }
    }
}

impl Log {
    /// The first number of a chain that counts for nothing, since its author has forked it there.
    pub fn cut_at(&self, chain: &ChainId) -> Option<u64> {
        self.cuts.get(chain).map(|fork| fork.seq)
    }

    /// How many of the first `len` entries of a chain count.
    pub(crate) fn counting(&self, chain: &ChainId, len: u64) -> u64 {
        self.cut_at(chain).map_or(len, |cut| len.min(cut.saturating_sub(1)))
    }

    /// Every chain that was cut, and the first number of it that counts for nothing.
    pub fn cuts(&self) -> impl Iterator<Item = (ChainId, u64)> {
        self.cuts.iter().map(|(chain, fork)| (*chain, fork.seq))
    }

    /// Whether an entry is of a history that counts for nothing.
    pub fn is_cut(&self, entry: &Ref) -> bool {
        self.cut_at(&entry.chain).is_some_and(|seq| entry.seq >= seq)
    }

    /// The proofs of forks, one for each chain: that of the first.
    pub(crate) fn forks(&self) -> impl Iterator<Item = &Fork> {
        self.cuts.values()
    }

    /// Makes the proof that a range and what is here are two histories of one life, which part at `seq`; `None` if
    /// they do not prove it.
    pub(crate) fn prove_fork(&self, gate: &mut Gate, range: &Range, seq: u64) -> Option<Fork> {
        let chain = self.chain(&range.chain)?;
        let programme = chain.document == Document::Programme;
        let (ours, signature) = chain.branch_from(seq)?;
        let ours = Branch::of(&ours, signature)?;
        let bodies = self.bodies_of(gate, range, None)?;
        let from = seq.checked_sub(range.first)?;
        let vouch = range.signatures.iter().find(|vouch| u64::from(vouch.offset) >= from)?;
        let bodies = bodies.get(usize::try_from(from).ok()?..=usize::try_from(vouch.offset).ok()?)?;
        let theirs = Branch::of(bodies, vouch.signature)?;
        let previous =
            if programme { None } else { seq.checked_sub(1).and_then(|before| chain.hash(before)) };
        let fork = Fork {
            chain: range.chain,
            seq,
            previous: previous.copied(),
            start: chain.body(1)?.to_vec().into(),
            branches: [ours, theirs],
            dropped: Vec::new(),
        };
        gate.check_fork(&fork, true).ok().map(|_| fork)
    }

    /// Ends a chain before a fork, unless it ends earlier already. What that took out of the log.
    ///
    /// Where what is here is a third history, which parts from the two earlier, nothing is taken out: it, too, is signed,
    /// and will prove that earlier fork.
    pub(crate) fn cut(&mut self, gate: &Gate, fork: &Fork) -> Option<Dropped> {
        if gate.plant.has(Planted::KeepForks) || self.cut_at(&fork.chain).is_some_and(|seq| seq <= fork.seq) {
            return None;
        }
        self.cuts.insert(fork.chain, fork.clone());
        self.version += 1;
        let Some(chain) = self.chains.get_mut(&fork.chain) else { return Some(Dropped::default()) };
        chain.cut = cut_of(fork);
        let last = fork.seq.saturating_sub(1);
        let is_third = fork.previous.is_some_and(|hash| chain.hash(last).is_some_and(|known| *known != hash));
        if is_third || chain.len() <= last {
            self.sum_up(&fork.chain);
            return Some(Dropped::default());
        }
        let dropped = chain.truncate(last);
        for hash in &dropped.edits {
            self.changes.remove(hash);
        }
        self.entries = self.entries.saturating_sub(dropped.entries);
        self.sum_up(&fork.chain);
        if last == 0 {
            self.remove(&fork.chain);
        } else if let Some(later) = self.successors.get(&fork.chain).cloned() {
            later.iter().for_each(|later| self.end_previous_of(later));
        }
        Some(dropped)
    }

    /// Forgets a chain of which nothing counts.
    fn remove(&mut self, id: &ChainId) {
        let Some(chain) = self.chains.remove(id) else { return };
        self.shown.remove(id);
        self.follow_no_more(&chain);
        let Some(previous) = chain.previous else { return };
        if let Some(before) = self.chains.get_mut(&previous.chain) {
            before.ended = false;
            self.sum_up(&previous.chain);
            for later in self.successors.get(&previous.chain).cloned().unwrap_or_default() {
                self.end_previous_of(&later);
            }
        }
    }

    /// How a chain that is new here has been cut, if it has.
    pub(super) fn cut_of(&self, chain: &ChainId) -> Option<Cut> {
        self.cuts.get(chain).and_then(cut_of)
    }

    /// Leaves out of `bodies`, the first of which is the `first` of its chain, what counts for nothing. Whether that
    /// leaves the last one without its signature: then [`Log::is_end_before_fork`] has to vouch for it.
    pub(super) fn trim(&self, chain: &ChainId, first: u64, bodies: &mut Vec<Vec<u8>>) -> bool {
        let Some(seq) = self.cut_at(chain) else { return false };
        let keep = usize::try_from(seq.saturating_sub(first)).unwrap_or(usize::MAX);
        let trims = bodies.len() > keep;
        bodies.truncate(keep);
        trims
    }

    /// Whether this is the last entry before a fork, which the proof of it vouches for.
    pub(super) fn is_end_before_fork(&self, chain: &ChainId, end: &Tip) -> bool {
        self.cuts.get(chain).is_some_and(|fork| fork.seq == end.seq + 1 && fork.previous == Some(end.hash))
    }
}

fn cut_of(fork: &Fork) -> Option<Cut> {
    let [one, _] = &fork.branches;
    Some(Cut { seq: fork.seq, previous: fork.previous, vouch: (one.unpack()?, one.signature) })
}
