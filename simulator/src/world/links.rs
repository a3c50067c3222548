//! Links between nodes: dialled where there is a way and the mesh wants one, lost where the way is gone for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use popmesh_proto::id::DeviceId;
use popmesh_proto::io::Input;
use popmesh_proto::links::{DeviceKey, Width, wanted};

use super::queue::{Event, NodeIndex};
use super::{MS, World};
use crate::connectivity::PathKind;

/// A dial that may succeed does so within this, milliseconds: backoff and handshake.
const DIAL_MS: (u64, u64) = (100, 1_200);
/// A link whose way is gone, or whose peer is, is given up after this, milliseconds: it is looked at, and nothing comes.
const LOST_MS: (u64, u64) = (2_500, 5_500);
/// The same for one that is looked at seldom, and for one that is looked at since somebody lost the peer, the device lost
/// another, or something was sent and nothing came.
const LOST_SELDOM_MS: (u64, u64) = (3_000, 63_000);
const LOST_DOUBTED_MS: (u64, u64) = (2_500, 4_500);
/// With more links than this, a node lets go those that are not wanted, as the node's mesh does.
const LINKS_MANY: usize = 24;
/// Each node picks so many of its links for gossip, and uses those that a neighbour picked, too: between four and five on
/// average, as the node's gossipsub keeps them.
const GOSSIP_PICKS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Being dialled.
    Dialling,
    /// Up.
    Up,
    /// Up, but the way is gone.
    Failing,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    stage: Stage,
    /// Tells plans for this link from those for an earlier one between the same two.
    attempt: u64,
    /// Looked at, since there is reason to doubt.
    doubted: bool,
}

/// All links.
#[derive(Debug, Default)]
pub(super) struct Links {
    between: BTreeMap<(NodeIndex, NodeIndex), Link>,
    /// For each node: its peers, and when the last message from it to each of them arrives.
    peers: Vec<BTreeMap<NodeIndex, u64>>,
    /// For each node: those of its links that it picks for gossip, and all that it uses.
    picks: Vec<Vec<NodeIndex>>,
    gossip: Vec<Rc<[NodeIndex]>>,
    /// For each node: the peers whose links it looks after most.
    watched: Vec<Vec<NodeIndex>>,
    /// Those between them that are narrow: no gossip goes over them.
    narrow: BTreeSet<(NodeIndex, NodeIndex)>,
    attempts: u64,
}

fn pair(a: NodeIndex, b: NodeIndex) -> (NodeIndex, NodeIndex) {
    (a.min(b), a.max(b))
}

impl Links {
    pub(super) fn add_node(&mut self) {
        self.peers.push(BTreeMap::new());
        self.picks.push(Vec::new());
        self.gossip.push(Rc::default());
        self.watched.push(Vec::new());
    }

    /// All that are up, or still taken to be.
    pub(super) fn all(&self) -> Vec<(NodeIndex, NodeIndex)> {
        let both = |(a, peers): (NodeIndex, &BTreeMap<NodeIndex, u64>)| {
            peers.keys().filter(move |b| a < **b).map(move |b| (a, *b)).collect::<Vec<_>>()
        };
        self.peers.iter().enumerate().flat_map(both).collect()
    }

    /// Whether a node looks after its link to another most.
    pub(super) fn watches(&self, node: NodeIndex, peer: NodeIndex) -> bool {
        self.watched[node].contains(&peer)
    }

    pub(super) fn set_watched(&mut self, node: NodeIndex, peers: Vec<NodeIndex>) {
        self.watched[node] = peers;
    }

    pub(super) fn are_linked(&self, a: NodeIndex, b: NodeIndex) -> bool {
        self.peers[a].contains_key(&b)
    }

    pub(super) fn peers(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> + '_ {
        self.peers[node].keys().copied()
    }

    fn broad_peers(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> + '_ {
        self.peers(node).filter(move |peer| !self.is_narrow(node, *peer))
    }

    pub(super) fn count(&self, node: NodeIndex) -> usize {
        self.peers[node].len()
    }

