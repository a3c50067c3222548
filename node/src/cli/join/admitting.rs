//! `popmesh device admit`: by a code that a new device shows, or by tickets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
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
use crate::join::{
    self, ANSWER, ASK, AT, AdmitError, Admitted, Admitting, Announcer, Browsing, Invitation, JoinCode, Known,
    Reception, Service, Visit, Visitor, Waits,
};

/// Devices that are tried at once with a code.
const TRIED_AT_ONCE: usize = 64;
/// Of one address.
const OF_ONE_ADDRESS: usize = 2;
/// Places that wait to be tried; of one address, [`OF_ONE_ADDRESS`].
const WAITING_MAX: usize = 1024;
/// Strangers who may each try one code, and are told whether it was right, before a short code has been tried enough: 256
/// of a thousand million codes. A long one may be tried by any number.
const TRIES_MAX: usize = 256;
/// Places at which another code is known that are remembered.
const WRONG_MAX: usize = 4096;
/// How long somebody else is waited for after the last one who does not know the code.
const ANOTHER_WITHIN: Duration = Duration::from_secs(10);
/// How long until a device at a given address is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How long an answer is announced to a device that asks who serves its ticket. It asks anew if it was lost.
const ANSWERED_FOR: Duration = Duration::from_secs(5);
/// Answers that are announced at once; the oldest goes.
const ANSWERS_MAX: usize = 32;
/// Asks that are remembered, so that one that a stranger repeats is not answered again.
const ASKS_MAX: usize = 4096;
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

/// Where devices with a code may be, and which of them are tried.
#[derive(Default)]
struct Candidates {
    waiting: VecDeque<SocketAddr>,
    tried: BTreeMap<IpAddr, usize>,
    waits: Waits,
    /// Where another code is known: the same announcement is heard many times, and each try tells one code.
    wrong: BTreeSet<SocketAddr>,
}

impl Candidates {
    fn add(&mut self, addresses: Vec<SocketAddr>) {
        for address in addresses {
            let of_one = self.waiting.iter().filter(|waiting| waiting.ip() == address.ip()).count();
            let is_new = !self.waiting.contains(&address) && !self.wrong.contains(&address);
            let is_new = is_new && self.waiting.len() < WAITING_MAX;
            if is_new && of_one < OF_ONE_ADDRESS {
                self.waiting.push_back(address);
            }
        }
    }

    /// How many are tried.
    fn under_way(&self) -> usize {
        self.tried.values().sum()
    }

    /// The next to try, if there is one and it is time.
    fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        if self.under_way() >= TRIED_AT_ONCE {
            return None;
        }
        let (tried, waits) = (&self.tried, &self.waits);
        let is_ready = |address: &SocketAddr| {
            tried.get(&address.ip()).is_none_or(|tried| *tried < OF_ONE_ADDRESS)
                && !waits.has_to_wait(address.ip(), now)
        };
        let at = self.waiting.iter().position(is_ready)?;
        let address = self.waiting.remove(at)?;
        *self.tried.entry(address.ip()).or_default() += 1;
        Some(address)
    }

    /// One was tried in vain: another of its address has to wait, unless a person named it.
    fn done(&mut self, address: SocketAddr, is_given: bool, now: Instant) {
        if let Some(tried) = self.tried.get_mut(&address.ip()) {
            *tried -= 1;
            if *tried == 0 {
                self.tried.remove(&address.ip());
            }
        }
        if !is_given {
            self.waits.failed(address.ip(), now);
        }
    }
}

/// What is learnt while a device with a code is looked for.
enum Event {
    Seen(Vec<SocketAddr>),
    Ended(SocketAddr, Box<Result<Admitted, AdmitError>>, Duration),
}

