//! Commands that only look, through the API.

use std::fmt::Write;

use popmesh_proto::command::{Claim, ClaimState, DoorState};
use popmesh_proto::id::DeviceId;
use popmesh_proto::query::{DeviceInfo, LogLine, Status, StockLine};

use super::args::Log;
use super::client::{Client, print};
use super::failure::Outcome;
use super::table::{Table, printable};
use super::{args_claim, args_stock};
use super::{renew, values};
use crate::api::{ClaimList, Direction, List, MeshLink, Peers, Strangers};
use crate::clock::now_ms;

pub(super) fn status(client: &Client, json: bool) -> Outcome {
    let status: Status = client.get("/v1/status", &[])?;
    print(json, &status, || describe(&status))
}

/// A status for people.
pub(super) fn describe(status: &Status) -> String {
    let device = &status.device;
    let drops: Vec<String> = status.drops.iter().map(super::drops::in_short).collect();
    let drops = if drops.is_empty() { "none yet".to_owned() } else { drops.join(", ") };
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<13}{value}");
    };
    line("device", format!("{} ({})", printable(&device.name), device.device.short()));
    line("roles", roles(device));
    line("venue", device.venue.to_string());
    let until_ms = device.certificate_until_ms;
    let advice = renew::advice(&device.name, &device.roles, until_ms, now_ms());
    let advice = advice.map_or_else(String::new, |advice| format!(" ({advice})"));
    line("certificate", format!("until {}{advice}", values::time(until_ms)));
    line("event", format!("{} ({})", printable(&status.event_name), status.event.short()));
    line("drops", drops);
    line("devices", format!("{} of {} reachable", status.reachable, status.devices));
    line(
        "log",
        format!("{} entries in {} chains, digest {}", status.entries, status.chains, short(&status.digest)),
    );
    let secret = &status.secret;
    if secret.exposed > 0 {
        line(
            "secret",
            format!("{} retired devices have it: an hq renews it within a minute", secret.exposed),
        );
    } else if secret.lacks_newest {
        line("secret", "renewed, and not here yet: it comes with the log, from an hq".to_owned());
    } else if let Some(epoch) = &secret.epoch {
        line("secret", format!("epoch {}, renewed after a retirement", printable(epoch)));
    }
    line("waiting", format!("{} entries, {} sales", status.waiting, status.sales_waiting));
    let deferred = match status.deferred {
        0 => String::new(),
        deferred => format!(", {} waits to be authorised", status.currency.format(deferred)),
    };
    line("receipts", format!("{}{deferred}", status.last_receipt));
    if status.past_unknown {
        line("past", format!("{}; nothing is sold or handed out until then", status.past));
    }
    if let Some(apart) = &status.clocks_apart {
        let apart = printable(&apart.to_string());
        line("clocks", format!("{apart}: set the one that is wrong; meanwhile no claims are swept"));
    }
    line("refused", status.refused.to_string());
    line("incidents", status.incidents.to_string());
    text
}

fn short(digest: &str) -> String {
    printable(digest).chars().take(16).collect()
}

fn roles(device: &DeviceInfo) -> String {
    let roles: Vec<String> = device.roles.iter().map(|role| role.to_string()).collect();
    roles.join(",")
}

/// What a link goes over, who dialled, and how strong the signal is.
fn over(link: &MeshLink) -> String {
    let direction = match link.direction {
        Direction::Inbound => "in",
        Direction::Outbound => "out",
    };
    let signal = link.rssi_dbm.map_or_else(String::new, |dbm| format!(" {dbm} dBm"));
    format!("{} {direction}{signal}", link.transport)
}

