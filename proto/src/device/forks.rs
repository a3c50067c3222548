//! A life with two histories: found, proven to everybody, and cut off before the two part.

use std::collections::BTreeSet;

use super::facts::Cause;
use super::{Device, Receipts, Trust, payments};
use crate::document::Document;
use crate::fact::{Fact, VoidedBy};
use crate::id::{ChainId, DeviceId, Hash, Ref};
use crate::log::Range;
use crate::programme::{Edit, Programme};
use crate::record::{Body, Fork, MAX_DROPPED, Record};

/// What forks leave behind.
#[derive(Debug, Default)]
pub(super) struct Forks {
    /// Views show entries that count for nothing any more, by this proof.
    stale: Option<Cause>,
    /// Whether something may be untold: since a proof came, or the views were worked out anew.
    untold: bool,
    /// Changes of the programme that this device has dropped, by the chain that was cut.
    dropped: Vec<(ChainId, Hash)>,
    /// Changes of the programme that were dropped anywhere: nothing is built on them.
    orphans: BTreeSet<Hash>,
    /// Those that a retired device made too late.
    late: BTreeSet<Hash>,
    /// Those that depend on such.
    built_on: BTreeSet<Hash>,
    /// Why this device has to begin a new life, if it has to.
    pub(super) reopen: Option<String>,
}

impl Forks {
    /// Whether a change of the programme is not to be applied: it counts for nothing, or what it is built on does.
    pub(super) fn is_orphan(&self, edit: &Edit) -> bool {
        let counts_not = |hash: &Hash| {
            self.orphans.contains(hash) || self.late.contains(hash) || self.built_on.contains(hash)
        };
        self.late.contains(&edit.hash) || edit.deps.iter().any(counts_not)
    }
}

impl Device {
    /// A range and what is here are two histories. Whether the author's own signatures prove it.
    pub(super) fn found_fork(&mut self, range: &Range, seq: u64) -> bool {
        let Some(fork) = self.log.prove_fork(&mut self.gate, range, seq) else { return false };
        // Of its own life a device hears from others, when they have both histories: it is of one of them itself.
        if self.log.chain(&fork.chain).is_some_and(|chain| chain.device == self.me) {
            return true;
        }
        self.tell_fork(fork)
    }

    fn tell_fork(&mut self, fork: Fork) -> bool {
        let known = self.log.cut_at(&fork.chain).is_some_and(|known| known < fork.seq);
        known || self.write(&Document::Devices, Body::Fork(Box::new(fork))).is_ok()
    }

    /// Takes in a proof that has been checked.
    pub(super) fn show_fork(&mut self, entry: Ref, hash: Hash, record: &Record, fork: &Fork) {
        let Ok((device, document)) = self.gate.check_fork(fork, false) else { return };
        self.forks.untold = true;
        // Where nothing of the life counts, the proof alone says whose it is.
        if let Some(certificate) = self.gate.certificate_of(fork) {
            self.peers.meet(&certificate);
        }
        self.trust.fork(hash, record, fork, (device, document.clone()));
        if device == self.me {
            self.note_keys_cut(fork);
        }
        for hash in &fork.dropped {
            self.forks.orphans.insert(*hash);
            self.intake.free_change(hash);
        }
        let cause = Cause { at_ms: record.at.ms(), entry, why: VoidedBy::Fork };
        if self.log.cut_at(&fork.chain).is_none_or(|seq| seq > fork.seq) {
            self.void_chain(&fork.chain, fork.seq, cause);
        }
        let Some(dropped) = self.log.cut(&self.gate, fork) else {
            if !fork.dropped.is_empty() {
                self.work_out_programme(cause);
            }
            return;
        };
        let first = Ref { chain: fork.chain, seq: fork.seq };
        self.intake.cut(&first);
        self.intake.lives_changed = true;
        if dropped.entries > 0 {
            self.forks.stale = Some(cause);
        }
        self.forks.dropped.extend(dropped.edits.iter().map(|hash| (fork.chain, *hash)));
        self.forks.orphans.extend(dropped.edits.iter().copied());
        for hash in &dropped.edits {
            self.intake.free_change(hash);
        }
        if document == Document::Programme {
            self.work_out_programme(cause);
        }
        if self.own.get(&document) == Some(&fork.chain) {
            self.begin_anew(
                "what this device wrote since its last start has two histories: two devices run with its key",
            );
        }
    }

    /// Has the runtime open this device again from what is stored, with a life of its own.
    pub(super) fn begin_anew(&mut self, problem: &str) {
        self.forks.reopen.get_or_insert_with(|| problem.to_owned());
    }

    /// Makes the programme anew, if other changes of it than before come from a retired device too late.
    pub(super) fn programme_anew(&mut self, cause: Cause) {
        let of_retired = self
            .log
            .chains()
            .filter(|chain| chain.document == Document::Programme && self.is_retired(&chain.device));
        let late: BTreeSet<Hash> = of_retired
            .flat_map(|chain| (1..=chain.len()).map(move |seq| (chain, Ref { chain: chain.id, seq })))
            .filter(|(chain, entry)| self.trust.is_late(&chain.device, entry))
            .filter_map(|(chain, entry)| chain.hash(entry.seq).copied())
            .collect();
        if late != self.forks.late {
            self.forks.late = late;
            self.work_out_programme(cause);
        }
    }

