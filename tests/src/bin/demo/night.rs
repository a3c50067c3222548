//! The night's course: stock comes in and spreads, shoppers come, one till is cut off and healed, all agree.

use std::io::{IsTerminal, Write, stdout};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use popmesh_tests::books::{agree, put_on_sale};
use popmesh_tests::{Api, wait_until};

use crate::shopper::{Floor, Till};
use crate::venue::{DEVICES, Venue, done, step};

/// What is sold.
pub(crate) const SKU: &str = "TEE-NEON";
/// How many of it there are.
pub(crate) const UNITS: u32 = 100;
/// Which device is cut off on the way.
pub(crate) const CUT: &str = "till-2";
/// After how many sales.
const CUT_AFTER: u64 = 30;
const DEADLINE: Duration = Duration::from_secs(120);

/// Mints the run at the hq, and waits until the others have got a share of it.
pub(crate) fn stock(venue: &Venue) -> Result<()> {
    step(&format!("The hq mints a run of {UNITS} numbered units, {SKU} 1-{UNITS}, and opens the drop"));
    put_on_sale(venue.device("hq")?, SKU, UNITS)?;
    for device in venue.devices().filter(|device| device.name != "hq") {
        venue.wait(device, "a share of the stock", |device| {
            let lines = device.get("/v1/stock")?;
            Ok(lines["items"].get(0).filter(|line| line["own"]["available"].as_u64() > Some(0)).map(drop))
        })?;
    }
    let shares = venue.devices().map(|device| Ok(format!("{} {}", device.name, free(device)?)));
    done(&format!("shared out: {}", shares.collect::<Result<Vec<_>>>()?.join(", ")));
    Ok(())
}

fn free(device: &Api<'_>) -> Result<u64> {
    device.stock(SKU)?["own"]["available"].as_u64().context("no free units in the answer")
}

/// Shoppers at every device at once, until each device knows that all is sold.
pub(crate) fn sell(venue: &Venue) -> Result<Vec<Till>> {
    step("Shoppers at every device at once");
    let floor = Floor::new(venue)?;
    let before = Instant::now();
    thread::scope(|scope| {
        let floor = &floor;
        let serving: Vec<_> = venue
            .devices()
            .enumerate()
            .map(|(index, device)| scope.spawn(move || floor.serve(index, device)))
            .collect();
        let cut = cut_and_heal(venue, floor);
        if cut.is_err() {
            floor.end();
        }
        let served =
            serving.into_iter().map(|till| till.join().map_err(|_| anyhow!("a shopper panicked"))?);
        let served: Result<Vec<()>> = served.collect();
        // What a till said tells more than that the rest was interrupted for it.
        served.and(cut)
    })?;
    done(&format!("{} sold in {:.1} s", floor.sold(), before.elapsed().as_secs_f64()));
    Ok(floor.into_tills())
}

fn cut_and_heal(venue: &Venue, floor: &Floor<'_>) -> Result<()> {
    let index =
        DEVICES.iter().position(|(name, _)| *name == CUT).context("the device to cut is not there")?;
    let till = venue.device(CUT)?;
    let progress = Progress::new();
    watch(venue, "sales to begin", || Ok((progress.show(floor.sold()) >= CUT_AFTER).then_some(())))?;

    let held = free(till)?;
    till.set_links(false)?;
    progress.say(&format!("{CUT} is cut off, holding {held}; it sells on alone, and so do the others"));
    let (refusals, _) = floor.held_elsewhere(index);
    let said = watch(venue, "the cut-off till to run dry", || {
        progress.show(floor.sold());
        let (now, said) = floor.held_elsewhere(index);
        Ok(said.filter(|_| now > refusals))
    })?;
    progress.say(&format!("{CUT} has sold what it held, and now refuses:\n      \"{said}\""));

    till.set_links(true)?;
    progress.say(&format!("{CUT} is healed"));
    watch(venue, "the run to sell out", || {
        Ok((progress.show(floor.sold()) >= u64::from(UNITS)).then_some(()))
    })?;
    progress.end();
    Ok(())
}

fn watch<T>(venue: &Venue, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    wait_until(what, DEADLINE, || if venue.stopping() { bail!("interrupted") } else { look() })
}

/// Waits until all devices know the same.
pub(crate) fn settle(venue: &Venue) -> Result<()> {
    step("All devices compare what they know");
    let took = agree(&venue.devices().collect::<Vec<_>>())?;
    done(&format!("equal on all five after {:.1} s", took.as_secs_f64()));
    Ok(())
}

/// How many are sold: on a terminal a line that counts up, elsewhere a line for each tenth.
struct Progress {
    terminal: bool,
    shown: std::cell::Cell<Option<u64>>,
}

impl Progress {
    fn new() -> Self {
        Self { terminal: stdout().is_terminal(), shown: std::cell::Cell::new(None) }
    }

    fn show(&self, sold: u64) -> u64 {
        let step = if self.terminal { sold } else { sold / 10 };
        if self.shown.replace(Some(step)) != Some(step) {
            if self.terminal {
                let full = (sold * 40 / u64::from(UNITS)) as usize;
                print!("\r    [{:40}] {sold:3} of {UNITS} sold", "#".repeat(full.min(40)));
                // A progress bar that cannot be shown harms nobody.
                let _ = stdout().flush();
            } else {
                println!("    {sold} of {UNITS} sold");
            }
        }
        sold
    }

    fn say(&self, text: &str) {
        self.end();
        println!("    {text}");
        self.shown.set(None);
    }

    fn end(&self) {
        if self.terminal {
            print!("\r{:70}\r", "");
        }
    }
}
