//! What this device's person did last, and taking it back: a refund, a release, a move back, a value of the programme set to
//! what it was. It is a new act each time; nothing that was written goes away.
//!
//! The act is found from this device's own records alone. What a device does by itself (stock that it gives, carts that are
//! over, what it acknowledges) is nobody's act: where a person can do the same, it is one if it was done under a key.

use super::Device;
use super::again::{key_at, written_by};
use super::words::words;
use crate::clock::Hlc;
use crate::command::{
    Act, ActKind, EventRules, LimitSet, Product, Refund, Refusal, Reply, RulesSet, Undone, UnitsDone,
};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::key::CommandKey;
use crate::log::{Admitted, Chain, Linked};
use crate::programme::{Edit, Programme};
use crate::record::{self, Behaved, Body, Line, Record, StepKind};
use crate::text::Place;
use crate::units::UnitSet;

/// What a person did last: the first record of it, and the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastAct {
    entry: Ref,
    last_seq: u64,
    at: Hlc,
    /// Changes of the programme have times in whole seconds.
    is_edit: bool,
    key: Option<CommandKey>,
}

/// How an act is taken back.
enum Plan {
    Refund(Ref),
    /// The whole cart goes back on sale.
    Release(Ref),
    /// These holds of a cart end, which stays.
    EndHolds(Ref, Vec<Ref>),
    /// The cart goes back to who had it.
    GiveBack(Ref, DeviceId),
    /// Each of these lies there again.
    Lay(Vec<(Place, Vec<Line>)>),
    /// With the bytes of its picture, if that was another.
    Product(Product, Option<Vec<u8>>),
    Rules(Box<EventRules>),
}

impl Device {
    /// Takes note of an entry of this device's own, if a person did that.
    pub(super) fn note_act(&mut self, linked: &Linked) {
        let (is_edit, key, is_act) = match &linked.content {
            Admitted::Edit(edit) => (true, edit.key, true),
            Admitted::Record(record) => (false, record.key, self.is_act(record)),
        };
        let at = linked.at;
        if let Some(last) = &mut self.last_act {
            let follows = last.entry.chain == linked.entry.chain && last.last_seq + 1 == linked.entry.seq;
            let one_command = match key {
                Some(_) => key == last.key,
                // Records of one command without a key have one time.
                None => last.key.is_none() && !last.is_edit && !is_edit && is_act && last.at.ms() == at.ms(),
            };
            if one_command && (key.is_some() || follows) {
                if follows {
                    last.last_seq = linked.entry.seq;
                }
                return;
            }
            // What is read back comes in the order in which it was written; what comes back from others does not.
            let is_older = match is_edit || last.is_edit {
                true => at.ms() / 1_000 < last.at.ms() / 1_000,
                false => at < last.at,
            };
            if is_older {
                return;
            }
        }
        if is_act {
            let (entry, last_seq) = (linked.entry, linked.entry.seq);
            self.last_act = Some(LastAct { entry, last_seq, at, is_edit, key });
        }
    }

    /// Whether a record of this device's own is what a person did.
    fn is_act(&self, record: &Record) -> bool {
        match &record.body {
            Body::Sale(_)
            | Body::Hold(_)
            | Body::Mint(_)
            | Body::Move(_)
            | Body::Damage(_)
            | Body::Refund(_)
            | Body::RefundRequest(_)
            | Body::Retire(_)
            | Body::Resolve(_)
            | Body::Entrust(_)
            | Body::Unlock(_)
            | Body::PaymentSettled(_)
            | Body::Step(_)
            | Body::Personal(_)
            | Body::Erase(_) => true,
            // One without a token and a key can be what the device says again of what it handed out before.
            Body::Redeem(redeem) => record.key.is_some() || redeem.token.is_some(),
            Body::Transfer(transfer) => match &transfer.aside {
                Some(_) => transfer.to == self.me,
                None => transfer.cause.is_none() && record.key.is_some(),
            },
            Body::Release(_) | Body::Custody(_) | Body::Renewal(_) => record.key.is_some(),
            Body::Leave(leave) => leave.to.is_some(),
            Body::Door(door) => matches!(door.behaved, Behaved::Settled { .. }),
            Body::Received(received) => {
                received.transfers.iter().any(|transfer| self.brought_a_cart(transfer).is_some())
            }
            Body::Start(_)
            | Body::WrongPin(_)
            | Body::Inherit(_)
            | Body::Fork(_)
            | Body::RetireCut(_)
            | Body::Epoch(_)
            | Body::EpochCopies(_) => false,
        }
    }

