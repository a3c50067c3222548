//! Faults: what each does when it begins and when it ends. Those of the networks are in the script of who can hear whom.

use super::queue::{Event, NodeIndex};
use super::{MS, World};
use crate::disk::{Faults, Kept};
use crate::planted::Planted;
use crate::scenario::{Cheat, FaultKind, Medium};

/// A power cut that waits for an operation of the disk waits no longer than this, milliseconds.
const FUSE_MS: u64 = 1_500;
/// So many syncs out of a thousand lie where that bug is planted.
const LIES_PER_MILLE: u64 = 300;

impl World<'_> {
    pub(super) fn plan_faults(&mut self) {
        for (fault, what) in self.scenario.faults.iter().enumerate() {
            if let FaultKind::Restored { image_ms, .. } = what.kind {
                self.queue.plan(image_ms * MS, Event::Image { fault });
            }
            if let FaultKind::Cheats { device, how: Cheat::Forks } = what.kind {
                self.mistakes.will_fork(device);
            }
            self.queue.plan(what.from_ms * MS, Event::Fault { fault, begins: true });
            self.queue.plan(what.until_ms * MS, Event::Fault { fault, begins: false });
        }
    }

    pub(super) fn fault(&mut self, fault: usize, begins: bool) {
        if self.active[fault] == begins || (begins && self.healed) {
            return;
        }
        self.active[fault] = begins;
        let kind = self.scenario.faults[fault].kind.clone();
        if begins {
            self.note_coverage(&kind);
        }
        self.watch.fault(fault, self.now_us, begins);
        match kind {
            FaultKind::Offline { .. }
            | FaultKind::Flapping { .. }
            | FaultKind::OneWay { .. }
            | FaultKind::WifiDown { .. }
            | FaultKind::WanDown { .. }
            | FaultKind::Split { .. }
            | FaultKind::Clog { .. } => {}
            FaultKind::BadWifi { venue, medium } => {
                self.degrade(venue, begins.then_some(medium), self.scenario.venues[venue].wifi);
            }
            FaultKind::BadWan { medium } => {
                let venues = self.scenario.venues.len();
                let good = self.scenario.wan.unwrap_or(self.scenario.venues[0].wifi);
                for venue in 0..venues {
                    self.degrade(2 * venues + venue, begins.then_some(medium), good);
                }
            }
            FaultKind::PowerCut { device, at_operation, in_recovery } => {
                self.cut_power(device, begins, at_operation, in_recovery);
            }
            FaultKind::MainsDown { venue } => self.mains(venue, !begins),
            FaultKind::BatterySwap { device } => {
                if begins {
                    self.swap_battery(device);
                }
            }
            FaultKind::DiskFull { device } => {
                let disk = &self.nodes[device].disk;
                disk.set_capacity(begins.then(|| disk.used_bytes()));
            }
            FaultKind::DiskErrors { device, read_per_mille, write_per_mille, sync_per_mille } => {
                let faults = Faults {
                    read_errors_per_mille: read_per_mille,
                    write_errors_per_mille: write_per_mille,
                    sync_errors_per_mille: sync_per_mille,
                    ..self.usual_faults()
                };
                self.nodes[device].disk.set_faults(if begins { faults } else { self.usual_faults() });
            }
            FaultKind::SlowDisk { device, times } => {
                self.nodes[device].slow = if begins { times.max(1) } else { 1 }
            }
            FaultKind::ClockStep { device, by_ms } => {
                if begins {
                    self.nodes[device].clock.ahead_ms += by_ms;
                }
            }
            FaultKind::Dies { device } => {
                if begins {
                    self.dies(device);
                }
            }
            FaultKind::Restored { device, .. } => {
                if begins {
                    self.restores(fault, device);
                }
            }
            FaultKind::Cloned { device } => self.clones(fault, device, begins),
            FaultKind::Entrusted { .. } => {
                if begins {
                    self.entrusts(fault);
                }
            }
            FaultKind::Reprints { device } => {
                if begins {
                    self.reprints(device);
                }
            }
            FaultKind::Retired { .. } => {
                if begins {
                    self.will_retire(fault);
                }
            }
            FaultKind::Chore { device, what } => {
                if begins {
                    self.does_chore(fault, device, what);
                }
            }
            FaultKind::Cheats { device, how } => self.cheats(fault, device, how, begins),
        }
        self.note_lanes();
        self.look_at_boards();
    }

    /// How disks fail that nothing ails.
    pub(super) fn usual_faults(&self) -> Faults {
        let lying_syncs_per_mille = if self.options.has(Planted::LyingDisk) { LIES_PER_MILLE } else { 0 };
        Faults { lying_syncs_per_mille, ..Faults::NONE }
    }

    fn degrade(&mut self, carrier: usize, bad: Option<Medium>, good: Medium) {
        self.carriers[carrier].becomes(bad.unwrap_or(good));
    }

    fn cut_power(
        &mut self,
        node: NodeIndex,
        begins: bool,
        at_operation: Option<u64>,
        in_recovery: Option<u64>,
    ) {
        if !begins {
            self.nodes[node].cut_in_recovery = in_recovery;
            self.nodes[node].disk.disarm_fuse();
            // A cut that still waited for its operation no longer comes.
            self.next_power_change(node);
            self.let_on(node);
            return;
        }
        match at_operation {
            Some(operation) if self.nodes[node].has_power() => {
                self.nodes[node].kept_off += 1;
                self.nodes[node].disk.arm_fuse(operation, Kept::Any);
                let change = self.next_power_change(node);
                self.queue.plan(self.now_us + FUSE_MS * MS, Event::Power { node, change, on: false });
            }
            _ => self.keep_off(node),
        }
    }

    /// All faults end that have not, but for what is dead.
    pub(super) fn heal(&mut self) {
        for fault in 0..self.scenario.faults.len() {
            if self.active[fault] {
                self.fault(fault, false);
            }
        }
        self.healed = true;
        for node in 0..self.nodes.len() {
            let of = &mut self.nodes[node];
            of.kept_off = 0;
            of.empty = false;
            of.supply.mains = true;
            of.clock.ahead_ms = 0;
            of.cut_in_recovery = None;
            of.disk.disarm_fuse();
            self.boot(node);
        }
        self.networks_change();
    }
}
