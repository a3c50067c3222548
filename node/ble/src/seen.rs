//! Which devices of the same key were seen, and from which address they advertise now.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::beacon::{Address, Heard, ShortId};

/// Devices that are remembered at most. The one that was seen longest ago goes first.
const SEEN_MAX: usize = 256;

/// A device is told of again no sooner than this.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// An address is worth a dial for so long after it was last heard.
const ADDRESS_GOOD_FOR: Duration = Duration::from_secs(180);

#[derive(Debug)]
struct Sighting {
    address: Address,
    heard: Heard,
    at: Instant,
    told: Instant,
}

/// The devices in range.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<ShortId, Sighting>);

impl Seen {
    /// A device was heard. Says whether that is worth telling.
    pub(crate) fn put(&mut self, id: ShortId, address: Address, heard: Heard, now: Instant) -> bool {
        if let Some(known) = self.0.get_mut(&id) {
            let news = known.address != address || known.heard != heard || now - known.told >= TOLD_EVERY;
            known.address = address;
            known.heard = heard;
            known.at = now;
            if news {
                known.told = now;
            }
            return news;
        }
        if self.0.len() >= SEEN_MAX {
            let oldest = self.0.iter().min_by_key(|(_, seen)| seen.at).map(|(id, _)| *id);
            oldest.map(|id| self.0.remove(&id));
        }
        self.0.insert(id, Sighting { address, heard, at: now, told: now });
        true
    }

    /// A device did not answer at its address: it has another, or is gone. It is worth a dial when it is heard again.
    pub(crate) fn forget(&mut self, id: ShortId) {
        self.0.remove(&id);
    }

    /// Where a device was heard lately.
    pub(crate) fn address(&self, id: ShortId, now: Instant) -> Option<Address> {
        self.0.get(&id).filter(|seen| now - seen.at <= ADDRESS_GOOD_FOR).map(|seen| seen.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_tells_of_each_once_a_second() {
        let now = Instant::now();
        let mut seen = Seen::default();
        let heard = |address: u8, state| Heard::of([address; 6], state);
        for number in 0..10_000_u32 {
            let at = now + Duration::from_millis(number.into());
            assert!(seen.put(ShortId(number.to_be_bytes()), [1; 6], heard(1, 0), at));
        }
        assert_eq!(seen.0.len(), SEEN_MAX);
        let later = now + Duration::from_secs(10);
        let last = ShortId(9_999_u32.to_be_bytes());
        assert!(!seen.put(last, [1; 6], heard(1, 0), later));
        assert!(seen.put(last, [2; 6], heard(2, 0), later), "another address is news");
        assert!(seen.put(last, [2; 6], heard(2, 1), later), "another standing is news");
        assert!(!seen.put(last, [2; 6], heard(2, 1), later));
        assert!(seen.put(last, [2; 6], heard(2, 1), later + TOLD_EVERY));
        assert_eq!(seen.address(last, later + TOLD_EVERY), Some([2; 6]));
        assert_eq!(seen.address(last, later + TOLD_EVERY + ADDRESS_GOOD_FOR * 2), None);
        assert_eq!(seen.address(ShortId([0; 4]), later), None);
    }
}
