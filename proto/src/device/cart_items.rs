//! Carts that change: more is put into one, or some of it goes back on sale. The cart keeps its name, its shopper and its
//! time.
//!
//! Units are put into a cart as those of a cart that moves are: by a transfer that says so, to this device itself. What was in
//! the cart before is not touched by that.

use super::Device;
use super::commands::{check_quantity, invalid};
use super::sales::Aim;
use crate::command::{Cart, CartAdd, CartItem, MAX_HOLD_MS, MAX_ITEMS, Refusal, Reply, Sell};
use crate::holdings::Held;
use crate::id::Ref;
use crate::io::{CallId, Idempotency};
use crate::record::{Aside, Line, MAX_LINES, SaleLine};
use crate::text::{DropId, Sku};

impl Device {
    /// Puts more into a cart that this device holds, or lines that up to wait for units from elsewhere.
    pub(super) fn add_to_cart(
        &mut self,
        call: CallId,
        cart: Ref,
        add: CartAdd,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
        let (drop, held) = self.changeable_cart(cart)?;
        let mut skus: Vec<Sku> = self.items_of(&held.lines).into_iter().map(|item| item.sku).collect();
        skus.extend(add.items.iter().map(|item| item.sku.clone()));
        skus.sort();
        skus.dedup();
        if skus.len() > MAX_ITEMS {
            return Err(invalid(
                "items",
                format!("{} SKUs with those in the cart; {MAX_ITEMS} is the most", skus.len()),
            ));
        }
        let sell = Sell { drop: Some(drop), wait_ms: add.wait_ms, ..Sell::of(add.items) };
        self.sell(call, sell, Aim::Into { cart }, idempotency)
    }

    /// A cart that this device holds, all of it.
    fn changeable_cart(&self, cart: Ref) -> Result<(DropId, Held), Refusal> {
        if self.takes.wait_for(cart) {
            // The rest of it is on its way here.
            return Err(Refusal::Busy);
        }
        self.own_cart(cart)
    }

    /// Puts lines of free units into a cart.
    pub(super) fn put_into(&mut self, cart: Ref, lines: Vec<SaleLine>) -> Result<Cart, Refusal> {
        let (drop, held) = self.changeable_cart(cart)?;
        if held.lines.len() + lines.len() > MAX_LINES {
            return Err(invalid("items", "the cart is made of too many pieces; pay it, and begin another"));
        }
        let parcels = self.priced_parcels(&lines);
        let pieces = self.holdings.holds_of(&cart).count() + parcels.len();
        let left_ms = self.left_of(cart);
        self.keep_for(
            &drop,
            parcels,
            pieces,
            Aside { cart, pieces: 0, left_ms, unit_price: 0, shopper: held.shopper },
        )?;
        self.cart(cart).ok_or(Refusal::UnknownCart { cart })
    }

    fn left_of(&self, cart: Ref) -> u64 {
        self.time_left_ms(cart).clamp(1, MAX_HOLD_MS)
    }

    /// Writes that units are in a cart of this device's, which is then made of so many pieces.
    fn keep_for(
        &mut self,
        drop: &DropId,
        parcels: Vec<(i64, Vec<Line>)>,
        pieces: usize,
        of: Aside,
    ) -> Result<(), Refusal> {
        let until_ms = self.now.mono_ms + of.left_ms;
        for hold in self.write_aside(drop, parcels, &of, pieces, self.me)? {
            self.carts.came(hold, until_ms);
        }
        Ok(())
    }

    /// Puts some of what is in a cart back on sale: of each SKU what was put aside last, the highest serials first.
    pub(super) fn remove_from_cart(&mut self, cart: Ref, items: &[CartItem]) -> Result<Reply, Refusal> {
        let (drop, _) = self.changeable_cart(cart)?;
        if items.is_empty() || items.len() > MAX_ITEMS {
            return Err(invalid("items", format!("{} items; give 1 to {MAX_ITEMS}", items.len())));
        }
        // Each hold of the cart with what of it stays, and whether that is less than before.
        let mut holds: Vec<(Ref, Vec<SaleLine>, bool)> =
            self.holdings.holds_of(&cart).map(|(hold, held)| (*hold, held.lines.clone(), false)).collect();
        holds.sort_by_key(|(hold, ..)| self.holdings.hold(hold).map(|held| (held.at, *hold)));
        for (index, item) in items.iter().enumerate() {
            check_quantity(&format!("items[{index}].quantity"), item.quantity)?;
            if items[..index].iter().any(|other| other.sku == item.sku) {
                return Err(invalid(&format!("items[{index}].sku"), format!("{} is there twice", item.sku)));
            }
            let mut left = item.quantity;
            for (_, lines, is_less) in holds.iter_mut().rev() {
                for line in
                    lines.iter_mut().rev().filter(|line| self.sku_of(line).as_ref() == Some(&item.sku))
                {
                    let gone = left.min(line.units.len());
                    left -= gone;
                    *is_less |= gone > 0;
                    line.units = line.units.lowest(line.units.len() - gone);
                }
            }
            if left > 0 {
                let has = item.quantity - left;
                let problem = format!("{} of {}; the cart has {has}", item.quantity, item.sku);
                return Err(invalid(&format!("items[{index}].quantity"), problem));
            }
        }
        if holds.iter().flat_map(|(_, lines, _)| lines).all(|line| line.units.is_empty()) {
            return Err(invalid("items", "that is all there is in the cart; release it instead"));
        }
        let left_ms = self.left_of(cart);
        let shopper = self.cart(cart).and_then(|cart| cart.shopper);
        let (less, same): (Vec<_>, Vec<_>) = holds.into_iter().partition(|(_, _, is_less)| *is_less);
        let mut parcels = Vec::new();
        for (hold, lines, _) in less {
            let kept: Vec<SaleLine> = lines.into_iter().filter(|line| !line.units.is_empty()).collect();
            parcels.extend(self.priced_parcels(&kept));
            self.end_hold(hold, &drop)?;
        }
        let pieces = same.len() + parcels.len();
        self.keep_for(&drop, parcels, pieces, Aside { cart, pieces: 0, left_ms, unit_price: 0, shopper })?;
        Ok(Reply::Cart(self.cart(cart).ok_or(Refusal::UnknownCart { cart })?))
    }

    fn sku_of(&self, line: &SaleLine) -> Option<Sku> {
        let lot = self.holdings.parcel(&line.parcel)?.lot;
        Some(self.holdings.lot(&lot)?.sku.clone())
    }
}
