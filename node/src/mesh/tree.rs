//! What holds the links over the radio together: a tree over each group of devices that are linked, directly or through
//! others. No clock and no radio of its own.
//!
//! Each device tells its neighbours the lowest short id that it has heard of, which names the group, and over how many
//! links. Where it has that from is its parent. The links between parents and children are needed; all others can be let
//! go, by several devices at once, and the group stays in one piece. When the lowest leaves, what is still said of it grows
//! older by a link with each telling, until it is over [`HOPS_MAX`] and forgotten.

use std::collections::BTreeMap;

use popmesh_ble::ShortId;

/// The longest way to the lowest. Groups wider than this become several, which are linked all the same.
const HOPS_MAX: u8 = 48;

const IS_PARENT: u8 = 1;
const HAS_OTHER_WAY: u8 = 2;

/// What neighbours tell each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    /// The lowest device that is reached.
    root: ShortId,
    /// Over how many links.
    hops: u8,
    /// Whether through the one who is told.
    is_parent: bool,
    /// Whether it would be reached without the parent, too.
    has_other_way: bool,
}

impl Word {
    pub(crate) const BYTES: usize = 6;

    pub(crate) fn bytes(self) -> [u8; Self::BYTES] {
        let [a, b, c, d] = self.root.0;
        let flags =
            if self.is_parent { IS_PARENT } else { 0 } | if self.has_other_way { HAS_OTHER_WAY } else { 0 };
        [a, b, c, d, self.hops, flags]
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, d, hops, flags] = *bytes else { return None };
        if hops > HOPS_MAX || flags > (IS_PARENT | HAS_OTHER_WAY) {
            return None;
        }
        Some(Self {
            root: ShortId([a, b, c, d]),
            hops,
            is_parent: flags & IS_PARENT != 0,
            has_other_way: flags & HAS_OTHER_WAY != 0,
        })
    }
}

/// How much a link is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Nobody loses anybody without it.
    None,
    /// The other end would find its way through somebody else, if no other link goes meanwhile.
    Replaceable,
    /// Somebody is reached over it alone, or it is not known yet.
    Needed,
}

#[derive(Debug, Default)]
struct Neighbour {
    heard: Option<Word>,
    told: Option<Word>,
}

/// This device's part of the tree.
#[derive(Debug)]
pub(crate) struct Tree {
    me: ShortId,
    root: ShortId,
    hops: u8,
    parent: Option<ShortId>,
    neighbours: BTreeMap<ShortId, Neighbour>,
}

impl Tree {
    pub(crate) fn new(me: ShortId) -> Self {
        Self { me, root: me, hops: 0, parent: None, neighbours: BTreeMap::new() }
    }

    /// What names this device's group.
    pub(crate) fn root(&self) -> ShortId {
        self.root
    }

    pub(crate) fn link_up(&mut self, id: ShortId) {
        self.neighbours.insert(id, Neighbour::default());
    }

    pub(crate) fn link_down(&mut self, id: ShortId) {
        self.neighbours.remove(&id);
        self.look_again();
    }

    pub(crate) fn heard(&mut self, from: ShortId, word: Word) {
        if let Some(neighbour) = self.neighbours.get_mut(&from) {
            neighbour.heard = Some(word);
            self.look_again();
        }
    }

    fn look_again(&mut self) {
        // What a child says comes from here.
        let offered = self.neighbours.iter().filter_map(|(id, neighbour)| {
            let word = neighbour.heard.filter(|word| !word.is_parent && word.hops < HOPS_MAX)?;
            Some((word.root, word.hops + 1, Some(*id)))
        });
        let (root, hops, parent) = offered.chain([(self.me, 0, None)]).min().unwrap_or((self.me, 0, None));
        // Of two ways that are as good, the one that is taken stays.
        let stays = self
            .parent
            .and_then(|id| self.neighbours.get(&id)?.heard)
            .is_some_and(|word| !word.is_parent && (word.root, word.hops + 1) == (root, hops));
        self.parent = if stays && parent.is_some() { self.parent } else { parent };
        (self.root, self.hops) = (root, hops);
    }

    /// Whether the lowest is reached without the parent, too: through somebody who is no further from it than this device,
    /// and so cannot have it from here.
    fn has_other_way(&self) -> bool {
        self.neighbours.iter().any(|(id, neighbour)| {
            Some(*id) != self.parent
                && neighbour
                    .heard
                    .is_some_and(|word| !word.is_parent && word.root == self.root && word.hops <= self.hops)
        })
    }

    /// What is to be told to neighbours that were last told something else. It counts as told.
    pub(crate) fn news(&mut self) -> Vec<(ShortId, Word)> {
        let word =
            Word { root: self.root, hops: self.hops, is_parent: false, has_other_way: self.has_other_way() };
        let parent = self.parent;
        let mut telling = Vec::new();
        for (id, neighbour) in &mut self.neighbours {
            let word = Word { is_parent: Some(*id) == parent, ..word };
            if neighbour.told.replace(word) != Some(word) {
                telling.push((*id, word));
            }
        }
        telling
    }

