//! `popmesh quickstart`: an event, and this device as its hq, in one command.
//!
//! What is written, in this order: the organiser's key, the charter, this device's key, the event's secret, the charter
//! again, the certificate. Each file is there as a whole or not at all, and the last one makes the device the event's: so a
//! power cut in between leaves what the same command goes on from.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use popmesh_proto::id::Nonce;
use popmesh_proto::identity::{Charter, Enrolment, Role, Roles, SecretKey, SignedCertificate, SignedCharter};
use popmesh_proto::money::Currency;
use popmesh_proto::text::Place;
use popmesh_store::files;
use serde_json::{Value, json};

use super::client::print;
use super::currency::{self, Setting};
use super::failure::{Failure, Outcome};
use super::table::printable;
use super::{Data, device, known, note_closed, values};
use crate::clock::now_ms;
use crate::enrol::{self, CHARTER, Grant, Issuer, ORGANISER_KEY, Validity};
use crate::folder::{self, Folder};
use crate::health;
use crate::join::Names;

/// What the one laptop of a shop has to be. An `hq` writes the programme, mints lots and admits the other devices, `pos`
/// lets it sell and pay back, and as `registrar` it can retire a till that is stolen, without anybody having to fetch the
/// organiser's key first. There is one registrar in an event, and the first device is the one that is sure to be there.
const ROLES: [Role; 3] = [Role::Pos, Role::Hq, Role::Registrar];

/// Found an event, and make this device its hq.
#[derive(Debug, Args)]
pub(super) struct Quickstart {
    /// The event's name, for people
    name: String,
    /// The currency of all prices (ISO 4217), such as EUR; it cannot be changed later [default: asks, or what LC_MONETARY says]
    #[arg(long, value_parser = known::currency(), hide_possible_values = true)]
    currency: Option<Currency>,
    /// This device's name, for people
    #[arg(long = "device", value_name = "NAME", default_value = "hq")]
    device: String,
    /// Where it stands; its units are sold from there
    #[arg(long, default_value = "shop")]
    venue: Place,
    /// For how many days this device's certificate is to hold; no other that it admits holds for longer
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// The folder for the organiser's key, which no till needs [default: the data folder's name with -organiser behind it]
    #[arg(long, value_name = "DIR")]
    organiser: Option<PathBuf>,
}

pub(super) fn quickstart(request: &Quickstart, data: &Data, json: bool) -> Outcome {
    let folder = &data.folder;
    let organiser = organiser_folder(request, folder)?;
    refuse_if_founded(folder)?;
    let begun = Begun::look(&organiser)?;
    let grant = grant(request);
    // All that can be wrong is found before anything is written.
    if !health::is_possible(now_ms()) {
        let error = format!(
            "this host's clock says {}, and certificates would hold from then",
            values::time(now_ms())
        );
        return Err(Failure::with_help(error, "set the clock first"));
    }
    Enrolment::to_text(&request.device, &SecretKey::from_seed(&[1; 32])).map_err(|_| {
        Failure::with_help(
            format!("{:?} cannot be a device's name", request.device),
            "give 1 to 80 characters with --device",
        )
    })?;
    if grant.venue.is_compartment() {
        let error = format!("{} is a compartment; a device stands at a venue", grant.venue);
        return Err(Failure::with_help(error, "give a --venue without a slash"));
    }
    let charter = begun.charter(request, folder, &organiser)?;
    let (goes_on, founded) = (charter.is_some(), found(request, charter, &begun, &organiser)?);
    files::remove_drafts(&organiser);
    let certificate = enrol(request, &grant, folder, &organiser)?;
    print(json, &facts(&certificate, &founded, folder, &organiser), || {
        in_words(&certificate, &founded, data, &organiser, goes_on)
    })
}

fn grant(request: &Quickstart) -> Grant {
    let validity = Validity { from_ms: None, until_ms: None, days: request.days };
    Grant { roles: Roles::from_iter(ROLES), venue: request.venue.clone(), name: None, validity }
}

/// Where the organiser's key is to lie: never in the data folder, which people copy.
fn organiser_folder(request: &Quickstart, data: &Folder) -> Result<PathBuf, Failure> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| Failure::here(format!("{}: {error}", path.display())))
    };
    let folder = match &request.organiser {
        Some(folder) => folder.clone(),
        None => {
            let data = match data.path().file_name() {
                Some(_) => data.path().to_owned(),
                None => absolute(data.path())?,
            };
            let Some(name) = data.file_name() else {
                return Err(Failure::with_help(
                    format!("{} has no folder beside it for the organiser's key", data.display()),
                    "name one with --organiser",
                ));
            };
            let mut name = name.to_owned();
            name.push("-organiser");
            data.with_file_name(name)
        }
    };
    if real(&absolute(&folder)?).starts_with(real(&absolute(data.path())?)) {
        return Err(Failure::with_help(
            format!(
                "{} is in the data folder, and whoever copies that would copy the organiser's key with it",
                folder.display()
            ),
            "name another folder with --organiser",
        ));
    }
    Ok(folder)
}

