//! Shoppers at the tills: what they ask for, how long they wait, and what they get.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::command::{
    AcceptPast, Claim, Command, DropState, MAX_WAIT_MS, PaymentNew, Refusal, Reply, Sell, SellItem, Tender,
};
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::io::{CallId, Idempotency, Input};
use popmesh_proto::pin::Pin;
use popmesh_proto::units::UnitSet;
use popmesh_store::{AnswerId, KeyPrefix, key_prefix};

use super::ledger::Breach;
use super::node::{Caller, State, Who};
use super::queue::{Event, NodeIndex};
use super::wishes::KEPT;
use super::{MS, World};
use crate::night::{Answered, Cause, Outcome};
use crate::planted::Planted;
use crate::scenario::{DeviceIndex, StockPolicy};

/// A till that gave no answer is asked again after so long, milliseconds.
const AGAIN_MS: u64 = 1_000;

/// What the tills have said.
#[derive(Debug)]
pub(super) struct Shop {
    /// What each shopper got in the end.
    outcomes: Vec<Option<Outcome>>,
    /// Units in acknowledged sales, by lot.
    acknowledged: BTreeMap<Ref, UnitSet>,
    /// The keys of the commands that each node acknowledged.
    keys: BTreeMap<NodeIndex, Vec<KeyPrefix>>,
    pub(super) oversold: u64,
    pub(super) sold: u64,
    pub(super) served: u64,
    pub(super) wrong_refusals: u64,
    pub(super) refusals: BTreeMap<String, u64>,
    /// What kept those who went without.
    pub(super) without: BTreeMap<Cause, u64>,
    pub(super) answers: Vec<Answered>,
    pub(super) last_sale_us: Option<u64>,
}

impl Shop {
    pub(super) fn new(shoppers: usize) -> Self {
        Self {
            outcomes: vec![None; shoppers],
            acknowledged: BTreeMap::new(),
            keys: BTreeMap::new(),
            oversold: 0,
            sold: 0,
            served: 0,
            wrong_refusals: 0,
            refusals: BTreeMap::new(),
            without: BTreeMap::new(),
            answers: Vec::new(),
            last_sale_us: None,
        }
    }

    /// Shoppers whom a till that ran told yes or no.
    pub(super) fn answered(&self) -> u64 {
        let told = |outcome: &&Outcome| !matches!(outcome, Outcome::NoAnswer);
        self.outcomes.iter().flatten().filter(told).count() as u64
    }

    /// Somebody was told what came of the command with this key.
    pub(super) fn told(&mut self, node: NodeIndex, key: KeyPrefix) {
        self.keys.entry(node).or_default().push(key);
    }

    /// Compares the outcomes that a node has read back with the commands that it had acknowledged.
    pub(super) fn answers_kept(
        &self,
        node: NodeIndex,
        answers: &BTreeMap<KeyPrefix, AnswerId>,
    ) -> Result<(), Breach> {
        let lost =
            self.keys.get(&node).into_iter().flatten().filter(|key| !answers.contains_key(*key)).count();
        if lost == 0 {
            return Ok(());
        }
        Err(Breach::new("I3", format!("the outcomes of {lost} acknowledged commands are gone")))
    }
}

/// In so many of a thousand times that a device says it may have forgotten what it did, its crew has it go on.
const ACCEPT_PAST: u64 = 100;

/// What a key is for, and where in it that stands.
/// Where a key says what it is of: records carry its first eight bytes, which have to tell keys apart.
const KEY_KIND: usize = 0;
const KEY_OF_SALE: u8 = 1;

/// A sale's idempotency key: the shopper's number.
pub(super) fn key_of(shopper: usize) -> Idempotency {
    key_of_kind(shopper, KEY_OF_SALE)
}

/// The idempotency key of something else that a shopper wants.
pub(super) fn key_of_kind(shopper: usize, kind: u8) -> Idempotency {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(shopper as u64).to_be_bytes());
    key[KEY_KIND] = kind;
    Idempotency { key, request: key }
}

/// The PIN of a shopper's claim, if the shopper wants one.
pub(super) fn pin_of(shopper: usize) -> Option<Pin> {
    shopper.is_multiple_of(5).then(|| format!("{:04}", shopper % 10_000).parse().ok()).flatten()
}

