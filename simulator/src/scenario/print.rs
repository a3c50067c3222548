//! The way back: a night as a file that loads to the same night.

use std::fmt::Write;

use super::faults::{CHEATS, CHORES, lasts};
use super::resolve::POLICIES;
use super::site::{BATTERIES, DISKS};
use super::steps::STEPS;
use super::words::{show_clock_s, show_ms, show_scaled, show_share, show_speed, show_time_ms, show_us};
use super::{
    Arrivals, Battery, Demand, DeviceSpec, DiskSpeed, DropSpec, Fault, FaultKind, Medium, Scenario,
    Thresholds, media,
};

/// The text of a scenario file that loads to exactly this night.
#[must_use]
pub fn to_toml(scenario: &Scenario) -> String {
    let mut page = Page { text: String::new(), scenario };
    page.head();
    for venue in &scenario.venues {
        page.table("[[venue]]");
        page.line("name", &quoted(venue.name.as_str()));
        page.line("wifi", &medium(&venue.wifi));
        if let Some(ble) = &venue.ble {
            page.line("ble", &medium(ble));
        }
    }
    for device in &scenario.devices {
        page.device(device);
    }
    for product in &scenario.products {
        page.table("[[product]]");
        page.line("sku", &quoted(product.sku.as_str()));
        page.line("name", &quoted(&product.name));
        page.line("price", &product.price.to_string());
    }
    for drop in &scenario.drops {
        page.drop_of(drop);
    }
    for demand in &scenario.demand {
        page.demand(demand);
    }
    for fault in &scenario.faults {
        page.fault(fault);
    }
    page.thresholds(&scenario.thresholds);
    page.text
}

struct Page<'s> {
    text: String,
    scenario: &'s Scenario,
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> Option<String> {
    words.iter().find(|(_, known)| known == value).map(|(word, _)| quoted(word))
}

fn medium(medium: &Medium) -> String {
    let shares = [
        ("loss", medium.loss_per_mille),
        ("vanish", medium.vanish_per_mille),
        ("twice", medium.twice_per_mille),
        ("reorder", medium.reorder_per_mille),
        ("corrupt", medium.corrupt_per_mille),
    ]
    .map(|(key, share)| format!("{key} = {}", quoted(&show_share(share))));
    word(&media::NAMED, medium).unwrap_or_else(|| {
        format!(
            "{{ latency = {}, jitter = {}, rate = {}, packet_bytes = {}, packet_overhead = {}, {} }}",
            quoted(&show_us(medium.latency_us)),
            quoted(&show_us(medium.jitter_us)),
            quoted(&show_speed(medium.kbit_per_s)),
            medium.packet_bytes,
            medium.packet_overhead,
            shares.join(", "),
        )
    })
}

fn disk(disk: &DiskSpeed) -> String {
    word(&DISKS, disk).unwrap_or_else(|| {
        let (write, jitter) = (quoted(&show_us(disk.write_us)), quoted(&show_us(disk.jitter_us)));
        format!("{{ write = {write}, jitter = {jitter} }}")
    })
}

fn battery(battery: &Battery) -> String {
    word(&BATTERIES, battery).unwrap_or_else(|| {
        format!(
            "{{ lasts = {}, charge = {}, sale_costs = {}, on_mains = {} }}",
            quoted(&show_ms(battery.lasts_ms)),
            quoted(&show_share(battery.charge_per_mille)),
            quoted(&show_ms(battery.sale_costs_ms)),
            battery.on_mains,
        )
    })
}

fn signed_ms(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    quoted(&format!("{sign}{}", show_ms(ms.unsigned_abs())))
}

fn both<T: PartialEq>(least: &T, most: &T, show: impl Fn(&T) -> String) -> String {
    if least == most { show(least) } else { format!("{} - {}", show(least), show(most)) }
}

