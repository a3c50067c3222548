//! How a device comes to its place in an event, whichever way what is needed travels: its key and its request, the answer
//! of the organiser or of a device that may admit others, and putting that into the device's folder.

use std::path::{Path, PathBuf};

use popmesh_proto::clock::utc;
use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::{
    Certificate, CertificateError, Enrolment, Roles, SecretKey, SignedCertificate, SignedCharter,
};
use popmesh_proto::pin::{EventSecret, EventSecrets};
use popmesh_proto::text::Place;

use crate::folder::{self, Folder, FolderError, Identity};
use crate::secret::{self, SecretError};

/// The organiser's key, in the organiser's folder.
pub const ORGANISER_KEY: &str = "organiser.key";
/// The charter, in the organiser's folder.
pub const CHARTER: &str = "event.charter";

/// An hour, in milliseconds.
pub const HOUR_MS: u64 = 60 * 60 * 1000;
/// A day, in milliseconds.
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// Why a device is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The key in the organiser's folder is not the charter's.
    #[error("{} is not the key of this event; name the folder that `popmesh event init` wrote with --event", .0.display())]
    NotTheOrganiser(PathBuf),
    /// The device of this folder has no role that admits.
    #[error(
        "{name} ({roles}) may not admit devices: do it on an hq or a steward, which you name with --data, or where the organiser's key is, with --event"
    )]
    MayNotAdmit {
        /// The device's name.
        name: String,
        /// Its roles.
        roles: Roles,
    },
    /// The device of this folder has nothing to hand on by which PINs are checked.
    #[error(
        "{} is not there, and a device that is admitted without it could not check PINs; have the organiser sign this device anew, and install that", .0.display()
    )]
    NoSecret(PathBuf),
    /// The key is that of a device that was retired.
    #[error(
        "{name} ({}) was retired, and its key is refused by every device for ever, whatever certificate it has: if the device is \
         back and sound, make it a new key (`popmesh device new` in an empty folder, or `popmesh join --data` with one), and let \
         it join with that", device.short()
    )]
    Retired {
        /// What it calls itself.
        name: String,
        /// Its key.
        device: DeviceId,
    },
    /// The device of this folder was retired itself.
    #[error("this device was retired: what it signs is of no use to anybody; have another hq sign")]
    IssuerRetired,
    /// A certificate that would never hold.
    #[error("a certificate until {} would be over already; give a later --until", utc(*.0))]
    Over(u64),
    /// The device has its place in another event.
    #[error(
        "this device belongs to event {ours}, not to {theirs}; take another data folder with --data for another event"
    )]
    OtherEvent {
        /// The event that is installed: name and beginning of its id.
        ours: String,
        /// The one that is to be.
        theirs: String,
    },
    /// The certificate is over by this device's clock.
    #[error("the certificate ended {}, and this device's clock says {}; set the clock, or have the organiser sign a new one", utc(*.until_ms), utc(*.now_ms))]
    Ended {
        /// When it ended, Unix milliseconds.
        until_ms: u64,
        /// Now, Unix milliseconds.
        now_ms: u64,
    },
    /// A certificate that cannot be, or is not this device's.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The event's secret cannot be sealed or opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A folder or a file.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// From when and until when a certificate is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From when, Unix milliseconds; an hour before it is signed if absent, since clocks differ.
    pub from_ms: Option<u64>,
    /// Until when, Unix milliseconds; so many days if absent.
    pub until_ms: Option<u64>,
    /// For how many days, unless an end is given; for less where who signs has less left itself.
    pub days: u32,
}

/// What a device is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What it may do.
    pub roles: Roles,
    /// Where it stands.
    pub venue: Place,
    /// Another name than the one it proposes.
    pub name: Option<String>,
    /// When its certificate holds.
    pub validity: Validity,
}

/// Who can sign certificates: the organiser, or a device that may admit others.
#[derive(Debug)]
pub struct Issuer {
    charter: SignedCharter,
    key: SecretKey,
    /// That of the device; none for the organiser.
    certificate: Option<SignedCertificate>,
    secrets: EventSecrets,
    /// The list of devices that were retired.
    retired: PathBuf,
}

impl Issuer {
    /// The organiser of the folder that `popmesh event init` wrote.
    ///
    /// # Errors
    /// [`EnrolError`] if key and charter are not there, or do not belong together.
    pub fn organiser(folder: &Path) -> Result<Self, EnrolError> {
        let charter = folder::read_charter(&folder.join(CHARTER))?;
        let key = folder::read_key(&folder.join(ORGANISER_KEY))?;
        if key.id() != charter.charter().root {
            return Err(EnrolError::NotTheOrganiser(folder.join(ORGANISER_KEY)));
        }
        let secret = EventSecret::derive(&key, &charter.event());
        let retired = folder.join(folder::RETIRED);
        Ok(Self { charter, key, certificate: None, secrets: secret.into(), retired })
    }

    /// The device of a data folder, whose node may be running meanwhile.
    ///
    /// # Errors
    /// [`EnrolError`] if it has no place in an event, may admit nobody, or has no event secret.
    pub fn device(data: &Folder) -> Result<Self, EnrolError> {
        let Identity { key, charter, certificate, secrets } = data.identity()?;
        if !certificate.roles.admits() {
            let name = certificate.name.clone();
            return Err(EnrolError::MayNotAdmit { name, roles: certificate.roles });
        }
        if secrets.first.is_none() {
            return Err(EnrolError::NoSecret(data.secret_path()));
        }
        let retired = data.retired_path();
        Ok(Self { charter, key, certificate: Some(certificate), secrets, retired })
    }

    /// The event's charter.
    pub fn charter(&self) -> &SignedCharter {
        &self.charter
    }

