//! Who was refused, and what is said of it: devices of the event one by one, as far as there are few; strangers as sums.
//!
//! Whoever is in the network can call as often as it likes, under as many keys as it likes. So nothing here grows with
//! that, and no more than a few lines a minute are said of it. No clock of its own.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    time::Duration,
};

use libp2p::Multiaddr;
use tokio::time::Instant;

use super::{Refusal, addresses::ip_of};
use crate::caller::network;

/// Refusals remembered for the operator, each of another device or for another reason.
const REFUSALS_MAX: usize = 32;

/// Sums are told so often at most.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Lines about single devices in that time. Who has the event's secret may come under any number of keys.
const LINES_MAX: u32 = 8;

/// Addresses that are told apart in that time.
const ORIGINS_MAX: usize = 1_024;

/// How a stranger came to this device's notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// It called.
    Caller,
    /// It answered where this device called.
    Answerer,
}

/// How many strangers there were, and from where.
#[derive(Debug, Default)]
struct Sum {
    count: u64,
    origins: BTreeSet<String>,
    last: Option<Multiaddr>,
    told: Option<Instant>,
}

impl Sum {
    fn add(&mut self, address: &Multiaddr) {
        self.count += 1;
        if self.origins.len() < ORIGINS_MAX {
            self.origins.insert(origin(address));
        }
        self.last = Some(address.clone());
    }

    fn take_if_due(&mut self, met: Met, now: Instant) -> Option<Strangers> {
        if self.told.is_some_and(|told| now - told < TOLD_EVERY) {
            return None;
        }
        let last = self.last.take()?;
        self.told = Some(now);
        let addresses = std::mem::take(&mut self.origins).len();
        Some(Strangers { met, count: std::mem::take(&mut self.count), addresses, last })
    }
}

/// Strangers since they were last told of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Strangers {
    pub(crate) met: Met,
    pub(crate) count: u64,
    /// From how many addresses, up to [`ORIGINS_MAX`].
    pub(crate) addresses: usize,
    pub(crate) last: Multiaddr,
}

impl fmt::Display for Strangers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { met, count, addresses, last } = self;
        let what = match met {
            Met::Caller => "turned away callers that are no device of this event",
            Met::Answerer => "dialled what is no device of this event, or takes this one for none of its own",
        };
        let at_least = if *addresses < ORIGINS_MAX { "" } else { "at least " };
        write!(formatter, "{what}: {count}, at {at_least}{addresses} addresses, the last {last}")
    }
}

/// What counts as one address.
fn origin(address: &Multiaddr) -> String {
    match ip_of(address) {
        Some(ip) => network(ip).to_string(),
        None => address.to_string(),
    }
}

/// The refusals of a mesh.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Of devices, oldest first.
    devices: VecDeque<Refusal>,
    callers: Sum,
    answerers: Sum,
    /// Lines about devices since then, and how many more there would have been.
    lines_since: Option<Instant>,
    lines: u32,
    unsaid: u64,
}

impl Refusals {
    /// A stranger was met. It is in the next sum.
    pub(crate) fn stranger(&mut self, met: Met, address: &Multiaddr) {
        match met {
            Met::Caller => self.callers.add(address),
            Met::Answerer => self.answerers.add(address),
        }
    }

    /// A device of the event was refused, or refused this one. Says whether that is worth a line now.
    pub(crate) fn device(&mut self, refusal: Refusal, now: Instant) -> bool {
        let is_same = |known: &Refusal| {
            known.device == refusal.device
                && known.by_peer == refusal.by_peer
                && known.reason == refusal.reason
        };
        let known = self.devices.iter().position(is_same);
        if let Some(at) = known {
            self.devices.remove(at);
        } else if self.devices.len() >= REFUSALS_MAX {
            self.devices.pop_front();
        }
        self.devices.push_back(refusal);
        if known.is_some() {
            return false;
        }
        self.lines_since.get_or_insert(now);
        let may = self.lines < LINES_MAX;
        self.lines += u32::from(may);
        self.unsaid += u64::from(!may);
        may
    }

