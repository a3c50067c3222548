//! Retiring a device that is lost or dead: what that risks, saying so, and taking over what the device left behind. Its heir
//! is who retired it; where that was retired since, the heir of that, so that somebody alive has everything.

use std::collections::{BTreeMap, BTreeSet};

use super::Device;
use super::commands::invalid;
use super::facts::Cause;
use super::stock::Found;
use crate::command::{Refusal, Reply, Retire, Retired};
use crate::document::Document;
use crate::fact::VoidedBy;
use crate::id::{DeviceId, Ref};
use crate::log::Linked;
use crate::planted::Planted;
use crate::query::{HeldUnits, RetirementRisk};
use crate::record::{self, Body, Inherit, MAX_LINES, Record, RetireCut};
use crate::text::DropId;
use crate::trust::{Retirements, succession};
use crate::units::UnitSet;

/// By which retirements an heir takes over what a device left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Succession {
    /// That of the device.
    pub(super) retirement: Ref,
    /// Those of the heirs before, in order.
    pub(super) heirs: Option<Vec<Ref>>,
}

impl Succession {
    /// From a retired device to its living heir.
    pub(super) fn of(retired: &Retirements, device: &DeviceId) -> Option<Self> {
        let (_, mut named) = succession(retired, device)?;
        let heirs = named.split_off(1);
        let retirement = *named.first()?;
        Some(Self { retirement, heirs: (!heirs.is_empty()).then_some(heirs) })
    }
}

impl Device {
    /// Takes in an entry of the document `devices`.
    pub(super) fn show_trust(&mut self, linked: &Linked, author: DeviceId, record: &Record) {
        if let Body::Fork(fork) = &record.body {
            self.show_fork(linked.entry, linked.hash, record, fork);
            return;
        }
        self.intake.lives_changed |= matches!(record.body, Body::Resolve(_));
        let changed = self.trust.take(linked.entry, author, linked.hash, record);
        self.epochs.stale |= changed || matches!(record.body, Body::Epoch(_) | Body::EpochCopies(_));
        self.bars.stale |= changed;
        let at_ms = record.at.ms();
        if changed {
            let cause = Cause { at_ms, entry: linked.entry, why: VoidedBy::Retirement };
            self.fold_anew(cause);
            self.programme_anew(cause);
            self.payments_anew();
        }
        if self.tell_late(linked.entry, author, record) {
            return;
        }
        if let Some(text) = self.trust.rights().void_by(&linked.entry).map(str::to_owned) {
            self.tell_incident(at_ms, linked.entry, text);
            return;
        }
        if (changed || !matches!(record.body, Body::Retire(_)))
            && let Some(fact) = self.fact_of_trust(linked.entry, author, record)
        {
            self.outbox.tell(fact);
        }
    }

    /// Works the stock view out anew: somebody's entries count for nothing any more.
    pub(super) fn fold_anew(&mut self, cause: Cause) {
        let incidents = self.holdings.incident_count();
        let anew = self.holdings_anew();
        let before = self.replace_holdings(anew);
        self.tell_changes(before, cause);
        self.late_anew();
        self.may_be_over();
        self.may_pass_on();
        self.intake.heirless = true;
        self.find_own_hand_outs();
        if self.holdings.incident_count() > incidents {
            let text = self.holdings.incidents().last().unwrap_or_default().to_owned();
            self.tell_incident(cause.at_ms, cause.entry, text);
        }
    }

    /// Why this device may not write, if it was retired.
    pub(super) fn check_not_retired(&self) -> Result<(), Refusal> {
        match self.trust.retired().get(&self.me) {
            Some(retired) => Err(Refusal::Retired { device: self.me, by: self.name_of(&retired.by) }),
            None => Ok(()),
        }
    }

    /// Why this device may not spend: it has two pasts.
    pub(super) fn check_not_suspended(&self) -> Result<(), Refusal> {
        match self.suspended.get(&self.me) {
            Some(incident) => Err(Refusal::Suspended { incident: *incident }),
            None => Ok(()),
        }
    }

    /// Whether a device was retired: nobody gives it anything.
    pub(super) fn is_retired(&self, device: &DeviceId) -> bool {
        self.trust.retired().contains_key(device)
    }

    /// Who has what a device left behind: itself, unless it was retired.
    pub(super) fn heir_of(&self, device: &DeviceId) -> DeviceId {
        succession(self.trust.retired(), device).map_or(*device, |(heir, _)| heir)
    }

    /// Retired devices whose living heir is `device`.
    fn estate_of(&self, device: &DeviceId) -> BTreeSet<DeviceId> {
        let retired = self.trust.retired().keys();
        retired.filter(|retired| self.heir_of(retired) == *device).copied().collect()
    }

