//! An author without a device: writes whatever it is told to, well or ill, and signs it with a key that it has.

use popmesh_proto::change::{self, ChangeParts};
use popmesh_proto::clock::Hlc;
use popmesh_proto::document::Document;
use popmesh_proto::id::{ChainId, DeviceId, EventId, Hash, Nonce, Ref};
use popmesh_proto::identity::{SecretKey, Signature, SignedCertificate};
use popmesh_proto::io::Entry;
use popmesh_proto::log::{Bodies, Range, Vouch};
use popmesh_proto::message::{Entries, Message, encode};
use popmesh_proto::record::{Body, Previous, Record, Start};

/// One chain, and the key that writes it.
#[derive(Debug, Clone)]
pub struct Author {
    /// The key that signs.
    pub secret: SecretKey,
    /// The event that signatures are for.
    pub event: EventId,
    /// The document that signatures are for.
    pub document: Document,
    /// The chain's id.
    pub chain: ChainId,
    /// What was written, each with its signature.
    pub entries: Vec<Entry>,
    /// The hash of the last of them; what the next one is linked to.
    pub last: Option<Hash>,
}

impl Author {
    /// A chain that begins as it should: with a start that carries the certificate, and names `previous` as the end of the
    /// author's life before.
    pub fn begin(
        secret: &SecretKey,
        certificate: &SignedCertificate,
        document: &Document,
        at: Hlc,
        nonce: Nonce,
        previous: Option<Previous>,
    ) -> Self {
        let mut author = Self::unbegun(secret, certificate.event(), document, nonce);
        let certificate = certificate.bytes().to_vec();
        let start = Start { document: document.clone(), certificate, nonce, previous };
        author.write(at, Body::Start(start));
        author
    }

    /// A chain of which nothing is written yet.
    pub fn unbegun(secret: &SecretKey, event: EventId, document: &Document, nonce: Nonce) -> Self {
        Self {
            secret: secret.clone(),
            event,
            document: document.clone(),
            chain: ChainId::derive(&secret.id(), &nonce, &document.to_string()),
            entries: Vec::new(),
            last: None,
        }
    }

    /// The next life in the same document: it names the last entry of this one.
    pub fn next_life(&self, certificate: &SignedCertificate, at: Hlc, nonce: Nonce) -> Self {
        Self::begin(&self.secret, certificate, &self.document, at, nonce, self.end())
    }

    /// Its last entry, as a later life names it.
    pub fn end(&self) -> Option<Previous> {
        Some(Previous { chain: self.chain, seq: self.entries.len() as u64, hash: self.last? })
    }

    /// The device that writes.
    pub fn id(&self) -> DeviceId {
        self.secret.id()
    }

    /// Appends a record, and signs it.
    pub fn write(&mut self, at: Hlc, body: Body) -> Ref {
        self.append(at, Record { at, body, key: None }.encode())
    }

    /// Appends a body, whatever it is, linked to the one before as if it were the change of `at`, and signs it.
    pub fn append(&mut self, at: Hlc, body: Vec<u8>) -> Ref {
        let seq = self.entries.len() as u64 + 1;
        let device = self.secret.id();
        let parts = ChangeParts {
            device: device.as_bytes(),
            actor: self.chain.as_bytes(),
            seq,
            previous: self.last.as_ref().map(Hash::as_bytes),
            time: (at.ms() / 1000) as i64,
            record: &body,
        };
        let hash = Hash(change::hash(&parts, &mut Vec::new()));
        self.append_hashed(body, hash)
    }

    /// The same for a body whose hash is its own affair, as that of a change of the programme is.
    pub fn append_hashed(&mut self, body: Vec<u8>, hash: Hash) -> Ref {
        let seq = self.entries.len() as u64 + 1;
        self.last = Some(hash);
        let signature = Some(sign(&self.secret, &self.event, &self.document, &hash));
        self.entries.push(Entry { chain: self.chain, seq, body, signature });
        Ref { chain: self.chain, seq }
    }

    /// All of it, as it travels.
    pub fn range(&self) -> Range {
        range(&self.entries)
    }
}

/// The signature of an entry: over a context, the event, the document's name behind its length, and the change hash.
pub fn sign(secret: &SecretKey, event: &EventId, document: &Document, hash: &Hash) -> Signature {
    let document = document.to_string();
    let length = [document.len() as u8];
    secret.sign(&[b"popmesh entry v1", &event.0[..], &length, document.as_bytes(), &hash.0].concat())
}

/// Consecutive entries of one chain as they travel, with the signatures kept of them. At least one.
pub fn range(entries: &[Entry]) -> Range {
    let vouch = |(offset, entry): (usize, &Entry)| {
        let signature = entry.signature?;
        Some(Vouch { offset: offset as u32, signature })
    };
    Range {
        chain: entries[0].chain,
        first: entries[0].seq,
        bodies: Bodies::Plain(entries.iter().map(|entry| entry.body.clone().into()).collect()),
        signatures: entries.iter().enumerate().filter_map(vouch).collect(),
    }
}

/// A message of ranges, as a peer sends it that was asked for them.
pub fn message(ranges: Vec<Range>) -> Vec<u8> {
    encode(&Message::Entries(Entries { ranges, more: false }))
}
