//! Gossip in the task: over the network by gossipsub, over the radio from neighbour to neighbour.
//!
//! Gossipsub is made for many peers and fast links: it tells of what it has every heartbeat, and shares one queue among
//! all connections to a peer. So it does not run over the radio. There, a message goes to each neighbour that only the
//! radio reaches, once, as a message among others, when it was judged good; a device with both passes it on both ways.

use bytes::Bytes;
use libp2p::{
    PeerId,
    gossipsub::{MessageAcceptance, MessageId, PublishError},
};
use tokio::time::Duration;

use super::{
    DeviceKey, GOSSIP_BYTES_MAX, Verdict, budget::Gossiped, identity::device_of, medium::Medium,
    messages::Envelope, task::Task,
};

/// Gossip messages whose verdict is awaited. Older ones count as ignored.
const UNJUDGED_MAX: usize = 4_096;

/// A message that is not judged yet.
pub(crate) struct Unjudged {
    from: DeviceKey,
    bytes: Bytes,
    /// How gossipsub calls it, if it came that way.
    over_network: Option<(MessageId, PeerId)>,
}

impl Task {
    pub(crate) fn publish(&mut self, bytes: &Bytes) {
        if bytes.len() > GOSSIP_BYTES_MAX {
            tracing::warn!(bytes = bytes.len(), "a message is too large to gossip");
            self.counters.gossip_unpublished += 1;
            return;
        }
        self.heard.is_new(bytes);
        if self.publish_over_network(bytes) {
            self.counters.gossip_published += 1;
        } else {
            self.counters.gossip_unpublished += 1;
        }
        self.pass_on_over_radio(bytes, None);
    }

    fn publish_over_network(&mut self, bytes: &Bytes) -> bool {
        let topic = self.parts.topic.hash();
        let Some(gossip) = self.parts.swarm.behaviour_mut().gossip.inner() else { return false };
        match gossip.publish(topic, bytes.to_vec()) {
            // Alone, or told before: there is nobody whom it would be news to.
            Ok(_) | Err(PublishError::NoPeersSubscribedToTopic | PublishError::Duplicate) => true,
            Err(error) => {
                tracing::debug!(%error, "gossip not published");
                false
            }
        }
    }

    fn pass_on_over_radio(&mut self, bytes: &Bytes, except: Option<&DeviceKey>) {
        for device in self.links.by_radio_alone() {
            if Some(&device) != except {
                // An outbox that is full drops and counts it; the frontiers find what is missing.
                self.parts.outboxes.put(&device, Envelope::gossip(bytes.clone()));
            }
        }
    }

    /// Gossip that came over the network.
    pub(crate) fn on_network_gossip(&mut self, from: PeerId, message: MessageId, bytes: Bytes) {
        let Some(device) = device_of(&from) else { return };
        let is_new = self.heard.is_new(&bytes);
        if !self.take_gossip(device, Medium::Ip, bytes, Some((message.clone(), from)), is_new) {
            self.report(&message, &from, Verdict::Ignore);
        }
    }

    /// Gossip that came over the radio.
    pub(crate) fn on_radio_gossip(&mut self, device: DeviceKey, bytes: Bytes) {
        let is_new = self.heard.is_new(&bytes);
        self.take_gossip(device, Medium::Ble, bytes, None, is_new);
    }

    fn take_gossip(
        &mut self,
        from: DeviceKey,
        medium: Medium,
        bytes: Bytes,
        over_network: Option<(MessageId, PeerId)>,
        is_new: bool,
    ) -> bool {
        match self.budgets.gossip(from, bytes.len(), self.now_ms()) {
            Gossiped::Take => {}
            over => {
                self.counters.gossip_over_budget += 1;
                if let Gossiped::CutOff(for_ms) = over {
                    self.cut_off(from, Duration::from_millis(for_ms));
                }
                return false;
            }
        }
        if !is_new {
            return false;
        }
        if let Some(link) = self.links.get_mut(&from, medium) {
            link.gossip_received += 1;
        }
        let token = self.next_token;
        if !self.feed.gossip(from, bytes.clone(), token) {
            self.counters.gossip_dropped += 1;
            return false;
        }
        self.next_token += 1;
        self.unjudged.insert(token, Unjudged { from, bytes, over_network });
        if self.unjudged.len() > UNJUDGED_MAX
            && let Some((_, oldest)) = self.unjudged.pop_first()
            && let Some((message, from)) = oldest.over_network
        {
            self.report(&message, &from, Verdict::Ignore);
        }
        true
    }

    pub(crate) fn on_verdict(&mut self, token: u64, verdict: Verdict) {
        let Some(judged) = self.unjudged.remove(&token) else { return };
        match &judged.over_network {
            Some((message, from)) => self.report(message, from, verdict),
            None if verdict == Verdict::Accept => {
                self.publish_over_network(&judged.bytes);
            }
            None => {}
        }
        if verdict == Verdict::Accept {
            self.pass_on_over_radio(&judged.bytes, Some(&judged.from));
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
