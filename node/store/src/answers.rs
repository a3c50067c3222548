//! Outcomes of commands by idempotency key: those of the last commands, so that neither the disk nor the memory that an index
//! over them takes grows for ever.
//!
//! The window is a number, not a time: a clock that is wrong would forget all of them at once, or none.

use popmesh_proto::io::StoredReply;
use rusqlite::Connection;

use crate::{KeyPrefix, Store, StoreError};

/// The outcomes of so many commands, the last ones, are found again by their keys: at a hundred sales a minute, those of
/// sixteen hours.
pub const ANSWERS_KEPT: usize = 100_000;
/// So many more stay on the disk for a while: of an outcome that is being looked up, a write under way may have just made one
/// too many. No write has more.
const SPARE: usize = 8_192;
/// So many are forgotten at once at least; each page of the database that they lie on is then written once.
const FORGOTTEN_AT_ONCE: i64 = 256;
/// And so many at most, so that a write stays short.
const FORGOTTEN_AT_MOST: i64 = 1_024;

/// The number of a stored outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnswerId(pub(crate) i64);

impl AnswerId {
    /// The one that is stored `later` places after this one.
    #[must_use]
    pub fn plus(self, later: usize) -> Self {
        Self(self.0.saturating_add_unsigned(later as u64))
    }
}

/// Which outcomes are stored. They are numbered without gaps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answers {
    /// The number of the oldest.
    oldest: i64,
    /// The number of the last; `oldest - 1` if there is none.
    last: i64,
}

impl Default for Answers {
    fn default() -> Self {
        Self { oldest: 1, last: 0 }
    }
}

impl Answers {
    /// The number that the next gets.
    pub(crate) fn next(self) -> AnswerId {
        AnswerId(self.last + 1)
    }

    /// Stores more, and forgets those that are too many. What is stored then, once the transaction is committed.
    pub(crate) fn write<'a>(
        self,
        transaction: &Connection,
        replies: impl Iterator<Item = (&'a StoredReply, &'a Vec<u8>)>,
    ) -> rusqlite::Result<Self> {
        let Self { mut oldest, mut last } = self;
        let mut insert = transaction
            .prepare_cached("INSERT INTO answers (id, key, request, reply) VALUES (?1, ?2, ?3, ?4)")?;
        // Identifiers are given, not left to SQLite, so that a hole is always damage.
        for (stored, encoded) in replies {
            last += 1;
            let (key, request) = (&stored.idempotency.key[..], &stored.idempotency.request[..]);
            insert.execute((last, key, request, encoded))?;
        }
        let kept = (ANSWERS_KEPT + SPARE) as i64;
        let too_many = last - oldest + 1 - kept;
        if too_many >= FORGOTTEN_AT_ONCE {
            oldest += too_many.min(FORGOTTEN_AT_MOST);
            transaction.prepare_cached("DELETE FROM answers WHERE id < ?1")?.execute([oldest])?;
        }
        Ok(Self { oldest, last })
    }
}

impl Store {
    /// Where the outcomes of the last commands are, in the order in which they were stored.
    pub(crate) fn load_answers(&mut self) -> Result<Vec<(KeyPrefix, AnswerId)>, StoreError> {
        let last = self.count("SELECT coalesce(max(id), 0) FROM answers")?;
        let oldest = self.count("SELECT coalesce(min(id), 1) FROM answers")?;
        let kept = ANSWERS_KEPT as i64;
        let first = oldest.max(last + 1 - kept);
        if oldest != 1 && last + 1 - oldest < kept {
            return Err(self.damaged(format!("the outcome of command {} is missing", oldest - 1)));
        }
        let sql = format!("SELECT id, substr(key, 1, 16) FROM answers WHERE id >= {first} ORDER BY id");
        let rows =
            self.rows(&sql, |row| Ok((row.get::<_, KeyPrefix>(1)?, AnswerId(row.get::<_, i64>(0)?))))?;
        if let Some((expected, _)) = (first..).zip(&rows).find(|(expected, (_, id))| id.0 != *expected) {
            return Err(self.damaged(format!("the outcome of command {expected} is missing")));
        }
        self.answers = Answers { oldest, last };
        Ok(rows)
    }
}
