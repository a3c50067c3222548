//! Faults in words: for people, and for the tables of what was tried.

use crate::scenario::{Cheat, Chore, DeviceIndex, FaultKind, Scenario};

/// Every kind of fault, by name.
pub const KINDS: [&str; 20] = [
    "offline",
    "flapping",
    "one_way",
    "wifi_down",
    "wan_down",
    "split",
    "clog",
    "bad_wifi",
    "bad_wan",
    "power_cut",
    "power_cut_in_write",
    "power_cut_in_recovery",
    "mains_down",
    "battery_swap",
    "disk_full",
    "disk_errors",
    "slow_disk",
    "clock_step",
    "dies",
    "battery_empty",
];

/// Those that only people cause.
pub const MISTAKES: [&str; 9] = [
    "restored",
    "cloned",
    "retired",
    "entrusted",
    "reprints",
    "cheat_forks",
    "cheat_rewrites",
    "cheat_overspends",
    "cheat_replays",
];

/// Every state that a fault can meet, by name.
pub const STATES: [&str; 12] = [
    "at rest",
    "writing",
    "a sale waits",
    "entries wait",
    "holds units",
    "units in transit",
    "keeps claims",
    "catching up",
    "cut off",
    "writing fails",
    "without power",
    "after a restart",
];

/// The name of a fault's kind.
#[must_use]
pub fn kind_of(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Offline { .. } => "offline",
        FaultKind::Flapping { .. } => "flapping",
        FaultKind::OneWay { .. } => "one_way",
        FaultKind::WifiDown { .. } => "wifi_down",
        FaultKind::WanDown { .. } => "wan_down",
        FaultKind::Split { .. } => "split",
        FaultKind::Clog { .. } => "clog",
        FaultKind::BadWifi { .. } => "bad_wifi",
        FaultKind::BadWan { .. } => "bad_wan",
        FaultKind::PowerCut { in_recovery: Some(_), .. } => "power_cut_in_recovery",
        FaultKind::PowerCut { at_operation: Some(_), .. } => "power_cut_in_write",
        FaultKind::PowerCut { .. } => "power_cut",
        FaultKind::MainsDown { .. } => "mains_down",
        FaultKind::BatterySwap { .. } => "battery_swap",
        FaultKind::DiskFull { .. } => "disk_full",
        FaultKind::DiskErrors { .. } => "disk_errors",
        FaultKind::SlowDisk { .. } => "slow_disk",
        FaultKind::ClockStep { .. } => "clock_step",
        FaultKind::Dies { .. } => "dies",
        FaultKind::Restored { .. } => "restored",
        FaultKind::Cloned { .. } => "cloned",
        FaultKind::Retired { .. } => "retired",
        FaultKind::Entrusted { .. } => "entrusted",
        FaultKind::Reprints { .. } => "reprints",
        FaultKind::Chore { .. } => "chore",
        FaultKind::Cheats { how: Cheat::Forks, .. } => "cheat_forks",
        FaultKind::Cheats { how: Cheat::Rewrites, .. } => "cheat_rewrites",
        FaultKind::Cheats { how: Cheat::Overspends, .. } => "cheat_overspends",
        FaultKind::Cheats { how: Cheat::Replays, .. } => "cheat_replays",
        FaultKind::Cheats { how: Cheat::Crafts, .. } => "cheat_crafts",
    }
}

/// The devices that a fault strikes.
#[must_use]
pub fn devices_of(kind: &FaultKind, scenario: &Scenario) -> Vec<DeviceIndex> {
    let at = |venue: usize| {
        (0..scenario.devices.len()).filter(move |device| scenario.devices[*device].venue == venue).collect()
    };
    match kind {
        FaultKind::Offline { device }
        | FaultKind::Flapping { device, .. }
        | FaultKind::PowerCut { device, .. }
        | FaultKind::BatterySwap { device }
        | FaultKind::DiskFull { device }
        | FaultKind::DiskErrors { device, .. }
        | FaultKind::SlowDisk { device, .. }
        | FaultKind::ClockStep { device, .. }
        | FaultKind::Dies { device }
        | FaultKind::Restored { device, .. }
        | FaultKind::Cloned { device }
        | FaultKind::Retired { device, .. }
        | FaultKind::Entrusted { device, .. }
        | FaultKind::Reprints { device }
        | FaultKind::Chore { device, .. }
        | FaultKind::Cheats { device, .. } => vec![*device],
        FaultKind::OneWay { from, to } => vec![*from, *to],
        FaultKind::WifiDown { venue }
        | FaultKind::WanDown { venue }
        | FaultKind::MainsDown { venue }
        | FaultKind::BadWifi { venue, .. } => at(*venue),
        FaultKind::Split { side } => side.clone(),
        FaultKind::Clog { devices, .. } => devices.clone(),
        FaultKind::BadWan { .. } => (0..scenario.devices.len()).collect(),
    }
}

