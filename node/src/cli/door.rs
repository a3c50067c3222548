//! Compartments and their doors: what can be typed about them, and what is done.

use std::path::Path;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use popmesh_proto::claim_code::ClaimCode;
use popmesh_proto::command::{Door, DoorState, HandOut, Move, Redeemed, UnitsDone};
use popmesh_proto::id::Ref;
use popmesh_proto::query::Status;
use popmesh_proto::text::{Compartment, Place};
use serde::Serialize;
use serde_json::json;

use super::act::{tell_units, units};
use super::args::{Retry, Target};
use super::args_stock::UnitsArgs;
use super::ask::{self, Yes};
use super::client::{Client, print, segment};
use super::failure::{Failure, Outcome};
use super::given::Given;
use super::names::Names;
use super::quickstart::shell;
use super::table::{Table, printable};
use super::values;
use crate::api::{DoorsNow, Jam};
use crate::door::{DoorSpec, OPENS_WITHIN, VirtualDoor};
use crate::folder::Folder;

/// For how long a person at a door is kept waiting for word of it, milliseconds: longer than a door takes by default.
const WAIT_MS: u64 = 15_000;
/// The longest that a door may take. Somebody stands before it.
const MOST: Duration = Duration::from_secs(60);

/// What opens the doors of this device's compartments.
#[derive(Debug, Args)]
pub(super) struct DoorOptions {
    /// What opens its compartments: virtual (for rehearsals), http://board/open/{compartment} (asked with POST), or
    /// exec:/path/to/program (run with the compartment as its argument)
    #[arg(long, value_name = "DRIVER")]
    pub(super) door: Option<DoorSpec>,
    /// How long a door may take until it counts as stuck, at most 60s
    #[arg(long, value_name = "TIME", requires = "door", value_parser = within)]
    pub(super) door_timeout: Option<Duration>,
}

impl DoorOptions {
    pub(super) fn within(&self) -> Duration {
        self.door_timeout.unwrap_or(OPENS_WITHIN)
    }
}

fn within(text: &str) -> Result<Duration, String> {
    let time = values::duration(text)?;
    if time.is_zero() || time > MOST {
        return Err("give a time of up to 60s".to_owned());
    }
    Ok(time)
}

/// Put units that this device holds into one of its compartments.
#[derive(Debug, Args)]
pub(super) struct Stow {
    #[command(flatten)]
    units: UnitsArgs,
    /// Which compartment, such as 07: 1 to 12 letters, digits or . _ -
    #[arg(long)]
    compartment: Compartment,
}

