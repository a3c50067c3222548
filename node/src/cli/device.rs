//! `popmesh device`: a device's key, and the organiser's word for it.

use std::path::{Path, PathBuf};

use popmesh_proto::identity::{Certificate, Enrolment, SecretKey, SignedCertificate, SignedCharter};
use popmesh_proto::pin::EventSecret;
use serde_json::{Value, json};

use super::args::{Device, Sign};
use super::client::print;
use super::event::{CHARTER, ORGANISER_KEY};
use super::failure::{Failure, Outcome};
use super::table::printable;
use super::values;
use crate::clock::now_ms;
use crate::folder::{self, Folder, FolderError};
use crate::secret;

const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

pub(super) fn device(device: Device, data: &Folder, json: bool) -> Outcome {
    match device {
        Device::New { name } => new(name, data, json),
        Device::Sign(request) => sign(&request, json),
        Device::Install { certificate, charter } => install(&certificate, &charter, data, json),
        Device::Show => show(data, json),
    }
}

fn new(name: Option<String>, data: &Folder, json: bool) -> Outcome {
    let name = name.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let key = SecretKey::from_seed(&values::random()?);
    let enrolment = Enrolment::to_text(&name, &key).map_err(|_| {
        Failure::with_help(
            format!("{name:?} cannot be a device's name"),
            "give 1 to 80 characters with --name",
        )
    })?;
    data.create()?;
    folder::write_key(&data.key_path(), &key)?;
    let path = data.path().join(file_name(&name, "enrolment"));
    folder::replace(&path, &format!("{enrolment}\n"))?;
    print(json, &json!({"device": key.id(), "name": name, "enrolment": path}), || {
        format!(
            "Device {name:?} ({}).\n  {}  its key: never leaves this device\n  {}  its enrolment: take it to the \
             organiser\n\nNext, at the organiser's: popmesh device sign {} --event DIR --role pos --venue VENUE",
            key.id().short(),
            data.key_path().display(),
            path.display(),
            path.display(),
        )
    })
}

fn sign(request: &Sign, json: bool) -> Outcome {
    let charter = folder::read_charter(&request.event.join(CHARTER))?;
    let root = folder::read_key(&request.event.join(ORGANISER_KEY))?;
    if root.id() != charter.charter().root {
        return Err(Failure::with_help(
            format!("{} is not the key of this event", request.event.join(ORGANISER_KEY).display()),
            "name the folder that `popmesh event init` wrote with --event",
        ));
    }
    if request.venue.is_compartment() {
        return Err(Failure::with_help(
            format!("{} is a compartment; a device stands at a venue", request.venue),
            "give a --venue without a slash",
        ));
    }
    let refused = |error: popmesh_proto::identity::CertificateError| Failure::here(error.to_string());
    let enrolment = Enrolment::from_text(&folder::read_text(&request.enrolment)?)
        .map_err(|error| Failure::here(format!("{}: {error}", request.enrolment.display())))?;
    let now_ms = now_ms();
    let not_before_ms = request.from.map_or(Ok(now_ms.saturating_sub(HOUR_MS)), unix_ms)?;
    let days_ms = u64::from(request.days) * DAY_MS;
    let not_after_ms = request.until.map_or(Ok(not_before_ms.max(now_ms) + days_ms), unix_ms)?;
    let certificate = Certificate {
        event: charter.event(),
        device: enrolment.device,
        name: request.name.clone().unwrap_or(enrolment.name),
        roles: request.role,
        venue: request.venue.clone(),
        not_before_ms,
        not_after_ms,
    };
    if not_after_ms <= now_ms {
        return Err(Failure::with_help(
            format!("a certificate until {} would be over already", values::time(not_after_ms)),
            "give a later --until",
        ));
    }
    let signed = SignedCertificate::sign(certificate, &root, &charter).map_err(refused)?;
    let path = request
        .output
        .clone()
        .unwrap_or_else(|| request.enrolment.with_file_name(file_name(&signed.name, "certificate")));
    let secret =
        secret::seal(&EventSecret::derive(&root, &charter.event()), &charter.event(), &signed.device)
            .map_err(|error| Failure::here(error.to_string()))?;
    folder::write_new(&path, &format!("{}\n{secret}\n", signed.to_text()), 0o644)?;
    print(json, &facts(&signed, &charter, &path), || {
        format!(
            "{}\ncertificate  {}\n\nNext, on the device: popmesh device install {} --charter {}",
            describe(&signed, &charter),
            path.display(),
            path.display(),
            request.event.join(CHARTER).display(),
        )
    })
}

fn unix_ms(at: jiff::Timestamp) -> Result<u64, Failure> {
    u64::try_from(at.as_millisecond()).map_err(|_| Failure::here(format!("{at} is before 1970")))
}

