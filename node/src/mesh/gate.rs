//! The gate: the first stream of a fresh connection, before the swarm gets to see the connection at all.
//!
//! The dialler proves that it is a device of the event, by a key that those alone have; until it has, the listener says
//! nothing, and whoever does not gets one and the same byte, for whatever reason. The listener proves the same. Only then
//! the dialler shows its certificate, the listener judges it and shows its own, and the dialler judges that. A connection
//! that does not pass never reaches a behaviour, so a stranger can neither open a protocol stream nor subscribe to
//! anything; what it says is in [`hello`], what it would have to know in [`proof`].
//!
//! The gate is also where a pair of devices settles for one connection over each medium: the end with the lower key decides which one, so
//! the two can never decide differently, and the behaviours never see a second connection to a peer.

pub mod hello;
mod outcome;
mod proof;

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

pub(crate) use self::{
    hello::Boot,
    outcome::{GateError, NotPassed},
};
use self::{
    hello::{Hello, PROOFS_BYTES, Said},
    proof::Ends,
};
use super::{
    Admit, DeviceKey, Membership, Unfit,
    admission::{Entry, EntryRequest, GateNote},
    closing::ClosesInTime,
    identity::device_of,
    lobby::Lobby,
    medium::{Medium, medium_of},
    outbox::Outboxes,
};

/// The whole handshake, including closing an older connection first, has this long: over the network, and over the radio.
const GATE_TIMEOUT: Duration = Duration::from_secs(5);
const GATE_TIMEOUT_BLE: Duration = Duration::from_secs(15);

/// Of that, whoever calls may take this long to show that it is a device of the event.
const PROOF_TIMEOUT: Duration = Duration::from_secs(3);
const PROOF_TIMEOUT_BLE: Duration = Duration::from_secs(8);

/// How long to wait for the other end to read a verdict and go.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What is read of it meanwhile, to be thrown away: as much as a stranger may have sent before it could know better.
const FAREWELL_BYTES_MAX: usize = 256 * 1024;

/// What each handshake needs of its device.
pub(crate) struct Gate {
    pub(crate) me: DeviceKey,
    pub(crate) event: [u8; 32],
    pub(crate) membership: Membership,
    pub(crate) boot: Boot,
    pub(crate) certificate: RwLock<Vec<u8>>,
    pub(crate) admit: Admit,
    pub(crate) outboxes: Arc<Outboxes>,
    pub(crate) desk: mpsc::Sender<GateNote>,
    /// Where those wait that came in, until they have shown what they are.
    pub(crate) lobby: Arc<Lobby>,
    /// Whether any connection may become a link.
    pub(crate) links_on: AtomicBool,
}

