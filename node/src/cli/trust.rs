//! Incidents, retiring a device, and who may do that.

use clap::{Args, Subcommand};
use popmesh_proto::command::{Entrust, Left, ResolveIncident, Retire, Retired};
use popmesh_proto::id::Ref;
use popmesh_proto::query::{Incident, Registrar, RetirementRisk, Status};

use super::args::{Retry, Target};
use super::ask::{self, Yes};
use super::client::{Client, print};
use super::failure::{Failure, Outcome};
use super::names::Names;
use super::table::{Table, printable};
use super::values;
use crate::api::{LeaveNow, List, PastAcceptance};
use crate::folder::Folder;

#[derive(Debug, Subcommand)]
pub(super) enum Incidents {
    /// Those that a person must look at
    List {
        /// Those that are settled, too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Write down what was done about one: on an hq
    Resolve {
        /// The incident
        incident: Ref,
        /// What was done: who got the unit, who the money
        #[arg(long)]
        note: String,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum RegistrarCommand {
    /// Who has it
    Show(Target),
    /// Give it to another hq, on who has it: this device retires nobody from then on
    Give {
        /// Who gets it: its name, or the first digits of its key
        device: String,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Past {
    /// Take what is stored here for all that this device did: what it sold or gave away since, it may sell again
    Accept {
        /// Do not ask: which device that is, by its name or the first digits of its key
        #[arg(long, value_name = "DEVICE", requires = "entries")]
        device: Option<String>,
        /// Do not ask: so many entries are missing, as `popmesh status` says
        #[arg(long, value_name = "N", requires = "device")]
        entries: Option<u64>,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
}

/// Give everything away before this device goes.
#[derive(Debug, Args)]
pub(super) struct LeaveArgs {
    /// Who gets it: its name, or the first digits of its key; an hq in reach if absent, or else who sells
    #[arg(long, value_name = "DEVICE")]
    to: Option<String>,
    /// Do not ask: which device is to leave, by its name or the first digits of its key
    #[arg(long, value_name = "DEVICE", requires_all = ["units", "claims"])]
    device: Option<String>,
    /// Do not ask: it holds so many units
    #[arg(long, value_name = "N", requires = "device")]
    units: Option<u64>,
    /// Do not ask: so many claims wait with it
    #[arg(long, value_name = "N", requires = "device")]
    claims: Option<u64>,
    #[command(flatten)]
    yes: Yes,
    #[command(flatten)]
    retry: Retry,
    #[command(flatten)]
    target: Target,
}

/// Retire a device that is lost or dead.
#[derive(Debug, Args)]
pub(super) struct RetireArgs {
    /// The device: its name, or the first digits of its key
    device: String,
    /// Do not ask: retire it although so many units could be sold twice
    #[arg(long, value_name = "UNITS")]
    at_risk: Option<u64>,
    /// Retire it even if it can be reached
    #[arg(long)]
    reachable: bool,
    #[command(flatten)]
    yes: Yes,
    #[command(flatten)]
    retry: Retry,
    #[command(flatten)]
    target: Target,
}

pub(super) fn incidents(incidents: Incidents, folder: &Folder, json: bool) -> Outcome {
    match incidents {
        Incidents::List { all, target } => {
            let mut known: List<Incident> =
                Client::find(&target, folder)?.list("/v1/incidents", &[], None)?;
            known.items.retain(|incident| all || incident.resolved.is_none());
            print(json, &known, || {
                let mut table = Table::new(&["at", "device", "what", "settled", "incident"]);
                for incident in &known.items {
                    let settled = incident.resolved.as_deref().unwrap_or("-");
                    table.row([
                        values::clock(incident.at_ms),
                        printable(&incident.device_name),
                        printable(&incident.text),
                        printable(settled),
                        incident.incident.to_string(),
                    ]);
                }
                if table.is_empty() { "No incidents.".to_owned() } else { table.to_string() }
            })
        }
        Incidents::Resolve { incident, note, yes, retry, target } => {
            let client = Client::find(&target, folder)?;
            let known: List<Incident> = client.list("/v1/incidents", &[], None)?;
            let what = known
                .items
                .iter()
                .find(|known| known.incident == incident)
                .map(|known| printable(&known.text));
            eprintln!("{}", what.unwrap_or_else(|| format!("Incident {incident}")));
            eprintln!("It is settled then, and a device that it suspends goes on: {}", printable(&note));
            ask::whether(yes, "Write that down?")?;
            let body = ResolveIncident { incident, note };
            let key = retry.idempotency_key.as_deref();
            let done: Incident = client.post("/v1/resolutions", Some(&body), key)?;
            print(json, &done, || format!("incident {} is settled", done.incident))
        }
    }
}

pub(super) fn registrar(registrar: RegistrarCommand, folder: &Folder, json: bool) -> Outcome {
    match registrar {
        RegistrarCommand::Show(target) => {
            let known: List<Registrar> = Client::find(&target, folder)?.list("/v1/registrars", &[], None)?;
            print(json, &known, || {
                let lines: Vec<String> = known.items.iter().map(in_words).collect();
                if lines.is_empty() {
                    "No device that is known here may retire others: have the organiser sign a certificate with the role registrar for an hq.".to_owned()
                } else {
                    lines.join("\n")
                }
            })
        }
        RegistrarCommand::Give { device, yes, retry, target } => {
            let client = Client::find(&target, folder)?;
            let to = client.device(&device)?;
            eprintln!(
                "{} may retire devices then, and this one no more; only {0} can give that back.",
                Names::of(&client).device(to)
            );
            ask::whether(yes, "Give it away?")?;
            let key = retry.idempotency_key.as_deref();
            let done: Registrar = client.post("/v1/registrars", Some(&Entrust { to }), key)?;
            print(json, &done, || {
                format!("{} may retire devices now, and this one no more", printable(&done.name))
            })
        }
    }
}

fn in_words(registrar: &Registrar) -> String {
    let here = if registrar.here { " (this device)" } else { "" };
    let from = match (&registrar.given_by, registrar.given_at_ms) {
        (Some(by), Some(at_ms)) => format!(": given by {} at {}", printable(by), values::time(at_ms)),
        _ => ": by its certificate".to_owned(),
    };
    let retired = registrar.retired_by.as_deref();
    let retired = retired.map_or_else(String::new, |by| format!("; retired by {}", printable(by)));
    format!("{}{here} may retire devices{from}{retired}", printable(&registrar.name))
}

pub(super) fn past(past: Past, folder: &Folder, json: bool) -> Outcome {
    let Past::Accept { device, entries, yes, retry, target } = past;
    let client = Client::find(&target, folder)?;
    let (device, entries) = match (device, entries) {
        (Some(device), Some(entries)) => (client.device(&device)?, entries),
        _ => {
            let status: Status = client.get("/v1/status", &[])?;
            let (name, entries) = (&status.device.name, status.past.entries);
            eprintln!("{}: {entries} entries of what it did are missing.", printable(name));
            eprintln!("What it sold, gave away or handed out in them, it may sell or hand out again.");
            let instead = format!("--device {} --entries {entries}", printable(name));
            ask::by_name(yes, name, &instead, "answer for it")?;
            (status.device.device, entries)
        }
    };
    let key = retry.idempotency_key.as_deref();
    let body = PastAcceptance { device, entries };
    let done: serde_json::Value = client.post("/v1/past/acceptance", Some(&body), key)?;
    print(json, &done, || "this device sells on from what is stored".to_owned())
}

pub(super) fn leave(args: &LeaveArgs, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&args.target, folder)?;
    let to = args.to.as_deref().map(|name| client.device(name)).transpose()?;
    let body = match (&args.device, args.units, args.claims) {
        (Some(device), Some(units), Some(claims)) => {
            LeaveNow { to, device: client.device(device)?, units, claims }
        }
        _ => {
            let status: Status = client.get("/v1/status", &[])?;
            let device = status.device.device;
            let has: RetirementRisk = client.get(&format!("/v1/devices/{device}/retirement"), &[])?;
            let units = has.held.iter().map(|held| held.units).sum();
            let (name, claims) = (&has.name, has.claims);
            eprintln!("{}: {units} units and {claims} claims go to another device.", printable(name));
            let instead = format!("--device {} --units {units} --claims {claims}", printable(name));
            ask::by_name(args.yes, name, &instead, "have it leave")?;
            LeaveNow { to, device, units, claims }
        }
    };
    let key = args.retry.idempotency_key.as_deref();
    let done: Left = client.post("/v1/leave", Some(&body), key)?;
    print(json, &done, || {
        let Left { name, units, claims, .. } = &done;
        format!(
            "{units} units and {claims} claims are with {} now; carry over the goods that lie here\nthis device sells nothing until its next start; stop it, and retire it if it does not come back",
            printable(name)
        )
    })
}

pub(super) fn retire(args: &RetireArgs, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&args.target, folder)?;
    let device = client.device(&args.device)?;
    let risk: RetirementRisk = client.get(&format!("/v1/devices/{device}/retirement"), &[])?;
    if let Some(by) = &risk.retired_by {
        let name = printable(&risk.name);
        let heir = risk.heir.as_ref().map_or_else(String::new, |heir| {
            format!("; {} has what it left behind, and what still comes to it", printable(heir))
        });
        return Err(Failure::here(format!("{name} was retired by {} already{heir}", printable(by))));
    }
    let at_risk = match args.at_risk {
        Some(at_risk) => at_risk,
        None => {
            tell_risk(&risk);
            ask::by_name(args.yes, &risk.name, &format!("--at-risk {}", risk.at_risk), "retire it")?;
            risk.at_risk
        }
    };
    let body = Retire { device, at_risk, reachable: args.reachable };
    let key = args.retry.idempotency_key.as_deref();
    let done: Retired = client.post("/v1/retirements", Some(&body), key)?;
    print(json, &done, || {
        let units: u64 = done.held.iter().map(|held| held.units).sum();
        format!(
            "{name} is retired; {units} units that it held are this device's now\nwhat it sold and nobody heard of will show in `popmesh incidents`\n{}\nits key is refused by every device that hears of this, for ever: if it comes back, it needs a new one\non tablets and other callers of its API: delete its certificate authority (api-ca.pem), and the tokens that it gave out are void",
            renewed(&done),
            name = printable(&risk.name)
        )
    })
}

/// What became of the event's secret, in words.
fn renewed(done: &Retired) -> String {
    match (&done.secret.epoch, done.secret.exposed) {
        (Some(epoch), 0) => format!(
            "the event's secret is renewed (epoch {epoch}): PINs of claims made from now on are safe from what lies on its disk; those made before are not"
        ),
        _ => "the event's secret could not be renewed yet: an hq makes it up within a minute; see `popmesh status`".to_owned(),
    }
}

/// Says what retiring a device risks.
fn tell_risk(risk: &RetirementRisk) {
    let name = printable(&risk.name);
    let heard = risk.last_heard_ms.map_or_else(|| "never".to_owned(), values::time);
    eprintln!("{name} was last heard {heard}. As far as is known here, it held, or had to take over:");
    for held in &risk.held {
        eprintln!("  {} × {} of {}", held.units, held.sku, held.drop);
    }
    eprintln!("  {} claims that wait to be picked up", risk.claims);
    eprintln!("It may have sold or handed these out: {} units could go out twice.", risk.at_risk);
    eprintln!("What it writes from now on counts for nothing, and it needs a new key to come back.");
}
