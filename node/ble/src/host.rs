//! The host's thread, and the handle to it.

use std::{
    cell::RefCell,
    fmt, io,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep},
};

use super::{
    adapter::Adapter,
    beacon::{Beacon, Heard, Key, ShortId, Standing},
    counters::{Counters, Counting, add},
    seen::Seen,
    session::{self, SessionError},
    stream::BleStream,
};

/// Dials that may wait.
const DIALS_MAX: usize = 16;

/// Events that may wait. Sightings that do not fit are left out, and streams dropped.
const EVENTS_MAX: usize = 64;

/// The first wait before an adapter that went away is tried again, and the longest.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(4);

/// An adapter that was there for so long begins with the first wait again.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// What is needed to start.
pub struct BleConfig {
    /// The adapter.
    pub adapter: Adapter,
    /// What all devices that are to recognise each other share, and nobody else knows.
    pub keys: Vec<Key>,
    /// This device.
    pub id: ShortId,
    /// Streams at once at most; adapters manage 7 or more.
    pub links_max: usize,
    /// How long this device keeps its address on the air.
    pub address_for: Duration,
}

impl fmt::Debug for BleConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BleConfig")
            .field("adapter", &self.adapter)
            .field("id", &self.id)
            .field("links_max", &self.links_max)
            .finish_non_exhaustive()
    }
}

/// How hard to look for others. Listening is most of what Bluetooth LE costs a battery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Somebody is missed: half of the time, so that whoever is there is found within a second or two.
    Seeking,
    /// All is well: a few percent of the time, enough to find a newcomer within a minute.
    Settled,
}

/// What the host tells.
#[derive(Debug)]
pub enum BleEvent {
    /// A device with the same key is in range. Told about once a minute, or once in some seconds while seeking.
    Sighted {
        /// The device.
        id: ShortId,
        /// How strong its signal is, in dBm.
        rssi: i8,
        /// How it says that it stands.
        heard: Heard,
    },
    /// Somebody opened a stream to this device.
    Incoming(BleStream),
}

/// Why the host could not start. That an adapter is not there is no reason: it is waited for.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gives no thread or no runtime.
    #[error("cannot start the Bluetooth host: {0}")]
    Thread(#[from] io::Error),
}

/// Why a stream could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The adapter is not there.
    #[error("the Bluetooth adapter is not there")]
    NoAdapter,
    /// The device was not seen lately.
    #[error("the device was not seen lately")]
    NotSeen,
    /// There are as many streams as there may be, or as many dials as may wait.
    #[error("there are as many links as there may be")]
    Busy,
    /// The device does not answer.
    #[error("the device does not answer")]
    NoAnswer,
    /// The device has no room for a stream, or speaks something else.
    #[error("the device opens no channel: {0}")]
    Refused(String),
}

/// A wish for a stream.
pub(crate) struct Dial {
    pub(crate) id: ShortId,
    pub(crate) reply: oneshot::Sender<Result<BleStream, DialError>>,
}

/// What the thread and its sessions share.
pub(crate) struct Shared {
    pub(crate) adapter: Adapter,
    pub(crate) beacon: Arc<Beacon>,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) id: ShortId,
    pub(crate) links_max: usize,
    pub(crate) address_for: Duration,
    pub(crate) counting: Arc<Counting>,
    pub(crate) seen: RefCell<Seen>,
    pub(crate) events: mpsc::Sender<BleEvent>,
    pub(crate) pace: watch::Receiver<Pace>,
    pub(crate) is_up: Arc<AtomicBool>,
    /// Told to have a fault.
    #[cfg(feature = "testing")]
    pub(crate) fault: Arc<tokio::sync::Notify>,
}

/// A running Bluetooth LE host. When the last copy is dropped, all streams end and the adapter is given back.
#[derive(Clone)]
pub struct Ble {
    beacon: Arc<Beacon>,
    dials: mpsc::Sender<Dial>,
    standing: Arc<watch::Sender<Standing>>,
    pace: Arc<watch::Sender<Pace>>,
    counting: Arc<Counting>,
    is_up: Arc<AtomicBool>,
    #[cfg(feature = "testing")]
    fault: Arc<tokio::sync::Notify>,
}

