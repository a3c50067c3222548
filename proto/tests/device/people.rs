//! Sealed personal data: its payloads reach every device that has the entry, in any order and over any cut, and once erased
//! they are nowhere and stay so. In here a payload is just bytes.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::command::{
    Command, Erased, Payload, PersonalAdd, PersonalErase, PersonalInfo, Refusal, Reply, Retire,
};
use popmesh_proto::id::Ref;
use popmesh_proto::io::Input;
use popmesh_proto::message::{
    AskSealed, MAX_MESSAGE, MAX_SEALED_ASKED, Message, SealedPart, SealedParts, decode, encode,
};
use popmesh_proto::query::{Answer, PeopleFilter, Query, SealedFilter};
use popmesh_proto::record::{Consent, PersonalKind};

use crate::altered::altered;
use crate::rng::Rng;
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const OTHER: usize = 2;

fn hall(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq,registrar", "hall");
    world.add("till", "pos", "hall");
    world.add("other", "pos", "hall");
    world
}

fn note(world: &mut World, shopper: Option<&str>) -> PersonalAdd {
    PersonalAdd {
        kind: PersonalKind::Contact,
        shopper: shopper.map(|shopper| shopper.parse().unwrap()),
        sku: None,
        drop: None,
        consent: Some(Consent { text: "mail about the next drop".to_owned(), version: "2".to_owned() }),
        sealed: (0..256).map(|_| world.rng.next() as u8).collect(),
    }
}

fn take(world: &mut World, at: usize, shopper: Option<&str>) -> Ref {
    let add = note(world, shopper);
    match world.done(at, Command::PersonalAdd(add)) {
        Ok(Reply::Personal(personal)) => personal.entry,
        other => panic!("{other:?}"),
    }
}

fn erase(world: &mut World, at: usize, entry: Ref) -> Result<Erased, Refusal> {
    let erase = PersonalErase { shopper: None, entry: Some(entry) };
    erased(world.done(at, Command::PersonalErase(erase)))
}

fn erase_shopper(world: &mut World, at: usize, shopper: &str) -> Result<Erased, Refusal> {
    let erase = PersonalErase { shopper: Some(shopper.parse().unwrap()), entry: None };
    erased(world.done(at, Command::PersonalErase(erase)))
}

fn erased(result: Result<Reply, Refusal>) -> Result<Erased, Refusal> {
    result.map(|reply| match reply {
        Reply::Erased(erased) => erased,
        other => panic!("{other:?}"),
    })
}

fn people(world: &mut World, at: usize) -> Vec<PersonalInfo> {
    match world.query(at, Query::People(PeopleFilter::default())) {
        Answer::People(people) => people.items,
        other => panic!("{other:?}"),
    }
}

fn states(world: &mut World, at: usize) -> BTreeMap<Ref, Payload> {
    people(world, at).into_iter().map(|info| (info.entry, info.payload)).collect()
}

/// What is on a device's disk.
fn on_disk(world: &World, at: usize) -> BTreeSet<Ref> {
    world.nodes[at].payloads.keys().copied().collect()
}

/// Lets those that are linked finish; some may not be.
fn settle(world: &mut World) {
    world.run_ms(8_000);
    world.assert_sound();
}

/// The same where all are linked.
fn settle_all(world: &mut World) {
    world.converge(20_000);
    settle(world);
    world.assert_agreed();
}

#[test]
fn a_payload_reaches_everybody_and_outlives_who_took_it() {
    let mut world = hall(1);
    world.link(HQ, TILL);
    let entry = take(&mut world, TILL, Some("order-1"));
    settle(&mut world);
    assert_eq!(states(&mut world, HQ), BTreeMap::from([(entry, Payload::Here)]));
    // The till dies; a device that comes later has it from the hq.
    world.power_cut(TILL);
    world.link(HQ, OTHER);
    settle(&mut world);
    assert_eq!(world.nodes[OTHER].payloads, world.nodes[TILL].payloads);
    assert_eq!(on_disk(&world, OTHER), BTreeSet::from([entry]));
    // And the till's new disk has it from them.
    world.nodes[TILL].stored.clear();
    world.nodes[TILL].durable.clear();
    world.nodes[TILL].payloads.clear();
    world.power_on(TILL);
    settle(&mut world);
    assert_eq!(on_disk(&world, TILL), BTreeSet::from([entry]));
}

