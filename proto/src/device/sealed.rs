//! Sealed payloads of personal data. They lie beside the log: an entry is admitted without its payload, which this device
//! asks its neighbours for until it is there, or erased. So a payload can be deleted everywhere, while the log stays as it
//! is. Nothing in here can read one.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use crate::id::{DeviceId, Hash, Ref};
use crate::io::{Output, Sealed};
use crate::message::{AskSealed, MAX_SEALED_ASKED, Message, SealedPart, SealedParts, encode};
use crate::planted::Planted;
use sha2::{Digest, Sha256};

/// How long a peer that was asked may take.
const ANSWER_WITHIN_MS: u64 = 2_000;
/// How long a peer that did not have a payload is first not asked for it again; then twice as long, and so on.
const AGAIN_FIRST_MS: u64 = 2_000;
/// The longest such wait.
const AGAIN_LAST_MS: u64 = 60_000;
/// The most payloads that peers have asked for and are told of when they come.
const MAX_ASKERS: usize = 4_096;

#[derive(Debug)]
struct Asked {
    entries: BTreeSet<Ref>,
    until_ms: u64,
}

/// A peer that did not have a payload.
#[derive(Debug, Clone, Copy)]
struct Lacks {
    wait_ms: u64,
    until_ms: u64,
}

#[derive(Debug, Default)]
struct With {
    asked: Option<Asked>,
    lacks: BTreeMap<Ref, Lacks>,
}

/// Payloads that are here, and those that are not.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    kept: BTreeMap<Ref, Vec<u8>>,
    missing: BTreeSet<Ref>,
    with: BTreeMap<DeviceId, With>,
    /// Who has asked for what is not here.
    askers: BTreeSet<(Ref, DeviceId)>,
    /// When there is something to do next; at once if 0, never if absent.
    next_ms: Option<u64>,
}

impl Payloads {
    pub(super) fn get(&self, entry: &Ref) -> Option<&[u8]> {
        self.kept.get(entry).map(Vec::as_slice)
    }

    /// Those that are here, in the order of their entries, after one of them.
    pub(super) fn after(&self, after: Option<&Ref>) -> impl Iterator<Item = (&Ref, &[u8])> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.kept.range::<Ref, _>((from, Unbounded)).map(|(entry, payload)| (entry, payload.as_slice()))
    }

    /// Wants the payload of an entry, unless it is here.
    pub(super) fn expect(&mut self, entry: Ref) {
        if !self.kept.contains_key(&entry) {
            self.missing.insert(entry);
        }
    }

    pub(super) fn look_again(&mut self) {
        self.next_ms = Some(0);
    }

    pub(super) fn link_up(&mut self, peer: DeviceId) {
        self.with.insert(peer, With::default());
        self.look_again();
    }

    pub(super) fn link_down(&mut self, peer: &DeviceId) {
        self.with.remove(peer);
        self.askers.retain(|(_, asker)| asker != peer);
        self.look_again();
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.next_ms
    }

    /// The peer has answered about these, one way or the other.
    fn answered(&mut self, peer: &DeviceId, entries: impl Iterator<Item = Ref>) {
        let Some(with) = self.with.get_mut(peer) else { return };
        let Some(asked) = &mut with.asked else { return };
        for entry in entries {
            asked.entries.remove(&entry);
        }
        if asked.entries.is_empty() {
            with.asked = None;
        }
    }

    fn lacks(&mut self, peer: &DeviceId, entry: Ref, now_ms: u64) {
        let Some(with) = self.with.get_mut(peer) else { return };
        let before = with.lacks.get(&entry).map_or(AGAIN_FIRST_MS / 2, |lacks| lacks.wait_ms);
        let wait_ms = (before * 2).min(AGAIN_LAST_MS);
        with.lacks.insert(entry, Lacks { wait_ms, until_ms: now_ms + wait_ms });
    }

    fn forget(&mut self, entry: &Ref) {
        self.missing.remove(entry);
        for with in self.with.values_mut() {
            with.lacks.remove(entry);
        }
    }

    /// Whom to ask for what, now.
    fn questions(
        &mut self,
        now_ms: u64,
        author: impl Fn(&Ref) -> Option<DeviceId>,
    ) -> Vec<(DeviceId, Vec<Ref>)> {
        let late: Vec<(DeviceId, Ref)> = self
            .with
            .iter_mut()
            .filter_map(|(peer, with)| Some((*peer, with.asked.take_if(|asked| asked.until_ms <= now_ms)?)))
            .flat_map(|(peer, asked)| asked.entries.into_iter().map(move |entry| (peer, entry)))
            .collect();
        for (peer, entry) in late {
            if self.missing.contains(&entry) {
                self.lacks(&peer, entry, now_ms);
            }
        }
        let under_way: BTreeSet<Ref> = self
            .with
            .values()
            .filter_map(|with| with.asked.as_ref())
            .flat_map(|asked| &asked.entries)
            .copied()
            .collect();
        let mut questions: BTreeMap<DeviceId, Vec<Ref>> = BTreeMap::new();
        let mut room = MAX_SEALED_ASKED * self.with.values().filter(|with| with.asked.is_none()).count();
        for entry in self.missing.difference(&under_way) {
            if room == 0 {
                break;
            }
            let can = |peer: &DeviceId, with: &With| {
                with.asked.is_none()
                    && with.lacks.get(entry).is_none_or(|lacks| lacks.until_ms <= now_ms)
                    && questions.get(peer).is_none_or(|asked| asked.len() < MAX_SEALED_ASKED)
            };
            // Who took it is likely to have it.
            let first =
                author(entry).filter(|author| self.with.get(author).is_some_and(|with| can(author, with)));
            let peer = first
                .or_else(|| self.with.iter().find(|(peer, with)| can(peer, with)).map(|(peer, _)| *peer));
            if let Some(peer) = peer {
                questions.entry(peer).or_default().push(*entry);
                room -= 1;
            }
        }
        for (peer, entries) in &questions {
            if let Some(with) = self.with.get_mut(peer) {
                let entries = entries.iter().copied().collect();
                with.asked = Some(Asked { entries, until_ms: now_ms + ANSWER_WITHIN_MS });
            }
        }
        self.next_ms = self
            .with
            .values()
            .flat_map(|with| {
                let asked = with.asked.as_ref().map(|asked| asked.until_ms);
                let again = with.lacks.values().map(|lacks| lacks.until_ms).filter(|until| *until > now_ms);
                asked.into_iter().chain(again)
            })
            .min()
            .filter(|_| !self.missing.is_empty());
        questions.into_iter().collect()
    }
}

