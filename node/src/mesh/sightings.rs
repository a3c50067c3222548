//! The task and the radio: whom it dials there, and how hard it looks for others.

use libp2p::swarm::dial_opts::DialOpts;
use popmesh_ble::{Ble, Pace, ShortId};
use tokio::time::{Duration, Instant};
use zeroize::Zeroizing;

use super::{
    BleSnapshot, DeviceKey,
    dialling::Dial,
    identity::peer_of,
    medium::{Medium, in_range},
    nearby::Nearby,
    radio::short_id_of,
    task::Task,
};

/// Who is missed is looked for hard for so long. Most come at once, or with the next that is switched on.
const SEEKS_FOR: Duration = Duration::from_secs(60);

/// After that, for the first part of each such time: half a minute is soon enough for a box that was off, and a third
/// of the current.
const SEEKS_EVERY: Duration = Duration::from_secs(30);
const SEEKS_PART: Duration = Duration::from_secs(10);

/// The radio, as the task has it.
pub(crate) struct Side {
    ble: Ble,
    key: Zeroizing<[u8; 32]>,
    nearby: Nearby,
    links_max: usize,
    /// Since when somebody is missed.
    missing_since: Option<Instant>,
}

impl Side {
    pub(crate) fn new(ble: Ble, key: Zeroizing<[u8; 32]>, me: &DeviceKey, links_max: usize) -> Self {
        let nearby = Nearby::new(short_id_of(&key, me));
        Self { ble, key, nearby, links_max, missing_since: None }
    }
}

impl Task {
    pub(crate) fn on_sighted(&mut self, id: ShortId) {
        tracing::debug!(%id, "seen by radio");
        if let Some(side) = &mut self.side {
            side.nearby.seen(id, Instant::now());
        }
        self.dial_nearby();
    }

    pub(crate) fn dial_nearby(&mut self) {
        if !self.links_on || self.links.count_over(Medium::Ble) >= self.links_max_over_radio() {
            return;
        }
        let (now, now_ms) = (Instant::now(), self.now_ms());
        let Some(side) = &mut self.side else { return };
        let due = side.nearby.due(now).find(|(_, device)| {
            device.as_ref().is_none_or(|device| {
                self.links.get(device, Medium::Ble).is_none()
                    && self.budgets.out_for_ms(device, now_ms).is_none()
            })
        });
        let Some((id, device)) = due else { return };
        side.nearby.dialling(id);
        let address = in_range(id);
        let options = match device.as_ref().and_then(peer_of) {
            Some(peer) => DialOpts::peer_id(peer).addresses(vec![address]).allocate_new_port().build(),
            None => DialOpts::unknown_peer_id().address(address).allocate_new_port().build(),
        };
        self.dial(options, Dial::Nearby(id));
    }

    fn links_max_over_radio(&self) -> usize {
        self.side.as_ref().map_or(0, |side| side.links_max)
    }

    pub(crate) fn on_nearby_failed(&mut self, id: ShortId, now: Instant) {
        if let Some(side) = &mut self.side {
            side.nearby.failed(id, now);
        }
    }

    pub(crate) fn on_nearby_link(&mut self, device: DeviceKey, is_up: bool, now: Instant) {
        let Some(side) = &mut self.side else { return };
        let id = short_id_of(&side.key, &device);
        if is_up {
            side.nearby.link_up(id, device, now);
        } else {
            side.nearby.link_down(id, now);
        }
    }

    pub(crate) fn on_nearby_refused(&mut self, device: &DeviceKey, now: Instant) {
        if let Some(side) = &mut self.side {
            side.nearby.refused(short_id_of(&side.key, device), now);
        }
    }

    /// Looks hard while somebody in range is not linked, or nobody at all is.
    pub(crate) fn keep_radio(&mut self) {
        let is_full = self.links.count_over(Medium::Ble) >= self.links_max_over_radio();
        let is_alone = self.links.devices().is_empty();
        let Some(side) = &mut self.side else { return };
        let now = Instant::now();
        let misses = side.nearby.tidy(now, |device| self.links.get(device, Medium::Ble).is_some());
        let since = (is_alone || misses && !is_full).then(|| side.missing_since.unwrap_or(now));
        side.missing_since = since;
        side.ble.set_pace(pace(since.map(|since| now - since)));
    }

    pub(crate) fn ble_snapshot(&self) -> Option<BleSnapshot> {
        let side = self.side.as_ref()?;
        Some(BleSnapshot {
            is_up: side.ble.is_up(),
            in_range: side.nearby.count(Instant::now()),
            counters: side.ble.counters(),
        })
    }
}

/// How hard to look, if somebody is missed for so long.
fn pace(missing: Option<Duration>) -> Pace {
    match missing {
        Some(time) if time < SEEKS_FOR || time.as_secs() % SEEKS_EVERY.as_secs() < SEEKS_PART.as_secs() => {
            Pace::Seeking
        }
        _ => Pace::Settled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_missed_for_long_is_looked_for_now_and_then() {
        assert_eq!(pace(None), Pace::Settled);
        assert!((0..60).all(|second| pace(Some(Duration::from_secs(second))) == Pace::Seeking));
        let hour = (60..3_660).filter(|second| pace(Some(Duration::from_secs(*second))) == Pace::Seeking);
        assert_eq!(hour.count(), 1_200);
    }
}
