//! `popmesh join`, `popmesh device admit` and `popmesh device ticket`: joining over the local network.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use popmesh_proto::identity::{Role, Roles};
use popmesh_proto::text::Place;
use serde_json::json;

use super::client::print;
use super::device::{describe, facts, host_name, key_or_new};
use super::failure::{Failure, Outcome};
use super::table::printable;
use super::{Data, token, values};
use crate::clock::now_ms;
use crate::enrol::{Grant, ORGANISER_KEY, Validity};
use crate::folder::{self, Folder};
use crate::join::{
    AdmitError, Admitted, Admitting, Announced, Browsing, Invitation, JoinCode, JoinError, Joined, MAX_COUNT,
    Newcomer, Record, Service, Ticket as JoinTicket,
};
use crate::mesh::interfaces;
use crate::qr::Code;

/// Codes that are shown, one after the other, before a device gives up.
const CODES: usize = 3;
/// Connections of strangers that wait.
const WAITING: usize = 8;
/// Devices that are admitted by tickets at once.
const AT_ONCE: usize = 16;
/// How long until who serves tickets at a given address is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// For how long somebody else is looked for who knows a ticket, after one who does not.
const ELSEWHERE_WITHIN: Duration = Duration::from_secs(5);
/// The longest that a ticket can be good for.
const MAX_FOR: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// Join an event over the network.
#[derive(Debug, Args)]
pub(super) struct Join {
    /// The device's name, for people [default: this host's name]
    #[arg(long)]
    name: Option<String>,
    /// Join with a ticket, unattended: its text, or - for standard input
    #[arg(long, value_name = "TICKET")]
    ticket: Option<String>,
    /// Where tickets are served, instead of looking for that by mDNS
    #[arg(long, value_name = "ADDR", requires = "ticket")]
    at: Option<SocketAddr>,
    /// Where to wait for who admits this device [default: every address of this host, any free port]
    #[arg(long, value_name = "ADDR", conflicts_with = "ticket")]
    listen: Option<SocketAddr>,
    /// Do not announce this device by mDNS: who admits it gives its address
    #[arg(long, conflicts_with = "ticket")]
    no_mdns: bool,
    /// For how long to try
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = values::duration)]
    wait: Duration,
}

/// Admit a device over the network, or serve tickets.
#[derive(Debug, Args)]
pub(super) struct Admit {
    /// The code that the device shows, or the text of its QR code
    #[arg(required_unless_present = "tickets")]
    code: Option<Invitation>,
    /// Admit whoever has a ticket, until stopped
    #[arg(long, conflicts_with_all = ["code", "role", "venue", "name", "at", "days", "from", "until"])]
    tickets: bool,
    #[command(flatten)]
    by: IssuerArgs,
    /// What the device may do: pos, locker, encoder, steward (admits others), hq
    #[arg(long, value_name = "ROLE[,ROLE]", required_unless_present = "tickets")]
    role: Option<Roles>,
    /// Where it stands; its units are sold from there
    #[arg(long, required_unless_present = "tickets")]
    venue: Option<Place>,
    /// Another name than the one it proposes
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    validity: ValidityArgs,
    /// Where the device is, instead of looking for it by mDNS
    #[arg(long, value_name = "ADDR")]
    at: Option<SocketAddr>,
    /// For how long to look for the device
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::duration, conflicts_with = "tickets")]
    wait: Duration,
    /// Where to wait for devices with tickets [default: every address of this host, any free port]
    #[arg(long, value_name = "ADDR", requires = "tickets")]
    listen: Option<SocketAddr>,
    /// Do not announce by mDNS that tickets are served here
    #[arg(long, requires = "tickets")]
    no_mdns: bool,
}

/// Make a ticket.
#[derive(Debug, Args)]
pub(super) struct Ticket {
    #[command(flatten)]
    by: IssuerArgs,
    /// What the devices may do: pos, locker, encoder
    #[arg(long, value_name = "ROLE[,ROLE]")]
    role: Roles,
    /// Where they stand
    #[arg(long)]
    venue: Place,
    /// How many devices it admits
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_COUNT)))]
    count: u32,
    /// For how long it admits them, at most 31d
    #[arg(long = "for", value_name = "TIME", default_value = "2h", value_parser = lifetime)]
    lifetime: Duration,
    #[command(flatten)]
    validity: ValidityArgs,
    /// Write the ticket into a file instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write its QR code as an SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Who signs: the organiser, or the device of the data folder, which has to be an hq or a steward.
