//! Real messages with some of their bytes changed: none makes a device panic, and nothing that its author did not
//! write is ever admitted.

use std::collections::BTreeSet;

use popmesh_proto::command::Command;
use popmesh_proto::id::{ChainId, Hash};
use popmesh_proto::io::Entry;
use popmesh_proto::log::{Bodies, Range};
use popmesh_proto::message::{
    Frontier, Gossip, Head, MAX_GOSSIP, MAX_MESSAGE, Message, Since, decode, encode,
};
use popmesh_proto::record::Record;

use crate::event::{claim_of, sell};
use crate::rng::Rng;
use crate::wire::{entries, live, range};
use crate::world::World;

const HQ: usize = 0;
const SELLER: usize = 1;
const VICTIM: usize = 2;

/// The same bytes with up to four changes: bytes set, left out, put in, or swapped, and lengths that lie.
pub(crate) fn altered(rng: &mut Rng, real: &[u8]) -> Vec<u8> {
    let mut bytes = real.to_vec();
    for _ in 0..=rng.below(3) {
        if bytes.is_empty() {
            return bytes;
        }
        let length = bytes.len() as u64;
        let at = rng.below(length) as usize;
        match rng.below(10) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, rng.next() as u8),
            2 => bytes.swap(at, rng.below(length) as usize),
            3 => bytes.truncate(at),
            4 => {
                // A string or a list of 2^60 in CBOR: whoever reserves that much is out of memory at once.
                let head = [0x5b, 0x7b, 0x9b, 0xbb][rng.below(4) as usize];
                bytes.splice(at..at, [head, 0x10, 0, 0, 0, 0, 0, 0, 0]);
            }
            5 => bytes[at] ^= 1 << rng.below(8),
            _ => bytes[at] = rng.next() as u8,
        }
    }
    bytes
}

fn packed(entries: &[Entry]) -> Range {
    let plain = range(entries);
    let mut bytes = Vec::new();
    popmesh_proto::bundle::pack(&mut entries.iter().map(|entry| entry.body.as_slice()), &mut bytes);
    Range { bodies: Bodies::Packed { count: entries.len() as u32, bytes: bytes.into() }, ..plain }
}

/// An evening of a few sales, and a device that has heard of none of it.
fn evening() -> (World, Vec<Vec<Entry>>) {
    let mut world = World::new(7);
    world.add("hq", "hq", "hall");
    world.add("seller", "pos", "hall");
    world.add("victim", "pos", "hall");
    world.power_cut(VICTIM);
    world.link(HQ, SELLER);
    world.open_drop(HQ, 20);
    world.converge(5_000);
    for _ in 0..4 {
        claim_of(world.done(SELLER, Command::Sell(sell(1, 5_000))));
    }
    world.converge(5_000);
    let written = [(HQ, "programme"), (HQ, "stock/night"), (SELLER, "claims/night")];
    let chains = written.map(|(author, document)| world.written(author, document));
    world.power_on(VICTIM);
    (world, chains.to_vec())
}

