//! Looking for the new device that shows a code, among all that say so, and admitting it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::{AdmitError, Admitted, Admitting, Browsing, Invitation, JoinCode, LanError, Service, Waits};
use crate::enrol::Grant;

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

/// A device that was found and admitted.
#[derive(Debug)]
pub struct Found {
    /// What it was given.
    pub admitted: Admitted,
    /// Where it was.
    pub address: SocketAddr,
    /// How long it was looked for.
    pub found: Duration,
    /// How long the exchange took.
    pub took: Duration,
}

/// Why no device was admitted by its code.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// There is no looking for it on this network.
    #[error(transparent)]
    Lan(#[from] LanError),
    /// It proved itself, and is refused, or may have been admitted.
    #[error("{0}")]
    Refused(String),
    /// It was not found, or did not prove itself.
    #[error("{}", .last.as_deref().unwrap_or("no new device on this network shows this code"))]
    NotFound {
        /// What became of the last one that was tried.
        last: Option<String>,
        /// How many were tried in vain that could try a code.
        tries: usize,
    },
}

impl LookError {
    /// What to do, with where an address is given.
    pub fn advice(&self, at: &str) -> Option<String> {
        match self {
            Self::Lan(_) | Self::Refused(_) => None,
            Self::NotFound { last: Some(_), tries } if *tries > 0 => Some(format!(
                "this code is void, or not what the new device shows: admit the one that it shows now; if that fails as well, \
                 look who else is on this network, and give the new device's address with {at}"
            )),
            Self::NotFound { .. } => Some(format!(
                "look whether it still shows this code and is on the same network, or give its address with {at}"
            )),
        }
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

/// Looks for the device that shows a code, for so long or until `stop` is set, and admits it.
///
/// # Errors
/// [`LookError`].
pub fn look_for(
    admitting: &Arc<Admitting>,
    invitation: &Invitation,
    grant: &Grant,
    wait: Duration,
    stop: &Arc<AtomicBool>,
) -> Result<Found, LookError> {
    let begun = Instant::now();
    let (until, code) = (begun + wait, &invitation.code);
    let (sender, events) = mpsc::sync_channel(TRIED_AT_ONCE);
    let given = invitation.address;
    let mut candidates = Candidates::default();
    match given {
        Some(address) => candidates.add(vec![address]),
        None => browse(code, until, sender.clone())?,
    }
    let (mut last, mut tries, mut give_up) = (None, 0, until);
    loop {
        let now = Instant::now();
        let stopped = stop.load(Ordering::Relaxed);
        while !stopped && (tries + candidates.under_way() < TRIES_MAX || code.is_long()) {
            let Some(address) = candidates.next(now) else { break };
            try_one(admitting, address, code, grant, sender.clone());
        }
        let end = if candidates.under_way() > 0 { until } else { give_up };
        let is_over = now >= end || stopped && candidates.under_way() == 0;
        if is_over || tries >= TRIES_MAX && candidates.under_way() == 0 && !code.is_long() {
            return Err(LookError::NotFound { last, tries });
        }
        // Those that wait get their turn meanwhile.
        match events.recv_timeout(AGAIN_AFTER.min(end - now)) {
            Ok(Event::Seen(addresses)) => candidates.add(addresses),
            Ok(Event::Ended(address, end, took)) => {
                let error = match *end {
                    Ok(admitted) => {
                        let found = begun.elapsed().saturating_sub(took);
                        return Ok(Found { admitted, address, found, took });
                    }
                    Err(error) => error,
                };
                candidates.done(address, given.is_some(), Instant::now());
                let unproven = if matches!(error, AdmitError::Unproven(_)) { " is not admitted" } else { "" };
                let why = format!("{address}{unproven}: {error}");
                match error {
                    AdmitError::Link(_) if given.is_some() => candidates.add(vec![address]),
                    AdmitError::Link(_) => {}
                    AdmitError::Unproven(_) if given.is_some() => {
                        return Err(LookError::NotFound { last: Some(why), tries: 1 });
                    }
                    AdmitError::Unproven(_) => {
                        tries += 1;
                        if candidates.wrong.len() < WRONG_MAX {
                            candidates.wrong.insert(address);
                        }
                        give_up = until.min(Instant::now() + ANOTHER_WITHIN);
                    }
                    AdmitError::Refused(_) | AdmitError::Unconfirmed(_) => {
                        return Err(LookError::Refused(why));
                    }
                }
                last = Some(why);
            }
            Err(_) => {}
        }
    }
}

/// Has a thread look for who says that it shows this code.
fn browse(code: &JoinCode, until: Instant, sender: mpsc::SyncSender<Event>) -> Result<(), LanError> {
    let mut browsing = Browsing::start(Service::NewDevice)?;
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
