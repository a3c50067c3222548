//! The mark beside the database.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use popmesh_proto::id::{ChainId, DeviceId, Hash, ReceiptHash};
use popmesh_proto::mark::{End, Mark, Marking};
use proptest::prelude::*;

use super::{EVENT, entry, open};
use crate::{MARK_FILE, Store};

fn end(chain: u8, seq: u64) -> End {
    End { chain: ChainId([chain; 16]), seq, hash: Hash([seq as u8; 32]) }
}

fn ends(ends: &[End]) -> Marking {
    Marking { ends: ends.to_vec(), ..Marking::default() }
}

/// What the next start finds.
fn found(folder: &Path) -> (Option<Mark>, bool) {
    let (_, loaded) = open(folder).unwrap();
    (loaded.mark, loaded.restored)
}

fn written(folder: &Path, markings: &[Marking]) -> Mark {
    let (mut store, loaded) = open(folder).unwrap();
    store.begin_mark();
    let mut mark = loaded.mark.unwrap_or_default();
    for marking in markings {
        store.write_mark(marking);
        mark.take(marking);
    }
    mark
}

#[test]
fn a_new_folder_has_no_mark_and_nothing_is_doubted() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(found(folder.path()), (None, false));
    // Nor after a start that wrote nothing.
    written(folder.path(), &[]);
    assert_eq!(found(folder.path()), (Some(Mark::default()), false));
}

#[test]
fn a_mark_that_was_lost_or_is_of_another_device_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mark = written(folder.path(), &[ends(&[end(1, 1)])]);
    assert_eq!(found(folder.path()), (Some(mark), false));
    let path = folder.path().join(MARK_FILE);
    let bytes = fs::read(&path).unwrap();
    for spoilt in [&bytes[..0], &bytes[..79], &[&[0u8; 80], &bytes[80..]].concat()[..]] {
        fs::write(&path, spoilt).unwrap();
        assert_eq!(found(folder.path()), (None, true));
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(found(folder.path()), (None, true));
    fs::write(&path, &bytes).unwrap();
    assert!(!found(folder.path()).1);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join(MARK_FILE), &bytes).unwrap();
    let (_, loaded) = Store::open(elsewhere.path(), EVENT, DeviceId([9; 32])).unwrap();
    assert_eq!((loaded.mark, loaded.restored), (None, false));
}

#[test]
fn it_outlives_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    store.begin_mark();
    store.append(&[entry(1, 1, b"a")], &[]).unwrap();
    store.write_mark(&ends(&[end(1, 1)]));
    store.close().unwrap();
    fs::remove_file(folder.path().join(crate::DATABASE_FILE)).unwrap();
    let (mark, restored) = found(folder.path());
    assert_eq!(mark.unwrap().ends.len(), 1);
    assert!(!restored, "what is missing is known");
}

#[test]
fn what_is_torn_says_less_and_hides_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let markings = [ends(&[end(1, 1)]), ends(&[end(2, 1)]), ends(&[end(1, 2)])];
    written(folder.path(), &markings);
    let path = folder.path().join(MARK_FILE);
    let whole = fs::read(&path).unwrap();
    for length in 80..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let mark = found(folder.path()).0.unwrap();
        assert!(
            mark.ends.iter().all(|(chain, (seq, _))| *seq <= if *chain == ChainId([1; 16]) { 2 } else { 1 })
        );
    }
    // A slot in the middle.
    let mut torn = whole.clone();
    torn[80 + 64 + 5] ^= 1;
    fs::write(&path, &torn).unwrap();
    let mark = found(folder.path()).0.unwrap();
    assert_eq!(mark.ends.get(&ChainId([1; 16])).map(|(seq, _)| *seq), Some(2));
    // What follows a torn end is written over it.
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&[7; 13]).unwrap();
    let mark = written(folder.path(), &[ends(&[end(3, 9)])]);
    assert_eq!(found(folder.path()).0, Some(mark));
}

#[test]
fn it_does_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let many: Vec<Marking> = (1..=20_000).map(|seq| ends(&[end(1, seq)])).collect();
    let mark = written(folder.path(), &many);
    assert!(File::open(folder.path().join(MARK_FILE)).unwrap().metadata().unwrap().len() <= (1 << 20) + 64);
    assert_eq!(found(folder.path()).0, Some(mark));
}

fn any_marking() -> impl Strategy<Value = Marking> {
    let ends = proptest::collection::vec((0u8..4, 1u64..1_000), 0..4);
    let receipt = proptest::option::of((1u64..1_000, any::<[u8; 16]>()));
    let lost = proptest::collection::btree_map(any::<[u8; 16]>().prop_map(ChainId), any::<u64>(), 0..3);
    (ends, receipt, proptest::option::of(lost)).prop_map(|(ends, receipt, anew)| Marking {
        anew: anew.map(|lost| Mark { lost, ..Mark::default() }),
        ends: ends.into_iter().map(|(chain, seq)| end(chain, seq)).collect(),
        receipt: receipt.map(|(number, hash)| (number, ReceiptHash(hash))),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_was_marked_is_read_back(starts in proptest::collection::vec(proptest::collection::vec(any_marking(), 0..8), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        for markings in starts {
            let mark = written(folder.path(), &markings);
            prop_assert_eq!(found(folder.path()), (Some(mark), false));
        }
    }

    #[test]
    fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), &[]);
        let path = folder.path().join(MARK_FILE);
        let head = fs::read(&path).unwrap();
        fs::write(&path, [&head[..80], &bytes].concat()).unwrap();
        prop_assert!(found(folder.path()).0.is_some());
    }
}