/// The other end of a talk.
#[derive(Debug, Clone, Copy)]
struct Other {
    device: DeviceKey,
    medium: Medium,
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
        let proven = AtomicBool::new(false);
        let outcome = timeout(time, self.check(peer, &mut muxer, &point, &proven))
            .await
            .unwrap_or(Err(GateError::Timeout));
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
                    reason: error.reason(point.is_dialer(), proven.load(Ordering::Acquire)),
                });
                let _ = timeout(FAREWELL_TIMEOUT, muxer.close()).await;
                Err(error)
            }
        }
    }

    /// Whether there may be a link to whom the handshake has authenticated, as far as this device alone can tell.
    fn may(&self, peer: PeerId, point: &ConnectedPoint) -> Result<Other, GateError> {
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
        Ok(Other { device, medium: medium_of(point) })
    }

    async fn check(
        &self,
        peer: PeerId,
        muxer: &mut StreamMuxerBox,
        point: &ConnectedPoint,
        proven: &AtomicBool,
    ) -> Result<Entry, GateError> {
        let other = self.may(peer, point);
        let dials = point.is_dialer();
        // Whoever called learns of none of these: it is refused where everybody is.
        if dials && let Err(error) = other {
            return Err(error);
        }
        let stream = poll_fn(|cx| {
            progress(muxer, cx)?;
            if dials { muxer.poll_outbound_unpin(cx) } else { muxer.poll_inbound_unpin(cx) }
        })
        .await?;
        let talk = async {
            match other {
                Ok(other) if dials => self.call(stream, other, proven).await,
                other => self.answer(stream, other, point, proven).await,
            }
        };
        let mut talk = pin!(talk);
        poll_fn(|cx| {
            // What the other end said before it hung up is still to be read, so the talk goes first.
            match talk.as_mut().poll(cx) {
                Poll::Pending => match attend(muxer, proven, cx) {
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

    /// The dialler's part.
    async fn call(
        &self,
        mut stream: SubstreamBox,
        other: Other,
        proven: &AtomicBool,
    ) -> Result<Entry, GateError> {
        let Other { device, medium } = other;
        let ends = Ends { event: self.event, dialler: self.me, listener: device, medium };
        let keys = self.membership.keys();
        let proofs = ends.proofs(&keys).map_err(io::Error::other)?;
        stream.write_all(&proofs).await?;
        stream.flush().await?;
        let is_of_the_event = match hear_if_short(&mut stream).await? {
            Some(Said::Refused) => return Err(GateError::TurnedAway(device)),
            Some(Said::Proven(answer)) => ends.is_answered(&keys, &answer),
            _ => false,
        };
        if !is_of_the_event {
            return Err(GateError::Stranger);
        }
        proven.store(true, Ordering::Release);
        say(&mut stream, &Said::Hello(self.hello(other))).await?;
        let Said::Welcome(hello) = hear(&mut stream, device).await? else {
            return Err(hello::Malformed.into());
        };
        self.judge(&mut stream, device, &hello).await?;
        let entry = if self.me < device {
            let entry = self.enter_or_say_why_not(&mut stream, other, &hello).await?;
            say_last(&mut stream, &Said::Accepted).await?;
            entry
        } else {
            say_last(&mut stream, &Said::Accepted).await?;
            self.enter(other, &hello).await?
        };
        farewell(&mut stream).await;
        Ok(entry)
    }

    /// The listener's part. It says nothing to whoever has not shown that it is a device of the event, but one byte.
    async fn answer(
        &self,
        mut stream: SubstreamBox,
        other: Result<Other, GateError>,
        point: &ConnectedPoint,
        proven: &AtomicBool,
    ) -> Result<Entry, GateError> {
        let medium = medium_of(point);
        let mut proofs = [0; PROOFS_BYTES];
        let time = if medium == Medium::Ip { PROOF_TIMEOUT } else { PROOF_TIMEOUT_BLE };
        let read = timeout(time, stream.read_exact(&mut proofs)).await;
        let shown = other.and_then(|other| {
            let ends = Ends { event: self.event, dialler: other.device, listener: self.me, medium };
            let keys = self.membership.keys();
            // What was not sent is zeros, which fit nothing either; that is found out by the same work.
            let answer = ends.find(&keys, &proofs).map(|key| ends.answer(key));
            match (read, answer) {
                (Ok(Ok(())), Some(answer)) => Ok((other, answer)),
                _ => Err(GateError::Stranger),
            }
        });
        let (other, answer) = match shown {
            Ok(shown) => shown,
            Err(error) => {
                // One that has hung up is refused all the same.
                let _ = say_last(&mut stream, &Said::Refused).await;
                farewell(&mut stream).await;
                return Err(error);
            }
        };
        proven.store(true, Ordering::Release);
        self.lobby.leave(point.get_remote_address());
        say(&mut stream, &Said::Proven(answer)).await?;
        let device = other.device;
        let Said::Hello(hello) = hear(&mut stream, device).await? else {
            return Err(hello::Malformed.into());
        };
        self.judge(&mut stream, device, &hello).await?;
        let entry = if self.me < device {
            let entry = self.enter_or_say_why_not(&mut stream, other, &hello).await?;
            say_last(&mut stream, &Said::Welcome(self.hello(other))).await?;
            hear_accepted(&mut stream, device).await?;
            entry
        } else {
            say_last(&mut stream, &Said::Welcome(self.hello(other))).await?;
            hear_accepted(&mut stream, device).await?;
            self.enter(other, &hello).await?
        };
        farewell(&mut stream).await;
        Ok(entry)
    }

    fn hello(&self, to: Other) -> Hello {
        let certificate = self.certificate.read().unwrap_or_else(PoisonError::into_inner);
        Hello {
            boot: self.boot,
            linked: self.outboxes.is_open(&to.device, to.medium),
            certificate: Bytes::copy_from_slice(&certificate),
        }
    }

    /// Judges what a device of the event has shown, and tells it if it is not good. One that was retired hears no more than
    /// a stranger.
    async fn judge(
        &self,
        stream: &mut SubstreamBox,
        device: DeviceKey,
        hello: &Hello,
    ) -> Result<(), GateError> {
        let Err(unfit) = (self.admit)(&device, &hello.certificate) else { return Ok(()) };
        let verdict = match &unfit {
            Unfit::Certificate(reason) => Said::Unfit(reason.clone()),
            Unfit::Retired => Said::Refused,
        };
        // An end that hung up first is refused all the same.
        let _ = say_last(stream, &verdict).await;
        farewell(stream).await;
        Err(GateError::Refused { device, unfit })
    }

    async fn enter_or_say_why_not(
        &self,
        stream: &mut SubstreamBox,
        other: Other,
        hello: &Hello,
    ) -> Result<Entry, GateError> {
        let error = match self.enter(other, hello).await {
            Ok(entry) => return Ok(entry),
            Err(error) => error,
        };
        let verdict = if matches!(error, GateError::Duplicate) { Said::Duplicate } else { Said::Busy };
        say_last(stream, &verdict).await?;
        farewell(stream).await;
        Err(error)
    }

    async fn enter(&self, other: Other, hello: &Hello) -> Result<Entry, GateError> {
        let Other { device, medium } = other;
        let certificate = hello.certificate.clone();
        let (request, reply) =
            EntryRequest::new(device, medium, hello.boot, certificate, hello.linked, self.me < device);
        self.desk.send(GateNote::Enter(request)).await.map_err(|_| GateError::Stopping)?;
        Ok(reply.await.map_err(|_| GateError::Stopping)??)
    }
}

/// A muxer must be polled all the time, whoever else uses it.
fn progress(muxer: &mut StreamMuxerBox, cx: &mut Context<'_>) -> io::Result<()> {
    while let Poll::Ready(event) = muxer.poll_unpin(cx) {
        event?;
    }
    Ok(())
}

/// The same; and while the other end may be a stranger, whatever else it opens is dropped, with what it sent there.
fn attend(muxer: &mut StreamMuxerBox, proven: &AtomicBool, cx: &mut Context<'_>) -> io::Result<()> {
    progress(muxer, cx)?;
    while !proven.load(Ordering::Acquire) {
        match muxer.poll_inbound_unpin(cx) {
            Poll::Ready(stream) => drop(stream?),
            Poll::Pending => break,
        }
    }
    Ok(())
}

fn names_another(address: &Multiaddr, peer: &PeerId) -> bool {
    matches!(address.iter().last(), Some(Protocol::P2p(named)) if named != *peer)
}

async fn say(stream: &mut SubstreamBox, said: &Said) -> io::Result<()> {
    stream.write_all(&said.encode()).await?;
    stream.flush().await
}

async fn say_last(stream: &mut SubstreamBox, said: &Said) -> io::Result<()> {
    stream.write_all(&said.encode()).await?;
    stream.close().await
}

/// Reads what is said next, if it is no longer than that.
async fn hear_up_to(stream: &mut SubstreamBox, most: usize) -> Result<Said, GateError> {
    let mut bytes = Vec::new();
    loop {
        let (known, wanted) = (bytes.len(), Said::wanted(&bytes)?);
        if wanted > most {
            return Err(hello::Malformed.into());
        }
        if wanted == known {
            return Ok(Said::decode(&bytes)?);
        }
        bytes.resize(wanted, 0);
        stream.read_exact(&mut bytes[known..]).await?;
    }
}

/// What somebody says who may be a stranger, if it can be the answer to proofs.
async fn hear_if_short(stream: &mut SubstreamBox) -> Result<Option<Said>, GateError> {
    match hear_up_to(stream, hello::ANSWER_BYTES_MAX).await {
        Ok(said) => Ok(Some(said)),
        Err(GateError::Protocol(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a device of the event says next, unless it is that there will be no link.
async fn hear(stream: &mut SubstreamBox, device: DeviceKey) -> Result<Said, GateError> {
    match hear_up_to(stream, hello::SAID_BYTES_MAX).await? {
        Said::Refused => Err(GateError::RefusedByPeer { device, reason: None }),
        Said::Unfit(reason) => {
            // The other end's words go to logs and screens here.
            let reason = reason.chars().filter(|letter| !letter.is_control()).collect();
            Err(GateError::RefusedByPeer { device, reason: Some(reason) })
        }
        Said::Duplicate => Err(GateError::Duplicate),
        Said::Busy => Err(GateError::Busy),
        said => Ok(said),
    }
}

async fn hear_accepted(stream: &mut SubstreamBox, device: DeviceKey) -> Result<(), GateError> {
    match hear(stream, device).await? {
        Said::Accepted => Ok(()),
        _ => Err(hello::Malformed.into()),
    }
}

/// Waits until the other end has hung up this stream too: a connection closed earlier may swallow the verdict.
async fn farewell(stream: &mut SubstreamBox) {
    let _ = timeout(FAREWELL_TIMEOUT, async {
        let mut rest = [0; 1024];
        let mut budget = FAREWELL_BYTES_MAX;
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
