//! Shoppers: one after the other at each device, buying one unit each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use popmesh_tests::{Answer, Api};
use serde_json::{Value, json};

use crate::night::{CUT, SKU, UNITS};
use crate::venue::Venue;

/// How long a shopper waits for a unit from another device.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// How long until the next shopper comes; at the till that will be cut off there is a rush.
const NEXT_SHOPPER: Duration = Duration::from_millis(240);
const NEXT_IN_THE_RUSH: Duration = Duration::from_millis(60);

/// What one device was asked for, and what it answered.
#[derive(Debug, Default)]
pub(crate) struct Till {
    /// Claims that were acknowledged, and how long each took.
    pub(crate) acknowledged: Vec<(Value, Duration)>,
    /// What it said when it had to refuse because others hold the stock.
    pub(crate) held_elsewhere: Vec<String>,
}

/// What happens at all devices at once.
#[derive(Debug)]
pub(crate) struct Floor<'a> {
    venue: &'a Venue,
    locker: String,
    sold: AtomicU64,
    over: AtomicBool,
    tills: Vec<Mutex<Till>>,
}

impl<'a> Floor<'a> {
    /// Before the first shopper.
    pub(crate) fn new(venue: &'a Venue) -> Result<Self> {
        let tills = venue.devices().map(|_| Mutex::default()).collect();
        let locker = venue.device("locker")?.device()?;
        Ok(Self { venue, locker, sold: AtomicU64::new(0), over: AtomicBool::new(false), tills })
    }

    /// Units sold so far.
    pub(crate) fn sold(&self) -> u64 {
        self.sold.load(Ordering::Relaxed)
    }

    /// How often the device has refused because others hold the stock, and what it said last.
    pub(crate) fn held_elsewhere(&self, device: usize) -> (usize, Option<String>) {
        let till = self.tills[device].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (till.held_elsewhere.len(), till.held_elsewhere.last().cloned())
    }

    /// Sends everybody home, after something went wrong.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// What was sold where.
    pub(crate) fn into_tills(self) -> Vec<Till> {
        self.tills
            .into_iter()
            .map(|till| till.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
            .collect()
    }

    /// Shoppers come to a device until it knows that all is sold, or more than that was.
    pub(crate) fn serve(&self, index: usize, device: &Api<'_>) -> Result<()> {
        let next = if device.name == CUT { NEXT_IN_THE_RUSH } else { NEXT_SHOPPER };
        for shopper in 0.. {
            if self.over.load(Ordering::Relaxed) || self.venue.stopping() {
                bail!("interrupted");
            }
            let answer = self.buy(device, &format!("{}-{shopper}", device.name))?;
            let mut till = self.tills[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match answer.code() {
                "" => {
                    till.acknowledged.push((answer.body, answer.took));
                    // Otherwise a venue that sells what it does not have would never close.
                    if self.sold.fetch_add(1, Ordering::Relaxed) >= u64::from(UNITS) {
                        return Ok(());
                    }
                }
                "sold_out" => return Ok(()),
                "held_elsewhere" => till.held_elsewhere.push(said(&answer)),
                _ => bail!("{} refused: {}", device.name, answer.body),
            }
            drop(till);
            self.venue.pause(next);
        }
        Ok(())
    }

    fn buy(&self, device: &Api<'_>, key: &str) -> Result<Answer> {
        let mut sale = json!({"items": [{"sku": SKU}], "wait_ms": PATIENCE.as_millis() as u64});
        // On stream and at the locker people buy what they fetch later; everybody else takes it along.
        if matches!(device.name.as_str(), "encoder" | "locker") {
            sale["pickup_at"] = json!(self.locker);
        }
        device.post("/v1/sales", &sale, Some(key)).with_context(|| format!("a shopper at {}", device.name))
    }
}

fn said(answer: &Answer) -> String {
    answer.body["detail"].as_str().unwrap_or_default().to_owned()
}
