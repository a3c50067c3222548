//! The stock view: who holds which units, where they lie, and which are sold. A fold over the entries of `stock/…`
//! and `claims/…`, the same on every device that has the same entries, in whatever order they came.
//!
//! A *parcel* is what one mint, transfer or move made: units of one lot, at one place, held by one device. Every spend
//! names the parcels it draws on. Whether a spend is *valid* (its author holds the parcel, which has these units)
//! follows from the named entries alone. Honest devices never spend a unit twice; where two valid spends do name one
//! unit, the lot is *contested*, and the earlier by hybrid time and hash has it (`settle.rs`).
//!
//! What taking in an entry costs goes by what it names and what became of that, never by how much is known.

pub mod board;
mod by_arrival;
pub mod claims;
mod custody;
pub mod doors;
mod holds;
mod printed;
mod refold;
mod settle;
mod shelves;
mod spans;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use holds::Held;
pub use printed::Overlap;
pub use refold::refold;
pub use shelves::ByHolder;

use crate::clock::Hlc;
use crate::drop_steps::{Done, DropSteps, Under};
use crate::id::{ChainId, DeviceId, Hash, Ref};
use crate::planted::{Plant, Planted};
use crate::record::{Body, Cause, Inherit, Line, Record, Sale, SaleLine};
use crate::text::{DropId, Edition, Place, Sku};
use crate::trust::{Retirement, Retirements, leads_to};
use crate::units::UnitSet;

use self::settle::{Spend, SpendKind, Work};
use self::spans::Spans;

/// A lot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotState {
    /// Its drop.
    pub drop: DropId,
    /// Its SKU.
    pub sku: Sku,
    /// Its serials.
    pub units: UnitSet,
    /// Whether they are printed on the units.
    pub numbered: bool,
    /// The word that is printed with them.
    pub edition: Option<Edition>,
    /// When it was minted: of two lots that print one serial, the earlier has it.
    pub precedence: Precedence,
    /// Serials that another lot of this SKU and edition prints as well.
    pub doubled: UnitSet,
    /// Those of them that are not for sale while they are in this lot.
    pub frozen: UnitSet,
    /// Where they lay when minted.
    pub place: Place,
    /// What became of its units, by the device that did it.
    pub outcome: BTreeMap<DeviceId, Outcome>,
    /// Whether some unit of it was spent twice.
    pub contested: bool,
}

/// Units that left the holdings, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Sold and handed over.
    pub sold: u64,
    /// Sold for pickup.
    pub committed: u64,
    /// Taken out of sale.
    pub damaged: u64,
}

/// Units of one lot, at one place, held by one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The lot.
    pub lot: Ref,
    /// Who holds it.
    pub owner: DeviceId,
    /// Who gave it, if another device did.
    pub from: Option<DeviceId>,
    /// The units that its entry names.
    pub units: UnitSet,
    /// Those that are left.
    pub free: UnitSet,
    /// Those that are put aside for a cart or a wish, left or not.
    pub held: UnitSet,
    /// Those that are left and not for sale, since another lot prints the same serials.
    pub frozen: UnitSet,
    /// The holder's number for the wish that all of it is put aside for.
    pub wish: Option<u64>,
    /// Where they lie.
    pub place: Place,
    /// Whether its holder has said that it knows of it. True if the holder made it itself.
    pub received: bool,
    /// How many of those that are left, and not frozen, were claimed before.
    back: u64,
    /// Those that never came to it: whoever was to give them did not have them.
    lacking: UnitSet,
    /// Which spends name which units.
    drawn: Spans<Spend>,
    /// Which holds put which units aside.
    aside: Spans<Ref>,
}

impl Parcel {
    /// Units that are for sale: left, and neither put aside nor frozen.
    pub fn available(&self) -> UnitSet {
        let mut units = self.free.clone();
        for not in [&self.held, &self.frozen].into_iter().filter(|not| !not.is_empty()) {
            units.remove_all(not);
        }
        units
    }

    /// Units that are left, not frozen and in no cart: those that are free, and those that were given for a wish.
    pub fn free_or_for_wish(&self) -> UnitSet {
        if self.wish.is_some() { self.free.difference(&self.frozen) } else { self.available() }
    }

    /// How many are left, put aside and not frozen.
    pub fn held_count(&self) -> u64 {
        match (self.held.is_empty(), self.frozen.is_empty()) {
            (true, _) => 0,
            (false, true) => self.free.intersection(&self.held).len(),
            (false, false) => self.free.intersection(&self.held).difference(&self.frozen).len(),
        }
    }

