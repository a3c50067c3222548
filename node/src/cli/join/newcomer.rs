//! `popmesh join`: the new device.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::client::print;
use super::super::device::{describe, facts, host_name, key_or_new};
use super::super::failure::{Failure, Outcome};
use super::super::table::printable;
use super::super::values;
use super::{Join, listen, picture};
use crate::clock::localised;
use crate::folder::Folder;
use crate::join::{
    ANSWER, ASK, AT, Announced, Announcer, Ask, Browsing, Invitation, JoinCode, JoinError, Joined, Newcomer,
    Reception, Service, Showing, Stop, Ticket, Visit, Visitor,
};

/// Codes for one try that are shown, one after the other, before those that may be tried as often as somebody likes.
const SHORT_CODES: usize = 3;
/// How often what strangers do is said.
const SAID_EVERY: Duration = Duration::from_secs(10);
/// Addresses of strangers that are counted between two such words.
const COUNTED_MAX: usize = 1024;
/// How often is looked whether something is to be said, or announced anew.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// How long until who serves tickets at a given address is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long an ask is announced before another takes its place: multicast gets lost, and each is answered once.
const ASKED_FOR: Duration = Duration::from_secs(3);
/// For how long somebody else is looked for who knows a ticket, after one who does not.
const ELSEWHERE_WITHIN: Duration = Duration::from_secs(5);
/// Ends of exchanges that wait to be looked at.
const ENDS_WAITING: usize = 64;
/// What stands in an announcement in which nobody listens anywhere.
const NO_PORT: u16 = 9;

pub(in crate::cli) fn join(request: &Join, data: &Folder, json: bool) -> Outcome {
    let ticket = request.ticket.as_ref().map(|given| given.parse::<Ticket>("The ticket")).transpose()?;
    key_or_new(data)?;
    let newcomer = Newcomer::new(data.clone(), &request.name.clone().unwrap_or_else(host_name))?;
    let until = Instant::now() + request.wait;
    let (joined, took) = match ticket {
        Some(ticket) => match request.at {
            Some(at) => join_at(&newcomer, &ticket, at, until)?,
            None => join_by_ticket(&newcomer, &ticket, until)?,
        },
        None => join_by_code(newcomer, request, until, json)?,
    };
    if let Some(clocks) = &joined.clocks {
        eprintln!("warning: {}", localised(clocks));
    }
    let Joined { charter, certificate, .. } = &joined;
    let mut value = facts(certificate, charter, &data.certificate_path());
    value["took_ms"] = json!(values::ms(took));
    value["clocks"] = json!(joined.clocks);
    print(json, &value, || {
        format!(
            "Joined in {:.1} s.\n{}\n\nNext: popmesh run --data {}",
            took.as_secs_f64(),
            describe(certificate, charter),
            data.path().display()
        )
    })
}

/// How an exchange ended, of whom, and how long it took.
type End = (Result<Joined, JoinError>, SocketAddr, Duration);

