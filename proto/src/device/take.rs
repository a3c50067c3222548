//! Carts on the move: this device asks the holder of a cart for it, and gives its own away to who asks.
//!
//! The units travel as transfers that keep them put aside, so that no cut in between puts them on sale or loses them.

use super::Device;
use super::commands::invalid;
use crate::command::{CartTake, MAX_WAIT_MS, Offer, Refusal, Reply};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::io::{CallId, Idempotency, Output};
use crate::message::{AskCart, Decline, Message};
use crate::record::{Aside, Body, Line, SaleLine, Transfer};
use crate::text::DropId;
use crate::token::{self, Kind, SignedToken, TokenError};

/// The most carts that are asked for at once.
const MAX_TAKES: usize = 64;
/// How long until a cart is asked for again.
const AGAIN_MS: u64 = 1_000;

#[derive(Debug)]
struct Taking {
    id: u64,
    call: CallId,
    cart: Ref,
    holder: DeviceId,
    /// What is in it, as far as known: to offer the same from here.
    offers: Vec<Offer>,
    idempotency: Option<Idempotency>,
    until_ms: u64,
    ask_again_ms: u64,
    declined: bool,
}

/// Carts that this device has asked for.
#[derive(Debug, Default)]
pub(super) struct Takes {
    waiting: Vec<Taking>,
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

    pub(super) fn refuse_all(&mut self, problem: &str) -> Vec<Output> {
        let refused = |taking: Taking| Output::Reply {
            call: taking.call,
            result: Err(Refusal::NotStored { problem: problem.to_owned() }),
        };
        self.waiting.drain(..).map(refused).collect()
    }
}

impl Device {
    /// Takes a cart over from its holder, or lines that up to wait.
    pub(super) fn take_cart(
        &mut self,
        call: CallId,
        take: &CartTake,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
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
        if self.takes.waiting.len() >= MAX_TAKES {
            return Err(Refusal::Busy);
        }
        let id = self.asks.number();
        let now = self.now.mono_ms;
        self.takes.waiting.push(Taking {
            id,
            call,
            cart,
            holder,
            offers,
            idempotency,
            until_ms: now + take.wait_ms,
            ask_again_ms: now,
            declined: false,
        });
        Ok(())
    }

    /// A cart's token that holds now, read.
    fn cart_token(&mut self, text: &str) -> Result<SignedToken, Refusal> {
        let wrong = |error: TokenError| Refusal::Token { problem: error.to_string() };
        let bytes = token::from_text(text).map_err(wrong)?;
        let signed = SignedToken::read(&bytes, &mut self.gate).map_err(wrong)?;
        if signed.kind != Kind::Cart {
            return Err(wrong(TokenError::NotACart));
        }
        signed.check_at(self.now.wall_ms).map_err(wrong)?;
        Ok(signed)
    }

    /// How much of a cart this device could put aside from what it holds itself.
    fn offers(&self, drop: &DropId, items: impl Iterator<Item = (crate::text::Sku, u64)>) -> Vec<Offer> {
        let offer = |(sku, wanted): (crate::text::Sku, u64)| {
            let free = self.free(drop, &sku, Some(&self.venue));
            Offer { sku, wanted, free }
        };
        items.map(offer).collect()
    }

    fn out_of_reach(&self, cart: Ref, holder: DeviceId, offers: Vec<Offer>) -> Refusal {
        let (name, last_heard_ms) = (self.name_of(&holder), self.peers.last_heard(&holder));
        Refusal::CartOutOfReach { cart, holder, name, last_heard_ms, offers }
    }

    /// Completes what has come, asks again, and gives up what waited long enough.
    pub(super) fn pump_takes(&mut self) {
        let now = self.now.mono_ms;
        for mut taking in std::mem::take(&mut self.takes.waiting) {
            let here = self.cart(taking.cart).filter(|cart| cart.holder == self.me);
            let result = match here.filter(|_| self.is_whole(taking.cart)) {
                Some(cart) => Ok(Reply::Cart(cart)),
                None if taking.declined => Err(Refusal::UnknownCart { cart: taking.cart }),
                None if now >= taking.until_ms || !self.peers.is_reachable(&taking.holder) => {
                    Err(self.out_of_reach(taking.cart, taking.holder, taking.offers))
                }
                None => {
                    if now >= taking.ask_again_ms {
                        taking.ask_again_ms = now + AGAIN_MS;
                        let ask = AskCart { id: taking.id, cart: taking.cart };
                        self.tell(taking.holder, &Message::AskCart(ask));
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

    /// Gives a cart of this device's own to a device that asks for it.
    pub(super) fn asked_for_cart(&mut self, from: DeviceId, ask: &AskCart) {
        let has_it = self.cart(ask.cart).is_some_and(|cart| cart.holder == from);
        if has_it {
            // It was given already; the entries are on their way.
            return;
        }
        let known = self.peers.certificate(&from).is_some();
        if !known || self.may_write().is_err() || self.give_cart(ask.cart, from).is_err() {
            self.tell(from, &Message::Decline(Decline { id: ask.id }));
        }
    }

    fn give_cart(&mut self, cart: Ref, to: DeviceId) -> Result<(), Refusal> {
        let (drop, held) = self.own_cart(cart)?;
        let left_ms = self.time_left_ms(cart).max(1);
        let shopper = held.shopper.clone();
        let mut parcels: Vec<(i64, Vec<Line>)> = Vec::new();
        let mut prices: Vec<i64> = held.lines.iter().map(|line| line.unit_price).collect();
        prices.sort_unstable();
        prices.dedup();
        for price in prices {
            let at_price = |line: &&SaleLine| line.unit_price == price;
            let found = held.lines.iter().filter(at_price).map(|line| (line.parcel, line.units.clone()));
            parcels.extend(self.parcels_of(found.collect()).into_iter().map(|lines| (price, lines)));
        }
        self.end_holds(cart, &drop)?;
        // A cart has at most as many lines as a record may.
        let pieces = parcels.len() as u32;
        for (unit_price, lines) in parcels {
            let aside = Aside { cart, pieces, left_ms, unit_price, shopper: shopper.clone() };
            let transfer = Transfer { to, lines, aside: Some(aside) };
            self.write(&Document::Stock(drop.clone()), Body::Transfer(transfer))?;
        }
        Ok(())
    }
}
