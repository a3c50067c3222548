//! Commands other than sales: the programme, lots, and units given, moved or taken out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::Device;
use super::expiry::check_pickup;
use super::sales::Aim;
use super::stock::Found;
use crate::command::{
    Command, Damage, DropNew, DropState, Lot, LotMint, MAX_CATEGORY, MAX_LOT, MAX_QUANTITY, Move, Product,
    ProductAdd, Refusal, Reply, Transfer, Unclaimed, Units, UnitsDone,
};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::identity::{MAX_NAME, Role};
use crate::io::{CallId, Idempotency, Output};
use crate::key::CommandKey;
use crate::money::MAX_PRICE;
use crate::picture::{self, MAX_PICTURE, MAX_PICTURES, PictureError, PictureInfo};
use crate::programme::{DropPlan, is_category};
use crate::record::{self, Body, Mint};
use crate::tax::WHOLE;
use crate::text::{DropId, Sku};
use crate::units::UnitSet;

pub(super) fn invalid(field: &str, problem: impl Into<String>) -> Refusal {
    Refusal::Invalid { field: field.to_owned(), problem: problem.into() }
}

impl Device {
    pub(super) fn command(&mut self, call: CallId, command: Command, idempotency: Option<Idempotency>) {
        if let Command::DoorReport(report) = &command {
            self.doors.done(report);
        }
        let Some((call, command, idempotency)) = self.once_past_is_known(call, command, idempotency) else {
            return;
        };
        if let Some(done) = self.done_before(&command, idempotency) {
            // Stored with the whole of its key, so that the next retry is answered without asking the log.
            self.answer_again(call, idempotency, done);
            return;
        }
        self.doing = idempotency.map(|idempotency| CommandKey::of(&idempotency));
        self.command_anew(call, command, idempotency);
        self.doing = None;
    }

    /// Answers with what a command did before.
    pub(super) fn answer_again(
        &mut self,
        call: CallId,
        idempotency: Option<Idempotency>,
        done: Result<Reply, Refusal>,
    ) {
        if let Ok(reply) = &done {
            self.keep_reply(idempotency, reply);
        }
        self.outbox.emit(Output::Reply { call, result: done });
    }

