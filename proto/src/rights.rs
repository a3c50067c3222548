//! The right to retire devices: who has it, and which retirements count. A function of the set of records, in whatever
//! order they came.
//!
//! The right begins with a certificate that says so, and is handed over like custody: each record names what gave its
//! author the right, so that what was done under one certificate is one line. All of it is looked at in order of
//! precedence (the earlier time, then the lower hash), and what is done under a hand-over after it. What counts for nothing, and says so: what is done under a right that
//! its author had given away before, or was never given; and what an author did whose own retirement does not let it
//! count. A right that is given twice went with the earlier record.
//!
//! Two certificates make two lines, which know nothing of each other: where both retire one device, the earlier
//! retirement counts; and a device does not retire its own heir, so that each has a living one. A line whose holder was
//! retired has ended. So the organiser's key, which signs another
//! certificate, is the last resort.

use std::collections::BTreeMap;

use crate::holdings::Precedence;
use crate::id::{ChainId, DeviceId, Ref};
use crate::record::{Entrust, Retire};
use crate::trust::{Retirement, Retirements};

/// In what order deeds are looked at.
type Key = (Precedence, Ref);

const GONE: &str = "it had given the right away before";
const NEVER_GIVEN: &str = "it was not given the right";
const ITS_HEIR: &str = "nobody retires itself, nor who had retired it";

/// What gives a device the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Its certificate.
    Certificate(DeviceId),
    /// A record of who had it before.
    Given(Ref),
}

/// Something that takes the right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deed {
    author: DeviceId,
    right: Right,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Retire { device: DeviceId, cut: BTreeMap<ChainId, u64> },
    Entrust { to: DeviceId },
}

impl Deed {
    /// A retirement; `more` is what its parts name.
    pub(crate) fn retire(author: DeviceId, retire: &Retire, more: Vec<Ref>) -> Self {
        let cut = more.iter().chain(&retire.cut).map(|last| (last.chain, last.seq)).collect();
        Self {
            author,
            right: right_of(author, retire.under),
            what: What::Retire { device: retire.device, cut },
        }
    }

    pub(crate) fn entrust(author: DeviceId, entrust: &Entrust) -> Self {
        Self { author, right: right_of(author, entrust.under), what: What::Entrust { to: entrust.to } }
    }
}

fn right_of(author: DeviceId, under: Option<Ref>) -> Right {
    under.map_or(Right::Certificate(author), Right::Given)
}

/// The right, handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// The record that says so.
    pub entry: Ref,
    /// Who gave it.
    pub by: DeviceId,
    /// Who has it from then on.
    pub to: DeviceId,
    /// When, Unix milliseconds.
    pub at_ms: u64,
}

/// The right to retire, and what was done with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Everything that takes the right, in order of precedence.
    deeds: BTreeMap<Key, Deed>,
    retired: Retirements,
    /// Retirements of devices that had been retired before.
    again: BTreeMap<Ref, DeviceId>,
    /// Hand-overs that count, by what had given the right.
    given: BTreeMap<Right, (Precedence, Given)>,
    /// The same, by their entry: to whom.
    holders: BTreeMap<Ref, DeviceId>,
    /// What counts for nothing, and why.
    void: BTreeMap<Ref, String>,
}

impl Rights {
    /// The retired devices.
    pub(crate) fn retired(&self) -> &Retirements {
        &self.retired
    }

    /// Retirements that came second.
    pub(crate) fn again(&self) -> impl Iterator<Item = (&Ref, &DeviceId)> {
        self.again.iter()
    }

    /// What was done without the right and counts for nothing, in words.
    pub fn void(&self) -> impl Iterator<Item = (&Ref, &str)> {
        self.void.iter().map(|(entry, text)| (entry, text.as_str()))
    }

    /// Why a retirement or a hand-over counts for nothing, if it does.
    pub fn void_by(&self, entry: &Ref) -> Option<&str> {
        self.void.get(entry).map(String::as_str)
    }

    /// Who has the right that the certificate of `device` began, and the last hand-over of it.
    pub fn holder(&self, device: DeviceId) -> (DeviceId, Option<Given>) {
        let (mut holder, mut last) = (device, None);
        let mut right = Right::Certificate(device);
        // Each record hands over what an earlier one gave, so this ends.
        while let Some((_, given)) = self.given.get(&right) {
            (holder, last, right) = (given.to, Some(*given), Right::Given(given.entry));
        }
        (holder, last)
    }

    /// What gives `device` the right now; `certified` says whether its certificate does.
    pub fn of(&self, device: &DeviceId, certified: bool) -> Option<Right> {
        let own = certified.then_some(Right::Certificate(*device));
        let given =
            self.holders.iter().filter(|(_, to)| *to == device).map(|(entry, _)| Right::Given(*entry));
        own.into_iter().chain(given).find(|right| !self.given.contains_key(right))
    }

