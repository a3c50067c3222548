//! One directed link: what becomes of each frame. Sans-IO: time is an argument, nothing is sent here.

use std::time::{Duration, Instant};

use super::random::Random;

/// Frames that one link holds at most, so that a long delay under a flood cannot eat the memory.
const FRAMES_UNDER_WAY_MAX: usize = 10_000;

/// How a directed link treats the frames that enter it. The default is a clean wire.
///
/// New settings hold for frames that enter from then on; frames under way keep the time they were given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkSettings {
    /// How long a frame is under way, beside its time in the queue.
    pub delay: Duration,
    /// Each frame's delay is uniform within `delay ± jitter`, never below zero; so frames overtake.
    pub jitter: Duration,
    /// The probability, from 0 to 1, that a frame is lost.
    pub loss: f64,
    /// How fast frames leave the queue; `None` for no limit.
    pub rate_bits_per_second: Option<u64>,
    /// Bytes that wait at most when there is a rate; a frame that finds the queue full is dropped.
    pub queue_bytes_max: u64,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            rate_bits_per_second: None,
            queue_bytes_max: 64 * 1024,
        }
    }
}

impl LinkSettings {
    pub(super) fn check(&self) {
        assert!((0.0..=1.0).contains(&self.loss), "loss {} is no probability", self.loss);
        assert!(self.rate_bits_per_second != Some(0), "a rate of zero is a cut: cut the link instead");
    }
}

/// Frames and their bytes, Ethernet headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many frames.
    pub frames: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, frame_bytes: usize) {
        self.frames += 1;
        self.bytes += frame_bytes as u64;
    }
}

/// What became of the frames that entered one directed link; a frame is in one tally, once decided.
///
/// They count every frame: ARP and IPv6 housekeeping of the kernel too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reached the interface of the other host.
    pub delivered: Tally,
    /// Lost by the probability that was set.
    pub lost: Tally,
    /// Dropped because the link was cut.
    pub cut: Tally,
    /// Dropped because the queue of the rate, or the link itself, was full.
    pub overflowed: Tally,
    /// Not taken by the interface of the other host, as when it is down.
    pub refused: Tally,
    /// Frames that wait for their time now: the only count that also falls.
    pub frames_under_way: usize,
}

/// What a link decided about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Deliver it without passing through the queue of waiting frames.
    Now,
    /// Hold it until then.
    At(Instant),
    /// Counted and gone.
    Dropped,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) settings: LinkSettings,
    pub(super) cut: bool,
    pub(super) counters: Counters,
    random: Random,
    /// When the last frame of the rate's queue will have left it.
    queue_empty_at: Option<Instant>,
}

