//! The peer book: which devices of the event are where, and when to dial each again. No clock and no network of its own.
//!
//! In here are devices that have shown a good certificate, in an announcement or at the gate, and those that the operator
//! named. Nobody else gets in, so nobody else takes their places.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use libp2p::{Multiaddr, multiaddr::Protocol};
use tokio::time::Instant;

use super::DeviceKey;

/// How long the higher key waits for the lower one to dial. So one-way discovery works, and crossing dials are rare.
const HIGHER_KEY_WAITS: Duration = Duration::from_millis(1_500);

/// The first wait after a failed dial.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);

/// The longest wait, however long the cut: with the dial that is under way when it heals, this bounds how long a link
/// takes to come back. A device dials its two dozen wanted peers at most, so that is a few packets a second.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// A dial that has taken so long may hang: of a connection that was made as the network died, nobody hears until its
/// handshake is given up. Another one is begun beside it, and the gate sees to it that one link comes of them.
pub(crate) const DIAL_HANGS_AFTER: Duration = Duration::from_secs(3);

/// A link that lasted less than this does not reset the backoff.
pub(crate) const LINK_STABLE_AFTER: Duration = Duration::from_secs(5);

/// How long to leave a peer alone that was refused, or that refused us.
const REFUSED_WAIT: Duration = Duration::from_secs(10);

/// News of a peer end a wait no more often than this, whoever repeats or alters what is announced.
const NEWS_EVERY: Duration = Duration::from_secs(1);

/// Addresses of a peer that are kept from announcements: those of the last one, and what is left of the ones before. A packet
/// that is replayed, with addresses of yesterday, so takes the place of none of today's.
const ANNOUNCED_MAX: usize = 32;

/// Addresses of a peer that are kept because a link was made there. What anybody announces later replaces none of them.
const WORKED_MAX: usize = 4;

/// Addresses that are dialled at once at most.
const DIALLED_MAX: usize = 12;

/// Devices that the book holds at most. The one that was heard of longest ago goes first.
const PEERS_MAX: usize = 1_024;

/// A peer that nobody has heard of for so long is forgotten. Longer than any cut within an event, since what is
/// forgotten comes back only with the next answer of discovery.
const FORGET_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is known of one peer.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Addresses where a link was made, the last one first.
    pub(crate) worked_at: Vec<Multiaddr>,
    /// Addresses that it announced, those of the last announcement first.
    pub(crate) announced_at: Vec<Multiaddr>,
    /// Addresses that the operator named; never forgotten.
    pub(crate) named_at: BTreeSet<Multiaddr>,
    pub(crate) seen: Instant,
    pub(crate) state: PeerState,
    attempts: u32,
    gone: bool,
    news_at: Option<Instant>,
}

/// Where things stand with one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PeerState {
    Linked { since: Instant },
    Dialling { since: Instant },
    Waiting { until: Instant },
    Refused { reason: String, until: Instant },
}

/// All devices of the event that are known to be somewhere.
#[derive(Debug)]
pub(crate) struct PeerBook {
    me: DeviceKey,
    pub(crate) peers: BTreeMap<DeviceKey, Peer>,
}

impl PeerBook {
    pub(crate) fn new(me: DeviceKey) -> Self {
        Self { me, peers: BTreeMap::new() }
    }

    fn patience(&self, device: &DeviceKey) -> Duration {
        if self.me < *device { Duration::ZERO } else { HIGHER_KEY_WAITS }
    }

