//! The devices in range of the radio: how well each is heard, how it stands, and when to dial it. No clock and no radio of
//! its own.

use std::{collections::BTreeMap, time::Duration};

use popmesh_ble::{Heard, ShortId};
use tokio::time::Instant;

use super::DeviceKey;

/// How long the higher id waits for the lower one to dial, so that two that see each other do not dial at once.
const HIGHER_ID_WAITS: Duration = Duration::from_secs(3);

/// The first wait after a failed dial, and the longest. A dial keeps the radio from listening for seconds.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// How long to leave a device alone that was refused, or that refused this one.
const REFUSED_WAIT: Duration = Duration::from_secs(30);

/// How long not to dial one that was linked, while it is reached through others: either end may have had its reasons.
const PARTED_WAIT: Duration = Duration::from_secs(60);

/// Devices that were not seen for so long are out of range.
const GONE_AFTER: Duration = Duration::from_secs(150);

/// Devices in range that are remembered at most.
const NEARBY_MAX: usize = 128;

/// A device was heard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sighting {
    pub(crate) id: ShortId,
    pub(crate) rssi: i8,
    pub(crate) heard: Heard,
}

/// A device in range.
#[derive(Debug)]
pub(crate) struct Neighbour {
    pub(crate) seen: Instant,
    /// How well it is heard, and how it said that it stands. Who is linked may not have been heard yet.
    pub(crate) said: Option<Said>,
    /// Who it is, if it was linked before.
    pub(crate) device: Option<DeviceKey>,
    dial_at: Instant,
    /// Until when it is not dialled while it is reached through others.
    parted_until: Instant,
    attempts: u32,
    is_dialling: bool,
}

/// What is known of a device from its advertisements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub(crate) heard: Heard,
    /// In dBm, evened out over the last few.
    pub(crate) rssi: i8,
    pub(crate) at: Instant,
}

impl Said {
    fn after(before: Option<Self>, sighting: &Sighting, at: Instant) -> Self {
        let last = i16::from(sighting.rssi);
        // A mean of numbers of 8 bits.
        let rssi = before.map_or(last, |before| (3 * i16::from(before.rssi) + last) / 4) as i8;
        Self { heard: sighting.heard, rssi, at }
    }
}

impl Neighbour {
    fn new(now: Instant, patience: Duration) -> Self {
        Self {
            seen: now,
            said: None,
            device: None,
            dial_at: now + patience,
            parted_until: now,
            attempts: 0,
            is_dialling: false,
        }
    }

    /// Whether its time has come to be dialled, if it is reached in no other way, or if it is.
    pub(crate) fn is_due(&self, is_foreign: bool, now: Instant) -> bool {
        self.dial_at <= now && (is_foreign || self.parted_until <= now)
    }
}

/// Who is in range.
#[derive(Debug)]
pub(crate) struct Nearby {
    me: ShortId,
    neighbours: BTreeMap<ShortId, Neighbour>,
}

impl Nearby {
    pub(crate) fn new(me: ShortId) -> Self {
        Self { me, neighbours: BTreeMap::new() }
    }

    /// How long to leave it to a device to dial this one.
    fn patience(&self, id: ShortId) -> Duration {
        if self.me < id { Duration::ZERO } else { HIGHER_ID_WAITS }
    }

    /// A device was heard.
    pub(crate) fn seen(&mut self, sighting: &Sighting, now: Instant) {
        let neighbour = self.entry(sighting.id, now);
        neighbour.seen = now;
        neighbour.said = Some(Said::after(neighbour.said, sighting, now));
    }

    fn entry(&mut self, id: ShortId, now: Instant) -> &mut Neighbour {
        if self.neighbours.len() >= NEARBY_MAX && !self.neighbours.contains_key(&id) {
            let oldest = self.neighbours.iter().min_by_key(|(_, known)| known.seen).map(|(id, _)| *id);
            oldest.map(|id| self.neighbours.remove(&id));
        }
        let patience = self.patience(id);
        self.neighbours.entry(id).or_insert_with(|| Neighbour::new(now, patience))
    }

    pub(crate) fn get(&self, id: ShortId) -> Option<&Neighbour> {
        self.neighbours.get(&id)
    }

    /// Whether a dial is under way. There is one at a time: the radio does one after the other.
    pub(crate) fn is_dialling(&self) -> bool {
        self.neighbours.values().any(|neighbour| neighbour.is_dialling)
    }

    /// Those that were heard lately.
    pub(crate) fn in_range(&self, now: Instant) -> impl Iterator<Item = (ShortId, &Neighbour)> {
        self.neighbours
            .iter()
            .filter(move |(_, known)| now - known.seen < GONE_AFTER)
            .map(|(id, known)| (*id, known))
    }

