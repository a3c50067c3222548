//! Admission: what must hold before a byte of an entry is stored or shown.
//!
//! It is timeless: it depends on the entry, its own chain and its author's certificate, never on this device's clock
//! or on what else it knows. The change that an entry stands for is rebuilt here from its record, so that no change
//! made elsewhere is ever parsed in `stock` and `claims`, and none can be malformed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::certificates::Certificates;
use super::{Bodies, Chain, Log, MAX_RANGE_BYTES, Range, Vouch, change_hash, signed_message};
use crate::clock::Hlc;
use crate::document::Document;
use crate::id::{ChainId, DeviceId, EventId, Hash, Nonce, Ref};
use crate::identity::{CertificateError, Role, Signature, Signatures, SignedCertificate, SignedCharter};
use crate::io::Entry;
use crate::planted::{Plant, Planted};
use crate::programme::{Edit, EditError};
use crate::record::{Body, Previous, Record, RecordError, Redeem, Start};
use crate::token::{Kind, SignedToken};

/// Why entries were not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Entries between what is here and these are missing. Nobody's fault.
    #[error("entries of chain {chain:?} from {have} on are missing before {first}")]
    Gap {
        /// The chain.
        chain: ChainId,
        /// How many are here.
        have: u64,
        /// The first of those that came.
        first: u64,
    },
    /// Its author has written two entries with one number.
    #[error("chain {chain:?} has two entries with number {seq}: its author cheats")]
    Fork {
        /// The chain.
        chain: ChainId,
        /// The number.
        seq: u64,
    },
    /// What is said to prove a fork does not.
    #[error("a proof of two histories that proves nothing")]
    Proof,
    /// The bytes are not what they say.
    #[error("a range of entries that cannot be read")]
    Range,
    /// No signature at the end, or a wrong one.
    #[error("an entry that its author did not sign")]
    Signature,
    /// The chain's id does not follow from its author, nonce and document.
    #[error("a chain whose id does not belong to its author")]
    ChainId,
    /// A redemption by a token that is not genuine, or says something else.
    #[error("a redemption by a token that does not say so")]
    Token,
    /// A renewed certificate that somebody else signed than who tells of it.
    #[error("a renewed certificate that its author did not sign")]
    Renewal,
    /// The author's certificate, or one that it tells of.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A change of the programme.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The chain cannot grow further.
    #[error("chain {0:?} is full")]
    Full(ChainId),
}

/// What an entry holds, decoded.
#[derive(Debug, Clone)]
pub enum Admitted {
    /// A record of `stock` or `claims`.
    Record(Record),
    /// A change of `programme`.
    Edit(Edit),
}

/// An entry that is linked to its chain, vouched for and well-formed. Only this module makes one.
#[derive(Debug, Clone)]
pub struct Linked {
    pub(crate) entry: Ref,
    pub(crate) author: DeviceId,
    pub(crate) body: Vec<u8>,
    pub(crate) hash: Hash,
    pub(crate) at: Hlc,
    pub(crate) signature: Option<Signature>,
    pub(crate) content: Admitted,
}

impl Linked {
    /// Whether it carries a certificate, which was checked.
    pub(crate) fn renews(&self) -> bool {
        matches!(&self.content, Admitted::Record(Record { body: Body::Renewal(_), .. }))
    }
}

/// How a chain begins.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) event: EventId,
    pub(super) document: Document,
    pub(super) certificate: SignedCertificate,
    pub(super) previous: Option<Previous>,
}

/// The end of a chain, as far as it is known: in the log, or of those entries that wait to get there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tip {
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
    pub(crate) at: Hlc,
}

/// Whom to believe: the event's charter.
#[derive(Debug, Clone)]
pub struct Gate {
    charter: SignedCharter,
    signatures: Arc<dyn Signatures>,
    checked: Certificates,
    pub(super) plant: Plant,
}

impl Gate {
    /// Believes what this charter's organiser signed.
    pub(crate) fn new(charter: SignedCharter, signatures: Arc<dyn Signatures>, plant: Plant) -> Self {
        Self { charter, signatures, checked: Certificates::default(), plant }
    }

    /// Believes what this charter's organiser signed, where there is no device: to look at a token, say.
    pub fn of(charter: SignedCharter, signatures: Arc<dyn Signatures>) -> Self {
        Self::new(charter, signatures, Plant::default())
    }

    /// How signatures are made and checked.
    pub fn signatures(&self) -> &dyn Signatures {
        &*self.signatures
    }

