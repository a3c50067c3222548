//! Sales: at once from what this device holds, or when others have given what it lacks, or refused.

use std::collections::BTreeMap;

use super::Device;
use super::asks::{Lacking, Shelf, Wanted};
use super::commands::{check_price, check_quantity, invalid};
use super::expiry::check_pickup_of;
use super::outbox::Outbox;
use super::payments::{Good, Priced, taxes_of};
use super::stock::Found;
use crate::claim_code::ClaimCode;
use crate::command::{
    CartAdd, CartNew, Claim, ClaimItem, ClaimState, Command, Holder, MAX_ITEMS, MAX_WAIT_MS, Refusal, Reply,
    Sell,
};
use crate::document::Document;
use crate::fact::Signal;
use crate::id::{DeviceId, Ref};
use crate::io::{CallId, Idempotency, Output};
use crate::key::CommandKey;
use crate::programme::DropPlan;
use crate::query::PlaceCount;
use crate::record::{Body, Sale, SaleLine};
use crate::text::{DropId, Place, Sku};

/// The most sales that wait at once.
const MAX_WAITING: usize = 1024;
/// Stands for a large wish for which nothing is put aside yet.
const NO_WISH: u64 = 0;
/// For how long a sale waits for somebody to come into reach who holds what it lacks.
const NOBODY_MS: u64 = 1_500;

#[derive(Debug)]
struct Waiting {
    call: CallId,
    sell: Sell,
    drop: DropId,
    idempotency: Option<Idempotency>,
    until_ms: u64,
    hopeless_from_ms: u64,
    aim: Aim,
    /// Its number, if it is a large wish.
    wish: Option<u64>,
}

/// What becomes of the units that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// They are sold.
    Sale,
    /// They are put aside.
    Aside {
        /// For so long.
        ttl_ms: u64,
    },
    /// They are put into a cart that is there.
    Into {
        /// Which.
        cart: Ref,
    },
}

/// How much a sale wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// No more than the event's rules call ordinary: it gets everybody's last unit.
    Ordinary,
    /// More.
    Large,
}

impl Waiting {
    /// What was asked for.
    fn command(&self) -> Command {
        let sell = self.sell.clone();
        match self.aim {
            Aim::Sale => Command::Sell(sell),
            Aim::Into { cart } => {
                Command::CartAdd(cart, CartAdd { items: sell.items, wait_ms: sell.wait_ms })
            }
            Aim::Aside { ttl_ms } => Command::CartNew(CartNew {
                drop: sell.drop,
                items: sell.items,
                shopper: sell.shopper,
                ttl_ms,
                wait_ms: sell.wait_ms,
            }),
        }
    }
}

/// Sales that wait for units from elsewhere, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Sales {
    waiting: Vec<Waiting>,
}

impl Sales {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The size of the sales that wait for units of this SKU: ordinary, if one of them is.
    pub(super) fn wait_for(&self, drop: &DropId, sku: &Sku) -> Option<Size> {
        let of = |sale: &&Waiting| sale.drop == *drop && sale.sell.items.iter().any(|item| item.sku == *sku);
        let mut waiting = self.waiting.iter().filter(of).peekable();
        waiting.peek()?;
        Some(if waiting.any(|sale| sale.wish.is_none()) { Size::Ordinary } else { Size::Large })
    }

    /// The keys of the sales that wait and fit.
    pub(super) fn keys_of(
        &self,
        fits: impl Fn(&DropId, &Sell, Option<u64>) -> bool,
    ) -> impl Iterator<Item = CommandKey> {
        let waiting = self.waiting.iter().filter(move |sale| fits(&sale.drop, &sale.sell, sale.wish));
        waiting.filter_map(|sale| sale.idempotency.as_ref().map(CommandKey::of))
    }

    /// Whether a large wish with this number waits.
    pub(super) fn has_wish(&self, wish: u64) -> bool {
        self.waiting.iter().any(|sale| sale.wish == Some(wish))
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.waiting.iter().map(|sale| sale.until_ms.min(sale.hopeless_from_ms)).min()
    }

    pub(super) fn refuse_all(&mut self, problem: &str, outbox: &mut Outbox) {
        for sale in self.waiting.drain(..) {
            let result = Err(Refusal::NotStored { problem: problem.to_owned() });
            outbox.emit_now(Output::Reply { call: sale.call, result });
        }
    }
}

