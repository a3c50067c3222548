//! What goes wrong: scripted one by one, or drawn from a mix.

use popmesh_proto::identity::Role;

use super::error::{Problem, ScenarioError};
use super::field::{Field, Hours, Table};
use super::limits::{MAX_CLOCK_MS, MAX_FAULTS, MAX_FLAPS, MAX_NIGHT_MS, MAX_OPERATIONS, MAX_SLOWNESS};
use super::resolve::{ALL, take_last};
use super::site::Site;
use super::{Cheat, Chore, Fault, FaultKind, Scenario, media};
use crate::mix;

/// The ways to cheat.
pub(super) const CHEATS: [(&str, Cheat); 5] = [
    ("forks", Cheat::Forks),
    ("rewrites", Cheat::Rewrites),
    ("overspends", Cheat::Overspends),
    ("replays", Cheat::Replays),
    ("crafts", Cheat::Crafts),
];

/// The chores, by their words.
pub(crate) const CHORES: [(&str, Chore); 12] = [
    ("gives", Chore::Gives),
    ("moves", Chore::Moves),
    ("damages", Chore::Damages),
    ("cart", Chore::Cart),
    ("undoes", Chore::Undoes),
    ("settles", Chore::Settles),
    ("renews", Chore::Renews),
    ("resolves", Chore::Resolves),
    ("unlocks", Chore::Unlocks),
    ("sets_rules", Chore::SetsRules),
    ("sets_limit", Chore::SetsLimit),
    ("leaves", Chore::Leaves),
];

/// The names of all faults.
const KINDS: [&str; 24] = [
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
    "mains_down",
    "battery_swap",
    "disk_full",
    "disk_errors",
    "slow_disk",
    "clock_step",
    "dies",
    "restored",
    "cloned",
    "retired",
    "entrusted",
    "reprints",
    "chore",
    "cheats",
];

