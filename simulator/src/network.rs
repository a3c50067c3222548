//! What carries messages: how long each takes, and whether it arrives at all.

use crate::random::Random;
use crate::scenario::Medium;

/// A repeat after a lost packet costs so much, beside the way there and back: TCP's least time-out on Linux.
const REPEAT_US: u64 = 200_000;
/// What waits for longer than this is not even sent: queues are bounded.
const QUEUE_US: u64 = 2_000_000;
/// For how long it is looked how busy something is, microseconds.
pub const PART_US: u64 = 10_000_000;
/// How much later a message arrives that others overtake, at the most.
const OVERTAKEN_US: u64 = 300_000;

/// One direction's arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When, microseconds.
    pub at_us: u64,
    /// With a byte changed.
    pub spoiled: bool,
    /// It need not keep the order of its link.
    pub overtaken: bool,
}

/// What becomes of one message: it arrives, perhaps twice, or it does not.
pub type Fate = [Option<Arrival>; 2];

/// Counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages sent.
    pub messages: u64,
    /// Their bytes, with packet overhead.
    pub bytes: u64,
    /// Messages that vanished.
    pub vanished: u64,
    /// Messages that found the queue full.
    pub queue_full: u64,
    /// Messages that arrived twice.
    pub twice: u64,
    /// Messages that others overtook.
    pub overtaken: u64,
    /// Messages that arrived with a byte changed.
    pub spoiled: u64,
    /// Packets that were lost and sent again.
    pub repeated: u64,
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        let Self { messages, bytes, vanished, queue_full, twice, overtaken, spoiled, repeated } = other;
        self.messages += messages;
        self.bytes += bytes;
        self.vanished += vanished;
        self.queue_full += queue_full;
        self.twice += twice;
        self.overtaken += overtaken;
        self.spoiled += spoiled;
        self.repeated += repeated;
    }
}

/// How much of its time something carried messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// In all, microseconds.
    pub busy_us: u64,
    /// In the part of [`PART_US`] in which that was most, microseconds.
    pub busiest_us: u64,
    part: u64,
    in_part_us: u64,
}

impl Use {
    fn carries(&mut self, now_us: u64, air_us: u64) {
        let part = now_us / PART_US;
        if part != self.part {
            (self.part, self.in_part_us) = (part, 0);
        }
        self.in_part_us += air_us;
        self.busy_us += air_us;
        // What is offered beyond that waits for the next.
        self.busiest_us = self.busiest_us.max(self.in_part_us.min(PART_US));
    }
}

/// Something that carries messages for several devices, one after the other.
#[derive(Debug, Clone)]
pub struct Carrier {
    /// How good it is now.
    pub medium: Medium,
    busy_until_us: u64,
    /// Bytes offered to it so far, with packet overhead.
    pub offered: u64,
    /// What became of what was given to it.
    pub traffic: Traffic,
    /// How much of its time that took.
    pub used: Use,
}

impl Carrier {
    /// A carrier that is idle.
    #[must_use]
    pub fn new(medium: Medium) -> Self {
        Self { medium, busy_until_us: 0, offered: 0, traffic: Traffic::default(), used: Use::default() }
    }

    /// It is another medium from now on, and idle; what it carried before still counts.
    pub fn becomes(&mut self, medium: Medium) {
        *self = Self { traffic: self.traffic, used: self.used, ..Self::new(medium) };
    }

    /// Carries small messages that nobody waits for, `bytes` in all, with packet overhead.
    pub fn load(&mut self, now_us: u64, messages: u64, bytes: u64, traffic: &mut Traffic) {
        let carried = Traffic { messages, bytes, ..Traffic::default() };
        self.traffic += carried;
        *traffic += carried;
        self.offered += bytes;
        let air_us = bytes * 8_000 / self.medium.kbit_per_s.max(1);
        self.used.carries(now_us, air_us);
        self.busy_until_us = self.busy_until_us.max(now_us) + air_us;
    }

    /// Sends a message of `bytes` at `now_us`.
    pub fn send(&mut self, now_us: u64, bytes: usize, random: &mut Random, traffic: &mut Traffic) -> Fate {
        let mut sent = Traffic::default();
        let fate = self.carry(now_us, bytes, random, &mut sent);
        self.traffic += sent;
        *traffic += sent;
        fate
    }

