//! `popmesh doctor`: what could keep this device from selling, found before the doors open.

mod folder;
mod radio;

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use popmesh_proto::query::{Check, Status};
use serde::Serialize;

use super::StoreCheck;
use super::args::{Doctor, Target};
use super::client::{Client, print};
use super::failure::{Failure, Outcome};
use super::table::printable;
use super::{renew, values};
use crate::api::Health;
use crate::clock::now_ms;
use crate::folder::Folder;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// This program did not exist before 2025-01-01; a clock that says so is wrong.
const EARLIEST_MS: u64 = 1_735_689_600_000;
const LATEST_MS: u64 = EARLIEST_MS + 50 * 365 * DAY_MS;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    /// What was found, and what to do unless it is fine.
    text: String,
}

fn ok(check: &'static str, text: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Ok, text: text.into() }
}

fn warn(check: &'static str, text: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Warn, text: text.into() }
}

fn fail(check: &'static str, text: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Fail, text: text.into() }
}

pub(super) fn doctor(args: &Doctor, folder: &Folder, json: bool, check_store: StoreCheck) -> Outcome {
    let node = running(folder);
    let mut findings = vec![clock()];
    findings.extend(folder::findings(folder));
    findings.push(key(folder));
    findings.extend(certificate(folder));
    findings.extend(match &node {
        Some(client) => asked(client),
        None => vec![ok("node", "not running"), store(folder, check_store)],
    });
    findings.push(multicast());
    if node.is_none() {
        findings.extend(ports(args));
        findings.extend(args.ble.as_ref().map(|adapter| radio::adapter(adapter, folder)));
    }
    print(json, &findings, || {
        let lines: Vec<String> = findings
            .iter()
            .map(|finding| {
                let verdict = match finding.verdict {
                    Verdict::Ok => "ok  ",
                    Verdict::Warn => "warn",
                    Verdict::Fail => "FAIL",
                };
                format!("{verdict}  {:<12} {}", finding.check, finding.text)
            })
            .collect();
        lines.join("\n")
    })?;
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    if failed { Err(Failure::Told) } else { Ok(()) }
}

fn running(folder: &Folder) -> Option<Client> {
    let client = Client::find(&Target::default(), folder).ok()?;
    let answers =
        !matches!(client.get::<serde_json::Value>("/v1/health", &[]), Err(Failure::Unreachable { .. }));
    answers.then_some(client)
}

/// Whether a clock can show this: certificates that hold from such a time on are of use.
pub(super) fn is_possible(now_ms: u64) -> bool {
    (EARLIEST_MS..LATEST_MS).contains(&now_ms)
}

fn clock() -> Finding {
    let now_ms = now_ms();
    if is_possible(now_ms) {
        ok("clock", values::time(now_ms))
    } else {
        fail("clock", format!("{} cannot be; set this host's clock", values::time(now_ms)))
    }
}

fn key(folder: &Folder) -> Finding {
    match folder.key() {
        Ok(key) => ok("key", format!("device {}, readable by its owner only", key.id().short())),
        Err(error) => fail("key", error.to_string()),
    }
}

fn certificate(folder: &Folder) -> Vec<Finding> {
    let identity = match folder.identity() {
        Ok(identity) => identity,
        Err(error) => return vec![fail("certificate", error.to_string())],
    };
    let (certificate, now_ms) = (&identity.certificate, now_ms());
    let until = values::time(certificate.not_after_ms);
    let roles: Vec<_> = certificate.roles.iter().collect();
    let validity = if now_ms < certificate.not_before_ms {
        let (from, now) = (values::time(certificate.not_before_ms), values::time(now_ms));
        warn("certificate", format!("begins only {from}, and this host's clock shows {now}; set the clock"))
    } else if let Some(advice) = renew::advice(&certificate.name, &roles, certificate.not_after_ms, now_ms) {
        let tell = if now_ms >= certificate.not_after_ms { fail } else { warn };
        tell("certificate", format!("until {until}, {advice}"))
    } else {
        ok("certificate", format!("{} ({}) until {until}", certificate.name, certificate.roles))
    };
    let charter = identity.charter.charter();
    vec![validity, ok("event", format!("{} ({})", charter.name, identity.charter.event().short()))]
}

