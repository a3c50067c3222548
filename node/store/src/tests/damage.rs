//! Databases that are not what was written: refused with words that help, and left as they are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use super::{entry, message, open, stored_reply};
use crate::{DATABASE_FILE, LOCK_FILE, Store, StoreError};

const WAL: &str = "popmesh.db-wal";

/// A folder with 3,000 entries, in the database alone (`closed`) or partly still in the write-ahead log.
fn folder(closed: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    let entries: Vec<_> = (1..=3_000).map(|seq| entry(1, seq, &[seq as u8; 200])).collect();
    store.append(&entries, &[stored_reply(1, "first")]).unwrap();
    store.close().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    store.append(&entries, &[]).unwrap();
    if closed {
        store.close().unwrap();
        assert!(!folder.path().join(WAL).exists());
    } else {
        drop(store);
        assert!(fs::metadata(folder.path().join(WAL)).unwrap().len() > 100_000);
    }
    folder
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .filter(|(name, _)| name != LOCK_FILE)
        // SQLite makes an empty one when it looks for a log, and takes it for none.
        .filter(|(name, bytes)| name != WAL || !bytes.is_empty())
        .collect()
}

fn read_all(folder: &Path) -> Result<usize, StoreError> {
    let (store, _) = open(folder)?;
    let mut count = 0;
    for entry in store.entries() {
        entry?;
        count += 1;
    }
    Ok(count)
}

/// Opens and reads, and expects words about damage and no byte changed.
fn assert_refused(what: &str, folder: &Path) {
    let before = files(folder);
    let error = read_all(folder).expect_err(what);
    assert!(matches!(error, StoreError::Damaged { .. }), "{what}: {error}");
    assert!(error.to_string().contains("start again"), "{what}: {error}");
    assert!(files(folder) == before, "{what}: files were changed");
    // It stays refused.
    read_all(folder).expect_err(what);
}

fn overwrite(path: &Path, at: usize, with: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    fs::write(path, bytes).unwrap();
}

fn truncate(path: &Path, bytes: u64) {
    File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

#[test]
fn an_undamaged_folder_is_read() {
    assert_eq!(read_all(folder(true).path()).unwrap(), 6_000);
    assert_eq!(read_all(folder(false).path()).unwrap(), 6_000);
}

#[test]
fn a_garbage_header_is_refused() {
    for closed in [true, false] {
        let folder = folder(closed);
        overwrite(&folder.path().join(DATABASE_FILE), 0, b"no database here");
        assert_refused("garbage header", folder.path());
    }
}

#[test]
fn a_missing_database_beside_its_log_is_refused() {
    let folder = folder(false);
    fs::remove_file(folder.path().join(DATABASE_FILE)).unwrap();
    assert_refused("missing database", folder.path());
}

#[test]
fn a_truncated_database_is_refused() {
    for closed in [true, false] {
        for bytes in [0, 50, 512, 4_096, 6_000, 200_000] {
            let folder = folder(closed);
            truncate(&folder.path().join(DATABASE_FILE), bytes);
            assert_refused(&format!("truncated to {bytes}, closed: {closed}"), folder.path());
        }
    }
}

#[test]
fn corrupted_pages_are_refused() {
    let pages = fs::metadata(folder(true).path().join(DATABASE_FILE)).unwrap().len() / 4_096;
    for page in (0..pages).step_by(37) {
        let folder = folder(true);
        // The head of a page says what is where in it; on the first page it comes after the file's own.
        let at = page * 4_096 + if page == 0 { 100 } else { 0 };
        overwrite(&folder.path().join(DATABASE_FILE), at as usize, &[0xa5; 64]);
        let before = files(folder.path());
        match read_all(folder.path()) {
            Err(StoreError::Damaged { .. }) => {}
            Err(error) => panic!("page {page}: {error}"),
            // A page that holds no entry, such as one of the unused or of the outcomes' replies.
            Ok(_) => {
                let (store, _) = open(folder.path()).unwrap();
                assert!(
                    !store.integrity_check().unwrap().is_empty(),
                    "page {page} was read as if it were whole"
                );
            }
        }
        assert!(files(folder.path()) == before, "page {page}: files were changed");
    }
}

#[test]
fn missing_rows_are_refused() {
    for damage in [
        "DELETE FROM entries WHERE id = 1",
        "DELETE FROM entries WHERE id = 2500",
        "DELETE FROM entries WHERE id BETWEEN 1025 AND 2048",
        "DELETE FROM answers; INSERT INTO answers VALUES (2, zeroblob(32), zeroblob(32), '{}')",
        "DELETE FROM chains",
        "UPDATE chains SET id = 2",
        "UPDATE entries SET signature = x'00' WHERE id = 7",
    ] {
        let folder = folder(true);
        let connection = rusqlite::Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
        // As the step of the schema would refuse a TEXT reply, loosen nothing: blobs only.
        connection.execute_batch(&damage.replace("'{}'", "x'7b7d'")).unwrap();
        drop(connection);
        let error = read_all(folder.path()).expect_err(damage);
        assert!(matches!(error, StoreError::Damaged { .. }), "{damage}: {error}");
    }
}

/// After `sql` the database must not be opened, with `words`, and not be touched.
fn refused_and_left_alone(folder: &Path, sql: &str, words: &str) {
    let connection = rusqlite::Connection::open(folder.join(DATABASE_FILE)).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    let before = files(folder);
    let error = message(open(folder));
    assert!(error.contains(words), "{error}");
    assert!(files(folder) == before);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    refused_and_left_alone(folder(true).path(), "PRAGMA user_version = 99", "newer popmesh (format 99");
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    refused_and_left_alone(folder.path(), "CREATE TABLE songs (title TEXT)", "another program");
}

#[test]
fn a_first_start_that_was_cut_short_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("popmesh.db.new"), b"half a ").unwrap();
    fs::write(folder.path().join("popmesh.db.new-wal"), b"draft").unwrap();
    let (store, _) = open(folder.path()).unwrap();
    assert!(store.is_empty());
    store.close().unwrap();
    assert_eq!(files(folder.path()).into_keys().collect::<Vec<_>>(), [DATABASE_FILE]);
}

#[test]
fn integrity_check_names_what_is_wrong() {
    let folder = folder(true);
    let path = folder.path().join(DATABASE_FILE);
    let pages = fs::metadata(&path).unwrap().len() / 4_096;
    overwrite(&path, (pages as usize / 2) * 4_096, &[0; 200]);
    let (store, _): (Store, _) = open(folder.path()).unwrap();
    assert!(!store.integrity_check().unwrap().is_empty());
}
