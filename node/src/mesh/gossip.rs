//! Gossip in the task, which goes over the network alone.
//!
//! Gossipsub is made for many peers and fast links: it tells of what it has every heartbeat, and shares one queue among
//! all connections to a peer. So it does not run over the radio; what is to go there the mesh's owner sends itself.

use bytes::Bytes;
use libp2p::{
    PeerId,
    gossipsub::{MessageAcceptance, MessageId, PublishError},
};
use tokio::time::{Duration, Instant};

use super::{GOSSIP_BYTES_MAX, Verdict, budget::Gossiped, identity::device_of, medium::Medium, task::Task};

/// Gossip messages whose verdict is awaited. Older ones count as ignored.
const UNJUDGED_MAX: usize = 4_096;

impl Task {
    pub(crate) fn publish(&mut self, bytes: &Bytes) {
        if bytes.len() > GOSSIP_BYTES_MAX {
            tracing::warn!(bytes = bytes.len(), "a message is too large to gossip");
            self.counters.gossip_unpublished += 1;
            return;
        }
        let topic = self.parts.topic.hash();
        let Some(gossip) = self.parts.swarm.behaviour_mut().gossip.inner() else { return };
        match gossip.publish(topic, bytes.to_vec()) {
            Ok(_) => self.counters.gossip_published += 1,
            // Alone, or told before: there is nobody whom it would be news to.
            Err(PublishError::NoPeersSubscribedToTopic | PublishError::Duplicate) => {
                self.counters.gossip_published += 1;
            }
            Err(error) => {
                self.counters.gossip_unpublished += 1;
                tracing::debug!(%error, "gossip not published");
            }
        }
    }

    pub(crate) fn on_gossip(&mut self, from: PeerId, message: MessageId, bytes: Bytes) {
        let Some(device) = device_of(&from) else { return };
        match self.budgets.gossip(device, bytes.len(), self.now_ms()) {
            Gossiped::Take => {}
            over => {
                self.counters.gossip_over_budget += 1;
                self.report(&message, &from, Verdict::Ignore);
                if let Gossiped::CutOff(for_ms) = over {
                    self.cut_off(device, Duration::from_millis(for_ms));
                }
                return;
            }
        }
        if let Some(link) = self.links.get_mut(&device, Medium::Ip) {
            link.watch.heard(Instant::now());
            link.gossip_received += 1;
        }
        let token = self.next_token;
        if !self.feed.gossip(device, bytes, token) {
            self.counters.gossip_dropped += 1;
            self.report(&message, &from, Verdict::Ignore);
            return;
        }
        self.next_token += 1;
        self.unjudged.insert(token, (message, from));
        if self.unjudged.len() > UNJUDGED_MAX
            && let Some((_, (message, from))) = self.unjudged.pop_first()
        {
            self.report(&message, &from, Verdict::Ignore);
        }
    }

    pub(crate) fn on_verdict(&mut self, token: u64, verdict: Verdict) {
        if let Some((message, from)) = self.unjudged.remove(&token) {
            self.report(&message, &from, verdict);
        }
    }

    fn report(&mut self, message: &MessageId, from: &PeerId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        if let Some(gossip) = self.parts.swarm.behaviour_mut().gossip.inner() {
            gossip.report_message_validation_result(message, from, acceptance);
        }
    }
}
