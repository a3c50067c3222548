//! Commands that change something, through the API.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use popmesh_proto::command::{Damage, Lot, LotMint, Move, Product, ProductAdd, Transfer, Units, UnitsDone};
use popmesh_proto::picture::MAX_PICTURE;
use popmesh_proto::query::{Programme, Status};

use super::args::{Links, Switch};
use super::client::{Client, print};
use super::failure::{Failure, Outcome};
use super::names::Names;
use super::table::{Table, printable};
use super::values;
use super::{args_stock as args, ask};
use crate::api::LinkSwitch;
use crate::folder::Folder;

pub(super) fn links(links: &Links, folder: &Folder, json: bool) -> Outcome {
    let client = Client::find(&links.target, folder)?;
    let done: LinkSwitch = client.put("/v1/links", &LinkSwitch { on: links.state == Switch::On })?;
    print(json, &done, || {
        if done.on {
            "links are on: this device finds the others by itself".to_owned()
        } else {
            "links are off: this device is on its own, and sells what it holds".to_owned()
        }
    })
}

pub(super) fn product(product: args::Product, folder: &Folder, json: bool) -> Outcome {
    match product {
        args::Product::Add { sku, name, price, tax, category, picture, no_picture, retry, target } => {
            let picture = match picture {
                Some(path) => Some(read_picture(&path)?),
                None => no_picture.then(String::new),
            };
            let client = Client::find(&target, folder)?;
            let price = price_in_event(&client, &price)?;
            let body = ProductAdd { sku, name, price, tax, category, picture };
            let done: Product = client.post("/v1/products", Some(&body), retry.idempotency_key.as_deref())?;
            print(json, &done, || {
                format!("{} ({}): {}", printable(&done.name), done.sku, done.currency.format(done.price))
            })
        }
        args::Product::List(target) => {
            let programme: Programme = Client::find(&target, folder)?.get("/v1/programme", &[])?;
            print(json, &programme, || {
                let mut table = Table::new(&["sku", "name", ">price", ">tax", "category", "picture"]);
                for product in &programme.products {
                    let price = product.currency.format(product.price);
                    let tax = crate::receipt::percent(product.tax);
                    let category = product.category.clone().unwrap_or_default();
                    let picture = product.picture.as_ref().map_or_else(String::new, |picture| {
                        format!("{}×{}, {} B", picture.width, picture.height, picture.bytes)
                    });
                    let (sku, name) = (product.sku.to_string(), product.name.clone());
                    table.row([sku, name, price, tax, category, picture]);
                }
                or_none(&table, "No products yet; add one with `popmesh product add`.")
            })
        }
    }
}

pub(super) fn lot(lot: args::Lot, folder: &Folder, json: bool) -> Outcome {
    match lot {
        args::Lot::Mint { drop, sku, serials: (first, last), unnumbered, edition, place, retry, target } => {
            let body = LotMint { drop, sku, first, last, numbered: !unnumbered, place, edition };
            let client = Client::find(&target, folder)?;
            let done: Lot = client.post("/v1/lots", Some(&body), retry.idempotency_key.as_deref())?;
            let names = Names::unless(json, &client);
            print(json, &done, || {
                let numbered = if done.numbered { "numbered" } else { "unnumbered" };
                let units = names.units(&done.sku, done.edition.as_ref(), &done.units);
                format!(
                    "minted {units}, {numbered}, for drop {}, at {}\nlot {}",
                    done.drop, done.place, done.lot
                )
            })
        }
        args::Lot::List(target) => {
            let programme: Programme = Client::find(&target, folder)?.get("/v1/programme", &[])?;
            print(json, &programme, || {
                let mut table = Table::new(&[
                    "drop", "sku", "edition", ">units", "serials", "numbered", "frozen", "place", "lot",
                ]);
                for lot in &programme.lots {
                    table.row([
                        lot.drop.to_string(),
                        lot.sku.to_string(),
                        lot.edition.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                        lot.units.len().to_string(),
                        lot.units.to_string(),
                        if lot.numbered { "yes" } else { "no" }.to_owned(),
                        if lot.frozen.is_empty() { "-".to_owned() } else { lot.frozen.to_string() },
                        lot.place.to_string(),
                        lot.lot.to_string(),
                    ]);
                }
                or_none(&table, "No lots yet; mint one with `popmesh lot mint`.")
            })
        }
    }
}