struct Lack {
    sku: Sku,
    wanted: u64,
    held: u64,
}

/// How many units of a shelf there are, as far as known here, besides those that this device can use itself.
#[derive(Debug, Clone, Copy, Default)]
struct Elsewhere {
    /// All that others could give.
    all: u64,
    /// What of it can be reached.
    in_reach: u64,
}

impl Device {
    /// Sells, or puts aside, or lines that up to wait.
    pub(super) fn sell(
        &mut self,
        call: CallId,
        sell: Sell,
        aim: Aim,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
        self.check_not_suspended()?;
        self.check_not_left()?;
        self.check_past()?;
        self.check_holds("selling")?;
        if let Some(cart) = sell.cart {
            return self.pay_cart(call, cart, &sell, idempotency);
        }
        let drop = self.check_sale(&sell)?;
        let large = sell.items.iter().map(|item| item.quantity).sum::<u64>() > self.ordinary();
        if !large {
            self.note_demand(&drop, &sell);
        }
        match self.find_all(&drop, &sell, None) {
            Ok(found) => self.complete(call, &drop, &sell, found, aim, idempotency),
            Err(_) if sell.wait_ms > 0 && self.sales.len() >= MAX_WAITING => Err(Refusal::Busy),
            Err(lack) => {
                let until_ms = self.now.mono_ms + sell.wait_ms;
                let sold_out = self.sold_out(&drop, &lack);
                if sell.wait_ms == 0 || sold_out.is_some() || large && self.is_beyond_all(&drop, &sell) {
                    let wish = large.then_some(NO_WISH);
                    return Err(sold_out.unwrap_or_else(|| self.held_elsewhere(&drop, &sell, &lack, wish)));
                }
                if aim == Aim::Sale {
                    self.check_payments(&sell)?;
                }
                let wish = large.then(|| self.wish_number());
                self.sales.waiting.push(Waiting {
                    call,
                    sell,
                    drop,
                    idempotency,
                    until_ms,
                    hopeless_from_ms: until_ms.min(self.now.mono_ms + NOBODY_MS),
                    aim,
                    wish,
                });
                Ok(())
            }
        }
    }

    /// What sells here draws stock here. A large wish counts once it is sold, and no more than an ordinary one: else one that is
    /// refused would draw all stock here by and by.
    fn note_demand(&mut self, drop: &DropId, sell: &Sell) {
        let most = self.ordinary();
        for item in &sell.items {
            self.meter.note(drop, &item.sku, item.quantity.min(most), self.now.mono_ms);
        }
    }

    /// Whether a sale wants more than there is: all units that are unsold, as far as known here, those in carts too.
    fn is_beyond_all(&self, drop: &DropId, sell: &Sell) -> bool {
        sell.items.iter().any(|item| {
            let free: u64 = self.holdings.free_by_holder(drop, &item.sku, None).values().sum();
            item.quantity > free && item.quantity > free + self.on_hold(drop, &item.sku)
        })
    }

    /// Refuses everything that waits, since this device takes nothing more in hand.
    pub(super) fn refuse_sales(&mut self, refusal: &Refusal) {
        for sale in std::mem::take(&mut self.sales.waiting) {
            self.outbox.emit(Output::Reply { call: sale.call, result: Err(refusal.clone()) });
        }
        self.ask_for(&BTreeMap::new());
    }

    /// Refuses at once what could not be paid so even with all units here.
    fn check_payments(&self, sell: &Sell) -> Result<(), Refusal> {
        let goods = sell.items.iter().map(|item| {
            let unit_price = match item.unit_price {
                Some(price) => price,
                None => self.product(&item.sku)?.price,
            };
            Ok(Good { sku: &item.sku, unit_price, quantity: item.quantity })
        });
        self.priced(&goods.collect::<Result<Vec<_>, Refusal>>()?, sell).map(|_| ())
    }

