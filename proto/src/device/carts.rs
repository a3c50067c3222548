//! Carts: units put aside for a shopper, until they are paid, released, or their time is over by this device's clock.

use std::collections::BTreeMap;

use super::Device;
use super::commands::invalid;
use super::expiry::check_pickup_of;
use super::sales::total_of;
use crate::command::{Cart, CartNew, MAX_HOLD_MS, Refusal, Reply, Sell};
use crate::document::Document;
use crate::holdings::Held;
use crate::id::Ref;
use crate::io::{CallId, Idempotency, Output};
use crate::record::{Body, Hold, Release, SaleLine};
use crate::text::{DropId, ShopperRef};

/// When the time of each of this device's carts is over, by its monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Carts {
    until_ms: BTreeMap<Ref, u64>,
}

impl Carts {
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.until_ms.values().min().copied()
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
        self.sell(call, sell, Some(cart.ttl_ms), idempotency)
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
        self.carts.until_ms.insert(hold, self.now.mono_ms + ttl_ms);
        let cart = self.holdings.hold(&hold).and_then(|held| self.cart(hold, held));
        cart.ok_or(Refusal::UnknownCart { cart: hold })
    }

    /// The lines of a cart that this device holds.
    fn own_cart(&self, cart: Ref) -> Result<(DropId, Held), Refusal> {
        let held = self.holdings.hold(&cart).ok_or(Refusal::UnknownCart { cart })?;
        if held.by != self.me {
            return Err(Refusal::CartElsewhere { cart, holder: held.by, name: self.name_of(&held.by) });
        }
        if self.carts.until_ms.get(&cart).is_some_and(|until| *until <= self.now.mono_ms) {
            return Err(Refusal::UnknownCart { cart });
        }
        let drop = self.log.chain(&cart.chain).and_then(|chain| chain.document.drop()).cloned();
        Ok((drop.ok_or(Refusal::UnknownCart { cart })?, held.clone()))
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
        if let Some(device) = sell.pickup_at.filter(|device| !self.peers.known().contains(device)) {
            return Err(Refusal::UnknownDevice { device });
        }
        check_pickup_of(sell)?;
        let (drop, held) = self.own_cart(cart)?;
        self.is_open(&drop)?;
        self.end_hold(cart, &drop)?;
        let sell = Sell { shopper: sell.shopper.clone().or(held.shopper), ..sell.clone() };
        let reply = Reply::Sale(self.write_sale(&drop, held.lines, &sell)?);
        self.keep_reply(idempotency, &reply);
        self.outbox.emit(Output::Reply { call, result: Ok(reply) });
        Ok(())
    }

    pub(super) fn release_cart(&mut self, cart: Ref) -> Result<Reply, Refusal> {
        let (drop, held) = self.own_cart(cart)?;
        let released = self.cart(cart, &held).ok_or(Refusal::UnknownCart { cart })?;
        self.end_hold(cart, &drop)?;
        Ok(Reply::Cart(released))
    }

    fn end_hold(&mut self, hold: Ref, drop: &DropId) -> Result<(), Refusal> {
        self.write(&Document::Stock(drop.clone()), Body::Release(Release { hold }))?;
        self.carts.until_ms.remove(&hold);
        Ok(())
    }

    /// Puts back on sale what was put aside for long enough.
    pub(super) fn pump_carts(&mut self) {
        let now = self.now.mono_ms;
        let over: Vec<Ref> =
            self.carts.until_ms.iter().filter(|(_, until)| **until <= now).map(|(cart, _)| *cart).collect();
        for cart in over {
            self.carts.until_ms.remove(&cart);
            if let Ok((drop, _)) = self.own_cart(cart) {
                // What cannot be written now is over all the same at the next start.
                let _ = self.end_hold(cart, &drop);
            }
        }
    }

    /// After a start: this device's carts, each with the time that is left of it. While it was off only the wall clock ran.
    pub(super) fn find_carts(&mut self) {
        let (mono_ms, wall_ms) = (self.now.mono_ms, self.now.wall_ms);
        let own = self.holdings.holds().filter(|(_, held)| held.by == self.me);
        self.carts.until_ms = own
            .map(|(cart, held)| {
                let left_ms =
                    held.at.ms().saturating_add(held.ttl_ms).saturating_sub(wall_ms).min(held.ttl_ms);
                (*cart, mono_ms + left_ms)
            })
            .collect();
    }

    pub(super) fn carts(&self) -> Vec<Cart> {
        self.holdings.holds().filter_map(|(cart, held)| self.cart(*cart, held)).collect()
    }

    fn cart(&self, cart: Ref, held: &Held) -> Option<Cart> {
        let items = self.items_of(&held.lines);
        let left_ms = self.carts.until_ms.get(&cart).map(|until| until.saturating_sub(self.now.mono_ms));
        Some(Cart {
            cart,
            drop: self.log.chain(&cart.chain)?.document.drop()?.clone(),
            holder: held.by,
            total: total_of(&items),
            items,
            shopper: held.shopper.clone(),
            currency: self.config.charter.charter().currency,
            until_ms: left_ms.map_or(held.at.ms() + held.ttl_ms, |left| self.now.wall_ms + left),
        })
    }
}
