//! What `popmesh run` tells a person at a terminal: that the device is up and where, whom it sees, and what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::Role;
use popmesh_proto::query::{Answer, DeviceInfo, Query, Status, StockFilter};
use tokio::time::{MissedTickBehavior, interval};

use super::quickstart::shell;
use super::table::printable;
use super::{client, renew, values};
use crate::clock::{localised, now_ms};
use crate::run::Up;
use crate::runtime::StoreHealth;

/// How often it looks whom this device sees, and what is wrong.
const EVERY: Duration = Duration::from_secs(1);

/// Tells what there is to tell until the node stops. Never ends by itself while the device answers.
pub(super) async fn tell(up: Up, data: Option<PathBuf>) {
    let mut told = Told::default();
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let Some(seen) = Seen::look(&up).await else { continue };
        let mut lines = Vec::new();
        if !told.began {
            let Some(goods) = Goods::look(&up).await else { continue };
            told.began = true;
            lines.extend(beginning(&up, &seen.status));
            lines.extend(next(&seen, goods, data.as_ref()));
        }
        lines.extend(told.lines(&seen));
        // Whoever reads may have gone; the node goes on.
        if !lines.is_empty() && client::say(&localised(&lines.join("\n"))).is_err() {
            return;
        }
    }
}

/// What the device and its mesh say now.
struct Seen {
    status: Status,
    others: Vec<DeviceInfo>,
    /// What keeps it from writing.
    unwritable: Option<String>,
    links_on: bool,
    is_listening: bool,
}

impl Seen {
    /// None if the device is too busy to say, or stops.
    async fn look(up: &Up) -> Option<Self> {
        let Ok(Answer::Status(status)) = up.handle.query(Query::Status).await else { return None };
        let Ok(Answer::Devices(devices)) = up.handle.query(Query::Devices).await else { return None };
        let unwritable = match up.handle.health().await {
            Ok(StoreHealth::Failing { problem, .. }) => Some(problem),
            _ => None,
        };
        let mesh = up.mesh.snapshot().await?;
        let others = devices.into_iter().filter(|info| info.device != status.device.device).collect();
        Some(Self {
            others,
            unwritable,
            links_on: mesh.links_on,
            is_listening: !mesh.listening.is_empty() || mesh.ble.is_some(),
            status,
        })
    }
}

/// What there is to sell when the node starts.
#[derive(Clone, Copy)]
struct Goods {
    products: usize,
    /// Units that this device could sell.
    own: u64,
}

impl Goods {
    async fn look(up: &Up) -> Option<Self> {
        let Ok(Answer::Programme(programme)) = up.handle.query(Query::Programme).await else { return None };
        let stock = up.handle.query(Query::Stock(StockFilter::default())).await;
        let Ok(Answer::Stock(stock)) = stock else { return None };
        let own = stock.lines.iter().fold(0_u64, |sum, line| sum.saturating_add(line.own.available));
        Some(Self { products: programme.products.len(), own })
    }
}

/// What was told so far.
#[derive(Default)]
struct Told {
    began: bool,
    reachable: BTreeSet<DeviceId>,
    /// Problems that go on, by their kinds: in words.
    problems: BTreeMap<&'static str, String>,
}

impl Told {
    fn lines(&mut self, seen: &Seen) -> Vec<String> {
        let now = values::clock(now_ms());
        let new = self.devices(&seen.others).into_iter().chain(self.problems(problems(seen)));
        new.map(|line| format!("{now}  {line}")).collect()
    }

    fn devices(&mut self, others: &[DeviceInfo]) -> Vec<String> {
        let mut lines = Vec::new();
        let count = |reachable: &BTreeSet<DeviceId>| match reachable.len() {
            0 => "; nobody else is in reach".to_owned(),
            number => format!("; {number} in reach"),
        };
        for info in others {
            let name = printable(&info.name);
            if info.reachable && self.reachable.insert(info.device) {
                let roles: Vec<String> = info.roles.iter().map(ToString::to_string).collect();
                let what =
                    format!("sees {name} ({}), {} at {}", info.device.short(), roles.join(","), info.venue);
                lines.push(what + &count(&self.reachable));
            } else if !info.reachable && self.reachable.remove(&info.device) {
                let why = match &info.retired_by {
                    Some(by) => format!("{name} was retired by {}", printable(by)),
                    None => format!("{name} is out of reach"),
                };
                lines.push(why + &count(&self.reachable));
            }
        }
        lines
    }

    /// Problems that are new, or told in other words now, and those that are over.
    fn problems(&mut self, now: BTreeMap<&'static str, String>) -> Vec<String> {
        let new = now.iter().filter(|(kind, text)| self.problems.get(*kind) != Some(text));
        let new = new.map(|(_, text)| format!("problem: {text}"));
        let over = self.problems.iter().filter(|(kind, _)| !now.contains_key(*kind));
        let over = over.map(|(kind, _)| format!("solved: {kind}"));
        let lines = new.chain(over).collect();
        self.problems = now;
        lines
    }
}