    fn command_anew(&mut self, call: CallId, command: Command, idempotency: Option<Idempotency>) {
        let checked = self.may_write();
        let result = match (checked, command) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), Command::CartNew(cart)) => match self.new_cart(call, cart, idempotency) {
                Ok(()) => return,
                Err(refusal) => Err(refusal),
            },
            (Ok(()), Command::CartAdd(cart, add)) => match self.add_to_cart(call, cart, add, idempotency) {
                Ok(()) => return,
                Err(refusal) => Err(refusal),
            },
            (Ok(()), Command::CartTake(take)) => match self.take_cart(call, &take, idempotency) {
                Ok(()) => return,
                Err(refusal) => Err(refusal),
            },
            (Ok(()), Command::GiveCustody(give))
                if give.to == self.me && self.custodian_of(&give.claim).is_some_and(|who| who != self.me) =>
            {
                match self.fetch_claim(call, &give, idempotency) {
                    Ok(()) => return,
                    Err(refusal) => Err(refusal),
                }
            }
            (Ok(()), Command::Sell(sell)) => match self.sell(call, sell, Aim::Sale, idempotency) {
                // Answered when it is done, or given up.
                Ok(()) => return,
                Err(refusal) => Err(refusal),
            },
            (Ok(()), Command::ProductAdd(product)) => self.add_product(product),
            (Ok(()), Command::DropNew(new)) => self.new_drop(new),
            (Ok(()), Command::DropStep(step)) => self.take_step(step),
            (Ok(()), Command::LotMint(mint)) => self.mint(mint),
            (Ok(()), Command::Transfer(transfer)) => self.transfer(transfer),
            (Ok(()), Command::Move(moved)) => self.relocate(moved),
            (Ok(()), Command::Damage(damage)) => self.damage(damage),
            (Ok(()), Command::CartRelease(cart)) => self.release_cart(cart),
            (Ok(()), Command::CartPaying(cart)) => self.pay_soon(cart),
            (Ok(()), Command::CartRemove(cart, remove)) => self.remove_from_cart(cart, &remove.items),
            (Ok(()), Command::Undo(undo)) => self.undo(undo.entry),
            (Ok(()), Command::Redeem(redeem)) => self.redeem(&redeem),
            (Ok(()), Command::GiveCustody(give)) => self.give_custody(&give),
            (Ok(()), Command::Refund(refund)) => match self.refund(call, &refund, idempotency) {
                // Answered when the claim has come, or does not.
                Ok(None) => return,
                Ok(Some(reply)) => Ok(reply),
                Err(refusal) => Err(refusal),
            },
            (Ok(()), Command::Retire(retire)) => self.retire(&retire),
            (Ok(()), Command::Renew(renew)) => self.renew(&renew),
            (Ok(()), Command::Entrust(entrust)) => self.entrust(&entrust),
            (Ok(()), Command::ResolveIncident(resolve)) => self.resolve_incident(&resolve),
            (Ok(()), Command::Leave(leave)) => self.leave(&leave),
            (Ok(()), Command::AcceptPast(accept)) => self.accept_past(accept),
            (Ok(()), Command::Unlock(unlock)) => self.unlock(&unlock),
            (Ok(()), Command::Sweep(sweep)) => self.sweep(&sweep),
            (Ok(()), Command::DoorReport(report)) => self.door_behaved(report),
            (Ok(()), Command::DoorOpen(open)) => self.open_again(open.claim),
            (Ok(()), Command::DoorSettle(settle)) => self.settle_door(settle),
            (Ok(()), Command::SettlePayment(settle)) => self.settle_payment(settle),
            (Ok(()), Command::RulesSet(rules)) => self.set_rules(&rules),
            (Ok(()), Command::LimitSet(limit)) => self.set_limit(&limit),
            (Ok(()), Command::PersonalAdd(add)) => self.add_personal(add),
            (Ok(()), Command::PersonalErase(erase)) => self.erase_personal(&erase),
        };
        if let Ok(reply) = &result {
            self.keep_reply(idempotency, reply);
        }
        self.outbox.emit(Output::Reply { call, result });
    }

    /// Whether this device's certificate holds at the time that its entries bear: of that admission asks everywhere, and a
    /// wall clock that fell back says nothing of it.
    pub(super) fn may_write(&self) -> Result<(), Refusal> {
        let valid = self.config.certificate.valid_at(self.time_ms());
        valid.map_err(|error| Refusal::Certificate { problem: error.to_string() })?;
        self.check_not_retired()
    }

    pub(super) fn needs_hq(&self, action: &str) -> Result<(), Refusal> {
        if self.config.certificate.roles.has(Role::Hq) {
            return Ok(());
        }
        Err(self.forbidden(action, "hq", |roles| roles.has(Role::Hq)))
    }

    fn add_product(&mut self, add: ProductAdd) -> Result<Reply, Refusal> {
        self.needs_hq("changing the programme")?;
        check_title("name", &add.name)?;
        check_price("price", add.price)?;
        let tax = add.tax.or_else(|| Some(self.programme.products().get(&add.sku)?.tax)).unwrap_or(0);
        if tax > WHOLE {
            return Err(invalid(
                "tax",
                format!("{tax} basis points; a rate is from 0 to {WHOLE}, which is 100 %"),
            ));
        }
        let currency = self.config.charter.charter().currency;
        let before = self.programme.products().get(&add.sku);
        let category = match add.category {
            Some(category) if category.is_empty() => None,
            Some(category) if is_category(&category) => Some(category),
            Some(category) => {
                let length = category.chars().count();
                let give =
                    format!("{length} characters; give up to {MAX_CATEGORY}, none that control a terminal");
                return Err(invalid("category", give));
            }
            None => before.and_then(|before| before.category.clone()),
        };
        let (picture, bytes) = match add.picture.as_deref().map(read_picture).transpose()? {
            Some(given) => given.unzip(),
            None => (before.and_then(|before| before.picture.clone()), None),
        };
        let others = self.programme.products().values().filter(|other| other.sku != add.sku);
        let pictures = others.filter_map(|other| other.picture.as_ref());
        let all: u64 = pictures.map(|picture| u64::from(picture.bytes)).sum();
        if let Some(bytes) = &bytes
            && all + bytes.len() as u64 > MAX_PICTURES as u64
        {
            let full = format!(
                "all pictures of an event have at most {MAX_PICTURES} bytes, and there are {all}; make them smaller, or take one away"
            );
            return Err(invalid("picture", full));
        }
        let product =
            Product { sku: add.sku, name: add.name, price: add.price, tax, currency, category, picture };
        if self.programme.products().get(&product.sku) != Some(&product) {
            let bytes = bytes.as_deref();
            self.write_programme(|programme, author| programme.put_product(author, &product, bytes))?;
        }
        Ok(Reply::Product(product))
    }

    fn new_drop(&mut self, new: DropNew) -> Result<Reply, Refusal> {
        self.needs_hq("changing the programme")?;
        check_title("title", &new.title)?;
        if self.programme.drops().contains_key(&new.drop) {
            return Err(Refusal::DropExists { drop: new.drop });
        }
        if let Some(within_ms) = new.pickup_within_ms {
            check_pickup(within_ms)?;
        } else if new.unclaimed != Unclaimed::Keep {
            let problem = "nobody is ever late where pickup has no end; give pickup_within_ms, too";
            return Err(invalid("unclaimed", problem));
        }
        if let Some(ends_ms) = new.ends_ms {
            self.check_hard_end(ends_ms)?;
        }
        let plan = DropPlan {
            drop: new.drop,
            title: new.title,
            ends_ms: new.ends_ms,
            pickup_within_ms: new.pickup_within_ms,
            unclaimed: new.unclaimed,
            old_state: DropState::Planned,
        };
        self.write_programme(|programme, author| programme.put_drop(author, &plan))?;
        Ok(Reply::Drop(self.drop_shown(&plan)))
    }

    pub(super) fn product(&self, sku: &Sku) -> Result<&Product, Refusal> {
        self.programme.products().get(sku).ok_or_else(|| Refusal::UnknownSku {
            sku: sku.clone(),
            known: self.programme.products().keys().map(Sku::to_string).take(20).collect(),
        })
    }

    fn mint(&mut self, mint: LotMint) -> Result<Reply, Refusal> {
        self.needs_hq("minting a lot")?;
        self.check_not_left()?;
        let state = self.how_far_here(self.plan_of(&mint.drop)?).state;
        self.product(&mint.sku)?;
        if state == DropState::Closed {
            return Err(Refusal::DropNotOpen { drop: mint.drop, state });
        }
        if mint.last < mint.first {
            return Err(invalid(
                "last",
                format!("the last serial, {}, is below the first, {}", mint.last, mint.first),
            ));
        }
        let count = u64::from(mint.last) - u64::from(mint.first) + 1;
        if count > MAX_LOT {
            return Err(invalid("last", format!("{count} units in one lot; {MAX_LOT} is the most")));
        }
        if mint.edition.is_some() && !mint.numbered {
            return Err(invalid("edition", "is printed with the serials; an unnumbered lot has none"));
        }
        let units = UnitSet::range(mint.first, mint.last);
        self.check_serials(&mint, &units)?;
        let place = mint.place.unwrap_or_else(|| self.venue.clone());
        let record = Mint {
            sku: mint.sku.clone(),
            first: mint.first,
            last: mint.last,
            numbered: mint.numbered,
            place: place.clone(),
            edition: mint.edition.clone(),
        };
        let lot = self.write(&Document::Stock(mint.drop.clone()), Body::Mint(record))?;
        let (numbered, edition) = (mint.numbered, mint.edition);
        let frozen = self.holdings.lot(&lot).map(|lot| lot.frozen.clone()).unwrap_or_default();
        Ok(Reply::Lot(Lot { lot, drop: mint.drop, sku: mint.sku, units, numbered, place, edition, frozen }))
    }

    /// Refuses serials that are there already: printed ones in any drop, others in this one, where people name units by
    /// them.
    fn check_serials(&self, mint: &LotMint, units: &UnitSet) -> Result<(), Refusal> {
        let overlap = |lot, drop: &DropId, units, next_free| Refusal::SerialOverlap {
            sku: mint.sku.clone(),
            edition: mint.edition.clone().map(Box::new),
            lot,
            drop: drop.clone(),
            units,
            next_free,
        };
        if mint.numbered
            && let Some(known) = self.holdings.prints(&mint.sku, mint.edition.as_ref(), units)
        {
            return Err(overlap(known.lot, &known.drop, known.units, known.next_free));
        }
        let here =
            || self.holdings.lots_of(&mint.drop, &mint.sku).filter(|(_, lot)| lot.edition == mint.edition);
        let last = here().filter_map(|(_, lot)| lot.units.ranges().last()).map(|range| *range.end()).max();
        for (lot, state) in here() {
            let both = state.units.intersection(units);
            if !both.is_empty() {
                return Err(overlap(*lot, &mint.drop, both, last.and_then(|last| last.checked_add(1))));
            }
        }
        Ok(())
    }

    fn transfer(&mut self, transfer: Transfer) -> Result<Reply, Refusal> {
        if transfer.to == self.me {
            return Err(invalid("to", "a device cannot give units to itself"));
        }
        if !self.peers.known().contains(&transfer.to) {
            return Err(Refusal::UnknownDevice { device: transfer.to });
        }
        self.check_may_get(&transfer.to)?;
        let to = transfer.to;
        self.draw(transfer.drop, transfer.sku, &transfer.units, |lines| {
            Body::Transfer(record::Transfer { to, lines, aside: None, cause: None })
        })
    }

    fn relocate(&mut self, moved: Move) -> Result<Reply, Refusal> {
        let place = moved.place;
        self.draw(moved.drop, moved.sku, &moved.units, |lines| {
            Body::Move(record::Move { place: place.clone(), lines })
        })
    }

    fn damage(&mut self, damage: Damage) -> Result<Reply, Refusal> {
        let Damage { drop, sku, units } = damage;
        let body = |lines| Body::Damage(record::Damage { lines });
        if let Units::Serials(serials) = &units {
            check_quantity("units", serials.len())?;
            // What is frozen goes first: of two pieces with one number, the one that is left may be sold then.
            if let Some(found) = self.find_to_discard(&drop, &sku, serials) {
                self.plan_of(&drop)?;
                return self.write_drawn(drop, sku, found, body);
            }
        }
        self.draw(drop, sku, &units, body)
    }

    fn draw(
        &mut self,
        drop: DropId,
        sku: Sku,
        units: &Units,
        body: impl Fn(Vec<record::Line>) -> Body,
    ) -> Result<Reply, Refusal> {
        self.plan_of(&drop)?;
        self.product(&sku)?;
        let (found, asked) = match units {
            Units::Count(count) => {
                check_quantity("units", *count)?;
                (self.find(&drop, &sku, None, *count), count.to_string())
            }
            Units::Serials(serials) => {
                check_quantity("units", serials.len())?;
                (self.find_serials(&drop, &sku, serials), serials.to_string())
            }
        };
        let found = found.ok_or_else(|| {
            let wanted = match units {
                Units::Serials(serials) => Some(serials),
                Units::Count(_) => None,
            };
            let frozen = |serials| self.frozen_here(&drop, &sku).intersection(serials);
            let units = wanted.map(frozen).unwrap_or_default();
            match units.is_empty() {
                true => self.not_held(&drop, &sku, asked, wanted),
                false => Refusal::Frozen { sku: sku.clone(), units },
            }
        })?;
        self.write_drawn(drop, sku, found, body)
    }

    /// That units are not here to be given, and who has them.
    fn not_held(&self, drop: &DropId, sku: &Sku, asked: String, wanted: Option<&UnitSet>) -> Refusal {
        let free = |device: &DeviceId| {
            let parcels =
                self.holdings.live_of(device).filter(|(_, parcel)| self.lies_there(parcel, drop, sku, None));
            parcels.fold(UnitSet::default(), |all, (_, parcel)| all.union(&parcel.available()))
        };
        let mut holders = self.holders(drop, sku);
        for holder in &mut holders {
            if let Some(wanted) = wanted {
                holder.units = free(&holder.device).intersection(wanted).len();
            }
        }
        holders.retain(|holder| holder.units > 0 && holder.device != self.me);
        let sku = sku.clone();
        Refusal::NotHeld { held: self.free(drop, &sku, None), serials: free(&self.me), sku, asked, holders }
    }

    fn write_drawn(
        &mut self,
        drop: DropId,
        sku: Sku,
        found: Found,
        body: impl Fn(Vec<record::Line>) -> Body,
    ) -> Result<Reply, Refusal> {
        let mut all = UnitSet::default();
        found.iter().for_each(|(_, units)| all.insert_all(units));
        let mut entry: Option<Ref> = None;
        for lines in self.parcels_of(found) {
            entry = Some(self.write(&Document::Stock(drop.clone()), body(lines))?);
        }
        let entry = entry.ok_or_else(|| invalid("units", "nothing to do"))?;
        Ok(Reply::Units(UnitsDone { entry, drop, sku, units: all }))
    }
}

