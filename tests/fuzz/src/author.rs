//! An author without a device: an admitted key that writes whatever the fuzzer wants, links it to what it wrote before,
//! and signs it.

use popmesh_proto::change::{self, ChangeParts};
use popmesh_proto::clock::Hlc;
use popmesh_proto::document::Document;
use popmesh_proto::id::{ChainId, Hash, Nonce, Ref};
use popmesh_proto::identity::Signature;
use popmesh_proto::io::Entry;
use popmesh_proto::log::{Bodies, Range, Vouch};
use popmesh_proto::message::{Entries, Message, encode};
use popmesh_proto::record::{Body, Record, Start};

use crate::event::{Party, event};

pub(crate) struct Author {
    pub(crate) party: &'static Party,
    pub(crate) document: Document,
    pub(crate) chain: ChainId,
    pub(crate) entries: Vec<Entry>,
    hashes: Vec<Hash>,
}

impl Author {
    /// A chain that begins as it should, at `at_ms`.
    pub(crate) fn begin(party: &'static Party, document: &str, at_ms: u64) -> Self {
        let nonce = Nonce([7; 16]);
        let mut author = Self {
            party,
            document: document.parse().unwrap(),
            chain: ChainId::derive(&party.id(), &nonce, document),
            entries: Vec::new(),
            hashes: Vec::new(),
        };
        let certificate = party.certificate.bytes().to_vec();
        let start = Start { document: author.document.clone(), certificate, nonce, previous: None };
        author.append(Record { at: Hlc::from_ms(at_ms), body: Body::Start(start), key: None }.encode());
        author
    }

    /// Appends a body, whatever it is, and signs it.
    pub(crate) fn append(&mut self, body: Vec<u8>) -> Ref {
        let seq = self.entries.len() as u64 + 1;
        let device = self.party.id();
        // What is no record has no time of its own, and its hash does not matter.
        let at_ms = Record::decode(&body).map_or(0, |record| record.at.ms());
        let parts = ChangeParts {
            device: device.as_bytes(),
            actor: self.chain.as_bytes(),
            seq,
            previous: self.hashes.last().map(Hash::as_bytes),
            time: (at_ms / 1000) as i64,
            record: &body,
        };
        let hash = Hash(change::hash(&parts, &mut Vec::new()));
        let signature = Some(sign(self.party, &self.document, &hash));
        self.hashes.push(hash);
        self.entries.push(Entry { chain: self.chain, seq, body, signature });
        Ref { chain: self.chain, seq }
    }

    /// Takes the last entry back, which nobody has taken in.
    pub(crate) fn drop_last(&mut self) {
        self.entries.pop();
        self.hashes.pop();
    }

    /// A message with the last so many entries.
    pub(crate) fn last(&self, count: usize) -> Vec<u8> {
        encode(&Message::Entries(Entries {
            ranges: vec![range(&self.entries[self.entries.len() - count..])],
            more: false,
        }))
    }
}

/// Consecutive entries of one chain as they travel.
pub(crate) fn range(entries: &[Entry]) -> Range {
    let vouch =
        |(offset, entry): (usize, &Entry)| Some(Vouch { offset: offset as u32, signature: entry.signature? });
    Range {
        chain: entries[0].chain,
        first: entries[0].seq,
        bodies: Bodies::Plain(entries.iter().map(|entry| entry.body.clone().into()).collect()),
        signatures: entries.iter().enumerate().filter_map(vouch).collect(),
    }
}

/// The signature of an entry: over a context, the event, the document's name behind its length, and the change hash.
pub(crate) fn sign(party: &Party, document: &Document, hash: &Hash) -> Signature {
    let document = document.to_string();
    let length = [document.len() as u8];
    let event = event().charter.event();
    party.secret.sign(&[b"popmesh entry v1", &event.0[..], &length, document.as_bytes(), &hash.0].concat())
}
