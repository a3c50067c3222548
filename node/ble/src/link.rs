//! One link: a connection, the one channel on it, and the bytes between that and its user.

use std::{cell::RefCell, collections::HashSet, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split},
    sync::{OwnedSemaphorePermit, oneshot},
    time::{sleep, timeout},
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
    session::{Host, Pool, SPSM, Session},
    stream::BleStream,
};

/// A connection whose channel is not open after this is dropped.
const CHANNEL_TIMEOUT: Duration = Duration::from_secs(5);

/// An end that refuses a channel is asked again after this, then twice this, and so on up to that.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(25);
const ASK_AGAIN_UNTIL: Duration = Duration::from_secs(2);

/// An end that takes nothing for so long is gone, or does not mean well.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the other end has to hang up after the channel was closed.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Frames that the other end may send without being told that there is room again. What waits of all links is less than
/// the host has packets: 7 × 12 of 128.
const CREDITS: u16 = 12;

/// Frames after which it is told.
const CREDITS_EVERY: u16 = 6;

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
}

/// Somebody connected to this device.
pub(crate) async fn accepted(
    session: &Session<'_, '_>,
    connection: Connection<'_, Pool>,
    _place: OwnedSemaphorePermit,
) {
    let _live = Live::new(&session.live, &connection);
    let counting = &session.shared.counting;
    let listener = L2capChannel::listen(session.stack, &connection);
    let config = channel_config();
    let channel = tokio::select! {
        () = disconnected(session.stack, &connection) => None,
        opened = timeout(CHANNEL_TIMEOUT, listener.accept(&config)) => opened.ok().and_then(Result::ok),
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
    let _live = Live::new(&session.live, &connection);
    let counting = &session.shared.counting;
    let opened = tokio::select! {
        () = disconnected(session.stack, &connection) => Err(DialError::NoAnswer),
        opened = timeout(CHANNEL_TIMEOUT, open(session, &connection)) => {
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

/// The connection counts as owned for as long as this is kept.
struct Live<'a>(&'a RefCell<HashSet<u16>>, u16);

impl<'a> Live<'a> {
    fn new(live: &'a RefCell<HashSet<u16>>, connection: &Connection<'_, Pool>) -> Self {
        let handle = connection.handle().raw();
        live.borrow_mut().insert(handle);
        Self(live, handle)
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().remove(&self.1);
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
    let ended = tokio::select! {
        () = disconnected(session.stack, connection) => Ended::Disconnected,
        ended = send(session.stack, &mut writer, from_user) => ended,
        ended = receive(session.stack, &mut reader, to_user) => ended,
    };
    match ended {
        Ended::ByUser => {
            writer.disconnect();
            // The other end hangs up when it has read to the end.
            let _ = timeout(GOODBYE_TIMEOUT, disconnected(session.stack, connection)).await;
        }
        Ended::Stalled => add(&counting.stalled, 1),
        Ended::ByPeer | Ended::Disconnected => {}
    }
    connection.disconnect();
    counting.links.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    tracing::debug!(?ended, "a Bluetooth link ended");
}

async fn send(
    stack: &Host<'_>,
    writer: &mut L2capChannelWriter<'_, Pool>,
    mut from_user: ReadHalf<DuplexStream>,
) -> Ended {
    let unit_bytes =
        usize::from(writer.peer_mtu().min(writer.peer_mps().saturating_sub(2))).min(UNIT_BYTES_MAX);
    let mut unit = [0; UNIT_BYTES_MAX];
    loop {
        let length = match from_user.read(&mut unit[..unit_bytes]).await {
            Ok(0) | Err(_) => return Ended::ByUser,
            Ok(length) => length,
        };
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
    mut to_user: WriteHalf<DuplexStream>,
) -> Ended {
    let mut unit = [0; 512];
    loop {
        // The other end gets credits back only as the user takes what it sent.
        match reader.receive(stack, &mut unit).await {
            Ok(length) => {
                if to_user.write_all(&unit[..length]).await.is_err() {
                    return Ended::ByUser;
                }
            }
            Err(error) => return ended_by(&error),
        }
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
