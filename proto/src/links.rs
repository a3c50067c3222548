//! Links: how much they carry, and which a device wants, which is a pure choice and the same on both ends of each link.
//!
//! All known devices stand on a ring, ordered by a hash that depends on the event. Each wants its neighbours at
//! power-of-two distances in both directions. The distance-one links alone keep the ring in one piece; the longer ones
//! keep it a few hops wide and in one piece when devices fail.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

/// How much a link carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// As much as a local network or better: a few hundred bytes a second for news of each other do not matter.
    Broad,
    /// As much as Bluetooth LE: some 100 kbit/s that several share, and batteries pay for each byte. It carries no gossip; what is new
    /// the device sends along it itself.
    Narrow,
}

/// A device's public key, which is its id.
pub type DeviceKey = [u8; 32];

/// Offsets in each direction of the ring, so at most twice as many links are wanted.
const OFFSETS_EACH_WAY_MAX: u32 = 6;

/// With no more devices than this, everybody is linked to everybody.
const FULL_MESH_MAX: usize = 13;

/// The devices that `me` wants to be linked to, given everybody it knows of. `me` need not be among `known`.
#[must_use]
pub fn wanted(event: &[u8; 32], me: &DeviceKey, known: &BTreeSet<DeviceKey>) -> BTreeSet<DeviceKey> {
    let mut ring: Vec<([u8; 32], DeviceKey)> = known
        .iter()
        .chain((!known.contains(me)).then_some(me))
        .map(|key| (place(event, key), *key))
        .collect();
    ring.sort_unstable();
    let count = ring.len();
    if count <= FULL_MESH_MAX {
        return ring.into_iter().map(|(_, key)| key).filter(|key| key != me).collect();
    }
    let Some(here) = ring.iter().position(|(_, key)| key == me) else {
        return BTreeSet::new();
    };
    (0..OFFSETS_EACH_WAY_MAX)
        .map(|power| 1_usize << power)
        .take_while(|offset| *offset <= count / 2)
        .flat_map(|offset| [(here + offset) % count, (here + count - offset) % count])
        .map(|index| ring[index].1)
        .collect()
}

/// Those of the devices that `me` is linked to whose links it looks after most: its neighbours on the ring, one in each
/// direction. As every device has some that look after it, a death does not stay unnoticed; whoever notices tells the others.
#[must_use]
pub fn watched(event: &[u8; 32], me: &DeviceKey, linked: &BTreeSet<DeviceKey>) -> BTreeSet<DeviceKey> {
    let here = place(event, me);
    let mut ring: Vec<([u8; 32], DeviceKey)> =
        linked.iter().filter(|key| *key != me).map(|key| (place(event, key), *key)).collect();
    ring.sort_unstable();
    let next = ring.partition_point(|(place, _)| *place < here);
    let after = ring.get(next).or(ring.first());
    let before = next.checked_sub(1).and_then(|before| ring.get(before)).or(ring.last());
    after.into_iter().chain(before).map(|(_, key)| *key).collect()
}

fn place(event: &[u8; 32], key: &DeviceKey) -> [u8; 32] {
    Sha256::new().chain_update(event).chain_update(key).finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn all_wanted(event: &[u8; 32], keys: &BTreeSet<DeviceKey>) -> BTreeMap<DeviceKey, BTreeSet<DeviceKey>> {
        keys.iter().map(|key| (*key, wanted(event, key, keys))).collect()
    }

    fn reachable(links: &BTreeMap<DeviceKey, BTreeSet<DeviceKey>>, start: DeviceKey) -> usize {
        let mut seen = BTreeSet::from([start]);
        let mut open = vec![start];
        while let Some(key) = open.pop() {
            for next in &links[&key] {
                if seen.insert(*next) {
                    open.push(*next);
                }
            }
        }
        seen.len()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn symmetric_connected_and_bounded(
            event in any::<[u8; 32]>(),
            keys in proptest::collection::btree_set(any::<[u8; 32]>(), 1..150),
        ) {
            let links = all_wanted(&event, &keys);
            for (key, theirs) in &links {
                prop_assert!(!theirs.contains(key));
                prop_assert!(theirs.len() <= 12);
                if keys.len() <= FULL_MESH_MAX {
                    prop_assert_eq!(theirs.len(), keys.len() - 1);
                }
                for other in theirs {
                    prop_assert!(links[other].contains(key));
                }
            }
            for key in keys.iter().take(1) {
                prop_assert_eq!(reachable(&links, *key), keys.len());
            }
        }

        #[test]
        fn everybody_is_watched_by_those_whom_it_watches(
            event in any::<[u8; 32]>(),
            keys in proptest::collection::btree_set(any::<[u8; 32]>(), 2..60),
        ) {
            for key in &keys {
                let linked = wanted(&event, key, &keys);
                let theirs = watched(&event, key, &linked);
                prop_assert!((1..=2).contains(&theirs.len()));
                for other in &theirs {
                    prop_assert!(watched(&event, other, &wanted(&event, other, &keys)).contains(key));
                }
            }
        }

        #[test]
        fn knowing_oneself_changes_nothing(
            event in any::<[u8; 32]>(),
            keys in proptest::collection::btree_set(any::<[u8; 32]>(), 1..60),
        ) {
            for me in keys.iter().take(1) {
                let mut others = keys.clone();
                others.remove(me);
                prop_assert_eq!(wanted(&event, me, &keys), wanted(&event, me, &others));
            }
        }
    }
}
