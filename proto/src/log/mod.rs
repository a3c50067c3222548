//! The log: every admitted entry, in chains, kept in memory so that a peer is served without reading from disk.

mod admission;
mod certificates;
mod digest;
mod forks;
mod implied;
mod lives;
mod newest;
mod range;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

pub use admission::{Admitted, Fault, Gate, Linked};
pub(crate) use admission::{Tip, own_start};
use digest::SetHash;
pub(crate) use newest::Newest;
pub use range::{Bodies, MAX_RANGE_BYTES, Range, Vouch};

use crate::change::{self, ChangeParts, RUN};
use crate::clock::Hlc;
use crate::document::Document;
use crate::id::{ChainId, DeviceId, EventId, Hash, HashStart, Ref};
use crate::identity::{Signature, SignedCertificate};
use crate::planted::{Plant, Planted};
use crate::record::{Fork, Previous};

/// Of entries that take more than this together, not all signatures but the last are forgotten; and a device signs its own
/// no further apart.
pub(crate) const STRETCH_BYTES: usize = 256 << 10;

/// One device's changes to one document during one life.
#[derive(Debug)]
pub struct Chain {
    /// Its id.
    pub id: ChainId,
    event: EventId,
    /// Its author.
    pub device: DeviceId,
    /// Its document.
    pub document: Document,
    /// The certificate that its start carries.
    pub certificate: SignedCertificate,
    /// The last entry that its author remembered of its own.
    pub previous: Option<Previous>,
    /// Hybrid time of its last entry.
    pub last_at: Hlc,
    ended: bool,
    /// What it adds to the digests of all chains and of the ended ones.
    adds: [Option<Hash>; 2],
    bytes: Vec<u8>,
    ends: Vec<u32>,
    hashes: Vec<Hash>,
    signatures: BTreeMap<u64, Signature>,
    cut: Option<forks::Cut>,
}

impl Chain {
    fn new(id: ChainId, start: admission::Opening) -> Self {
        Self {
            id,
            event: start.event,
            device: start.certificate.device,
            document: start.document,
            certificate: start.certificate,
            previous: start.previous,
            last_at: Hlc::default(),
            ended: false,
            adds: [None; 2],
            bytes: Vec::new(),
            ends: Vec::new(),
            hashes: Vec::new(),
            signatures: BTreeMap::new(),
            cut: None,
        }
    }

    /// Its entries from one on.
    fn run(&self, first: u64) -> implied::Run {
        let receipts = matches!(self.document, Document::Claims(_));
        implied::Run { event: self.event, device: self.device, chain: self.id, receipts, first }
    }

    /// How many entries it has.
    pub fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Never: a chain has its start at least, from the moment it is in the log.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether it is known to be complete: a later start of its author names its last entry.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Up to where a signature vouches for it. Nothing beyond is shown to anyone.
    pub fn signed(&self) -> u64 {
        self.vouched_by_fork().unwrap_or_else(|| self.last_signature())
    }

    /// The last entry of which a signature is kept.
    pub(crate) fn last_signature(&self) -> u64 {
        self.signatures.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// Itself, up to where it is vouched for, and the hash there.
    pub fn head(&self) -> Option<(&Self, u64, &Hash)> {
        let seq = self.signed();
        Some((self, seq, self.hash(seq)?))
    }

    /// The body of the `seq`-th entry.
    pub fn body(&self, seq: u64) -> Option<&[u8]> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        Some(&self.bytes[start..end])
    }