#[test]
fn no_altered_message_gets_anything_in() {
    const MESSAGES: u32 = 15_000;
    let (mut world, chains) = evening();
    let real: BTreeSet<(ChainId, u64, Vec<u8>)> =
        chains.iter().flatten().map(|entry| (entry.chain, entry.seq, entry.body.clone())).collect();
    let messages: Vec<Vec<u8>> = chains
        .iter()
        .flat_map(|chain| [entries(vec![range(chain)]), entries(vec![packed(chain)])])
        .chain([entries(chains.iter().map(|chain| range(chain)).collect())])
        .collect();
    let gossip: Vec<Vec<u8>> = chains.iter().map(|chain| live(vec![range(&chain[..1])])).collect();
    let mut rng = Rng::new(1);
    let (mut could_be_read, mut tried, mut parts) = (0, 0, 0);
    for round in 0..MESSAGES {
        let by_gossip = round % 4 == 0;
        let from = if by_gossip { &gossip } else { &messages };
        let original = &from[rng.below(from.len() as u64) as usize];
        let bytes = altered(&mut rng, original);
        if bytes == *original {
            continue;
        }
        tried += 1;
        if by_gossip {
            could_be_read += u32::from(decode::<Gossip>(&bytes, MAX_GOSSIP).is_ok());
            world.hand_gossip_from_anybody(SELLER, VICTIM, bytes);
        } else {
            could_be_read += u32::from(decode::<Message>(&bytes, MAX_MESSAGE).is_ok());
            world.hand_from_anybody(VICTIM, bytes);
        }
        let stored = &world.nodes[VICTIM].stored;
        for entry in stored {
            let own = (entry.chain, entry.seq, entry.body.clone());
            assert!(real.contains(&own), "round {round}: an altered entry was admitted: {entry:?}");
        }
        // Begin again whenever a part that was whole got in, so that there is always something to alter.
        if stored.len() > 2 {
            parts += 1;
            world.power_cut(VICTIM);
            world.nodes[VICTIM].stored.clear();
            world.nodes[VICTIM].durable.clear();
            world.power_on(VICTIM);
        }
    }
    println!("{tried} altered messages: {could_be_read} could be read, {parts} had parts that were whole");
    assert!(could_be_read > tried / 10 && parts > tried / 100, "the changes hardly get past the parser");
    world.link_all();
    world.converge(20_000);
    world.assert_agreed();
}

#[test]
fn no_altered_bundle_takes_more_than_it_may() {
    const BUNDLES: u32 = 200_000;
    const LIMIT: usize = 64 * 1024;
    let (_, chains) = evening();
    let bodies: Vec<&[u8]> = chains[2].iter().map(|entry| entry.body.as_slice()).collect();
    let mut packed = Vec::new();
    popmesh_proto::bundle::pack(&mut bodies.iter().copied(), &mut packed);
    let mut rng = Rng::new(2);
    let mut unpacked = 0;
    for _ in 0..BUNDLES {
        let bytes = altered(&mut rng, &packed);
        let count = match rng.below(4) {
            0 => rng.next() as usize,
            1 => rng.below(100) as usize,
            _ => bodies.len(),
        };
        if let Ok(bundle) = popmesh_proto::bundle::unpack(&bytes, count, LIMIT) {
            unpacked += 1;
            assert_eq!(bundle.iter().count(), count);
            assert!(bundle.iter().map(<[u8]>::len).sum::<usize>() <= LIMIT);
        }
    }
    println!("{BUNDLES} altered bundles, of which {unpacked} could be unpacked");
    assert!(unpacked > BUNDLES / 50, "the changes hardly get past the inflater");
}

#[test]
fn what_is_read_of_altered_bytes_is_written_and_read_the_same() {
    const MESSAGES: u32 = 20_000;
    let (_, chains) = evening();
    let heads = chains.iter().map(|chain| Head {
        chain: chain[0].chain,
        seq: chain.len() as u64,
        hash: [1; 16],
        rest: None,
    });
    let frontier = Frontier {
        ended: Hash([2; 32]),
        full: false,
        heads: heads.collect(),
        number: 3,
        since: Some(Since::Frontier(2)),
        again: None,
        start: 1,
        sum: None,
        from: None,
        upto: None,
    };
    let messages =
        [entries(vec![range(&chains[1]), packed(&chains[2])]), encode(&Message::Frontier(frontier))];
    let mut rng = Rng::new(3);
    let (mut read, mut records) = (0, 0);
    for round in 0..MESSAGES {
        let bytes = altered(&mut rng, &messages[(round % 2) as usize]);
        if let Ok(message) = decode::<Message>(&bytes, MAX_MESSAGE) {
            read += 1;
            let again = encode(&message);
            assert_eq!(decode::<Message>(&again, MAX_MESSAGE).unwrap(), message);
        }
        for record in chains[2].iter().skip(1) {
            let bytes = altered(&mut rng, &record.body);
            if let Ok(record) = Record::decode(&bytes) {
                records += 1;
                assert_eq!(Record::decode(&record.encode()), Ok(record));
            }
        }
    }
    println!("{MESSAGES} altered messages, of which {read} could be read, and {records} altered records");
    assert!(read > MESSAGES / 10 && records > MESSAGES / 10, "the changes hardly get past the parser");
}
