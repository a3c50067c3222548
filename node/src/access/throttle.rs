//! How often an address may fail to show a good token, and how fast one token may ask. Both tables are bounded.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::TokenId;
use crate::caller::network;

/// So many failures of one address are answered; further ones, and everything else from there, wait.
pub const FAILURES: u32 = 10;
/// For so long after the first of them.
pub const WINDOW: Duration = Duration::from_secs(60);

/// The most addresses that are remembered. Beyond them, the one that began to fail first is forgotten.
const MAX_ADDRESSES: usize = 1024;
/// The most tokens whose pace is remembered.
const MAX_TOKENS: usize = 256;
/// Requests of one token at once, after a pause.
const BURST: f64 = 200.0;
/// Requests of one token a second, in the long run.
const PER_SECOND: f64 = 50.0;

/// Units that one token takes out of sale or moves at once, after a pause, where it may not empty the device.
pub const GIVES_UNITS: u32 = 6;
/// Claims that such a token hands on or refunds.
pub const GIVES_CLAIMS: u32 = 20;
/// After which it gives one more in so long.
pub const GIVES_EVERY: Duration = Duration::from_secs(60);

/// What is given away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// One unit.
    Unit,
    /// One claim.
    Claim,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    count: u32,
}

#[derive(Debug)]
struct Pace {
    left: f64,
    at: Instant,
}

/// The two tables.
#[derive(Debug, Default)]
pub struct Throttle {
    failing: Mutex<BTreeMap<IpAddr, Failing>>,
    paces: Mutex<BTreeMap<TokenId, Pace>>,
    units: Mutex<BTreeMap<TokenId, Pace>>,
    claims: Mutex<BTreeMap<TokenId, Pace>>,
}

impl Throttle {
    /// For how long nothing from `address` is listened to, if it failed too often.
    pub fn shut_out(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        let entry = failing.get(&address)?;
        let passed = now.saturating_duration_since(entry.since);
        if passed >= WINDOW {
            failing.remove(&address);
            return None;
        }
        (entry.count >= FAILURES).then(|| WINDOW.saturating_sub(passed))
    }

    /// Notes that `address` showed no good token.
    pub fn failed(&self, address: IpAddr, now: Instant) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        if failing.len() >= MAX_ADDRESSES && !failing.contains_key(&address) {
            failing.retain(|_, entry| now.saturating_duration_since(entry.since) < WINDOW);
            if failing.len() >= MAX_ADDRESSES
                && let Some(oldest) = failing.iter().min_by_key(|(_, entry)| entry.since).map(|(key, _)| *key)
            {
                failing.remove(&oldest);
            }
        }
        let entry = failing.entry(address).or_insert(Failing { since: now, count: 0 });
        if now.saturating_duration_since(entry.since) >= WINDOW {
            *entry = Failing { since: now, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
    }

    /// Whether the token may ask once more now.
    pub fn may_ask(&self, token: TokenId, now: Instant) -> bool {
        take(&self.paces, token, (BURST, PER_SECOND), now).is_ok()
    }

    /// Whether the token may give one more thing away now; if not, in how long.
    ///
    /// # Errors
    /// How long to wait.
    pub fn may_give(&self, what: Given, token: TokenId, now: Instant) -> Result<(), Duration> {
        let (paces, burst) = match what {
            Given::Unit => (&self.units, GIVES_UNITS),
            Given::Claim => (&self.claims, GIVES_CLAIMS),
        };
        take(paces, token, (f64::from(burst), 1.0 / GIVES_EVERY.as_secs_f64()), now)
    }
}

/// Takes one of so many at once, and so many a second in the long run.
fn take(
    paces: &Mutex<BTreeMap<TokenId, Pace>>,
    token: TokenId,
    (burst, per_second): (f64, f64),
    now: Instant,
) -> Result<(), Duration> {
    let mut paces = paces.lock().unwrap_or_else(PoisonError::into_inner);
    if paces.len() >= MAX_TOKENS
        && !paces.contains_key(&token)
        && let Some(idle) = paces.iter().min_by_key(|(_, pace)| pace.at).map(|(key, _)| *key)
    {
        paces.remove(&idle);
    }
    let pace = paces.entry(token).or_insert(Pace { left: burst, at: now });
    let passed = now.saturating_duration_since(pace.at).as_secs_f64();
    pace.left = (pace.left + passed * per_second).min(burst);
    pace.at = now;
    if pace.left < 1.0 {
        return Err(Duration::from_secs_f64((1.0 - pace.left) / per_second));
    }
    pace.left -= 1.0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn who_fails_too_often_waits_until_the_window_is_over() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let late = now + WINDOW;
        for _ in 0..FAILURES {
            assert_eq!(throttle.shut_out(address(1), now), None);
            throttle.failed(address(1), now);
        }
        assert_eq!(throttle.shut_out(address(1), now), Some(WINDOW));
        assert_eq!(throttle.shut_out(address(2), now), None, "another address is not concerned");
        assert_eq!(throttle.shut_out(address(1), late), None);
        throttle.failed(address(1), late);
        assert_eq!(throttle.shut_out(address(1), late), None, "it starts anew");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..FAILURES {
            throttle.failed(format!("2001:db8::{number:x}").parse().unwrap(), now);
        }
        assert!(throttle.shut_out("2001:db8::ffff".parse().unwrap(), now).is_some());
        assert!(throttle.shut_out("2001:db8:0:1::1".parse().unwrap(), now).is_none());
    }

    #[test]
    fn the_tables_stay_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..5_000 {
            throttle.failed(address(number), now + Duration::from_millis(number.into()));
            throttle.may_ask(TokenId(u64::from(number).to_be_bytes()), now);
        }
        assert_eq!(throttle.failing.lock().unwrap().len(), MAX_ADDRESSES);
        assert_eq!(throttle.paces.lock().unwrap().len(), MAX_TOKENS);
    }

    #[test]
    fn a_token_gives_so_much_away_and_then_little() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let token = TokenId([1; 8]);
        let gives = |at| (0..1_000).filter(|_| throttle.may_give(Given::Unit, token, at).is_ok()).count();
        assert_eq!(gives(now), GIVES_UNITS as usize);
        let wait = throttle.may_give(Given::Unit, token, now).unwrap_err();
        assert!(wait <= GIVES_EVERY && wait + Duration::from_secs(1) > GIVES_EVERY, "{wait:?}");
        assert_eq!(gives(now + 5 * GIVES_EVERY), 5);
        let claims = (0..1_000).filter(|_| throttle.may_give(Given::Claim, token, now).is_ok()).count();
        assert_eq!(claims, GIVES_CLAIMS as usize, "these are counted apart");
        assert!(
            throttle.may_give(Given::Unit, TokenId([2; 8]), now).is_ok(),
            "another token is not concerned"
        );
    }

    #[test]
    fn a_token_asks_in_bursts_and_then_at_its_pace() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let token = TokenId([1; 8]);
        let allowed = (0..1_000).filter(|_| throttle.may_ask(token, now)).count();
        assert_eq!(allowed, BURST as usize);
        assert!(throttle.may_ask(TokenId([2; 8]), now), "another token is not concerned");
        let later = now + Duration::from_secs(1);
        let allowed = (0..1_000).filter(|_| throttle.may_ask(token, later)).count();
        assert_eq!(allowed, PER_SECOND as usize);
    }
}