    /// The event.
    pub fn event(&self) -> EventId {
        self.charter.event()
    }

    /// The charter.
    pub fn charter(&self) -> &SignedCharter {
        &self.charter
    }

    /// Reads and checks a certificate.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn certificate(&mut self, bytes: &[u8]) -> Result<SignedCertificate, CertificateError> {
        if let Some(known) = self.checked.get(bytes) {
            return Ok(known);
        }
        let certificate = SignedCertificate::from_bytes(bytes, &self.charter)?;
        self.checked.keep(bytes, certificate.clone());
        Ok(certificate)
    }

    /// Checks the token, if there is one, that a redemption by `author` in a document goes by.
    fn check_token(&mut self, redeem: &Redeem, author: &DeviceId, document: &Document) -> Result<(), Fault> {
        let Some(bytes) = &redeem.token else { return Ok(()) };
        let token = SignedToken::read(bytes, self).map_err(|_| Fault::Token)?;
        let says_so = token.kind == Kind::Claim
            && token.claim == redeem.claim
            && document.drop() == Some(&token.drop)
            && token.custodian == *author
            && token.under.unwrap_or(token.claim) == redeem.under;
        if says_so { Ok(()) } else { Err(Fault::Token) }
    }

    pub(super) fn open(&mut self, id: &ChainId, start: Start) -> Result<Opening, Fault> {
        let certificate = self.certificate(&start.certificate)?;
        if ChainId::derive(&certificate.device, &start.nonce, &start.document.to_string()) != *id {
            return Err(Fault::ChainId);
        }
        if start.document == Document::Programme && !certificate.roles.has(Role::Hq) {
            let (kind, needs) = ("programme change", Role::Hq);
            return Err(RecordError::Role { kind, roles: certificate.roles, needs }.into());
        }
        let event = self.charter.event();
        Ok(Opening { event, document: start.document, certificate, previous: start.previous })
    }
}

/// The beginning of this device's own chain in a document.
pub(crate) fn own_start(
    document: &Document,
    certificate: &SignedCertificate,
    nonce: Nonce,
    previous: Option<Previous>,
) -> Start {
    Start { document: document.clone(), certificate: certificate.bytes().to_vec(), nonce, previous }
}

impl Log {
    /// Checks a range that came from outside, and links it to `tip`, the end of its chain here; `first` is the first
    /// entry of the chain if that is still waiting. What is here already is skipped; if all of it is, the result is
    /// empty. Changes nothing but the list of known certificates.
    ///
    /// # Errors
    /// [`Fault`] if any of it cannot be admitted; then none is.
    pub(crate) fn link(
        &self,
        gate: &mut Gate,
        range: &Range,
        tip: Option<Tip>,
        first: Option<&Linked>,
    ) -> Result<Vec<Linked>, Fault> {
        let count = range.bodies.len();
        let fits = range.first >= 1 && count >= 1 && range.first.checked_add(count).is_some();
        let ends_signed = range.signatures.last().is_some_and(|last| u64::from(last.offset) + 1 == count);
        if !fits || !ends_signed || range.signatures.len() as u64 > count {
            return Err(Fault::Range);
        }
        if self.cut_at(&range.chain).is_some_and(|seq| range.first >= seq) {
            return Ok(Vec::new());
        }
        let chain = self.chain(&range.chain);
        let have = tip.map_or(0, |tip| tip.seq);
        let any_order = gate.plant.has(Planted::AcceptOutOfChain);
        // Before anything is unpacked: what does not fit may come often, and should cost nothing.
        if range.first > have + 1 && !any_order {
            return Err(Fault::Gap { chain: range.chain, have, first: range.first });
        }
        // As many as there are said to be, or none.
        let mut bodies = self.bodies_of(gate, range, first).ok_or(Fault::Range)?;
        // What is far apart signed could not be passed on in messages that others take.
        if !stretches_fit(&bodies, &range.signatures) {
            return Err(Fault::Range);
        }
        if let Some(chain) = chain {
            for (seq, body) in (range.first..).zip(&bodies) {
                if chain.body(seq).is_some_and(|known| known != body) {
                    return Err(Fault::Fork { chain: range.chain, seq });
                }
            }
        }
        let trimmed = self.trim(&range.chain, range.first, &mut bodies);
        let known = (have + 1).saturating_sub(range.first) as usize;
        let signatures: BTreeMap<u64, Signature> = range
            .signatures
            .iter()
            .map(|vouch| (range.first + u64::from(vouch.offset), vouch.signature))
            .collect();
        let fresh = bodies.into_iter().skip(known).zip(have + 1..).map(|(body, seq)| Entry {
            chain: range.chain,
            seq,
            body,
            signature: signatures.get(&seq).copied(),
        });
        let opened = match first.filter(|_| chain.is_none()) {
            Some(first) => Some(Chain::new(range.chain, gate.open(&range.chain, start_of(&first.body)?)?)),
            None => None,
        };
        let linked = self.link_entries(gate, range.chain, opened, fresh, tip, !any_order)?;
        match linked.last() {
            // Of a history that parts earlier: it comes again, in the proof of that.
            Some(last) if trimmed && last.signature.is_none() => {
                let end = Tip { seq: last.entry.seq, hash: last.hash, at: last.at };
                Ok(if self.is_end_before_fork(&range.chain, &end) { linked } else { Vec::new() })
            }
            _ => Ok(linked),
        }
    }