/// Shows codes until one is admitted. The time is that from the other side's first word to the end.
fn join_by_code(
    newcomer: Newcomer,
    request: &Join,
    until: Instant,
    json: bool,
) -> Result<(Joined, Duration), Failure> {
    let (listener, addresses) = listen(request.listen)?;
    let (sender, ends) = mpsc::sync_channel::<End>(ENDS_WAITING);
    let showing = Arc::new(Showing::default());
    let (newcomer, shown) = (Arc::new(newcomer), Arc::clone(&showing));
    let serve = move |stream, visitor: &Visitor| {
        let begun = Instant::now();
        let end = newcomer.by_code(stream, &shown, || visitor.proven());
        let visit = match &end {
            Err(JoinError::Nobody(_) | JoinError::Wrong(_)) => Visit::Failed,
            Err(JoinError::Late) => Visit::InVain,
            _ => Visit::Proven,
        };
        // Nobody listens any more once the device has joined.
        let _ = sender.send((end, visitor.peer, begun.elapsed()));
        visit
    };
    // The process ends once the device has joined.
    let never = Stop::of(&listener).map_err(|error| Failure::here(format!("cannot listen: {error}")))?;
    thread::spawn(move || Arc::new(Reception::default()).run(&listener, &never, serve));
    let port = addresses.first().map_or(0, SocketAddr::port);
    let mut announcing = Announcing::start(!request.no_mdns, port);
    let mut strangers = Strangers::default();
    for number in 1.. {
        let code = if number <= SHORT_CODES {
            JoinCode::from_random(values::random()?)
        } else {
            JoinCode::long_from_random(values::random()?, values::random()?)
        };
        showing.show(Some(code.clone()));
        announcing.announce(&code);
        show(&code, &addresses, number, json)?;
        loop {
            let now = Instant::now();
            if now >= until {
                return Err(Failure::with_help(
                    "nobody admitted this device in time",
                    "start again with a longer --wait, and have the code admitted that is shown then",
                ));
            }
            strangers.say(now, &code);
            let end = ends.recv_timeout(LOOKED_EVERY.min(until - now));
            let Ok((end, peer, took)) = end else {
                announcing.renew(&code);
                continue;
            };
            match end {
                Ok(joined) => return Ok((joined, took)),
                Err(JoinError::Late) => {}
                Err(JoinError::Nobody(why)) => strangers.count(peer.ip(), &why),
                Err(JoinError::Wrong(why)) if code.is_long() => strangers.count(peer.ip(), &why),
                Err(JoinError::Void(why) | JoinError::Wrong(why)) => {
                    eprintln!("warning: code {} is void: {}", code.plate(), localised(&printable(&why)));
                    break;
                }
                Err(JoinError::Refused(why) | JoinError::Elsewhere(why)) => {
                    return Err(Failure::here(printable(&why)));
                }
            }
        }
        showing.show(None);
    }
    // More codes than there are numbers.
    Err(Failure::here("no code was admitted"))
}

/// The announcement of the code that is shown.
struct Announcing {
    announcer: Option<Announcer>,
    port: u16,
    announced: Option<Announced>,
}

impl Announcing {
    /// Announces nothing yet, or never. Where there is no multicast, an address that a person carries does as well.
    fn start(is_wanted: bool, port: u16) -> Self {
        let announcer = is_wanted.then(Announcer::start).and_then(|started| {
            started
                .inspect_err(|error| eprintln!("warning: {error}; give the address to the other side"))
                .ok()
        });
        Self { announcer, port, announced: None }
    }

    fn announce(&mut self, code: &JoinCode) {
        self.announced = None;
        let Some(announcer) = &mut self.announcer else { return };
        let Ok(random) = values::random() else { return };
        let plate = code.plate();
        match announcer.announce(Service::NewDevice, &[("for", &plate)], self.port, random) {
            Ok(announced) => self.announced = Some(announced),
            Err(error) => eprintln!("warning: {error}; give the address to the other side"),
        }
    }

    fn renew(&mut self, code: &JoinCode) {
        if self.announced.as_ref().is_some_and(Announced::is_worn) {
            self.announce(code);
        }
    }
}

/// What strangers did that nothing came of: said once in a while, not each time.
#[derive(Default)]
struct Strangers {
    tries: u64,
    addresses: BTreeSet<IpAddr>,
    last_why: String,
    said: Option<Instant>,
}

impl Strangers {
    fn count(&mut self, address: IpAddr, why: &str) {
        self.tries += 1;
        if self.addresses.len() < COUNTED_MAX {
            self.addresses.insert(address);
        }
        why.clone_into(&mut self.last_why);
    }

    fn say(&mut self, now: Instant, code: &JoinCode) {
        if self.tries == 0 || self.said.is_some_and(|said| now - said < SAID_EVERY) {
            return;
        }
        let from: Vec<String> = self.addresses.iter().take(3).map(ToString::to_string).collect();
        let more = if self.addresses.len() > from.len() { " and others" } else { "" };
        eprintln!(
            "note: {} connected from {}{more} and did not know code {}, which is as good as before; the last: {}",
            if self.tries == 1 { "somebody".to_owned() } else { format!("{} times somebody", self.tries) },
            from.join(", "),
            code.plate(),
            localised(&printable(&self.last_why))
        );
        *self = Self { said: Some(now), ..Self::default() };
    }
}

