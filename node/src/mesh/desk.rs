//! The task and the gate: who is let in, and what becomes known of those who are not.

use std::time::SystemTime;

use libp2p::Multiaddr;
use tokio::time::Instant;

use super::{
    DeviceKey, Refusal,
    admission::{Admissions, Decision, EntryRequest, Existing, GateNote, Turned},
    behaviour::ESTABLISHED_MAX,
    gate::NotPassed,
    identity::short,
    refusals::Met,
    task::Task,
};

/// Why one that was dialled and shows nothing is no device of this event, or does not take this one for one.
const SHOWS_NOTHING: &str = "it does not show that it is a device of this event";
const TURNED_AWAY: &str = "it does not take this device for one of its event: it is of another event, or speaks another \
                           version of popmesh";

/// What a device is told by one that refuses it with one byte, after it has seen its certificate.
const NO_REASON: &str =
    "it refuses this device and does not say why; ask at an hq whether this device was retired";

impl Task {
    pub(crate) fn on_gate_note(&mut self, note: GateNote) {
        let now = Instant::now();
        match note {
            GateNote::Enter(request) => self.on_enter(request, now),
            GateNote::NotPassed { device, address, dialled, reason } => {
                if !dialled && !matches!(reason, NotPassed::Failed(_)) {
                    self.inbound_explained += 1;
                }
                self.gate_answered_named(&address, dialled, device, &reason, now);
                self.on_not_passed(device, address, dialled, reason, now);
            }
        }
    }

    fn on_not_passed(
        &mut self,
        device: Option<DeviceKey>,
        address: Multiaddr,
        dialled: bool,
        reason: NotPassed,
        now: Instant,
    ) {
        let (by_peer, reason) = match reason {
            NotPassed::Stranger if dialled => return self.on_answerer(device, &address, SHOWS_NOTHING, now),
            NotPassed::Stranger => {
                self.counters.strangers_called += 1;
                self.refusals.stranger(Met::Caller, &address);
                return;
            }
            // Anybody can say so; that it is a device of the event is known of those alone that the owner knows.
            NotPassed::TurnedAway if device.is_none_or(|device| !self.known.contains(&device)) => {
                return self.on_answerer(device, &address, TURNED_AWAY, now);
            }
            NotPassed::TurnedAway => (true, TURNED_AWAY.to_owned()),
            NotPassed::RefusedByUs(unfit) => (false, unfit.to_string()),
            NotPassed::RefusedByPeer(reason) => (true, reason.unwrap_or_else(|| NO_REASON.to_owned())),
            NotPassed::Duplicate | NotPassed::Myself | NotPassed::Failed(_) => return,
        };
        if let Some(device) = device {
            self.on_refusal(device, address, by_peer, reason, now);
        }
    }

    /// A stranger answered. It takes no place where it had none, and is not dialled again at once.
    fn on_answerer(&mut self, device: Option<DeviceKey>, address: &Multiaddr, reason: &str, now: Instant) {
        self.counters.strangers_answered += 1;
        self.refusals.stranger(Met::Answerer, address);
        if let Some(device) = device {
            self.book.refused(&device, reason.to_owned(), now);
            self.on_nearby_refused(&device, now);
        }
    }

    fn on_enter(&mut self, request: EntryRequest, now: Instant) {
        if self.budgets.out_for_ms(&request.device, self.now_ms()).is_some() {
            Admissions::turn(request, Turned::Busy);
            return;
        }
        let medium = request.medium;
        let link = self.links.get(&request.device, medium);
        let existing = link.map(|link| Existing { boot: link.boot, since: link.up_at });
        let room = self.links.count_over(medium) < ESTABLISHED_MAX as usize;
        match self.admissions.decide(&request, existing, room, now) {
            Decision::Grant => self.admissions.grant(request, now),
            Decision::Turn(turned) => Admissions::turn(request, turned),
            Decision::Replace => {
                if let Some(link) = link {
                    tracing::info!(device = %short(&request.device), "a newer link replaces this one");
                    self.parts.swarm.close_connection(link.connection);
                }
                self.admissions.wait(request);
            }
        }
    }

    fn on_refusal(
        &mut self,
        device: DeviceKey,
        address: Multiaddr,
        by_peer: bool,
        reason: String,
        now: Instant,
    ) {
        if by_peer {
            self.counters.refused_by_peer += 1;
        } else {
            self.counters.refused_by_us += 1;
        }
        self.book.refused(&device, reason.clone(), now);
        self.on_nearby_refused(&device, now);
        let refusal = Refusal { at: SystemTime::now(), device, address, by_peer, reason };
        let (address, reason) = (refusal.address.clone(), refusal.reason.clone());
        let words = if by_peer { "a peer refused this device" } else { "refused a peer's certificate" };
        if self.refusals.device(refusal, now) {
            tracing::warn!(device = %short(&device), %address, reason, "{words}");
        } else {
            tracing::debug!(device = %short(&device), %address, reason, "{words}");
        }
    }

    /// Says what there is to say of those who were refused since it was last said.
    pub(crate) fn tell_of_refusals(&mut self) {
        let now = Instant::now();
        for strangers in self.refusals.strangers(now) {
            tracing::warn!("{strangers}");
        }
        if let Some(more) = self.refusals.unsaid(now) {
            tracing::warn!(more, "refusals of other devices that were not told one by one");
        }
    }
}
