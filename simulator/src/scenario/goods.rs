//! Products, drops and their lots.

use std::collections::BTreeMap;

use popmesh_proto::command::MAX_LOT;
use popmesh_proto::command::Unclaimed;
use popmesh_proto::identity::Role;
use popmesh_proto::money::MAX_PRICE;
use popmesh_proto::text::TextError;

use super::error::{Problem, ScenarioError};
use super::field::{Field, Hours, Spot, Table};
use super::limits::{MAX_DROPS, MAX_LOTS, MAX_NIGHT_MS, MAX_PRODUCTS, MAX_UNITS};
use super::names::Names;
use super::site::{Site, too_many};
use super::steps;
use super::{DropSpec, LotSpec, ProductSpec};

/// What is sold, and when.
#[derive(Debug)]
pub(super) struct Goods {
    pub(super) products: Vec<ProductSpec>,
    pub(super) product_names: Names,
    pub(super) drops: Vec<DropSpec>,
    pub(super) drop_names: Names,
}

/// Reads products and drops.
pub(super) fn read(roots: &mut [Table<'_>], site: &Site, hours: Hours) -> Result<Goods, ScenarioError> {
    let mut goods = Goods {
        products: Vec::new(),
        product_names: Names::new("product"),
        drops: Vec::new(),
        drop_names: Names::new("drop"),
    };
    for root in roots.iter_mut() {
        for table in root.tables("product")? {
            product(table, site, &mut goods)?;
        }
    }
    let mut lots = Lots::default();
    for root in roots.iter_mut() {
        for table in root.tables("drop")? {
            drop_of(table, site, hours, &mut goods, &mut lots)?;
        }
    }
    match roots.last() {
        Some(root) if goods.products.is_empty() => {
            Err(root.spot.error(Problem::None { what: "product", table: "product" }))
        }
        Some(root) if goods.drops.is_empty() => {
            Err(root.spot.error(Problem::None { what: "drop", table: "drop" }))
        }
        _ => Ok(goods),
    }
}

fn bad_name(field: &Field<'_>) -> impl Fn(TextError) -> ScenarioError {
    let spot = field.spot.clone();
    move |problem| spot.error(Problem::BadName { problem: problem.to_string() })
}

fn product(mut table: Table<'_>, site: &Site, goods: &mut Goods) -> Result<(), ScenarioError> {
    let name = table.take("name");
    let price = table.take("price").map_or(Ok(1_000), |field| field.signed(1..=MAX_PRICE))?;
    let field = table.need("sku", "sku = \"tee-black-m\"")?;
    let sku = field.text()?.parse().map_err(bad_name(&field))?;
    goods.product_names.add(field.text()?, &field.spot, &[&site.device_names, &site.venue_names])?;
    if goods.products.len() == MAX_PRODUCTS {
        return Err(too_many(&field, "products", MAX_PRODUCTS + 1, MAX_PRODUCTS));
    }
    let name = match name {
        Some(name) if name.text()?.trim().is_empty() || name.text()?.chars().count() > 80 => {
            let problem = "a product's name has 1 to 80 characters".to_owned();
            return Err(name.error(Problem::BadName { problem }));
        }
        Some(name) => name.text()?.to_owned(),
        None => field.text()?.to_owned(),
    };
    table.end()?;
    goods.products.push(ProductSpec { sku, name, price });
    Ok(())
}

const UNCLAIMED: [(&str, Unclaimed); 3] =
    [("keep", Unclaimed::Keep), ("refund", Unclaimed::Refund), ("forfeit", Unclaimed::Forfeit)];

/// The serials of each product that lots have so far.
#[derive(Debug, Default)]
struct Lots {
    serials: BTreeMap<usize, Vec<(u32, u32, Spot)>>,
    units: u64,
}

fn drop_of(
    mut table: Table<'_>,
    site: &Site,
    hours: Hours,
    goods: &mut Goods,
    lots: &mut Lots,
) -> Result<(), ScenarioError> {
    let minted = table.take("minted");
    let (closes, ends, announced) = (table.take("closes"), table.take("ends"), table.take("announced"));
    let run_by = steps::run_by(table.take("run_by").as_ref(), site)?;
    let step_tables = table.tables("step")?;
    let (within, unclaimed) = (table.take("pickup_within"), table.take("unclaimed"));
    let lot_tables = table.tables("lot")?;
    let spot = table.spot.clone();
    let field = table.need("name", "name = \"drop-1\"")?;
    let drop = field.text()?.parse().map_err(bad_name(&field))?;
    goods.drop_names.add(field.text()?, &field.spot, &[])?;
    if goods.drops.len() == MAX_DROPS {
        return Err(too_many(&field, "drops", MAX_DROPS + 1, MAX_DROPS));
    }
    let opens = table.need("opens", "opens = \"18:05\"")?;
    let open_ms = opens.time_ms(hours)?;
    let close_ms = closes.as_ref().map(|field| field.time_ms(hours)).transpose()?;
    if let (Some(field), Some(_)) = (&closes, close_ms.filter(|close_ms| *close_ms <= open_ms)) {
        let problem = "the drop closes before it opens; swap the times, or leave `closes` out".to_owned();
        return Err(field.error(Problem::Impossible { problem }));
    }
    let ends_ms = ends.as_ref().map(|field| field.time_ms(hours)).transpose()?;
    if let (Some(field), Some(_)) = (&ends, ends_ms.filter(|ends_ms| *ends_ms <= open_ms)) {
        let problem = "the drop ends before it opens; swap the times, or leave `ends` out".to_owned();
        return Err(field.error(Problem::Impossible { problem }));
    }
    let announce_ms = announced.as_ref().map(|field| field.time_ms(hours)).transpose()?;
    if let (Some(field), Some(_)) = (&announced, announce_ms.filter(|announce_ms| *announce_ms > open_ms)) {
        let problem = "the drop is announced after it has opened; announce it before".to_owned();
        return Err(field.error(Problem::Impossible { problem }));
    }
    let mint_ms = minted.as_ref().map_or(Ok(0), |field| field.time_ms(hours))?;
    if let Some(field) = minted.filter(|_| mint_ms > open_ms) {
        let problem = "the lots are minted after the drop has opened; mint them before".to_owned();
        return Err(field.error(Problem::Impossible { problem }));
    }
    let pickup_within_ms = within.map(|field| field.duration_ms(1..=MAX_NIGHT_MS)).transpose()?;
    let unclaimed = match unclaimed {
        Some(field) if pickup_within_ms.is_none() => {
            let problem =
                "`unclaimed` needs `pickup_within` with the time after which somebody is late".to_owned();
            return Err(field.error(Problem::Impossible { problem }));
        }
        Some(field) => field.word("rule", &UNCLAIMED)?,
        None => Unclaimed::Keep,
    };
    table.end()?;
    if lot_tables.is_empty() {
        return Err(spot.error(Problem::None { what: "lot in this drop", table: "drop.lot" }));
    }
    if lot_tables.len() > MAX_LOTS {
        return Err(too_many(&field, "lots", lot_tables.len(), MAX_LOTS));
    }
    let steps = steps::read(step_tables, &field, run_by, site, hours)?;
    let lots = lot_tables.into_iter().map(|table| lot(table, site, goods, lots)).collect::<Result<_, _>>()?;
    goods.drops.push(DropSpec {
        drop,
        mint_ms,
        open_ms,
        close_ms,
        announce_ms,
        ends_ms,
        run_by,
        steps,
        pickup_within_ms,
        unclaimed,
        lots,
    });
    Ok(())
}

fn lot(mut table: Table<'_>, site: &Site, goods: &Goods, lots: &mut Lots) -> Result<LotSpec, ScenarioError> {
    let numbered = table.take("numbered").map_or(Ok(false), |field| field.flag())?;
    let first_field = table.take("first");
    let minted_by = table.take("minted_by");
    let place = table.take("place");
    let product = match table.take("product") {
        Some(field) => goods.product_names.find(&field)?,
        None if goods.products.len() == 1 => 0,
        None => {
            let problem = Problem::Missing { key: "product", example: "product = \"tee-black-m\"" };
            return Err(table.spot.error(problem));
        }
    };
    let units_field = table.need("units", "units = 120")?;
    let units = units_field.number(1..=MAX_LOT)?;
    lots.units += units;
    if lots.units > MAX_UNITS {
        let problem = Problem::TooMany { what: "units in all lots", given: lots.units, most: MAX_UNITS };
        return Err(units_field.error(problem));
    }
    let at = match &minted_by {
        Some(field) => {
            let device = site.device_names.find(field)?;
            if !site.devices[device].roles.has(Role::Hq) {
                let device = site.devices[device].name.clone();
                return Err(field.error(Problem::CannotMint { device }));
            }
            device
        }
        // There is one: the site was not read without.
        None => site.devices.iter().position(|device| device.roles.has(Role::Hq)).unwrap_or(0),
    };
    let place = match &place {
        Some(field) => site.venue_names.find(field)?,
        None => site.devices[at].venue,
    };
    let others = lots.serials.entry(product).or_default();
    let next = others.iter().map(|(_, last, _)| u64::from(*last) + 1).max().unwrap_or(1);
    let first = match &first_field {
        Some(field) => field.number(1..=u64::from(u32::MAX))?,
        None => next,
    };
    let spot = first_field.map_or(units_field.spot, |field| field.spot);
    let (Ok(first), Ok(last)) = (u32::try_from(first), u32::try_from(first + units - 1)) else {
        let problem = format!("serials end at {}; begin with a lower one", u32::MAX);
        return Err(spot.error(Problem::Impossible { problem }));
    };
    if let Some((other_first, other_last, other)) =
        others.iter().find(|(other_first, other_last, _)| first <= *other_last && *other_first <= last)
    {
        return Err(spot.error(Problem::SerialsOverlap {
            sku: goods.products[product].sku.to_string(),
            first,
            last,
            other_first: *other_first,
            other_last: *other_last,
            other: other.location(),
        }));
    }
    others.push((first, last, spot));
    table.end()?;
    Ok(LotSpec { product, first, units: units as u32, numbered, at, place })
}
