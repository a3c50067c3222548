//! Who wants to buy, where and when.

use popmesh_proto::command::{MAX_QUANTITY, MAX_WAIT_MS};

use super::error::{Problem, ScenarioError};
use super::field::{Field, Hours, Table};
use super::goods::Goods;
use super::limits::{MAX_BURSTS, MAX_DEMAND, MAX_NIGHT_MS, MAX_SHOPPERS, MAX_WEIGHT};
use super::names::Names;
use super::resolve::ALL;
use super::site::{Site, sells};
use super::{Arrivals, Demand};

#[derive(Clone, Copy)]
enum Shape {
    Spike,
    Steady,
    Bursts,
}

const SHAPES: [(&str, Shape); 3] =
    [("spike", Shape::Spike), ("steady", Shape::Steady), ("bursts", Shape::Bursts)];

/// How long shoppers wait, if the file does not say.
const PATIENCE_MS: (u64, u64) = (5_000, 20_000);

/// Reads the demand blocks.
pub(super) fn read(
    roots: &mut [Table<'_>],
    site: &Site,
    goods: &Goods,
    hours: Hours,
) -> Result<Vec<Demand>, ScenarioError> {
    let mut blocks = Vec::new();
    let mut shoppers = 0;
    for root in roots.iter_mut() {
        for table in root.tables("demand")? {
            if blocks.len() == MAX_DEMAND {
                let given = blocks.len() as u64 + 1;
                let problem = Problem::TooMany { what: "demand blocks", given, most: MAX_DEMAND as u64 };
                return Err(table.spot.error(problem));
            }
            blocks.push(block(table, site, goods, hours, &mut shoppers)?);
        }
    }
    Ok(blocks)
}

fn block(
    mut table: Table<'_>,
    site: &Site,
    goods: &Goods,
    hours: Hours,
    shoppers: &mut u64,
) -> Result<Demand, ScenarioError> {
    let drop = one_of(&mut table, "drop", "drop = \"drop-1\"", &goods.drop_names)?;
    let product = one_of(&mut table, "product", "product = \"tee-black-m\"", &goods.product_names)?;
    if !goods.drops[drop].lots.iter().any(|lot| lot.product == product) {
        let problem = format!(
            "the drop {} has no lot of {}; add one, or name another drop",
            goods.drops[drop].drop, goods.products[product].sku
        );
        return Err(table.spot.error(Problem::Impossible { problem }));
    }
    let quantity = table.take("quantity").map_or(Ok((1, 1)), |field| field.numbers(1..=MAX_QUANTITY))?;
    let patience_ms =
        table.take("patience").map_or(Ok(PATIENCE_MS), |field| field.durations_ms(0..=MAX_WAIT_MS))?;
    let pickup_at = table.take("pickup_at").map_or(Ok(Vec::new()), |field| site.device_list(&field))?;
    let pickup_per_mille = match table.take("pickup") {
        Some(field) if pickup_at.is_empty() => {
            let problem = "`pickup` needs `pickup_at` with the devices that hand out".to_owned();
            return Err(field.error(Problem::Impossible { problem }));
        }
        Some(field) => field.share(ALL)?,
        None if pickup_at.is_empty() => 0,
        None => ALL,
    };
    let refund_per_mille = table.take("refunds").map_or(Ok(0), |field| field.share(ALL))?;
    let cart_per_mille = table.take("carts").map_or(Ok(0), |field| field.share(ALL))?;
    let at = places(&table.need("where", "where = [\"till-1\", \"till-2\"]")?, site)?;
    let arrivals = arrivals(&mut table, hours, shoppers)?;
    table.end()?;
    Ok(Demand {
        drop,
        product,
        arrivals,
        at,
        quantity,
        pickup_at,
        pickup_per_mille,
        refund_per_mille,
        cart_per_mille,
        patience_ms,
    })
}

/// The named one, or the only one that there is.
fn one_of(
    table: &mut Table<'_>,
    key: &'static str,
    example: &'static str,
    names: &Names,
) -> Result<usize, ScenarioError> {
    match table.take(key) {
        Some(field) => names.find(&field),
        None if names.len() == 1 => Ok(0),
        None => Err(table.spot.error(Problem::Missing { key, example })),
    }
}

/// Devices with weights: `{ till-1 = 3, "locker-*" = 1 }`, or names alone, which weigh the same.
fn places(field: &Field<'_>, site: &Site) -> Result<Vec<(usize, u64)>, ScenarioError> {
    let named: Vec<(Field<'_>, String, u64)> = if field.is_table() {
        field
            .table()?
            .rest()
            .into_iter()
            .map(|(name, weight)| {
                let number = weight.number(1..=MAX_WEIGHT)?;
                Ok((weight, name.to_owned(), number))
            })
            .collect::<Result<_, ScenarioError>>()?
    } else {
        field
            .one_or_more()?
            .into_iter()
            .map(|item| {
                let name = item.text()?.to_owned();
                Ok((item, name, 1))
            })
            .collect::<Result<_, ScenarioError>>()?
    };
    let mut at: Vec<(usize, u64)> = Vec::new();
    for (item, name, weight) in named {
        let mut devices = site.devices_of(&item, &name)?;
        // "Everybody at this venue" means those who sell; a device named outright must.
        if site.device_names.get(&name).is_none()
            && devices.iter().any(|device| sells(site.devices[*device].roles))
        {
            devices.retain(|device| sells(site.devices[*device].roles));
        }
        for device in devices {
            let spec = &site.devices[device];
            if !sells(spec.roles) {
                let (device, roles) = (spec.name.clone(), spec.roles.to_string());
                return Err(item.error(Problem::SellsNothing { device, roles }));
            }
            if at.iter().any(|(other, _)| *other == device) {
                return Err(item.error(Problem::NamedTwice { name: spec.name.clone() }));
            }
            at.push((device, weight));
        }
    }
    if at.is_empty() {
        let problem = "nobody is named; shoppers need somewhere to go".to_owned();
        return Err(field.error(Problem::Impossible { problem }));
    }
    Ok(at)
}

fn arrivals(table: &mut Table<'_>, hours: Hours, total: &mut u64) -> Result<Arrivals, ScenarioError> {
    let shape = table.need("shape", "shape = \"spike\"")?.word("shape", &SHAPES)?;
    let field = table.need("shoppers", "shoppers = 400")?;
    let shoppers = field.number(1..=u64::from(u32::MAX))?;
    *total += shoppers;
    if *total > MAX_SHOPPERS {
        let problem = Problem::TooMany { what: "shoppers", given: *total, most: MAX_SHOPPERS };
        return Err(field.error(problem));
    }
    if matches!(shape, Shape::Spike) {
        let half_life_ms =
            table.take("half_life").map_or(Ok(60_000), |field| field.duration_ms(1..=MAX_NIGHT_MS))?;
        let field = table.need("at", "at = \"18:05\"")?;
        let at_ms = field.time_ms(hours)?;
        if at_ms == hours.duration_ms {
            return Err(field.outside("a rush at the very end".to_owned(), hours));
        }
        return Ok(Arrivals::Spike { at_ms, shoppers, half_life_ms });
    }
    let until = table.take("until");
    let from_ms = table.take("from").map_or(Ok(0), |field| field.time_ms(hours))?;
    let until_ms = until.as_ref().map_or(Ok(hours.duration_ms), |field| field.time_ms(hours))?;
    if until_ms <= from_ms {
        let problem = "`until` is not after `from`; swap them, or leave one out".to_owned();
        let spot = until.map_or_else(|| table.spot.clone(), |field| field.spot);
        return Err(spot.error(Problem::Impossible { problem }));
    }
    if matches!(shape, Shape::Steady) {
        return Ok(Arrivals::Steady { from_ms, until_ms, shoppers });
    }
    let bursts = table.need("bursts", "bursts = 12")?.number(1..=MAX_BURSTS)?;
    let burst_ms = table
        .take("each")
        .map_or(Ok(15_000.min(until_ms - from_ms)), |field| field.duration_ms(1..=until_ms - from_ms))?;
    Ok(Arrivals::Bursts { from_ms, until_ms, shoppers, bursts, burst_ms })
}
