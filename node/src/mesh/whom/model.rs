//! Meshes of peer books under virtual time: who is in reach gets linked, whoever announces what besides.
//!
//! A device hears announcements as the network carries them, sealed, and judges them as discovery does; its book and its
//! choice are the real ones. A dial makes a link if both ends are in reach of each other, and hangs if not. The rest of a
//! node is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use libp2p::identity::ed25519;
use proptest::prelude::*;

use super::*;
use crate::mesh::{
    Admit, MembershipKey,
    announcement::{Said, seal},
    discovery::{Heard, hear},
    interfaces::multiaddr,
};

const TICK: Duration = Duration::from_millis(100);
/// How often each announces itself anew, when nothing has happened.
const ANNOUNCED_EVERY: Duration = Duration::from_secs(3);
/// A dial to where nobody is fails after this.
const HANGS: Duration = Duration::from_secs(3);
const LINKED_WITHIN: Duration = Duration::from_secs(10);

fn keypair(seed: u64) -> ed25519::Keypair {
    let mut bytes = [3; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    ed25519::SecretKey::try_from_bytes(bytes).unwrap().into()
}

fn key() -> MembershipKey {
    [8; 32].into()
}

/// What a device that has the event's secret announces.
fn announces(pair: &ed25519::Keypair, port: u16, certificate: &[u8]) -> Vec<u8> {
    let said = Said {
        device: pair.public().to_bytes(),
        tcp: Some(port),
        quic: None,
        addresses: vec!["10.77.0.1".parse().unwrap()],
        certificate: certificate.to_vec(),
    };
    seal(&key(), [4; 24], &said, |bytes| pair.sign(bytes).try_into().unwrap())
}

fn admit() -> Admit {
    Arc::new(|device, certificate| match certificate == device {
        true => Ok(()),
        false => Err("it is for another device".into()),
    })
}

/// What discovery makes of announcements, once for all: no device judges otherwise than another.
fn judged(sealed: impl IntoIterator<Item = Vec<u8>>) -> Vec<Said> {
    let admit = admit();
    let judge = |sealed: Vec<u8>| match hear(&[key()], &sealed, &admit) {
        Heard::Device(said) => Some(said),
        Heard::Stranger(_) => None,
    };
    sealed.into_iter().filter_map(judge).collect()
}

struct Device {
    key: DeviceKey,
    port: u16,
    book: PeerBook,
    whom: Whom,
    known: BTreeSet<DeviceKey>,
    dials: Vec<(Instant, DeviceKey, BTreeSet<u16>)>,
}

struct World {
    devices: Vec<Device>,
    links: BTreeSet<(usize, usize)>,
    now: Instant,
    /// Those who cannot hear the others, nor be heard.
    away: BTreeSet<usize>,
}

impl World {
    fn new(count: usize) -> Self {
        let now = Instant::now();
        let device = |number: usize| {
            let key = keypair(number as u64).public().to_bytes();
            Device {
                key,
                port: number as u16 + 1,
                book: PeerBook::new(key),
                whom: Whom::default(),
                known: BTreeSet::new(),
                dials: Vec::new(),
            }
        };
        Self { devices: (0..count).map(device).collect(), links: BTreeSet::new(), now, away: BTreeSet::new() }
    }

    fn in_reach(&self, a: usize, b: usize) -> bool {
        !self.away.contains(&a) && !self.away.contains(&b)
    }

    /// Everybody in reach hears these.
    fn hear(&mut self, heard: &[Said]) {
        for said in heard {
            let from = self.devices.iter().position(|device| device.key == said.device);
            let address = [multiaddr(said.addresses[0], said.tcp.unwrap(), true)];
            for number in 0..self.devices.len() {
                if from.is_none_or(|from| self.in_reach(from, number)) && from != Some(number) {
                    self.devices[number].book.announced(said.device, &address, self.now);
                }
            }
        }
        for device in &mut self.devices {
            device.whom.choose(&[1; 32], &device.key, &device.known, &device.book);
        }
    }

    fn announced(&self) -> Vec<Said> {
        let announcement =
            |(number, device): (usize, &Device)| announces(&keypair(number as u64), device.port, &device.key);
        judged(self.devices.iter().enumerate().map(announcement))
    }

    fn step(&mut self) {
        self.now += TICK;
        let ports: BTreeMap<u16, usize> =
            self.devices.iter().enumerate().map(|(number, device)| (device.port, number)).collect();
        for number in 0..self.devices.len() {
            let links = self.links.iter().filter(|(a, b)| *a == number || *b == number).count();
            let device = &mut self.devices[number];
            let (over, going) = device.dials.drain(..).partition(|(at, _, _)| *at <= self.now);
            device.dials = going;
            for (_, other, _) in over as Vec<(Instant, DeviceKey, BTreeSet<u16>)> {
                device.book.dial_failed(&other, self.now);
            }
            for other in device.whom.due(&device.book, links, |_| true, self.now).into_iter().take(16) {
                let dialled: BTreeSet<u16> =
                    device.book.addresses(&other, |_| true).iter().filter_map(tcp_port).collect();
                device.book.dialling(&other, self.now);
                device.dials.push((self.now + HANGS, other, dialled));
            }
            for (until, other, dialled) in std::mem::take(&mut self.devices[number].dials) {
                let there = dialled.iter().filter_map(|port| ports.get(port)).copied();
                let there: Vec<usize> = there.filter(|there| self.devices[*there].key == other).collect();
                match there.first() {
                    Some(there) if self.in_reach(number, *there) => self.link(number, *there),
                    _ => self.devices[number].dials.push((until, other, dialled)),
                }
            }
        }
    }

    fn link(&mut self, a: usize, b: usize) {
        let (key_a, key_b, now) = (self.devices[a].key, self.devices[b].key, self.now);
        let address = multiaddr("10.77.0.1".parse().unwrap(), self.devices[b].port, true);
        self.devices[a].book.link_up(key_b, now);
        self.devices[a].book.worked(&key_b, address);
        self.devices[b].book.link_up(key_a, now);
        self.links.insert((a.min(b), a.max(b)));
    }

    /// Everybody learns who there is, as the log tells after a while.
    fn tell_all(&mut self) {
        let all: BTreeSet<_> = self.devices.iter().map(|device| device.key).collect();
        for device in &mut self.devices {
            device.known.clone_from(&all);
            device.whom.choose(&[1; 32], &device.key, &device.known, &device.book);
        }
    }

    fn cut(&mut self, away: BTreeSet<usize>) {
        self.away = away;
        let cut: Vec<_> = self.links.iter().filter(|(a, b)| !self.in_reach(*a, *b)).copied().collect();
        for (a, b) in cut {
            let (key_a, key_b) = (self.devices[a].key, self.devices[b].key);
            self.devices[a].book.link_down(&key_b, self.now);
            self.devices[b].book.link_down(&key_a, self.now);
            self.links.remove(&(a, b));
        }
    }

    /// How many pieces those who are in reach are in.
    fn pieces(&self) -> usize {
        let mut left: BTreeSet<usize> =
            (0..self.devices.len()).filter(|number| !self.away.contains(number)).collect();
        let mut pieces = 0;
        while let Some(first) = left.pop_first() {
            pieces += 1;
            let mut open = vec![first];
            while let Some(number) = open.pop() {
                let next = |link: &(usize, usize)| match *link {
                    (a, b) if a == number => Some(b),
                    (a, b) if b == number => Some(a),
                    _ => None,
                };
                open.extend(self.links.iter().filter_map(next).filter(|other| left.remove(other)));
            }
        }
        pieces
    }

    /// Goes on until all who are in reach are in one piece, for so long at most. Announcements go on meanwhile, and so do these.
    fn until_whole(&mut self, within: Duration, others: &[Said]) -> Option<Duration> {
        let own = self.announced();
        let since = self.now;
        let mut announced = None;
        while self.now - since < within {
            if announced.is_none_or(|at| self.now - at >= ANNOUNCED_EVERY) {
                announced = Some(self.now);
                self.hear(others);
                self.hear(&own);
            }
            self.step();
            if self.pieces() <= 1 {
                return Some(self.now - since);
            }
        }
        None
    }
}

fn tcp_port(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    })
}

