//! People's mistakes and cheats: old images, copied disks, two histories under one key, spends of what is not held.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use popmesh_proto::command::{Command, LotMint};
use popmesh_proto::id::{DeviceId, Nonce};
use popmesh_proto::mark::Mark;

use super::node::{Node, State, Who};
use super::queue::{Event, NodeIndex};
use super::{MS, SECOND, World};
use crate::disk::{Image, Kept};
use crate::night::TrustNumbers;
use crate::scenario::{Cheat, DeviceIndex};

/// So many messages of a device that will replay are kept.
const OVERHEARD: usize = 64;

/// What people do wrong.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    /// Each with the mark that lay beside the database.
    images: BTreeMap<usize, (Image, Option<Mark>)>,
    /// For each fault that made one: the second box.
    seconds: BTreeMap<usize, NodeIndex>,
    forks: BTreeSet<DeviceIndex>,
    nonces: BTreeMap<NodeIndex, Nonce>,
    replays: BTreeSet<NodeIndex>,
    /// Nodes that write a second time what they write next.
    pub(super) rewriters: BTreeSet<NodeIndex>,
    overheard: Vec<(NodeIndex, NodeIndex, Rc<[u8]>)>,
    pub(super) numbers: TrustNumbers,
}

impl Mistakes {
    /// The nonce that a node is to begin its next life with, if it is not one of chance.
    pub(super) fn nonce(&mut self, node: NodeIndex) -> Option<Nonce> {
        self.nonces.remove(&node)
    }

    pub(super) fn will_fork(&mut self, device: DeviceIndex) {
        self.forks.insert(device);
    }

    /// Whether the disk as it is at the start of this node will be needed.
    pub(super) fn wants_boot_image(&self, node: NodeIndex) -> bool {
        self.forks.contains(&node)
    }

    /// A message goes from one node to another.
    pub(super) fn overhear(&mut self, from: NodeIndex, to: NodeIndex, bytes: &Rc<[u8]>) {
        if self.replays.contains(&from) {
            if self.overheard.len() >= OVERHEARD {
                self.overheard.remove(0);
            }
            self.overheard.push((from, to, bytes.clone()));
        }
    }
}