    fn entry(&mut self, device: DeviceKey, now: Instant) -> &mut Peer {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&device) {
            let oldest = self
                .peers
                .iter()
                .filter(|(_, peer)| !matches!(peer.state, PeerState::Linked { .. }))
                .min_by_key(|(_, peer)| (!peer.named_at.is_empty(), peer.seen))
                .map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.peers.remove(&oldest);
            }
        }
        let until = now + self.patience(&device);
        self.peers.entry(device).or_insert_with(|| Peer {
            worked_at: Vec::new(),
            announced_at: Vec::new(),
            named_at: BTreeSet::new(),
            seen: now,
            state: PeerState::Waiting { until },
            attempts: 0,
            gone: false,
            news_at: None,
        })
    }

    /// A device announced that it is there, with a good certificate.
    pub(crate) fn announced(&mut self, device: DeviceKey, addresses: &[Multiaddr], now: Instant) {
        let until = now + self.patience(&device);
        let peer = self.entry(device, now);
        let knew = |address| peer.announced_at.contains(address) || peer.worked_at.contains(address);
        let news = std::mem::take(&mut peer.gone) || !addresses.iter().all(knew);
        put_first(&mut peer.announced_at, addresses, ANNOUNCED_MAX);
        peer.seen = now;
        let is_time = peer.news_at.is_none_or(|last| now - last >= NEWS_EVERY);
        if news && is_time && matches!(peer.state, PeerState::Waiting { .. } | PeerState::Refused { .. }) {
            peer.news_at = Some(now);
            peer.attempts = 0;
            peer.state = PeerState::Waiting { until };
        }
    }

    /// A dial to a device made a link there.
    pub(crate) fn worked(&mut self, device: &DeviceKey, address: Multiaddr) {
        if let Some(peer) = self.peers.get_mut(device) {
            put_first(&mut peer.worked_at, &[address], WORKED_MAX);
        }
    }

    /// Discovery says that a peer is gone. It is only a hint: links and addresses stay, but its return is news.
    pub(crate) fn gone(&mut self, device: &DeviceKey) {
        if let Some(peer) = self.peers.get_mut(device) {
            peer.gone = true;
        }
    }

    /// The operator named an address of a known device. Named peers are dialled without waiting for them.
    pub(crate) fn named(&mut self, device: DeviceKey, address: Multiaddr, now: Instant) {
        let peer = self.entry(device, now);
        peer.named_at.insert(address);
        peer.state = PeerState::Waiting { until: now };
    }

    pub(crate) fn link_up(&mut self, device: DeviceKey, now: Instant) {
        let peer = self.entry(device, now);
        peer.seen = now;
        peer.state = PeerState::Linked { since: now };
    }

    pub(crate) fn link_down(&mut self, device: &DeviceKey, now: Instant) {
        let patience = self.patience(device);
        let Some(peer) = self.peers.get_mut(device) else { return };
        if let PeerState::Linked { since } = peer.state {
            peer.seen = now;
            peer.attempts =
                if now - since >= LINK_STABLE_AFTER { 0 } else { peer.attempts.saturating_add(1) };
            let wait = backoff(&self.me, device, peer.attempts);
            peer.state = PeerState::Waiting { until: now + patience + wait };
        }
    }

    pub(crate) fn dialling(&mut self, device: &DeviceKey, now: Instant) {
        if let Some(peer) = self.peers.get_mut(device) {
            peer.attempts = peer.attempts.saturating_add(1);
            peer.state = PeerState::Dialling { since: now };
        }
    }

    pub(crate) fn dial_failed(&mut self, device: &DeviceKey, now: Instant) {
        if let Some(peer) = self.peers.get_mut(device)
            && matches!(peer.state, PeerState::Dialling { .. })
        {
            let wait = backoff(&self.me, device, peer.attempts);
            peer.state = PeerState::Waiting { until: now + wait };
        }
    }

    /// The network has changed: everybody is worth another try at once, also who is being dialled over what it was.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for peer in self.peers.values_mut() {
            if matches!(peer.state, PeerState::Waiting { .. } | PeerState::Dialling { .. }) {
                peer.state = PeerState::Waiting { until: now };
                peer.attempts = 0;
            }
        }
    }

    /// One side refused the other's certificate.
    pub(crate) fn refused(&mut self, device: &DeviceKey, reason: String, now: Instant) {
        if let Some(peer) = self.peers.get_mut(device)
            && !matches!(peer.state, PeerState::Linked { .. })
        {
            peer.state = PeerState::Refused { reason, until: now + REFUSED_WAIT };
        }
    }

    /// The devices whose time to be dialled has come, and that have an address that may be dialled. What the operator named
    /// always may be.
    pub(crate) fn due(&self, may: impl Fn(&Multiaddr) -> bool, now: Instant) -> Vec<DeviceKey> {
        let is_due = |peer: &Peer| peer.is_due(now) && peer.places(&may).next().is_some();
        self.peers.iter().filter(|(_, peer)| is_due(peer)).map(|(key, _)| *key).collect()
    }

    /// The addresses to try next: those of one transport at a time, TCP first. A TCP link notices a killed peer at
    /// once, where QUIC must wait for silence; the other transport gets its turn in case a firewall eats one of them.
    pub(crate) fn addresses(&self, device: &DeviceKey, may: impl Fn(&Multiaddr) -> bool) -> Vec<Multiaddr> {
        let Some(peer) = self.peers.get(device) else { return Vec::new() };
        let (tcp, udp): (Vec<_>, Vec<_>) = peer.places(may).cloned().partition(is_tcp);
        let mut addresses = match (tcp.is_empty(), udp.is_empty()) {
            (false, false) if peer.attempts.is_multiple_of(2) => tcp,
            (false, true) => tcp,
            _ => udp,
        };
        addresses.truncate(DIALLED_MAX);
        addresses
    }

    /// Forgets peers that nobody has heard of for very long.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        self.peers.retain(|_, peer| {
            !peer.named_at.is_empty()
                || matches!(peer.state, PeerState::Linked { .. } | PeerState::Dialling { .. })
                || now - peer.seen < FORGET_AFTER
        });
    }
}

