//! The certificate gate: the first stream of a fresh connection, before the swarm gets to see the connection at all.
//!
//! Both ends show their certificate, judge the other's and tell each other the verdict. A connection that does not pass
//! never reaches a behaviour, so a stranger can neither open a protocol stream nor subscribe to anything.
//!
//! The gate is also where a pair of devices settles for one connection over each medium: the end with the lower key decides which one, so
//! the two can never decide differently, and the behaviours never see a second connection to a peer.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{
    Multiaddr, PeerId,
    core::{
        ConnectedPoint,
        muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox},
    },
    multiaddr::Protocol,
};
use tokio::{sync::mpsc, time::timeout};

use super::{
    Admit, DeviceKey,
    admission::{Entry, EntryRequest, GateNote, Turned},
    closing::ClosesInTime,
    identity::{device_of, short},
    medium::{Medium, medium_of},
    outbox::Outboxes,
};

/// Certificates larger than this are neither shown nor read.
pub(crate) const CERTIFICATE_BYTES_MAX: usize = 4 * 1024;

/// A refusal in words is cut to this.
const REASON_BYTES_MAX: usize = 200;

/// The whole handshake, including closing an older connection first, has this long: over the network, and over the radio.
const GATE_TIMEOUT: Duration = Duration::from_secs(5);
const GATE_TIMEOUT_BLE: Duration = Duration::from_secs(15);

/// How long to wait for the other end to read a verdict and go.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

const MAGIC: [u8; 8] = *b"popmesh\x01";
const HELLO_HEAD_BYTES: usize = 8 + 32 + 16 + 1 + 2;

const WELCOME: u8 = 0;
const REFUSED: u8 = 1;
const DUPLICATE: u8 = 2;
const BUSY: u8 = 3;

/// Identifies one run of a process, so that a peer can tell a restarted device from the one it still has a link to.
pub(crate) type Boot = [u8; 16];

/// Why a connection did not pass the gate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    /// The other end is this device itself.
    #[error("the other end is this device itself")]
    Myself,
    /// Another device answers at the dialled address.
    #[error("device {} answers there", short(.0))]
    Another(DeviceKey),
    /// The other end's key is not of the only kind that devices have.
    #[error("the other end has no Ed25519 key")]
    ForeignKey,
    /// The other end speaks another protocol or another version of this one.
    #[error("the other end does not speak this version of popmesh")]
    Protocol,
    /// This device refused the other's certificate.
    #[error("certificate of {} refused: {reason}", short(.device))]
    Refused { device: DeviceKey, reason: String },
    /// The other end refused this device's certificate.
    #[error("{} refused this device: {reason}", short(.device))]
    RefusedByPeer { device: DeviceKey, reason: String },
    /// There is a link already.
    #[error("there is a link already")]
    Duplicate,
    /// One end has as many links as it can take.
    #[error("one end has as many links as it can take")]
    Busy,
    /// The handshake took too long.
    #[error("the handshake took too long")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// Links are switched off.
    #[error("links are switched off on this device")]
    LinksOff,
    /// The mesh is stopping.
    #[error("the mesh is stopping")]
    Stopping,
}

impl From<Turned> for GateError {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::Duplicate => Self::Duplicate,
            Turned::Busy => Self::Busy,
        }
    }
}

/// What each handshake needs of its device.
pub(crate) struct Gate {
    pub(crate) me: DeviceKey,
    pub(crate) event: [u8; 32],
    pub(crate) boot: Boot,
    pub(crate) certificate: RwLock<Vec<u8>>,
    pub(crate) admit: Admit,
    pub(crate) outboxes: Arc<Outboxes>,
    pub(crate) desk: mpsc::Sender<GateNote>,
    /// Whether any connection may become a link.
    pub(crate) links_on: AtomicBool,
}

struct Hello {
    event: [u8; 32],
    boot: Boot,
    linked: bool,
    certificate: Bytes,
}

