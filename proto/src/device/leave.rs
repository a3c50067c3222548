//! A planned leave: a device gives everything away before it goes, so that nothing is at risk when it is gone.
//!
//! That it has left is an entry in `devices`, so everybody knows who hears of it, and it is known after a restart. What
//! comes to it later, from those who had not heard, goes on once: to its *heir*, the device that it left to; if that has
//! left too, to the heir of that one, and so on. Where nobody is left along that line, whoever else is in reach gets it; if
//! there is nobody, it stays. A transfer by a device that has left names its leave, so nobody gives the units back before
//! it knows.
//!
//! The next start of the device ends its leave: whoever starts it again wants it to sell. It says so once it hears others.

use std::collections::BTreeSet;

use super::Device;
use super::commands::invalid;
use crate::command::{Leave, Left, Refusal, Reply, Stake};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::identity::Role;
use crate::record::{self, Body, Cause};
use crate::units::UnitSet;

/// The shortest and the longest time until a device that has left passes on again what came to it.
const PASS_ON_AGAIN_MS: (u64, u64) = (1_000, 60_000);

/// How this device stands to its own leave.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// It was started again after it had left, and nobody has been told yet.
    is_back: bool,
    /// Something may be here that is to go on.
    pending: bool,
    /// When it may pass on what came to it, and how long it waits after that. The first time it does not wait; what comes
    /// again and again, from whoever does not hear that it has left, goes on ever less often.
    next_ms: u64,
    wait_ms: u64,
}

/// What was given away.
#[derive(Debug, Default)]
struct Given {
    units: u64,
    claims: u64,
}

impl Device {
    /// Gives all stock and all claims in its custody to another device, and from now on whatever still comes.
    pub(super) fn leave(&mut self, leave: &Leave) -> Result<Reply, Refusal> {
        if let Some(seen) = leave.seen {
            let risk = self.retirement_risk(self.me)?;
            let units = risk.held.iter().map(|held| held.units).sum();
            if seen != (Stake { device: self.me, units, claims: risk.claims }) {
                return Err(self.not_as_said(Some(units), Some(risk.claims), None));
            }
        }
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
        self.leaving.is_back = false;
        let entry = match self.trust.left(&self.me) {
            Some((entry, known)) if known == to => entry,
            _ => self.write(&Document::Devices, Body::Leave(record::Leave { to: Some(to) }))?,
        };
        let refusal = Refusal::Left { to: self.name_of(&to) };
        self.refuse_sales(&refusal);
        self.refuse_takes(&refusal);
        self.pump_wishes();
        let given = self.give_all(to, entry)?;
        self.publish_presence_soon();
        let (units, claims) = (given.units, given.claims);
        Ok(Reply::Left(Left { to, name: self.name_of(&to), units, claims }))
    }

