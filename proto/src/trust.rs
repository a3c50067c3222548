//! Whom to trust, and since when not: retired devices, devices with two pasts, and incidents that a person has settled.
//! A function of the set of entries, in whatever order they came.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::Document;
use crate::epochs::Epochs;
use crate::holdings::Precedence;
use crate::id::{ChainId, DeviceId, Hash, Ref};
use crate::log::Log;
use crate::record::{Body, Fork, Record, Resolve, Retire};
use crate::rights::{Deed, Rights};

/// A device that was retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// The entry that says so.
    pub entry: Ref,
    /// Who retired it, and is its heir.
    pub by: DeviceId,
    /// Which of two retirements of one device counts: the earlier.
    pub precedence: Precedence,
    /// Up to where each of its chains counts; one that is not named does not.
    pub(crate) cut: BTreeMap<ChainId, u64>,
}

impl Retirement {
    /// Whether an entry of the retired device's comes after its retirement.
    pub fn is_late(&self, entry: &Ref) -> bool {
        entry.seq > self.upto(&entry.chain)
    }

    /// Up to where a chain of the retired device's counts; 0 if none of it does.
    pub fn upto(&self, chain: &ChainId) -> u64 {
        self.cut.get(chain).copied().unwrap_or(0)
    }
}

/// The retired devices.
pub type Retirements = BTreeMap<DeviceId, Retirement>;

/// The living heir of a retired device, and the retirements that lead there: its own first, then that of who retired it,
/// and so on. `None` if the device was not retired.
pub fn succession(retired: &Retirements, device: &DeviceId) -> Option<(DeviceId, Vec<Ref>)> {
    let mut heir = *device;
    let mut named = Vec::new();
    // Nobody is retired by its own heir (see `rights`), so this ends.
    while let Some(retirement) = retired.get(&heir) {
        named.push(retirement.entry);
        heir = retirement.by;
    }
    (!named.is_empty()).then_some((heir, named))
}

/// Whether these retirements, one after the other, lead from `device` to `heir`, who may have been retired since.
pub fn leads_to(
    retired: &Retirements,
    device: &DeviceId,
    named: impl IntoIterator<Item = Ref>,
    heir: &DeviceId,
) -> bool {
    let mut at = *device;
    for entry in named {
        match retired.get(&at) {
            Some(retirement) if retirement.entry == entry => at = retirement.by,
            _ => return false,
        }
    }
    at == *heir
}

/// How an incident was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The entry that says so.
    pub entry: Ref,
    /// Who did.
    pub by: DeviceId,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// What was done about it.
    pub note: String,
}

/// A life that was forked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forked {
    /// Whose it is.
    pub device: DeviceId,
    /// In which document.
    pub document: Document,
    /// From where on it counts for nothing.
    pub seq: u64,
    /// When that was said first, Unix milliseconds.
    pub at_ms: u64,
    /// Changes of the programme that somebody had taken in and has dropped.
    pub dropped: BTreeSet<Hash>,
    precedence: Precedence,
}

/// Whom to trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    rights: Rights,
    /// By what an incident is named with; of several resolutions the earliest counts that was not written too late.
    resolved: BTreeMap<Ref, BTreeMap<Precedence, Resolution>>,
    forked: BTreeMap<ChainId, Forked>,
    /// Parts of retirements that have not come yet: of which device, and what they name.
    parts: BTreeMap<Ref, (DeviceId, Vec<Ref>)>,
    epochs: Epochs,
    /// What each device said of its leaving: the last counts that was not written too late.
    left: BTreeMap<DeviceId, BTreeMap<Precedence, Left>>,
}

/// That a device has left, or is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The entry that says so.
    pub entry: Ref,
    /// Who gets what it had, and what still comes to it; absent if it is back.
    pub to: Option<DeviceId>,
}

impl Trust {
    /// The retired devices.
    pub fn retired(&self) -> &Retirements {
        self.rights.retired()
    }

    /// Who has the right to retire.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// The epochs of the event's secret.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// How an incident was settled, if it was.
    pub fn resolution(&self, incident: &Ref) -> Option<&Resolution> {
        let mut all = self.resolved.get(incident)?.values();
        all.find(|resolution| !self.is_late(&resolution.by, &resolution.entry))
    }

    /// Retirements that came second: in doubt is what both took over.
    pub fn retired_again(&self) -> impl Iterator<Item = (&Ref, &DeviceId)> {
        self.rights.again()
    }

    /// Lives that were forked.
    pub fn forks(&self) -> impl Iterator<Item = (&ChainId, &Forked)> {
        self.forked.iter()
    }

    /// How a life was forked, if it was.
    pub fn forked(&self, chain: &ChainId) -> Option<&Forked> {
        self.forked.get(chain)
    }

    /// Takes in the proof of a fork, which has been checked, and whose it is.
    pub(crate) fn fork(
        &mut self,
        hash: Hash,
        record: &Record,
        fork: &Fork,
        (device, document): (DeviceId, Document),
    ) {
        let precedence = (record.at, hash);
        let new = || Forked {
            device,
            document,
            seq: fork.seq,
            at_ms: record.at.ms(),
            dropped: BTreeSet::new(),
            precedence,
        };
        let known = self.forked.entry(fork.chain).or_insert_with(new);
        known.dropped.extend(&fork.dropped);
        // Of two proofs the one of the earlier fork counts, of two of one fork the earlier.
        if (fork.seq, precedence) < (known.seq, known.precedence) {
            (known.seq, known.at_ms, known.precedence) = (fork.seq, record.at.ms(), precedence);
        }
    }

