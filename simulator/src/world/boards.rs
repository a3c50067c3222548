//! Boards, looked at as an overlay would, and judged by what is true (I12): nothing that is shown is ever false, what was
//! claimed never moves back, over restarts either, and with all linked and quiet all of it is the truth.
//!
//! What is true is worked out from what is written (`for_sale`), not by the view that boards are made of. A device is
//! looked at when all that it knows is durable; that changes nothing about the night.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::Device;
use popmesh_proto::id::DeviceId;
use popmesh_proto::query::{Board, Counts, VoidedWhy};
use popmesh_proto::text::{DropId, Sku};
use popmesh_proto::units::UnitSet;

use super::ledger::Breach;
use super::queue::NodeIndex;
use super::{MS, SECOND, World};
use crate::scenario::FaultKind;

/// What was written so long ago by a device that a board counts among those in reach has come, microseconds: links and
/// digests bring it sooner, and a device that is silent is missed sooner.
const NEWS_TAKE_US: u64 = 30 * SECOND;

/// A clock that is ahead by no more is right, milliseconds.
const RIGHT_TO_MS: i64 = 10_000;

/// With more devices it is not looked every second whether all agree.
const COMPARED: usize = 30;

/// What a board showed last.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    claimed: u64,
    voided: u64,
    /// How many devices had forked a life.
    forked: usize,
}

/// What boards showed.
#[derive(Debug, Default)]
pub(super) struct Boards {
    shown: BTreeMap<(NodeIndex, DropId, Option<Sku>), Shown>,
    /// Which device is looked at next.
    next: NodeIndex,
    /// How much was written when it was looked last, and since when it was no more.
    written: u64,
    quiet_since_us: Option<u64>,
    /// Boards that were looked at.
    pub(super) looked_at: u64,
}

/// What is true of one SKU, or of all of a drop.
#[derive(Debug, Clone, Copy, Default)]
struct Truth {
    ever_sold: u64,
    for_sale: u64,
    /// Of these, those that the device itself has, and knows of.
    here: u64,
    /// Of these, those that came to be by what the device has not heard.
    unheard: u64,
    /// Units that were never sold, nor damaged, of lots that the device knows.
    untouched: u64,
}

impl Truth {
    fn add(&mut self, other: &Self) {
        self.ever_sold += other.ever_sold;
        self.for_sale += other.for_sale;
        self.here += other.here;
        self.unheard += other.unheard;
        self.untouched += other.untouched;
    }
}