    /// The bodies of a range as they were written: what was left out is put back. `first` is the first entry of its chain, if
    /// that is still waiting. `None` if they are not what they say.
    pub(super) fn bodies_of(
        &self,
        gate: &mut Gate,
        range: &Range,
        first: Option<&Linked>,
    ) -> Option<Vec<Vec<u8>>> {
        let mut bodies = range.bodies.unpack()?;
        let Bodies::Implied { .. } = range.bodies else { return Some(bodies) };
        let run = match self.chain(&range.chain) {
            Some(chain) => Some(chain.run(range.first)),
            None => {
                let first = first.map(|first| first.body.as_slice());
                let start = first.or(bodies.first().map(Vec::as_slice)).and_then(|body| start_of(body).ok());
                let opening = start.and_then(|start| gate.open(&range.chain, start).ok());
                opening.map(|opening| Chain::new(range.chain, opening).run(range.first))
            }
        };
        // Without, the bodies are of no chain, which is found when they are linked.
        if let Some(run) = run {
            run.put_back(&mut bodies);
        }
        Some(bodies)
    }

    /// Links entries read back from this device's own store: checked like any others but for their signatures, of
    /// which [`Log::verify_tips`] checks the last of each chain, which vouches for the rest.
    pub(crate) fn link_stored(
        &self,
        gate: &mut Gate,
        entry: Entry,
        tip: Option<Tip>,
    ) -> Result<Linked, Fault> {
        let have = tip.map_or(0, |tip| tip.seq);
        if entry.seq != have + 1 {
            return Err(Fault::Gap { chain: entry.chain, have, first: entry.seq });
        }
        let mut linked = self.link_entries(gate, entry.chain, None, std::iter::once(entry), tip, false)?;
        linked.pop().ok_or(Fault::Range)
    }

    fn link_entries(
        &self,
        gate: &mut Gate,
        id: ChainId,
        mut opened: Option<Chain>,
        entries: impl Iterator<Item = Entry>,
        tip: Option<Tip>,
        verify: bool,
    ) -> Result<Vec<Linked>, Fault> {
        let mut linked = Vec::new();
        let mut tip = tip;
        let mut scratch = Vec::new();
        for entry in entries {
            if opened.is_none() && self.chain(&id).is_none() {
                opened = Some(Chain::new(id, gate.open(&id, start_of(&entry.body)?)?));
            }
            let chain = opened.as_ref().or(self.chain(&id)).ok_or(Fault::Range)?;
            if !chain.has_room(entry.body.len()) {
                return Err(Fault::Full(id));
            }
            let (hash, at, content) = if chain.document == Document::Programme {
                let edit = Edit::read(&id, entry.seq, &entry.body)?;
                if edit.at < tip.map_or(Hlc::default(), |tip| tip.at) {
                    return Err(RecordError::Time.into());
                }
                (edit.hash, edit.at, Admitted::Edit(edit))
            } else {
                let record = Record::decode(&entry.body)?;
                if entry.seq > 1 {
                    let after = tip.map_or(Hlc::default(), |tip| tip.at);
                    let any = gate.plant.has(Planted::AdmitAnyRole).then(|| Role::ALL.into_iter().collect());
                    record.check(&chain.document, any.unwrap_or(chain.certificate.roles), after)?;
                }
                match &record.body {
                    Body::Fork(fork) => _ = gate.check_fork(fork, verify)?,
                    Body::Renewal(renewal) => {
                        let renewed = gate.certificate(&renewal.certificate)?;
                        if renewed.issuer().is_none_or(|issuer| issuer.device != chain.device) {
                            return Err(Fault::Renewal);
                        }
                        renewed.valid_at(record.at.ms())?;
                    }
                    Body::Redeem(redeem) if verify => {
                        gate.check_token(redeem, &chain.device, &chain.document)?
                    }
                    _ => {}
                }
                let previous = tip.as_ref().map(|tip| &tip.hash);
                let hash = change_hash(chain, entry.seq, previous, record.at, &entry.body, &mut scratch);
                (hash, record.at, Admitted::Record(record))
            };
            chain.certificate.valid_at(at.ms())?;
            match &entry.signature {
                Some(signature) if verify => {
                    let message = signed_message(&gate.event(), &chain.document, &hash);
                    if !gate.signatures.verifies(signature, &chain.device, &message) {
                        return Err(Fault::Signature);
                    }
                }
                None if verify && chain.document == Document::Programme => return Err(Fault::Signature),
                _ => {}
            }
            tip = Some(Tip { seq: entry.seq, hash, at });
            linked.push(Linked {
                entry: Ref { chain: id, seq: entry.seq },
                author: chain.device,
                body: entry.body,
                hash,
                at,
                signature: entry.signature,
                content,
            });
        }
        Ok(linked)
    }

