//! The task that owns the swarm: everything that happens to the mesh happens here, one thing at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::ConnectedPoint,
    gossipsub::{self, IdentTopic},
    multiaddr::Protocol,
    ping,
    swarm::{ConnectionId, SwarmEvent},
};
use popmesh_proto::links::{self, Width};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    Admit, Control, Counters, DeviceKey, Listen, MeshEvent,
    admission::{Admissions, GateNote},
    barred::{Barred, Lists},
    behaviour::{Behaviour, BehaviourEvent},
    budget::Budgets,
    dialling::Dial,
    discovery::Found,
    feed::Feed,
    identity::{device_of, short},
    interfaces::{self, Local},
    links::{Link, Links},
    medium::{Medium, medium, medium_of},
    messages,
    named::Named,
    nearby::Sighting,
    outbox::Outboxes,
    peers::PeerBook,
    refusals::Refusals,
    sightings::Side,
    start::Listeners,
    strangers::Strangers,
    taken::{Done, Taken},
    watching::{self, Step},
    whom::Whom,
};

/// How often to look at what is due.
const TICK: Duration = Duration::from_millis(100);

/// Ticks between looks at interfaces, listeners and surplus links.
const HOUSEKEEPING_TICKS: u32 = 10;

/// Messages handed to a link's connection and not yet flushed, at most.
const IN_FLIGHT_MESSAGES_MAX: usize = 32;

/// Bytes handed to a link's connection and not yet flushed, at most, unless a single message is larger.
const IN_FLIGHT_BYTES_MAX: usize = 1 << 20;

/// The same over the radio: what is in there cannot go over the network when that comes back.
const IN_FLIGHT_BYTES_MAX_BLE: usize = 32 * 1024;

/// How long stopping may take for the links, and again for the goodbye on the local network.
const STOP_TIMEOUT: Duration = Duration::from_millis(800);

/// What a task is made of.
pub(crate) struct Parts {
    pub(crate) me: DeviceKey,
    pub(crate) event: [u8; 32],
    pub(crate) admit: Admit,
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) topic: IdentTopic,
    pub(crate) listen: Listen,
    pub(crate) listeners: Listeners,
    pub(crate) peers: Vec<Multiaddr>,
    pub(crate) outboxes: Arc<Outboxes>,
    pub(crate) requests: mpsc::Receiver<Control>,
    pub(crate) desk_notes: mpsc::Receiver<GateNote>,
    pub(crate) findings: mpsc::Receiver<Found>,
    /// Devices that the radio sees.
    pub(crate) sighted: mpsc::Receiver<Sighting>,
    pub(crate) changed: mpsc::Sender<()>,
    /// Tells discovery whether this device has few links and misses somebody.
    pub(crate) missing: Arc<AtomicBool>,
    pub(crate) discovery: Option<JoinHandle<()>>,
    pub(crate) strangers: Arc<Mutex<Strangers>>,
    pub(crate) events: mpsc::Sender<MeshEvent>,
    pub(crate) barred: Arc<Barred>,
}

/// The task's state.
pub(crate) struct Task {
    pub(crate) parts: Parts,
    pub(crate) links: Links,
    pub(crate) side: Option<Side>,
    pub(crate) book: PeerBook,
    pub(crate) named: Vec<Named>,
    pub(crate) dials: HashMap<ConnectionId, Dial>,
    pub(crate) known: BTreeSet<DeviceKey>,
    pub(crate) whom: Whom,
    pub(crate) choice_is_stale: bool,
    /// Whose links it looks after most.
    pub(crate) watched: BTreeSet<DeviceKey>,
    pub(crate) admissions: Admissions,
    pub(crate) locals: BTreeSet<Local>,
    pub(crate) counters: Counters,
    pub(crate) refusals: Refusals,
    /// Inbound connections that failed, and those of them that the gate has accounted for.
    pub(crate) inbound_failed: u64,
    pub(crate) inbound_explained: u64,
    pub(crate) links_on: bool,
    pub(crate) budgets: Budgets,
    pub(crate) feed: Feed,
    /// Told of messages that their receiver has dealt with.
    tell_dealt_with: mpsc::UnboundedSender<Done>,
    dealt_with: mpsc::UnboundedReceiver<Done>,
    /// Links that read on at a later time, since they brought much.
    paced: Vec<(u64, Done)>,
    started: Instant,
    pub(crate) unjudged: BTreeMap<u64, (gossipsub::MessageId, PeerId)>,
    pub(crate) next_token: u64,
    /// Devices that were retired, as far as that has been seen to.
    pub(crate) barred: Lists,
}

