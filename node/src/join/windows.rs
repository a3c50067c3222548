//! Admitting from inside a running node: each *window* is open for a while, for the one device that shows a code, or for those
//! that show its ticket. The exchange, the names and the tickets are those of `popmesh device admit`.
//!
//! Example: an hq opens a window for a till. A ticket is made and kept, a port is listened at, and who asks for it by mDNS is
//! answered. The till comes, is admitted, the window's one use is used up: its state is `admitted`, and as no other window is
//! open the port is closed.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::{Role, SignedCertificate};

use super::{
    AdmitError, Admitted, Admitting, Invitation, Known, LedgerError, ListenError, Record, Stop, Ticket,
    TicketId, answer_asks, listen, look_for, serve,
};
use crate::clock::{milliseconds, now_ms};
use crate::enrol::{EnrolError, Grant};
use crate::folder::Folder;

/// Windows that are open at once.
const OPEN_MAX: usize = 8;
/// Windows that are remembered; the oldest that is not open goes.
const REMEMBERED: usize = 100;
/// Knocks of a window that are told one by one.
const KNOCKS_MAX: usize = 10;

/// Why no window is opened.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// This device may not admit others, or not such.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// A ticket makes no such device.
    #[error(
        "a ticket makes no hq, no registrar and no steward: whoever finds it would have the programme, the stock, or the right to \
         admit others; admit that device by the code that it shows"
    )]
    NotByTicket,
    /// There are too many.
    #[error("{OPEN_MAX} windows are open; close one first")]
    TooMany,
    /// Nobody could come.
    #[error("{0}")]
    Listen(#[from] ListenError),
    /// The ticket cannot be kept.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// What a window is to be.
#[derive(Debug, Clone)]
pub struct Opening {
    /// What devices are made.
    pub grant: Grant,
    /// By what they come.
    pub by: By,
    /// For how long it is open.
    pub open_for: Duration,
    /// Whether a name may be given that another device has, which is gone for good.
    pub reuses_names: bool,
}

/// By what devices come.
#[derive(Debug, Clone)]
pub enum By {
    /// By the code that one shows.
    Code(Invitation),
    /// By a ticket.
    Ticket {
        /// How many.
        count: u32,
        /// What their names begin with.
        prefix: Option<String>,
    },
}

/// How a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Devices can come.
    Open,
    /// All that it was for have come.
    Admitted,
    /// The device that shows the code was not found, or is refused.
    Failed,
    /// Its time is over.
    Expired,
    /// It was closed.
    Closed,
}

/// A device that came.
#[derive(Debug, Clone)]
pub struct Came {
    /// What it was given.
    pub certificate: SignedCertificate,
    /// From where.
    pub address: SocketAddr,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// What there is to say of its clock or its certificate.
    pub note: Option<String>,
}

/// Somebody who was not let in.
#[derive(Debug, Clone)]
pub struct Knock {
    /// From where.
    pub address: SocketAddr,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// Why not.
    pub why: String,
}

/// A window.
#[derive(Debug, Clone)]
pub struct Window {
    /// Names it.
    pub id: [u8; 8],
    /// What it is for.
    pub opening: Opening,
    /// How it is.
    pub state: State,
    /// When it was opened, and until when, Unix milliseconds.
    pub opened_ms: u64,
    /// Until when it is, or was to be, open, Unix milliseconds.
    pub until_ms: u64,
    /// Its ticket, and where that is served, if it has one.
    pub ticket: Option<(Ticket, Vec<SocketAddr>)>,
    /// Who came.
    pub admitted: Vec<Came>,
    /// The last who were not let in.
    pub knocks: VecDeque<Knock>,
    /// How many were not.
    pub refusals: u64,
    /// Why it failed, and what to do.
    pub why: Option<String>,
}

impl Window {
    fn is_open(&self) -> bool {
        self.state == State::Open
    }

    fn serves(&self, id: &TicketId) -> bool {
        self.is_open() && self.ticket.as_ref().is_some_and(|(ticket, _)| ticket.id == *id)
    }

    fn came(&mut self, admitted: Admitted, address: SocketAddr) {
        let Admitted { certificate, clocks, shortened, .. } = admitted;
        let note: Vec<String> = clocks.into_iter().chain(shortened).collect();
        let note = (!note.is_empty()).then(|| note.join("; "));
        // One that had been admitted, and had not heard of it, comes again.
        self.admitted.retain(|came| came.certificate.device != certificate.device);
        self.admitted.push(Came { certificate, address, at_ms: now_ms(), note });
        let most = match &self.opening.by {
            By::Code(_) => 1,
            By::Ticket { count, .. } => *count as usize,
        };
        if self.admitted.len() >= most {
            self.state = State::Admitted;
        }
    }

    fn knocked(&mut self, address: SocketAddr, why: String) {
        self.refusals += 1;
        self.knocks.push_front(Knock { address, at_ms: now_ms(), why });
        self.knocks.truncate(KNOCKS_MAX);
    }
}