    fn carry(&mut self, now_us: u64, bytes: usize, random: &mut Random, traffic: &mut Traffic) -> Fate {
        let medium = self.medium;
        let bytes = bytes as u64;
        let packets = bytes.div_ceil(medium.packet_bytes.max(1)).max(1);
        let all_bytes = bytes + packets * medium.packet_overhead;
        traffic.messages += 1;
        traffic.bytes += all_bytes;
        self.offered += all_bytes;
        let start = self.busy_until_us.max(now_us);
        if start - now_us > QUEUE_US {
            traffic.queue_full += 1;
            return [None, None];
        }
        // Bits over thousands of bits a second are milliseconds.
        let air_us = all_bytes * 8_000 / medium.kbit_per_s.max(1);
        self.busy_until_us = start + air_us;
        self.used.carries(now_us, air_us);
        let lost = if medium.loss_per_mille == 0 {
            0
        } else {
            (0..packets.min(64)).filter(|_| random.chance(medium.loss_per_mille)).count() as u64
        };
        traffic.repeated += lost;
        let jitter = if medium.jitter_us == 0 { 0 } else { random.below(medium.jitter_us + 1) };
        // Packets lost of one message are mostly repeated together.
        let repeats = lost.min(3) * (REPEAT_US + 2 * medium.latency_us);
        let at_us = start + air_us + medium.latency_us + jitter + repeats;
        if medium.vanish_per_mille > 0 && random.chance(medium.vanish_per_mille) {
            traffic.vanished += 1;
            return [None, None];
        }
        let mut arrival = Arrival { at_us, spoiled: false, overtaken: false };
        if medium.reorder_per_mille > 0 && random.chance(medium.reorder_per_mille) {
            traffic.overtaken += 1;
            arrival.at_us += random.below(OVERTAKEN_US);
            arrival.overtaken = true;
        }
        let mut second = None;
        if medium.twice_per_mille > 0 && random.chance(medium.twice_per_mille) {
            traffic.twice += 1;
            let at_us = arrival.at_us + random.below(OVERTAKEN_US);
            second = Some(Arrival { at_us, overtaken: true, ..arrival });
        }
        if medium.corrupt_per_mille > 0 && random.chance(medium.corrupt_per_mille) {
            traffic.spoiled += 1;
            arrival.spoiled = true;
        }
        [Some(arrival), second]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Medium = Medium {
        latency_us: 1_000,
        jitter_us: 0,
        kbit_per_s: 8_000,
        packet_bytes: 1_000,
        packet_overhead: 0,
        loss_per_mille: 0,
        vanish_per_mille: 0,
        twice_per_mille: 0,
        reorder_per_mille: 0,
        corrupt_per_mille: 0,
    };

    #[test]
    fn bytes_take_their_time_and_wait_for_each_other() {
        let (mut random, mut traffic) = (Random::new(1), Traffic::default());
        let mut carrier = Carrier::new(PLAIN);
        let mut arrives =
            || carrier.send(0, 1_000, &mut random, &mut traffic)[0].map(|arrival| arrival.at_us);
        assert_eq!([arrives(), arrives()], [Some(2_000), Some(3_000)]);
        let last = (0..3_000).filter_map(|_| arrives()).last();
        assert_eq!(last, Some(QUEUE_US + 2_000), "the queue is bounded");
        assert!(traffic.queue_full > 900);
    }

    #[test]
    fn all_that_can_happen_to_a_message_happens() {
        let (mut random, mut traffic) = (Random::new(2), Traffic::default());
        let medium = Medium {
            loss_per_mille: 100,
            vanish_per_mille: 100,
            twice_per_mille: 100,
            reorder_per_mille: 100,
            corrupt_per_mille: 100,
            ..PLAIN
        };
        let mut carrier = Carrier::new(medium);
        let mut gone = 0;
        for n in 0..1_000_u64 {
            let fate = carrier.send(n * 100_000, 100, &mut random, &mut traffic);
            gone += u64::from(fate == [None, None]);
        }
        assert_eq!(gone, traffic.vanished);
        for count in [traffic.vanished, traffic.twice, traffic.overtaken, traffic.spoiled, traffic.repeated] {
            assert!((60..140).contains(&count), "{traffic:?}");
        }
    }
}
