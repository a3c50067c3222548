//! What needs no running node: the clock, the folder, the key, the certificate, the network.

use std::fs;

use popmesh_proto::clock::utc;
use popmesh_proto::identity::{ENDS_SOON_MS, Role};

use super::folder::{self, broken};
use super::{Finding, Severity, disk};
use crate::clock::now_ms;
use crate::folder::Folder;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// This program did not exist before 2025-01-01; a clock that says so is wrong.
const EARLIEST_MS: u64 = 1_735_689_600_000;
const LATEST_MS: u64 = EARLIEST_MS + 50 * 365 * DAY_MS;

/// What can be found out about the device of a folder without its node.
pub(crate) fn here(folder: &Folder) -> Vec<Finding> {
    let mut findings = vec![clock()];
    findings.extend(folder::findings(folder));
    findings.extend(disk::finding(folder));
    findings.push(key(folder));
    findings.extend(certificate(folder));
    findings.push(multicast());
    findings
}

/// Whether a clock can show this: certificates that hold from such a time on are of use.
pub(crate) fn is_possible(now_ms: u64) -> bool {
    (EARLIEST_MS..LATEST_MS).contains(&now_ms)
}

fn clock() -> Finding {
    let now_ms = now_ms();
    let shown = utc(now_ms);
    let finding = if is_possible(now_ms) {
        Finding::ok("clock", "clock_ok", shown)
    } else {
        Finding::act("clock", "clock_impossible", format!("{shown} cannot be"), "set this host's clock")
    };
    finding.with("now_ms", now_ms)
}

fn key(folder: &Folder) -> Finding {
    match folder.key() {
        Ok(key) => {
            let device = key.id().short();
            let text = format!("device {device}, readable by its owner only");
            Finding::ok("key", "key_ok", text).with("device", device.to_string())
        }
        Err(error) => broken("key", &error),
    }
}

fn certificate(folder: &Folder) -> Vec<Finding> {
    const CHECK: &str = "certificate";
    let identity = match folder.identity() {
        Ok(identity) => identity,
        Err(error) => return vec![broken(CHECK, &error)],
    };
    let (certificate, now_ms) = (&identity.certificate, now_ms());
    let until_ms = certificate.not_after_ms;
    let until = utc(until_ms);
    let roles: Vec<Role> = certificate.roles.iter().collect();
    let validity = if now_ms < certificate.not_before_ms {
        let text = format!(
            "begins only {}, and this host's clock shows {}",
            utc(certificate.not_before_ms),
            utc(now_ms)
        );
        Finding::look(CHECK, "certificate_not_yet", text, "set the clock")
            .with("from_ms", certificate.not_before_ms)
            .with("now_ms", now_ms)
    } else if let Some(ending) = ending(&certificate.name, &roles, until_ms, now_ms) {
        let (severity, code) = match ending.is_over {
            true => (Severity::Act, "certificate_over"),
            false => (Severity::Look, "certificate_ends"),
        };
        let text = format!("until {until}, {}", ending.what);
        Finding::new(CHECK, code, severity, text, Some(ending.next)).with("by", ending.by)
    } else {
        let text = format!("{} ({}) until {until}", certificate.name, certificate.roles);
        Finding::ok(CHECK, "certificate_ok", text)
    };
    let names: Vec<String> = roles.iter().map(ToString::to_string).collect();
    let validity =
        validity.with("name", certificate.name.clone()).with("roles", names).with("until_ms", until_ms);
    let charter = identity.charter.charter();
    let text = format!("{} ({})", charter.name, identity.charter.event().short());
    vec![validity, Finding::ok("event", "event_ok", text).with("name", charter.name.clone())]
}

/// That a certificate ends, and what to do.
pub(crate) struct Ending {
    /// Whether it is over.
    pub(crate) is_over: bool,
    /// What is the case.
    pub(crate) what: &'static str,
    /// What to do.
    pub(crate) next: String,
    /// Who has to sign: `hq` or `organiser`.
    by: &'static str,
}

/// What to do about a certificate that ends at `until_ms`, if it is time to.
pub(crate) fn ending(name: &str, roles: &[Role], until_ms: u64, now_ms: u64) -> Option<Ending> {
    let is_organisers = roles.iter().any(|role| matches!(role, Role::Hq | Role::Registrar));
    let by = if is_organisers { "organiser" } else { "hq" };
    if now_ms >= until_ms {
        let who = if is_organisers { "the organiser" } else { "an hq" };
        let next = format!("have {who} admit this device again, with `popmesh join` here, or set the clock");
        return Some(Ending { is_over: true, what: "over", next, by });
    }
    let next = match is_organisers {
        true => "renew it with the organiser's key, with `popmesh device renew --event DIR` here".to_owned(),
        false => format!("renew it with `popmesh device renew {name}` on an hq"),
    };
    (until_ms - now_ms <= ENDS_SOON_MS).then_some(Ending { is_over: false, what: "ends soon", next, by })
}

/// Whether devices can find each other here: a network interface that is up and does multicast.
fn multicast() -> Finding {
    const UP: u32 = 0x1;
    const LOOPBACK: u32 = 0x8;
    const MULTICAST: u32 = 0x1000;
    const CHECK: &str = "mdns";
    let Ok(entries) = fs::read_dir("/sys/class/net") else {
        let text = "this system does not tell its network interfaces";
        return Finding::look(CHECK, "mdns_unknown", text, "see whether `popmesh peers` fills");
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
        let next = "join the Wi-Fi, or name peers with --peer";
        return Finding::look(CHECK, "mdns_none", "no network interface is up and does multicast", next);
    }
    Finding::ok(CHECK, "mdns_ok", format!("multicast on {}", fit.join(", "))).with("interfaces", fit)
}

/// That the device of a folder cannot recognise others on the air, if it cannot.
pub(crate) fn event_secret_missing(folder: &Folder) -> Option<Finding> {
    let is_missing = folder.identity().is_ok_and(|identity| identity.secrets.current().is_none());
    is_missing.then(|| {
        Finding::act(
            "bluetooth",
            "bluetooth_no_secret",
            "this device does not have the event's secret, by which devices recognise each other on the air",
            "ask the organiser for it",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_to_do_something_is_told_in_time_what() {
        let until_ms = 10 * ENDS_SOON_MS;
        let told = |roles: &[Role], now_ms| {
            ending("till", roles, until_ms, now_ms).map(|ending| ending.next).unwrap_or_default()
        };
        assert_eq!(told(&[Role::Pos], until_ms - ENDS_SOON_MS - 1), "");
        assert!(told(&[Role::Pos], until_ms - ENDS_SOON_MS).contains("device renew till"));
        assert!(told(&[Role::Pos, Role::Hq], until_ms - 1).contains("device renew --event DIR"));
        assert!(told(&[Role::Registrar], until_ms).contains("have the organiser admit"));
        assert!(told(&[Role::Pos], until_ms).contains("have an hq admit this device again"));
    }
}