/// The windows of a node. Cheap to clone.
#[derive(Clone)]
pub struct Windows {
    data: Folder,
    known: Arc<dyn Known>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Windows of {}", self.data.path().display())
    }
}

#[derive(Default)]
struct Shared {
    all: Mutex<All>,
    changed: Condvar,
}

#[derive(Default)]
struct All {
    windows: BTreeMap<u64, Window>,
    next: u64,
    /// What ends a search by code that is under way.
    searches: BTreeMap<u64, Arc<AtomicBool>>,
    /// Where tickets are served, while one is.
    serving: Option<Serving>,
}

struct Serving {
    stop: Stop,
    addresses: Vec<SocketAddr>,
}

/// What the node knows, for each that asks.
struct Asks(Arc<dyn Known>);

impl Known for Asks {
    fn devices(&self) -> Vec<(DeviceId, String)> {
        self.0.devices()
    }

    fn is_retired(&self, device: &DeviceId) -> bool {
        self.0.is_retired(device)
    }
}

impl Windows {
    /// None yet, of the device of a data folder, whose node knows these names.
    pub fn new(data: Folder, known: Arc<dyn Known>) -> Self {
        Self { data, known, shared: Arc::default() }
    }

    /// Opens a window. Waits for the disk.
    ///
    /// # Errors
    /// [`WindowError`]; then nothing is open that was not before.
    pub fn open(&self, opening: Opening) -> Result<Window, WindowError> {
        let admitting = Admitting::device(&self.data)?.knowing(Asks(Arc::clone(&self.known)));
        let opened_ms = now_ms();
        admitting.issuer().check(&opening.grant, opened_ms)?;
        let mut id = [0; 8];
        getrandom::fill(&mut id)?;
        let until_ms = opened_ms.saturating_add(milliseconds(opening.open_for));
        let window = Window {
            id,
            opening,
            state: State::Open,
            opened_ms,
            until_ms,
            ticket: None,
            admitted: Vec::new(),
            knocks: VecDeque::new(),
            refusals: 0,
            why: None,
        };
        match window.opening.by.clone() {
            By::Code(invitation) => self.open_by_code(admitting, window, invitation),
            By::Ticket { count, prefix } => self.open_by_ticket(admitting, window, count, prefix),
        }
    }

    fn open_by_code(
        &self,
        admitting: Admitting,
        window: Window,
        invitation: Invitation,
    ) -> Result<Window, WindowError> {
        let admitting = match window.opening.reuses_names {
            true => admitting.reusing_names(),
            false => admitting,
        };
        let mut all = self.shared.lock();
        let number = all.add(window.clone())?;
        let stop = Arc::new(AtomicBool::new(false));
        all.searches.insert(number, Arc::clone(&stop));
        drop(all);
        let (shared, opening) = (Arc::clone(&self.shared), window.opening.clone());
        thread::spawn(move || {
            let end = look_for(&Arc::new(admitting), &invitation, &opening.grant, opening.open_for, &stop);
            let mut all = shared.lock();
            all.searches.remove(&number);
            let Some(window) = all.windows.get_mut(&number) else { return };
            match end {
                // Also where it was closed meanwhile: the device has its certificate.
                Ok(found) => window.came(found.admitted, found.address),
                Err(_) if !window.is_open() => {}
                Err(error) => {
                    window.state = State::Failed;
                    let advice =
                        error.advice("`at`").map_or_else(String::new, |advice| format!("; {advice}"));
                    window.why = Some(format!("{error}{advice}"));
                }
            }
        });
        Ok(window)
    }

    fn open_by_ticket(
        &self,
        admitting: Admitting,
        mut window: Window,
        count: u32,
        prefix: Option<String>,
    ) -> Result<Window, WindowError> {
        let roles = window.opening.grant.roles;
        if [Role::Hq, Role::Registrar, Role::Steward].into_iter().any(|role| roles.has(role)) {
            return Err(WindowError::NotByTicket);
        }
        let (mut id, mut secret) = ([0; 8], [0; 16]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        let ticket = Ticket::from_random(admitting.issuer().charter().event(), id, secret);
        let grant = Grant { name: None, ..window.opening.grant.clone() };
        let record = Record { ticket, grant, count, until_ms: window.until_ms, prefix };
        let mut all = self.shared.lock();
        all.expire(now_ms());
        if all.is_full() {
            return Err(WindowError::TooMany);
        }
        let addresses = match &all.serving {
            Some(serving) => serving.addresses.clone(),
            None => all.serving.insert(self.serve()?).addresses.clone(),
        };
        // If it cannot be kept, who serves finds nothing to do.
        let kept = admitting.ledger().keep(&record);
        if kept.is_ok() {
            window.ticket = Some((record.ticket, addresses));
            all.add(window.clone())?;
        }
        self.shared.changed.notify_all();
        drop(all);
        kept?;
        Ok(window)
    }

    /// Begins to serve the tickets of open windows; that ends when none is open any more.
    fn serve(&self) -> Result<Serving, WindowError> {
        let (listener, addresses) = listen(None)?;
        let stop = Stop::of(&listener).map_err(ListenError::Io)?;
        let serves = {
            let shared = Arc::clone(&self.shared);
            move |id: &TicketId| shared.lock().windows.values().any(|window| window.serves(id))
        };
        let admitting = Admitting::device(&self.data)?.knowing(Asks(Arc::clone(&self.known))).serving(serves);
        let admitting = Arc::new(admitting);
        if let Err(error) = answer_asks(&admitting, addresses.clone(), stop.clone()) {
            tracing::warn!(%error, "new devices with a ticket have to be given this device's address");
        }
        let (shared, stopped) = (Arc::clone(&self.shared), stop.clone());
        thread::spawn(move || {
            let ended = {
                let shared = Arc::clone(&shared);
                move |end, peer, _| shared.visited(end, peer)
            };
            serve(&admitting, &listener, &stopped, ended);
        });
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || shared.look_after());
        Ok(Serving { stop, addresses })
    }

