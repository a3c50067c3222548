//! Drops: planned, their steps, and what was sold after a close.

use popmesh_proto::command::{DropInfo, DropNew, LateSale, StepDone, StepInfo, StepNew};
use popmesh_proto::query::Programme;
use popmesh_proto::record::StepKind;
use sha2::{Digest, Sha256};

use super::args_stock as args;
use super::client::{Client, print, segment};
use super::failure::{Failure, Outcome};
use super::table::Table;
use super::values;
use crate::api::List;
use crate::folder::Folder;

pub(super) fn drop(drop: args::Drop, folder: &Folder, json: bool) -> Outcome {
    let (change, taken) = match drop {
        args::Drop::New { name, title, pickup_within, unclaimed, ends, open, retry, target } => {
            let title = title.unwrap_or_else(|| name.to_string());
            let pickup_within_ms = pickup_within.map(values::ms);
            let ends_ms = ends.map(values::Later::ms).transpose()?;
            let body = DropNew { drop: name, title, pickup_within_ms, unclaimed: unclaimed.into(), ends_ms };
            let client = Client::find(&target, folder)?;
            let key = retry.idempotency_key;
            let planned: DropInfo = client.post("/v1/drops", Some(&body), key.as_deref())?;
            let done = if open { open_new(&client, &planned, key)? } else { planned };
            return print(json, &done, || stands(&done));
        }
        args::Drop::List(target) => return list(&Client::find(&target, folder)?, json),
        args::Drop::Steps(look) => return steps(&look, folder, json),
        args::Drop::Late(look) => return late(&look, folder, json),
        args::Drop::Announce { step, units, ends, again } => {
            let units = (!units.is_empty()).then(|| units.into_iter().collect());
            let ends_ms = ends.map(values::Later::ms).transpose()?;
            (step, StepNew { units, ends_ms, again, ..StepNew::of(StepKind::Announce) })
        }
        args::Drop::Open { step, again } => (step, StepNew { again, ..StepNew::of(StepKind::Open) }),
        args::Drop::LastCall(step) => (step, StepNew::of(StepKind::LastCall)),
        args::Drop::Close(step) => (step, StepNew::of(StepKind::Close)),
    };
    let body = StepNew { venue: change.venue, ..taken };
    let client = Client::find(&change.target, folder)?;
    let path = format!("/v1/drops/{}/steps", segment(change.name.as_str()));
    let done: StepDone = client.post(&path, Some(&body), change.retry.idempotency_key.as_deref())?;
    print(json, &done, || {
        let was = match done.written {
            true => String::new(),
            false => {
                let step = &done.step;
                format!(
                    "\n{} was done already, by {} at {}",
                    step.step,
                    step.by_name,
                    values::time(step.at_ms)
                )
            }
        };
        format!("{}{was}", stands(&done.drop))
    })
}

/// Opens a drop that was planned under `key` a moment ago.
fn open_new(client: &Client, planned: &DropInfo, key: Option<String>) -> Result<DropInfo, Failure> {
    let path = format!("/v1/drops/{}/steps", segment(planned.drop.as_str()));
    // Another call than the one that planned it, and the same one each time that is repeated.
    let key = key.map(|key| hex::encode(Sha256::digest(format!("{key} open"))));
    let done: StepDone = client.post(&path, Some(&StepNew::of(StepKind::Open)), key.as_deref())?;
    Ok(done.drop)
}

/// How a drop stands, in a few words.
pub(super) fn in_short(drop: &DropInfo) -> String {
    let mut words = vec![drop.state.to_string()];
    match drop.ends_ms {
        Some(_) if drop.ended => words.push("by its hard end".to_owned()),
        Some(ends_ms) if drop.state.sells() => words.push(format!("until {}", values::clock(ends_ms))),
        _ => {}
    }
    words.extend(drop.venues.iter().map(|at| format!("{} at {}", at.state, at.venue)));
    if drop.late > 0 {
        words.push(format!("{} sold after the close", drop.late));
    }
    format!("{} ({})", drop.drop, words.join("; "))
}

/// How a drop stands, in a few lines.
fn stands(drop: &DropInfo) -> String {
    let round = if drop.round == 0 { String::new() } else { format!(", round {}", drop.round + 1) };
    let how = if drop.ended { ", by its hard end" } else { "" };
    let mut text = format!("drop {} is {}{how}{round}", drop.drop, drop.state);
    for at in &drop.venues {
        text.push_str(&format!("\nat {} it is {}", at.venue, at.state));
    }
    if !drop.announced.is_empty() {
        let units: Vec<String> = drop.announced.iter().map(|of| format!("{} {}", of.units, of.sku)).collect();
        text.push_str(&format!("\nannounced: {}", units.join(", ")));
    }
    if let Some(ends_ms) = drop.ends_ms.filter(|_| !drop.ended) {
        text.push_str(&format!("\nover by itself at {}", values::time(ends_ms)));
    }
    text
}

fn list(client: &Client, json: bool) -> Outcome {
    let programme: Programme = client.get("/v1/programme", &[])?;
    print(json, &programme, || {
        let mut table = Table::new(&["drop", "state", "elsewhere", "hard end", "title"]);
        for drop in &programme.drops {
            let elsewhere: Vec<String> =
                drop.venues.iter().map(|at| format!("{} at {}", at.state, at.venue)).collect();
            table.row([
                drop.drop.to_string(),
                drop.state.to_string(),
                if elsewhere.is_empty() { "-".to_owned() } else { elsewhere.join(", ") },
                drop.ends_ms.map_or_else(|| "-".to_owned(), values::time),
                drop.title.clone(),
            ]);
        }
        or_none(&table, "No drops yet; plan one with `popmesh drop new`.")
    })
}

fn steps(look: &args::DropLook, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&look.target, folder)?;
    let path = format!("/v1/drops/{}/steps", segment(look.name.as_str()));
    let steps: List<StepInfo> = client.list(&path, &[], None)?;
    print(json, &steps, || {
        let mut table = Table::new(&["time", "step", "venue", ">round", "by", "announced", "hard end"]);
        for step in &steps.items {
            let units: Vec<String> = step.units.iter().map(|of| format!("{} {}", of.units, of.sku)).collect();
            let beside = if step.counts { "" } else { " (once more)" };
            table.row([
                values::time(step.at_ms),
                format!("{}{beside}", step.step),
                step.venue.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string),
                (step.round + 1).to_string(),
                step.by_name.clone(),
                if units.is_empty() { "-".to_owned() } else { units.join(", ") },
                step.ends_ms.map_or_else(|| "-".to_owned(), values::time),
            ]);
        }
        or_none(&table, "No step yet; `popmesh drop announce` and `popmesh drop open` take the first.")
    })
}

fn late(look: &args::DropLook, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&look.target, folder)?;
    let path = format!("/v1/drops/{}/late", segment(look.name.as_str()));
    let sales: List<LateSale> = client.list(&path, &[], None)?;
    print(json, &sales, || {
        let mut table = Table::new(&["time", "claim", "by", "venue", ">units", ">paid", "closed"]);
        for sale in &sales.items {
            table.row([
                values::time(sale.at_ms),
                sale.code.to_string(),
                sale.by_name.clone(),
                sale.venue.to_string(),
                sale.units.to_string(),
                sale.currency.format(sale.amount),
                values::clock(sale.closed_at_ms),
            ]);
        }
        or_none(&table, "Nothing was sold after a close, as far as known here.")
    })
}

fn or_none(table: &Table, none: &str) -> String {
    if table.is_empty() { none.to_owned() } else { table.to_string() }
}