pub(super) fn check_quantity(field: &str, quantity: u64) -> Result<(), Refusal> {
    if (1..=MAX_QUANTITY).contains(&quantity) {
        return Ok(());
    }
    Err(invalid(field, format!("{quantity} units; give a number from 1 to {MAX_QUANTITY}")))
}

pub(super) fn check_price(field: &str, price: i64) -> Result<(), Refusal> {
    if (1..=MAX_PRICE).contains(&price) {
        return Ok(());
    }
    Err(invalid(field, format!("{price} minor units; a price is from 1 to {MAX_PRICE}")))
}

/// A picture in base64, or none where that is empty.
fn read_picture(text: &str) -> Result<Option<(PictureInfo, Vec<u8>)>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    // What is longer is not read.
    if text.len() > MAX_PICTURE.div_ceil(3) * 4 {
        return Err(invalid("picture", PictureError::TooLarge(text.len() / 4 * 3).to_string()));
    }
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| invalid("picture", "this is no base64"))?;
    let info = picture::examine(&bytes).map_err(|error| invalid("picture", error.to_string()))?;
    Ok(Some((info, bytes)))
}

fn check_title(field: &str, text: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if (1..=MAX_NAME).contains(&length) && !text.trim().is_empty() && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(invalid(field, format!("{length} characters; give 1 to {MAX_NAME}, none that control a terminal")))
}
