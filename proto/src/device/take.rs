//! Carts and claims on the move: this device asks the holder of a cart, or the custodian of a claim, for it, and gives its
//! own away to who asks.
//!
//! The units of a cart travel as transfers that keep them put aside, so that no cut in between puts them on sale or loses
//! them; a claim's custody travels as the record that its custodian makes.

use std::collections::BTreeMap;

use super::Device;
use super::commands::invalid;
use crate::command::{CartTake, GiveCustody, MAX_WAIT_MS, Offer, Refund, Refusal, Reply};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::io::{CallId, Idempotency, Output};
use crate::key::CommandKey;
use crate::message::{AskCart, AskClaim, Decline, Message};
use crate::record::{Aside, Body, Line, SaleLine, Transfer};
use crate::text::{DropId, Sku};
use crate::token::{self, Kind, SignedToken, TokenError};

/// The most carts that are asked for at once.
const MAX_TAKES: usize = 64;
/// How long until a cart is asked for again.
const AGAIN_MS: u64 = 1_000;
/// So many claims a device gives to one other that asks for them, within so long, milliseconds. A person asks for one at a
/// time.
const GIVEN_AT_MOST: u32 = 30;
const WITHIN_MS: u64 = 60_000;

/// What is asked for.
#[derive(Debug)]
enum Wanted {
    /// A cart, and how much of what is in it could be put aside here instead.
    Cart(Ref, Vec<Offer>),
    /// The custody of a claim.
    Claim(Ref),
    /// The custody of a claim that is to be refunded here.
    Refund(Refund),
}

#[derive(Debug)]
struct Taking {
    id: u64,
    call: CallId,
    wanted: Wanted,
    holder: DeviceId,
    idempotency: Option<Idempotency>,
    until_ms: u64,
    ask_again_ms: u64,
    declined: bool,
}

/// Carts and claims that this device has asked for.
#[derive(Debug, Default)]
pub(super) struct Takes {
    waiting: Vec<Taking>,
    /// Since when, and how many, claims were given to each device that asked lately.
    given: BTreeMap<DeviceId, (u64, u32)>,
}

impl Takes {
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.waiting.iter().map(|taking| taking.until_ms.min(taking.ask_again_ms)).min()
    }

    /// The holder has no such cart.
    pub(super) fn declined(&mut self, from: DeviceId, id: u64) {
        for taking in self.waiting.iter_mut().filter(|taking| taking.id == id && taking.holder == from) {
            taking.declined = true;
        }
    }

    /// Whether a cart is on its way here.
    pub(super) fn wait_for(&self, cart: Ref) -> bool {
        self.waiting.iter().any(|taking| matches!(taking.wanted, Wanted::Cart(wanted, _) if wanted == cart))
    }

    /// Whether a device that asks for one more claim may have it.
    fn may_give(&mut self, to: DeviceId, now_ms: u64) -> bool {
        self.given.retain(|_, (since_ms, _)| now_ms < *since_ms + WITHIN_MS);
        let (_, given) = self.given.entry(to).or_insert((now_ms, 0));
        *given = given.saturating_add(1);
        *given <= GIVEN_AT_MOST
    }

    pub(super) fn refuse_all(&mut self, problem: &str) -> Vec<Output> {
        let refused = |taking: Taking| Output::Reply {
            call: taking.call,
            result: Err(Refusal::NotStored { problem: problem.to_owned() }),
        };
        self.waiting.drain(..).map(refused).collect()
    }
}

impl Device {
    /// Gives up everything that was asked for, since this device takes nothing more in hand.
    pub(super) fn refuse_takes(&mut self, refusal: &Refusal) {
        for taking in std::mem::take(&mut self.takes.waiting) {
            self.outbox.emit(Output::Reply { call: taking.call, result: Err(refusal.clone()) });
        }
    }

