//! Personal data: taken, listed, opened with the organiser's key, erased.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Subcommand, ValueEnum};
use popmesh_proto::command::{Erased, Payload, PersonalErase, PersonalInfo};
use popmesh_proto::id::Ref;
use popmesh_proto::query::Status;
use popmesh_proto::record::{Consent, PersonalKind};
use popmesh_proto::text::{DropId, ShopperRef, Sku};
use serde::Serialize;
use zeroize::Zeroizing;

use super::args::{Retry, Target};
use super::ask::{self, Yes};
use super::client::{Client, print};
use super::failure::{Failure, Outcome};
use super::table::{Table, printable};
use super::values;
use crate::api::{List, PersonalNew, SealedData};
use crate::folder::{self, Folder};
use crate::personal::{self, MAX_CONTENT};

#[derive(Debug, Subcommand)]
pub(super) enum People {
    /// Take an opt-in, a contact, a note or a waitlist entry; what it says is asked for, or read from standard input
    Add {
        /// What it is for
        #[arg(long, value_enum)]
        kind: Kind,
        /// Whose it is, by the reference that the shopper's sales have
        #[arg(long, value_name = "REF")]
        shopper: Option<ShopperRef>,
        /// What the shopper consented to, as it was shown or read out
        #[arg(long, value_name = "TEXT", requires = "consent_version")]
        consent: Option<String>,
        /// Which version of that text
        #[arg(long, value_name = "VERSION", requires = "consent")]
        consent_version: Option<String>,
        /// Of a waitlist: for which SKU
        #[arg(long, conflicts_with = "drop")]
        sku: Option<Sku>,
        /// Of a waitlist: for which drop
        #[arg(long)]
        drop: Option<DropId>,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// What was taken, the latest first; not what it says
    List {
        /// Of this shopper only
        #[arg(long, value_name = "REF")]
        shopper: Option<ShopperRef>,
        /// Of this kind only
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        #[command(flatten)]
        target: Target,
    },
    /// Open what this device has, with the organiser's key, which stays in this program
    Open {
        /// The organiser's key, as `popmesh event init` wrote it
        #[arg(long, value_name = "FILE")]
        organiser_key: Option<PathBuf>,
        /// Write it into a new file that only this user can read, as CSV or JSON by its name, instead of showing it
        #[arg(long, value_name = "FILE.csv|FILE.json")]
        out: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Have what was taken deleted on every device: on an hq; what a device took itself, there too
    #[command(group = clap::ArgGroup::new("what").required(true))]
    Erase {
        /// All that was taken of this shopper until now, on any device
        #[arg(long, value_name = "REF", group = "what")]
        shopper: Option<ShopperRef>,
        /// What this entry says was taken
        #[arg(long, value_name = "ID", group = "what")]
        entry: Option<Ref>,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
}

/// What personal data is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Wants to hear from the organiser
    OptIn,
    /// How to reach the shopper
    Contact,
    /// What the crew wants to remember
    Note,
    /// Wants to be told when a SKU or a drop is there
    Waitlist,
}

impl From<Kind> for PersonalKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::OptIn => PersonalKind::OptIn,
            Kind::Contact => PersonalKind::Contact,
            Kind::Note => PersonalKind::Note,
            Kind::Waitlist => PersonalKind::Waitlist,
        }
    }
}

