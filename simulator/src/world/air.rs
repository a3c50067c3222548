//! What the mesh offers the media of the venues while nothing happens: it must be little (I10). What the mesh does to look
//! after its links is in it.

use std::collections::BTreeMap;

use popmesh_proto::links::watched;

use super::ledger::Breach;
use super::queue::NodeIndex;
use super::{SECOND, World};
use crate::connectivity::PathKind;
use crate::night::IdleAir;

/// Nothing has happened for so long, before what is offered counts: until then devices compare what did.
const CALM_AFTER_US: u64 = 120 * SECOND;
/// For so long it is counted.
const COUNTED_US: u64 = 60 * SECOND;
/// The part of a venue's medium that may be offered, thousandths.
const IDLE_PER_MILLE: u64 = 50;
/// Bytes a second for each device.
const IDLE_EACH: u64 = 1_000;
/// The same over Bluetooth.
const IDLE_EACH_NARROW: u64 = 100;

/// Each watched link is looked at so often, and each other, as the node's mesh does.
const WATCHED_EVERY_MS: u64 = 1_500;
const OTHERS_EVERY_MS: u64 = 60_000;
/// The question and the answer, with what carries them.
const LOOK_MESSAGES: u64 = 2;
const LOOK_BYTES: u64 = 274;

/// Since when nothing has happened, and what had been offered by then.
#[derive(Debug, Default)]
pub(super) struct Calm {
    since_us: u64,
    counted: Option<(u64, Vec<u64>)>,
    /// Whether it was judged since anything happened.
    judged: bool,
    /// For each medium: thousandths of a look at a link that are still owed.
    owed: Vec<u64>,
    /// The most that was offered to each venue's Wi-Fi in a calm time.
    pub(super) idle: BTreeMap<String, IdleAir>,
}

impl World<'_> {
    /// Something happened.
    pub(super) fn disturbed(&mut self) {
        self.calm.since_us = self.now_us;
        self.calm.counted = None;
        self.calm.judged = false;
    }

    /// Whether the idle air was judged since anything happened.
    pub(super) fn calm_was_judged(&self) -> bool {
        self.calm.judged
    }

    /// Once a second: what looking after the links costs the air, and whether idle devices offer it too much.
    pub(super) fn look_at_air(&mut self) {
        self.look_after_links();
        if self.now_us < self.calm.since_us + CALM_AFTER_US {
            return;
        }
        let offered: Vec<u64> = self.carriers.iter().map(|carrier| carrier.offered).collect();
        let Some((from_us, before)) = &self.calm.counted else {
            self.calm.counted = Some((self.now_us, offered));
            return;
        };
        let took_us = self.now_us - from_us;
        if took_us < COUNTED_US {
            return;
        }
        let per_s: Vec<u64> = offered
            .iter()
            .zip(before)
            .map(|(now, before)| (now - before).saturating_mul(SECOND) / took_us)
            .collect();
        self.calm.counted = Some((self.now_us, offered));
        self.calm.judged = true;
        for (carrier, bytes_per_s) in per_s.into_iter().enumerate() {
            let result = self.check_air(carrier, bytes_per_s);
            self.check(result);
        }
    }

    /// Each venue's Wi-Fi, then each venue's Bluetooth, then what each venue sends to the others.
    fn check_air(&mut self, carrier: usize, bytes_per_s: u64) -> Result<(), Breach> {
        let venues = self.scenario.venues.len();
        let (of, venue) = (carrier / venues, carrier % venues);
        let name = self.scenario.venues[venue].name.to_string();
        let at = |node: &NodeIndex| self.scenario.devices[self.nodes[*node].device_index].venue;
        let runs = (0..self.nodes.len()).filter(|node| self.nodes[*node].is_running());
        let (what, each, devices) = match of {
            0 => ("Wi-Fi", IDLE_EACH, runs.filter(|node| at(node) == venue).count()),
            1 => ("Bluetooth", IDLE_EACH_NARROW, runs.filter(|node| at(node) == venue).count()),
            // Others answer over it.
            _ => ("way to other venues", IDLE_EACH, runs.count()),
        };
        let devices = devices as u64;
        if of == 0 {
            let idle = self.calm.idle.entry(name.clone()).or_default();
            if bytes_per_s >= idle.bytes_per_s {
                *idle = IdleAir { devices, bytes_per_s };
            }
        }
        let carries = self.carriers[carrier].medium.kbit_per_s * 125;
        let most = (carries * IDLE_PER_MILLE / 1_000).min(devices.max(1) * each);
        if bytes_per_s <= most {
            return Ok(());
        }
        let text = format!(
            "{devices} idle devices offer {bytes_per_s} bytes a second to the {what} of {name}; {most} is the most"
        );
        Err(Breach::new("I10", text))
    }

    /// The mesh looks at each link now and then.
    fn look_after_links(&mut self) {
        self.calm.owed.resize(self.carriers.len(), 0);
        for (a, b) in self.links.all() {
            let carrier = match self.path(a, b) {
                Some(PathKind::Wifi { venue }) => venue,
                Some(PathKind::Wan) => {
                    2 * self.scenario.venues.len() + self.scenario.devices[self.nodes[a].device_index].venue
                }
                // The adapter looks after its links itself.
                Some(PathKind::Ble { .. }) | None => continue,
            };
            let every_ms = if self.is_watched(a, b) { WATCHED_EVERY_MS } else { OTHERS_EVERY_MS };
            self.calm.owed[carrier] += 1_000_000 / every_ms;
        }
        for (carrier, owed) in self.calm.owed.iter_mut().enumerate() {
            let looks = *owed / 1_000;
            *owed %= 1_000;
            if looks > 0 {
                let (messages, bytes) = (looks * LOOK_MESSAGES, looks * LOOK_BYTES);
                self.carriers[carrier].load(self.now_us, messages, bytes, &mut self.traffic);
            }
        }
    }

    /// Whether one of two linked devices looks after their link most.
    pub(super) fn is_watched(&self, a: NodeIndex, b: NodeIndex) -> bool {
        self.links.watches(a, b) || self.links.watches(b, a)
    }

    /// The links of a device are not what they were: it may look after others.
    pub(super) fn choose_watched(&mut self, node: NodeIndex) {
        let event = self.charter.event().0;
        let by_key: BTreeMap<_, NodeIndex> =
            self.links.peers(node).map(|peer| (self.nodes[peer].id.0, peer)).collect();
        let linked = by_key.keys().copied().collect();
        let chosen = watched(&event, &self.nodes[node].id.0, &linked);
        let chosen = chosen.iter().filter_map(|key| by_key.get(key)).copied().collect();
        self.links.set_watched(node, chosen);
    }
}
