//! Somebody with a laptop in the network: libp2p with a key of its own, and nothing of the event.

use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{
    Boxed, DialOpts, ListenerId, OrTransport, PortUse, TransportEvent, upgrade::Version,
};
use libp2p::core::{Endpoint, Transport};
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId, noise, quic, tcp, yamux};
use popmesh_tests::Host;
use tokio::net::TcpSocket;

/// How long it waits for somebody to say something more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

type Connection = (PeerId, StreamMuxerBox);

/// One that has this key.
pub(crate) struct Stranger {
    keypair: Keypair,
}

/// What it got out of one connection.
#[derive(Debug)]
pub(crate) struct Heard {
    /// By whose key the other end's handshake was signed.
    pub(crate) peer: PeerId,
    /// What it read on the first stream.
    pub(crate) bytes: Vec<u8>,
    /// How long that took, from when it had said its own.
    pub(crate) took: Duration,
    /// Whether the other end hung up, rather than that patience ended.
    pub(crate) hung_up: bool,
}

impl Stranger {
    /// With a key by its number.
    pub(crate) fn new(number: u32) -> Self {
        let mut seed = [0x5a; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        Self { keypair: Keypair::ed25519_from_bytes(seed).expect("32 bytes are a seed") }
    }

    /// With this key.
    pub(crate) fn with(keypair: Keypair) -> Self {
        Self { keypair }
    }

    fn transport(&self) -> Result<Boxed<Connection>> {
        let over_tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&self.keypair)?)
            .multiplex(yamux::Config::default())
            .boxed();
        let over_quic = quic::tokio::Transport::new(quic::Config::new(&self.keypair))
            .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
            .boxed();
        Ok(OrTransport::new(over_tcp, over_quic).map(|either, _| either.into_inner()).boxed())
    }

    async fn connect(&self, at: &Multiaddr) -> Result<Connection> {
        let dial = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        Ok(self.transport()?.dial(at.clone(), dial)?.await?)
    }

    /// Connects from a host, says something on the first stream, and listens.
    pub(crate) fn call(&self, host: &Host, at: &Multiaddr, says: &[u8]) -> Result<Heard> {
        self.call_with(host, at, says, 0)
    }

    /// The same, and opens so many streams more, each with some bytes in it.
    pub(crate) fn call_with(
        &self,
        host: &Host,
        at: &Multiaddr,
        says: &[u8],
        streams: usize,
    ) -> Result<Heard> {
        in_host(host, async {
            let (peer, mut muxer) = self.connect(at).await.context("no handshake")?;
            let mut stream = open(&mut muxer).await?;
            drive(&mut muxer, async {
                stream.write_all(says).await?;
                stream.flush().await
            })
            .await?;
            let mut more = Vec::new();
            for _ in 0..streams {
                let Ok(mut stream) = open(&mut muxer).await else { break };
                if drive(&mut muxer, stream.write_all(&[7; 10_000])).await.is_err() {
                    break;
                }
                more.push(stream);
            }
            let said = Instant::now();
            let mut bytes = Vec::new();
            let hung_up = drive(&mut muxer, read(&mut stream, &mut bytes)).await;
            Ok(Heard { peer, bytes, took: said.elapsed(), hung_up })
        })
    }

    /// Listens on a host for so long, and answers whoever calls, once it has said something. What each said is in what is
    /// returned, from the key of the first.
    pub(crate) fn listen(
        &self,
        host: &Host,
        at: &[Multiaddr],
        answer: Answer,
        time: Duration,
    ) -> Result<Vec<Heard>> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        in_host(host, async {
            let mut transport = self.transport()?;
            for at in at {
                transport.listen_on(ListenerId::next(), at.clone())?;
            }
            let serve = async {
                while let Some(event) = transport.next().await {
                    if let TransportEvent::Incoming { upgrade, .. } = event {
                        let (answer, heard) = (answer.clone(), Arc::clone(&heard));
                        tokio::spawn(async move {
                            if let Ok(connection) = upgrade.await
                                && let Ok(said) = serve(connection, answer).await
                            {
                                heard.lock().unwrap_or_else(PoisonError::into_inner).push(said);
                            }
                        });
                    }
                }
            };
            let _ = tokio::time::timeout(time, serve).await;
            Ok(())
        })?;
        Ok(std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Passes on what comes in at one address to another, and back, each over a connection of its own, for so long. What
    /// each side said is returned: who called, and who was called.
    pub(crate) fn relay(
        self: &Arc<Self>,
        host: &Host,
        at: &Multiaddr,
        to: &Multiaddr,
        time: Duration,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let passed = Arc::new(Mutex::new(Vec::new()));
        in_host(host, async {
            let mut transport = self.transport()?;
            transport.listen_on(ListenerId::next(), at.clone())?;
            let serve = async {
                while let Some(event) = transport.next().await {
                    if let TransportEvent::Incoming { upgrade, .. } = event {
                        let (me, to, passed) = (Arc::clone(self), to.clone(), Arc::clone(&passed));
                        tokio::spawn(async move {
                            let Ok(near) = upgrade.await else { return };
                            let Ok(far) = me.connect(&to).await else { return };
                            if let Ok(said) = pass_on(near, far).await {
                                passed.lock().unwrap_or_else(PoisonError::into_inner).push(said);
                            }
                        });
                    }
                }
            };
            let _ = tokio::time::timeout(time, serve).await;
            Ok(())
        })?;
        Ok(std::mem::take(&mut *passed.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Holds connections that say nothing, two from each address at a time, until it is to end; and counts those that it lost.
pub(crate) fn hold(
    host: &Host,
    addresses: &[Ipv4Addr],
    to: SocketAddr,
    ends: &AtomicBool,
    lost: &AtomicUsize,
) -> Result<()> {
    let hold_one = async |from: Ipv4Addr| {
        while !ends.load(Ordering::Relaxed) {
            let held = async {
                let socket = TcpSocket::new_v4()?;
                socket.bind((from, 0).into())?;
                let mut stream = socket.connect(to).await?;
                while tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 256]).await? > 0 {}
                std::io::Result::Ok(())
            };
            // A short time, to see whether it is to end.
            let _ = tokio::time::timeout(Duration::from_secs(5), held).await;
            lost.fetch_add(1, Ordering::Relaxed);
        }
    };
    in_host(host, async {
        let twice = addresses.iter().chain(addresses);
        futures::future::join_all(twice.map(|address| hold_one(*address))).await;
        Ok(())
    })
}

/// What it answers to whoever called.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What the caller said first, as if it were the answer to it.
    Reflection,
}

async fn serve((peer, mut muxer): Connection, answer: Answer) -> Result<Heard> {
    let mut stream = poll_fn(|cx| muxer.poll_inbound_unpin(cx)).await?;
    let mut first = [0; 128];
    let read_first = drive(&mut muxer, stream.read_exact(&mut first));
    let whole = tokio::time::timeout(PATIENCE, read_first).await.is_ok_and(|read| read.is_ok());
    let mut bytes = if whole { first.to_vec() } else { Vec::new() };
    let says = match answer {
        Answer::Bytes(bytes) => bytes,
        Answer::Reflection => [&[1, 0, 16][..], &first[..16]].concat(),
    };
    let said = Instant::now();
    let hung_up = drive(&mut muxer, async {
        let _ = stream.write_all(&says).await;
        let _ = stream.flush().await;
        read(&mut stream, &mut bytes).await
    })
    .await;
    Ok(Heard { peer, bytes, took: said.elapsed(), hung_up })
}

async fn pass_on(near: Connection, far: Connection) -> Result<(Vec<u8>, Vec<u8>)> {
    let ((_, mut near), (_, mut far)) = (near, far);
    let near_stream = poll_fn(|cx| near.poll_inbound_unpin(cx)).await?;
    let far_stream = open(&mut far).await?;
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) =
        (near_stream.split(), far_stream.split());
    let (mut there, mut back) = (Vec::new(), Vec::new());
    let pipes = async {
        tokio::join!(
            pipe(&mut from_near, &mut to_far, &mut there),
            pipe(&mut from_far, &mut to_near, &mut back)
        );
    };
    let both = drive(&mut near, drive_both(&mut far, pipes));
    let _ = tokio::time::timeout(PATIENCE, both).await;
    Ok((there, back))
}

