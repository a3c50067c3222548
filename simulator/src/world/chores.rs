//! What the crew does besides selling: carries stock to another venue, takes what is torn out of sale, fills and empties carts,
//! takes things back, says what became of a payment, renews certificates, settles incidents, sets rules and limits, and goes
//! home with a device.

use std::collections::BTreeMap;

use popmesh_proto::command::{
    Act, CartAdd, CartItem, CartNew, CartRemove, Command, Damage, Leave, LimitSet, Move, Refusal, Renew,
    Reply, ResolveIncident, RulesSet, SellItem, SettlePayment, Transfer, Undo, Units, Unlock,
};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Answer, Query};
use popmesh_proto::text::{DropId, Sku};

use super::World;
use super::ledger::Breach;
use super::node::Who;
use super::queue::NodeIndex;
use crate::random::Random;
use crate::scenario::Chore;

/// So long a cart of the crew's keeps what is in it, milliseconds.
const CART_MS: u64 = 60_000;
/// The most that any device may take unauthorised, minor units: more than any night has.
const LIMIT: i64 = 100_000_000;

/// Which commands were given, and how many of them were done.
#[derive(Debug, Default)]
pub(super) struct Issued {
    under_way: BTreeMap<u64, &'static str>,
    pub(super) counts: BTreeMap<&'static str, Count>,
}

/// How often a command was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// In all.
    pub given: u64,
    /// Those that were done.
    pub done: u64,
}

impl Issued {
    pub(super) fn give(&mut self, call: u64, command: &Command) {
        self.under_way.insert(call, command.kind());
        self.counts.entry(command.kind()).or_default().given += 1;
    }

    pub(super) fn replied(&mut self, call: u64, result: &Result<Reply, Refusal>) {
        if let Some(kind) = self.under_way.remove(&call)
            && result.is_ok()
        {
            self.counts.entry(kind).or_default().done += 1;
        }
    }
}

/// What somebody does with a cart after it was filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CartChore {
    Add,
    Remove,
    Pay,
    Release,
}

impl World<'_> {
    /// Somebody does something on a device, if it runs and there is anything of the kind to do.
    pub(super) fn does_chore(&mut self, fault: usize, node: NodeIndex, chore: Chore) {
        if !self.nodes[node].is_running() {
            return;
        }
        let mut random = Random::new(self.seed).fork(&format!("chore {fault}"));
        if let Some(command) = self.chore(node, chore, &mut random) {
            let who = if chore == Chore::Cart { Who::Cart(CartChore::Add) } else { Who::Crew };
            self.order(node, who, command, None);
        }
    }

    fn chore(&mut self, node: NodeIndex, chore: Chore, random: &mut Random) -> Option<Command> {
        let me = self.nodes[node].id;
        Some(match chore {
            Chore::Gives => {
                let (drop, sku, units) = self.some_of(node, random)?;
                let to = random.pick(&self.nodes)?.id;
                (to != me).then_some(())?;
                Command::Transfer(Transfer { drop, sku, units, to })
            }
            Chore::Moves => {
                let (drop, sku, units) = self.some_of(node, random)?;
                let place = random.pick(&self.scenario.venues)?.name.clone();
                Command::Move(Move { drop, sku, units, place })
            }
            Chore::Damages => {
                let (drop, sku, _) = self.some_of(node, random)?;
                Command::Damage(Damage { drop, sku, units: Units::Count(1) })
            }
            Chore::Cart => {
                let (drop, sku, _) = self.some_of(node, random)?;
                let items = vec![SellItem { sku, quantity: 1, unit_price: None }];
                let drop = Some(drop);
                Command::CartNew(CartNew { items, drop, ttl_ms: CART_MS, shopper: None, wait_ms: 0 })
            }
            Chore::Undoes => {
                let Some(Answer::LastAct(Ok(act))) = self.ask(node, Query::LastAct) else { return None };
                let Act { entry, .. } = *act;
                Command::Undo(Undo { entry })
            }
            Chore::Settles => {
                let Some(Answer::WaitingPayments(waiting)) = self.ask(node, Query::WaitingPayments) else {
                    return None;
                };
                let own: Vec<_> = waiting.into_iter().filter(|payment| payment.seller == me).collect();
                let one = random.pick(&own)?;
                let failed = random.chance(200);
                let payment = Some(one.payment);
                Command::SettlePayment(SettlePayment { claim: one.claim, payment, failed, reference: None })
            }
            Chore::Renews => {
                let of = random.index(self.nodes.len());
                Command::Renew(Renew { device: Some(self.nodes[of].id), days: Some(3), until_ms: None })
            }
            Chore::Resolves => {
                let Some(Answer::Incidents(incidents)) = self.ask(node, Query::Incidents) else {
                    return None;
                };
                let open: Vec<Ref> =
                    incidents.iter().filter(|one| one.resolved.is_none()).map(|one| one.incident).collect();
                let incident = *random.pick(&open)?;
                Command::ResolveIncident(ResolveIncident { incident, note: "looked at".to_owned() })
            }
            Chore::Unlocks => {
                let locked: Vec<Ref> = self.pickups.locked.iter().map(|(_, claim)| *claim).collect();
                Command::Unlock(Unlock { claim: *random.pick(&locked)?, at_once: true })
            }
            Chore::SetsRules => {
                let ordinary_wish = Some(4);
                Command::RulesSet(RulesSet { ordinary_wish, ..RulesSet::default() })
            }
            Chore::SetsLimit => Command::LimitSet(LimitSet { device: Some(me), amount: Some(LIMIT) }),
            Chore::Leaves => Command::Leave(Leave::default()),
        })
    }

    /// Something that a device has for sale: of which drop, which, and up to five of it.
    fn some_of(&self, node: NodeIndex, random: &mut Random) -> Option<(DropId, Sku, Units)> {
        let view = self.nodes[node].device()?.holdings();
        let held = view.live_of(&self.nodes[node].id).filter_map(|(_, parcel)| {
            let lot = view.lot(&parcel.lot)?;
            Some((lot.drop.clone(), lot.sku.clone(), parcel.available_count()))
        });
        let held: Vec<_> = held.filter(|(_, _, count)| *count > 0).collect();
        let (drop, sku, count) = random.pick(&held)?.clone();
        Some((drop, sku, Units::Count(random.within(1..=count.min(5)))))
    }

    /// What was done about a cart, and what is done next.
    pub(super) fn chore_with_cart(
        &mut self,
        node: NodeIndex,
        next: CartChore,
        result: Result<Reply, Refusal>,
    ) {
        let cart = match result {
            Ok(Reply::Cart(cart)) => cart,
            Ok(_) => {
                self.check(Err(Breach::new("I3", "something about a cart was answered with something else")));
                return;
            }
            // Nobody wants anything but to see that it is refused.
            Err(_) => return,
        };
        let Some(item) = cart.items.first() else { return };
        let sku = item.sku.clone();
        let (command, who) = match next {
            CartChore::Add => {
                let items = vec![SellItem { sku, quantity: 1, unit_price: None }];
                let add = CartAdd { items, wait_ms: 0 };
                (Command::CartAdd(cart.cart, add), Who::Cart(CartChore::Remove))
            }
            CartChore::Remove => {
                let items = vec![CartItem { sku, quantity: 1 }];
                (Command::CartRemove(cart.cart, CartRemove { items }), Who::Cart(CartChore::Pay))
            }
            CartChore::Pay => (Command::CartPaying(cart.cart), Who::Cart(CartChore::Release)),
            CartChore::Release => (Command::CartRelease(cart.cart), Who::Crew),
        };
        self.order(node, who, command, None);
    }
}