impl Peer {
    /// Where it may be dialled, each address once: where the operator said, where a link was made, where it announced itself.
    pub(crate) fn places(&self, may: impl Fn(&Multiaddr) -> bool) -> impl Iterator<Item = &Multiaddr> {
        let found = self.worked_at.iter().filter(|address| !self.named_at.contains(*address));
        let announced = self
            .announced_at
            .iter()
            .filter(|address| !self.named_at.contains(*address) && !self.worked_at.contains(*address));
        self.named_at.iter().chain(found.chain(announced).filter(move |address| may(address)))
    }

    fn is_due(&self, now: Instant) -> bool {
        match &self.state {
            PeerState::Waiting { until } | PeerState::Refused { until, .. } => *until <= now,
            PeerState::Dialling { since } => now - *since >= DIAL_HANGS_AFTER,
            PeerState::Linked { .. } => false,
        }
    }
}

/// Puts these addresses before the others, and keeps so many.
fn put_first(kept: &mut Vec<Multiaddr>, addresses: &[Multiaddr], max: usize) {
    kept.retain(|address| !addresses.contains(address));
    kept.splice(..0, addresses.iter().take(max).cloned());
    kept.truncate(max);
}

/// Whether an address is dialled over TCP.
pub(crate) fn is_tcp(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::Tcp(_)))
}

