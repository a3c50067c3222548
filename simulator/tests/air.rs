//! Idle devices leave the air of their venue to others, whatever their number (I10).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use popmesh_simulator::scenario::{self, Scenario};
use popmesh_simulator::world::{Options, run};

/// A hall with so many devices on a crowded Wi-Fi of 4 Mbit/s, where nothing happens but two sales at the beginning.
fn idle_hall(devices: usize) -> Scenario {
    let text = format!(
        r#"
name = "idle-hall"
title = "Idle devices in a crowded hall"
starts = "18:00"
lasts = "6 min"
[[venue]]
name = "hall"
wifi = "crowded-wifi"
[[device]]
name = "laptop"
roles = "hq"
venue = "hall"
[[device]]
name = "till-{{n}}"
count = {tills}
roles = "pos"
venue = "hall"
[[product]]
sku = "tee"
name = "Tee"
price = 2500
[[drop]]
name = "friday"
opens = "18:00"
[[drop.lot]]
product = "tee"
units = 200
[[demand]]
product = "tee"
shape = "steady"
from = "18:00:10"
until = "18:00:20"
shoppers = 2
where = ["till-1"]
patience = "10 s"
"#,
        tills = devices - 1
    );
    scenario::parse("idle-hall", &text).unwrap()
}

/// What they offer, bytes a second, after the drop has been shared out and agreed on.
fn offered(devices: usize) -> u64 {
    let ended = run(&idle_hall(devices), 1, Options::default()).unwrap();
    assert_eq!(ended.breach.map(|(_, breach)| breach.text), None, "{devices} devices");
    let idle = ended.night.numbers.idle_air.get("hall").copied().unwrap();
    assert_eq!(idle.devices, devices as u64);
    println!(
        "{devices} devices offer {} bytes a second, {} each: {:.3} Mbit/s",
        idle.bytes_per_s,
        idle.bytes_per_s / idle.devices,
        idle.bytes_per_s as f64 / 125_000.0
    );
    idle.bytes_per_s
}

#[test]
fn idle_devices_take_a_twentieth_of_the_air_at_the_most() {
    for devices in [5, 11, 21, 41] {
        let most = 25_000.min(1_000 * devices as u64);
        assert!(offered(devices) <= most);
    }
}
