//! Peers that send too much, or what is wrong: others go on, nothing is lost for good, and an honest peer is never cut off.

use popmesh_proto::clock::Hlc;
use popmesh_proto::command::{Claim, Command};
use popmesh_proto::fact::Signal;
use popmesh_proto::id::{ChainId, Hash, Nonce, Ref};
use popmesh_proto::io::{Input, Output, Verdict};
use popmesh_proto::links::Width;
use popmesh_proto::message::{Frontier, Head, Message, Since, encode};
use popmesh_proto::query::{Answer, DeviceInfo, Query};
use popmesh_proto::record::{Body, MAX_LINES, Received};

use crate::author::{Author, begin};
use crate::event::{claim_of, sell};
use crate::wire::{entries, live, range};
use crate::world::{EPOCH_MS, World};

const HQ: usize = 0;
const TILL: usize = 1;
const MALLORY: usize = 2;

/// An open drop, a till that holds units, and one device that does as this test wants, and is linked to the till alone.
fn evening(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add("hq", "hq", "hall");
    world.add("till", "pos", "hall");
    world.add("mallory", "pos", "hall");
    world.link(HQ, TILL);
    world.link(TILL, MALLORY);
    world.open_drop(HQ, 1_000);
    world.converge(5_000);
    world.run_ms(5_000);
    world.signals.clear();
    world
}

/// A chain of the hostile device's own, well-formed and of no use.
fn chain(world: &World) -> Author {
    let node = &world.nodes[MALLORY];
    begin(&node.secret, &node.certificate, "stock/night", Hlc::from_ms(EPOCH_MS + world.time))
}

/// A record about something that is nowhere: it waits for ever.
fn of_nothing(number: u64) -> Body {
    received(Ref { chain: ChainId([0xee; 16]), seq: number }, MAX_LINES)
}

/// A record about an entry, of no use, as large as its number of lines.
fn received(entry: Ref, lines: usize) -> Body {
    Body::Received(Received { transfers: vec![entry; lines] })
}

/// An entry that everybody has.
fn known(world: &mut World) -> Ref {
    Ref { chain: world.written(HQ, "stock/night")[0].chain, seq: 1 }
}

fn buy(world: &mut World, at: usize) -> Claim {
    claim_of(world.done(at, Command::Sell(sell(1, 5_000))))
}

fn conduct(world: &mut World, at: usize, of: usize) -> DeviceInfo {
    let device = world.nodes[of].id;
    let Answer::Devices(devices) = world.query(at, Query::Devices) else { panic!("no devices") };
    devices.into_iter().find(|info| info.device == device).expect("it is known")
}

fn send(world: &mut World, from: usize, to: usize, bytes: Vec<u8>) {
    world.give(to, Input::Message { from: world.nodes[from].id, bytes });
}

fn is_cut_off(world: &World, at: usize) -> Vec<u64> {
    let of = |(of, signal): &(usize, Signal)| match signal {
        Signal::CutOff { for_ms, .. } if *of == at => Some(*for_ms),
        _ => None,
    };
    world.signals.iter().filter_map(of).collect()
}

#[test]
fn who_sends_what_is_wrong_is_cut_off_for_longer_and_longer() {
    let mut world = evening(1);
    let mut times = Vec::new();
    for _ in 0..9 {
        for number in 0..20u8 {
            send(&mut world, MALLORY, TILL, vec![0xff, number]);
        }
        let cut = is_cut_off(&world, TILL);
        assert_eq!(cut.len(), times.len() + 1, "it is cut off once for all of it");
        let for_ms = *cut.last().unwrap();
        times.push(for_ms);
        let info = conduct(&mut world, TILL, MALLORY);
        let left = info.cut_off_until_ms.expect("it shows") - (EPOCH_MS + world.time);
        assert_eq!(left, for_ms);
        let unread = info.unread;
        send(&mut world, MALLORY, TILL, vec![0xff]);
        assert_eq!(conduct(&mut world, TILL, MALLORY).unread, unread + 1);
        world.run_ms(for_ms);
        assert_eq!(conduct(&mut world, TILL, MALLORY).cut_off_until_ms, None);
        // So that its next wrongs are not about how much it did before.
        world.run_ms(80_000);
    }
    assert_eq!(&times[..3], &[10_000, 20_000, 40_000]);
    assert_eq!(&times[7..], &[600_000, 600_000], "no longer than that");
    buy(&mut world, TILL);
    // What is sold reaches it, too, once it behaves.
    world.converge(20_000);
}