impl Device {
    /// Takes back the payloads that this device has stored, after [`Device::open`] and before anything else. Those that do
    /// not fit to what the log says are deleted, and asked for again if the log wants them.
    pub fn take_back_sealed(&mut self, payloads: impl IntoIterator<Item = Sealed>) {
        for Sealed { entry, payload } in payloads {
            self.sealed.kept.insert(entry, payload);
        }
        let spoiled: Vec<Ref> = self
            .sealed
            .kept
            .iter()
            .filter(|(entry, payload)| !self.fits(entry, payload))
            .map(|(entry, _)| *entry)
            .collect();
        self.drop_sealed(&spoiled);
        self.reconcile_sealed();
    }

    /// Whether a payload is the one that its entry speaks of.
    fn fits(&self, entry: &Ref, payload: &[u8]) -> bool {
        self.people.get(entry).is_some_and(|taken| {
            taken.record.size as usize == payload.len()
                && taken.record.hash == Hash(Sha256::digest(payload).into())
        })
    }

    /// The payloads that this device has, for whoever checks it from outside. Shows what is not yet durable, too.
    pub fn payloads(&self) -> impl Iterator<Item = (&Ref, &[u8])> {
        self.sealed.after(None)
    }

    /// Makes what is kept and what is missing what the view says.
    pub(super) fn reconcile_sealed(&mut self) {
        let wanted = |entry: &Ref| self.people.get(entry).is_some_and(|taken| taken.erased.is_none());
        let unwanted: Vec<Ref> = self.sealed.kept.keys().filter(|entry| !wanted(entry)).copied().collect();
        let all = self.people.all().filter(|(_, taken)| taken.erased.is_none());
        self.sealed.missing =
            all.map(|(entry, _)| *entry).filter(|entry| !self.sealed.kept.contains_key(entry)).collect();
        self.drop_sealed(&unwanted);
        self.sealed.look_again();
    }

