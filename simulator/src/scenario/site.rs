//! Venues, what joins them, and the devices in them.

use std::collections::BTreeMap;

use popmesh_proto::identity::{Role, Roles};

use super::error::{Problem, ScenarioError, list, shortened};
use super::field::{Field, Table};
use super::limits::{
    MAX_BATTERY_MS, MAX_CLOCK_MS, MAX_DELAY_US, MAX_DEVICES, MAX_DRIFT_PPM, MAX_KBIT_PER_S, MAX_PACKET_BYTES,
    MAX_VENUES,
};
use super::names::Names;
use super::resolve::{ALL, take_last};
use super::{Battery, DeviceSpec, DiskSpeed, Medium, Venue, media};

/// Disks by name.
pub(super) const DISKS: [(&str, DiskSpeed); 4] = [
    // A laptop's or a thin client's NVMe: measured 100 to 140 microseconds for a write and its sync.
    ("ssd", DiskSpeed { write_us: 120, jitter_us: 100 }),
    // The soldered flash of a tablet or a single-board computer.
    ("emmc", DiskSpeed { write_us: 2_000, jitter_us: 4_000 }),
    // A card in a single-board computer: a few milliseconds, sometimes a pause while it tidies up.
    ("sd-card", DiskSpeed { write_us: 6_000, jitter_us: 40_000 }),
    // A hard disk: a turn of the platter.
    ("hard-disk", DiskSpeed { write_us: 8_000, jitter_us: 12_000 }),
];

/// Batteries by name. A sale costs what a screen, a radio and a receipt printer's controller take beyond idling.
pub(super) const BATTERIES: [(&str, Battery); 3] = [
    ("laptop", battery(5 * 3_600_000, 4_000)),
    ("tablet", battery(8 * 3_600_000, 6_000)),
    ("power-bank", battery(3 * 3_600_000, 5_000)),
];

const fn battery(lasts_ms: u64, sale_costs_ms: u64) -> Battery {
    Battery { lasts_ms, charge_per_mille: 1_000, sale_costs_ms, on_mains: true }
}

/// Where everything stands.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) venues: Vec<Venue>,
    pub(super) venue_names: Names,
    pub(super) wan: Option<Medium>,
    pub(super) devices: Vec<DeviceSpec>,
    pub(super) device_names: Names,
    pub(super) media: Media,
}

impl Site {
    /// The devices that a field means: one by name, some by a pattern such as `till-*`, or all of a venue.
    pub(super) fn devices_of(&self, field: &Field<'_>, name: &str) -> Result<Vec<usize>, ScenarioError> {
        let found = match (self.device_names.get(name), self.venue_names.get(name)) {
            (Some(device), _) => vec![device],
            (None, Some(venue)) => {
                let there = |device: &usize| self.devices[*device].venue == venue;
                (0..self.devices.len()).filter(there).collect()
            }
            (None, None) => self.device_names.matching(name),
        };
        if found.is_empty() {
            return Err(field.unknown("device", name, self.device_names.iter()));
        }
        Ok(found)
    }

    /// The devices of a list of names, patterns and venues, each once.
    pub(super) fn device_list(&self, field: &Field<'_>) -> Result<Vec<usize>, ScenarioError> {
        let mut devices = Vec::new();
        for item in field.one_or_more()? {
            for device in self.devices_of(&item, item.text()?)? {
                if devices.contains(&device) {
                    let name = self.devices[device].name.clone();
                    return Err(item.error(Problem::NamedTwice { name }));
                }
                devices.push(device);
            }
        }
        Ok(devices)
    }
}

/// Whether a device with these roles sells, as the product decides it.
pub(super) fn sells(roles: Roles) -> bool {
    [Role::Pos, Role::Locker, Role::Encoder].into_iter().any(|role| roles.has(role))
}

/// Media by name: the built-in ones and those of the files.
#[derive(Debug)]
pub(super) struct Media(BTreeMap<String, Medium>);

impl Media {
    fn named(&self, field: &Field<'_>) -> Result<Medium, ScenarioError> {
        let name =
            field.text_as("a medium's name, or a table such as { like = \"wifi\", loss = \"2 %\" }")?;
        let found = self.0.get(name).copied();
        found.ok_or_else(|| field.unknown("medium", name, self.0.keys().map(String::as_str)))
    }

