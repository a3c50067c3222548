//! Same seed, same bytes. Alone in its process, as SQLite's generator belongs to the process.

use std::ops::ControlFlow;

use popmesh_simulator::cuts::{self, Options};
use popmesh_simulator::disk::Faults;

#[test]
fn a_seed_leads_to_the_same_bytes_every_time() {
    let faults = Faults {
        read_errors_per_mille: 2,
        write_errors_per_mille: 2,
        sync_errors_per_mille: 2,
        lying_syncs_per_mille: 0,
    };
    let run = |seed| {
        let options = Options { faults, full_per_mille: 10, ..Options::new(seed, 500) };
        cuts::run(&options, |_| ControlFlow::Continue(())).unwrap()
    };
    let (first, other, again) = (run(1), run(2), run(1));
    assert_eq!(first, again);
    assert_ne!(first.history, other.history);
}
