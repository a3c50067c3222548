//! Bluetooth LE as a transport: streams in and out, and word of who is in range.

use std::{
    future::{Ready, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use libp2p::{
    Multiaddr, Transport,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
};
use popmesh_ble::{Ble, BleEvent, BleStream, ShortId};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{
    DeviceKey,
    medium::{caller, is_radio, radio, short_id},
    nearby::Sighting,
};

/// The transport.
pub(crate) struct Radio {
    ble: Ble,
    events: mpsc::Receiver<BleEvent>,
    sighted: mpsc::Sender<Sighting>,
    listener: Option<ListenerId>,
    is_announced: bool,
}

impl Radio {
    /// Over a host. Who is in range goes to `sighted`, as far as there is room.
    pub(crate) fn over(ble: Ble, events: mpsc::Receiver<BleEvent>, sighted: mpsc::Sender<Sighting>) -> Self {
        Self { ble, events, sighted, listener: None, is_announced: false }
    }
}

impl Transport for Radio {
    type Output = BleStream;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<BleStream>>;
    type Dial = BoxFuture<'static, io::Result<BleStream>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        if !is_radio(&address) {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        self.listener = Some(id);
        self.is_announced = false;
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.listener.take_if(|listener| *listener == id).is_some()
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let Some(id) = short_id(&address) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let ble = self.ble.clone();
        Ok(async move { ble.dial(id).await.map_err(io::Error::other) }.boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        if let (Some(listener_id), false) = (self.listener, self.is_announced) {
            self.is_announced = true;
            return Poll::Ready(TransportEvent::NewAddress { listener_id, listen_addr: radio() });
        }
        while let Poll::Ready(Some(event)) = self.events.poll_recv(cx) {
            match (event, self.listener) {
                (BleEvent::Sighted { id, rssi, heard }, _) => {
                    // It comes again.
                    let _ = self.sighted.try_send(Sighting { id, rssi, heard });
                }
                (BleEvent::Incoming(stream), Some(listener_id)) => {
                    return Poll::Ready(TransportEvent::Incoming {
                        listener_id,
                        local_addr: radio(),
                        send_back_addr: caller(stream.address()),
                        upgrade: ready(Ok(stream)),
                    });
                }
                (BleEvent::Incoming(stream), None) => drop(stream),
            }
        }
        Poll::Pending
    }
}

/// How a device is called on the air: the same for all who know its key, and only for them.
pub(crate) fn short_id_of(key: &[u8; 32], device: &DeviceKey) -> ShortId {
    let mut hash = Sha256::new_with_prefix(b"popmesh ble id\0");
    hash.update(key);
    hash.update(device);
    let digest = hash.finalize();
    ShortId([digest[0], digest[1], digest[2], digest[3]])
}