#[test]
fn wrong_signatures_of_its_own_are_its_own_doing() {
    let mut world = evening(2);
    let mut author = chain(&world);
    for number in 1..=10 {
        author.write(Hlc(author_at(&world).0 + number), of_nothing(number));
    }
    let whole = author.range();
    for number in 0..20u8 {
        let mut spoilt = whole.clone();
        for vouch in &mut spoilt.signatures {
            vouch.signature.0[0] ^= number | 1;
        }
        send(&mut world, MALLORY, TILL, entries(vec![spoilt]));
    }
    assert_eq!(is_cut_off(&world, TILL).len(), 1);
    assert!(is_cut_off(&world, HQ).is_empty());
}

fn author_at(world: &World) -> Hlc {
    Hlc::from_ms(EPOCH_MS + world.time)
}

/// Two branches of one chain that its author signed: an honest device that knows the one passes it on to another honest
/// device that knows the other, again and again.
#[test]
fn who_passes_on_a_branch_of_a_cheat_is_not_cut_off() {
    let mut world = evening(3);
    let mut one = chain(&world);
    let entry = known(&mut world);
    one.write(Hlc(author_at(&world).0 + 1), received(entry, 2));
    let mut other = Author {
        secret: one.secret.clone(),
        event: one.event,
        document: one.document.clone(),
        chain: one.chain,
        entries: one.entries.clone(),
        last: one.last,
    };
    let entry = known(&mut world);
    one.write(Hlc(author_at(&world).0 + 2), received(entry, 1));
    for number in 3..40 {
        other.write(Hlc(author_at(&world).0 + number), of_nothing(number));
    }
    send(&mut world, MALLORY, TILL, entries(vec![one.range()]));
    for number in 3..other.entries.len() {
        send(&mut world, HQ, TILL, entries(vec![range(&other.entries[number - 1..number])]));
        send(&mut world, HQ, TILL, entries(vec![range(&other.entries[..number])]));
    }
    assert!(is_cut_off(&world, TILL).is_empty(), "{:?}", world.faults(TILL));
    assert_eq!(conduct(&mut world, TILL, HQ).faults, 0);
}

#[test]
fn waiting_entries_of_one_author_do_not_push_out_those_of_another() {
    let mut world = evening(4);
    // The till's sale waits on a device that has not heard of what it sells.
    let new = world.add("new", "pos", "hall");
    buy(&mut world, TILL);
    let sale = world.written(TILL, "claims/night");
    world.hand(TILL, new, entries(vec![range(&sale)]));
    assert_eq!(world.status(new).waiting, 1, "its start is there");
    let mut author = chain(&world);
    for number in 1..=900 {
        author.write(Hlc(author_at(&world).0 + number), of_nothing(number));
    }
    for some in author.entries.chunks(50) {
        send(&mut world, MALLORY, new, entries(vec![range(some)]));
    }
    // What the sale needs comes: if the sale was pushed out, nothing would be admitted of it.
    let stock = world.written(HQ, "stock/night");
    let of_till = world.written(TILL, "stock/night");
    let before = world.status(new).entries;
    world.hand(HQ, new, entries(vec![range(&stock), range(&of_till)]));
    let gained = world.status(new).entries - before;
    assert_eq!(gained, stock.len() as u64 + of_till.len() as u64 + 1, "{:?}", world.status(new));
}

