//! Growth (I10): a mesh in which nothing happens writes nothing and leaves the air to others, and what a device works for an
//! entry, a digest and a start does not grow with what it has seen. Counted, never timed.

use popmesh_proto::Work;

use super::ledger::Breach;
use super::queue::NodeIndex;
use super::{SECOND, World};

/// A window of rest. Longer than whatever devices do each minute.
const WINDOW_US: u64 = 75 * SECOND;
/// In one of so many windows nothing may be written: what was due goes out in the first ones.
const WINDOWS: usize = 4;
/// What the stock view looks at for an entry: its lines, and what they were disputed with.
const LOOKS_EACH: u64 = 12;
/// What it may look at besides, however few entries there are.
const LOOKS_FREE: u64 = 500;
/// Each entry makes its chain's head another in two digests; a chain that ends leaves one.
const DIGESTED_EACH: u64 = 4;

impl World<'_> {
    /// After the night, when nobody does anything any more: the mesh comes to rest, and what is offered to the air then is judged
    /// as in the night.
    pub(super) fn rest(&mut self) {
        self.check_work();
        let recorded = std::mem::replace(&mut self.options.record, false);
        self.come_to_rest();
        self.options.record = recorded;
        self.check_work();
    }

    fn come_to_rest(&mut self) {
        let began_us = self.now_us;
        let mut written = self.ledger.entries;
        let mut silent = false;
        for _ in 0..WINDOWS {
            let before = written;
            self.run_for(WINDOW_US);
            if self.breach.is_some() || self.is_stopped() {
                return;
            }
            written = self.ledger.entries;
            silent |= written == before;
            if silent && self.calm_was_judged() {
                break;
            }
        }
        self.watch.growth.rested_s = (self.now_us - began_us) / SECOND;
        if !silent {
            let seconds = (self.now_us - began_us) / SECOND;
            let text = format!("for {seconds} s nobody has done anything, and devices still write");
            self.check(Err(Breach::new("I10", text)));
        }
    }

    fn run_for(&mut self, span_us: u64) {
        let until_us = self.now_us + span_us;
        while self.breach.is_none() && self.step(until_us) {}
        self.now_us = self.now_us.max(until_us);
    }

    /// A start takes in each entry that is stored once, and what it works goes with those.
    pub(super) fn check_start(&mut self, node: NodeIndex, stored: u64) {
        let shown = self.nodes[node].device().map_or(0, |device| device.work().shown);
        if shown > stored {
            let text = format!("{} took in {shown} entries at a start, of {stored}", self.nodes[node].name);
            self.check(Err(Breach::new("I10", text)));
        }
        let result = self.work_of(node);
        self.check(result);
    }

    /// In the night: what one device has worked in the life that it leads, and the next time another.
    pub(super) fn look_at_work(&mut self) {
        let second = (self.now_us / SECOND) as usize;
        let result = self.work_of(second % self.nodes.len());
        self.check(result);
    }

    /// What running devices have worked for what they have.
    fn check_work(&mut self) {
        for node in 0..self.nodes.len() {
            let result = self.work_of(node);
            self.check(result);
        }
    }

    fn work_of(&mut self, node: NodeIndex) -> Result<(), Breach> {
        let Some(device) = self.nodes[node].device() else { return Ok(()) };
        let Work { shown, looked_at, anew, digested } = device.work();
        let entries = device.log().len();
        let retired = device.trust().retired().len() as u64;
        let doubted = self.ledger.suspects.len() as u64 + self.adversaries.forks;
        let growth = &mut self.watch.growth;
        let most = |most: &mut u64, is: u64| *most = is.max(*most);
        most(&mut growth.looks_per_entry_milli, looked_at * 1_000 / shown.max(1));
        most(&mut growth.digested_per_entry_milli, digested * 1_000 / entries.max(1));
        most(&mut growth.views_anew, anew);
        let name = &self.nodes[node].name;
        let broken = |text: String| Err(Breach::new("I10", format!("{name} {text}")));
        // What the views looked at when they were made anew grows with the log, each time.
        if looked_at > (shown + anew * entries) * LOOKS_EACH + LOOKS_FREE {
            return broken(format!("looked at {looked_at} things for {shown} entries"));
        }
        let most_anew = 4 * (retired + doubted) + 2;
        if anew > most_anew {
            return broken(format!("made its views anew {anew} times, after {retired} retirements"));
        }
        if digested > entries * DIGESTED_EACH + 100 {
            return broken(format!("worked {digested} heads into digests for {entries} entries"));
        }
        Ok(())
    }
}
