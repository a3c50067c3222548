//! Places of connections: how many there are, whose they are, and who goes when somebody else needs one.
//!
//! A *place* is one connection's, until it is closed. Some are the host's own, for callers on this host alone. Of the
//! others no address and no token may have too many; where there is none left, the connection goes that has waited longest
//! without having shown a good token, so that whoever has none cannot keep out who has one. An example: a stranger holds
//! 128 connections and says nothing; its 129th closes its first, and a till from elsewhere finds a place as ever.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::access::TokenId;
use crate::caller::network;

/// The most connections at once.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// Those of them that callers on this host have for themselves.
pub(super) const OWN_CONNECTIONS: usize = 256;
/// The most from one address elsewhere.
pub(super) const MAX_CONNECTIONS_EACH: usize = 128;
/// The most with one token. What is beyond closes the one of them that is idle for longest.
pub(super) const MAX_CONNECTIONS_OF_TOKEN: usize = 32;
/// How long a caller from elsewhere may take until it has shown a good token.
pub(super) const PROOF: Duration = Duration::from_secs(10);

/// All places.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    next: u64,
    elsewhere_max: usize,
    proof: Duration,
    /// In the order in which they came.
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    /// Where from; none from this host.
    from: Option<IpAddr>,
    token: Option<TokenId>,
    /// Requests that are worked on, and streams.
    working: usize,
    close: Arc<Notify>,
}

impl Places {
    /// As many as the system has files for: callers from elsewhere never have more than half of these.
    pub(super) fn new(files: usize) -> Self {
        Self::with(files, PROOF)
    }

    fn with(files: usize, proof: Duration) -> Self {
        let elsewhere_max = (MAX_CONNECTIONS - OWN_CONNECTIONS).min(files / 2).max(1);
        Self(Arc::new(Mutex::new(Table { next: 0, elsewhere_max, proof, taken: BTreeMap::new() })))
    }

    /// A place for a connection from `peer`; none if there is none, and none that may be taken from another.
    pub(super) fn take(&self, peer: IpAddr, own: bool) -> Option<Place> {
        let mut table = self.table();
        let from = (!own).then(|| network(peer));
        let alike = table.count(|taken| taken.from == from);
        let has_room = match from {
            None => {
                alike < OWN_CONNECTIONS || table.close(|taken| taken.from.is_none() && taken.working == 0)
            }
            Some(_) => {
                let unproven = |taken: &Taken| taken.from.is_some() && taken.token.is_none();
                (alike < MAX_CONNECTIONS_EACH || table.close(|taken| unproven(taken) && taken.from == from))
                    && (table.count(|taken| taken.from.is_some()) < table.elsewhere_max
                        || table.close(unproven))
            }
        };
        if !has_room {
            return None;
        }
        let (id, close) = (table.next, Arc::new(Notify::new()));
        table.next += 1;
        table.taken.insert(id, Taken { from, token: None, working: 0, close: Arc::clone(&close) });
        Some(Place(Arc::new(Seat { places: self.clone(), id, close })))
    }

    /// Closes the connection from elsewhere that is without a good token for longest, where the system has no more
    /// sockets to give.
    pub(super) fn make_room(&self) {
        self.table().close(|taken| taken.from.is_some() && taken.token.is_none());
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn count(&self, of: impl Fn(&Taken) -> bool) -> usize {
        self.taken.values().filter(|taken| of(taken)).count()
    }

    /// Closes the first of these. Whether there was one.
    fn close(&mut self, of: impl Fn(&Taken) -> bool) -> bool {
        let first = self.taken.iter().find(|(_, taken)| of(taken)).map(|(id, _)| *id);
        let Some(gone) = first.and_then(|id| self.taken.remove(&id)) else { return false };
        // It is kept until the connection looks.
        gone.close.notify_one();
        true
    }
}

/// A connection's place. It is given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Seat>);

#[derive(Debug)]
struct Seat {
    places: Places,
    id: u64,
    close: Arc<Notify>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.table().taken.remove(&self.id);
    }
}

impl Place {
    /// Ends when somebody else gets the place, or when its caller has shown no good token for too long.
    pub(super) async fn lost(&self) {
        let unproven = async {
            let proof = self.0.places.table().proof;
            tokio::time::sleep(proof).await;
            let is_unproven = |taken: &Taken| taken.from.is_some() && taken.token.is_none();
            if !self.0.places.table().taken.get(&self.0.id).is_some_and(is_unproven) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.0.close.notified() => {}
            () = unproven => {}
        }
    }

