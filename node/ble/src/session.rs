//! One time with the adapter, from taking it to losing it: advertising, listening, dialling, and the links.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bt_hci::{
    cmd::{info::ReadBdAddr, le::LeSetRandomAddr},
    controller::ExternalController,
    param::{AddrKind, BdAddr, LeAdvReportsIter},
};
use futures::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, RwLock, Semaphore, mpsc, watch},
    time::{Instant, sleep, timeout},
};
use trouble_host::{
    Address as HostAddress, BleHostError, HostResources, Stack,
    prelude::{
        Advertisement, AdvertisementParameters, Central, ConnectConfig, EventHandler, RequestedConnParams,
        ScanConfig, Scanner,
    },
};

use super::{
    beacon::{Address, fresh_address},
    counters::add,
    hci::{self, Hci, HciError},
    host::{BleEvent, Dial, DialError, Pace, Shared},
    link,
    pool::Pool,
    seen::Seen,
};

/// Streams at once at most.
pub(crate) const LINKS_MAX: usize = 7;

/// One more than streams, for one that is still closing.
const CONNECTIONS_MAX: usize = LINKS_MAX + 1;

/// The channel that streams are on: of those that services may choose for themselves.
pub(crate) const SPSM: u16 = 0x00b5;

/// The adapter has this long for whatever it is told.
const ADAPTER_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to ask whether the adapter is still there, should nothing else tell.
const ADAPTER_ASKED_EVERY: Duration = Duration::from_secs(30);

/// A device that was seen and does not answer a dial within this is out of range again, or busy.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// A connection from somebody is accepted within this, or was given up.
const ACCEPTED_WITHIN: Duration = Duration::from_millis(200);

const ADVERTISE_EVERY: embassy_time::Duration = embassy_time::Duration::from_millis(250);

pub(crate) type Controller = ExternalController<Hci, 10>;
pub(crate) type Host<'s> = Stack<'s, Controller, Pool>;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// There is no adapter.
    #[error("it cannot be had: {0}")]
    Open(io::Error),
    /// It went away, or talks nonsense.
    #[error(transparent)]
    Hci(#[from] HciError),
    /// It does not do what it is told.
    #[error("it does not do what it is told: {0}")]
    Host(String),
    /// It does not answer.
    #[error("it does not answer")]
    Silent,
    /// There is no chance to be had from the system.
    #[error("the system gives no random bytes: {0}")]
    Chance(#[from] getrandom::Error),
    /// The host has a fault.
    #[error("the Bluetooth host panicked")]
    Panicked,
}

impl From<BleHostError<HciError>> for SessionError {
    fn from(error: BleHostError<HciError>) -> Self {
        match error {
            BleHostError::Controller(error) => Self::Hci(error),
            BleHostError::BleHost(error) => Self::Host(format!("{error:?}")),
        }
    }
}

impl From<trouble_host::Error> for SessionError {
    fn from(error: trouble_host::Error) -> Self {
        Self::Host(format!("{error:?}"))
    }
}

/// Runs until the adapter is lost, or the last handle is gone.
pub(crate) async fn run(shared: &Shared, requests: &mut mpsc::Receiver<Dial>) -> Result<(), SessionError> {
    let wires = timeout(ADAPTER_TIMEOUT, shared.adapter.open())
        .await
        .map_err(|_| SessionError::Silent)?
        .map_err(SessionError::Open)?;
    let called = Arc::new(Notify::new());
    let (hci, write) = hci::open(wires, shared.counting.clone(), Arc::clone(&called));
    let address = fresh_address()?;
    *shared.seen.borrow_mut() = Seen::default();
    let mut resources = Box::new(HostResources::<Pool, CONNECTIONS_MAX, CONNECTIONS_MAX>::new());
    let stack = trouble_host::new(Controller::new(hci), &mut resources)
        .set_random_address(HostAddress::random(address))
        .register_l2cap_spsm(SPSM)
        .build();
    let mut runner = stack.runner();
    let ears = Ears(shared);
    let session = Session {
        shared,
        stack: &stack,
        address: RwLock::new(address),
        places: Arc::new(Semaphore::new(shared.links_max)),
        filled: Notify::new(),
        called,
    };
    tokio::select! {
        ended = runner.run_with_handler(&ears) => Err(ended.err().map_or(SessionError::Silent, Into::into)),
        ended = write => Err(ended.map_or_else(Into::into, |never| match never {})),
        ended = session.work(requests) => ended,
    }
}

/// Hears the advertisements of others.
struct Ears<'a>(&'a Shared);

impl EventHandler for Ears<'_> {
    fn on_adv_reports(&self, reports: LeAdvReportsIter<'_>) {
        let now = Instant::now();
        for report in reports.flatten() {
            let mut address: Address = [0; 6];
            address.copy_from_slice(report.addr.raw());
            let Some((id, heard)) = self.0.beacon.read(report.data, &address) else { continue };
            if report.addr_kind != AddrKind::RANDOM || id == self.0.id {
                continue;
            }
            if self.0.seen.borrow_mut().put(id, address, heard, now) {
                // A sighting that nobody has room for comes again.
                let _ = self.0.events.try_send(BleEvent::Sighted { id, rssi: report.rssi, heard });
            }
        }
    }
}

