//! What popmesh's own policy must reach beside the others, on the two nights that are made for it. Alone in its process,
//! as SQLite's generator belongs to the process.

use anyhow::{Result, bail};
use popmesh_simulator::comparison::{POLICIES, play};
use popmesh_simulator::scenario::{StockPolicy, find};

fn leads(scenario: &str, served_per_mille: u64) -> Result<()> {
    let scenario = find(scenario)?;
    let mut rows = Vec::new();
    for policy in POLICIES {
        rows.push(play(&scenario, 1, policy, &mut |_| true)?);
    }
    let [ours, on_demand, static_shares, counter, server] = rows.as_slice() else { bail!("{rows:?}") };
    assert_eq!(ours.policy, StockPolicy::ByRate);
    assert_eq!((ours.oversold, ours.wrong_refusals, ours.kept), (0, 0, true));
    assert!(ours.served_per_mille >= Some(served_per_mille), "{ours:?}");
    for other in [on_demand, static_shares] {
        assert!(ours.served_per_mille > other.served_per_mille, "{ours:?} {other:?}");
    }
    assert!(counter.oversold > 0, "the night has no teeth: {counter:?}");
    assert_eq!((server.oversold, server.kept), (0, true));
    Ok(())
}

#[test]
fn ours_leads_with_nearly_all_links_up() -> Result<()> {
    leads("three-venues-live-drop", 980)
}

#[test]
fn ours_leads_when_the_wifi_dies_at_the_drop() -> Result<()> {
    leads("wifi-dies-at-the-drop", 950)
}