    pub(crate) fn dialling(&mut self, id: ShortId) {
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.is_dialling = true;
            neighbour.attempts += 1;
        }
    }

    /// A dial ended without a link.
    pub(crate) fn failed(&mut self, id: ShortId, now: Instant) {
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            let wait = BACKOFF_FIRST * (1 << neighbour.attempts.saturating_sub(1).min(4));
            neighbour.is_dialling = false;
            neighbour.dial_at = neighbour.dial_at.max(now + wait.min(BACKOFF_MAX));
        }
    }

    /// One end refused the other.
    pub(crate) fn refused(&mut self, id: ShortId, now: Instant) {
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.dial_at = now + REFUSED_WAIT;
        }
    }

    /// A device is linked over the radio.
    pub(crate) fn link_up(&mut self, id: ShortId, device: DeviceKey, now: Instant) {
        let neighbour = self.entry(id, now);
        neighbour.seen = now;
        neighbour.is_dialling = false;
        neighbour.attempts = 0;
        neighbour.device = Some(device);
    }

    /// A link over the radio ended.
    pub(crate) fn link_down(&mut self, id: ShortId, now: Instant) {
        let patience = self.patience(id);
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.dial_at = now + patience + BACKOFF_FIRST;
            neighbour.parted_until = now + PARTED_WAIT;
        }
    }

    /// Forgets devices that are long out of range.
    pub(crate) fn tidy(&mut self, now: Instant, is_linked: impl Fn(&DeviceKey) -> bool) {
        self.neighbours.retain(|_, known| {
            known.device.as_ref().is_some_and(&is_linked) || now - known.seen < GONE_AFTER
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: ShortId = ShortId([1; 4]);
    const HIGH: ShortId = ShortId([9; 4]);
    const DEVICE: DeviceKey = [7; 32];

    /// What a device advertises, as the one that hears it reads it.
    fn sighting(id: ShortId, rssi: i8) -> Sighting {
        Sighting { id, rssi, heard: Heard::default() }
    }

    fn due(nearby: &Nearby, now: Instant) -> Vec<ShortId> {
        let is_due = |known: &Neighbour| !nearby.is_dialling() && known.is_due(true, now);
        nearby.in_range(now).filter(|(_, known)| is_due(known)).map(|(id, _)| id).collect()
    }

    #[test]
    fn one_of_two_dials() {
        let now = Instant::now();
        let (mut low, mut high) = (Nearby::new(LOW), Nearby::new(HIGH));
        low.seen(&sighting(HIGH, -50), now);
        high.seen(&sighting(LOW, -50), now);
        assert_eq!(due(&low, now), [HIGH]);
        assert!(due(&high, now).is_empty());
        high.seen(&sighting(LOW, -50), now + Duration::from_secs(2));
        assert_eq!(due(&high, now + HIGHER_ID_WAITS), [LOW], "whom nobody dials dials in the end");
    }

    #[test]
    fn dials_come_one_at_a_time_and_further_and_further_apart() {
        let mut now = Instant::now();
        let mut low = Nearby::new(LOW);
        low.seen(&sighting(HIGH, -50), now);
        low.seen(&sighting(ShortId([8; 4]), -50), now);
        low.dialling(HIGH);
        assert!(due(&low, now).is_empty());
        for _ in 0..20 {
            low.dialling(HIGH);
            low.failed(HIGH, now);
            assert!(!due(&low, now).contains(&HIGH));
            now += BACKOFF_MAX;
            low.seen(&sighting(HIGH, -50), now);
            assert!(due(&low, now).contains(&HIGH));
        }
        low.dialling(HIGH);
        low.refused(HIGH, now);
        low.failed(HIGH, now);
        assert!(!due(&low, now + BACKOFF_MAX).contains(&HIGH));
    }

    #[test]
    fn who_is_out_of_range_is_forgotten_unless_linked() {
        let now = Instant::now();
        let mut low = Nearby::new(LOW);
        low.link_up(HIGH, DEVICE, now);
        low.tidy(now + GONE_AFTER, |device| *device == DEVICE);
        assert_eq!(low.get(HIGH).and_then(|known| known.device), Some(DEVICE));
        low.link_down(HIGH, now + GONE_AFTER);
        assert!(due(&low, now + GONE_AFTER * 2).is_empty());
        low.tidy(now + GONE_AFTER * 2, |_| false);
        assert!(low.neighbours.is_empty());
    }

    #[test]
    fn who_parted_is_dialled_again_at_once_only_if_it_is_missed() {
        let now = Instant::now();
        let mut low = Nearby::new(LOW);
        low.link_up(HIGH, DEVICE, now);
        low.link_down(HIGH, now);
        let soon = now + BACKOFF_FIRST;
        let is_due = |is_foreign, at| low.get(HIGH).is_some_and(|known| known.is_due(is_foreign, at));
        assert!(is_due(true, soon) && !is_due(false, soon) && is_due(false, now + PARTED_WAIT));
    }

    #[test]
    fn the_strength_of_a_signal_is_evened_out() {
        let now = Instant::now();
        let mut low = Nearby::new(LOW);
        let mut heard = |rssi| {
            low.seen(&sighting(HIGH, rssi), now);
            low.get(HIGH).and_then(|known| known.said).map(|said| said.rssi)
        };
        assert_eq!([heard(-60), heard(-100), heard(i8::MIN)], [Some(-60), Some(-70), Some(-84)]);
    }
}
