//! What SQLite finds in the virtual file system, and that weaker settings than the store's are seen to lose.

use popmesh_simulator::disk::{Disk, DiskError, Disks, Kept, VFS};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{all, entries, numbers, open};

fn connect(disk: &Disk) -> rusqlite::Result<Connection> {
    Connection::open_with_flags_and_vfs(disk.path(), OpenFlags::default(), VFS)
}

/// Lets the power fail under SQLite with these settings, and counts the times that something committed was gone.
fn times_lost(settings: &str, cuts: u64) -> u64 {
    let mut lost = 0;
    for seed in 0..cuts {
        let mut disks = Disks::start(seed).unwrap();
        let disk = disks.add();
        let connection = connect(&disk).unwrap();
        connection.execute_batch(settings).unwrap();
        connection.execute_batch("CREATE TABLE numbers (number INTEGER PRIMARY KEY)").unwrap();
        disk.arm_fuse(1 + seed % 60, Kept::Any);
        let mut committed = 0;
        while connection.execute("INSERT INTO numbers VALUES (?1)", [committed + 1]).is_ok() {
            committed += 1;
        }
        drop(connection);
        disk.power_on().unwrap();
        let connection = connect(&disk).unwrap();
        connection.execute_batch(settings).unwrap();
        let found: rusqlite::Result<i64> =
            connection.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0));
        lost += u64::from(!found.is_ok_and(|found| found >= committed));
    }
    lost
}

const WAL: &str = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;";

#[test]
fn full_loses_nothing() {
    assert_eq!(times_lost(&format!("{WAL} PRAGMA synchronous = FULL;"), 1_000), 0);
}

#[test]
fn normal_is_seen_to_lose() {
    let lost = times_lost(&format!("{WAL} PRAGMA synchronous = NORMAL;"), 200);
    assert!(lost > 20, "{lost}");
}

#[test]
fn off_is_seen_to_lose() {
    let lost = times_lost(&format!("{WAL} PRAGMA synchronous = OFF;"), 200);
    assert!(lost > 20, "{lost}");
}

#[test]
fn a_rollback_journal_is_seen_to_come_back_because_its_removal_was_not_synced() {
    let lost = times_lost("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;", 400);
    assert!(lost > 0, "{lost}");
    assert_eq!(times_lost("PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA;", 400), 0);
}

#[test]
fn without_shared_memory_there_is_a_write_ahead_log_only_under_an_exclusive_lock() {
    let mut disks = Disks::start(1).unwrap();
    let disk = disks.add();
    let mode = |settings: &str| {
        let connection = connect(&disk).unwrap();
        connection.execute_batch(settings).unwrap();
        connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
            .unwrap_or_else(|error| error.to_string())
    };
    assert_eq!(mode(""), "delete");
    assert_eq!(mode("PRAGMA locking_mode = EXCLUSIVE"), "wal");
}

#[test]
fn two_connections_lock_each_other_out() {
    let mut disks = Disks::start(1).unwrap();
    let disk = disks.add();
    let (one, two) = (connect(&disk).unwrap(), connect(&disk).unwrap());
    two.busy_timeout(std::time::Duration::ZERO).unwrap();
    one.execute_batch("CREATE TABLE t (x); BEGIN IMMEDIATE; INSERT INTO t VALUES (1);").unwrap();
    let code = |result: rusqlite::Result<()>| result.unwrap_err().sqlite_error_code();
    assert_eq!(code(two.execute_batch("INSERT INTO t VALUES (2)")), Some(ErrorCode::DatabaseBusy));
    one.execute_batch("COMMIT; BEGIN; SELECT * FROM t;").unwrap();
    two.execute_batch("BEGIN; INSERT INTO t VALUES (2);").unwrap();
    one.execute_batch("COMMIT").unwrap();
    two.execute_batch("COMMIT").unwrap();
    let sum: i64 = one.query_row("SELECT sum(x) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(sum, 3);
}

#[test]
fn sqlite_is_told_the_time_of_the_run() {
    let disks = Disks::start(1).unwrap();
    disks.set_time(1_234_567_890_123);
    let connection = Connection::open_in_memory().unwrap();
    let now: String =
        connection.query_row("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')", [], |row| row.get(0)).unwrap();
    assert_eq!(now, "2009-02-13 23:31:30.123");
}

#[test]
fn sorting_more_than_fits_into_memory_goes_to_a_disk_apart() {
    let mut disks = Disks::start(1).unwrap();
    let disk = disks.add();
    let connection = connect(&disk).unwrap();
    connection.execute_batch("PRAGMA cache_size = 10; PRAGMA temp_store = FILE;").unwrap();
    let before = disk.stats();
    let count: i64 = connection
        .query_row(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50000)
             SELECT count(*) FROM (SELECT DISTINCT hex(x * 7919 % 50021) || hex(zeroblob(50)) AS y FROM n ORDER BY y)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(count, 50_000);
    assert_eq!(disk.stats().writes, before.writes);
}

#[test]
fn a_thread_has_one_run_and_finds_no_others() {
    let mut disks = Disks::start(1).unwrap();
    assert_eq!(Disks::start(2).map(|_| ()), Err(DiskError::RunUnderWay));
    let disk = disks.add();
    let store = open(&disk).unwrap();
    let (path, mut store) = (disk.path(), store);
    let store = std::thread::spawn(move || {
        let error = Connection::open_with_flags_and_vfs(path, OpenFlags::default(), VFS).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen));
        // A file that is open can be used from anywhere.
        store.append(&entries(1, 5), &[]).unwrap();
        store
    })
    .join()
    .unwrap();
    assert_eq!(all(&store), numbers(1, 5));
    drop(store);
    drop(disks);
    // Its disks are gone with it.
    let mut disks = Disks::start(2).unwrap();
    open(&disk).unwrap_err();
    assert!(open(&disks.add()).unwrap().is_empty());
}

#[test]
fn a_disk_that_was_taken_away_cannot_be_opened() {
    let mut disks = Disks::start(1).unwrap();
    let (one, two) = (disks.add(), disks.add());
    disks.remove(&one);
    open(&one).unwrap_err();
    open(&two).unwrap();
    assert_ne!(disks.add().path(), one.path());
}