async fn drive_both<T>(muxer: &mut StreamMuxerBox, work: impl Future<Output = T>) -> T {
    drive(muxer, work).await
}

async fn pipe(
    from: &mut (impl futures::AsyncRead + Unpin),
    to: &mut (impl futures::AsyncWrite + Unpin),
    seen: &mut Vec<u8>,
) {
    let mut bytes = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        seen.extend_from_slice(&bytes[..read]);
        if to.write_all(&bytes[..read]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    let _ = to.close().await;
}

/// Runs something in a host to its end.
fn in_host<T: Send>(host: &Host, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    host.in_namespace(|| tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

async fn open(muxer: &mut StreamMuxerBox) -> Result<SubstreamBox> {
    let open = poll_fn(|cx| {
        while let Poll::Ready(Ok(_)) = muxer.poll_unpin(cx) {}
        muxer.poll_outbound_unpin(cx)
    });
    Ok(tokio::time::timeout(PATIENCE, open).await??)
}

/// Reads until the other end hangs up, or patience ends; whether it was the former.
async fn read(stream: &mut SubstreamBox, into: &mut Vec<u8>) -> bool {
    let all = async {
        let mut bytes = [0; 4_096];
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
            into.extend_from_slice(&bytes[..read]);
        }
    };
    tokio::time::timeout(PATIENCE, all).await.is_ok()
}

/// Does something while the connection goes on.
async fn drive<T>(muxer: &mut StreamMuxerBox, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        while let Poll::Ready(Ok(_)) = muxer.poll_unpin(cx) {}
        work.as_mut().poll(cx)
    })
    .await
}
