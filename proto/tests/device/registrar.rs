//! The right to retire: one device has it, hands it over, and what is done without it changes nothing, on every device
//! alike.

use std::collections::BTreeSet;

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{Command, Entrust, Refusal, Reply, Retire, Transfer, Units};
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::identity::SecretKey;
use popmesh_proto::log::Range;
use popmesh_proto::query::{Answer, Incident, IncidentKind, Query, Registrar, RetirementRisk};
use popmesh_proto::record::{self, Body};

use crate::author::{begin, begin_with};
use crate::event::{night, shirt};
use crate::wire::entries;
use crate::world::{EPOCH_MS, VALID_MS, World};

const HQ: usize = 0;
const DESK: usize = 1;
const CHIEF: usize = 2;
const LOST: usize = 3;
const TILL: usize = 4;

fn evening(seed: u64, chief: &str) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq,registrar", "hall");
    world.add("desk", "hq", "hall");
    world.add("chief", chief, "hall");
    world.add("lost", "pos", "hall");
    world.add("till", "pos", "hall");
    world.link_all();
    world.open_drop(HQ, 30);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn give(world: &mut World, at: usize, to: usize) -> Result<Reply, Refusal> {
    let to = world.nodes[to].id;
    world.done(at, Command::Entrust(Entrust { to }))
}

fn risk_of(world: &mut World, at: usize, lost: usize) -> RetirementRisk {
    let device = world.nodes[lost].id;
    risk(world, at, device)
}

fn risk(world: &mut World, at: usize, device: DeviceId) -> RetirementRisk {
    match world.query(at, Query::Retirement(device)) {
        Answer::Retirement(Ok(risk)) => risk,
        other => panic!("{other:?}"),
    }
}

fn retire(world: &mut World, at: usize, lost: usize) -> Result<Reply, Refusal> {
    let device = world.nodes[lost].id;
    let at_risk = risk(world, at, device).at_risk;
    world.done(at, Command::Retire(Retire { device, at_risk, reachable: true }))
}

fn registrars(world: &mut World, at: usize) -> Vec<Registrar> {
    match world.query(at, Query::Registrars) {
        Answer::Registrars(registrars) => registrars,
        other => panic!("{other:?}"),
    }
}

fn incidents(world: &mut World, at: usize) -> Vec<Incident> {
    match world.query(at, Query::Incidents) {
        Answer::Incidents(incidents) => incidents,
        other => panic!("{other:?}"),
    }
}

/// What a device says.
#[derive(Debug, Clone, PartialEq)]
struct Says {
    /// Who has the right, and who gave it.
    holders: Vec<(DeviceId, Option<String>)>,
    /// Of each device, who retired it.
    retired: Vec<Option<String>>,
    /// What is wrong.
    incidents: BTreeSet<String>,
}

fn says(world: &mut World, at: usize) -> Says {
    let holders = registrars(world, at).into_iter().map(|known| (known.device, known.given_by)).collect();
    let devices: Vec<DeviceId> = world.nodes.iter().map(|node| node.id).collect();
    // Who never wrote anything is not known after a start, until it is heard.
    let mut retired_by = |device| match world.query(at, Query::Retirement(device)) {
        Answer::Retirement(risk) => risk.ok().and_then(|risk| risk.retired_by),
        other => panic!("{other:?}"),
    };
    let retired = devices.into_iter().map(&mut retired_by).collect();
    let incidents = incidents(world, at).into_iter().map(|known| known.text).collect();
    Says { holders, retired, incidents }
}

/// Every device says the same, and does after a start.
fn all_say_the_same(world: &mut World) {
    world.converge(20_000);
    let some = world.in_touch()[0];
    let first = says(world, some);
    for at in world.in_touch() {
        assert_eq!(says(world, at), first, "on {at}");
        assert!(world.check(at).problems.is_empty(), "on {at}");
    }
    for at in world.in_touch() {
        world.power_cut_with(at, true);
        world.power_on(at);
        assert_eq!(says(world, at), first, "on {at}, after a start");
    }
    world.link_all();
    world.converge(20_000);
}

