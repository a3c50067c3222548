//! Sets of serials, as sorted ranges.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The most ranges of one set that comes from outside.
pub const MAX_RANGES: usize = 10_000;

/// The most digits of a serial.
const SERIAL_DIGITS: usize = 10;

/// Not a set of serials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitsError {
    /// Not ranges of numbers.
    #[error("{0:?} is no list of serials; write it as 1-5,9")]
    Syntax(String),
    /// A range that ends before it begins.
    #[error("{first}-{last} ends before it begins")]
    Backwards {
        /// Its first serial.
        first: u32,
        /// Its last serial.
        last: u32,
    },
    /// Too many ranges.
    #[error("more than {MAX_RANGES} ranges of serials")]
    TooMany,
}

/// A set of serials: inclusive ranges, ascending, with a gap between any two.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitSet(Vec<(u32, u32)>);

impl UnitSet {
    /// The serials `first..=last`; empty if `last` is below `first`.
    pub fn range(first: u32, last: u32) -> Self {
        if first <= last { Self(vec![(first, last)]) } else { Self::default() }
    }

    /// How many serials.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest serial.
    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|(first, _)| *first)
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        self.0.iter().map(|(first, last)| *first..=*last)
    }

    /// The serials, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges().flatten()
    }

    /// Whether a serial is in it.
    pub fn contains(&self, serial: u32) -> bool {
        self.holding(serial, serial)
    }

    /// Whether every serial of `other` is in it.
    pub fn contains_all(&self, other: &UnitSet) -> bool {
        other.0.iter().all(|(first, last)| self.holding(*first, *last))
    }

    fn holding(&self, first: u32, last: u32) -> bool {
        let at = self.0.partition_point(|(_, end)| *end < first);
        self.0.get(at).is_some_and(|(from, to)| *from <= first && last <= *to)
    }

    /// Whether some serial is in both.
    pub fn intersects(&self, other: &UnitSet) -> bool {
        let (few, many) = if self.0.len() < other.0.len() { (self, other) } else { (other, self) };
        few.0.iter().any(|(first, last)| {
            let at = many.0.partition_point(|(_, end)| end < first);
            many.0.get(at).is_some_and(|(from, _)| from <= last)
        })
    }

    /// The serials that are in both.
    pub fn intersection(&self, other: &UnitSet) -> UnitSet {
        let mut both = Vec::new();
        for (first, last) in &other.0 {
            let from = self.0.partition_point(|(_, end)| end < first);
            for (start, end) in self.0[from..].iter().take_while(|(start, _)| start <= last) {
                both.push((*start.max(first), *end.min(last)));
            }
        }
        UnitSet(both)
    }

    /// The serials that are here and not in `other`.
    pub fn difference(&self, other: &UnitSet) -> UnitSet {
        let mut rest = self.clone();
        rest.remove_all(other);
        rest
    }

    /// The serials that are in either.
    pub fn union(&self, other: &UnitSet) -> UnitSet {
        let mut all = self.clone();
        all.insert_all(other);
        all
    }

    /// Adds every serial of `other`.
    pub fn insert_all(&mut self, other: &UnitSet) {
        for (first, last) in &other.0 {
            let from = self.0.partition_point(|(_, end)| *end < first.saturating_sub(1));
            let to = self.0.partition_point(|(start, _)| *start <= last.saturating_add(1));
            let (mut low, mut high) = (*first, *last);
            if from < to {
                low = low.min(self.0[from].0);
                high = high.max(self.0[to - 1].1);
            }
            self.0.splice(from..to, [(low, high)]);
        }
    }

    /// Removes every serial of `other`.
    pub fn remove_all(&mut self, other: &UnitSet) {
        for (first, last) in &other.0 {
            let from = self.0.partition_point(|(_, end)| end < first);
            let to = self.0.partition_point(|(start, _)| start <= last);
            if from >= to {
                continue;
            }
            let (low, high) = (self.0[from].0, self.0[to - 1].1);
            let before = (low < *first).then(|| (low, first - 1));
            let after = (high > *last).then(|| (last + 1, high));
            self.0.splice(from..to, before.into_iter().chain(after));
        }
    }

    /// The `count` lowest serials, or all if there are fewer.
    pub fn lowest(&self, count: u64) -> UnitSet {
        let mut lacking = count;
        let mut taken = Vec::new();
        for (first, last) in &self.0 {
            if lacking == 0 {
                break;
            }
            let units = (u64::from(last - first) + 1).min(lacking);
            // `units` is at least one and no more than the range has, so this stays within the range.
            taken.push((*first, *first + (units - 1) as u32));
            lacking -= units;
        }
        UnitSet(taken)
    }
}

impl fmt::Display for UnitSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for UnitSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl FromStr for UnitSet {
    type Err = UnitsError;
    fn from_str(text: &str) -> Result<Self, UnitsError> {
        let wrong = || UnitsError::Syntax(text.chars().take(80).collect());
        let number = |text: &str| {
            let digits = text.trim_matches(' ');
            let plain = digits.len() <= SERIAL_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
            Some(digits).filter(|_| plain).and_then(|digits| digits.parse::<u32>().ok()).ok_or_else(wrong)
        };
        let mut set = UnitSet::default();
        if text.trim_matches(' ').is_empty() {
            return Ok(set);
        }
        for (index, part) in text.split(',').enumerate() {
            if index >= MAX_RANGES {
                return Err(UnitsError::TooMany);
            }
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if last < first {
                return Err(UnitsError::Backwards { first, last });
            }
            set.insert_all(&UnitSet::range(first, last));
        }
        Ok(set)
    }
}