fn install(certificate_path: &Path, charter_path: &Path, data: &Folder, json: bool) -> Outcome {
    let key = data.key()?;
    let charter = folder::read_charter(charter_path)?;
    if let Some(installed) = data.charter()?
        && installed.event() != charter.event()
    {
        return Err(Failure::with_help(
            format!(
                "this device belongs to event {:?} ({}), not to {:?} ({})",
                installed.charter().name,
                installed.event().short(),
                charter.charter().name,
                charter.event().short()
            ),
            "take another data folder with --data for another event",
        ));
    }
    let certificate = folder::read_certificate(certificate_path, &charter)?;
    let refused = |problem| FolderError::Certificate { path: certificate_path.to_owned(), problem };
    certificate.belongs_to(&key.id()).map_err(refused)?;
    let secret = read_secret(certificate_path, &charter, &key)?;
    let now_ms = now_ms();
    if now_ms >= certificate.not_after_ms {
        return Err(Failure::with_help(
            format!("the certificate ended {}", values::time(certificate.not_after_ms)),
            format!("have the organiser sign a new one; this device's clock says {}", values::time(now_ms)),
        ));
    }
    if now_ms < certificate.not_before_ms {
        eprintln!(
            "warning: the certificate begins only {}; this device's clock says {}",
            values::time(certificate.not_before_ms),
            values::time(now_ms)
        );
    }
    if let Some(secret) = secret {
        data.install_secret(&secret)?;
    }
    folder::replace(&data.charter_path(), &format!("{}\n", charter.to_text()))?;
    folder::replace(&data.certificate_path(), &format!("{}\n", certificate.to_text()))?;
    print(json, &facts(&certificate, &charter, &data.certificate_path()), || {
        format!("{}\n\nNext: popmesh run --data {}", describe(&certificate, &charter), data.path().display())
    })
}

/// The event's secret, which follows the certificate in its file.
fn read_secret(
    path: &Path,
    charter: &SignedCharter,
    key: &SecretKey,
) -> Result<Option<EventSecret>, Failure> {
    let text = folder::read_text(path)?;
    let opened = text.lines().map(|line| secret::open(line, &charter.event(), key));
    let found: Result<Vec<_>, _> = opened.collect();
    let found = found.map_err(|error| Failure::here(format!("{}: {error}", path.display())))?;
    Ok(found.into_iter().flatten().next())
}

fn show(data: &Folder, json: bool) -> Outcome {
    let key = data.key()?;
    let charter = data.charter()?;
    let certificate = match &charter {
        Some(charter) => data.certificate(charter)?,
        None => None,
    };
    match (charter, certificate) {
        (Some(charter), Some(certificate)) => {
            certificate
                .belongs_to(&key.id())
                .map_err(|problem| FolderError::Certificate { path: data.certificate_path(), problem })?;
            print(json, &facts(&certificate, &charter, &data.certificate_path()), || {
                describe(&certificate, &charter)
            })
        }
        _ => print(json, &json!({"device": key.id(), "certificate": null}), || {
            format!(
                "device  {}\nNo certificate yet: have the organiser sign this device's enrolment, then \
                 `popmesh device install`.",
                key.id()
            )
        }),
    }
}

fn facts(certificate: &SignedCertificate, charter: &SignedCharter, path: &Path) -> Value {
    json!({
        "device": certificate.device,
        "name": certificate.name,
        "roles": certificate.roles.iter().collect::<Vec<_>>(),
        "venue": certificate.venue,
        "event": charter.event(),
        "event_name": charter.charter().name,
        "currency": charter.charter().currency,
        "not_before_ms": certificate.not_before_ms,
        "not_after_ms": certificate.not_after_ms,
        "certificate": path,
    })
}

fn describe(certificate: &SignedCertificate, charter: &SignedCharter) -> String {
    let now_ms = now_ms();
    let validity = match certificate.valid_at(now_ms) {
        Ok(()) => "",
        Err(_) if now_ms < certificate.not_before_ms => "  (not yet)",
        Err(_) => "  (over: have the organiser sign a new one)",
    };
    format!(
        "device       {} ({})\nroles        {}\nvenue        {}\nevent        {} ({})\nvalid        {} to {}{validity}",
        printable(&certificate.name),
        certificate.device.short(),
        certificate.roles,
        certificate.venue,
        printable(&charter.charter().name),
        charter.event().short(),
        values::time(certificate.not_before_ms),
        values::time(certificate.not_after_ms),
    )
}

/// A file's name for something that people named: whatever a shell or a file system could take amiss becomes `-`.
fn file_name(name: &str, extension: &str) -> PathBuf {
    let safe: String =
        name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).collect();
    PathBuf::from(format!("{safe}.{extension}"))
}