    /// How many are for sale.
    pub fn available_count(&self) -> u64 {
        self.free.len() - self.held_count() - self.frozen.len()
    }
}

/// An entry as the view sees it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The entry.
    pub entry: Ref,
    /// The drop of its document.
    pub drop: &'a DropId,
    /// Its author.
    pub author: DeviceId,
    /// Its hash.
    pub hash: Hash,
    /// What it says.
    pub record: &'a Record,
}

/// What kind of breach is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// Units were spent twice; the later spend lacks them.
    SpentTwice,
    /// A device spent what it did not hold, or not all of it.
    NotHeld,
    /// A retired device did it, after its retirement.
    AfterRetirement,
    /// Serials are printed twice.
    PrintedTwice,
    /// Something was done about a claim that was no longer to be done.
    ClaimUsedTwice,
}

/// What an entry did to the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that the view shows.
    None,
    /// Units changed hands, came to be or were sold.
    Applied,
    /// Units came to light that were spent twice. In words, each with what it says of printed serials, too.
    Contested(Vec<String>),
    /// It came to light that serials are printed twice, in words: honest devices do that when they are cut off.
    Doubled(Vec<String>),
    /// The entry spends what its author was never given; it counts for nothing.
    Void(String),
}

/// What comes to light by an entry, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    SpentTwice(String),
    PrintedTwice(String),
}

/// What of a spend counts.
#[derive(Debug, Default)]
struct Counted {
    lines: Vec<(Ref, UnitSet)>,
    /// What of it does not.
    missing: BTreeMap<Ref, UnitSet>,
    /// Why, for the first of that.
    problem: Option<&'static str>,
}

impl Counted {
    fn lacks(&mut self, parcel: Ref, units: &UnitSet, problem: &'static str) {
        self.missing.entry(parcel).or_default().insert_all(units);
        self.problem.get_or_insert(problem);
    }
}

/// The stock view.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Holdings {
    lots: BTreeMap<Ref, LotState>,
    by_sku: BTreeMap<Sku, BTreeMap<DropId, BTreeSet<Ref>>>,
    printed: printed::Printed,
    parcels: BTreeMap<Ref, Parcel>,
    /// Parcels with units left, by holder.
    live: BTreeMap<DeviceId, BTreeSet<Ref>>,
    /// How many units they have.
    shelves: shelves::Shelves,
    boards: board::Boards,
    claims: BTreeMap<Ref, claims::Claim>,
    /// By custodian: claims that somebody may still come for.
    waiting: BTreeMap<DeviceId, BTreeSet<Ref>>,
    /// Redemptions that doors are opened for.
    openings: BTreeMap<Ref, doors::Opening>,
    /// What was said of doors and counts for nothing.
    void_words: BTreeMap<Ref, String>,
    /// Units put aside.
    holds: BTreeMap<Ref, Held>,
    /// By cart: the holds of it.
    carts: BTreeMap<Ref, BTreeSet<Ref>>,
    /// By entry: what was done about a claim, which, and counts for nothing.
    breaches: BTreeMap<Ref, (Ref, String)>,
    /// By claim: those entries.
    breaches_of: BTreeMap<Ref, Vec<Ref>>,
    /// Units of claims that an earlier spend has, or that their sellers did not hold.
    lost: BTreeMap<Ref, BTreeMap<Ref, UnitSet>>,
    void: BTreeMap<Ref, String>,
    /// Those of them that a retired device wrote later.
    late: BTreeSet<Ref>,
    /// Spends of which only a part counts, and why.
    partly: BTreeMap<Ref, String>,
    /// Units of claims that their sellers did not hold.
    missing: BTreeMap<Ref, BTreeMap<Ref, UnitSet>>,
    /// Units of spends, by parcel, that an earlier spend has, or that never came there.
    outrun: BTreeMap<Ref, BTreeMap<Ref, UnitSet>>,
    /// By spend and lot: the spend came second.
    second: BTreeMap<Ref, BTreeMap<Ref, String>>,
    /// By lot: those spends.
    contested: BTreeMap<Ref, BTreeSet<Ref>>,
    /// Who took units out of sale, by the entry.
    damages: BTreeMap<Ref, DeviceId>,
    /// What has come to light while an entry is taken in.
    told: Vec<Told>,
    steps: steps::Steps,
    /// How far each drop is.
    drops: BTreeMap<DropId, DropSteps>,
    /// Which of its steps sales were made under.
    under: Under,
    after_close: by_arrival::ByArrival,
    /// Devices whose later entries count for nothing.
    retired: Retirements,
    /// The drop in whose documents each chain is.
    drop_of: BTreeMap<ChainId, DropId>,
    plant: Plant,
}

