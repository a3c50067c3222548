//! Who is let in at a port at which strangers may knock: each served on a thread of its own, so that one who is slow,
//! silent or hostile holds up nobody.
//!
//! Three bounds keep that small. At most [`AT_ONCE`] are served; one more ends the connection that has been there
//! longest without proving itself, which an honest device does within a few milliseconds. Of one address there are
//! [`OF_ONE_ADDRESS`], and a third ends the first. An address whose connection ended in failure waits, longer each time,
//! and is hung up on meanwhile. For example: a stranger at 10.77.0.9 tries a wrong code; what it sends within the next
//! second is not read; after a second wrong one it waits 2 s, then 4 s, up to a minute.

use std::collections::BTreeMap;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::serving::Stop;

/// Connections that are served at once.
const AT_ONCE: usize = 64;
/// Threads at once: those that are served, and those that were just ended and have not noticed yet.
const THREADS: usize = AT_ONCE + 16;
/// Connections of one address at once.
const OF_ONE_ADDRESS: usize = 2;
/// How long an address waits after its first failure; twice as long after each further one.
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_LONGEST: Duration = Duration::from_secs(60);
/// After so long without a failure those before are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Addresses whose failures are remembered; the one that failed longest ago makes room.
const REMEMBERED: usize = 4096;
/// How long to wait until the system has sockets again.
const NO_SOCKETS: Duration = Duration::from_millis(50);

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// The visitor proved itself, whatever came of it.
    Proven,
    /// The visitor did not: its address waits.
    Failed,
    /// The visitor could not, by no doing of its own.
    InVain,
}

/// A connection that is served.
#[derive(Debug)]
pub struct Visitor {
    /// Where it comes from.
    pub peer: SocketAddr,
    number: u64,
    reception: Arc<Reception>,
}

impl Visitor {
    /// The visitor has proven itself: no other makes it leave from now on.
    pub fn proven(&self) {
        let mut state = self.reception.lock();
        if let Some(open) = state.open.iter_mut().find(|open| open.number == self.number) {
            open.proven = true;
        }
    }
}

/// Those who are served at one port, and the addresses that wait.
#[derive(Debug, Default)]
pub struct Reception {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Open>,
    threads: usize,
    next: u64,
    waits: Waits,
}

/// One that is served.
#[derive(Debug)]
struct Open {
    number: u64,
    address: IpAddr,
    stream: TcpStream,
    proven: bool,
}