#[derive(Debug, Args)]
pub(super) struct IssuerArgs {
    /// The folder with the organiser's key and the charter; without it, the device of the data folder signs, if it may
    /// [default: this folder, if the key is here and no --data is given]
    #[arg(long, value_name = "DIR")]
    event: Option<PathBuf>,
}

/// Where who signs has its folder.
pub(super) enum Issuing<'a> {
    /// The organiser's.
    Organiser(&'a Path),
    /// A device's.
    Device(&'a Folder),
}

impl IssuerArgs {
    /// Who is meant.
    ///
    /// # Errors
    /// [`Failure`] if nobody is.
    pub(super) fn issuing<'a>(&'a self, data: &'a Data) -> Result<Issuing<'a>, Failure> {
        let here = Path::new(".");
        match &self.event {
            Some(event) => Ok(Issuing::Organiser(event)),
            None if data.is_given || data.folder.certificate_path().exists() && !is_organisers(here) => {
                Ok(Issuing::Device(&data.folder))
            }
            None if is_organisers(here) => Ok(Issuing::Organiser(here)),
            None => Err(Failure::with_help(
                "nobody is here who may admit devices",
                "name the data folder of an hq or a steward with --data, or the folder with the organiser's key with --event",
            )),
        }
    }

    fn admitting(&self, data: &Data) -> Result<Admitting, Failure> {
        Ok(match self.issuing(data)? {
            Issuing::Organiser(folder) => Admitting::organiser(folder)?,
            Issuing::Device(folder) => Admitting::device(folder)?,
        })
    }
}

fn is_organisers(folder: &Path) -> bool {
    folder.join(ORGANISER_KEY).exists()
}

impl Issuing<'_> {
    /// The argument that names it.
    fn argument(&self) -> String {
        match self {
            Self::Organiser(folder) => format!("--event {}", folder.display()),
            Self::Device(folder) => format!("--data {}", folder.path().display()),
        }
    }
}

/// When a certificate holds.
#[derive(Debug, Args)]
pub(super) struct ValidityArgs {
    /// For how many days
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=366), conflicts_with = "until")]
    days: u32,
    /// From when (RFC 3339) [default: an hour ago, since clocks differ]
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Until when (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let time = values::duration(text)?;
    if time.is_zero() || time > MAX_FOR { Err("give a time of up to 31d".to_owned()) } else { Ok(time) }
}

/// A time as Unix milliseconds.
pub(super) fn unix_ms(at: jiff::Timestamp) -> Result<u64, Failure> {
    u64::try_from(at.as_millisecond()).map_err(|_| Failure::here(format!("{at} is before 1970")))
}

/// What is to be signed of a device.
pub(super) fn grant(
    roles: Roles,
    venue: &Place,
    name: Option<String>,
    validity: &ValidityArgs,
) -> Result<Grant, Failure> {
    if venue.is_compartment() {
        return Err(Failure::with_help(
            format!("{venue} is a compartment; a device stands at a venue"),
            "give a --venue without a slash",
        ));
    }
    let validity = Validity {
        from_ms: validity.from.map(unix_ms).transpose()?,
        until_ms: validity.until.map(unix_ms).transpose()?,
        days: validity.days,
    };
    Ok(Grant { roles, venue: venue.clone(), name, validity })
}

