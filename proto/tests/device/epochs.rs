//! The epochs of the event's secret: a retirement begins one that the retired device never gets, tags of PINs are made under
//! it, and whoever comes later is given it.

use popmesh_proto::Device;
use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{Claim, Command, Redeem, Refusal, Reply, Sell};
use popmesh_proto::epochs::Epochs;
use popmesh_proto::fact::Fact;
use popmesh_proto::id::Ref;
use popmesh_proto::pin::{EventSecrets, Pin};
use popmesh_proto::query::{Answer, Query, SecretInfo};
use popmesh_proto::record::{Body, Record};
use popmesh_proto::token::{SignedToken, UnprovenToken, from_text};
use popmesh_proto::trust::Retirements;

use crate::barred::retire;
use crate::event::{claim_of, sell};
use crate::world::World;

const HQ: usize = 0;
const TILL: usize = 1;
const STOLEN: usize = 2;
const DESK: usize = 3;
const LOCKER: usize = 4;

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq,registrar", "hall");
    world.add("till", "pos", "hall");
    world.add("stolen", "pos", "hall");
    world.add("desk", "hq,registrar", "hall");
    world.add("locker", "locker", "hall");
    world.link_all();
    world.open_drop(HQ, 40);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn secret(world: &mut World, at: usize) -> SecretInfo {
    world.status(at).secret
}

/// Sells at the till with a PIN for pickup at the locker: the claim, and the text of its token.
fn sold(world: &mut World, pin: &str) -> (Claim, String) {
    let pickup_at = Some(world.nodes[LOCKER].id);
    let sell = Sell { pickup_at, pin: Some(pin.parse().unwrap()), ..sell(1, 5_000) };
    let claim = claim_of(world.done(TILL, Command::Sell(sell)));
    match world.query(TILL, Query::Token(claim.claim)) {
        Answer::Token(Ok(token)) => (claim, token.token),
        other => panic!("{other:?}"),
    }
}

fn redeem(world: &mut World, at: usize, token: &str, pin: &str) -> Result<Reply, Refusal> {
    let pin = Some(pin.parse().unwrap());
    world.done(at, Command::Redeem(Redeem { pin, ..Redeem::by_token(token.to_owned()) }))
}

/// What somebody finds who has a photo of a token, and some secrets: the PIN, if any of ten thousand fits.
fn found(secrets: &EventSecrets, token: &str) -> Option<String> {
    let token = UnprovenToken::parse(&from_text(token).unwrap()).unwrap();
    let (tag, claim) = (token.token().pin.expect("it has a PIN"), token.token().claim);
    let guesses = (0..10_000).map(|number| format!("{number:04}"));
    // With whatever secret there is, whether or not it is the one that the tag names.
    let fits = |pin: &Pin| {
        secrets.all().any(|secret| {
            let one = EventSecrets { first: Some(secret.clone()), later: vec![secret.clone()] };
            let made = popmesh_proto::pin::PinTag::of(&one, &claim, pin);
            made.is_some_and(|made| made.code == tag.code)
        })
    };
    guesses.into_iter().find(|guess| fits(&guess.parse().unwrap()))
}

#[test]
fn a_photo_and_a_stolen_disk_open_claims_from_before_the_retirement_alone() {
    let mut world = evening(1);
    let (_, before) = sold(&mut world, "0417");
    world.converge(5_000);
    let stolen = world.nodes[STOLEN].id;
    let disk = world.nodes[STOLEN].secrets.clone();
    assert_eq!(found(&disk, &before).as_deref(), Some("0417"), "one secret for all: it is found at once");
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(12_000);
    let (_, after) = sold(&mut world, "0417");
    let disk = world.nodes[STOLEN].secrets.clone();
    assert_eq!(found(&disk, &after), None, "ten thousand PINs, with every secret on that disk");
    assert_eq!(found(&disk, &before).as_deref(), Some("0417"), "that is lost");
    let ours = world.nodes[TILL].secrets.clone();
    assert_eq!(found(&ours, &after).as_deref(), Some("0417"), "the search would find it");
    assert!(matches!(redeem(&mut world, LOCKER, &after, "0418"), Err(Refusal::WrongPin { .. })));
    assert!(matches!(redeem(&mut world, LOCKER, &after, "0417"), Ok(Reply::Redeemed(_))));
    assert!(matches!(redeem(&mut world, LOCKER, &before, "0417"), Ok(Reply::Redeemed(_))));
    world.converge(5_000);
    world.assert_agreed();
}

