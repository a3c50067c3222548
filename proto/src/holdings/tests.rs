//! The view that is kept entry by entry, against one that looks at each unit alone, from the mint on: for histories in
//! which units are spent twice, serials printed twice and claims dealt with twice, in whatever order entries come.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::claims::Deed;
use super::*;
use crate::clock::Hlc;
use crate::id::ChainId;
use crate::payment::Back;
use crate::receipt::ReceiptLink;
use crate::record::{Custody, Damage, Hold, Mint, Move, Redeem, Refund, Release, Sale, Transfer};

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }

    fn chance(&mut self, per_cent: usize) -> bool {
        self.below(100) < per_cent
    }

    fn some(&mut self, units: &UnitSet) -> UnitSet {
        let all: Vec<u32> = units.iter().collect();
        let (from, count) = (self.below(all.len()), 1 + self.below(4));
        let mut some = UnitSet::default();
        for serial in all.iter().skip(from).take(count) {
            some.insert_all(&UnitSet::range(*serial, *serial));
        }
        some
    }
}

struct Written {
    entry: Ref,
    author: DeviceId,
    hash: Hash,
    record: Record,
}

/// A history, in an order in which everything comes after what it needs.
struct History {
    rng: Rng,
    drop: DropId,
    all: Vec<Written>,
    /// Parcels: which, whose, their units, where.
    parcels: Vec<(Ref, DeviceId, UnitSet)>,
    /// Claims: which, the custodian as it was said last, by what, and what they are for.
    claims: Vec<(Ref, DeviceId, Ref, Vec<Line>)>,
}

const DEVICES: usize = 4;

fn device(at: usize) -> DeviceId {
    DeviceId([at as u8 + 1; 32])
}

