//! After the sale: shoppers who come for what they bought, or want their money back, or bring it back; and crew that
//! gives claims into other custody. Some never come, some come twice, some to the wrong device, and some are answered by
//! a power cut.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::command::{
    Claim, ClaimState, Command, GiveCustody, Redeem, Redeemed, Refund, RefundItem, Refunded, Refusal, Reply,
    Sweep, Unclaimed, Unlock,
};
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::io::{Idempotency, Input};
use popmesh_proto::pin::Pin;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::text::DropId;
use popmesh_store::key_prefix;

use super::ledger::Breach;
use super::node::{Caller, State, Who};
use super::queue::{Event, NodeIndex};
use super::shop::pin_of;
use super::{MS, SECOND, World};
use crate::night::ClaimNumbers;
use crate::random::Random;
use crate::scenario::DeviceIndex;

/// So many of a thousand never come for what they bought.
const NEVER_COME: u64 = 80;
/// So many go to another device than the one that they were told.
const GO_WRONG: u64 = 60;
/// So many claims are shown a second time.
const COME_TWICE: u64 = 120;
/// Of those who want their money back: so many have somebody else fetch the goods meanwhile, and so many fetch them
/// first and bring them back.
const RACE: u64 = 300;
const BRING_BACK: u64 = 250;
/// Of those who took it along and bring it back: so many go to another till, bring damaged goods, bring one unit of
/// several, ask twice.
const OTHER_TILL: u64 = 100;
const DAMAGED: u64 = 250;
const ONE_OF_SEVERAL: u64 = 500;
const ASK_TWICE: u64 = 200;
/// The crew gives so many of a thousand claims into the custody of another device.
const GIVEN: u64 = 60;
/// So many of those who lost their answer come anew, as somebody else would.
const COME_ANEW: u64 = 300;
/// Of those: so many are picked up at the new custodian soon, by the token that the seller issues then; and of these so many
/// are shown there once more.
const FOLLOWS: u64 = 700;
const SHOWN_AGAIN: u64 = 300;
/// So many show the token alone; so many of those with a PIN do not remember it.
const BY_TOKEN: u64 = 600;
const FORGETS_PIN: u64 = 300;
/// So many who stand before the wrong device have it fetch the claim; how long it waits for that, milliseconds.
const FETCH: u64 = 400;
const FETCH_WAIT_MS: u64 = 3_000;
/// How long somebody tries, from the first time, milliseconds.
const PATIENCE_MS: (u64, u64) = (20_000, 180_000);
/// How long until the next try, milliseconds.
const AGAIN_MS: (u64, u64) = (1_000, 5_000);
/// Nobody is sent from one device to another more often than this.
const WALKS: u64 = 3;
/// The kind of the keys: a sale's is another.
const KEY_OF_VISIT: u8 = 2;

/// What somebody wants who comes about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Errand {
    PickUp,
    Refund { items: Vec<RefundItem>, damaged: bool },
    Give { to: DeviceId },
    Sweep { drop: DropId },
}

/// Somebody comes about a claim.
#[derive(Debug, Clone)]
struct Visit {
    claim: Ref,
    errand: Errand,
    device: DeviceIndex,
    /// When patience ends.
    gone_us: u64,
    walks: u64,
    /// Goes up when somebody comes anew: another key.
    showing: u8,
    /// Shown instead of the claim, if there is one.
    token: Option<String>,
    /// Whether the device is to fetch the claim from its custodian first.
    fetches: bool,
    /// Whether the seller is to issue the token anew, since custody has moved.
    reprints: bool,
    /// The claim's PIN, and whether it comes to mind at once.
    pin: Option<(Pin, bool)>,
    random: Random,
}

/// What a shopper was given at the till.
#[derive(Debug, Clone, Default)]
struct Paper {
    token: Option<String>,
    pin: Option<Pin>,
}

/// What has become of claims.
#[derive(Debug)]
pub(super) struct Pickups {
    random: Random,
    visits: Vec<Visit>,
    papers: BTreeMap<Ref, Paper>,
    /// Claims that somebody was given the goods for, and the node that did.
    pub(super) handed_out: BTreeMap<Ref, NodeIndex>,
    /// Claims whose PIN was wrong too often, and the node that says so.
    pub(super) locked: BTreeSet<(NodeIndex, Ref)>,
    pub(super) numbers: ClaimNumbers,
}

