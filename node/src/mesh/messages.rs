//! Direct messages: one ordered stream in each direction of a link, length-prefixed. Between them go words of the mesh's own,
//! marked by a bit of the length.
//!
//! There is no acknowledgement of its own: a message is delivered as soon as it is read, and a receiver that does not take
//! what was read stops reading, which the sender feels through the stream's flow control.

use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt,
    future::BoxFuture,
    io::{AsyncRead, BufReader},
};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
        NetworkBehaviour, NotifyHandler, Stream, StreamUpgradeError, SubstreamProtocol, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

/// The largest message.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Messages that were read and not yet taken, before reading stops.
const UNTAKEN_MESSAGES_MAX: usize = 16;

/// Bytes that were read and not yet taken, before reading stops. One message more may be read than fits.
const UNTAKEN_BYTES_MAX: usize = 1 << 20;

/// Messages are written in batches of about this size, so that small ones share a flush.
const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// Messages up to this are copied to be written together.
const SMALL_BYTES_MAX: usize = 4 * 1024;

/// The bit of the length, and how long such a word may be.
const IS_WORD: u32 = 1 << 31;
const WORD_BYTES_MAX: usize = 16;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/popmesh/messages/1");

/// What the swarm's task hears of a link's messages.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message came in. It counts against the link until it is [taken](Behaviour::taken).
    Received { peer: PeerId, connection: ConnectionId, message: Bytes },
    /// A word of the mesh's own came in. It counts against the link until it is taken, like a message.
    Word { peer: PeerId, connection: ConnectionId, word: Bytes },
    /// Messages have left for the peer, or were lost with a broken stream.
    Flushed { peer: PeerId, connection: ConnectionId, messages: usize, bytes: usize, lost: bool },
    /// The peer does not take messages; the link is of no use.
    Unsupported { peer: PeerId, connection: ConnectionId },
}

#[derive(Debug)]
pub(crate) enum ToHandler {
    Send(Bytes),
    SendWord(Bytes),
    Taken { bytes: usize },
}

#[derive(Debug)]
pub(crate) enum FromHandler {
    Received(Bytes),
    Word(Bytes),
    Flushed { messages: usize, bytes: usize, lost: bool },
    Unsupported,
}

/// Direct messages as seen by the swarm. What may be in here at once is bounded by its user, through
/// [`Event::Flushed`], and by the handlers' reading limits.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    queue: VecDeque<ToSwarm<Event, ToHandler>>,
}

impl Behaviour {
    pub(crate) fn send(&mut self, peer_id: PeerId, connection: ConnectionId, message: Bytes) {
        self.notify(peer_id, connection, ToHandler::Send(message));
    }

    /// Sends a word of the mesh's own.
    pub(crate) fn send_word(&mut self, peer_id: PeerId, connection: ConnectionId, word: Bytes) {
        debug_assert!(word.len() <= WORD_BYTES_MAX, "words are short");
        self.notify(peer_id, connection, ToHandler::SendWord(word));
    }

    /// Lets a link read on, after one of its messages was handed over.
    pub(crate) fn taken(&mut self, peer_id: PeerId, connection: ConnectionId, bytes: usize) {
        self.notify(peer_id, connection, ToHandler::Taken { bytes });
    }