    fn check_sale(&self, sell: &Sell) -> Result<DropId, Refusal> {
        if sell.items.is_empty() || sell.items.len() > MAX_ITEMS {
            return Err(invalid(
                "items",
                format!("{} items; a sale has 1 to {MAX_ITEMS}, or pays a cart", sell.items.len()),
            ));
        }
        if sell.wait_ms > MAX_WAIT_MS {
            return Err(invalid("wait_ms", format!("{} ms; {MAX_WAIT_MS} is the most", sell.wait_ms)));
        }
        for (index, item) in sell.items.iter().enumerate() {
            check_quantity(&format!("items[{index}].quantity"), item.quantity)?;
            if let Some(price) = item.unit_price {
                check_price(&format!("items[{index}].unit_price"), price)?;
            }
            if sell.items[..index].iter().any(|other| other.sku == item.sku) {
                return Err(invalid(&format!("items[{index}].sku"), format!("{} is there twice", item.sku)));
            }
            self.product(&item.sku)?;
        }
        self.check_custodian(sell)?;
        check_pickup_of(sell)?;
        let has_all = |drop: &DropId| {
            sell.items.iter().all(|item| self.holdings.lots_of(drop, &item.sku).next().is_some())
        };
        if let Some(drop) = &sell.drop {
            self.is_open(drop)?;
            let missing =
                sell.items.iter().find(|item| self.holdings.lots_of(drop, &item.sku).next().is_none());
            if let Some(missing) = missing {
                let mut known: Vec<String> = self
                    .holdings
                    .lots()
                    .filter(|(_, lot)| lot.drop == *drop)
                    .map(|(_, lot)| lot.sku.to_string())
                    .collect();
                known.dedup();
                known.truncate(20);
                return Err(Refusal::UnknownSku { sku: missing.sku.clone(), known });
            }
            return Ok(drop.clone());
        }
        let with_stock: Vec<_> = self.programme.drops().values().filter(|plan| has_all(&plan.drop)).collect();
        let state = |plan: &DropPlan| self.how_far_here(plan).state;
        let open: Vec<_> = with_stock.iter().filter(|plan| state(plan).sells()).collect();
        match (open.as_slice(), with_stock.as_slice()) {
            ([one], _) => Ok(one.drop.clone()),
            ([], [one]) => Err(Refusal::DropNotOpen { drop: one.drop.clone(), state: state(one) }),
            ([], _) => Err(Refusal::UnknownDrop {
                drop: String::new(),
                known: self.programme.drops().keys().map(DropId::to_string).take(20).collect(),
            }),
            (several, _) => Err(Refusal::AmbiguousDrop {
                drops: several.iter().map(|plan| plan.drop.to_string()).take(20).collect(),
            }),
        }
    }

    /// Where units must lie to be sold so: here, for a walk-in.
    fn must_lie(&self, sell: &Sell) -> Option<&Place> {
        sell.pickup_at.is_none().then_some(&self.venue)
    }

    pub(super) fn shelf_of(&self, drop: &DropId, sell: &Sell, sku: &Sku) -> Shelf {
        (drop.clone(), sku.clone(), self.must_lie(sell).cloned())
    }

    fn find_all(&self, drop: &DropId, sell: &Sell, wish: Option<u64>) -> Result<Vec<Found>, Lack> {
        sell.items
            .iter()
            .map(|item| {
                let shelf = self.shelf_of(drop, sell, &item.sku);
                let found = match &sell.pickup_at {
                    Some(device) => self.find_near(&shelf, item.quantity, device, wish),
                    None => self.find_for(&shelf, item.quantity, wish),
                };
                found.ok_or_else(|| Lack {
                    sku: item.sku.clone(),
                    wanted: item.quantity,
                    held: self.usable(&shelf, wish),
                })
            })
            .collect()
    }

    /// Units of this device's own that a sale can have: those that are free, and those put aside for it.
    fn usable(&self, (drop, sku, place): &Shelf, wish: Option<u64>) -> u64 {
        let aside = wish.map_or(0, |wish| self.aside_for(wish, drop, sku, place.as_ref()));
        self.free(drop, sku, place.as_ref()) + aside
    }

    /// What others could give of a shelf.
    fn elsewhere(&self, shelf: &Shelf, wish: Option<u64>) -> Elsewhere {
        let mut sum = Elsewhere::default();
        for (device, units) in self.givers(shelf, wish) {
            sum.all += units;
            if self.peers.is_reachable(&device) {
                sum.in_reach += units;
            }
        }
        sum
    }