    /// The cart that a transfer from another device brought here, and from whom. Only a person asks for one.
    fn brought_a_cart(&self, transfer: &Ref) -> Option<(Ref, DeviceId)> {
        let chain = self.log.chain(&transfer.chain)?;
        match Record::decode(chain.body(transfer.seq)?).ok()?.body {
            Body::Transfer(record::Transfer { aside: Some(aside), .. }) => Some((aside.cart, chain.device)),
            _ => None,
        }
    }

    /// What a person did last here, and what taking it back would do.
    pub(super) fn last_act(&self) -> Result<Act, Refusal> {
        let last = self.last_act.ok_or(Refusal::NothingToUndo)?;
        Ok(self.looked_up(&last)?.0)
    }

    /// Takes back what a person did last here, if that is the entry.
    pub(super) fn undo(&mut self, entry: Ref) -> Result<Reply, Refusal> {
        let last = self.last_act.ok_or(Refusal::NothingToUndo)?;
        let (act, plan) = self.looked_up(&last)?;
        if entry != act.entry {
            return Err(Refusal::NotTheLast { entry, last: act.entry, what: act.what });
        }
        let plan = plan?;
        let mut undone = Undone::of(act);
        match plan {
            Plan::Refund(claim) => {
                let refund = Refund { claim, items: Vec::new(), damaged: false };
                if let Reply::Refund(refunded) = self.pay_back(&refund)? {
                    undone.refund = Some(refunded);
                }
            }
            Plan::Release(cart) => {
                if let Reply::Cart(cart) = self.release_cart(cart)? {
                    undone.cart = Some(cart);
                }
            }
            Plan::EndHolds(cart, holds) => {
                let (drop, _) = self.own_cart(cart)?;
                for hold in holds {
                    self.end_hold(hold, &drop)?;
                }
                undone.cart = self.cart(cart);
            }
            Plan::GiveBack(cart, to) => {
                self.give_cart(cart, to)?;
                undone.cart = self.cart(cart);
            }
            Plan::Lay(moves) => {
                for (place, lines) in moves {
                    undone.units.push(self.lay(place, lines)?);
                }
            }
            Plan::Product(product, picture) => {
                self.needs_hq("changing the programme")?;
                let picture = picture.as_deref();
                self.write_programme(|programme, author| programme.put_product(author, &product, picture))?;
                undone.product = Some(product);
            }
            Plan::Rules(rules) => undone.rules = Some(self.rules_again(&rules)?),
        }
        Ok(Reply::Undone(Box::new(undone)))
    }

    fn lay(&mut self, place: Place, lines: Vec<Line>) -> Result<UnitsDone, Refusal> {
        let gone =
            || Refusal::Invalid { field: "entry".to_owned(), problem: "its units are of no lot".to_owned() };
        let of = |line: &Line| self.holdings.lot(&self.holdings.parcel(&line.parcel)?.lot);
        let lot = lines.first().and_then(of).ok_or_else(gone)?;
        let (drop, sku) = (lot.drop.clone(), lot.sku.clone());
        let mut units = UnitSet::default();
        lines.iter().for_each(|line| units.insert_all(&line.units));
        let moved = Body::Move(record::Move { place, lines });
        let entry = self.write(&Document::Stock(drop.clone()), moved)?;
        Ok(UnitsDone { entry, drop, sku, units })
    }

    /// Sets the event's rules to what they were.
    fn rules_again(&mut self, was: &EventRules) -> Result<EventRules, Refusal> {
        self.set_rules(&RulesSet {
            prices: Some(was.prices),
            round: Some(was.round),
            cash_coin: Some(was.cash_coin),
            ordinary_wish: Some(was.ordinary_wish),
        })?;
        self.set_limit(&LimitSet { device: None, amount: was.deferred_limit })?;
        let now = self.programme.rules().deferred_limits.iter().map(|limit| limit.device);
        let devices: Vec<DeviceId> =
            now.chain(was.deferred_limits.iter().map(|limit| limit.device)).collect();
        for device in devices {
            let of = was.deferred_limits.iter().find(|limit| limit.device == device);
            self.set_limit(&LimitSet { device: Some(device), amount: of.map(|limit| limit.amount) })?;
        }
        Ok(self.programme.rules().clone())
    }

