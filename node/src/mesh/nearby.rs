//! The devices in range of the radio, and when to dial each. No clock and no radio of its own.

use std::{collections::BTreeMap, time::Duration};

use popmesh_ble::ShortId;
use tokio::time::Instant;

use super::DeviceKey;

/// How long the higher id waits for the lower one to dial, so that two that see each other do not dial at once.
const HIGHER_ID_WAITS: Duration = Duration::from_secs(3);

/// The first wait after a failed dial, and the longest. A dial keeps the radio from listening for seconds.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// How long to leave a device alone that was refused, or that refused this one.
const REFUSED_WAIT: Duration = Duration::from_secs(30);

/// Devices that were not seen for so long are out of range.
const GONE_AFTER: Duration = Duration::from_secs(150);

/// Devices in range that are remembered at most.
const NEARBY_MAX: usize = 128;

#[derive(Debug)]
struct Neighbour {
    seen: Instant,
    dial_at: Instant,
    attempts: u32,
    is_dialling: bool,
    device: Option<DeviceKey>,
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

    /// A device was seen.
    pub(crate) fn seen(&mut self, id: ShortId, now: Instant) {
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.seen = now;
            return;
        }
        if self.neighbours.len() >= NEARBY_MAX {
            let oldest = self.neighbours.iter().min_by_key(|(_, known)| known.seen).map(|(id, _)| *id);
            oldest.map(|id| self.neighbours.remove(&id));
        }
        let neighbour = Neighbour {
            seen: now,
            dial_at: now + self.patience(id),
            attempts: 0,
            is_dialling: false,
            device: None,
        };
        self.neighbours.insert(id, neighbour);
    }

    /// Those whose time to be dialled has come, and who they are if they were linked before. At most one dial is under
    /// way at a time: the radio does one after the other.
    pub(crate) fn due(&self, now: Instant) -> impl Iterator<Item = (ShortId, Option<DeviceKey>)> {
        let is_busy = self.neighbours.values().any(|neighbour| neighbour.is_dialling);
        self.neighbours
            .iter()
            .filter(move |(_, known)| !is_busy && known.dial_at <= now && now - known.seen < GONE_AFTER)
            .map(|(id, known)| (*id, known.device))
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
        self.seen(id, now);
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.is_dialling = false;
            neighbour.attempts = 0;
            neighbour.device = Some(device);
        }
    }

    /// A link over the radio ended.
    pub(crate) fn link_down(&mut self, id: ShortId, now: Instant) {
        let patience = self.patience(id);
        if let Some(neighbour) = self.neighbours.get_mut(&id) {
            neighbour.dial_at = now + patience + BACKOFF_FIRST;
        }
    }

    /// How many were seen lately.
    pub(crate) fn count(&self, now: Instant) -> usize {
        self.neighbours.values().filter(|known| now - known.seen < GONE_AFTER).count()
    }

    /// Forgets devices that are long out of range. Says whether somebody in range is not linked.
    pub(crate) fn tidy(&mut self, now: Instant, is_linked: impl Fn(&DeviceKey) -> bool) -> bool {
        self.neighbours.retain(|_, known| {
            known.device.as_ref().is_some_and(&is_linked) || now - known.seen < GONE_AFTER
        });
        self.neighbours.values().any(|known| !known.device.as_ref().is_some_and(&is_linked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: ShortId = ShortId([1; 4]);
    const HIGH: ShortId = ShortId([9; 4]);
    const DEVICE: DeviceKey = [7; 32];

    fn due(nearby: &Nearby, now: Instant) -> Vec<ShortId> {
        nearby.due(now).map(|(id, _)| id).collect()
    }

    #[test]
    fn one_of_two_dials() {
        let now = Instant::now();
        let (mut low, mut high) = (Nearby::new(LOW), Nearby::new(HIGH));
        low.seen(HIGH, now);
        high.seen(LOW, now);
        assert_eq!(due(&low, now), [HIGH]);
        assert!(due(&high, now).is_empty());
        high.seen(LOW, now + Duration::from_secs(2));
        assert_eq!(due(&high, now + HIGHER_ID_WAITS), [LOW], "whom nobody dials dials in the end");
    }

    #[test]
    fn dials_come_one_at_a_time_and_further_and_further_apart() {
        let mut now = Instant::now();
        let mut low = Nearby::new(LOW);
        low.seen(HIGH, now);
        low.seen(ShortId([8; 4]), now);
        low.dialling(HIGH);
        assert!(due(&low, now).is_empty());
        for _ in 0..20 {
            low.dialling(HIGH);
            low.failed(HIGH, now);
            assert!(!due(&low, now).contains(&HIGH));
            now += BACKOFF_MAX;
            low.seen(HIGH, now);
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
        low.seen(HIGH, now);
        assert!(low.tidy(now, |_| false), "somebody is not linked");
        low.link_up(HIGH, DEVICE, now);
        assert!(!low.tidy(now + GONE_AFTER, |device| *device == DEVICE));
        low.link_down(HIGH, now + GONE_AFTER);
        assert!(due(&low, now + GONE_AFTER * 2).is_empty());
        assert!(!low.tidy(now + GONE_AFTER * 2, |_| false));
        assert!(low.neighbours.is_empty());
    }
}