    /// What only the event's devices know.
    pub fn secrets(&self) -> &EventSecrets {
        &self.secrets
    }

    /// The devices between who is admitted and the organiser, this one first: key and name. None for the organiser.
    pub fn signers(&self) -> Vec<(DeviceId, String)> {
        let certificates = self.certificate.iter().flat_map(|own| std::iter::once(own).chain(own.issuer()));
        certificates.map(|signer| (signer.device, signer.name.clone())).collect()
    }

    /// Signs a certificate: for so many days, or for as long as the issuer's own holds if that is less.
    ///
    /// # Errors
    /// [`EnrolError`] if it cannot be, would be over already, or is more than this issuer may grant.
    pub fn sign(
        &self,
        enrolment: Enrolment,
        grant: &Grant,
        now_ms: u64,
    ) -> Result<SignedCertificate, EnrolError> {
        if let Some(own) = &self.certificate {
            own.valid_at(now_ms)?;
        }
        self.check_not_retired(&enrolment)?;
        let own = self.certificate.as_deref();
        let (earliest_ms, latest_ms) = own.map_or((0, u64::MAX), |own| (own.not_before_ms, own.not_after_ms));
        let Validity { from_ms, until_ms, days } = grant.validity;
        let not_before_ms = from_ms.unwrap_or(now_ms.saturating_sub(HOUR_MS).max(earliest_ms));
        let lasts = || (not_before_ms.max(now_ms) + u64::from(days) * DAY_MS).min(latest_ms);
        let not_after_ms = until_ms.unwrap_or_else(lasts);
        if not_after_ms <= now_ms {
            return Err(EnrolError::Over(not_after_ms));
        }
        let certificate = Certificate {
            device: enrolment.device,
            name: grant.name.clone().unwrap_or(enrolment.name),
            roles: grant.roles,
            venue: grant.venue.clone(),
            not_before_ms,
            not_after_ms,
        };
        Ok(match &self.certificate {
            Some(own) => SignedCertificate::sign_as(certificate, &self.key, own, &self.charter)?,
            None => SignedCertificate::sign(certificate, &self.key, &self.charter)?,
        })
    }

    /// Looks whether a key was retired, by the list as it is now: a node may be running in the folder.
    fn check_not_retired(&self, enrolment: &Enrolment) -> Result<(), EnrolError> {
        let listed = folder::found(folder::read_list(&self.retired))?.unwrap_or_default();
        let own = self.certificate.as_ref().map(|own| own.device);
        let named = |device: &DeviceId| listed.lines().any(|line| line.trim() == device.to_string());
        if own.as_ref().is_some_and(named) {
            return Err(EnrolError::IssuerRetired);
        }
        if named(&enrolment.device) {
            return Err(EnrolError::Retired { name: enrolment.name.clone(), device: enrolment.device });
        }
        Ok(())
    }

    /// Finds out whether a device could be made what is meant, without making one.
    ///
    /// # Errors
    /// As [`Issuer::sign`].
    pub fn check(&self, grant: &Grant, now_ms: u64) -> Result<(), EnrolError> {
        let enrolment = Enrolment { device: self.key.id(), name: "-".to_owned() };
        self.sign(enrolment, grant, now_ms).map(drop)
    }

    /// What to say if a certificate ends when the issuer's does, and not because somebody wanted it so.
    pub fn shortened(&self, certificate: &SignedCertificate, grant: &Grant) -> Option<String> {
        let own = self.certificate.as_ref()?;
        let shortened = grant.validity.until_ms.is_none() && certificate.not_after_ms == own.not_after_ms;
        shortened.then(|| {
            let (until, own) = (utc(own.not_after_ms), &own.name);
            format!("until {until} and no longer, since the certificate of {own}, who signs, ends then")
        })
    }

    /// The event's secret, sealed to a device.
    ///
    /// # Errors
    /// [`EnrolError::Secret`] if the device's key is none.
    pub fn seal_secret(&self, certificate: &SignedCertificate) -> Result<String, EnrolError> {
        Ok(secret::seal(&self.secrets, &self.charter.event(), &certificate.device)?)
    }
}

/// Puts charter, certificate and secret into a device's folder, which has its key; all of it, or none if something is
/// wrong.
///
/// # Errors
/// [`EnrolError`] if they are not for this device, it has its place in another event, or the certificate is over.
pub fn install(
    data: &Folder,
    charter: &SignedCharter,
    certificate: &SignedCertificate,
    secrets: Option<&EventSecrets>,
    now_ms: u64,
) -> Result<(), EnrolError> {
    check_event(data, charter)?;
    certificate.belongs_to(&data.key()?.id())?;
    if now_ms >= certificate.not_after_ms {
        return Err(EnrolError::Ended { until_ms: certificate.not_after_ms, now_ms });
    }
    if let Some(secrets) = secrets {
        data.install_secrets(secrets)?;
    }
    folder::replace(&data.charter_path(), &format!("{}\n", charter.to_text()))?;
    folder::replace(&data.certificate_path(), &format!("{}\n", certificate.to_text()))?;
    Ok(())
}

/// Checks that a device's folder is of this event, or of none yet.
///
/// # Errors
/// [`EnrolError::OtherEvent`].
pub fn check_event(data: &Folder, charter: &SignedCharter) -> Result<(), EnrolError> {
    let named =
        |charter: &SignedCharter| format!("{:?} ({})", charter.charter().name, charter.event().short());
    match data.charter()? {
        Some(installed) if installed.event() != charter.event() => {
            Err(EnrolError::OtherEvent { ours: named(&installed), theirs: named(charter) })
        }
        _ => Ok(()),
    }
}
