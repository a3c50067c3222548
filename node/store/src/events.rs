//! The ring of events: what records told observers, stored in the write of the record, the last of them.
//!
//! Events are numbered from 1 and up by one; no number is used twice in one database. A database can be set back to an earlier
//! state, or copied, and number anew from there: so numbers are given under a *run*, a random name that is new at every
//! opening, and an event is named by both. An example: run a had the numbers 1 to 90, and the node was started again; run b
//! goes on with 91. If the database is then set back to 60 and started, run c goes on with 61: a:75 is in it no more, and c:75 is
//! another event than a:75.
//!
//! Rows are appended and forgotten from the front. How many: [`EVENTS_KEPT`], and no more than [`EVENTS_BYTES`].

use std::collections::VecDeque;

use popmesh_proto::fact::Fact;
use rusqlite::Connection;

use crate::{Store, StoreError};

/// So many events are kept, the last ones: at a hundred sales a minute, those of ten hours.
pub const EVENTS_KEPT: u64 = 65_536;
/// And of so many bytes at the most: large ones push out more.
pub const EVENTS_BYTES: u64 = 64 << 20;
/// So many of the last events are read when a store is opened.
pub const EVENTS_AT_OPENING: u64 = 1_024;
/// The most events of one page, and the most bytes, unless one has more.
const PAGE_EVENTS: u64 = 256;
const PAGE_BYTES: u64 = 256 << 10;
/// So many are forgotten at once at least; each page of the database that they lie on is then written once.
const FORGOTTEN_AT_ONCE: u64 = 256;
/// And so many at most, unless a write brings more, so that a write stays short.
const FORGOTTEN_AT_MOST: u64 = 1_024;

/// The name of a run of numbers.
pub type Run = [u8; 8];

/// An event that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub number: u64,
    /// The [`Fact`], as JSON.
    pub json: String,
}

/// Which events are stored, and under which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbering {
    /// The number of the oldest; one after the last if there is none.
    pub oldest: u64,
    /// The number of the last that was ever stored, 0 if none was.
    pub last: u64,
    /// The first number of each run, in order, as far back as the oldest event, and the one before it.
    pub runs: Vec<(u64, Run)>,
    /// The run under which the next is numbered. If it is not among `runs`, it has no number yet.
    pub run: Run,
}

/// What a write stored of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The events, as they are stored.
    pub events: Vec<StoredEvent>,
    /// The number of the oldest that is left.
    pub oldest: u64,
}

/// The events of a store.
#[derive(Debug, Default)]
pub(crate) struct Events {
    run: Run,
    runs: VecDeque<(u64, Run)>,
    /// The bytes of each that is stored, the oldest first.
    bytes: VecDeque<u32>,
    total_bytes: u64,
    last: u64,
}

/// What a write changes, once it is durable.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    told: Vec<StoredEvent>,
    begins_run: bool,
    forgotten: u64,
}

impl Events {
    fn oldest(&self) -> u64 {
        self.last + 1 - self.bytes.len() as u64
    }

    /// Writes, but notes nothing yet.
    pub(crate) fn write(&self, transaction: &Connection, facts: Vec<String>) -> rusqlite::Result<Changes> {
        let mut changes = Changes::default();
        if facts.is_empty() {
            return Ok(changes);
        }
        if self.runs.back().is_none_or(|(_, run)| *run != self.run) {
            transaction
                .prepare_cached("INSERT INTO event_runs (first, run) VALUES (?1, ?2)")?
                .execute((self.last.cast_signed() + 1, &self.run[..]))?;
            changes.begins_run = true;
        }
        // Identifiers are given, not left to SQLite, so that a hole is always damage.
        let mut insert = transaction.prepare_cached("INSERT INTO events (id, fact) VALUES (?1, ?2)")?;
        for (number, json) in (self.last + 1..).zip(facts) {
            insert.execute((number.cast_signed(), json.as_bytes()))?;
            changes.told.push(StoredEvent { number, json });
        }
        changes.forgotten = self.too_many(&changes.told);
        if changes.forgotten > 0 {
            let oldest = self.oldest() + changes.forgotten;
            transaction
                .prepare_cached("DELETE FROM events WHERE id < ?1")?
                .execute([oldest.cast_signed()])?;
            if let Some(covering) = self.covering(oldest) {
                transaction
                    .prepare_cached("DELETE FROM event_runs WHERE first < ?1")?
                    .execute([covering.cast_signed()])?;
            }
        }
        Ok(changes)
    }

    /// How many of those that are stored are to be forgotten as these are added.
    fn too_many(&self, added: &[StoredEvent]) -> u64 {
        let here = self.bytes.len() as u64;
        let count = here + added.len() as u64;
        let added_bytes: u64 = added.iter().map(|event| event.json.len() as u64).sum();
        let too_many = count.saturating_sub(EVENTS_KEPT);
        let mut too_large = (self.total_bytes + added_bytes).saturating_sub(EVENTS_BYTES);
        if too_many < FORGOTTEN_AT_ONCE && too_large == 0 {
            return 0;
        }
        let most = FORGOTTEN_AT_MOST.max(2 * added.len() as u64).min(here);
        let mut forgotten = too_many.min(most);
        too_large = too_large
            .saturating_sub(self.bytes.range(..forgotten as usize).map(|bytes| u64::from(*bytes)).sum());
        for bytes in self.bytes.range(forgotten as usize..most as usize) {
            if too_large == 0 {
                break;
            }
            too_large = too_large.saturating_sub(u64::from(*bytes));
            forgotten += 1;
        }
        forgotten
    }

