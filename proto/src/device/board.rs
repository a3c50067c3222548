//! The board: what of a drop is claimed and left, and how old that is.
//!
//! What devices out of reach hold is counted as left, since that is the most that can be: what they sell meanwhile makes it
//! less. What can make it more (a return, a lot) and is not known here was written after the board's age.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::sync::DIGEST_EVERY_NARROW_MS;
use crate::clock::Now;
use crate::command::Refusal;
use crate::holdings::board::OnHand;
use crate::id::DeviceId;
use crate::planted::{Plant, Planted};
use crate::query::{Board, BoardSku, CountedFrom, Counts, CutOff, DropToClaim, Voided, VoidedWhy};
use crate::text::{DropId, Sku};

/// How long what somebody in reach has written may take until digests show that it is missing here, milliseconds.
const NEWS_TAKE_MS: u64 = 5_000;
/// The same of who is in reach over narrow links, with two of them on the way: digests are compared seldom there.
const NARROW_NEWS_TAKE_MS: u64 = 2 * DIGEST_EVERY_NARROW_MS;

/// How long this device has had all that its neighbours have.
#[derive(Debug, Default)]
pub(super) struct InStep {
    /// By this device's monotonic clock; below zero where that is longer ago than it runs. `None` before anything is known.
    was_at_ms: Option<i64>,
    /// What was claimed before the start, for a planted bug.
    claimed_before: BTreeMap<(DropId, Sku), u64>,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.announced += other.announced;
        self.claimed += other.claimed;
        self.back += other.back;
        self.left += other.left;
        self.here += other.here;
        self.elsewhere += other.elsewhere;
        self.cut_off += other.cut_off;
        self.frozen += other.frozen;
        self.voided += other.voided;
    }

    /// What follows from the rest, once all is counted.
    fn conclude(&mut self, plant: Plant) {
        if plant.has(Planted::ForgetCutOff) {
            self.left -= self.cut_off;
        }
        self.claimed_percent = (self.claimed * 100).checked_div(self.announced);
        let any = self.announced > 0 || self.claimed > 0;
        self.sold_out = any && self.left == 0;
        if plant.has(Planted::SellOutEarly) {
            self.sold_out = any && self.here + self.elsewhere == 0;
        }
    }
}

impl Device {
    /// What is shown of a drop, for whoever checks a device from outside at a time of its own. Shows what is not yet durable,
    /// too; [`crate::query::Query::Board`] does not.
    ///
    /// # Errors
    /// [`Refusal::UnknownDrop`].
    pub fn board(&self, now: Now, drop: &DropId) -> Result<Board, Refusal> {
        let plan = self.plan_of(drop)?;
        let far = self.how_far_here(plan);
        let announced = self.announced(drop);
        let voided = self.holdings.voided_claims(drop);
        let mut skus: BTreeMap<Sku, Counts> = BTreeMap::new();
        let mut holders: BTreeMap<DeviceId, u64> = BTreeMap::new();
        for (sku, tally) in self.holdings.tallies(drop) {
            let counts = skus.entry(sku.clone()).or_default();
            counts.claimed = tally.claimed;
            if announced.is_none() {
                counts.announced = tally.minted;
            }
            let mut all = OnHand::default();
            for (device, has) in &tally.on_hand {
                all.add(has);
                let whose = match () {
                    () if *device == self.me => &mut counts.here,
                    () if self.peers.is_reachable(device) => &mut counts.elsewhere,
                    () => &mut counts.cut_off,
                };
                *whose += has.left;
                *holders.entry(*device).or_default() += has.left;
            }
            (counts.back, counts.left, counts.frozen) = (all.back, all.left, all.frozen);
            if self.plant.has(Planted::ClaimedIsLive) {
                counts.claimed -= all.back;
            }
            let since_start = self.in_step.claimed_before.get(&(drop.clone(), sku.clone()));
            counts.claimed -= since_start.copied().unwrap_or(0).min(counts.claimed);
        }
        for (sku, units) in announced.iter().flatten() {
            skus.entry(sku.clone()).or_default().announced = *units;
        }
        for ((sku, _), units) in &voided {
            skus.entry(sku.clone()).or_default().voided += units;
        }
        let mut total = Counts::default();
        skus.values().for_each(|counts| total.add(counts));
        total.conclude(self.plant);
        let name = |sku: &Sku| self.programme.products().get(sku).map(|product| product.name.clone());
        let skus = skus.into_iter().map(|(sku, mut counts)| {
            counts.conclude(self.plant);
            BoardSku { name: name(&sku), sku, counts }
        });
        let skus = skus.collect();
        let (devices, cut_off) = self.who_counts(now, &holders);
        let as_of_ms = self.board_as_of_ms(now, &devices);
        Ok(Board {
            drop: drop.clone(),
            title: plan.title.clone(),
            state: far.state,
            round: far.round,
            ended: far.ended,
            ends_ms: far.ends_ms,
            ends_in_ms: far.ends_ms.map(|ends_ms| ends_ms.saturating_sub(now.wall_ms)),
            now_ms: now.wall_ms,
            counted_from: if announced.is_some() { CountedFrom::Announced } else { CountedFrom::Minted },
            as_of_ms,
            age_ms: as_of_ms.map(|as_of| now.wall_ms.saturating_sub(as_of)),
            total,
            skus,
            not_heard: cut_off.len() as u64,
            cut_off,
            devices: devices.len() as u64,
            voided: self.voided(drop, &voided),
        })
    }