    /// The hash of the `seq`-th entry.
    pub fn hash(&self, seq: u64) -> Option<&Hash> {
        self.hashes.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    /// The signature of the `seq`-th entry, where one is kept: at run ends, and at the end.
    pub fn signature(&self, seq: u64) -> Option<&Signature> {
        self.signatures.get(&seq)
    }

    fn push(&mut self, body: &[u8], hash: Hash, at: Hlc) {
        self.bytes.extend_from_slice(body);
        self.ends.push(self.bytes.len() as u32);
        self.hashes.push(hash);
        self.last_at = at;
    }

    /// Room for `more` bytes: offsets into a chain are 32 bits wide.
    fn has_room(&self, more: usize) -> bool {
        self.bytes.len().saturating_add(more) <= u32::MAX as usize
    }

    fn vouch(&mut self, seq: u64, signature: Signature) {
        let mut latest = self.signatures.keys().rev().copied();
        let (last, before) = (latest.next(), latest.next().unwrap_or(0));
        // Programme changes depend on other authors' too, so each needs its own signature.
        if self.document != Document::Programme
            && let Some(last) = last
            && last < seq
            && last % RUN != 0
            // Entries can be sent apart only where a signature is kept.
            && self.bytes_between(before, seq) <= STRETCH_BYTES
        {
            self.signatures.remove(&last);
        }
        self.signatures.insert(seq, signature);
    }
}

/// The hash that the change with this body has.
pub(crate) fn change_hash(
    chain: &Chain,
    seq: u64,
    previous: Option<&Hash>,
    at: Hlc,
    body: &[u8],
    scratch: &mut Vec<u8>,
) -> Hash {
    Hash(change::hash(&parts(chain, seq, previous, at, body), scratch))
}

/// The Automerge change of an entry of `stock` or `claims`, rebuilt.
pub(crate) fn change_bytes(chain: &Chain, seq: u64, at: Hlc, out: &mut Vec<u8>) {
    if let Some(body) = chain.body(seq) {
        let previous = seq.checked_sub(1).and_then(|before| chain.hash(before));
        change::encode(&parts(chain, seq, previous, at, body), out);
    }
}

fn parts<'a>(
    chain: &'a Chain,
    seq: u64,
    previous: Option<&'a Hash>,
    at: Hlc,
    record: &'a [u8],
) -> ChangeParts<'a> {
    ChangeParts {
        device: chain.device.as_bytes(),
        actor: chain.id.as_bytes(),
        seq,
        previous: previous.map(Hash::as_bytes),
        // Automerge's times are seconds, by convention; the record has the hybrid time in full.
        time: (at.ms() / 1000) as i64,
        record,
    }
}

/// What a signature of an entry is made over: event, document and change hash.
pub(crate) fn signed_message(event: &EventId, document: &Document, hash: &Hash) -> Vec<u8> {
    let document = document.to_string();
    let mut message = Vec::with_capacity(96 + document.len());
    message.extend_from_slice(b"popmesh entry v1");
    message.extend_from_slice(&event.0);
    message.push(document.len() as u8);
    message.extend_from_slice(document.as_bytes());
    message.extend_from_slice(&hash.0);
    message
}

/// So many changes of heads are remembered, at least those of so many versions, for frontiers that tell of changes only.
pub(crate) const VERSIONS_REMEMBERED: usize = 4_096;

/// A change of a head, which was at `before` (0: there was none), that came with a version; one that came later with none of
/// another chain between them is the same.
#[derive(Debug, Clone, Copy)]
struct Changed {
    version: u64,
    chain: ChainId,
    before: u64,
}

/// What frontiers say of a chain: up to where it is vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// How many entries.
    pub seq: u64,
    /// How the hash of the last of them begins.
    pub hash: HashStart,
    /// Whether it is known to be complete.
    pub ended: bool,
}

/// Every chain.
#[derive(Debug, Default)]
pub struct Log {
    chains: BTreeMap<ChainId, Chain>,
    /// What frontiers say, kept by itself: they name many chains at once, and a chain takes far more room.
    shown: BTreeMap<ChainId, Shown>,
    /// For each chain that is named as the one before: by which.
    successors: BTreeMap<ChainId, Vec<ChainId>>,
    /// The chains of each device that name none.
    beginnings: BTreeMap<DeviceId, Vec<ChainId>>,
    entries: u64,
    version: u64,
    /// The last version that somebody has taken note of.
    marked: u64,
    /// Which heads have changed last.
    recent: VecDeque<Changed>,
    /// The sums of all chains and of those that have ended.
    digests: RefCell<[SetHash; 2]>,
    /// Changes of the programme.
    changes: BTreeMap<Hash, Ref>,
    /// How many chains of each device are not known to be complete.
    living: BTreeMap<DeviceId, u64>,
    /// Chains that end before a fork, and its proof.
    cuts: BTreeMap<ChainId, Fork>,
    plant: Plant,
}

