//! The devices' views, and the ledger's, beside what follows from the same entries by the rules of [`judge`](crate::judge).

use popmesh_proto::holdings::Holdings;
use popmesh_proto::trust::Retirements;

use super::World;
use super::ledger::Breach;
use crate::judge::{About, Fault, Written, compare, truth, written_in};
use crate::planted::Planted;

impl World<'_> {
    /// After the night, for each device that runs, by the entries that it has; and for the ledger, by all that were written.
    pub(super) fn check_by_rules(&mut self) {
        let faults =
            [(Planted::JudgeCountsLate, Fault::LateCounts), (Planted::JudgeTakesLater, Fault::LaterHasIt)];
        let planted = faults.into_iter().find(|(bug, _)| self.options.has(*bug));
        let fault = planted.map_or(Fault::None, |(_, fault)| fault);
        let all = self.ledger.all_written();
        let mut results =
            vec![by_rules("the ledger", &all, &self.ledger.holdings, self.ledger.trust().retired(), fault)];
        for node in &self.nodes {
            if let Some(device) = node.device() {
                let written = written_in(device.log());
                let retired = device.trust().retired();
                results.push(by_rules(&node.name, &written, device.holdings(), retired, fault));
            }
        }
        results.into_iter().for_each(|result| self.check(result));
    }
}

fn by_rules(
    who: &str,
    written: &[Written],
    view: &Holdings,
    retired: &Retirements,
    fault: Fault,
) -> Result<(), Breach> {
    let differences = compare(&truth(written, fault), view, retired);
    let Some(first) = differences.first() else { return Ok(()) };
    let invariant = match first.about {
        About::Unit => "I1",
        About::Claim => "I2",
        About::Retirement => "I6",
    };
    let more = differences.len() - 1;
    Err(Breach::new(
        invariant,
        format!("by the rules, and not as {who} has it, {} (and {more} more)", first.text),
    ))
}
