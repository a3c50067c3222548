//! Devices that choose, in a radio graph drawn by chance: a second is a step, what is heard of others is some seconds old.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::{
    super::tree::{Tree, Word},
    *,
};

/// How much older than now what is heard of others may be, and after how long a change of group is known to all.
const STALE_S: u64 = 5;
const SETTLES_S: u64 = 3;

/// Nothing waits for longer than this before a link goes.
const CALM_S: u64 = 500;

fn id(number: usize) -> ShortId {
    ShortId((number as u32).to_be_bytes())
}

fn number(id: ShortId) -> usize {
    u32::from_be_bytes(id.0) as usize
}

struct Device {
    tree: Tree,
    chooser: Chooser,
    held: BTreeMap<usize, Instant>,
    root_since: u64,
    /// Until when those of the own group are not dialled again.
    parted: BTreeMap<usize, u64>,
}

/// What a device advertises: its group, whether it is open, and whether it has room.
type Advert = (ShortId, bool, bool);

struct Air {
    rssi: BTreeMap<(usize, usize), i8>,
    devices: Vec<Device>,
    /// What each advertised in the last seconds, the latest last.
    adverts: Vec<VecDeque<Advert>>,
    second: u64,
    start: Instant,
    let_go: Vec<(u64, usize, usize)>,
}

impl Air {
    fn new(places: usize, devices: usize, edges: &[(usize, usize, i8)]) -> Self {
        let device = |number| Device {
            tree: Tree::new(id(number)),
            chooser: Chooser::new(places),
            held: BTreeMap::new(),
            root_since: 0,
            parted: BTreeMap::new(),
        };
        let rssi =
            edges.iter().flat_map(|(one, other, rssi)| [((*one, *other), *rssi), ((*other, *one), *rssi)]);
        Self {
            rssi: rssi.collect(),
            devices: (0..devices).map(device).collect(),
            adverts: vec![VecDeque::new(); devices],
            second: 0,
            start: Instant::now(),
            let_go: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.second)
    }

    fn is_full(&self, device: usize) -> bool {
        self.devices[device].held.len() >= self.devices[device].chooser.places
    }

    fn cut(&mut self, one: usize, other: usize) {
        for (here, there) in [(one, other), (other, one)] {
            let device = &mut self.devices[here];
            device.held.remove(&there);
            device.tree.link_down(id(there));
            device.parted.insert(there, self.second + 60);
        }
    }

    /// A device is switched off, or out of everybody's range.
    fn leaves(&mut self, gone: usize) {
        self.rssi.retain(|(one, other), _| *one != gone && *other != gone);
        for other in self.devices[gone].held.keys().copied().collect::<Vec<_>>() {
            self.cut(gone, other);
        }
    }

    fn step(&mut self) {
        self.second += 1;
        for (device, heard) in self.devices.iter().zip(&mut self.adverts) {
            let held = device.held.len();
            heard.push_back((
                device.tree.root(),
                held < device.chooser.places,
                device.chooser.has_room(held),
            ));
            if heard.len() as u64 > STALE_S {
                heard.pop_front();
            }
        }
        // One after the other, in an order that changes.
        let count = self.devices.len();
        for offset in 0..count {
            let here = (offset * 7 + self.second as usize * 5) % count;
            if offset % 4 == 0 {
                self.tell();
            }
            let step = self.choose(here);
            match step {
                Step::Nothing => {}
                Step::Dial(to) => {
                    let there = number(to);
                    if !self.is_full(there) {
                        let now = self.now();
                        for (one, other) in [(here, there), (there, here)] {
                            self.devices[one].held.insert(other, now);
                            self.devices[one].tree.link_up(id(other));
                        }
                    }
                }
                Step::LetGo(whom) => {
                    self.let_go.push((self.second, here, number(whom)));
                    self.cut(here, number(whom));
                }
            }
        }
    }

    /// One round of telling.
    fn tell(&mut self) {
        for here in 0..self.devices.len() {
            for (to, word) in self.devices[here].tree.news() {
                let there = &mut self.devices[number(to)];
                let before = there.tree.root();
                there.tree.heard(id(here), Word::read(&word.bytes()).expect("it is read"));
                if there.tree.root() != before {
                    there.root_since = self.second;
                }
            }
        }
    }