    /// Makes the programme anew of those changes that do not depend on what counts for nothing.
    fn work_out_programme(&mut self, cause: Cause) {
        self.forks.built_on.clear();
        let Ok(mut programme) = Programme::new(self.config.charter.charter().currency) else { return };
        let chains = self.log.chains().filter(|chain| chain.document == Document::Programme);
        let mut edits: Vec<(ChainId, Edit)> = chains
            .flat_map(|chain| (1..=chain.len()).map(move |seq| (chain, seq)))
            .filter_map(|(chain, seq)| Some((chain.id, Edit::read(&chain.id, seq, chain.body(seq)?).ok()?)))
            .collect();
        loop {
            let before = edits.len();
            edits.retain(|(_, edit)| {
                let ready = programme.missing(edit).is_none() && !self.forks.is_orphan(edit);
                !(ready && programme.apply_own(edit).is_ok())
            });
            if edits.len() == before {
                break;
            }
        }
        self.programme = programme;
        let own = self.own.get(&Document::Programme).copied();
        let mine = edits.iter().any(|(chain, _)| Some(*chain) == own);
        for (_, edit) in edits {
            if !self.forks.late.contains(&edit.hash) {
                self.forks.built_on.insert(edit.hash);
            }
            self.intake.free_change(&edit.hash);
        }
        if mine {
            self.begin_anew("a change of the programme made here was built on one that counts for nothing");
        }
        let Cause { at_ms, entry, .. } = cause;
        let by = self.author_of(&entry.chain).unwrap_or(self.me);
        let by_name = self.name_of(&by);
        self.outbox.tell(Fact::ProgrammeChanged { at_ms, entry, by, by_name });
    }

    /// Applies a change of the programme by `author`, which is `entry`, unless it counts for nothing.
    pub(super) fn apply_edit(
        &mut self,
        edit: &Edit,
        (entry, author): (Ref, DeviceId),
        stored: bool,
    ) -> Result<(), crate::log::Fault> {
        if self.trust.is_late(&author, &entry) {
            self.forks.late.insert(edit.hash);
            return Ok(());
        }
        if self.forks.is_orphan(edit) {
            self.forks.built_on.insert(edit.hash);
            return Ok(());
        }
        if stored {
            self.programme.apply_own(edit)?
        } else {
            self.programme.apply(edit)?
        }
        Ok(())
    }

    /// Works the views out anew, if they show what counts for nothing any more. Tells nobody of it.
    pub(super) fn refresh_restored(&mut self) {
        if let Some(cause) = self.forks.stale.take() {
            self.forks.untold = true;
            self.work_out_views(cause);
        }
    }

    /// The same, and tells of forks what nobody else tells.
    pub(super) fn refresh_views(&mut self) {
        self.refresh_restored();
        if self.forks.reopen.is_none() {
            self.tell_what_nobody_tells();
        }
    }

    fn work_out_views(&mut self, cause: Cause) {
        self.trust = Trust::default();
        (self.bars.stale, self.epochs.stale) = (true, true);
        self.receipts = Receipts::default();
        self.last_receipt = None;
        self.deferred = payments::Deferred::default();
        let chains: Vec<(ChainId, u64)> = self.log.chains().map(|chain| (chain.id, chain.len())).collect();
        let entries =
            || chains.iter().flat_map(|(chain, len)| (1..=*len).map(|seq| Ref { chain: *chain, seq }));
        for entry in entries() {
            self.trust_anew(entry);
        }
        self.fold_anew(cause);
        self.programme_anew(cause);
        self.people_anew();
        for entry in entries() {
            let Some(chain) = self.log.chain(&entry.chain).filter(|chain| chain.document.drop().is_some())
            else {
                continue;
            };
            let author = chain.device;
            let Some(record) = chain.body(entry.seq).and_then(|body| Record::decode(body).ok()) else {
                continue;
            };
            self.note_receipt(author, entry, &record);
            self.note_payments(entry, &record.body);
        }
        self.intake.lives_changed = true;
    }

    fn trust_anew(&mut self, entry: Ref) {
        let Some(chain) = self.log.chain(&entry.chain).filter(|chain| chain.document == Document::Devices)
        else {
            return;
        };
        let author = chain.device;
        let Some(hash) = chain.hash(entry.seq).copied() else { return };
        let Some(record) = chain.body(entry.seq).and_then(|body| Record::decode(body).ok()) else { return };
        match &record.body {
            Body::Fork(fork) => {
                if let Ok(whose) = self.gate.check_fork(fork, false) {
                    self.trust.fork(hash, &record, fork, whose);
                }
            }
            _ => {
                self.trust.take(entry, author, hash, &record);
            }
        }
    }

    /// A proof may have been told in a history that itself was cut off, and what was dropped here may be what others wait
    /// for: then this device tells of it.
    fn tell_what_nobody_tells(&mut self) {
        if !std::mem::take(&mut self.forks.untold) {
            return;
        }
        let untold: Vec<Fork> = self
            .log
            .forks()
            .filter_map(|fork| {
                let told = self.trust.forked(&fork.chain);
                let dropped: Vec<Hash> = self
                    .forks
                    .dropped
                    .iter()
                    .filter(|(chain, hash)| {
                        *chain == fork.chain && !told.is_some_and(|told| told.dropped.contains(hash))
                    })
                    .map(|(_, hash)| *hash)
                    .take(MAX_DROPPED)
                    .collect();
                let is_told = told.is_some_and(|told| told.seq <= fork.seq);
                (!is_told || !dropped.is_empty()).then(|| Fork { dropped, ..fork.clone() })
            })
            .collect();
        for fork in untold {
            // What cannot be told now is told by another, or after the next start.
            if self.write(&Document::Devices, Body::Fork(Box::new(fork))).is_err() {
                self.forks.untold = true;
                break;
            }
        }
    }
}
