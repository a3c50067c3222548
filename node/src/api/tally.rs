//! What callers did that is refused before anybody knows them, summed: one line a minute, however many there are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::access::TokenId;
use crate::caller::network;

/// How often the sums are told.
const EVERY: Duration = Duration::from_secs(60);
/// The most addresses that are told apart.
const MAX_ADDRESSES: usize = 64;
/// The most tokens that are named.
const MAX_TOKENS: usize = 8;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refused {
    /// It could not agree on TLS, or not in time.
    Tls,
    /// It spoke HTTP where TLS is spoken.
    NotTls,
    /// It had too many connections, or showed no good token on one.
    Place,
    /// Its token is not known.
    Unknown,
    /// Its token has ended.
    Ended,
    /// Its token was revoked.
    Revoked,
    /// It was shut out for its bad tokens.
    ShutOut,
    /// Its token is of another scope.
    Scope,
}

#[derive(Debug, Default)]
struct Sums {
    counts: BTreeMap<Refused, u64>,
    /// The minutes before.
    before: BTreeMap<Refused, u64>,
    from: BTreeSet<IpAddr>,
    /// Good tokens that were shown for what is not theirs.
    tokens: BTreeSet<TokenId>,
}

/// The sums of this minute.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Sums>);

impl Tally {
    /// Something of a caller's was refused.
    pub(super) fn note(&self, what: Refused, from: IpAddr) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sums.counts.entry(what).or_default() += 1;
        if sums.from.len() < MAX_ADDRESSES {
            sums.from.insert(network(from));
        }
    }

    /// A good token was shown for what is not its own.
    pub(super) fn note_scope(&self, token: TokenId, from: IpAddr) {
        self.note(Refused::Scope, from);
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sums.tokens.len() < MAX_TOKENS {
            sums.tokens.insert(token);
        }
    }

    /// How often it was refused since the start.
    pub(super) fn since_start(&self, what: Refused) -> u64 {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        [&sums.before, &sums.counts].iter().filter_map(|counts| counts.get(&what)).sum()
    }

    /// Tells the sums each minute in which there are some, for as long as it is polled.
    pub(super) async fn tell(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.tell_now();
        }
    }

    /// Tells the sums as they are.
    pub(super) fn tell_now(&self) {
        if let Some(told) = self.sums() {
            tracing::warn!("callers of the API were refused in the last minute: {told}");
        }
    }

    /// This minute in words; the next one begins.
    fn sums(&self) -> Option<String> {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Sums { counts, mut before, from, tokens } = std::mem::take(&mut *sums);
        for (what, count) in &counts {
            *before.entry(*what).or_default() += count;
        }
        sums.before = before;
        drop(sums);
        if counts.is_empty() {
            return None;
        }
        let each: Vec<String> =
            counts.iter().map(|(what, count)| format!("{count} {}", in_words(*what))).collect();
        let shown: Vec<String> = from.iter().take(3).map(ToString::to_string).collect();
        let more = match from.len() - shown.len() {
            0 => String::new(),
            _ if from.len() == MAX_ADDRESSES => {
                format!(" and {} others at least", MAX_ADDRESSES - shown.len())
            }
            more => format!(" and {more} others"),
        };
        let tokens: Vec<String> = tokens.iter().map(ToString::to_string).collect();
        let which = if tokens.is_empty() { String::new() } else { format!(" (token {})", tokens.join(", ")) };
        Some(format!("{}{which}; from {}{more}", each.join(", "), shown.join(", ")))
    }
}

fn in_words(what: Refused) -> &'static str {
    match what {
        Refused::Tls => "could not agree on TLS",
        Refused::NotTls => "spoke HTTP where TLS is spoken",
        Refused::Place => "had too many connections or showed no good token",
        Refused::Unknown => "with an unknown token",
        Refused::Ended => "with a token that has ended",
        Refused::Revoked => "with a revoked token",
        Refused::ShutOut => "from an address that is shut out",
        Refused::Scope => "with a token of another scope",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_one_line_and_the_next_begins_anew() {
        let tally = Tally::default();
        assert_eq!(tally.sums(), None);
        for number in 0..10_000_u32 {
            tally.note(Refused::Tls, IpAddr::from(number.to_be_bytes()));
        }
        tally.note(Refused::Unknown, IpAddr::from([9, 9, 9, 9]));
        let told = tally.sums().unwrap();
        assert!(
            told.starts_with("10000 could not agree on TLS, 1 with an unknown token; from 0.0.0.0"),
            "{told}"
        );
        assert!(told.ends_with("and 61 others at least"), "{told}");
        assert_eq!(tally.sums(), None);
        tally.note(Refused::Tls, IpAddr::from([9, 9, 9, 9]));
        assert_eq!((tally.since_start(Refused::Tls), tally.since_start(Refused::NotTls)), (10_001, 0));
    }
}