    /// Takes a cart over from its holder, or lines that up to wait.
    pub(super) fn take_cart(
        &mut self,
        call: CallId,
        take: &CartTake,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
        self.check_not_left()?;
        self.check_holds("taking a cart over")?;
        if take.wait_ms > MAX_WAIT_MS {
            return Err(invalid("wait_ms", format!("{} ms; {MAX_WAIT_MS} is the most", take.wait_ms)));
        }
        let (cart, shown) = match (take.cart, &take.token) {
            (Some(cart), None) => (cart, None),
            (None, Some(text)) => {
                let signed = self.cart_token(text)?;
                (signed.claim, Some(signed))
            }
            _ => return Err(invalid("cart", "give either a cart or its token")),
        };
        let (holder, offers) = match (self.cart(cart), &shown) {
            (Some(held), _) if held.holder == self.me => {
                self.own_cart(cart)?;
                self.keep_reply(idempotency, &Reply::Cart(held.clone()));
                self.outbox.emit(Output::Reply { call, result: Ok(Reply::Cart(held)) });
                return Ok(());
            }
            (Some(held), _) => {
                let items = held.items.iter().map(|item| (item.sku.clone(), item.units.len()));
                (held.holder, self.offers(&held.drop, items))
            }
            (None, Some(signed)) => {
                let items = signed.items.iter().map(|item| (item.sku.clone(), item.units.len()));
                (signed.custodian, self.offers(&signed.drop, items))
            }
            (None, None) => return Err(Refusal::UnknownCart { cart }),
        };
        if holder == self.me {
            // The token is this device's own, and the cart is over.
            return Err(Refusal::UnknownCart { cart });
        }
        if !self.peers.is_reachable(&holder) || take.wait_ms == 0 {
            return Err(self.out_of_reach(cart, holder, offers));
        }
        self.line_up(call, Wanted::Cart(cart, offers), holder, take.wait_ms, idempotency)
    }

    /// Asks the custodian of a claim to give it into this device's custody.
    pub(super) fn fetch_claim(
        &mut self,
        call: CallId,
        give: &GiveCustody,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
        if give.wait_ms > MAX_WAIT_MS {
            return Err(invalid("wait_ms", format!("{} ms; {MAX_WAIT_MS} is the most", give.wait_ms)));
        }
        self.check_not_left()?;
        self.check_holds("taking custody of a claim")?;
        let custodian = self.waits_with(give.claim)?;
        if !self.peers.is_reachable(&custodian) || give.wait_ms == 0 {
            return Err(self.not_custodian(give.claim, custodian));
        }
        self.line_up(call, Wanted::Claim(give.claim), custodian, give.wait_ms, idempotency)
    }

    /// Asks the custodian of a claim to give it into this device's custody, where it is refunded then.
    pub(super) fn fetch_to_refund(
        &mut self,
        call: CallId,
        refund: Refund,
        keeper: DeviceId,
        wait_ms: u64,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
        self.line_up(call, Wanted::Refund(refund), keeper, wait_ms, idempotency)
    }

    fn line_up(
        &mut self,
        call: CallId,
        wanted: Wanted,
        holder: DeviceId,
        wait_ms: u64,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
        if self.takes.waiting.len() >= MAX_TAKES {
            return Err(Refusal::Busy);
        }
        let now = self.now.mono_ms;
        let id = self.asks.number();
        self.takes.waiting.push(Taking {
            id,
            call,
            wanted,
            holder,
            idempotency,
            until_ms: now + wait_ms,
            ask_again_ms: now,
            declined: false,
        });
        Ok(())
    }

    /// A cart's token that holds now, read.
    fn cart_token(&mut self, text: &str) -> Result<SignedToken, Refusal> {
        let bytes = token::from_text(text)?;
        let signed = SignedToken::read(&bytes, &mut self.gate)?;
        if signed.kind != Kind::Cart {
            return Err(TokenError::NotACart.into());
        }
        signed.check_at(self.now.wall_ms)?;
        Ok(signed)
    }

    /// How much of a cart this device could put aside from what it holds itself.
    fn offers(&self, drop: &DropId, items: impl Iterator<Item = (Sku, u64)>) -> Vec<Offer> {
        let offer = |(sku, wanted): (Sku, u64)| {
            let free = self.free(drop, &sku, Some(&self.venue));
            Offer { sku, wanted, free }
        };
        items.map(offer).collect()
    }

    fn out_of_reach(&self, cart: Ref, holder: DeviceId, offers: Vec<Offer>) -> Refusal {
        let (name, last_heard_ms) = (self.name_of(&holder), self.peers.last_heard(&holder, self.now));
        Refusal::CartOutOfReach { cart, holder, name, last_heard_ms, offers }
    }

