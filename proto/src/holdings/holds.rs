//! Holds: units that their holder has put aside for a cart. Held units stay the holder's and are not free until the hold
//! is released; whoever sells a cart releases it in the same write.
//!
//! Units that were given for a *wish* are held from the start: a parcel of ten that came for wish 7 has no free unit. They
//! are sold, or given back, as they are; a release that names the transfer, or a hold of them, ends that they are the wish's.

use super::{Effect, Event, Holdings, Parcel};
use crate::clock::Hlc;
use crate::id::{DeviceId, Ref};
use crate::planted::Planted;
use crate::record::{Aside, Hold, SaleLine};
use crate::text::ShopperRef;

/// What is put aside, by whom, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The cart.
    pub cart: Ref,
    /// Of how many holds like this one the cart is made.
    pub pieces: u32,
    /// The holder.
    pub by: DeviceId,
    /// Since when.
    pub at: Hlc,
    /// For how long, by the holder's clock.
    pub ttl_ms: u64,
    /// Who they are for.
    pub shopper: Option<ShopperRef>,
    /// Which, at which price.
    pub lines: Vec<SaleLine>,
}

impl Holdings {
    /// A hold that has not been released.
    pub fn hold(&self, hold: &Ref) -> Option<&Held> {
        self.holds.get(hold)
    }

    /// Every hold that has not been released.
    pub fn holds(&self) -> impl Iterator<Item = (&Ref, &Held)> {
        self.holds.iter()
    }

    /// The holds that a cart is made of, all with one holder: where a part of it has moved already, with the new one.
    pub fn holds_of(&self, cart: &Ref) -> impl Iterator<Item = (&Ref, &Held)> {
        let of_cart = self.carts.get(cart).into_iter().flatten();
        let of_cart = of_cart.filter_map(|hold| self.holds.get_key_value(hold));
        let holder = of_cart.clone().max_by_key(|(hold, held)| (held.at, **hold)).map(|(_, held)| held.by);
        of_cart.filter(move |(_, held)| Some(held.by) == holder)
    }

    /// Units that were given stay in the cart that they are in.
    pub(super) fn keep_aside(&mut self, event: &Event<'_>, to: DeviceId, aside: &Aside) {
        let Some(parcel) = self.parcels.get(&event.entry).filter(|_| !self.retired.contains_key(&to)) else {
            return;
        };
        let line =
            SaleLine { parcel: event.entry, units: parcel.units.clone(), unit_price: aside.unit_price };
        let held = Held {
            cart: aside.cart,
            pieces: aside.pieces,
            by: to,
            at: event.record.at,
            ttl_ms: aside.left_ms,
            shopper: aside.shopper.clone(),
            lines: vec![line],
        };
        self.begin_hold(event.entry, held);
    }

    /// Units that were given for a wish are nobody else's until their holder says so.
    pub(super) fn keep_for_wish(&mut self, event: &Event<'_>, to: DeviceId, number: u64) {
        if to == event.author || self.retired.contains_key(&to) {
            return;
        }
        self.change(&event.entry, |parcel| {
            parcel.wish = Some(number);
            parcel.held = parcel.units.clone();
        });
    }

    pub(super) fn put_aside(&mut self, event: &Event<'_>, hold: &Hold) -> Effect {
        let owns = |line: &SaleLine| {
            self.parcels.get(&line.parcel).is_some_and(|parcel| {
                (parcel.owner == event.author || self.plant.has(Planted::HoldAnybodys))
                    && parcel.units.contains_all(&line.units)
                    && self.is_parcel_of(parcel, event.drop)
            })
        };
        if self.retired.contains_key(&event.author) {
            // It is over with its holder.
            return Effect::None;
        }
        if !hold.lines.iter().all(owns) {
            let text =
                format!("hold {} by {}: puts aside what it was not given", event.entry, event.author.short());
            return self.make_void(event, text);
        }
        let held = Held {
            cart: event.entry,
            pieces: 1,
            by: event.author,
            at: event.record.at,
            ttl_ms: hold.ttl_ms,
            shopper: hold.shopper.clone(),
            lines: hold.lines.clone(),
        };
        for line in &hold.lines {
            self.end_wish(&line.parcel);
        }
        self.begin_hold(event.entry, held);
        Effect::Applied
    }

    /// A release needs its hold, so it comes after it; one by anybody else than the holder counts for nothing.
    pub(super) fn release(&mut self, event: &Event<'_>, hold: &Ref) -> Effect {
        if !self.holds.contains_key(hold) {
            return self.let_go(event, hold);
        }
        let is_own = |held: &Held| {
            let own = held.by == event.author || self.plant.has(Planted::ReleaseAnybodys);
            own && self.is_of_drop(hold, event.drop)
        };
        if !self.holds.get(hold).is_some_and(is_own) {
            return Effect::None;
        }
        self.end_hold(hold);
        Effect::Applied
    }

    /// The holder of what was put aside for a wish has it on sale again.
    fn let_go(&mut self, event: &Event<'_>, given: &Ref) -> Effect {
        let of_wish = |parcel: &Parcel| {
            parcel.owner == event.author && parcel.wish.is_some() && self.is_parcel_of(parcel, event.drop)
        };
        if !self.parcels.get(given).is_some_and(of_wish) {
            return Effect::None;
        }
        self.end_wish(given);
        Effect::Applied
    }

    /// Units are no wish's any more, but for those that holds name free.
    fn end_wish(&mut self, parcel: &Ref) {
        if self.parcels.get(parcel).is_some_and(|parcel| parcel.wish.is_some()) {
            self.change(parcel, |parcel| {
                parcel.wish = None;
                parcel.held = parcel.aside.named(&parcel.units);
            });
        }
    }

    fn begin_hold(&mut self, hold: Ref, held: Held) {
        self.carts.entry(held.cart).or_default().insert(hold);
        for line in &held.lines {
            self.steps.add(1);
            self.change(&line.parcel, |parcel| {
                parcel.held.insert_all(&line.units);
                parcel.aside.insert(&line.units, &hold);
            });
        }
        self.holds.insert(hold, held);
    }

    /// Units are free again that no other hold has put aside.
    fn end_hold(&mut self, hold: &Ref) {
        let Some(held) = self.holds.remove(hold) else { return };
        if let Some(of_cart) = self.carts.get_mut(&held.cart) {
            of_cart.remove(hold);
            if of_cart.is_empty() {
                self.carts.remove(&held.cart);
            }
        }
        for line in &held.lines {
            self.steps.add(1);
            self.change(&line.parcel, |parcel| {
                parcel.aside.remove(&line.units, hold);
                parcel.held.remove_all(&line.units.difference(&parcel.aside.named(&line.units)));
            });
        }
    }
}
