//! The books of each device, looked at from outside: they must add up at every moment, as far as the device knows.

use super::{SECOND, World};
use super::ledger::Breach;
use super::queue::NodeIndex;

/// Where not every step is checked, so many devices are, each second.
const CHECKED_A_SECOND: usize = 12;

impl World<'_> {
    /// Conservation (I4) on one device, and no incident where nobody made one.
    pub(super) fn check_books(&mut self, node: NodeIndex) {
        if self.breach.is_some() {
            return;
        }
        let Some(device) = self.nodes[node].device() else { return };
        let holdings = device.holdings();
        let mut result = Ok(());
        for (lot, state) in holdings.lots() {
            let balance = holdings.balance(lot);
            if !balance.holds() {
                let text = format!("on {}, lot {lot} of {} does not add up: {balance:?}", self.nodes[node].name, state.sku);
                result = Err(Breach::new("I4", text));
            }
        }
        if self.ledger.suspects.is_empty()
            && result.is_ok()
            && let Some(incident) = holdings.incidents().next()
        {
            let text = format!("{} sees an incident that nobody made: {incident}", self.nodes[node].name);
            result = Err(Breach::new("I6", text));
        }
        self.check(result);
    }

    /// Checks a few devices in turn.
    pub(super) fn check_some_books(&mut self) {
        let second = (self.now_us / SECOND) as usize;
        for n in 0..CHECKED_A_SECOND.min(self.nodes.len()) {
            self.check_books((second * CHECKED_A_SECOND + n) % self.nodes.len());
        }
    }

    pub(super) fn check_all_books(&mut self) {
        for node in 0..self.nodes.len() {
            self.check_books(node);
        }
    }
}