fn admit_code(
    admitting: &Arc<Admitting>,
    invitation: &Invitation,
    request: &Admit,
    grant: &Grant,
    json: bool,
) -> Outcome {
    let begun = Instant::now();
    let (until, code) = (begun + request.wait, &invitation.code);
    let (sender, events) = mpsc::sync_channel(TRIED_AT_ONCE);
    let given = request.at.or(invitation.address);
    let mut candidates = Candidates::default();
    match given {
        Some(address) => candidates.add(vec![address]),
        None => look(code, until, sender.clone())?,
    }
    let (mut last, mut tries, mut give_up) = (None, 0, until);
    loop {
        let now = Instant::now();
        while tries + candidates.under_way() < TRIES_MAX || code.is_long() {
            let Some(address) = candidates.next(now) else { break };
            try_one(admitting, address, code, grant, sender.clone());
        }
        let end = if candidates.under_way() > 0 { until } else { give_up };
        if now >= end || tries >= TRIES_MAX && candidates.under_way() == 0 && !code.is_long() {
            return Err(not_found(last, tries));
        }
        // Those that wait get their turn meanwhile.
        let event = events.recv_timeout(AGAIN_AFTER.min(end - now));
        match event {
            Ok(Event::Seen(addresses)) => candidates.add(addresses),
            Ok(Event::Ended(address, end, took)) => {
                let error = match *end {
                    Ok(admitted) => {
                        let found = begun.elapsed().saturating_sub(took);
                        return tell_admitted(&admitted, address, found, took, json);
                    }
                    Err(error) => error,
                };
                candidates.done(address, given.is_some(), Instant::now());
                let unproven = if matches!(error, AdmitError::Unproven(_)) { " is not admitted" } else { "" };
                let why = format!("{address}{unproven}: {}", printable(&error.to_string()));
                match error {
                    AdmitError::Link(_) if given.is_some() => candidates.add(vec![address]),
                    AdmitError::Link(_) => {}
                    AdmitError::Unproven(_) if given.is_some() => return Err(not_found(Some(why), 1)),
                    AdmitError::Unproven(_) => {
                        tries += 1;
                        if candidates.wrong.len() < WRONG_MAX {
                            candidates.wrong.insert(address);
                        }
                        give_up = until.min(Instant::now() + ANOTHER_WITHIN);
                    }
                    AdmitError::Refused(_) | AdmitError::Unconfirmed(_) => return Err(Failure::here(why)),
                }
                last = Some(why);
            }
            Err(_) => {}
        }
    }
}

