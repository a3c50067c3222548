//! One link: a connection, the one channel on it, and the bytes between that and its user.

use std::{pin::pin, time::Duration};

use futures::{FutureExt, future::FusedFuture};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split},
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{interval, sleep, timeout},
};
use trouble_host::{
    BleHostError, Error as HostError,
    prelude::{
        Connection, ConnectionEvent, CreditFlowPolicy, L2capChannel, L2capChannelConfig, L2capChannelReader,
        L2capChannelWriter,
    },
};

use super::{
    counters::add,
    hci::HciError,
    host::{BleEvent, DialError},
    pool::Pool,
    session::{Host, SPSM, Session},
    stream::BleStream,
    window::{Broken, UNITS_MAX, Unit, Window},
};

/// A connection whose channel is not open after this is dropped.
const CHANNEL_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to look whether a channel is open.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An end that refuses a channel is asked again after this, then twice this, and so on up to that.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(25);
const ASK_AGAIN_UNTIL: Duration = Duration::from_secs(2);

/// An end that takes nothing for so long is gone, or does not mean well.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the other end has to take the rest and hang up after it was told of the end.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// Frames that the other end may send without being told that there is room again. More than the window lets it, and less
/// than the host has room for: what holds up a sender is the window.
const CREDITS: u16 = 60;

/// Frames after which it is told.
const CREDITS_EVERY: u16 = 30;

/// What a unit holds at most: with its length, one frame in one packet of the air, with data length extension.
const UNIT_BYTES_MAX: usize = 245;

/// The least that channels may agree on.
const UNIT_BYTES_MIN: u16 = 23;

fn channel_config() -> L2capChannelConfig {
    L2capChannelConfig {
        mtu: None,
        mps: None,
        flow_policy: CreditFlowPolicy::Every(CREDITS_EVERY),
        initial_credits: Some(CREDITS),
    }
}

/// Why a link ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    ByUser,
    ByPeer,
    Disconnected,
    Stalled,
    Broken,
}

/// Somebody connected to this device.
pub(crate) async fn accepted(
    session: &Session<'_, '_>,
    connection: Connection<'_, Pool>,
    _place: OwnedSemaphorePermit,
) {
    let counting = &session.shared.counting;
    let listener = L2capChannel::listen(session.stack, &connection);
    let config = channel_config();
    let channel = tokio::select! {
        () = disconnected(session.stack, &connection) => None,
        opened = timeout(CHANNEL_TIMEOUT, looked_after(listener.accept(&config))) => opened.ok().and_then(Result::ok),
    };
    drop(listener);
    let Some(channel) = channel.filter(fits) else {
        add(&counting.accepts_failed, 1);
        return;
    };
    let (stream, bytes) = BleStream::new(address_of(&connection));
    if session.shared.events.try_send(BleEvent::Incoming(stream)).is_err() {
        add(&counting.accepts_failed, 1);
        return;
    }
    add(&counting.accepted, 1);
    serve(session, &connection, channel, bytes).await;
}

/// This device connected to somebody.
pub(crate) async fn dialled(
    session: &Session<'_, '_>,
    connection: Connection<'_, Pool>,
    _place: OwnedSemaphorePermit,
    reply: oneshot::Sender<Result<BleStream, DialError>>,
) {
    let counting = &session.shared.counting;
    let opened = tokio::select! {
        () = disconnected(session.stack, &connection) => Err(DialError::NoAnswer),
        opened = timeout(CHANNEL_TIMEOUT, looked_after(open(session, &connection))) => {
            opened.unwrap_or(Err(DialError::NoAnswer))
        }
    };
    let opened = opened.and_then(|channel| {
        if fits(&channel) { Ok(channel) } else { Err(DialError::Refused("its units are too small".into())) }
    });
    let (stream, bytes) = BleStream::new(address_of(&connection));
    let channel = match opened {
        Ok(channel) => channel,
        Err(error) => {
            add(&counting.dials_failed, 1);
            // Whoever asked may have given up.
            let _ = reply.send(Err(error));
            return;
        }
    };
    if reply.send(Ok(stream)).is_ok() {
        add(&counting.dialled, 1);
        serve(session, &connection, channel, bytes).await;
    }
}

/// Opens the channel. The other end is asked as soon as there is a connection, and may not be listening on it yet: then
/// it says no, and is asked again a few times.
async fn open<'l>(
    session: &'l Session<'_, '_>,
    connection: &Connection<'_, Pool>,
) -> Result<L2capChannel<'l, Pool>, DialError> {
    let config = channel_config();
    let mut wait = ASK_AGAIN_AFTER;
    loop {
        match L2capChannel::create(session.stack, connection, SPSM, &config).await {
            Ok(channel) => return Ok(channel),
            Err(BleHostError::BleHost(HostError::L2capConnectError(_))) if wait < ASK_AGAIN_UNTIL => {
                sleep(wait).await;
                wait *= 2;
            }
            Err(error) => return Err(DialError::Refused(format!("{error:?}"))),
        }
    }
}

/// Waits for a channel. The host wakes one of those who wait for channels on different connections, and not always the
/// right one, so each looks again by itself.
async fn looked_after<T>(opening: impl Future<Output = T>) -> T {
    let mut opening = pin!(opening);
    let mut look = interval(LOOK_EVERY);
    loop {
        tokio::select! {
            opened = &mut opening => return opened,
            _ = look.tick() => {}
        }
    }
}

fn address_of(connection: &Connection<'_, Pool>) -> [u8; 6] {
    let mut address = [0; 6];
    address.copy_from_slice(connection.peer_address().addr.raw());
    address
}

