//! What carries messages, by name. Scenario files start from these and change what they know better.

use super::Medium;

/// Wi-Fi 5 of a venue that has room: a fifth of the nominal 100–300 Mbit/s of one access point, a few milliseconds from
/// station to station (twice over the air), a packet in a thousand lost after the radio's own repeats.
pub const WIFI: Medium = Medium {
    latency_us: 2_000,
    jitter_us: 3_000,
    kbit_per_s: 50_000,
    packet_bytes: 1_400,
    packet_overhead: 90,
    loss_per_mille: 1,
    vanish_per_mille: 0,
    twice_per_mille: 0,
    reorder_per_mille: 1,
    corrupt_per_mille: 0,
};

/// Wi-Fi with hundreds of phones in the room: airtime goes to others, queues are long (tens to hundreds of
/// milliseconds of buffer at the access point are usual), a few packets in a hundred are lost.
pub const CROWDED_WIFI: Medium = Medium {
    latency_us: 12_000,
    jitter_us: 120_000,
    kbit_per_s: 4_000,
    packet_bytes: 1_400,
    packet_overhead: 90,
    loss_per_mille: 30,
    vanish_per_mille: 3,
    twice_per_mille: 1,
    reorder_per_mille: 10,
    corrupt_per_mille: 0,
};

/// Cables and a switch: what a crew lays where it can.
pub const CABLE: Medium = Medium {
    latency_us: 300,
    jitter_us: 200,
    kbit_per_s: 900_000,
    packet_bytes: 1_400,
    packet_overhead: 78,
    loss_per_mille: 0,
    vanish_per_mille: 0,
    twice_per_mille: 0,
    reorder_per_mille: 0,
    corrupt_per_mille: 0,
};

/// Bluetooth LE, an L2CAP channel on 1M PHY: some 150 kbit/s with a 30–50 ms connection interval, 244 bytes of payload
/// in one link layer packet (251 with its L2CAP header). A message of 100 bytes takes 160 at the HCI, as measured between
/// two nodes: noise and yamux are in that.
pub const BLE: Medium = Medium {
    latency_us: 30_000,
    jitter_us: 40_000,
    kbit_per_s: 150,
    packet_bytes: 244,
    packet_overhead: 60,
    loss_per_mille: 10,
    vanish_per_mille: 0,
    twice_per_mille: 0,
    reorder_per_mille: 0,
    corrupt_per_mille: 0,
};

/// Bluetooth LE across a full room, at 2.4 GHz beside the Wi-Fi: half of the packets' time goes to repeats. A channel delivers
/// what is sent, in order, or ends: nothing vanishes.
pub const BAD_BLE: Medium =
    Medium { latency_us: 50_000, jitter_us: 250_000, kbit_per_s: 100, loss_per_mille: 80, ..BLE };

/// The internet between venues of one town, over a fixed line: 15 ms one way, 20 Mbit/s up.
pub const WAN: Medium = Medium {
    latency_us: 15_000,
    jitter_us: 10_000,
    kbit_per_s: 20_000,
    packet_bytes: 1_350,
    packet_overhead: 110,
    loss_per_mille: 2,
    vanish_per_mille: 0,
    twice_per_mille: 0,
    reorder_per_mille: 2,
    corrupt_per_mille: 0,
};

/// The internet over a phone's uplink on a busy evening: 60 to 400 ms one way, 2 Mbit/s up, several packets in a
/// hundred lost.
pub const BAD_WAN: Medium = Medium {
    latency_us: 60_000,
    jitter_us: 340_000,
    kbit_per_s: 2_000,
    packet_bytes: 1_350,
    packet_overhead: 110,
    loss_per_mille: 40,
    vanish_per_mille: 5,
    twice_per_mille: 2,
    reorder_per_mille: 20,
    corrupt_per_mille: 0,
};

/// A satellite in geostationary orbit: nothing makes 270 ms one way shorter.
pub const SATELLITE: Medium =
    Medium { latency_us: 270_000, jitter_us: 60_000, kbit_per_s: 5_000, loss_per_mille: 8, ..WAN };

/// A medium that breaks every habit: it loses, doubles, overtakes and changes bytes.
pub const HOSTILE: Medium = Medium {
    latency_us: 5_000,
    jitter_us: 500_000,
    kbit_per_s: 1_000,
    packet_bytes: 1_400,
    packet_overhead: 90,
    loss_per_mille: 150,
    vanish_per_mille: 60,
    twice_per_mille: 60,
    reorder_per_mille: 150,
    corrupt_per_mille: 20,
};

/// Every medium that has a name.
pub const NAMED: [(&str, Medium); 9] = [
    ("wifi", WIFI),
    ("crowded-wifi", CROWDED_WIFI),
    ("cable", CABLE),
    ("ble", BLE),
    ("bad-ble", BAD_BLE),
    ("wan", WAN),
    ("bad-wan", BAD_WAN),
    ("satellite", SATELLITE),
    ("hostile", HOSTILE),
];

/// The medium of this name.
#[must_use]
pub fn named(name: &str) -> Option<Medium> {
    NAMED.iter().find(|(known, _)| *known == name).map(|(_, medium)| *medium)
}