crate::schema::text_schema!(
    UnitSet,
    crate::schema::TextSchema {
        name: "UnitSet",
        description: "Serials: ranges and single ones, such as 1-5,9. Each is at most 4,294,967,295, no range ends before it begins, and \
            there are at most 10,000 of them; a pattern cannot say that.",
        example: "1-5,9",
        pattern: r"^ *$|^ *[0-9]{1,10} *(- *[0-9]{1,10} *)?(, *[0-9]{1,10} *(- *[0-9]{1,10} *)?)*$",
        length: (0, None),
    }
);

impl serde::Serialize for UnitSet {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for UnitSet {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A flat array: for each range the gap since the one before (for the first: its serial), then its length less one.
impl<C> minicbor::Encode<C> for UnitSet {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(self.0.len() as u64 * 2)?;
        let mut after = 0;
        for (first, last) in &self.0 {
            e.u32(first - after)?.u32(last - first)?;
            // Nothing follows a range that ends at the highest serial.
            after = last.saturating_add(1);
        }
        Ok(())
    }
}

/// Refuses every form but the one that is written: gaps between ranges, nothing beyond the highest serial.
impl<'b, C> minicbor::Decode<'b, C> for UnitSet {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let wrong = || minicbor::decode::Error::message("not a set of serials");
        let length = d.array()?.ok_or_else(wrong)?;
        let count = usize::try_from(length / 2).map_err(|_| wrong())?;
        if length % 2 != 0 || count > MAX_RANGES {
            return Err(wrong());
        }
        let mut ranges = Vec::with_capacity(count.min(64));
        let mut after: Option<u32> = Some(0);
        for index in 0..count {
            let (gap, more) = (d.u32()?, d.u32()?);
            if index > 0 && gap == 0 {
                return Err(wrong());
            }
            let first = after.and_then(|after| after.checked_add(gap)).ok_or_else(wrong)?;
            let last = first.checked_add(more).ok_or_else(wrong)?;
            ranges.push((first, last));
            after = last.checked_add(1);
        }
        Ok(UnitSet(ranges))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn sets() -> impl Strategy<Value = UnitSet> {
        let serial = prop_oneof![0u32..60, (u32::MAX - 30)..=u32::MAX];
        proptest::collection::vec((serial, 0u32..6), 0..12).prop_map(|ranges| {
            let mut set = UnitSet::default();
            for (first, more) in ranges {
                set.insert_all(&UnitSet::range(first, first.saturating_add(more)));
            }
            set
        })
    }

    fn model(set: &UnitSet) -> BTreeSet<u32> {
        set.iter().collect()
    }

    fn is_normal(set: &UnitSet) -> bool {
        set.0.iter().all(|(first, last)| first <= last)
            && set.0.windows(2).all(|pair| u64::from(pair[0].1) + 1 < u64::from(pair[1].0))
    }

    proptest! {
        #[test]
        fn operations_are_those_of_sets(a in sets(), b in sets(), count in 0u64..40) {
            let (x, y) = (model(&a), model(&b));
            prop_assert_eq!(a.len(), x.len() as u64);
            prop_assert_eq!(model(&a.union(&b)), &x | &y);
            prop_assert_eq!(model(&a.intersection(&b)), &x & &y);
            prop_assert_eq!(model(&a.difference(&b)), &x - &y);
            prop_assert_eq!(a.intersects(&b), !x.is_disjoint(&y));
            prop_assert_eq!(a.contains_all(&b), y.is_subset(&x));
            prop_assert_eq!(a.first(), x.first().copied());
            prop_assert_eq!(model(&a.lowest(count)), x.iter().take(count as usize).copied().collect());
            for set in [a.union(&b), a.intersection(&b), a.difference(&b), a.lowest(count)] {
                prop_assert!(is_normal(&set), "{set}");
            }
            for serial in y {
                prop_assert_eq!(a.contains(serial), x.contains(&serial));
            }
        }

        #[test]
        fn text_and_cbor_come_back(a in sets()) {
            prop_assert_eq!(&a.to_string().parse::<UnitSet>().unwrap(), &a);
            prop_assert_eq!(&minicbor::decode::<UnitSet>(&minicbor::to_vec(&a).unwrap()).unwrap(), &a);
            prop_assert_eq!(&serde_json::from_str::<UnitSet>(&serde_json::to_string(&a).unwrap()).unwrap(), &a);
        }

        #[test]
        fn whatever_is_read_is_normal_and_written_the_same(
            numbers in proptest::collection::vec(prop_oneof![0u32..5, any::<u32>()], 0..12),
        ) {
            let bytes = minicbor::to_vec(&numbers).unwrap();
            if let Ok(set) = minicbor::decode::<UnitSet>(&bytes) {
                prop_assert!(is_normal(&set));
                prop_assert_eq!(minicbor::to_vec(&set).unwrap(), bytes);
            }
        }

        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in ".{0,40}") {
            let _ = minicbor::decode::<UnitSet>(&bytes);
            let _ = text.parse::<UnitSet>();
        }
    }

    #[test]
    fn text_that_is_no_set_is_refused() {
        for bad in ["a", "1-", "-1", "1,,2", "5-1", "4294967296", "1-2-3"] {
            assert!(bad.parse::<UnitSet>().is_err(), "{bad}");
        }
    }
}