    /// How much the link to a neighbour is needed.
    pub(crate) fn need(&self, id: ShortId) -> Need {
        let Some(neighbour) = self.neighbours.get(&id) else { return Need::None };
        match neighbour.heard {
            Some(word) if word.root == self.root && !word.is_parent && self.parent != Some(id) => Need::None,
            Some(word) if word.root == self.root && word.is_parent && word.has_other_way => Need::Replaceable,
            _ => Need::Needed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ShortId {
        ShortId([0, 0, 0, number])
    }

    /// Devices, what is under way between them, and who is linked.
    struct Group {
        trees: Vec<Tree>,
        links: Vec<(u8, u8)>,
    }

    impl Group {
        fn of(devices: u8, links: &[(u8, u8)]) -> Self {
            let mut group =
                Self { trees: (0..devices).map(|number| Tree::new(id(number))).collect(), links: Vec::new() };
            for (one, other) in links {
                group.link(*one, *other);
            }
            group
        }

        fn link(&mut self, one: u8, other: u8) {
            self.links.push((one, other));
            self.trees[usize::from(one)].link_up(id(other));
            self.trees[usize::from(other)].link_up(id(one));
        }

        fn cut(&mut self, one: u8, other: u8) {
            self.links.retain(|link| *link != (one, other) && *link != (other, one));
            self.trees[usize::from(one)].link_down(id(other));
            self.trees[usize::from(other)].link_down(id(one));
        }

        /// Tells until nobody has news. Says how often.
        fn settle(&mut self) -> usize {
            for round in 0..1_000 {
                let mut words = Vec::new();
                for (from, tree) in (0_u8..).zip(&mut self.trees) {
                    words.extend(tree.news().into_iter().map(|(to, word)| (from, to, word)));
                }
                if words.is_empty() {
                    return round;
                }
                for (from, to, word) in words {
                    let word = Word::read(&word.bytes()).expect("it is read as it was written");
                    self.trees[usize::from(to.0[3])].heard(id(from), word);
                }
            }
            panic!("it does not settle");
        }

        fn roots(&self) -> Vec<u8> {
            self.trees.iter().map(|tree| tree.root().0[3]).collect()
        }

        fn needs(&self, one: u8, other: u8) -> [Need; 2] {
            [self.trees[usize::from(one)].need(id(other)), self.trees[usize::from(other)].need(id(one))]
        }
    }

    #[test]
    fn the_lowest_names_a_group_and_is_forgotten_when_it_leaves() {
        let mut group = Group::of(7, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 1), (5, 6)]);
        group.settle();
        assert_eq!(group.roots(), [0, 0, 0, 0, 0, 5, 5]);
        group.link(6, 4);
        group.settle();
        assert_eq!(group.roots(), [0; 7]);
        group.cut(0, 1);
        println!("{} tellings until the lowest is forgotten", group.settle());
        assert_eq!(group.roots(), [0, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn without_the_links_that_are_not_needed_a_group_stays_in_one_piece() {
        let links: Vec<(u8, u8)> =
            (0..8).flat_map(|one| (one + 1..8).map(move |other| (one, other))).collect();
        let mut group = Group::of(8, &links);
        group.settle();
        let unneeded: Vec<(u8, u8)> = links
            .iter()
            .copied()
            .filter(|(one, other)| group.needs(*one, *other) == [Need::None; 2])
            .collect();
        assert_eq!(unneeded.len(), links.len() - 7, "what is left is a tree");
        for (one, other) in unneeded {
            group.cut(one, other);
        }
        group.settle();
        assert_eq!(group.roots(), [0; 8]);
        assert!(group.links.iter().all(|(one, other)| group.needs(*one, *other) == [Need::Needed; 2]));
    }

    #[test]
    fn a_child_with_another_way_can_be_let_go() {
        let mut group = Group::of(4, &[(0, 1), (0, 2), (0, 3), (1, 2)]);
        group.settle();
        assert_eq!(group.needs(0, 1)[0], Need::Replaceable);
        assert_eq!(group.needs(0, 3)[0], Need::Needed);
        group.cut(0, 1);
        group.settle();
        assert_eq!(group.roots(), [0; 4]);
        assert_eq!(group.needs(0, 2)[0], Need::Needed, "now there is no other way");
    }

    #[test]
    fn nonsense_is_not_read() {
        let word = Word { root: id(1), hops: HOPS_MAX, is_parent: true, has_other_way: true };
        assert_eq!(Word::read(&word.bytes()), Some(word));
        assert_eq!(Word::read(&[0; 5]), None);
        assert_eq!(Word::read(&[0; 7]), None);
        assert_eq!(Word::read(&[0, 0, 0, 0, HOPS_MAX + 1, 0]), None);
        assert_eq!(Word::read(&[0, 0, 0, 0, 0, 4]), None);
    }
}