fn beginning(up: &Up, status: &Status) -> [String; 2] {
    let device = &status.device;
    let roles: Vec<String> = device.roles.iter().map(ToString::to_string).collect();
    let access = match up.place.tls {
        true => ", which wants a token from elsewhere: `popmesh api token new`",
        false => ", for this host alone",
    };
    let own = up.screen.map(|at| format!("http://{at}"));
    let (console, whose) = match (own, up.place.tls) {
        (Some(own), _) => (own, "in a browser on this host; tablets are connected there, under Health"),
        (None, true) => (up.place.url(), "in a browser, which wants a token too"),
        (None, false) => (up.place.url(), "in a browser on this host: what the crew touches"),
    };
    let text = format!(
        "{} ({}) is up: {} at {}, in the event {} ({}).\n\
         \x20 console      {console}, {whose}\n\
         \x20 API          {}{access}\n\
         \x20 certificate  until {}",
        printable(&device.name),
        device.device.short(),
        roles.join(","),
        device.venue,
        printable(&status.event_name),
        status.event.short(),
        up.place.url(),
        values::time(device.certificate_until_ms),
    );
    [text, String::new()]
}

/// What to do next, by what is there.
fn next(seen: &Seen, goods: Goods, data: Option<&PathBuf>) -> Vec<String> {
    let popmesh = data.map_or_else(|| "popmesh".to_owned(), |data| format!("popmesh --data {}", shell(data)));
    let status = &seen.status;
    let is = |role| status.device.roles.contains(&role);
    let open = status.drops.iter().find(|drop| drop.state.sells());
    let mut next = Vec::new();
    let mut line = |command: &str, what: &str| next.push(format!("  {popmesh} {command:<44}  {what}"));
    if is(Role::Hq) && goods.products == 0 {
        line("product add SKU NAME --price 25.00", "what is sold");
    }
    if is(Role::Hq) && open.is_none() {
        line("drop new NAME --open", "a drop, open for sale");
    }
    if is(Role::Hq) && goods.own == 0 {
        let drop = open.map_or("DROP", |drop| drop.drop.as_str());
        line(&format!("lot mint --drop {drop} --sku SKU --serials 1-100"), "units, held by this device");
    }
    if is(Role::Pos) || is(Role::Encoder) {
        line("sell SKU", "a sale");
    }
    if is(Role::Locker) {
        line("claim redeem TOKEN", "a pickup");
    }
    if (is(Role::Hq) || is(Role::Steward)) && seen.others.is_empty() {
        line(
            "device admit CODE --role pos --venue VENUE",
            "another device, which shows CODE with `popmesh join`",
        );
    }
    line("status --watch", "this device, at a glance");
    next.insert(0, "Next, in another terminal:".to_owned());
    next.extend(["Ctrl-C stops it; nothing that was sold is lost.".to_owned(), String::new()]);
    next
}

/// What a person has to know of, by its kind in words.
fn problems(seen: &Seen) -> BTreeMap<&'static str, String> {
    let status = &seen.status;
    let mut problems = BTreeMap::new();
    if let Some(problem) = &seen.unwritable {
        let text = format!("nothing can be written down, so nothing is sold: {}", printable(problem));
        problems.insert("what is done is written down again", text);
    }
    if status.past_unknown {
        let text = format!("{}; nothing is sold or handed out until then", status.past);
        problems.insert("this device knows its past", text);
    }
    if let Some(by) = &status.device.retired_by {
        let text = format!("this device was retired by {}; it needs a new key to come back", printable(by));
        problems.insert("this device is not retired", text);
    }
    if let Some(apart) = &status.clocks_apart {
        let text = format!(
            "{}: set the one that is wrong; meanwhile no claims are swept",
            printable(&apart.to_string())
        );
        problems.insert("the clocks in reach agree", text);
    }
    let device = &status.device;
    if let Some(advice) = renew::advice(&device.name, &device.roles, device.certificate_until_ms, now_ms()) {
        let text = format!(
            "this device's certificate (until {}) {advice}",
            values::time(device.certificate_until_ms)
        );
        problems.insert("this device's certificate holds", text);
    }
    if !seen.links_on {
        let text = "links are off, so this device is on its own: `popmesh links on`".to_owned();
        problems.insert("links are on", text);
    } else if !seen.is_listening {
        let text = "no other device can reach this one: it is on no network; see `popmesh doctor`".to_owned();
        problems.insert("this device is on a network", text);
    }
    if status.cut_off > 0 {
        let text = format!("{} devices are cut off for what they sent: see `popmesh peers`", status.cut_off);
        problems.insert("no device is cut off", text);
    }
    if status.incidents > 0 {
        let text = format!("{} incidents are to be looked at: `popmesh incidents list`", status.incidents);
        problems.insert("no incident is left", text);
    }
    problems
}
