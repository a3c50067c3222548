//! Bugs to plant, so that the checks can be seen to find them. Only with the feature `planted` can a run be given one.

use std::fmt;
use std::str::FromStr;

use popmesh_proto::planted::Planted as DeviceBug;

/// A bug that every device of a run works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// One of the state machine.
    Device(DeviceBug),
    /// Disks say now and then that something is durable, and it is not.
    LyingDisk,
    /// A sale that is asked for again is not looked up among the stored outcomes, and made again.
    SellAgain,
    /// The judge takes what retired devices wrote late for good.
    JudgeCountsLate,
    /// Of two that spend one unit the judge takes the later to have it.
    JudgeTakesLater,
}

impl Planted {
    /// Every one.
    pub const ALL: [Self; DeviceBug::ALL.len() + 4] = {
        let mut all = [Self::LyingDisk; DeviceBug::ALL.len() + 4];
        let mut at = 0;
        while at < DeviceBug::ALL.len() {
            all[at] = Self::Device(DeviceBug::ALL[at]);
            at += 1;
        }
        all[at] = Self::SellAgain;
        all[at + 1] = Self::JudgeCountsLate;
        all[at + 2] = Self::JudgeTakesLater;
        all
    };

    /// The bug of the state machine, if it is one.
    #[must_use]
    pub fn of_device(self) -> Option<DeviceBug> {
        match self {
            Self::Device(bug) => Some(bug),
            Self::LyingDisk | Self::SellAgain | Self::JudgeCountsLate | Self::JudgeTakesLater => None,
        }
    }
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(bug) => write!(f, "{bug:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// There is no such bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no bug is named {name:?}; there are {}", Planted::ALL.map(|bug| bug.to_string()).join(", "))]
pub struct UnknownBug {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Planted {
    type Err = UnknownBug;

    fn from_str(name: &str) -> Result<Self, UnknownBug> {
        let found = Self::ALL.into_iter().find(|bug| bug.to_string() == name);
        found.ok_or_else(|| UnknownBug { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_bug_has_a_name_of_its_own_and_is_found_by_it() {
        let names: BTreeSet<String> = Planted::ALL.iter().map(Planted::to_string).collect();
        assert_eq!(names.len(), Planted::ALL.len());
        for bug in Planted::ALL {
            assert_eq!(bug.to_string().parse(), Ok(bug));
        }
        assert!("KeepOldlife".parse::<Planted>().is_err());
    }
}