fn or_none(table: &Table, none: &str) -> String {
    if table.is_empty() { none.to_owned() } else { table.to_string() }
}

pub(super) fn units(args: &args::UnitsArgs) -> Result<Units, Failure> {
    match (&args.serials, args.count) {
        (Some(serials), _) => serials
            .parse()
            .map(Units::Serials)
            .map_err(|error| Failure::with_help(format!("--serials: {error}"), "write them as 1-5,9")),
        (None, count) => Ok(Units::Count(count.unwrap_or_default())),
    }
}

/// Says what was done with units, in words that come before them.
pub(super) fn tell_units(
    client: &Client,
    json: bool,
    done: &UnitsDone,
    what: impl FnOnce(&Names) -> String,
) -> Outcome {
    let names = Names::unless(json, client);
    print(json, done, || {
        let what = what(&names);
        format!("{what} {}\nentry {}", names.units(&done.sku, None, &done.units), done.entry)
    })
}

pub(super) fn transfer(transfer: &args::Transfer, folder: &Folder, json: bool) -> Outcome {
    let args = &transfer.units;
    let units = units(args)?;
    let client = Client::find(&args.target, folder)?;
    let to = client.device(&transfer.to)?;
    let body = Transfer { drop: args.drop.clone(), sku: args.sku.clone(), units, to };
    let done = client.post("/v1/transfers", Some(&body), args.retry.idempotency_key.as_deref())?;
    tell_units(&client, json, &done, |names| format!("given to {}:", names.device(to)))
}

pub(super) fn change_place(change: &args::Move, folder: &Folder, json: bool) -> Outcome {
    let args = &change.units;
    let (drop, sku, units) = (args.drop.clone(), args.sku.clone(), units(args)?);
    let body = Move { drop, sku, units, place: change.place.clone() };
    let client = Client::find(&args.target, folder)?;
    let done = client.post("/v1/moves", Some(&body), args.retry.idempotency_key.as_deref())?;
    tell_units(&client, json, &done, |_| format!("now at {}:", change.place))
}

pub(super) fn damage(damage: &args::Damage, folder: &Folder, json: bool) -> Outcome {
    let args = &damage.units;
    let body = Damage { drop: args.drop.clone(), sku: args.sku.clone(), units: units(args)? };
    let client = Client::find(&args.target, folder)?;
    let count = match &body.units {
        Units::Count(count) => *count,
        Units::Serials(serials) => serials.len(),
    };
    // One broken piece is an everyday thing; a slip of the finger that makes it forty is not.
    if count > 1 {
        eprintln!("{count} units of {} of drop {} go out of sale for good.", body.sku, body.drop);
        ask::whether(damage.yes, "Take them out?")?;
    }
    let done = client.post("/v1/damage", Some(&body), args.retry.idempotency_key.as_deref())?;
    tell_units(&client, json, &done, |_| "out of sale:".to_owned())
}

pub(super) fn price_in_event(client: &Client, text: &str) -> Result<i64, Failure> {
    let status: Status = client.get("/v1/status", &[])?;
    values::price(text, status.currency)
        .map_err(|error| Failure::with_help(format!("--price: {error}"), "such as --price 25.00"))
}

/// A picture of a product, in base64. One that is too large is not read to its end.
fn read_picture(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::here(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_PICTURE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    popmesh_proto::picture::examine(&bytes).map_err(|error| {
        Failure::with_help(
            format!("{}: {error}", path.display()),
            "give a still PNG, JPEG or WebP file, such as `convert IN -resize 128x128 -quality 70 OUT.webp` makes",
        )
    })?;
    Ok(BASE64_STANDARD.encode(bytes))
}