/// Has a thread look for who says that it shows this code.
fn look(code: &JoinCode, until: Instant, sender: mpsc::SyncSender<Event>) -> Result<(), Failure> {
    let mut browsing =
        Browsing::start(Service::NewDevice).map_err(|error| Failure::here(error.to_string()))?;
    let plate = code.plate();
    thread::spawn(move || {
        while let Some(seen) = browsing.next(until) {
            let is_for_us = seen.says("for") == Some(&plate);
            if is_for_us && sender.send(Event::Seen(seen.addresses())).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn try_one(
    admitting: &Arc<Admitting>,
    address: SocketAddr,
    code: &JoinCode,
    grant: &Grant,
    sender: mpsc::SyncSender<Event>,
) {
    let (admitting, code, grant) = (Arc::clone(admitting), code.clone(), grant.clone());
    thread::spawn(move || {
        let begun = Instant::now();
        let end = admitting.by_code(address, &code, &grant);
        // Nobody listens any more once the device is admitted.
        let _ = sender.send(Event::Ended(address, Box::new(end), begun.elapsed()));
    });
}

fn not_found(last: Option<String>, tries: usize) -> Failure {
    match last {
        Some(last) if tries > 0 => Failure::with_help(
            last,
            "this code is void, or not what the new device shows: admit the one that it shows now; if that fails as well, \
             look who else is on this network, and give the new device's address with --at",
        ),
        last => Failure::with_help(
            last.map_or_else(
                || "no new device on this network shows this code".to_owned(),
                |last| format!("the new device cannot be talked to: {last}"),
            ),
            "look whether it still shows this code and is on the same network, or give its address with --at",
        ),
    }
}

fn admit_tickets(admitting: &Arc<Admitting>, request: &Admit, json: bool) -> Outcome {
    let (listener, addresses) = listen(request.listen)?;
    if !request.no_mdns {
        let (admitting, addresses) = (Arc::clone(admitting), addresses.clone());
        match Browsing::listen(Service::NewDevice) {
            Ok(asks) => drop(thread::spawn(move || answer_asks(&admitting, asks, &addresses))),
            Err(error) => eprintln!("warning: {error}; give the address to the new devices, for --at"),
        }
    }
    let at: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    print(json, &json!({ "addresses": addresses }), || {
        format!("Admitting devices that have a ticket, at {}, until stopped", at.join(", "))
    })?;
    let (admitting, telling) = (Arc::clone(admitting), Arc::new(Mutex::new(Telling::default())));
    Arc::new(Reception::default())
        .run(&listener, move |stream, visitor| serve_ticket(&admitting, stream, visitor, &telling, json));
    Ok(())
}

/// Answers devices that ask for who serves their ticket, and nobody else; announces nothing before, and soon nothing after.
fn answer_asks(admitting: &Admitting, mut asks: Browsing, addresses: &[SocketAddr]) {
    let port = addresses.first().map_or(0, SocketAddr::port);
    let mut announcer = None;
    let mut answers = VecDeque::new();
    let (mut answered, mut order) = (BTreeSet::new(), VecDeque::new());
    loop {
        let now = Instant::now();
        while answers.front().is_some_and(|(until, _)| *until <= now) {
            answers.pop_front();
        }
        if answers.is_empty() {
            announcer = None;
        }
        let until = answers.front().map_or(now + ANSWERED_FOR, |(until, _)| *until);
        let Some(seen) = asks.next(until) else { continue };
        let Some(text) = seen.says(ASK) else { continue };
        let tickets = admitting.ledger().all();
        let heard =
            tickets.iter().find_map(|record| Some((&record.ticket, join::heard(text, &record.ticket)?)));
        let Some((ticket, ask)) = heard else { continue };
        if !answered.insert(ask) {
            continue;
        }
        order.push_back(ask);
        if order.len() > ASKS_MAX {
            order.pop_front().map(|oldest| answered.remove(&oldest));
        }
        let (Ok(nonce), Ok(name)) = (values::random(), values::random()) else { continue };
        let (answer, at) = join::answer(ticket, &ask, nonce, addresses);
        let says = [(ANSWER, answer.as_str()), (AT, at.as_str())];
        if announcer.is_none() {
            announcer = Announcer::start().ok();
        }
        let Some(announcer) = &mut announcer else { continue };
        // What cannot be announced now is asked again.
        if let Ok(announced) = announcer.announce(Service::Tickets, &says, port, name) {
            answers.push_back((Instant::now() + ANSWERED_FOR, announced));
            if answers.len() > ANSWERS_MAX {
                answers.pop_front();
            }
        }
    }
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

fn serve_ticket(
    admitting: &Admitting,
    stream: TcpStream,
    visitor: &Visitor,
    telling: &Mutex<Telling>,
    json: bool,
) -> Visit {
    let (begun, peer) = (Instant::now(), visitor.peer);
    let end = admitting.by_ticket(stream, || visitor.proven());
    let visit = match &end {
        Err(AdmitError::Link(_) | AdmitError::Unproven(_)) => Visit::Failed,
        _ => Visit::Proven,
    };
    // Whoever read the output may have gone; devices are admitted all the same.
    let _ = match end {
        Ok(admitted) => tell_admitted(&admitted, peer, Duration::ZERO, begun.elapsed(), json),
        Err(error) => {
            let Some(untold) = telling.lock().unwrap_or_else(PoisonError::into_inner).one_more() else {
                return visit;
            };
            let why = printable(&error.to_string());
            print(json, &json!({"admitted": false, "address": peer, "why": why, "untold": untold}), || {
                let others =
                    if untold > 0 { format!(" (and {untold} that were not told)") } else { String::new() };
                format!("refused    {peer}: {why}{others}")
            })
        }
    };
    visit
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