    fn complete(
        &mut self,
        call: CallId,
        drop: &DropId,
        sell: &Sell,
        found: Vec<Found>,
        aim: Aim,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
        let mut lines = Vec::new();
        for (item, found) in sell.items.iter().zip(found) {
            let unit_price = match item.unit_price {
                Some(price) => price,
                None => self.product(&item.sku)?.price,
            };
            lines.extend(found.into_iter().map(|(parcel, units)| SaleLine { parcel, units, unit_price }));
        }
        let reply = match aim {
            Aim::Into { cart } => Reply::Cart(self.put_into(cart, lines)?),
            Aim::Aside { ttl_ms } => {
                Reply::Cart(self.put_aside(drop, lines, ttl_ms, sell.shopper.clone())?)
            }
            Aim::Sale => {
                let priced = self.priced_lines(&lines, sell)?;
                Reply::Sale(self.write_sale(drop, lines, sell, priced)?)
            }
        };
        self.keep_reply(idempotency, &reply);
        self.outbox.emit(Output::Reply { call, result: Ok(reply) });
        Ok(())
    }

    /// What lines of a sale or a cart are, for people.
    pub(super) fn items_of(&self, lines: &[SaleLine]) -> Vec<ClaimItem> {
        let item = |line: &SaleLine| {
            let lot = self.holdings.parcel(&line.parcel)?.lot;
            let state = self.holdings.lot(&lot)?;
            Some(ClaimItem {
                sku: state.sku.clone(),
                lot,
                units: line.units.clone(),
                unit_price: line.unit_price,
                edition: state.edition.clone(),
            })
        };
        lines.iter().filter_map(item).collect()
    }

    pub(super) fn write_sale(
        &mut self,
        drop: &DropId,
        lines: Vec<SaleLine>,
        sell: &Sell,
        priced: Priced,
    ) -> Result<Claim, Refusal> {
        let items = self.items_of(&lines);
        let document = Document::Claims(drop.clone());
        let heads = self.programme.heads();
        let last = self.own.get(&document).and_then(|chain| self.priced_under.get(chain));
        let changed = (last.map(Vec::as_slice) != Some(heads)).then(|| heads.to_vec());
        let expires_ms = self.pickup_ends(drop, sell)?;
        let last_step = self.own.get(&document).and_then(|chain| self.sold_under.get(chain)).copied();
        let step = self.step_now(drop).filter(|step| last_step != Some(*step));
        let Priced { taxes, payments, total } = priced;
        let sale = Sale {
            lines,
            payments,
            pickup_at: sell.pickup_at,
            programme: changed.clone(),
            taxes,
            receipt: self.next_receipt(),
            step,
            pin: self.tag_of(&document, sell.pin.as_ref())?,
            shopper: sell.shopper.clone(),
            expires_ms,
        };
        let claim = self.write(&document, Body::Sale(sale.clone()))?;
        if let Some(heads) = changed {
            self.priced_under.insert(claim.chain, heads);
        }
        if let Some(step) = step {
            self.sold_under.insert(claim.chain, step);
        }
        let at_ms = self.log.chain(&claim.chain).map_or(self.now.wall_ms, |chain| chain.last_at.ms());
        let walk_in = sell.pickup_at.is_none();
        Ok(Claim {
            claim,
            drop: drop.clone(),
            at_ms,
            seller: self.me,
            total,
            items,
            currency: self.config.charter.charter().currency,
            tender: sale.payments.tender(),
            payments: self.payment_infos(&claim, &self.me, &sale),
            taxes: taxes_of(&sale),
            receipt: sale.receipt.number,
            custodian: sell.pickup_at.unwrap_or(self.me),
            state: if walk_in { ClaimState::Redeemed } else { ClaimState::Issued },
            code: ClaimCode::of(&claim),
            pin: sell.pin.is_some(),
            shopper: sell.shopper.clone(),
            expires_ms,
            after_close: self.close_before(drop, &claim).is_some(),
            redeemed_at_ms: walk_in.then_some(at_ms),
            redeemed_by: walk_in.then_some(self.me),
            door: None,
            refunded: Vec::new(),
            refund_asked_at_ms: None,
            refund_asked_by: None,
            refund_declined: None,
            contested: Vec::new(),
        })
    }