fn show(code: &JoinCode, addresses: &[SocketAddr], number: usize, json: bool) -> Outcome {
    let invitation = Invitation { code: code.clone(), address: addresses.first().copied() };
    let value = json!({
        "code": code.to_string(), "addresses": addresses, "qr": invitation.to_string(), "attempt": number,
        "stays": code.is_long(),
    });
    print(json, &value, || {
        let at: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let why = if code.is_long() {
            "\nSomebody tries codes on this network. This one is long enough to stay, however often they do.\n"
        } else {
            ""
        };
        format!(
            "{}Code  {code}\nat    {}\n{why}\nOn an hq: popmesh device admit {code} --data DIR --role pos --venue VENUE\nOr at the organiser's, with --event DIR instead of --data",
            picture(&invitation.to_string()),
            at.join(", ")
        )
    })
}

fn nobody(last: Option<String>) -> Failure {
    let error = last.map_or_else(
        || "nobody serves this ticket on this network".to_owned(),
        |last| format!("nobody who serves this ticket admitted this device: {last}"),
    );
    Failure::with_help(
        error,
        "run `popmesh device admit --tickets` where the ticket was made, on the same network, or give its address with --at",
    )
}

/// Shows a ticket at one address, until somebody answers there.
fn join_at(
    newcomer: &Newcomer,
    ticket: &Ticket,
    at: SocketAddr,
    until: Instant,
) -> Result<(Joined, Duration), Failure> {
    loop {
        let begun = Instant::now();
        let last = match newcomer.by_ticket(at, ticket) {
            Ok(joined) => return Ok((joined, begun.elapsed())),
            Err(JoinError::Nobody(why)) => format!("{at}: {why}"),
            Err(error) => return Err(Failure::here(format!("{at}: {}", printable(&error.to_string())))),
        };
        if Instant::now() + AGAIN_AFTER >= until {
            return Err(nobody(Some(printable(&last))));
        }
        thread::sleep(AGAIN_AFTER);
    }
}

/// Asks for who serves a ticket, and shows it to those who answer.
fn join_by_ticket(
    newcomer: &Newcomer,
    ticket: &Ticket,
    mut until: Instant,
) -> Result<(Joined, Duration), Failure> {
    let failed = |error: crate::join::LanError| Failure::here(error.to_string());
    // What answers it is said without a question of this kind, which others would hear answered too.
    let mut browsing = Browsing::listen(Service::Tickets).map_err(failed)?;
    let mut announcer = Announcer::start().map_err(failed)?;
    let mut last = None;
    while Instant::now() < until {
        let ask = Ask::new(ticket, values::random()?);
        let says = [(ASK, ask.text())];
        let _asked =
            announcer.announce(Service::NewDevice, &says, NO_PORT, values::random()?).map_err(failed)?;
        let answered_by = until.min(Instant::now() + ASKED_FOR);
        let mut tried = BTreeSet::new();
        while let Some(seen) = browsing.next(answered_by) {
            let (Some(answer), Some(at)) = (seen.says(ANSWER), seen.says(AT)) else { continue };
            for address in ask.answered(ticket, answer, at).unwrap_or_default() {
                if !tried.insert(address) {
                    continue;
                }
                let begun = Instant::now();
                match newcomer.by_ticket(address, ticket) {
                    Ok(joined) => return Ok((joined, begun.elapsed())),
                    Err(JoinError::Nobody(why)) => last = Some(format!("{address}: {}", printable(&why))),
                    // One of several who have this ticket.
                    Err(JoinError::Elsewhere(why)) => {
                        last = Some(format!("{address}: {}", printable(&why)));
                        until = until.min(Instant::now() + ELSEWHERE_WITHIN);
                    }
                    Err(error) => {
                        return Err(Failure::here(format!("{address}: {}", printable(&error.to_string()))));
                    }
                }
            }
        }
    }
    Err(nobody(last))
}