pub(super) fn join(request: &Join, data: &Folder, json: bool) -> Outcome {
    let ticket = request.ticket.clone().map(token::given).transpose()?;
    let ticket = ticket.map(|text| text.parse::<JoinTicket>()).transpose();
    let ticket = ticket.map_err(|error| Failure::here(error.to_string()))?;
    key_or_new(data)?;
    let newcomer = Newcomer::new(data.clone(), &request.name.clone().unwrap_or_else(host_name))?;
    let until = Instant::now() + request.wait;
    let (joined, took) = match ticket {
        Some(ticket) => join_by_ticket(&newcomer, &ticket, request.at, until)?,
        None => join_by_code(&newcomer, request, until, json)?,
    };
    if let Some(clocks) = &joined.clocks {
        eprintln!("warning: {clocks}");
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

/// Shows codes until one is admitted. The time is that from the other side's first word to the end.
fn join_by_code(
    newcomer: &Newcomer,
    request: &Join,
    until: Instant,
    json: bool,
) -> Result<(Joined, Duration), Failure> {
    let (listener, addresses) = listen(request.listen)?;
    let connections = accept(listener);
    for number in 1..=CODES {
        let code = JoinCode::from_random(values::random()?);
        let port = addresses.first().map_or(0, SocketAddr::port);
        let _announced = announce(!request.no_mdns, Service::NewDevice, &code.plate(), port)?;
        show(&code, &addresses, number, json)?;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let stream = connections.recv_timeout(left).map_err(|_| {
                Failure::with_help(
                    "nobody admitted this device in time",
                    "start again with a longer --wait, and have the code admitted that is shown then",
                )
            })?;
            let begun = Instant::now();
            match newcomer.by_code(stream, &code) {
                Ok(joined) => return Ok((joined, begun.elapsed())),
                Err(JoinError::Nobody(why)) => {
                    eprintln!("note: somebody connected and did not try the code: {}", printable(&why));
                }
                Err(JoinError::Void(why)) => {
                    eprintln!("warning: code {} is void: {}", code.plate(), printable(&why));
                    break;
                }
                Err(JoinError::Refused(why) | JoinError::Elsewhere(why)) => {
                    return Err(Failure::here(printable(&why)));
                }
            }
        }
    }
    Err(Failure::with_help(
        format!("{CODES} codes were tried in vain, so this device shows no more"),
        "look who else is on this network, then start again; or enrol it by file, with `popmesh device new`",
    ))
}

fn show(code: &JoinCode, addresses: &[SocketAddr], number: usize, json: bool) -> Outcome {
    let invitation = Invitation { code: code.clone(), address: addresses.first().copied() };
    let value = json!({
        "code": code.to_string(), "addresses": addresses, "qr": invitation.to_string(), "attempt": number,
        "attempts": CODES,
    });
    print(json, &value, || {
        let at: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        format!(
            "{}Code  {code}\nat    {}\n\nOn an hq: popmesh device admit {code} --data DIR --role pos --venue VENUE\nOr at the organiser's, with --event DIR instead of --data",
            picture(&invitation.to_string()),
            at.join(", ")
        )
    })
}

/// A QR code, where there is a terminal to show it on.
fn picture(text: &str) -> String {
    let shown = std::io::stdout().is_terminal();
    let code = shown.then(|| Code::new(text).ok()).flatten();
    code.map_or_else(String::new, |code| format!("{}\n\n", code.terminal()))
}

fn join_by_ticket(
    newcomer: &Newcomer,
    ticket: &JoinTicket,
    at: Option<SocketAddr>,
    until: Instant,
) -> Result<(Joined, Duration), Failure> {
    let nobody = |last: Option<String>| {
        let error = last.map_or_else(
            || "nobody serves tickets of this event on this network".to_owned(),
            |last| format!("nobody who serves tickets of this event admitted this device: {last}"),
        );
        Failure::with_help(
            error,
            "run `popmesh device admit --tickets` where the ticket was made, on the same network, or give its address with --at",
        )
    };
    let (mut last, mut until) = (None, until);
    let browsing = match at {
        Some(_) => None,
        None => Some(
            Browsing::start(Service::Tickets, &key_of(ticket))
                .map_err(|error| Failure::here(error.to_string()))?,
        ),
    };
    loop {
        let addresses = match (&browsing, at) {
            (Some(browsing), _) => browsing.next(until).ok_or_else(|| nobody(last.clone()))?.addresses,
            (None, at) => at.into_iter().collect(),
        };
        for address in addresses {
            let begun = Instant::now();
            match newcomer.by_ticket(address, ticket) {
                Ok(joined) => return Ok((joined, begun.elapsed())),
                Err(JoinError::Nobody(why)) => last = Some(format!("{address}: {why}")),
                // One of several who serve tickets of this event.
                Err(JoinError::Elsewhere(why)) if browsing.is_some() => {
                    last = Some(format!("{address}: {why}"));
                    until = until.min(Instant::now() + ELSEWHERE_WITHIN);
                }
                Err(JoinError::Void(why) | JoinError::Refused(why) | JoinError::Elsewhere(why)) => {
                    return Err(Failure::here(format!("{address}: {}", printable(&why))));
                }
            }
        }
        if browsing.is_none() {
            if Instant::now() + AGAIN_AFTER >= until {
                return Err(nobody(last));
            }
            thread::sleep(AGAIN_AFTER);
        }
    }
}

/// What those who serve tickets of an event announce.
fn key_of(ticket: &JoinTicket) -> String {
    hex::encode(&ticket.event.0[..8])
}

pub(super) fn admit(request: &Admit, data: &Data, json: bool) -> Outcome {
    let admitting = request.by.admitting(data)?;
    match (&request.code, request.role, &request.venue) {
        (Some(invitation), Some(role), Some(venue)) => {
            let grant = grant(role, venue, request.name.clone(), &request.validity)?;
            admit_code(&admitting, invitation, request, &grant, json)
        }
        _ => admit_tickets(&admitting, request, json),
    }
}

fn admit_code(
    admitting: &Admitting,
    invitation: &Invitation,
    request: &Admit,
    grant: &Grant,
    json: bool,
) -> Outcome {
    let until = Instant::now() + request.wait;
    let begun = Instant::now();
    let mut last = None;
    let mut browsing = None;
    loop {
        let addresses = match request.at.or(invitation.address) {
            Some(address) => vec![address],
            None => {
                let looked = match browsing.take() {
                    Some(browsing) => Ok(browsing),
                    None => Browsing::start(Service::NewDevice, &invitation.code.plate()),
                };
                let looked = looked.map_err(|error| Failure::here(error.to_string()))?;
                let seen = looked.next(until).ok_or_else(|| not_found(last.take()))?;
                browsing = Some(looked);
                seen.addresses
            }
        };
        for address in addresses {
            let met = Instant::now();
            match admitting.by_code(address, &invitation.code, grant) {
                Ok(admitted) => {
                    return tell_admitted(&admitted, address, met.duration_since(begun), met.elapsed(), json);
                }
                Err(AdmitError::Link(why)) => last = Some(format!("{address}: {why}")),
                Err(AdmitError::Unproven(why)) => {
                    return Err(Failure::with_help(
                        format!("{address} is not admitted: {}", printable(&why)),
                        "this code is void: admit the one that the new device shows now; if that fails as well, look \
                         who else is on this network",
                    ));
                }
                Err(error) => {
                    return Err(Failure::here(format!("{address}: {}", printable(&error.to_string()))));
                }
            }
        }
        if browsing.is_none() {
            return Err(not_found(last));
        }
    }
}

fn not_found(last: Option<String>) -> Failure {
    Failure::with_help(
        last.map_or_else(
            || "no new device on this network shows this code".to_owned(),
            |last| format!("the new device cannot be talked to: {last}"),
        ),
        "look whether it still shows this code and is on the same network, or give its address with --at",
    )
}

fn admit_tickets(admitting: &Admitting, request: &Admit, json: bool) -> Outcome {
    let (listener, addresses) = listen(request.listen)?;
    let key = hex::encode(&admitting.issuer().charter().event().0[..8]);
    let port = addresses.first().map_or(0, SocketAddr::port);
    let _announced = announce(!request.no_mdns, Service::Tickets, &key, port)?;
    let at: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    print(json, &json!({ "addresses": addresses }), || {
        format!("Admitting devices that have a ticket, at {}, until stopped", at.join(", "))
    })?;
    let busy = AtomicUsize::new(0);
    thread::scope(|scope| {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            if busy.fetch_add(1, Ordering::AcqRel) >= AT_ONCE {
                busy.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            let busy = &busy;
            scope.spawn(move || {
                // Whoever read the output may have gone; devices are admitted all the same.
                let _ = serve_ticket(admitting, stream, json);
                busy.fetch_sub(1, Ordering::AcqRel);
            });
        }
    });
    Ok(())
}

fn serve_ticket(admitting: &Admitting, stream: TcpStream, json: bool) -> Outcome {
    let begun = Instant::now();
    let Ok(peer) = stream.peer_addr() else { return Ok(()) };
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    match admitting.by_ticket(stream) {
        Ok(admitted) => tell_admitted(&admitted, peer, Duration::ZERO, begun.elapsed(), json),
        Err(error) => {
            let why = printable(&error.to_string());
            print(json, &json!({"admitted": false, "address": peer, "why": why}), || {
                format!("refused    {peer}: {why}")
            })
        }
    }
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
        eprintln!("warning: {clocks}");
    }
    if let Some(shortened) = shortened {
        eprintln!("note: {shortened}");
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

pub(super) fn ticket(request: &Ticket, data: &Data, json: bool) -> Outcome {
    if [Role::Hq, Role::Registrar, Role::Steward].into_iter().any(|role| request.role.has(role)) {
        return Err(Failure::with_help(
            "a ticket makes no hq, no registrar and no steward: whoever finds it would have the programme, the stock, or the \
             right to admit others",
            "admit that device by its code, with `popmesh device admit CODE`",
        ));
    }
    let admitting = request.by.admitting(data)?;
    let grant = grant(request.role, &request.venue, None, &request.validity)?;
    admitting.issuer().check(&grant, now_ms())?;
    let event = admitting.issuer().charter().event();
    let ticket = JoinTicket::from_random(event, values::random()?, values::random()?);
    let until_ms = now_ms() + values::ms(request.lifetime);
    let record = Record { ticket, grant, count: request.count, until_ms };
    let text = record.ticket.to_text();
    let picture = Code::new(&text).map_err(|error| Failure::here(error.to_string()))?;
    for path in request.output.iter().chain(&request.svg) {
        if path.exists() {
            return Err(folder::FolderError::Exists(path.clone()).into());
        }
    }
    admitting.ledger().keep(&record).map_err(|error| Failure::here(error.to_string()))?;
    // Whoever can read it can join.
    if let Some(path) = &request.output {
        folder::write_new(path, &format!("{text}\n"), 0o600)?;
    }
    if let Some(path) = &request.svg {
        folder::write_new(path, &picture.svg(), 0o600)?;
    }
    let (id, by) = (record.ticket.id.to_string(), request.by.issuing(data)?.argument());
    let value = json!({
        "id": id, "ticket": request.output.is_none().then_some(&text), "file": request.output, "svg": request.svg,
        "count": request.count, "until_ms": until_ms,
    });
    print(json, &value, || {
        let shown = match &request.output {
            Some(path) => path.display().to_string(),
            None => format!("{}{text}", self::picture(&text)),
        };
        let devices =
            if request.count == 1 { "one device".to_owned() } else { format!("{} devices", request.count) };
        format!(
            "{shown}\n\nTicket {id}: for {devices}, until {}. Whoever has it can join; keep it as you would a key.\nHere: \
             popmesh device admit --tickets {by}\nOn each device: popmesh join --ticket TICKET",
            values::time(until_ms),
        )
    })
}

/// A listener, and the addresses at which it is reached.
fn listen(at: Option<SocketAddr>) -> Result<(TcpListener, Vec<SocketAddr>), Failure> {
    let any = [SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))];
    // Without IPv6 the second is what there is.
    let bound = match at {
        Some(at) => TcpListener::bind(at),
        None => TcpListener::bind(&any[..]),
    };
    let failed = |error: std::io::Error| {
        Failure::with_help(format!("cannot listen: {error}"), "give an address of this host with --listen")
    };
    let listener = bound.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_unspecified() {
        return Ok((listener, vec![address]));
    }
    let mut addresses = interfaces::announced(&interfaces::current(None));
    addresses.sort_unstable();
    addresses.dedup();
    let addresses: Vec<SocketAddr> = addresses.into_iter().map(|ip| (ip, address.port()).into()).collect();
    if addresses.is_empty() {
        return Err(Failure::with_help(
            "this host is on no network",
            "connect it to the network of who admits it",
        ));
    }
    Ok((listener, addresses))
}

/// Takes connections as they come, a few ahead.
fn accept(listener: TcpListener) -> mpsc::Receiver<TcpStream> {
    let (sender, receiver) = mpsc::sync_channel(WAITING);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if sender.send(stream).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Announces, unless it is not wanted. Where there is no multicast, an address that a person carries does as well.
fn announce(wanted: bool, service: Service, key: &str, port: u16) -> Result<Option<Announced>, Failure> {
    if !wanted {
        return Ok(None);
    }
    match Announced::start(service, key, port, values::random()?) {
        Ok(announced) => Ok(Some(announced)),
        Err(error) => {
            eprintln!("warning: {error}; give the address to the other side");
            Ok(None)
        }
    }
}
