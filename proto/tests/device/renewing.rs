//! Renewing certificates over the log: an hq signs, everybody hears of it, and the device goes on under the new one.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{Command, Redeem, Refusal, Renew, Renewed, Reply, Sell};
use popmesh_proto::document::Document;
use popmesh_proto::fact::{Fact, Signal};
use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::{Certificate, SignedCertificate};
use popmesh_proto::log::Range;
use popmesh_proto::query::{Answer, DeviceInfo, Query};
use popmesh_proto::record::{Body, Renewal};

use crate::author::begin;
use crate::event::{claim_of, sell};
use crate::wire::entries;
use crate::world::{EPOCH_MS, VALID_MS, World};

const HQ: usize = 0;
const TILL: usize = 1;
const OTHER: usize = 2;
/// When the till's certificate ends, after the world's time zero.
const ENDS_MS: u64 = 60_000;

fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add_until("till", "pos", "hall", ENDS_MS);
    world.add("other", "pos,locker", "hall");
    world.link_all();
    world.open_drop(HQ, 30);
    world.run_ms(4_000);
    world.converge(5_000);
    world
}

fn renew(world: &mut World, by: usize, of: Renew) -> Result<Renewed, Refusal> {
    world.done(by, Command::Renew(of)).map(|reply| match reply {
        Reply::Renewed(renewed) => renewed,
        other => panic!("{other:?}"),
    })
}

fn of(device: DeviceId) -> Renew {
    Renew { device: Some(device), ..Renew::default() }
}

fn ids(world: &World) -> Vec<DeviceId> {
    world.nodes.iter().map(|node| node.id).collect()
}

