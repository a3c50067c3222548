//! Stories of a few entries, each with what must be true after them, in whatever order they come.

use popmesh_proto::payment::Back;
use popmesh_proto::receipt::ReceiptLink;
use popmesh_proto::record::{
    Body, Custody, Damage, Inherit, Line, Mint, Move, Redeem, Refund, Retire, Sale, SaleLine, Transfer,
};
use popmesh_proto::units::UnitSet;

use super::*;

const HQ: DeviceId = DeviceId([1; 32]);
const TILL: DeviceId = DeviceId([2; 32]);
const LOCKER: DeviceId = DeviceId([3; 32]);
const OTHER: DeviceId = DeviceId([4; 32]);

/// What was written so far.
#[derive(Default)]
struct Story(Vec<Written>);

impl Story {
    fn write(&mut self, author: DeviceId, at_ms: u64, body: Body) -> Ref {
        self.write_in(Some("night"), author, at_ms, body)
    }

    fn write_in(&mut self, drop: Option<&str>, author: DeviceId, at_ms: u64, body: Body) -> Ref {
        let of_author = self.0.iter().filter(|one| one.author == author).count() as u64;
        let entry = Ref { chain: ChainId([author.0[0]; 16]), seq: of_author + 1 };
        let record = Record { at: Hlc::from_ms(at_ms), body, key: None };
        let hash = Hash([self.0.len() as u8; 32]);
        let drop = drop.map(|drop| drop.parse().unwrap());
        self.0.push(Written { entry, author, hash, drop, record });
        entry
    }

    fn mint(&mut self, by: DeviceId, last: u32) -> Ref {
        let (sku, place) = ("shirt".parse().unwrap(), hall());
        self.write(by, 1, Body::Mint(Mint { sku, first: 1, last, numbered: true, place, edition: None }))
    }

    fn give(&mut self, by: DeviceId, at_ms: u64, to: DeviceId, lines: Vec<Line>) -> Ref {
        self.write(by, at_ms, Body::Transfer(Transfer { to, lines, aside: None, cause: None }))
    }

    fn sell(&mut self, by: DeviceId, at_ms: u64, pickup_at: Option<DeviceId>, line: Line) -> Ref {
        let sale =
            Sale::plain(vec![SaleLine { parcel: line.parcel, units: line.units, unit_price: 1 }], pickup_at);
        self.write(by, at_ms, Body::Sale(sale))
    }

    fn redeem(&mut self, by: DeviceId, at_ms: u64, claim: Ref, under: Ref) -> Ref {
        self.write(by, at_ms, Body::Redeem(Redeem { claim, under, token: None, compartments: None }))
    }

    fn refund(
        &mut self,
        by: DeviceId,
        at_ms: u64,
        (claim, under): (Ref, Ref),
        line: Line,
        damaged: bool,
    ) -> Ref {
        let refund = Refund {
            claim,
            under,
            lines: vec![line],
            place: hall(),
            damaged,
            handed_out: None,
            receipt: ReceiptLink::FIRST,
            back: Back::default(),
            unclaimed: None,
        };
        self.write(by, at_ms, Body::Refund(refund))
    }

    /// What is true, read forwards and backwards.
    fn truth(&self) -> Truth {
        let truth = super::truth(&self.0, Fault::None);
        let back: Vec<Written> = self.0.iter().rev().cloned().collect();
        assert_eq!(super::truth(&back, Fault::None), truth, "by the order in which entries are read");
        truth
    }
}

fn hall() -> Place {
    "hall".parse().unwrap()
}

fn line(parcel: Ref, first: u32, last: u32) -> Line {
    Line { parcel, units: UnitSet::range(first, last) }
}

fn held(parcel: Ref, holder: DeviceId) -> Fate {
    Fate::Held { parcel, holder, place: hall() }
}

#[test]
fn a_unit_goes_from_its_mint_to_whoever_it_was_given_and_sold_to() {
    let mut story = Story::default();
    let lot = story.mint(HQ, 4);
    let given = story.give(HQ, 2, TILL, vec![line(lot, 1, 3)]);
    let claim = story.sell(TILL, 3, None, line(given, 1, 1));
    story.write(TILL, 4, Body::Damage(Damage { lines: vec![line(given, 2, 2)] }));
    let yard: Place = "yard".parse().unwrap();
    let moved =
        story.write(TILL, 5, Body::Move(Move { place: yard.clone(), lines: vec![line(given, 3, 3)] }));
    let truth = story.truth();
    assert_eq!(truth.units[&(lot, 1)], Fate::Claimed { claim });
    assert_eq!(truth.units[&(lot, 2)], Fate::Damaged);
    assert_eq!(truth.units[&(lot, 3)], Fate::Held { parcel: moved, holder: TILL, place: yard });
    assert_eq!(truth.units[&(lot, 4)], held(lot, HQ));
    assert_eq!(truth.claims[&claim].handed_out, Some(claim));
}