fn asked(client: &Client) -> Vec<Finding> {
    let node = match client.get::<Health>("/v1/health", &[]) {
        Ok(_) => ok("node", "running, and writes succeed"),
        Err(Failure::Problem(problem)) => fail("node", problem.detail),
        Err(other) => fail("node", format!("does not answer as it should: {other:?}")),
    };
    let books = match client.get::<Check>("/v1/check", &[]) {
        Ok(check) if !check.problems.is_empty() => fail(
            "books",
            format!("{}; do not sell from this device, and keep its folder", check.problems.join("; ")),
        ),
        Ok(check) if !check.incidents.is_empty() => {
            warn("books", format!("incidents to look at: {}", check.incidents.join("; ")))
        }
        Ok(check) => ok(
            "books",
            format!(
                "{} entries, {} units minted, {} sold, none twice; {}",
                check.entries,
                check.minted,
                check.sold,
                receipts(&check)
            ),
        ),
        Err(Failure::Problem(problem)) => fail("books", problem.detail),
        Err(other) => fail("books", format!("cannot be checked: {other:?}")),
    };
    let past = match client.get::<Status>("/v1/status", &[]) {
        Ok(status) if status.past.unknown => fail("past", status.past.to_string()),
        Ok(_) => ok("past", "all that this device is known to have written is here".to_owned()),
        Err(other) => fail("past", format!("cannot be asked for: {other:?}")),
    };
    let mut findings = vec![node, books, past];
    findings.extend(clocks(client));
    findings.extend(radio::in_use(client));
    findings
}

/// Whether the clocks in reach agree. A node that does not answer has been told of.
fn clocks(client: &Client) -> Option<Finding> {
    let status = client.get::<Status>("/v1/status", &[]).ok()?;
    Some(match status.clocks_apart {
        None => ok("clocks", "all in reach show the same time, within a minute"),
        Some(apart) => {
            let apart = printable(&apart.to_string());
            warn("clocks", format!("{apart}: set the one that is wrong; meanwhile no claims are swept"))
        }
    })
}

pub(super) fn receipts(check: &Check) -> String {
    let count: u64 = check.receipts.iter().map(|run| run.count).sum();
    let missing: u64 = check.receipts.iter().fold(0, |sum, run| sum.saturating_add(run.missing));
    match missing {
        0 => format!("{count} receipts without gaps"),
        missing => format!("{count} receipts, {missing} more are not here yet"),
    }
}

fn store(folder: &Folder, check_store: StoreCheck) -> Finding {
    match check_store(folder.path()) {
        Ok(found) => ok("database", found),
        Err(problem) => fail("database", problem),
    }
}

/// Whether devices can find each other here: a network interface that is up and does multicast.
fn multicast() -> Finding {
    const UP: u32 = 0x1;
    const LOOPBACK: u32 = 0x8;
    const MULTICAST: u32 = 0x1000;
    let Ok(entries) = fs::read_dir("/sys/class/net") else {
        return warn(
            "mdns",
            "this system does not tell its network interfaces; see whether `popmesh peers` fills",
        );
    };
    let mut fit = Vec::new();
    for entry in entries.flatten() {
        let flags = fs::read_to_string(entry.path().join("flags")).unwrap_or_default();
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(0);
        if flags & UP != 0 && flags & MULTICAST != 0 && flags & LOOPBACK == 0 {
            fit.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    fit.sort();
    if fit.is_empty() {
        warn(
            "mdns",
            "no network interface is up and does multicast; join the Wi-Fi, or name peers with --peer",
        )
    } else {
        ok("mdns", format!("multicast on {}", fit.join(", ")))
    }
}

fn ports(args: &Doctor) -> Vec<Finding> {
    let mut findings = vec![port("api port", args.api, TcpListener::bind(args.api).map(|_| ()), "--api")];
    if let Some(number) = args.listen_port {
        let any = SocketAddr::from(([0, 0, 0, 0], number));
        findings.push(port("tcp port", any, TcpListener::bind(any).map(|_| ()), "--listen-port"));
        findings.push(port("udp port", any, UdpSocket::bind(any).map(|_| ()), "--listen-port"));
    }
    findings
}

fn port(check: &'static str, address: SocketAddr, bound: std::io::Result<()>, option: &str) -> Finding {
    match bound {
        Ok(()) => ok(check, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => fail(
            check,
            format!("{address} is in use by another program; stop it, or choose another with {option}"),
        ),
        Err(error) => fail(check, format!("{address}: {error}; choose another with {option}")),
    }
}