    fn looked_up(&self, last: &LastAct) -> Result<(Act, Result<Plan, Refusal>), Refusal> {
        let chain = self.log.chain(&last.entry.chain).filter(|chain| chain.body(last.entry.seq).is_some());
        // A history that was cut off counts for nothing, and there is nothing to take back of it.
        let chain = chain.ok_or(Refusal::NothingToUndo)?;
        let (kind, what, entry, claim, plan) = match chain.document {
            Document::Programme => self.of_programme(chain, last)?,
            _ => self.of_records(chain, last)?,
        };
        let plan = plan.map_err(|why| match why {
            Why::Words(why) => Refusal::CannotUndo { entry, what: what.clone(), why },
            Why::Refused(refusal) => *refusal,
        });
        let (undo, why_not) = match &plan {
            Ok(plan) => (Some(self.in_words(plan)), None),
            Err(Refusal::CannotUndo { why, .. }) => (None, Some(why.clone())),
            Err(refusal) => (None, Some(refusal.to_string())),
        };
        let moves = match &plan {
            Ok(Plan::Lay(moves)) => {
                moves.iter().flat_map(|(_, lines)| lines).map(|line| line.units.len()).sum()
            }
            _ => 0,
        };
        Ok((Act { entry, moves, kind, at_ms: last.at.ms(), what, undo, why_not, claim }, plan))
    }

    fn of_programme(&self, chain: &Chain, last: &LastAct) -> Result<Found, Refusal> {
        let nothing = Refusal::NothingToUndo;
        let body = chain.body(last.entry.seq).ok_or_else(|| nothing.clone())?;
        let edit = Edit::read(&chain.id, last.entry.seq, body).map_err(|_| nothing.clone())?;
        let (before, after) = self.programme.before_and_after(&edit).ok_or(nothing)?;
        let (kind, what, plan) = self.changed(&before, &after);
        Ok((kind, what, last.entry, None, plan))
    }

    /// What a change of the programme changed.
    fn changed(&self, before: &Programme, after: &Programme) -> (ActKind, String, Result<Plan, Why>) {
        let again = |is_so: bool, plan: Plan| match is_so {
            true => Ok(plan),
            false => Err(Why::Words(
                "it was changed again since, by another hq; set it to what you want".to_owned(),
            )),
        };
        let currency = self.config.charter.charter().currency;
        if let Some((sku, now)) =
            after.products().iter().find(|(sku, now)| before.products().get(*sku) != Some(now))
        {
            let Some(was) = before.products().get(sku) else {
                let what = format!("put {sku} ({}) on the programme", now.name);
                let why = "a product stays on the programme; nothing is sold of it without a lot, and `popmesh product add` \
                           changes its name and price";
                return (ActKind::Product, what, Err(Why::Words(why.to_owned())));
            };
            let (old, new) = (currency.format(was.price), currency.format(now.price));
            let what = match (was.price == now.price, was.name == now.name) {
                (false, true) => format!("set the price of {sku} to {new}; it was {old}"),
                (true, false) => format!("named {sku} {:?}; it was {:?}", now.name, was.name),
                (true, true) if was.picture != now.picture => format!("changed the picture of {sku}"),
                (true, true) if was.category != now.category => format!("changed the category of {sku}"),
                _ => format!("changed {sku} to {:?} at {new}; it was {:?} at {old}", now.name, was.name),
            };
            let is_so = self.programme.products().get(sku) == Some(now);
            return (ActKind::Product, what, {
                let picture = was.picture.as_ref().filter(|_| was.picture != now.picture);
                let picture = picture.and_then(|_| before.picture(sku)).map(|picture| picture.bytes);
                again(is_so, Plan::Product(was.clone(), picture))
            });
        }
        if let Some((name, _)) =
            after.drops().iter().find(|(name, now)| before.drops().get(*name) != Some(now))
        {
            let why = "a drop that is planned stays so; nothing is sold in it until `popmesh drop open`";
            return (ActKind::Drop, format!("planned drop {name}"), Err(Why::Words(why.to_owned())));
        }
        if before.rules() != after.rules() {
            let is_so = self.programme.rules() == after.rules();
            let plan = again(is_so, Plan::Rules(Box::new(before.rules().clone())));
            return (ActKind::Rules, "changed the event's rules".to_owned(), plan);
        }
        let why = "it changed nothing that is shown";
        (ActKind::Other, "changed the programme".to_owned(), Err(Why::Words(why.to_owned())))
    }