    /// Takes in a retirement or a hand-over. Whether that changes who is retired, or since when.
    pub(crate) fn take(&mut self, precedence: Precedence, entry: Ref, deed: Deed) -> bool {
        let key = (precedence, entry);
        // What cannot change anything, whatever there is of it, costs nothing.
        let gone = self.given.get(&deed.right).is_some_and(|(before, _)| *before < precedence);
        let refused = if gone { Some(GONE) } else { self.never_given(&deed) };
        if let Some(problem) = refused {
            self.void.insert(entry, in_words(&entry, &deed, problem));
            self.deeds.insert(key, deed);
            return false;
        }
        self.deeds.insert(key, deed);
        let mut anew = Self::default();
        anew.follow_all(&self.deeds);
        let before = std::mem::take(&mut self.retired);
        *self = Self { deeds: std::mem::take(&mut self.deeds), ..anew };
        before != self.retired
    }

    /// Follows all deeds: of those whose right has been given, always the earliest. A clock that is behind does not have a
    /// device use the right before it was given.
    fn follow_all(&mut self, deeds: &BTreeMap<Key, Deed>) {
        let mut ready = BTreeMap::new();
        let mut waiting: BTreeMap<Ref, Vec<(&Key, &Deed)>> = BTreeMap::new();
        for (key, deed) in deeds {
            match deed.right {
                Right::Certificate(_) => {
                    ready.insert(*key, deed);
                }
                Right::Given(given) => waiting.entry(given).or_default().push((key, deed)),
            }
        }
        while let Some(((precedence, entry), deed)) = ready.pop_first() {
            self.follow(precedence, entry, deed);
            if self.holders.contains_key(&entry) {
                ready.extend(waiting.remove(&entry).into_iter().flatten().map(|(key, deed)| (*key, deed)));
            }
        }
        for ((_, entry), deed) in waiting.into_values().flatten() {
            self.void.insert(*entry, in_words(entry, deed, NEVER_GIVEN));
        }
    }

    fn follow(&mut self, precedence: Precedence, entry: Ref, deed: &Deed) {
        if let Some(problem) = self.lacks_right(&entry, deed) {
            self.void.insert(entry, in_words(&entry, deed, problem));
            return;
        }
        match &deed.what {
            What::Entrust { to } => {
                let given = Given { entry, by: deed.author, to: *to, at_ms: precedence.0.ms() };
                self.given.insert(deed.right, (precedence, given));
                self.holders.insert(entry, *to);
            }
            What::Retire { device, .. } if self.retired.contains_key(device) => {
                self.again.insert(entry, *device);
            }
            What::Retire { device, .. } if self.is_heir(device, &deed.author) => {
                self.void.insert(entry, in_words(&entry, deed, ITS_HEIR));
            }
            What::Retire { device, cut } => {
                let retirement = Retirement { entry, by: deed.author, precedence, cut: cut.clone() };
                self.retired.insert(*device, retirement);
            }
        }
    }

    /// Whether `device` is `of` itself or stands among its heirs: two devices would wait for each other's heir for ever.
    fn is_heir(&self, device: &DeviceId, of: &DeviceId) -> bool {
        let next = |at: &DeviceId| self.retired.get(at).map(|retirement| retirement.by);
        std::iter::successors(Some(*of), next).any(|heir| heir == *device)
    }

    fn never_given(&self, deed: &Deed) -> Option<&'static str> {
        match deed.right {
            Right::Given(given) if self.holders.get(&given) != Some(&deed.author) => Some(NEVER_GIVEN),
            _ => None,
        }
    }

    fn lacks_right(&self, entry: &Ref, deed: &Deed) -> Option<&'static str> {
        if self.retired.get(&deed.author).is_some_and(|retired| retired.is_late(entry)) {
            return Some("it had been retired before");
        }
        self.never_given(deed).or(self.given.contains_key(&deed.right).then_some(GONE))
    }
}

