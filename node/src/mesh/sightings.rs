//! The task and the radio: whom it dials there, whom it lets go, and how hard it looks for others.

use bytes::Bytes;
use libp2p::swarm::{ConnectionId, dial_opts::DialOpts};
use popmesh_ble::{Ble, Pace, ShortId, Standing};
use tokio::time::{Duration, Instant};
use zeroize::Zeroizing;

use super::{
    BleSnapshot, DeviceKey,
    choice::{Candidate, Chooser, Held, Step, worth},
    dialling::{Dial, to_peer},
    identity::{peer_of, short},
    links::{Link, Links},
    medium::{Medium, in_range},
    nearby::{Nearby, Said, Sighting},
    radio::short_id_of,
    task::Task,
    tree::{Tree, Word},
};

/// Who is missed is looked for hard for so long. Most come at once, or with the next that is switched on.
const SEEKS_FOR: Duration = Duration::from_secs(60);

/// After that, for the first part of each such time: half a minute is soon enough for a box that was off, and a third
/// of the current.
const SEEKS_EVERY: Duration = Duration::from_secs(30);
const SEEKS_PART: Duration = Duration::from_secs(10);

/// What others advertise of their group counts when it is so much newer than the last change of this device's own: they
/// hear of changes over links in less, and then say so.
const GROUP_SETTLES: Duration = Duration::from_secs(3);

/// For whoever is linked and was not heard.
const RSSI_UNKNOWN: i8 = -75;

/// The radio, as the task has it.
pub(crate) struct Side {
    ble: Ble,
    key: Zeroizing<[u8; 32]>,
    nearby: Nearby,
    tree: Tree,
    chooser: Chooser,
    /// Since when this device's group is called as it is.
    group_since: Instant,
    /// Since when somebody is missed.
    missing_since: Option<Instant>,
}

impl Side {
    pub(crate) fn new(ble: Ble, key: Zeroizing<[u8; 32]>, me: &DeviceKey, links_max: usize) -> Self {
        let id = short_id_of(&key, me);
        Self {
            ble,
            key,
            nearby: Nearby::new(id),
            tree: Tree::new(id),
            chooser: Chooser::new(links_max),
            group_since: Instant::now(),
            missing_since: None,
        }
    }

    /// The radio itself.
    pub(crate) fn ble(&self) -> Ble {
        self.ble.clone()
    }

    fn id_of(&self, device: &DeviceKey) -> ShortId {
        short_id_of(&self.key, device)
    }

    /// Something about the tree has changed.
    fn change_tree(&mut self, change: impl FnOnce(&mut Tree)) {
        let before = self.tree.root();
        change(&mut self.tree);
        if self.tree.root() != before {
            self.group_since = Instant::now();
        }
    }

    /// What an advertisement says of the group: whether it is another one, if it can be told.
    fn is_of_another_group(&self, said: &Said) -> Option<bool> {
        (said.at >= self.group_since + GROUP_SETTLES).then(|| !self.ble.is_of(&said.heard, self.tree.root()))
    }

    fn held(&self, links: &Links, bridges: bool) -> Vec<Held> {
        let held = |(device, link): (&DeviceKey, &Link)| {
            let id = self.id_of(device);
            let said = self.nearby.get(id).and_then(|known| known.said);
            let rssi = said.map_or(RSSI_UNKNOWN, |said| said.rssi);
            let other_bridges = said.map_or(bridges, |said| said.heard.bridges());
            Held {
                id,
                need: self.tree.need(id),
                worth: worth(rssi, bridges, other_bridges),
                since: link.up_at,
            }
        };
        links.over(Medium::Ble).map(held).collect()
    }

    /// Those in range that are not linked over the radio, and may be.
    fn candidates(
        &self,
        bridges: bool,
        links: &Links,
        is_out: impl Fn(&DeviceKey) -> bool,
        now: Instant,
    ) -> Vec<Candidate> {
        let is_alone = links.count_over(Medium::Ble) == 0;
        let is_dialling = self.nearby.is_dialling();
        let mut candidates = Vec::new();
        for (id, known) in self.nearby.in_range(now) {
            let is_taken = |device: &DeviceKey| links.get(device, Medium::Ble).is_some() || is_out(device);
            let Some(said) = known.said.filter(|_| !known.device.as_ref().is_some_and(is_taken)) else {
                continue;
            };
            let is_foreign = is_alone || self.is_of_another_group(&said) == Some(true);
            candidates.push(Candidate {
                id,
                is_foreign,
                is_open: said.heard.is_open(),
                has_room: said.heard.has_room(),
                is_due: !is_dialling && known.is_due(is_foreign, now),
                worth: worth(said.rssi, bridges, said.heard.bridges()),
            });
        }
        candidates
    }
}

impl Task {
    pub(crate) fn on_sighted(&mut self, sighting: &Sighting) {
        tracing::debug!(id = %sighting.id, rssi = sighting.rssi, "seen by radio");
        if let Some(side) = &mut self.side {
            side.nearby.seen(sighting, Instant::now());
        }
        self.choose_nearby();
    }