impl World<'_> {
    pub(super) fn dies(&mut self, node: NodeIndex) {
        self.power_fails(node);
        self.nodes[node].disk.cut(Kept::Nothing);
        self.nodes[node].state = State::Dead;
        self.relink();
    }

    pub(super) fn take_image(&mut self, fault: usize) {
        if let crate::scenario::FaultKind::Restored { device, .. } = self.scenario.faults[fault].kind {
            let image = self.nodes[device].disk.image();
            self.mistakes.images.insert(fault, (image, self.nodes[device].mark.clone()));
        }
    }

    pub(super) fn restores(&mut self, fault: usize, node: NodeIndex) {
        let Some((image, mark)) = self.mistakes.images.remove(&fault) else { return };
        if matches!(self.nodes[node].state, State::Dead) {
            return;
        }
        self.ledger.suspect(self.nodes[node].id);
        self.power_fails(node);
        self.nodes[node].disk.cut(Kept::Everything);
        // No store is open on a disk without power.
        if self.nodes[node].disk.restore(&image).is_ok() {
            self.nodes[node].restored = true;
            // The whole disk, or the database alone, with the mark beside it or without.
            let beside = match self.random.below(4) {
                0 => None,
                1 | 2 => mark,
                _ => self.nodes[node].mark.clone(),
            };
            self.nodes[node].mark_synced.clone_from(&beside);
            self.nodes[node].mark = beside;
        }
        self.boot_if_it_can(node);
    }

    pub(super) fn clones(&mut self, fault: usize, of: NodeIndex, begins: bool) {
        if begins {
            let image = self.nodes[of].disk.image();
            self.second_box(fault, of, &image, None);
        } else {
            self.second_box_leaves(fault);
        }
    }

    /// A person at an hq mints what others mint, where that device knows of the drop and not of their lots.
    pub(super) fn reprints(&mut self, node: NodeIndex) {
        if !self.nodes[node].is_running() {
            return;
        }
        let scenario = self.scenario;
        for drop in &scenario.drops {
            for lot in drop.lots.iter().filter(|lot| lot.numbered && lot.at != node) {
                let mint = LotMint {
                    drop: drop.drop.clone(),
                    sku: scenario.products[lot.product].sku.clone(),
                    first: lot.first,
                    last: lot.first + lot.units.saturating_sub(1),
                    numbered: true,
                    place: None,
                    edition: None,
                };
                self.order(node, Who::Crew, Command::LotMint(mint), None);
            }
        }
    }

    fn second_box(&mut self, fault: usize, of: NodeIndex, image: &Image, nonce: Option<Nonce>) {
        if !self.nodes[of].has_power() {
            return;
        }
        self.ledger.suspect(self.nodes[of].id);
        let disk = self.disks.add();
        disk.cut(Kept::Everything);
        if disk.restore(image).is_err() {
            return;
        }
        let original = &self.nodes[of];
        let spec = &self.scenario.devices[original.device_index];
        let second = Node {
            name: format!("{} (copy)", original.name),
            clock: original.clock,
            supply: original.supply,
            nonce: original.nonce,
            mark: original.mark.clone(),
            mark_synced: original.mark.clone(),
            ..Node::new(
                original.device_index,
                spec,
                original.secret.clone(),
                original.certificate.clone(),
                disk,
            )
        };
        let node = self.nodes.len();
        self.ids.entry(second.id).or_default().push(node);
        self.nodes.push(second);
        self.links.add_node();
        if let Some(nonce) = nonce {
            self.mistakes.nonces.insert(node, nonce);
        }
        self.mistakes.seconds.insert(fault, node);
        self.boot(node);
    }

    fn second_box_leaves(&mut self, fault: usize) {
        if let Some(node) = self.mistakes.seconds.remove(&fault) {
            self.power_fails(node);
            self.nodes[node].disk.cut(Kept::Nothing);
            self.nodes[node].state = State::Dead;
            self.relink();
        }
    }

    pub(super) fn cheats(&mut self, fault: usize, node: NodeIndex, how: Cheat, begins: bool) {
        match how {
            Cheat::Forks => {
                if begins {
                    // A second history of the life under way, from where that life began.
                    let nonce = self.nodes[node].nonce;
                    if let Some(image) = self.nodes[node].boot_image.take() {
                        self.second_box(fault, node, &image, Some(nonce));
                    }
                } else {
                    self.second_box_leaves(fault);
                }
            }
            Cheat::Rewrites => {
                if begins {
                    self.mistakes.rewriters.insert(node);
                } else {
                    self.mistakes.rewriters.remove(&node);
                }
            }
            Cheat::Overspends => {
                if begins {
                    self.ledger.suspect(self.nodes[node].id);
                    self.overspends(node);
                }
            }
            Cheat::Crafts => {
                if begins {
                    self.acts_again(fault, node);
                }
            }
            Cheat::Replays => {
                if begins {
                    self.mistakes.replays.insert(node);
                    self.queue.plan(self.now_us + SECOND, Event::Replay { node });
                } else {
                    self.mistakes.replays.remove(&node);
                }
            }
        }
    }

    /// Sends what was sent before once more, to whom it was sent to.
    pub(super) fn replay(&mut self, node: NodeIndex) {
        if !self.mistakes.replays.contains(&node) {
            return;
        }
        let index = self.random.index(self.mistakes.overheard.len());
        if let Some((from, to, bytes)) = self.mistakes.overheard.get(index).cloned()
            && self.links.are_linked(from, to)
        {
            self.send_over_link(from, to, bytes);
        }
        self.queue.plan(self.now_us + 100 * MS, Event::Replay { node });
    }

    /// All boxes that have this key.
    pub(super) fn boxes_of(&self, device: &DeviceId) -> &[NodeIndex] {
        self.ids.get(device).map_or(&[], Vec::as_slice)
    }
}