/// What is done about a door.
#[derive(Debug, Subcommand)]
pub(super) enum DoorCommand {
    /// Open it again: what was redeemed here, and did not open or is in doubt
    Open {
        /// The claim: its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its
        /// payment or shopper, its token (- reads it from standard input), or the claim itself
        claim: Given,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Say what you found at the door of what was redeemed here; that stays so
    #[command(group = ArgGroup::new("found").required(true).args(["handed_over", "not_handed_over"]))]
    Settle {
        /// The claim: its short code, the number of its receipt (12, or till-2:12 of another device), the reference of its
        /// payment or shopper, its token (- reads it from standard input), or the claim itself
        claim: Given,
        /// The shopper has the units
        #[arg(long)]
        handed_over: bool,
        /// The shopper has them not: pay them back with `popmesh claim refund`
        #[arg(long)]
        not_handed_over: bool,
        /// Who looked [default: this user's name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        retry: Retry,
        #[command(flatten)]
        target: Target,
    },
    /// Jam a virtual door, to rehearse that, or set it free
    Jam {
        /// Its compartment
        compartment: Compartment,
        /// Set it free
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        target: Target,
    },
}

pub(super) fn stow(stow: &Stow, folder: &Folder, json: bool) -> Outcome {
    let args = &stow.units;
    let (drop, sku, units) = (args.drop.clone(), args.sku.clone(), units(args)?);
    let client = Client::find(&args.target, folder)?;
    let own = client.get::<Status>("/v1/status", &[])?.device;
    if let Some(other) =
        client.devices()?.iter().find(|info| info.name == own.name && info.device != own.device)
    {
        return Err(Failure::with_help(
            format!("another device is called {} too ({})", printable(&own.name), other.device.short()),
            "compartments go by the device's name: have the organiser sign this one another name",
        ));
    }
    let place = Place::in_device(&own.name, &stow.compartment).map_err(|error| {
        let help = "compartments go by the device's name: have the organiser sign one without spaces, of at most 27 characters";
        Failure::with_help(error.to_string(), help)
    })?;
    let body = Move { drop, sku, units, place };
    let done: Result<UnitsDone, Failure> =
        client.post("/v1/moves", Some(&body), args.retry.idempotency_key.as_deref());
    let done = done.map_err(|failure| not_here(failure, args, &own.name))?;
    tell_units(&client, json, &done, |_| format!("in compartment {}:", stow.compartment))
}

/// Of units that never came to this device: who has them, and what brings them here.
fn not_here(failure: Failure, args: &UnitsArgs, own: &str) -> Failure {
    let problem = match failure {
        Failure::Problem(problem) if problem.code == "not_held" => problem,
        other => return other,
    };
    let holders = problem.facts.get("holders").and_then(serde_json::Value::as_array);
    let names = holders.into_iter().flatten().filter_map(|holder| holder["name"].as_str());
    let names: Vec<String> = names.map(printable).collect();
    if names.is_empty() {
        return Failure::Problem(problem);
    }
    let which = match (&args.serials, args.count) {
        (Some(serials), _) => format!("--serials {serials}"),
        (None, count) => format!("--count {}", count.unwrap_or(1)),
    };
    let help = format!(
        "on {}: popmesh transfer --drop {} --sku {} {which} --to {}; then this again",
        names.join(" or "),
        args.drop,
        args.sku,
        shell(Path::new(own))
    );
    Failure::advised(problem, help)
}

pub(super) fn doors(client: &Client, json: bool) -> Outcome {
    let now: DoorsNow = client.get("/v1/doors", &[])?;
    let names = Names::unless(json, client);
    print(json, &now, || in_words(&now, &names))
}

fn in_words(now: &DoorsNow, names: &Names) -> String {
    let driver = match &now.driver {
        Some(driver) => format!("Doors: {}", printable(driver)),
        None => "No doors: this node runs without --door, and opens no compartment.".to_owned(),
    };
    let mut table = Table::new(&["compartment", "lies in it", "for claim", "door"]);
    for info in &now.doors.compartments {
        let door = info.last.as_ref().map_or_else(
            || "-".to_owned(),
            |door| match door.shut.contains(&info.compartment) {
                false if door.state != DoorState::Settled => DoorState::Opened.to_string(),
                _ => state(door),
            },
        );
        let jammed = now.virtual_doors.iter().any(|one| one.jammed && one.compartment == info.compartment);
        let door = if jammed { format!("{door}; jammed") } else { door };
        if info.items.is_empty() {
            table.row([info.compartment.to_string(), "nothing".to_owned(), "-".to_owned(), door.clone()]);
        }
        for item in &info.items {
            let what = names.units(&item.sku, None, &item.units);
            let claim = item.claim.map_or_else(|| "-".to_owned(), |claim| ClaimCode::of(&claim).to_string());
            table.row([info.compartment.to_string(), what, claim, door.clone()]);
        }
    }
    let compartments = if table.is_empty() {
        "Nothing is stowed here; put units in with `popmesh stow`.".to_owned()
    } else {
        table.to_string()
    };
    let mut look = Table::new(&["redeemed", "at", "doors", "state", "claim"]);
    for door in &now.doors.to_look_at {
        look.row([
            values::clock(door.at_ms),
            door.name.clone(),
            listed(&door.compartments),
            state(door),
            ClaimCode::of(&door.claim).to_string(),
        ]);
    }
    let look = if look.is_empty() {
        String::new()
    } else {
        format!("\nLook at these, and `popmesh door settle`:\n\n{look}")
    };
    format!("{driver}\n\n{compartments}{look}")
}

/// How the doors of a redemption stand, in words.
fn state(door: &Door) -> String {
    match (door.state, &door.problem) {
        _ if door.being_opened => "being opened".to_owned(),
        (DoorState::Opening, _) if door.in_doubt => "in doubt".to_owned(),
        (DoorState::Stuck, Some(problem)) if door.compartments.len() > 1 => {
            format!("stuck, {}: {}", listed(&door.shut), printable(problem))
        }
        (DoorState::Stuck, Some(problem)) => format!("stuck: {}", printable(problem)),
        (DoorState::Settled, _) => {
            let not = if door.handed_over == Some(true) { "" } else { "not " };
            format!("{not}handed over, says {}", printable(door.looked.as_deref().unwrap_or("somebody")))
        }
        (state, _) => state.to_string(),
    }
}

fn listed(compartments: &[Compartment]) -> String {
    compartments.iter().map(Compartment::as_str).collect::<Vec<_>>().join(", ")
}

pub(super) fn door(command: DoorCommand, folder: &Folder, json: bool) -> Outcome {
    match command {
        DoorCommand::Open { claim, retry, target } => {
            let client = Client::find(&target, folder)?;
            let body = json!({ "claim": claim.read("The claim")? });
            let opening: Door =
                client.post("/v1/doors/open", Some(&body), retry.idempotency_key.as_deref())?;
            let door = wait_for(&client, opening.claim)?;
            print(json, &door, || format!("{}: {}", which(&door.compartments), state(&door)))?;
            if_it_opened(&door)
        }
        DoorCommand::Settle { claim, handed_over, not_handed_over: _, by, yes, retry, target } => {
            let client = Client::find(&target, folder)?;
            let claim = claim.read("The claim")?;
            let by = by.unwrap_or_else(values::user);
            let found = if handed_over { "the shopper has the units" } else { "the shopper has them not" };
            eprintln!("Claim {}: {found}, says {}. That stays so.", printable(&claim), printable(&by));
            ask::whether(yes, "Write that down?")?;
            let body = json!({ "claim": claim, "handed_over": handed_over, "by": by });
            let door: Door =
                client.post("/v1/doors/settle", Some(&body), retry.idempotency_key.as_deref())?;
            print(json, &door, || {
                let claim = ClaimCode::of(&door.claim);
                let next = if handed_over {
                    String::new()
                } else {
                    format!("\npay it back with `popmesh claim refund {claim}`")
                };
                format!("claim {claim}: {}{next}", state(&door))
            })
        }
        DoorCommand::Jam { compartment, off, target } => {
            let client = Client::find(&target, folder)?;
            let door: VirtualDoor = client.put("/v1/doors/jam", &Jam { compartment, jammed: !off })?;
            print(json, &door, || {
                let how = if door.jammed { "jammed: it does not open" } else { "free again" };
                format!("door {} is {how}", door.compartment)
            })
        }
    }
}

/// Which doors, and how they stand.
pub(super) fn in_short(door: &Door) -> String {
    format!("{} at {}: {}", listed(&door.compartments), printable(&door.name), state(door))
}

fn which(compartments: &[Compartment]) -> String {
    let doors = if compartments.len() == 1 { "door" } else { "doors" };
    format!("{doors} {}", listed(compartments))
}

fn wait_for(client: &Client, claim: Ref) -> Result<Door, Failure> {
    let path = format!("/v1/claims/{}/door", segment(&claim.to_string()));
    client.get(&path, &[("wait_ms", Some(WAIT_MS.to_string()))])
}

/// Redeems a claim, and waits for its doors.
pub(super) fn redeem(client: &Client, body: &impl Serialize, key: Option<&str>, json: bool) -> Outcome {
    let done: Redeemed = client.post("/v1/redemptions", Some(body), key)?;
    let names = Names::unless(json, client);
    let told = |done: &Redeemed| {
        let items: Vec<String> = done.items.iter().map(|item| item_in_words(item, &names)).collect();
        format!(
            "hand out {}\nclaim {} is redeemed, {}",
            items.join(", "),
            ClaimCode::of(&done.claim),
            values::clock(done.at_ms)
        )
    };
    if done.doors.is_empty() {
        return print(json, &done, || told(&done));
    }
    if !json {
        // Whatever becomes of the doors, this is what there is to hand out.
        print(json, &done, || told(&done))?;
    }
    let waited = wait_for(client, done.claim);
    match &waited {
        Ok(door) if !json => print(json, door, || format!("{}: {}", which(&door.compartments), state(door)))?,
        Err(_) if !json => {}
        // One object, whatever becomes of the doors.
        waited => print(json, &Handed { redeemed: &done, door: waited.as_ref().ok() }, String::new)?,
    }
    if_it_opened(&waited?)
}

/// What was handed out, and how its doors stand.
#[derive(Debug, Serialize)]
struct Handed<'a> {
    #[serde(flatten)]
    redeemed: &'a Redeemed,
    #[serde(skip_serializing_if = "Option::is_none")]
    door: Option<&'a Door>,
}

fn item_in_words(item: &HandOut, names: &Names) -> String {
    let what = names.units(&item.sku, None, &item.units);
    match (&item.compartment, &item.place) {
        (Some(compartment), _) => format!("{what} from compartment {compartment}"),
        (None, Some(place)) => format!("{what}, lying at {place}"),
        (None, None) => what,
    }
}

/// A program that has something redeemed must not take a shut door for success.
fn if_it_opened(door: &Door) -> Outcome {
    if matches!(door.state, DoorState::Opened | DoorState::Settled) {
        return Ok(());
    }
    let claim = ClaimCode::of(&door.claim);
    Err(Failure::with_help(
        format!("claim {claim} is redeemed, and its door is {}", state(door)),
        format!(
            "try `popmesh door open {claim}`, or look and say what you found: `popmesh door settle {claim} --handed-over` or --not-handed-over"
        ),
    ))
}
