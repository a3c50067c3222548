//! One central server: the first hq. It has all the stock and knows where each unit lies; a sale is a question to it.
//!
//! A till asks again every second for as long as the shopper waits. The server decides once for each shopper, and its
//! decision is durable before it answers, so a lost answer sells nothing twice. A till writes down that it asks, and what
//! came of it before the shopper hears. If the shopper has left, or the till was without power meanwhile, it tells the
//! server to take the units back, until the server says that it did: no unit stays reserved for nobody, unless the till
//! never comes back. It is taken for granted that the note of having asked is durable at once.
//!
//! What this baseline cannot do is sell without the server.

use std::collections::BTreeMap;

use super::site::{Happens, Site};
use super::stock::{Decision, Stock};
use super::writes::Writes;
use super::{BaselineError, Seller};
use crate::scenario::DeviceIndex;

const MS: u64 = 1_000;
/// A till that has no answer asks again after so long, milliseconds.
const AGAIN_MS: u64 = 1_000;
/// Bytes of a request over TLS: what is wanted, for whom, and a signature.
const REQUEST_BYTES: usize = 420;
/// Bytes of an answer.
const ANSWER_BYTES: usize = 260;

/// What happens between the tills and the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// A till's request arrives.
    Asked { shopper: usize },
    /// A till's wish to take a sale back arrives.
    TakeBack { shopper: usize },
    /// The server's write is durable.
    ServerWritten,
    /// The server's answer arrives.
    Answered { shopper: usize, answer: Answer },
    /// A till's write is durable.
    TillWritten { device: DeviceIndex },
    /// A till looks whether it still waits for an answer.
    Again { shopper: usize },
    /// A shopper leaves.
    Leaves { shopper: usize },
}

/// What the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Sold,
    SoldOut,
    TakenBack,
}

/// What a till is about for one shopper, as its disk has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// It asks.
    Asking,
    /// It has the units, and writes that down.
    Writing,
    /// It wants the server to take them back.
    TakingBack,
    /// Done.
    Done,
}

/// The server and the tills.
#[derive(Debug)]
pub(super) struct Central {
    server: DeviceIndex,
    stock: Stock,
    writes: Writes<usize>,
    /// What each till writes.
    tills: Vec<Writes<usize>>,
    errands: BTreeMap<usize, Errand>,
}

impl Central {
    pub(super) fn new(site: &Site<'_, Event>) -> Self {
        Self {
            server: site.scenario.hq(),
            stock: Stock::default(),
            writes: Writes::new(),
            tills: site.scenario.devices.iter().map(|_| Writes::new()).collect(),
            errands: BTreeMap::new(),
        }
    }

    fn errand(&self, shopper: usize) -> Errand {
        self.errands.get(&shopper).copied().unwrap_or(Errand::Done)
    }

    // --- The till.

    fn comes(&mut self, site: &mut Site<'_, Event>, shopper: usize) {
        self.errands.insert(shopper, Errand::Asking);
        let left_us = site.gone_us(shopper).saturating_sub(site.now_us());
        site.plan_on(site.wish(shopper).device, left_us, Event::Leaves { shopper });
        self.again(site, shopper);
    }

    /// Asks, or asks back, and does so again until there is an answer.
    fn again(&mut self, site: &mut Site<'_, Event>, shopper: usize) {
        let event = match self.errand(shopper) {
            Errand::Asking => Event::Asked { shopper },
            Errand::TakingBack => Event::TakeBack { shopper },
            Errand::Writing | Errand::Done => return,
        };
        let till = site.wish(shopper).device;
        site.send(till, self.server, REQUEST_BYTES, event);
        site.plan_on(till, AGAIN_MS * MS, Event::Again { shopper });
    }

    fn leaves(&mut self, site: &mut Site<'_, Event>, shopper: usize) {
        if self.errand(shopper) != Errand::Asking {
            return;
        }
        self.errands.insert(shopper, Errand::TakingBack);
        if site.is_answered(shopper) {
            // It left while the till had no power, so nothing is planned.
            self.again(site, shopper);
        } else {
            // What would have been asked again is asked back in its time.
            self.refuse(site, shopper);
        }
    }

    fn refuse(&self, site: &mut Site<'_, Event>, shopper: usize) {
        let wish = site.wish(shopper);
        let mut free: u64 =
            self.stock.free(site.scenario, wish, site.now_ms()).iter().map(|(_, free)| free).sum();
        // What the server has put aside for this very shopper.
        if let Some(Decision::Sold(from)) = self.stock.decided(shopper) {
            free += from.iter().map(|(_, units)| units).sum::<u64>();
        }
        let wrongly = free >= wish.quantity && site.linked(wish.device, self.server);
        site.refused(shopper, wrongly);
    }

