//! What a running device's answers say of it.

use popmesh_proto::clock::utc;
use popmesh_proto::command::{DoorState, Doors};
use popmesh_proto::query::{Check, DeviceInfo, Incident, RetirementRisk, Status, WaitingPayment};

use super::Finding;
use crate::api::{BleStatus, MeshSnapshot};
use crate::runtime::StoreHealth;

/// What a running device answered.
pub(crate) struct Answers {
    /// How it is.
    pub(crate) status: Status,
    /// Whether its books hold.
    pub(crate) check: Check,
    /// Who there is.
    pub(crate) devices: Vec<DeviceInfo>,
    /// What each device that is out of reach holds, as far as known.
    pub(crate) away: Vec<RetirementRisk>,
    /// Incidents, open or settled.
    pub(crate) incidents: Vec<Incident>,
    /// Doors.
    pub(crate) doors: Doors,
    /// Virtual doors that are jammed.
    pub(crate) jammed: Vec<String>,
    /// Payments of its own that wait.
    pub(crate) payments: Vec<WaitingPayment>,
    /// Claims in its custody that wait longer than they may.
    pub(crate) late: u64,
    /// The mesh; absent if it does not answer.
    pub(crate) mesh: Option<MeshSnapshot>,
}

/// What there is to say of a running device whose writes succeed.
pub(crate) fn of_device(answers: &Answers) -> Vec<Finding> {
    let mut findings = vec![of_store(&StoreHealth::Writable), books(&answers.check), past(&answers.status)];
    findings.extend(incidents(&answers.incidents));
    findings.push(clocks(&answers.status));
    findings.extend(trusted(answers));
    findings.extend(reach(answers));
    findings.extend(answers.mesh.as_ref().and_then(|mesh| mesh.ble).map(bluetooth));
    findings.extend(doors(answers));
    findings.extend(money(answers));
    findings
}

/// Whether a running device can write down what it does.
pub(crate) fn of_store(store: &StoreHealth) -> Finding {
    match store {
        StoreHealth::Writable => Finding::ok("node", "node_ok", "running, and writes succeed"),
        StoreHealth::Failing { problem, since_ms } => Finding::act(
            "node",
            "node_not_stored",
            format!("nothing can be written down, so nothing is sold: {problem}"),
            "make room on the disk, or have it looked at; this node tries again by itself",
        )
        .with("problem", problem.clone())
        .since(Some(*since_ms)),
    }
}

fn books(check: &Check) -> Finding {
    let (receipts, missing) = receipts(check);
    if !check.problems.is_empty() {
        return Finding::act(
            "books",
            "books_broken",
            check.problems.join("; "),
            "do not sell from this device, and keep its folder",
        )
        .with("problems", check.problems.clone());
    }
    let text = format!(
        "{} entries, {} units minted, {} sold, none twice; {}",
        check.entries,
        check.minted,
        check.sold,
        receipts_in_words(check)
    );
    let ok = Finding::ok("books", "books_ok", text).with("entries", check.entries);
    ok.with("minted", check.minted)
        .with("sold", check.sold)
        .with("receipts", receipts)
        .with("missing", missing)
}

/// How many receipts are here, and how many are missing.
fn receipts(check: &Check) -> (u64, u64) {
    let count = check.receipts.iter().map(|run| run.count).sum();
    (count, check.receipts.iter().fold(0, |sum: u64, run| sum.saturating_add(run.missing)))
}

/// The same for a person.
pub(crate) fn receipts_in_words(check: &Check) -> String {
    match receipts(check) {
        (count, 0) => format!("{count} receipts without gaps"),
        (count, missing) => format!("{count} receipts, {missing} more are not here yet"),
    }
}

fn past(status: &Status) -> Finding {
    if !status.past.unknown {
        return Finding::ok("past", "past_ok", "all that this device is known to have written is here");
    }
    let said = status.past.to_string();
    let (text, next) = said.split_once("; ").unwrap_or((&said, "bring it into reach of another device"));
    let unknown = Finding::act("past", "past_unknown", text, next);
    unknown.with("entries", status.past.entries).with("chains", status.past.chains)
}

