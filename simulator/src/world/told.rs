//! Events: what a device's ring tells is what its log has, entry for entry, whenever it is read back.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::fact::Fact;
use popmesh_proto::id::{ChainId, DeviceId, Ref};
use popmesh_proto::io::Entry;
use popmesh_proto::record::{Body, Record};
use popmesh_store::Store;

use super::World;
use super::ledger::Breach;
use super::node::State;
use super::queue::NodeIndex;

/// What is stored of a log.
#[derive(Debug, Default)]
pub(super) struct Told {
    lengths: BTreeMap<ChainId, u64>,
    /// Entries that have to be told, as what they say or as what is wrong with it.
    wanted: BTreeSet<Ref>,
}

impl Told {
    /// Takes in an entry that is stored, and who wrote it.
    pub(super) fn take(&mut self, entry: &Entry, author: Option<DeviceId>) {
        let length = self.lengths.entry(entry.chain).or_default();
        *length = entry.seq.max(*length);
        // In `programme` it is no record.
        let Ok(record) = Record::decode(&entry.body) else { return };
        let is_told = matches!(
            record.body,
            Body::Mint(_)
                | Body::Transfer(_)
                | Body::Move(_)
                | Body::Damage(_)
                | Body::Inherit(_)
                | Body::Sale(_)
                | Body::Custody(_)
                | Body::Redeem(_)
                | Body::Refund(_)
        );
        // What is put into a cart changes no hands.
        let stays = matches!(&record.body, Body::Transfer(transfer) if Some(transfer.to) == author);
        if is_told && !stays {
            self.wanted.insert(Ref { chain: entry.chain, seq: entry.seq });
        }
    }

    /// Whether the ring of `store` tells these entries, each once, and nothing of an entry that is not there. What cannot be
    /// read says nothing.
    pub(super) fn check(mut self, store: &Store) -> Result<(), String> {
        let numbering = store.numbering();
        if numbering.oldest > 1 {
            return Ok(());
        }
        let mut kinds: BTreeMap<(Ref, &'static str), i64> = BTreeMap::new();
        let mut at = 0;
        while at < numbering.last {
            let Ok(page) = store.events(at) else { return Ok(()) };
            for event in page {
                at = event.number;
                let fact: Fact = serde_json::from_str(&event.json).map_err(|error| error.to_string())?;
                let (_, entry) = fact.record();
                self.wanted.remove(&entry);
                match &fact {
                    // A doubt can be named with an entry that came to nothing.
                    Fact::Incident { .. } => continue,
                    Fact::Voided { told, .. } => {
                        *kinds.entry((told.record().1, told.kind())).or_default() -= 1;
                    }
                    _ => *kinds.entry((entry, fact.kind())).or_default() += 1,
                }
                if self.lengths.get(&entry.chain).is_none_or(|length| *length < entry.seq) {
                    return Err(format!("event {at} tells {entry}, which is not stored: {}", fact.kind()));
                }
            }
        }
        if let Some(entry) = self.wanted.first() {
            return Err(format!("{entry} is stored, and no event tells it"));
        }
        match kinds.iter().find(|(_, times)| **times > 1) {
            Some(((entry, kind), times)) => Err(format!("{entry} is told {times} times, as {kind}")),
            None => Ok(()),
        }
    }
}

impl World<'_> {
    /// Looks whether what a device has told is what it has stored.
    pub(super) fn check_told(&mut self, node: NodeIndex) {
        let State::Running { store, .. } = &self.nodes[node].state else { return };
        let mut told = Told::default();
        for entry in store.entries() {
            let Ok(entry) = entry else { return };
            told.take(&entry, self.ledger.seller_of(&Ref { chain: entry.chain, seq: entry.seq }));
        }
        let checked = told.check(store);
        self.judge_told(node, checked);
    }

    pub(super) fn judge_told(&mut self, node: NodeIndex, checked: Result<(), String>) {
        let name = &self.nodes[node].name;
        let result = checked.map_err(|text| Breach::new("I3", format!("the events of {name}: {text}")));
        self.check(result);
    }
}