    fn answered(&mut self, site: &mut Site<'_, Event>, shopper: usize, answer: Answer) {
        let till = site.wish(shopper).device;
        match (self.errand(shopper), answer) {
            (Errand::Asking, Answer::Sold) => {
                self.errands.insert(shopper, Errand::Writing);
                self.tills[till].add(shopper);
                self.till_writes(site, till);
            }
            (Errand::Asking, Answer::SoldOut | Answer::TakenBack) => {
                self.errands.insert(shopper, Errand::Done);
                if !site.is_answered(shopper) {
                    self.refuse(site, shopper);
                }
            }
            (Errand::TakingBack, Answer::TakenBack) => {
                self.errands.insert(shopper, Errand::Done);
            }
            // An answer to an earlier question, or one that has come before.
            (Errand::TakingBack | Errand::Writing | Errand::Done, _) => {}
        }
    }

    fn till_writes(&mut self, site: &mut Site<'_, Event>, device: DeviceIndex) {
        if self.tills[device].begin() {
            let takes_us = site.write_us(device);
            site.plan_on(device, takes_us, Event::TillWritten { device });
        }
    }

    fn till_written(&mut self, site: &mut Site<'_, Event>, device: DeviceIndex) {
        for shopper in self.tills[device].done() {
            self.errands.insert(shopper, Errand::Done);
            site.sold(shopper);
        }
        self.till_writes(site, device);
    }

    fn till_lost(&mut self, site: &mut Site<'_, Event>, device: DeviceIndex) {
        // The units that it had not written down it only knows to have asked for.
        for shopper in self.tills[device].lost() {
            self.errands.insert(shopper, Errand::Asking);
        }
        for shopper in self.open_errands(site, device) {
            if self.errand(shopper) == Errand::Asking && !site.is_answered(shopper) {
                site.comes_again(shopper);
            }
        }
    }

    /// A till that is back takes back the units of those who have left, or will have left before they ask again.
    fn till_back(&mut self, site: &mut Site<'_, Event>, device: DeviceIndex) {
        for shopper in self.open_errands(site, device) {
            let left_us = site.gone_us(shopper).saturating_sub(site.now_us());
            match self.errand(shopper) {
                Errand::TakingBack => self.again(site, shopper),
                _ => site.plan_on(device, left_us, Event::Leaves { shopper }),
            }
        }
    }

    fn open_errands(&self, site: &Site<'_, Event>, device: DeviceIndex) -> Vec<usize> {
        let open = self.errands.iter().filter(|(_, errand)| **errand != Errand::Done);
        open.map(|(shopper, _)| *shopper).filter(|shopper| site.wish(*shopper).device == device).collect()
    }

    // --- The server.

    fn decide(&mut self, site: &mut Site<'_, Event>, shopper: usize, take_back: bool) {
        let before = self.stock.decided(shopper).cloned();
        let too_late = before.is_none() && !site.is_open(shopper);
        if take_back || too_late {
            self.stock.take_back(shopper, site.wish(shopper));
        } else {
            self.stock.sell(site.scenario, shopper, site.wish(shopper), site.now_ms());
        }
        if self.stock.decided(shopper) != before.as_ref() {
            self.writes.add(shopper);
            self.server_writes(site);
        } else {
            self.answer(site, shopper);
        }
    }

    /// Says what was decided, if it is durable; if not, that is said when it is.
    fn answer(&self, site: &mut Site<'_, Event>, shopper: usize) {
        let answer = match self.stock.stored(shopper) {
            Some(Decision::Sold(_)) => Answer::Sold,
            Some(Decision::SoldOut) => Answer::SoldOut,
            Some(Decision::TakenBack) => Answer::TakenBack,
            None => return,
        };
        let till = site.wish(shopper).device;
        site.send(self.server, till, ANSWER_BYTES, Event::Answered { shopper, answer });
    }

    fn server_writes(&mut self, site: &mut Site<'_, Event>) {
        if self.writes.begin() {
            let takes_us = site.write_us(self.server);
            site.plan_on(self.server, takes_us, Event::ServerWritten);
        }
    }

    fn server_written(&mut self, site: &mut Site<'_, Event>) {
        for shopper in self.writes.done() {
            self.stock.store(shopper);
            self.answer(site, shopper);
        }
        self.server_writes(site);
    }
}

impl Seller for Central {
    type Event = Event;

    fn happens(&mut self, site: &mut Site<'_, Event>, what: Happens<Event>) -> Result<(), BaselineError> {
        match what {
            Happens::Shopper(shopper) => self.comes(site, shopper),
            Happens::PowerLost(device) => {
                self.till_lost(site, device);
                if device == self.server {
                    self.writes.lost();
                    self.stock.recover(|shopper| (site.wish(shopper).drop, site.wish(shopper).product));
                }
            }
            Happens::PowerBack(device) => self.till_back(site, device),
            // Each till asks again soon anyway.
            Happens::Networks => {}
            Happens::Own(Event::Asked { shopper }) => self.decide(site, shopper, false),
            Happens::Own(Event::TakeBack { shopper }) => self.decide(site, shopper, true),
            Happens::Own(Event::ServerWritten) => self.server_written(site),
            Happens::Own(Event::Answered { shopper, answer }) => self.answered(site, shopper, answer),
            Happens::Own(Event::TillWritten { device }) => self.till_written(site, device),
            Happens::Own(Event::Again { shopper }) => self.again(site, shopper),
            Happens::Own(Event::Leaves { shopper }) => self.leaves(site, shopper),
        }
        Ok(())
    }
}