    fn choose(&mut self, here: usize) -> Step {
        let (now, second) = (self.now(), self.second);
        let device = &self.devices[here];
        let held: Vec<Held> = device
            .held
            .iter()
            .map(|(there, since)| Held {
                id: id(*there),
                need: device.tree.need(id(*there)),
                worth: self.rssi[&(here, *there)].into(),
                since: *since,
            })
            .collect();
        let mut sighted = Vec::new();
        for ((_, there), rssi) in self.rssi.range((here, 0)..=(here, usize::MAX)) {
            if device.held.contains_key(there) {
                continue;
            }
            // Each hears each other at another time.
            let age = (here * 3 + there + second as usize) % self.adverts[*there].len();
            let (root, is_open, has_room) = self.adverts[*there][self.adverts[*there].len() - 1 - age];
            let is_new = second - age as u64 > device.root_since + SETTLES_S;
            let is_foreign = device.held.is_empty() || is_new && root != device.tree.root();
            let parted = device.parted.get(there).is_some_and(|until| *until > second);
            sighted.push(Candidate {
                id: id(*there),
                is_foreign,
                is_open,
                has_room,
                is_due: is_foreign || !parted,
                worth: (*rssi).into(),
            });
        }
        self.devices[here].chooser.step(&held, &sighted, now)
    }

    fn pieces(&self, neighbours: impl Fn(usize) -> Vec<usize>) -> BTreeSet<BTreeSet<usize>> {
        (0..self.devices.len())
            .map(|start| {
                let (mut piece, mut open) = (BTreeSet::from([start]), vec![start]);
                while let Some(here) = open.pop() {
                    open.extend(neighbours(here).into_iter().filter(|there| piece.insert(*there)));
                }
                piece
            })
            .collect()
    }

    fn is_whole(&self) -> bool {
        self.pieces(|here| self.devices[here].held.keys().copied().collect())
            == self.pieces(|here| {
                self.rssi.range((here, 0)..=(here, usize::MAX)).map(|((_, there), _)| *there).collect()
            })
    }

    /// Runs until the links are in one piece wherever the radio is, and stay so without a link let go for so long.
    fn settles_within(&mut self, seconds: u64, calm: u64) -> Option<u64> {
        let (until, mut whole_since) = (self.second + seconds, None);
        while self.second < until {
            self.step();
            let is_calm = self.let_go.last().is_none_or(|(at, _, _)| *at < self.second);
            whole_since = if self.is_whole() && is_calm { whole_since.or(Some(self.second)) } else { None };
            if whole_since.is_some_and(|since| self.second - since >= calm) {
                return whole_since;
            }
        }
        None
    }
}

/// Devices on a field of so many metres; who is near enough hears each other, the nearer the better.
fn field(places: Vec<(u16, u16)>, metres: f64) -> Vec<(usize, usize, i8)> {
    let at = |number: usize| (f64::from(places[number].0), f64::from(places[number].1));
    let mut edges = Vec::new();
    for one in 0..places.len() {
        for other in 0..one {
            let (here, there) = (at(one), at(other));
            let distance = ((here.0 - there.0).hypot(here.1 - there.1) / 1_000.0 * metres).max(1.0);
            if distance <= 30.0 {
                edges.push((one, other, (-50.0 - 25.0 * distance.log10()) as i8));
            }
        }
    }
    edges
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 4, ..ProptestConfig::default() })]

    /// On a field, five places and one for the next are enough for anything, four for nearly anything.
    #[test]
    fn whoever_is_in_reach_is_reached_and_it_comes_to_rest(
        at in proptest::collection::vec((0_u16..1_000, 0_u16..1_000), 2..20),
        metres in 20.0_f64..100.0,
        places in 4_usize..8,
        leaves in any::<prop::sample::Index>(),
    ) {
        let mut air = Air::new(places, at.len(), &field(at.clone(), metres));
        let settled = air.settles_within(3_600, CALM_S);
        prop_assert!(settled.is_some(), "{:?} pieces, let go {:?}", air.is_whole(), air.let_go);
        air.leaves(leaves.index(at.len()));
        let again = air.settles_within(3_600, CALM_S);
        prop_assert!(again.is_some(), "{:?} pieces, let go {:?}", air.is_whole(), air.let_go);
        prop_assert!(air.devices.iter().all(|device| device.held.len() <= places));
    }

    /// Any graph, if somebody knows how it can be done with a place to spare.
    #[test]
    fn what_can_be_done_in_any_graph_is_done(
        parents in proptest::collection::vec(any::<prop::sample::Index>(), 1..24),
        more in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), -90_i8..-40), 0..60),
        places in 3_usize..6,
    ) {
        let count = parents.len() + 1;
        let mut degree = vec![0; count];
        let mut edges: Vec<(usize, usize, i8)> = Vec::new();
        for (number, parent) in parents.iter().enumerate() {
            let child = number + 1;
            let fit: Vec<usize> = (0..child).filter(|parent| degree[*parent] < places - 1).collect();
            let parent = fit[parent.index(fit.len())];
            degree[parent] += 1;
            degree[child] += 1;
            edges.push((child, parent, -70));
        }
        for (one, other, rssi) in &more {
            let (one, other) = (one.index(count), other.index(count));
            if one != other {
                edges.push((one, other, *rssi));
            }
        }
        let mut air = Air::new(places, count, &edges);
        let settled = air.settles_within(6 * 3_600, CALM_S);
        prop_assert!(settled.is_some(), "{:?} pieces, let go {:?}", air.is_whole(), air.let_go);
    }
}

