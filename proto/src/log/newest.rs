//! Entries of several chains, the latest first, without reading all of them.
//!
//! Times go up along a chain. So the latest entry of all is the last of one of the chains, and where a page begins is found in
//! each chain by halving: ten steps in a chain of 1,000 entries.

use std::collections::BinaryHeap;

use super::Chain;
use crate::clock::Hlc;
use crate::id::Ref;
use crate::programme::Edit;
use crate::query::Moment;
use crate::record::Record;

/// The entries of some chains, the latest first.
pub(crate) struct Newest<'a> {
    chains: Vec<&'a Chain>,
    /// The last entry of each chain that has not come yet, and the chain's number.
    lasts: BinaryHeap<(Moment, usize)>,
}

impl<'a> Newest<'a> {
    /// Those before a moment; all if it is absent.
    pub(crate) fn before(chains: impl Iterator<Item = &'a Chain>, moment: Option<Moment>) -> Self {
        let chains: Vec<&Chain> = chains.collect();
        let lasts = chains.iter().enumerate().filter_map(|(number, chain)| {
            let is_before =
                |seq| moment.is_none_or(|moment| moment_of(chain, seq).is_some_and(|at| at < moment));
            let last = last_that(chain.len(), is_before);
            Some((moment_of(chain, last)?, number))
        });
        let lasts = lasts.collect();
        Self { chains, lasts }
    }
}

impl<'a> Iterator for Newest<'a> {
    type Item = (Moment, &'a Chain);

    fn next(&mut self) -> Option<Self::Item> {
        let (moment, number) = self.lasts.pop()?;
        let chain = self.chains[number];
        if let Some(before) = moment_of(chain, moment.entry.seq - 1) {
            self.lasts.push((before, number));
        }
        Some((moment, chain))
    }
}

/// The last of the numbers from 1 to `len` of which something holds, where it holds of all up to some number; 0 if of none.
fn last_that(len: u64, holds: impl Fn(u64) -> bool) -> u64 {
    if len == 0 || holds(len) {
        return len;
    }
    let (mut good, mut bad) = (0, len);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if holds(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}

fn moment_of(chain: &Chain, seq: u64) -> Option<Moment> {
    let body = chain.body(seq)?;
    let entry = Ref { chain: chain.id, seq };
    let at = match Edit::looks_like(body) {
        true => Edit::time(body),
        false => Record::glance(body).map(|(at, _)| at),
    };
    // What cannot be read is in no log; were it, it would be as old as can be.
    Some(Moment { at: at.unwrap_or(Hlc::default()), entry })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_finds_the_last_of_any_number() {
        for len in 0..20 {
            for good in 0..=len {
                assert_eq!(last_that(len, |seq| seq <= good), good, "{good} of {len}");
            }
        }
    }
}
