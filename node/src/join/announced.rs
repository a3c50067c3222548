//! What one packet of multicast DNS announces of a service, read by itself alone: a service's name, where it is and what it
//! says all stand in one packet where popmesh announces. Nothing is kept from packet to packet, so whoever sends any number
//! of them takes no memory, and nobody can alter what another has announced.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER: usize = 12;
/// Set in what answers.
const RESPONSE: u8 = 0x80;
const QUESTIONS_MAX: u16 = 16;
const RECORDS_MAX: u16 = 128;
/// The longest name, and how often one may go on elsewhere in the packet.
const NAME_MAX: usize = 255;
const JUMPS_MAX: usize = 8;
const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const INTERNET: u16 = 1;

/// An instance of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Instance {
    /// What it says: keys in small letters, and values.
    pub(super) text: Vec<(String, String)>,
    /// Its port.
    pub(super) port: u16,
    /// The addresses of its host.
    pub(super) addresses: Vec<IpAddr>,
}

/// The instances of `service` (such as `_popmesh-join._tcp.local`) that a packet announces; none where it does not say of
/// one where it is.
pub(super) fn instances(packet: &[u8], service: &str) -> Vec<Instance> {
    let Some(records) = records(packet) else { return Vec::new() };
    let named = |kind: u16, name: &str| {
        let name = name.to_owned();
        records.iter().filter(move |record| record.kind == kind && record.name == name)
    };
    let of_service = named(PTR, service).filter_map(|record| name(packet, record.data.start));
    of_service
        .filter_map(|(instance, _)| {
            let srv = named(SRV, &instance).next()?;
            let port = packet.get(srv.data.clone())?.get(4..6)?;
            let (host, _) = name(packet, srv.data.start + 6)?;
            let addresses = records.iter().filter(|record| record.name == host);
            Some(Instance {
                text: named(TXT, &instance)
                    .next()
                    .map(|record| text(&packet[record.data.clone()]))
                    .unwrap_or_default(),
                port: u16::from_be_bytes([port[0], port[1]]),
                addresses: addresses.filter_map(|record| address(record, packet)).collect(),
            })
        })
        .collect()
}

/// A question for all instances of a service.
pub(super) fn question(service: &str) -> Vec<u8> {
    let mut packet = vec![0; HEADER];
    packet[5] = 1;
    for label in service.split('.') {
        // Labels are popmesh's own, and short.
        packet.push(u8::try_from(label.len()).unwrap_or(0));
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&[PTR, INTERNET].map(u16::to_be_bytes).concat());
    packet
}

struct Record {
    name: String,
    kind: u16,
    data: std::ops::Range<usize>,
}

/// All records of an answer that still hold.
fn records(packet: &[u8]) -> Option<Vec<Record>> {
    let count = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    if packet.get(2)? & RESPONSE == 0 {
        return None;
    }
    let questions = count(4)?;
    let answers = count(6)?.checked_add(count(8)?)?.checked_add(count(10)?)?;
    if questions > QUESTIONS_MAX || answers > RECORDS_MAX {
        return None;
    }
    let mut at = HEADER;
    for _ in 0..questions {
        at = name(packet, at)?.1 + 4;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        let (name, after) = name(packet, at)?;
        let fixed = packet.get(after..after + 10)?;
        let [kind, length] = [0, 8].map(|at| u16::from_be_bytes([fixed[at], fixed[at + 1]]));
        let data = after + 10..after + 10 + usize::from(length);
        packet.get(data.clone())?;
        at = data.end;
        // Without a time to live it says that it is no more.
        if fixed[4..8] != [0; 4] {
            records.push(Record { name, kind, data });
        }
    }
    Some(records)
}