#[test]
fn it_is_durable_before_anybody_hears_of_it() {
    let mut world = hall(2);
    world.link_all();
    settle_all(&mut world);
    world.stall(TILL, true);
    let add = note(&mut world, None);
    let call = world.command(TILL, Command::PersonalAdd(add));
    world.run_ms(5_000);
    assert!(!world.is_answered(call));
    assert_eq!(people(&mut world, HQ), []);
    world.power_cut_with(TILL, true);
    world.power_on(TILL);
    settle(&mut world);
    assert_eq!(on_disk(&world, HQ).len(), 1, "with its entry its payload was written");
}

#[test]
fn an_entry_does_not_wait_for_its_payload_and_the_next_peer_is_asked() {
    let mut world = hall(3);
    world.link(HQ, TILL);
    let entry = take(&mut world, TILL, None);
    settle(&mut world);
    world.cut(HQ, TILL);
    // Lost at the hq, which has the entry all the same.
    world.power_cut(HQ);
    world.nodes[HQ].payloads.clear();
    world.power_on(HQ);
    world.link(HQ, OTHER);
    settle(&mut world);
    assert_eq!(states(&mut world, OTHER), BTreeMap::from([(entry, Payload::Missing)]));
    assert_eq!(world.nodes[TILL].payloads.len(), 1);
    // The other had asked the hq, which now hears of it, and passes it on at once.
    world.link(HQ, TILL);
    world.run_ms(500);
    assert_eq!(states(&mut world, OTHER), BTreeMap::from([(entry, Payload::Here)]));
    settle(&mut world);
}

#[test]
fn a_payload_that_is_not_the_one_that_was_written_is_not_taken() {
    let mut world = hall(4);
    world.link(HQ, TILL);
    let entry = take(&mut world, TILL, None);
    settle(&mut world);
    world.power_cut(HQ);
    let real = world.nodes[HQ].payloads.remove(&entry).unwrap();
    // A disk that has turned a bit of it: it is asked for again.
    let mut spoiled = real.clone();
    spoiled[17] ^= 1;
    world.nodes[HQ].payloads.insert(entry, spoiled.clone());
    world.cut(HQ, TILL);
    world.power_on(HQ);
    world.run_ms(100);
    assert_eq!(states(&mut world, HQ), BTreeMap::from([(entry, Payload::Missing)]));
    assert_eq!(on_disk(&world, HQ), BTreeSet::new());
    world.link(HQ, OTHER);
    settle(&mut world);
    let unknown = Ref { seq: entry.seq + 1, ..entry };
    for (of, payload) in
        [(entry, spoiled), (entry, real[..255].to_vec()), (entry, Vec::new()), (unknown, real.clone())]
    {
        let parts = vec![SealedPart { entry: of, payload: payload.into() }];
        world.hand(OTHER, HQ, encode(&Message::Sealed(SealedParts { parts, lacking: Vec::new() })));
        assert_eq!(on_disk(&world, HQ), BTreeSet::new());
    }
    let many = vec![SealedPart { entry, payload: real.clone().into() }; MAX_SEALED_ASKED + 1];
    world.hand(OTHER, HQ, encode(&Message::Sealed(SealedParts { parts: many, lacking: Vec::new() })));
    world.hand(
        OTHER,
        HQ,
        encode(&Message::AskSealed(AskSealed { entries: vec![entry; MAX_SEALED_ASKED + 1] })),
    );
    assert_eq!(on_disk(&world, HQ), BTreeSet::new());
    let parts = vec![SealedPart { entry, payload: real.into() }];
    world.hand(OTHER, HQ, encode(&Message::Sealed(SealedParts { parts, lacking: Vec::new() })));
    assert_eq!(on_disk(&world, HQ), BTreeSet::from([entry]));
}