    /// How much of each drop was claimed.
    pub(super) fn drops_to_claim(&self) -> Vec<DropToClaim> {
        let drops = self.programme.drops().keys();
        drops.map(|drop| self.drop_to_claim(drop)).collect()
    }

    fn drop_to_claim(&self, drop: &DropId) -> DropToClaim {
        let mut holders: BTreeMap<DeviceId, u64> = BTreeMap::new();
        let (mut claimed, mut minted) = (0, 0);
        for (_, tally) in self.holdings.tallies(drop) {
            claimed += tally.claimed;
            minted += tally.minted;
            for (device, has) in &tally.on_hand {
                *holders.entry(*device).or_default() += has.left;
            }
        }
        let announced = self.announced(drop);
        let counted_from = if announced.is_some() { CountedFrom::Announced } else { CountedFrom::Minted };
        let announced = announced.map_or(minted, |units| units.values().sum());
        let (_, cut_off) = self.who_counts(self.now, &holders);
        DropToClaim { drop: drop.clone(), claimed, announced, counted_from, not_heard: cut_off.len() as u64 }
    }

    /// Units of a drop as they were announced, by SKU; none if nobody said how many.
    fn announced(&self, drop: &DropId) -> Option<BTreeMap<Sku, u64>> {
        let announced = self.holdings.steps_of(drop)?.announced();
        let units = announced.iter().map(|of| (of.sku.clone(), of.units)).collect();
        (!announced.is_empty()).then_some(units)
    }

    /// Devices that sell, hand out, or hold units of a drop; and those of them that are out of reach.
    fn who_counts(&self, now: Now, holders: &BTreeMap<DeviceId, u64>) -> (Vec<DeviceId>, Vec<CutOff>) {
        let sells = |device: &DeviceId| {
            let roles = self.peers.certificate(device).map(|certificate| certificate.roles);
            let gone = self.trust.retired().contains_key(device) || self.trust.left(device).is_some();
            !gone && roles.is_some_and(|roles| roles.sells())
        };
        let mut devices: Vec<DeviceId> = self.peers.known().into_iter().filter(sells).collect();
        devices.extend(holders.keys().filter(|device| !sells(device)));
        devices.sort();
        let cut_off = devices
            .iter()
            .filter(|device| **device != self.me && !self.peers.is_reachable(device))
            .map(|device| CutOff {
                device: *device,
                name: self.name_of(device),
                venue: self.peers.certificate(device).map(|certificate| certificate.venue.clone()),
                sells: sells(device),
                units: holders.get(device).copied().unwrap_or(0),
                last_heard_ms: self.peers.last_heard(device, now),
            });
        let mut cut_off: Vec<CutOff> = cut_off.collect();
        cut_off.sort_by(|a, b| (b.units, &a.name).cmp(&(a.units, &b.name)));
        (devices, cut_off)
    }

    /// Since when something that those devices have written may be missing here.
    fn board_as_of_ms(&self, now: Now, devices: &[DeviceId]) -> Option<u64> {
        let in_step = self.in_step_at_ms(now);
        let behind: BTreeSet<DeviceId> = self.in_reach_narrowly().collect();
        let heard = |device: &DeviceId| match () {
            // What a retired device writes counts for nothing.
            () if self.plant.has(Planted::BoardOfNow) => Some(now.wall_ms),
            () if *device == self.me || self.trust.retired().contains_key(device) => Some(now.wall_ms),
            () if behind.contains(device) => self.narrowly_as_of_ms(now, device, in_step),
            () if self.peers.is_reachable(device) => in_step,
            () => self.peers.surely_heard(device, now),
        };
        let oldest = devices.iter().map(heard).try_fold(now.wall_ms, |oldest, at| Some(oldest.min(at?)));
        // A wall clock that was set back since shows an earlier time than that was.
        oldest.map(|oldest| oldest.min(now.wall_ms))
    }