/// Reads the faults into the scenario, and draws those of its mix.
pub(super) fn read(
    roots: &mut [Table<'_>],
    site: &Site,
    hours: Hours,
    scenario: &mut Scenario,
) -> Result<(), ScenarioError> {
    for root in roots.iter_mut() {
        for table in root.tables("fault")? {
            if scenario.faults.len() == MAX_FAULTS {
                let given = MAX_FAULTS as u64 + 1;
                return Err(table.spot.error(Problem::TooMany {
                    what: "faults",
                    given,
                    most: MAX_FAULTS as u64,
                }));
            }
            scenario.faults.push(fault(table, site, hours)?);
        }
    }
    if let Some(field) = take_last(roots, "mix") {
        let mut table = field.table()?;
        let seed = table.take("seed").map_or(Ok(1), |field| field.number(0..=i64::MAX.unsigned_abs()))?;
        let name = table.need("name", "name = \"network\"")?;
        let names = mix::mixes().map(|(name, _)| name);
        let given = name.text()?;
        match mix::faults(given, seed, scenario) {
            Some(faults) => scenario.faults.extend(faults),
            None => return Err(name.unknown("mix", given, names.into_iter())),
        }
        table.end()?;
    }
    scenario.faults.sort_by_key(|fault| fault.from_ms);
    Ok(())
}

/// Whether a fault takes a time, or happens at once and is over.
pub(super) fn lasts(kind: &FaultKind) -> bool {
    !matches!(
        kind,
        FaultKind::BatterySwap { .. }
            | FaultKind::ClockStep { .. }
            | FaultKind::Dies { .. }
            | FaultKind::Restored { .. }
            | FaultKind::Retired { .. }
            | FaultKind::Entrusted { .. }
            | FaultKind::Reprints { .. }
            | FaultKind::Chore { .. }
    )
}

fn fault(mut table: Table<'_>, site: &Site, hours: Hours) -> Result<Fault, ScenarioError> {
    let name = table.need("fault", "fault = \"wifi_down\"")?;
    let names = KINDS.map(|kind| (kind, kind));
    let name = name.word("fault", &names)?;
    let at = table.need("at", "at = \"18:05\"")?;
    let from_ms = at.time_ms(hours)?;
    let kind = kind(name, &mut table, site, hours, from_ms)?;
    let until_ms = if lasts(&kind) { end(&mut table, &at, from_ms, hours)? } else { from_ms };
    if let FaultKind::Flapping { period_ms, .. } = kind
        && (until_ms - from_ms) / period_ms > MAX_FLAPS
    {
        let given = (until_ms - from_ms) / period_ms;
        return Err(table.spot.error(Problem::TooMany {
            what: "times of coming and going",
            given,
            most: MAX_FLAPS,
        }));
    }
    table.end()?;
    Ok(Fault { from_ms, until_ms, kind })
}

/// When a fault ends: after `for`, or at `until`, or with the night.
fn end(table: &mut Table<'_>, at: &Field<'_>, from_ms: u64, hours: Hours) -> Result<u64, ScenarioError> {
    match (table.take("for"), table.take("until")) {
        (Some(field), Some(_)) => {
            let problem = "give either `for` or `until`, not both".to_owned();
            Err(field.error(Problem::Impossible { problem }))
        }
        (Some(field), None) => {
            let until_ms = from_ms + field.duration_ms(1..=MAX_NIGHT_MS)?;
            if until_ms > hours.duration_ms {
                let given = format!("the end of this fault, {} from its start,", field.text()?);
                return Err(field.outside(given, hours));
            }
            Ok(until_ms)
        }
        (None, Some(field)) => match field.time_ms(hours)? {
            until_ms if until_ms > from_ms => Ok(until_ms),
            _ => {
                let problem = "`until` is not after `at`; swap them, or leave `until` out".to_owned();
                Err(field.error(Problem::Impossible { problem }))
            }
        },
        (None, None) if from_ms == hours.duration_ms => {
            Err(at.outside("a fault at the very end".to_owned(), hours))
        }
        (None, None) => Ok(hours.duration_ms),
    }
}

fn kind(
    name: &str,
    table: &mut Table<'_>,
    site: &Site,
    hours: Hours,
    from_ms: u64,
) -> Result<FaultKind, ScenarioError> {
    Ok(match name {
        "offline" => FaultKind::Offline { device: device(table, site)? },
        "flapping" => {
            let period = table.take("period");
            let period_ms = period.map_or(Ok(10_000), |field| field.duration_ms(2..=MAX_NIGHT_MS))?;
            FaultKind::Flapping { device: device(table, site)?, period_ms }
        }
        "one_way" => {
            let to_field = table.need("to", "to = \"till-2\"")?;
            let from = site.device_names.find(&table.need("from", "from = \"till-1\"")?)?;
            let to = site.device_names.find(&to_field)?;
            if from == to {
                let problem = "`from` and `to` are the same device; name two".to_owned();
                return Err(to_field.error(Problem::Impossible { problem }));
            }
            FaultKind::OneWay { from, to }
        }
        "wifi_down" => FaultKind::WifiDown { venue: venue(table, site)? },
        "wan_down" => FaultKind::WanDown { venue: venue(table, site)? },
        "split" => {
            let field = table.need("side", "side = [\"till-1\", \"till-2\"]")?;
            FaultKind::Split { side: site.device_list(&field)? }
        }
        "clog" => clog(table, site)?,
        "bad_wifi" => {
            let venue = venue(table, site)?;
            let usual = site.venues[venue].wifi;
            let field = table.take("medium");
            let medium = field.map_or(Ok(media::CROWDED_WIFI), |field| site.media.read(&field, usual))?;
            FaultKind::BadWifi { venue, medium }
        }
        "bad_wan" => {
            let field = table.take("medium");
            let Some(usual) = site.wan else {
                let problem = "there is no WAN in this night that could be bad; set `wan`".to_owned();
                return Err(table.spot.error(Problem::Impossible { problem }));
            };
            let medium = field.map_or(Ok(media::BAD_WAN), |field| site.media.read(&field, usual))?;
            FaultKind::BadWan { medium }
        }
        "mains_down" => FaultKind::MainsDown { venue: venue(table, site)? },
        name => of_device(name, table, site, hours, from_ms)?,
    })
}

/// The faults of one device's disk, power, clock and owner.
fn of_device(
    name: &str,
    table: &mut Table<'_>,
    site: &Site,
    hours: Hours,
    from_ms: u64,
) -> Result<FaultKind, ScenarioError> {
    let field = table.need("device", "device = \"till-1\"")?;
    let device = site.device_names.find(&field)?;
    Ok(match name {
        "power_cut" => {
            let mut operations =
                |key| table.take(key).map(|field| field.number(1..=MAX_OPERATIONS)).transpose();
            FaultKind::PowerCut {
                device,
                at_operation: operations("at_operation")?,
                in_recovery: operations("in_recovery")?,
            }
        }
        "battery_swap" if site.devices[device].battery.is_none() => {
            let problem = format!("{} has no battery that could be swapped", site.devices[device].name);
            return Err(field.error(Problem::Impossible { problem }));
        }
        "battery_swap" => FaultKind::BatterySwap { device },
        "disk_full" => FaultKind::DiskFull { device },
        "disk_errors" => {
            let mut share = |key| table.take(key).map_or(Ok(0), |field| field.share(ALL));
            let (read_per_mille, write_per_mille, sync_per_mille) =
                (share("reads")?, share("writes")?, share("syncs")?);
            if read_per_mille + write_per_mille + sync_per_mille == 0 {
                let problem = "nothing fails; give at least one of `reads`, `writes`, `syncs`".to_owned();
                return Err(table.spot.error(Problem::Impossible { problem }));
            }
            FaultKind::DiskErrors { device, read_per_mille, write_per_mille, sync_per_mille }
        }
        "slow_disk" => {
            let times = table.need("times", "times = 50")?.number(1..=MAX_SLOWNESS)?;
            FaultKind::SlowDisk { device, times }
        }
        "clock_step" => FaultKind::ClockStep {
            device,
            by_ms: table.need("by", "by = \"-2 h\"")?.signed_ms(MAX_CLOCK_MS)?,
        },
        "dies" => FaultKind::Dies { device },
        "restored" => {
            let image = table.need("image", "image = \"18:00\"")?;
            let image_ms = image.time_ms(hours)?;
            if image_ms >= from_ms {
                let problem = "the image is not older than the moment it is restored at".to_owned();
                return Err(image.error(Problem::Impossible { problem }));
            }
            FaultKind::Restored { device, image_ms }
        }
        "cloned" => FaultKind::Cloned { device },
        "retired" => {
            let by = registrar(table, site, &field, device)?;
            let once_stock_comes = table.take("once_stock_comes").map_or(Ok(false), |field| field.flag())?;
            FaultKind::Retired { device, by, once_stock_comes }
        }
        "entrusted" if !site.devices[device].roles.has(Role::Hq) => {
            let problem =
                format!("{} is no hq, and cannot have the right to retire", site.devices[device].name);
            return Err(field.error(Problem::Impossible { problem }));
        }
        "entrusted" => FaultKind::Entrusted { device, by: registrar(table, site, &field, device)? },
        "reprints" if !site.devices[device].roles.has(Role::Hq) => {
            let device = site.devices[device].name.clone();
            return Err(field.error(Problem::CannotMint { device }));
        }
        "reprints" => FaultKind::Reprints { device },
        "chore" => {
            FaultKind::Chore { device, what: table.need("what", "what = \"moves\"")?.word("chore", &CHORES)? }
        }
        _ => FaultKind::Cheats { device, how: table.need("how", "how = \"forks\"")?.word("cheat", &CHEATS)? },
    })
}

/// Who retires a device, or gives the right to: the first device with the right, else the first hq, unless one is named.
fn registrar(
    table: &mut Table<'_>,
    site: &Site,
    field: &Field<'_>,
    device: usize,
) -> Result<usize, ScenarioError> {
    let with = |role| site.devices.iter().position(|device| device.roles.has(role));
    let named = table.take("by");
    let by = match &named {
        Some(field) => site.device_names.find(field)?,
        None => with(Role::Registrar).or_else(|| with(Role::Hq)).unwrap_or(0),
    };
    let field = named.as_ref().unwrap_or(field);
    let problem = match site.devices[by].roles.has(Role::Hq) {
        true if by != device => return Ok(by),
        true => {
            "a device neither retires itself nor gives itself the right; name another hq with `by`".to_owned()
        }
        false => {
            format!("{} is no hq, and has no right to retire; name one with `by`", site.devices[by].name)
        }
    };
    Err(field.error(Problem::Impossible { problem }))
}

fn device(table: &mut Table<'_>, site: &Site) -> Result<usize, ScenarioError> {
    site.device_names.find(&table.need("device", "device = \"till-1\"")?)
}

fn venue(table: &mut Table<'_>, site: &Site) -> Result<usize, ScenarioError> {
    if site.venues.len() == 1 && !table.has("venue") {
        table.take("venue");
        return Ok(0);
    }
    site.venue_names.find(&table.need("venue", "venue = \"hall-a\"")?)
}

fn clog(table: &mut Table<'_>, site: &Site) -> Result<FaultKind, ScenarioError> {
    let back_field = table.take("back");
    let devices = site.device_list(&table.need("devices", "devices = [\"till-1\", \"till-2\"]")?)?;
    let back = match &back_field {
        Some(field) => site.device_list(field)?,
        None => devices.iter().rev().copied().collect(),
    };
    let sorted = |devices: &[usize]| {
        let mut devices = devices.to_vec();
        devices.sort_unstable();
        devices
    };
    if let Some(field) = back_field.filter(|_| sorted(&devices) != sorted(&back)) {
        let problem = "`back` must name the same devices as `devices`, in another order".to_owned();
        return Err(field.error(Problem::Impossible { problem }));
    }
    Ok(FaultKind::Clog { devices, back })
}