    /// What retiring a device would risk.
    pub(super) fn retirement_risk(&self, device: DeviceId) -> Result<RetirementRisk, Refusal> {
        if !self.peers.known().contains(&device) && !self.is_retired(&device) {
            return Err(Refusal::UnknownDevice { device });
        }
        let mut held: BTreeMap<(DropId, crate::text::Sku), u64> = BTreeMap::new();
        // By lot: a unit that was sold twice is in two claims, and goes once.
        let mut at_risk: BTreeMap<Ref, UnitSet> = BTreeMap::new();
        // What it is the heir of it may have taken over, too, and not been heard.
        let mut all = self.estate_of(&device);
        all.insert(device);
        for (_, parcel) in all.iter().flat_map(|device| self.holdings.live_of(device)) {
            let Some(lot) = self.holdings.lot(&parcel.lot) else { continue };
            *held.entry((lot.drop.clone(), lot.sku.clone())).or_default() += parcel.free.len();
            at_risk.entry(parcel.lot).or_default().insert_all(&parcel.free);
        }
        let held: Vec<HeldUnits> =
            held.into_iter().map(|((drop, sku), units)| HeldUnits { drop, sku, units }).collect();
        let claims = self.waiting_with(&all);
        for claim in &claims {
            let standing = self.holdings.claim(claim).and_then(|known| known.standing(*claim));
            for (parcel, units) in standing.iter().flat_map(|standing| &standing.left) {
                let lot = self.holdings.parcel(parcel).map_or(*parcel, |parcel| parcel.lot);
                at_risk.entry(lot).or_default().insert_all(units);
            }
        }
        Ok(RetirementRisk {
            device,
            name: self.name_of(&device),
            last_heard_ms: self.peers.last_heard(&device, self.now),
            reachable: self.peers.is_reachable(&device),
            at_risk: at_risk.values().map(UnitSet::len).sum(),
            held,
            claims: claims.len() as u64,
            retired_by: self.trust.retired().get(&device).map(|retired| self.name_of(&retired.by)),
            heir: self.is_retired(&device).then(|| self.name_of(&self.heir_of(&device))),
        })
    }

    /// Claims that wait with some devices to be picked up.
    fn waiting_with(&self, devices: &BTreeSet<DeviceId>) -> Vec<Ref> {
        devices.iter().flat_map(|device| self.holdings.waiting_with(device)).collect()
    }

    /// Whether claims wait with this device.
    pub(super) fn has_custody(&self) -> bool {
        self.holdings.waiting_with(&self.me).next().is_some()
    }

    /// Claims that wait with a device, each with its drop and what made that device the custodian.
    pub(super) fn custody_of(&self, device: &DeviceId) -> Vec<(DropId, Ref, Ref)> {
        let of = |claim: Ref| {
            let standing = self.holdings.claim(&claim)?.standing(claim)?;
            let drop = self.log.chain(&claim.chain)?.document.drop()?.clone();
            Some((drop, claim, standing.under))
        };
        self.waiting_with(&BTreeSet::from([*device])).into_iter().filter_map(of).collect()
    }

    /// Retires a device; what it left behind is this device's.
    pub(super) fn retire(&mut self, retire: &Retire) -> Result<Reply, Refusal> {
        let under = self.right_to_retire()?;
        let risk = self.retirement_risk(retire.device)?;
        if retire.device == self.me {
            return Err(invalid(
                "device",
                "a device does not retire itself; give the right to retire to another hq first",
            ));
        }
        if let Some(by) = risk.retired_by {
            let whose = match risk.heir {
                Some(heir) if heir != by => format!("; {heir} is its heir, and has what it left behind"),
                _ => String::new(),
            };
            return Err(invalid("device", format!("{} was retired by {by} already{whose}", risk.name)));
        }
        if risk.reachable && !retire.reachable {
            let name = risk.name;
            return Err(invalid(
                "device",
                format!("{name} can be reached: have it give its stock away first, or say `reachable`"),
            ));
        }
        if risk.at_risk != retire.at_risk {
            return Err(Refusal::RiskChanged { device: retire.device, at_risk: risk.at_risk });
        }
        let own = self.log.chains().filter(|chain| chain.device == retire.device);
        let most = if self.plant.has(Planted::FewChains) { 2 } else { usize::MAX };
        let ends: Vec<Ref> = own.map(|chain| Ref { chain: chain.id, seq: chain.len() }).take(most).collect();
        let mut parts = ends.chunks(MAX_LINES).map(<[Ref]>::to_vec);
        let cut = parts.next().unwrap_or_default();
        let mut more = 0;
        for cut in parts {
            self.write(&Document::Devices, Body::RetireCut(RetireCut { device: retire.device, cut }))?;
            more += 1;
        }
        let parts = (more > 0).then_some(more);
        let record = Body::Retire(record::Retire { device: retire.device, cut, under, parts });
        let entry = self.write(&Document::Devices, record)?;
        self.take_over();
        // In the same write as the retirement.
        self.look_at_epochs();
        let Retire { device, .. } = *retire;
        let secret = self.secret_info();
        Ok(Reply::Retired(Retired { entry, device, at_risk: risk.at_risk, held: risk.held, secret }))
    }

    /// What a retired device held.
    fn left_by(&self, device: &DeviceId) -> Found {
        if self.plant.has(Planted::InheritSold) {
            let given = self.holdings.parcels().filter(|(_, parcel)| parcel.owner == *device);
            return given.map(|(parcel, state)| (*parcel, state.units.clone())).collect();
        }
        self.holdings.live_of(device).map(|(parcel, state)| (*parcel, state.free.clone())).collect()
    }

    /// Takes over what devices whose heir this one is have left behind, or got since from somebody who did not know.
    pub(super) fn take_over(&mut self) {
        if !self.intake.heirless || self.may_write().is_err() || self.check_not_suspended().is_err() {
            return;
        }
        self.intake.heirless = false;
        let estate = self.estate_of(&self.me);
        if estate.is_empty() {
            return;
        }
        let mut failed = false;
        for device in &estate {
            let Some(by) = Succession::of(self.trust.retired(), device) else { continue };
            for (drop, lines) in self.parcels_by_drop(self.left_by(device)) {
                let Succession { retirement, heirs } = by.clone();
                let inherit = Body::Inherit(Inherit { retirement, lines, heirs });
                // What cannot be written now is tried again at the next occasion.
                failed |= self.write(&Document::Stock(drop), inherit).is_err();
            }
        }
        for claim in self.waiting_with(&estate) {
            let Ok((drop, standing)) = self.standing(claim) else { continue };
            failed |= self.take_over_claim(claim, drop, &standing).is_err();
        }
        self.intake.heirless |= failed;
    }
}
