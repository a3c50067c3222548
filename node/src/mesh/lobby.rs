//! Connections that came in and have not shown yet that they are from a device of the event wait in the *lobby*.
//!
//! It has few places, and nobody keeps one by staying: who comes when it is full takes the place of whoever has waited
//! longest at the address that has most of them. A device of the event is through in a few round trips, so it gets in
//! while strangers hold whatever they can, from however many addresses. TCP and QUIC have lobbies of their own, since
//! with QUIC whoever sends one packet takes a place, under any address.

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Either, select},
};
use libp2p::{
    Multiaddr, Transport,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
};
use tokio::sync::oneshot;

use super::{addresses::ip_of, peers::is_tcp};
use crate::caller::network;

/// Places for connections over TCP, and as many over QUIC.
pub(crate) const PLACES: usize = 64;

/// Of those, for one address. A venue behind one address has a few devices that come at once.
const PLACES_PER_ADDRESS: usize = 16;

/// Who waits.
#[derive(Debug, Default)]
pub(crate) struct Lobby(Mutex<Guests>);

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    /// In the order in which they came.
    waiting: BTreeMap<u64, Guest>,
}

#[derive(Debug)]
struct Guest {
    address: Multiaddr,
    over_tcp: bool,
    /// None counts as one of the addresses, for what has none.
    network: Option<IpAddr>,
    /// Told when it is a device of the event, and dropped when it is shown out.
    stays: oneshot::Sender<()>,
}

/// A place in the lobby, which is free again when this is dropped.
#[derive(Debug)]
struct Place {
    lobby: Arc<Lobby>,
    number: u64,
    /// Whether it may stay; an error if not.
    told: oneshot::Receiver<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lobby.guests().waiting.remove(&self.number);
    }
}

impl Guests {
    /// Who has to go so that one more can come, if anybody has.
    fn to_go(&self, over_tcp: bool, newcomer: Option<IpAddr>) -> Option<u64> {
        let mut by_network: BTreeMap<Option<IpAddr>, Vec<u64>> = BTreeMap::new();
        for (number, guest) in self.waiting.iter().filter(|(_, guest)| guest.over_tcp == over_tcp) {
            by_network.entry(guest.network).or_default().push(*number);
        }
        let own = by_network.get(&newcomer);
        let is_this_host = newcomer.is_some_and(|address| address.is_loopback());
        if let Some(own) = own.filter(|own| own.len() >= PLACES_PER_ADDRESS && !is_this_host) {
            return own.first().copied();
        }
        if by_network.values().map(Vec::len).sum::<usize>() < PLACES {
            return None;
        }
        // Where several have equally many, the one whose first has waited longest.
        let most = by_network.values().max_by_key(|numbers| (numbers.len(), std::cmp::Reverse(numbers[0])));
        most.and_then(|numbers| numbers.first().copied())
    }
}

impl Lobby {
    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, address: &Multiaddr) -> Place {
        let (stays, told) = oneshot::channel();
        let (over_tcp, network) = (is_tcp(address), ip_of(address).map(network));
        let mut guests = self.guests();
        if let Some(goes) = guests.to_go(over_tcp, network) {
            guests.waiting.remove(&goes);
        }
        let number = guests.next;
        guests.next += 1;
        guests.waiting.insert(number, Guest { address: address.clone(), over_tcp, network, stays });
        drop(guests);
        Place { lobby: Arc::clone(self), number, told }
    }

    /// Whoever waits under this address has shown that it is a device of the event: nobody shows it out any more.
    pub(crate) fn leave(&self, address: &Multiaddr) {
        let mut guests = self.guests();
        let number = guests.waiting.iter().find(|(_, guest)| guest.address == *address);
        if let Some(guest) =
            number.map(|(number, _)| *number).and_then(|number| guests.waiting.remove(&number))
        {
            // Nobody waits for the answer if the connection has ended.
            let _ = guest.stays.send(());
        }
    }
}

/// A transport whose connections that come in wait in a lobby.
pub(crate) struct Waiting<T> {
    inner: T,
    lobby: Arc<Lobby>,
}