#[test]
fn retirement_and_epoch_are_one_write_and_everybody_says_which_it_has() {
    let mut world = evening(2);
    let stolen = world.nodes[STOLEN].id;
    assert_eq!(secret(&mut world, HQ), SecretInfo { epochs: 1, ..SecretInfo::default() });
    let before = world.nodes[HQ].stored.len();
    retire(&mut world, HQ, stolen).unwrap();
    let kinds: Vec<&str> = world.nodes[HQ].stored[before..]
        .iter()
        .filter_map(|entry| Some(Record::decode(&entry.body).ok()?.body.kind()))
        .collect();
    let at = kinds.iter().position(|kind| *kind == "retirement").unwrap();
    assert!(kinds[at..].contains(&"renewal of the event's secret"), "{kinds:?}");
    world.converge(5_000);
    let known = secret(&mut world, HQ);
    assert!(
        known.epoch.is_some() && known.epochs == 2 && !known.lacks_newest && known.exposed == 0,
        "{known:?}"
    );
    for at in [TILL, DESK, LOCKER] {
        assert_eq!(secret(&mut world, at), known, "device {at}");
        let told = |fact: &Fact| matches!(fact, Fact::SecretRenewed { by_name, without, .. } if by_name == "hq" && without == &["stolen"]);
        assert_eq!(world.facts.iter().filter(|(of, fact)| *of == at && told(fact)).count(), 1);
    }
    let Answer::Devices(devices) = world.query(TILL, Query::Devices) else { panic!("no devices") };
    for info in devices {
        let is_stolen = info.device == stolen;
        assert_eq!(info.has_newest_secret, Some(!is_stolen), "{}", info.name);
        assert_eq!(info.retired_by.as_deref(), is_stolen.then_some("hq"));
    }
    // The same after a power cut, from the log alone.
    world.power_cut(TILL);
    world.power_on(TILL);
    assert_eq!(secret(&mut world, TILL), known);
    assert_eq!(world.nodes[TILL].secrets, world.nodes[HQ].secrets);
}

#[test]
fn two_registrars_at_once_and_the_secret_is_kept_from_both_that_were_retired() {
    let mut world = evening(3);
    world.isolate(HQ);
    world.run_ms(10_000);
    let [stolen, locker] = [STOLEN, LOCKER].map(|at| world.nodes[at].id);
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(1_000);
    retire(&mut world, DESK, locker).unwrap();
    world.run_ms(1_000);
    // What each made went to the other's lost device.
    world.link(HQ, DESK);
    world.link(HQ, TILL);
    world.run_ms(5_000);
    world.converge(20_000);
    for at in [HQ, TILL, DESK] {
        let known = secret(&mut world, at);
        assert_eq!((known.exposed, known.lacks_newest), (0, false), "device {at}: {known:?}");
        let current = world.nodes[at].secrets.later.first().cloned().unwrap();
        for of in [STOLEN, LOCKER] {
            assert!(!world.nodes[of].secrets.all().any(|secret| *secret == current), "device {of} has it");
        }
    }
    // Two, and one that makes up for both: no more.
    let known = secret(&mut world, TILL);
    assert_eq!(known.epochs, 4);
    let entries = world.status(TILL).entries;
    world.run_ms(120_000);
    assert_eq!(world.status(TILL).entries, entries, "and that is the end of it");
}

#[test]
fn who_comes_later_or_was_admitted_by_who_had_not_heard_is_given_it() {
    let mut world = evening(4);
    let stolen = world.nodes[STOLEN].id;
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(2_000);
    let late = world.add("late", "pos", "hall");
    for at in [HQ, TILL, DESK, LOCKER] {
        world.link(at, late);
    }
    world.run_ms(5_000);
    world.converge(10_000);
    assert!(!secret(&mut world, late).lacks_newest);
    assert_eq!(world.nodes[late].secrets, world.nodes[HQ].secrets);
}

#[test]
fn another_hq_gives_it_where_who_made_it_is_gone() {
    let mut world = evening(5);
    let stolen = world.nodes[STOLEN].id;
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(2_000);
    world.converge(5_000);
    world.power_cut(HQ);
    let late = world.add("late", "pos", "hall");
    world.link(DESK, late);
    world.run_ms(10_000);
    assert!(secret(&mut world, late).lacks_newest, "the desk waits for the hq");
    world.run_ms(40_000);
    assert!(!secret(&mut world, late).lacks_newest);
}

#[test]
fn who_lacks_the_epoch_of_a_tag_says_so_and_is_not_locked() {
    let mut world = evening(6);
    world.isolate(LOCKER);
    let stolen = world.nodes[STOLEN].id;
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(2_000);
    let (_, token) = sold(&mut world, "0417");
    for _ in 0..7 {
        let refused = redeem(&mut world, LOCKER, &token, "0417").unwrap_err();
        let said = refused.to_string();
        assert!(matches!(refused, Refusal::Certificate { .. }) && said.contains("linked to an hq"), "{said}");
    }
    world.link(LOCKER, HQ);
    world.run_ms(3_000);
    assert!(matches!(redeem(&mut world, LOCKER, &token, "0417"), Ok(Reply::Redeemed(_))));
}