/// Useless gossip without end: signed, valid, and of what is here already.
#[test]
fn a_flood_is_dropped_unread_and_others_are_heard() {
    let mut world = evening(5);
    let mut author = chain(&world);
    let at = author_at(&world).0;
    let entry = known(&mut world);
    for number in 1..=600 {
        author.write(Hlc(at + number), received(entry, 1));
    }
    let before = world.status(TILL).entries;
    send(&mut world, MALLORY, TILL, entries(vec![author.range()]));
    world.run_ms(1_000);
    assert_eq!(world.status(TILL).entries, before + 601);
    let mut accepted = 0;
    for first in 0..600 {
        for last in first + 1..=first + 50.min(600 - first) {
            let gossip = live(vec![range(&author.entries[first..last])]);
            let token = world.expect_verdict(MALLORY, TILL, gossip.clone());
            world.give(TILL, Input::Gossip { from: world.nodes[MALLORY].id, bytes: gossip, token });
            accepted += u32::from(*world.verdicts.last().unwrap() == Verdict::Accept);
        }
    }
    let info = conduct(&mut world, TILL, MALLORY);
    assert!(info.unread > 10_000, "{info:?}, {accepted} were looked at");
    assert!(is_cut_off(&world, TILL).is_empty(), "there is nothing wrong with it, only too much");
    assert_eq!(world.faults(TILL).len(), 1, "and it is told of once");
    // Another is heard at once, and sells.
    buy(&mut world, TILL);
    world.isolate(MALLORY);
    world.power_cut(MALLORY);
    world.converge(3_000);
    // And so is this one, when it has stopped.
    let at = author_at(&world).0 + 1_000_000;
    author.write(Hlc(at), received(entry, 1));
    world.run_ms(15_000);
    send(&mut world, MALLORY, TILL, entries(vec![range(&author.entries[601..])]));
    world.run_ms(1_000);
    assert_eq!(world.status(TILL).waiting, 0);
    assert!(world.status(TILL).entries > before + 602);
}

/// One that wants everything, again and again.
#[test]
fn who_wants_everything_again_and_again_gets_so_much() {
    let mut world = evening(6);
    let (at, entry) = (author_at(&world), known(&mut world));
    // Short chains: they are not packed, which takes long in a test.
    for number in 0..50 {
        let node = &world.nodes[MALLORY];
        let document = format!("stock/night-{number}");
        let mut author = begin(&node.secret, &node.certificate, &document, at);
        for number in 1..=2 {
            author.write(Hlc(at.0 + number), received(entry, MAX_LINES));
        }
        send(&mut world, MALLORY, TILL, entries(vec![author.range()]));
    }
    world.run_ms(2_000);
    world.cut(TILL, MALLORY);
    world.run_ms(100);
    let (now, peer) = (world.now(TILL), world.nodes[MALLORY].id);
    // By hand: what is sent need not travel, and this world looks at all that does.
    let device = world.nodes[TILL].device.as_mut().unwrap();
    let mut sent = 0;
    for _ in 0..400 {
        let nothing = Frontier {
            ended: Hash([0; 32]),
            full: true,
            heads: Vec::new(),
            number: 1,
            since: None,
            again: None,
            start: 1,
            sum: None,
            from: None,
            upto: None,
        };
        let bytes = encode(&Message::Frontier(nothing));
        for input in [
            Input::LinkDown { peer },
            Input::LinkUp { peer, width: Width::Broad },
            Input::Message { from: peer, bytes },
        ] {
            device.handle(now, input);
            while let Some(output) = device.poll() {
                if let Output::Send { bytes, .. } = output {
                    sent += bytes.len();
                }
            }
        }
    }
    // A megabyte each time would be 400.
    assert!(sent > 30 << 20, "it gets what it asks for at first: {sent} bytes");
    assert!(sent < 40 << 20, "{sent} bytes");
}

/// Heads that nobody has, in frontiers that tell of ever more.
#[test]
fn heads_of_nothing_take_bounded_room_and_are_asked_for_seldom() {
    let mut world = evening(7);
    world.frontiers = 0;
    for number in 1..=30u32 {
        let head = |at: u32| {
            let mut chain = ChainId([7; 16]);
            chain.0[..8].copy_from_slice(&(u64::from(number) << 32 | u64::from(at)).to_be_bytes());
            Head { chain, seq: 5, hash: [0; 16], rest: None }
        };
        let heads = (0..20_000).map(head).collect();
        let since = (number > 1).then(|| Since::Frontier(number - 1));
        let frontier = Frontier {
            ended: Hash([0; 32]),
            full: false,
            heads,
            number,
            since,
            again: None,
            start: 1,
            sum: None,
            from: None,
            upto: None,
        };
        send(&mut world, MALLORY, TILL, encode(&Message::Frontier(frontier)));
    }
    let told = world.frontiers;
    assert!(told <= 4, "it was asked {told} times");
    buy(&mut world, TILL);
}

