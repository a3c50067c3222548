//! The stock view, folded from a whole log in causal order.

use std::collections::BTreeMap;

use super::{Event, Holdings};
use crate::id::Ref;
use crate::log::{Chain, Log};
use crate::record::Record;

/// Folds every entry of `log` into `holdings`, chain by chain, each as far as what it needs is there.
pub fn refold(log: &Log, holdings: &mut Holdings) {
    // What is of no drop is folded elsewhere, and there.
    let first = |chain: &Chain| if chain.document.drop().is_some() { 1 } else { chain.len() + 1 };
    let mut next: BTreeMap<crate::id::ChainId, u64> =
        log.chains().map(|chain| (chain.id, first(chain))).collect();
    let mut progress = true;
    while progress {
        progress = false;
        for chain in log.chains() {
            let Some(drop) = chain.document.drop() else { continue };
            let from = next.get(&chain.id).copied().unwrap_or(1);
            let mut seq = from;
            while let Some(record) = ready(log, chain, seq, &next) {
                let (Some(hash), entry) = (chain.hash(seq), Ref { chain: chain.id, seq }) else { break };
                let event = Event { entry, drop, author: chain.device, hash: *hash, record: &record };
                holdings.apply(&event);
                seq += 1;
                next.insert(chain.id, seq);
            }
            progress |= seq > from;
        }
    }
}

fn ready(log: &Log, chain: &Chain, seq: u64, next: &BTreeMap<crate::id::ChainId, u64>) -> Option<Record> {
    let record = Record::decode(chain.body(seq)?).ok()?;
    let there = |need: Ref| log.is_cut(&need) || next.get(&need.chain).is_some_and(|next| need.seq < *next);
    let complete = record.needs().all(there);
    complete.then_some(record)
}
