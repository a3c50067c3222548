//! The tickets of who admits devices, and who used them.
//!
//! Each ticket is a folder, each use a file in it that is made before the certificate leaves, and never replaced: two
//! that admit at once cannot both make it, and a power cut can leave a use that nobody had, but none that is not counted.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use popmesh_proto::clock::utc;
use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::Role;
use popmesh_proto::text::Place;
use serde::{Deserialize, Serialize};

use super::ticket::{Ticket, TicketId};
use crate::enrol::{Grant, Validity};
use crate::folder::{self, FolderError};

/// The most devices that one ticket admits.
pub const MAX_COUNT: u32 = 200;
const FOLDER: &str = "tickets";
const RECORD: &str = "ticket";

/// Why a ticket admits nobody.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Its time is over.
    #[error("ticket {id} expired {}; make another with `popmesh device ticket`", utc(*.until_ms))]
    Expired {
        /// Which.
        id: TicketId,
        /// When, Unix milliseconds.
        until_ms: u64,
    },
    /// It was used as often as it may be.
    #[error("ticket {id} is used up: {count} of {count}, by {by}; make another with `popmesh device ticket`")]
    UsedUp {
        /// Which.
        id: TicketId,
        /// How often it may be used.
        count: u32,
        /// Who used it last, as far as is known.
        by: String,
    },
    /// The file does not say what it should.
    #[error("{} is damaged; delete its folder and make another ticket", .0.display())]
    Damaged(PathBuf),
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// A ticket as it is kept where it was made.
#[derive(Debug, Clone)]
pub struct Record {
    /// The ticket.
    pub ticket: Ticket,
    /// What it makes of a device.
    pub grant: Grant,
    /// How many devices it admits.
    pub count: u32,
    /// Until when, Unix milliseconds, exclusive.
    pub until_ms: u64,
    /// What the names of its devices begin with; it is put in front of those that do not.
    pub prefix: Option<String>,
}

impl Record {
    /// The name that a device gets that calls itself `name`.
    pub fn named(&self, name: String) -> String {
        match &self.prefix {
            Some(prefix) if !name.starts_with(prefix) => format!("{prefix}{name}"),
            _ => name,
        }
    }

    /// Whether it may still be used.
    ///
    /// # Errors
    /// [`LedgerError::Expired`].
    pub fn check_time(&self, now_ms: u64) -> Result<(), LedgerError> {
        let (id, until_ms) = (self.ticket.id, self.until_ms);
        if now_ms >= until_ms { Err(LedgerError::Expired { id, until_ms }) } else { Ok(()) }
    }
}

/// Who used a ticket.
#[derive(Debug, Clone)]
pub struct User {
    /// Its key.
    pub device: DeviceId,
    /// The name that it got.
    pub name: String,
    /// When, Unix milliseconds.
    pub at_ms: u64,
}

/// One use of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// The how manieth.
    pub number: u32,
    /// Of how many.
    pub count: u32,
    /// Whether the same device had used it before; that is not counted again.
    pub again: bool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    ticket: String,
    roles: Vec<Role>,
    venue: Place,
    from_ms: Option<u64>,
    until_certificate_ms: Option<u64>,
    days: u32,
    count: u32,
    until_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
}