/// Whatever the order in which the records of a night come, the same epoch counts.
#[test]
fn the_order_in_which_records_come_does_not_matter() {
    for seed in 0..12 {
        let mut world = evening(100 + seed);
        let [hq, desk, stolen, locker] = [HQ, DESK, STOLEN, LOCKER].map(|at| world.nodes[at].id);
        // Retirements on two sides, some before and some after the halves are apart; one registrar retires the other in some.
        world.cut(HQ, DESK);
        world.cut(TILL, DESK);
        world.cut(HQ, LOCKER);
        for step in 0..5 {
            let by = [HQ, DESK][world.rng.below(2) as usize];
            let of = [stolen, locker, hq, desk][world.rng.below(4) as usize];
            let _ = retire(&mut world, by, of);
            let pause = world.rng.below(4_000);
            world.run_ms(pause);
            if step == 2 && world.rng.chance(500) {
                world.link(HQ, DESK);
            }
        }
        world.link_all();
        world.run_ms(60_000);
        let of = world.in_touch();
        let device = |at: usize| -> &Device { world.nodes[at].device.as_ref().unwrap() };
        let retired: Retirements = device(of[0]).trust().retired().clone();
        let order = device(of[0]).trust().epochs().in_order(&retired);
        for at in &of {
            let trust = device(*at).trust();
            assert_eq!(trust.epochs().in_order(trust.retired()), order, "seed {seed}, device {at}");
        }
        let mut records: Vec<(Ref, popmesh_proto::id::DeviceId, (Hlc, popmesh_proto::id::Hash), Body)> =
            Vec::new();
        for chain in device(of[0]).log().chains() {
            for seq in 1..=chain.len() {
                let Ok(record) = Record::decode(chain.body(seq).unwrap()) else { continue };
                if matches!(record.body, Body::Epoch(_) | Body::EpochCopies(_)) {
                    let entry = Ref { chain: chain.id, seq };
                    records.push((entry, chain.device, (record.at, *chain.hash(seq).unwrap()), record.body));
                }
            }
        }
        for _ in 0..10 {
            for at in (1..records.len()).rev() {
                let other = world.rng.below(at as u64 + 1) as usize;
                records.swap(at, other);
            }
            let mut epochs = Epochs::default();
            for (entry, by, precedence, body) in &records {
                epochs.take(*entry, *by, *precedence, body);
            }
            assert_eq!(epochs.in_order(&retired), order, "seed {seed}");
        }
        // Who was retired has no copy of the one that counts, where anybody was left to make it.
        let Some(first) = order.first() else { continue };
        let exposed: Vec<_> = world.nodes[of[0]]
            .device
            .as_ref()
            .unwrap()
            .trust()
            .epochs()
            .exposed_to(first, &retired)
            .collect();
        let left = of.iter().any(|at| [HQ, DESK].contains(at));
        assert!(!left || exposed.is_empty(), "seed {seed}: {exposed:?}");
        let given = world.nodes[of[0]].device.as_ref().unwrap().trust().epochs().given_to(first, &retired);
        assert!(!left || !retired.keys().any(|device| given.contains(device)), "seed {seed}");
    }
}

/// The signature of a token with a renewed tag holds like any other.
#[test]
fn a_renewed_tag_is_under_the_tokens_signature() {
    let mut world = evening(7);
    let stolen = world.nodes[STOLEN].id;
    retire(&mut world, HQ, stolen).unwrap();
    world.run_ms(2_000);
    let (_, token) = sold(&mut world, "0417");
    let signatures = std::sync::Arc::new(popmesh_proto::identity::Ed25519);
    let mut gate = popmesh_proto::log::Gate::of(world.charter.clone(), signatures);
    let read = SignedToken::read(&from_text(&token).unwrap(), &mut gate).unwrap();
    assert!(read.pin.unwrap().epoch.is_some());
}

/// Bytes of the record after a retirement, for events of two sizes.
#[test]
fn the_record_is_small() {
    for (devices, most) in [(13, 1_700), (41, 5_100)] {
        let mut world = World::new(9);
        world.add("hq", "hq,registrar", "hall");
        for number in 1..devices {
            world.add(&format!("till-{number}"), "pos", "hall");
        }
        for at in 1..devices {
            world.link(HQ, at);
        }
        world.run_ms(5_000);
        let stolen = world.nodes[1].id;
        retire(&mut world, HQ, stolen).unwrap();
        let bodies = world.nodes[HQ].stored.iter().map(|entry| &entry.body);
        let epoch =
            bodies.filter(|body| matches!(Record::decode(body), Ok(Record { body: Body::Epoch(_), .. })));
        let bytes: usize = epoch.map(Vec::len).sum();
        println!("{devices} devices: {bytes} bytes");
        assert!((100..most).contains(&bytes), "{devices} devices: {bytes} bytes");
    }
}
