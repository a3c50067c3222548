//! Sales: at once from what this device holds, or when others have given what it lacks, or refused.

use std::collections::BTreeMap;

use super::Device;
use super::asks::Shelf;
use super::commands::{check_price, check_quantity, invalid};
use super::expiry::check_pickup_of;
use super::outbox::Outbox;
use super::payments::{Good, Priced, taxes_of};
use super::stock::Found;
use crate::claim_code::ClaimCode;
use crate::command::{
    Claim, ClaimItem, ClaimState, DropState, Holder, MAX_ITEMS, MAX_WAIT_MS, Refusal, Reply, Sell,
};
use crate::document::Document;
use crate::id::DeviceId;
use crate::io::{CallId, Idempotency, Notice, Output};
use crate::record::{Body, Sale, SaleLine};
use crate::text::{DropId, Place, Sku};

/// The most sales that wait at once.
const MAX_WAITING: usize = 1024;
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
    /// For how long the units are put aside, if they are not sold yet.
    hold_ms: Option<u64>,
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

    /// Whether a sale waits for units of this SKU.
    pub(super) fn wait_for(&self, drop: &DropId, sku: &Sku) -> bool {
        self.waiting
            .iter()
            .any(|sale| sale.drop == *drop && sale.sell.items.iter().any(|item| item.sku == *sku))
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

impl Device {
    /// Sells, or puts aside for `hold_ms`, or lines that up to wait.
    pub(super) fn sell(
        &mut self,
        call: CallId,
        sell: Sell,
        hold_ms: Option<u64>,
        idempotency: Option<Idempotency>,
    ) -> Result<(), Refusal> {
        self.check_not_suspended()?;
        self.check_not_left()?;
        self.check_past()?;
        if let Some(cart) = sell.cart {
            return self.pay_cart(call, cart, &sell, idempotency);
        }
        let drop = self.check_sale(&sell)?;
        for item in &sell.items {
            self.meter.note(&drop, &item.sku, item.quantity, self.now.mono_ms);
        }
        match self.find_all(&drop, &sell) {
            Ok(found) => self.complete(call, &drop, &sell, found, hold_ms, idempotency),
            Err(_) if sell.wait_ms > 0 && self.sales.len() >= MAX_WAITING => Err(Refusal::Busy),
            Err(lack) => {
                let until_ms = self.now.mono_ms + sell.wait_ms;
                let sold_out = self.sold_out(&drop, &lack);
                if sell.wait_ms == 0 || sold_out.is_some() {
                    return Err(sold_out.unwrap_or_else(|| self.held_elsewhere(&drop, &sell, &lack)));
                }
                if hold_ms.is_none() {
                    self.check_payments(&sell)?;
                }
                self.sales.waiting.push(Waiting {
                    call,
                    sell,
                    drop,
                    idempotency,
                    until_ms,
                    hopeless_from_ms: until_ms.min(self.now.mono_ms + NOBODY_MS),
                    hold_ms,
                });
                Ok(())
            }
        }
    }

    /// Refuses at once what could not be paid so even with all units here.
    fn check_payments(&self, sell: &Sell) -> Result<(), Refusal> {
        let goods = sell.items.iter().map(|item| {
            let unit_price = item.unit_price.map_or_else(|| Ok(self.product(&item.sku)?.price), Ok)?;
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
        let with_stock: Vec<_> = self.programme.drops().values().filter(|info| has_all(&info.drop)).collect();
        let open: Vec<_> = with_stock.iter().filter(|info| info.state == DropState::Open).collect();
        match (open.as_slice(), with_stock.as_slice()) {
            ([one], _) => Ok(one.drop.clone()),
            ([], [one]) => Err(Refusal::DropNotOpen { drop: one.drop.clone(), state: one.state }),
            ([], _) => Err(Refusal::UnknownDrop {
                drop: String::new(),
                known: self.programme.drops().keys().map(DropId::to_string).take(20).collect(),
            }),
            (several, _) => Err(Refusal::AmbiguousDrop {
                drops: several.iter().map(|info| info.drop.to_string()).take(20).collect(),
            }),
        }
    }

    pub(super) fn is_open(&self, drop: &DropId) -> Result<(), Refusal> {
        match self.drop_info(drop)?.state {
            DropState::Open => Ok(()),
            state => Err(Refusal::DropNotOpen { drop: drop.clone(), state }),
        }
    }

    /// Where units must lie to be sold so: here, for a walk-in.
    fn must_lie(&self, sell: &Sell) -> Option<&Place> {
        sell.pickup_at.is_none().then_some(&self.venue)
    }

    fn find_all(&self, drop: &DropId, sell: &Sell) -> Result<Vec<Found>, Lack> {
        let place = self.must_lie(sell);
        sell.items
            .iter()
            .map(|item| {
                let found = match &sell.pickup_at {
                    Some(device) => self.find_near(drop, &item.sku, item.quantity, device),
                    None => self.find(drop, &item.sku, place, item.quantity),
                };
                found.ok_or_else(|| Lack {
                    sku: item.sku.clone(),
                    wanted: item.quantity,
                    held: self.free(drop, &item.sku, place),
                })
            })
            .collect()
    }

    fn complete(
        &mut self,
        call: CallId,
        drop: &DropId,
        sell: &Sell,
        found: Vec<Found>,
        hold_ms: Option<u64>,
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
        let reply = match hold_ms {
            Some(ttl_ms) => Reply::Cart(self.put_aside(drop, lines, ttl_ms, sell.shopper.clone())?),
            None => {
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
        let Priced { taxes, payments, total } = priced;
        let sale = Sale {
            lines,
            payments,
            pickup_at: sell.pickup_at,
            programme: changed.clone(),
            taxes,
            receipt: self.next_receipt(),
            pin: self.tag_of(&document, sell.pin.as_ref())?,
            shopper: sell.shopper.clone(),
            expires_ms,
        };
        let claim = self.write(&document, Body::Sale(sale.clone()))?;
        if let Some(heads) = changed {
            self.priced_under.insert(claim.chain, heads);
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
            redeemed_at_ms: walk_in.then_some(at_ms),
            redeemed_by: walk_in.then_some(self.me),
            door: None,
            refunded: Vec::new(),
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
        let mut lacking: BTreeMap<Shelf, u64> = BTreeMap::new();
        for sale in std::mem::take(&mut self.sales.waiting) {
            if let Err(refusal) = &past {
                if now < sale.until_ms {
                    self.sales.waiting.push(sale);
                } else {
                    let result = Err(refusal.clone());
                    self.outbox.emit(Output::Reply { call: sale.call, result });
                }
                continue;
            }
            if let Err(refusal) = self.is_open(&sale.drop) {
                self.outbox.emit(Output::Reply { call: sale.call, result: Err(refusal) });
                continue;
            }
            let lack = match self.find_all(&sale.drop, &sale.sell) {
                Ok(found) => {
                    let done = self.complete(
                        sale.call,
                        &sale.drop,
                        &sale.sell,
                        found,
                        sale.hold_ms,
                        sale.idempotency,
                    );
                    if let Err(refusal) = done {
                        self.outbox.emit(Output::Reply { call: sale.call, result: Err(refusal) });
                    }
                    continue;
                }
                Err(lack) => lack,
            };
            let hopeless = now >= sale.hopeless_from_ms && !self.in_reach(&sale.drop, &sale.sell);
            let sold_out = self.sold_out(&sale.drop, &lack);
            if sold_out.is_some() || hopeless || now >= sale.until_ms {
                let refusal = sold_out.unwrap_or_else(|| self.held_elsewhere(&sale.drop, &sale.sell, &lack));
                self.outbox.emit(Output::Reply { call: sale.call, result: Err(refusal) });
                continue;
            }
            let place = self.must_lie(&sale.sell).cloned();
            for item in &sale.sell.items {
                *lacking.entry((sale.drop.clone(), item.sku.clone(), place.clone())).or_default() +=
                    item.quantity;
            }
            let mut sale = sale;
            if now >= sale.hopeless_from_ms {
                sale.hopeless_from_ms = sale.until_ms.min(now + NOBODY_MS);
            }
            self.sales.waiting.push(sale);
        }
        for ((drop, sku, place), units) in &mut lacking {
            *units = units.saturating_sub(self.free(drop, sku, place.as_ref()));
        }
        lacking.retain(|_, units| *units > 0);
        self.ask_for(&lacking);
    }

    /// Whether somebody who holds what a sale lacks can be reached.
    fn in_reach(&self, drop: &DropId, sell: &Sell) -> bool {
        let place = self.must_lie(sell);
        sell.items.iter().all(|item| {
            let here = self.free(drop, &item.sku, place);
            let there: u64 = self
                .holdings
                .free_by_holder(drop, &item.sku, place)
                .iter()
                .filter(|(device, _)| self.peers.is_reachable(device))
                .map(|(_, units)| units)
                .sum();
            here + there >= item.quantity
        })
    }

    /// The refusal of a sale of which every unit is known to be gone.
    fn sold_out(&self, drop: &DropId, lack: &Lack) -> Option<Refusal> {
        let free: u64 = self.holdings.free_by_holder(drop, &lack.sku, None).values().sum();
        let minted = self.holdings.lots_of(drop, &lack.sku).map(|(_, lot)| lot.units.len()).sum();
        (free == 0 && self.on_hold(drop, &lack.sku) == 0)
            .then(|| Refusal::SoldOut { sku: lack.sku.clone(), minted })
    }

    /// Units that are put aside for carts, here and elsewhere.
    fn on_hold(&self, drop: &DropId, sku: &Sku) -> u64 {
        let live = self.holdings.live().filter(|(_, parcel)| self.lies_there(parcel, drop, sku, None));
        live.map(|(_, parcel)| parcel.held_count()).sum()
    }

    /// The refusal of a sale whose units are on other devices, or lie elsewhere; observers hear of it too.
    fn held_elsewhere(&mut self, drop: &DropId, sell: &Sell, lack: &Lack) -> Refusal {
        let notice = Notice::HeldElsewhere { drop: drop.clone(), sku: lack.sku.clone(), wanted: lack.wanted };
        self.outbox.emit(Output::Notice(notice));
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
        Refusal::HeldElsewhere {
            sku: lack.sku.clone(),
            wanted: lack.wanted,
            held: lack.held,
            on_hold,
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
                last_heard_ms: if own {
                    Some(self.now.wall_ms)
                } else {
                    self.peers.last_heard(&parcel.owner)
                },
                reachable: own || self.peers.is_reachable(&parcel.owner),
            });
            holder.units += parcel.available_count();
            if !holder.places.contains(&parcel.place) {
                holder.places.push(parcel.place.clone());
                holder.places.sort();
            }
        }
        holders.into_values().collect()
    }
}

/// What items cost together, minor units.
pub(super) fn total_of(items: &[ClaimItem]) -> i64 {
    let of = |item: &ClaimItem| item.unit_price.saturating_mul(item.units.len() as i64);
    items.iter().map(of).fold(0, i64::saturating_add)
}
