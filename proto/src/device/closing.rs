//! What follows where a drop is over at this device's venue, by a close or by its hard end: what waits is refused, carts that
//! nobody is paying go back, and what is left goes home: to an hq in reach, else to who still sells it at another venue. Where
//! nobody is in reach who could have it, it stays until somebody comes.
//!
//! That holds as long as the drop is over, whenever this device hears of it: after a restart, too, and of what still comes.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::peers::Peer;
use crate::command::{Refusal, Reply};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::identity::Role;
use crate::record::{self, Body};
use crate::text::DropId;
use crate::units::UnitSet;

/// For how long a cart is left alone that somebody has begun to pay, milliseconds.
const PAYING_MS: u64 = 5 * 60_000;
/// How long after a close a device begins to give away what is left: the word of the close goes first.
const GIVE_AFTER_MS: u64 = 100;
/// The shortest and the longest time until it gives away again what came, or was not taken.
const GIVE_AGAIN_MS: (u64, u64) = (1_000, 60_000);

/// What this device still has of drops that are over.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// Carts that are being paid, until when that is believed.
    paying: BTreeMap<Ref, u64>,
    /// Drops that were over at the last look, and since when, by this device's monotonic clock.
    over: BTreeMap<DropId, u64>,
    /// Who was in reach at the last look.
    in_reach: BTreeSet<DeviceId>,
    /// A step came, or something for this device.
    stale: bool,
    next_ms: Option<u64>,
    wait_ms: u64,
}

impl Device {
    /// A cart is being paid: its tenders are on the table.
    pub(super) fn pay_soon(&mut self, cart: Ref) -> Result<Reply, Refusal> {
        let (drop, _) = self.own_cart(cart)?;
        if !self.is_being_paid(&cart) {
            self.is_open(&drop)?;
        }
        let until_ms = self.now.mono_ms + self.time_left_ms(cart).min(PAYING_MS);
        let shown = self.cart(cart).ok_or(Refusal::UnknownCart { cart })?;
        self.closing.paying.insert(cart, until_ms);
        Ok(Reply::Cart(shown))
    }

    /// Whether somebody has begun to pay a cart.
    pub(super) fn is_being_paid(&self, cart: &Ref) -> bool {
        self.closing.paying.get(cart).is_some_and(|until_ms| *until_ms > self.now.mono_ms)
    }

    /// A drop may be over now that was not, or something came of one that is.
    pub(super) fn may_be_over(&mut self) {
        self.closing.stale = true;
    }

    /// Looks what is over here. What is to be released is, at once.
    pub(super) fn pump_closing(&mut self, looks: bool) {
        let now = self.now.mono_ms;
        if looks {
            self.closing.in_reach = self.peers.reachable().map(|(device, _)| *device).collect();
        }
        if (looks || self.closing.stale) && self.may_write().is_ok() {
            self.closing.stale = false;
            self.closing.paying.retain(|_, until_ms| *until_ms > now);
            let over = self.over_here();
            if over.iter().any(|drop| !self.closing.over.contains_key(drop)) {
                self.closing.wait_ms = 0;
                self.closing.next_ms = Some(now + GIVE_AFTER_MS);
            }
            over.iter().for_each(|drop| self.release_all(drop));
            let keeps = self.config.certificate.roles.has(Role::Hq);
            if !keeps && self.closing.next_ms.is_none() && over.iter().any(|drop| self.has_free(drop)) {
                self.closing.next_ms = Some(now + self.closing.wait_ms.max(GIVE_AFTER_MS));
            }
            let since = |drop: DropId| {
                let since_ms = self.closing.over.get(&drop).copied().unwrap_or(now);
                (drop, since_ms)
            };
            self.closing.over = over.into_iter().map(since).collect();
        }
        if self.closing.next_ms.is_some_and(|next_ms| now >= next_ms) {
            self.closing.next_ms = None;
            // A device that has left gives all to its heir.
            if self.may_write().is_ok() && self.own_leave().is_none() {
                self.send_home();
            }
        }
    }