impl Holdings {
    /// Nothing yet.
    pub(crate) fn new(plant: Plant) -> Self {
        Self { plant, ..Self::default() }
    }

    /// Nothing yet, with these devices retired.
    pub fn with_retired(&self, retired: &Retirements) -> Self {
        Self { plant: self.plant, retired: retired.clone(), ..Self::default() }
    }

    /// The retirement of a device.
    pub fn retirement(&self, device: &DeviceId) -> Option<&Retirement> {
        self.retired.get(device)
    }

    /// Whether `author` is an heir of `from` by these retirements.
    fn takes_over(&self, from: &DeviceId, first: Ref, further: Option<&[Ref]>, author: &DeviceId) -> bool {
        let named = std::iter::once(first).chain(further.into_iter().flatten().copied());
        leads_to(&self.retired, from, named, author)
    }

    /// Whether what an entry names, a claim or a redemption, was written in the documents of the same drop.
    fn is_of_drop(&self, named: &Ref, drop: &DropId) -> bool {
        self.drop_of.get(&named.chain).is_none_or(|of| of == drop)
    }

    /// Whether a parcel is of a drop.
    fn is_parcel_of(&self, parcel: &Parcel, drop: &DropId) -> bool {
        self.lots.get(&parcel.lot).is_some_and(|lot| lot.drop == *drop)
    }

    /// Whether an entry was written by a device after its retirement.
    fn is_late(&self, author: &DeviceId, entry: &Ref) -> bool {
        let late = self.retired.get(author).is_some_and(|retired| retired.is_late(entry));
        late && !self.plant.has(Planted::CountLate)
    }

    /// The steps of a drop; none if nobody has taken one.
    pub fn steps_of(&self, drop: &DropId) -> Option<&DropSteps> {
        self.drops.get(drop)
    }

    /// Drops of which some step was taken.
    pub fn drops_with_steps(&self) -> impl Iterator<Item = &DropId> {
        self.drops.keys()
    }

    /// The step that a sale was made under.
    pub fn step_of(&self, sale: &Ref) -> Option<Ref> {
        self.under.of(sale)
    }

    /// Sales that came here after a close of their drop did, for a planted bug.
    pub(crate) fn came_after_close(&self, drop: &DropId) -> Vec<Ref> {
        let came = self.after_close.0.iter();
        came.filter(|(of, _)| of == drop).map(|(_, claim)| *claim).collect()
    }

    /// The close that a sale, made at a venue, came after; it counts all the same.
    pub fn close_before(&self, drop: &DropId, sale: &Ref, at: Hlc, venue: &Place) -> Option<&Done> {
        self.drops.get(drop)?.close_before(self.under.of(sale), at, venue)
    }

    /// Every lot.
    pub fn lots(&self) -> impl Iterator<Item = (&Ref, &LotState)> {
        self.lots.iter()
    }

    /// A lot.
    pub fn lot(&self, lot: &Ref) -> Option<&LotState> {
        self.lots.get(lot)
    }