impl Reception {
    /// Serves whoever connects, until it is stopped: `serve` runs on a thread for each.
    pub fn run(
        self: &Arc<Self>,
        listener: &TcpListener,
        stop: &Stop,
        serve: impl Fn(TcpStream, &Visitor) -> Visit + Clone + Send + 'static,
    ) {
        loop {
            let accepted = listener.accept();
            if stop.is_set() {
                return;
            }
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, serve.clone()),
                // Most likely that there are too many; with fewer it will do.
                Err(_) => thread::sleep(NO_SOCKETS),
            }
        }
    }

    fn admit(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        serve: impl Fn(TcpStream, &Visitor) -> Visit + Send + 'static,
    ) {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let Some(number) = self.enter(&stream, peer.ip()) else { return };
        let visitor = Visitor { peer, number, reception: Arc::clone(self) };
        let spawned = thread::Builder::new().spawn(move || {
            let visit = serve(stream, &visitor);
            visitor.reception.leave(visitor.number, visitor.peer.ip(), visit);
        });
        if spawned.is_err() {
            self.leave(number, peer.ip(), Visit::InVain);
        }
    }

    /// Makes room for one more; none if its address has to wait, or everybody who is served has proven itself.
    fn enter(&self, stream: &TcpStream, address: IpAddr) -> Option<u64> {
        let ours = stream.try_clone().ok()?;
        let mut state = self.lock();
        while state.threads >= THREADS {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let now = Instant::now();
        if state.waits.has_to_wait(address, now) {
            return None;
        }
        let of_one = state.open.iter().filter(|open| open.address == address).count();
        if of_one >= OF_ONE_ADDRESS {
            let first = state.open.iter().position(|open| open.address == address && !open.proven)?;
            state.end(first);
            // Not served, and not for want of room.
            state.waits.failed(address, now);
        } else if state.open.len() >= AT_ONCE {
            let first = state.open.iter().position(|open| !open.proven)?;
            state.end(first);
        }
        let number = state.next;
        state.next += 1;
        state.threads += 1;
        state.open.push(Open { number, address, stream: ours, proven: false });
        Some(number)
    }

    fn leave(&self, number: u64, address: IpAddr, visit: Visit) {
        let mut state = self.lock();
        state.threads -= 1;
        let was_ended = !state.open.iter().any(|open| open.number == number);
        state.open.retain(|open| open.number != number);
        match visit {
            Visit::Proven => state.waits.proven(address),
            // Who was ended to make room did not fail.
            Visit::Failed if !was_ended => state.waits.failed(address, Instant::now()),
            Visit::Failed | Visit::InVain => {}
        }
        self.left.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the connection at this place: its thread notices at its next read or write.
    fn end(&mut self, at: usize) {
        let open = self.open.remove(at);
        let _ = open.stream.shutdown(Shutdown::Both);
    }
}

/// Addresses that failed.
#[derive(Debug, Default)]
pub struct Waits(BTreeMap<IpAddr, Wait>);

#[derive(Debug)]
struct Wait {
    failures: u32,
    last: Instant,
}

impl Wait {
    fn until(&self) -> Instant {
        let doubled = 1_u32.checked_shl(self.failures - 1).and_then(|factor| WAIT_FIRST.checked_mul(factor));
        self.last + doubled.map_or(WAIT_LONGEST, |wait| wait.min(WAIT_LONGEST))
    }
}

impl Waits {
    /// Whether nothing is to be had from this address yet.
    pub fn has_to_wait(&self, address: IpAddr, now: Instant) -> bool {
        self.0.get(&address).is_some_and(|wait| now < wait.until())
    }

    /// Has an address wait, longer than the last time.
    pub fn failed(&mut self, address: IpAddr, now: Instant) {
        if !self.0.contains_key(&address) && self.0.len() >= REMEMBERED {
            let oldest = self.0.iter().min_by_key(|(_, wait)| wait.last).map(|(address, _)| *address);
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        let wait = self.0.entry(address).or_insert(Wait { failures: 0, last: now });
        let is_forgotten = now.saturating_duration_since(wait.last) > FORGOTTEN;
        wait.failures = if is_forgotten { 1 } else { wait.failures.saturating_add(1) };
        wait.last = now;
    }

    /// Forgets what an address failed at.
    pub fn proven(&mut self, address: IpAddr) {
        self.0.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::Ipv4Addr;
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    #[test]
    fn an_address_that_fails_waits_longer_each_time_and_another_does_not() {
        let (mut waits, begun) = (Waits::default(), Instant::now());
        let mut now = begun;
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            waits.failed(address(1), now);
            assert!(
                waits.has_to_wait(address(1), now + Duration::from_secs(seconds) - Duration::from_millis(1))
            );
            now += Duration::from_secs(seconds);
            assert!(!waits.has_to_wait(address(1), now), "after {seconds} s");
            assert!(!waits.has_to_wait(address(2), now));
        }
        waits.failed(address(1), now + FORGOTTEN + Duration::from_secs(1));
        assert!(!waits.has_to_wait(address(1), now + FORGOTTEN + Duration::from_secs(2)), "it began anew");
        waits.failed(address(3), now);
        waits.proven(address(3));
        assert!(!waits.has_to_wait(address(3), now));
    }

    #[test]
    fn addresses_without_end_take_no_memory_without_end() {
        let (mut waits, now) = (Waits::default(), Instant::now());
        for number in 0..20_000 {
            waits.failed(address(number), now + Duration::from_micros(number.into()));
        }
        assert_eq!(waits.0.len(), REMEMBERED);
        assert!(waits.0.contains_key(&address(19_999)) && !waits.0.contains_key(&address(0)));
    }

    /// A port at which each visit lasts until the visitor hangs up or is hung up on.
    fn port() -> (SocketAddr, Arc<Reception>, mpsc::Receiver<u64>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (at, reception) = (listener.local_addr().unwrap(), Arc::new(Reception::default()));
        let (sender, came) = mpsc::channel();
        let served = Arc::clone(&reception);
        thread::spawn(move || {
            let never = Stop::of(&listener).unwrap();
            served.run(&listener, &never, move |mut stream, visitor| {
                let _ = sender.send(visitor.number);
                let _ = stream.read_to_end(&mut Vec::new());
                Visit::InVain
            });
        });
        (at, reception, came)
    }

    #[test]
    fn of_one_address_the_newest_two_are_served_and_it_waits_for_having_more() {
        let (at, reception, came) = port();
        let mut streams: Vec<_> = (0..3).map(|_| TcpStream::connect(at).unwrap()).collect();
        for _ in 0..3 {
            came.recv_timeout(PATIENCE).unwrap();
        }
        assert_eq!(streams[0].read(&mut [0]).unwrap(), 0, "the first was hung up on");
        assert_eq!(reception.lock().open.len(), 2);
        let mut fourth = TcpStream::connect(at).unwrap();
        assert_eq!(fourth.read(&mut [0]).unwrap_or(0), 0, "it has to wait");
        streams.clear();
    }

    #[test]
    fn who_has_proven_itself_is_not_ended_by_others() {
        let (at, reception, came) = port();
        let mut first = TcpStream::connect(at).unwrap();
        let number = came.recv_timeout(PATIENCE).unwrap();
        let peer = first.local_addr().unwrap();
        Visitor { peer, number, reception: Arc::clone(&reception) }.proven();
        let _others: Vec<_> = (0..5).map(|_| TcpStream::connect(at).unwrap()).collect();
        for _ in 0..2 {
            came.recv_timeout(PATIENCE).unwrap();
        }
        first.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(first.read(&mut [0]).is_err(), "it is still served");
        assert!(reception.lock().open.iter().any(|open| open.number == number));
    }
}
