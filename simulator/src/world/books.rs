//! The books of each device, looked at from outside: they must add up at every moment, as far as the device knows.

use super::ledger::Breach;
use super::queue::NodeIndex;
use super::{SECOND, World};

/// Where not every step is checked, so many devices are, each second.
const CHECKED_A_SECOND: usize = 2;
/// What incidents say that are about a claim.
const OF_CLAIM: &str = " of claim ";

impl World<'_> {
    /// On one device: conservation (I4), and no incident where nobody made one: no unit spent twice (I1), no claim
    /// dealt with by whoever may not (I2), nothing spent that was not held (I6).
    pub(super) fn check_books(&mut self, node: NodeIndex) {
        if self.breach.is_some() {
            return;
        }
        let Some(device) = self.nodes[node].device() else { return };
        let as_of = (self.nodes[node].life, device.log().version());
        if self.nodes[node].checked == Some(as_of) {
            return;
        }
        let holdings = device.holdings();
        let name = &self.nodes[node].name;
        let honest = !self.ledger.is_in_doubt();
        let mut result = Ok(());
        let balances = holdings.balances();
        for (lot, state) in holdings.lots() {
            let Some(balance) = balances.get(lot) else { continue };
            if honest && state.contested {
                let incident = holdings.incidents().last().unwrap_or("no incident says how");
                let text = format!(
                    "{name} sees a unit of lot {lot} of {} that was spent twice: {incident}",
                    state.sku
                );
                result = Err(Breach::new("I1", text));
            } else if !balance.holds() {
                let text = format!("on {name}, lot {lot} of {} does not add up: {balance:?}", state.sku);
                result = Err(Breach::new("I4", text));
            }
        }
        let printed = self.ledger.prints.any_twice();
        let is_made = |text: &str| (printed && holdings.is_of_print(text)) || self.is_of_crafted(text);
        let unmade = holdings.incidents().find(|text| !is_made(text));
        if honest
            && result.is_ok()
            && let Some(incident) = unmade
        {
            // A claim that was dealt with by somebody who may not.
            let invariant = if incident.contains(OF_CLAIM) { "I2" } else { "I6" };
            let text = format!("{name} sees an incident that nobody made: {incident}");
            result = Err(Breach::new(invariant, text));
        }
        self.nodes[node].checked = Some(as_of);
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