    /// When this device gives away what is left.
    pub(super) fn closing_deadline(&self) -> Option<u64> {
        self.closing.next_ms
    }

    /// Drops that are over at this device's venue.
    fn over_here(&self) -> BTreeSet<DropId> {
        let drops = self.programme.drops().keys();
        drops.filter(|drop| self.is_over(drop, &self.venue)).cloned().collect()
    }

    fn release_all(&mut self, drop: &DropId) {
        let own = self.holdings.holds().filter(|(_, held)| held.by == self.me).map(|(_, held)| held.cart);
        let of_drop = |cart: &Ref| {
            let document = self.log.chain(&cart.chain).map(|chain| &chain.document);
            document.and_then(Document::drop) == Some(drop)
        };
        let carts: BTreeSet<Ref> = own
            .filter(of_drop)
            .filter(|cart| !self.is_being_paid(cart) && !self.takes.wait_for(*cart))
            .collect();
        for cart in carts {
            // What cannot be written now is released at the next look.
            let _ = self.end_holds(cart, drop);
        }
    }

    /// Whether units of a drop are free here.
    fn has_free(&self, drop: &DropId) -> bool {
        self.holdings.live_of(&self.me).any(|(_, parcel)| {
            let of = self.holdings.lot(&parcel.lot).is_some_and(|lot| lot.drop == *drop);
            of && parcel.wish.is_none() && parcel.available_count() > 0
        })
    }

    /// Gives away what is free of drops that are over.
    fn send_home(&mut self) {
        let mut free: BTreeMap<DropId, Vec<(Ref, UnitSet)>> = BTreeMap::new();
        for (parcel, state) in self.holdings.live_of(&self.me).filter(|(_, state)| state.wish.is_none()) {
            let drop = self.holdings.lot(&state.lot).map(|lot| &lot.drop);
            let Some(drop) = drop.filter(|drop| self.closing.over.contains_key(*drop)) else { continue };
            let units = state.available();
            if !units.is_empty() {
                free.entry(drop.clone()).or_default().push((*parcel, units));
            }
        }
        let mut went = false;
        for (drop, found) in free {
            // It may be open again since the last look.
            let Some(to) = self.home_of(&drop).filter(|_| self.is_over(&drop, &self.venue)) else { continue };
            for lines in self.parcels_of(found) {
                let transfer = record::Transfer { to, lines, aside: None, cause: None };
                went |= self.write(&Document::Stock(drop.clone()), Body::Transfer(transfer)).is_ok();
            }
        }
        if went {
            let (shortest, longest) = GIVE_AGAIN_MS;
            self.closing.wait_ms = (2 * self.closing.wait_ms).clamp(shortest, longest);
        }
    }

    /// Who gets what is left of a drop that is over here; nobody if this is an hq, or none is in reach.
    fn home_of(&self, drop: &DropId) -> Option<DeviceId> {
        if self.config.certificate.roles.has(Role::Hq) {
            return None;
        }
        let rank = |device: &DeviceId, sells: bool| {
            let certificate = self.peers.certificate(device)?;
            let is_hq = certificate.roles.has(Role::Hq);
            let sells_on = || sells && !self.is_over(drop, &certificate.venue);
            let could = *device != self.me && self.check_may_get(device).is_ok() && (is_hq || sells_on());
            could.then_some((!is_hq, certificate.venue != self.venue, *device))
        };
        // Who is no neighbour is to have been heard since: what was known of it may be old, and units that are given to who has
        // gone are nobody's to sell until it is back.
        let since_ms = self.closing.over.get(drop).copied().unwrap_or(self.now.mono_ms);
        let was_heard = |device: &DeviceId, peer: &Peer| {
            self.closing.in_reach.contains(device) && peer.heard_mono_ms.is_some_and(|heard| heard > since_ms)
        };
        let is_there =
            |(device, peer): &(&DeviceId, &Peer)| self.peers.is_linked(device) || was_heard(device, peer);
        let reachable = self.peers.reachable().filter(is_there);
        reachable.filter_map(|(device, peer)| rank(device, peer.sells)).min().map(|(.., device)| device)
    }
}
