//! Large wishes, seen from outside: nobody who sells gives its last units for one, and what was put aside for one that is over
//! goes back. Knows nothing of how devices find out what they can spare.

use std::collections::BTreeMap;

use popmesh_proto::holdings::{Event, Holdings};
use popmesh_proto::id::DeviceId;
use popmesh_proto::record::{Body, Cause};
use popmesh_proto::text::Place;

use super::ledger::Breach;
use super::{MS, World};

/// What a device that sells keeps from a large wish, units: what an ordinary one takes, as no night has another rule.
pub(super) const KEPT: u64 = 4;
/// How long after the night something may still be put aside that goes back to nobody in reach, milliseconds.
const ASIDE_MS: u64 = 100_000;
const LOOK_MS: u64 = 500;

/// Where each device sells.
#[derive(Debug, Default)]
pub(super) struct Wishes(BTreeMap<DeviceId, Place>);

impl Wishes {
    pub(super) fn sells_at(&mut self, device: DeviceId, venue: Place) {
        self.0.insert(device, venue);
    }

    /// Looks at what is given for a wish, after it was taken in. What is wrong with it is the error.
    pub(super) fn fold(&self, event: &Event<'_>, holdings: &Holdings) -> Result<(), String> {
        let Body::Transfer(transfer) = &event.record.body else { return Ok(()) };
        let (Some(Cause::Wish { .. }), Some(venue)) = (transfer.cause, self.0.get(&event.author)) else {
            return Ok(());
        };
        let parcel = holdings.parcel(&event.entry).filter(|parcel| parcel.place == *venue);
        let Some(lot) = parcel.and_then(|parcel| holdings.lot(&parcel.lot)) else { return Ok(()) };
        let left = holdings.free_of(&event.author, event.drop, &lot.sku, Some(venue));
        if left >= KEPT {
            return Ok(());
        }
        let who = event.author.short();
        Err(format!("{who} gave {} for a large wish and has {left} left to sell", lot.sku))
    }
}

impl World<'_> {
    /// Once no sale waits, nothing stays put aside for one (I8).
    pub(super) fn check_nothing_is_aside(&mut self) {
        let until_us = self.now_us + ASIDE_MS * MS;
        while self.breach.is_none() && self.aside().is_some() && self.now_us < until_us {
            let next_us = self.now_us + LOOK_MS * MS;
            while self.breach.is_none() && self.step(next_us) {}
            self.now_us = self.now_us.max(next_us);
        }
        if let Some(text) = self.aside().filter(|_| self.breach.is_none()) {
            self.check(Err(Breach::new("I8", text)));
        }
    }

    /// Units that are put aside for a wish on a device that lives and can give them back.
    fn aside(&self) -> Option<String> {
        if self.ledger.is_in_doubt() {
            return None;
        }
        let alive = self.alive();
        let of = |node: usize| {
            let (device, id) = (self.nodes[node].device()?, self.nodes[node].id);
            let mut own = device.holdings().live_of(&id);
            let (entry, parcel) = own.find(|(_, parcel)| parcel.wish.is_some())?;
            let units = parcel.free.len();
            Some(format!(
                "{} keeps {units} units of {entry} aside for a wish that is over",
                self.nodes[node].name
            ))
        };
        alive.into_iter().find_map(of)
    }
}
