//! Which things name which serials: ranges of serials, each with everything that names it, in order. What names a
//! serial, or some, is found in the time that this takes, however much names others.
//!
//! Example: a sale of serials 1 to 4 and one of 3 make the ranges 1–2 (the first), 3 (both) and 4 (the first).

use std::collections::BTreeMap;

use crate::units::UnitSet;

/// What names the serials of one range: mostly one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Names<T> {
    One(T),
    /// Two or more, ascending.
    Many(Vec<T>),
}

impl<T: Ord + Clone> Names<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Names::One(only) => std::slice::from_ref(only),
            Names::Many(all) => all,
        }
    }

    fn insert(&mut self, new: &T) {
        let all = self.as_slice();
        if let Err(at) = all.binary_search(new) {
            let mut all = all.to_vec();
            all.insert(at, new.clone());
            *self = Names::Many(all);
        }
    }

    /// Whether anything is left.
    fn remove(&mut self, old: &T) -> bool {
        let mut left: Vec<T> = self.as_slice().iter().filter(|name| *name != old).cloned().collect();
        match (left.pop(), left.is_empty()) {
            (None, _) => return false,
            (Some(only), true) => *self = Names::One(only),
            (Some(last), false) => {
                left.push(last);
                *self = Names::Many(left);
            }
        }
        true
    }
}

/// The serials of one range, up to and with `last`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span<T> {
    last: u32,
    names: Names<T>,
}

/// What names which serials. Two of these are equal if the same things name the same serials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spans<T>(BTreeMap<u32, Span<T>>);

impl<T> Default for Spans<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Spans<T> {
    /// Has `name` name these serials.
    pub(super) fn insert(&mut self, units: &UnitSet, name: &T) {
        for range in units.ranges() {
            let (first, last) = (*range.start(), *range.end());
            self.split(first, last);
            let mut gaps = Vec::new();
            let mut next = Some(first);
            for (start, span) in self.0.range_mut(first..=last) {
                if let Some(from) = next.filter(|from| from < start) {
                    gaps.push((from, start - 1));
                }
                span.names.insert(name);
                next = span.last.checked_add(1);
            }
            if let Some(from) = next.filter(|from| *from <= last) {
                gaps.push((from, last));
            }
            for (from, last) in gaps {
                self.0.insert(from, Span { last, names: Names::One(name.clone()) });
            }
            self.join(first, last);
        }
    }

    /// Has `name` no longer name these serials.
    pub(super) fn remove(&mut self, units: &UnitSet, name: &T) {
        for range in units.ranges() {
            let (first, last) = (*range.start(), *range.end());
            self.split(first, last);
            let mut empty = Vec::new();
            for (start, span) in self.0.range_mut(first..=last) {
                if !span.names.remove(name) {
                    empty.push(*start);
                }
            }
            for start in empty {
                self.0.remove(&start);
            }
            self.join(first, last);
        }
    }

    /// Of `units`, range by range, what is named by something, and by what.
    pub(super) fn touching<'a>(
        &'a self,
        units: &'a UnitSet,
    ) -> impl Iterator<Item = (UnitSet, &'a [T])> + 'a {
        units.ranges().flat_map(move |range| {
            let (first, last) = (*range.start(), *range.end());
            let before = self.0.range(..first).next_back().filter(|(_, span)| span.last >= first);
            before.into_iter().chain(self.0.range(first..=last)).map(move |(start, span)| {
                let part = UnitSet::range(first.max(*start), last.min(span.last));
                (part, span.names.as_slice())
            })
        })
    }

    /// Of `units`, those that something names.
    pub(super) fn named(&self, units: &UnitSet) -> UnitSet {
        let mut named = UnitSet::default();
        self.touching(units).for_each(|(part, _)| named.insert_all(&part));
        named
    }

    /// The lowest serial above all that are named; `None` if there is none.
    pub(super) fn next_free(&self) -> Option<u32> {
        self.0.last_key_value().map_or(Some(1), |(_, span)| span.last.checked_add(1))
    }

    /// Has a range begin at `first`, and one end at `last`, if these are inside of one.
    fn split(&mut self, first: u32, last: u32) {
        for at in [Some(first), last.checked_add(1)].into_iter().flatten() {
            let Some((_, span)) = self.0.range_mut(..at).next_back() else { continue };
            if span.last >= at {
                let rest = span.clone();
                span.last = at - 1;
                self.0.insert(at, rest);
            }
        }
    }

    /// Makes one range of those that follow each other and are named by the same, from before `first` to after `last`.
    fn join(&mut self, first: u32, last: u32) {
        let from = self.0.range(..first).next_back().map_or(first, |(start, _)| *start);
        let upto = last.saturating_add(1);
        let mut starts: Vec<u32> = self.0.range(from..=upto).map(|(start, _)| *start).collect();
        starts.reverse();
        for pair in starts.windows(2) {
            let &[later, earlier] = pair else { continue };
            let (Some(one), Some(two)) = (self.0.get(&earlier), self.0.get(&later)) else { continue };
            if one.last.checked_add(1) == Some(later) && one.names == two.names {
                let last = two.last;
                self.0.remove(&later);
                if let Some(one) = self.0.get_mut(&earlier) {
                    one.last = last;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_names_what_a_plain_set_of_pairs_names(
            steps in proptest::collection::vec((any::<bool>(), 0u8..4, 0u32..40, 0u32..9), 1..40),
            asked in (0u32..40, 0u32..20),
        ) {
            let edge = u32::MAX - 48;
            let mut spans = Spans::default();
            let mut model = BTreeSet::new();
            for (inserts, name, first, more) in steps {
                let units = UnitSet::range(edge + first, edge + first + more);
                for serial in units.iter() {
                    if inserts { model.insert((serial, name)); } else { model.remove(&(serial, name)); }
                }
                if inserts { spans.insert(&units, &name) } else { spans.remove(&units, &name) }
            }
            let asked = UnitSet::range(edge + asked.0, (edge + asked.0).saturating_add(asked.1));
            let mut seen = BTreeSet::new();
            for (part, names) in spans.touching(&asked) {
                prop_assert!(names.is_sorted() && !names.is_empty());
                for serial in part.iter() {
                    seen.extend(names.iter().map(|name| (serial, *name)));
                }
            }
            let expected: BTreeSet<(u32, u8)> =
                model.iter().filter(|(serial, _)| asked.contains(*serial)).copied().collect();
            prop_assert_eq!(seen, expected);
            // However it came to be, it is the same.
            let mut anew = Spans::default();
            for (serial, name) in model.iter().rev() {
                anew.insert(&UnitSet::range(*serial, *serial), name);
            }
            prop_assert_eq!(spans, anew);
        }
    }
}