impl<T> Waiting<T> {
    pub(crate) fn over(inner: T, lobby: Arc<Lobby>) -> Self {
        Self { inner, lobby }
    }
}

async fn unless_shown_out<T>(
    mut place: Place,
    upgrade: impl Future<Output = io::Result<T>> + Unpin,
) -> io::Result<T> {
    match select(upgrade, &mut place.told).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right((Ok(()), upgrade)) => upgrade.await,
        Either::Right((Err(_), _)) => Err(io::Error::other("its place is for somebody who came later")),
    }
}

impl<T> Transport for Waiting<T>
where
    T: Transport<Error = io::Error> + Unpin,
    T::Output: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    type Output = T::Output;
    type Error = io::Error;
    type ListenerUpgrade = BoxFuture<'static, io::Result<T::Output>>;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        self.inner.dial(address, options)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        let event = std::task::ready!(Pin::new(&mut self.inner).poll(context));
        let lobby = &self.lobby;
        let from = match &event {
            TransportEvent::Incoming { send_back_addr, .. } => Some(send_back_addr.clone()),
            _ => None,
        };
        Poll::Ready(event.map_upgrade(|upgrade| match from {
            Some(from) => unless_shown_out(lobby.enter(&from), Box::pin(upgrade)).boxed(),
            // Only what comes in has an upgrade.
            None => upgrade.boxed(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(network: u32, port: u16, transport: &str) -> Multiaddr {
        let [_, a, b, c] = network.to_be_bytes();
        let rest = if transport == "tcp" { format!("tcp/{port}") } else { format!("udp/{port}/quic-v1") };
        format!("/ip4/10.{a}.{b}.{c}/{rest}").parse().unwrap()
    }

    fn is_out(place: &mut Place) -> bool {
        matches!(place.told.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn nobody_keeps_a_device_out_by_staying() {
        let lobby = Arc::new(Lobby::default());
        let mut strangers: Vec<Place> = (0..1_000_u16)
            .map(|number| lobby.enter(&address(u32::from(number) % 200, number, "tcp")))
            .collect();
        let staying = strangers.iter_mut().map(is_out).filter(|is_out| !is_out).count();
        assert_eq!(staying, PLACES);
        let from = address(999, 1, "tcp");
        let mut device = lobby.enter(&from);
        // As many as come in a quarter of a second, at the pace at which they are taken in.
        let more: Vec<_> =
            (0..50_u16).map(|port| lobby.enter(&address(u32::from(port), port, "tcp"))).collect();
        assert!(!is_out(&mut device));
        lobby.leave(&from);
        let even_more: Vec<_> =
            (0..5_000_u16).map(|port| lobby.enter(&address(u32::from(port), port, "tcp"))).collect();
        assert!(!is_out(&mut device), "who has shown what it is stays");
        drop((strangers, more, even_more, device));
        assert!(lobby.guests().waiting.is_empty());
    }

    #[test]
    fn who_has_most_goes_first_and_the_transports_do_not_meet() {
        let lobby = Arc::new(Lobby::default());
        let mut many: Vec<_> = (0..100).map(|port| lobby.enter(&address(1, port, "tcp"))).collect();
        let staying =
            |places: &mut Vec<Place>| places.iter_mut().map(is_out).filter(|is_out| !is_out).count();
        assert_eq!(staying(&mut many), PLACES_PER_ADDRESS);
        assert!(!is_out(&mut many[99]) && is_out(&mut many[0]), "the oldest go");
        let mut others: Vec<_> =
            (0..PLACES as u32 - 1).map(|network| lobby.enter(&address(10 + network, 1, "tcp"))).collect();
        assert_eq!(staying(&mut others), PLACES - 1, "each other address has its place");
        assert_eq!(staying(&mut many), 1);
        let mut quic: Vec<_> =
            (0..1_000_u32).map(|network| lobby.enter(&address(network, 1, "quic"))).collect();
        assert_eq!((staying(&mut quic), staying(&mut others)), (PLACES, PLACES - 1));
    }
}
