//! Certificates whose signatures have been checked: each is checked once, however many chains carry it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::identity::SignedCertificate;

/// How many are kept, of some 700 bytes each. Who fills them up has others checked again, and nothing worse: the one that
/// was not asked for longest goes first.
const KEPT: usize = 4_096;

/// The certificates that were asked for last.
#[derive(Debug, Clone)]
pub(super) struct Certificates<T = SignedCertificate> {
    most: usize,
    asked: u64,
    all: BTreeMap<Arc<[u8]>, (u64, T)>,
    /// By when they were asked for last.
    order: BTreeMap<u64, Arc<[u8]>>,
}

impl Default for Certificates {
    fn default() -> Self {
        Self::of_at_most(KEPT)
    }
}

impl<T: Clone> Certificates<T> {
    fn of_at_most(most: usize) -> Self {
        Self { most, asked: 0, all: BTreeMap::new(), order: BTreeMap::new() }
    }

    pub(super) fn get(&mut self, bytes: &[u8]) -> Option<T> {
        let (asked, certificate) = self.all.get_mut(bytes)?;
        self.asked += 1;
        if let Some(bytes) = self.order.remove(asked) {
            self.order.insert(self.asked, bytes);
        }
        *asked = self.asked;
        Some(certificate.clone())
    }

    pub(super) fn keep(&mut self, bytes: &[u8], certificate: T) {
        while self.all.len() >= self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.all.remove(&oldest);
        }
        self.asked += 1;
        let bytes: Arc<[u8]> = bytes.into();
        if let Some((asked, _)) = self.all.insert(bytes.clone(), (self.asked, certificate)) {
            self.order.remove(&asked);
        }
        self.order.insert(self.asked, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_was_not_asked_for_longest_goes() {
        let mut known = Certificates::of_at_most(3);
        for name in [b"a", b"b", b"c"] {
            known.keep(name, name[0]);
        }
        assert_eq!(known.get(b"a"), Some(b'a'));
        known.keep(b"d", b'd');
        assert_eq!([b"a", b"b", b"c", b"d"].map(|name| known.get(name).is_some()), [true, false, true, true]);
    }

    #[test]
    fn a_flood_neither_grows_it_nor_stops_it_from_learning() {
        let mut known = Certificates::of_at_most(8);
        known.keep(b"till", 0);
        for number in 0..10_000u32 {
            known.keep(&number.to_be_bytes(), number);
            known.keep(&number.to_be_bytes(), number);
            assert_eq!(known.get(b"till"), Some(0), "what is in use stays");
            assert!(known.all.len() <= 8 && known.all.len() == known.order.len());
        }
        assert_eq!(known.get(&9_999u32.to_be_bytes()), Some(9_999), "what is new is kept");
        assert_eq!(known.get(&1u32.to_be_bytes()), None);
    }
}
