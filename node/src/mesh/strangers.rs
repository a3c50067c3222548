//! What announces itself on the local network and is no device of this event, for the operator's eyes alone: nothing in
//! here is ever dialled. No clock and no network of its own.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Duration,
};

use tokio::time::Instant;

/// Announcements that are told apart at most. Of more, nobody can say how many are new.
const APART_MAX: usize = 1_024;

/// Announcements that are shown, the last ones.
const SHOWN_MAX: usize = 4;

/// Who has not been heard for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(120);

/// How often the log has a line of all of them.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Letters of a name that are shown.
const NAME_LETTERS_MAX: usize = 40;

/// Why an announcement is a stranger's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strange {
    /// It does not open under any key of this event: another event's, another program's, or made up.
    Sealed,
    /// It opens, so whoever made it has the event's secret; but its certificate is not good, for this reason.
    Unfit(String),
}

/// An announcement of a stranger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrangerSnapshot {
    /// What it calls itself on the network: its own words, without what controls a terminal.
    pub name: String,
    /// Where it says that it is; nobody has looked.
    pub address: Option<IpAddr>,
    /// Why it is a stranger.
    pub why: Strange,
    /// How long ago it was last heard.
    pub heard_ago: Duration,
}

/// What strangers announce.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StrangersSnapshot {
    /// How many were heard in the last two minutes; 1,024 stands for any more.
    pub lately: usize,
    /// How many were heard since the start, some of them more than once if there are very many.
    pub total: u64,
    /// The last few, newest first.
    pub last: Vec<StrangerSnapshot>,
}

#[derive(Debug)]
struct Shown {
    hash: u64,
    name: String,
    address: Option<IpAddr>,
    why: Strange,
    at: Instant,
}

/// What strangers announced lately.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    hasher: RandomState,
    /// When each was last heard, by the hash of its name.
    apart: HashMap<u64, Instant>,
    shown: VecDeque<Shown>,
    total: u64,
    logged: Option<(Instant, u64)>,
}

impl Strangers {
    /// A stranger was heard.
    pub(crate) fn heard(&mut self, name: &str, address: Option<IpAddr>, why: Strange, now: Instant) {
        let hash = self.hasher.hash_one(name);
        if let Some(at) = self.apart.get_mut(&hash) {
            *at = now;
            self.shown.iter_mut().filter(|shown| shown.hash == hash).for_each(|shown| shown.at = now);
            return;
        }
        self.total += 1;
        if self.apart.len() >= APART_MAX {
            self.forget(now);
        }
        if self.apart.len() < APART_MAX {
            self.apart.insert(hash, now);
        }
        if self.shown.len() >= SHOWN_MAX {
            self.shown.pop_front();
        }
        let name = name.chars().filter(|letter| !letter.is_control()).take(NAME_LETTERS_MAX).collect();
        self.shown.push_back(Shown { hash, name, address, why, at: now });
    }

    /// Forgets who has gone, and says how many are new if it is time for a line in the log.
    pub(crate) fn tidy(&mut self, now: Instant) -> Option<u64> {
        self.forget(now);
        let (at, told) = self.logged.unwrap_or((now, 0));
        let is_time = self.logged.is_none() || now - at >= LOG_EVERY;
        let new = self.total - told;
        if !is_time || new == 0 {
            return None;
        }
        self.logged = Some((now, self.total));
        Some(new)
    }

    fn forget(&mut self, now: Instant) {
        self.apart.retain(|_, at| now.saturating_duration_since(*at) < FORGET_AFTER);
        self.shown.retain(|shown| now.saturating_duration_since(shown.at) < FORGET_AFTER);
    }

    pub(crate) fn snapshot(&self, now: Instant) -> StrangersSnapshot {
        let last = self.shown.iter().rev().map(|shown| StrangerSnapshot {
            name: shown.name.clone(),
            address: shown.address,
            why: shown.why.clone(),
            heard_ago: now.saturating_duration_since(shown.at),
        });
        StrangersSnapshot { lately: self.apart.len(), total: self.total, last: last.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_there_are_few_are_kept_and_one_line_a_minute_is_written() {
        let start = Instant::now();
        let mut strangers = Strangers::default();
        let mut lines = 0;
        for number in 0..10_000_u64 {
            let now = start + Duration::from_millis(number * 10);
            strangers.heard(&format!("fake {number}"), None, Strange::Sealed, now);
            lines += usize::from(strangers.tidy(now).is_some());
        }
        assert_eq!(lines, 2, "one at once, one a minute later");
        assert!(strangers.apart.len() <= APART_MAX && strangers.shown.len() <= SHOWN_MAX);
        let now = start + Duration::from_secs(100);
        assert_eq!(strangers.snapshot(now).lately, APART_MAX);
        assert_eq!(strangers.snapshot(now).total, 10_000);
        strangers.tidy(now + FORGET_AFTER);
        let left = strangers.snapshot(now + FORGET_AFTER);
        assert_eq!((left.lately, left.last), (0, Vec::new()), "two minutes later nobody is left");
    }

    #[test]
    fn who_is_heard_again_is_not_counted_again_and_writes_nothing_to_a_terminal() {
        let now = Instant::now();
        let mut strangers = Strangers::default();
        for _ in 0..3 {
            strangers.heard("\u{1b}[2Jfake", None, Strange::Sealed, now);
        }
        let snapshot = strangers.snapshot(now);
        assert_eq!((snapshot.lately, snapshot.total), (1, 1));
        assert_eq!(snapshot.last[0].name, "[2Jfake");
    }
}
