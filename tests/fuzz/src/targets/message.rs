//! What devices say to each other, read and written again.

use std::fmt::Debug;

use popmesh_proto::id::{ChainId, DeviceId};
use popmesh_proto::log::Range;
use popmesh_proto::message::{
    AskPast, Gossip, MAX_GOSSIP, MAX_MESSAGE, Message, Presence, Seen, decode, encode,
};
use popmesh_proto::record::Record;

use super::device;
use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "message",
    what: "messages, gossip, presence and records, as bytes",
    run,
    seeds,
    most_bytes: 8 * 1024,
};

fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => {
            if let Some(Message::Entries(entries)) = again::<Message>(bytes, MAX_MESSAGE) {
                entries.ranges.iter().for_each(unpacked);
            }
        }
        1 => {
            if let Some(Gossip::Live(ranges)) = again::<Gossip>(bytes, MAX_GOSSIP) {
                ranges.iter().for_each(unpacked);
            }
        }
        2 => drop(again::<Presence>(bytes, MAX_GOSSIP)),
        _ => {
            if let Ok(record) = Record::decode(bytes) {
                assert!(record.needs().count() <= bytes.len());
                assert_eq!(Record::decode(&record.encode()), Ok(record));
            }
        }
    }
}

/// What the bytes say, once it was written and read again.
fn again<T>(bytes: &[u8], limit: usize) -> Option<T>
where
    T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()> + PartialEq + Debug,
{
    let message: T = decode(bytes, limit).ok()?;
    assert_eq!(decode::<T>(&encode(&message), limit).as_ref(), Ok(&message));
    Some(message)
}

fn unpacked(range: &Range) {
    let _ = range.last();
    if let Some(bodies) = range.bodies.unpack() {
        assert_eq!(bodies.len() as u64, range.bodies.len());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let [messages, gossip] = device::real();
    let records = crate::event::event().evening.iter().map(|entry| (3, entry.body.clone()));
    let presence = Presence {
        sells: true,
        rates: Vec::new(),
        certificate: None,
        every_s: Some(90),
        reaches: vec![DeviceId([7; 32])],
        asks: Some(AskPast { ends: vec![Seen { chain: ChainId([3; 16]), seq: 7 }] }),
        behind_ms: Some(3_600_000),
        narrowly: Some(vec![8; 8].into()),
        program: Some("0.1.0".to_owned()),
        neighbours: Some(vec![7; 8].into()),
    };
    let said = messages.into_iter().map(|bytes| (0, bytes)).chain(gossip.into_iter().map(|bytes| (1, bytes)));
    said.chain([(2, encode(&presence))])
        .chain(records)
        .map(|(kind, bytes)| [&[kind], &bytes[..]].concat())
        .filter(|seed| seed.len() <= TARGET.most_bytes)
        .collect()
}