impl fmt::Debug for Ble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ble").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Ble {
    /// Starts a host on a thread of its own. It takes the adapter as soon as there is one.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(config: BleConfig) -> Result<(Self, mpsc::Receiver<BleEvent>), StartError> {
        let (dials, requests) = mpsc::channel(DIALS_MAX);
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let (pace, paces) = watch::channel(Pace::Seeking);
        let counting = Arc::new(Counting::default());
        let is_up = Arc::new(AtomicBool::new(false));
        let beacon = Arc::new(Beacon::new(config.keys));
        let alone = Standing { group: config.id, bridges: false, has_room: true };
        let (standing, standings) = watch::channel(alone);
        let handle = Self {
            beacon: Arc::clone(&beacon),
            dials,
            standing: Arc::new(standing),
            pace: Arc::new(pace),
            counting: Arc::clone(&counting),
            is_up: Arc::clone(&is_up),
            #[cfg(feature = "testing")]
            fault: Arc::default(),
        };
        #[cfg(feature = "testing")]
        let fault = Arc::clone(&handle.fault);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("ble".to_owned()).spawn(move || {
            let shared = Shared {
                adapter: config.adapter,
                beacon,
                standing: standings,
                id: config.id,
                links_max: config.links_max.clamp(1, session::LINKS_MAX),
                address_for: config.address_for,
                counting,
                seen: RefCell::default(),
                events,
                pace: paces,
                is_up,
                #[cfg(feature = "testing")]
                fault,
            };
            runtime.block_on(keep_up(shared, requests));
        })?;
        Ok((handle, receiver))
    }

    /// Opens a stream to a device that was [seen](BleEvent::Sighted).
    ///
    /// # Errors
    /// If that does not work within some seconds.
    pub async fn dial(&self, id: ShortId) -> Result<BleStream, DialError> {
        let (reply, answer) = oneshot::channel();
        self.dials.try_send(Dial { id, reply }).map_err(|_| DialError::Busy)?;
        answer.await.unwrap_or(Err(DialError::NoAdapter))
    }

    /// Says how hard to look for others. To begin with it is [`Pace::Seeking`].
    pub fn set_pace(&self, pace: Pace) {
        self.pace.send_if_modified(|current| std::mem::replace(current, pace) != pace);
    }

    /// Says how this device stands, for others to hear. To begin with it is alone.
    pub fn set_standing(&self, standing: Standing) {
        self.standing.send_if_modified(|current| std::mem::replace(current, standing) != standing);
    }

    /// Has these keys from now on, the newest first: it advertises under that, and reads what is under any.
    pub fn set_keys(&self, keys: Vec<Key>) {
        self.beacon.set_keys(keys);
        // Advertised anew, as it stands.
        self.standing.send_modify(|_| {});
    }

    /// Whether a device said that it is in this group. Now and then two groups look alike, for a quarter of an hour.
    #[must_use]
    pub fn is_of(&self, heard: &Heard, group: ShortId) -> bool {
        self.beacon.is_of(heard, group)
    }

    /// Whether the adapter is there.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    /// Has the host panic, as it may over what a stranger sends.
    #[cfg(feature = "testing")]
    pub fn panic(&self) {
        self.fault.notify_one();
    }

    /// What happened since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counting.read()
    }
}

/// Runs one session after the other, until the last handle is gone.
async fn keep_up(shared: Shared, mut requests: mpsc::Receiver<Dial>) {
    let mut wait = BACKOFF_FIRST;
    let mut told = false;
    loop {
        let started = Instant::now();
        // The host is a foreign crate that reads bytes of strangers. Should it panic, the streams end and it starts anew.
        let ended = AssertUnwindSafe(session::run(&shared, &mut requests)).catch_unwind().await;
        let was_up = shared.is_up.swap(false, Ordering::AcqRel);
        let error = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => SessionError::Panicked,
        };
        add(&shared.counting.adapter_failed, 1);
        if was_up && started.elapsed() >= STABLE_AFTER {
            wait = BACKOFF_FIRST;
        }
        if was_up || !told {
            tracing::warn!(adapter = %shared.adapter, %error, "no Bluetooth; trying again");
        } else {
            tracing::debug!(adapter = %shared.adapter, %error, "no Bluetooth; trying again");
        }
        told = true;
        let until = Instant::now() + wait;
        wait = (wait * 2).min(BACKOFF_MAX);
        loop {
            tokio::select! {
                () = sleep(until - Instant::now()) => break,
                request = requests.recv() => match request {
                    // Whoever asked may have given up.
                    Some(dial) => drop(dial.reply.send(Err(DialError::NoAdapter))),
                    None => return,
                },
            }
        }
    }
}
