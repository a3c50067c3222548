//! Serving tickets: a port at which devices show theirs, and answers to those that ask by mDNS where that is.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{
    ANSWER, ASK, AT, AdmitError, Admitted, Admitting, Announcer, Browsing, LanError, Reception, Service,
    Visit, answer, heard,
};
use crate::mesh::interfaces;

/// How long an answer is announced to a device that asks who serves its ticket. It asks anew if it was lost.
const ANSWERED_FOR: Duration = Duration::from_secs(5);
/// Answers that are announced at once; the oldest goes.
const ANSWERS_MAX: usize = 32;
/// Asks that are remembered, so that one that a stranger repeats is not answered again.
const ASKS_MAX: usize = 4096;

/// Why devices cannot be waited for.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system says no.
    #[error("cannot listen: {0}")]
    Io(#[from] io::Error),
    /// Nobody could reach it.
    #[error("this host is on no network")]
    NoNetwork,
}

/// A listener, and the addresses at which it is reached.
///
/// # Errors
/// [`ListenError`].
pub fn listen(at: Option<SocketAddr>) -> Result<(TcpListener, Vec<SocketAddr>), ListenError> {
    let any = [SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))];
    // Without IPv6 the second is what there is.
    let listener = match at {
        Some(at) => TcpListener::bind(at)?,
        None => TcpListener::bind(&any[..])?,
    };
    let address = listener.local_addr()?;
    if !address.ip().is_unspecified() {
        return Ok((listener, vec![address]));
    }
    let mut addresses = interfaces::announced(&interfaces::current(None));
    addresses.sort_unstable();
    addresses.dedup();
    let addresses: Vec<SocketAddr> = addresses.into_iter().map(|ip| (ip, address.port()).into()).collect();
    if addresses.is_empty() {
        return Err(ListenError::NoNetwork);
    }
    Ok((listener, addresses))
}

/// Stops what serves tickets.
#[derive(Debug, Clone)]
pub struct Stop {
    stopped: Arc<AtomicBool>,
    listens: SocketAddr,
}

impl Stop {
    /// For a listener.
    ///
    /// # Errors
    /// What the system says when it does not know its address.
    pub fn of(listener: &TcpListener) -> io::Result<Self> {
        Ok(Self { stopped: Arc::default(), listens: listener.local_addr()? })
    }

    /// From now on nobody is served.
    pub fn stop(&self) {
        if self.stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        // What waits for the next caller notices by this one.
        let ip = match self.listens.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let _ = TcpStream::connect_timeout(&SocketAddr::new(ip, self.listens.port()), ANSWERED_FOR);
    }

    pub(super) fn is_set(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// Serves devices that show a ticket until it is stopped, and says how each visit ended, with where it came from and how long
/// it took.
pub fn serve(
    admitting: &Arc<Admitting>,
    listener: &TcpListener,
    stop: &Stop,
    ended: impl Fn(Result<Admitted, AdmitError>, SocketAddr, Duration) + Clone + Send + 'static,
) {
    let admitting = Arc::clone(admitting);
    Arc::new(Reception::default()).run(listener, stop, move |stream, visitor| {
        let begun = Instant::now();
        let end = admitting.by_ticket(stream, || visitor.proven());
        let visit = match &end {
            Err(AdmitError::Link(_) | AdmitError::Unproven(_)) => Visit::Failed,
            _ => Visit::Proven,
        };
        ended(end, visitor.peer, begun.elapsed());
        visit
    });
}

/// Answers devices that ask for who serves their ticket, on a thread of its own, until it is stopped; nobody else is answered,
/// nothing is announced before, and soon nothing after.
///
/// # Errors
/// [`LanError`] if they cannot be heard.
pub fn answer_asks(
    admitting: &Arc<Admitting>,
    addresses: Vec<SocketAddr>,
    stop: Stop,
) -> Result<(), LanError> {
    let asks = Browsing::listen(Service::NewDevice)?;
    let admitting = Arc::clone(admitting);
    thread::spawn(move || answering(&admitting, asks, &addresses, &stop));
    Ok(())
}

fn answering(admitting: &Admitting, mut asks: Browsing, addresses: &[SocketAddr], stop: &Stop) {
    let port = addresses.first().map_or(0, SocketAddr::port);
    let mut announcer = None;
    let mut answers = VecDeque::new();
    let (mut answered, mut order) = (BTreeSet::new(), VecDeque::new());
    while !stop.is_set() {
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
        let tickets = admitting.served();
        let asked = tickets.iter().find_map(|record| Some((&record.ticket, heard(text, &record.ticket)?)));
        let Some((ticket, ask)) = asked else { continue };
        if !answered.insert(ask) {
            continue;
        }
        order.push_back(ask);
        if order.len() > ASKS_MAX {
            order.pop_front().map(|oldest| answered.remove(&oldest));
        }
        let (mut nonce, mut name) = ([0; 16], [0; 8]);
        if getrandom::fill(&mut nonce).is_err() || getrandom::fill(&mut name).is_err() {
            continue;
        }
        let (answer, at) = answer(ticket, &ask, nonce, addresses);
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
