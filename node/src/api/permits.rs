//! How many requests are worked on at once, and how many streams are open: in all, for one token, and with a share that
//! callers on this host have for themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::TokenId;

/// How many of something there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// For callers on this host alone.
    pub(super) own: usize,
    /// For everybody.
    pub(super) shared: usize,
    /// For one token.
    pub(super) each: usize,
}

/// Requests that are worked on at once.
pub(super) const REQUESTS: Most = Most { own: 128, shared: 384, each: 16 };
/// Readers of events at once. Each has up to 64 kB of them in memory that it has not taken, and as much again in the system's.
pub(super) const STREAMS: Most = Most { own: 32, shared: 128, each: 16 };

/// Who has none left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// The token has as many as it may.
    Token,
}

/// What is given out.
#[derive(Debug)]
pub(super) struct Permits {
    own: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    each: usize,
    tokens: Arc<Mutex<BTreeMap<TokenId, usize>>>,
}

impl Permits {
    pub(super) fn new(most: Most) -> Arc<Self> {
        Arc::new(Self {
            own: Arc::new(Semaphore::new(most.own)),
            shared: Arc::new(Semaphore::new(most.shared)),
            each: most.each,
            tokens: Arc::default(),
        })
    }

    /// One for a caller, which is on this host if `own`, and which this token bounds.
    pub(super) fn take(&self, own: bool, token: Option<TokenId>) -> Result<Permit, Full> {
        let counted = token.map(|token| self.count(token).ok_or(Full::Token)).transpose()?;
        let own = own.then(|| Arc::clone(&self.own).try_acquire_owned().ok()).flatten();
        let permit = own.map_or_else(|| Arc::clone(&self.shared).try_acquire_owned(), Ok);
        Ok(Permit { _permit: permit.map_err(|_| Full::All)?, _counted: counted })
    }

    fn count(&self, token: TokenId) -> Option<Counted> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = tokens.entry(token).or_default();
        let may = *taken < self.each;
        *taken += usize::from(may);
        may.then(|| Counted { tokens: Arc::clone(&self.tokens), token })
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _permit: OwnedSemaphorePermit,
    _counted: Option<Counted>,
}

#[derive(Debug)]
struct Counted {
    tokens: Arc<Mutex<BTreeMap<TokenId, usize>>>,
    token: TokenId,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = tokens.get_mut(&self.token) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                tokens.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_so_many_and_the_host_always_has_some() {
        let permits = Permits::new(Most { own: 2, shared: 6, each: 3 });
        let [one, other, third] = [1, 2, 3].map(|byte| Some(TokenId([byte; 8])));
        let of_one: Vec<Permit> = (0..3).map(|_| permits.take(false, one).unwrap()).collect();
        assert_eq!(permits.take(false, one).unwrap_err(), Full::Token);
        let of_other: Vec<Permit> = (0..3).map(|_| permits.take(false, other).unwrap()).collect();
        assert_eq!(permits.take(false, third).unwrap_err(), Full::All);
        assert!(
            permits.tokens.lock().unwrap().get(&third.unwrap()).is_none(),
            "what got none is not counted"
        );
        let own: Vec<Permit> = (0..2).map(|_| permits.take(true, None).unwrap()).collect();
        assert_eq!(permits.take(true, None).unwrap_err(), Full::All);
        drop(of_one);
        let more = permits.take(true, None).unwrap();
        drop((of_other, own, more));
        assert!(permits.tokens.lock().unwrap().is_empty());
        assert_eq!((permits.own.available_permits(), permits.shared.available_permits()), (2, 6));
    }
}
