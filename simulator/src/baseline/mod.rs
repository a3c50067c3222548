//! What popmesh is measured against: the two ways in which stock is usually kept, played through the same night.
//!
//! - [`StockPolicy::PlainCounter`]: each device counts an Automerge counter down and tells the others ([`counter`]).
//! - [`StockPolicy::CentralServer`]: one device has all the stock, and each sale asks it ([`server`]).
//!
//! Both are built as somebody who knows the craft would build them, on the same networks, with the same shoppers, the
//! same power and the same durable writes as popmesh. Where the two worlds differ, the baselines have it easier: their
//! batteries never run empty, their disks never err or fill, they need no time to start, nobody restores, clones or
//! cheats, a message that was spoiled is merely lost, and a power cut in the middle of a write comes at once and
//! spoils nothing.
//!
//! Never in here: anything of popmesh itself.

mod agenda;
mod counter;
mod document;
mod server;
mod site;
mod stock;
mod tally;
mod writes;

use automerge::AutomergeError;

use crate::comparison::ComparisonRow;
use crate::connectivity::Connectivity;
use crate::random::Random;
use crate::scenario::{Scenario, StockPolicy};
use counter::Counters;
use server::Central;
use site::{Happens, Site};

/// Why a baseline cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// A document that holds only counters refused one.
    #[error("the counters' document failed: {0}; please report this")]
    Document(#[from] AutomergeError),
    /// Not a baseline.
    #[error("{0:?} is a policy of popmesh devices, not a baseline")]
    Policy(StockPolicy),
}

/// One way to keep stock.
trait Seller {
    /// What it plans, and what its devices send each other.
    type Event: Clone;

    /// Something happens at the site.
    fn happens(
        &mut self,
        site: &mut Site<'_, Self::Event>,
        what: Happens<Self::Event>,
    ) -> Result<(), BaselineError>;
}

/// Plays the night of `scenario` and `seed` under a baseline's `policy`, and tells `progress` the time, in milliseconds,
/// now and then; the night ends early when that says `false`.
///
/// # Errors
/// [`BaselineError`].
pub fn play(
    scenario: &Scenario,
    seed: u64,
    policy: StockPolicy,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<ComparisonRow, BaselineError> {
    match policy {
        StockPolicy::PlainCounter => night(scenario, seed, policy, progress, Counters::new),
        StockPolicy::CentralServer => night(scenario, seed, policy, progress, |site| Ok(Central::new(site))),
        StockPolicy::ByRate | StockPolicy::OnDemand | StockPolicy::StaticShares => {
            Err(BaselineError::Policy(policy))
        }
    }
}

fn night<S: Seller>(
    scenario: &Scenario,
    seed: u64,
    policy: StockPolicy,
    progress: &mut dyn FnMut(u64) -> bool,
    seller: impl FnOnce(&mut Site<'_, S::Event>) -> Result<S, BaselineError>,
) -> Result<ComparisonRow, BaselineError> {
    let connectivity = Connectivity::new(scenario);
    let mut site = Site::new(scenario, &connectivity, &Random::new(seed));
    let mut seller = seller(&mut site)?;
    let mut told_ms = 0;
    while let Some(what) = site.next() {
        seller.happens(&mut site, what)?;
        if site.now_ms() >= told_ms + 1_000 {
            told_ms = site.now_ms();
            if !progress(told_ms) {
                break;
            }
        }
    }
    Ok(site.row(policy))
}

#[cfg(test)]
mod tests;
