//! Devices that were retired and go on running: whoever knows of it tells them so, and sends them nothing else.

use std::collections::BTreeSet;

use popmesh_proto::id::DeviceId;
use popmesh_proto::io::Barred;

use super::World;
use super::ledger::Breach;
use super::queue::{Event, Life, NodeIndex};

impl World<'_> {
    /// A device has its mesh pass nothing to some.
    pub(super) fn bars(&mut self, node: NodeIndex, barred: Barred) {
        let all = |barred: &Barred| barred.quiet.iter().chain(&barred.shut).copied().collect::<BTreeSet<_>>();
        let before = std::mem::replace(&mut self.nodes[node].barred, barred);
        let freed = &all(&before) - &all(&self.nodes[node].barred);
        self.nodes[node].freed.extend(freed);
        // Not within the device's own turn: links that close are news to it.
        let life = self.nodes[node].life;
        self.queue.plan(self.now_us, Event::Barred { node, life });
    }

    /// Closes the links to those that a device has shut out, and to those that are barred no more: these begin anew.
    pub(super) fn closes_to_barred(&mut self, node: NodeIndex, life: Life) {
        if self.nodes[node].life != life {
            return;
        }
        let freed = std::mem::take(&mut self.nodes[node].freed);
        let peers: Vec<NodeIndex> = self.links.peers(node).collect();
        for peer in peers {
            if self.is_shut(node, peer) || freed.contains(&self.nodes[peer].id) {
                self.cut_link(node, peer);
            }
        }
        self.relink();
    }

    /// Whether one of two nodes lets no link to the other be.
    pub(super) fn is_shut(&self, a: NodeIndex, b: NodeIndex) -> bool {
        let shut = |at: NodeIndex, of: NodeIndex| self.nodes[at].barred.shut.contains(&self.nodes[of].id);
        shut(a, b) || shut(b, a)
    }

    /// Whether a node passes no gossip to another.
    pub(super) fn is_quiet(&self, node: NodeIndex, peer: NodeIndex) -> bool {
        let (barred, id) = (&self.nodes[node].barred, self.nodes[peer].id);
        barred.quiet.contains(&id) || barred.shut.contains(&id)
    }

    /// Nothing goes to a device from one that knows that it was retired, but what proves that.
    pub(super) fn check_sends_to(&mut self, node: NodeIndex, to: &DeviceId) {
        let knows = |device: &popmesh_proto::Device| device.trust().retired().contains_key(to);
        if *to != self.nodes[node].id && self.nodes[node].device().is_some_and(knows) {
            let text = format!(
                "{} goes on talking to {}, and knows that it was retired",
                self.nodes[node].name,
                to.short()
            );
            self.check(Err(Breach::new("I11", text)));
        }
    }
}