    /// Completes what has come, asks again, and gives up what waited long enough.
    pub(super) fn pump_takes(&mut self) {
        let now = self.now.mono_ms;
        for mut taking in std::mem::take(&mut self.takes.waiting) {
            let over = now >= taking.until_ms || !self.peers.is_reachable(&taking.holder);
            let came = match &taking.wanted {
                Wanted::Refund(refund) => {
                    let refund = refund.clone();
                    self.doing = taking.idempotency.map(|idempotency| CommandKey::of(&idempotency));
                    let came = self.came_of_refund(&refund, over || taking.declined);
                    self.doing = None;
                    came
                }
                Wanted::Cart(..) | Wanted::Claim(_) => self.came_of(&taking, over),
            };
            let result = match came {
                Some(result) => result,
                None => {
                    if now >= taking.ask_again_ms {
                        taking.ask_again_ms = now + AGAIN_MS;
                        let id = taking.id;
                        let ask = match taking.wanted {
                            Wanted::Cart(cart, _) => Message::AskCart(AskCart { id, cart }),
                            Wanted::Claim(claim) | Wanted::Refund(Refund { claim, .. }) => {
                                Message::AskClaim(AskClaim { id, claim })
                            }
                        };
                        self.tell(taking.holder, &ask);
                    }
                    self.takes.waiting.push(taking);
                    continue;
                }
            };
            if let Ok(reply) = &result {
                self.keep_reply(taking.idempotency, reply);
            }
            self.outbox.emit(Output::Reply { call: taking.call, result });
        }
    }

    /// What came of a request, if that is known, or `over`.
    fn came_of(&self, taking: &Taking, over: bool) -> Option<Result<Reply, Refusal>> {
        match &taking.wanted {
            Wanted::Cart(cart, offers) => {
                let cart = *cart;
                let here = self.cart(cart).filter(|held| held.holder == self.me && self.is_whole(cart));
                match here {
                    Some(held) => Some(Ok(Reply::Cart(held))),
                    None if taking.declined => Some(Err(Refusal::UnknownCart { cart })),
                    None if over => Some(Err(self.out_of_reach(cart, taking.holder, offers.clone()))),
                    None => None,
                }
            }
            Wanted::Claim(claim) => match self.waits_with(*claim) {
                Ok(custodian) if custodian == self.me => {
                    let known = self.known_claim(claim).map(Reply::Custody);
                    Some(known.ok_or(Refusal::UnknownClaim { claim: *claim }))
                }
                // It was handed out, refunded or given to somebody else meanwhile.
                Err(refusal) => Some(Err(refusal)),
                Ok(custodian) if over || taking.declined => Some(Err(self.not_custodian(*claim, custodian))),
                Ok(_) => None,
            },
            Wanted::Refund(_) => None,
        }
    }

    /// The same of a claim that is to be refunded: once it is here, it is. If it does not come, it is marked.
    fn came_of_refund(&mut self, refund: &Refund, over: bool) -> Option<Result<Reply, Refusal>> {
        let claim = refund.claim;
        match self.claim_in_custody(claim) {
            Ok(_) => Some(self.pay_back(refund)),
            Err(refusal @ Refusal::NotCustodian { .. }) if over => {
                let handed_out = self.holdings.claim(&claim).is_some_and(|known| known.is_handed_out());
                Some(if handed_out { Err(refusal) } else { self.request_refund(refund) })
            }
            Err(Refusal::NotCustodian { .. }) => None,
            Err(refusal) => Some(Err(refusal)),
        }
    }

    /// Gives a claim in this device's custody to a device that asks for it: one that hands out, whose certificate holds,
    /// that was not retired and has not two pasts. It asks for few at a time, and each goes with an entry that says so.
    pub(super) fn asked_for_claim(&mut self, from: DeviceId, ask: &AskClaim) {
        if self.custodian_of(&ask.claim) == Some(from) {
            // It was given already; the entry is on its way.
            return;
        }
        let may = self.check_may_keep(&from).is_ok() && self.may_write().is_ok();
        if !may || !self.takes.may_give(from, self.now.mono_ms) || self.give_asked(ask.claim, from).is_err() {
            self.tell(from, &Message::Decline(Decline { id: ask.id }));
        }
    }