fn incidents(incidents: &[Incident]) -> Option<Finding> {
    let open: Vec<&Incident> = incidents.iter().filter(|incident| incident.resolved.is_none()).collect();
    let since_ms = open.iter().map(|incident| incident.at_ms).min()?;
    let words: Vec<String> = open.iter().map(|incident| incident.text.clone()).collect();
    let text = format!("incidents to look at: {}", words.join("; "));
    let next = "settle them with the people concerned, then `popmesh incidents resolve` on an hq";
    let finding = Finding::look("incidents", "incidents_open", text, next);
    Some(finding.with("count", open.len()).with("incidents", words).since(Some(since_ms)))
}

fn clocks(status: &Status) -> Finding {
    let Some(apart) = &status.clocks_apart else {
        return Finding::ok("clocks", "clocks_ok", "all in reach show the same time, within a minute");
    };
    let next = "set the one that is wrong; meanwhile no claims are swept";
    Finding::look("clocks", "clocks_apart", apart.to_string(), next)
        .with("behind", apart.behind.name.clone())
        .with("behind_ms", apart.behind.wall_ms)
        .with("ahead", apart.ahead.name.clone())
        .with("ahead_ms", apart.ahead.wall_ms)
        .with("apart_ms", apart.apart_ms)
}

/// Whether this device and others are trusted, and know the event's secret.
fn trusted(answers: &Answers) -> Vec<Finding> {
    let own = &answers.status.device;
    let mut findings = Vec::new();
    if let Some(by) = &own.retired_by {
        let text = format!("this device was retired by {by}: no other takes anything from it any more");
        let next = "take it out of use; if it is sound, let it join anew in an empty folder";
        findings.push(Finding::act("trust", "retired_self", text, next).with("by", by.clone()));
    }
    for info in answers.devices.iter().filter(|info| info.suspended && info.retired_by.is_none()) {
        let name = &info.name;
        let text = format!("{name} has two pasts and is suspended: nobody gives it stock or claims");
        let next = "find out whether it was restored or copied, then resolve its incident on an hq";
        let finding = Finding::act("trust", "suspended", text, next).with("name", name.clone());
        findings.push(finding.about(info.device));
    }
    let secret = &answers.status.secret;
    if secret.lacks_newest {
        let text = "this device does not have the event's newest secret: others may not recognise it, and PINs set since cannot be checked";
        findings.push(Finding::look("secret", "secret_lacks", text, "bring it into reach of an hq"));
    }
    if secret.exposed > 0 {
        let count = secret.exposed;
        let text = format!("{count} retired devices have the event's secret that counts");
        let next = "bring the hq that retired them into reach: it makes another within a minute";
        findings.push(Finding::look("secret", "secret_exposed", text, next).with("count", count));
    }
    findings
}

/// Who can be reached, and what is with those who cannot.
fn reach(answers: &Answers) -> Vec<Finding> {
    const CHECK: &str = "reach";
    let own = answers.status.device.device;
    let others: Vec<&DeviceInfo> = answers
        .devices
        .iter()
        .filter(|info| info.device != own && info.retired_by.is_none() && info.left_to.is_none())
        .collect();
    let mut findings = Vec::new();
    match &answers.mesh {
        None => {
            let next = "start this node again; if it stays so, look at its log";
            findings.push(Finding::act(
                CHECK,
                "mesh_silent",
                "the part that links to others does not answer",
                next,
            ));
        }
        Some(mesh) if !mesh.links_on => {
            let text = "links to other devices are switched off: this device sells what it holds, and hears of nothing";
            findings.push(Finding::look(CHECK, "links_off", text, "switch them on with `popmesh links on`"));
        }
        Some(_) => {}
    }
    let reached = others.iter().filter(|info| info.reachable).count();
    if reached == 0 && !others.is_empty() {
        let text = format!("none of the {} other devices is in reach", others.len());
        let next = "this device sells what it holds; see whether its Wi-Fi is the others' (`popmesh peers`)";
        findings.push(Finding::look(CHECK, "alone", text, next).with("devices", others.len()));
    } else {
        let text = format!("{reached} of {} other devices", others.len());
        let ok = Finding::ok(CHECK, "reach_ok", text);
        findings.push(ok.with("reachable", reached).with("devices", others.len()));
    }
    for risk in &answers.away {
        let units: u64 = risk.held.iter().map(|held| held.units).sum();
        let (name, claims) = (&risk.name, risk.claims);
        if units == 0 && claims == 0 {
            continue;
        }
        let heard = risk
            .last_heard_ms
            .map_or_else(|| "never heard".to_owned(), |at| format!("last heard {}", utc(at)));
        let text =
            format!("{name} is out of reach ({heard}), with {units} units and {claims} claims that wait");
        let next = "bring it back into reach; only if it is lost for good, retire it on an hq, which says what that risks";
        let finding = Finding::look(CHECK, "unreachable", text, next).with("name", name.clone());
        findings.push(
            finding.with("units", units).with("claims", claims).since(risk.last_heard_ms).about(risk.device),
        );
    }
    findings
}