    /// The lots of one SKU in one drop.
    pub fn lots_of<'a>(
        &'a self,
        drop: &'a DropId,
        sku: &'a Sku,
    ) -> impl Iterator<Item = (&'a Ref, &'a LotState)> {
        let lots = self.by_sku.get(sku).and_then(|drops| drops.get(drop));
        lots.into_iter().flatten().filter_map(|lot| self.lots.get_key_value(lot))
    }

    /// How much has been looked at to take in what was taken in: parcels, spends, holds and claims. For whoever checks
    /// that an entry costs no more when more is known.
    pub fn steps(&self) -> u64 {
        self.steps.count()
    }

    /// Every parcel.
    pub fn parcels(&self) -> impl Iterator<Item = (&Ref, &Parcel)> {
        self.parcels.iter()
    }

    /// A parcel.
    pub fn parcel(&self, parcel: &Ref) -> Option<&Parcel> {
        self.parcels.get(parcel)
    }

    /// Parcels with units left, of one device.
    pub fn live_of(&self, device: &DeviceId) -> impl Iterator<Item = (&Ref, &Parcel)> {
        self.live.get(device).into_iter().flatten().filter_map(|parcel| self.parcels.get_key_value(parcel))
    }

    /// Parcels with units left, of all devices.
    pub fn live(&self) -> impl Iterator<Item = (&Ref, &Parcel)> {
        self.live.values().flatten().filter_map(|parcel| self.parcels.get_key_value(parcel))
    }

    /// How many units of one SKU a device has free, at `place` if given.
    pub fn free_of(&self, device: &DeviceId, drop: &DropId, sku: &Sku, place: Option<&Place>) -> u64 {
        self.shelves.of(drop, sku, place).filter_map(|holders| holders.get(device)).sum()
    }

    /// How many units of one SKU everybody has free at one place.
    pub fn shelf(&self, drop: &DropId, sku: &Sku, place: &Place) -> Option<&ByHolder> {
        self.shelves.at(drop, sku, place)
    }

    /// How many units of one SKU everybody has free, at `place` if given.
    pub fn free_by_holder(&self, drop: &DropId, sku: &Sku, place: Option<&Place>) -> ByHolder {
        let mut all = ByHolder::new();
        for (device, units) in self.shelves.of(drop, sku, place).flatten() {
            *all.entry(*device).or_default() += units;
        }
        all
    }

    /// A claim: its sale, as far as known, and what was done about it.
    pub fn claim(&self, claim: &Ref) -> Option<&claims::Claim> {
        self.claims.get(claim)
    }

    /// Every claim.
    pub fn claims(&self) -> impl Iterator<Item = (&Ref, &claims::Claim)> {
        self.claims.iter()
    }

    /// Claims from `from` to `to`, whose sales are known, in the order of their entries, and when each was sold.
    pub fn sold_between(&self, from: Ref, to: Ref) -> impl DoubleEndedIterator<Item = (Ref, Hlc)> {
        let all = self.claims.range(from..=to);
        all.filter_map(|(claim, known)| Some((*claim, known.sold()?.at)))
    }

    /// Claims in a device's custody that somebody may still come for.
    pub fn waiting_with(&self, device: &DeviceId) -> impl Iterator<Item = Ref> {
        self.waiting.get(device).into_iter().flatten().copied()
    }

    /// Units of a claim that an earlier spend has, or that its seller did not hold, by parcel.
    pub fn lost_of(&self, claim: &Ref) -> Option<&BTreeMap<Ref, UnitSet>> {
        self.lost.get(claim)
    }

    /// Whether an entry counts for nothing.
    pub fn is_void(&self, entry: &Ref) -> bool {
        self.void.contains_key(entry)
    }

    /// Proven breaches: the entry that each is named with, what kind it is of, what it is in words, and the claim that it is
    /// about.
    pub fn breaches(&self) -> impl Iterator<Item = (Ref, Breach, &str, Option<Ref>)> {
        let void = self.void.iter().chain(&self.partly);
        let void = void.map(|(entry, text)| {
            let late = self.late.contains(entry);
            (*entry, if late { Breach::AfterRetirement } else { Breach::NotHeld }, text.as_str(), None)
        });
        let second = self.second.iter().flat_map(|(entry, lots)| lots.values().map(|text| (*entry, text)));
        let second = second.map(|(entry, text)| (entry, Breach::SpentTwice, text.as_str(), None));
        let printed = self.printed.incidents();
        let printed = printed.map(|(entry, text)| (entry, Breach::PrintedTwice, text, None));
        let claims = self
            .breaches
            .iter()
            .map(|(entry, (claim, text))| (*entry, Breach::ClaimUsedTwice, text.as_str(), Some(*claim)));
        void.chain(second).chain(printed).chain(claims)
    }

    /// Proven breaches, in words.
    pub fn incidents(&self) -> impl Iterator<Item = &str> {
        let words = self.void_words.values().map(String::as_str);
        self.breaches().map(|(_, _, text, _)| text).chain(words)
    }

    /// Whether an incident, in words, says that a number is printed, or sold, twice.
    pub fn is_of_print(&self, incident: &str) -> bool {
        self.printed.incidents().any(|(_, text)| text == incident)
    }

    /// What an entry did about a claim, or said of its door, that counts for nothing, in words.
    pub fn breach_by(&self, entry: &Ref) -> Option<&str> {
        let breach = self.breaches.get(entry).map(|(_, text)| text);
        let words = || self.void_words.get(entry);
        breach.or_else(words).or_else(|| self.partly.get(entry)).map(String::as_str)
    }

    /// Whether what an entry says counts, in part at least.
    pub fn counts(&self, entry: &Ref) -> bool {
        let nothing = self.void.contains_key(entry) || self.void_words.contains_key(entry);
        !nothing && !self.breaches.contains_key(entry)
    }

    /// Entries that count for nothing.
    pub fn uncounted(&self) -> impl Iterator<Item = &Ref> {
        self.void.keys().chain(self.void_words.keys()).chain(self.breaches.keys())
    }

    /// How many proven breaches there are.
    pub fn incident_count(&self) -> usize {
        let second: usize = self.second.values().map(BTreeMap::len).sum();
        let printed = self.printed.incidents().count();
        self.void.len() + self.partly.len() + second + printed + self.breaches.len() + self.void_words.len()
    }

    /// Takes in one entry. Everything that it needs has been taken in before.
    pub fn apply(&mut self, event: &Event<'_>) -> Effect {
        self.steps.add(1);
        let effect = self.take_in(event);
        let told = std::mem::take(&mut self.told);
        if told.is_empty() || !matches!(effect, Effect::None | Effect::Applied) {
            return effect;
        }
        let spent_twice = told.iter().any(|told| matches!(told, Told::SpentTwice(_)));
        let texts = told.into_iter().map(|told| match told {
            Told::SpentTwice(text) | Told::PrintedTwice(text) => text,
        });
        if spent_twice { Effect::Contested(texts.collect()) } else { Effect::Doubled(texts.collect()) }
    }

    fn take_in(&mut self, event: &Event<'_>) -> Effect {
        if let Body::Start(_) = &event.record.body {
            self.drop_of.insert(event.entry.chain, event.drop.clone());
        }
        if self.plant.has(Planted::LateByArrival) && matches!(event.record.body, Body::Sale(_)) {
            let closed = self.drops.get(event.drop).is_some_and(|steps| steps.first_close().is_some());
            self.after_close.0.extend(closed.then(|| (event.drop.clone(), event.entry)));
        }
        if let Body::Sale(Sale { step: Some(step), .. }) = &event.record.body {
            // Later sales of the chain are under it, whether or not this one counts.
            self.under.named(event.entry, *step);
        }
        if self.is_late(&event.author, &event.entry) {
            self.note_voided(event);
            return self.refuse_late(event);
        }
        match &event.record.body {
            Body::Start(_) | Body::WrongPin(_) | Body::Unlock(_) => Effect::None,
            Body::Retire(_)
            | Body::RetireCut(_)
            | Body::Entrust(_)
            | Body::Leave(_)
            | Body::Fork(_)
            | Body::Renewal(_)
            | Body::Epoch(_)
            | Body::EpochCopies(_)
            | Body::Resolve(_) => Effect::None,
            Body::Personal(_) | Body::Erase(_) => Effect::None,
            Body::Mint(mint) => {
                let units = UnitSet::range(mint.first, mint.last);
                self.lots.insert(
                    event.entry,
                    LotState {
                        drop: event.drop.clone(),
                        sku: mint.sku.clone(),
                        units: units.clone(),
                        numbered: mint.numbered,
                        edition: mint.edition.clone(),
                        precedence: (event.record.at, event.hash),
                        doubled: UnitSet::default(),
                        frozen: UnitSet::default(),
                        place: mint.place.clone(),
                        outcome: BTreeMap::new(),
                        contested: false,
                    },
                );
                if let Some(lot) = self.lots.get(&event.entry) {
                    self.boards.mint(lot);
                }
                let drops = self.by_sku.entry(mint.sku.clone()).or_default();
                drops.entry(event.drop.clone()).or_default().insert(event.entry);
                self.add(
                    event.entry,
                    Parcel {
                        lot: event.entry,
                        owner: event.author,
                        from: None,
                        free: units.clone(),
                        held: UnitSet::default(),
                        frozen: UnitSet::default(),
                        wish: None,
                        units,
                        place: mint.place.clone(),
                        received: true,
                        back: 0,
                        lacking: UnitSet::default(),
                        drawn: Spans::default(),
                        aside: Spans::default(),
                    },
                );
                self.print(&event.entry);
                Effect::Applied
            }
            Body::Received(received) => {
                for transfer in &received.transfers {
                    let is_given = |parcel: &Parcel| {
                        let own = parcel.owner == event.author || self.plant.has(Planted::ReceiveForAnybody);
                        own && self.is_parcel_of(parcel, event.drop)
                    };
                    if self.parcels.get(transfer).is_some_and(is_given) {
                        self.change(transfer, |parcel| parcel.received = true);
                    }
                }
                Effect::Applied
            }
            Body::Transfer(_) | Body::Move(_) | Body::Damage(_) | Body::Sale(_) | Body::Inherit(_) => {
                self.spend(event)
            }
            Body::Redeem(redeem) => {
                self.begin_opening(event, redeem);
                self.act(event)
            }
            Body::Custody(_) | Body::Refund(_) => self.act(event),
            Body::Door(door) => self.hear_of_door(event, door),
            Body::Hold(hold) => self.put_aside(event, hold),
            Body::Release(release) => self.release(event, &release.hold),
            Body::PaymentSettled(_) => Effect::None,
            Body::Step(step) => {
                self.drops.entry(event.drop.clone()).or_default().take_in(event, step, self.plant);
                Effect::Applied
            }
            Body::RefundRequest(request) if !self.is_of_drop(&request.claim, event.drop) => Effect::None,
            Body::RefundRequest(request) => {
                let claim = self.claims.entry(request.claim).or_default();
                claim.request((event.record.at, event.hash), event.entry, event.author);
                Effect::Applied
            }
        }
    }

    /// What a retired device wrote later does nothing; where it did something, that is an incident.
    fn refuse_late(&mut self, event: &Event<'_>) -> Effect {
        let kind = event.record.body.kind();
        match &event.record.body {
            Body::Start(_)
            | Body::Received(_)
            | Body::Hold(_)
            | Body::Release(_)
            | Body::RefundRequest(_) => {
                return Effect::None;
            }
            _ => {}
        }
        let text =
            format!("{kind} {} by {}: written after it was retired", event.entry, event.author.short());
        self.late.insert(event.entry);
        self.make_void(event, text)
    }

    /// An entry counts for nothing, and nothing that was done about the claim it would have made; or about one that it
    /// never could have made: what names it as its claim may have come before it.
    pub(super) fn make_void(&mut self, event: &Event<'_>, text: String) -> Effect {
        self.void.insert(event.entry, text.clone());
        self.note_breaches(&event.entry);
        Effect::Void(text)
    }

    fn spend(&mut self, event: &Event<'_>) -> Effect {
        let named = spent_lines(&event.record.body);
        let in_words = |problem: &str| {
            format!("{} {} by {}: {problem}", event.record.body.kind(), event.entry, event.author.short())
        };
        let counted = match self.judge(event, &named) {
            Ok(counted) => counted,
            Err(problem) => {
                self.note_voided(event);
                return self.make_void(event, in_words(problem));
            }
        };
        if let Some(problem) = counted.problem {
            self.note_voided(event);
            self.partly.insert(event.entry, format!("{}; the rest of it counts", in_words(problem)));
            if matches!(event.record.body, Body::Sale(_)) {
                let parcels: Vec<Ref> = counted.missing.keys().copied().collect();
                self.missing.insert(event.entry, counted.missing);
                parcels.iter().for_each(|parcel| self.note_lost(&event.entry, parcel));
            }
        }
        let lines: Vec<(Ref, &UnitSet)> =
            counted.lines.iter().map(|(parcel, units)| (*parcel, units)).collect();
        // At first as if nobody else had spent any of it.
        let mut work = Work::new();
        let kind = match &event.record.body {
            Body::Transfer(transfer) => {
                let received = transfer.to == event.author;
                self.make(event, &lines, transfer.to, None, received);
                if let Some(aside) = &transfer.aside {
                    self.keep_aside(event, transfer.to, aside);
                }
                if let Some(Cause::Wish { number, .. }) = transfer.cause {
                    self.keep_for_wish(event, transfer.to, number);
                }
                SpendKind::Parcel
            }
            Body::Move(moved) => {
                self.make(event, &lines, event.author, Some(moved.place.clone()), true);
                SpendKind::Parcel
            }
            Body::Inherit(_) => {
                self.make(event, &lines, event.author, None, true);
                SpendKind::Parcel
            }
            Body::Damage(_) => {
                self.damages.insert(event.entry, event.author);
                self.count(event, &lines, |outcome, units| outcome.damaged += units);
                SpendKind::Damage
            }
            Body::Sale(sale) => {
                work = self.open_claim(event, sale, &lines);
                SpendKind::Sale
            }
            _ => return Effect::None,
        };
        let spend = Spend { precedence: (event.record.at, event.hash), entry: event.entry, kind };
        for (reference, units) in &lines {
            self.steps.add(1);
            let mut first = true;
            self.change(reference, |parcel| {
                first = parcel.free.contains_all(units);
                parcel.free.remove_all(units);
                parcel.drawn.insert(units, &spend);
                parcel.received = true;
            });
            if !first {
                work.push((*reference, (*units).clone()));
            }
        }
        let sold_elsewhere = match kind {
            SpendKind::Sale => {
                self.note_claimed(&lines);
                work.clone()
            }
            _ => Work::new(),
        };
        self.settle(work);
        for (parcel, units) in sold_elsewhere {
            self.note_claimed_elsewhere(&parcel, &units);
        }
        if kind == SpendKind::Sale {
            self.note_sold(&event.entry);
        }
        Effect::Applied
    }

    /// What of a spend is its author's to make. Looks at nothing but the entries that it names.
    ///
    /// Units that its author held count whatever else it names: they have gone where it says, and who was given the rest by
    /// somebody that turns out to have been retired did nothing wrong.
    fn judge(&self, event: &Event<'_>, lines: &[(Ref, &UnitSet)]) -> Result<Counted, &'static str> {
        let mut counted = Counted::default();
        let mut one: Option<(Ref, &Place)> = None;
        let makes_parcel = matches!(event.record.body, Body::Transfer(_) | Body::Move(_) | Body::Inherit(_));
        let mut named = UnitSet::default();
        for (reference, units) in lines {
            let Some(parcel) = self.parcels.get(reference) else {
                counted.lacks(*reference, units, "spends what is no parcel");
                continue;
            };
            let Some(lot) = self.lots.get(&parcel.lot) else {
                counted.lacks(*reference, units, "spends what is of no lot");
                continue;
            };
            if lot.drop != *event.drop {
                return Err("spends units of another drop");
            }
            let inherits = match &event.record.body {
                Body::Inherit(Inherit { retirement, heirs, .. }) => {
                    self.takes_over(&parcel.owner, *retirement, heirs.as_deref(), &event.author)
                }
                _ => false,
            };
            if makes_parcel {
                if named.intersects(units) || one.is_some_and(|(lot, _)| lot != parcel.lot) {
                    return Err("mixes lots, or names a unit twice");
                }
                if matches!(event.record.body, Body::Transfer(_) | Body::Inherit(_))
                    && one.is_some_and(|(_, place)| *place != parcel.place)
                {
                    return Err("gives units of several places as one parcel");
                }
                named.insert_all(units);
                one = Some((parcel.lot, &parcel.place));
            }
            let own = parcel.owner == event.author || self.plant.has(Planted::SpendAnybodys);
            if !own && !inherits {
                counted.lacks(*reference, units, "spends what another device holds");
            } else if parcel.units.contains_all(units) {
                counted.lines.push((*reference, (*units).clone()));
            } else {
                let lacking = units.difference(&parcel.units);
                counted.lacks(*reference, &lacking, "spends units that its author was not given");
                let has = units.intersection(&parcel.units);
                if !has.is_empty() {
                    counted.lines.push((*reference, has));
                }
            }
        }
        match counted.problem {
            Some(problem) if counted.lines.is_empty() => Err(problem),
            _ => Ok(counted),
        }
    }

    /// Changes a parcel, and what is known of its holder by it.
    fn change(&mut self, reference: &Ref, change: impl FnOnce(&mut Parcel)) {
        self.steps.add(1);
        let Some(parcel) = self.parcels.get_mut(reference) else { return };
        let Some(lot) = self.lots.get(&parcel.lot) else { return };
        let mut was_live = false;
        if let Some(live) = self.live.get_mut(&parcel.owner) {
            was_live = live.remove(reference);
        }
        if was_live {
            self.shelves.take(lot, parcel);
            self.boards.take(lot, parcel);
        }
        change(parcel);
        // Of one that is empty, too: what it was before is part of no view.
        parcel.back = 0;
        if !lot.frozen.is_empty() || !parcel.frozen.is_empty() {
            parcel.frozen = parcel.free.intersection(&lot.frozen);
        }
        let seen = parcel.received || !self.plant.has(Planted::ForgetInTransit);
        if seen && !parcel.free.is_empty() {
            self.live.entry(parcel.owner).or_default().insert(*reference);
            self.shelves.put(lot, parcel);
            self.boards.put(lot, parcel);
        } else if self.live.get(&parcel.owner).is_some_and(BTreeSet::is_empty) {
            self.live.remove(&parcel.owner);
        }
    }

    fn make(
        &mut self,
        event: &Event<'_>,
        lines: &[(Ref, &UnitSet)],
        owner: DeviceId,
        place: Option<Place>,
        received: bool,
    ) {
        let Some(source) = lines.first().and_then(|(parcel, _)| self.parcels.get(parcel)) else { return };
        let mut units = UnitSet::default();
        for (_, line) in lines {
            units.insert_all(line);
        }
        let parcel = Parcel {
            lot: source.lot,
            owner,
            from: (owner != event.author).then_some(event.author),
            free: units.clone(),
            held: UnitSet::default(),
            frozen: UnitSet::default(),
            wish: None,
            units,
            place: place.unwrap_or_else(|| source.place.clone()),
            received,
            back: 0,
            lacking: UnitSet::default(),
            drawn: Spans::default(),
            aside: Spans::default(),
        };
        self.add(event.entry, parcel);
    }

    fn add(&mut self, reference: Ref, parcel: Parcel) {
        self.parcels.insert(reference, parcel);
        self.change(&reference, |_| {});
    }

    fn count(&mut self, event: &Event<'_>, lines: &[(Ref, &UnitSet)], add: impl Fn(&mut Outcome, u64)) {
        for (reference, units) in lines {
            let Some(lot) = self.parcels.get(reference).map(|parcel| parcel.lot) else { continue };
            self.outcome(&lot, &event.author, |outcome| add(outcome, units.len()));
        }
    }

    /// For each lot, units minted, free, in transit and gone: conservation (I4) says that the first is the sum of the
    /// others.
    pub fn balances(&self) -> BTreeMap<Ref, Balance> {
        let mut balances: BTreeMap<Ref, Balance> = BTreeMap::new();
        for (lot, state) in &self.lots {
            let balance = balances.entry(*lot).or_default();
            balance.minted = state.units.len();
            for outcome in state.outcome.values() {
                balance.sold += outcome.sold;
                balance.committed += outcome.committed;
                balance.damaged += outcome.damaged;
            }
        }
        for (_, parcel) in self.live() {
            let balance = balances.entry(parcel.lot).or_default();
            let bucket = if parcel.received { &mut balance.available } else { &mut balance.in_transit };
            *bucket += parcel.available_count();
            balance.held += parcel.held_count();
            balance.frozen += parcel.frozen.len();
        }
        balances
    }
}