impl Log {
    pub(crate) fn new(plant: Plant) -> Self {
        Self { plant, ..Self::default() }
    }

    /// A chain.
    pub fn chain(&self, id: &ChainId) -> Option<&Chain> {
        self.chains.get(id)
    }

    /// Every chain, by id.
    pub fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.chains.values()
    }

    /// Entries in all chains.
    pub fn len(&self) -> u64 {
        self.entries
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// What frontiers say of a chain; nothing if no entry of it is vouched for.
    pub fn shown(&self, chain: &ChainId) -> Option<Shown> {
        self.shown.get(chain).copied()
    }

    /// The same of every chain, by id.
    pub fn all_shown(&self) -> impl Iterator<Item = (ChainId, Shown)> {
        self.shown.iter().map(|(chain, shown)| (*chain, *shown))
    }

    /// The same of chains from one on.
    pub(crate) fn shown_from(&self, first: ChainId) -> impl Iterator<Item = (ChainId, Shown)> {
        self.shown.range(first..).map(|(chain, shown)| (*chain, *shown))
    }

    /// How many chains of a device are not known to be complete: frontiers name each.
    pub fn living_of(&self, device: &DeviceId) -> u64 {
        self.living.get(device).copied().unwrap_or(0)
    }

    /// Goes up whenever what [`Log::heads`] says may have changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether an entry is there.
    pub fn has(&self, entry: &Ref) -> bool {
        self.chains.get(&entry.chain).is_some_and(|chain| (1..=chain.len()).contains(&entry.seq))
    }

    /// Whether a change of the programme is there.
    pub fn has_change(&self, hash: &Hash) -> bool {
        self.changes.contains_key(hash)
    }

    /// The entry that is this change of the programme.
    pub(crate) fn change(&self, hash: &Hash) -> Option<Ref> {
        self.changes.get(hash).copied()
    }

    /// The vouched-for length and hash of every chain, by id.
    pub fn heads(&self) -> impl Iterator<Item = (&Chain, u64, &Hash)> {
        self.chains.values().filter_map(Chain::head)
    }

    /// The version now, for [`Log::changed_since`] to tell later what has changed.
    pub fn mark(&mut self) -> u64 {
        self.marked = self.version;
        self.version
    }

    /// The chains whose heads have changed since a version that was marked, and where they were then, 0 if nowhere; `None` if
    /// that is too long ago to tell.
    pub fn changed_since(&self, version: u64) -> Option<BTreeMap<ChainId, u64>> {
        let reaches = self.recent.len() < VERSIONS_REMEMBERED
            || self.recent.front().is_some_and(|first| first.version <= version);
        reaches.then(|| {
            let later = self.recent.iter().rev().take_while(|changed| changed.version > version);
            later.map(|changed| (changed.chain, changed.before)).collect()
        })
    }

    /// Sums up the heads of all chains, or of those that have ended, so that nobody can feign that two logs are alike; see
    /// `digest.rs`.
    pub fn digest(&self, ended_only: bool) -> [u8; 32] {
        let mut digests = self.digests.borrow_mut();
        let set = &mut digests[usize::from(ended_only)];
        if self.plant.has(Planted::DigestAnew) {
            for (id, chain) in &self.chains {
                let head = chain.adds[usize::from(ended_only)];
                set.change(*id, head, None);
                set.digest();
                set.change(*id, None, head);
            }
        }
        set.digest()
    }

    /// How many heads were worked into digests so far: what digests cost.
    pub fn digested(&self) -> u64 {
        self.digests.borrow().iter().map(SetHash::worked).sum()
    }

    /// Has the digests cover a chain as it is now.
    fn sum_up(&mut self, id: &ChainId) {
        self.version += 1;
        let Some(chain) = self.chains.get_mut(id) else { return };
        let signed = chain.signed();
        let head = chain.hash(signed).copied();
        let adds = [head, head.filter(|_| chain.ended)];
        if adds == chain.adds {
            return;
        }
        let was = std::mem::replace(&mut chain.adds, adds);
        let lives = |[all, ended]: [Option<Hash>; 2]| u64::from(all.is_some() && ended.is_none());
        let living = self.living.entry(chain.device).or_default();
        *living = (*living + lives(adds)).saturating_sub(lives(was));
        for (digest, (was, is)) in self.digests.get_mut().iter_mut().zip(was.into_iter().zip(adds)) {
            let unseen = self.plant.has(Planted::BlindDigests) && chain.document.drop().is_some();
            if was != is && !unseen {
                digest.change(*id, was, is);
            }
        }
        let shown = head.map(|head| Shown { seq: signed, hash: head.begins(), ended: chain.ended });
        let before = match shown {
            Some(shown) => self.shown.insert(*id, shown),
            None => self.shown.remove(id),
        };
        let before = before.map_or(0, |before| before.seq);
        match self.recent.back_mut() {
            Some(last) if last.chain == *id && last.version > self.marked => last.version = self.version,
            _ => {
                if self.recent.len() == VERSIONS_REMEMBERED {
                    self.recent.pop_front();
                }
                self.recent.push_back(Changed { version: self.version, chain: *id, before });
            }
        }
    }

    /// The last entry of `device` in `document`, for a new chain to name.
    pub fn last_of(&self, device: &DeviceId, document: &Document) -> Option<Previous> {
        self.chains
            .values()
            .filter(|chain| chain.device == *device && chain.document == *document)
            .max_by_key(|chain| (chain.last_at, chain.id))
            .and_then(|chain| {
                Some(Previous { chain: chain.id, seq: chain.len(), hash: *chain.hash(chain.len())? })
            })
    }

    fn insert(&mut self, mut chain: Chain) {
        chain.cut = self.cut_of(&chain.id);
        self.follow(&chain);
        self.chains.insert(chain.id, chain);
        self.version += 1;
    }

    fn end_previous_of(&mut self, id: &ChainId) {
        let Some(later) = self.chains.get(id) else { return };
        let Some(previous) = later.previous else { return };
        let (device, document) = (later.device, later.document.clone());
        // Nobody ends what another writes, nor what it writes itself elsewhere.
        let is_life_before = |earlier: &&mut Chain| earlier.device == device && earlier.document == document;
        if let Some(earlier) = self.chains.get_mut(&previous.chain).filter(is_life_before) {
            let named = earlier.hash(previous.seq) == Some(&previous.hash);
            earlier.ended |= named && earlier.len() == previous.seq;
            self.sum_up(&previous.chain);
        }
    }

    /// Appends an entry that has been linked and checked, or that this device itself has just made.
    fn append(&mut self, id: &ChainId, body: &[u8], hash: Hash, at: Hlc, signature: Option<Signature>) {
        let Some(chain) = self.chains.get_mut(id) else { return };
        chain.push(body, hash, at);
        if chain.ended {
            chain.ended = false;
        }
        let seq = chain.len();
        if let Some(signature) = signature {
            chain.vouch(seq, signature);
        }
        if chain.document == Document::Programme {
            self.changes.insert(hash, Ref { chain: *id, seq });
        }
        self.entries += 1;
        self.sum_up(id);
        if seq == 1 {
            self.end_previous_of(id);
        }
        if let Some(later) = self.successors.get(id) {
            for later in later.clone() {
                self.end_previous_of(&later);
            }
        }
    }

    /// Adds a signature to an entry of this device's own.
    pub(crate) fn vouch(&mut self, entry: &Ref, signature: Signature) {
        if let Some(chain) = self.chains.get_mut(&entry.chain) {
            chain.vouch(entry.seq, signature);
            self.sum_up(&entry.chain);
        }
    }
}