impl Task {
    pub(crate) fn new(parts: Parts, side: Option<Side>) -> Self {
        let (tell_dealt_with, dealt_with) = mpsc::unbounded_channel();
        let mut task = Self {
            links: Links::default(),
            side,
            book: PeerBook::new(parts.me),
            named: Vec::new(),
            dials: HashMap::new(),
            known: BTreeSet::new(),
            whom: Whom::default(),
            choice_is_stale: true,
            watched: BTreeSet::new(),
            admissions: Admissions::default(),
            locals: interfaces::current(parts.listen.interfaces.as_deref()),
            counters: Counters::default(),
            refusals: Refusals::default(),
            inbound_failed: 0,
            inbound_explained: 0,
            links_on: true,
            budgets: Budgets::default(),
            feed: Feed::default(),
            tell_dealt_with,
            dealt_with,
            paced: Vec::new(),
            started: Instant::now(),
            unjudged: BTreeMap::new(),
            next_token: 0,
            barred: Lists::default(),
            parts,
        };
        task.take_named_peers();
        task
    }

    pub(crate) async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0_u32;
        let events = self.parts.events.clone();
        let goodbye: Option<oneshot::Sender<()>> = loop {
            tokio::select! {
                event = self.parts.swarm.select_next_some() => self.on_swarm_event(event),
                request = self.parts.requests.recv() => match request {
                    Some(Control::Stop(done)) => break Some(done),
                    Some(request) => self.on_request(request),
                    None => break None,
                },
                Some(note) = self.parts.desk_notes.recv() => self.on_gate_note(note),
                Some(found) = self.parts.findings.recv() => self.on_found(found),
                Some(sighting) = self.parts.sighted.recv() => self.on_sighted(&sighting),
                () = self.parts.outboxes.filled.notified() => self.pump_all(),
                Some(done) = self.dealt_with.recv() => self.on_dealt_with(done),
                permit = events.reserve(), if !self.feed.is_empty() => match (permit, self.feed.pop()) {
                    (Ok(permit), Some(event)) => permit.send(event),
                    // Nobody listens any more: the mesh is of no use.
                    _ => break None,
                },
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    self.take_barred();
                    self.dial_due();
                    self.choose_nearby();
                    self.tell_neighbours();
                    self.read_on_where_due();
                    self.look_after_links();
                    if ticks.is_multiple_of(HOUSEKEEPING_TICKS) {
                        self.keep_house();
                        self.tell_of_refusals();
                    }
                }
            }
        };
        self.shut_down().await;
        if let Some(done) = goodbye {
            let _ = done.send(());
        }
    }

    async fn shut_down(mut self) {
        for (device, medium, link) in self.links.iter() {
            self.parts.outboxes.close(device, medium);
            self.parts.swarm.close_connection(link.connection);
        }
        let _ = timeout(STOP_TIMEOUT, async {
            while self.parts.swarm.network_info().num_peers() > 0 {
                self.parts.swarm.select_next_some().await;
            }
        })
        .await;
        // Without its sender, discovery says goodbye and ends.
        drop(self.parts.changed);
        if let Some(discovery) = self.parts.discovery {
            let _ = timeout(STOP_TIMEOUT, discovery).await;
        }
        tracing::info!("mesh stopped");
    }

    fn on_request(&mut self, request: Control) {
        match request {
            Control::Publish(bytes) => self.publish(&bytes),
            Control::Judge(token, verdict) => self.on_verdict(token, verdict),
            Control::Known(devices) => {
                self.known = devices.into_iter().collect();
                self.choice_is_stale = true;
            }
            Control::CutOff(device, time) => self.cut_off(device, time),
            Control::Barred => self.take_barred(),
            Control::Probe(device) => {
                if let Some(link) = self.links.get_mut(&device, Medium::Ip) {
                    link.watch.doubt();
                }
            }
            Control::Links(on, done) => self.switch_links(on, done),
            Control::Snapshot(reply) => {
                let _ = reply.send(self.snapshot());
            }
            // The loop takes it; dropping it would tell the caller the same.
            Control::Stop(done) => drop(done),
        }
    }

    fn switch_links(&mut self, on: bool, done: oneshot::Sender<()>) {
        self.links_on = on;
        let now = Instant::now();
        if on {
            tracing::info!("links are switched on");
            self.book.hurry(now);
            self.named.iter_mut().for_each(|entry| entry.hurry(now));
        } else {
            tracing::warn!("links are switched off");
            for device in self.links.devices() {
                self.close_link(device, "links are switched off");
            }
        }
        // Whoever asked may have gone; it is done all the same.
        let _ = done.send(());
    }

    /// Closes all links to a device, and takes nothing more from them.
    pub(crate) fn close_link(&mut self, device: DeviceKey, reason: &str) {
        for medium in [Medium::Ip, Medium::Ble] {
            self.close_link_over(medium, device, reason);
        }
    }

    pub(crate) fn close_link_over(&mut self, medium: Medium, device: DeviceKey, reason: &str) {
        if let Some(connection) = self.links.get(&device, medium).map(|link| link.connection) {
            self.parts.swarm.close_connection(connection);
            self.on_closed(connection, reason);
        }
    }

    /// Milliseconds since the start, for budgets.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Closes the link to a device, and lets none be for so long.
    pub(crate) fn cut_off(&mut self, device: DeviceKey, time: Duration) {
        let (now_ms, for_ms) = (self.now_ms(), u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.budgets.cut_off(device, for_ms, now_ms);
        if self.links.is_linked(&device) {
            self.counters.cut_off += 1;
            tracing::warn!(device = %short(&device), seconds = time.as_secs(), "cut off for what it sends");
            self.close_link(device, "it is cut off for what it sends");
        }
        self.book.refused(&device, "it is cut off for what it sends".to_owned(), Instant::now());
        self.on_nearby_refused(&device, Instant::now());
    }

    /// A message was dealt with: its link may read on, now or later.
    fn on_dealt_with(&mut self, done: Done) {
        let Some(device) = device_of(&done.peer) else { return };
        let now_ms = self.now_ms();
        let ready_ms = self.budgets.message(device, done.bytes, now_ms);
        if ready_ms > now_ms {
            self.paced.push((ready_ms, done));
        } else {
            self.read_on(done);
        }
    }

    fn read_on_where_due(&mut self) {
        let now_ms = self.now_ms();
        let due: Vec<Done> =
            self.paced.extract_if(.., |(at, _)| *at <= now_ms).map(|(_, done)| done).collect();
        for done in due {
            self.read_on(done);
        }
    }

    fn read_on(&mut self, done: Done) {
        self.parts.swarm.behaviour_mut().messages.taken(done.peer, done.connection, done.bytes);
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Messages(event)) => self.on_messages(event),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            })) => self.on_gossip(propagation_source, message_id, message.data.into()),
            SwarmEvent::Behaviour(BehaviourEvent::PingBle(event)) => self.on_ping(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { connection_id, cause, .. } => {
                let reason = cause.map_or_else(|| "closed".to_owned(), |cause| cause.to_string());
                self.on_closed(connection_id, &reason);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.counters.dials_failed += 1;
                self.tell_of_failed_dial(connection_id, &error);
                self.on_dial_failed(connection_id);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(address = %send_back_addr, %error, "an inbound connection failed");
                self.inbound_failed += 1;
            }
            SwarmEvent::NewListenAddr { address, .. } => tracing::info!(%address, "listening"),
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                tracing::warn!(?reason, "a listener closed");
                self.on_listener_closed(listener_id);
            }
            SwarmEvent::ListenerError { error, .. } => tracing::debug!(%error, "a listener's error"),
            _ => {}
        }
    }

    fn on_established(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        // The gate lets nobody through without such a key.
        let Some(device) = device_of(&peer) else { return };
        let now = Instant::now();
        let medium = medium_of(endpoint);
        let boot = self.admissions.arrived(device, medium).unwrap_or_default();
        if !self.links_on || self.is_shut_out(&device) {
            // It passed the gate before the switch was thrown, or before it was barred.
            self.parts.swarm.close_connection(connection);
            self.on_dial_failed(connection);
            return;
        }
        self.close_link_over(medium, device, "a second connection replaces the first");
        self.on_dial_succeeded(connection, device, now);
        tracing::info!(device = %short(&device), address = %endpoint.get_remote_address(), "link up");
        let width_before = self.links.is_linked(&device).then(|| self.links.width_to(&device));
        self.links.insert(device, endpoint, Link::new(peer, connection, boot, endpoint, now));
        self.parts.outboxes.open(device, medium);
        match medium {
            Medium::Ip => {
                self.book.link_up(device, now);
                if endpoint.is_dialer() {
                    let address = endpoint.get_remote_address().iter();
                    let address = address.filter(|part| !matches!(part, Protocol::P2p(_))).collect();
                    self.book.worked(&device, address);
                }
            }
            Medium::Ble => self.on_nearby_link(device, true, now),
        }
        self.counters.links_up += 1;
        self.choice_is_stale = true;
        self.choose_watched();
        let width = self.links.width_to(&device);
        match width_before {
            None => self.feed.link_up(device, width),
            Some(before) if before != width => self.feed.link_width(device, width),
            Some(_) => {}
        }
    }

    fn on_closed(&mut self, connection: ConnectionId, reason: &str) {
        let Some((device, medium)) = self.links.way_of(connection) else { return };
        let now = Instant::now();
        if let Some(link) = self.links.remove(&device, medium) {
            self.counters.lost_sending += link.in_flight_messages as u64;
        }
        tracing::info!(device = %short(&device), ?medium, reason, "link down");
        let is_linked = self.links.is_linked(&device);
        if !is_linked {
            self.counters.lost_sending += self.parts.outboxes.waiting_and_dropped(&device).0 as u64;
        }
        self.parts.outboxes.close(&device, medium);
        match medium {
            Medium::Ip => {
                self.book.link_down(&device, now);
                self.link_ended_for_named(&device, now);
            }
            Medium::Ble => self.on_nearby_link(device, false, now),
        }
        self.counters.links_down += 1;
        self.choice_is_stale = true;
        self.choose_watched();
        if !is_linked {
            self.feed.link_down(device);
        } else if medium == Medium::Ip {
            // What was under way over the network is lost: the owner compares. What waits goes over the radio.
            self.feed.link_width(device, Width::Narrow);
            self.pump(&device);
        }
        self.admissions.closed(device, medium, now);
    }

    fn on_ping(&mut self, event: ping::Event) {
        let link = self.links.of_connection(event.connection);
        match event.result {
            Ok(rtt) => {
                if let Some(link) = link {
                    link.rtt = Some(rtt);
                }
            }
            Err(error) => {
                if let Some(device) = device_of(&event.peer) {
                    tracing::info!(device = %short(&device), %error, "silent: closing the link");
                }
                self.counters.silent_closed += 1;
                self.parts.swarm.close_connection(event.connection);
            }
        }
    }

    /// Asks those who have been silent whether they are there, and gives up links that are dead.
    fn look_after_links(&mut self) {
        let now = Instant::now();
        let (me, every) = (self.parts.me, self.watched_every());
        let mut given_up = Vec::new();
        for (device, link) in self.links.over_mut(Medium::Ip) {
            match link.watch.look(self.watched.contains(device), me < *device, every, now) {
                Step::Nothing => {}
                Step::Ask(question) => {
                    let ask = Bytes::from_static(question);
                    self.parts.swarm.behaviour_mut().messages.send_word(link.peer, link.connection, ask);
                }
                Step::GiveUp => given_up.push((*device, link.connection)),
            }
        }
        if given_up.is_empty() {
            return;
        }
        for (device, connection) in given_up {
            tracing::info!(device = %short(&device), "silent: closing the link");
            self.counters.silent_closed += 1;
            self.parts.swarm.close_connection(connection);
            self.on_closed(connection, "it is silent");
        }
        // If the network is gone, so are they.
        self.links.over_mut(Medium::Ip).for_each(|(_, link)| link.watch.doubt());
    }

    fn watched_every(&self) -> Duration {
        watching::watched_every(self.known.len())
    }

    pub(crate) fn choose_watched(&mut self) {
        let linked = self.links.over(Medium::Ip).map(|(device, _)| *device).collect();
        self.watched = links::watched(&self.parts.event, &self.parts.me, &linked);
    }

    /// A word over the network: a question whether this device is there, or the answer.
    fn on_watch_word(&mut self, connection: ConnectionId, word: &[u8]) {
        let (now, every) = (Instant::now(), self.watched_every());
        let Some(link) = self.links.of_connection(connection) else { return };
        if word == watching::ASK || word == watching::ASK_OFTEN {
            if word == watching::ASK_OFTEN {
                link.watch.was_asked_often(now, every);
            }
            let answer = Bytes::from_static(watching::ANSWER);
            self.parts.swarm.behaviour_mut().messages.send_word(link.peer, link.connection, answer);
        } else if word == watching::ANSWER
            && let Some(rtt) = link.watch.answered(now)
        {
            link.rtt = Some(rtt);
        }
    }

    fn on_messages(&mut self, event: messages::Event) {
        match event {
            messages::Event::Received { peer, connection, message } => {
                let Some(device) = device_of(&peer) else { return };
                // What a replaced connection still brings belongs to a link that is gone.
                let Some(link) = self.links.of_connection(connection) else { return };
                link.watch.heard(Instant::now());
                link.bytes_received += message.len() as u64;
                let done = Done { peer, connection, bytes: message.len() };
                link.messages_received += 1;
                self.feed.message(device, message, Taken::new(done, self.tell_dealt_with.clone()));
            }
            messages::Event::Word { peer, connection, word } => {
                // It counts like a message, so that nobody sends words without end.
                self.on_dealt_with(Done { peer, connection, bytes: word.len() });
                if let Some((_, Medium::Ip)) = self.links.way_of(connection) {
                    self.on_watch_word(connection, &word);
                    if let Some(link) = self.links.of_connection(connection) {
                        link.watch.heard(Instant::now());
                    }
                } else {
                    self.on_word(connection, &word);
                }
            }
            messages::Event::Flushed { peer, connection, messages, bytes, lost } => {
                let Some(device) = device_of(&peer) else { return };
                let Some(link) = self.links.of_connection(connection) else { return };
                link.in_flight_messages = link.in_flight_messages.saturating_sub(messages);
                link.in_flight_bytes = link.in_flight_bytes.saturating_sub(bytes);
                if lost {
                    self.counters.lost_sending += messages as u64;
                } else {
                    link.messages_sent += messages as u64;
                    link.bytes_sent += bytes as u64;
                }
                self.pump(&device);
            }
            messages::Event::Unsupported { peer, connection } => {
                tracing::warn!(%peer, "a peer takes no messages: closing the link");
                self.parts.swarm.close_connection(connection);
            }
        }
    }

    fn pump_all(&mut self) {
        for device in self.links.devices() {
            self.pump(&device);
        }
    }

    fn pump(&mut self, device: &DeviceKey) {
        let Some(link) = self.links.best_mut(device) else { return };
        let bytes_max = match medium(&link.address) {
            Medium::Ip => IN_FLIGHT_BYTES_MAX,
            Medium::Ble => IN_FLIGHT_BYTES_MAX_BLE,
        };
        while link.in_flight_messages < IN_FLIGHT_MESSAGES_MAX && link.in_flight_bytes < bytes_max {
            let Some(message) = self.parts.outboxes.take(device) else { return };
            link.in_flight_messages += 1;
            link.in_flight_bytes += message.len();
            link.watch.sent(Instant::now());
            self.parts.swarm.behaviour_mut().messages.send(link.peer, link.connection, message);
        }
    }
}
