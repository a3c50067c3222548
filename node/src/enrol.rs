//! How a device comes to its place in an event, whichever way what is needed travels: its key and its request, the
//! organiser's answer, and putting that into the device's folder.

use std::path::{Path, PathBuf};

use popmesh_proto::clock::utc;
use popmesh_proto::identity::{
    Certificate, CertificateError, Enrolment, Roles, SecretKey, SignedCertificate, SignedCharter,
};
use popmesh_proto::pin::EventSecret;
use popmesh_proto::text::Place;

use crate::folder::{self, Folder, FolderError};
use crate::secret::{self, SecretError};

/// The organiser's key, in the organiser's folder.
pub const ORGANISER_KEY: &str = "organiser.key";
/// The charter, in the organiser's folder.
pub const CHARTER: &str = "event.charter";

/// An hour, in milliseconds.
pub const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Why a device is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The key in the organiser's folder is not the charter's.
    #[error("{} is not the key of this event; name the folder that `popmesh event init` wrote with --event", .0.display())]
    NotTheOrganiser(PathBuf),
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
    /// For how many days, unless an end is given.
    pub days: u32,
}

/// What the organiser means a device to be.
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

/// The organiser: who can sign certificates.
#[derive(Debug)]
pub struct Organiser {
    charter: SignedCharter,
    root: SecretKey,
}

impl Organiser {
    /// The one of the folder that `popmesh event init` wrote.
    ///
    /// # Errors
    /// [`EnrolError`] if key and charter are not there, or do not belong together.
    pub fn open(folder: &Path) -> Result<Self, EnrolError> {
        let charter = folder::read_charter(&folder.join(CHARTER))?;
        let root = folder::read_key(&folder.join(ORGANISER_KEY))?;
        if root.id() != charter.charter().root {
            return Err(EnrolError::NotTheOrganiser(folder.join(ORGANISER_KEY)));
        }
        Ok(Self { charter, root })
    }

    /// The event's charter.
    pub fn charter(&self) -> &SignedCharter {
        &self.charter
    }

    /// Signs a certificate.
    ///
    /// # Errors
    /// [`EnrolError`] if it cannot be, or would be over already.
    pub fn sign(
        &self,
        enrolment: Enrolment,
        grant: &Grant,
        now_ms: u64,
    ) -> Result<SignedCertificate, EnrolError> {
        let Validity { from_ms, until_ms, days } = grant.validity;
        let not_before_ms = from_ms.unwrap_or(now_ms.saturating_sub(HOUR_MS));
        let not_after_ms = until_ms.unwrap_or(not_before_ms.max(now_ms) + u64::from(days) * DAY_MS);
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
        Ok(SignedCertificate::sign(certificate, &self.root, &self.charter)?)
    }

    /// The event's secret, sealed to a device.
    ///
    /// # Errors
    /// [`EnrolError::Secret`] if the device's key is none.
    pub fn seal_secret(&self, certificate: &SignedCertificate) -> Result<String, EnrolError> {
        let event = self.charter.event();
        Ok(secret::seal(&EventSecret::derive(&self.root, &event), &event, &certificate.device)?)
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
    secret: Option<&EventSecret>,
    now_ms: u64,
) -> Result<(), EnrolError> {
    check_event(data, charter)?;
    certificate.belongs_to(&data.key()?.id())?;
    if now_ms >= certificate.not_after_ms {
        return Err(EnrolError::Ended { until_ms: certificate.not_after_ms, now_ms });
    }
    if let Some(secret) = secret {
        data.install_secret(secret)?;
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