/// Whether the other end agreed to units of a sensible size; the host divides by what it said.
fn fits(channel: &L2capChannel<'_, Pool>) -> bool {
    channel.peer_mps() >= UNIT_BYTES_MIN && channel.peer_mtu() >= UNIT_BYTES_MIN
}

/// Returns when the connection is gone, and sees to what the other end asks about it meanwhile.
async fn disconnected(stack: &Host<'_>, connection: &Connection<'_, Pool>) {
    loop {
        match connection.next().await {
            ConnectionEvent::Disconnected { .. } => return,
            // How often to talk is up to whoever dialled.
            ConnectionEvent::RequestConnectionParams(request) => {
                let _ = request.reject(stack).await;
            }
            _ => {}
        }
    }
}

/// Carries bytes until either end is done.
async fn serve(
    session: &Session<'_, '_>,
    connection: &Connection<'_, Pool>,
    channel: L2capChannel<'_, Pool>,
    bytes: DuplexStream,
) {
    let counting = &session.shared.counting;
    add(&counting.links, 1);
    // An adapter that cannot make longer packets says so, and does without.
    let _ = connection.update_data_length(session.stack, 251, 2_120).await;
    let (mut writer, mut reader) = channel.split();
    let (from_user, to_user) = split(bytes);
    let window = Window::default();
    let (units, waiting) = mpsc::channel(usize::from(UNITS_MAX));
    let mut delivering = pin!(deliver(&window, waiting, to_user).fuse());
    let ended = {
        let mut gone = pin!(disconnected(session.stack, connection));
        let mut sending = pin!(send(session.stack, &mut writer, &window, from_user));
        let mut receiving = pin!(receive(session.stack, &mut reader, &window, units));
        loop {
            tokio::select! {
                () = &mut gone => break Ended::Disconnected,
                ended = &mut sending => break ended,
                ended = &mut receiving => break ended,
                () = &mut delivering, if !delivering.is_terminated() => {}
            }
        }
    };
    if ended != Ended::ByUser {
        // What came in before the end is still the user's.
        let _ = timeout(GOODBYE_TIMEOUT, async {
            if !delivering.is_terminated() {
                delivering.await;
            }
        })
        .await;
    }
    match ended {
        Ended::ByUser => {
            let last = [window.end()];
            let goodbye = async {
                writer.send(session.stack, &last).await.ok();
                disconnected(session.stack, connection).await;
            };
            // The other end hangs up when it has taken the rest.
            let _ = timeout(GOODBYE_TIMEOUT, goodbye).await;
        }
        Ended::Stalled => add(&counting.stalled, 1),
        Ended::Broken => add(&counting.malformed, 1),
        Ended::ByPeer | Ended::Disconnected => {}
    }
    connection.disconnect();
    counting.links.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    tracing::debug!(?ended, "a Bluetooth link ended");
}

async fn send(
    stack: &Host<'_>,
    writer: &mut L2capChannelWriter<'_, Pool>,
    window: &Window,
    mut from_user: ReadHalf<DuplexStream>,
) -> Ended {
    let unit_bytes =
        usize::from(writer.peer_mtu().min(writer.peer_mps().saturating_sub(2))).min(UNIT_BYTES_MAX);
    // A channel that has ended in between has no sizes any more, and a peer may state one in which nothing fits.
    match unit_bytes {
        0 => return Ended::Disconnected,
        1 => return Ended::Broken,
        _ => {}
    }
    let mut unit = [0; UNIT_BYTES_MAX];
    loop {
        let mut length = 1;
        while length == 1 && !window.must_tell() {
            if window.is_open() {
                tokio::select! {
                    () = window.changed.notified() => {}
                    read = from_user.read(&mut unit[1..unit_bytes]) => match read {
                        Ok(0) | Err(_) => return Ended::ByUser,
                        Ok(read) => length += read,
                    },
                }
            } else if timeout(STALL_TIMEOUT, window.changed.notified()).await.is_err() {
                return Ended::Stalled;
            }
        }
        unit[0] = window.send(length > 1);
        match timeout(STALL_TIMEOUT, writer.send(stack, &unit[..length])).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return ended_by(&error),
            Err(_) => return Ended::Stalled,
        }
    }
}

async fn receive(
    stack: &Host<'_>,
    reader: &mut L2capChannelReader<'_, Pool>,
    window: &Window,
    units: mpsc::Sender<Vec<u8>>,
) -> Ended {
    let mut unit = [0; 512];
    loop {
        let length = match reader.receive(stack, &mut unit).await {
            Ok(length) => length,
            Err(error) => return ended_by(&error),
        };
        match window.receive(&unit[..length]) {
            Ok(Unit::Nothing) => {}
            Ok(Unit::End) => return Ended::ByPeer,
            // There is room for all that the window lets in.
            Ok(Unit::Bytes) => match units.try_send(unit[1..length].to_vec()) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return Ended::ByUser,
                Err(mpsc::error::TrySendError::Full(_)) => return Ended::Broken,
            },
            Err(Broken) => return Ended::Broken,
        }
    }
}

/// Gives the user what came in, until there is no more or the user is gone.
async fn deliver(
    window: &Window,
    mut waiting: mpsc::Receiver<Vec<u8>>,
    mut to_user: WriteHalf<DuplexStream>,
) {
    while let Some(unit) = waiting.recv().await {
        if to_user.write_all(&unit).await.is_err() {
            return;
        }
        window.take();
    }
}

fn ended_by(error: &BleHostError<HciError>) -> Ended {
    match error {
        BleHostError::BleHost(HostError::ChannelClosed) => Ended::ByPeer,
        error => {
            tracing::debug!(?error, "a Bluetooth link broke");
            Ended::Disconnected
        }
    }
}