    /// Completes sales that can be, gives up those that have waited long enough, and asks for what the rest lack.
    pub(super) fn pump_sales(&mut self) {
        if self.sales.waiting.is_empty() {
            self.ask_for(&BTreeMap::new());
            return;
        }
        let now = self.now.mono_ms;
        let past = self.check_past();
        let mut lacking: BTreeMap<Wanted, Lacking> = BTreeMap::new();
        // What those that wait longer take of this device's own.
        let mut taken: BTreeMap<Shelf, u64> = BTreeMap::new();
        for mut sale in std::mem::take(&mut self.sales.waiting) {
            if let Err(refusal) = &past {
                if now < sale.until_ms {
                    self.sales.waiting.push(sale);
                } else {
                    let result = Err(refusal.clone());
                    self.outbox.emit(Output::Reply { call: sale.call, result });
                }
                continue;
            }
            // It may have come back meanwhile from another device that it was done.
            if self.has_key(sale.idempotency)
                && let Some(done) = self.done_before(&sale.command(), sale.idempotency)
            {
                self.answer_again(sale.call, sale.idempotency, done);
                continue;
            }
            if let Err(refusal) = self.is_open(&sale.drop) {
                self.outbox.emit(Output::Reply { call: sale.call, result: Err(refusal) });
                continue;
            }
            if let Aim::Into { cart } = sale.aim
                && let Err(refusal) = self.own_cart(cart)
            {
                // It was paid, released or given away meanwhile, or its time is over.
                self.outbox.emit(Output::Reply { call: sale.call, result: Err(refusal) });
                continue;
            }
            let lack = match self.find_all(&sale.drop, &sale.sell, sale.wish) {
                Ok(found) => {
                    if sale.wish.is_some() {
                        self.note_demand(&sale.drop, &sale.sell);
                    }
                    self.doing = sale.idempotency.map(|idempotency| CommandKey::of(&idempotency));
                    let done =
                        self.complete(sale.call, &sale.drop, &sale.sell, found, sale.aim, sale.idempotency);
                    self.doing = None;
                    if let Err(refusal) = done {
                        self.outbox.emit(Output::Reply { call: sale.call, result: Err(refusal) });
                    }
                    continue;
                }
                Err(lack) => lack,
            };
            let (exists, in_reach) = self.could_be_had(&sale);
            let hopeless = now >= sale.hopeless_from_ms && !in_reach;
            let sold_out = self.sold_out(&sale.drop, &lack);
            if sold_out.is_some() || hopeless || now >= sale.until_ms {
                let refusal =
                    sold_out.unwrap_or_else(|| self.held_elsewhere(&sale.drop, &sale.sell, &lack, sale.wish));
                self.outbox.emit(Output::Reply { call: sale.call, result: Err(refusal) });
                continue;
            }
            // Nobody is asked in vain: for an ordinary sale whoever is said to hold enough, even if not heard of for a while.
            if exists && (sale.wish.is_none() || in_reach) {
                self.add_lacking(&sale, &mut taken, &mut lacking);
            }
            if now >= sale.hopeless_from_ms {
                sale.hopeless_from_ms = sale.until_ms.min(now + NOBODY_MS);
            }
            self.sales.waiting.push(sale);
        }
        for (((drop, sku, place), wish), lacks) in &mut lacking {
            if wish.is_none() {
                lacks.units = lacks.units.saturating_sub(self.free(drop, sku, place.as_ref()));
            }
        }
        lacking.retain(|_, lacks| lacks.units > 0);
        self.ask_for(&lacking);
    }

    fn add_lacking(
        &self,
        sale: &Waiting,
        taken: &mut BTreeMap<Shelf, u64>,
        lacking: &mut BTreeMap<Wanted, Lacking>,
    ) {
        for item in &sale.sell.items {
            let shelf = self.shelf_of(&sale.drop, &sale.sell, &item.sku);
            let (drop, sku, place) = &shelf;
            let before = taken.entry(shelf.clone()).or_default();
            let units = match sale.wish {
                // Ordinary sales together lack what is not free here.
                None => item.quantity,
                Some(wish) => {
                    let own = self.free(drop, sku, place.as_ref()).saturating_sub(*before);
                    item.quantity.saturating_sub(own + self.aside_for(wish, drop, sku, place.as_ref()))
                }
            };
            *before += item.quantity;
            let lacks = lacking.entry((shelf, sale.wish)).or_default();
            lacks.units += units;
            lacks.total = sale.sell.items.iter().map(|item| item.quantity).sum();
            lacks.left_ms = sale.until_ms.saturating_sub(self.now.mono_ms);
        }
    }

