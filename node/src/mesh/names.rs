//! Addresses that begin with a host's name: looked up with the system's resolver, anew for each dial.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use libp2p::{
    Multiaddr, Transport,
    core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent},
    multiaddr::Protocol,
};

/// A transport that dials names, too.
pub(crate) struct Names<O> {
    // Shared with dials that still look up a name.
    addresses: Arc<Mutex<Boxed<O>>>,
}

impl<O> Names<O> {
    pub(crate) fn over(addresses: Boxed<O>) -> Self {
        Self { addresses: Arc::new(Mutex::new(addresses)) }
    }

    fn addresses(&self) -> MutexGuard<'_, Boxed<O>> {
        lock(&self.addresses)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<O: 'static> Transport for Names<O> {
    type Output = O;
    type Error = io::Error;
    type ListenerUpgrade = <Boxed<O> as Transport>::ListenerUpgrade;
    type Dial = BoxFuture<'static, io::Result<O>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.addresses().listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.addresses().remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<io::Error>> {
        let Some(name) = name_in(&address) else { return self.addresses().dial(address, options) };
        let addresses = Arc::clone(&self.addresses);
        Ok(Box::pin(async move {
            let mut failed = None;
            for found in look_up(&name).await? {
                let Some(address) = address.replace(0, |_| Some(found.into())) else { continue };
                let dial = lock(&addresses).dial(address, options);
                let dialled = match dial {
                    Ok(dial) => dial.await,
                    Err(error) => Err(io::Error::other(error.to_string())),
                };
                match dialled {
                    Ok(connection) => return Ok(connection),
                    Err(error) => failed = Some(error),
                }
            }
            Err(failed.unwrap_or_else(|| io::Error::other(format!("{} has no such address", name.host))))
        }))
    }

    fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut *self.addresses()).poll(context)
    }
}

struct Name {
    host: String,
    fits: fn(&IpAddr) -> bool,
}

fn name_in(address: &Multiaddr) -> Option<Name> {
    let (host, fits): (_, fn(&IpAddr) -> bool) = match address.iter().next()? {
        Protocol::Dns(host) => (host, |_| true),
        Protocol::Dns4(host) => (host, IpAddr::is_ipv4),
        Protocol::Dns6(host) => (host, IpAddr::is_ipv6),
        _ => return None,
    };
    Some(Name { host: host.into_owned(), fits })
}

async fn look_up(name: &Name) -> io::Result<impl Iterator<Item = IpAddr>> {
    let found = tokio::net::lookup_host((name.host.as_str(), 0)).await.map_err(|error| {
        io::Error::new(error.kind(), format!("the name {} cannot be looked up: {error}", name.host))
    })?;
    Ok(found.map(|found| found.ip()).filter(name.fits))
}