/// Announcements by somebody who has the event's secret: keys of its own, with no certificate or somebody else's, and keys of
/// real devices.
fn fakes(count: usize, real: usize) -> Vec<Vec<u8>> {
    let fake = |number: usize| {
        let pair = keypair(1_000 + number as u64);
        let certificate = keypair((number % real) as u64).public().to_bytes();
        announces(&pair, 30_000, if number.is_multiple_of(2) { &certificate } else { b"" })
    };
    (0..count).map(fake).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn all_in_reach_are_linked_whatever_is_announced(
        count in prop::sample::select(vec![3, 8, 20, 40]),
        fakes_count in prop_oneof![Just(0), 1..40_usize, 400..2_000_usize],
        knows in any::<bool>(),
        away in prop::collection::btree_set(0..40_usize, 1..40),
    ) {
        let mut world = World::new(count);
        let fakes = judged(fakes(fakes_count, count));
        let found = world.until_whole(Duration::from_secs(3), &fakes);
        prop_assert!(found.is_some(), "not linked in 3 s after the start");
        if knows {
            world.tell_all();
        }
        for _ in 0..20 {
            world.step();
        }
        // Those who are away lose all of their links, and the others go on.
        world.cut(away.iter().map(|away| away % count).collect());
        prop_assert!(world.until_whole(LINKED_WITHIN, &fakes).is_some(), "not linked without those who are away");
        world.cut(BTreeSet::new());
        prop_assert!(world.until_whole(LINKED_WITHIN, &fakes).is_some(), "not linked again after the cut");
        // Everybody at once: the access point is off for a moment.
        world.cut((0..count).collect());
        for _ in 0..100 {
            world.step();
        }
        world.cut(BTreeSet::new());
        prop_assert!(world.until_whole(LINKED_WITHIN, &fakes).is_some(), "not linked again after all were cut off");
        for device in &world.devices {
            prop_assert!(device.book.peers.len() < count, "somebody else is in the book");
        }
    }

    /// Many devices were at the event that are not here now: an organiser's, of yesterday, or what a thief of an hq admitted.
    #[test]
    fn all_in_reach_are_linked_whoever_else_has_a_certificate(
        count in prop::sample::select(vec![3, 8, 20]),
        others in 0..200_usize,
        together in any::<bool>(),
    ) {
        let mut world = World::new(count);
        let dead = judged((0..others).map(|number| {
            let pair = keypair(1_000 + number as u64);
            announces(&pair, 30_000, &pair.public().to_bytes())
        }));
        if together {
            world.hear(&dead);
        }
        world.until_whole(LINKED_WITHIN, &dead);
        world.cut((0..count).collect());
        for _ in 0..50 {
            world.step();
        }
        world.cut(BTreeSet::new());
        let took = world.until_whole(LINKED_WITHIN, &[]);
        prop_assert!(took.is_some(), "not linked again beside {others} others");
    }
}
