//! On demand: asks other devices for units that sales here wait for, and answers when others ask.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Device;
use super::sales::Size;
use super::wishes::GRACE_MS;
use crate::broker::AskedFor;
use crate::command::{MAX_HOLD_MS, Sell};
use crate::fact::Signal;
use crate::id::DeviceId;
use crate::io::Output;
use crate::message::{Ask, Decline, Message, Wish};
use crate::record::Cause;
use crate::text::{DropId, Place, Sku};

/// How long a device that was asked may take before another is.
const ANSWER_WITHIN_MS: u64 = 1_000;
/// For how long a device that declined, or did not answer, is not asked again.
const AVOID_MS: u64 = 300;

/// What units are asked for: a SKU of a drop, and where they must lie, for a walk-in.
pub(super) type Shelf = (DropId, Sku, Option<Place>);

/// What is asked for: units of a shelf, for all ordinary sales that wait together, or for one large wish.
pub(super) type Wanted = (Shelf, Option<u64>);

/// How much of it lacks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lacking {
    pub(super) units: u64,
    /// Of a large wish: all of it, whatever the SKU; and how long it still waits.
    pub(super) total: u64,
    pub(super) left_ms: u64,
}

#[derive(Debug)]
struct Outstanding {
    id: u64,
    peer: DeviceId,
    until_ms: u64,
}

#[derive(Debug, Default)]
struct Request {
    outstanding: Option<Outstanding>,
    /// Until when those are not asked again that gave nothing. What they are said to have is likely to be gone, so all others come
    /// before them even after that.
    avoid: BTreeMap<DeviceId, u64>,
}

/// Requests for units: for each shelf one at a time, and one for each large wish.
#[derive(Debug, Default)]
pub(super) struct Asks {
    requests: BTreeMap<Wanted, Request>,
    next_id: u64,
}

impl Asks {
    /// A number for a request, of this or another kind: a peer that declines names it.
    pub(super) fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn next_deadline(&self, now_ms: u64) -> Option<u64> {
        let of = |request: &Request| match &request.outstanding {
            Some(outstanding) => Some(outstanding.until_ms),
            None => request.avoid.values().filter(|until| **until > now_ms).min().copied(),
        };
        self.requests.values().filter_map(of).min()
    }

    /// The peer has given something: whatever it was asked for is answered.
    pub(super) fn given(&mut self, by: DeviceId) {
        for request in self.requests.values_mut() {
            if request.outstanding.as_ref().is_some_and(|outstanding| outstanding.peer == by) {
                request.outstanding = None;
            }
        }
    }

    pub(super) fn declined(&mut self, id: u64, now_ms: u64) {
        for request in self.requests.values_mut() {
            if let Some(outstanding) = request.outstanding.take_if(|outstanding| outstanding.id == id) {
                request.avoid.insert(outstanding.peer, now_ms + AVOID_MS);
            }
        }
    }

    pub(super) fn lost(&mut self, peer: &DeviceId) {
        for request in self.requests.values_mut() {
            request.outstanding.take_if(|outstanding| outstanding.peer == *peer);
        }
    }
}

impl Device {
    /// A peer gives nothing for a request.
    pub(super) fn declined(&mut self, from: DeviceId, id: u64) {
        self.asks.declined(id, self.now.mono_ms);
        self.takes.declined(from, id);
    }

    /// Who may give what a sale lacks, and how many units as far as known here: for a large wish what is above the floor.
    pub(super) fn givers(&self, shelf: &Shelf, wish: Option<u64>) -> impl Iterator<Item = (DeviceId, u64)> {
        let (drop, sku, place) = shelf;
        let holders = self.holdings.free_by_holder(drop, sku, place.as_ref());
        holders
            .into_iter()
            // Whoever has two pasts may give nothing, whoever was retired is given up.
            .filter(|(device, _)| {
                *device != self.me && !self.suspended.contains_key(device) && !self.is_retired(device)
            })
            .map(move |(device, free)| (device, wish.map_or(free, |_| self.spare_of(&device, shelf))))
            .filter(|(_, units)| *units > 0)
    }

