//! `popmesh device`: a device's key, and the organiser's word for it.

use std::path::{Path, PathBuf};

use popmesh_proto::identity::{Enrolment, SecretKey, SignedCertificate, SignedCharter};
use popmesh_proto::pin::EventSecrets;
use serde_json::{Value, json};

use super::Data;
use super::args_device::{Device, Sign};
use super::client::print;
use super::failure::{Failure, Outcome};
use super::join::{self, Issuing};
use super::table::printable;
use super::{note_closed, renew, values};
use crate::clock::{localised, now_ms};
use crate::enrol::{self, CHARTER, Issuer};
use crate::folder::{self, Folder, FolderError};
use crate::join::Names;
use crate::secret;

pub(super) fn device(device: Device, data: &Data, json: bool) -> Outcome {
    let folder = &data.folder;
    match device {
        Device::New { name } => new(name, folder, json),
        Device::Sign(request) => sign(&request, data, json),
        Device::Install { certificate, charter } => install(&certificate, &charter, folder, json),
        Device::Show => show(folder, json),
        Device::Admit(request) => join::admit(&request, data, json),
        Device::Ticket(request) => join::ticket(&request, data, json),
        Device::Tickets(request) => join::tickets(&request, data, json),
        Device::Renew(request) => renew::renew(&request, folder, json),
    }
}

/// This device's key, made if there is none.
pub(super) fn key_or_new(data: &Folder) -> Result<SecretKey, Failure> {
    match data.key() {
        Err(FolderError::NoKey(_)) => {
            let key = SecretKey::from_seed(&values::random()?);
            note_closed(data.create()?.as_ref());
            folder::write_key(&data.key_path(), &key)?;
            Ok(key)
        }
        found => Ok(found?),
    }
}

fn new(name: Option<String>, data: &Folder, json: bool) -> Outcome {
    let name = name.unwrap_or_else(host_name);
    let key = SecretKey::from_seed(&values::random()?);
    let enrolment = Enrolment::to_text(&name, &key).map_err(|_| {
        Failure::with_help(
            format!("{name:?} cannot be a device's name"),
            "give 1 to 80 characters with --name",
        )
    })?;
    note_closed(data.create()?.as_ref());
    folder::write_key(&data.key_path(), &key)?;
    let path = data.path().join(file_name(&name, "enrolment"));
    folder::replace(&path, &format!("{enrolment}\n"))?;
    print(json, &json!({"device": key.id(), "name": name, "enrolment": path}), || {
        format!(
            "Device {name:?} ({}).\n  {}  its key: never leaves this device\n  {}  its enrolment: take it to the \
             organiser, or to an hq\n\nNext, at the organiser's: popmesh device sign {} --event DIR --role pos --venue \
             VENUE\nOr on an hq, with --data DIR instead of --event",
            key.id().short(),
            data.key_path().display(),
            path.display(),
            path.display(),
        )
    })
}

fn sign(request: &Sign, data: &Data, json: bool) -> Outcome {
    let (issuer, charter_path, names) = match request.by.issuing(data)? {
        Issuing::Organiser(folder) => (Issuer::organiser(folder)?, folder.join(CHARTER), Names::of(folder)),
        Issuing::Device(folder) => (Issuer::device(folder)?, folder.charter_path(), Names::of(folder.path())),
    };
    let enrolment = Enrolment::from_text(&folder::read_text(&request.enrolment)?)
        .map_err(|error| Failure::here(format!("{}: {error}", request.enrolment.display())))?;
    let grant = join::grant(request.role, &request.venue, request.name.clone(), &request.validity)?;
    let signed = issuer.sign(enrolment, &grant, now_ms())?;
    let path = request
        .output
        .clone()
        .unwrap_or_else(|| request.enrolment.with_file_name(file_name(&signed.name, "certificate")));
    let secret = issuer.seal_secret(&signed)?;
    folder::write_new(&path, &format!("{}\n{secret}\n", signed.to_text()))?;
    if let Some(shortened) = issuer.shortened(&signed, &grant) {
        eprintln!("note: {}", localised(&shortened));
    }
    // Whoever signs from a file has read the name; newcomers over the network are refused it from now on.
    if let Err(error) = names.note(&signed.name, &signed.device, now_ms()) {
        eprintln!("warning: {}", localised(&printable(&error.to_string())));
    }
    let charter = issuer.charter();
    print(json, &facts(&signed, charter, &path), || {
        format!(
            "{}\ncertificate  {}\n\nNext, on the device: popmesh device install {} --charter {}",
            describe(&signed, charter),
            path.display(),
            path.display(),
            charter_path.display(),
        )
    })
}

fn install(certificate_path: &Path, charter_path: &Path, data: &Folder, json: bool) -> Outcome {
    let key = data.key()?;
    let charter = folder::read_charter(charter_path)?;
    enrol::check_event(data, &charter)?;
    let certificate = folder::read_certificate(certificate_path, &charter)?;
    let refused = |problem| FolderError::Certificate { path: certificate_path.to_owned(), problem };
    certificate.belongs_to(&key.id()).map_err(refused)?;
    let secret = read_secret(certificate_path, &charter, &key)?;
    let now_ms = now_ms();
    enrol::install(data, &charter, &certificate, secret.as_ref(), now_ms)?;
    if now_ms < certificate.not_before_ms {
        eprintln!(
            "warning: the certificate begins only {}; this device's clock says {}",
            values::time(certificate.not_before_ms),
            values::time(now_ms)
        );
    }
    print(json, &facts(&certificate, &charter, &data.certificate_path()), || {
        format!("{}\n\nNext: popmesh run --data {}", describe(&certificate, &charter), data.path().display())
    })
}

/// The event's secret, which follows the certificate in its file.
fn read_secret(
    path: &Path,
    charter: &SignedCharter,
    key: &SecretKey,
) -> Result<Option<EventSecrets>, Failure> {
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

pub(super) fn facts(certificate: &SignedCertificate, charter: &SignedCharter, path: &Path) -> Value {
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
        "issuer": certificate.issuer().map(|issuer| json!({"device": issuer.device, "name": issuer.name})),
        "certificate": path,
    })
}

pub(super) fn describe(certificate: &SignedCertificate, charter: &SignedCharter) -> String {
    let now_ms = now_ms();
    let validity = if now_ms < certificate.not_before_ms {
        "  (not yet)".to_owned()
    } else {
        let roles: Vec<_> = certificate.roles.iter().collect();
        let advice = renew::advice(&certificate.name, &roles, certificate.not_after_ms, now_ms);
        advice.map_or_else(String::new, |advice| format!("  ({advice})"))
    };
    let issuer = certificate.issuer().map_or_else(
        || "the organiser".to_owned(),
        |issuer| format!("{} ({})", printable(&issuer.name), issuer.device.short()),
    );
    format!(
        "device       {} ({})\nroles        {}\nvenue        {}\nevent        {} ({})\nvalid        {} to {}{validity}\nsigned by    {issuer}",
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

/// What a device is called unless somebody says otherwise.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A file's name for something that people named: whatever a shell or a file system could take amiss becomes `-`.
fn file_name(name: &str, extension: &str) -> PathBuf {
    let safe: String =
        name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).collect();
    PathBuf::from(format!("{safe}.{extension}"))
}
