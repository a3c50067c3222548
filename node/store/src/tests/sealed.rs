//! Sealed payloads: there after a power cut, and after they were deleted in no file any more.

use std::collections::BTreeSet;
use std::path::Path;

use popmesh_proto::id::{ChainId, Ref};
use popmesh_proto::io::{Sealed, SealedWrites};

use super::{entry, open};
use crate::DATABASE_FILE;

const CHAIN: u8 = 7;
/// The sizes that sealed payloads have.
const SIZES: [usize; 5] = [256, 512, 1024, 2048, 4096];

fn payload(seq: u64) -> Vec<u8> {
    // Every eight bytes of it are in no other.
    let size = SIZES[(seq % 5) as usize];
    (0..size as u64 / 8).flat_map(|word| ((seq << 32 | word) ^ 0xa5a5_5a5a_c3c3_3c3c).to_be_bytes()).collect()
}

fn of(seq: u64) -> Ref {
    Ref { chain: ChainId([CHAIN; 16]), seq }
}

fn keep(seqs: impl Iterator<Item = u64>) -> SealedWrites {
    let kept = seqs.map(|seq| Sealed { entry: of(seq), payload: payload(seq) }).collect();
    SealedWrites { kept, erased: Vec::new() }
}

fn erase(seqs: impl Iterator<Item = u64>) -> SealedWrites {
    SealedWrites { kept: Vec::new(), erased: seqs.map(of).collect() }
}

/// The payloads of which any file of the folder has as much as eight bytes.
fn found(folder: &Path, seqs: std::ops::RangeInclusive<u64>) -> BTreeSet<u64> {
    let mut words = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        words.extend(bytes.windows(8).map(|word| u64::from_be_bytes(word.try_into().unwrap())));
    }
    let is_there = |seq: &u64| {
        payload(*seq).chunks(8).any(|word| words.contains(&u64::from_be_bytes(word.try_into().unwrap())))
    };
    seqs.filter(is_there).collect()
}

#[test]
fn what_is_erased_is_in_no_file_and_what_is_kept_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    let mut left: BTreeSet<u64> = BTreeSet::new();
    for round in 0..8 {
        let fresh = round * 25 + 1..=round * 25 + 25;
        let entries: Vec<_> = fresh.clone().map(|seq| entry(CHAIN, seq, b"personal")).collect();
        store.append_with(&entries, &[], &keep(fresh.clone()), &[]).unwrap();
        left.extend(fresh);
        assert_eq!(found(folder.path(), 1..=200), left, "what is kept is not in the files");
        // Every third of the older ones, and of the newest one that is still in the write-ahead log alone.
        let gone: Vec<u64> = left.iter().copied().filter(|seq| (seq + round) % 3 == 0).collect();
        store.append_with(&[], &[], &erase(gone.iter().copied()), &[]).unwrap();
        gone.iter().for_each(|seq| assert!(left.remove(seq)));
        assert_eq!(found(folder.path(), 1..=200), left, "round {round}");
    }
    // As a power cut leaves it.
    drop(store);
    let (store, _) = open(folder.path()).unwrap();
    let kept: Vec<Sealed> = keep(left.iter().copied()).kept;
    assert_eq!(store.sealed().unwrap(), kept);
    assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    store.close().unwrap();
    assert_eq!(found(folder.path(), 1..=200), left);
}

#[test]
fn a_cut_between_the_write_and_the_cleaning_is_made_up_for_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    let entries: Vec<_> = (1..=3).map(|seq| entry(CHAIN, seq, b"personal")).collect();
    store.append_with(&entries, &[], &keep(1..=3), &[]).unwrap();
    // The write alone.
    let transaction = crate::transaction::Transaction::begin(&store.connection).unwrap();
    let changes = store.sealed.write(&transaction, &erase(2..=2), |_| Some(1)).unwrap();
    transaction.commit().unwrap();
    drop(changes);
    drop(store);
    assert!(found(folder.path(), 1..=3).contains(&2), "this shows nothing: it is gone already");
    let (mut store, _) = open(folder.path()).unwrap();
    store.clean().unwrap();
    assert_eq!(found(folder.path(), 1..=3), BTreeSet::from([1, 3]));
    let entries: Vec<Ref> = store.sealed().unwrap().into_iter().map(|sealed| sealed.entry).collect();
    assert_eq!(entries, [of(1), of(3)]);
}

#[test]
fn what_comes_again_replaces_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    store.append_with(&[entry(CHAIN, 1, b"personal")], &[], &keep(1..=1), &[]).unwrap();
    let other = Sealed { entry: of(1), payload: payload(2) };
    let writes = SealedWrites { kept: vec![other.clone()], erased: vec![of(1)] };
    store.append_with(&[], &[], &writes, &[]).unwrap();
    assert_eq!(store.sealed().unwrap(), std::slice::from_ref(&other));
    assert_eq!(found(folder.path(), 1..=2), BTreeSet::from([2]));
    drop(store);
    let (mut store, _) = open(folder.path()).unwrap();
    assert_eq!(store.sealed().unwrap(), [other]);
    // Nothing is there to be deleted: nothing happens.
    store.append_with(&[], &[], &erase(5..=6), &[]).unwrap();
    assert!(folder.path().join(DATABASE_FILE).exists());
}

#[test]
fn a_database_without_the_table_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    store.append(&[entry(CHAIN, 1, b"old")], &[]).unwrap();
    store
        .connection
        .execute_batch(
            "DROP TABLE sealed; DROP TABLE events; DROP TABLE event_runs; PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(store);
    let (mut store, loaded) = open(folder.path()).unwrap();
    assert_eq!(loaded.entries, 1);
    store.append_with(&[entry(CHAIN, 2, b"new")], &[], &keep(2..=2), &[]).unwrap();
    assert_eq!(store.sealed().unwrap().len(), 1);
}
