//! A plain counter: every device has an Automerge document with one counter for each drop and SKU. A device sells when
//! its own value is high enough, and counts down at once.
//!
//! A change is durable before the shopper hears of it, and goes to everybody in reach at once. Two devices that have just
//! found each other run Automerge's own sync, and each device runs it with one peer by chance every few seconds, so what
//! was lost on the way is found again. All of that is as good as it gets, and none of it keeps two devices from selling
//! the same last unit: that is what this baseline is for.
//!
//! A counter does not know places. It sells to somebody who walks in what lies at another venue. Such a sale is not
//! counted as oversold, and not as served either, if that many do not lie there.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use automerge::{Automerge, Change, ChangeHash};

use super::document::{Counter, Document, beginning};
use super::site::{Happens, Site};
use super::writes::Writes;
use super::{BaselineError, Seller};
use crate::scenario::DeviceIndex;

const MS: u64 = 1_000;
/// Two devices that can hear each other again have found each other within this, milliseconds, as popmesh's devices have.
const MEET_MS: (u64, u64) = (100, 1_200);
/// Each device syncs with one peer so often, milliseconds.
const REPAIR_MS: u64 = 5_000;
/// An organiser without power mints so much later, milliseconds.
const MINT_AGAIN_MS: u64 = 1_000;

/// What happens between the devices.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A lot is minted.
    Mint { device: DeviceIndex, counter: Counter, units: u32 },
    /// A device's write is durable.
    Written { device: DeviceIndex },
    /// Somebody's change arrives.
    Counted { to: DeviceIndex, change: Rc<Change> },
    /// Two devices find each other.
    Meet { a: DeviceIndex, b: DeviceIndex },
    /// A device looks whether it has missed something.
    Repair { device: DeviceIndex },
    /// A sync message arrives; the first of a session, perhaps.
    Told { from: DeviceIndex, to: DeviceIndex, first: bool, message: Rc<[u8]> },
}

/// A change that is to be durable.
#[derive(Debug)]
struct Count {
    change: Change,
    why: Why,
}

/// Why a device counts.
#[derive(Debug, Clone, Copy)]
enum Why {
    Sale { shopper: usize },
    Mint { counter: Counter, units: u32 },
}

#[derive(Debug)]
struct Till {
    document: Document,
    writes: Writes<Count>,
    life: u32,
    /// Changes that a power cut took.
    lost: BTreeSet<ChangeHash>,
}

/// All devices.
#[derive(Debug)]
pub(super) struct Counters {
    tills: Vec<Till>,
    linked: BTreeMap<(DeviceIndex, DeviceIndex), bool>,
}

impl Counters {
    pub(super) fn new(site: &mut Site<'_, Event>) -> Result<Self, BaselineError> {
        let beginning: Automerge = beginning(site.scenario)?;
        let devices = site.scenario.devices.len();
        for (drop, spec) in site.scenario.drops.iter().enumerate() {
            for lot in &spec.lots {
                let event = Event::Mint { device: lot.at, counter: (drop, lot.product), units: lot.units };
                site.plan(spec.mint_ms * MS, event);
            }
        }
        let till = |device| Till {
            document: Document::new(device, &beginning),
            writes: Writes::new(),
            life: 0,
            lost: BTreeSet::new(),
        };
        Ok(Self { tills: (0..devices).map(till).collect(), linked: BTreeMap::new() })
    }

    fn comes(&mut self, site: &mut Site<'_, Event>, shopper: usize) -> Result<(), BaselineError> {
        let wish = site.wish(shopper);
        let (device, counter) = (wish.device, (wish.drop, wish.product));
        let quantity = i64::try_from(wish.quantity).unwrap_or(i64::MAX);
        if self.tills[device].document.value(counter)? < quantity {
            let wrongly = self.could_have_sold(site, device, counter, quantity)?;
            site.refused(shopper, wrongly);
            return Ok(());
        }
        self.count(site, device, counter, -quantity, Why::Sale { shopper })
    }