    /// The caller has shown a good token. False if that has too many connections already, all of them at work.
    pub(super) fn prove(&self, token: TokenId) -> bool {
        let mut table = self.0.places.table();
        let Some(own) = table.taken.get_mut(&self.0.id) else { return false };
        if own.token == Some(token) {
            return true;
        }
        let before = own.token.replace(token);
        if table.count(|taken| taken.token == Some(token)) <= MAX_CONNECTIONS_OF_TOKEN {
            return true;
        }
        let first = table
            .taken
            .iter()
            .find(|(id, taken)| **id != self.0.id && taken.token == Some(token) && taken.working == 0);
        if let Some(id) = first.map(|(id, _)| *id) {
            if let Some(gone) = table.taken.remove(&id) {
                gone.close.notify_one();
            }
            return true;
        }
        if let Some(own) = table.taken.get_mut(&self.0.id) {
            own.token = before;
        }
        false
    }

    /// Something is worked on for it, until this is dropped.
    pub(super) fn work(&self) -> Work {
        if let Some(own) = self.0.places.table().taken.get_mut(&self.0.id) {
            own.working += 1;
        }
        Work(self.clone())
    }
}

/// Keeps a place from being taken away as an idle one.
#[derive(Debug)]
pub(super) struct Work(Place);

impl Drop for Work {
    fn drop(&mut self) {
        let seat = &self.0.0;
        if let Some(own) = seat.places.table().taken.get_mut(&seat.id) {
            own.working = own.working.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const MANY_FILES: usize = 65_536;

    fn address(number: usize) -> IpAddr {
        IpAddr::from([10, 0, (number / 250) as u8, (number % 250) as u8 + 1])
    }

    fn is_lost(place: &Place) -> bool {
        place.0.close.notified().now_or_never().is_some()
    }

    #[test]
    fn who_has_shown_no_token_goes_for_who_comes_later_and_nobody_else_does() {
        let places = Places::new(MANY_FILES);
        let token = TokenId([1; 8]);
        let proven = places.take(address(0), false).unwrap();
        assert!(proven.prove(token));
        let all = MAX_CONNECTIONS - OWN_CONNECTIONS;
        let strangers: Vec<Place> =
            (1..all).map(|number| places.take(address(number), false).unwrap()).collect();
        let late = places.take(address(all), false).unwrap();
        assert!(is_lost(&strangers[0]) && !is_lost(&strangers[1]) && !is_lost(&proven));
        assert!(late.prove(token), "it can do its work");
        let own: Vec<Place> = (0..OWN_CONNECTIONS).map(|_| places.take(address(0), true).unwrap()).collect();
        assert!(!is_lost(&strangers[1]), "the host's own take nothing from the others");
        let work: Vec<Work> = own.iter().map(Place::work).collect();
        assert!(places.take(address(0), true).is_none(), "all of the host's own are at work");
        drop(work);
        assert!(places.take(address(0), true).is_some() && is_lost(&own[0]));
        drop((own, strangers, late, proven));
        assert!(places.table().taken.is_empty());
    }

    #[test]
    fn an_address_closes_its_own_first_and_a_token_its_idle_ones() {
        let places = Places::new(MANY_FILES);
        let other = places.take(address(7), false).unwrap();
        let same: Vec<Place> =
            (0..=MAX_CONNECTIONS_EACH).map(|_| places.take(address(1), false).unwrap()).collect();
        assert!(is_lost(&same[0]) && !is_lost(&same[1]) && !is_lost(&other));
        let token = TokenId([2; 8]);
        let of_token: Vec<Place> = (0..MAX_CONNECTIONS_OF_TOKEN)
            .map(|number| places.take(address(number + 10), false).unwrap())
            .collect();
        assert!(of_token.iter().all(|place| place.prove(token)));
        let busy = of_token[0].work();
        let next = places.take(address(100), false).unwrap();
        assert!(next.prove(token) && is_lost(&of_token[1]) && !is_lost(&of_token[0]));
        let busy: Vec<Work> = of_token[2..].iter().chain([&next]).map(Place::work).chain([busy]).collect();
        assert!(!places.take(address(101), false).unwrap().prove(token), "none of them is idle");
        drop(busy);
        assert!(places.take(address(102), false).unwrap().prove(token));
    }

    #[test]
    fn where_files_are_few_strangers_get_half_of_them() {
        let places = Places::new(64);
        let strangers: Vec<Place> =
            (0..40).map(|number| places.take(address(number), false).unwrap()).collect();
        assert_eq!(strangers.iter().filter(|place| is_lost(place)).count(), 8);
        assert!(places.take(address(0), true).is_some());
    }

    #[tokio::test]
    async fn who_shows_no_good_token_in_time_is_let_go() {
        let soon = Duration::from_millis(20);
        let places = Places::with(MANY_FILES, soon);
        let (silent, proven) =
            (places.take(address(1), false).unwrap(), places.take(address(2), false).unwrap());
        let own = places.take("127.0.0.1".parse().unwrap(), true).unwrap();
        assert!(proven.prove(TokenId([1; 8])));
        silent.lost().await;
        for place in [proven, own] {
            assert!(tokio::time::timeout(10 * soon, place.lost()).await.is_err());
        }
    }
}
