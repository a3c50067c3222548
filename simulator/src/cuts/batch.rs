//! Batches to append: well-formed, and otherwise anything.

use popmesh_proto::command::{DropInfo, Reply};
use popmesh_proto::id::ChainId;
use popmesh_proto::identity::Signature;
use popmesh_proto::io::{Entry, Idempotency, StoredReply};
use popmesh_proto::text::DropId;

use crate::random::Random;

const CHAINS_MAX: u64 = 4;
const ENTRIES_MAX: u64 = 6;
/// Batches, out of a thousand, whose commands have outcomes to be stored.
const OUTCOMES_PER_MILLE: u64 = 300;
const BODY_BYTES_MAX: u64 = 400;
const LARGE_BODY_BYTES_MAX: u64 = 80_000;

/// What is appended at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    pub(super) outcomes: Vec<StoredReply>,
}

/// An endless source of batches.
#[derive(Debug)]
pub(super) struct Batches {
    random: Random,
    body_bytes_max: u64,
    made: u64,
}

impl Batches {
    pub(super) fn new(random: Random, large: bool) -> Self {
        let body_bytes_max = if large { LARGE_BODY_BYTES_MAX } else { BODY_BYTES_MAX };
        Self { random, body_bytes_max, made: 0 }
    }

    /// The next. No two are equal.
    pub(super) fn next(&mut self) -> Batch {
        let entries = (0..self.random.within(1..=ENTRIES_MAX)).map(|_| self.entry()).collect();
        let mut batch = Batch { entries, outcomes: Vec::new() };
        if self.random.chance(OUTCOMES_PER_MILLE) {
            batch.outcomes.extend(self.outcome());
        }
        batch
    }

    fn entry(&mut self) -> Entry {
        self.made += 1;
        let mut body = vec![0; self.random.below(self.body_bytes_max) as usize];
        self.random.fill(&mut body);
        let chain = ChainId([self.random.below(CHAINS_MAX) as u8; 16]);
        let signature = self.random.chance(500).then(|| Signature(self.random.bytes()));
        Entry { chain, seq: self.made, body, signature }
    }

    fn outcome(&mut self) -> Option<StoredReply> {
        let drop: DropId = "cut".parse().ok()?;
        let title = format!("After {} entries", self.made);
        let reply = Reply::Drop(DropInfo::planned(drop, title));
        let idempotency = Idempotency { key: self.random.bytes(), request: self.random.bytes() };
        Some(StoredReply { idempotency, reply })
    }
}