impl Gate {
    /// Takes a fresh connection through the gate.
    pub(crate) async fn pass(
        self: Arc<Self>,
        peer: PeerId,
        mut muxer: StreamMuxerBox,
        point: ConnectedPoint,
    ) -> Result<(PeerId, StreamMuxerBox), GateError> {
        let time = if medium_of(&point) == Medium::Ip { GATE_TIMEOUT } else { GATE_TIMEOUT_BLE };
        let outcome =
            timeout(time, self.check(peer, &mut muxer, &point)).await.unwrap_or(Err(GateError::Timeout));
        match outcome {
            Ok(entry) => {
                entry.passed();
                Ok((peer, StreamMuxerBox::new(ClosesInTime::new(muxer))))
            }
            Err(error) => {
                // The note is for the operator's eyes; if nobody has room for it, the refusal stands all the same.
                let _ = self.desk.try_send(GateNote::NotPassed {
                    device: device_of(&peer),
                    address: point.get_remote_address().clone(),
                    dialled: point.is_dialer(),
                    reason: error.reason(),
                });
                let _ = timeout(FAREWELL_TIMEOUT, muxer.close()).await;
                Err(error)
            }
        }
    }

    async fn check(
        &self,
        peer: PeerId,
        muxer: &mut StreamMuxerBox,
        point: &ConnectedPoint,
    ) -> Result<Entry, GateError> {
        if !self.links_on.load(Ordering::Acquire) {
            return Err(GateError::LinksOff);
        }
        let device = device_of(&peer).ok_or(GateError::ForeignKey)?;
        if device == self.me {
            return Err(GateError::Myself);
        }
        if point.is_dialer() && names_another(point.get_remote_address(), &peer) {
            return Err(GateError::Another(device));
        }
        let stream = poll_fn(|cx| {
            progress(muxer, cx)?;
            if point.is_dialer() { muxer.poll_outbound_unpin(cx) } else { muxer.poll_inbound_unpin(cx) }
        })
        .await?;
        let mut talk = pin!(self.talk(stream, device, medium_of(point)));
        poll_fn(|cx| {
            // What the other end said before it hung up is still to be read, so the talk goes first.
            match talk.as_mut().poll(cx) {
                Poll::Pending => match progress(muxer, cx) {
                    Ok(()) => Poll::Pending,
                    // The end of the connection ends whatever the talk waits for, and a verdict that it has reached
                    // says more than that the other end has gone.
                    Err(error) => match talk.as_mut().poll(cx) {
                        Poll::Pending => Poll::Ready(Err(error.into())),
                        ready => ready,
                    },
                },
                ready => ready,
            }
        })
        .await
    }

    async fn talk(
        &self,
        mut stream: SubstreamBox,
        device: DeviceKey,
        medium: Medium,
    ) -> Result<Entry, GateError> {
        stream.write_all(&self.hello(&device, medium)).await?;
        stream.flush().await?;
        let hello = read_hello(&mut stream).await?;
        if let Err(reason) = self.judge(&device, &hello) {
            // An end that hung up first is refused all the same.
            let _ = say(&mut stream, REFUSED, &reason).await;
            farewell(&mut stream).await;
            return Err(GateError::Refused { device, reason });
        }
        let entry = if self.me < device {
            match self.enter(device, medium, &hello).await {
                Ok(entry) => {
                    say(&mut stream, WELCOME, "").await?;
                    hear(&mut stream, device).await?;
                    entry
                }
                Err(error) => {
                    let verdict = if matches!(error, GateError::Duplicate) { DUPLICATE } else { BUSY };
                    say(&mut stream, verdict, "").await?;
                    // The other end's verdict comes first: that it refuses this device is the more useful news.
                    hear(&mut stream, device).await?;
                    farewell(&mut stream).await;
                    return Err(error);
                }
            }
        } else {
            say(&mut stream, WELCOME, "").await?;
            hear(&mut stream, device).await?;
            self.enter(device, medium, &hello).await?
        };
        farewell(&mut stream).await;
        Ok(entry)
    }

    fn hello(&self, to: &DeviceKey, medium: Medium) -> Vec<u8> {
        let certificate = self.certificate.read().unwrap_or_else(PoisonError::into_inner);
        let mut hello = Vec::with_capacity(HELLO_HEAD_BYTES + certificate.len());
        hello.extend_from_slice(&MAGIC);
        hello.extend_from_slice(&self.event);
        hello.extend_from_slice(&self.boot);
        hello.push(u8::from(self.outboxes.is_open(to, medium)));
        let length = certificate.len().min(CERTIFICATE_BYTES_MAX);
        hello.extend_from_slice(&(length as u16).to_be_bytes());
        hello.extend_from_slice(&certificate[..length]);
        hello
    }