/// A link, from the connection to its end.
type Link<'a> = LocalBoxFuture<'a, ()>;

/// What the parts of a session share.
pub(crate) struct Session<'a, 's> {
    pub(crate) shared: &'a Shared,
    pub(crate) stack: &'a Host<'s>,
    /// The address on the air. Whoever advertises, listens or dials holds it; it changes when nobody does.
    address: RwLock<Address>,
    places: Arc<Semaphore>,
    /// Told when the last place was taken.
    filled: Notify,
    /// Told when somebody connects to this device, which ends its advertising.
    called: Arc<Notify>,
}

impl Session<'_, '_> {
    async fn work(&self, requests: &mut mpsc::Receiver<Dial>) -> Result<(), SessionError> {
        let (hand_over, mut arriving) = mpsc::channel::<Link<'_>>(CONNECTIONS_MAX);
        in_time(async { Ok(self.stack.command(ReadBdAddr::new()).await?) }).await?;
        add(&self.shared.counting.adapter_up, 1);
        self.shared.is_up.store(true, Ordering::Release);
        tracing::info!(adapter = %self.shared.adapter, "Bluetooth is up");
        let (give_way, asked) = watch::channel(());
        let links = async {
            let mut links = FuturesUnordered::new();
            loop {
                tokio::select! {
                    Some(link) = arriving.recv() => links.push(link),
                    Some(()) = links.next(), if !links.is_empty() => {}
                }
            }
        };
        tokio::select! {
            ended = self.listen_and_dial(requests, asked.clone(), hand_over.clone()) => ended,
            ended = self.advertise(asked, hand_over) => ended.map(|never| match never {}),
            ended = self.change_address(give_way) => ended.map(|never| match never {}),
            ended = self.look_after() => ended.map(|never| match never {}),
            never = self.fault() => match never {},
            () = links => Ok(()),
        }
    }

