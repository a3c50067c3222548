//! One device's document: an Automerge counter for each drop and SKU.

use std::collections::{BTreeMap, BTreeSet};

use automerge::sync::{self, SyncDoc};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, AutomergeError, Change, ChangeHash, ROOT, ReadDoc, ScalarValue};

use crate::scenario::{DeviceIndex, Scenario};

/// A counter, by the places of its drop and its product in the scenario.
pub(super) type Counter = (usize, usize);

/// One device's document.
#[derive(Debug)]
pub(super) struct Document {
    counters: Automerge,
    sessions: BTreeMap<DeviceIndex, sync::State>,
}

fn key((drop, product): Counter) -> String {
    format!("{drop}/{product}")
}

fn actor(device: DeviceIndex, life: u32) -> ActorId {
    let mut bytes = vec![1];
    bytes.extend((device as u64).to_be_bytes());
    bytes.extend(life.to_be_bytes());
    ActorId::from(bytes)
}

/// The document that all devices begin with: each counter, at nothing. If each made its own, they would be different
/// counters under one name.
pub(super) fn beginning(scenario: &Scenario) -> Result<Automerge, AutomergeError> {
    let mut counters = Automerge::new().with_actor(ActorId::from(vec![0]));
    let mut transaction = counters.transaction();
    for drop in 0..scenario.drops.len() {
        for product in 0..scenario.products.len() {
            transaction.put(ROOT, key((drop, product)), ScalarValue::counter(0))?;
        }
    }
    transaction.commit_with(CommitOptions::default().with_time(0));
    Ok(counters)
}

impl Document {
    pub(super) fn new(device: DeviceIndex, beginning: &Automerge) -> Self {
        Self { counters: beginning.clone().with_actor(actor(device, 0)), sessions: BTreeMap::new() }
    }

    /// What this device takes for the number of units that are left.
    pub(super) fn value(&self, counter: Counter) -> Result<i64, AutomergeError> {
        let value = self.counters.get(ROOT, key(counter))?;
        Ok(value.and_then(|(value, _)| value.as_scalar().and_then(ScalarValue::as_i64)).unwrap_or(0))
    }

    /// Counts by so many units up or down.
    pub(super) fn count(&mut self, counter: Counter, by: i64) -> Result<Option<Change>, AutomergeError> {
        let mut transaction = self.counters.transaction();
        transaction.increment(ROOT, key(counter), by)?;
        transaction.commit_with(CommitOptions::default().with_time(0));
        Ok(self.counters.get_last_local_change())
    }

    pub(super) fn apply(&mut self, change: Change) -> Result<(), AutomergeError> {
        self.counters.apply_changes([change])
    }

    /// The document as it is after a power cut: without the changes that were `lost`. The next change is another
    /// actor's, so that no sequence number is used twice.
    pub(super) fn recover(
        &mut self,
        device: DeviceIndex,
        life: u32,
        lost: &BTreeSet<ChangeHash>,
    ) -> Result<(), AutomergeError> {
        self.sessions.clear();
        // Nothing here depends on what was lost but what was lost too: nobody else has seen it.
        let kept = self.counters.get_changes(&[]).into_iter().filter(|change| !lost.contains(&change.hash()));
        let mut counters = Automerge::new().with_actor(actor(device, life));
        counters.apply_changes(kept.collect::<Vec<_>>())?;
        self.counters = counters;
        Ok(())
    }

    // --- Automerge's own sync.

    /// Begins a session with a peer anew: what was under way may never have arrived.
    pub(super) fn begin_session(&mut self, peer: DeviceIndex) {
        self.sessions.insert(peer, sync::State::new());
    }

    /// What to tell a peer next, if anything.
    pub(super) fn tell(&mut self, peer: DeviceIndex) -> Option<Vec<u8>> {
        let session = self.sessions.entry(peer).or_default();
        self.counters.generate_sync_message(session).map(sync::Message::encode)
    }

    /// Takes in what a peer tells; what it does not understand it ignores.
    pub(super) fn hear(&mut self, peer: DeviceIndex, message: &[u8]) -> Result<(), AutomergeError> {
        let Ok(message) = sync::Message::decode(message) else { return Ok(()) };
        let session = self.sessions.entry(peer).or_default();
        self.counters.receive_sync_message(session, message)
    }
}