    /// Whether what a sale wants is with devices that could give it, as far as known here, and whether these can be reached.
    fn could_be_had(&self, sale: &Waiting) -> (bool, bool) {
        let mut both = (true, true);
        for item in &sale.sell.items {
            let shelf = self.shelf_of(&sale.drop, &sale.sell, &item.sku);
            let (here, there) = (self.usable(&shelf, sale.wish), self.elsewhere(&shelf, sale.wish));
            both.0 &= here + there.all >= item.quantity;
            both.1 &= here + there.in_reach >= item.quantity;
        }
        both
    }

    /// The refusal of a sale of which every unit is known to be gone.
    fn sold_out(&self, drop: &DropId, lack: &Lack) -> Option<Refusal> {
        let free: u64 = self.holdings.free_by_holder(drop, &lack.sku, None).values().sum();
        let minted = self.holdings.lots_of(drop, &lack.sku).map(|(_, lot)| lot.units.len()).sum();
        (free == 0 && self.on_hold(drop, &lack.sku) == 0)
            .then(|| Refusal::SoldOut { sku: lack.sku.clone(), minted })
    }

    /// Units that are put aside for carts and large wishes, here and elsewhere.
    fn on_hold(&self, drop: &DropId, sku: &Sku) -> u64 {
        let live = self.holdings.live().filter(|(_, parcel)| self.lies_there(parcel, drop, sku, None));
        live.map(|(_, parcel)| parcel.held_count()).sum()
    }

    /// The refusal of a sale whose units are on other devices, or lie elsewhere; observers hear of it too.
    fn held_elsewhere(&mut self, drop: &DropId, sell: &Sell, lack: &Lack, wish: Option<u64>) -> Refusal {
        let signal = Signal::HeldElsewhere { drop: drop.clone(), sku: lack.sku.clone(), wanted: lack.wanted };
        self.outbox.emit(Output::Signal(signal));
        let holders = self
            .holders(drop, &lack.sku)
            .into_iter()
            .filter(|holder| {
                holder.units > 0
                    && (holder.device != self.me || holder.places.iter().any(|place| *place != self.venue))
            })
            .filter(|holder| sell.pickup_at.is_none() || holder.device != self.me)
            .collect();
        let on_hold = self.on_hold(drop, &lack.sku);
        let shelf = self.shelf_of(drop, sell, &lack.sku);
        let mut could_get = lack.held + self.elsewhere(&shelf, wish).in_reach;
        if wish.is_some() {
            // An ordinary wish gets what a large one does not.
            could_get = could_get.max(self.ordinary().min(lack.held + self.elsewhere(&shelf, None).in_reach));
        }
        Refusal::HeldElsewhere {
            sku: lack.sku.clone(),
            wanted: lack.wanted,
            held: lack.held,
            on_hold,
            could_get,
            holders,
        }
    }

    /// Who holds free units of a SKU.
    pub(super) fn holders(&self, drop: &DropId, sku: &Sku) -> Vec<Holder> {
        let mut holders: BTreeMap<DeviceId, Holder> = BTreeMap::new();
        for (_, parcel) in self.holdings.live() {
            if !self.lies_there(parcel, drop, sku, None) {
                continue;
            }
            let own = parcel.owner == self.me;
            let holder = holders.entry(parcel.owner).or_insert_with(|| Holder {
                device: parcel.owner,
                name: self.name_of(&parcel.owner),
                units: 0,
                places: Vec::new(),
                lying: Vec::new(),
                last_heard_ms: if own {
                    Some(self.now.wall_ms)
                } else {
                    self.peers.last_heard(&parcel.owner, self.now)
                },
                reachable: own || self.peers.is_reachable(&parcel.owner),
            });
            let units = parcel.available_count();
            holder.units += units;
            match holder.lying.iter_mut().find(|lying| lying.place == parcel.place) {
                Some(lying) => lying.units += units,
                None => holder.lying.push(PlaceCount { place: parcel.place.clone(), units }),
            }
            if !holder.places.contains(&parcel.place) {
                holder.places.push(parcel.place.clone());
                holder.places.sort();
            }
        }
        for holder in holders.values_mut() {
            holder.lying.retain(|lying| lying.units > 0);
            holder.lying.sort_by(|one, other| one.place.cmp(&other.place));
        }
        holders.into_values().collect()
    }
}

/// What items cost together, minor units.
pub(super) fn total_of(items: &[ClaimItem]) -> i64 {
    let of = |item: &ClaimItem| item.unit_price.saturating_mul(item.units.len() as i64);
    items.iter().map(of).fold(0, i64::saturating_add)
}