    /// Whether there were units in truth, and somebody in reach whose counter allows to sell them.
    fn could_have_sold(
        &self,
        site: &Site<'_, Event>,
        device: DeviceIndex,
        counter: Counter,
        quantity: i64,
    ) -> Result<bool, BaselineError> {
        let in_truth = i64::try_from(site.unsold(counter.0, counter.1)).unwrap_or(i64::MAX);
        if in_truth < quantity {
            return Ok(false);
        }
        for (peer, till) in self.tills.iter().enumerate() {
            if site.linked(device, peer) && till.document.value(counter)? >= quantity {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn count(
        &mut self,
        site: &mut Site<'_, Event>,
        device: DeviceIndex,
        counter: Counter,
        by: i64,
        why: Why,
    ) -> Result<(), BaselineError> {
        let till = &mut self.tills[device];
        if let Some(change) = till.document.count(counter, by)? {
            till.writes.add(Count { change, why });
        }
        self.write(site, device);
        Ok(())
    }

    fn write(&mut self, site: &mut Site<'_, Event>, device: DeviceIndex) {
        if self.tills[device].writes.begin() {
            let takes_us = site.write_us(device);
            site.plan_on(device, takes_us, Event::Written { device });
        }
    }

    fn written(&mut self, site: &mut Site<'_, Event>, device: DeviceIndex) {
        for Count { change, why } in self.tills[device].writes.done() {
            if let Why::Sale { shopper } = why {
                site.sold(shopper);
            }
            let (bytes, change) = (change.raw_bytes().len(), Rc::new(change));
            for peer in 0..self.tills.len() {
                if peer != device && site.linked(device, peer) {
                    site.send(device, peer, bytes, Event::Counted { to: peer, change: change.clone() });
                }
            }
        }
        self.write(site, device);
    }

    fn power_lost(&mut self, site: &mut Site<'_, Event>, device: DeviceIndex) {
        for Count { change, why } in self.tills[device].writes.lost() {
            self.tills[device].lost.insert(change.hash());
            match why {
                Why::Sale { shopper } => site.comes_again(shopper),
                Why::Mint { counter, units } => {
                    site.plan(MINT_AGAIN_MS * MS, Event::Mint { device, counter, units })
                }
            }
        }
    }

    // --- Finding out what was missed.

    fn networks(&mut self, site: &mut Site<'_, Event>) {
        for a in 0..self.tills.len() {
            for b in a + 1..self.tills.len() {
                let linked = site.linked(a, b);
                if self.linked.insert((a, b), linked) != Some(true) && linked {
                    let after_ms = site.random.within(MEET_MS.0..=MEET_MS.1);
                    site.plan(after_ms * MS, Event::Meet { a, b });
                }
            }
        }
    }

    fn repair(&mut self, site: &mut Site<'_, Event>, device: DeviceIndex) {
        let peers: Vec<DeviceIndex> =
            (0..self.tills.len()).filter(|peer| *peer != device && site.linked(device, *peer)).collect();
        if let Some(peer) = site.random.pick(&peers).copied() {
            self.begin(site, device, peer);
        }
        site.plan_on(device, REPAIR_MS * MS, Event::Repair { device });
    }

    fn begin(&mut self, site: &mut Site<'_, Event>, from: DeviceIndex, to: DeviceIndex) {
        self.tills[from].document.begin_session(to);
        self.tell(site, from, to, true);
    }

    fn tell(&mut self, site: &mut Site<'_, Event>, from: DeviceIndex, to: DeviceIndex, first: bool) {
        if let Some(message) = self.tills[from].document.tell(to) {
            site.send(from, to, message.len(), Event::Told { from, to, first, message: message.into() });
        }
    }
}

impl Seller for Counters {
    type Event = Event;

    fn happens(&mut self, site: &mut Site<'_, Event>, what: Happens<Event>) -> Result<(), BaselineError> {
        match what {
            Happens::Shopper(shopper) => self.comes(site, shopper)?,
            Happens::PowerLost(device) => self.power_lost(site, device),
            Happens::PowerBack(device) => {
                let till = &mut self.tills[device];
                till.life += 1;
                till.document.recover(device, till.life, &std::mem::take(&mut till.lost))?;
                let first_ms = site.random.within(1..=REPAIR_MS);
                site.plan_on(device, first_ms * MS, Event::Repair { device });
            }
            Happens::Networks => self.networks(site),
            Happens::Own(Event::Mint { device, counter, units }) => {
                if site.powered(device) {
                    self.count(site, device, counter, i64::from(units), Why::Mint { counter, units })?;
                } else {
                    site.plan(MINT_AGAIN_MS * MS, Event::Mint { device, counter, units });
                }
            }
            Happens::Own(Event::Written { device }) => self.written(site, device),
            Happens::Own(Event::Counted { to, change }) => {
                self.tills[to].document.apply((*change).clone())?
            }
            Happens::Own(Event::Meet { a, b }) => {
                if site.linked(a, b) {
                    self.begin(site, a, b);
                }
            }
            Happens::Own(Event::Repair { device }) => self.repair(site, device),
            Happens::Own(Event::Told { from, to, first, message }) => {
                if first {
                    self.tills[to].document.begin_session(from);
                }
                self.tills[to].document.hear(from, &message)?;
                self.tell(site, to, from, false);
            }
        }
        Ok(())
    }
}