impl Stored {
    fn of(record: &Record) -> Self {
        let Record { ticket, grant, count, until_ms, prefix } = record;
        Self {
            ticket: ticket.to_text(),
            roles: grant.roles.iter().collect(),
            venue: grant.venue.clone(),
            from_ms: grant.validity.from_ms,
            until_certificate_ms: grant.validity.until_ms,
            days: grant.validity.days,
            count: *count,
            until_ms: *until_ms,
            prefix: prefix.clone(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StoredUse {
    device: DeviceId,
    name: String,
    at_ms: u64,
}

/// The tickets of a folder: an organiser's, or that of a device that may admit others.
#[derive(Debug, Clone)]
pub struct Ledger {
    folder: PathBuf,
    /// Those that were read already: what is asked by strangers is not to be read from the disk each time.
    read: Arc<Mutex<BTreeMap<String, Record>>>,
}

impl Ledger {
    /// Those of a folder.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.join(FOLDER), read: Arc::default() }
    }

    /// Keeps a new ticket.
    ///
    /// # Errors
    /// [`LedgerError`] if it cannot be written.
    pub fn keep(&self, record: &Record) -> Result<(), LedgerError> {
        let folder = self.folder(&record.ticket.id);
        folder::create_private(&folder)?;
        self.write(&folder.join(RECORD), &Stored::of(record))
    }

    /// Has a ticket end now: whoever shows it is told that it expired, here and by whoever serves tickets of this folder.
    ///
    /// # Errors
    /// [`LedgerError`] if it cannot be written.
    pub fn end(&self, record: &Record, now_ms: u64) -> Result<(), LedgerError> {
        let ended = Record { until_ms: record.until_ms.min(now_ms), ..record.clone() };
        let path = self.folder(&ended.ticket.id).join(RECORD);
        let text =
            serde_json::to_string(&Stored::of(&ended)).map_err(|_| LedgerError::Damaged(path.clone()))?;
        folder::replace(&path, &format!("{text}\n"))?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert(ended.ticket.id.to_string(), ended);
        Ok(())
    }

    /// The tickets that were made here, expired ones too; those whose files are damaged are left out.
    pub fn all(&self) -> Vec<Record> {
        let Ok(folders) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let names: BTreeSet<String> =
            folders.flatten().filter_map(|folder| folder.file_name().into_string().ok()).collect();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|name, _| names.contains(name));
        for name in names {
            if let Entry::Vacant(vacant) = read.entry(name)
                && let Ok(record) = self.read_record(vacant.key())
            {
                vacant.insert(record);
            }
        }
        read.values().cloned().collect()
    }

    fn read_record(&self, name: &str) -> Result<Record, LedgerError> {
        let path = self.folder.join(name).join(RECORD);
        let damaged = || LedgerError::Damaged(path.clone());
        let stored: Stored = read(&path)?.ok_or_else(damaged)?;
        let ticket: Ticket = stored.ticket.parse().map_err(|_| damaged())?;
        let validity =
            Validity { from_ms: stored.from_ms, until_ms: stored.until_certificate_ms, days: stored.days };
        let grant =
            Grant { roles: stored.roles.into_iter().collect(), venue: stored.venue, name: None, validity };
        let (count, until_ms, prefix) = (stored.count.min(MAX_COUNT), stored.until_ms, stored.prefix);
        Ok(Record { ticket, grant, count, until_ms, prefix })
    }

    /// Who used a ticket, in order; none for a use of which nothing is known, since the power was cut.
    pub fn users(&self, record: &Record) -> Vec<Option<User>> {
        (1..=record.count)
            .map_while(|number| match read::<StoredUse>(&self.used(record, number)) {
                Ok(Some(StoredUse { device, name, at_ms })) => Some(Some(User { device, name, at_ms })),
                Ok(None) => None,
                Err(_) => Some(None),
            })
            .collect()
    }

    /// Counts a use by a device, durably.
    ///
    /// # Errors
    /// [`LedgerError::UsedUp`], or the folder's.
    pub fn take(
        &self,
        record: &Record,
        device: &DeviceId,
        name: &str,
        now_ms: u64,
    ) -> Result<Use, LedgerError> {
        // It may have been ended since it was read.
        self.read_record(&record.ticket.id.to_string())?.check_time(now_ms)?;
        let count = record.count;
        let mut last = None;
        let mut free = None;
        for number in 1..=count {
            let path = self.used(record, number);
            match read::<StoredUse>(&path) {
                Ok(Some(used)) if used.device == *device => return Ok(Use { number, count, again: true }),
                Ok(Some(used)) => last = Some(used),
                Ok(None) => {
                    free = Some(number);
                    break;
                }
                // A power cut while it was written: counted, by whom is not known.
                Err(LedgerError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let used = StoredUse { device: *device, name: name.to_owned(), at_ms: now_ms };
        for number in free.unwrap_or(count + 1)..=count {
            match self.write(&self.used(record, number), &used) {
                Ok(()) => return Ok(Use { number, count, again: false }),
                // Somebody else was faster.
                Err(LedgerError::Folder(FolderError::Exists(_))) => {}
                Err(error) => return Err(error),
            }
        }
        let by = last.map_or_else(
            || "devices that were not noted".to_owned(),
            |last| format!("{} ({}) {}", last.name, last.device.short(), utc(last.at_ms)),
        );
        Err(LedgerError::UsedUp { id: record.ticket.id, count, by })
    }

    fn folder(&self, id: &TicketId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    fn used(&self, record: &Record, number: u32) -> PathBuf {
        self.folder(&record.ticket.id).join(format!("use-{number}"))
    }

    fn write(&self, path: &Path, value: &impl Serialize) -> Result<(), LedgerError> {
        let text = serde_json::to_string(value).map_err(|_| LedgerError::Damaged(path.to_owned()))?;
        Ok(folder::write_new(path, &format!("{text}\n"))?)
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, LedgerError> {
    match folder::read_text(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|_| LedgerError::Damaged(path.to_owned())),
        Err(FolderError::Io { problem, .. }) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use popmesh_proto::id::EventId;

    use super::*;

    fn record(count: u32) -> Record {
        Record {
            ticket: Ticket::from_random(EventId([1; 32]), [2; 8], [3; 16]),
            grant: Grant {
                roles: [Role::Pos].into_iter().collect(),
                venue: "hall-a".parse().unwrap(),
                name: None,
                validity: Validity { from_ms: None, until_ms: None, days: 7 },
            },
            count,
            until_ms: 1_000,
            prefix: None,
        }
    }

    fn device(number: u8) -> DeviceId {
        DeviceId([number; 32])
    }

    #[test]
    fn uses_are_counted_across_restarts_and_no_device_is_counted_twice() {
        let dir = tempfile::tempdir().unwrap();
        Ledger::of(dir.path()).keep(&record(2)).unwrap();
        let take = |number: u8| {
            // Opened anew each time, as after a restart.
            let ledger = Ledger::of(dir.path());
            let record = ledger.all().pop().unwrap();
            ledger.take(&record, &device(number), "box", 5)
        };
        assert_eq!(take(1).unwrap(), Use { number: 1, count: 2, again: false });
        assert_eq!(take(1).unwrap(), Use { number: 1, count: 2, again: true });
        assert_eq!(take(2).unwrap(), Use { number: 2, count: 2, again: false });
        let refused = take(3).unwrap_err().to_string();
        assert!(refused.contains("used up: 2 of 2, by box (02020202)"), "{refused}");
        assert!(take(1).unwrap().again);
    }

    #[test]
    fn devices_that_come_at_once_never_get_more_than_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(dir.path());
        ledger.keep(&record(5)).unwrap();
        let admitted = std::thread::scope(|scope| {
            let each = (0..20).map(|number| {
                let ledger = &ledger;
                scope.spawn(move || ledger.take(&record(5), &device(number), "box", 5).ok())
            });
            let each: Vec<_> = each.collect();
            each.into_iter().filter_map(|one| one.join().unwrap()).map(|used| used.number).collect::<Vec<_>>()
        });
        let mut numbers = admitted;
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_use_that_a_power_cut_tore_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(dir.path());
        ledger.keep(&record(1)).unwrap();
        std::fs::write(ledger.folder(&TicketId([2; 8])).join("use-1"), "{\"dev").unwrap();
        let refused = ledger.take(&record(1), &device(1), "box", 5).unwrap_err();
        assert!(matches!(refused, LedgerError::UsedUp { .. }), "{refused}");
    }

    #[test]
    fn a_ticket_is_known_from_when_it_is_made_and_expires_to_the_millisecond() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(dir.path());
        assert!(ledger.all().is_empty());
        ledger.keep(&Record { prefix: Some("till-".to_owned()), ..record(1) }).unwrap();
        let known = ledger.all().pop().unwrap();
        assert_eq!((known.grant.clone(), known.prefix.as_deref()), (record(1).grant, Some("till-")));
        known.check_time(999).unwrap();
        assert!(matches!(known.check_time(1_000), Err(LedgerError::Expired { until_ms: 1_000, .. })));
        assert!(matches!(ledger.keep(&record(1)), Err(LedgerError::Folder(FolderError::Exists(_)))));
        ledger.take(&known, &device(1), "till-a", 5).unwrap();
        let users = ledger.users(&known);
        assert_eq!(users.into_iter().map(|user| user.unwrap().name).collect::<Vec<_>>(), ["till-a"]);
        std::fs::remove_dir_all(ledger.folder(&TicketId([2; 8]))).unwrap();
        assert!(ledger.all().is_empty(), "it was deleted");
    }

    #[test]
    fn a_ticket_that_was_ended_admits_nobody_whoever_had_read_it_before() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, other) = (Ledger::of(dir.path()), Ledger::of(dir.path()));
        ledger.keep(&record(2)).unwrap();
        let read = other.all().pop().unwrap();
        other.take(&read, &device(1), "box", 5).unwrap();
        ledger.end(&read, 7).unwrap();
        assert_eq!(ledger.all().pop().unwrap().until_ms, 7);
        let refused = other.take(&read, &device(2), "box", 8).unwrap_err();
        assert!(matches!(refused, LedgerError::Expired { until_ms: 7, .. }), "{refused}");
        assert_eq!(ledger.users(&read).len(), 1, "who used it is still known");
    }

    #[test]
    fn a_prefix_is_put_in_front_where_it_is_not() {
        let with = |prefix: Option<&str>| Record { prefix: prefix.map(str::to_owned), ..record(1) };
        assert_eq!(with(Some("till-")).named("hq".to_owned()), "till-hq");
        assert_eq!(with(Some("till-")).named("till-7".to_owned()), "till-7");
        assert_eq!(with(None).named("hq".to_owned()), "hq");
    }
}