impl Pickups {
    pub(super) fn new(random: Random) -> Self {
        Self {
            random,
            visits: Vec::new(),
            papers: BTreeMap::new(),
            handed_out: BTreeMap::new(),
            locked: BTreeSet::new(),
            numbers: ClaimNumbers::default(),
        }
    }
}

/// A PIN that is not this one.
fn wrong_pin(pin: &Pin) -> Pin {
    ["0000", "1111"]
        .into_iter()
        .filter_map(|other| other.parse().ok())
        .find(|other| other != pin)
        .unwrap_or(pin.clone())
}

/// When somebody comes who may come until the night ends: many soon, some any time.
fn comes_us(now_us: u64, ends_us: u64, random: &mut Random) -> u64 {
    let left_us = ends_us.saturating_sub(now_us);
    let within_us = match random.below(4) {
        0 => 5 * SECOND,
        1 | 2 => 60 * SECOND,
        _ => left_us,
    };
    now_us + random.below(within_us.min(left_us) + 1)
}

impl World<'_> {
    /// Draws what will become of a claim that a shopper has just got.
    pub(super) fn plan_visits(&mut self, seller: NodeIndex, shopper: usize, claim: &Claim) {
        let ends_us = self.scenario.duration_ms * MS;
        if self.now_us >= ends_us {
            return;
        }
        let mut random = self.pickups.random.fork(&format!("shopper {shopper}"));
        let first_us = comes_us(self.now_us, ends_us, &mut random);
        let wish = &self.shoppers[shopper];
        let (till, wants_refund) = (wish.device, wish.wants_refund);
        match wish.pickup_at {
            Some(keeper) => {
                let token = match self.ask(seller, Query::Token(claim.claim)) {
                    Some(Answer::Token(Ok(token))) => Some(token.token),
                    // It was not printed.
                    _ => None,
                };
                let pin = pin_of(shopper);
                self.pickups.papers.insert(claim.claim, Paper { token, pin });
                self.plan_sweep(keeper, claim, &mut random);
                self.plan_custody(keeper, claim, first_us, &mut random);
                if wants_refund {
                    self.plan_refund(till, keeper, claim, first_us, &mut random);
                } else {
                    self.plan_pickup(keeper, claim, first_us, &mut random);
                }
            }
            None if wants_refund => self.plan_return(till, claim, first_us, &mut random),
            None => {}
        }
    }

    fn plan_visit(&mut self, claim: &Claim, errand: Errand, device: DeviceIndex, at_us: u64) {
        let errand_is_pickup = errand == Errand::PickUp;
        let Paper { token, pin } = self.pickups.papers.get(&claim.claim).cloned().unwrap_or_default();
        let visit = self.pickups.visits.len();
        let mut random = self.pickups.random.fork(&format!("visit {visit}"));
        let gone_us = at_us + random.within(PATIENCE_MS.0..=PATIENCE_MS.1) * MS;
        self.pickups.visits.push(Visit {
            claim: claim.claim,
            errand,
            device,
            gone_us: gone_us.min(self.scenario.duration_ms * MS),
            walks: 0,
            showing: 0,
            fetches: false,
            reprints: false,
            token: token.filter(|_| errand_is_pickup && random.chance(BY_TOKEN)),
            pin: pin.map(|pin| (pin, !random.chance(FORGETS_PIN))),
            random,
        });
        self.queue.plan(at_us, Event::Visit { visit });
    }

    /// The crew looks for late claims some time after this one is late.
    fn plan_sweep(&mut self, keeper: DeviceIndex, claim: &Claim, random: &mut Random) {
        let rule = self.scenario.drops.iter().find(|spec| spec.drop == claim.drop);
        let Some(within_ms) = rule.and_then(|spec| spec.pickup_within_ms) else { return };
        if rule.is_some_and(|spec| spec.unclaimed != Unclaimed::Keep) {
            let at_us = self.now_us + within_ms * MS + random.below(30 * SECOND);
            self.plan_visit(claim, Errand::Sweep { drop: claim.drop.clone() }, keeper, at_us);
        }
    }

    fn plan_pickup(&mut self, keeper: DeviceIndex, claim: &Claim, at_us: u64, random: &mut Random) {
        if random.chance(NEVER_COME) {
            return;
        }
        let first = if random.chance(GO_WRONG) { self.any_device(random) } else { keeper };
        self.plan_visit(claim, Errand::PickUp, first, at_us);
        if random.chance(COME_TWICE) {
            let later_us = if random.chance(500) { 0 } else { random.below(20 * SECOND) };
            self.plan_visit(claim, Errand::PickUp, keeper, at_us + later_us);
        }
    }

    /// Money back for what waits for its shopper: from the till or where it waits, or after all that only once it was
    /// fetched.
    fn plan_refund(
        &mut self,
        till: DeviceIndex,
        keeper: DeviceIndex,
        claim: &Claim,
        at_us: u64,
        random: &mut Random,
    ) {
        if random.chance(BRING_BACK) {
            self.plan_visit(claim, Errand::PickUp, keeper, at_us);
            let later_us = comes_us(at_us, self.scenario.duration_ms * MS, random);
            self.plan_return(keeper, claim, later_us, random);
            return;
        }
        let at = if random.chance(500) { till } else { keeper };
        self.plan_visit(claim, Errand::Refund { items: Vec::new(), damaged: false }, at, at_us);
        if random.chance(RACE) {
            let later_us = random.below(2 * SECOND);
            self.plan_visit(claim, Errand::PickUp, keeper, at_us + later_us);
        }
    }

    /// What was handed over comes back.
    fn plan_return(&mut self, at: DeviceIndex, claim: &Claim, at_us: u64, random: &mut Random) {
        let at = if random.chance(OTHER_TILL) { self.any_device(random) } else { at };
        let damaged = random.chance(DAMAGED);
        let one = random.chance(ONE_OF_SEVERAL).then(|| claim.items.first()).flatten();
        let items: Vec<RefundItem> = one
            .into_iter()
            .map(|item| RefundItem { sku: item.sku.clone(), serials: item.units.lowest(1) })
            .collect();
        for _ in 0..if random.chance(ASK_TWICE) { 2 } else { 1 } {
            self.plan_visit(claim, Errand::Refund { items: items.clone(), damaged }, at, at_us);
        }
    }

    fn plan_custody(&mut self, keeper: DeviceIndex, claim: &Claim, until_us: u64, random: &mut Random) {
        let to = self.nodes[self.any_device(random)].id;
        if random.chance(GIVEN) && to != self.nodes[keeper].id {
            let at_us = self.now_us + random.below(until_us.saturating_sub(self.now_us) + SECOND);
            self.plan_visit(claim, Errand::Give { to }, keeper, at_us);
        }
    }

    fn any_device(&self, random: &mut Random) -> DeviceIndex {
        random.index(self.scenario.devices.len())
    }

    /// Somebody stands before a device and asks.
    pub(super) fn visits(&mut self, visit: usize) {
        let Visit { claim, device, .. } = self.pickups.visits[visit];
        let node = self.box_for(device, visit);
        if !self.nodes[node].is_running() {
            self.visit_waits(visit);
            return;
        }
        let key = self.key_of_visit(visit);
        if let Some(&id) = self.nodes[node].answers.get(&key_prefix(&key.key)) {
            // It was done, though the answer was lost: the same key gets the same answer.
            let State::Running { store, .. } = &self.nodes[node].state else { return };
            match store.answer(id).map(|stored| stored.reply) {
                Ok(reply) => self.visit_answered(node, visit, Ok(reply)),
                Err(_) => self.visit_waits(visit),
            }
            return;
        }
        if self.pickups.locked.remove(&(node, claim)) {
            // Somebody of the crew has looked who is there.
            self.calls += 1;
            let caller = Caller { who: Who::Crew, at_once: true };
            self.nodes[node].calls.insert(self.calls, caller);
            let command = Command::Unlock(Unlock { claim, at_once: false });
            self.give(node, Input::Command { call: self.calls, command, idempotency: None });
            self.visit_waits(visit);
            return;
        }
        if self.pickups.visits[visit].reprints {
            self.reprint(visit);
        }
        let errand = self.pickups.visits[visit].errand.clone();
        let command = match errand {
            Errand::PickUp if self.pickups.visits[visit].fetches => {
                let to = self.nodes[node].id;
                Command::GiveCustody(GiveCustody { claim, to, wait_ms: FETCH_WAIT_MS })
            }
            Errand::PickUp => {
                let Visit { token, pin, .. } = &self.pickups.visits[visit];
                let by = match token {
                    Some(token) => Redeem::by_token(token.clone()),
                    None => Redeem::of(claim),
                };
                let pin = pin.as_ref().map(|(pin, knows)| if *knows { pin.clone() } else { wrong_pin(pin) });
                Command::Redeem(Redeem { pin, ..by })
            }
            Errand::Sweep { drop } => Command::Sweep(Sweep::of(drop)),
            Errand::Refund { items, damaged } => Command::Refund(Refund { claim, items, damaged }),
            Errand::Give { to } => Command::GiveCustody(GiveCustody { claim, to, wait_ms: 0 }),
        };
        self.calls += 1;
        let caller = Caller { who: Who::Visitor(visit), at_once: true };
        self.nodes[node].calls.insert(self.calls, caller);
        self.give(node, Input::Command { call: self.calls, command, idempotency: Some(key) });
    }

    /// The seller issues the token of a claim anew, if it runs: it says who is the custodian now, as far as the seller knows.
    fn reprint(&mut self, visit: usize) {
        let claim = self.pickups.visits[visit].claim;
        let seller = self.ledger.seller_of(&claim).and_then(|seller| self.boxes_of(&seller).first().copied());
        let Some(seller) = seller.filter(|seller| self.nodes[*seller].is_running()) else { return };
        if let Some(Answer::Token(Ok(token))) = self.ask(seller, Query::Token(claim)) {
            let of = &mut self.pickups.visits[visit];
            (of.token, of.reprints) = (Some(token.token), false);
        }
    }

    /// Somebody comes to the new custodian of a claim.
    fn follow_custody(&mut self, visit: usize, claim: &Claim) {
        let there = self.boxes_of(&claim.custodian).first().map(|node| self.nodes[*node].device_index);
        let random = &mut self.pickups.visits[visit].random;
        let (follows, again) = (random.chance(FOLLOWS), random.chance(SHOWN_AGAIN));
        let within_us = random.below(20 * SECOND);
        let Some(device) = there.filter(|_| follows) else { return };
        for at_us in [Some(0), again.then_some(25 * SECOND)].into_iter().flatten() {
            self.plan_visit(claim, Errand::PickUp, device, self.now_us + within_us + at_us);
            if let Some(of) = self.pickups.visits.last_mut() {
                of.reprints = true;
            }
        }
    }

    /// A device where a person with a drawer is.
    fn any_attended(&mut self, visit: usize) -> Option<DeviceIndex> {
        let devices = &self.scenario.devices;
        let attended: Vec<DeviceIndex> =
            (0..devices.len()).filter(|device| devices[*device].roles.are_attended()).collect();
        let random = &mut self.pickups.visits[visit].random;
        (!attended.is_empty()).then(|| attended[random.index(attended.len())])
    }

    pub(super) fn visit_in_words(&self, visit: usize) -> String {
        let Visit { claim, errand, device, .. } = &self.pickups.visits[visit];
        let device = &self.scenario.devices[*device].name;
        let what = match errand {
            Errand::PickUp => "is to be handed out".to_owned(),
            Errand::Refund { items, .. } if items.is_empty() => "is to be refunded".to_owned(),
            Errand::Refund { items, .. } => {
                let serials: Vec<String> = items.iter().map(|item| item.serials.to_string()).collect();
                format!("is to be refunded, but {} only", serials.join(", "))
            }
            Errand::Give { to } => format!("is to be given to {}", to.short()),
            Errand::Sweep { .. } => "and all that are late are to be swept".to_owned(),
        };
        format!("visit {visit} to {device}: claim {claim} {what}")
    }

    fn key_of_visit(&self, visit: usize) -> Idempotency {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(visit as u64).to_be_bytes());
        key[0] = KEY_OF_VISIT;
        key[1] = self.pickups.visits[visit].showing;
        Idempotency { key, request: key }
    }

    /// Tries again soon, while patience lasts.
    fn visit_waits(&mut self, visit: usize) {
        let of = &mut self.pickups.visits[visit];
        let again_us = self.now_us + of.random.within(AGAIN_MS.0..=AGAIN_MS.1) * MS;
        if again_us < of.gone_us {
            self.queue.plan(again_us, Event::Visit { visit });
        } else {
            self.pickups.numbers.given_up += 1;
        }
    }

    /// The device that would have answered is no more.
    pub(super) fn visit_got_no_answer(&mut self, visit: usize) {
        let of = &mut self.pickups.visits[visit];
        if of.random.chance(COME_ANEW) {
            of.showing = of.showing.saturating_add(1);
        }
        self.visit_waits(visit);
    }

    pub(super) fn visit_answered(&mut self, node: NodeIndex, visit: usize, result: Result<Reply, Refusal>) {
        let refusal = match result {
            Ok(reply) => {
                let key = self.key_of_visit(visit);
                self.shop.told(node, key_prefix(&key.key));
                let known = self.visit_done(node, visit, &reply);
                self.check(known);
                return;
            }
            Err(refusal) => refusal,
        };
        self.note(|| format!("{node} refused visit {visit}: {refusal}"));
        let of = &mut self.pickups.visits[visit];
        let claim = of.claim;
        match refusal {
            // The device says so, and the person stays; the sale may be on its way.
            Refusal::UnknownClaim { .. }
            | Refusal::NotStored { .. }
            | Refusal::PastUnknown { .. }
            | Refusal::Busy => {
                self.visit_waits(visit);
            }
            Refusal::WrongPin { .. } => {
                let number = of.random.below(3);
                // One try in three brings it back.
                if let Some((_, knows)) = &mut of.pin {
                    *knows |= number == 0;
                }
                of.showing = of.showing.saturating_add(1);
                self.pickups.numbers.wrong_pins += 1;
                self.visit_waits(visit);
            }
            Refusal::PinLocked { .. } => {
                self.pickups.locked.insert((node, claim));
                self.visit_waits(visit);
            }
            // Money is where a person is.
            Refusal::Unattended { .. } if of.walks < WALKS => {
                of.walks += 1;
                of.showing = of.showing.saturating_add(1);
                self.pickups.numbers.sent_on += 1;
                if let Some(device) = self.any_attended(visit) {
                    self.pickups.visits[visit].device = device;
                    self.visit_waits(visit);
                }
            }
            // The token says so, and its shopper asks for what it is worth.
            Refusal::Token { .. } if of.token.take().is_some() => self.visit_waits(visit),
            Refusal::NotCustodian { reachable: true, .. }
                if of.errand == Errand::PickUp && !of.fetches && of.random.chance(FETCH) =>
            {
                of.fetches = true;
                of.showing = of.showing.saturating_add(1);
                self.visit_waits(visit);
            }
            Refusal::NotCustodian { custodian, .. } if of.walks < WALKS => {
                of.walks += 1;
                of.fetches = false;
                of.showing = of.showing.saturating_add(1);
                self.pickups.numbers.sent_on += 1;
                let there = self.boxes_of(&custodian).first();
                if let Some(device) = there.map(|node| self.nodes[*node].device_index) {
                    self.pickups.visits[visit].device = device;
                    self.visit_waits(visit);
                }
            }
            Refusal::AlreadyRedeemed { .. } | Refusal::AlreadyRefunded { .. }
                if of.errand == Errand::PickUp =>
            {
                self.pickups.numbers.refused_again += 1;
            }
            _ => self.pickups.numbers.refused += 1,
        }
    }

    fn visit_done(&mut self, node: NodeIndex, visit: usize, reply: &Reply) -> Result<(), Breach> {
        let Visit { claim, ref errand, ref token, ref pin, .. } = self.pickups.visits[visit];
        let (by_token, errand) = (token.is_some(), errand.clone());
        let knows_pin = pin.as_ref().is_none_or(|(_, knows)| *knows);
        match (&errand, reply) {
            (Errand::PickUp, Reply::Redeemed(_)) if !knows_pin => {
                Err(Breach::new("I2", format!("claim {claim} was handed out for a wrong PIN")))
            }
            (Errand::Sweep { .. }, Reply::Swept(swept)) => {
                self.pickups.numbers.swept += swept.claims.len() as u64;
                for claim in swept.claims.iter().filter(|claim| claim.state == ClaimState::RefundRequested) {
                    // The crew pays what was marked, on a till.
                    let Some(device) = self.any_attended(visit) else { continue };
                    let errand = Errand::Refund { items: Vec::new(), damaged: false };
                    self.plan_visit(claim, errand, device, self.now_us + 5 * SECOND);
                }
                let paid = swept.claims.iter().filter(|claim| claim.state != ClaimState::RefundRequested);
                let lost = { paid }.find(|claim| {
                    self.ledger.claims.get(&claim.claim).is_none_or(|known| known.units_back == 0)
                });
                // What a copy of the device did is not the device's own to know.
                let lost = lost.filter(|_| !self.ledger.is_in_doubt());
                lost.map_or(Ok(()), |claim| {
                    Err(Breach::new("I3", format!("{} was swept before that was durable", claim.claim)))
                })
            }
            (Errand::PickUp, Reply::Redeemed(redeemed)) if redeemed.claim == claim => {
                self.pickups.numbers.by_token += u64::from(by_token);
                self.was_handed_out(node, redeemed)
            }
            (Errand::Refund { .. }, Reply::Refund(refunded)) if refunded.claim.claim == claim => {
                let paid = self.was_refunded(node, refunded);
                if refunded.receipts.is_empty() {
                    // It is marked, and the shopper comes again for the money.
                    let of = &mut self.pickups.visits[visit];
                    of.showing = of.showing.saturating_add(1);
                    self.visit_waits(visit);
                }
                paid
            }
            (Errand::PickUp, Reply::Custody(given)) if given.claim == claim => {
                self.note(|| format!("{node} fetched {claim}"));
                self.pickups.numbers.fetched += 1;
                let of = &mut self.pickups.visits[visit];
                of.fetches = false;
                of.token = None;
                of.showing = of.showing.saturating_add(1);
                self.visit_waits(visit);
                Ok(())
            }
            (Errand::Give { .. }, Reply::Custody(given)) if given.claim == claim => {
                self.note(|| format!("{node} gave {claim} away"));
                self.pickups.numbers.given += 1;
                self.follow_custody(visit, given);
                Ok(())
            }
            _ => Err(Breach::new("I3", "a command about a claim was answered with something else")),
        }
    }

    fn was_handed_out(&mut self, node: NodeIndex, redeemed: &Redeemed) -> Result<(), Breach> {
        let Redeemed { claim, items, .. } = redeemed;
        self.note(|| format!("{node} handed out {claim}"));
        self.pickups.numbers.handed_out += 1;
        let before = self.pickups.handed_out.insert(*claim, node);
        if self.ledger.is_in_doubt() {
            return Ok(());
        }
        if before.is_some() {
            return Err(Breach::new("I2", format!("claim {claim} was handed out to two people")));
        }
        let units: u64 = items.iter().map(|item| item.units.len()).sum();
        match self.ledger.claims.get(claim).and_then(|known| known.handed_out) {
            None => Err(Breach::new("I3", format!("claim {claim} was handed out before that was durable"))),
            Some(written) if written != units => {
                let text =
                    format!("{units} units were handed out for claim {claim}, and {written} are written");
                Err(Breach::new("I2", text))
            }
            Some(_) => Ok(()),
        }
    }

    fn was_refunded(&mut self, node: NodeIndex, refunded: &Refunded) -> Result<(), Breach> {
        let Refunded { amount, claim, receipts, .. } = refunded;
        self.note(|| format!("{node} refunded {amount} of {}", claim.claim));
        let numbers = &mut self.pickups.numbers;
        match (receipts.is_empty(), claim.redeemed_at_ms) {
            (true, _) => numbers.refunds_asked += 1,
            (_, None) => numbers.refunds += 1,
            (_, Some(_)) => numbers.returns += 1,
        }
        if self.ledger.is_in_doubt() {
            return Ok(());
        }
        let units: u64 = claim.refunded.iter().map(|item| item.units.len()).sum();
        let known = self.ledger.claims.get(&claim.claim).map_or(0, |known| known.units_back);
        if known < units {
            let text = format!("{units} units of {} were refunded, and {known} durably", claim.claim);
            return Err(Breach::new("I3", text));
        }
        Ok(())
    }
}