    /// A medium by name, or a table that changes one: `otherwise` where it names none.
    pub(super) fn read(&self, field: &Field<'_>, otherwise: Medium) -> Result<Medium, ScenarioError> {
        if !field.is_table() {
            return self.named(field);
        }
        let mut table = field.table()?;
        let mut medium = table.take("like").map_or(Ok(otherwise), |like| self.named(&like))?;
        let delay = |field: Field<'_>| field.duration_us(0..=MAX_DELAY_US);
        let share = |field: Field<'_>| field.share(ALL);
        for (key, place) in [("latency", &mut medium.latency_us), ("jitter", &mut medium.jitter_us)] {
            *place = table.take(key).map_or(Ok(*place), delay)?;
        }
        for (key, place) in [
            ("loss", &mut medium.loss_per_mille),
            ("vanish", &mut medium.vanish_per_mille),
            ("twice", &mut medium.twice_per_mille),
            ("reorder", &mut medium.reorder_per_mille),
            ("corrupt", &mut medium.corrupt_per_mille),
        ] {
            *place = table.take(key).map_or(Ok(*place), share)?;
        }
        if let Some(field) = table.take("rate") {
            medium.kbit_per_s = field.speed(1..=MAX_KBIT_PER_S)?;
        }
        if let Some(field) = table.take("packet_bytes") {
            medium.packet_bytes = field.number(1..=MAX_PACKET_BYTES)?;
        }
        if let Some(field) = table.take("packet_overhead") {
            medium.packet_overhead = field.number(0..=MAX_PACKET_BYTES)?;
        }
        table.end()?;
        Ok(medium)
    }
}