fn bluetooth(ble: BleStatus) -> Finding {
    const CHECK: &str = "bluetooth";
    if ble.is_up {
        let text =
            format!("the node has the adapter: {} links, {} devices in range", ble.links, ble.in_range);
        let ok = Finding::ok(CHECK, "bluetooth_ok", text);
        return ok.with("links", ble.links).with("in_range", ble.in_range);
    }
    Finding::act(
        CHECK,
        "bluetooth_waiting",
        "the node waits for its adapter",
        "its log says why, and so does `doctor --ble` with the node stopped",
    )
}

fn doors(answers: &Answers) -> Vec<Finding> {
    let own = answers.status.device.device;
    let mut findings = Vec::new();
    let here: Vec<_> = answers.doors.to_look_at.iter().filter(|door| door.device == own).collect();
    if let Some(since_ms) = here.iter().map(|door| door.at_ms).min() {
        let places: Vec<String> =
            here.iter().flat_map(|door| door.compartments.iter().map(ToString::to_string)).collect();
        let stuck = here.iter().filter(|door| door.state == DoorState::Stuck).count();
        let text = format!("{} doors here that a person must look at: {}", here.len(), places.join(", "));
        let next = "look whether the thing still lies there; then open it again, or settle it on the page of the doors";
        let finding = Finding::act("doors", "doors_doubt", text, next).with("count", here.len());
        findings.push(finding.with("compartments", places).with("stuck", stuck).since(Some(since_ms)));
    }
    if !answers.jammed.is_empty() {
        let text = format!("jammed: {}", answers.jammed.join(", "));
        let next = "set them free with `popmesh door jam COMPARTMENT --free`";
        findings.push(
            Finding::look("doors", "doors_jammed", text, next).with("compartments", answers.jammed.clone()),
        );
    }
    findings
}

fn money(answers: &Answers) -> Vec<Finding> {
    let own = answers.status.device.device;
    let mut findings = Vec::new();
    let waiting: Vec<&WaitingPayment> =
        answers.payments.iter().filter(|payment| payment.seller == own).collect();
    if let Some(since_ms) = waiting.iter().map(|payment| payment.at_ms).min() {
        let amount: i64 = waiting.iter().fold(0, |sum: i64, payment| sum.saturating_add(payment.amount));
        let (count, currency) = (waiting.len(), answers.status.currency);
        let text = format!("{count} payments wait to be authorised, {} in all", currency.format(amount));
        let next = "let the terminal send them once it is on the network, then `popmesh payments settle`";
        let finding = Finding::look("payments", "payments_waiting", text, next).with("count", count);
        findings.push(
            finding.with("amount", amount).with("currency", currency.to_string()).since(Some(since_ms)),
        );
    }
    if answers.late > 0 {
        let count = answers.late;
        let text = format!("{count} claims in this device's custody were not picked up in time");
        let next = "sweep them: `popmesh claims sweep`";
        findings.push(Finding::look("pickup", "late_pickups", text, next).with("count", count));
    }
    findings
}
