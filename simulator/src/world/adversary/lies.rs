//! What an adversary says that is not so, asks for without needing it, and sends without end. Nothing of it is an entry, but
//! for chains that it begins by the dozen: so nobody's views may change, nobody may take its word for another's, and
//! the others still agree in time.

use popmesh_crafted::{Author, message};
use popmesh_proto::Device;
use popmesh_proto::clock::Hlc;
use popmesh_proto::document::Document;
use popmesh_proto::id::{Hash, Nonce, Ref};
use popmesh_proto::identity::Signature;
use popmesh_proto::log::Chain;
use popmesh_proto::message::{
    AskEntries, Compare, Frontier, Head, Knows, MAX_ASKED, Message, Past, Proof, encode,
};

use super::super::World;
use super::super::queue::NodeIndex;

/// So often it says the same at once.
const SAYS: usize = 40;
/// So many chains it begins at once, and so often in a night.
const CHAINS: usize = 24;
const MOST_FLOODS: u64 = 3;
/// Longer by so much than a chain is, it says.
const AHEAD: u64 = 1_000;

impl World<'_> {
    /// Tells one of its peers something that is not so, or asks it for everything.
    pub(super) fn lies(&mut self, node: NodeIndex) {
        let peers: Vec<NodeIndex> = self.links.peers(node).collect();
        let Some(peer) = self.random.pick(&peers).copied() else { return };
        if self.random.chance(100) && self.adversaries.floods < MOST_FLOODS {
            self.begins_chains(node, peer);
            return;
        }
        let (what, messages) = self.lie(node, peer);
        self.note(|| format!("{node} lies to {peer}: {what}"));
        self.adversaries.lies += 1;
        for bytes in messages {
            self.send_over_link(node, peer, bytes.into());
        }
    }

    fn lie(&mut self, node: NodeIndex, peer: NodeIndex) -> (&'static str, Vec<Vec<u8>>) {
        let how = self.random.below(8);
        let hash = Hash(self.random.bytes());
        let number = self.random.below(1 << 20) as u32;
        let garbage: [u8; 64] = self.random.bytes();
        let heads: Vec<Head> = self.nodes[node].device().into_iter().flat_map(heads_of).collect();
        let told = |heads: Vec<Head>| {
            let ended = Hash([0; 32]);
            let all = Frontier {
                ended,
                full: true,
                heads,
                number,
                since: None,
                again: Some(0),
                start: number,
                sum: None,
                from: None,
                upto: None,
            };
            encode(&Message::Frontier(all))
        };
        let theirs = self.nodes[peer].id;
        match how {
            0 => ("a digest of nothing", vec![encode(&Message::Digest(hash)); SAYS]),
            1 => {
                let longer = |head: Head| Head { seq: head.seq + AHEAD, hash: hash.begins(), ..head };
                ("chains longer than they are", vec![told(heads.into_iter().map(longer).collect())])
            }
            2 => ("that it has nothing", vec![told(Vec::new()); SAYS]),
            3 => {
                let other = |head: Head| Head { hash: hash.begins(), rest: Some(hash.ends()), ..head };
                ("other hashes", vec![told(heads.into_iter().map(other).collect())])
            }
            4 => {
                let proofs = self.nodes[node].device().into_iter().flat_map(|device| {
                    let own = device.log().chains().filter(|chain| chain.device == theirs);
                    own.filter_map(forged_proof).collect::<Vec<_>>()
                });
                let past = Past { knows: Knows::All, proofs: proofs.collect() };
                ("entries that it never wrote", vec![encode(&Message::Past(past))])
            }
            5 => {
                let ends = heads.iter().map(|head| Ref { chain: head.chain, seq: head.seq });
                let ask = AskEntries { entries: ends.take(MAX_ASKED).collect(), ..AskEntries::default() };
                ("that it lacks everything", vec![encode(&Message::AskEntries(ask)); SAYS])
            }
            6 => {
                let compare = |head: Head| Compare { chain: head.chain, head, runs: vec![hash; 64] };
                let all = heads.into_iter().map(compare).map(|compare| encode(&Message::Compare(compare)));
                ("that all chains part", all.collect())
            }
            _ => ("nothing that could be read", vec![garbage.to_vec(); SAYS]),
        }
    }

    /// Begins more chains than anybody needs.
    fn begins_chains(&mut self, node: NodeIndex, peer: NodeIndex) {
        self.adversaries.floods += 1;
        let Some(drop) = self.scenario.drops.first().map(|drop| drop.drop.clone()) else { return };
        let document = Document::Stock(drop);
        let at = Hlc::from_ms(self.clock(node).wall_ms);
        let mut ranges = Vec::new();
        for _ in 0..CHAINS {
            let nonce = Nonce(self.random.bytes());
            let of = &self.nodes[node];
            let author = Author::begin(&of.secret, &of.certificate, &document, at, nonce, None);
            self.keep_crafted(node, &author);
            ranges.push(author.range());
        }
        self.note(|| format!("{node} begins {CHAINS} chains"));
        self.send_over_link(node, peer, message(ranges).into());
    }
}

fn heads_of(device: &Device) -> Vec<Head> {
    let head = |(chain, seq, hash): (&Chain, u64, &Hash)| Head {
        chain: chain.id,
        seq,
        hash: hash.begins(),
        rest: None,
    };
    device.log().heads().map(head).collect()
}

/// Says that a chain went on by one entry, under a signature that is none.
fn forged_proof(chain: &Chain) -> Option<Proof> {
    let (_, seq, hash) = chain.head()?;
    Some(Proof {
        chain: chain.id,
        seq: seq + 1,
        document: chain.document.clone(),
        previous: Some(*hash),
        body: chain.body(seq)?.to_vec().into(),
        signature: Signature([7; 64]),
    })
}