impl Page<'_> {
    fn table(&mut self, heading: &str) {
        self.text.push('\n');
        self.text.push_str(heading);
        self.text.push('\n');
    }

    fn line(&mut self, key: &str, value: &str) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.text, "{key} = {value}");
    }

    fn time(&mut self, key: &str, ms: u64) {
        let time = quoted(&show_time_ms(ms, self.scenario.starts_at_s));
        self.line(key, &time);
    }

    fn device_name(&self, device: usize) -> String {
        self.scenario.devices.get(device).map_or_else(String::new, |device| quoted(&device.name))
    }

    fn device_names(&self, devices: &[usize]) -> String {
        list(devices.iter().map(|device| self.device_name(*device)))
    }

    fn venue_name(&self, venue: usize) -> String {
        self.scenario.venues.get(venue).map_or_else(String::new, |venue| quoted(venue.name.as_str()))
    }

    fn product_name(&self, product: usize) -> String {
        self.scenario.products.get(product).map_or_else(String::new, |product| quoted(product.sku.as_str()))
    }

    fn head(&mut self) {
        let scenario = self.scenario;
        self.line("name", &quoted(&scenario.name));
        self.line("title", &quoted(&scenario.title));
        self.line("starts", &quoted(&show_clock_s(scenario.starts_at_s)));
        self.line("lasts", &quoted(&show_ms(scenario.duration_ms)));
        self.line("settles", &quoted(&show_ms(scenario.settle_ms)));
        self.line("policy", &word(&POLICIES, &scenario.policy).unwrap_or_default());
        self.line("wan", &scenario.wan.as_ref().map_or_else(|| quoted("none"), medium));
    }

    fn device(&mut self, device: &DeviceSpec) {
        self.table("[[device]]");
        self.line("name", &quoted(&device.name));
        self.line("roles", &quoted(&device.roles.to_string()));
        let venue = self.venue_name(device.venue);
        self.line("venue", &venue);
        let links = [("wifi", device.wifi), ("ble", device.ble)];
        let links = list(links.into_iter().filter(|(_, has)| *has).map(|(link, _)| quoted(link)));
        self.line("links", &links);
        if let Some(spec) = &device.battery {
            self.line("battery", &battery(spec));
        }
        if (device.clock_ahead_ms, device.clock_drift_ppm) != (0, 0) {
            let (ahead, drift) = (signed_ms(device.clock_ahead_ms), device.clock_drift_ppm);
            self.line("clock", &format!("{{ ahead = {ahead}, drift_ppm = {drift} }}"));
        }
        self.line("disk", &disk(&device.disk));
    }

    fn drop_of(&mut self, drop: &DropSpec) {
        self.table("[[drop]]");
        self.line("name", &quoted(drop.drop.as_str()));
        self.time("minted", drop.mint_ms);
        self.time("opens", drop.open_ms);
        if let Some(close_ms) = drop.close_ms {
            self.time("closes", close_ms);
        }
        if let Some(announce_ms) = drop.announce_ms {
            self.time("announced", announce_ms);
        }
        if let Some(ends_ms) = drop.ends_ms {
            self.time("ends", ends_ms);
        }
        if drop.run_by != self.scenario.hq() {
            let run_by = self.device_name(drop.run_by);
            self.line("run_by", &run_by);
        }
        if let Some(within_ms) = drop.pickup_within_ms {
            self.line("pickup_within", &quoted(&show_ms(within_ms)));
            self.line("unclaimed", &quoted(&drop.unclaimed.to_string()));
        }
        for step in &drop.steps {
            self.table("[[drop.step]]");
            self.time("at", step.at_ms);
            self.line("step", &word(&STEPS, &step.step).unwrap_or_default());
            let by = self.device_name(step.by);
            self.line("by", &by);
            if let Some(venue) = step.venue {
                let venue = self.venue_name(venue);
                self.line("venue", &venue);
            }
        }
        for lot in &drop.lots {
            self.table("[[drop.lot]]");
            let (product, at) = (self.product_name(lot.product), self.device_name(lot.at));
            let place = self.venue_name(lot.place);
            self.line("product", &product);
            self.line("first", &lot.first.to_string());
            self.line("units", &lot.units.to_string());
            self.line("numbered", &lot.numbered.to_string());
            self.line("minted_by", &at);
            self.line("place", &place);
        }
    }

    fn demand(&mut self, demand: &Demand) {
        self.table("[[demand]]");
        let drop = self.scenario.drops.get(demand.drop).map_or("", |drop| drop.drop.as_str());
        self.line("drop", &quoted(drop));
        let product = self.product_name(demand.product);
        self.line("product", &product);
        match demand.arrivals {
            Arrivals::Spike { at_ms, shoppers, half_life_ms } => {
                self.line("shape", "\"spike\"");
                self.time("at", at_ms);
                self.line("half_life", &quoted(&show_ms(half_life_ms)));
                self.line("shoppers", &shoppers.to_string());
            }
            Arrivals::Steady { from_ms, until_ms, shoppers } => {
                self.line("shape", "\"steady\"");
                self.time("from", from_ms);
                self.time("until", until_ms);
                self.line("shoppers", &shoppers.to_string());
            }
            Arrivals::Bursts { from_ms, until_ms, shoppers, bursts, burst_ms } => {
                self.line("shape", "\"bursts\"");
                self.time("from", from_ms);
                self.time("until", until_ms);
                self.line("bursts", &bursts.to_string());
                self.line("each", &quoted(&show_ms(burst_ms)));
                self.line("shoppers", &shoppers.to_string());
            }
        }
        let places =
            demand.at.iter().map(|(device, weight)| format!("{} = {weight}", self.device_name(*device)));
        let places = format!("{{ {} }}", places.collect::<Vec<_>>().join(", "));
        self.line("where", &places);
        let (least, most) = demand.quantity;
        self.line("quantity", &quoted(&both(&least, &most, u64::to_string)));
        if demand.refund_per_mille > 0 {
            self.line("refunds", &quoted(&show_share(demand.refund_per_mille)));
        }
        if demand.cart_per_mille > 0 {
            self.line("carts", &quoted(&show_share(demand.cart_per_mille)));
        }
        if !demand.pickup_at.is_empty() {
            let devices = self.device_names(&demand.pickup_at);
            self.line("pickup_at", &devices);
            self.line("pickup", &quoted(&show_share(demand.pickup_per_mille)));
        }
        let (least, most) = demand.patience_ms;
        self.line("patience", &quoted(&both(&least, &most, |ms| show_ms(*ms))));
    }

    fn fault(&mut self, fault: &Fault) {
        self.table("[[fault]]");
        self.time("at", fault.from_ms);
        if lasts(&fault.kind) {
            self.line("for", &quoted(&show_ms(fault.until_ms.saturating_sub(fault.from_ms))));
        }
        let (name, fields) = self.kind(&fault.kind);
        self.line("fault", &quoted(name));
        for (key, value) in fields {
            self.line(key, &value);
        }
    }

    /// The fault's name, and what it says besides its time.
    fn kind(&self, kind: &FaultKind) -> (&'static str, Vec<(&'static str, String)>) {
        let device = |device: &usize| ("device", self.device_name(*device));
        let venue = |venue: &usize| ("venue", self.venue_name(*venue));
        let share = |share: &u64| quoted(&show_share(*share));
        match kind {
            FaultKind::Offline { device: which } => ("offline", vec![device(which)]),
            FaultKind::Flapping { device: which, period_ms } => {
                ("flapping", vec![device(which), ("period", quoted(&show_ms(*period_ms)))])
            }
            FaultKind::OneWay { from, to } => {
                ("one_way", vec![("from", self.device_name(*from)), ("to", self.device_name(*to))])
            }
            FaultKind::WifiDown { venue: which } => ("wifi_down", vec![venue(which)]),
            FaultKind::WanDown { venue: which } => ("wan_down", vec![venue(which)]),
            FaultKind::Split { side } => ("split", vec![("side", self.device_names(side))]),
            FaultKind::Clog { devices, back } => {
                ("clog", vec![("devices", self.device_names(devices)), ("back", self.device_names(back))])
            }
            FaultKind::BadWifi { venue: which, medium: bad } => {
                ("bad_wifi", vec![venue(which), ("medium", medium(bad))])
            }
            FaultKind::BadWan { medium: bad } => ("bad_wan", vec![("medium", medium(bad))]),
            FaultKind::PowerCut { device: which, at_operation, in_recovery } => {
                let operations = [("at_operation", at_operation), ("in_recovery", in_recovery)];
                let given = operations
                    .into_iter()
                    .filter_map(|(key, count)| count.map(|count| (key, count.to_string())));
                ("power_cut", std::iter::once(device(which)).chain(given).collect())
            }
            FaultKind::MainsDown { venue: which } => ("mains_down", vec![venue(which)]),
            FaultKind::BatterySwap { device: which } => ("battery_swap", vec![device(which)]),
            FaultKind::DiskFull { device: which } => ("disk_full", vec![device(which)]),
            FaultKind::DiskErrors { device: which, read_per_mille, write_per_mille, sync_per_mille } => {
                let (reads, writes) = (share(read_per_mille), share(write_per_mille));
                let syncs = share(sync_per_mille);
                ("disk_errors", vec![device(which), ("reads", reads), ("writes", writes), ("syncs", syncs)])
            }
            FaultKind::SlowDisk { device: which, times } => {
                ("slow_disk", vec![device(which), ("times", times.to_string())])
            }
            FaultKind::ClockStep { device: which, by_ms } => {
                ("clock_step", vec![device(which), ("by", signed_ms(*by_ms))])
            }
            FaultKind::Dies { device: which } => ("dies", vec![device(which)]),
            FaultKind::Restored { device: which, image_ms } => {
                let image = quoted(&show_time_ms(*image_ms, self.scenario.starts_at_s));
                ("restored", vec![device(which), ("image", image)])
            }
            FaultKind::Cloned { device: which } => ("cloned", vec![device(which)]),
            FaultKind::Entrusted { device: which, by } => {
                ("entrusted", vec![device(which), ("by", self.device_name(*by))])
            }
            FaultKind::Reprints { device: which } => ("reprints", vec![device(which)]),
            FaultKind::Retired { device: which, by, once_stock_comes } => {
                let waits = once_stock_comes.then(|| ("once_stock_comes", true.to_string()));
                ("retired", [device(which), ("by", self.device_name(*by))].into_iter().chain(waits).collect())
            }
            FaultKind::Chore { device: which, what } => {
                ("chore", vec![device(which), ("what", word(&CHORES, what).unwrap_or_default())])
            }
            FaultKind::Cheats { device: which, how } => {
                ("cheats", vec![device(which), ("how", word(&CHEATS, how).unwrap_or_default())])
            }
        }
    }

    fn thresholds(&mut self, wanted: &Thresholds) {
        let share = |value: Option<u64>| value.map(|value| quoted(&show_share(value)));
        let time = |value: Option<u64>| value.map(|value| quoted(&show_ms(value)));
        let lines = [
            ("served", share(wanted.served_per_mille)),
            ("wrong_refusals", share(wanted.wrong_refusals_per_mille)),
            ("claimed", share(wanted.claimed_per_mille)),
            ("sale_median", time(wanted.sale_p50_ms)),
            ("sale_p99", time(wanted.sale_p99_ms)),
            ("agree_within", time(wanted.agree_ms)),
            ("losses_per_hour", wanted.loss_events_milli.map(|value| show_scaled(value, 1_000))),
        ];
        if lines.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        self.table("[thresholds]");
        for (key, value) in lines {
            if let Some(value) = value {
                self.line(key, &value);
            }
        }
    }
}