#[test]
fn who_was_given_the_right_retires_and_who_gave_it_does_not() {
    let mut world = evening(1, "hq");
    assert!(registrars(&mut world, TILL).iter().all(|known| known.name == "hq" && known.given_by.is_none()));
    let refused = retire(&mut world, DESK, LOST).unwrap_err();
    assert!(refused.to_string().contains("hq has it"), "{refused}");
    match give(&mut world, HQ, DESK) {
        Ok(Reply::Entrusted(now)) => {
            assert_eq!((now.name.as_str(), now.given_by.as_deref(), now.here), ("desk", Some("hq"), false));
        }
        other => panic!("{other:?}"),
    }
    let refused = retire(&mut world, HQ, LOST).unwrap_err();
    assert!(refused.to_string().contains("desk has it"), "{refused}");
    assert!(matches!(give(&mut world, HQ, CHIEF), Err(Refusal::NotRegistrar { .. })));
    world.converge(5_000);
    let held = risk_of(&mut world, DESK, LOST).at_risk;
    assert!(held > 0);
    retire(&mut world, DESK, LOST).unwrap();
    world.converge(5_000);
    let taken = risk_of(&mut world, TILL, LOST);
    assert_eq!((taken.retired_by.as_deref(), taken.at_risk), (Some("desk"), 0));
    all_say_the_same(&mut world);
    assert!(incidents(&mut world, TILL).is_empty());
    // On, and back to where it began.
    give(&mut world, DESK, CHIEF).unwrap();
    world.converge(5_000);
    give(&mut world, CHIEF, HQ).unwrap();
    assert!(retire(&mut world, CHIEF, TILL).is_err());
    world.converge(5_000);
    retire(&mut world, HQ, TILL).unwrap();
    all_say_the_same(&mut world);
    assert!(incidents(&mut world, DESK).is_empty());
}

#[test]
fn the_right_goes_to_an_hq_that_may_have_it() {
    let mut world = evening(2, "hq");
    for (to, problem) in [(LOST, "only an hq"), (HQ, "has the right already")] {
        let refused = give(&mut world, HQ, to).unwrap_err();
        assert!(refused.to_string().contains(problem), "{refused}");
    }
    let stranger = Command::Entrust(Entrust { to: DeviceId([9; 32]) });
    assert!(matches!(world.done(HQ, stranger), Err(Refusal::UnknownDevice { .. })));
    retire(&mut world, HQ, CHIEF).unwrap();
    let refused = give(&mut world, HQ, CHIEF).unwrap_err();
    assert!(refused.to_string().contains("chief was retired by hq"), "{refused}");
    all_say_the_same(&mut world);
    assert_eq!(registrars(&mut world, TILL)[0].name, "hq");
}

#[test]
fn of_two_that_were_given_it_by_one_device_and_its_copy_one_has_it() {
    for seed in 3..7 {
        let mut world = evening(seed, "hq");
        let twin = world.clone_disk(HQ);
        world.isolate(HQ);
        world.isolate(twin);
        world.run_ms(6_000);
        // Each alone with the one that it gives it to; the other of them does not hear of it.
        world.link(HQ, DESK);
        world.link(twin, CHIEF);
        world.cut(DESK, CHIEF);
        for at in [LOST, TILL] {
            world.isolate(at);
        }
        world.run_ms(2_000);
        let (first, second) =
            if seed % 2 == 0 { ((HQ, DESK), (twin, CHIEF)) } else { ((twin, CHIEF), (HQ, DESK)) };
        give(&mut world, first.0, first.1).unwrap();
        world.run_ms(50);
        give(&mut world, second.0, second.1).unwrap();
        world.run_ms(2_000);
        retire(&mut world, first.1, LOST).unwrap();
        retire(&mut world, second.1, TILL).unwrap();
        world.run_ms(2_000);
        world.link_all();
        world.converge(20_000);
        let now = registrars(&mut world, LOST);
        assert_eq!(now[0].device, world.nodes[first.1].id, "seed {seed}: the earlier counts");
        let known = incidents(&mut world, TILL);
        for text in ["had given the right away before", "was not given the right"] {
            assert!(known.iter().any(|incident| incident.text.contains(text)), "{text}: {known:?}");
        }
        // What counts for nothing has changed nothing: the till is not retired, and its stock is its own.
        assert_eq!(risk_of(&mut world, HQ, TILL).retired_by, None);
        all_say_the_same(&mut world);
    }
}

