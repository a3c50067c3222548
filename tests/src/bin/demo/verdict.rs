//! What was promised, held against what every device's books say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use popmesh_tests::books::{claim_id, serials};
use serde_json::{Value, json};

use crate::night::{SKU, UNITS};
use crate::shopper::Till;
use crate::venue::{DEVICES, Venue, step};

/// The outcome of the night.
#[derive(Debug)]
pub(crate) struct Verdict {
    sold: usize,
    sold_twice: usize,
    agree: bool,
    acknowledged_lost: usize,
    problems: Vec<String>,
}

impl Verdict {
    /// Whether every promise was kept.
    pub(crate) fn kept(&self) -> bool {
        self.sold == UNITS as usize
            && self.sold_twice == 0
            && self.agree
            && self.acknowledged_lost == 0
            && self.problems.is_empty()
    }

    /// The verdict as one line of JSON.
    pub(crate) fn line(&self) -> String {
        json!({
            "verdict": if self.kept() { "kept" } else { "broken" },
            "devices": DEVICES.len(), "units": UNITS, "sold": self.sold, "sold_twice": self.sold_twice,
            "acknowledged_lost": self.acknowledged_lost, "agree": self.agree, "problems": self.problems,
        })
        .to_string()
    }
}

/// Compares what shoppers were told with what the devices know, and prints a table.
///
/// Units sold twice are counted from the serials that shoppers got and again from each device's claims, by this
/// program: the devices' own checks come on top.
pub(crate) fn reach(venue: &Venue, tills: &[Till]) -> Result<Verdict> {
    let told: Vec<&Value> =
        tills.iter().flat_map(|till| &till.acknowledged).map(|(claim, _)| claim).collect();
    let (sold, mut sold_twice) = count(&told)?;
    let mut acknowledged_lost = 0;
    let mut problems = Vec::new();
    let mut books = Vec::new();
    step("The night, device by device");
    println!(
        "    {:9} {:>5} {:>10} {:>8} {:>9} {:>9} {:>13} {:>10} {:>7}",
        "device",
        "sold",
        "for pickup",
        "free now",
        "median ms",
        "longest",
        "refused here",
        "sees sold",
        "wrong"
    );
    for (device, till) in venue.devices().zip(tills) {
        let claims = device.claims()?;
        let known = claims.iter().map(claim_id).collect::<Result<BTreeSet<_>>>()?;
        let lost = told.iter().map(|claim| claim_id(claim)).collect::<Result<BTreeSet<_>>>()?;
        acknowledged_lost += lost.difference(&known).count();
        let (sees, twice) = count(&claims.iter().collect::<Vec<_>>())?;
        sold_twice = sold_twice.max(twice);
        let check = device.get("/v1/check")?;
        let wrong: Vec<String> = ["problems", "incidents"]
            .into_iter()
            .flat_map(|kind| check[kind].as_array().into_iter().flatten())
            .map(|problem| format!("{}: {problem}", device.name))
            .collect();
        let stock = device.stock(SKU)?;
        let pickups = till.acknowledged.iter().filter(|(claim, _)| claim["state"] == "issued").count();
        let (median, longest) = times(till);
        println!(
            "    {:9} {:>5} {:>10} {:>8} {:>9.1} {:>9.1} {:>13} {:>10} {:>7}",
            device.name,
            till.acknowledged.len(),
            pickups,
            stock["own"]["available"].as_u64().context("no free units in the answer")?,
            median,
            longest,
            till.held_elsewhere.len(),
            sees,
            wrong.len()
        );
        problems.extend(wrong);
        books.push((device.digest()?, comparable(&claims), stock["mesh"].clone()));
    }
    let agree = books.windows(2).all(|pair| pair[0] == pair[1]);
    println!();
    Ok(Verdict { sold, sold_twice, agree, acknowledged_lost, problems })
}

/// Units in these claims, and how many of them are in more than one.
fn count(claims: &[&Value]) -> Result<(usize, usize)> {
    let mut times: BTreeMap<u32, usize> = BTreeMap::new();
    for claim in claims {
        for serial in serials(claim)? {
            *times.entry(serial).or_default() += 1;
        }
    }
    Ok((times.len(), times.values().filter(|times| **times > 1).count()))
}

/// Claims as text, in an order of their own.
fn comparable(claims: &[Value]) -> BTreeSet<String> {
    claims.iter().map(Value::to_string).collect()
}

/// Median and longest time of a sale, in milliseconds.
fn times(till: &Till) -> (f64, f64) {
    let mut times: Vec<Duration> = till.acknowledged.iter().map(|(_, took)| *took).collect();
    times.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1_000.0);
    (ms(times.get(times.len() / 2)), ms(times.last()))
}
