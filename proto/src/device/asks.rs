//! On demand: asks other devices for units that sales here wait for, and answers when others ask.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Device;
use crate::broker::AskedFor;
use crate::document::Document;
use crate::id::DeviceId;
use crate::message::{Ask, Decline, Message};
use crate::text::{DropId, Place, Sku};

/// How long a device that was asked may take before another is.
const ANSWER_WITHIN_MS: u64 = 1_000;
/// For how long a device that declined, or did not answer, is not asked again.
const AVOID_MS: u64 = 300;

/// What units are asked for: a SKU of a drop, and where they must lie, for a walk-in.
pub(super) type Shelf = (DropId, Sku, Option<Place>);

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

/// Requests for units: for each shelf one at a time.
#[derive(Debug, Default)]
pub(super) struct Asks {
    requests: BTreeMap<Shelf, Request>,
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

    /// Asks for what is lacking, for each shelf the device that has most of it and can be reached.
    pub(super) fn ask_for(&mut self, lacking: &BTreeMap<Shelf, u64>) {
        let now = self.now.mono_ms;
        self.asks.requests.retain(|shelf, _| lacking.contains_key(shelf));
        for (shelf, units) in lacking {
            let request = self.asks.requests.entry(shelf.clone()).or_default();
            if let Some(late) = request.outstanding.take_if(|outstanding| outstanding.until_ms <= now) {
                request.avoid.insert(late.peer, now + AVOID_MS);
            }
            if request.outstanding.is_some() {
                continue;
            }
            let gave_nothing = request.avoid.clone();
            let avoid = |device: &DeviceId| gave_nothing.get(device).is_some_and(|until| *until > now);
            let (drop, sku, place) = shelf;
            let holders = self.holdings.free_by_holder(drop, sku, place.as_ref());
            let may_give = holders
                .into_iter()
                .filter(|(device, _)| *device != self.me && !avoid(device))
                // Whoever has two pasts may give nothing, whoever was retired is given up.
                .filter(|(device, _)| !self.suspended.contains_key(device) && !self.is_retired(device));
            // Where much is lost, presences are as well: who has not been heard of for a while may hear a request all the same.
            let (in_reach, others): (Vec<_>, Vec<_>) =
                may_give.partition(|(device, _)| self.peers.is_reachable(device));
            let asked = if in_reach.is_empty() { others } else { in_reach };
            let best = asked
                .into_iter()
                .max_by_key(|(device, units)| (Reverse(gave_nothing.get(device).copied()), *units, *device));
            let Some((peer, _)) = best else { continue };
            let id = self.asks.number();
            let outstanding = Outstanding { id, peer, until_ms: now + ANSWER_WITHIN_MS };
            if let Some(request) = self.asks.requests.get_mut(shelf) {
                request.outstanding = Some(outstanding);
            }
            let units = self.config.policy.ask(*units).max(1);
            let ask = Ask { id, drop: drop.clone(), sku: sku.clone(), units, place: place.clone() };
            self.tell(peer, &Message::Ask(ask));
        }
    }

    /// Answers a request: with a transfer, which reaches the asker as an entry, or by declining.
    pub(super) fn asked(&mut self, from: DeviceId, ask: &Ask) {
        let free = self.free(&ask.drop, &ask.sku, ask.place.as_ref());
        // Of two devices whose sales both wait for more than they have, the lower id goes first, so that they do not
        // hand the same units back and forth.
        let first = self.me < from && self.sales.wait_for(&ask.drop, &ask.sku);
        let known = self.peers.certificate(&from).is_some() && self.check_may_get(&from).is_ok();
        if free == 0 || first || !known || ask.units == 0 {
            self.tell(from, &Message::Decline(Decline { id: ask.id }));
            return;
        }
        let own_rate = self.meter.rate(&ask.drop, &ask.sku, self.now.mono_ms);
        let units = self.config.policy.give(AskedFor { asked: ask.units, free, own_rate }).clamp(1, free);
        let document = Document::Stock(ask.drop.clone());
        if self.give(&document, &ask.drop, &ask.sku, ask.place.as_ref(), units, from).is_err() {
            self.tell(from, &Message::Decline(Decline { id: ask.id }));
        }
    }
}
