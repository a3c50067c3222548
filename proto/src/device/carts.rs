//! Carts: units put aside for a shopper, until they are paid, released, or their time is over by this device's clock.
//!
//! A cart is a hold, or several after it was taken over from another device: one for each transfer that brought it.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::commands::invalid;
use super::expiry::check_pickup_of;
use super::sales::{Aim, total_of};
use crate::command::{Cart, CartNew, MAX_HOLD_MS, Refusal, Reply, Sell};
use crate::document::Document;
use crate::holdings::Held;
use crate::id::Ref;
use crate::io::{CallId, Idempotency, Output};
use crate::query::{CartFilter, CartToken};
use crate::record::{Body, Hold, Release, SaleLine};
use crate::text::{DropId, ShopperRef};
use crate::token::{Kind, Token, TokenItem};

/// When the time of each of this device's holds is over, by its monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Carts {
    until_ms: BTreeMap<Ref, u64>,
    /// The same, the first to be over first.
    due: BTreeSet<(u64, Ref)>,
}

impl Carts {
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.due.first().map(|(until_ms, _)| *until_ms)
    }

    /// A hold is there: this device's own, or from another one.
    pub(super) fn came(&mut self, hold: Ref, until_ms: u64) {
        self.ends(&hold);
        self.until_ms.insert(hold, until_ms);
        self.due.insert((until_ms, hold));
    }

    /// A hold is over.
    fn ends(&mut self, hold: &Ref) {
        if let Some(until_ms) = self.until_ms.remove(hold) {
            self.due.remove(&(until_ms, *hold));
        }
    }
}

impl Device {
    pub(super) fn new_cart(
        &mut self,
        call: CallId,
        cart: CartNew,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
        if !(1..=MAX_HOLD_MS).contains(&cart.ttl_ms) {
            return Err(invalid("ttl_ms", format!("{} ms; give 1 to {MAX_HOLD_MS}", cart.ttl_ms)));
        }
        let sell =
            Sell { drop: cart.drop, shopper: cart.shopper, wait_ms: cart.wait_ms, ..Sell::of(cart.items) };
        self.sell(call, sell, Aim::Aside { ttl_ms: cart.ttl_ms }, idempotency)
    }

    pub(super) fn put_aside(
        &mut self,
        drop: &DropId,
        lines: Vec<SaleLine>,
        ttl_ms: u64,
        shopper: Option<ShopperRef>,
    ) -> Result<Cart, Refusal> {
        let hold = Body::Hold(Hold { lines, ttl_ms, shopper });
        let hold = self.write(&Document::Stock(drop.clone()), hold)?;
        self.carts.came(hold, self.now.mono_ms + ttl_ms);
        self.cart(hold).ok_or(Refusal::UnknownCart { cart: hold })
    }

    /// What is in a cart that this device holds and whose time is not over.
    pub(super) fn own_cart(&self, cart: Ref) -> Result<(DropId, Held), Refusal> {
        let unknown = Refusal::UnknownCart { cart };
        let held = self.held(cart).ok_or_else(|| unknown.clone())?;
        if held.by != self.me {
            return Err(Refusal::CartElsewhere { cart, holder: held.by, name: self.name_of(&held.by) });
        }
        if self.time_left_ms(cart) == 0 {
            return Err(unknown);
        }
        Ok((self.drop_of_cart(cart).ok_or(unknown)?, held))
    }

    /// What is in a cart, its holds taken together.
    fn held(&self, cart: Ref) -> Option<Held> {
        let mut whole: Option<Held> = None;
        for (_, held) in self.holdings.holds_of(&cart) {
            match &mut whole {
                None => whole = Some(held.clone()),
                Some(whole) => whole.lines.extend(held.lines.iter().cloned()),
            }
        }
        whole
    }

    /// Whether all of a cart that was taken over has come.
    pub(super) fn is_whole(&self, cart: Ref) -> bool {
        let holds: Vec<&Held> = self.holdings.holds_of(&cart).map(|(_, held)| held).collect();
        // What was put into it since it came says more pieces than what came.
        let most = holds.iter().map(|held| held.pieces as usize).max();
        holds.iter().all(|held| held.by == self.me) && most.is_some_and(|most| most <= holds.len())
    }

    fn drop_of_cart(&self, cart: Ref) -> Option<DropId> {
        let (hold, _) = self.holdings.holds_of(&cart).next()?;
        self.log.chain(&hold.chain)?.document.drop().cloned()
    }

    /// How long a cart of this device's own is still put aside.
    pub(super) fn time_left_ms(&self, cart: Ref) -> u64 {
        let until = self.holdings.holds_of(&cart).filter_map(|(hold, _)| self.carts.until_ms.get(hold));
        until.min().map_or(0, |until| until.saturating_sub(self.now.mono_ms))
    }