    /// The neighbours to which a node passes gossip on.
    pub(super) fn gossip_peers(&self, node: NodeIndex) -> Rc<[NodeIndex]> {
        self.gossip[node].clone()
    }

    fn is_narrow(&self, a: NodeIndex, b: NodeIndex) -> bool {
        self.narrow.contains(&pair(a, b))
    }

    /// Sets how much a link carries; whether that is new.
    pub(super) fn set_width(&mut self, a: NodeIndex, b: NodeIndex, width: Width) -> bool {
        let changes = match width {
            Width::Narrow => self.narrow.insert(pair(a, b)),
            Width::Broad => self.narrow.remove(&pair(a, b)),
        };
        if changes {
            self.choose_gossip_peers(a, b);
        }
        changes
    }

    /// When a message arrives that would arrive at `at_us`, were it not behind those before it.
    pub(super) fn in_order(&mut self, from: NodeIndex, to: NodeIndex, at_us: u64) -> u64 {
        match self.peers[from].get_mut(&to) {
            Some(last) => {
                *last = (*last).max(at_us);
                *last
            }
            None => at_us,
        }
    }

    fn connect(&mut self, a: NodeIndex, b: NodeIndex) {
        self.peers[a].insert(b, 0);
        self.peers[b].insert(a, 0);
        self.choose_gossip_peers(a, b);
    }

    fn disconnect(&mut self, a: NodeIndex, b: NodeIndex) {
        self.peers[a].remove(&b);
        self.peers[b].remove(&a);
        self.choose_gossip_peers(a, b);
    }

    /// A link between two has come or gone: they may pick others than before, and so be picked by others.
    fn choose_gossip_peers(&mut self, a: NodeIndex, b: NodeIndex) {
        for node in [a, b] {
            self.picks[node] = self.best_for_gossip(node);
        }
        let touched: BTreeSet<NodeIndex> =
            [a, b].into_iter().chain(self.peers(a)).chain(self.peers(b)).collect();
        for node in touched {
            let picked =
                |peer: &NodeIndex| self.picks[node].contains(peer) || self.picks[*peer].contains(&node);
            self.gossip[node] = self.broad_peers(node).filter(picked).collect();
        }
    }

    /// The links with the lowest marks.
    fn best_for_gossip(&self, node: NodeIndex) -> Vec<NodeIndex> {
        let mut peers: Vec<(u64, NodeIndex)> =
            self.broad_peers(node).map(|peer| (mark(node, peer), peer)).collect();
        peers.sort_unstable();
        peers.into_iter().take(GOSSIP_PICKS).map(|(_, peer)| peer).collect()
    }
}