/// Where the units of a lot are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// All of them.
    pub minted: u64,
    /// Free.
    pub available: u64,
    /// Put aside.
    pub held: u64,
    /// Not for sale: another lot prints the same serials.
    pub frozen: u64,
    /// Given, not acknowledged.
    pub in_transit: u64,
    /// Sold and handed over.
    pub sold: u64,
    /// Sold for pickup.
    pub committed: u64,
    /// Out of sale.
    pub damaged: u64,
}

impl Balance {
    /// Whether the parts make up the whole.
    pub fn holds(&self) -> bool {
        let gone = self.sold + self.committed + self.damaged;
        self.minted == self.available + self.held + self.frozen + self.in_transit + gone
    }
}

/// The parcels and units that a record draws on.
pub fn spent_lines(body: &Body) -> Vec<(Ref, &UnitSet)> {
    fn plain(lines: &[Line]) -> Vec<(Ref, &UnitSet)> {
        lines.iter().map(|line| (line.parcel, &line.units)).collect()
    }
    match body {
        Body::Transfer(transfer) => plain(&transfer.lines),
        Body::Move(moved) => plain(&moved.lines),
        Body::Inherit(inherit) => plain(&inherit.lines),
        Body::Damage(damage) => plain(&damage.lines),
        Body::Sale(sale) => sale.lines.iter().map(|line: &SaleLine| (line.parcel, &line.units)).collect(),
        Body::Start(_) | Body::Mint(_) | Body::Received(_) => Vec::new(),
        // What they are about was drawn by the sale.
        Body::Custody(_) | Body::Redeem(_) | Body::Refund(_) | Body::RefundRequest(_) => Vec::new(),
        Body::Hold(_) | Body::Release(_) | Body::WrongPin(_) | Body::Unlock(_) | Body::Door(_) => Vec::new(),
        Body::PaymentSettled(_) | Body::Step(_) => Vec::new(),
        Body::Retire(_)
        | Body::RetireCut(_)
        | Body::Entrust(_)
        | Body::Leave(_)
        | Body::Fork(_)
        | Body::Renewal(_)
        | Body::Epoch(_)
        | Body::EpochCopies(_)
        | Body::Resolve(_)
        | Body::Personal(_)
        | Body::Erase(_) => Vec::new(),
    }
}

/// When a spend was made, for picking between two of one unit: the earlier time, then the lower hash.
pub type Precedence = (Hlc, Hash);