#[test]
fn what_is_erased_is_on_no_disk_in_whatever_order_things_come() {
    // The entry, its payload and the erasure reach the third device in each order that there is.
    for seed in 0..40 {
        let mut world = hall(100 + seed);
        let order = seed % 4;
        world.link(HQ, TILL);
        let entry = take(&mut world, TILL, Some("order-7"));
        let kept = take(&mut world, TILL, Some("order-8"));
        settle(&mut world);
        if order == 0 {
            world.link_all();
            settle(&mut world);
            assert_eq!(on_disk(&world, OTHER).len(), 2);
        }
        if order == 1 {
            // It has the entry alone: those who have the payload are cut off before it has asked.
            world.link(OTHER, HQ);
            while people(&mut world, OTHER).len() < 2 {
                world.run_ms(1);
            }
            world.isolate(OTHER);
            assert_eq!(on_disk(&world, OTHER), BTreeSet::new(), "it has more than the entries");
        }
        let by_shopper = seed % 2 == 0;
        let done =
            if by_shopper { erase_shopper(&mut world, HQ, "order-7") } else { erase(&mut world, HQ, entry) };
        assert_eq!(done.unwrap().erased.len(), 1);
        if order == 2 {
            // The till that has it hears of the erasure last.
            world.cut(HQ, TILL);
            world.link(OTHER, HQ);
            settle(&mut world);
            assert_eq!(on_disk(&world, OTHER), BTreeSet::from([kept]));
            let real = world.nodes[TILL].payloads.get(&entry).cloned();
            if let Some(payload) = real {
                let parts = vec![SealedPart { entry, payload: payload.into() }];
                world.hand(TILL, OTHER, encode(&Message::Sealed(SealedParts { parts, lacking: Vec::new() })));
            }
        }
        world.link_all();
        settle_all(&mut world);
        for at in [HQ, TILL, OTHER] {
            assert_eq!(on_disk(&world, at), BTreeSet::from([kept]), "seed {seed}, device {at}");
            let expected = BTreeMap::from([(entry, Payload::Erased), (kept, Payload::Here)]);
            assert_eq!(states(&mut world, at), expected, "seed {seed}, device {at}");
            // After a restart, too.
            world.power_cut(at);
            world.power_on(at);
        }
        settle(&mut world);
        for at in [HQ, TILL, OTHER] {
            assert_eq!(on_disk(&world, at), BTreeSet::from([kept]), "seed {seed}, device {at}");
        }
        // The entry and its hash stay.
        let info = people(&mut world, OTHER).into_iter().find(|info| info.entry == entry).unwrap();
        assert_eq!((info.size, info.erased_at_ms.is_some()), (256, true));
    }
}

#[test]
fn an_erasure_of_a_shopper_covers_what_was_taken_before_it_and_comes_later() {
    let mut world = hall(5);
    let before = take(&mut world, TILL, Some("order-7"));
    world.run_ms(1_000);
    // The hq has never heard of it.
    assert_eq!(erase_shopper(&mut world, HQ, "order-7").unwrap().erased, []);
    world.run_ms(1_000);
    let after = take(&mut world, OTHER, Some("order-7"));
    world.link_all();
    settle_all(&mut world);
    for at in [HQ, TILL, OTHER] {
        assert_eq!(on_disk(&world, at), BTreeSet::from([after]), "device {at}");
        assert_eq!(states(&mut world, at)[&before], Payload::Erased);
    }
}

#[test]
fn an_erasure_of_a_shopper_covers_what_a_device_with_a_fast_clock_took() {
    let mut world = hall(11);
    world.nodes[TILL].ahead_ms = 3_600_000;
    world.link_all();
    let entry = take(&mut world, TILL, Some("order-7"));
    settle_all(&mut world);
    assert_eq!(erase_shopper(&mut world, HQ, "order-7").unwrap().erased[0].payload, Payload::Erased);
    settle_all(&mut world);
    for at in [HQ, TILL, OTHER] {
        assert_eq!(states(&mut world, at), BTreeMap::from([(entry, Payload::Erased)]), "device {at}");
        assert_eq!(on_disk(&world, at), BTreeSet::new());
    }
}

