//! Events: the last ones are kept, in order, under names that no copy of the database gives again.

use popmesh_proto::fact::Fact;
use popmesh_proto::id::{ChainId, Ref};
use popmesh_proto::io::SealedWrites;

use super::{DEVICE, entry, message, open};
use crate::{EVENTS_AT_OPENING, EVENTS_BYTES, EVENTS_KEPT, Store, StoredEvent};

fn fact(seq: u64, text: &str) -> Fact {
    Fact::Incident { at_ms: seq, entry: Ref { chain: ChainId([1; 16]), seq }, text: text.to_owned() }
}

/// Stores facts, whose numbers are in their text.
fn tell(store: &mut Store, from: u64, to: u64, text: &str) -> Vec<StoredEvent> {
    let facts: Vec<Fact> = (from..=to).map(|seq| fact(seq, &format!("{seq}{text}"))).collect();
    store.append_with(&[], &[], &SealedWrites::default(), &facts).unwrap().told.events
}

fn all(store: &Store) -> Vec<StoredEvent> {
    let mut at = 0;
    let mut events: Vec<StoredEvent> = Vec::new();
    loop {
        let page = store.events(at).unwrap();
        let Some(last) = page.last() else { return events };
        at = last.number;
        events.extend(page);
    }
}

fn sql(folder: &std::path::Path, statements: &str) {
    rusqlite::Connection::open(folder.join(crate::DATABASE_FILE)).unwrap().execute_batch(statements).unwrap();
}

#[test]
fn what_was_told_is_read_back_in_order_and_each_opening_has_a_run_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    assert_eq!((store.numbering().oldest, store.numbering().last), (1, 0));
    let mut told = tell(&mut store, 1, 700, "");
    assert_eq!(told.first().map(|event| event.number), Some(1));
    let first = store.numbering().run;
    // One that tells nothing leaves no run behind.
    for _ in 0..3 {
        drop(store);
        store = open(folder.path()).unwrap().0;
    }
    assert_eq!(store.numbering().runs, [(1, first)]);
    told.extend(tell(&mut store, 701, 1_400, ""));
    let second = store.numbering().run;
    assert_ne!(first, second);
    store.close().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    let numbering = store.numbering();
    assert_eq!((numbering.oldest, numbering.last), (1, 1_400));
    assert_eq!(numbering.runs, [(1, first), (701, second)]);
    assert!(numbering.run != first && numbering.run != second);
    assert_eq!(all(&store), told);
    assert_eq!(store.last_events().unwrap(), told[1_400 - EVENTS_AT_OPENING as usize..]);
    assert_eq!(store.events(1_399).unwrap(), told[1_399..]);
    assert!(store.events(1_400).unwrap().is_empty() && store.events(u64::MAX).unwrap().is_empty());
}

#[test]
fn the_oldest_go_and_no_number_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    let first = store.numbering().run;
    tell(&mut store, 1, 1_000, "");
    store.close().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    let kept = EVENTS_KEPT;
    for from in (1_001..kept + 20_000).step_by(500) {
        tell(&mut store, from, from + 499, "");
        let numbering = store.numbering();
        assert!(numbering.last - numbering.oldest < kept + 256, "{numbering:?}");
    }
    let numbering = store.numbering();
    assert!(numbering.oldest > 15_000, "{numbering:?}");
    assert!(numbering.runs.iter().all(|(_, run)| *run != first), "what nothing is left of is forgotten");
    let told = all(&store);
    assert_eq!((told[0].number, told.last().unwrap().number), (numbering.oldest, numbering.last));
    assert!(told.iter().all(|event| event.json.contains(&format!("\"{}\"", event.number))));
    store.close().unwrap();
    let bytes = std::fs::metadata(folder.path().join(crate::DATABASE_FILE)).unwrap().len();
    let (mut store, _) = open(folder.path()).unwrap();
    assert_eq!(store.numbering().last, numbering.last);
    for from in (numbering.last + 1..numbering.last + 20_000).step_by(500) {
        tell(&mut store, from, from + 499, "");
    }
    store.close().unwrap();
    let after = std::fs::metadata(folder.path().join(crate::DATABASE_FILE)).unwrap().len();
    assert!(after <= bytes + bytes / 20, "the database grew from {bytes} to {after} bytes");
}

#[test]
fn large_ones_push_out_more() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    let large = "x".repeat(100_000);
    for from in (1..=1_500).step_by(50) {
        tell(&mut store, from, from + 49, &large);
    }
    let numbering = store.numbering();
    let here = (numbering.last + 1 - numbering.oldest) * 100_000;
    assert!(here <= EVENTS_BYTES && here > EVENTS_BYTES / 2, "{here}");
    // A page is not longer for it.
    assert!(store.events(0).unwrap().len() < 5);
    assert_eq!(all(&store).len() as u64, numbering.last + 1 - numbering.oldest);
}

#[test]
fn an_entry_and_what_it_tells_are_stored_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    tell(&mut store, 1, 1, "");
    store.connection.execute_batch("INSERT INTO events (id, fact) VALUES (2, x'7b7d')").unwrap();
    let both = |store: &mut Store| {
        store.append_with(&[entry(1, 1, b"sale")], &[], &SealedWrites::default(), &[fact(2, "2")])
    };
    both(&mut store).unwrap_err();
    assert_eq!((store.len(), store.numbering().last), (0, 1), "the event cannot be stored, so nothing is");
    store.connection.execute_batch("DELETE FROM events WHERE id = 2").unwrap();
    both(&mut store).unwrap();
    assert_eq!((store.len(), store.numbering().last), (1, 2));
}

#[test]
fn a_hole_is_damage() {
    for (what, statements) in [
        ("event 5 is missing", "DELETE FROM events WHERE id = 5"),
        ("events are missing", "DELETE FROM events"),
        ("name under which", "DELETE FROM event_runs"),
        ("events are missing", "DELETE FROM events WHERE id > 6"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = open(folder.path()).unwrap();
        tell(&mut store, 1, 6, "");
        store.close().unwrap();
        let (mut store, _) = open(folder.path()).unwrap();
        tell(&mut store, 7, 10, "");
        store.close().unwrap();
        sql(folder.path(), statements);
        let error = message(open(folder.path()));
        assert!(error.contains(what), "{statements}: {error}");
    }
}

#[test]
fn an_older_database_gets_the_ring() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path()).unwrap();
    store.append(&[entry(1, 1, b"old")], &[]).unwrap();
    store
        .connection
        .execute_batch("DROP TABLE events; DROP TABLE event_runs; PRAGMA user_version = 2;")
        .unwrap();
    drop(store);
    let (mut store, loaded) = open(folder.path()).unwrap();
    assert_eq!((loaded.entries, store.device()), (1, DEVICE));
    assert_eq!(tell(&mut store, 1, 2, "").len(), 2);
}
