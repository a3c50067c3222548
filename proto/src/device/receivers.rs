//! Who may be given stock or custody: a device that can use it.

use super::Device;
use super::commands::invalid;
use super::refunds::NAMED;
use crate::clock::utc;
use crate::command::Refusal;
use crate::id::DeviceId;
use crate::identity::Roles;

/// A certificate counts as over so long after its end only: clocks differ, and one that is a little ahead is to keep nothing
/// from a device that sells. When it begins does not matter here: a clock that lags behind is to do no harm either. A device
/// whose own certificate is over by its own clock asks for nothing, and is linked to nobody.
pub(super) const CLOCKS_DIFFER_MS: u64 = 30_000;

impl Device {
    /// Whether a device may be given stock or custody.
    ///
    /// # Errors
    /// [`Refusal::UnknownDevice`] if nobody has shown its certificate here; [`Refusal::Invalid`] if it was retired, has two
    /// pasts, has left, has a certificate that is over, or no role that holds anything.
    pub(super) fn check_may_get(&self, device: &DeviceId) -> Result<(), Refusal> {
        let no = |problem: String| Err(invalid("to", problem));
        let name = || self.name_of(device);
        if let Some(retired) = self.trust.retired().get(device) {
            return no(format!(
                "{} was retired by {}; name another device",
                name(),
                self.name_of(&retired.by)
            ));
        }
        if self.suspended.contains_key(device) {
            return no(format!(
                "{} has two pasts, and is given nothing until an hq has looked into that; see `popmesh incidents`",
                name()
            ));
        }
        let left = if *device == self.me { self.own_leave() } else { self.trust.left(device) };
        if let Some((_, to)) = left {
            return no(format!(
                "{} has left, and given everything to {}; name another device, or start that one again",
                name(),
                self.name_of(&to)
            ));
        }
        let Some(certificate) = self.peers.certificate(device) else {
            return Err(Refusal::UnknownDevice { device: *device });
        };
        if !certificate.roles.holds() {
            return no(format!(
                "{} has the roles {}, and none of them holds stock or claims; name a device that sells, or an hq",
                name(),
                certificate.roles
            ));
        }
        let end_ms = certificate.not_after_ms;
        if self.now.wall_ms >= end_ms.saturating_add(CLOCKS_DIFFER_MS) {
            return no(format!(
                "the certificate of {} ended at {}, and it can do nothing more; have it join again, or name another device",
                name(),
                utc(end_ms)
            ));
        }
        Ok(())
    }

    /// Whether a device may be given custody of claims on its own asking: it may be given stock, and it hands out.
    ///
    /// # Errors
    /// Those of [`Device::check_may_get`]; [`Refusal::Invalid`] if it hands nothing out.
    pub(super) fn check_may_keep(&self, device: &DeviceId) -> Result<(), Refusal> {
        self.check_may_get(device)?;
        match self.peers.certificate(device) {
            Some(certificate) if !certificate.roles.hand_out() => {
                let (name, roles) = (self.name_of(device), certificate.roles);
                let problem =
                    format!("{name} is {roles}, which hands nothing out; name a till, a locker or an hq");
                Err(invalid("to", problem))
            }
            _ => Ok(()),
        }
    }

    /// Why this device takes nothing in hand, if none of its roles does.
    pub(super) fn check_holds(&self, action: &str) -> Result<(), Refusal> {
        if self.config.certificate.roles.holds() {
            return Ok(());
        }
        Err(self.forbidden(action, "pos, locker, encoder or hq", Roles::holds))
    }

    /// That this device's roles do not allow something, which role does, and who in reach has that.
    pub(super) fn forbidden(&self, action: &str, needs: &str, may: impl Fn(Roles) -> bool) -> Refusal {
        let reachable = self.peers.reachable().map(|(device, _)| device);
        let able = reachable.filter(|device| {
            self.peers.certificate(device).is_some_and(|known| may(known.roles)) && !self.is_retired(device)
        });
        let mut at: Vec<String> = able.map(|device| self.name_of(device)).collect();
        at.sort();
        at.truncate(NAMED);
        let own = &self.config.certificate;
        Refusal::RoleForbids {
            name: own.name.clone(),
            action: action.to_owned(),
            roles: own.roles.to_string(),
            needs: needs.to_owned(),
            at: at.into(),
        }
    }
}
