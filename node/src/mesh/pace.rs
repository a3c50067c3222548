//! Connections are taken from the system one after the other at a pace: each costs the same whether it is let in or not,
//! and those beyond it wait in the system's own queue, where they cost nothing.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::{
    Multiaddr, Transport,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
};
use popmesh_proto::budget::{Bucket, Terms};
use tokio::time::{Instant, Sleep};

/// A venue of some hundred devices that all come back at once is through in a second.
const ACCEPTED: Terms = Terms { burst: 128, per_second: 200 };

/// A transport that takes in connections at a pace. Those that it makes itself are not counted.
pub(crate) struct Paced<T> {
    inner: T,
    accepted: Bucket,
    since: Instant,
    rest: Pin<Box<Sleep>>,
}

impl<T> Paced<T> {
    /// In a runtime of tokio.
    pub(crate) fn over(inner: T) -> Self {
        let since = Instant::now();
        let rest = Box::pin(tokio::time::sleep_until(since));
        Self { inner, accepted: Bucket::full(ACCEPTED, 0), since, rest }
    }

    fn now_ms(&self) -> u64 {
        // Milliseconds since the start of a process fit into 64 bits for longer than any runs.
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl<T: Transport + Unpin> Transport for Paced<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<T::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<T::Error>> {
        self.inner.dial(address, options)
    }

    fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, T::Error>> {
        let this = self.get_mut();
        loop {
            let now_ms = this.now_ms();
            let ready_ms = this.accepted.ready_at_ms(now_ms);
            if ready_ms <= now_ms {
                break;
            }
            this.rest.as_mut().reset(this.since + Duration::from_millis(ready_ms));
            if this.rest.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        let event = Pin::new(&mut this.inner).poll(context);
        if let Poll::Ready(TransportEvent::Incoming { .. }) = event {
            let now_ms = this.now_ms();
            this.accepted.draw(1, now_ms);
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use futures::{StreamExt, stream};
    use libp2p::tcp;

    use super::*;

    type Tcp = Paced<tcp::tokio::Transport>;

    async fn event(
        transport: &mut Tcp,
    ) -> TransportEvent<<Tcp as Transport>::ListenerUpgrade, std::io::Error> {
        std::future::poll_fn(|context| Pin::new(&mut *transport).poll(context)).await
    }

    #[tokio::test]
    async fn beyond_the_pace_they_wait() {
        let mut transport = Paced::over(tcp::tokio::Transport::new(tcp::Config::new()));
        let local = "/ip4/127.0.0.1/tcp/0".parse().expect("an address");
        transport.listen_on(ListenerId::next(), local).expect("a free port");
        let TransportEvent::NewAddress { listen_addr, .. } = event(&mut transport).await else {
            panic!("it listens first");
        };
        let parts: Vec<String> = listen_addr.to_string().split('/').map(str::to_owned).collect();
        let at: SocketAddr = format!("{}:{}", parts[2], parts[4]).parse().expect("an address");
        // Everything at once, and twice as much as there may be.
        let many = 2 * ACCEPTED.burst;
        let connect = |_| tokio::net::TcpStream::connect(at);
        let opened: Vec<_> = stream::iter(0..many).then(connect).collect().await;
        assert!(opened.iter().all(Result::is_ok), "the system takes them all");
        for _ in 0..many {
            assert!(matches!(event(&mut transport).await, TransportEvent::Incoming { .. }));
        }
        // No earlier than this, however fast the machine.
        let least = Duration::from_millis(1_000 * (many - ACCEPTED.burst) / ACCEPTED.per_second - 10);
        assert!(transport.since.elapsed() >= least, "{:?}", transport.since.elapsed());
    }
}
