//! Mains and batteries.

use super::queue::{Event, NodeIndex};
use super::{MS, World};
use crate::scenario::VenueIndex;

impl World<'_> {
    /// A fault takes a node's power away.
    pub(super) fn keep_off(&mut self, node: NodeIndex) {
        self.nodes[node].kept_off += 1;
        self.power_fails(node);
        self.note_lanes();
    }

    /// A fault no longer does.
    pub(super) fn let_on(&mut self, node: NodeIndex) {
        self.nodes[node].kept_off = self.nodes[node].kept_off.saturating_sub(1);
        self.boot_if_it_can(node);
    }

    /// Starts a node, unless a fault or an empty battery keeps it off.
    pub(super) fn boot_if_it_can(&mut self, node: NodeIndex) {
        if self.nodes[node].kept_off == 0 && !self.nodes[node].empty {
            self.boot(node);
        }
    }

    pub(super) fn mains(&mut self, venue: VenueIndex, on: bool) {
        for node in 0..self.nodes.len() {
            if self.scenario.devices[self.nodes[node].device_index].venue != venue {
                continue;
            }
            if self.nodes[node].supply.battery.is_none() {
                if on {
                    self.let_on(node)
                } else {
                    self.keep_off(node)
                }
                continue;
            }
            self.drain(node);
            self.nodes[node].supply.mains = on;
            if on && self.nodes[node].empty {
                self.nodes[node].empty = false;
                self.boot_if_it_can(node);
            }
        }
        self.note_lanes();
    }

    pub(super) fn swap_battery(&mut self, node: NodeIndex) {
        let Some(battery) = self.nodes[node].supply.battery else { return };
        let supply = &mut self.nodes[node].supply;
        supply.left_ms = battery.lasts_ms;
        supply.as_of_us = self.now_us;
        self.nodes[node].empty = false;
        self.boot_if_it_can(node);
    }

    /// What a sale costs a battery.
    pub(super) fn sale_drains(&mut self, node: NodeIndex) {
        let supply = &mut self.nodes[node].supply;
        if let Some(battery) = supply.battery
            && !supply.mains
        {
            supply.left_ms = supply.left_ms.saturating_sub(battery.sale_costs_ms);
        }
    }

    fn drain(&mut self, node: NodeIndex) {
        let on = self.nodes[node].has_power();
        let supply = &mut self.nodes[node].supply;
        if on && !supply.mains && supply.battery.is_some() {
            supply.left_ms = supply.left_ms.saturating_sub((self.now_us - supply.as_of_us) / MS);
        }
        supply.as_of_us = self.now_us;
    }

    /// Looks at all batteries; those that are empty end their node without a word.
    pub(super) fn drain_batteries(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].supply.battery.is_none() {
                continue;
            }
            self.drain(node);
            let of = &mut self.nodes[node];
            if !of.supply.mains && of.supply.left_ms == 0 && !of.empty {
                of.empty = true;
                self.watch.batteries_emptied += 1;
                let change = self.next_power_change(node);
                self.queue.plan(self.now_us, Event::Power { node, change, on: false });
            }
        }
    }
}