fn problem(refused: Result<Renewed, Refusal>) -> String {
    match refused {
        Err(Refusal::Invalid { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

/// Until when `at` takes the certificate of `device` to hold.
fn until(world: &mut World, at: usize, device: DeviceId) -> u64 {
    let Answer::Devices(devices) = world.query(at, Query::Devices) else { panic!("no devices") };
    let known: Vec<DeviceInfo> = devices.into_iter().filter(|known| known.device == device).collect();
    known[0].certificate_until_ms
}

fn agreed_until(world: &mut World, device: DeviceId) -> u64 {
    let all: Vec<u64> = [HQ, TILL, OTHER].map(|at| until(world, at, device)).to_vec();
    assert_eq!(all, vec![all[0]; 3]);
    all[0]
}

/// What an attacker with an hq's key signs for the till, in a record of its own.
fn signed_by_hq(world: &World, change: impl FnOnce(&mut Certificate)) -> SignedCertificate {
    let mut certificate = (*world.nodes[TILL].certificate).clone();
    certificate.not_after_ms += 3_600_000;
    change(&mut certificate);
    let hq = &world.nodes[HQ];
    SignedCertificate::sign_as(certificate, &hq.secret, &hq.certificate, &world.charter).unwrap()
}

/// Renewals in a chain of the device `by`.
fn told_by<'a>(world: &World, by: usize, certificates: impl IntoIterator<Item = &'a [u8]>) -> Range {
    let of = &world.nodes[by];
    let now_ms = world.now(HQ).wall_ms;
    let mut author = begin(&of.secret, &of.certificate, "devices", Hlc::from_ms(now_ms));
    for (after, certificate) in (1..).zip(certificates) {
        let renewal = Renewal { certificate: certificate.to_vec() };
        author.write(Hlc::from_ms(now_ms + after), Body::Renewal(renewal));
    }
    author.range()
}

#[test]
fn the_till_sells_on_under_the_new_one_and_everybody_knows() {
    let mut world = evening(1);
    let ids = ids(&world);
    let till = world.nodes[TILL].id;
    let before = agreed_until(&mut world, till);
    let renewed = renew(&mut world, HQ, of(ids[TILL])).unwrap();
    assert_eq!((renewed.devices.len(), renewed.skipped.len()), (1, 0));
    // Seven days are more than the hq has left.
    let hq_until = world.nodes[HQ].certificate.not_after_ms;
    assert_eq!((renewed.devices[0].until_ms, &*renewed.devices[0].name), (hq_until, "till"));
    world.run_ms(2_000);
    world.converge(5_000);
    assert_eq!(agreed_until(&mut world, till), hq_until);
    // It was installed, by the device's own word, and says the same but for its end.
    let installed = world.nodes[TILL].certificate.clone();
    assert_eq!(installed.not_after_ms, hq_until);
    assert_eq!(
        (&*installed.name, &installed.roles, &installed.venue),
        ("till", &"pos".parse().unwrap(), &"hall".parse().unwrap())
    );
    let is_told = |fact: &Fact| matches!(fact, Fact::Renewed { device, until_ms, .. } if (*device, *until_ms) == (till, hq_until));
    for at in [HQ, OTHER] {
        assert!(world.facts.iter().any(|(by, fact)| *by == at && is_told(fact)), "{at}");
    }
    // Beyond the end of the old one, and on every device.
    world.run_ms(ENDS_MS);
    assert!(world.now(TILL).wall_ms > before);
    claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    world.converge(5_000);
    world.assert_agreed();
    world.assert_sound();
    // Its chains carry the new one from now on.
    let carried = world.nodes[OTHER].device.as_ref().unwrap().log().chains();
    let certificates: Vec<u64> = carried
        .filter(|chain| chain.device == till && matches!(chain.document, Document::Claims(_)))
        .map(|chain| chain.certificate.not_after_ms)
        .collect();
    assert!(certificates.contains(&hq_until), "{certificates:?}");
}

#[test]
fn without_it_the_till_stops_at_its_end() {
    let mut world = evening(2);
    world.run_ms(ENDS_MS);
    let refused = world.done(TILL, Command::Sell(sell(1, 0)));
    assert!(matches!(refused, Err(Refusal::Certificate { .. })), "{refused:?}");
    let ends = Signal::CertificateEnds { until_ms: world.nodes[TILL].certificate.not_after_ms };
    let told = world.signals.iter().filter(|(at, signal)| *at == TILL && *signal == ends).count();
    assert_eq!(told, 1, "said in time, once");
}

#[test]
fn it_is_taken_up_again_from_what_is_stored() {
    let mut world = evening(3);
    let ids = ids(&world);
    let old = world.nodes[TILL].certificate.clone();
    renew(&mut world, HQ, of(ids[TILL])).unwrap();
    world.run_ms(2_000);
    let new = world.nodes[TILL].certificate.clone();
    assert_ne!(new, old);
    // The power went before the folder had it.
    world.power_cut(TILL);
    world.nodes[TILL].certificate = old;
    world.power_on(TILL);
    assert_eq!(world.nodes[TILL].certificate, new);
    world.link_all();
    world.run_ms(ENDS_MS);
    claim_of(world.done(TILL, Command::Sell(sell(1, 0))));
    world.converge(10_000);
    world.assert_sound();
    assert_eq!(world.status(TILL).device.certificate_until_ms, new.not_after_ms);
}

#[test]
fn what_was_sold_before_has_its_token_still() {
    let mut world = evening(7);
    let pickup = Sell { pickup_at: Some(world.nodes[OTHER].id), ..sell(1, 1_000) };
    let sold = world.done(TILL, Command::Sell(pickup));
    let claim = claim_of(sold).claim;
    world.run_ms(1_000);
    // The hq that renews has a certificate of its own that began after the sale.
    let (secret, now_ms) = (world.nodes[HQ].secret.clone(), world.now(HQ).wall_ms - EPOCH_MS);
    world.power_cut(HQ);
    world.nodes[HQ].certificate = world.certify(&secret, "hq", "hq", "hall", (now_ms, VALID_MS));
    world.power_on(HQ);
    world.link_all();
    world.run_ms(6_000);
    let till = of(world.nodes[TILL].id);
    renew(&mut world, HQ, till).unwrap();
    world.run_ms(2_000);
    assert_eq!(world.nodes[TILL].certificate.not_before_ms, EPOCH_MS + now_ms);
    let Answer::Token(Ok(token)) = world.query(TILL, Query::Token(claim)) else { panic!("no token") };
    let redeemed = world.done(OTHER, Command::Redeem(Redeem::by_token(token.token)));
    assert!(matches!(redeemed, Ok(Reply::Redeemed(_))), "{redeemed:?}");
}

#[test]
fn a_renewal_does_not_change_what_a_device_is() {
    let mut world = evening(4);
    let till = world.nodes[TILL].id;
    let before = world.nodes[TILL].certificate.clone();
    let forged = [
        signed_by_hq(&world, |certificate| certificate.roles = "pos,locker".parse().unwrap()),
        signed_by_hq(&world, |certificate| certificate.name = "tillo".to_owned()),
        signed_by_hq(&world, |certificate| certificate.venue = "yard".parse().unwrap()),
        signed_by_hq(&world, |certificate| certificate.not_after_ms = before.not_after_ms),
        // Later, but so little that a device could be kept busy with such.
        signed_by_hq(&world, |certificate| certificate.not_after_ms = before.not_after_ms + 3_599_999),
        signed_by_hq(&world, |certificate| certificate.not_after_ms = before.not_after_ms - 1),
    ];
    let entries_before = world.status(TILL).entries;
    let range = told_by(&world, HQ, forged.iter().map(SignedCertificate::bytes));
    world.hand(OTHER, TILL, entries(vec![range]));
    world.run_ms(100);
    // They are certificates, by the rules of certificates, so they are admitted; they renew nothing.
    assert_eq!(world.status(TILL).entries, entries_before + 1 + forged.len() as u64);
    assert_eq!(world.nodes[TILL].certificate, before);
    assert_eq!(until(&mut world, TILL, till), before.not_after_ms);
    world.assert_sound();
}

#[test]
fn only_who_signed_it_tells_of_it() {
    let mut world = evening(5);
    let good = signed_by_hq(&world, |_| {});
    let by_root = world.nodes[OTHER].certificate.clone();
    let secret = world.nodes[OTHER].secret.clone();
    let issued = signed_by_hq(&world, |certificate| {
        (certificate.device, certificate.roles) = (secret.id(), "steward".parse().unwrap())
    });
    let from_later =
        signed_by_hq(&world, |certificate| certificate.not_before_ms = certificate.not_after_ms - 1);
    let mut damaged = good.bytes().to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let entries_before = world.status(TILL).entries;
    let not_its_own = "that its author did not sign";
    let wrong = [
        (OTHER, good.bytes().to_vec(), not_its_own),
        (HQ, by_root.bytes().to_vec(), not_its_own),
        (OTHER, issued.bytes().to_vec(), not_its_own),
        (HQ, from_later.bytes().to_vec(), "is not valid before"),
        (HQ, damaged, "was not signed by"),
        (HQ, Vec::new(), "not a popmesh certificate"),
        (HQ, vec![0; 2_000], "a certificate that is too long"),
    ];
    for (by, certificate, why) in wrong {
        let range = told_by(&world, by, [&certificate[..]]);
        world.hand(OTHER, TILL, entries(vec![range]));
        let faults = world.faults(TILL);
        assert!(faults.last().is_some_and(|fault| fault.contains(why)), "{why}: {faults:?}");
        world.run_ms(1_000);
    }
    assert_eq!(world.status(TILL).entries, entries_before);
    let range = told_by(&world, HQ, [good.bytes()]);
    world.hand(OTHER, TILL, entries(vec![range]));
    world.run_ms(100);
    assert_eq!(world.nodes[TILL].certificate, good, "the attempts were refused for another reason");
}

#[test]
fn what_cannot_be_renewed_says_why() {
    let mut world = evening(6);
    let ids = ids(&world);
    let refused = renew(&mut world, TILL, of(ids[OTHER]));
    assert!(matches!(refused, Err(Refusal::RoleForbids { .. })), "{refused:?}");
    let said = problem(renew(&mut world, HQ, of(ids[HQ])));
    assert!(said.contains("does not renew its own"), "{said}");
    let said = problem(renew(&mut world, HQ, of(ids[OTHER])));
    assert!(said.contains("the organiser renews that first"), "{said}");
    let hq_until = world.nodes[HQ].certificate.not_after_ms;
    let beyond = Renew { until_ms: Some(hq_until + 1), ..of(ids[TILL]) };
    let said = problem(renew(&mut world, HQ, beyond));
    assert!(said.contains("that of hq, who signs it"), "{said}");
    let shorter = Renew { until_ms: Some(world.nodes[TILL].certificate.not_after_ms), ..of(ids[TILL]) };
    let kept = renew(&mut world, HQ, shorter).expect("it is no failure that it is good for as long already");
    assert!(kept.devices.is_empty() && kept.skipped[0].why.contains("already"), "{kept:?}");
    let unknown = Renew { device: Some(DeviceId([9; 32])), ..Renew::default() };
    let said = problem(renew(&mut world, HQ, unknown));
    assert!(said.contains("no device that this one has heard of"), "{said}");
    for days in [0, 367] {
        problem(renew(&mut world, HQ, Renew { days: Some(days), ..of(ids[TILL]) }));
    }
    let second = world.add_until("second", "hq", "hall", ENDS_MS);
    world.link_all();
    world.run_ms(3_000);
    let second = of(world.nodes[second].id);
    let said = problem(renew(&mut world, HQ, second));
    assert!(said.contains("second is hq, and hq may sign for pos,locker,encoder,steward alone"), "{said}");
    let before = world.status(HQ).entries;
    // All: the till alone has less left than the hq can give.
    let all = renew(&mut world, HQ, Renew { until_ms: Some(hq_until), ..Renew::default() }).unwrap();
    assert_eq!(all.devices.iter().map(|done| &*done.name).collect::<Vec<_>>(), ["till"]);
    assert_eq!(all.skipped.len(), 2, "{:?}", all.skipped);
    assert_eq!(world.status(HQ).entries, before + 2, "a start and a renewal");
    assert!(hq_until > VALID_MS);
}
