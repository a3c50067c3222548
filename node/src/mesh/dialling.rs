//! Whom the task dials and when, which links it lets go, and where it listens.

use std::sync::{PoisonError, atomic::Ordering};

use libp2p::{
    Multiaddr, PeerId,
    core::transport::ListenerId,
    multiaddr::Protocol,
    swarm::{
        ConnectionId, DialError,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use popmesh_ble::ShortId;
use tokio::time::{Duration, Instant};

use super::{
    DeviceKey, LinkSnapshot, MeshSnapshot, PeerSnapshot, PeerStatus, Transport,
    discovery::Found,
    gate::NotPassed,
    identity::{peer_of, short},
    interfaces,
    links::Link,
    medium::Medium,
    named::{self, Named},
    peers::{PeerState, is_tcp},
    start::listen_at,
    task::Task,
    whom::LINKS_FEW,
};

/// With more links than this, those that are not wanted are let go: each takes some 70 bytes a second of the venue's air,
/// idle as it is.
const LINKS_MANY: usize = 10;

/// An unwanted link is let go no sooner than this, so that both ends have time to learn of the same devices.
const LINK_GRACE: Duration = Duration::from_secs(30);

/// Dials started in one go at most; the rest follows with the next tick.
const DIALS_AT_ONCE_MAX: usize = 16;

/// What a dial is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dial {
    Device(DeviceKey),
    Named(usize),
    /// One that the radio sees.
    Nearby(ShortId),
}

/// A dial to a device, whatever there is to it already: over the other medium, or that hangs. Which are to be is settled by
/// who asks for it, and at the gate.
pub(crate) fn to_peer(peer: PeerId, addresses: Vec<Multiaddr>) -> DialOpts {
    DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(addresses).allocate_new_port().build()
}

impl Task {
    pub(crate) fn take_named_peers(&mut self) {
        let now = Instant::now();
        for address in std::mem::take(&mut self.parts.peers) {
            match named::split(address) {
                (address, Some(device)) => self.book.named(device, address, now),
                (address, None) => self.named.push(Named::new(address, now)),
            }
        }
    }

    pub(crate) fn on_found(&mut self, found: Found) {
        match found {
            Found::Seen { device, addresses } => {
                tracing::debug!(device = %short(&device), ?addresses, "announces itself");
                self.book.announced(device, &addresses, Instant::now());
                self.choice_is_stale = true;
                self.dial_due();
            }
            Found::Gone { device } => self.book.gone(&device),
        }
    }

    pub(crate) fn dial_due(&mut self) {
        if !self.links_on {
            return;
        }
        if std::mem::take(&mut self.choice_is_stale) {
            self.whom.choose(&self.parts.event, &self.parts.me, &self.known, &self.book);
        }
        let now = Instant::now();
        let now_ms = self.now_ms();
        let may = |address: &Multiaddr| interfaces::is_address_near(&self.locals, address);
        let mut due = self.whom.due(&self.book, self.links.count_over(Medium::Ip), may, now);
        due.retain(|device| self.budgets.out_for_ms(device, now_ms).is_none());
        for device in due.into_iter().take(DIALS_AT_ONCE_MAX) {
            let Some(peer) = peer_of(&device) else { continue };
            let may = |address: &Multiaddr| interfaces::is_address_near(&self.locals, address);
            let addresses = self.book.addresses(&device, may);
            self.counters.addresses_dialled += addresses.len() as u64;
            self.book.dialling(&device, now);
            // From a port of its own: two devices that dial each other from their listening ports at once would both take
            // themselves for the dialler.
            let options = to_peer(peer, addresses);
            self.dial(options, Dial::Device(device));
        }
        for index in 0..self.named.len() {
            let entry = &mut self.named[index];
            let is_linked = entry.device.is_some_and(|device| self.links.get(&device, Medium::Ip).is_some());
            let is_out =
                entry.device.is_some_and(|device| self.budgets.out_for_ms(&device, now_ms).is_some());
            if is_linked || is_out || !entry.is_due(now) {
                continue;
            }
            entry.dialling(now);
            let address = entry.address.clone();
            let options = DialOpts::unknown_peer_id().address(address).allocate_new_port().build();
            self.dial(options, Dial::Named(index));
        }
    }

    pub(crate) fn dial(&mut self, options: DialOpts, dial: Dial) {
        let connection = options.connection_id();
        self.dials.insert(connection, dial);
        if let Err(error) = self.parts.swarm.dial(options) {
            self.tell_of_failed_dial(connection, &error);
            self.on_dial_failed(connection);
        }
    }

    fn is_named(&self, device: &DeviceKey) -> bool {
        self.book.peers.get(device).is_some_and(|peer| !peer.named_at.is_empty())
    }

    /// Failures are everyday, but who named an address wants to know if it never was one.
    pub(crate) fn tell_of_failed_dial(&self, connection: ConnectionId, error: &DialError) {
        match self.dials.get(&connection) {
            Some(Dial::Named(index)) if self.named[*index].is_first_try() => {
                let address = &self.named[*index].address;
                tracing::warn!(%address, %error, "no link to this --peer yet; it is dialled again and again");
            }
            _ => tracing::debug!(%error, "a dial failed"),
        }
    }

    pub(crate) fn on_dial_failed(&mut self, connection: ConnectionId) {
        let now = Instant::now();
        match self.dials.remove(&connection) {
            Some(Dial::Device(device)) => self.book.dial_failed(&device, now),
            Some(Dial::Named(index)) => self.named[index].ended(&self.parts.me, now),
            Some(Dial::Nearby(id)) => self.on_nearby_failed(id, now),
            None => {}
        }
    }

    pub(crate) fn on_dial_succeeded(&mut self, connection: ConnectionId, device: DeviceKey, now: Instant) {
        match self.dials.remove(&connection) {
            Some(Dial::Named(index)) => self.named[index].answered(device, now),
            // Whoever was meant, this one answered.
            Some(Dial::Nearby(id)) => self.on_nearby_failed(id, now),
            Some(Dial::Device(_)) | None => {}
        }
    }

    pub(crate) fn link_ended_for_named(&mut self, device: &DeviceKey, now: Instant) {
        for entry in self.named.iter_mut().filter(|entry| entry.device.as_ref() == Some(device)) {
            entry.ended(&self.parts.me, now);
        }
    }

    pub(crate) fn gate_answered_named(
        &mut self,
        address: &Multiaddr,
        dialled: bool,
        device: Option<DeviceKey>,
        reason: &NotPassed,
        now: Instant,
    ) {
        let entry = self.named.iter_mut().find(|entry| dialled && entry.address == *address);
        match (entry, reason, device) {
            (Some(entry), NotPassed::Myself, _) => entry.is_own(now),
            (Some(entry), NotPassed::Duplicate, Some(device)) => entry.answered(device, now),
            _ => {}
        }
    }

    pub(crate) fn keep_house(&mut self) {
        let now = Instant::now();
        self.admissions.tidy(now, |device| self.links.is_linked(device));
        self.budgets.tidy(self.now_ms(), |device| self.links.is_linked(device));
        self.judge_links_again();
        self.book.forget_old(now);
        self.let_surplus_go(now);
        self.keep_radio();
        let links = self.links.count_over(Medium::Ip);
        let missing = links == 0
            || links < LINKS_FEW
                && self.whom.ring().iter().any(|device| self.links.get(device, Medium::Ip).is_none());
        self.parts.missing.store(missing, Ordering::Relaxed);
        let locals = interfaces::current(self.parts.listen.interfaces.as_deref());
        if self.parts.listen.is_on() && locals != self.locals {
            tracing::info!(addresses = locals.len(), "the machine's addresses have changed");
            let before = std::mem::replace(&mut self.locals, locals);
            let links = self.links.over(Medium::Ip);
            let is_dead = |link: &Link| interfaces::is_cut_off(&before, &self.locals, &link.address);
            let dead: Vec<_> = links.filter(|(_, link)| is_dead(link)).map(|(device, _)| *device).collect();
            for device in dead {
                self.close_link_over(Medium::Ip, device, "the address that it was over is gone");
            }
            self.links.over_mut(Medium::Ip).for_each(|(_, link)| link.watch.doubt());
            // If one change is already waiting to be noticed, that will do.
            let _ = self.parts.changed.try_send(());
            self.book.hurry(now);
            self.named.iter_mut().for_each(|entry| entry.hurry(now));
        }
        self.listen_where_wanted();
    }

    /// A certificate that was good when a link came up may be so no longer. Whoever has a new one comes back at once; who
    /// has not is told why by the gate.
    fn judge_links_again(&mut self) {
        let no_longer_good = |device: &DeviceKey| {
            let certificate = self.admissions.certificate(device)?;
            (self.parts.admit)(device, certificate).err().map(|reason| (*device, reason))
        };
        let unfit: Vec<_> = self.links.devices().iter().filter_map(no_longer_good).collect();
        for (device, reason) in unfit {
            tracing::warn!(device = %short(&device), %reason, "closing the link");
            self.close_link(device, "its certificate is no longer good");
        }
    }

    fn listen_where_wanted(&mut self) {
        if !self.parts.listen.is_on() {
            return;
        }
        let wanted = interfaces::listen_on(self.parts.listen.interfaces.as_deref());
        let unwanted: Vec<_> =
            self.parts.listeners.keys().filter(|address| !wanted.contains(*address)).copied().collect();
        for address in unwanted {
            for id in self.parts.listeners.remove(&address).unwrap_or_default() {
                self.parts.swarm.remove_listener(id);
            }
        }
        for address in wanted {
            if self.parts.listeners.contains_key(&address) {
                continue;
            }
            match listen_at(&mut self.parts.swarm, address, &self.parts.listen) {
                Ok(ids) => {
                    self.parts.listeners.insert(address, ids);
                }
                Err(reason) => tracing::debug!(%address, reason, "cannot listen"),
            }
        }
    }

    /// The transports of an address are listened on again together.
    pub(crate) fn on_listener_closed(&mut self, closed: ListenerId) {
        let address =
            self.parts.listeners.iter().find(|(_, ids)| ids.contains(&closed)).map(|(address, _)| *address);
        let ids = address.and_then(|address| self.parts.listeners.remove(&address)).unwrap_or_default();
        for id in ids.into_iter().filter(|id| *id != closed) {
            self.parts.swarm.remove_listener(id);
        }
    }

    fn let_surplus_go(&mut self, now: Instant) {
        let surplus = self.links.count_over(Medium::Ip).saturating_sub(LINKS_MANY);
        let unwanted: Vec<_> = self
            .links
            .over(Medium::Ip)
            .filter(|(device, link)| {
                !self.whom.ring().contains(*device)
                    && !self.is_named(device)
                    && now - link.up_at >= LINK_GRACE
            })
            .map(|(_, link)| link.connection)
            .take(surplus)
            .collect();
        for connection in unwanted {
            self.parts.swarm.close_connection(connection);
        }
    }

    pub(crate) fn snapshot(&self) -> MeshSnapshot {
        let now = Instant::now();
        let (dropped_unlinked, dropped_overflow) = self.parts.outboxes.dropped();
        let mut counters = self.counters.clone();
        counters.dropped_unlinked = dropped_unlinked;
        counters.dropped_overflow = dropped_overflow;
        counters.inbound_failed = self.inbound_failed.saturating_sub(self.inbound_explained);
        MeshSnapshot {
            device: self.parts.me,
            listen: self.parts.swarm.listeners().cloned().collect(),
            links: self
                .links
                .iter()
                .map(|(device, medium, link)| self.link_snapshot(device, medium, link))
                .collect(),
            peers: self.peer_snapshots(now),
            strangers: self.parts.strangers.lock().unwrap_or_else(PoisonError::into_inner).snapshot(now),
            refusals: self.refusals.iter().cloned().collect(),
            counters,
            ble: self.ble_snapshot(),
        }
    }

    fn link_snapshot(&self, device: &DeviceKey, medium: Medium, link: &Link) -> LinkSnapshot {
        let (messages_waiting, messages_dropped) = self.parts.outboxes.waiting_and_dropped(device);
        let address: Multiaddr =
            link.address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect();
        LinkSnapshot {
            device: *device,
            transport: match medium {
                Medium::Ble => Transport::Ble,
                Medium::Ip if is_tcp(&address) => Transport::Tcp,
                Medium::Ip => Transport::Quic,
            },
            address,
            dialled: link.dialled,
            since: link.since,
            rtt: link.rtt,
            rssi: if medium == Medium::Ble { self.rssi_of(device) } else { None },
            messages_sent: link.messages_sent,
            bytes_sent: link.bytes_sent,
            messages_received: link.messages_received,
            bytes_received: link.bytes_received,
            gossip_received: link.gossip_received,
            messages_waiting,
            messages_dropped,
        }
    }

    fn peer_snapshots(&self, now: Instant) -> Vec<PeerSnapshot> {
        let now_ms = self.now_ms();
        let status = |device: &DeviceKey, state: &PeerState| match state {
            PeerState::Linked { .. } => PeerStatus::Linked,
            _ if self.links.is_linked(device) => PeerStatus::Linked,
            _ if self.budgets.out_for_ms(device, now_ms).is_some() => {
                let left = self.budgets.out_for_ms(device, now_ms).unwrap_or_default();
                PeerStatus::CutOff { remaining: Duration::from_millis(left) }
            }
            PeerState::Dialling { .. } => PeerStatus::Dialling,
            PeerState::Waiting { until } => {
                PeerStatus::BackingOff { remaining: until.saturating_duration_since(now) }
            }
            PeerState::Refused { reason, .. } => PeerStatus::Refused { reason: reason.clone() },
        };
        self.book
            .peers
            .iter()
            .map(|(device, peer)| PeerSnapshot {
                device: *device,
                addresses: peer.places(|_| true).cloned().collect(),
                seen_ago: now.saturating_duration_since(peer.seen),
                wanted: self.whom.ring().contains(device) || !peer.named_at.is_empty(),
                status: status(device, &peer.state),
            })
            .collect()
    }
}
