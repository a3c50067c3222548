//! Addresses that the operator named without saying whose they are. They are dialled for ever.

use std::time::Duration;

use libp2p::{Multiaddr, multiaddr::Protocol};
use tokio::time::Instant;

use super::{
    DeviceKey,
    identity::device_of,
    peers::{DIAL_HANGS_AFTER, LINK_STABLE_AFTER, backoff},
};

/// How long to leave an address alone that turned out to be this device's own.
const OWN_ADDRESS_WAIT: Duration = Duration::from_secs(300);

/// One named address.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) address: Multiaddr,
    /// Who answered there last.
    pub(crate) device: Option<DeviceKey>,
    dialling_since: Option<Instant>,
    attempts: u32,
    next: Instant,
    answered: Option<Instant>,
}

impl Named {
    pub(crate) fn new(address: Multiaddr, now: Instant) -> Self {
        Self { address, device: None, dialling_since: None, attempts: 0, next: now, answered: None }
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next <= now && self.dialling_since.is_none_or(|since| now - since >= DIAL_HANGS_AFTER)
    }

    /// Nobody answered there yet, and this is the first dial since it was named or the network changed.
    pub(crate) fn is_first_try(&self) -> bool {
        self.device.is_none() && self.attempts == 1
    }

    pub(crate) fn dialling(&mut self, now: Instant) {
        self.dialling_since = Some(now);
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Someone answered: a link came up, or there was one already.
    pub(crate) fn answered(&mut self, device: DeviceKey, now: Instant) {
        self.device = Some(device);
        self.answered = Some(now);
    }

    /// The dial is over. Whether to dial again is up to whoever knows whether the device is linked.
    pub(crate) fn ended(&mut self, me: &DeviceKey, now: Instant) {
        self.dialling_since = None;
        if self.answered.is_some_and(|answered| now - answered >= LINK_STABLE_AFTER) {
            self.attempts = 1;
            self.answered = None;
        }
        let salt = self.device.unwrap_or([0; 32]);
        self.next = now + backoff(me, &salt, self.attempts);
    }

    pub(crate) fn is_own(&mut self, now: Instant) {
        self.next = now + OWN_ADDRESS_WAIT;
        self.dialling_since = None;
    }

    /// Dial soon: the network has changed.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.dialling_since = None;
        self.attempts = 0;
        self.next = now;
    }
}

/// Splits off the `/p2p/` part, if the address ends in one.
pub(crate) fn split(mut address: Multiaddr) -> (Multiaddr, Option<DeviceKey>) {
    match address.pop() {
        Some(Protocol::P2p(peer)) => (address, device_of(&peer)),
        Some(other) => (address.with(other), None),
        None => (address, None),
    }
}