pub(super) fn people(people: People, folder: &Folder, json: bool) -> Outcome {
    match people {
        People::Add { kind, shopper, consent, consent_version, sku, drop, retry, target } => {
            let client = Client::find(&target, folder)?;
            let consent = consent.zip(consent_version).map(|(text, version)| Consent { text, version });
            let content = read_content()?;
            let body =
                PersonalNew { kind: kind.into(), shopper, sku, drop, consent, content: content.to_string() };
            let done: PersonalInfo =
                client.post("/v1/people", Some(&body), retry.idempotency_key.as_deref())?;
            let _ = Zeroizing::new(body.content);
            print(json, &done, || format!("{} {} is kept, sealed to the organiser", done.kind, done.entry))
        }
        People::List { shopper, kind, target } => {
            let kind = kind.map(|kind| serde_json::to_value(PersonalKind::from(kind)));
            let kind = kind.and_then(Result::ok).and_then(|kind| kind.as_str().map(str::to_owned));
            let query = [("shopper", shopper.map(|shopper| shopper.to_string())), ("kind", kind)];
            let known: List<PersonalInfo> =
                Client::find(&target, folder)?.list("/v1/people", &query, None)?;
            print(json, &known, || list(&known.items))
        }
        People::Open { organiser_key, out, target } => {
            open(organiser_key.as_deref(), out.as_deref(), &Client::find(&target, folder)?, json)
        }
        People::Erase { shopper, entry, yes, retry, target } => {
            let body = PersonalErase { shopper, entry };
            let key = retry.idempotency_key.as_deref();
            let what = match (&body.shopper, &body.entry) {
                (Some(shopper), _) => format!("All that was taken of {shopper} until now"),
                (None, Some(entry)) => format!("What entry {entry} says was taken"),
                (None, None) => "Nothing".to_owned(),
            };
            eprintln!("{what} is deleted on every device, for good.");
            ask::whether(yes, "Erase it?")?;
            let done: Erased = Client::find(&target, folder)?.post("/v1/people/erase", Some(&body), key)?;
            print(json, &done, || {
                match (done.entry, done.erased.len()) {
                (None, _) => "it was erased before".to_owned(),
                (Some(_), 0) => {
                    "nothing of it is known here; what others took until now is erased as soon as they hear of this"
                        .to_owned()
                }
                (Some(_), count) => format!(
                    "{count} erased here, and on every other device as soon as it hears of this"
                ),
            }
            })
        }
    }
}

/// What a shopper says, from the terminal or from standard input: an argument would stay in the shell's history, and
/// show in the list of processes.
fn read_content() -> Result<Zeroizing<String>, Failure> {
    let cannot = |error: std::io::Error| Failure::here(format!("standard input cannot be read: {error}"));
    let mut content = Zeroizing::new(String::with_capacity(MAX_CONTENT + 2));
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("What the shopper gives (an address, a number, a note): ");
        std::io::stderr().flush().ok();
        stdin.lock().read_line(&mut content).map_err(cannot)?;
    } else {
        stdin.lock().take(MAX_CONTENT as u64 + 2).read_to_string(&mut content).map_err(cannot)?;
    }
    let length = content.trim_end_matches(['\r', '\n']).len();
    content.truncate(length);
    if content.is_empty() {
        return Err(Failure::with_help("nothing was given", "type it, or give it on standard input"));
    }
    Ok(content)
}

fn target_of(info: &PersonalInfo) -> String {
    info.sku.as_ref().map(Sku::to_string).or(info.drop.as_ref().map(DropId::to_string)).unwrap_or_default()
}

fn list(known: &[PersonalInfo]) -> String {
    let mut table = Table::new(&["at", "kind", "for", "shopper", "taken by", ">bytes", "payload", "entry"]);
    for info in known {
        table.row([
            values::clock(info.at_ms),
            info.kind.to_string(),
            target_of(info),
            info.shopper.as_ref().map(ShopperRef::to_string).unwrap_or_default(),
            info.device_name.clone(),
            info.size.to_string(),
            info.payload.to_string(),
            info.entry.to_string(),
        ]);
    }
    if table.is_empty() { "No personal data was taken.".to_owned() } else { table.to_string() }
}

/// Personal data, opened.
#[derive(Serialize)]
struct Opened {
    #[serde(flatten)]
    info: PersonalInfo,
    content: String,
}