/// A path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|part| part.canonicalize().ok().map(|real| (part, real)));
    match there {
        // What is not there follows; it is a part of the same path.
        Some((part, real)) => {
            path.strip_prefix(part).map_or_else(|_| path.to_owned(), |rest| real.join(rest))
        }
        None => path.to_owned(),
    }
}

/// Leaves a device alone that is an event's already.
fn refuse_if_founded(data: &Folder) -> Result<(), Failure> {
    let charter = data.charter()?;
    let installed = match &charter {
        Some(charter) => data.certificate(charter)?,
        None => None,
    };
    let named = |charter: &SignedCharter| printable(&charter.charter().name);
    let path = data.path().display();
    let error = match (charter, installed) {
        (Some(charter), Some(certificate)) => {
            let (event, device) = (named(&charter), printable(&certificate.name));
            format!("{path} is the device {device} of the event {event} already; nothing was changed")
        }
        // The books of an event whose other files are gone.
        _ if data.path().join(popmesh_store::DATABASE_FILE).exists() => {
            format!("{path} has the books of an event already; nothing was changed")
        }
        _ => return Ok(()),
    };
    let help = format!(
        "to start it: popmesh --data {0} run; for another event name another folder: popmesh --data DIR quickstart NAME",
        shell(data.path())
    );
    Err(Failure::with_help(error, help))
}

/// What the organiser's folder has.
enum Begun {
    Nothing,
    /// A key alone: the power failed before the charter was there.
    Key(SecretKey),
    Both(SecretKey, Box<SignedCharter>),
}

impl Begun {
    fn look(organiser: &Path) -> Result<Self, Failure> {
        let key = folder::found(folder::read_key(&organiser.join(ORGANISER_KEY)))?;
        let charter = folder::found(folder::read_charter(&organiser.join(CHARTER)))?;
        match (key, charter) {
            (None, None) => Ok(Self::Nothing),
            (Some(key), None) => Ok(Self::Key(key)),
            (Some(key), Some(charter)) if key.id() == charter.charter().root => {
                Ok(Self::Both(key, Box::new(charter)))
            }
            (_, Some(charter)) => {
                let name = printable(&charter.charter().name);
                Err(Failure::with_help(
                    format!("{} has the charter of the event {name}, and not its key", organiser.display()),
                    "put that event's organiser.key back there, or name another folder with --organiser",
                ))
            }
        }
    }

    /// The charter from which an earlier call goes on, if there was one: that of the event which is meant.
    fn charter(
        &self,
        request: &Quickstart,
        data: &Folder,
        organiser: &Path,
    ) -> Result<Option<SignedCharter>, Failure> {
        let installed = data.charter()?;
        let Self::Both(_, charter) = self else {
            let Some(installed) = installed else { return Ok(None) };
            return Err(Failure::with_help(
                format!(
                    "{} has the charter of the event {}, and no certificate; that event's organiser's folder is not {}",
                    data.path().display(),
                    printable(&installed.charter().name),
                    organiser.display()
                ),
                "name the organiser's folder with --organiser, or another data folder with --data",
            ));
        };
        enrol::check_event(data, charter)?;
        refuse_if_others(charter, data, organiser)?;
        let Charter { name, currency, .. } = charter.charter();
        let is_same = *name == request.name && request.currency.is_none_or(|wanted| wanted == *currency);
        if is_same {
            return Ok(Some(SignedCharter::clone(charter)));
        }
        Err(Failure::with_help(
            format!(
                "{} has the event {}, prices in {currency}, already; nothing was changed",
                organiser.display(),
                printable(name)
            ),
            format!(
                "to make this device its hq, give that name: popmesh --data {} quickstart {} --organiser {}; for another \
                 event name another folder with --organiser",
                shell(data.path()),
                shell(Path::new(name)),
                shell(organiser)
            ),
        ))
    }
}

/// Founds the event, unless that was done.
fn found(
    request: &Quickstart,
    charter: Option<SignedCharter>,
    begun: &Begun,
    organiser: &Path,
) -> Result<SignedCharter, Failure> {
    if let Some(charter) = charter {
        note_closed(folder::close(organiser)?.as_ref());
        return Ok(charter);
    }
    let key = match begun {
        Begun::Key(key) | Begun::Both(key, _) => SecretKey::from_seed(&key.seed()),
        Begun::Nothing => SecretKey::from_seed(&values::random()?),
    };
    let nonce = Nonce(values::random()?);
    let named = |currency| Charter {
        name: request.name.clone(),
        currency,
        root: key.id(),
        created_ms: now_ms(),
        nonce,
    };
    let sign = |charter| SignedCharter::sign(charter, &key).map_err(|error| Failure::here(error.to_string()));
    // The name is looked at before somebody is asked for the currency.
    sign(named(currency::in_use("EUR").map_err(Failure::here)?))?;
    let currency = request.currency.map_or_else(ask_currency, Ok)?;
    let signed = sign(named(currency))?;
    folder::create_private(organiser)?;
    note_closed(folder::close(organiser)?.as_ref());
    if matches!(begun, Begun::Nothing) {
        folder::write_key(&organiser.join(ORGANISER_KEY), &key)?;
    }
    folder::write_new(&organiser.join(CHARTER), &format!("{}\n", signed.to_text()))?;
    Ok(signed)
}

