//! A cut in the middle of every single operation.

use popmesh_simulator::disk::{Disks, Kept};

use crate::{all, entries, numbers, open, open_in_vfs};

const KEPT: [Kept; 4] = [Kept::Nothing, Kept::Everything, Kept::Prefix, Kept::Some];

#[test]
fn an_append_cut_in_any_operation_is_whole_or_gone() {
    for kept in KEPT {
        let (mut whole, mut gone) = (0, 0);
        for operation in 1.. {
            let mut disks = Disks::start(operation).unwrap();
            let disk = disks.add();
            let mut store = open(&disk).unwrap();
            store.append(&entries(1, 5), &[]).unwrap();
            let before = disk.stats();
            disk.arm_fuse(operation, kept);
            let appended = store.append(&entries(6, 20), &[]);
            if appended.is_ok() {
                // It takes as many operations as could be cut.
                assert_eq!(disk.stats().operations - before.operations, operation - 1);
                assert!(operation > 5);
                break;
            }
            assert!(disk.fuse_blown() && !disk.is_on());
            drop(store);
            disk.power_on().unwrap();
            assert!(!disk.fuse_blown());
            let store = open(&disk).unwrap();
            match all(&store) {
                found if found == numbers(1, 25) => whole += 1,
                found if found == numbers(1, 5) => gone += 1,
                found => panic!("{kept:?}, operation {operation}: {} entries", found.len()),
            }
            assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
        }
        assert!(gone > 3, "{kept:?}: {gone}");
        match kept {
            Kept::Nothing => assert_eq!(whole, 0),
            Kept::Everything => assert!(whole > 0),
            _ => {}
        }
    }
}

#[test]
fn a_log_whose_making_or_recovery_is_cut_in_any_operation_is_made_or_recovered_later() {
    for appended in [0, 5] {
        for kept in KEPT {
            for operation in 1.. {
                let mut disks = Disks::start(operation).unwrap();
                let disk = disks.add();
                if appended > 0 {
                    open_in_vfs(&disk).unwrap().append(&entries(1, appended), &[]).unwrap();
                }
                disk.arm_fuse(operation, kept);
                if open_in_vfs(&disk).is_ok() {
                    assert!(operation > 10);
                    break;
                }
                disk.power_on().unwrap();
                assert_eq!(all(&open_in_vfs(&disk).unwrap()), numbers(1, appended), "{kept:?}, {operation}");
            }
        }
    }
}

#[test]
fn a_close_cut_in_any_operation_loses_nothing() {
    for kept in KEPT {
        for operation in 1.. {
            let mut disks = Disks::start(operation).unwrap();
            let disk = disks.add();
            let mut store = open(&disk).unwrap();
            store.append(&entries(1, 200), &[]).unwrap();
            disk.arm_fuse(operation, kept);
            let closed = store.close().is_ok();
            if closed && !disk.fuse_blown() {
                assert!(operation > 10);
                break;
            }
            disk.power_on().unwrap();
            assert_eq!(all(&open(&disk).unwrap()), numbers(1, 200), "{kept:?}, {operation}");
        }
    }
}

#[test]
fn a_fuse_that_was_taken_out_does_not_blow() {
    let mut disks = Disks::start(1).unwrap();
    let disk = disks.add();
    disk.arm_fuse(3, Kept::Nothing);
    disk.disarm_fuse();
    open(&disk).unwrap().append(&entries(1, 5), &[]).unwrap();
    assert!(disk.is_on() && !disk.fuse_blown());
}
