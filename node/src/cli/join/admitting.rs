//! `popmesh device admit`: by a code that a new device shows, or by tickets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::Role;
use popmesh_proto::query::RetirementRisk;
use serde_json::json;

use super::super::args::Target;
use super::super::client::{Client, print};
use super::super::failure::{Failure, Outcome};
use super::super::table::printable;
use super::super::{Data, values};
use super::{Admit, Issuing, grant, listen};
use crate::clock::localised;
use crate::enrol::Grant;
use crate::folder::Folder;
use crate::join::{self, AdmitError, Admitted, Admitting, Found, Invitation, Known, LookError, Stop};

/// Refusals that are told one by one, and how often there is one more; others are counted.
const TOLD_AT_ONCE: u32 = 10;
const TOLD_EVERY: Duration = Duration::from_secs(5);

pub(in crate::cli) fn admit(request: &Admit, data: &Data, json: bool) -> Outcome {
    let mut admitting = request.by.admitting(data)?;
    if let Issuing::Device(folder) = request.by.issuing(data)? {
        if folder.announced_api().is_none() {
            eprintln!(
                "note: no node runs here, so the names that were given here are known to be in use, and no others"
            );
        }
        admitting = admitting.knowing(Node(folder.clone()));
    }
    if request.reuse_name {
        admitting = admitting.reusing_names();
    }
    let admitting = Arc::new(admitting);
    match (&request.code, request.role, &request.venue) {
        (Some(code), Some(role), Some(venue)) => {
            let grant = grant(role, venue, request.name.clone(), &request.validity)?;
            let invitation: Invitation = code.parse("The code")?;
            admit_code(&admitting, &invitation, request, &grant, json)
        }
        _ => admit_tickets(&admitting, request, json),
    }
}

/// What the node that runs on a folder knows of names. One that does not run knows none.
struct Node(Folder);

impl Node {
    fn ask<T>(&self, ask: impl FnOnce(&Client) -> Result<T, Failure>) -> Option<T> {
        Client::find(&Target::default(), &self.0).and_then(|client| ask(&client)).ok()
    }
}

impl Known for Node {
    fn devices(&self) -> Vec<(DeviceId, String)> {
        let devices = self.ask(Client::devices).unwrap_or_default();
        devices.into_iter().map(|info| (info.device, info.name)).collect()
    }

    fn is_retired(&self, device: &DeviceId) -> bool {
        let path = format!("/v1/devices/{device}/retirement");
        let risk = self.ask(|client| client.get::<RetirementRisk>(&path, &[]));
        risk.is_some_and(|risk| risk.retired_by.is_some())
    }
}

fn admit_code(
    admitting: &Arc<Admitting>,
    invitation: &Invitation,
    request: &Admit,
    grant: &Grant,
    json: bool,
) -> Outcome {
    let invitation = Invitation { code: invitation.code.clone(), address: request.at.or(invitation.address) };
    match join::look_for(admitting, &invitation, grant, request.wait, &Arc::default()) {
        Ok(Found { admitted, address, found, took }) => tell_admitted(&admitted, address, found, took, json),
        Err(error) => {
            let said = printable(&error.to_string());
            Err(match error.advice("--at") {
                Some(advice) => Failure::with_help(not_found(&error, said), advice),
                None => Failure::here(said),
            })
        }
    }
}

/// What is said of a device that was not found.
fn not_found(error: &LookError, said: String) -> String {
    match error {
        LookError::NotFound { last: Some(_), tries: 0 } => {
            format!("the new device cannot be talked to: {said}")
        }
        _ => said,
    }
}

fn admit_tickets(admitting: &Arc<Admitting>, request: &Admit, json: bool) -> Outcome {
    let (listener, addresses) = listen(request.listen)?;
    let never = Stop::of(&listener).map_err(|error| Failure::here(format!("cannot listen: {error}")))?;
    if !request.no_mdns
        && let Err(error) = join::answer_asks(admitting, addresses.clone(), never.clone())
    {
        eprintln!("warning: {error}; give the address to the new devices, for --at");
    }
    let at: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    print(json, &json!({ "addresses": addresses }), || {
        format!("Admitting devices that have a ticket, at {}, until stopped", at.join(", "))
    })?;
    let telling = Arc::new(Mutex::new(Telling::default()));
    join::serve(admitting, &listener, &never, move |end, peer, took| {
        tell_end(end, peer, took, &telling, json)
    });
    Ok(())
}

/// Tells of refusals, as many as somebody may want to read.
struct Telling {
    left: u32,
    last: Instant,
    untold: u64,
}

impl Default for Telling {
    fn default() -> Self {
        Self { left: TOLD_AT_ONCE, last: Instant::now(), untold: 0 }
    }
}

impl Telling {
    /// Whether one more is told, and how many were not since the last.
    fn one_more(&mut self) -> Option<u64> {
        let more =
            u32::try_from(self.last.elapsed().as_millis() / TOLD_EVERY.as_millis()).unwrap_or(u32::MAX);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(TOLD_AT_ONCE);
            self.last = Instant::now();
        }
        if self.left == 0 {
            self.untold += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.untold))
    }
}

/// Tells how a visit with a ticket ended. Whoever read the output may have gone; devices are admitted all the same.
fn tell_end(
    end: Result<Admitted, AdmitError>,
    peer: SocketAddr,
    took: Duration,
    telling: &Mutex<Telling>,
    json: bool,
) {
    let error = match end {
        Ok(admitted) => {
            let _ = tell_admitted(&admitted, peer, Duration::ZERO, took, json);
            return;
        }
        Err(error) => error,
    };
    let Some(untold) = telling.lock().unwrap_or_else(PoisonError::into_inner).one_more() else { return };
    let why = printable(&error.to_string());
    let _ = print(json, &json!({"admitted": false, "address": peer, "why": why, "untold": untold}), || {
        let others = if untold > 0 { format!(" (and {untold} that were not told)") } else { String::new() };
        format!("refused    {peer}: {why}{others}")
    });
}

fn tell_admitted(
    admitted: &Admitted,
    address: SocketAddr,
    found: Duration,
    took: Duration,
    json: bool,
) -> Outcome {
    let Admitted { certificate, ticket, clocks, shortened } = admitted;
    if let Some(clocks) = clocks {
        eprintln!("warning: {}", localised(clocks));
    }
    if let Some(shortened) = shortened {
        eprintln!("note: {}", localised(shortened));
    }
    let (name, key) = (printable(&certificate.name), certificate.device.short());
    let used = ticket.as_ref().map(|(id, used)| {
        json!({"ticket": id.to_string(), "use": used.number, "of": used.count, "again": used.again})
    });
    let value = json!({
        "admitted": true, "device": certificate.device, "name": certificate.name,
        "roles": certificate.roles.iter().collect::<Vec<Role>>(), "venue": certificate.venue,
        "not_after_ms": certificate.not_after_ms, "shortened": shortened, "address": address, "ticket": used,
        "clocks": clocks,
        "found_ms": values::ms(found), "took_ms": values::ms(took),
    });
    print(json, &value, || {
        let with = ticket.as_ref().map_or_else(String::new, |(id, used)| {
            let again = if used.again { ", as before" } else { "" };
            format!(", with ticket {id}, use {} of {}{again}", used.number, used.count)
        });
        format!(
            "admitted   {name} ({key}), {} at {}, until {}{with}; in {:.1} s",
            certificate.roles,
            certificate.venue,
            values::time(certificate.not_after_ms),
            took.as_secs_f64()
        )
    })
}
