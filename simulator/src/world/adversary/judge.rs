//! Nothing that was crafted shows: the views of a device that has it are those of the truth, which is without.

use popmesh_crafted::shown::{Shown, differences, of_stock, of_trust};
use popmesh_proto::Device;
use popmesh_proto::holdings::Holdings;
use popmesh_proto::trust::Trust;

use super::super::World;
use super::super::ledger::Breach;

impl World<'_> {
    /// What a device that knows of everything shows otherwise than it is; nothing where nobody crafts anything, and what
    /// is equal is compared as a whole.
    pub(in crate::world) fn shows_otherwise(&self, device: &Device) -> Option<String> {
        let ledger = &self.ledger;
        if ledger.crafted.is_empty() {
            let differs = *device.holdings() != ledger.holdings;
            return differs.then(|| "a stock view that differs from what was written".to_owned());
        }
        // That it is found out to have written two histories is as it should be.
        let of_others = |(what, _): &(String, String)| what != "forks";
        let shown = |holdings: &Holdings, trust: &Trust| -> Shown {
            let devices = || self.ids.keys().copied();
            of_stock(holdings, devices())
                .into_iter()
                .chain(of_trust(trust, devices()))
                .filter(of_others)
                .collect()
        };
        let truth = shown(&ledger.holdings, ledger.trust());
        let differs = differences(&truth, &shown(device.holdings(), device.trust()));
        (!differs.is_empty())
            .then(|| format!("views that what was crafted has changed: {}", differs.join("; ")))
    }

    /// Whoever was never set back knows its past, whatever anybody says that it wrote.
    pub(in crate::world) fn check_pasts(&mut self) {
        if self.ledger.adversaries.is_empty() || !self.ledger.suspects.is_empty() {
            return;
        }
        for node in self.alive() {
            let of = &self.nodes[node];
            let doubts = of.device().is_some_and(Device::doubts_its_past);
            if doubts && !of.past_doubted && !self.ledger.adversaries.contains(&of.id) {
                let text = format!("{} doubts its past, and was never set back", of.name);
                self.check(Err(Breach::new("I8", text)));
            }
        }
    }

    /// Whether an incident is about something that was crafted.
    pub(in crate::world) fn is_of_crafted(&self, text: &str) -> bool {
        self.ledger.crafted.iter().any(|chain| text.contains(&chain.to_string()))
    }
}
