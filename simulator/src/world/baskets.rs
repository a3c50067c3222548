//! Shoppers with carts: they have something put aside, walk about with it, and pay where they put it aside or at another
//! till; some let it go. Tills lose power and links meanwhile, and some carts are over when their shopper comes.

use std::collections::BTreeMap;

use popmesh_proto::command::{Cart, CartNew, CartTake, Command, Refusal, Sell, SellItem};
use popmesh_proto::id::Ref;
use popmesh_proto::io::Idempotency;
use popmesh_proto::query::{Answer, Query};
use popmesh_store::key_prefix;

use super::queue::{Event, NodeIndex};
use super::shop::{key_of, key_of_kind};
use super::{MS, World};
use crate::load::CartPlan;
use crate::scenario::DeviceIndex;

/// The kinds of keys: to put aside, to take over (one for each try), to put back.
const KEY_OF_CART: u8 = 3;
const KEY_OF_RELEASE: u8 = 4;
const KEY_OF_TAKE: u8 = 16;
/// How long a till asks another one for a cart, milliseconds.
const TAKE_WAIT_MS: u64 = 3_000;

/// What a shopper carries about.
#[derive(Debug, Clone)]
struct Basket {
    plan: CartPlan,
    cart: Option<Ref>,
    /// Where it is put aside.
    at: DeviceIndex,
    token: Option<String>,
    takes: u8,
    /// The shopper has none any more, and buys like others.
    over: bool,
}

/// Everybody's.
#[derive(Debug, Default)]
pub(super) struct Baskets {
    of: BTreeMap<usize, Basket>,
    pub(super) numbers: crate::night::CartNumbers,
}

impl World<'_> {
    /// What a shopper with a cart does next, and where; nothing if there is no cart in it.
    pub(super) fn cart_step(&mut self, shopper: usize) -> Option<(DeviceIndex, Command, Idempotency)> {
        let wish = &self.shoppers[shopper];
        let plan = wish.cart?;
        let basket = self.baskets.of.entry(shopper).or_insert_with(|| Basket {
            plan,
            cart: None,
            at: wish.device,
            token: None,
            takes: 0,
            over: false,
        });
        if basket.over {
            return None;
        }
        let Some(cart) = basket.cart else {
            let sku = self.scenario.products[wish.product].sku.clone();
            let items = vec![SellItem { sku, quantity: wish.quantity, unit_price: None }];
            let drop = Some(self.scenario.drops[wish.drop].drop.clone());
            let new = CartNew { items, drop, ttl_ms: plan.ttl_ms, shopper: None, wait_ms: wish.patience_ms };
            return Some((wish.device, Command::CartNew(new), key_of_kind(shopper, KEY_OF_CART)));
        };
        if !basket.plan.keeps {
            if basket.plan.releases {
                let key = key_of_kind(shopper, KEY_OF_RELEASE);
                return Some((basket.at, Command::CartRelease(cart), key));
            }
            basket.over = true;
            self.baskets.numbers.left += 1;
            return None;
        }
        if basket.at != basket.plan.pays_at {
            let token = basket.token.clone();
            let by_cart = token.is_none().then_some(cart);
            let take = CartTake { cart: by_cart, token, wait_ms: TAKE_WAIT_MS };
            let key = key_of_kind(shopper, KEY_OF_TAKE + basket.takes);
            return Some((basket.plan.pays_at, Command::CartTake(take), key));
        }
        let at = basket.at;
        let sell = Sell { cart: Some(cart), ..self.sale_of(shopper) };
        let sell = Sell { items: Vec::new(), drop: None, ..sell };
        Some((at, Command::Sell(sell), key_of(shopper)))
    }

    /// How much longer than others a shopper stays.
    pub(super) fn carries_ms(&self, shopper: usize) -> u64 {
        self.shoppers[shopper].cart.map_or(0, |plan| plan.pays_after_ms)
    }

    /// A till has put something aside, taken a cart over, or put it back on sale.
    pub(super) fn cart_answered(&mut self, node: NodeIndex, shopper: usize, cart: &Cart) {
        let device = self.nodes[node].device_index;
        let wants_token = self.shoppers[shopper].cart.is_some_and(|plan| plan.by_token);
        let Some(basket) = self.baskets.of.get_mut(&shopper) else { return };
        let kind = match (basket.cart, basket.plan.keeps) {
            (None, _) => KEY_OF_CART,
            (Some(_), true) => KEY_OF_TAKE + basket.takes,
            (Some(_), false) => KEY_OF_RELEASE,
        };
        let key = key_of_kind(shopper, kind);
        self.shop.told(node, key_prefix(&key.key));
        let numbers = &mut self.baskets.numbers;
        let mut again_us = self.now_us;
        match (basket.cart, basket.plan.keeps) {
            (None, _) => {
                basket.cart = Some(cart.cart);
                basket.at = device;
                numbers.put_aside += 1;
                again_us += basket.plan.pays_after_ms * MS;
            }
            (Some(_), true) => {
                basket.at = device;
                numbers.taken_over += 1;
            }
            (Some(_), false) => {
                basket.over = true;
                numbers.released += 1;
            }
        }
        self.note(|| format!("{node} has cart {} of shopper {shopper}", cart.cart));
        self.queue.plan(again_us, Event::Again { shopper });
        if kind == KEY_OF_CART && wants_token {
            let token = match self.ask(node, Query::CartToken(cart.cart)) {
                Some(Answer::CartToken(Ok(token))) => Some(token.token),
                _ => None,
            };
            if let Some(basket) = self.baskets.of.get_mut(&shopper) {
                basket.token = token;
            }
        }
    }

    /// A cart was paid.
    pub(super) fn cart_paid(&mut self, shopper: usize) {
        if let Some(basket) = self.baskets.of.get_mut(&shopper).filter(|basket| !basket.over) {
            basket.over = true;
            self.baskets.numbers.paid += 1;
        }
    }

    /// A till refused something about a cart. Whether the shopper goes on because of it.
    pub(super) fn cart_refused(&mut self, shopper: usize, refusal: &Refusal) -> bool {
        let carries = |basket: &&mut Basket| !basket.over && basket.cart.is_some();
        let Some(basket) = self.baskets.of.get_mut(&shopper).filter(carries) else { return false };
        let takes = basket.plan.keeps && basket.at != basket.plan.pays_at;
        match refusal {
            Refusal::NotStored { .. } | Refusal::PastUnknown { .. } | Refusal::Busy => {}
            // Nobody gives it: back to where it is.
            _ if takes => {
                basket.takes = basket.takes.saturating_add(1);
                basket.plan.pays_at = basket.at;
                self.baskets.numbers.not_given += 1;
            }
            // The answer was lost when it was taken over.
            Refusal::CartElsewhere { holder, .. } => {
                let holder = self.boxes_of(holder).first().map(|node| self.nodes[*node].device_index);
                if let (Some(at), Some(basket)) = (holder, self.baskets.of.get_mut(&shopper)) {
                    basket.at = at;
                    basket.plan.pays_at = at;
                }
            }
            _ => {
                basket.over = true;
                self.baskets.numbers.expired += 1;
            }
        }
        self.waits_for_answer(shopper);
        true
    }
}