    /// The entry with which a device has left, and who gets what comes to it; nothing if it has not left, or is back.
    pub fn left(&self, device: &DeviceId) -> Option<(Ref, DeviceId)> {
        let mut said = self.left.get(device)?.values().rev();
        let left = said.find(|left| !self.is_late(device, &left.entry))?;
        Some((left.entry, left.to?))
    }

    /// Whether an entry was written by a device after its retirement.
    pub fn is_late(&self, author: &DeviceId, entry: &Ref) -> bool {
        self.retired().get(author).is_some_and(|retirement| retirement.is_late(entry))
    }

    /// Takes in a retirement or a part of one, a hand-over of the right to retire, a leave, an epoch of
    /// the event's secret, or a resolution. Whether that changes who is
    /// retired, or since when. The records of one chain come in their order.
    pub fn take(&mut self, entry: Ref, by: DeviceId, hash: Hash, record: &Record) -> bool {
        let precedence = (record.at, hash);
        match &record.body {
            Body::Retire(retire) => {
                let more = self.parts_of(&entry, retire);
                self.rights.take(precedence, entry, Deed::retire(by, retire, more))
            }
            Body::RetireCut(part) => {
                self.parts.insert(entry, (part.device, part.cut.clone()));
                false
            }
            Body::Entrust(entrust) => self.rights.take(precedence, entry, Deed::entrust(by, entrust)),
            Body::Leave(leave) => {
                let left = Left { entry, to: leave.to.filter(|to| *to != by) };
                self.left.entry(by).or_default().insert(precedence, left);
                false
            }
            body @ (Body::Epoch(_) | Body::EpochCopies(_)) => {
                self.epochs.take(entry, by, precedence, body);
                false
            }
            Body::Resolve(resolve) => {
                self.resolve(entry, by, hash, record, resolve);
                false
            }
            _ => false,
        }
    }

    /// What the records before a retirement that belong to it name; any that is something else names nothing.
    fn parts_of(&mut self, entry: &Ref, retire: &Retire) -> Vec<Ref> {
        let first = entry.seq.saturating_sub(u64::from(retire.parts.unwrap_or(0)));
        let parts = (first..entry.seq).filter_map(|seq| self.parts.remove(&Ref { seq, ..*entry }));
        parts.filter(|(device, _)| *device == retire.device).flat_map(|(_, cut)| cut).collect()
    }

    /// Takes in a resolution.
    fn resolve(&mut self, entry: Ref, by: DeviceId, hash: Hash, record: &Record, resolve: &Resolve) {
        let note = resolve.note.clone();
        let resolution = Resolution { entry, by, at_ms: record.at.ms(), note };
        self.resolved.entry(resolve.incident).or_default().insert((record.at, hash), resolution);
    }
}

/// Proof that a device has two pasts: it was set back to an earlier state, or there are two of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubleLife {
    /// The device.
    pub device: DeviceId,
    /// The first entry of the life that does not follow from the others: the incident's name.
    pub entry: Ref,
    /// In words.
    pub text: String,
}

/// Every proof of a double life in a log, made of the devices' own signatures: a life that names as the one before it
/// one that another life names too, or not its last entry; or two lives that name none.
pub fn double_lives(log: &Log) -> Vec<DoubleLife> {
    /// Lives of one device in one document that name the same life before them.
    type Lives = BTreeMap<(DeviceId, String, Option<ChainId>), BTreeSet<(u64, ChainId)>>;
    let mut named = Lives::new();
    for chain in log.chains().filter(|chain| log.bears_on_pasts(&chain.id)) {
        let before = chain.previous.map(|previous| previous.chain);
        let key = (chain.device, chain.document.to_string(), before);
        let began = began_at(log, chain.id);
        named.entry(key).or_default().insert((began, chain.id));
    }
    let mut proofs = Vec::new();
    for ((device, document, before), lives) in named {
        let last = before.and_then(|before| log.chain(&before)).map(|before| before.len());
        for (index, (_, life)) in lives.iter().enumerate() {
            let entry = Ref { chain: *life, seq: 1 };
            let known = log.chain(life).and_then(|chain| chain.previous).map(|previous| previous.seq);
            let who = device.short();
            let other = log.chain(life).and_then(|chain| chain.previous).is_some_and(|previous| {
                let hash = log.chain(&previous.chain).and_then(|chain| chain.hash(previous.seq));
                hash.is_some_and(|hash| *hash != previous.hash)
            });
            let text = match (index, known, last) {
                _ if other => format!(
                    "{who} began again in {document} after entries that are not those it had written: there are two of it"
                ),
                (1.., _, _) => format!(
                    "{who} began twice in {document} from the same past: there are two of it, or it was set back"
                ),
                (_, Some(known), Some(last)) if known < last => format!(
                    "{who} began again in {document} knowing {known} of its {last} entries before: it was set back to an earlier state, or there are two of it"
                ),
                _ => continue,
            };
            proofs.push(DoubleLife { device, entry, text });
        }
    }
    proofs
}

/// When a life began, by its own clock.
fn began_at(log: &Log, chain: ChainId) -> u64 {
    let body = log.chain(&chain).and_then(|chain| chain.body(1));
    body.and_then(|body| Record::decode(body).ok()).map_or(0, |record| record.at.0)
}