impl History {
    fn write(&mut self, author: DeviceId, body: Body) -> Ref {
        let number = self.all.len() as u64 + 1;
        // Clocks are anything: what comes later may have the earlier time, and two the same.
        let at = Hlc::from_ms(1_000 + self.rng.below(40) as u64);
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(self.rng.below(1 << 30) as u64 ^ number << 40).to_be_bytes());
        let entry = Ref { chain: ChainId([(number % 7) as u8; 16]), seq: number };
        self.all.push(Written { entry, author, hash: Hash(hash), record: Record { at, body, key: None } });
        entry
    }

    fn step(&mut self) {
        let place: Place = "hall".parse().unwrap();
        if self.parcels.is_empty() || self.rng.chance(6) {
            let author = device(self.rng.below(2));
            let first = 1 + self.rng.below(30) as u32;
            let last = first + self.rng.below(20) as u32;
            let numbered = self.rng.chance(80);
            let edition = (numbered && self.rng.chance(20)).then(|| "gold".parse().unwrap());
            let mint = Mint { sku: "shirt".parse().unwrap(), first, last, numbered, place, edition };
            let lot = self.write(author, Body::Mint(mint));
            self.parcels.push((lot, author, UnitSet::range(first, last)));
            return;
        }
        let (parcel, owner, units) = self.parcels[self.rng.below(self.parcels.len())].clone();
        let some = self.rng.some(&units);
        let lines = vec![Line { parcel, units: some.clone() }];
        match self.rng.below(10) {
            0 | 1 => {
                let to = device(self.rng.below(DEVICES));
                let made =
                    self.write(owner, Body::Transfer(Transfer { to, lines, aside: None, cause: None }));
                self.parcels.push((made, to, some));
            }
            2 => {
                let made = self.write(owner, Body::Move(Move { place: "yard".parse().unwrap(), lines }));
                self.parcels.push((made, owner, some));
            }
            3 => drop(self.write(owner, Body::Damage(Damage { lines }))),
            4..=6 => {
                let pickup_at = self.rng.chance(60).then(|| device(self.rng.below(DEVICES)));
                let sale = Sale::plain(vec![SaleLine { parcel, units: some, unit_price: 1 }], pickup_at);
                let claim = self.write(owner, Body::Sale(sale));
                self.claims.push((claim, pickup_at.unwrap_or(owner), claim, lines));
            }
            7 => {
                let hold = vec![SaleLine { parcel, units: some, unit_price: 1 }];
                let hold = self.write(owner, Body::Hold(Hold { lines: hold, ttl_ms: 9, shopper: None }));
                if self.rng.chance(50) {
                    self.write(owner, Body::Release(Release { hold }));
                }
            }
            _ => self.deal_with_a_claim(place),
        }
    }

    fn deal_with_a_claim(&mut self, place: Place) {
        if self.claims.is_empty() {
            return;
        }
        let at = self.rng.below(self.claims.len());
        let (claim, custodian, under, lines) = self.claims[at].clone();
        match self.rng.below(3) {
            0 => {
                let to = device(self.rng.below(DEVICES));
                let custody = self.write(custodian, Body::Custody(Custody::of(claim, under, to)));
                if self.rng.chance(70) {
                    (self.claims[at].1, self.claims[at].2) = (to, custody);
                }
            }
            1 => {
                let token = self.rng.chance(30).then(|| vec![1]);
                self.write(custodian, Body::Redeem(Redeem { claim, under, token, compartments: None }));
            }
            _ => {
                let units = self.rng.some(&lines[0].units);
                let lines = vec![Line { parcel: lines[0].parcel, units: units.clone() }];
                let damaged = self.rng.chance(30);
                let handed_out = self.rng.chance(40).then_some(claim);
                let (receipt, back) = (ReceiptLink::FIRST, Back { parts: Vec::new(), taxes: None });
                let unclaimed = None;
                let refund =
                    Refund { claim, under, lines, place, damaged, handed_out, receipt, back, unclaimed };
                let made = self.write(custodian, Body::Refund(refund));
                if !damaged {
                    self.parcels.push((made, custodian, units));
                }
            }
        }
    }

    fn fold(&self, order: &[usize]) -> Holdings {
        let mut view = Holdings::default();
        for at in order {
            let Written { entry, author, hash, record } = &self.all[*at];
            view.apply(&Event { entry: *entry, drop: &self.drop, author: *author, hash: *hash, record });
        }
        view
    }

    /// An order of chance in which everything comes after what it needs.
    fn shuffled(&self, rng: &mut Rng) -> Vec<usize> {
        let index: BTreeMap<Ref, usize> =
            self.all.iter().enumerate().map(|(at, written)| (written.entry, at)).collect();
        let mut done = BTreeSet::new();
        let mut left: Vec<usize> = (0..self.all.len()).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            let at = rng.below(left.len());
            let ready = self.all[left[at]].record.needs().all(|need| done.contains(&index[&need]));
            if ready {
                done.insert(left[at]);
                order.push(left.swap_remove(at));
            }
        }
        order
    }
}

fn history(seed: u64, steps: usize) -> History {
    let drop = "night".parse().unwrap();
    let (all, parcels, claims) = (Vec::new(), Vec::new(), Vec::new());
    let mut history = History { rng: Rng(seed), drop, all, parcels, claims };
    for _ in 0..steps {
        history.step();
    }
    history
}

