//! The virtual disks, under the production store and under SQLite alone.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod cuts;
mod failures;
mod images;
mod promises;
mod sqlite;

use popmesh_proto::id::{ChainId, DeviceId, EventId};
use popmesh_proto::identity::Signature;
use popmesh_proto::io::Entry;
use popmesh_simulator::disk::{CHECKPOINT_PAGES, Disk, VFS};
use popmesh_store::{Store, StoreError};

const EVENT: EventId = EventId([1; 32]);
const DEVICE: DeviceId = DeviceId([2; 32]);

fn open(disk: &Disk) -> Result<Store, StoreError> {
    disk.open_log(EVENT, DEVICE).map(|(store, _)| store)
}

/// Opens without what the store and the disk do about syncs that failed before.
fn open_in_vfs(disk: &Disk) -> Result<Store, StoreError> {
    Store::open_in_vfs(&disk.path(), EVENT, DEVICE, VFS, CHECKPOINT_PAGES).map(|(store, _)| store)
}

fn entries(from: u64, count: u64) -> Vec<Entry> {
    let entry = |seq| Entry {
        chain: ChainId([7; 16]),
        seq,
        body: vec![seq as u8; 300],
        signature: Some(Signature([seq as u8; 64])),
    };
    (from..from + count).map(entry).collect()
}

/// The sequence numbers of all entries, which are as [`entries`] makes them.
fn all(store: &Store) -> Vec<u64> {
    let found: Vec<Entry> = store.entries().collect::<Result<_, _>>().unwrap();
    for entry in &found {
        assert_eq!(*entry, entries(entry.seq, 1)[0]);
    }
    found.iter().map(|entry| entry.seq).collect()
}

/// `count` sequence numbers.
fn numbers(from: u64, count: u64) -> Vec<u64> {
    (from..from + count).collect()
}
