//! A device that sells what it does not hold, or writes its last entry a second time: entries written by hand, well-formed,
//! signed with a key that has the right to sign, and not true.

use popmesh_proto::Device;
use popmesh_proto::change::{self, ChangeParts};
use popmesh_proto::clock::Hlc;
use popmesh_proto::command::Tender;
use popmesh_proto::document::Document;
use popmesh_proto::id::{ChainId, Hash, Nonce};
use popmesh_proto::identity::Signature;
use popmesh_proto::io::Entry;
use popmesh_proto::log::{Bodies, Range, Vouch};
use popmesh_proto::message::{Entries, Message, encode};
use popmesh_proto::payment::Payments;
use popmesh_proto::receipt::ReceiptLink;
use popmesh_proto::record::{Body, Record, Sale, SaleLine, Start};

use super::World;
use super::queue::NodeIndex;
use crate::random::Random;

/// The price that it asks, minor units.
const PRICE: i64 = 1_000;

impl World<'_> {
    /// Sells units that others hold, as many as they have in one parcel, and tells its peers.
    pub(super) fn overspends(&mut self, node: NodeIndex) {
        let me = self.nodes[node].id;
        let view = &self.ledger.holdings;
        let prey = view.live().find(|(_, parcel)| parcel.owner != me && !parcel.free.is_empty());
        let Some((parcel, drop, units)) = prey.and_then(|(reference, parcel)| {
            Some((*reference, view.lot(&parcel.lot)?.drop.clone(), parcel.free.clone()))
        }) else {
            return;
        };
        let document = Document::Claims(drop);
        let nonce = Nonce(self.random.bytes());
        let chain = ChainId::derive(&me, &nonce, &document.to_string());
        let certificate = self.nodes[node].certificate.bytes().to_vec();
        let at = Hlc::from_ms(self.clock(node).wall_ms);
        let start = Start { document: document.clone(), certificate, nonce, previous: None };
        let lines = vec![SaleLine { parcel, units, unit_price: PRICE }];
        let sale = Sale {
            lines,
            payments: Payments::Whole(Tender::Cash),
            pickup_at: None,
            programme: None,
            taxes: None,
            receipt: ReceiptLink::FIRST,
            step: None,
            pin: None,
            shopper: None,
            expires_ms: None,
        };
        let mut entries = Vec::new();
        let mut last: Option<Hash> = None;
        for (at, body) in [(at, Body::Start(start)), (Hlc(at.0 + 1), Body::Sale(sale))] {
            let body = Record { at, body, key: None }.encode();
            let seq = entries.len() as u64 + 1;
            let parts = ChangeParts {
                device: me.as_bytes(),
                actor: chain.as_bytes(),
                seq,
                previous: last.as_ref().map(Hash::as_bytes),
                time: (at.ms() / 1_000) as i64,
                record: &body,
            };
            let hash = Hash(change::hash(&parts, &mut Vec::new()));
            last = Some(hash);
            let signature = self.sign(node, &document, &hash);
            entries.push(Entry { chain, seq, body, signature: Some(signature) });
        }
        let life = self.nodes[node].life;
        for entry in &entries {
            let known = self.ledger.stored((node, life), me, entry);
            self.check(known);
        }
        self.tells(node, &entries, |_, _| true);
    }

    /// Writes one of the entries that are durable now a second time, otherwise, and tells some of its peers before they hear
    /// of the first. Whether there was one.
    pub(super) fn writes_twice(&mut self, node: NodeIndex, entries: &[Entry]) -> bool {
        let me = self.nodes[node].id;
        let Some(log) = self.nodes[node].device().map(Device::log) else { return false };
        let of_own = |entry: &&Entry| {
            let chain = log.chain(&entry.chain);
            chain.is_some_and(|chain| chain.device == me && chain.document.drop().is_some() && entry.seq > 1)
        };
        let Some(entry) = entries.iter().rfind(of_own) else { return false };
        let (id, seq) = (entry.chain, entry.seq);
        let Some(chain) = log.chain(&id) else { return false };
        let document = chain.document.clone();
        let Ok(record) = Record::decode(&entry.body) else { return false };
        let previous = chain.hash(seq - 1).copied();
        let at = Hlc(record.at.0 + 1);
        let body = Record { at, body: record.body, key: record.key }.encode();
        let parts = ChangeParts {
            device: me.as_bytes(),
            actor: id.as_bytes(),
            seq,
            previous: previous.as_ref().map(Hash::as_bytes),
            time: (at.ms() / 1_000) as i64,
            record: &body,
        };
        let hash = Hash(change::hash(&parts, &mut Vec::new()));
        let signature = Some(self.sign(node, &document, &hash));
        self.ledger.suspect(me);
        self.tells(node, &[Entry { chain: id, seq, body, signature }], |random, peers| {
            peers == 1 || random.chance(500)
        });
        true
    }

    /// Tells entries of one chain, which follow each other, to those of its peers that are to hear them.
    fn tells(&mut self, node: NodeIndex, entries: &[Entry], hears: impl Fn(&mut Random, usize) -> bool) {
        let Some(first) = entries.first() else { return };
        let (chain, first) = (first.chain, first.seq);
        let signatures = (0..)
            .zip(entries)
            .filter_map(|(offset, entry)| entry.signature.map(|signature| Vouch { offset, signature }));
        let range = Range {
            chain,
            first,
            signatures: signatures.collect(),
            bodies: Bodies::Plain(entries.iter().map(|entry| entry.body.clone().into()).collect()),
        };
        let bytes = encode(&Message::Entries(Entries { ranges: vec![range], more: false }));
        let peers: Vec<NodeIndex> = self.links.peers(node).collect();
        let mut random = self.random.fork(&format!("who hears {}", self.now_us));
        for peer in &peers {
            if hears(&mut random, peers.len()) {
                self.send_over_link(node, *peer, bytes.clone().into());
            }
        }
    }

    fn sign(&self, node: NodeIndex, document: &Document, hash: &Hash) -> Signature {
        let document = document.to_string();
        let message = [
            b"popmesh entry v1",
            &self.charter.event().0[..],
            &[document.len() as u8],
            document.as_bytes(),
            &hash.0,
        ]
        .concat();
        self.nodes[node].secret.sign(&message)
    }
}