    fn of_records(&self, chain: &Chain, last: &LastAct) -> Result<Found, Refusal> {
        let first = last.entry;
        let records: Vec<(u64, Record)> = match key_at(chain, first.seq) {
            Some(key) => written_by(chain, first.seq, key),
            None => (first.seq..=last.last_seq)
                .map_while(|seq| Some((seq, Record::decode(chain.body(seq)?).ok()?)))
                .collect(),
        };
        let body = &records.first().ok_or(Refusal::NothingToUndo)?.1.body;
        let mut said: Vec<String> =
            records.iter().map(|(_, record)| words(self, chain, &record.body)).collect();
        let more = said.len().saturating_sub(3);
        said.truncate(3);
        let mut what = said.join("; ");
        if more > 0 {
            what.push_str(&format!("; and {more} more"));
        }
        let no = |why: &str| Err(Why::Words(why.to_owned()));
        let of_cart = |cart: Ref| self.own_cart(cart).map_err(Why::refused);
        let added = |record: &Record| match &record.body {
            Body::Transfer(transfer) => transfer.aside.as_ref().map(|aside| aside.cart),
            _ => None,
        };
        let code = |claim: &Ref| crate::claim_code::ClaimCode::of(claim);
        let (kind, claim, plan) = match body {
            Body::Sale(_) => {
                let plan = self.claim_in_custody(first).map(|_| Plan::Refund(first)).map_err(|refusal| match refusal {
                    Refusal::NotCustodian { name, .. } => Why::Words(format!(
                        "it is in the custody of {name}, which may have handed it out; `popmesh claim refund {}` asks for it \
                         and pays it back",
                        code(&first)
                    )),
                    refusal => Why::refused(refusal),
                });
                (ActKind::Sale, Some(first), plan)
            }
            Body::Hold(_) => (ActKind::Cart, None, of_cart(first).map(|_| Plan::Release(first))),
            Body::Transfer(transfer) if transfer.aside.is_some() => {
                let cart = transfer.aside.as_ref().map_or(first, |aside| aside.cart);
                let of = |(seq, record): &(u64, Record)| added(record).map(|_| Ref { seq: *seq, ..first });
                let holds: Vec<Ref> = records.iter().filter_map(of).collect();
                let is_there =
                    holds.iter().all(|hold| self.holdings.hold(hold).is_some_and(|held| held.by == self.me));
                let plan = match (of_cart(cart), is_there) {
                    (Err(why), _) => Err(why),
                    (_, false) => no("the cart has changed since; see `popmesh cart list`"),
                    _ => Ok(Plan::EndHolds(cart, holds)),
                };
                (ActKind::CartItems, None, plan)
            }
            Body::Release(_) if records.iter().any(|(_, record)| added(record).is_some()) => {
                let why = "it is on sale again; put it back in with `popmesh cart add`";
                (ActKind::CartItems, None, no(why))
            }
            Body::Release(_) => {
                let why = "it is on sale again; put it aside anew with `popmesh cart new`";
                (ActKind::CartReleased, None, no(why))
            }
            Body::Received(received) => {
                let brought = received.transfers.iter().find_map(|transfer| self.brought_a_cart(transfer));
                let (cart, from) = brought.ok_or(Refusal::NothingToUndo)?;
                what = format!("took cart {cart} over from {}", self.name_of(&from));
                let plan = of_cart(cart).and_then(|_| self.check_may_get(&from).map_err(Why::refused));
                (ActKind::CartTaken, None, plan.map(|()| Plan::GiveBack(cart, from)))
            }
            Body::Move(_) => (ActKind::Move, None, self.lay_back(first, &records).map(Plan::Lay)),
            Body::Transfer(transfer) => {
                let why = format!(
                    "it is {0}'s now, which may have sold it; on {0}, `popmesh transfer` gives it back",
                    self.name_of(&transfer.to)
                );
                (ActKind::Transfer, None, Err(Why::Words(why)))
            }
            Body::Damage(_) => {
                let why =
                    "what is out of sale stays so; what turns up whole is minted anew, with other serials";
                (ActKind::Damage, None, no(why))
            }
            Body::Mint(_) => {
                let why = "units stay; take those that are not there out of sale with `popmesh damage`";
                (ActKind::Lot, None, no(why))
            }
            Body::Redeem(redeem) => {
                let claim = redeem.claim;
                let why = format!(
                    "it was handed out; when it is brought back, `popmesh claim refund {}` takes it, where a person pays",
                    code(&claim)
                );
                (ActKind::Redemption, Some(claim), Err(Why::Words(why)))
            }
            Body::Refund(refund) => {
                let why = "what was paid back stays so; sell it again";
                (ActKind::Refund, Some(refund.claim), no(why))
            }
            Body::RefundRequest(request) => {
                let why = "it stays marked; whoever has it can hand it out all the same";
                (ActKind::RefundRequest, Some(request.claim), no(why))
            }
            Body::Custody(custody) => {
                let why = format!(
                    "it is in the custody of {}; `popmesh claim give {} --to {}` fetches it back",
                    self.name_of(&custody.to),
                    code(&custody.claim),
                    self.name_of(&self.me)
                );
                (ActKind::Custody, Some(custody.claim), Err(Why::Words(why)))
            }
            Body::Step(step) => {
                let why = match step.kind {
                    StepKind::Close => {
                        "what was closed is not as if it had been open; `popmesh drop open --again` opens it again"
                    }
                    _ => "a step that is done stays done; `popmesh drop close` closes the drop",
                };
                (ActKind::Drop, None, no(why))
            }
            other => (ActKind::Other, None, no(instead_of(other))),
        };
        Ok((kind, what, first, claim, plan))
    }

