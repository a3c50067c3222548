//! Holds: units that their holder has put aside for a cart. Held units stay the holder's and are not free until the hold
//! is released; whoever sells a cart releases it in the same write.
//!
//! Units that were given for a *wish* are held from the start: a parcel of ten that came for wish 7 has no free unit. They
//! are sold, or given back, as they are; a release that names the transfer, or a hold of them, ends that they are the wish's.

use std::collections::BTreeSet;

use super::{Effect, Event, Holdings, Parcel};
use crate::clock::Hlc;
use crate::id::{DeviceId, Ref};
use crate::record::{Aside, Hold, SaleLine};
use crate::text::ShopperRef;
use crate::units::UnitSet;

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
        let of = |(_, held): &(&Ref, &Held)| held.cart == *cart;
        let holder =
            self.holds().filter(of).max_by_key(|(hold, held)| (held.at, **hold)).map(|(_, held)| held.by);
        self.holds().filter(of).filter(move |(_, held)| Some(held.by) == holder)
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
        self.holds.insert(event.entry, held);
        self.see_holds(BTreeSet::from([event.entry]));
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
            self.parcels
                .get(&line.parcel)
                .is_some_and(|parcel| parcel.owner == event.author && parcel.units.contains_all(&line.units))
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
        self.holds.insert(event.entry, held);
        let parcels: BTreeSet<Ref> = hold.lines.iter().map(|line| line.parcel).collect();
        for parcel in &parcels {
            self.change(parcel, |parcel| parcel.wish = None);
        }
        self.see_holds(parcels);
        Effect::Applied
    }

    /// A release needs its hold, so it comes after it; one by anybody else than the holder counts for nothing.
    pub(super) fn release(&mut self, event: &Event<'_>, hold: &Ref) -> Effect {
        let Some(held) = self.holds.remove(hold) else { return self.let_go(event, hold) };
        if held.by != event.author {
            self.holds.insert(*hold, held);
            return Effect::None;
        }
        self.see_holds(held.lines.iter().map(|line| line.parcel).collect());
        Effect::Applied
    }

    /// The holder of what was put aside for a wish has it on sale again.
    fn let_go(&mut self, event: &Event<'_>, given: &Ref) -> Effect {
        let of_wish = |parcel: &Parcel| parcel.owner == event.author && parcel.wish.is_some();
        if !self.parcels.get(given).is_some_and(of_wish) {
            return Effect::None;
        }
        self.change(given, |parcel| parcel.wish = None);
        self.see_holds(BTreeSet::from([*given]));
        Effect::Applied
    }

    /// Works out anew which units of some parcels are held.
    fn see_holds(&mut self, parcels: BTreeSet<Ref>) {
        for reference in parcels {
            let mut held = UnitSet::default();
            for (_, of) in self.holds() {
                for line in of.lines.iter().filter(|line| line.parcel == reference) {
                    held.insert_all(&line.units);
                }
            }
            self.change(&reference, |parcel| parcel.held = held);
        }
    }
}
