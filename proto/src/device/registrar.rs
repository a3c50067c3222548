//! The right to retire devices: who has it, and handing it over.

use super::Device;
use super::commands::invalid;
use crate::command::{Entrust, Refusal, Reply};
use crate::document::Document;
use crate::id::{DeviceId, Ref};
use crate::identity::Role;
use crate::query::Registrar;
use crate::record::{self, Body};
use crate::rights::Right;

impl Device {
    /// What gives this device the right to retire others: a hand-over, or its certificate.
    ///
    /// # Errors
    /// [`Refusal::NotRegistrar`] with those that have it.
    pub(super) fn right_to_retire(&self) -> Result<Option<Ref>, Refusal> {
        let certified = self.config.certificate.roles.has(Role::Registrar);
        match self.trust.rights().of(&self.me, certified) {
            Some(Right::Certificate(_)) => Ok(None),
            Some(Right::Given(entry)) => Ok(Some(entry)),
            None => {
                let able = self.registrars().into_iter().filter(|known| known.retired_by.is_none());
                Err(Refusal::NotRegistrar { holders: able.map(|known| known.name).collect() })
            }
        }
    }

    /// Who has the right, one for each certificate that gives it.
    pub(super) fn registrars(&self) -> Vec<Registrar> {
        let certified = |device: &&DeviceId| {
            let roles = match **device == self.me {
                true => Some(self.config.certificate.roles),
                false => self.peers.certificate(device).map(|certificate| certificate.roles),
            };
            roles.is_some_and(|roles| roles.has(Role::Registrar))
        };
        let known = self.peers.known();
        known.iter().filter(certified).map(|device| self.registrar(*device)).collect()
    }

    /// Who has the right that the certificate of a device began.
    fn registrar(&self, first: DeviceId) -> Registrar {
        let (device, given) = self.trust.rights().holder(first);
        Registrar {
            device,
            name: self.name_of(&device),
            here: device == self.me,
            given_by: given.map(|given| self.name_of(&given.by)),
            given_at_ms: given.map(|given| given.at_ms),
            retired_by: self.trust.retired().get(&device).map(|retired| self.name_of(&retired.by)),
        }
    }

    /// Gives the right to another hq.
    pub(super) fn entrust(&mut self, entrust: &Entrust) -> Result<Reply, Refusal> {
        let under = self.right_to_retire()?;
        let to = entrust.to;
        if to == self.me {
            return Err(invalid("to", "this device has the right already; name another"));
        }
        let Some(certificate) = self.peers.certificate(&to) else {
            return Err(Refusal::UnknownDevice { device: to });
        };
        if !certificate.roles.has(Role::Hq) {
            let problem =
                format!("{} is {}; only an hq can have the right", self.name_of(&to), certificate.roles);
            return Err(invalid("to", problem));
        }
        self.check_may_get(&to)?;
        let record = Body::Entrust(record::Entrust { to, under });
        let entry = self.write(&Document::Devices, record)?;
        let of = self.registrars().into_iter().find(|known| known.device == to);
        of.map(Reply::Entrusted).ok_or(Refusal::NotStored { problem: format!("{entry} counts for nothing") })
    }
}