    /// Where units that were moved lay before, if all of them are still where they were moved to.
    fn lay_back(&self, first: Ref, records: &[(u64, Record)]) -> Result<Vec<(Place, Vec<Line>)>, Why> {
        let mut moves = Vec::new();
        for (seq, record) in records {
            let Body::Move(moved) = &record.body else { continue };
            let parcel = Ref { seq: *seq, ..first };
            let lay = moved.lines.first().and_then(|line| self.holdings.parcel(&line.parcel));
            let (Some(now), Some(lay)) = (self.holdings.parcel(&parcel), lay) else { continue };
            let left = now.available();
            let gone = now.units.len() - left.len();
            if now.owner != self.me || gone > 0 {
                return Err(Why::Words(format!(
                    "{gone} of them are sold, in a cart or given away since; `popmesh move` moves the rest"
                )));
            }
            moves.push((lay.place.clone(), vec![Line { parcel, units: left }]));
        }
        Ok(moves)
    }

    fn in_words(&self, plan: &Plan) -> String {
        let currency = self.config.charter.charter().currency;
        match plan {
            Plan::Refund(claim) => {
                let Some(claim) = self.known_claim(claim) else { return "pays it back".to_owned() };
                let units: Vec<String> =
                    claim.items.iter().map(|item| format!("{} {}", item.sku, item.units)).collect();
                format!(
                    "pays {} back, and has {} for sale again",
                    currency.format(claim.total),
                    units.join(", ")
                )
            }
            Plan::Release(_) => "puts it back on sale".to_owned(),
            Plan::EndHolds(..) => "takes it out of the cart and puts it back on sale".to_owned(),
            Plan::GiveBack(_, to) => format!("gives the cart back to {}", self.name_of(to)),
            Plan::Lay(moves) => {
                let mut places: Vec<&str> = moves.iter().map(|(place, _)| place.as_str()).collect();
                places.dedup();
                format!("has it lie at {} again", places.join(", "))
            }
            Plan::Product(was, _) => {
                format!("sets {} to {:?} at {} again", was.sku, was.name, currency.format(was.price))
            }
            Plan::Rules(_) => "sets the rules to what they were".to_owned(),
        }
    }
}

/// An act: its kind, words, entry and claim, and how it is taken back.
type Found = (ActKind, String, Ref, Option<Ref>, Result<Plan, Why>);

/// Why an act is not taken back.
enum Why {
    Words(String),
    Refused(Box<Refusal>),
}

impl Why {
    fn refused(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// What can be done about an act that stays.
fn instead_of(body: &Body) -> &'static str {
    match body {
        Body::Retire(_) => "a retirement is for ever; the device can join again with a new key",
        Body::Entrust(_) => "the right is with the other hq; there, `popmesh registrar give` gives it back",
        Body::Leave(_) => {
            "what it had is with another device; start this one again, and have it given back with `popmesh transfer`"
        }
        Body::Renewal(_) => "a certificate holds until it ends; retire the device if it must not go on",
        Body::Resolve(_) => "what was said stays; `popmesh incidents resolve` says more",
        Body::Unlock(_) => "it can be tried again until it is locked by wrong ones",
        Body::PaymentSettled(_) => {
            "what became of a payment stays as it was said; `popmesh claim refund` pays back what was taken"
        }
        Body::Personal(_) => "`popmesh people erase --entry` has it deleted",
        Body::Erase(_) => "what is erased is gone on every device that has heard of it",
        Body::Door(_) => "what was found at a door stays as it was said",
        _ => "that stays; see `popmesh log`",
    }
}
