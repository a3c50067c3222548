//! Certificates that are renewed over the log: an hq signs, everybody hears of it, and the device takes it up by itself.

use super::Device;
use super::commands::invalid;
use crate::clock::{Hlc, utc};
use crate::command::{MAX_RENEWAL_DAYS, NotRenewed, Refusal, Renew, Renewed, RenewedDevice, Reply};
use crate::document::Document;
use crate::fact::{Fact, Signal};
use crate::id::{DeviceId, Ref};
use crate::identity::{Certificate, ENDS_SOON_MS, Roles, SignedCertificate};
use crate::io::Output;
use crate::record::{Body, Renewal};

/// A day, in milliseconds.
const DAY_MS: u64 = 86_400_000;
/// For how many days a certificate is renewed unless it is said otherwise.
const USUAL_DAYS: u32 = 7;

/// By how much a renewed certificate must hold longer for its device to take it up, in milliseconds: each time the device begins
/// anew, and a hostile hq should not have it do so all the time.
const LONGER_BY_MS: u64 = 3_600_000;

/// What a device knows of its own certificate's end.
#[derive(Debug, Default)]
pub(super) struct Renewing {
    /// One that was signed for this device, and is not taken up yet.
    newer: Option<SignedCertificate>,
    /// Whether observers have been told that it ends.
    told: bool,
}

/// Whether a certificate says of a device what another does, for longer.
fn renews(old: &Certificate, new: &Certificate) -> bool {
    let alike =
        new.device == old.device && new.name == old.name && new.roles == old.roles && new.venue == old.venue;
    alike && new.not_after_ms > old.not_after_ms
}

/// Why a certificate is not signed anew, in words.
enum NotSigned {
    /// It is good for as long as was wished, or longer.
    GoodAlready(String),
    /// It could not be made good for longer.
    Cannot(String),
}

impl Device {
    /// Takes in a certificate that was signed for a device, this one perhaps. One that says something else of it than the
    /// one it has is none of a renewal, and nobody takes notice.
    pub(super) fn show_renewal(&mut self, entry: Ref, by: DeviceId, at_ms: u64, renewal: &Renewal) {
        let Ok(certificate) = self.gate.certificate(&renewal.certificate) else { return };
        let device = certificate.device;
        if device == self.me {
            let own = self.renewing.newer.as_ref().unwrap_or(&self.config.certificate);
            if !renews(own, &certificate) || certificate.not_after_ms - own.not_after_ms < LONGER_BY_MS {
                return;
            }
            self.renewing.newer = Some(certificate.clone());
            self.begin_anew("its certificate was renewed, and it goes on under the new one; try again");
        } else if self.peers.certificate(&device).is_some_and(|known| !renews(known, &certificate)) {
            return;
        }
        self.peers.meet(&certificate);
        let (name, until_ms) = (certificate.name.clone(), certificate.not_after_ms);
        let by_name = self.name_of(&by);
        self.outbox.tell(Fact::Renewed { at_ms, entry, device, name, until_ms, by, by_name });
    }

    /// Takes up the newest certificate that was signed for this device and is stored: from here on it is this device's.
    pub(super) fn take_up_renewal(&mut self) {
        let Some(newer) = self.renewing.newer.take() else { return };
        self.clock.resume(Hlc::from_ms(newer.not_before_ms));
        self.config.certificate = newer.clone();
        // Again at each start, until the folder has it.
        self.outbox.emit_now(Output::Install { certificate: newer });
    }

    /// Says in time that the certificate ends, once.
    pub(super) fn tell_end(&mut self) {
        let until_ms = self.config.certificate.not_after_ms;
        if !self.renewing.told && self.time_ms().saturating_add(ENDS_SOON_MS) >= until_ms {
            self.renewing.told = true;
            self.outbox.emit_now(Output::Signal(Signal::CertificateEnds { until_ms }));
        }
    }