/// One serial at a time, from its mint on.
fn assert_true(history: &History, view: &Holdings) {
    let mut spends: BTreeMap<(Ref, u32), Vec<(Precedence, usize)>> = BTreeMap::new();
    for (at, written) in history.all.iter().enumerate() {
        for (parcel, units) in spent_lines(&written.record.body) {
            for serial in units.iter() {
                let precedence = (written.record.at, written.hash);
                spends.entry((parcel, serial)).or_default().push((precedence, at));
            }
        }
    }
    spends.values_mut().for_each(|spends| spends.sort_unstable());
    let mut free: BTreeMap<Ref, UnitSet> = BTreeMap::new();
    let mut outcome: BTreeMap<(Ref, DeviceId), Outcome> = BTreeMap::new();
    let mut won: BTreeSet<(Ref, Ref, u32)> = BTreeSet::new();
    let mut sold: BTreeMap<(Ref, u32), Ref> = BTreeMap::new();
    for (lot, state) in &view.lots {
        for serial in state.units.iter() {
            let one = UnitSet::range(serial, serial);
            let mut parcel = *lot;
            loop {
                let Some((_, at)) = spends.get(&(parcel, serial)).and_then(|spends| spends.first()) else {
                    free.entry(parcel).or_default().insert_all(&one);
                    break;
                };
                let spend = &history.all[*at];
                won.insert((spend.entry, parcel, serial));
                let of = |device| (*lot, device);
                match &spend.record.body {
                    Body::Damage(_) => {
                        outcome.entry(of(spend.author)).or_default().damaged += 1;
                        break;
                    }
                    Body::Sale(_) => {
                        let claim = &view.claims[&spend.entry];
                        let back = claim.valid().iter().find_map(|act| match &act.deed {
                            Deed::Refund { units, damaged, .. } if units.get(&parcel)?.contains(serial) => {
                                Some((act.entry, act.author, *damaged))
                            }
                            _ => None,
                        });
                        match back {
                            Some((entry, _, false)) => parcel = entry,
                            Some((_, by, true)) => {
                                outcome.entry(of(by)).or_default().damaged += 1;
                                break;
                            }
                            None => {
                                let standing = claim.standing(spend.entry).unwrap();
                                let sum = outcome.entry(of(spend.author)).or_default();
                                let handed_out = standing.redeemed.is_some();
                                *(if handed_out { &mut sum.sold } else { &mut sum.committed }) += 1;
                                sold.insert((*lot, serial), spend.entry);
                                break;
                            }
                        }
                    }
                    _ => parcel = spend.entry,
                }
            }
        }
    }
    for (reference, parcel) in &view.parcels {
        let expected = free.get(reference).cloned().unwrap_or_default();
        assert_eq!(parcel.free, expected, "what is left of {reference}");
    }
    let seen: BTreeMap<(Ref, DeviceId), Outcome> = view
        .lots
        .iter()
        .flat_map(|(lot, state)| state.outcome.iter().map(|(device, of)| ((*lot, *device), *of)))
        .collect();
    assert_eq!(seen, outcome);
    let mut lost: BTreeMap<Ref, BTreeMap<Ref, UnitSet>> = BTreeMap::new();
    for ((parcel, serial), spends) in &spends {
        for (_, at) in spends {
            let entry = history.all[*at].entry;
            if !won.contains(&(entry, *parcel, *serial)) {
                let of = lost.entry(entry).or_default().entry(*parcel).or_default();
                of.insert_all(&UnitSet::range(*serial, *serial));
            }
        }
    }
    assert_eq!(view.outrun, lost);
    assert_printed(view, &sold);
    assert_boards(view, &history.drop);
    assert!(view.balances().values().all(Balance::holds));
}

/// What boards go by is what claims and parcels say.
fn assert_boards(view: &Holdings, drop: &DropId) {
    let mut claimed: BTreeMap<Ref, UnitSet> = BTreeMap::new();
    for (parcel, units) in view.claims.values().filter_map(|claim| claim.sold()).flat_map(|sold| &sold.units)
    {
        claimed.entry(view.parcels[parcel].lot).or_default().insert_all(units);
    }
    let mut on_hand: BTreeMap<DeviceId, board::OnHand> = BTreeMap::new();
    for parcel in view.parcels.values().filter(|parcel| !parcel.free.is_empty()) {
        let left = parcel.free.difference(&parcel.frozen);
        let back = claimed.get(&parcel.lot).map_or(0, |claimed| claimed.intersection(&left).len());
        let has = board::OnHand { left: left.len(), back, frozen: parcel.frozen.len() };
        on_hand.entry(parcel.owner).or_default().add(&has);
    }
    let minted = view.lots.values().map(|lot| lot.units.len()).sum();
    let claimed = claimed.values().map(UnitSet::len).sum();
    let expected = board::Tally { minted, claimed, on_hand };
    let seen: Vec<_> = view.tallies(drop).map(|(_, tally)| tally.clone()).collect();
    assert_eq!(seen, if minted == 0 { vec![] } else { vec![expected] });
}