pub(super) fn peers(client: &Client, json: bool) -> Outcome {
    let peers: Peers = client.get("/v1/peers", &[])?;
    print(json, &peers, || {
        let mut table = Table::new(&[
            "name",
            "key",
            "roles",
            "venue",
            "link",
            "reachable",
            ">rtt",
            "last heard",
            "address",
            "state",
        ]);
        // The API goes by keys, which say nothing to a person.
        let mut by_name: Vec<_> = peers.peers.iter().collect();
        by_name.sort_by_key(|peer| &peer.info.name);
        for peer in by_name {
            let info = &peer.info;
            let links: Vec<String> = peer.links.iter().map(over).collect();
            let link = match links.is_empty() {
                false => links.join(", "),
                true if info.linked => "yes".to_owned(),
                true => "-".to_owned(),
            };
            table.row([
                info.name.clone(),
                info.device.short(),
                roles(info),
                info.venue.to_string(),
                link,
                if info.reachable { "yes" } else { "no" }.to_owned(),
                peer.rtt_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms")),
                info.last_heard_ms.map_or_else(|| "never".to_owned(), values::clock),
                peer.addresses.first().cloned().unwrap_or_else(|| "-".to_owned()),
                match info.cut_off_until_ms {
                    Some(until) => format!("cut off for what it sent, until {}", values::clock(until)),
                    None => peer.state.clone().unwrap_or_else(|| "-".to_owned()),
                },
            ]);
        }
        let mut text =
            if table.is_empty() { "No other device is known yet.\n".to_owned() } else { table.to_string() };
        if !peers.unheard.is_empty() {
            let mut table = Table::new(&["found", "state", "address"]);
            for found in &peers.unheard {
                let address = found.addresses.first().cloned().unwrap_or_else(|| "-".to_owned());
                table.row([found.device.short(), found.state.clone(), address]);
            }
            text.push_str(&format!("\n{table}"));
        }
        text.push_str(&strangers(&peers.strangers));
        if peers.mesh_answers && !peers.links_on {
            text.push_str("\nLinks are switched off on this device: `popmesh links on` switches them on.");
        }
        if !peers.mesh_answers {
            text.push_str("\nThe mesh did not answer; links are not shown.");
        }
        text
    })
}

/// However many there are, a few lines.
fn strangers(heard: &Strangers) -> String {
    if heard.lately == 0 {
        return String::new();
    }
    let mut table = Table::new(&["calls itself", "at", "why it is none of the event"]);
    for stranger in &heard.last {
        let address = stranger.address.clone().unwrap_or_else(|| "-".to_owned());
        table.row([stranger.name.clone(), address, stranger.why.clone()]);
    }
    let many = if heard.lately == 1 { "announces itself" } else { "announce themselves" };
    format!("\nAlso {} that {many} here, and is not dialled. The last:\n{table}", heard.lately)
}

pub(super) fn stock(client: &Client, filter: &args_stock::Stock, json: bool) -> Outcome {
    let query = [("drop", text(&filter.drop)), ("sku", text(&filter.sku))];
    let stock: List<StockLine> = client.list("/v1/stock", &query, None)?;
    print(json, &stock, || {
        if stock.items.is_empty() {
            return "No stock; mint a lot with `popmesh lot mint`, or wait for a transfer.".to_owned();
        }
        let mut levels = Table::new(&[
            "drop",
            "sku",
            "whose",
            ">available",
            ">held",
            ">committed",
            ">damaged",
            ">frozen",
            ">in transit",
            ">sold",
            ">stranded",
        ]);
        let mut holders = Table::new(&["drop", "sku", "holder", ">units", "at", "reachable", "last heard"]);
        for line in &stock.items {
            for (whose, of) in [("own", &line.own), ("event", &line.mesh)] {
                let name = [line.drop.to_string(), line.sku.to_string(), whose.to_owned()];
                let counts = [
                    of.available,
                    of.held,
                    of.committed,
                    of.damaged,
                    of.frozen,
                    of.in_transit,
                    of.sold,
                    of.stranded,
                ];
                levels.row(name.into_iter().chain(counts.map(|count| count.to_string())));
            }
            let mut by_name: Vec<_> = line.holders.iter().collect();
            by_name.sort_by_key(|holder| &holder.name);
            for holder in by_name {
                let places: Vec<String> = holder.places.iter().map(|place| place.to_string()).collect();
                holders.row([
                    line.drop.to_string(),
                    line.sku.to_string(),
                    holder.name.clone(),
                    holder.units.to_string(),
                    places.join(","),
                    if holder.reachable { "yes" } else { "no" }.to_owned(),
                    holder.last_heard_ms.map_or_else(|| "-".to_owned(), values::clock),
                ]);
            }
        }
        if holders.is_empty() { levels.to_string() } else { format!("{levels}\n{holders}") }
    })
}