    /// Signs certificates anew that differ from those that devices have in their end alone.
    pub(super) fn renew(&mut self, renew: &Renew) -> Result<Reply, Refusal> {
        let roles = self.config.certificate.roles;
        if !roles.admits() {
            return Err(self.forbidden("renewing a certificate", "hq or steward", Roles::admits));
        }
        if renew.days.is_some() && renew.until_ms.is_some() {
            return Err(invalid("until_ms", "give either days or until_ms"));
        }
        let days = renew.days.unwrap_or(USUAL_DAYS);
        if !(1..=MAX_RENEWAL_DAYS).contains(&days) {
            return Err(invalid("days", format!("{days}; give 1 to {MAX_RENEWAL_DAYS}")));
        }
        let mut done = Renewed { devices: Vec::new(), skipped: Vec::new() };
        if let Some(device) = renew.device {
            match self.sign_renewal(device, days, renew.until_ms) {
                Ok(signed) => done.devices.push(self.write_renewal(signed)?),
                Err(NotSigned::Cannot(why)) => return Err(invalid("device", why)),
                Err(NotSigned::GoodAlready(why)) => done.skipped.push(self.not_renewed(device, why)),
            }
            return Ok(Reply::Renewed(done));
        }
        let mut others = self.peers.known();
        others.remove(&self.me);
        for device in others {
            match self.sign_renewal(device, days, renew.until_ms) {
                Ok(signed) => done.devices.push(self.write_renewal(signed)?),
                Err(NotSigned::Cannot(why) | NotSigned::GoodAlready(why)) => {
                    done.skipped.push(self.not_renewed(device, why));
                }
            }
        }
        Ok(Reply::Renewed(done))
    }

    fn not_renewed(&self, device: DeviceId, why: String) -> NotRenewed {
        NotRenewed { device, name: self.name_of(&device), why }
    }

    fn write_renewal(&mut self, signed: SignedCertificate) -> Result<RenewedDevice, Refusal> {
        let (device, name, until_ms) = (signed.device, signed.name.clone(), signed.not_after_ms);
        let certificate = signed.bytes().to_vec();
        let entry = self.write(&Document::Devices, Body::Renewal(Renewal { certificate }))?;
        Ok(RenewedDevice { device, name, until_ms, entry })
    }

    /// The certificate that a device gets: until when it is said, or for so many days, if this device's own lasts so long.
    fn sign_renewal(
        &self,
        device: DeviceId,
        days: u32,
        until_ms: Option<u64>,
    ) -> Result<SignedCertificate, NotSigned> {
        let cannot = |why: String| Err(NotSigned::Cannot(why));
        let Some(known) = self.peers.certificate(&device) else {
            return cannot(format!("{} is no device that this one has heard of", device.short()));
        };
        if device == self.me {
            return cannot(
                "a device does not renew its own certificate: another hq does, or the organiser, with `popmesh device renew \
                 --event DIR` here"
                    .to_owned(),
            );
        }
        if self.is_retired(&device) {
            return cannot(format!("{} was retired", known.name));
        }
        let own = &self.config.certificate;
        if !known.roles.are_among(own.roles.may_grant()) {
            return cannot(format!(
                "{} is {}, and {} may sign for {} alone: the organiser renews it, with `popmesh device renew --event DIR` \
                 there",
                known.name,
                known.roles,
                own.name,
                own.roles.may_grant()
            ));
        }
        let wanted_ms = until_ms.unwrap_or_else(|| self.time_ms().saturating_add(u64::from(days) * DAY_MS));
        let ends_later_ms = known.not_after_ms.saturating_add(LONGER_BY_MS);
        if wanted_ms < ends_later_ms {
            return Err(NotSigned::GoodAlready(format!(
                "{} is good until {} already, and a renewal makes nothing shorter",
                known.name,
                utc(known.not_after_ms)
            )));
        }
        // A wish for a certain end is that of a person, who is told if it cannot be.
        let not_after_ms = if until_ms.is_some() { wanted_ms } else { wanted_ms.min(own.not_after_ms) };
        if not_after_ms < ends_later_ms {
            return cannot(format!(
                "{} is good until {}, and {}, who would sign, until {} itself: the organiser renews that first, with `popmesh \
                 device renew --event DIR` there",
                known.name,
                utc(known.not_after_ms),
                own.name,
                utc(own.not_after_ms)
            ));
        }
        let certificate = Certificate {
            not_before_ms: known.not_before_ms.max(own.not_before_ms),
            not_after_ms,
            ..(**known).clone()
        };
        SignedCertificate::sign_as(certificate, &self.config.secret, own, &self.config.charter)
            .map_err(|error| NotSigned::Cannot(error.to_string()))
    }
}
