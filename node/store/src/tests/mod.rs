//! The store against real files.

mod answers;
mod damage;
mod events;
mod marks;
mod mounts;
mod sealed;

use std::path::Path;

use popmesh_proto::command::{DropInfo, Reply};
use popmesh_proto::id::{ChainId, DeviceId, EventId};
use popmesh_proto::identity::Signature;
use popmesh_proto::io::{Entry, Idempotency, StoredReply};
use proptest::prelude::*;

use crate::{DATABASE_FILE, LOCK_FILE, Loaded, PAGE_ENTRIES, Store, StoreError, key_prefix};

const EVENT: EventId = EventId([1; 32]);
const DEVICE: DeviceId = DeviceId([2; 32]);

fn open(folder: &Path) -> Result<(Store, Loaded), StoreError> {
    Store::open(folder, EVENT, DEVICE)
}

fn entry(chain: u8, seq: u64, body: &[u8]) -> Entry {
    Entry {
        chain: ChainId([chain; 16]),
        seq,
        body: body.to_vec(),
        signature: Some(Signature([seq as u8; 64])),
    }
}

fn stored_reply(key: u8, title: &str) -> StoredReply {
    let drop = "d1".parse().unwrap();
    let reply = Reply::Drop(DropInfo::planned(drop, title.to_owned()));
    StoredReply { idempotency: Idempotency { key: [key; 32], request: [key ^ 0xff; 32] }, reply }
}

fn all(store: &Store) -> Vec<Entry> {
    store.entries().collect::<Result<_, _>>().unwrap()
}

fn message(result: Result<(Store, Loaded), StoreError>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

prop_compose! {
    fn any_entry()(
        chain in 0u8..5,
        seq in any::<u64>(),
        body in proptest::collection::vec(any::<u8>(), 0..400),
        signature in proptest::option::of(any::<u8>()),
    ) -> Entry {
        Entry { chain: ChainId([chain; 16]), seq, body, signature: signature.map(|byte| Signature([byte; 64])) }
    }
}

prop_compose! {
    fn any_batch()(
        entries in proptest::collection::vec(any_entry(), 0..20),
        keys in proptest::collection::vec(any::<u8>(), 0..4),
    ) -> (Vec<Entry>, Vec<StoredReply>) {
        (entries, keys.into_iter().map(|key| stored_reply(key, "A drop")).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever was appended, in whatever batches and with whatever restarts between, is read back the same.
    #[test]
    fn what_is_appended_is_read_back(
        batches in proptest::collection::vec((any_batch(), 0u8..3), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, loaded) = open(folder.path()).unwrap();
        prop_assert_eq!(loaded, Loaded::default());
        let mut entries = Vec::new();
        let mut replies = Vec::new();
        for ((more_entries, more_replies), restart) in batches {
            let first = store.append(&more_entries, &more_replies).unwrap();
            for (later, reply) in more_replies.iter().enumerate() {
                prop_assert_eq!(&store.answer(first.plus(later)).unwrap(), reply);
            }
            entries.extend(more_entries);
            replies.extend(more_replies);
            if restart > 0 {
                if restart == 1 { store.close().unwrap() } else { drop(store) }
                let (again, loaded) = open(folder.path()).unwrap();
                store = again;
                prop_assert_eq!(loaded.entries, entries.len() as u64);
                prop_assert_eq!(loaded.answers.len(), replies.len());
                for ((prefix, id), reply) in loaded.answers.iter().zip(&replies) {
                    prop_assert_eq!(*prefix, key_prefix(&reply.idempotency.key));
                    prop_assert_eq!(&store.answer(*id).unwrap(), reply);
                }
            }
        }
        prop_assert_eq!(all(&store), entries);
        prop_assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn pages_end_where_the_log_ends() {
    for count in [0, 1, PAGE_ENTRIES - 1, PAGE_ENTRIES, PAGE_ENTRIES + 1, 2 * PAGE_ENTRIES] {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = open(folder.path()).unwrap();
        let entries: Vec<Entry> = (1..=count as u64).map(|seq| entry(1, seq, b"x")).collect();
        store.append(&entries, &[]).unwrap();
        assert_eq!(all(&store), entries, "{count} entries");
    }
}

#[test]
fn a_failed_append_leaves_nothing_and_does_not_confuse_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    let kept = [entry(1, 1, b"kept")];
    store.append(&kept, &[stored_reply(1, "kept")]).unwrap();
    limit_pages(&store, 0);

    let large = vec![7; 100_000];
    let refused = [entry(2, 1, b"small"), entry(3, 1, &large)];
    let error = store.append(&refused, &[stored_reply(2, "lost")]).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
    assert_eq!(all(&store), kept);

    limit_pages(&store, 1_000_000);
    store.probe().unwrap();
    let after = [entry(4, 1, b"after"), entry(2, 1, b"again")];
    let id = store.append(&after, &[stored_reply(3, "after")]).unwrap();
    assert_eq!(store.answer(id).unwrap(), stored_reply(3, "after"));
    store.close().unwrap();
    let (store, loaded) = open(folder.path()).unwrap();
    assert_eq!(all(&store), [&kept[..], &after[..]].concat());
    assert_eq!(loaded.answers.len(), 2);
}

#[test]
fn a_probe_fails_while_there_is_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    limit_pages(&store, 0);
    assert!(matches!(store.probe(), Err(StoreError::Full { .. })));
    limit_pages(&store, 1_000_000);
    store.probe().unwrap();
}

/// Below the present size, SQLite takes the present size as the limit.
fn limit_pages(store: &Store, pages: i64) {
    let limit = pages.max(1);
    store.connection.pragma_update_and_check(None, "max_page_count", limit, |_| Ok(())).unwrap();
}

#[test]
fn the_modes_that_durability_hangs_on_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    let text =
        |name: &str| -> String { store.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap() };
    let number =
        |name: &str| -> i64 { store.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap() };
    assert_eq!(text("journal_mode"), "wal");
    assert_eq!(text("locking_mode"), "exclusive");
    assert_eq!(number("synchronous"), 2);
    assert_eq!(number("application_id"), 0x706f_706d);
    assert_eq!(number("user_version"), 3);
}

#[test]
fn a_second_node_on_the_folder_is_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    let error = message(open(folder.path()));
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(store);
    open(folder.path()).unwrap();
    assert!(folder.path().join(LOCK_FILE).exists());
}

#[test]
fn a_program_that_looks_into_the_database_keeps_it_from_being_opened() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap().0.close().unwrap();
    let other = rusqlite::Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
    other.execute_batch("BEGIN; SELECT * FROM meta;").unwrap();
    let error = message(open(folder.path()));
    assert!(error.contains("another program"), "{error}");
}

#[test]
fn another_event_or_device_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap();
    let event = message(Store::open(folder.path(), EventId([9; 32]), DEVICE));
    assert!(event.contains("belongs to event 0101"), "{event}");
    let device = message(Store::open(folder.path(), EVENT, DeviceId([9; 32])));
    assert!(device.contains("belongs to device 0202"), "{device}");
    open(folder.path()).unwrap();
}