    /// Every window that is remembered, the newest first.
    pub fn all(&self) -> Vec<Window> {
        let mut all = self.shared.lock();
        all.expire(now_ms());
        all.windows.values().rev().cloned().collect()
    }

    /// Closes a window, if it is open: its ticket is void, and no device is looked for any more. Waits for the disk.
    ///
    /// # Errors
    /// [`WindowError`] if the ticket cannot be voided; it is not served all the same.
    pub fn close(&self, id: [u8; 8]) -> Result<Option<Window>, WindowError> {
        let mut all = self.shared.lock();
        all.expire(now_ms());
        let found = all.windows.iter().find(|(_, window)| window.id == id);
        let Some((number, was)) = found.map(|(number, window)| (*number, window.clone())) else {
            return Ok(None);
        };
        if was.is_open() {
            if let Some(window) = all.windows.get_mut(&number) {
                window.state = State::Closed;
            }
            if let Some(stop) = all.searches.get(&number) {
                stop.store(true, Ordering::Relaxed);
            }
            self.shared.changed.notify_all();
            drop(all);
            self.void(&was)?;
            all = self.shared.lock();
        }
        Ok(all.windows.get(&number).cloned())
    }

    fn void(&self, window: &Window) -> Result<(), WindowError> {
        let Some((ticket, _)) = &window.ticket else { return Ok(()) };
        let ledger = super::Ledger::of(self.data.path());
        match ledger.all().into_iter().find(|record| record.ticket.id == ticket.id) {
            Some(record) => Ok(ledger.end(&record, now_ms())?),
            None => Ok(()),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody showed a ticket, or something else.
    fn visited(&self, end: Result<Admitted, AdmitError>, peer: SocketAddr) {
        let mut all = self.lock();
        match end {
            Ok(admitted) => {
                let id = admitted.ticket.as_ref().map(|(id, _)| *id);
                let is_of = |window: &&mut Window| {
                    window.ticket.as_ref().map(|(ticket, _)| ticket.id) == id && id.is_some()
                };
                if let Some(window) = all.windows.values_mut().find(is_of) {
                    window.came(admitted, peer);
                }
            }
            // Which of the tickets was meant is not known of who did not prove itself.
            Err(error) => {
                let why = error.to_string();
                let open = |window: &&mut Window| window.is_open() && window.ticket.is_some();
                all.windows.values_mut().filter(open).for_each(|window| window.knocked(peer, why.clone()));
            }
        }
        drop(all);
        self.changed.notify_all();
    }

    /// Ends serving as soon as no window has a ticket to serve.
    fn look_after(&self) {
        let mut all = self.lock();
        loop {
            let now = now_ms();
            all.expire(now);
            let open = all.windows.values().filter(|window| window.is_open() && window.ticket.is_some());
            let Some(until_ms) = open.map(|window| window.until_ms).min() else { break };
            let wait = Duration::from_millis(until_ms.saturating_sub(now) + 1);
            all = self.changed.wait_timeout(all, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        let serving = all.serving.take();
        drop(all);
        serving.iter().for_each(|serving| serving.stop.stop());
    }
}

impl All {
    fn expire(&mut self, now_ms: u64) {
        for window in self.windows.values_mut() {
            // Of a code, who looks for it says so.
            if window.is_open() && window.ticket.is_some() && now_ms >= window.until_ms {
                window.state = State::Expired;
            }
        }
    }

    fn is_full(&self) -> bool {
        self.windows.values().filter(|window| window.is_open()).count() >= OPEN_MAX
    }

    fn add(&mut self, window: Window) -> Result<u64, WindowError> {
        if self.is_full() {
            return Err(WindowError::TooMany);
        }
        let number = self.next;
        self.next += 1;
        self.windows.insert(number, window);
        if self.windows.len() > REMEMBERED {
            let oldest = self.windows.iter().find(|(_, window)| !window.is_open()).map(|(number, _)| *number);
            oldest.map(|oldest| self.windows.remove(&oldest));
        }
        Ok(number)
    }
}