    /// What is to be said of strangers now.
    pub(crate) fn strangers(&mut self, now: Instant) -> impl Iterator<Item = Strangers> {
        let callers = self.callers.take_if_due(Met::Caller, now);
        callers.into_iter().chain(self.answerers.take_if_due(Met::Answerer, now))
    }

    /// How many refusals of devices nothing was said of, if it is time to say that.
    pub(crate) fn unsaid(&mut self, now: Instant) -> Option<u64> {
        if now - self.lines_since? < TOLD_EVERY {
            return None;
        }
        (self.lines_since, self.lines) = (None, 0);
        Some(std::mem::take(&mut self.unsaid)).filter(|unsaid| *unsaid > 0)
    }

    /// Those of devices, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.devices.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn address(number: u32) -> Multiaddr {
        let [_, a, b, c] = number.to_be_bytes();
        format!("/ip4/10.{a}.{b}.{c}/tcp/{}", 1 + number % 60_000).parse().unwrap()
    }

    fn refusal(device: u8, reason: &str) -> Refusal {
        Refusal {
            at: SystemTime::UNIX_EPOCH,
            device: [device; 32],
            address: address(1),
            by_peer: false,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn strangers_are_told_of_at_once_and_then_once_a_minute() {
        let mut now = Instant::now();
        let mut refusals = Refusals::default();
        assert_eq!(refusals.strangers(now).count(), 0);
        let mut told = Vec::new();
        // An hour of ten a second, from five addresses.
        for number in 0..36_000 {
            refusals.stranger(Met::Caller, &address(number % 5));
            told.extend(refusals.strangers(now));
            now += Duration::from_millis(100);
        }
        now += TOLD_EVERY;
        told.extend(refusals.strangers(now));
        assert_eq!(told.len(), 61, "{told:?}");
        assert_eq!((told[0].count, told[1].count, told[1].addresses), (1, 600, 5));
        assert_eq!(told.iter().map(|told| told.count).sum::<u64>(), 36_000, "none is left out");
        assert_eq!(refusals.strangers(now + TOLD_EVERY).count(), 0, "nothing is said of nobody");
        assert_eq!(refusals.iter().count(), 0, "they take nobody's place");
    }

    #[test]
    fn what_strangers_take_is_bounded() {
        let now = Instant::now();
        let mut refusals = Refusals::default();
        for number in 0..100_000 {
            refusals.stranger(Met::Answerer, &address(number));
        }
        let told: Vec<_> = refusals.strangers(now).collect();
        assert_eq!((told[0].count, told[0].addresses), (100_000, ORIGINS_MAX));
        assert!(told[0].to_string().contains("at least 1024"), "{}", told[0]);
        let six: Multiaddr = "/ip6/2001:db8::1/tcp/1".parse().unwrap();
        let same: Multiaddr = "/ip6/2001:db8::2/udp/1/quic-v1".parse().unwrap();
        assert_eq!(origin(&six), origin(&same), "one network of IPv6 is one address");
    }

    #[test]
    fn each_device_is_said_once_and_many_are_summed_up() {
        let mut now = Instant::now();
        let mut refusals = Refusals::default();
        assert!(refusals.device(refusal(1, "it is over"), now));
        for _ in 0..1_000 {
            assert!(!refusals.device(refusal(1, "it is over"), now), "the same again");
        }
        assert!(refusals.device(refusal(1, "it is for another device"), now));
        assert_eq!(refusals.iter().count(), 2);
        let said = (2..=200).filter(|device| refusals.device(refusal(*device, "bad"), now)).count();
        assert_eq!(said, LINES_MAX as usize - 2);
        assert_eq!(refusals.iter().count(), REFUSALS_MAX);
        assert_eq!(refusals.unsaid(now), None);
        now += TOLD_EVERY;
        assert_eq!(refusals.unsaid(now), Some(199 - 6));
        assert_eq!(refusals.unsaid(now), None);
        assert!(refusals.device(refusal(201, "bad"), now), "and there are lines again");
    }
}
