//! Nights by chance: the swarm. A seed draws the topology, the stock, the demand, which kinds of fault there are at all,
//! and then each fault with its times. A kind that is off for a seed lets the others reach states that it would have
//! hidden.
//!
//! Every drawn night is the *safety phase*: a few virtual minutes in which anything may go wrong. All faults but deaths
//! end with it at the latest; then the world heals what is left and looks whether everybody agrees.
//!
//! What is drawn is survivable by the promises as they are made: a device may die with all the stock that there is (what
//! it held is then out of reach, which is neither an oversell nor a refusal that was wrong), power may fail in the
//! middle of any write, and any clock may be wrong. At least two devices never die, so that there is somebody to agree
//! with. Where a device is restored, copied or cheats, a unit may be sold twice, in incidents that every device shows.

mod adversary;
mod faults;
mod retired;
mod steps;
mod topology;

use crate::random::Random;
use crate::scenario::{Fault, Scenario, Thresholds};

pub use faults::Kind;

/// A mix.
#[derive(Debug, Clone, Copy)]
struct Mix {
    name: &'static str,
    title: &'static str,
    /// In groups, drawn from one after the other.
    kinds: &'static [&'static [Kind]],
}

use Kind::{
    BadWan, BadWifi, BatterySwap, Cheats, Chores, Clock, Clog, Cloned, Crafts, CutAtOnce, CutInRecovery,
    CutInWrite, Dies, DiskErrors, DiskFull, Entrusted, Flapping, MainsDown, Offline, OneWay, Reprints,
    Restored, RetiredAlive, RetiredDead, SlowDisk, Split, WanDown, WifiDown,
};

const NETWORK: &[Kind] = &[Offline, Flapping, OneWay, WifiDown, WanDown, Split, Clog, BadWifi, BadWan];
const POWER: &[Kind] =
    &[CutAtOnce, CutInWrite, CutInRecovery, MainsDown, BatterySwap, DiskFull, DiskErrors, SlowDisk];
const CLOCKS_AND_DEATHS: &[Kind] = &[Clock, Dies];
const MISTAKES: &[Kind] = &[Restored, Cloned, Cheats, Reprints];
const RETIREMENTS: &[Kind] = &[Entrusted, RetiredDead, RetiredAlive];

const MIXES: [Mix; 10] = [
    Mix {
        name: "default",
        title: "everything that may happen: networks, power, disks, clocks, deaths, people's mistakes, cheats",
        kinds: &[NETWORK, POWER, CLOCKS_AND_DEATHS, MISTAKES, RETIREMENTS],
    },
    Mix {
        name: "honest",
        title: "the default without mistakes and cheats: every promise is held to the letter",
        kinds: &[NETWORK, POWER, CLOCKS_AND_DEATHS],
    },
    Mix {
        name: "network",
        title: "links that fail, split, flap, clog and lie; power and disks are fine",
        kinds: &[NETWORK],
    },
    Mix {
        name: "power",
        title: "power cuts at any moment, mains, batteries and disks that fail; the network is fine",
        kinds: &[POWER],
    },
    Mix { name: "calm", title: "nothing goes wrong: what all other mixes are compared with", kinds: &[] },
    Mix {
        name: "mistakes",
        title: "restored disks, copied devices and cheats, while links fail and power is cut",
        kinds: &[&[Offline, WifiDown, WanDown, Split, CutAtOnce, Dies], MISTAKES, RETIREMENTS],
    },
    Mix {
        name: "retired",
        title: "devices that are retired, dead or not, while links fail and power is cut; nobody is set back or cheats",
        kinds: &[
            &[Offline, OneWay, WifiDown, WanDown, Split, BadWifi, CutAtOnce, CutInWrite, DiskErrors],
            CLOCKS_AND_DEATHS,
            RETIREMENTS,
        ],
    },
    Mix {
        name: STEPS,
        title: "drops that an encoder opens and closes while hqs are off, venues are cut off and power is cut",
        kinds: &[&[
            Offline, Flapping, OneWay, WifiDown, WanDown, Split, BadWifi, CutAtOnce, CutInWrite, Clock,
        ]],
    },
    Mix {
        name: "crew",
        title: "a crew that moves, damages, undoes, settles, renews and sets rules, while links fail and power is cut",
        kinds: &[&[Chores, Reprints, Offline, WifiDown, WanDown, Split, BadWifi, CutAtOnce, CutInWrite]],
    },
    Mix {
        name: ADVERSARY,
        title: "an admitted device of any role that writes all the time what it has no right to, while links fail and power is cut",
        kinds: &[&[Crafts, Offline, WifiDown, WanDown, Split, BadWifi, CutAtOnce, CutInWrite]],
    },
];

/// The mix whose nights have room for an adversary.
const ADVERSARY: &str = "adversary";
/// The mix whose nights are changed so that steps of drops matter.
const STEPS: &str = "steps";

/// Name and title of each mix.
#[must_use]
pub fn mixes() -> [(&'static str, &'static str); 10] {
    MIXES.map(|mix| (mix.name, mix.title))
}

/// The kinds of fault that a mix draws from, if there is such a mix.
#[must_use]
pub fn kinds(name: &str) -> Option<Vec<Kind>> {
    find(name).map(|mix| mix.kinds.concat())
}

fn find(name: &str) -> Option<Mix> {
    MIXES.into_iter().find(|mix| mix.name == name)
}

/// There is no such mix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no mix is named {name:?}; there are {}", MIXES.map(|mix| mix.name).join(", "))]
pub struct UnknownMix {
    /// What was asked for.
    pub name: String,
}

/// Draws the night of a seed.
///
/// # Errors
/// [`UnknownMix`] if there is no mix of this name.
pub fn draw(name: &str, seed: u64) -> Result<Scenario, UnknownMix> {
    let mix = find(name).ok_or_else(|| UnknownMix { name: name.to_owned() })?;
    let random = Random::new(seed);
    let mut scenario = topology::draw(&random);
    scenario.name = format!("{name}-{seed}");
    scenario.title = format!("drawn from the mix {name} with seed {seed}");
    if mix.name == ADVERSARY {
        adversary::draw(&mut scenario, &mut random.fork("adversary"));
    }
    scenario.faults = faults::draw(&mix.kinds.concat(), &scenario, &random.fork("faults"));
    if mix.name == STEPS {
        steps::draw(&mut scenario, &mut random.fork("steps"));
    }
    // What is drawn is judged by the promises alone.
    scenario.thresholds = Thresholds::default();
    Ok(scenario)
}

/// Draws faults for a night that somebody else has made; none if there is no mix of this name.
#[must_use]
pub fn faults(name: &str, seed: u64, scenario: &Scenario) -> Option<Vec<Fault>> {
    find(name).map(|mix| faults::draw(&mix.kinds.concat(), scenario, &Random::new(seed).fork("faults")))
}

#[cfg(test)]
mod tests;
