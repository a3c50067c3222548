//! The production store under many cuts, and that what watches it would see a loss.

use std::ops::ControlFlow;

use popmesh_simulator::cuts::{self, CutsError, Finding, Options, Report};
use popmesh_simulator::disk::Faults;

fn run(options: &Options) -> Result<Report, CutsError> {
    cuts::run(options, |_| ControlFlow::Continue(()))
}

#[test]
fn nothing_acknowledged_is_lost_by_power_cuts() {
    let report = run(&Options::new(1, 1_500)).unwrap();
    assert_eq!(report.cycles, 1_500);
    // Everything happened that is meant to happen.
    assert!(report.cuts_in_recovery > 300, "{report:?}");
    assert!(report.logs > 20, "{report:?}");
    assert!(report.batches_acknowledged > 1_500, "{report:?}");
    assert!(report.batches_kept > 100, "{report:?}");
    assert!(report.batches_gone > 300, "{report:?}");
    assert!(report.closed > 50, "{report:?}");
    assert!(report.integrity_checks > 50, "{report:?}");
    assert!(report.entries_checked > 50_000, "{report:?}");
    assert_eq!(report.appends_failed, 0, "{report:?}");
    assert_eq!(report.disk.cuts, report.disk.fuses_blown);
    assert!(report.disk.cuts >= report.cycles, "{report:?}");
    assert!(report.disk.cuts <= report.cycles + report.cuts_in_recovery, "{report:?}");
    assert!(report.disk.writes_torn > 300, "{report:?}");
    assert!(report.disk.writes_lost > 300, "{report:?}");
    assert!(report.disk.writes_kept > 300, "{report:?}");
    assert!(report.disk.directory_changes_lost > 10, "{report:?}");
}

#[test]
fn nothing_acknowledged_is_lost_on_a_disk_that_fails_and_fills_up_besides() {
    let faults = Faults {
        read_errors_per_mille: 10,
        write_errors_per_mille: 15,
        sync_errors_per_mille: 40,
        lying_syncs_per_mille: 0,
    };
    let report = run(&Options { faults, full_per_mille: 50, ..Options::new(2, 2_000) }).unwrap();
    assert!(report.appends_failed > 100, "{report:?}");
    assert!(report.disk.read_errors > 20, "{report:?}");
    assert!(report.disk.write_errors > 20, "{report:?}");
    assert!(report.disk.sync_errors > 20, "{report:?}");
    assert!(report.disk.refused_for_space > 20, "{report:?}");
    assert!(report.batches_kept > 50, "{report:?}");
}

#[test]
fn a_disk_that_lies_about_syncs_is_seen_to_lose() {
    for (seed, lying_syncs_per_mille) in [(1, 1_000), (2, 1_000), (3, 200), (4, 30)] {
        let faults = Faults { lying_syncs_per_mille, ..Faults::NONE };
        let options = Options { faults, ..Options::new(seed, 2_000) };
        let error = run(&options).unwrap_err();
        let CutsError::Broken { seed: named, cycle, finding } = &error else { panic!("{error}") };
        assert_eq!(*named, seed);
        assert!(
            matches!(
                finding,
                Finding::Lost { .. }
                    | Finding::Unusable { .. }
                    | Finding::Damaged { .. }
                    | Finding::Torn { .. }
                    | Finding::Changed { .. }
            ),
            "{error}"
        );
        // It is broken again at the same place.
        assert_eq!(run(&Options { cycles: *cycle, ..options.clone() }).as_ref(), Err(&error));
        if *cycle > 1 {
            run(&Options { cycles: cycle - 1, ..options }).unwrap();
        }
    }
}

#[test]
fn a_run_can_be_ended() {
    let stop = |report: &Report| {
        if report.cycles == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert_eq!(cuts::run(&Options::new(1, 1_000), stop).unwrap().cycles, 10);
}