    fn give_asked(&mut self, claim: Ref, to: DeviceId) -> Result<(), Refusal> {
        let (drop, mut standing) = self.standing(claim)?;
        let custodian = standing.custodian;
        if custodian != self.me && self.heir_of(&custodian) != self.me {
            return Err(self.not_custodian(claim, custodian));
        }
        if standing.left.is_empty() {
            return Err(Refusal::AlreadyRefunded { claim });
        }
        match standing.redeemed {
            // What was handed out is brought back where a person pays; where one is, that is here.
            Some(redeemed) if custodian == self.me && self.is_attended() => {
                return Err(self.already(claim, redeemed));
            }
            Some(_) => self.check_pays(&to)?,
            None => self.check_not_handed_out(claim)?,
        }
        if custodian != self.me {
            self.take_over_claim(claim, drop.clone(), &standing)?;
            standing = self.standing(claim)?.1;
        }
        self.write_custody(claim, drop, &standing, to, None)
    }

    /// Gives a cart of this device's own to a device that asks for it.
    pub(super) fn asked_for_cart(&mut self, from: DeviceId, ask: &AskCart) {
        let has_it = self.cart(ask.cart).is_some_and(|cart| cart.holder == from);
        if has_it {
            // It was given already; the entries are on their way.
            return;
        }
        let known = self.check_may_get(&from).is_ok();
        if !known || self.may_write().is_err() || self.give_cart(ask.cart, from).is_err() {
            self.tell(from, &Message::Decline(Decline { id: ask.id }));
        }
    }

    pub(super) fn give_cart(&mut self, cart: Ref, to: DeviceId) -> Result<(), Refusal> {
        let (drop, held) = self.own_cart(cart)?;
        let left_ms = self.time_left_ms(cart).max(1);
        let shopper = held.shopper.clone();
        let parcels = self.priced_parcels(&held.lines);
        self.end_holds(cart, &drop)?;
        let pieces = parcels.len();
        let aside = Aside { cart, pieces: 0, left_ms, unit_price: 0, shopper };
        self.write_aside(&drop, parcels, &aside, pieces, to).map(|_| ())
    }

    /// What lines of a cart are by price, lot and place: each is given with a record of its own.
    pub(super) fn priced_parcels(&self, lines: &[SaleLine]) -> Vec<(i64, Vec<Line>)> {
        let mut parcels: Vec<(i64, Vec<Line>)> = Vec::new();
        let mut prices: Vec<i64> = lines.iter().map(|line| line.unit_price).collect();
        prices.sort_unstable();
        prices.dedup();
        for price in prices {
            let at_price = |line: &&SaleLine| line.unit_price == price;
            let found = lines.iter().filter(at_price).map(|line| (line.parcel, line.units.clone()));
            parcels.extend(self.parcels_of(found.collect()).into_iter().map(|lines| (price, lines)));
        }
        parcels
    }

    /// Gives units that are in a cart, or are put into it by that; the cart is then made of so many pieces. Returns the
    /// entries.
    pub(super) fn write_aside(
        &mut self,
        drop: &DropId,
        parcels: Vec<(i64, Vec<Line>)>,
        of: &Aside,
        pieces: usize,
        to: DeviceId,
    ) -> Result<Vec<Ref>, Refusal> {
        // A cart has at most as many lines as a record may.
        let pieces = pieces as u32;
        let mut written = Vec::new();
        for (unit_price, lines) in parcels {
            let aside = Aside { pieces, unit_price, ..of.clone() };
            let transfer = Transfer { to, lines, aside: Some(aside), cause: None };
            written.push(self.write(&Document::Stock(drop.clone()), Body::Transfer(transfer))?);
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_ever_more_claims_gets_so_many_and_others_are_not_held_up() {
        let mut takes = Takes::default();
        let (greedy, other) = (DeviceId([1; 32]), DeviceId([2; 32]));
        let given = (0..100).filter(|_| takes.may_give(greedy, 1_000)).count();
        assert_eq!(given, GIVEN_AT_MOST as usize);
        assert!(takes.may_give(other, 1_000), "what one gets is not taken from another");
        assert!(!takes.may_give(greedy, 1_000 + WITHIN_MS - 1), "the time goes from the first");
        assert!(takes.may_give(greedy, 1_000 + WITHIN_MS), "after that it begins anew");
    }
}