fn assert_printed(view: &Holdings, sold: &BTreeMap<(Ref, u32), Ref>) {
    /// The lots that print one serial, the earliest first.
    type Lots = Vec<(Precedence, Ref)>;
    let mut printed: BTreeMap<(Option<Edition>, u32), Lots> = BTreeMap::new();
    for (lot, state) in view.lots.iter().filter(|(_, state)| state.numbered) {
        for serial in state.units.iter() {
            printed.entry((state.edition.clone(), serial)).or_default().push((state.precedence, *lot));
        }
    }
    let mut again: BTreeSet<Ref> = BTreeSet::new();
    let mut sold_again: BTreeSet<Ref> = BTreeSet::new();
    let mut frozen: BTreeMap<Ref, UnitSet> = BTreeMap::new();
    for ((_, serial), lots) in &mut printed {
        lots.sort_unstable();
        let claims: Vec<(Ref, Ref)> =
            lots.iter().filter_map(|(_, lot)| Some((*lot, *sold.get(&(*lot, *serial))?))).collect();
        for (index, (_, lot)) in lots.iter().enumerate() {
            if index > 0 {
                again.insert(*lot);
            }
            if index > 0 || claims.iter().any(|(of, _)| of != lot) {
                frozen.entry(*lot).or_default().insert_all(&UnitSet::range(*serial, *serial));
            }
        }
        if lots.len() > 1 {
            sold_again.extend(claims.iter().skip(1).map(|(_, claim)| *claim));
        }
    }
    for (lot, state) in &view.lots {
        assert_eq!(state.frozen, frozen.get(lot).cloned().unwrap_or_default(), "what is frozen of {lot}");
    }
    for (reference, parcel) in &view.parcels {
        let expected = parcel.free.intersection(&view.lots[&parcel.lot].frozen);
        assert_eq!(parcel.frozen, expected, "what is frozen of {reference}");
    }
    let named: BTreeSet<Ref> = view.printed.incidents().map(|(entry, _)| entry).collect();
    assert_eq!(named, again.union(&sold_again).copied().collect());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn each_unit_is_where_its_own_history_says(seed: u64, steps in 1usize..90, orders: u64) {
        let history = history(seed, steps);
        let usual: Vec<usize> = (0..history.all.len()).collect();
        let view = history.fold(&usual);
        assert_true(&history, &view);
        let mut rng = Rng(orders);
        for _ in 0..3 {
            let other = history.fold(&history.shuffled(&mut rng));
            prop_assert_eq!(&view, &other);
        }
    }
}

/// A hundred devices have sold all of 100,000 units but one each.
#[test]
fn what_a_board_goes_by_is_as_much_as_there_are_holders_however_much_was_sold() {
    let mut view = Holdings::default();
    let (drop, place): (DropId, Place) = ("night".parse().unwrap(), "hall".parse().unwrap());
    let mut written = 0;
    let mut write = |view: &mut Holdings, author: DeviceId, body: Body| {
        written += 1;
        let entry = Ref { chain: ChainId([7; 16]), seq: written };
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&written.to_be_bytes());
        let record = Record { at: Hlc::from_ms(written), body, key: None };
        let effect = view.apply(&Event { entry, drop: &drop, author, hash: Hash(hash), record: &record });
        assert_eq!(effect, Effect::Applied);
        entry
    };
    let (hq, each) = (DeviceId([200; 32]), 1_000);
    let mint = Mint {
        sku: "shirt".parse().unwrap(),
        first: 1,
        last: 100 * each,
        numbered: false,
        place,
        edition: None,
    };
    let lot = write(&mut view, hq, Body::Mint(mint));
    let mut costs = Vec::new();
    for number in 0..100_u32 {
        let till = DeviceId([number as u8; 32]);
        let first = number * each + 1;
        let lines = vec![Line { parcel: lot, units: UnitSet::range(first, first + each - 1) }];
        let parcel =
            write(&mut view, hq, Body::Transfer(Transfer { to: till, lines, aside: None, cause: None }));
        let before = view.steps();
        for serial in first..first + each - 1 {
            let sale = Sale::plain(
                vec![SaleLine { parcel, units: UnitSet::range(serial, serial), unit_price: 1 }],
                None,
            );
            write(&mut view, till, Body::Sale(sale));
        }
        costs.push(view.steps() - before);
    }
    assert_eq!(costs.first(), costs.last());
    let tallies: Vec<_> = view.tallies(&drop).collect();
    let [(_, tally)] = tallies[..] else { panic!("{tallies:?}") };
    assert_eq!((tally.minted, tally.claimed, tally.on_hand.len()), (100_000, 99_900, 100));
    assert!(tally.on_hand.values().all(|has| has.left == 1 && has.back == 0));
}