impl Link {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            settings: LinkSettings::default(),
            cut: false,
            counters: Counters::default(),
            random: Random::new(seed),
            queue_empty_at: None,
        }
    }

    /// Decides about a frame that enters at `now`. After [`Fate::At`] the caller owes a [`Link::arrive`].
    pub(super) fn admit(&mut self, frame_bytes: usize, now: Instant) -> Fate {
        // Both draws for every frame: the fate of the n-th frame then depends on the seed and n alone,
        // not on the settings or cuts of the frames before it.
        let loss_draw = self.random.ratio();
        let jitter_draw = self.random.ratio();
        if self.cut {
            self.counters.cut.add(frame_bytes);
            return Fate::Dropped;
        }
        if loss_draw < self.settings.loss {
            self.counters.lost.add(frame_bytes);
            return Fate::Dropped;
        }
        let Some(leaves_queue) = self.queue(frame_bytes, now) else {
            self.counters.overflowed.add(frame_bytes);
            return Fate::Dropped;
        };
        let jitter = self.settings.jitter;
        let delay = (self.settings.delay + jitter.mul_f64(2.0 * jitter_draw)).saturating_sub(jitter);
        let due = leaves_queue + delay;
        if due <= now {
            return Fate::Now;
        }
        self.counters.frames_under_way += 1;
        Fate::At(due)
    }

    /// A held frame's time has come: whether it may be delivered.
    pub(super) fn arrive(&mut self, frame_bytes: usize) -> bool {
        self.counters.frames_under_way -= 1;
        if self.cut {
            self.counters.cut.add(frame_bytes);
        }
        !self.cut
    }

    /// The frame was handed to the interface, which took it or not.
    pub(super) fn handed_over(&mut self, frame_bytes: usize, taken: bool) {
        let tally = if taken { &mut self.counters.delivered } else { &mut self.counters.refused };
        tally.add(frame_bytes);
    }

    /// When a frame that enters now has left the queue; `None` when there is no room for it.
    fn queue(&mut self, frame_bytes: usize, now: Instant) -> Option<Instant> {
        if self.counters.frames_under_way >= FRAMES_UNDER_WAY_MAX {
            return None;
        }
        let Some(rate) = self.settings.rate_bits_per_second else {
            self.queue_empty_at = None;
            return Some(now);
        };
        let starts = self.queue_empty_at.map_or(now, |empty| empty.max(now));
        let queued_bytes = (starts - now).as_secs_f64() * rate as f64 / 8.0;
        if starts > now && queued_bytes + frame_bytes as f64 > self.settings.queue_bytes_max as f64 {
            return None;
        }
        let leaves = starts + Duration::from_secs_f64(frame_bytes as f64 * 8.0 / rate as f64);
        self.queue_empty_at = Some(leaves);
        Some(leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_BYTES: usize = 1000;

    fn link(seed: u64, settings: LinkSettings) -> Link {
        let mut link = Link::new(seed);
        link.settings = settings;
        link
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_seed_decides_every_fate() {
        let settings =
            LinkSettings { delay: millis(50), jitter: millis(10), loss: 0.2, ..Default::default() };
        let now = Instant::now();
        let fates = |seed| {
            let mut link = link(seed, settings);
            (0..1000).map(|_| link.admit(FRAME_BYTES, now)).collect::<Vec<_>>()
        };
        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
        let lost = fates(1).iter().filter(|fate| **fate == Fate::Dropped).count();
        assert!((150..250).contains(&lost), "{lost} of 1000 lost at 20 %");
        for fate in fates(1) {
            if let Fate::At(due) = fate {
                assert!((millis(40)..=millis(60)).contains(&(due - now)), "{:?}", due - now);
            }
        }
    }

    #[test]
    fn jitter_above_the_delay_never_sends_into_the_past() {
        let mut link = link(3, LinkSettings { delay: millis(1), jitter: millis(100), ..Default::default() });
        let now = Instant::now();
        let early = (0..100).filter(|_| link.admit(FRAME_BYTES, now) == Fate::Now).count();
        assert!(early > 0);
    }

    #[test]
    fn a_rate_spaces_frames_and_bounds_the_queue() {
        let mut link = link(
            1,
            LinkSettings { rate_bits_per_second: Some(80_000), queue_bytes_max: 2500, ..Default::default() },
        );
        let now = Instant::now();
        assert_eq!(link.admit(FRAME_BYTES, now), Fate::At(now + millis(100)));
        assert_eq!(link.admit(FRAME_BYTES, now), Fate::At(now + millis(200)));
        assert_eq!(link.admit(FRAME_BYTES, now), Fate::Dropped);
        assert_eq!(link.counters.overflowed, Tally { frames: 1, bytes: 1000 });
        let later = now + millis(150);
        assert_eq!(link.admit(FRAME_BYTES, later), Fate::At(now + millis(300)));
    }

    #[test]
    fn a_flood_of_delayed_frames_is_bounded() {
        let mut link = link(1, LinkSettings { delay: millis(1000), ..Default::default() });
        let now = Instant::now();
        for _ in 0..FRAMES_UNDER_WAY_MAX {
            assert_eq!(link.admit(FRAME_BYTES, now), Fate::At(now + millis(1000)));
        }
        assert_eq!(link.admit(FRAME_BYTES, now), Fate::Dropped);
        assert!(link.arrive(FRAME_BYTES));
        assert_eq!(link.admit(FRAME_BYTES, now), Fate::At(now + millis(1000)));
    }

    #[test]
    fn a_cut_drops_what_is_under_way() {
        let mut link = link(1, LinkSettings { delay: millis(50), ..Default::default() });
        let now = Instant::now();
        assert_eq!(link.admit(FRAME_BYTES, now), Fate::At(now + millis(50)));
        link.cut = true;
        assert!(!link.arrive(FRAME_BYTES));
        assert_eq!(link.admit(FRAME_BYTES, now), Fate::Dropped);
        assert_eq!(link.counters.cut, Tally { frames: 2, bytes: 2000 });
    }
}
