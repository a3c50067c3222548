//! Disks that are full or read-only, for real: on small file systems in memory, mounted where only the test sees them.

use std::fs;

use super::{all, entry, message, open};
use crate::StoreError;
use crate::testing::{mount, with_own_mounts};

#[test]
fn a_full_disk_loses_nothing_and_works_again_once_there_is_room() {
    with_own_mounts(
        "tests::mounts::a_full_disk_loses_nothing_and_works_again_once_there_is_room",
        |folder| {
            mount(&["-t", "tmpfs", "-o", "size=4m", "none"], folder);
            let (mut store, _) = open(folder).unwrap();
            let filler = folder.join("filler");
            fs::write(&filler, vec![0; 2 << 20]).unwrap();

            let mut stored = Vec::new();
            let error = (1..1_000)
                .find_map(|seq| {
                    let entry = entry(1, seq, &[seq as u8; 10_000]);
                    match store.append(std::slice::from_ref(&entry), &[]) {
                        Ok(_) => {
                            stored.push(entry);
                            None
                        }
                        Err(error) => Some(error),
                    }
                })
                .expect("4 MiB take no 10 MB");
            assert!(matches!(error, StoreError::Full { .. }), "{error}");
            assert!(stored.len() > 10, "{} stored", stored.len());
            assert_eq!(all(&store), stored);
            assert!(matches!(store.probe(), Err(StoreError::Full { .. })));

            fs::remove_file(filler).unwrap();
            store.probe().unwrap();
            let last = entry(1, 5_000, b"there is room");
            store.append(std::slice::from_ref(&last), &[]).unwrap();
            stored.push(last);
            drop(store);
            let (store, _) = open(folder).unwrap();
            assert_eq!(all(&store), stored);
            assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
        },
    );
}

#[test]
fn a_disk_that_is_full_from_the_start_is_refused() {
    with_own_mounts("tests::mounts::a_disk_that_is_full_from_the_start_is_refused", |folder| {
        mount(&["-t", "tmpfs", "-o", "size=512k", "none"], folder);
        fs::write(folder.join("filler"), vec![0; 127 * 4_096]).unwrap();
        let error = message(open(folder));
        assert!(error.contains("is full; make room"), "{error}");
        fs::remove_file(folder.join("filler")).unwrap();
        open(folder).unwrap();
    });
}

#[test]
fn a_read_only_disk_is_refused_at_the_start() {
    with_own_mounts("tests::mounts::a_read_only_disk_is_refused_at_the_start", |folder| {
        mount(&["-t", "tmpfs", "none"], folder);
        open(folder).unwrap();
        mount(&["-o", "remount,ro"], folder);
        let error = message(open(folder));
        assert!(error.contains("is read-only"), "{error}");
        mount(&["-o", "remount,rw"], folder);
        open(folder).unwrap();
    });
}

#[test]
fn a_database_file_that_is_read_only_is_refused() {
    with_own_mounts("tests::mounts::a_database_file_that_is_read_only_is_refused", |folder| {
        open(folder).unwrap();
        let database = folder.join(crate::DATABASE_FILE);
        mount(&["--bind", &database.to_string_lossy()], &database);
        mount(&["-o", "remount,bind,ro"], &database);
        let error = message(open(folder));
        assert!(error.contains("is read-only"), "{error}");
    });
}