    pub(crate) fn choose_nearby(&mut self) {
        if !self.links_on {
            return;
        }
        let (now, now_ms) = (Instant::now(), self.now_ms());
        let bridges = self.links.count_over(Medium::Ip) > 0;
        let Some(side) = &mut self.side else { return };
        let is_out = |device: &DeviceKey| self.budgets.out_for_ms(device, now_ms).is_some();
        let candidates = side.candidates(bridges, &self.links, is_out, now);
        let held = side.held(&self.links, bridges);
        match side.chooser.step(&held, &candidates, now) {
            Step::Nothing => {}
            Step::Dial(id) => self.dial_nearby(id),
            Step::LetGo(id) => {
                let Some(device) = side.nearby.get(id).and_then(|known| known.device) else { return };
                tracing::info!(device = %short(&device), "letting a Bluetooth link go, for a place");
                self.counters.radio_let_go += 1;
                self.close_link_over(Medium::Ble, device, "its place is for another");
            }
        }
    }

    fn dial_nearby(&mut self, id: ShortId) {
        let Some(side) = &mut self.side else { return };
        side.nearby.dialling(id);
        let address = in_range(id);
        let device = side.nearby.get(id).and_then(|known| known.device);
        let options = match device.as_ref().and_then(peer_of) {
            Some(peer) => to_peer(peer, vec![address]),
            None => DialOpts::unknown_peer_id().address(address).allocate_new_port().build(),
        };
        self.dial(options, Dial::Nearby(id));
    }

    pub(crate) fn on_nearby_failed(&mut self, id: ShortId, now: Instant) {
        if let Some(side) = &mut self.side {
            side.nearby.failed(id, now);
        }
    }

    pub(crate) fn on_nearby_link(&mut self, device: DeviceKey, is_up: bool, now: Instant) {
        let Some(side) = &mut self.side else { return };
        let id = side.id_of(&device);
        if is_up {
            side.nearby.link_up(id, device, now);
            side.change_tree(|tree| tree.link_up(id));
        } else {
            side.nearby.link_down(id, now);
            side.change_tree(|tree| tree.link_down(id));
        }
    }

    pub(crate) fn on_nearby_refused(&mut self, device: &DeviceKey, now: Instant) {
        if let Some(side) = &mut self.side {
            side.nearby.refused(side.id_of(device), now);
        }
    }

    /// A neighbour says how it is linked.
    pub(crate) fn on_word(&mut self, connection: ConnectionId, word: &[u8]) {
        let Some((device, Medium::Ble)) = self.links.way_of(connection) else { return };
        let (Some(side), Some(word)) = (&mut self.side, Word::read(word)) else { return };
        let id = side.id_of(&device);
        side.change_tree(|tree| tree.heard(id, word));
    }

    /// Tells neighbours what has changed since they were last told.
    pub(crate) fn tell_neighbours(&mut self) {
        let Some(side) = &mut self.side else { return };
        for (id, word) in side.tree.news() {
            let device = side.nearby.get(id).and_then(|known| known.device);
            if let Some(link) = device.and_then(|device| self.links.get(&device, Medium::Ble)) {
                let word = Bytes::copy_from_slice(&word.bytes());
                self.parts.swarm.behaviour_mut().messages.send_word(link.peer, link.connection, word);
            }
        }
    }

    /// Says on the air how this device stands; and looks hard while somebody in range is missed, or nobody at all is there.
    pub(crate) fn keep_radio(&mut self) {
        let bridges = self.links.count_over(Medium::Ip) > 0;
        let held = self.links.count_over(Medium::Ble);
        let is_alone = self.links.devices().is_empty();
        let now_ms = self.now_ms();
        let Some(side) = &mut self.side else { return };
        let now = Instant::now();
        side.nearby.tidy(now, |device| self.links.get(device, Medium::Ble).is_some());
        let has_room = side.chooser.has_room(held);
        side.ble.set_standing(Standing { group: side.tree.root(), bridges, has_room });
        let is_out = |device: &DeviceKey| self.budgets.out_for_ms(device, now_ms).is_some();
        let is_missed = |other: &Candidate| other.is_foreign || has_room && other.has_room && other.is_open;
        let misses = side.candidates(bridges, &self.links, is_out, now).iter().any(is_missed);
        let since = (is_alone || misses || now < side.group_since + SEEKS_FOR)
            .then(|| side.missing_since.unwrap_or(now));
        side.missing_since = since;
        side.ble.set_pace(pace(since.map(|since| now - since)));
    }

    /// How strong a device's signal is, if it was heard.
    pub(crate) fn rssi_of(&self, device: &DeviceKey) -> Option<i8> {
        let side = self.side.as_ref()?;
        side.nearby.get(side.id_of(device))?.said.map(|said| said.rssi)
    }

    pub(crate) fn ble_snapshot(&self) -> Option<BleSnapshot> {
        let side = self.side.as_ref()?;
        Some(BleSnapshot {
            is_up: side.ble.is_up(),
            in_range: side.nearby.in_range(Instant::now()).count(),
            let_go: self.counters.radio_let_go,
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
