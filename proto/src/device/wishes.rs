//! Large wishes: sales and carts of more units than the event's rules call ordinary.
//!
//! An *ordinary* wish gets everybody's last unit. For a larger one other devices give only what is above their floor, and what
//! comes is put aside for that wish alone: neither other sales here nor the broker take it. When the wish ends in vain, each
//! parcel goes back to who gave it. An example: four devices hold 25 each, and 4 units are ordinary. A wish of 80 gets 21, 21
//! and 13 of the others; a wish of 90 is refused, since 25 and three times 21 make 88, and nobody has given anything for it.
//!
//! Where who gave it cannot be reached, a parcel waits for its time to live, and is then on sale here. After a restart all
//! wishes of before are over.

use std::collections::BTreeMap;

use super::Device;
use super::asks::Shelf;
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::planted::Planted;
use crate::record::{Body, Line, Release, Transfer};
use crate::text::{DropId, Place, Sku};
use crate::units::UnitSet;

/// For so long units stay put aside after the wish that they are for would have been given up.
pub(super) const GRACE_MS: u64 = 30_000;

/// One parcel that is put aside.
#[derive(Debug)]
struct Aside {
    until_ms: u64,
    /// Its wish is over.
    over: bool,
}

/// Parcels of this device's that are put aside for a wish.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    aside: BTreeMap<Ref, Aside>,
    last: u32,
}

impl Wishes {
    /// A parcel came for a wish.
    pub(super) fn came(&mut self, parcel: Ref, until_ms: u64) {
        self.aside.insert(parcel, Aside { until_ms, over: false });
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.aside.values().filter(|aside| aside.over).map(|aside| aside.until_ms).min()
    }
}

impl Device {
    /// A number for a wish: another one after each start.
    pub(super) fn wish_number(&mut self) -> u64 {
        self.wishes.last += 1;
        let [a, b, c, d, ..] = self.config.nonce.0;
        u64::from(u32::from_be_bytes([a, b, c, d])) << 32 | u64::from(self.wishes.last)
    }

    /// Units that are put aside here for a wish.
    pub(super) fn aside_for(&self, wish: u64, drop: &DropId, sku: &Sku, place: Option<&Place>) -> u64 {
        let parcels = self.wishes.aside.keys().filter_map(|parcel| self.holdings.parcel(parcel));
        let own = parcels.filter(|parcel| parcel.wish == Some(wish) && parcel.owner == self.me);
        own.filter(|parcel| self.lies_there(parcel, drop, sku, place)).map(|parcel| parcel.free.len()).sum()
    }

    /// How many units a device can spare for a large wish, as far as known here: all that are free if it does not sell, else
    /// what is above its floor at its own venue, and what lies elsewhere.
    pub(super) fn spare_of(&self, device: &DeviceId, (drop, sku, place): &Shelf) -> u64 {
        let free = self.holdings.free_of(device, drop, sku, place.as_ref());
        let of_me = *device == self.me;
        let certificate = self.peers.certificate(device).filter(|certificate| certificate.roles.sells());
        let has_left = if of_me { self.own_leave() } else { self.trust.left(device) }.is_some();
        let venue = certificate.map(|certificate| &certificate.venue).filter(|_| !has_left);
        let Some(venue) = venue.filter(|venue| place.as_ref().is_none_or(|place| place == *venue)) else {
            return free;
        };
        if self.plant.has(Planted::StripForWishes) {
            return free;
        }
        let now = self.now.mono_ms;
        let rate = match of_me {
            true => self.meter.rate(drop, sku, now),
            false => self.peers.get(device).map_or(0, |peer| peer.rate(drop, sku, now)),
        };
        let there = self.holdings.free_of(device, drop, sku, Some(venue));
        let floor = self.config.policy.floor(self.ordinary(), rate);
        free - there.min(floor)
    }

    /// The most units of a wish that is ordinary.
    pub(super) fn ordinary(&self) -> u64 {
        self.programme.rules().ordinary_wish
    }

    /// After a start: what was put aside for wishes that nobody has any more.
    pub(super) fn find_wishes(&mut self) {
        let now = self.now.mono_ms;
        let own = self.holdings.live_of(&self.me).filter(|(_, parcel)| parcel.wish.is_some());
        let aside = |parcel: &Ref| (*parcel, Aside { until_ms: now + GRACE_MS, over: true });
        self.wishes.aside = own.map(|(parcel, _)| aside(parcel)).collect();
    }

    /// Gives back what came for wishes that are over, or has it on sale here where that cannot be.
    pub(super) fn pump_wishes(&mut self) {
        if self.wishes.aside.is_empty() || self.plant.has(Planted::KeepWishes) {
            return;
        }
        let now = self.now.mono_ms;
        let mut back: BTreeMap<(DropId, DeviceId), Vec<(Ref, UnitSet)>> = BTreeMap::new();
        for (reference, mut aside) in std::mem::take(&mut self.wishes.aside) {
            let parcel = self.holdings.parcel(&reference).filter(|parcel| parcel.owner == self.me);
            let Some(parcel) = parcel.filter(|parcel| !parcel.free.is_empty()) else { continue };
            let Some(wish) = parcel.wish else { continue };
            aside.over = aside.over || !self.sales.has_wish(wish);
            let giver = parcel.from.filter(|giver| self.check_may_get(giver).is_ok());
            let in_reach = giver.filter(|giver| self.peers.is_reachable(giver));
            let drop = self.holdings.lot(&parcel.lot).map(|lot| lot.drop.clone());
            match (drop, in_reach) {
                (Some(drop), Some(giver)) if aside.over => {
                    back.entry((drop, giver)).or_default().push((reference, parcel.free.clone()));
                }
                (Some(drop), None) if aside.over && (giver.is_none() || now >= aside.until_ms) => {
                    if self.write(&Document::Stock(drop), Body::Release(Release { hold: reference })).is_ok()
                    {
                        self.may_pass_on();
                        continue;
                    }
                    aside.until_ms = now + GRACE_MS;
                }
                _ => {}
            }
            // Until it is written that it is the wish's no more.
            self.wishes.aside.insert(reference, aside);
        }
        for ((drop, to), found) in back {
            for lines in self.parcels_of(found) {
                self.give_back(&drop, to, lines);
            }
        }
    }

    fn give_back(&mut self, drop: &DropId, to: DeviceId, lines: Vec<Line>) {
        let parcels: Vec<Ref> = lines.iter().map(|line| line.parcel).collect();
        let transfer = Body::Transfer(Transfer { to, lines, aside: None, cause: None });
        // What cannot be given now stays for the next occasion.
        if self.write(&Document::Stock(drop.clone()), transfer).is_ok() {
            for parcel in parcels {
                self.wishes.aside.remove(&parcel);
            }
        }
    }
}