impl World<'_> {
    /// Looks at the board of the next device, in turn.
    pub(super) fn look_at_a_board(&mut self) {
        let written = self.ledger.entries;
        if std::mem::replace(&mut self.boards.written, written) != written {
            self.boards.quiet_since_us = Some(self.now_us);
        }
        let is_quiet = self.boards.quiet_since_us.is_some_and(|since| since + SECOND <= self.now_us);
        if is_quiet && self.nodes.len() <= COMPARED && self.all_agree() {
            // Once, until something is written again.
            self.boards.quiet_since_us = None;
            self.look_at_quiet_boards();
        }
        let node = self.boards.next % self.nodes.len();
        self.boards.next = node + 1;
        self.look_at_board(node);
    }

    /// Looks at the boards of all devices.
    pub(super) fn look_at_boards(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.look_at_board(node));
    }

    /// Looks at the boards of all devices that have the same log, and have had it for a second: they show the truth.
    pub(super) fn look_at_quiet_boards(&mut self) {
        if self.ledger.is_in_doubt() || self.ledger.prints.any_twice() {
            return;
        }
        let companies = self.companies();
        if companies.first().is_some_and(|company| company.len() == self.nodes.len()) {
            self.judge_boards(companies.into_iter().flatten(), true);
        }
    }

    /// Looks at the boards of one device.
    pub(super) fn look_at_board(&mut self, node: NodeIndex) {
        self.judge_boards([node].into_iter(), false);
    }

    fn judge_boards(&mut self, nodes: impl Iterator<Item = NodeIndex>, quiet: bool) {
        let scenario = self.scenario;
        for (node, drop) in nodes.flat_map(|node| scenario.drops.iter().map(move |drop| (node, drop))) {
            let now = self.clock(node);
            let device = self.nodes[node].device().filter(|device| device.is_all_durable());
            // A drop that is not known there has no board.
            let board = device.and_then(|device| Some((device, device.board(now, &drop.drop).ok()?)));
            if let Some((device, board)) = board {
                let truths = self.truths(device, &board);
                let age = self.judge_age(device, &board);
                let counts = self.judge_counts(node, &board, &truths, quiet);
                self.boards.looked_at += 1;
                if let Err(problem) = age.and(counts) {
                    let name = &self.nodes[node].name;
                    let text = format!("the board of {} on {name}: {problem}", drop.drop);
                    self.check(Err(Breach::new("I12", text)));
                }
            }
        }
    }

    /// By SKU, and of all.
    fn truths(&self, device: &Device, board: &Board) -> BTreeMap<Option<Sku>, Truth> {
        let mut truths: BTreeMap<Option<Sku>, Truth> = BTreeMap::new();
        let for_sale = &self.ledger.for_sale;
        for (entry, lot) in for_sale.lots.iter().filter(|(_, lot)| lot.drop == board.drop) {
            let truth = truths.entry(Some(lot.sku.clone())).or_default();
            truth.ever_sold += lot.ever_sold.len();
            // What a retired device, or one with two pasts, minted may be void.
            let by = &lot.minted_by;
            let stands = !self.ledger.retired.contains(by) && !self.ledger.suspects.contains(by);
            if stands && device.log().has(entry) {
                truth.untouched += lot.units.difference(&lot.ever_sold).len();
            }
            let mut free = UnitSet::default();
            for (made_by, parcel) in for_sale.parcels.iter().filter(|(_, parcel)| parcel.lot == *entry) {
                free.insert_all(&parcel.units);
                // What was given to it and has not arrived it cannot sell.
                if parcel.holder == device.id() && device.log().has(made_by) {
                    truth.here += parcel.units.len();
                }
            }
            truth.for_sale += free.len();
            let mut unheard = UnitSet::default();
            for risen in for_sale.risen.iter().filter(|risen| risen.lot == *entry) {
                if !device.log().has(&risen.entry) {
                    unheard.insert_all(&risen.units.intersection(&free));
                }
            }
            truth.unheard += unheard.len();
        }
        let mut total = Truth::default();
        truths.values().for_each(|truth| total.add(truth));
        truths.insert(None, total);
        truths
    }

    /// What made more for sale and is not known was written after the board's age.
    fn judge_age(&self, device: &Device, board: &Board) -> Result<(), String> {
        let wrong_clock =
            self.scenario.faults.iter().any(|fault| matches!(fault.kind, FaultKind::ClockStep { .. }));
        // After a start an age is by others' clocks.
        let ahead = self.scenario.devices.iter().map(|device| device.clock_ahead_ms);
        let unsure = wrong_clock || ahead.max().unwrap_or(0) > RIGHT_TO_MS;
        let Some(age_ms) = board.age_ms.filter(|_| !unsure && !self.healed) else { return Ok(()) };
        if self.ledger.is_in_doubt() {
            return Ok(());
        }
        let as_of_us = self.now_us.saturating_sub(age_ms * MS);
        let node_of = |by: &DeviceId| self.nodes.iter().find(|node| node.id == *by);
        let sells = |by: &DeviceId| node_of(by).is_some_and(|node| node.certificate.roles.sells());
        // Of whom it has never heard, nobody can say since when.
        let heard: BTreeSet<DeviceId> = device.log().chains().map(|chain| chain.device).collect();
        // What a device tells of its links counts over what others say of them later, for as long as its clock is ahead of
        // theirs; and of whom nothing was heard since a start, entries tell, by their author's clock.
        let least_ahead = self.scenario.devices.iter().map(|device| device.clock_ahead_ms).min().unwrap_or(0);
        let by_its_clock = |by: &DeviceId| {
            let ahead = node_of(by).map(|node| self.scenario.devices[node.device_index].clock_ahead_ms);
            ahead.is_some_and(|ahead| ahead - least_ahead > RIGHT_TO_MS)
        };
        let counts = |by: &DeviceId| heard.contains(by) && sells(by) && !by_its_clock(by);
        for risen in self.ledger.for_sale.risen.iter().filter(|risen| counts(&risen.by)) {
            let is_old = risen.at_us + NEWS_TAKE_US < as_of_us;
            if is_old && !device.log().has(&risen.entry) {
                return Err(format!(
                    "as of {} s after the beginning it knows all, and not of {} units that came back {} s after it",
                    as_of_us / SECOND,
                    risen.units.len(),
                    risen.at_us / SECOND
                ));
            }
        }
        Ok(())
    }

    fn judge_counts(
        &mut self,
        node: NodeIndex,
        board: &Board,
        truths: &BTreeMap<Option<Sku>, Truth>,
        quiet: bool,
    ) -> Result<(), String> {
        let forked = board.voided.iter().filter(|voided| voided.why == VoidedWhy::Forked).count();
        let each = board.skus.iter().map(|line| (Some(line.sku.clone()), line.counts));
        for (sku, counts) in each.chain([(None, board.total)]) {
            let what = sku.as_ref().map_or_else(|| "all".to_owned(), Sku::to_string);
            let truth = truths.get(&sku).copied().unwrap_or_default();
            self.judge_bounds(&counts, &truth).map_err(|problem| format!("of {what}, {problem}"))?;
            self.judge_back(node, board, (sku, counts), forked)
                .map_err(|problem| format!("of {what}, {problem}"))?;
            let shown = (counts.claimed, counts.left, counts.here);
            let is = (truth.ever_sold, truth.for_sale, truth.here);
            if quiet && shown != is {
                return Err(format!(
                    "of {what}, claimed, left and here are {shown:?}, with all linked and quiet, and {is:?} is true"
                ));
            }
        }
        Ok(())
    }

    fn judge_bounds(&self, counts: &Counts, truth: &Truth) -> Result<(), String> {
        if counts.claimed > truth.ever_sold {
            return Err(format!("{} are claimed, and {} were ever sold", counts.claimed, truth.ever_sold));
        }
        let twice = self.ledger.prints.any_twice();
        let doubt = self.ledger.is_in_doubt();
        // What is printed twice is frozen where that is known. Where somebody may contradict himself, what was never sold is
        // for sale all the same.
        let least = match () {
            () if twice => 0,
            () if doubt => truth.untouched,
            () => truth.for_sale - truth.unheard,
        };
        if counts.left < least {
            return Err(format!("{} are left at most, and {least} are for sale", counts.left));
        }
        if counts.sold_out && least > 0 {
            return Err(format!("all is sold, and {least} are for sale"));
        }
        if counts.left != counts.here + counts.elsewhere + counts.cut_off {
            return Err(format!("what is left is not the sum of its parts: {counts:?}"));
        }
        if !twice && !doubt {
            if counts.here != truth.here {
                return Err(format!("{} are here, and it holds {}", counts.here, truth.here));
            }
            let gap = counts.left.saturating_sub(truth.for_sale);
            let others = counts.elsewhere + counts.cut_off;
            if gap > others {
                return Err(format!("{gap} more are left than there are, and others held {others}"));
            }
        }
        Ok(())
    }

    /// What was claimed is still, or is said to be void.
    fn judge_back(
        &mut self,
        node: NodeIndex,
        board: &Board,
        (sku, counts): (Option<Sku>, Counts),
        forked: usize,
    ) -> Result<(), String> {
        let now = Shown { claimed: counts.claimed, voided: counts.voided, forked };
        let before = self.boards.shown.insert((node, board.drop.clone(), sku), now);
        // A disk that was set back, or copied from another, shows what was shown from there.
        let is_another = self.nodes[node].restored || self.ledger.suspects.contains(&self.nodes[node].id);
        let Some(before) = before.filter(|before| before.forked == forked && !is_another) else {
            return Ok(());
        };
        if now.claimed + now.voided < before.claimed + before.voided {
            return Err(format!("{now:?} are claimed or void, and {before:?} were"));
        }
        if now.claimed < before.claimed && board.voided.is_empty() {
            return Err(format!(
                "{} are claimed, {} were, and it does not say why",
                now.claimed, before.claimed
            ));
        }
        Ok(())
    }
}