/// The name that begins there, in small letters and without a point at its end, and where what follows it begins.
fn name(packet: &[u8], begin: usize) -> Option<(String, usize)> {
    let (mut name, mut at, mut after, mut jumps) = (String::new(), begin, None, 0);
    loop {
        let length = usize::from(*packet.get(at)?);
        match length {
            0 => return Some((name, after.unwrap_or(at + 1))),
            1..=63 => {
                let label = packet.get(at + 1..=at + length)?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.extend(String::from_utf8_lossy(label).chars().map(|c| c.to_ascii_lowercase()));
                at += 1 + length;
            }
            192.. => {
                after = after.or(Some(at + 2));
                at = (length & 63) << 8 | usize::from(*packet.get(at + 1)?);
                jumps += 1;
            }
            _ => return None,
        }
        if name.len() > NAME_MAX || jumps > JUMPS_MAX {
            return None;
        }
    }
}

fn text(mut data: &[u8]) -> Vec<(String, String)> {
    let mut text = Vec::new();
    while let Some((length, rest)) = data.split_first() {
        let Some((pair, rest)) = rest.split_at_checked(usize::from(*length)) else { break };
        data = rest;
        if let Some((key, value)) = std::str::from_utf8(pair).ok().and_then(|pair| pair.split_once('=')) {
            text.push((key.to_ascii_lowercase(), value.to_owned()));
        }
    }
    text
}

fn address(record: &Record, packet: &[u8]) -> Option<IpAddr> {
    let data = packet.get(record.data.clone())?;
    match record.kind {
        A => <[u8; 4]>::try_from(data).ok().map(|address| Ipv4Addr::from(address).into()),
        AAAA => <[u8; 16]>::try_from(data).ok().map(|address| Ipv6Addr::from(address).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SERVICE: &str = "_popmesh-join._tcp.local";

    /// As mdns-sd writes it: names once, and then where they stand.
    fn packet(ttl: u8) -> Vec<u8> {
        let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, 3, 0, 0, 0, 1];
        let record = |packet: &mut Vec<u8>, name: &[u8], kind: u16, data: &[u8]| {
            packet.extend_from_slice(name);
            packet.extend_from_slice(&[kind.to_be_bytes(), [0x80, 1], [0, 0], [0, ttl]].concat());
            packet.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            packet.extend_from_slice(data);
        };
        let service = &question(SERVICE)[HEADER..];
        let service = &service[..service.len() - 4];
        record(&mut packet, service, PTR, &[2, b'a', b'B', 0xc0, 12]);
        // The instance's name begins where the data of the first record do.
        let instance = [0xc0, u8::try_from(HEADER + service.len() + 10).unwrap()];
        record(&mut packet, &instance, SRV, &[&[0, 0, 0, 0, 0x11, 0x5c][..], &[1, b'h', 0]].concat());
        record(&mut packet, &instance, TXT, b"\x03v=2\x07For=417\x01x");
        record(&mut packet, &[1, b'H', 0], A, &[10, 77, 0, 2]);
        packet
    }

    #[test]
    fn what_is_announced_is_read_from_one_packet() {
        let text = [("v", "2"), ("for", "417")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let instance =
            Instance { text: text.to_vec(), port: 4444, addresses: vec![Ipv4Addr::new(10, 77, 0, 2).into()] };
        assert_eq!(instances(&packet(120), SERVICE), [instance]);
        assert!(instances(&packet(120), "_other._tcp.local").is_empty());
        assert!(instances(&packet(0), SERVICE).is_empty(), "it said goodbye");
        assert!(instances(&question(SERVICE), SERVICE).is_empty(), "a question");
    }

    #[test]
    fn names_that_go_round_in_circles_end() {
        let mut packet = packet(120);
        packet[HEADER..HEADER + 2].copy_from_slice(&[0xc0, u8::try_from(HEADER).unwrap()]);
        assert!(instances(&packet, SERVICE).is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = instances(&bytes, SERVICE);
        }

        #[test]
        fn no_altered_packet_makes_it_panic(at in 0_usize..120, to: u8, cut in 0_usize..200) {
            let mut packet = packet(120);
            if let Some(byte) = packet.get_mut(at) {
                *byte = to;
            }
            packet.truncate(cut.max(HEADER));
            let _ = instances(&packet, SERVICE);
        }
    }
}
