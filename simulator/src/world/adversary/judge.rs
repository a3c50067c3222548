//! Nothing that was crafted shows: the views of a device that has it are those of the truth, which is without.

use popmesh_crafted::shown::{Shown, differences, of_stock, of_trust};
use popmesh_proto::Device;
use popmesh_proto::holdings::Holdings;
use popmesh_proto::trust::Trust;

use super::super::World;

impl World<'_> {
    /// What a device that knows of everything shows otherwise than it is; nothing where nobody crafts anything, and what
    /// is equal is compared as a whole.
    pub(in crate::world) fn shows_otherwise(&self, device: &Device) -> Option<String> {
        let ledger = &self.ledger;
        if ledger.crafted.is_empty() {
            let differs = *device.holdings() != ledger.holdings;
            return differs.then(|| "a stock view that differs from what was written".to_owned());
        }
        let shown = |holdings: &Holdings, trust: &Trust| -> Shown {
            let devices = || self.ids.keys().copied();
            of_stock(holdings, devices()).into_iter().chain(of_trust(trust, devices())).collect()
        };
        let truth = shown(&ledger.holdings, ledger.trust());
        let differs = differences(&truth, &shown(device.holdings(), device.trust()));
        (!differs.is_empty())
            .then(|| format!("views that what was crafted has changed: {}", differs.join("; ")))
    }

    /// Whether an incident is about something that was crafted.
    pub(in crate::world) fn is_of_crafted(&self, text: &str) -> bool {
        self.ledger.crafted.iter().any(|chain| text.contains(&chain.to_string()))
    }
}