    /// Deletes payloads, in the same write as what says so.
    pub(super) fn drop_sealed(&mut self, entries: &[Ref]) {
        for entry in entries {
            self.sealed.forget(entry);
            let from = (*entry, DeviceId([0; 32]));
            let to = (*entry, DeviceId([0xff; 32]));
            let askers: Vec<_> = self.sealed.askers.range(from..=to).copied().collect();
            askers.iter().for_each(|asker| {
                self.sealed.askers.remove(asker);
            });
            if self.plant.has(Planted::KeepErased) {
                continue;
            }
            if self.sealed.kept.remove(entry).is_some() {
                let open = &mut self.outbox.open.sealed;
                open.kept.retain(|kept| kept.entry != *entry);
                // It may have been stored before in an earlier write, or in the one under way.
                open.erased.push(*entry);
            }
        }
    }

    /// Has a payload stored with the next write, and lets those have it who asked for it.
    pub(super) fn keep_sealed(&mut self, entry: Ref, payload: Vec<u8>) {
        self.sealed.forget(&entry);
        self.outbox.open.sealed.kept.push(Sealed { entry, payload: payload.clone() });
        let from = (entry, DeviceId([0; 32]));
        let to = (entry, DeviceId([0xff; 32]));
        let askers: Vec<(Ref, DeviceId)> = self.sealed.askers.range(from..=to).copied().collect();
        for asker in askers {
            self.sealed.askers.remove(&asker);
            let parts = vec![SealedPart { entry, payload: payload.clone().into() }];
            let message = Message::Sealed(SealedParts { parts, lacking: Vec::new() });
            self.outbox.emit(Output::Send { to: asker.1, bytes: encode(&message) });
        }
        self.sealed.kept.insert(entry, payload);
        self.sealed.look_again();
    }

    /// Asks for what is missing.
    pub(super) fn pump_sealed(&mut self) {
        let now = self.now.mono_ms;
        if self.sealed.next_ms.is_none_or(|at| at > now) {
            return;
        }
        let people = &self.people;
        let questions = self.sealed.questions(now, |entry| people.get(entry).map(|taken| taken.by));
        for (to, entries) in questions {
            let bytes = encode(&Message::AskSealed(AskSealed { entries }));
            self.outbox.emit(Output::Send { to, bytes });
        }
    }

    /// A peer asks for payloads.
    pub(super) fn asked_for_sealed(&mut self, from: DeviceId, ask: &AskSealed) {
        if ask.entries.len() > MAX_SEALED_ASKED {
            self.fault(from, format!("it asked for {} payloads at once", ask.entries.len()));
            return;
        }
        let (mut parts, mut lacking) = (Vec::new(), Vec::new());
        for entry in &ask.entries {
            if let Some(payload) = self.sealed.get(entry) {
                parts.push(SealedPart { entry: *entry, payload: payload.to_vec().into() });
                continue;
            }
            lacking.push(*entry);
            let erased = self.people.get(entry).is_some_and(|taken| taken.erased.is_some());
            if !erased && self.sealed.with.contains_key(&from) && self.sealed.askers.len() < MAX_ASKERS {
                self.sealed.askers.insert((*entry, from));
            }
        }
        let message = Message::Sealed(SealedParts { parts, lacking });
        self.outbox.emit(Output::Send { to: from, bytes: encode(&message) });
    }

    /// A peer sends payloads, or says that it has none.
    pub(super) fn take_sealed(&mut self, from: DeviceId, sent: SealedParts) {
        if sent.parts.len() > MAX_SEALED_ASKED || sent.lacking.len() > MAX_SEALED_ASKED {
            self.fault(from, "it sent too many payloads at once".to_owned());
            return;
        }
        let now = self.now.mono_ms;
        let told = sent.parts.iter().map(|part| part.entry).chain(sent.lacking.iter().copied());
        self.sealed.answered(&from, told.collect::<Vec<_>>().into_iter());
        for entry in sent.lacking {
            if self.sealed.missing.contains(&entry) {
                self.sealed.lacks(&from, entry, now);
            }
        }
        for part in sent.parts {
            // Here already, erased, or of an entry that is not: nothing that this device wants.
            if !self.sealed.missing.contains(&part.entry) {
                continue;
            }
            if self.fits(&part.entry, &part.payload) {
                self.keep_sealed(part.entry, part.payload.into());
            } else {
                self.sealed.lacks(&from, part.entry, now);
                self.fault(from, format!("its payload of {} is not what was written", part.entry));
            }
        }
        self.sealed.look_again();
    }
}
