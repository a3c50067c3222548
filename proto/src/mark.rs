//! The mark: what was last durable of this device's own chains, kept beside the database.
//!
//! A database that was set back to an earlier state, or moved away, is whole in itself and cannot tell. The mark can: it
//! names the end of every own chain that was written to, and each of those ends is either in the log or missing. It never
//! names what is not durable, and may be a little behind: it says "at least up to here".

use std::collections::BTreeMap;

use crate::id::{ChainId, Hash, ReceiptHash};

/// The end of one of this device's own chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// The chain.
    pub chain: ChainId,
    /// Its length.
    pub seq: u64,
    /// The hash of its last entry.
    pub hash: Hash,
}

/// What lies beside the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// The ends of this device's own chains; of a chain that a later start names as ended, none.
    pub ends: BTreeMap<ChainId, (u64, Hash)>,
    /// Up to where own chains are lost: a person has answered for what is missing of them.
    pub lost: BTreeMap<ChainId, u64>,
    /// The number and the hash of this device's last receipt.
    pub receipt: Option<(u64, ReceiptHash)>,
}

/// What a write changes in the mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marking {
    /// All of the mark from now on; nothing of what it was before holds.
    pub anew: Option<Mark>,
    /// The ends of chains that were written to.
    pub ends: Vec<End>,
    /// The last receipt, if there is another.
    pub receipt: Option<(u64, ReceiptHash)>,
}

impl Marking {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.anew.is_none() && self.ends.is_empty() && self.receipt.is_none()
    }
}

impl Mark {
    /// Takes in what a write changes, once that is durable.
    pub fn take(&mut self, marking: &Marking) {
        if let Some(anew) = &marking.anew {
            *self = anew.clone();
        }
        marking.ends.iter().for_each(|end| self.reach(*end));
        if let Some(receipt) = marking.receipt {
            self.count_receipt(receipt);
        }
    }

    /// A chain is known to go as far as this.
    pub fn reach(&mut self, end: End) {
        let known = self.ends.entry(end.chain).or_insert((end.seq, end.hash));
        if known.0 < end.seq {
            *known = (end.seq, end.hash);
        }
    }

    /// A receipt was written.
    pub fn count_receipt(&mut self, receipt: (u64, ReceiptHash)) {
        if self.receipt.is_none_or(|(last, _)| last < receipt.0) {
            self.receipt = Some(receipt);
        }
    }
}