    fn notify(&mut self, peer_id: PeerId, connection: ConnectionId, event: ToHandler) {
        self.queue.push_back(ToSwarm::NotifyHandler {
            peer_id,
            handler: NotifyHandler::One(connection),
            event,
        });
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        let event = match event {
            FromHandler::Received(message) => Event::Received { peer, connection, message },
            FromHandler::Word(word) => Event::Word { peer, connection, word },
            FromHandler::Flushed { messages, bytes, lost } => {
                Event::Flushed { peer, connection, messages, bytes, lost }
            }
            FromHandler::Unsupported => Event::Unsupported { peer, connection },
        };
        self.queue.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.queue.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

enum Outbound {
    Closed,
    Opening,
    Idle(Stream),
    Writing { messages: usize, bytes: usize, done: BoxFuture<'static, io::Result<Stream>> },
    Unsupported,
    Useless,
}

enum Inbound {
    Closed,
    Idle(BufReader<Stream>),
    Reading(BoxFuture<'static, io::Result<(BufReader<Stream>, Bytes, Kind)>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    Word,
}

/// Direct messages on one connection.
pub(crate) struct Handler {
    to_send: VecDeque<(Bytes, Kind)>,
    outbound: Outbound,
    inbound: Inbound,
    untaken_messages: usize,
    untaken_bytes: usize,
}

impl Default for Handler {
    fn default() -> Self {
        Self {
            to_send: VecDeque::new(),
            outbound: Outbound::Closed,
            inbound: Inbound::Closed,
            untaken_messages: 0,
            untaken_bytes: 0,
        }
    }
}

type HandlerEvent = ConnectionHandlerEvent<ReadyUpgrade<StreamProtocol>, (), FromHandler>;

impl Handler {
    fn poll_outbound(&mut self, cx: &mut Context<'_>) -> Poll<HandlerEvent> {
        loop {
            match std::mem::replace(&mut self.outbound, Outbound::Closed) {
                Outbound::Closed if !self.to_send.is_empty() => {
                    self.outbound = Outbound::Opening;
                    let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ());
                    return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
                }
                Outbound::Idle(stream) if !self.to_send.is_empty() => {
                    self.outbound = self.start_writing(stream);
                }
                Outbound::Unsupported => {
                    self.outbound = Outbound::Useless;
                    let event = FromHandler::Unsupported;
                    return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
                }
                Outbound::Writing { messages, bytes, mut done } => match done.poll_unpin(cx) {
                    Poll::Pending => {
                        self.outbound = Outbound::Writing { messages, bytes, done };
                        return Poll::Pending;
                    }
                    Poll::Ready(result) => {
                        let lost = result.is_err();
                        if let Ok(stream) = result {
                            self.outbound = Outbound::Idle(stream);
                        }
                        let flushed = FromHandler::Flushed { messages, bytes, lost };
                        return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(flushed));
                    }
                },
                other => {
                    self.outbound = other;
                    return Poll::Pending;
                }
            }
        }
    }

    fn start_writing(&mut self, mut stream: Stream) -> Outbound {
        let mut batch = Vec::new();
        let (mut messages, mut bytes) = (0, 0);
        while let Some((message, kind)) = self.to_send.pop_front() {
            if kind == Kind::Message {
                messages += 1;
                bytes += message.len();
            }
            batch.push((message, kind));
            if bytes >= WRITE_BATCH_BYTES {
                break;
            }
        }
        let done = async move {
            // Small messages share a write, since each write is a frame of its own further down.
            let mut small = Vec::new();
            for (message, kind) in batch {
                // Senders refuse messages over 4 MiB, so the length fits, and the bit is free.
                let mark = if kind == Kind::Word { IS_WORD } else { 0 };
                small.extend_from_slice(&(message.len() as u32 | mark).to_be_bytes());
                if message.len() <= SMALL_BYTES_MAX {
                    small.extend_from_slice(&message);
                    continue;
                }
                stream.write_all(&small).await?;
                small.clear();
                stream.write_all(&message).await?;
            }
            stream.write_all(&small).await?;
            stream.flush().await?;
            Ok(stream)
        };
        Outbound::Writing { messages, bytes, done: done.boxed() }
    }

    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<HandlerEvent> {
        loop {
            match std::mem::replace(&mut self.inbound, Inbound::Closed) {
                Inbound::Idle(stream)
                    if self.untaken_messages < UNTAKEN_MESSAGES_MAX
                        && self.untaken_bytes < UNTAKEN_BYTES_MAX =>
                {
                    self.inbound = Inbound::Reading(read_message(stream).boxed());
                }
                Inbound::Reading(mut reading) => match reading.poll_unpin(cx) {
                    Poll::Pending => {
                        self.inbound = Inbound::Reading(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok((stream, message, kind))) => {
                        self.inbound = Inbound::Idle(stream);
                        self.untaken_messages += 1;
                        self.untaken_bytes += message.len();
                        let received = match kind {
                            Kind::Message => FromHandler::Received(message),
                            Kind::Word => FromHandler::Word(message),
                        };
                        return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(received));
                    }
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(%error, "a stream of messages ended");
                    }
                },
                other => {
                    self.inbound = other;
                    return Poll::Pending;
                }
            }
        }
    }
}

async fn read_message<R: AsyncRead + Unpin>(mut stream: R) -> io::Result<(R, Bytes, Kind)> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length);
    let (kind, bytes_max) = match length & IS_WORD {
        0 => (Kind::Message, MESSAGE_BYTES_MAX),
        _ => (Kind::Word, WORD_BYTES_MAX),
    };
    let length = (length & !IS_WORD) as usize;
    if length > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
    }
    // Memory grows with what has come in, not with what was announced.
    let mut message = Vec::with_capacity(length.min(16 * 1024));
    let read = (&mut stream).take(length as u64).read_to_end(&mut message).await?;
    if read < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((stream, message.into(), kind))
}

impl ConnectionHandler for Handler {
    type FromBehaviour = ToHandler;
    type ToBehaviour = FromHandler;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<HandlerEvent> {
        if let Poll::Ready(event) = self.poll_outbound(cx) {
            return Poll::Ready(event);
        }
        self.poll_inbound(cx)
    }

    fn on_behaviour_event(&mut self, event: ToHandler) {
        match event {
            ToHandler::Send(message) => self.to_send.push_back((message, Kind::Message)),
            ToHandler::SendWord(word) => self.to_send.push_back((word, Kind::Word)),
            ToHandler::Taken { bytes } => {
                self.untaken_messages = self.untaken_messages.saturating_sub(1);
                self.untaken_bytes = self.untaken_bytes.saturating_sub(bytes);
            }
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                // A peer opens a second stream only after its first one broke.
                self.inbound = Inbound::Idle(BufReader::with_capacity(16 * 1024, protocol));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.outbound = Outbound::Idle(protocol);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => {
                tracing::debug!(%error, "no stream for messages");
                self.outbound = match error {
                    StreamUpgradeError::NegotiationFailed => Outbound::Unsupported,
                    _ => Outbound::Closed,
                };
            }
            _ => {}
        }
    }
}