#[test]
fn everybody_hears_everybody() {
    for places in [3, 5, 7] {
        let edges: Vec<_> = (0..18)
            .flat_map(|one| (0..one).map(move |other| (one, other, -40 - ((one * 7 + other) % 50) as i8)))
            .collect();
        let mut air = Air::new(places, 18, &edges);
        let settled = air.settles_within(3_600, CALM_S);
        println!("{places} places: in one piece after {settled:?} s, {} links let go", air.let_go.len());
        assert!(settled.is_some());
    }
}

#[test]
fn those_for_whom_there_is_no_place_take_turns() {
    let edges: Vec<_> = (1..8).map(|leaf| (0, leaf, -60)).collect();
    let mut air = Air::new(4, 8, &edges);
    let mut reached = BTreeSet::new();
    for _ in 0..3_600 {
        air.step();
        reached.extend(air.devices[0].held.keys().copied());
    }
    assert_eq!(reached, (1..8).collect());
    println!("{} links let go in an hour", air.let_go.len());
    assert!(air.let_go.len() < 30, "seldom: {:?}", air.let_go);
}

fn held(number: usize, need: Need, worth: i16, since: Instant) -> Held {
    Held { id: id(number), need, worth, since }
}

fn fellow(number: usize, worth: i16) -> Candidate {
    Candidate { id: id(number), is_foreign: false, is_open: true, has_room: true, is_due: true, worth }
}

#[test]
fn a_better_one_takes_the_place_of_a_worse_one_seldom() {
    let start = Instant::now();
    let mut chooser = Chooser::new(3);
    let links = [held(1, Need::None, -80, start), held(2, Need::Needed, -90, start)];
    let late = start + SWAPS_EVERY;
    assert_eq!(chooser.step(&links, &[fellow(3, -60)], start + SWAPS_EVERY / 2), Step::Nothing, "too soon");
    assert_eq!(
        chooser.step(&links, &[fellow(3, -80 + BETTER_BY - 1)], late),
        Step::Nothing,
        "not much better"
    );
    assert_eq!(chooser.step(&links, &[fellow(3, -60)], late), Step::LetGo(id(1)), "who is needed stays");
    assert_eq!(chooser.step(&links[1..], &[fellow(3, -60), fellow(1, -80)], late), Step::Dial(id(3)));
    let links = [held(3, Need::None, -60, start), links[1]];
    assert_eq!(
        chooser.step(&links, &[fellow(4, -40)], late + SWAPS_EVERY / 2),
        Step::Nothing,
        "not at once again"
    );
}

#[test]
fn who_is_reached_in_no_other_way_comes_first() {
    let start = Instant::now();
    let mut chooser = Chooser::new(3);
    let foreign = Candidate { is_foreign: true, has_room: false, ..fellow(9, -95) };
    assert_eq!(chooser.step(&[], &[fellow(1, -40), foreign], start), Step::Dial(id(9)));
    let two = [held(1, Need::Needed, -40, start), held(2, Need::None, -50, start)];
    assert_eq!(
        chooser.step(&two, &[fellow(4, -40)], start),
        Step::Nothing,
        "the last place is not for anybody"
    );
    assert_eq!(chooser.step(&two, &[fellow(4, -40), foreign], start), Step::Dial(id(9)));
    let three = [two[0], two[1], held(3, Need::Replaceable, -90, start)];
    assert_eq!(chooser.step(&three, &[foreign], start), Step::Nothing, "the links are new");
    assert_eq!(chooser.step(&three, &[foreign], start + STAYS_FOR), Step::LetGo(id(2)));
    let needed = [two[0], three[2], held(5, Need::Needed, -90, start)];
    let later = start + STAYS_FOR + LET_GO_EVERY;
    assert_eq!(chooser.step(&needed, &[foreign], later), Step::LetGo(id(3)), "who gets along otherwise");
}

#[test]
fn whoever_is_full_lets_go_of_what_nobody_would_miss() {
    let start = Instant::now();
    let mut chooser = Chooser::new(2);
    let links = [held(1, Need::None, -40, start), held(2, Need::Replaceable, -90, start)];
    assert_eq!(chooser.step(&links, &[], start), Step::Nothing);
    assert_eq!(chooser.step(&links, &[], start + FULL_FOR), Step::LetGo(id(1)));
}