pub(super) fn claims(client: &Client, filter: &args_claim::Claims, json: bool) -> Outcome {
    let devices = client.devices()?;
    let state = filter.state.map(|state| word(&ClaimState::from(state)));
    let query = [
        ("drop", text(&filter.drop)),
        ("seller", filter.seller.clone()),
        ("custodian", filter.custodian.clone()),
        ("state", state),
        ("shopper", text(&filter.shopper)),
        ("code", text(&filter.code)),
        ("named", filter.named.clone()),
        ("late", filter.late.then(|| "true".to_owned())),
    ];
    let claims: ClaimList = client.list("/v1/claims", &query, Some(filter.limit))?;
    print(json, &claims, || {
        let mut table = Table::new(&[
            "at",
            "drop",
            "sold",
            ">total",
            "paid",
            "for",
            "seller",
            "custodian",
            "state",
            "until",
            "code",
            "claim",
        ]);
        for claim in &claims.items {
            let items: Vec<String> =
                claim.items.iter().map(|item| format!("{} {}", item.sku, item.units)).collect();
            let shut = claim.door.as_ref().filter(|door| door.handed_over != Some(true));
            let door = match shut.map(|door| door.state) {
                None | Some(DoorState::Opened) => "",
                Some(DoorState::Opening | DoorState::Stuck) => ", door not known to have opened",
                Some(DoorState::Settled) => ", not handed over",
            };
            let contested = if claim.contested.is_empty() { "" } else { " CONTESTED" };
            table.row([
                values::clock(claim.at_ms),
                claim.drop.to_string(),
                items.join("; "),
                claim.currency.format(claim.total),
                word(&claim.tender),
                claim.shopper.as_ref().map_or_else(|| "-".to_owned(), |who| who.to_string()),
                name_of(claim.seller, &devices),
                name_of(claim.custodian, &devices),
                format!("{}{door}{contested}", word(&claim.state)),
                until_of(claim),
                claim.code.to_string(),
                claim.claim.to_string(),
            ]);
        }
        let shown = claims.items.len() as u64;
        if table.is_empty() {
            "No claims.".to_owned()
        } else if shown < claims.count {
            format!("{table}\n{shown} of {} claims; see more with --limit.", claims.count)
        } else {
            table.to_string()
        }
    })
}

/// Until when a claim that waits can be picked up.
fn until_of(claim: &Claim) -> String {
    let waits = matches!(claim.state, ClaimState::Issued | ClaimState::RefundRequested);
    claim.expires_ms.filter(|_| waits).map_or_else(|| "-".to_owned(), values::clock)
}

pub(super) fn log(client: &Client, filter: &Log, json: bool) -> Outcome {
    let lines: List<LogLine> =
        client.list("/v1/log", &[("device", filter.device.clone())], Some(filter.limit))?;
    print(json, &lines, || {
        let mut table = Table::new(&["at", "author", "document", "entry", "what"]);
        for line in &lines.items {
            table.row([
                values::clock(line.at_ms),
                line.author_name.clone(),
                line.document.to_string(),
                format!("{:?}", line.entry),
                line.text.clone(),
            ]);
        }
        if table.is_empty() { "No entries.".to_owned() } else { table.to_string() }
    })
}

fn text(value: &Option<impl ToString>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

/// The word that the API has for a value of an enumeration.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}

fn name_of(device: DeviceId, devices: &[DeviceInfo]) -> String {
    devices.iter().find(|info| info.device == device).map_or_else(|| device.short(), |info| info.name.clone())
}