/// A fault, for people.
#[must_use]
pub fn fault(kind: &FaultKind, scenario: &Scenario) -> String {
    let name = |device: &usize| scenario.devices[*device].name.as_str();
    let venue = |venue: &usize| scenario.venues[*venue].name.as_str();
    match kind {
        FaultKind::Offline { device } => format!("{} loses every network", name(device)),
        FaultKind::Flapping { device, period_ms } => {
            format!("the network of {} comes and goes every {} s", name(device), period_ms / 1_000)
        }
        FaultKind::OneWay { from, to } => format!("what {} sends does not reach {}", name(from), name(to)),
        FaultKind::WifiDown { venue: at } => format!("{} loses its Wi-Fi", venue(at)),
        FaultKind::WanDown { venue: at } => format!("{} is cut off from the other venues", venue(at)),
        FaultKind::Split { side } => {
            let side: Vec<&str> = side.iter().map(name).collect();
            format!("{} can no longer hear the others", side.join(", "))
        }
        FaultKind::Clog { devices, .. } => format!("{} networks stop one after the other", devices.len()),
        FaultKind::BadWifi { venue: at, .. } => format!("the Wi-Fi of {} is bad", venue(at)),
        FaultKind::BadWan { .. } => "the network between the venues is bad".to_owned(),
        FaultKind::PowerCut { device, at_operation, in_recovery } => {
            let when = if at_operation.is_some() { " in the middle of a write" } else { "" };
            let again = if in_recovery.is_some() { ", and again while it starts" } else { "" };
            format!("{} loses power{when}{again}", name(device))
        }
        FaultKind::MainsDown { venue: at } => format!("the mains fail at {}", venue(at)),
        FaultKind::BatterySwap { device } => format!("{} gets a full battery", name(device)),
        FaultKind::DiskFull { device } => format!("the disk of {} is full", name(device)),
        FaultKind::DiskErrors { device, .. } => format!("the disk of {} fails now and then", name(device)),
        FaultKind::SlowDisk { device, times } => {
            format!("the disk of {} is {times} times slower", name(device))
        }
        FaultKind::ClockStep { device, by_ms } => {
            format!("the clock of {} jumps by {} s", name(device), by_ms / 1_000)
        }
        FaultKind::Dies { device } => format!("{} dies for good", name(device)),
        FaultKind::Restored { device, .. } => {
            format!("{} comes back with an older image of its disk", name(device))
        }
        FaultKind::Cloned { device } => format!("a second box runs with a copy of {}", name(device)),
        FaultKind::Entrusted { device, by } => {
            format!("{} gives the right to retire to {}", name(by), name(device))
        }
        FaultKind::Reprints { device } => {
            format!("{} mints the numbers that another hq mints", name(device))
        }
        FaultKind::Chore { device, what } => {
            let what = match what {
                Chore::Gives => "gives stock away",
                Chore::Moves => "carries stock to a venue",
                Chore::Damages => "takes a unit out of sale",
                Chore::Cart => "fills a cart and gives it up",
                Chore::Undoes => "undoes what was done last",
                Chore::Settles => "says what became of a payment",
                Chore::Renews => "renews a certificate",
                Chore::Resolves => "settles an incident",
                Chore::Unlocks => "unlocks a claim",
                Chore::SetsRules => "sets the event's rules",
                Chore::SetsLimit => "sets how much it takes unauthorised",
                Chore::Leaves => "leaves",
            };
            format!("the crew of {} {what}", name(device))
        }
        FaultKind::Retired { device, by, .. } => format!("{} is retired on {}", name(device), name(by)),
        FaultKind::Cheats { device, how } => {
            let how = match how {
                Cheat::Forks => "writes two histories",
                Cheat::Rewrites => "writes an entry a second time",
                Cheat::Overspends => "sells what it does not hold",
                Cheat::Replays => "sends old messages again",
                Cheat::Crafts => "writes what it has no right to",
            };
            format!("{} {how}", name(device))
        }
    }
}