#[test]
fn a_device_erases_what_it_took_itself_and_nothing_else() {
    let mut world = hall(6);
    world.link_all();
    let entry = take(&mut world, TILL, Some("order-7"));
    settle(&mut world);
    let refused = erase(&mut world, OTHER, entry).unwrap_err();
    assert!(matches!(refused, Refusal::RoleForbids { .. }), "{refused}");
    assert!(matches!(erase_shopper(&mut world, TILL, "order-7"), Err(Refusal::RoleForbids { .. })));
    let unknown = Ref { seq: 99, ..entry };
    assert!(matches!(erase(&mut world, HQ, unknown), Err(Refusal::UnknownPersonal { .. })));
    let neither = PersonalErase { shopper: None, entry: None };
    assert!(matches!(world.done(HQ, Command::PersonalErase(neither)), Err(Refusal::Invalid { .. })));
    assert_eq!(on_disk(&world, OTHER), BTreeSet::from([entry]));
    assert!(erase(&mut world, TILL, entry).unwrap().entry.is_some());
    settle(&mut world);
    for at in [HQ, TILL, OTHER] {
        assert_eq!(on_disk(&world, at), BTreeSet::new());
    }
    // Once is enough.
    let again = erase(&mut world, HQ, entry).unwrap();
    assert_eq!((again.entry, again.erased.len()), (None, 1));
}

#[test]
fn a_retired_device_s_data_stays_and_can_be_erased() {
    let mut world = hall(7);
    world.link_all();
    let entry = take(&mut world, TILL, None);
    settle(&mut world);
    world.power_cut(TILL);
    world.run_ms(90_000);
    let retire = Retire { device: world.nodes[TILL].id, at_risk: 0, reachable: false };
    world.done(HQ, Command::Retire(retire)).unwrap();
    settle(&mut world);
    assert_eq!(states(&mut world, OTHER), BTreeMap::from([(entry, Payload::Here)]));
    erase(&mut world, HQ, entry).unwrap();
    settle(&mut world);
    assert_eq!(on_disk(&world, OTHER), BTreeSet::new());
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut world = hall(8);
    let good = note(&mut world, Some("order-1"));
    let bad = |change: &dyn Fn(&mut PersonalAdd)| {
        let mut add = good.clone();
        change(&mut add);
        add
    };
    let consent =
        |text: &str, version: &str| Some(Consent { text: text.to_owned(), version: version.to_owned() });
    for add in [
        bad(&|add| add.sealed = vec![0; 255]),
        bad(&|add| add.sealed = vec![0; 8192]),
        bad(&|add| add.sealed.clear()),
        bad(&|add| add.consent = None),
        bad(&|add| add.consent = consent("", "1")),
        bad(&|add| add.consent = consent("yes", "")),
        bad(&|add| add.consent = consent(&"x".repeat(401), "1")),
        bad(&|add| add.consent = consent("a\u{1b}[2J", "1")),
        bad(&|add| add.kind = PersonalKind::Waitlist),
        bad(&|add| add.sku = Some("TEE".parse().unwrap())),
        bad(&|add| {
            add.kind = PersonalKind::Waitlist;
            add.sku = Some("TEE".parse().unwrap());
        }),
        bad(&|add| {
            add.kind = PersonalKind::Waitlist;
            add.drop = Some("none".parse().unwrap());
        }),
    ] {
        let refused = world.done(TILL, Command::PersonalAdd(add.clone()));
        assert!(refused.is_err(), "{add:?}");
    }
    assert_eq!(world.nodes[TILL].stored.len(), 0);
    // The crew's own note needs no consent.
    let add = bad(&|add| {
        add.kind = PersonalKind::Note;
        add.consent = None;
    });
    assert!(world.done(TILL, Command::PersonalAdd(add)).is_ok());
}

