//! Outcomes of commands: the last ones are kept, over any number of restarts, and nothing else.

use popmesh_proto::io::StoredReply;

use super::{open, stored_reply};
use crate::{ANSWERS_KEPT, key_prefix};

/// What commands `from..to` did, each under a key of its own.
fn replies(from: usize, to: usize) -> Vec<StoredReply> {
    let reply = |number: usize| {
        let mut stored = stored_reply(0, &format!("Drop {number}"));
        stored.idempotency.key[..8].copy_from_slice(&(number as u64).to_be_bytes());
        stored
    };
    (from..to).map(reply).collect()
}

fn rows(folder: &std::path::Path) -> i64 {
    let connection = rusqlite::Connection::open(folder.join(crate::DATABASE_FILE)).unwrap();
    connection.query_row("SELECT count(*) FROM answers", [], |row| row.get(0)).unwrap()
}

#[test]
fn the_last_outcomes_are_kept_and_the_disk_does_not_fill_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    let all = ANSWERS_KEPT + 30_000;
    let mut ids = Vec::new();
    for from in (0..all).step_by(1_000) {
        let some = replies(from, from + 1_000);
        let first = store.append(&[], &some).unwrap();
        ids.extend((0..some.len()).map(|later| first.plus(later)));
    }
    // What the runtime may still ask for while it has not heard of the last write.
    let oldest = all - ANSWERS_KEPT - 4_096;
    assert_eq!(store.answer(ids[oldest]).unwrap(), replies(oldest, oldest + 1)[0]);
    store.close().unwrap();
    let stored = rows(folder.path());
    assert!(stored <= ANSWERS_KEPT as i64 + 10_000, "{stored} outcomes are stored");
    let bytes = std::fs::metadata(folder.path().join(crate::DATABASE_FILE)).unwrap().len();

    // A restart finds just the last ones, and goes on numbering.
    let (mut store, loaded) = open(folder.path()).unwrap();
    assert_eq!(loaded.answers.len(), ANSWERS_KEPT);
    let wanted = replies(all - ANSWERS_KEPT, all);
    let keys: Vec<_> = wanted.iter().map(|stored| key_prefix(&stored.idempotency.key)).collect();
    assert_eq!(loaded.answers.iter().map(|(key, _)| *key).collect::<Vec<_>>(), keys);
    for at in [0, 1, ANSWERS_KEPT / 2, ANSWERS_KEPT - 1] {
        assert_eq!(store.answer(loaded.answers[at].1).unwrap(), wanted[at]);
    }
    for from in (all..all + 30_000).step_by(500) {
        store.append(&[], &replies(from, from + 500)).unwrap();
    }
    store.close().unwrap();
    let after = std::fs::metadata(folder.path().join(crate::DATABASE_FILE)).unwrap().len();
    assert!(after <= bytes + bytes / 50, "the database grew from {bytes} to {after} bytes");
}

#[test]
fn a_database_with_far_too_many_loses_them_a_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    store.close().unwrap();
    let connection = rusqlite::Connection::open(folder.path().join(crate::DATABASE_FILE)).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200000)
             INSERT INTO answers SELECT n, randomblob(32), randomblob(32), x'7b7d' FROM n",
        )
        .unwrap();
    drop(connection);
    let (mut store, loaded) = open(folder.path()).unwrap();
    assert_eq!(loaded.answers.len(), ANSWERS_KEPT);
    store.append(&[], &replies(0, 1)).unwrap();
    store.close().unwrap();
    let stored = rows(folder.path());
    assert!((198_000..200_000).contains(&stored), "one write forgets {}", 200_001 - stored);
    let (mut store, _) = open(folder.path()).unwrap();
    for number in 1..200 {
        store.append(&[], &replies(number, number + 1)).unwrap();
    }
    store.close().unwrap();
    assert!(rows(folder.path()) <= ANSWERS_KEPT as i64 + 10_000);
}