#[test]
fn nobody_spends_what_another_holds_or_what_is_of_another_drop() {
    let mut story = Story::default();
    let lot = story.mint(HQ, 2);
    let stolen = story.sell(TILL, 2, None, line(lot, 1, 1));
    let lines = vec![line(lot, 2, 2)];
    story.write_in(Some("day"), HQ, 3, Body::Damage(Damage { lines }));
    let truth = story.truth();
    assert_eq!([&truth.units[&(lot, 1)], &truth.units[&(lot, 2)]], [&held(lot, HQ); 2]);
    assert!(!truth.claims.contains_key(&stolen));
}

#[test]
fn of_two_that_spend_a_unit_the_earlier_has_it_and_what_follows_from_the_other_lacks_it() {
    let mut story = Story::default();
    let lot = story.mint(HQ, 2);
    let late = story.give(HQ, 20, TILL, vec![line(lot, 1, 2)]);
    let early = story.give(HQ, 10, OTHER, vec![line(lot, 1, 1)]);
    let empty = story.sell(TILL, 21, None, line(late, 1, 1));
    let truth = story.truth();
    assert_eq!(truth.units[&(lot, 1)], held(early, OTHER));
    assert_eq!(truth.units[&(lot, 2)], held(late, TILL));
    // It counts, and has nothing to hand over.
    assert!(truth.claims.contains_key(&empty));
}

#[test]
fn a_claim_is_its_custodians_alone_and_handed_out_once() {
    let mut story = Story::default();
    let lot = story.mint(TILL, 1);
    let claim = story.sell(TILL, 2, Some(LOCKER), line(lot, 1, 1));
    story.redeem(OTHER, 3, claim, claim);
    let moved = story.write(LOCKER, 5, Body::Custody(Custody::of(claim, claim, OTHER)));
    // By its clock before it gave custody away, and written after: the line goes by the clock.
    let first = story.redeem(OTHER, 6, claim, moved);
    story.redeem(OTHER, 7, claim, moved);
    let truth = story.truth();
    assert_eq!((truth.claims[&claim].custodian, truth.claims[&claim].handed_out), (OTHER, Some(first)));
}

#[test]
fn what_is_taken_back_is_for_sale_again_unless_it_is_torn_and_only_while_it_is_there() {
    for damaged in [false, true] {
        let mut story = Story::default();
        let lot = story.mint(TILL, 2);
        let claim = story.sell(TILL, 2, Some(LOCKER), line(lot, 1, 2));
        let back = story.refund(LOCKER, 3, (claim, claim), line(lot, 1, 1), damaged);
        story.refund(LOCKER, 4, (claim, claim), line(lot, 1, 1), damaged);
        let truth = story.truth();
        let fate = if damaged { Fate::Damaged } else { held(back, LOCKER) };
        assert_eq!((&truth.units[&(lot, 1)], &truth.units[&(lot, 2)]), (&fate, &Fate::Claimed { claim }));
        assert_eq!(truth.claims[&claim].refunds.len(), 1);
    }
}

#[test]
fn what_a_retired_device_writes_late_is_nothing_and_its_heir_has_what_it_held() {
    let mut story = Story::default();
    let lot = story.mint(TILL, 2);
    let last = story.sell(TILL, 2, None, line(lot, 1, 1));
    let late = story.sell(TILL, 3, None, line(lot, 2, 2));
    let retire = |device, cut, under| Body::Retire(Retire { device, cut, under, parts: None });
    let retirement = story.write_in(None, HQ, 10, retire(TILL, vec![last], None));
    let inherit = |retirement, lines| Body::Inherit(Inherit { retirement, lines, heirs: None });
    let taken = story.write(HQ, 11, inherit(retirement, vec![line(lot, 1, 2)]));
    // Of two retirements the earlier counts, and so does who takes over.
    let second = story.write_in(None, OTHER, 12, retire(TILL, vec![last], None));
    story.write(OTHER, 13, inherit(second, vec![line(lot, 2, 2)]));
    let truth = story.truth();
    assert_eq!(truth.retired[&TILL].by, HQ);
    assert_eq!(truth.units[&(lot, 1)], Fate::Claimed { claim: last });
    assert_eq!(truth.units[&(lot, 2)], held(taken, HQ));
    assert!(!truth.claims.contains_key(&late));
}
