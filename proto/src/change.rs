//! The Automerge change of a record, written by popmesh itself.
//!
//! In `stock` and `claims` every change holds exactly one record, and all of its bytes follow from its place in its
//! chain, its time and the record. So only the record is stored and sent, and the change is made again from it where
//! it is needed: for its hash, and for the Automerge document. No change made elsewhere is ever parsed.
//!
//! Source: the Automerge binary format, <https://automerge.org/automerge-binary-format-spec/>. The tests compare with
//! Automerge's own changes, byte for byte.

use sha2::{Digest, Sha256};

/// So many records make a run: one map of the document, which keeps the cost of applying a record flat.
pub const RUN: u64 = 256;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE_CHUNK: u8 = 1;
/// The most bytes of a chunk's type and length: one, and LEB128 of 64 bits.
const CHUNK_HEAD: usize = 1 + 10;

/// What determines a change.
#[derive(Debug, Clone, Copy)]
pub struct ChangeParts<'a> {
    /// The author's key, which names its maps.
    pub device: &'a [u8; 32],
    /// The chain, which is the Automerge actor.
    pub actor: &'a [u8; 16],
    /// Position in the chain, from 1.
    pub seq: u64,
    /// Hash of the change before; absent for the first.
    pub previous: Option<&'a [u8; 32]>,
    /// Time, seconds since the Unix epoch.
    pub time: i64,
    /// The record.
    pub record: &'a [u8],
}

/// Appends the change: an uncompressed Automerge change chunk.
pub fn encode(parts: &ChangeParts<'_>, out: &mut Vec<u8>) {
    let mut chunk = Vec::new();
    let hash = hash(parts, &mut chunk);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&hash[..4]);
    out.extend_from_slice(&chunk);
}

/// The change's hash, as Automerge defines it. `scratch` is overwritten with what is hashed: the chunk from its type on.
pub fn hash(parts: &ChangeParts<'_>, scratch: &mut Vec<u8>) -> [u8; 32] {
    let columns = Columns::of(parts);
    scratch.clear();
    // Room for the type and the length, which is known once the rest is written.
    scratch.resize(CHUNK_HEAD, 0);
    unsigned(parts.previous.map_or(0, |_| 1), scratch);
    scratch.extend_from_slice(parts.previous.map_or(&[], |hash| hash.as_slice()));
    unsigned(16, scratch);
    scratch.extend_from_slice(parts.actor);
    unsigned(parts.seq, scratch);
    unsigned(start_op(parts.seq), scratch);
    signed(parts.time, scratch);
    // No message, and no other actors.
    scratch.extend_from_slice(&[0, 0]);
    columns.write_list(parts.record.len(), scratch);
    scratch.extend_from_slice(&columns.bytes[..columns.value_at]);
    scratch.extend_from_slice(parts.record);
    scratch.extend_from_slice(&columns.bytes[columns.value_at..]);

    let mut chunk_head = Vec::with_capacity(CHUNK_HEAD);
    chunk_head.push(CHANGE_CHUNK);
    unsigned((scratch.len() - CHUNK_HEAD) as u64, &mut chunk_head);
    let unused = CHUNK_HEAD - chunk_head.len();
    scratch[unused..CHUNK_HEAD].copy_from_slice(&chunk_head);
    scratch.drain(..unused);
    Sha256::digest(scratch.as_slice()).into()
}

/// The first operation of the `seq`-th change: one for each record before, and one for each map.
fn start_op(seq: u64) -> u64 {
    let before = seq - 1;
    1 + before + before.div_ceil(RUN)
}

/// The operations of one change, by column. A column of one or two values is written as a literal run, or, where both
/// are alike, as a run; see the format's section on run-length encoding.
struct Columns {
    /// Each column and its length.
    list: [(u8, usize); COLUMNS],
    listed: usize,
    bytes: Vec<u8>,
    /// Where among `bytes` the record belongs, which is a column of its own.
    value_at: usize,
}

const OBJECT_ACTOR: u8 = 0x01;
const OBJECT_COUNTER: u8 = 0x02;
const KEY: u8 = 0x15;
const INSERT: u8 = 0x34;
const ACTION: u8 = 0x42;
const VALUE_KIND: u8 = 0x56;
const VALUE: u8 = 0x57;
const PREDECESSORS: u8 = 0x70;

/// So many of them.
const COLUMNS: usize = 8;

const ONE: u8 = 0x7f; // A literal run of one: -1 as signed LEB128.
const TWO: u8 = 0x7e; // A literal run of two.
const NULL_ONCE: [u8; 2] = [0, 1];
const HEX: &[u8; 16] = b"0123456789abcdef";
const MAKE_MAP: u8 = 0;
const PUT: u8 = 1;
const BYTES: u64 = 7;

impl Columns {
    fn of(parts: &ChangeParts<'_>) -> Self {
        let index = (parts.seq - 1) % RUN;
        let run = (parts.seq - 1) / RUN;
        let map = (RUN + 1) * run + 1;
        let opens = index == 0;
        let kind = (parts.record.len() as u64) << 4 | BYTES;
        let mut columns =
            Self { list: [(0, 0); COLUMNS], listed: 0, bytes: Vec::with_capacity(160), value_at: 0 };
        columns.add(OBJECT_ACTOR, |out| {
            if opens {
                out.extend_from_slice(&NULL_ONCE);
            }
            out.extend_from_slice(&[ONE, 0]);
        });
        columns.add(OBJECT_COUNTER, |out| {
            if opens {
                out.extend_from_slice(&NULL_ONCE);
            }
            out.push(ONE);
            unsigned(map, out);
        });
        columns.add(KEY, |out| {
            if opens {
                let name = format!("{}/{}.{run}", hex::encode(parts.device), hex::encode(parts.actor));
                out.push(TWO);
                text(&name, out);
            } else {
                out.push(ONE);
            }
            // The index in two hexadecimal digits.
            unsigned(2, out);
            out.extend([index >> 4, index & 15].map(|digit| HEX[digit as usize]));
        });
        // None is inserted into a list: one run of `false`.
        columns.add(INSERT, |out| out.push(if opens { 2 } else { 1 }));
        columns.add(ACTION, |out| {
            out.extend_from_slice(if opens { &[TWO, MAKE_MAP, PUT] } else { &[ONE, PUT] });
        });
        columns.add(VALUE_KIND, |out| {
            out.extend_from_slice(if opens { &[TWO, 0] } else { &[ONE] });
            unsigned(kind, out);
        });
        columns.value_at = columns.bytes.len();
        columns.note(VALUE, parts.record.len());
        // None overwrites another.
        columns.add(PREDECESSORS, |out| out.extend_from_slice(if opens { &[2, 0] } else { &[ONE, 0] }));
        columns
    }

    fn add(&mut self, column: u8, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.note(column, self.bytes.len() - before);
    }

    fn note(&mut self, column: u8, length: usize) {
        self.list[self.listed] = (column, length);
        self.listed += 1;
    }

    fn write_list(&self, record: usize, out: &mut Vec<u8>) {
        let there = self.list[..self.listed].iter().filter(|(column, _)| *column != VALUE || record > 0);
        unsigned(there.clone().count() as u64, out);
        for (column, length) in there {
            unsigned(u64::from(*column), out);
            unsigned(*length as u64, out);
        }
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    unsigned(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// LEB128.
fn unsigned(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Signed LEB128.
fn signed(mut number: i64, out: &mut Vec<u8>) {
    loop {
        let byte = number as u8 & 0x7f;
        number >>= 7;
        if (number == 0 && byte & 0x40 == 0) || (number == -1 && byte & 0x40 != 0) {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}