/// Leaves an event alone that has devices already: two registrars could give the same stock away twice.
fn refuse_if_others(charter: &SignedCharter, data: &Folder, organiser: &Path) -> Result<(), Failure> {
    let own = folder::found(folder::read_key(&data.key_path()))?.map(|key| key.id());
    let others = Names::of(organiser).given()?.into_iter().filter(|(device, _)| Some(*device) != own);
    let others: Vec<String> =
        others.map(|(device, name)| format!("{} ({})", printable(&name), device.short())).collect();
    if others.is_empty() {
        return Ok(());
    }
    let name = printable(&charter.charter().name);
    Err(Failure::with_help(
        format!("the event {name} in {} has devices already: {}", organiser.display(), others.join(", ")),
        format!(
            "let this one join it: `popmesh --data {} join` here, and `popmesh device admit CODE --event {} --role pos,hq \
             --venue VENUE` where the organiser's key is; for another event name another folder with --organiser",
            shell(data.path()),
            shell(organiser)
        ),
    ))
}

/// Makes this device the event's, with the organiser's key.
fn enrol(
    request: &Quickstart,
    grant: &Grant,
    data: &Folder,
    organiser: &Path,
) -> Result<SignedCertificate, Failure> {
    let issuer = Issuer::organiser(organiser)?;
    let key = device::key_or_new(data)?;
    note_closed(data.close()?.as_ref());
    let enrolment = Enrolment { device: key.id(), name: request.device.clone() };
    let now_ms = now_ms();
    let signed = issuer.sign(enrolment, grant, now_ms)?;
    Names::of(organiser)
        .note(&signed.name, &signed.device, now_ms)
        .map_err(|error| Failure::here(error.to_string()))?;
    enrol::install(data, issuer.charter(), &signed, Some(issuer.secrets()), now_ms)?;
    Ok(signed)
}

/// The currency that somebody types, or that this host is certainly set to.
fn ask_currency() -> Result<Currency, Failure> {
    let setting = currency::of_host(|name| std::env::var(name).ok());
    if let Setting::Money(currency) = setting {
        return Ok(currency);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::with_help(
            "in which currency are the prices? It cannot be changed later",
            format!("say it with --currency, one of {}", currency::list()),
        ));
    }
    let usual = match setting {
        Setting::Country(currency) => Some(currency),
        Setting::Money(_) | Setting::None => None,
    };
    let hint = usual.map_or_else(String::new, |currency| format!(" [{currency}]"));
    loop {
        eprint!("Currency of all prices, which cannot be changed later, such as EUR{hint}: ");
        let mut typed = String::new();
        let read = std::io::stdin().lock().read_line(&mut typed);
        if read.map_err(|error| Failure::here(error.to_string()))? == 0 {
            return Err(Failure::with_help("no currency was given", "say it with --currency"));
        }
        match (typed.trim(), usual) {
            ("", Some(currency)) => return Ok(currency),
            (typed, _) => match currency::in_use(typed) {
                Ok(currency) => return Ok(currency),
                Err(problem) => eprintln!("{problem}"),
            },
        }
    }
}

fn facts(certificate: &SignedCertificate, charter: &SignedCharter, data: &Folder, organiser: &Path) -> Value {
    let mut facts = device::facts(certificate, charter, &data.certificate_path());
    facts["data"] = json!(data.path());
    facts["organiser"] = json!(organiser);
    facts
}

fn in_words(
    certificate: &SignedCertificate,
    charter: &SignedCharter,
    data: &Data,
    organiser: &Path,
    goes_on: bool,
) -> String {
    let Charter { name, currency, .. } = charter.charter();
    let (data_path, organiser) = (data.folder.path().display().to_string(), organiser.display().to_string());
    let width = data_path.chars().count().max(organiser.chars().count());
    let popmesh = match data.is_given {
        true => format!("popmesh --data {}", shell(data.folder.path())),
        false => "popmesh".to_owned(),
    };
    let example = currency.format(2500);
    let price = example.split(' ').next().unwrap_or_default();
    format!(
        "Event {} ({}), prices in {currency}{}.\n\
         This device is {} ({}): {} at {}, until {}.\n\
         \x20 {data_path:width$}  its folder: its key and its books\n\
         \x20 {organiser:width$}  the organiser's key: keep a copy on a stick, and none on a till\n\n\
         Next, and leave it running:\n\
         \x20 {popmesh} run\n\
         Then, in another terminal:\n\
         \x20 {popmesh} product add TEE \"Tee\" --price {price}\n\
         \x20 {popmesh} drop new opening --open\n\
         \x20 {popmesh} lot mint --drop opening --sku TEE --serials 1-100\n\
         \x20 {popmesh} sell TEE",
        printable(name),
        charter.event().short(),
        if goes_on { "; it was founded before" } else { "" },
        printable(&certificate.name),
        certificate.device.short(),
        certificate.roles,
        certificate.venue,
        values::time(certificate.not_after_ms),
    )
}

/// A path or a name as a shell takes it for one word.
pub(super) fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