    /// The first number of the run that has the event before `oldest`: an id of that can still be gone on from.
    fn covering(&self, oldest: u64) -> Option<u64> {
        let before = oldest.saturating_sub(1);
        self.runs.iter().rev().find(|(first, _)| *first <= before).map(|(first, _)| *first)
    }

    /// Takes note of what is durable now.
    pub(crate) fn written(&mut self, changes: Changes) -> Told {
        if changes.begins_run {
            self.runs.push_back((self.last + 1, self.run));
        }
        for event in &changes.told {
            self.last = event.number;
            let bytes = u32::try_from(event.json.len()).unwrap_or(u32::MAX);
            self.bytes.push_back(bytes);
            self.total_bytes += u64::from(bytes);
        }
        for bytes in self.bytes.drain(..changes.forgotten as usize) {
            self.total_bytes -= u64::from(bytes);
        }
        let oldest = self.oldest();
        if let Some(covering) = self.covering(oldest) {
            while self.runs.front().is_some_and(|(first, _)| *first < covering) {
                self.runs.pop_front();
            }
        }
        Told { events: changes.told, oldest }
    }
}

impl Store {
    /// Gives the numbers of the events from now on under this run, which no other opening of any copy of this database has
    /// used. [`Store::open`] draws one by itself.
    pub fn begin_run(&mut self, run: Run) {
        self.events.run = run;
    }

    /// Which events there are.
    pub fn numbering(&self) -> Numbering {
        let events = &self.events;
        Numbering {
            oldest: events.oldest(),
            last: events.last,
            runs: events.runs.iter().copied().collect(),
            run: events.run,
        }
    }

    pub(crate) fn load_events(&mut self) -> Result<(), StoreError> {
        let rows = self.rows("SELECT id, length(fact) FROM events ORDER BY id", |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?))
        })?;
        let runs = self.rows("SELECT first, run FROM event_runs ORDER BY first", |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, Run>(1)?))
        })?;
        let mut events = Events { run: self.events.run, ..Events::default() };
        for (id, bytes) in rows {
            let number = id.cast_unsigned();
            if !events.bytes.is_empty() && number != events.last + 1 {
                return Err(self.damaged(format!("event {} is missing", events.last + 1)));
            }
            events.last = number;
            events.bytes.push_back(bytes);
            events.total_bytes += u64::from(bytes);
        }
        let named = runs.first().is_some_and(|(first, _)| *first <= events.oldest());
        let ends = runs.last().is_some_and(|(first, _)| *first <= events.last);
        if (events.last > 0 || !runs.is_empty()) && !(named && ends) {
            return Err(
                self.damaged("events are missing, or the name under which they are numbered".to_owned())
            );
        }
        events.runs = runs.into();
        self.events = events;
        Ok(())
    }

    /// Events after the first `after`, in order: a page of them, or what there is. Begins with the oldest if `after` is before
    /// that.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if one is missing or unreadable, or what else kept it from being read.
    pub fn events(&self, after: u64) -> Result<Vec<StoredEvent>, StoreError> {
        let first = self.events.oldest().max(after.saturating_add(1));
        let most = self.events.last.saturating_add(1).saturating_sub(first).min(PAGE_EVENTS);
        let failed = |error| self.failed(error);
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, fact FROM events WHERE id >= ?1 ORDER BY id LIMIT ?2")
            .map_err(failed)?;
        let mut rows = statement.query((first.cast_signed(), most.cast_signed())).map_err(failed)?;
        let mut page = Vec::new();
        let mut bytes = 0;
        for number in first..first + most {
            let row = rows.next().map_err(failed)?;
            let row = row.map(|row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, Vec<u8>>(1)?)));
            let json = match row.transpose().map_err(failed)? {
                Some((id, json)) if id == number => json,
                _ => return Err(self.damaged(format!("event {number} is missing"))),
            };
            let json =
                String::from_utf8(json).map_err(|_| self.damaged(format!("event {number} is unreadable")))?;
            bytes += json.len() as u64;
            page.push(StoredEvent { number, json });
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(page)
    }

    /// The last [`EVENTS_AT_OPENING`], or those of them that have at most 1 MiB together.
    ///
    /// # Errors
    /// As [`Store::events`].
    pub fn last_events(&self) -> Result<Vec<StoredEvent>, StoreError> {
        let mut left: u64 = 1 << 20;
        let last = self.events.bytes.iter().rev().take(EVENTS_AT_OPENING as usize);
        let count = last.take_while(|bytes| {
            let fits = left >= u64::from(**bytes);
            left = left.saturating_sub(u64::from(**bytes));
            fits
        });
        let mut at = self.events.last - count.count() as u64;
        let mut events = Vec::new();
        while at < self.events.last {
            let page = self.events(at)?;
            at += page.len() as u64;
            events.extend(page);
        }
        Ok(events)
    }
}

/// Facts as they are stored.
pub(crate) fn encode(facts: &[Fact]) -> Result<Vec<String>, serde_json::Error> {
    facts.iter().map(serde_json::to_string).collect()
}
