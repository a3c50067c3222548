//! Messages put together by hand, from what a device has stored.

use popmesh_proto::document::Document;
use popmesh_proto::fact::Signal;
use popmesh_proto::id::{ChainId, DeviceId};
use popmesh_proto::io::{Entry, Input, Verdict};
use popmesh_proto::log::Range;
use popmesh_proto::message::{Gossip, encode};

pub(crate) use crate::author::range;
use crate::world::World;

pub(crate) fn entries(ranges: Vec<Range>) -> Vec<u8> {
    popmesh_crafted::message(ranges)
}

pub(crate) fn live(ranges: Vec<Range>) -> Vec<u8> {
    encode(&Gossip::Live(ranges))
}

impl World {
    /// The entries of one chain, as `at` has stored them.
    pub(crate) fn chain(&self, at: usize, chain: ChainId) -> Vec<Entry> {
        self.nodes[at].stored.iter().filter(|entry| entry.chain == chain).cloned().collect()
    }

    /// The entries of the one chain that `author` has in `document`, as `author` has stored them.
    pub(crate) fn written(&mut self, author: usize, document: &str) -> Vec<Entry> {
        let (device, document): (_, Document) = (self.nodes[author].id, document.parse().unwrap());
        let heads = self.frontier(author);
        let mut chains = heads.iter().filter(|head| head.device == device && head.document == document);
        let chain = chains.next().expect("it has written there").chain;
        assert!(chains.next().is_none(), "one life");
        self.chain(author, chain)
    }

    /// Hands a message to `to` as if it came from `from` over a link.
    pub(crate) fn hand(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        self.give(to, Input::Message { from: self.nodes[from].id, bytes });
        self.run_ms(20);
    }

    /// Hands gossip to `to` as if its neighbour `from` passed it on.
    pub(crate) fn hand_gossip(&mut self, from: usize, to: usize, bytes: Vec<u8>) -> Verdict {
        let token = self.expect_verdict(from, to, bytes.clone());
        self.give(to, Input::Gossip { from: self.nodes[from].id, bytes, token });
        let verdict = *self.verdicts.last().expect("it is judged at once");
        self.run_ms(20);
        verdict
    }

    /// The same as [`World::hand`], each time from another peer: one that goes on sending what is wrong is cut off.
    pub(crate) fn hand_from_anybody(&mut self, to: usize, bytes: Vec<u8>) {
        let from = DeviceId(self.rng.bytes());
        self.give(to, Input::Message { from, bytes });
        self.run_ms(20);
    }

    /// The same as [`World::hand_gossip`], each time from another neighbour.
    pub(crate) fn hand_gossip_from_anybody(&mut self, from: usize, to: usize, bytes: Vec<u8>) -> Verdict {
        let token = self.expect_verdict(from, to, bytes.clone());
        let from = DeviceId(self.rng.bytes());
        self.give(to, Input::Gossip { from, bytes, token });
        let verdict = *self.verdicts.last().expect("it is judged at once");
        self.run_ms(20);
        verdict
    }

    /// What `at` holds against its peers.
    pub(crate) fn faults(&self, at: usize) -> Vec<&str> {
        self.signals
            .iter()
            .filter_map(|(of, signal)| match signal {
                Signal::PeerFault { text, .. } if *of == at => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}