    /// A place for a link, if there is one.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        if self.places.available_permits() == 0 {
            self.filled.notify_one();
        }
        Some(place)
    }

    async fn advertise<'l>(
        &'l self,
        mut asked: watch::Receiver<()>,
        hand_over: mpsc::Sender<Link<'l>>,
    ) -> Result<Infallible, SessionError> {
        let mut peripheral = self.stack.peripheral();
        let params = AdvertisementParameters {
            interval_min: ADVERTISE_EVERY,
            interval_max: ADVERTISE_EVERY,
            ..Default::default()
        };
        let mut standings = self.shared.standing.clone();
        loop {
            let address = self.address.read().await;
            asked.mark_unchanged();
            // Calls up to here were for an earlier advertisement, and so was what filled the last place.
            self.called.notified().now_or_never();
            self.filled.notified().now_or_never();
            let is_open = self.places.available_permits() > 0;
            let standing = *standings.borrow_and_update();
            let advert = self.shared.beacon.write(self.shared.id, standing, is_open, &address);
            let data = if is_open {
                Advertisement::ConnectableScannableUndirected { adv_data: &advert, scan_data: &[] }
            } else {
                // Whoever is cut off from here is to be known of by others who might make room, and to know of this one.
                Advertisement::NonconnectableNonscannableUndirected { adv_data: &advert }
            };
            let advertiser = in_time(async { Ok(peripheral.advertise(&params, data).await?) }).await?;
            if !is_open {
                tokio::select! {
                    _ = self.places.acquire() => {}
                    _ = asked.changed() => {}
                    _ = standings.changed() => {}
                }
                continue;
            }
            let connection = tokio::select! {
                biased;
                accepted = advertiser.accept() => accepted?,
                _ = asked.changed() => continue,
                _ = standings.changed() => continue,
                () = self.filled.notified() => continue,
                // Whoever connects and hangs up at once is never accepted, and nobody is advertising any more.
                () = self.called_and_gone() => continue,
            };
            // A dial may have taken the last place meanwhile.
            let Some(place) = self.place() else {
                add(&self.shared.counting.accepts_failed, 1);
                connection.disconnect();
                continue;
            };
            let link = link::accepted(self, connection, place);
            // There is room for as many as there can be.
            let _ = hand_over.send(Box::pin(link)).await;
        }
    }

    async fn called_and_gone(&self) {
        self.called.notified().await;
        sleep(ACCEPTED_WITHIN).await;
    }

    async fn listen_and_dial<'l>(
        &'l self,
        requests: &mut mpsc::Receiver<Dial>,
        mut asked: watch::Receiver<()>,
        hand_over: mpsc::Sender<Link<'l>>,
    ) -> Result<(), SessionError> {
        let mut central = self.stack.central();
        let mut paces = self.shared.pace.clone();
        loop {
            let address = self.address.read().await;
            asked.mark_unchanged();
            let (config, anew_after) = listening(*paces.borrow_and_update());
            let mut scanner = Scanner::new(&mut central);
            let listening = in_time(async { Ok(scanner.scan(&config).await?) }).await?;
            let dial = tokio::select! {
                dial = requests.recv() => match dial {
                    Some(dial) => Some(dial),
                    None => return Ok(()),
                },
                _ = asked.changed() => None,
                _ = paces.changed() => None,
                () = sleep(anew_after) => None,
            };
            in_time(async {
                listening.stop().await;
                Ok(())
            })
            .await?;
            if let Some(dial) = dial {
                self.dial(dial, &mut central, &hand_over).await?;
            }
            drop(address);
        }
    }

    async fn dial<'l>(
        &'l self,
        dial: Dial,
        central: &mut Central<'l, Controller, Pool>,
        hand_over: &mpsc::Sender<Link<'l>>,
    ) -> Result<(), SessionError> {
        let refuse = |dial: Dial, error| {
            add(&self.shared.counting.dials_failed, 1);
            // Whoever asked may have given up.
            let _ = dial.reply.send(Err(error));
            Ok(())
        };
        if dial.reply.is_closed() {
            return Ok(());
        }
        let Some(address) = self.shared.seen.borrow().address(dial.id, Instant::now()) else {
            return refuse(dial, DialError::NotSeen);
        };
        let Some(place) = self.place() else {
            return refuse(dial, DialError::Busy);
        };
        let peer = [HostAddress::random(address)];
        let config = ConnectConfig {
            scan_config: ScanConfig {
                filter_accept_list: &peer,
                interval: embassy_time::Duration::from_millis(60),
                window: embassy_time::Duration::from_millis(60),
                ..Default::default()
            },
            connect_params: RequestedConnParams {
                min_connection_interval: embassy_time::Duration::from_millis(30),
                max_connection_interval: embassy_time::Duration::from_millis(60),
                max_latency: 4,
                supervision_timeout: embassy_time::Duration::from_secs(5),
                ..Default::default()
            },
        };
        match timeout(CONNECT_TIMEOUT, central.connect(&config)).await {
            Ok(Ok(connection)) => {
                let link = link::dialled(self, connection, place, dial.reply);
                // There is room for as many as there can be.
                let _ = hand_over.send(Box::pin(link)).await;
                Ok(())
            }
            Ok(Err(BleHostError::Controller(error))) => Err(error.into()),
            Ok(Err(BleHostError::BleHost(error))) => refuse(dial, DialError::Refused(format!("{error:?}"))),
            Err(_) => {
                self.shared.seen.borrow_mut().forget(dial.id);
                refuse(dial, DialError::NoAnswer)
            }
        }
    }

    /// Takes another address from time to time: it may change only while nobody uses it.
    async fn change_address(&self, give_way: watch::Sender<()>) -> Result<Infallible, SessionError> {
        loop {
            sleep(self.shared.address_for).await;
            let fresh = fresh_address()?;
            give_way.send_replace(());
            let mut address = timeout(CONNECT_TIMEOUT + ADAPTER_TIMEOUT, self.address.write())
                .await
                .map_err(|_| SessionError::Silent)?;
            // Advertising and listening were told to end, and end before a command that comes later.
            in_time(async { Ok(self.stack.command(LeSetRandomAddr::new(BdAddr::new(fresh))).await?) })
                .await?;
            *address = fresh;
        }
    }

    /// A fault of the host, where a test asks for one.
    async fn fault(&self) -> Infallible {
        #[cfg(feature = "testing")]
        {
            self.shared.fault.notified().await;
            std::panic::panic_any("a test asked for it");
        }
        #[cfg(not(feature = "testing"))]
        std::future::pending().await
    }

    /// Asks the adapter whether it is still there. A dial that was given up may come to a connection all the same; nobody
    /// takes it here, and the other end hangs up when no channel is opened.
    async fn look_after(&self) -> Result<Infallible, SessionError> {
        loop {
            sleep(ADAPTER_ASKED_EVERY).await;
            in_time(async { Ok(self.stack.command(ReadBdAddr::new()).await?) }).await?;
        }
    }
}

/// How to listen, and after how long to tell of those again who are still there.
fn listening(pace: Pace) -> (ScanConfig<'static>, Duration) {
    let (every_ms, window_ms, anew_after) = match pace {
        Pace::Seeking => (100, 50, Duration::from_secs(5)),
        Pace::Settled => (1_000, 30, Duration::from_secs(60)),
    };
    let config = ScanConfig {
        active: false,
        interval: embassy_time::Duration::from_millis(every_ms),
        window: embassy_time::Duration::from_millis(window_ms),
        filter_duplicates: bt_hci::param::FilterDuplicates::Enabled,
        ..Default::default()
    };
    (config, anew_after)
}

/// What the adapter is told, it does in time, or it is as good as gone.
async fn in_time<T>(doing: impl Future<Output = Result<T, SessionError>>) -> Result<T, SessionError> {
    timeout(ADAPTER_TIMEOUT, doing).await.unwrap_or(Err(SessionError::Silent))
}
