//! Those who came and went without, by what kept them; and how much each medium carried and dropped.

use serde::{Deserialize, Serialize};

/// What kept somebody who came from getting what was wanted. Each shopper who was not served has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Fewer units were left in the whole event than were wanted, whatever the till knew of that.
    SoldOut,
    /// Enough units were left, and none of them could be sold there: at another venue, or with a device that
    /// did not give any in time.
    Elsewhere,
    /// The drop had not opened within the shopper's patience, or was over.
    NotOpen,
    /// The till had no power, and lives.
    NoPower,
    /// The till had died.
    DeadTill,
    /// The till ran and would not sell: its disk took nothing, it was suspended or retired, or it was not
    /// sure of its own past.
    TillUnfit,
    /// The shopper left before there was an answer.
    GaveUp,
}

impl Cause {
    /// Every one, in the order in which reports name them.
    pub const ALL: [Self; 7] = [
        Self::SoldOut,
        Self::Elsewhere,
        Self::NotOpen,
        Self::NoPower,
        Self::DeadTill,
        Self::TillUnfit,
        Self::GaveUp,
    ];
}

/// How much one medium carried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediumNight {
    /// Which: `hall-a Wi-Fi`, `hall-a Bluetooth`, `hall-a way out`.
    pub name: String,
    /// Messages given to it.
    pub messages: u64,
    /// Their bytes, with packet overhead.
    pub bytes: u64,
    /// The share of the night in which it carried something, thousandths.
    pub used_per_mille: u64,
    /// The same of the ten seconds in which it carried most.
    pub busiest_per_mille: u64,
    /// Messages that it lost: they vanished, or found its queue full.
    pub dropped: u64,
    /// Of those, messages that found its queue full.
    pub queue_full: u64,
    /// Packets that were lost and sent again.
    pub repeated: u64,
}

/// What was offered to the Wi-Fi of a venue while nothing happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleAir {
    /// By how many devices.
    pub devices: u64,
    /// Bytes a second, all together.
    pub bytes_per_s: u64,
}

/// What devices worked for what they have: the most of any, counted and not timed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// Things that a stock view looked at for an entry that it was shown, on average over a device's life, thousandths.
    pub looks_per_entry_milli: u64,
    /// Heads of chains that were worked into digests for an entry of the log, on average, thousandths.
    pub digested_per_entry_milli: u64,
    /// How often a stock view was worked out anew.
    pub views_anew: u64,
    /// From the last that was done until a minute and more in which nobody wrote anything, seconds at most.
    pub rested_s: u64,
}
