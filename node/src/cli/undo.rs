//! Taking back what was done last.

use clap::Args;
use popmesh_proto::command::{Act, Undo, Undone};
use popmesh_proto::id::Ref;
use popmesh_proto::query::Status;

use super::args::{Retry, Target};
use super::ask::{self, Yes};
use super::claim::paid_back;
use super::client::{Client, print};
use super::failure::{Failure, Outcome};
use super::names::Names;
use super::table::printable;
use super::values;
use crate::folder::Folder;

/// Take back what was done last on this device.
#[derive(Debug, Args)]
pub(super) struct UndoArgs {
    /// Only say what it was, and what taking it back would do
    #[arg(long, conflicts_with_all = ["yes", "entry"])]
    show: bool,
    /// Only if it is this, as it was shown: its entry
    #[arg(long)]
    entry: Option<Ref>,
    #[command(flatten)]
    yes: Yes,
    #[command(flatten)]
    retry: Retry,
    #[command(flatten)]
    target: Target,
}

pub(super) fn undo(args: &UndoArgs, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&args.target, folder)?;
    if args.show {
        let (act, name) = (last_act(&client)?, name(&client)?);
        return print(json, &act, || in_words(&act, &name));
    }
    let entry = match args.entry {
        // Whatever else was done since: the device says so, and what was done under the same key it tells again.
        Some(entry) => {
            eprintln!("What is named by {entry} is taken back, if it was done last.");
            ask::whether(args.yes, "Take it back?")?;
            entry
        }
        None => {
            let (act, name) = (last_act(&client)?, name(&client)?);
            if let Some(why) = &act.why_not {
                let Act { what, at_ms, .. } = &act;
                let error =
                    format!("{} {name} {}; that cannot be taken back", values::time(*at_ms), printable(what));
                return Err(Failure::with_help(error, printable(why)));
            }
            eprintln!("{}", in_words(&act, &name));
            ask::whether(args.yes, "Take it back?")?;
            act.entry
        }
    };
    let done: Undone =
        client.post("/v1/undo", Some(&Undo { entry }), args.retry.idempotency_key.as_deref())?;
    let names = Names::unless(json, &client);
    print(json, &done, || told(&done, &names))
}

fn last_act(client: &Client) -> Result<Act, Failure> {
    client.get("/v1/undo", &[])
}

fn name(client: &Client) -> Result<String, Failure> {
    Ok(printable(&client.get::<Status>("/v1/status", &[])?.device.name))
}

fn in_words(act: &Act, name: &str) -> String {
    let next = match (&act.undo, &act.why_not) {
        (Some(undo), _) => format!("Taking it back {}.", printable(undo)),
        (None, Some(why)) => format!("That cannot be taken back: {}.", printable(why)),
        (None, None) => String::new(),
    };
    format!("{} {name} {}.\n{next}", values::time(act.at_ms), printable(&act.what))
}

fn told(done: &Undone, names: &Names) -> String {
    let Undone { act, refund, cart, units, product, rules } = done;
    let mut lines = Vec::new();
    if let Some(refund) = refund {
        lines.push(format!("taken back: {}", names.items(&refund.claim.items)));
        lines.push(paid_back(refund));
    }
    if let Some(cart) = cart {
        let (items, total) = (names.items(&cart.items), cart.currency.format(cart.total));
        lines.push(match act.undo.as_deref() {
            Some(undo) if undo.starts_with("takes it out of the cart") => {
                format!("taken out; in the cart: {items}: {total}\ncart {}", cart.cart)
            }
            Some(undo) if undo.starts_with("gives the cart back") => {
                format!("given back to {}: {items}: {total}", names.device(cart.holder))
            }
            _ => format!("back on sale: {items}"),
        });
    }
    for units in units {
        lines.push(format!("back where it lay: {}", names.units(&units.sku, None, &units.units)));
    }
    if let Some(product) = product {
        let price = product.currency.format(product.price);
        lines.push(format!("{} ({}) costs {price} again", printable(&product.name), product.sku));
    }
    if rules.is_some() {
        lines.push("the event's rules are what they were".to_owned());
    }
    lines.join("\n")
}
