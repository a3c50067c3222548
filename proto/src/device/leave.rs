//! A planned leave: a device gives everything away before it goes, so that nothing is at risk when it is gone.

use super::Device;
use super::commands::invalid;
use crate::command::{Leave, Left, Refusal, Reply};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::identity::Role;
use crate::record::{self, Body};
use crate::units::UnitSet;

/// What was given away.
#[derive(Debug, Default)]
struct Given {
    units: u64,
    claims: u64,
}

impl Device {
    /// Gives all stock and all claims in its custody to another device, and from now on whatever still comes.
    pub(super) fn leave(&mut self, leave: &Leave) -> Result<Reply, Refusal> {
        let to = match leave.to {
            Some(to) => to,
            None => self.who_could_take_over().ok_or_else(|| {
                invalid(
                    "to",
                    "no device is in reach that could take it over; bring this one into reach of one first",
                )
            })?,
        };
        if to == self.me {
            return Err(invalid("to", "a device does not leave to itself; name another"));
        }
        if !self.peers.known().contains(&to) {
            return Err(Refusal::UnknownDevice { device: to });
        }
        self.check_may_get(&to)?;
        self.check_not_suspended()?;
        if !self.peers.is_reachable(&to) {
            let name = self.name_of(&to);
            return Err(invalid(
                "to",
                format!("{name} cannot be reached now; wait until it can, or name another"),
            ));
        }
        let carts = self.holdings.holds().filter(|(_, held)| held.by == self.me).count();
        if carts > 0 {
            let problem =
                format!("{carts} carts are put aside here; have them paid, taken over or released first");
            return Err(invalid("carts", problem));
        }
        let given = self.give_all(to)?;
        self.left_to = Some(to);
        self.publish_presence_soon();
        let (units, claims) = (given.units, given.claims);
        Ok(Reply::Left(Left { to, name: self.name_of(&to), units, claims }))
    }

    /// Of those in reach: an hq first, then who sells.
    fn who_could_take_over(&self) -> Option<DeviceId> {
        let rank = |device: &DeviceId| {
            let roles = self.peers.certificate(device)?.roles;
            let could = *device != self.me && self.check_may_get(device).is_ok();
            could.then_some((!roles.has(Role::Hq), !roles.sells(), *device))
        };
        self.peers.reachable().filter_map(|(device, _)| rank(device)).min().map(|(.., device)| device)
    }

    fn give_all(&mut self, to: DeviceId) -> Result<Given, Refusal> {
        let mut given = Given::default();
        let free: Vec<(Ref, UnitSet)> = self
            .holdings
            .live_of(&self.me)
            .map(|(parcel, state)| (*parcel, state.available()))
            .filter(|(_, units)| !units.is_empty())
            .collect();
        for (drop, lines) in self.parcels_by_drop(free) {
            let units: u64 = lines.iter().map(|line| line.units.len()).sum();
            let transfer = record::Transfer { to, lines, aside: None };
            self.write(&Document::Stock(drop), Body::Transfer(transfer))?;
            given.units += units;
        }
        for (drop, claim, under) in self.custody_of(&self.me) {
            let refunds = self.paid_back_so_far(&claim);
            let custody = record::Custody { refunds, ..record::Custody::of(claim, under, to) };
            self.write(&Document::Claims(drop), Body::Custody(custody))?;
            given.claims += 1;
        }
        Ok(given)
    }

    /// Why this device takes nothing more in hand, if it has left.
    pub(super) fn check_not_left(&self) -> Result<(), Refusal> {
        match self.left_to {
            Some(to) => Err(Refusal::Left { to: self.name_of(&to) }),
            None => Ok(()),
        }
    }

    /// Passes on what comes to a device that has left, from those who had not heard of it.
    pub(super) fn pump_leave(&mut self) {
        if let Some(to) = self.left_to
            && self.check_may_get(&to).is_ok()
        {
            // What cannot be given now stays for the next occasion.
            let _ = self.give_all(to);
        }
    }
}