    /// Says what is so now to who said something else.
    pub(super) fn not_as_said(
        &self,
        units: Option<u64>,
        claims: Option<u64>,
        entries: Option<u64>,
    ) -> Refusal {
        Refusal::NotAsSaid { device: self.me, name: self.name_of(&self.me), units, claims, entries }
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

    fn give_all(&mut self, to: DeviceId, leave: Ref) -> Result<Given, Refusal> {
        let mut given = Given::default();
        let free: Vec<(Ref, UnitSet)> = self
            .holdings
            .live_of(&self.me)
            .map(|(parcel, state)| (*parcel, state.free_or_for_wish()))
            .filter(|(_, units)| !units.is_empty())
            .collect();
        for (drop, lines) in self.parcels_by_drop(free) {
            let units: u64 = lines.iter().map(|line| line.units.len()).sum();
            let transfer = record::Transfer { to, lines, aside: None, cause: Some(Cause::Leave(leave)) };
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

    /// This device's leave and who gets what comes to it, if it has left and was not started again since.
    pub(super) fn own_leave(&self) -> Option<(Ref, DeviceId)> {
        self.trust.left(&self.me).filter(|_| !self.leaving.is_back)
    }

    /// Why this device takes nothing more in hand, if it has left.
    pub(super) fn check_not_left(&self) -> Result<(), Refusal> {
        match self.own_leave() {
            Some((_, to)) => Err(Refusal::Left { to: self.name_of(&to) }),
            None => Ok(()),
        }
    }

    /// After a start: a leave before it is over.
    pub(super) fn end_leave(&mut self) {
        let has_left = self.trust.left(&self.me).is_some();
        self.leaving.is_back = has_left && !self.config.goes_on;
        self.leaving.pending = has_left;
    }

    /// Tells others that this device is back. Not before it has heard from one of them what it did: a device that was set
    /// back would begin a life that nobody asked for.
    pub(super) fn pump_return(&mut self) {
        if self.leaving.is_back && self.peers.links() > 0 && self.may_write().is_ok() {
            let back = Body::Leave(record::Leave { to: None });
            if self.trust.left(&self.me).is_none() || self.write(&Document::Devices, back).is_ok() {
                self.leaving = Leaving::default();
            }
        }
    }

    /// Who gets what comes to a device that has left, or was retired: the first along the line of heirs that may be given
    /// anything. An example: a left to b, b to c, c was retired by d; so d gets it. None if the line comes to an end, or back
    /// to where it was: a left to b, and b to a.
    pub(super) fn passes_on_to(&self, device: &DeviceId) -> Option<DeviceId> {
        let mut seen = BTreeSet::from([*device]);
        let mut next = *device;
        loop {
            next = match (self.trust.retired().get(&next), self.trust.left(&next)) {
                (Some(retired), _) => retired.by,
                (None, Some((_, to))) => to,
                (None, None) => return None,
            };
            if !seen.insert(next) {
                return None;
            }
            if self.check_may_get(&next).is_ok() {
                return Some(next);
            }
        }
    }

    /// Something may have come to this device, or may go to somebody now who was not there before.
    pub(super) fn may_pass_on(&mut self) {
        self.leaving.pending = true;
    }

    fn has_something(&self) -> bool {
        let stock = self.holdings.live_of(&self.me).any(|(_, parcel)| !parcel.free_or_for_wish().is_empty());
        stock || self.has_custody() || self.holdings.holds().any(|(_, held)| held.by == self.me)
    }

    /// Passes on what comes to a device that has left, from those who had not heard of it.
    pub(super) fn pump_leave(&mut self) {
        let now = self.now.mono_ms;
        if !self.leaving.pending || now < self.leaving.next_ms {
            return;
        }
        let Some((leave, _)) = self.own_leave() else {
            self.leaving.pending = false;
            return;
        };
        if !self.has_something() {
            self.leaving.pending = false;
            return;
        }
        let went = if self.may_write().is_ok() { self.pass_on(leave) } else { 0 };
        let (shortest, longest) = PASS_ON_AGAIN_MS;
        if went == 0 {
            // Nobody is there who could have it; perhaps somebody comes.
            self.leaving.next_ms = now + shortest;
        } else {
            self.leaving.next_ms = now + self.leaving.wait_ms;
            self.leaving.wait_ms = (2 * self.leaving.wait_ms).clamp(shortest, longest);
        }
    }

    fn pass_on(&mut self, leave: Ref) -> u64 {
        let Some(to) = self.passes_on_to(&self.me).or_else(|| self.who_could_take_over()) else { return 0 };
        let own = self.holdings.holds().filter(|(_, held)| held.by == self.me);
        let carts: BTreeSet<Ref> = own.map(|(_, held)| held.cart).collect();
        let whole: Vec<Ref> = carts.into_iter().filter(|cart| self.is_whole(*cart)).collect();
        // A cart whose time is over is back on sale in a moment, and goes with the rest.
        let carts = whole.into_iter().filter(|cart| self.give_cart(*cart, to).is_ok()).count() as u64;
        // What cannot be given now stays for the next occasion.
        carts + self.give_all(to, leave).map_or(0, |given| given.units + given.claims)
    }

    /// When this device looks again whether what it has can go.
    pub(super) fn leave_deadline(&self) -> Option<u64> {
        let later = self.leaving.pending && self.leaving.next_ms > self.now.mono_ms;
        later.then_some(self.leaving.next_ms)
    }
}