fn mark(a: NodeIndex, b: NodeIndex) -> u64 {
    let (a, b) = pair(a, b);
    ((a as u64) << 32 | b as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

impl World<'_> {
    /// How two nodes can hear each other, if at all.
    pub(super) fn path(&self, a: NodeIndex, b: NodeIndex) -> Option<PathKind> {
        let (from, to) = (self.nodes[a].device_index, self.nodes[b].device_index);
        let power = self.nodes[a].has_power() && self.nodes[b].has_power();
        // Two boxes with one key take each other for themselves.
        if power && from != to { self.reach.path(from, to) } else { None }
    }

    fn is_way(&self, a: NodeIndex, b: NodeIndex) -> bool {
        let (from, to) = (self.nodes[a].device_index, self.nodes[b].device_index);
        let heard = !self.reach.one_way(from, to) && !self.reach.one_way(to, from);
        self.path(a, b).is_some() && heard && !self.is_shut(a, b)
    }

    pub(super) fn networks_change(&mut self) {
        // After the night no fault of the networks is left.
        let time_ms = if self.healed { u64::MAX - 1 } else { self.now_us / MS };
        self.reach = self.connectivity.at(time_ms);
        self.widen_or_narrow();
        self.relink();
    }

    /// How much a link between two carries now. One whose way is gone stays what it was.
    pub(super) fn width(&self, a: NodeIndex, b: NodeIndex) -> Width {
        match self.path(a, b) {
            Some(PathKind::Ble { .. }) => Width::Narrow,
            Some(PathKind::Wifi { .. } | PathKind::Wan) => Width::Broad,
            None if self.links.is_narrow(a, b) => Width::Narrow,
            None => Width::Broad,
        }
    }

    /// Tells devices of links that go by something else now.
    fn widen_or_narrow(&mut self) {
        let links: Vec<(NodeIndex, NodeIndex)> = self.links.between.keys().copied().collect();
        for (a, b) in links {
            let width = self.width(a, b);
            if self.links.are_linked(a, b) && self.links.set_width(a, b, width) {
                for (node, peer) in [(a, b), (b, a)] {
                    let peer = self.nodes[peer].id;
                    self.give(node, Input::LinkWidth { peer, width });
                }
            }
        }
    }

    /// Dials what should be linked and can be; notices what no longer can.
    pub(super) fn relink(&mut self) {
        if !self.started {
            return;
        }
        let mut want = BTreeSet::new();
        let keys: Vec<DeviceKey> = self.nodes.iter().map(|node| node.id.0).collect();
        let by_key: BTreeMap<DeviceKey, Vec<NodeIndex>> =
            self.ids.iter().map(|(id, nodes)| (id.0, nodes.clone())).collect();
        let event = self.charter.event().0;
        for a in 0..self.nodes.len() {
            let near: BTreeSet<DeviceKey> =
                (0..self.nodes.len()).filter(|b| self.is_way(a, *b)).map(|b| keys[b]).collect();
            for key in wanted(&event, &keys[a], &near) {
                for b in by_key.get(&key).into_iter().flatten().filter(|b| self.is_way(a, **b)) {
                    want.insert(pair(a, *b));
                }
            }
        }
        let existing: Vec<((NodeIndex, NodeIndex), Link)> =
            self.links.between.iter().map(|(pair, link)| (*pair, *link)).collect();
        for ((a, b), link) in existing {
            match link.stage {
                Stage::Dialling if !self.is_way(a, b) || !want.contains(&(a, b)) => {
                    self.links.between.remove(&(a, b));
                }
                Stage::Up if !self.is_way(a, b) => self.link_fails(a, b),
                Stage::Failing if self.is_way(a, b) => {
                    // In time: the connection lives on.
                    self.links.between.insert((a, b), Link { stage: Stage::Up, doubted: false, ..link });
                }
                Stage::Up
                    if !want.contains(&(a, b))
                        && self.links.count(a).max(self.links.count(b)) > LINKS_MANY =>
                {
                    self.unlink(a, b);
                }
                _ => {}
            }
        }
        for (a, b) in want {
            if !self.links.between.contains_key(&(a, b)) {
                self.links.attempts += 1;
                let attempt = self.links.attempts;
                self.links.between.insert((a, b), Link { stage: Stage::Dialling, attempt, doubted: false });
                let wait_ms = self.random.within(DIAL_MS.0..=DIAL_MS.1);
                self.queue.plan(self.now_us + wait_ms * MS, Event::Dial { a, b, attempt });
            }
        }
        self.note_lanes();
    }

    fn link_fails(&mut self, a: NodeIndex, b: NodeIndex) {
        let Some(link) = self.links.between.get_mut(&(a, b)) else { return };
        link.stage = Stage::Failing;
        let attempt = link.attempt;
        let soon = self.links.narrow.contains(&pair(a, b)) || self.is_watched(a, b);
        let (from, to) = if soon { LOST_MS } else { LOST_SELDOM_MS };
        let wait_ms = self.random.within(from..=to);
        self.queue.plan(self.now_us + wait_ms * MS, Event::Lost { a, b, attempt });
    }

    /// There is reason to doubt that a peer is there: the mesh looks.
    pub(super) fn doubt_link(&mut self, a: NodeIndex, b: NodeIndex) {
        let (a, b) = pair(a, b);
        let Some(link) = self.links.between.get_mut(&(a, b)) else { return };
        if link.stage == Stage::Failing && !link.doubted {
            link.doubted = true;
            let attempt = link.attempt;
            let wait_ms = self.random.within(LOST_DOUBTED_MS.0..=LOST_DOUBTED_MS.1);
            self.queue.plan(self.now_us + wait_ms * MS, Event::Lost { a, b, attempt });
        }
    }

    /// A device wants the link to a peer looked at.
    pub(super) fn looks_at_link(&mut self, node: NodeIndex, peer: DeviceId) {
        for other in self.ids.get(&peer).cloned().unwrap_or_default() {
            self.doubt_link(node, other);
        }
    }

    pub(super) fn dialled(&mut self, a: NodeIndex, b: NodeIndex, attempt: u64) {
        let due = self
            .links
            .between
            .get(&(a, b))
            .is_some_and(|link| link.attempt == attempt && link.stage == Stage::Dialling);
        if !due {
            return;
        }
        if !self.is_way(a, b) {
            self.links.between.remove(&(a, b));
            return;
        }
        self.links.between.insert((a, b), Link { stage: Stage::Up, attempt, doubted: false });
        self.links.connect(a, b);
        let width = self.width(a, b);
        self.links.set_width(a, b, width);
        for (node, peer) in [(a, b), (b, a)] {
            let peer = self.nodes[peer].id;
            self.give(node, Input::LinkUp { peer, width });
        }
        self.watch.links_changed(self.now_us);
        self.links_are_other([a, b]);
        self.note_lanes();
    }

    fn links_are_other(&mut self, nodes: [NodeIndex; 2]) {
        self.disturbed();
        nodes.into_iter().for_each(|node| self.choose_watched(node));
    }

    pub(super) fn lost(&mut self, a: NodeIndex, b: NodeIndex, attempt: u64) {
        let due = self
            .links
            .between
            .get(&(a, b))
            .is_some_and(|link| link.attempt == attempt && link.stage == Stage::Failing);
        if due {
            self.unlink(a, b);
            // One that lost a link looks at all others.
            for node in [a, b] {
                for peer in self.links.peers(node).collect::<Vec<_>>() {
                    self.doubt_link(node, peer);
                }
            }
            if self.is_way(a, b) {
                self.relink();
            }
        }
    }

    /// One end closes a link.
    pub(super) fn cut_link(&mut self, a: NodeIndex, b: NodeIndex) {
        let (a, b) = pair(a, b);
        self.unlink(a, b);
    }

    fn unlink(&mut self, a: NodeIndex, b: NodeIndex) {
        self.links.between.remove(&(a, b));
        if !self.links.are_linked(a, b) {
            return;
        }
        self.links.disconnect(a, b);
        self.links_are_other([a, b]);
        for (node, peer) in [(a, b), (b, a)] {
            let (peer_id, me) = (self.nodes[peer].id, self.nodes[node].id);
            // Another box with the same key may be linked still.
            let another =
                self.ids.get(&peer_id).into_iter().flatten().any(|other| self.links.are_linked(node, *other));
            if !another && me != peer_id {
                self.give(node, Input::LinkDown { peer: peer_id });
            }
        }
        self.watch.links_changed(self.now_us);
    }

    /// A node is gone without a word, or starts anew: its side of every link is gone at once, the other side notices later.
    pub(super) fn forget_links_of(&mut self, node: NodeIndex) {
        let pairs: Vec<(NodeIndex, NodeIndex)> =
            self.links.between.keys().filter(|(a, b)| *a == node || *b == node).copied().collect();
        for (a, b) in pairs {
            match self.links.between.get(&(a, b)).map(|link| link.stage) {
                Some(Stage::Dialling) => {
                    self.links.between.remove(&(a, b));
                }
                Some(Stage::Up) => self.link_fails(a, b),
                Some(Stage::Failing) | None => {}
            }
        }
    }

    /// A node that has started anew closes what its peers still take for links: they notice at once.
    pub(super) fn reset_links_of(&mut self, node: NodeIndex) {
        let peers: Vec<NodeIndex> = self.links.peers(node).collect();
        for peer in peers {
            let (a, b) = pair(node, peer);
            self.unlink(a, b);
        }
    }
}
