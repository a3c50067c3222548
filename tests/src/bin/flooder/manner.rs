//! What it sends next, in each manner.

use popmesh_proto::id::{ChainId, Hash};
use popmesh_proto::log::Range;
use popmesh_proto::message::{Entries, Frontier, Gossip, Head, Message, Since, encode};
use popmesh_proto::record::MAX_LINES;

use crate::Manner;
use crate::author::Author;

/// Entries of one message, small ones.
const SMALL_AT_ONCE: usize = 500;
/// Large ones.
const LARGE_AT_ONCE: usize = 30;
/// Entries that useless gossip is made of.
const GOSSIPED: usize = 400;
/// Heads that a frontier names which nobody has.
const HEADS: u32 = 5_000;

/// What to send.
pub(crate) struct Next {
    pub(crate) bytes: Vec<u8>,
    pub(crate) gossip: bool,
}

/// A flood.
pub(crate) struct Flood {
    manner: Manner,
    author: Author,
    number: u32,
    /// Entries that were sent already.
    upto: usize,
}

impl Flood {
    pub(crate) fn new(manner: Manner, author: Author) -> Self {
        Self { manner, author, number: 0, upto: 0 }
    }

    /// A link is up: whatever was sent over an earlier one may be lost.
    pub(crate) fn linked(&mut self) {
        self.number = 0;
        self.upto = 0;
    }

    pub(crate) fn next(&mut self) -> Next {
        self.number = self.number.wrapping_add(1);
        let message = |message: &Message| Next { bytes: encode(message), gossip: false };
        match self.manner {
            Manner::Valid => message(&entries(vec![self.fresh(SMALL_AT_ONCE, 1)])),
            Manner::Large => message(&entries(vec![self.fresh(LARGE_AT_ONCE, MAX_LINES)])),
            Manner::Gaps if self.number.is_multiple_of(100) => message(&self.heads_of_nothing()),
            Manner::Gaps => {
                let mut range = self.all(SMALL_AT_ONCE);
                range.first = u64::from(self.number) << 20;
                if self.number.is_multiple_of(2) {
                    Next { bytes: encode(&Gossip::Live(vec![range])), gossip: true }
                } else {
                    message(&entries(vec![range]))
                }
            }
            Manner::Gossip if self.upto == 0 => message(&entries(vec![self.fresh(GOSSIPED, 1)])),
            Manner::Gossip => {
                let first = 1 + self.number as usize % GOSSIPED;
                let last = first + (self.number as usize / GOSSIPED) % (GOSSIPED - first + 1);
                Next { bytes: encode(&Gossip::Live(vec![self.author.range(first, last)])), gossip: true }
            }
            Manner::Forged => {
                let mut range = self.all(2);
                for vouch in &mut range.signatures {
                    vouch.signature.0[..4].copy_from_slice(&self.number.to_be_bytes());
                }
                message(&entries(vec![range]))
            }
            Manner::Wants | Manner::Slow => message(&Message::Frontier(Frontier {
                ended: Hash([0; 32]),
                full: true,
                heads: Vec::new(),
                number: self.number,
                since: None,
                again: Some(0),
                start: 1,
                sum: None,
                from: None,
                upto: None,
            })),
            Manner::Connections => Next { bytes: Vec::new(), gossip: false },
        }
    }

    /// The next entries of the chain, which it writes.
    fn fresh(&mut self, count: usize, lines: usize) -> Range {
        let first = self.upto + 1;
        self.upto += count;
        while self.author.written.len() < self.upto {
            self.author.acknowledge(lines);
        }
        self.author.range(first, self.upto)
    }

    /// The first entries of the chain.
    fn all(&mut self, count: usize) -> Range {
        while self.author.written.len() < count {
            self.author.acknowledge(1);
        }
        self.author.range(1, count)
    }

    fn heads_of_nothing(&self) -> Message {
        let head = |at: u32| {
            let mut chain = ChainId([0; 16]);
            chain.0[..4].copy_from_slice(&self.number.to_be_bytes());
            chain.0[4..8].copy_from_slice(&at.to_be_bytes());
            Head { chain, seq: 1_000, hash: [0; 16], rest: None }
        };
        let heads = (0..HEADS).map(head).collect();
        Message::Frontier(Frontier {
            ended: Hash([0; 32]),
            full: false,
            heads,
            number: self.number / 100,
            since: (self.number > 100).then(|| Since::Frontier(self.number / 100 - 1)),
            again: None,
            start: 1,
            sum: None,
            from: None,
            upto: None,
        })
    }
}

fn entries(ranges: Vec<Range>) -> Message {
    Message::Entries(Entries { ranges, more: true })
}