#[test]
fn what_a_registrar_does_after_its_own_retirement_changes_nothing() {
    let mut world = evening(7, "hq,registrar");
    world.isolate(HQ);
    world.run_ms(12_000);
    retire(&mut world, CHIEF, HQ).unwrap();
    world.run_ms(1_000);
    // Stolen, it goes on.
    retire(&mut world, HQ, TILL).unwrap();
    give(&mut world, HQ, DESK).unwrap();
    world.run_ms(1_000);
    world.link_all();
    // It is told, and says what it did.
    world.run_ms(5_000);
    world.converge(20_000);
    assert_eq!(risk_of(&mut world, DESK, TILL).retired_by, None);
    let known = incidents(&mut world, DESK);
    let void = known.iter().filter(|known| known.text.contains("it had been retired before")).count();
    assert_eq!(void, 2, "{known:?}");
    assert_eq!(known.iter().filter(|known| known.kind == IncidentKind::NoRight).count(), 2, "{known:?}");
    // Its line has ended; the other certificate's goes on.
    assert!(
        matches!(retire(&mut world, DESK, LOST), Err(Refusal::NotRegistrar { holders }) if holders == ["chief"])
    );
    let units = Units::Count(1);
    let to = world.nodes[TILL].id;
    world.done(CHIEF, Command::Transfer(Transfer { drop: night(), sku: shirt(), units, to })).unwrap();
    all_say_the_same(&mut world);
}

#[test]
fn a_clock_that_is_behind_does_not_take_the_right_away() {
    let mut world = evening(10, "hq");
    // So far ahead that nobody follows it.
    world.nodes[HQ].ahead_ms = 3 * 3_600_000;
    give(&mut world, HQ, DESK).unwrap();
    world.converge(5_000);
    retire(&mut world, DESK, LOST).unwrap();
    give(&mut world, DESK, CHIEF).unwrap();
    world.converge(5_000);
    assert_eq!(risk_of(&mut world, TILL, LOST).retired_by.as_deref(), Some("desk"));
    assert_eq!(registrars(&mut world, TILL)[0].name, "chief");
    world.nodes[HQ].ahead_ms = 0;
    all_say_the_same(&mut world);
    assert!(incidents(&mut world, TILL).is_empty());
}

/// Every order of `items`.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let rest = |at: usize| [&items[..at], &items[at + 1..]].concat();
    let with = |at: usize| {
        let orders = orders(&rest(at)).into_iter();
        orders.map(move |mut order| {
            order.insert(0, items[at].clone());
            order
        })
    };
    (0..items.len()).flat_map(with).collect()
}

#[test]
fn in_whatever_order_they_come_the_views_are_the_same() {
    let at = |ms: u64| Hlc::from_ms(EPOCH_MS + 1_000 + ms);
    let mut first = None;
    for order in orders(&[0, 1, 2, 3]) {
        let mut world = evening(8, "hq");
        let keys: Vec<SecretKey> = (1..=3).map(|number| SecretKey::from_seed(&[number; 32])).collect();
        let names = [("head", "hq,registrar"), ("north", "hq"), ("south", "hq")];
        let papers: Vec<_> = keys
            .iter()
            .zip(names)
            .map(|(key, (name, roles))| world.certify(key, name, roles, "hall", (0, VALID_MS)))
            .collect();
        let begin = |who: usize, ms| begin(&keys[who], &papers[who], "devices", at(ms));
        let ids: Vec<DeviceId> = world.nodes.iter().map(|node| node.id).collect();
        let retire = |device: usize, under| {
            Body::Retire(record::Retire { device: ids[device], cut: Vec::new(), under, parts: None })
        };
        let give = |to: usize, under| Body::Entrust(record::Entrust { to: keys[to].id(), under });
        let (mut head, mut north, mut south) = (begin(0, 0), begin(1, 0), begin(2, 0));
        head.write(at(10), retire(LOST, None));
        let given: Ref = head.write(at(20), give(1, None));
        head.write(at(40), retire(TILL, None));
        north.write(at(30), retire(DESK, Some(given)));
        // Another life, which knows nothing of that.
        let mut again = begin_with(&keys[0], &papers[0], "devices", at(5), 8);
        let given_again = again.write(at(25), give(2, None));
        south.write(at(35), retire(CHIEF, Some(given_again)));
        let ranges: Vec<Range> =
            [&head, &north, &again, &south].iter().map(|author| author.range()).collect();
        for which in order {
            world.hand(TILL, HQ, entries(vec![ranges[which].clone()]));
        }
        let said = says(&mut world, HQ);
        assert_eq!(said.retired[LOST].as_deref(), Some("head"));
        assert_eq!(said.retired[DESK].as_deref(), Some("north"));
        assert_eq!((&said.retired[TILL], &said.retired[CHIEF]), (&None, &None));
        assert!(said.holders.contains(&(keys[1].id(), Some("head".to_owned()))), "{:?}", said.holders);
        for (text, times) in [("had given the right away before", 2), ("was not given the right", 1)] {
            assert_eq!(
                said.incidents.iter().filter(|known| known.contains(text)).count(),
                times,
                "{:?}",
                said.incidents
            );
        }
        assert_eq!(*first.get_or_insert_with(|| said.clone()), said);
    }
}