    fn judge(&self, device: &DeviceKey, hello: &Hello) -> Result<(), String> {
        if hello.event != self.event {
            return Err("it is for another event".into());
        }
        (self.admit)(device, &hello.certificate)
    }

    async fn enter(&self, device: DeviceKey, medium: Medium, hello: &Hello) -> Result<Entry, GateError> {
        let certificate = hello.certificate.clone();
        let (request, reply) =
            EntryRequest::new(device, medium, hello.boot, certificate, hello.linked, self.me < device);
        self.desk.send(GateNote::Enter(request)).await.map_err(|_| GateError::Stopping)?;
        Ok(reply.await.map_err(|_| GateError::Stopping)??)
    }
}

impl GateError {
    fn reason(&self) -> NotPassed {
        match self {
            Self::Refused { reason, .. } => NotPassed::RefusedByUs(reason.clone()),
            Self::RefusedByPeer { reason, .. } => NotPassed::RefusedByPeer(reason.clone()),
            Self::Duplicate => NotPassed::Duplicate,
            Self::Myself => NotPassed::Myself,
            other => NotPassed::Failed(other.to_string()),
        }
    }
}

/// How a handshake ended that did not pass, for the peer book and the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotPassed {
    RefusedByUs(String),
    RefusedByPeer(String),
    Duplicate,
    Myself,
    Failed(String),
}

/// A muxer must be polled all the time, whoever else uses it.
fn progress(muxer: &mut StreamMuxerBox, cx: &mut Context<'_>) -> io::Result<()> {
    while let Poll::Ready(event) = muxer.poll_unpin(cx) {
        event?;
    }
    Ok(())
}

fn names_another(address: &Multiaddr, peer: &PeerId) -> bool {
    matches!(address.iter().last(), Some(Protocol::P2p(named)) if named != *peer)
}

async fn read_hello(stream: &mut SubstreamBox) -> Result<Hello, GateError> {
    let mut head = [0; HELLO_HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    let (magic, rest) = head.split_at(8);
    let (event, rest) = rest.split_at(32);
    let (boot, rest) = rest.split_at(16);
    let length = usize::from(u16::from_be_bytes([rest[1], rest[2]]));
    if magic != MAGIC || length > CERTIFICATE_BYTES_MAX {
        return Err(GateError::Protocol);
    }
    let mut certificate = vec![0; length];
    stream.read_exact(&mut certificate).await?;
    let fixed = |_| GateError::Protocol;
    Ok(Hello {
        event: event.try_into().map_err(fixed)?,
        boot: boot.try_into().map_err(fixed)?,
        linked: rest[0] != 0,
        certificate: certificate.into(),
    })
}

async fn say(stream: &mut SubstreamBox, verdict: u8, reason: &str) -> io::Result<()> {
    let mut length = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(length) {
        length -= 1;
    }
    let mut message = vec![verdict, length as u8];
    message.extend_from_slice(&reason.as_bytes()[..length]);
    stream.write_all(&message).await?;
    stream.close().await
}

async fn hear(stream: &mut SubstreamBox, device: DeviceKey) -> Result<(), GateError> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let mut reason = vec![0; usize::from(head[1])];
    stream.read_exact(&mut reason).await?;
    match head[0] {
        WELCOME => Ok(()),
        REFUSED => {
            // The other end's words go to logs and screens here.
            let reason =
                String::from_utf8_lossy(&reason).chars().filter(|letter| !letter.is_control()).collect();
            Err(GateError::RefusedByPeer { device, reason })
        }
        DUPLICATE => Err(GateError::Duplicate),
        BUSY => Err(GateError::Busy),
        _ => Err(GateError::Protocol),
    }
}

/// Waits until the other end has hung up this stream too: a connection closed earlier may swallow the verdict.
async fn farewell(stream: &mut SubstreamBox) {
    let _ = timeout(FAREWELL_TIMEOUT, async {
        let mut rest = [0; 64];
        let mut budget = 8 * 1024_usize;
        while let Ok(read @ 1..) = stream.read(&mut rest).await {
            budget = budget.saturating_sub(read);
            if budget == 0 {
                break;
            }
        }
    })
    .await;
}

#[cfg(test)]
mod altered;
