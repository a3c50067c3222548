//! Time as proto sees it: an input, and a hybrid logical clock that orders entries.
//!
//! Source of the clock: Kulkarni et al., "Logical Physical Clocks", 2014.

use std::fmt;

/// What the runtime's clocks show when an input arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch, as the wall clock has it. May jump.
    pub wall_ms: u64,
    /// Milliseconds of a clock that never goes back, from an origin of its own. Deadlines are in it.
    pub mono_ms: u64,
}

/// A hybrid time: 48 bits of milliseconds since the Unix epoch, then a 16-bit counter.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = u64))]
pub struct Hlc(#[n(0)] pub u64);

impl Hlc {
    /// The largest millisecond that fits.
    pub const MAX_MS: u64 = (1 << 48) - 1;

    /// The first hybrid time of a millisecond.
    pub fn from_ms(ms: u64) -> Self {
        Self(ms.min(Self::MAX_MS) << 16)
    }

    /// The milliseconds since the Unix epoch.
    pub fn ms(self) -> u64 {
        self.0 >> 16
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.ms(), self.0 & 0xffff)
    }
}

/// How far ahead of its own wall clock a device lets the others' times draw it, in milliseconds.
///
/// Entries from further ahead are admitted all the same; they only stop moving this clock, so that one wrong clock
/// does not become everybody's.
pub const MAX_DRIFT_MS: u64 = 5 * 60 * 1000;

/// A device's own hybrid clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    last: Hlc,
}

impl Clock {
    /// A time later than every one that this clock has given or seen within the drift allowed.
    pub fn next(&mut self, now: Now) -> Hlc {
        self.last = Hlc::from_ms(now.wall_ms).max(Hlc(self.last.0.saturating_add(1)));
        self.last
    }

    /// Takes note of another device's time.
    pub fn observe(&mut self, seen: Hlc, now: Now) {
        if seen.ms() <= now.wall_ms.saturating_add(MAX_DRIFT_MS) {
            self.last = self.last.max(seen);
        }
    }

    /// Takes note of a time this device itself has written, however far ahead.
    pub fn resume(&mut self, own: Hlc) {
        self.last = self.last.max(own);
    }
}