/// The largest entries that there may be, signed far apart: whoever takes them in can pass them on.
#[test]
fn large_entries_are_passed_on_in_messages_that_others_take() {
    let mut world = evening(8);
    let mut author = chain(&world);
    let at = author_at(&world).0;
    let entry = known(&mut world);
    for number in 1..90 {
        author.write(Hlc(at + number), received(entry, MAX_LINES));
    }
    let of = |first: usize, last: usize| {
        let mut some = author.entries[first..last].to_vec();
        let end = some.len() - 1;
        some[..end].iter_mut().for_each(|entry| entry.signature = None);
        range(&some)
    };
    let before = world.status(TILL).entries;
    send(&mut world, MALLORY, TILL, entries(vec![of(0, 60)]));
    assert_eq!(
        world.status(TILL).entries,
        before,
        "{} bytes between signatures",
        60 * author.entries[1].body.len()
    );
    assert_eq!(world.faults(TILL).len(), 1);
    for first in (0..90).step_by(30) {
        send(&mut world, MALLORY, TILL, entries(vec![of(first, first + 30)]));
    }
    world.converge(30_000);
    assert_eq!(world.status(HQ).entries, before + 90);
    assert_eq!(world.faults(HQ), Vec::<&str>::new());
    world.power_cut(TILL);
    world.power_on(TILL);
    world.add("new", "pos", "hall");
    world.link(TILL, 3);
    world.converge(30_000);
    assert_eq!(world.faults(3), Vec::<&str>::new());
}

/// Chains that nobody ends, which every frontier names: beyond what any honest device has, they come in very slowly. The same
/// number of lives, each of which ends the one before, is nobody's harm.
#[test]
fn who_begins_ever_more_chains_is_taken_in_slowly() {
    let mut taken = Vec::new();
    for ends in [false, true] {
        let mut world = evening(10);
        let at = author_at(&world).0;
        let (secret, certificate) =
            (world.nodes[MALLORY].secret.clone(), world.nodes[MALLORY].certificate.clone());
        let mut ranges = Vec::new();
        let mut last: Option<Author> = None;
        for number in 0..1_400u64 {
            let mut nonce = [1; 16];
            nonce[..8].copy_from_slice(&number.to_be_bytes());
            let next = match &last {
                Some(last) if ends => last.next_life(&certificate, Hlc(at + number), Nonce(nonce)),
                _ => begin(&secret, &certificate, &format!("stock/x{number}"), Hlc(at)),
            };
            ranges.push(next.range());
            last = Some(next);
        }
        let before = world.status(TILL).chains;
        for _ in 0..10 {
            for some in ranges.chunks(200) {
                send(&mut world, MALLORY, TILL, entries(some.to_vec()));
                world.run_ms(1_000);
            }
            world.run_ms(3_000);
        }
        taken.push(world.status(TILL).chains - before);
        buy(&mut world, TILL);
    }
    let [living, ended] = taken[..] else { panic!("two") };
    assert!((1_000..=1_060).contains(&living), "{living} chains that have not ended");
    assert!(ended > 1_300, "{ended} that have");
}

/// What never fits has the sender asked for the rest, less and less often.
#[test]
fn endless_gaps_are_asked_about_seldom() {
    let mut world = evening(9);
    let mut author = chain(&world);
    let at = author_at(&world).0;
    author.write(Hlc(at + 1), of_nothing(1));
    let mut far = range(&author.entries[1..]);
    world.frontiers = 0;
    for number in 0..100 {
        far.first = 1_000 + number;
        send(&mut world, MALLORY, TILL, entries(vec![far.clone()]));
        world.run_ms(200);
    }
    assert!((3..=10).contains(&world.frontiers), "it asked {} times in 20 s", world.frontiers);
}
