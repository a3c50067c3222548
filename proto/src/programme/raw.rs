//! Reads the frame of a raw Automerge change, without Automerge: enough to check its signature and its size before
//! anything else looks at it.
//!
//! Source: the Automerge binary format, <https://automerge.org/automerge-binary-format-spec/>.

use sha2::{Digest, Sha256};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE_CHUNK: u8 = 1;
const ACTION_COLUMN: u64 = 0x42;

/// The frame of a change: everything but its operations, of which it has the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) hash: [u8; 32],
    pub(super) deps: Vec<[u8; 32]>,
    pub(super) actor: &'a [u8],
    pub(super) seq: u64,
    pub(super) start_op: u64,
    pub(super) time: i64,
    pub(super) message: &'a [u8],
    pub(super) ops: u64,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn uleb(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn sleb(&mut self) -> Option<i64> {
        let mut value = 0i64;
        let mut shift = 0u32;
        loop {
            let byte = *self.take(1)?.first()?;
            if shift >= 63 && !matches!(byte, 0 | 0x7f) {
                return None;
            }
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                if shift < 64 && byte & 0x40 != 0 {
                    value |= -1i64 << shift;
                }
                return Some(value);
            }
        }
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.uleb()?).ok()?;
        self.take(count)
    }
}

/// Whether these bytes begin as an Automerge chunk does.
pub(super) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Reads the frame of exactly one uncompressed change chunk; `None` if it is anything else.
pub(super) fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let mut reader = Reader(bytes);
    if reader.take(4)? != MAGIC {
        return None;
    }
    let checksum = reader.take(4)?;
    let hashed = reader.0;
    if *reader.take(1)?.first()? != CHANGE_CHUNK {
        return None;
    }
    let contents = reader.counted()?;
    if !reader.0.is_empty() {
        return None;
    }
    let hash: [u8; 32] = Sha256::digest(hashed).into();
    if hash.get(..4)? != checksum {
        return None;
    }
    let mut reader = Reader(contents);
    let mut deps = Vec::new();
    for _ in 0..reader.uleb()? {
        deps.push(reader.take(32)?.try_into().ok()?);
    }
    let actor = reader.counted()?;
    let seq = reader.uleb()?;
    let start_op = reader.uleb()?;
    let time = reader.sleb()?;
    let message = reader.counted()?;
    for _ in 0..reader.uleb()? {
        reader.counted()?;
    }
    let mut columns = Vec::new();
    for _ in 0..reader.uleb()? {
        columns.push((reader.uleb()?, usize::try_from(reader.uleb()?).ok()?));
    }
    let mut ops = 0;
    for (specification, length) in columns {
        let column = reader.take(length)?;
        if specification == ACTION_COLUMN {
            ops = run_length_count(column)?;
        }
    }
    Some(Frame { hash, deps, actor, seq, start_op, time, message, ops })
}

/// How many values a run-length encoded column of unsigned numbers has.
fn run_length_count(column: &[u8]) -> Option<u64> {
    let mut reader = Reader(column);
    let mut count = 0u64;
    while !reader.0.is_empty() {
        let length = reader.sleb()?;
        let values = match length {
            0 => {
                count = count.checked_add(reader.uleb()?)?;
                0
            }
            1.. => {
                count = count.checked_add(length.unsigned_abs())?;
                1
            }
            _ => {
                count = count.checked_add(length.unsigned_abs())?;
                length.unsigned_abs()
            }
        };
        for _ in 0..values {
            reader.uleb()?;
        }
    }
    Some(count)
}
