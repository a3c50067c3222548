//! A device that sells what it does not hold, or writes its last entry a second time: entries written by hand, well-formed,
//! signed with a key that has the right to sign, and not true.

use popmesh_crafted::{Author, Form, Prey, PreyUnits, message, range, sign};
use popmesh_proto::Device;
use popmesh_proto::change::{self, ChangeParts};
use popmesh_proto::clock::Hlc;
use popmesh_proto::id::{Hash, Nonce};
use popmesh_proto::io::Entry;
use popmesh_proto::record::Record;

use super::World;
use super::queue::NodeIndex;
use crate::random::Random;

impl World<'_> {
    /// Sells units that others hold, as many as they have in one parcel, and tells its peers.
    pub(super) fn overspends(&mut self, node: NodeIndex) {
        let me = self.nodes[node].id;
        let view = &self.ledger.holdings;
        let prey = view.live().find(|(_, parcel)| parcel.owner != me && !parcel.free.is_empty());
        let units = prey.and_then(|(parcel, known)| {
            // What is put aside for a cart is sold as well.
            let units = known.free.clone();
            Some(PreyUnits { units, ..PreyUnits::of(view, *parcel)? })
        });
        let prey = Prey { units, ..Prey::default() };
        let Some((document, sale)) = Form::Sell.entry(&prey, me) else { return };
        let nonce = Nonce(self.random.bytes());
        let at = Hlc::from_ms(self.clock(node).wall_ms);
        let of = &self.nodes[node];
        let mut author = Author::begin(&of.secret, &of.certificate, &document, at, nonce, None);
        author.write(Hlc(at.0 + 1), sale);
        let entries = author.entries;
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
        let signature = Some(sign(&self.nodes[node].secret, &self.charter.event(), &document, &hash));
        self.ledger.suspect(me);
        self.tells(node, &[Entry { chain: id, seq, body, signature }], |random, peers| {
            peers == 1 || random.chance(500)
        });
        true
    }

    /// Tells entries of one chain, which follow each other, to those of its peers that are to hear them.
    fn tells(&mut self, node: NodeIndex, entries: &[Entry], hears: impl Fn(&mut Random, usize) -> bool) {
        if entries.is_empty() {
            return;
        }
        let bytes = message(vec![range(entries)]);
        let peers: Vec<NodeIndex> = self.links.peers(node).collect();
        let mut random = self.random.fork(&format!("who hears {}", self.now_us));
        for peer in &peers {
            if hears(&mut random, peers.len()) {
                self.send_over_link(node, *peer, bytes.clone().into());
            }
        }
    }
}