    /// The end of a chain in the log.
    pub(crate) fn tip(&self, id: &ChainId) -> Option<Tip> {
        let chain = self.chain(id)?;
        Some(Tip { seq: chain.len(), hash: *chain.hash(chain.len())?, at: chain.last_at })
    }

    /// Puts a linked entry into its chain, which it begins if it is the first.
    ///
    /// # Errors
    /// [`Fault`] if the chain cannot begin so, or has moved on since the entry was linked.
    pub(crate) fn admit(&mut self, gate: &mut Gate, linked: &Linked) -> Result<(), Fault> {
        let id = linked.entry.chain;
        if linked.entry.seq == 1 && self.chain(&id).is_none() {
            let opening = gate.open(&id, start_of(&linked.body)?)?;
            self.insert(Chain::new(id, opening));
        }
        let have = self.chain(&id).map_or(0, Chain::len);
        if linked.entry.seq != have + 1 {
            return Err(Fault::Gap { chain: id, have, first: linked.entry.seq });
        }
        self.append(&id, &linked.body, linked.hash, linked.at, linked.signature);
        Ok(())
    }

    /// Checks the last signature of every chain; each vouches for its chain up to there. What follows it was vouched
    /// for when it was admitted, by the signature of an entry that still waited; that one comes again from a peer, since
    /// no frontier covers more than what is signed here. So it may be with a life of this device's own that came from others.
    ///
    /// # Errors
    /// [`Fault::Signature`] with the first chain whose last signature does not fit.
    pub(crate) fn verify_tips(&self, gate: &Gate) -> Result<(), (DeviceId, Fault)> {
        for chain in self.chains() {
            let seq = chain.last_signature();
            if seq == 0 {
                continue;
            }
            let message = chain.hash(seq).map(|hash| signed_message(&gate.event(), &chain.document, hash));
            let vouched = chain.signature(seq).zip(message).is_some_and(|(signature, message)| {
                gate.signatures.verifies(signature, &chain.device, &message)
            });
            if !vouched {
                return Err((chain.device, Fault::Signature));
            }
        }
        Ok(())
    }
}

/// Whether the entries up to each signature are few enough bytes to be passed on.
fn stretches_fit(bodies: &[Vec<u8>], signatures: &[Vouch]) -> bool {
    let mut begin = 0;
    signatures.iter().all(|vouch| {
        let end = vouch.offset as usize + 1;
        let stretch = bodies.get(begin..end);
        begin = end;
        stretch.is_some_and(|bodies| bodies.iter().map(Vec::len).sum::<usize>() <= MAX_RANGE_BYTES)
    })
}

pub(super) fn start_of(body: &[u8]) -> Result<Start, Fault> {
    if Edit::looks_like(body) {
        let start = Edit::start_of(body)?;
        return if start.document == Document::Programme {
            Ok(start)
        } else {
            Err(RecordError::Start.into())
        };
    }
    match Record::decode(body)?.body {
        Body::Start(start) if start.document != Document::Programme => Ok(start),
        _ => Err(RecordError::Start.into()),
    }
}