    /// Sells what is in a cart. Its hold ends in the same write.
    pub(super) fn pay_cart(
        &mut self,
        call: CallId,
        cart: Ref,
        sell: &Sell,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
        if !sell.items.is_empty() || sell.drop.is_some() {
            return Err(invalid("items", "a cart has its own; give none, and no drop, when one is paid"));
        }
        self.check_custodian(sell)?;
        check_pickup_of(sell)?;
        let (drop, held) = self.own_cart(cart)?;
        // What was begun to be paid before the drop was over is paid.
        if !self.is_being_paid(&cart) {
            self.is_open(&drop)?;
        }
        let sell = Sell { shopper: sell.shopper.clone().or(held.shopper), ..sell.clone() };
        self.check_not_frozen(&held.lines)?;
        let priced = self.priced_lines(&held.lines, &sell)?;
        // The sale alone carries the command's key, so that the key leads to it.
        let key = self.doing.take();
        self.end_holds(cart, &drop)?;
        self.doing = key;
        let reply = Reply::Sale(self.write_sale(&drop, held.lines, &sell, priced)?);
        self.keep_reply(idempotency, &reply);
        self.outbox.emit(Output::Reply { call, result: Ok(reply) });
        Ok(())
    }

    pub(super) fn release_cart(&mut self, cart: Ref) -> Result<Reply, Refusal> {
        let (drop, _) = self.own_cart(cart)?;
        let released = self.cart(cart).ok_or(Refusal::UnknownCart { cart })?;
        self.end_holds(cart, &drop)?;
        Ok(Reply::Cart(released))
    }

    /// Ends every hold of a cart.
    pub(super) fn end_holds(&mut self, cart: Ref, drop: &DropId) -> Result<(), Refusal> {
        let holds: Vec<Ref> = self.holdings.holds_of(&cart).map(|(hold, _)| *hold).collect();
        holds.into_iter().try_for_each(|hold| self.end_hold(hold, drop))
    }

    pub(super) fn end_hold(&mut self, hold: Ref, drop: &DropId) -> Result<(), Refusal> {
        self.write(&Document::Stock(drop.clone()), Body::Release(Release { hold }))?;
        self.carts.ends(&hold);
        Ok(())
    }

    /// Puts back on sale what was put aside for long enough.
    pub(super) fn pump_carts(&mut self) {
        let now = self.now.mono_ms;
        let over = self.carts.due.iter().take_while(|(until_ms, _)| *until_ms <= now);
        let over: Vec<Ref> = over.map(|(_, hold)| *hold).collect();
        for hold in over {
            self.carts.ends(&hold);
            let cart = self.holdings.hold(&hold).filter(|held| held.by == self.me).map(|held| held.cart);
            let drop = self.log.chain(&hold.chain).and_then(|chain| chain.document.drop()).cloned();
            if let Some((cart, drop)) = cart.zip(drop) {
                // All of it at once: nobody has a part of a cart whose time is over. What cannot be written now is over
                // all the same at the next start.
                let _ = self.end_holds(cart, &drop);
            }
        }
    }

    /// After a start: this device's holds, each with the time that is left of it. While it was off only the wall clock ran.
    pub(super) fn find_carts(&mut self) {
        let (mono_ms, wall_ms) = (self.now.mono_ms, self.now.wall_ms);
        let own = self.holdings.holds().filter(|(_, held)| held.by == self.me);
        let until: Vec<(Ref, u64)> = own
            .map(|(hold, held)| {
                let left_ms =
                    held.at.ms().saturating_add(held.ttl_ms).saturating_sub(wall_ms).min(held.ttl_ms);
                (*hold, mono_ms + left_ms)
            })
            .collect();
        self.carts = Carts::default();
        until.into_iter().for_each(|(hold, until_ms)| self.carts.came(hold, until_ms));
    }

    pub(super) fn carts(&self, filter: &CartFilter) -> Vec<Cart> {
        let all: BTreeSet<Ref> = self.holdings.holds().map(|(_, held)| held.cart).collect();
        let is_for = |cart: &Cart| filter.shopper.is_none() || cart.shopper == filter.shopper;
        all.into_iter().filter_map(|cart| self.cart(cart)).filter(is_for).collect()
    }

    pub(super) fn cart(&self, cart: Ref) -> Option<Cart> {
        let held = self.held(cart)?;
        let items = self.items_of(&held.lines);
        let until_ms = match held.by == self.me {
            true => self.now.wall_ms + self.time_left_ms(cart),
            false => held.at.ms().saturating_add(held.ttl_ms),
        };
        Some(Cart {
            cart,
            drop: self.drop_of_cart(cart)?,
            holder: held.by,
            total: total_of(&items),
            items,
            shopper: held.shopper.clone(),
            currency: self.config.charter.charter().currency,
            until_ms,
            over: false,
        })
    }

    /// The token of a cart that this device holds: with it another till can ask for it.
    pub(super) fn token_of_cart(&self, cart: Ref) -> Result<CartToken, Refusal> {
        let (drop, _) = self.own_cart(cart)?;
        let shown = self.cart(cart).ok_or(Refusal::UnknownCart { cart })?;
        let items = shown.items.into_iter().map(|item| TokenItem { sku: item.sku, units: item.units });
        let token = Token {
            kind: Kind::Cart,
            claim: cart,
            drop,
            items: items.collect(),
            custodian: self.me,
            under: None,
            issued_ms: self.time_ms(),
            not_before_ms: None,
            expires_ms: Some(self.time_ms() + self.time_left_ms(cart)),
            pin: None,
        };
        Ok(CartToken { cart, token: self.sign_token(token, &self.config.certificate)? })
    }
}