/// The wait after so many attempts at a peer. The spread comes from the keys, so that a venue's devices do not all dial
/// in step after a cut.
pub(crate) fn backoff(me: &DeviceKey, device: &DeviceKey, attempts: u32) -> Duration {
    let wait = BACKOFF_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(BACKOFF_MAX);
    let spread =
        me.iter().chain(device).fold(attempts as u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    wait * (192 + u32::from(spread) / 2) / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: DeviceKey = [1; 32];
    const HIGH: DeviceKey = [9; 32];

    fn anywhere(_: &Multiaddr) -> bool {
        true
    }

    fn addresses() -> Vec<Multiaddr> {
        ["/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/udp/1/quic-v1"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect()
    }

    #[test]
    fn lower_key_dials_at_once_and_higher_key_waits() {
        let now = Instant::now();
        let mut low = PeerBook::new(LOW);
        low.announced(HIGH, &addresses(), now);
        assert_eq!(low.due(anywhere, now), vec![HIGH]);

        let mut high = PeerBook::new(HIGH);
        high.announced(LOW, &addresses(), now);
        assert!(high.due(anywhere, now).is_empty());
        high.announced(LOW, &addresses(), now + Duration::from_secs(1));
        assert_eq!(
            high.due(anywhere, now + HIGHER_KEY_WAITS),
            vec![LOW],
            "a second sighting must not start the wait again"
        );
    }

    #[test]
    fn transports_take_turns() {
        let now = Instant::now();
        let mut book = PeerBook::new(LOW);
        book.announced(HIGH, &addresses(), now);
        assert!(book.addresses(&HIGH, anywhere).iter().all(is_tcp));
        book.dialling(&HIGH, now);
        book.dial_failed(&HIGH, now);
        assert!(!book.addresses(&HIGH, anywhere).iter().any(is_tcp));
    }

    #[test]
    fn backoff_stays_short_however_long_a_cut_lasts() {
        let mut now = Instant::now();
        let mut book = PeerBook::new(LOW);
        book.announced(HIGH, &addresses(), now);
        book.gone(&HIGH);
        for round in 0..20 {
            assert_eq!(book.due(anywhere, now), vec![HIGH], "its last addresses are tried on and on");
            book.dialling(&HIGH, now);
            book.dial_failed(&HIGH, now);
            assert!(book.due(anywhere, now).is_empty());
            now += if round == 10 { Duration::from_secs(3 * 24 * 3600) } else { BACKOFF_MAX * 5 / 4 };
            book.forget_old(now);
        }
        book.dialling(&HIGH, now);
        book.dial_failed(&HIGH, now);
        assert!(book.due(anywhere, now).is_empty());
        book.announced(HIGH, &addresses(), now);
        assert_eq!(book.due(anywhere, now), vec![HIGH], "its return ends the wait");
    }

    #[test]
    fn a_dial_that_hangs_is_not_waited_for() {
        let now = Instant::now();
        let mut book = PeerBook::new(LOW);
        book.announced(HIGH, &addresses(), now);
        book.dialling(&HIGH, now);
        assert!(book.due(anywhere, now + DIAL_HANGS_AFTER / 2).is_empty());
        let later = now + DIAL_HANGS_AFTER;
        assert_eq!(book.due(anywhere, later), vec![HIGH]);
        book.dialling(&HIGH, later);
        assert!(book.due(anywhere, later + DIAL_HANGS_AFTER / 2).is_empty(), "one more at a time");
    }

    #[test]
    fn refused_peers_are_left_alone_for_a_while() {
        let now = Instant::now();
        let mut book = PeerBook::new(LOW);
        book.announced(HIGH, &addresses(), now);
        book.dialling(&HIGH, now);
        book.refused(&HIGH, "expired".into(), now);
        book.dial_failed(&HIGH, now);
        assert!(book.due(anywhere, now + Duration::from_secs(5)).is_empty());
        assert_eq!(book.due(anywhere, now + REFUSED_WAIT), vec![HIGH]);
    }

    #[test]
    fn the_book_is_bounded() {
        let now = Instant::now();
        let mut book = PeerBook::new(LOW);
        for number in 0..2_000_u16 {
            let mut key = HIGH;
            key[..2].copy_from_slice(&number.to_be_bytes());
            book.announced(key, &addresses(), now);
        }
        assert!(book.peers.len() <= PEERS_MAX);
    }

    fn at(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_worked_stays_whatever_is_announced() {
        let now = Instant::now();
        let worked = at("/ip4/10.0.0.1/tcp/1");
        let mut book = PeerBook::new(LOW);
        book.announced(HIGH, &addresses(), now);
        book.worked(&HIGH, worked.clone());
        for number in 0..1_000_u16 {
            let [high, low] = number.to_be_bytes();
            book.announced(HIGH, &[at(&format!("/ip4/10.0.{high}.{low}/tcp/2"))], now);
        }
        assert_eq!(book.addresses(&HIGH, anywhere)[0], worked);
        let latest = at("/ip4/10.0.3.231/tcp/2");
        assert!(book.addresses(&HIGH, anywhere).contains(&latest), "the newest are tried, too");
        assert!(book.addresses(&HIGH, anywhere).len() <= DIALLED_MAX);
        assert!(book.peers[&HIGH].announced_at.len() <= ANNOUNCED_MAX);
    }

    #[test]
    fn news_end_a_wait_once_a_second_at_most() {
        let mut now = Instant::now();
        let mut book = PeerBook::new(LOW);
        let mut dials = 0;
        for number in 0..1_000_u16 {
            let [high, low] = number.to_be_bytes();
            now += Duration::from_millis(10);
            book.gone(&HIGH);
            book.announced(HIGH, &[at(&format!("/ip4/10.0.{high}.{low}/tcp/2"))], now);
            if book.due(anywhere, now) == [HIGH] {
                dials += 1;
                book.dialling(&HIGH, now);
                book.dial_failed(&HIGH, now);
            }
        }
        assert!((10..=30).contains(&dials), "{dials} dials in ten seconds");
    }

    #[test]
    fn only_named_addresses_are_dialled_outside_of_this_network() {
        let now = Instant::now();
        let mut book = PeerBook::new(LOW);
        let nowhere = |_: &Multiaddr| false;
        book.announced(HIGH, &addresses(), now);
        assert!(book.due(nowhere, now).is_empty() && book.addresses(&HIGH, nowhere).is_empty());
        let named = at("/ip4/192.0.2.1/tcp/1");
        book.named(HIGH, named.clone(), now);
        assert_eq!(book.due(nowhere, now), vec![HIGH]);
        assert_eq!(book.addresses(&HIGH, nowhere), vec![named]);
    }
}