/// Reads media, venues, the WAN and devices.
pub(super) fn read(roots: &mut [Table<'_>]) -> Result<Site, ScenarioError> {
    let media = media(roots)?;
    let (venues, venue_names) = venues(roots, &media)?;
    let wan = match take_last(roots, "wan") {
        Some(field) if field.is_text() && field.text()? == "none" => None,
        Some(field) => Some(media.read(&field, media::WAN)?),
        None => (venues.len() > 1).then_some(media::WAN),
    };
    let mut site =
        Site { venues, venue_names, wan, devices: Vec::new(), device_names: Names::new("device"), media };
    let mut spot = None;
    for root in roots.iter_mut() {
        spot = Some(root.spot.clone());
        for table in root.tables("device")? {
            device(table, &mut site)?;
        }
    }
    match spot {
        Some(spot) if site.devices.is_empty() => {
            Err(spot.error(Problem::None { what: "device", table: "device" }))
        }
        Some(spot) if !site.devices.iter().any(|device| device.roles.has(Role::Hq)) => {
            Err(spot.error(Problem::NoHq))
        }
        _ => Ok(site),
    }
}

fn media(roots: &mut [Table<'_>]) -> Result<Media, ScenarioError> {
    let mut media = Media(media::NAMED.iter().map(|(name, medium)| ((*name).to_owned(), *medium)).collect());
    for root in roots {
        let Some(field) = root.take("media") else { continue };
        for (name, field) in field.table()?.rest() {
            if media::named(name).is_some() {
                let problem = format!("{name:?} is a built-in medium; give yours another name");
                return Err(field.error(Problem::BadName { problem }));
            }
            let medium = media.read(&field, media::WIFI)?;
            media.0.insert(name.to_owned(), medium);
        }
    }
    Ok(media)
}

fn venues(roots: &mut [Table<'_>], media: &Media) -> Result<(Vec<Venue>, Names), ScenarioError> {
    let mut venues = Vec::new();
    let mut names = Names::new("venue");
    let mut last = None;
    for root in roots {
        last = Some(root.spot.clone());
        for mut table in root.tables("venue")? {
            let wifi = table.take("wifi").map_or(Ok(media::WIFI), |field| media.read(&field, media::WIFI))?;
            let ble = table.take("ble").map(|field| media.read(&field, media::BLE)).transpose()?;
            let field = table.need("name", "name = \"hall-a\"")?;
            let name = field.text()?.parse().map_err(|problem: popmesh_proto::text::TextError| {
                field.error(Problem::BadName { problem: problem.to_string() })
            })?;
            names.add(field.text()?, &field.spot, &[])?;
            if venues.len() == MAX_VENUES {
                return Err(too_many(&field, "venues", venues.len() + 1, MAX_VENUES));
            }
            table.end()?;
            venues.push(Venue { name, wifi, ble });
        }
    }
    match last {
        Some(spot) if venues.is_empty() => Err(spot.error(Problem::None { what: "venue", table: "venue" })),
        _ => Ok((venues, names)),
    }
}

pub(super) fn too_many(field: &Field<'_>, what: &'static str, given: usize, most: usize) -> ScenarioError {
    field.error(Problem::TooMany { what, given: given as u64, most: most as u64 })
}

fn device(mut table: Table<'_>, site: &mut Site) -> Result<(), ScenarioError> {
    let count_field = table.take("count");
    let count = match &count_field {
        None => 1,
        Some(field) => match field.number(1..=u64::from(u32::MAX))? as usize {
            count if count > MAX_DEVICES => return Err(too_many(field, "devices", count, MAX_DEVICES)),
            count => count,
        },
    };
    let battery = table.take("battery").map(|field| read_battery(&field)).transpose()?;
    let disk = table.take("disk").map_or(Ok(DISKS[0].1), |field| read_disk(&field))?;
    let clock = table.take("clock");
    let links = table.take("links");
    let venue_field = table.take("venue");
    let name = table.need("name", "name = \"till-1\"")?;
    let roles_field = table.need("roles", "roles = \"pos\"")?;
    let text = roles_field.text_as("roles in quotes, such as \"pos\" or \"pos,hq\"")?;
    let roles = text.parse().map_err(|problem| roles_field.error(Problem::BadRoles { problem }))?;
    let venue = match &venue_field {
        Some(field) => site.venue_names.find(field)?,
        None if site.venues.len() == 1 => 0,
        None => {
            return Err(table.spot.error(Problem::Missing { key: "venue", example: "venue = \"hall-a\"" }));
        }
    };
    let (wifi, ble) = match &links {
        Some(field) => read_links(field)?,
        None => (true, false),
    };
    if ble && site.venues[venue].ble.is_none() {
        let problem =
            format!("{} has no Bluetooth; add `ble = \"ble\"` to this venue", site.venues[venue].name);
        return Err(links.as_ref().unwrap_or(&name).error(Problem::Impossible { problem }));
    }
    let (clock_ahead_ms, clock_drift_ppm) = match clock {
        Some(field) => read_clock(&field)?,
        None => (0, 0),
    };
    table.end()?;
    let template = name.text()?;
    if count_field.is_some() && !template.contains("{n}") {
        let problem = "with `count`, write {n} where the number belongs, such as \"till-{n}\"".to_owned();
        return Err(name.error(Problem::BadName { problem }));
    }
    for number in 1..=count {
        let given = if count_field.is_some() {
            template.replace("{n}", &number.to_string())
        } else {
            template.to_owned()
        };
        check_device_name(&name, &given)?;
        site.device_names.add(&given, &name.spot, &[&site.venue_names])?;
        if site.devices.len() == MAX_DEVICES {
            return Err(too_many(&name, "devices", site.devices.len() + count, MAX_DEVICES));
        }
        site.devices.push(DeviceSpec {
            name: given,
            roles,
            venue,
            wifi,
            ble,
            battery,
            clock_ahead_ms,
            clock_drift_ppm,
            disk,
        });
    }
    Ok(())
}

/// The longest name of a device.
const MAX_DEVICE_NAME: usize = 40;

fn check_device_name(field: &Field<'_>, name: &str) -> Result<(), ScenarioError> {
    let fits = (1..=MAX_DEVICE_NAME).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if fits {
        return Ok(());
    }
    let problem = format!(
        "{:?} cannot be a device's name: 1 to {MAX_DEVICE_NAME} letters, digits or . _ - (and no spaces)",
        shortened(name)
    );
    Err(field.error(Problem::BadName { problem }))
}

fn read_links(field: &Field<'_>) -> Result<(bool, bool), ScenarioError> {
    let (mut wifi, mut ble) = (false, false);
    for item in field.one_or_more()? {
        let is_wifi = item.word("link", &[("wifi", true), ("ble", false)])?;
        wifi |= is_wifi;
        ble |= !is_wifi;
    }
    Ok((wifi, ble))
}

fn read_clock(field: &Field<'_>) -> Result<(i64, i64), ScenarioError> {
    if field.is_text() {
        return Ok((field.signed_ms(MAX_CLOCK_MS)?, 0));
    }
    let mut table = field.table()?;
    let ahead = table.take("ahead").map_or(Ok(0), |field| field.signed_ms(MAX_CLOCK_MS))?;
    let most = MAX_DRIFT_PPM.cast_signed();
    let drift = table.take("drift_ppm").map_or(Ok(0), |field| field.signed(-most..=most))?;
    table.end()?;
    Ok((ahead, drift))
}

fn read_disk(field: &Field<'_>) -> Result<DiskSpeed, ScenarioError> {
    if field.is_text() {
        return field.word("disk", &DISKS);
    }
    let mut table = field.table()?;
    let jitter_us = table.take("jitter").map_or(Ok(0), |field| field.duration_us(0..=MAX_DELAY_US))?;
    let write_us = table.need("write", "write = \"2 ms\"")?.duration_us(0..=MAX_DELAY_US)?;
    table.end()?;
    Ok(DiskSpeed { write_us, jitter_us })
}

fn read_battery(field: &Field<'_>) -> Result<Battery, ScenarioError> {
    if field.is_text() {
        return field.word("battery", &BATTERIES);
    }
    let mut table = field.table()?;
    let mut battery = table.take("like").map(|field| field.word("battery", &BATTERIES)).transpose()?;
    if let Some(field) = table.take("lasts") {
        let lasts_ms = field.duration_ms(1_000..=MAX_BATTERY_MS)?;
        battery = Some(Battery { lasts_ms, ..battery.unwrap_or(BATTERIES[0].1) });
    }
    let Some(mut battery) = battery else {
        let known = list(BATTERIES.iter().map(|(name, _)| *name));
        let problem = format!("a battery needs `lasts = \"4 h\"`, or `like` with one of {known}");
        return Err(field.error(Problem::Impossible { problem }));
    };
    if let Some(field) = table.take("charge") {
        battery.charge_per_mille = field.share(ALL)?;
    }
    if let Some(field) = table.take("sale_costs") {
        battery.sale_costs_ms = field.duration_ms(0..=MAX_BATTERY_MS)?;
    }
    if let Some(field) = table.take("on_mains") {
        battery.on_mains = field.flag()?;
    }
    table.end()?;
    Ok(battery)
}
