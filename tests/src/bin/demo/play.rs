//! The venue after the selling, to play with: what can be done to it, and how its devices are.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use popmesh_tests::stage::address;
use popmesh_tests::{Api, Node, wares};

use crate::crowd::Crowd;
use crate::venue::{DEVICES, Venue, done, step};

/// What somebody wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Switch a device's links off: it is in reach of nobody.
    Cut(usize),
    /// Switch them on again.
    Heal(usize),
    /// Kill its process, as a power cut would.
    Pull(usize),
    /// Start it again.
    Start(usize),
    /// Let shoppers come, or send them home.
    Crowd(bool),
}

impl Act {
    /// Reads what somebody typed.
    pub(crate) fn read(words: &str) -> Result<Self> {
        let mut words = words.split_whitespace();
        let (act, whom) = (words.next().unwrap_or_default(), words.next());
        ensure!(words.next().is_none(), "one thing at a time, such as: cut till-2");
        let device = || -> Result<usize> {
            let name = whom.with_context(|| format!("{act} what? One of: {}", names()))?;
            let found = DEVICES.iter().position(|(known, _)| *known == name);
            found.with_context(|| format!("there is no {name:?} here, but: {}", names()))
        };
        Ok(match act {
            "cut" => Self::Cut(device()?),
            "heal" => Self::Heal(device()?),
            "pull" => Self::Pull(device()?),
            "start" => Self::Start(device()?),
            "crowd" => match whom {
                Some("on") => Self::Crowd(true),
                Some("off") => Self::Crowd(false),
                _ => bail!("say: crowd on, or: crowd off"),
            },
            _ => bail!("{act:?} is nothing that can be done here; try: help"),
        })
    }
}

fn names() -> String {
    DEVICES.map(|(name, _)| name).join(", ")
}

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It runs, and others can reach it.
    Linked,
    /// It runs, cut off.
    CutOff,
    /// Its plug is pulled.
    Dead,
}

impl How {
    /// The same in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::CutOff => "cut off",
            Self::Dead => "plug pulled",
        }
    }
}

/// The venue, shared by all who control it.
#[derive(Debug)]
pub(crate) struct Play {
    devices: Vec<Device>,
    crowd: Crowd,
    closing: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Device {
    api: Api<'static>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    node: Node<'static>,
    how: How,
}

impl Play {
    /// Puts goods on sale in the venue that has sold out, and hands it over.
    pub(crate) fn begin(venue: &mut Venue, closing: &Arc<AtomicBool>) -> Result<Arc<Self>> {
        step("More to sell, to play with: shirts, music, prints");
        wares::put_on_sale(venue.device("hq")?)?;
        let devices: Vec<Device> = venue
            .take_nodes()
            .into_iter()
            .map(|node| Device { api: node.to_api(), state: Mutex::new(State { node, how: How::Linked }) })
            .collect();
        let crowd = Crowd::new(devices.iter().map(|device| device.api.clone()).collect(), closing);
        done("12 products in the drop afterglow, which is open");
        Ok(Arc::new(Self { devices, crowd, closing: Arc::clone(closing) }))
    }

    /// Does it, and says what happened.
    pub(crate) fn act(&self, act: Act) -> Result<String> {
        ensure!(!self.closing.load(Ordering::Relaxed), "the venue is closing");
        Ok(match act {
            Act::Cut(device) | Act::Heal(device) => {
                let mut state = self.state(device);
                let on = matches!(act, Act::Heal(_));
                let name = state.node.name.clone();
                ensure!(state.how != How::Dead, "{name} has no power; first: start {name}");
                state.node.set_links(on)?;
                state.how = if on { How::Linked } else { How::CutOff };
                if on {
                    format!("{name} is healed: it tells the others what it did, and hears what they did")
                } else {
                    format!("{name} is cut off: it goes on selling what it holds")
                }
            }
            Act::Pull(device) => {
                let mut state = self.state(device);
                let name = state.node.name.clone();
                ensure!(state.how != How::Dead, "{name} has no power already");
                state.node.kill()?;
                state.how = How::Dead;
                format!(
                    "{name}'s plug is pulled, in the middle of whatever it did; again with power: start {name}"
                )
            }
            Act::Start(device) => {
                let mut state = self.state(device);
                let name = state.node.name.clone();
                ensure!(state.how == How::Dead, "{name} runs");
                state.node.restart()?;
                // Links are on after each start.
                state.how = How::Linked;
                format!("{name} runs again, with all that it had acknowledged")
            }
            Act::Crowd(on) => self.crowd.switch(on),
        })
    }

    /// Ends all devices.
    pub(crate) fn end(&self) -> Result<()> {
        self.closing.store(true, Ordering::Relaxed);
        (0..self.devices.len()).try_for_each(|device| self.state(device).node.kill())
    }

    /// Every device with how it is, and the way to it.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (&Api<'static>, How)> {
        self.devices.iter().enumerate().map(|(index, device)| (&device.api, self.state(index).how))
    }

    /// What the crowd did.
    pub(crate) fn crowd(&self) -> &Crowd {
        &self.crowd
    }

    /// Where everything is, in words.
    pub(crate) fn addresses(&self) -> String {
        let mut text = String::new();
        for (device, how) in self.devices() {
            let _ = writeln!(text, "    {:9} {:34} {}", device.name, address(device, ""), how.words());
        }
        let overlays = self.devices.iter().filter(|device| device.api.name == "encoder");
        for device in overlays {
            let _ = writeln!(text, "    {:9} {}", "overlay", address(&device.api, "overlay"));
        }
        text
    }

    fn state(&self, device: usize) -> MutexGuard<'_, State> {
        self.devices[device].state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_acts_or_say_what_to_type() {
        let read = |words| Act::read(words).map_err(|error| error.to_string());
        assert_eq!(read("cut till-2"), Ok(Act::Cut(2)));
        assert_eq!(read("  crowd   on "), Ok(Act::Crowd(true)));
        assert_eq!(read("start hq"), Ok(Act::Start(0)));
        for (words, said) in [
            ("cut", "One of: hq, till-1"),
            ("cut till-9", "there is no \"till-9\""),
            ("cut till-1 till-2", "one thing at a time"),
            ("crowd", "crowd on, or: crowd off"),
            ("explode", "try: help"),
        ] {
            assert!(read(words).is_err_and(|error| error.contains(said)), "{words}");
        }
    }
}