fn in_words(entry: &Ref, deed: &Deed, problem: &str) -> String {
    let who = deed.author.short();
    match deed.what {
        What::Retire { device, .. } => {
            format!("retirement {entry} of {} by {who}: {problem}", device.short())
        }
        What::Entrust { to } => {
            format!("hand-over {entry} of the right to retire by {who} to {}: {problem}", to.short())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Hlc;
    use crate::id::Hash;

    const BOSS: DeviceId = DeviceId([1; 32]);
    const CHIEF: DeviceId = DeviceId([2; 32]);
    const TILL: DeviceId = DeviceId([3; 32]);
    const OTHER: DeviceId = DeviceId([4; 32]);

    /// The `seq`-th entry of a device, and its precedence at a time.
    fn key(by: DeviceId, seq: u64, ms: u64) -> Key {
        ((Hlc::from_ms(ms), Hash([seq as u8; 32])), Ref { chain: ChainId([by.0[0]; 16]), seq })
    }

    fn retire(device: DeviceId, under: Option<Ref>, cut: Vec<Ref>) -> Retire {
        Retire { device, cut, under, parts: None }
    }

    /// Takes deeds in: each by whom, when, and what.
    fn taken(deeds: &[(Key, Deed)]) -> Rights {
        let mut rights = Rights::default();
        for ((precedence, entry), deed) in deeds {
            rights.take(*precedence, *entry, deed.clone());
        }
        rights
    }

    /// In whatever order they come, the same follows.
    fn in_any_order(deeds: &[(Key, Deed)]) -> Rights {
        let (rights, back) = (taken(deeds), taken(&deeds.iter().rev().cloned().collect::<Vec<_>>()));
        assert_eq!(rights, back);
        rights
    }

    #[test]
    fn of_two_retirements_of_one_device_the_earlier_counts() {
        let first = (key(BOSS, 1, 10), Deed::retire(BOSS, &retire(TILL, None, Vec::new()), Vec::new()));
        let second = (key(CHIEF, 1, 20), Deed::retire(CHIEF, &retire(TILL, None, Vec::new()), Vec::new()));
        let rights = in_any_order(&[first.clone(), second.clone()]);
        assert_eq!(rights.retired()[&TILL].by, BOSS);
        assert_eq!(rights.again().collect::<Vec<_>>(), [(&second.0.1, &TILL)]);
        assert_eq!((rights.void().count(), rights.void_by(&second.0.1)), (0, None));
    }

    #[test]
    fn nobody_retires_itself_nor_who_had_retired_it() {
        let itself = (key(BOSS, 1, 10), Deed::retire(BOSS, &retire(BOSS, None, Vec::new()), Vec::new()));
        let rights = in_any_order(std::slice::from_ref(&itself));
        assert!(rights.retired().is_empty());
        assert!(rights.void_by(&itself.0.1).is_some_and(|text| text.contains(ITS_HEIR)));
        // The chief wrote it before its own retirement, and is heard later.
        let cut = vec![key(CHIEF, 1, 20).1];
        let first = (key(BOSS, 1, 10), Deed::retire(BOSS, &retire(CHIEF, None, cut), Vec::new()));
        let back = (key(CHIEF, 1, 20), Deed::retire(CHIEF, &retire(BOSS, None, Vec::new()), Vec::new()));
        let rights = in_any_order(&[first, back.clone()]);
        assert_eq!(rights.retired().keys().collect::<Vec<_>>(), [&CHIEF]);
        assert!(rights.void_by(&back.0.1).is_some_and(|text| text.contains(ITS_HEIR)));
    }

    #[test]
    fn the_right_is_one_devices_at_a_time() {
        let give = |by, to, under, key| (key, Deed::entrust(by, &Entrust { to, under }));
        let first = give(BOSS, CHIEF, None, key(BOSS, 1, 10));
        let given = Some(first.0.1);
        let late = (key(BOSS, 2, 20), Deed::retire(BOSS, &retire(TILL, None, Vec::new()), Vec::new()));
        // Its clock is behind: it comes after what gave it the right all the same.
        let by_gift = (key(CHIEF, 1, 5), Deed::retire(CHIEF, &retire(OTHER, given, Vec::new()), Vec::new()));
        let stolen = (key(TILL, 1, 30), Deed::retire(TILL, &retire(OTHER, given, Vec::new()), Vec::new()));
        let all = [first.clone(), late.clone(), by_gift, stolen.clone()];
        let rights = in_any_order(&all);
        assert_eq!(rights.retired().keys().collect::<Vec<_>>(), [&OTHER]);
        assert_eq!(rights.retired()[&OTHER].by, CHIEF);
        assert!(rights.void_by(&late.0.1).is_some_and(|text| text.contains(GONE)));
        assert!(rights.void_by(&stolen.0.1).is_some_and(|text| text.contains(NEVER_GIVEN)));
        assert_eq!((rights.of(&BOSS, true), rights.of(&TILL, false)), (None, None));
        assert_eq!(rights.of(&CHIEF, false), Some(Right::Given(first.0.1)));
        assert_eq!((rights.holder(BOSS).0, rights.holder(OTHER)), (CHIEF, (OTHER, None)));
        // Of two hand-overs the earlier counts.
        let twice = give(BOSS, OTHER, None, key(BOSS, 2, 9));
        let rights = in_any_order(&[first.clone(), twice]);
        assert_eq!(rights.holder(BOSS).0, OTHER);
        assert!(rights.void_by(&first.0.1).is_some());
    }

    #[test]
    fn who_was_retired_retires_nobody_after_that() {
        let cut = vec![key(CHIEF, 1, 5).1];
        let first = (key(BOSS, 1, 10), Deed::retire(BOSS, &retire(CHIEF, None, cut), Vec::new()));
        let before = (key(CHIEF, 1, 20), Deed::retire(CHIEF, &retire(TILL, None, Vec::new()), Vec::new()));
        let late = (key(CHIEF, 2, 21), Deed::retire(CHIEF, &retire(OTHER, None, Vec::new()), Vec::new()));
        let rights = in_any_order(&[first, before, late.clone()]);
        assert_eq!(rights.retired().keys().collect::<Vec<_>>(), [&CHIEF, &TILL]);
        assert!(rights.void_by(&late.0.1).is_some());
    }
}