#[test]
fn many_are_fetched_over_links_that_lose_and_repeat() {
    for seed in 0..6 {
        let mut world = hall(200 + seed);
        world.add("far", "pos", "hall");
        let mut all = BTreeSet::new();
        for shopper in 0..100 {
            let at = TILL + shopper % 2;
            all.insert(take(&mut world, at, Some(&format!("order-{shopper}"))));
        }
        let gone: Vec<Ref> = all.iter().copied().step_by(7).collect();
        world.conditions.lost_per_mille = 200;
        world.conditions.twice_per_mille = 200;
        world.link(HQ, TILL);
        world.link(HQ, OTHER);
        world.link(HQ, 3);
        for (step, entry) in gone.iter().enumerate() {
            world.run_ms(300);
            if step % 3 == 0 {
                let at = world.rng.below(4) as usize;
                world.power_cut(at);
                world.power_on(at);
            }
            // Whoever has heard of it.
            while !states(&mut world, HQ).contains_key(entry) {
                world.run_ms(100);
            }
            erase(&mut world, HQ, *entry).unwrap();
            all.remove(entry);
        }
        // A payload that was asked for in vain five times in a row is asked for again after a minute.
        let until = world.time + 300_000;
        while (0..4).any(|at| on_disk(&world, at) != all) {
            assert!(world.time < until, "seed {seed}: still different");
            world.run_ms(200);
        }
        world.conditions.lost_per_mille = 0;
        settle(&mut world);
        assert!((0..4).all(|at| on_disk(&world, at) == all));
    }
}

#[test]
fn payloads_are_listed_in_pages_and_erased_ones_are_not() {
    let mut world = hall(9);
    let entries: BTreeSet<Ref> = (0..5).map(|_| take(&mut world, TILL, None)).collect();
    let gone = *entries.first().unwrap();
    erase(&mut world, TILL, gone).unwrap();
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let filter = SealedFilter { after, limit: Some(2), ..SealedFilter::default() };
        let Answer::Sealed(page) = world.query(TILL, Query::Sealed(filter)) else { panic!("no payloads") };
        assert!(page.items.len() <= 2, "no more than was asked for");
        seen.extend(page.items.iter().map(|sealed| sealed.info.entry));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, entries.iter().skip(1).copied().collect::<Vec<_>>());
}

#[test]
fn altered_payload_messages_get_nothing_in() {
    let mut world = hall(10);
    world.link(HQ, TILL);
    let entries: Vec<Ref> = (0..4).map(|_| take(&mut world, TILL, None)).collect();
    settle(&mut world);
    let real = world.nodes[TILL].payloads.clone();
    world.power_cut(HQ);
    world.nodes[HQ].payloads.clear();
    world.cut(HQ, TILL);
    world.power_on(HQ);
    let parts =
        real.iter().map(|(entry, payload)| SealedPart { entry: *entry, payload: payload.clone().into() });
    let messages = [
        encode(&Message::Sealed(SealedParts { parts: parts.collect(), lacking: entries.clone() })),
        encode(&Message::AskSealed(AskSealed { entries })),
    ];
    let from = world.nodes[OTHER].id;
    let mut rng = Rng::new(5);
    let (mut read, mut got) = (0, 0);
    for round in 0..20_000 {
        let bytes = altered(&mut rng, &messages[round % 2]);
        if let Ok(message) = decode::<Message>(&bytes, MAX_MESSAGE) {
            read += 1;
            assert_eq!(decode::<Message>(&encode(&message), MAX_MESSAGE).unwrap(), message);
        }
        world.give(HQ, Input::Message { from, bytes });
        world.run_ms(5);
        for (entry, payload) in &world.nodes[HQ].payloads {
            assert_eq!(real.get(entry), Some(payload), "round {round}");
        }
        if world.nodes[HQ].payloads.len() == real.len() {
            got += 1;
            world.power_cut(HQ);
            world.nodes[HQ].payloads.clear();
            world.power_on(HQ);
        }
    }
    println!("20000 altered messages: {read} could be read, {got} times all that was whole had come");
    assert!(read > 2_000 && got > 10, "the changes hardly get past the parser");
}
