//! Disks that are full or fail: the store says so, loses nothing, and goes on when the disk does.

use popmesh_simulator::disk::{Disks, Faults, Image, Kept, Operation, VFS};
use popmesh_store::StoreError;
use rusqlite::{Connection, OpenFlags};

use crate::{all, entries, numbers, open, open_in_vfs};

#[test]
fn a_full_disk_is_told_and_works_again_once_there_is_room() {
    let mut disks = Disks::start(1).unwrap();
    let disk = disks.add();
    let mut store = open(&disk).unwrap();
    store.append(&entries(1, 10), &[]).unwrap();
    for room in [0, 1, 500, 4_000, 5_000] {
        disk.set_capacity(Some(disk.used_bytes() + room));
        let error = store.append(&entries(11, 100), &[]).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert_eq!(all(&store), numbers(1, 10));
        assert!(matches!(store.probe(), Err(StoreError::Full { .. })));
    }
    assert!(disk.stats().refused_for_space >= 5);
    disk.set_capacity(None);
    store.probe().unwrap();
    store.append(&entries(11, 100), &[]).unwrap();
    drop(store);
    disk.cut(Kept::Nothing);
    disk.power_on().unwrap();
    let store = open(&disk).unwrap();
    assert_eq!(all(&store), numbers(1, 110));
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_disk_that_is_full_from_the_start_takes_no_log() {
    let mut disks = Disks::start(1).unwrap();
    let disk = disks.add();
    disk.set_capacity(Some(6_000));
    assert!(matches!(open(&disk), Err(StoreError::Full { .. })));
    disk.set_capacity(None);
    open(&disk).unwrap().append(&entries(1, 1), &[]).unwrap();
}

#[test]
fn an_error_on_write_or_sync_fails_the_append_and_not_the_next() {
    for operation in [Operation::Write, Operation::Sync] {
        let mut disks = Disks::start(1).unwrap();
        let disk = disks.add();
        let mut store = open(&disk).unwrap();
        store.append(&entries(1, 10), &[]).unwrap();
        disk.fail_next(operation, 1);
        let error = store.append(&entries(11, 10), &[]).unwrap_err();
        assert!(matches!(error, StoreError::Disk { .. }), "{operation:?}: {error}");
        assert_eq!(all(&store), numbers(1, 10), "{operation:?}");
        store.append(&entries(21, 2), &[]).unwrap();
        drop(store);
        disk.cut(Kept::Nothing);
        disk.power_on().unwrap();
        let expected = [numbers(1, 10), numbers(21, 2)].concat();
        assert_eq!(all(&open(&disk).unwrap()), expected, "{operation:?}");
    }
}

#[test]
fn an_error_on_read_keeps_a_log_from_being_opened_and_harms_nothing() {
    let mut disks = Disks::start(1).unwrap();
    let disk = disks.add();
    open(&disk).unwrap().append(&entries(1, 10), &[]).unwrap();
    let mut failed = 0;
    for _ in 0..50 {
        disk.set_faults(Faults { read_errors_per_mille: 200, ..Faults::NONE });
        match open(&disk) {
            Ok(_) => {}
            Err(StoreError::Disk { .. }) => failed += 1,
            Err(error) => panic!("{error}"),
        }
        disk.set_faults(Faults::NONE);
        assert_eq!(all(&open(&disk).unwrap()), numbers(1, 10));
    }
    assert!(failed > 5, "{failed}");
    assert!(disk.stats().read_errors >= failed);
}

/// SQLite answers "wal" before it has written so, and what fails then is told only to who listens to the end.
#[test]
fn a_log_that_opens_has_a_write_ahead_log_whatever_failed_before() {
    let mut failed = 0;
    for seed in 0..300 {
        let mut disks = Disks::start(seed).unwrap();
        let disk = disks.add();
        disk.set_faults(Faults { sync_errors_per_mille: 200, write_errors_per_mille: 30, ..Faults::NONE });
        while open_in_vfs(&disk).is_err() {
            failed += 1;
            disk.restore(&Image::default()).unwrap();
        }
        disk.set_faults(Faults::NONE);
        let connection = Connection::open_with_flags_and_vfs(disk.path(), OpenFlags::default(), VFS).unwrap();
        let mode: String = connection
            .execute_batch("PRAGMA locking_mode = EXCLUSIVE; SELECT * FROM sqlite_schema;")
            .and_then(|()| connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)))
            .unwrap();
        assert_eq!(mode, "wal", "seed {seed}");
    }
    assert!(failed > 100, "{failed}");
}

/// A node that is started again after a failed sync finds in memory what the disk may not have.
#[test]
fn what_is_found_after_a_failed_sync_can_go_unless_it_is_written_anew() {
    let (mut gone, mut stayed) = (0, 0);
    for seed in 0..40 {
        let mut disks = Disks::start(seed).unwrap();
        let disk = disks.add();
        let mut store = open(&disk).unwrap();
        store.append(&entries(1, 10), &[]).unwrap();
        disk.fail_next(Operation::Sync, 1);
        store.append(&entries(11, 10), &[]).unwrap_err();
        drop(store);
        let (image, before) = (disk.image().digest(), disk.stats().bytes_written);
        let opened = if seed % 2 == 0 { open(&disk) } else { open_in_vfs(&disk) };
        let mut store = opened.unwrap();
        assert_eq!(disk.image().digest(), image);
        assert_eq!(disk.stats().bytes_written > before, seed % 2 == 0);
        assert_eq!(all(&store), numbers(1, 20));
        store.append(&entries(21, 10), &[]).unwrap();
        drop(store);
        disk.cut(Kept::Nothing);
        disk.power_on().unwrap();
        match all(&open(&disk).unwrap()) {
            found if found == numbers(1, 30) => stayed += 1,
            // What was acknowledged is lost with what it was appended behind.
            found => {
                assert_eq!(seed % 2, 1, "seed {seed}");
                assert_eq!(found, numbers(1, 10), "seed {seed}");
                gone += 1;
            }
        }
    }
    assert!(gone > 5 && stayed > 20, "{gone} {stayed}");
}

#[test]
fn a_log_whose_making_failed_can_be_made_again() {
    let mut failed = 0;
    for seed in 0..300 {
        let mut disks = Disks::start(seed).unwrap();
        let disk = disks.add();
        disk.set_faults(Faults { sync_errors_per_mille: 200, ..Faults::NONE });
        let mut store = loop {
            match open(&disk) {
                Ok(store) => break store,
                Err(StoreError::Disk { .. }) => failed += 1,
                Err(error) => panic!("{error}"),
            }
        };
        disk.set_faults(Faults::NONE);
        store.append(&entries(1, 10), &[]).unwrap();
        drop(store);
        disk.cut(Kept::Nothing);
        disk.power_on().unwrap();
        assert_eq!(all(&open(&disk).unwrap()), numbers(1, 10), "seed {seed}");
    }
    assert!(failed > 20, "{failed}");
}

#[test]
fn a_close_that_fails_says_so_and_loses_nothing() {
    for operation in [Operation::Write, Operation::Sync] {
        let mut disks = Disks::start(1).unwrap();
        let disk = disks.add();
        let mut store = open(&disk).unwrap();
        store.append(&entries(1, 10), &[]).unwrap();
        disk.fail_next(operation, 1);
        let error = store.close().unwrap_err();
        assert!(matches!(error, StoreError::Disk { .. }), "{operation:?}: {error}");
        disk.cut(Kept::Nothing);
        disk.power_on().unwrap();
        assert_eq!(all(&open(&disk).unwrap()), numbers(1, 10), "{operation:?}");
    }
}