fn open(key: Option<&Path>, out: Option<&Path>, client: &Client, json: bool) -> Outcome {
    let Some(key) = key else {
        return Err(Failure::with_help(
            "personal data is sealed to the organiser, and no device can read it",
            "give the organiser's key, which `popmesh event init` wrote: --organiser-key DIR/organiser.key",
        ));
    };
    let is_csv = out.map(form).transpose()?;
    let key = folder::read_key(key)?;
    let status: Status = client.get("/v1/status", &[])?;
    let (mut opened, mut sealed) = (Vec::new(), 0u64);
    let kept: List<SealedData> = client.list("/v1/people/sealed", &[], None)?;
    for SealedData { info, sealed: text } in kept.items {
        let bytes = BASE64_STANDARD.decode(&text).unwrap_or_default();
        match personal::open(&key, &status.event, &info.device, info.kind, &bytes) {
            Some(content) => opened.push(Opened { info, content: content.to_string() }),
            None => sealed += 1,
        }
    }
    if sealed > 0 && opened.is_empty() {
        return Err(Failure::with_help(
            format!("none of {sealed} can be opened with this key"),
            "give the key of this event's organiser, which `popmesh event init` wrote: no device's key opens them",
        ));
    }
    if sealed > 0 {
        eprintln!(
            "warning: {sealed} cannot be opened with this key: whoever took them did not seal them to it"
        );
    }
    let taken: List<PersonalInfo> = client.list("/v1/people", &[], None)?;
    let missing = taken.items.iter().filter(|info| info.payload == Payload::Missing).count();
    if missing > 0 {
        eprintln!("warning: {missing} more were taken, and have not come to this device yet");
    }
    match (out, is_csv) {
        (Some(out), Some(true)) => write(out, &csv(&opened), opened.len(), json),
        (Some(out), _) => {
            let text =
                serde_json::to_string_pretty(&opened).map_err(|error| Failure::here(error.to_string()))?;
            write(out, &text, opened.len(), json)
        }
        (None, _) => print(json, &opened, || shown(&opened)),
    }
}

fn form(out: &Path) -> Result<bool, Failure> {
    match out.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        _ => Err(Failure::with_help(
            format!("{} says no form", out.display()),
            "name a file that ends with .csv or .json",
        )),
    }
}

fn write(out: &Path, text: &str, count: usize, json: bool) -> Outcome {
    folder::write_new(out, text)?;
    print(json, &serde_json::json!({"file": out, "count": count}), || {
        format!(
            "{count} written to {}: personal data in clear, delete it when it is not needed any more",
            out.display()
        )
    })
}

fn shown(opened: &[Opened]) -> String {
    let mut table = Table::new(&["at", "kind", "for", "shopper", "taken by", "consent", "content"]);
    for Opened { info, content } in opened {
        table.row([
            values::clock(info.at_ms),
            info.kind.to_string(),
            target_of(info),
            info.shopper.as_ref().map(ShopperRef::to_string).unwrap_or_default(),
            info.device_name.clone(),
            info.consent.as_ref().map_or_else(String::new, consent),
            content.replace('\n', " / "),
        ]);
    }
    if table.is_empty() { "No personal data is here.".to_owned() } else { table.to_string() }
}

fn consent(consent: &Consent) -> String {
    printable(&format!("{} ({})", consent.text, consent.version))
}

/// RFC 4180, every field quoted.
fn csv(opened: &[Opened]) -> String {
    let mut text = String::from(
        "\"entry\",\"kind\",\"for\",\"shopper\",\"taken by\",\"at ms\",\"consent\",\"consent version\",\"content\"\r\n",
    );
    for Opened { info, content } in opened {
        let (consent, version) =
            info.consent.as_ref().map_or(("", ""), |consent| (&consent.text, &consent.version));
        let shopper = info.shopper.as_ref().map(ShopperRef::to_string).unwrap_or_default();
        let fields = [
            &info.entry.to_string(),
            &info.kind.to_string(),
            &target_of(info),
            &shopper,
            &info.device_name,
            &info.at_ms.to_string(),
            consent,
            version,
            content,
        ];
        let quoted: Vec<String> =
            fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
        text += &quoted.join(",");
        text += "\r\n";
    }
    text
}