    /// Since when something may be missing here that a device has written which is in reach over narrow links: digests say what was
    /// so, and the next is minutes away. Example: A is linked to B, and B to C. A is cut off from B; C is not told, and takes A to be
    /// in reach until it has missed three of its presences: what A has written since the last of them is not here.
    fn narrowly_as_of_ms(&self, now: Now, device: &DeviceId, in_step_ms: Option<u64>) -> Option<u64> {
        let wall_of = |mono_ms: u64| now.wall_ms.saturating_sub(now.mono_ms.saturating_sub(mono_ms));
        if let Some(agreed_ms) = self.sync.agreed_narrowly_ms(device) {
            return Some(wall_of(agreed_ms).saturating_sub(NEWS_TAKE_MS));
        }
        let told_ms = self.peers.get(device)?.told.as_ref().map(|told| wall_of(told.at_mono_ms))?;
        in_step_ms.map(|at_ms| at_ms.saturating_sub(NARROW_NEWS_TAKE_MS).min(told_ms))
    }

    /// When this device last had all that its neighbours have, as far as digests tell, by its wall clock.
    fn in_step_at_ms(&self, now: Now) -> Option<u64> {
        if self.sync.agrees_with_all() {
            return Some(now.wall_ms);
        }
        let mono_ms = i64::try_from(now.mono_ms).unwrap_or(i64::MAX);
        let ago = mono_ms.saturating_sub(self.in_step.was_at_ms?);
        Some(now.wall_ms.saturating_sub(u64::try_from(ago).unwrap_or(0)))
    }

    /// Has boards count from the start of this device, for a planted bug.
    pub(super) fn count_from_zero(&mut self) {
        for drop in self.programme.drops().keys() {
            let before = self.holdings.tallies(drop);
            let before = before.map(|(sku, tally)| ((drop.clone(), sku.clone()), tally.claimed));
            self.in_step.claimed_before.extend(before);
        }
    }

    /// A digest shows, or a new link may show, that something is missing here.
    pub(super) fn falls_out_of_step(&mut self) {
        if self.sync.agrees_with_all() {
            self.in_step.was_at_ms = Some(self.mono_before(NEWS_TAKE_MS));
        }
    }

    /// A device is in reach that was not; it was last heard at `heard_ms`. Until digests are compared again, nothing that
    /// it has written since is sure to be here.
    pub(super) fn came_in_reach(&mut self, heard_ms: Option<u64>) {
        let unheard_ms = heard_ms.map_or(0, |at| self.now.wall_ms.saturating_sub(at));
        let then = self.mono_before(unheard_ms.max(NEWS_TAKE_MS));
        let known = self.in_step.was_at_ms.filter(|_| !self.sync.agrees_with_all());
        self.in_step.was_at_ms = Some(known.map_or(then, |known| known.min(then)));
        self.sync.compares_anew();
    }

    fn mono_before(&self, ago_ms: u64) -> i64 {
        let [now, ago] = [self.now.mono_ms, ago_ms].map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
        now.saturating_sub(ago)
    }

    /// Why claims of a drop are less than they once were.
    fn voided(&self, drop: &DropId, units: &BTreeMap<(Sku, DeviceId), u64>) -> Vec<Voided> {
        let mut retired: BTreeMap<DeviceId, u64> = BTreeMap::new();
        for ((_, device), units) in units {
            *retired.entry(*device).or_default() += units;
        }
        let forked = self.trust.forks().map(|(_, forked)| forked);
        let mut forked: Vec<DeviceId> = forked
            .filter(|forked| forked.document.drop() == Some(drop))
            .map(|forked| forked.device)
            .collect();
        forked.sort();
        forked.dedup();
        let said = |device: DeviceId, why: VoidedWhy, units: Option<u64>| Voided {
            device,
            name: self.name_of(&device),
            why,
            units,
        };
        let retired =
            retired.into_iter().map(|(device, units)| said(device, VoidedWhy::Retired, Some(units)));
        retired.chain(forked.into_iter().map(|device| said(device, VoidedWhy::Forked, None))).collect()
    }
}