    /// Asks for what is lacking, for each shelf the device that can give most of it and can be reached.
    pub(super) fn ask_for(&mut self, lacking: &BTreeMap<Wanted, Lacking>) {
        let now = self.now.mono_ms;
        self.asks.requests.retain(|wanted, _| lacking.contains_key(wanted));
        for (wanted, lacks) in lacking {
            let request = self.asks.requests.entry(wanted.clone()).or_default();
            if let Some(late) = request.outstanding.take_if(|outstanding| outstanding.until_ms <= now) {
                request.avoid.insert(late.peer, now + AVOID_MS);
            }
            if request.outstanding.is_some() {
                continue;
            }
            let gave_nothing = request.avoid.clone();
            let avoid = |device: &DeviceId| gave_nothing.get(device).is_some_and(|until| *until > now);
            let (shelf, wish) = wanted;
            let may_give = self.givers(shelf, *wish).filter(|(device, _)| !avoid(device));
            // Where much is lost, presences are as well: who has not been heard of for a while may hear a request all the same.
            let (in_reach, others): (Vec<_>, Vec<_>) =
                may_give.partition(|(device, _)| self.peers.is_reachable(device));
            let asked = if in_reach.is_empty() && wish.is_none() { others } else { in_reach };
            let best = asked
                .into_iter()
                .max_by_key(|(device, units)| (Reverse(gave_nothing.get(device).copied()), *units, *device));
            let Some((peer, _)) = best else { continue };
            let id = self.asks.number();
            let outstanding = Outstanding { id, peer, until_ms: now + ANSWER_WITHIN_MS };
            if let Some(request) = self.asks.requests.get_mut(wanted) {
                request.outstanding = Some(outstanding);
            }
            let units = self.config.policy.ask(lacks.units).max(1);
            let left_ms = lacks.left_ms + GRACE_MS;
            let wish = wish.map(|number| Wish { number, total: lacks.total, left_ms });
            self.tell_asking(wanted, lacks.units, peer);
            let (drop, sku, place) = shelf.clone();
            self.tell(peer, &Message::Ask(Ask { id, drop, sku, units, place, wish }));
        }
    }

    /// Observers hear whom a sale waits for.
    fn tell_asking(&mut self, (shelf, wish): &Wanted, units: u64, device: DeviceId) {
        let waits = |drop: &DropId, sell: &Sell, of: Option<u64>| {
            of == *wish && sell.items.iter().any(|item| self.shelf_of(drop, sell, &item.sku) == *shelf)
        };
        let sales = self.sales.keys_of(waits).map(|key| hex::encode(key.key)).collect();
        let (drop, sku, _) = shelf.clone();
        let name = self.name_of(&device);
        self.outbox.emit_now(Output::Signal(Signal::Asking { drop, sku, units, device, name, sales }));
    }

    /// Answers a request: with a transfer, which reaches the asker as an entry, or by declining.
    pub(super) fn asked(&mut self, from: DeviceId, ask: &Ask) {
        let shelf = (ask.drop.clone(), ask.sku.clone(), ask.place.clone());
        let large = ask.wish.as_ref().is_some_and(|wish| wish.total > self.ordinary());
        let free = self.free(&ask.drop, &ask.sku, ask.place.as_ref());
        let free = if large { free.min(self.spare_of(&self.me, &shelf)) } else { free };
        // Ordinary sales come before large wishes. Of two devices whose sales both wait for more than they have, the lower id
        // goes first, so that they do not hand the same units back and forth.
        let waits = self.sales.wait_for(&ask.drop, &ask.sku);
        let first = match (waits, large) {
            (Some(Size::Ordinary), true) => true,
            (Some(Size::Large), false) | (None, _) => false,
            (Some(Size::Ordinary), false) | (Some(Size::Large), true) => self.me < from,
        };
        let fits = ask.wish.as_ref().is_none_or(|wish| (1..=MAX_HOLD_MS).contains(&wish.left_ms));
        if free == 0 || first || !fits || self.check_may_get(&from).is_err() || ask.units == 0 {
            self.tell(from, &Message::Decline(Decline { id: ask.id }));
            return;
        }
        let own_rate = self.meter.rate(&ask.drop, &ask.sku, self.now.mono_ms);
        let units = match large {
            true => ask.units.min(free),
            false => self.config.policy.give(AskedFor { asked: ask.units, free, own_rate }).clamp(1, free),
        };
        let cause = ask.wish.as_ref().map(|wish| Cause::Wish { number: wish.number, left_ms: wish.left_ms });
        if self.give(&shelf, units, from, cause).is_err() {
            self.tell(from, &Message::Decline(Decline { id: ask.id }));
        }
    }
}