/// Whether an outcome that is stored under this key is a sale's.
pub(super) fn is_of_sale(key: &KeyPrefix) -> bool {
    key[KEY_KIND] == KEY_OF_SALE
}

/// The name of a refusal, as the node's API has it.
fn name_of(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::SoldOut { .. } => "sold_out",
        Refusal::HeldElsewhere { .. } => "held_elsewhere",
        Refusal::NotStored { .. } => "not_stored",
        Refusal::DropNotOpen { .. } => "drop_not_open",
        Refusal::UnknownSku { .. } | Refusal::UnknownDrop { .. } | Refusal::UnknownDevice { .. } => {
            "not_known_yet"
        }
        Refusal::Certificate { .. } => "certificate",
        Refusal::Busy => "busy",
        Refusal::Suspended { .. } => "suspended",
        Refusal::Retired { .. } => "retired",
        Refusal::PastUnknown { .. } => "past_unknown",
        _ => "refused",
    }
}

impl World<'_> {
    pub(super) fn asks_again(&mut self, shopper: usize) {
        if self.shop.outcomes[shopper].is_none() {
            self.tries(shopper);
        }
    }

    pub(super) fn tries(&mut self, shopper: usize) {
        let (device, command, key) = match self.cart_step(shopper) {
            Some(step) => step,
            None => {
                let sell = Command::Sell(self.sale_of(shopper));
                (self.shoppers[shopper].device, sell, key_of(shopper))
            }
        };
        let node = self.box_for(device, shopper);
        if !self.nodes[node].is_running() {
            self.waits_for_answer(shopper);
            return;
        }
        if let Some(&id) = self.nodes[node].answers.get(&key_prefix(&key.key))
            && !(self.options.has(Planted::SellAgain) && key == key_of(shopper))
        {
            self.repeats(shopper, node, id);
            return;
        }
        self.order(node, Who::Shopper(shopper), command, Some(key));
    }

    /// What a shopper buys.
    pub(super) fn sale_of(&self, shopper: usize) -> Sell {
        let wish = &self.shoppers[shopper];
        let left_ms = (self.gone_us(shopper).saturating_sub(self.now_us) / MS).min(MAX_WAIT_MS);
        let wait_ms = if self.scenario.policy == StockPolicy::StaticShares { 0 } else { left_ms };
        let drop = &self.scenario.drops[wish.drop];
        let product = &self.scenario.products[wish.product];
        let total = product.price.saturating_mul(i64::try_from(wish.quantity).unwrap_or(i64::MAX));
        let item = SellItem { sku: product.sku.clone(), quantity: wish.quantity, unit_price: None };
        Sell {
            items: vec![item],
            drop: Some(drop.drop.clone()),
            pickup_at: wish.pickup_at.map(|device| self.nodes[device].id),
            pin: wish.pickup_at.and_then(|_| pin_of(shopper)),
            wait_ms,
            ..paying(shopper, total)
        }
    }

    /// When a shopper gives up.
    fn gone_us(&self, shopper: usize) -> u64 {
        let wish = &self.shoppers[shopper];
        wish.at_us + (wish.patience_ms + self.carries_ms(shopper)) * MS
    }

    /// Where somebody with this number goes: the device, or one of the boxes that pass for it.
    pub(super) fn box_for(&self, device: DeviceIndex, number: usize) -> NodeIndex {
        let on = self.boxes_of(&self.nodes[device].id).iter().filter(|node| self.nodes[**node].has_power());
        let on: Vec<NodeIndex> = on.copied().collect();
        if on.is_empty() { device } else { on[number % on.len()] }
    }

    /// Gives a device something to do.
    pub(super) fn order(&mut self, node: NodeIndex, who: Who, command: Command, key: Option<Idempotency>) {
        self.calls += 1;
        let call = self.calls;
        let waiting = |world: &Self| world.nodes[node].device().map_or(0, |device| device.waiting().1);
        let before = waiting(self);
        self.nodes[node].calls.insert(call, Caller { who, at_once: true });
        self.give(node, Input::Command { call, command, idempotency: key });
        let waits = waiting(self) > before;
        if let Some(caller) = self.nodes[node].calls.get_mut(&call) {
            caller.at_once = !waits;
        }
    }

    /// The sale was made, though the answer was lost: the same key gets the same answer.
    fn repeats(&mut self, shopper: usize, node: NodeIndex, id: AnswerId) {
        let State::Running { store, .. } = &self.nodes[node].state else { return };
        match store.answer(id).map(|stored| stored.reply) {
            Ok(Reply::Sale(claim)) => {
                let caller = Caller { who: Who::Shopper(shopper), at_once: false };
                self.sold(node, caller, shopper, &claim);
            }
            Ok(Reply::Cart(cart)) => self.cart_answered(node, shopper, &cart),
            Ok(_) => self.check(Err(Breach::new("I3", "a sale's key has another command's outcome"))),
            Err(_) => self.waits_for_answer(shopper),
        }
    }

    pub(super) fn waits_for_answer(&mut self, shopper: usize) {
        let gone_us = self.gone_us(shopper);
        let again_us = self.now_us + AGAIN_MS * MS;
        if again_us < gone_us {
            self.queue.plan(again_us, Event::Again { shopper });
        } else {
            let cause = match &self.nodes[self.shoppers[shopper].device].state {
                State::Dead => Cause::DeadTill,
                State::Off => Cause::NoPower,
                State::Failing { .. } => Cause::TillUnfit,
                State::Running { .. } => Cause::GaveUp,
            };
            self.goes_without(shopper, cause, Outcome::NoAnswer);
        }
    }

    fn goes_without(&mut self, shopper: usize, cause: Cause, outcome: Outcome) {
        *self.shop.without.entry(cause).or_default() += 1;
        self.answered(shopper, self.now_us, outcome);
    }

    /// The device that would have answered is no more.
    pub(super) fn calls_lost(&mut self, node: NodeIndex) {
        for (_, caller) in std::mem::take(&mut self.nodes[node].calls) {
            match caller.who {
                Who::Shopper(shopper) => self.waits_for_answer(shopper),
                Who::Visitor(visit) => self.visit_got_no_answer(visit),
                Who::Organiser(task) => self.organiser_lost(task),
                Who::Registrar(fault) => self.retires_again(fault),
                Who::Entruster(fault) => self.entrusts_again(fault),
                Who::Probe | Who::Crew | Who::Cart(_) | Who::Person => {}
            }
        }
    }

    pub(super) fn replied(&mut self, node: NodeIndex, call: CallId, result: Result<Reply, Refusal>) {
        let Some(caller) = self.nodes[node].calls.remove(&call) else {
            self.check(Err(Breach::new("I3", "a command was answered twice")));
            return;
        };
        self.issued.replied(call, &result);
        if let Ok(reply) = &result {
            let entry = match reply {
                Reply::Sale(claim) => Some(claim.claim),
                Reply::Lot(lot) => Some(lot.lot),
                Reply::Units(done) => Some(done.entry),
                Reply::Cart(cart) => Some(cart.cart),
                Reply::Redeemed(redeemed) => Some(redeemed.entry),
                Reply::Custody(claim) => Some(claim.claim),
                Reply::Refund(refunded) => Some(refunded.claim.claim),
                Reply::Settled(settled) => Some(settled.entry),
                Reply::Step(done) => Some(done.step.entry),
                Reply::Unlocked(unlocked) => Some(unlocked.entry),
                Reply::Door(door) => Some(door.redemption),
                Reply::Personal(personal) => Some(personal.entry),
                Reply::Erased(erased) => erased.entry,
                Reply::Retired(retired) => Some(retired.entry),
                Reply::Renewed(renewed) => renewed.devices.last().map(|renewed| renewed.entry),
                Reply::Product(_)
                | Reply::Drop(_)
                | Reply::Swept(_)
                | Reply::Incident(_)
                | Reply::PastAccepted
                | Reply::Undone(_)
                | Reply::Left(_)
                | Reply::Entrusted(_)
                | Reply::Rules(_) => None,
            };
            if let Some(entry) = entry {
                let known = self.ledger.acknowledged(&entry);
                self.check(known);
            }
        }
        match (caller.who, result) {
            (Who::Organiser(task), result) => self.organised(node, task, &result),
            (Who::Probe, result) => self.probed(result),
            (Who::Crew, _) => {}
            (Who::Cart(next), result) => self.chore_with_cart(node, next, result),
            (Who::Entruster(fault), result) => self.entrusted(fault, &result),
            (Who::Registrar(fault), result) => self.retired(fault, &result),
            (Who::Person, result) => self.person_answered(node, result),
            (Who::Visitor(visit), result) => self.visit_answered(node, visit, result),
            (Who::Shopper(shopper), Ok(Reply::Sale(claim))) => {
                self.shop.told(node, key_prefix(&key_of(shopper).key));
                self.sold(node, caller, shopper, &claim);
            }
            (Who::Shopper(shopper), Ok(Reply::Cart(cart))) => self.cart_answered(node, shopper, &cart),
            (Who::Shopper(_), Ok(_)) => {
                self.check(Err(Breach::new("I3", "a sale was answered with something else")));
            }
            (Who::Shopper(shopper), Err(refusal)) => self.refused(node, shopper, &refusal),
        }
    }

    fn sold(&mut self, node: NodeIndex, caller: Caller, shopper: usize, claim: &Claim) {
        for (lot, units) in self.ledger.take_what_came_back() {
            if let Some(sold) = self.shop.acknowledged.get_mut(&lot) {
                sold.remove_all(&units);
            }
        }
        let units: u64 = claim.items.iter().map(|item| item.units.len()).sum();
        for item in &claim.items {
            let of_lot = self.shop.acknowledged.entry(item.lot).or_default();
            let twice = of_lot.intersection(&item.units);
            of_lot.insert_all(&item.units);
            self.shop.oversold += twice.len();
            if !twice.is_empty() && !self.ledger.is_in_doubt() {
                let text = format!("units {twice} of {} are in two acknowledged sales", item.sku);
                self.check(Err(Breach::new("I1", text)));
            }
        }
        self.note(|| format!("{node} sold {units} to shopper {shopper}"));
        self.shop.sold += units;
        self.shop.served += 1;
        self.shop.last_sale_us = Some(self.now_us);
        self.sale_drains(node);
        self.cart_paid(shopper);
        self.plan_visits(node, shopper, claim);
        self.may_opt_in(node, shopper);
        let outcome = if caller.at_once { Outcome::Sold } else { Outcome::SoldAfterWait };
        self.answered(shopper, self.now_us, outcome);
    }

    fn refused(&mut self, node: NodeIndex, shopper: usize, refusal: &Refusal) {
        if self.cart_refused(shopper, refusal) {
            return;
        }
        let gone_us = self.gone_us(shopper);
        // The till says so, and the shopper stays; so does who came before the opening.
        let later = matches!(
            refusal,
            Refusal::NotStored { .. }
                | Refusal::Busy
                | Refusal::PastUnknown { .. }
                | Refusal::UnknownDrop { .. }
                | Refusal::UnknownSku { .. }
                | Refusal::DropNotOpen { state: DropState::Planned | DropState::Announced, .. }
        );
        if matches!(refusal, Refusal::PastUnknown { suspected: true }) && self.random.chance(ACCEPT_PAST) {
            self.nodes[node].past_answered = true;
            self.order(node, Who::Crew, Command::AcceptPast(AcceptPast::default()), None);
        }
        if later && self.now_us + AGAIN_MS * MS < gone_us {
            self.queue.plan(self.now_us + AGAIN_MS * MS, Event::Again { shopper });
            return;
        }
        let name = name_of(refusal);
        if name == "held_elsewhere" {
            self.watch.loss_events[1] += 1;
        }
        let short = matches!(refusal, Refusal::HeldElsewhere { .. } | Refusal::SoldOut { .. });
        let wrong = short && self.could_have_sold(node, shopper);
        self.note(|| format!("{node} refused shopper {shopper}: {refusal}"));
        *self.shop.refusals.entry(name.to_owned()).or_default() += 1;
        let cause = match refusal {
            Refusal::HeldElsewhere { .. } | Refusal::SoldOut { .. } => self.misses(node, shopper),
            Refusal::DropNotOpen { .. } | Refusal::UnknownDrop { .. } | Refusal::UnknownSku { .. } => {
                Cause::NotOpen
            }
            _ => Cause::TillUnfit,
        };
        let outcome = if wrong {
            self.shop.wrong_refusals += 1;
            Outcome::WronglyRefused(name.to_owned())
        } else {
            Outcome::Refused(name.to_owned())
        };
        self.goes_without(shopper, cause, outcome);
    }

    fn answered(&mut self, shopper: usize, now_us: u64, outcome: Outcome) {
        if outcome == Outcome::NoAnswer {
            *self.shop.refusals.entry("no_answer".to_owned()).or_default() += 1;
        }
        self.shop.outcomes[shopper] = Some(outcome.clone());
        let wish = &self.shoppers[shopper];
        self.shop.answers.push(Answered {
            came_ms: wish.at_us / MS,
            took_us: now_us - wish.at_us,
            device: wish.device,
            units: wish.quantity,
            outcome,
        });
    }

    /// Whether enough units were free, at the right place, on devices that could be reached over links.
    fn could_have_sold(&self, node: NodeIndex, shopper: usize) -> bool {
        let wish = &self.shoppers[shopper];
        let drop = &self.scenario.drops[wish.drop].drop;
        let sku = &self.scenario.products[wish.product].sku;
        let venue = self.scenario.devices[self.nodes[node].device_index].venue;
        let place = wish.pickup_at.is_none().then(|| &self.scenario.venues[venue].name);
        let reached = self.in_reach(node);
        let near: BTreeSet<DeviceId> = reached.iter().map(|node| self.nodes[*node].id).collect();
        // Units that were given to somebody before a cut, and nobody on this side has heard of it: nobody can sell them.
        let heard_of = |parcel: &Ref| {
            reached
                .iter()
                .filter_map(|node| self.nodes[*node].device())
                .any(|device| device.holdings().parcel(parcel).is_some())
        };
        let own = self.ledger.holdings.free_of(&self.nodes[node].id, drop, sku, place);
        let free: u64 = self
            .ledger
            .holdings
            .live()
            .filter(|(_, parcel)| {
                near.contains(&parcel.owner) && place.is_none_or(|place| parcel.place == *place)
            })
            .filter(|(id, parcel)| {
                let lot = self.ledger.holdings.lot(&parcel.lot);
                lot.is_some_and(|lot| lot.drop == *drop && lot.sku == *sku) && heard_of(id)
            })
            .map(|(_, parcel)| parcel.available_count())
            .sum();
        if wish.quantity > KEPT {
            // Of a large wish others keep what they need; how much they had to spare then, nobody knows from outside.
            return own >= wish.quantity;
        }
        free >= wish.quantity
    }

    /// The running nodes that a node can reach over links, itself included.
    pub(super) fn in_reach(&self, node: NodeIndex) -> BTreeSet<NodeIndex> {
        let mut found = BTreeSet::from([node]);
        let mut open = vec![node];
        while let Some(at) = open.pop() {
            for peer in self.links.peers(at) {
                if self.nodes[peer].is_running() && self.path(at, peer).is_some() && found.insert(peer) {
                    open.push(peer);
                }
            }
        }
        found
    }
}

/// How a shopper pays: most in cash or by card, some by both, some by a card that is authorised later.
fn paying(shopper: usize, total: i64) -> Sell {
    let part = |tender, amount| PaymentNew { tender, amount, reference: None, deferred: false, given: None };
    match shopper % 12 {
        0 | 3 | 6 => Sell { tender: Tender::Card, ..Sell::default() },
        9 => Sell {
            tender: Tender::Card,
            reference: Some(format!("terminal-{shopper}")),
            deferred: true,
            ..Sell::default()
        },
        5 if total > 1 => Sell {
            payments: vec![part(Tender::Voucher, total / 3 + 1), part(Tender::Cash, total - total / 3 - 1)]
                .into_iter()
                .filter(|part| part.amount > 0)
                .collect(),
            ..Sell::default()
        },
        _ => Sell::default(),
    }
}
