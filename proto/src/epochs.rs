//! The epochs of the event's secret, and which counts. A function of the set of records, in whatever order they came.
//!
//! The first follows from the organiser's key, and every device has it. Each retirement asks for another, which the retired
//! device does not get; of several that one counts which is kept from most of the retired devices, then the latest. One
//! whose author's own retirement does not let it count is none.

use std::collections::{BTreeMap, BTreeSet};

use crate::holdings::Precedence;
use crate::id::{DeviceId, Ref};
use crate::pin::EpochMark;
use crate::record::{Body, Epoch, EpochCopy};
use crate::trust::Retirements;

/// One epoch, by the record that began it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Begun {
    by: DeviceId,
    precedence: Precedence,
    mark: EpochMark,
    without: BTreeSet<DeviceId>,
}

/// A secret that was sealed to a device, by which record, and whose that is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Copy {
    record: Ref,
    by: DeviceId,
    copy: EpochCopy,
}

/// All epochs but the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Epochs {
    begun: BTreeMap<Ref, Begun>,
    /// By the record that began the epoch, then by time, so that the order in which they came does not matter.
    copies: BTreeMap<Ref, BTreeMap<(Precedence, DeviceId), Copy>>,
}

impl Epochs {
    /// Takes in a record; others than those of epochs say nothing here.
    pub fn take(&mut self, entry: Ref, by: DeviceId, precedence: Precedence, body: &Body) {
        match body {
            Body::Epoch(epoch) => self.begin(entry, by, precedence, epoch),
            Body::EpochCopies(copies) => {
                self.copy(copies.epoch, entry, by, precedence, &copies.copies);
            }
            _ => {}
        }
    }

    fn begin(&mut self, entry: Ref, by: DeviceId, precedence: Precedence, epoch: &Epoch) {
        let without = epoch.without.iter().copied().collect();
        self.begun.insert(entry, Begun { by, precedence, mark: epoch.mark, without });
        self.copy(entry, entry, by, precedence, &epoch.copies);
    }

    fn copy(&mut self, epoch: Ref, record: Ref, by: DeviceId, precedence: Precedence, copies: &[EpochCopy]) {
        let of = self.copies.entry(epoch).or_default();
        of.extend(copies.iter().map(|copy| ((precedence, copy.to), Copy { record, by, copy: copy.clone() })));
    }

    /// Whether there is none but the first.
    pub fn is_empty(&self) -> bool {
        self.begun.is_empty()
    }

    /// All that count, the one that tags are to be made under first. The first epoch is not among them: it comes after all.
    pub fn in_order(&self, retired: &Retirements) -> Vec<Ref> {
        let mut all: Vec<_> = self
            .begun
            .iter()
            .filter(|(entry, begun)| counts(retired, &begun.by, entry))
            .map(|(entry, begun)| {
                let exposed = self.exposed_to(entry, retired).count();
                ((exposed, std::cmp::Reverse(begun.precedence)), *entry)
            })
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, entry)| entry).collect()
    }

    /// By what an epoch is named.
    pub fn mark(&self, epoch: &Ref) -> Option<EpochMark> {
        self.begun.get(epoch).map(|begun| begun.mark)
    }

    /// Who began an epoch.
    pub fn author(&self, epoch: &Ref) -> Option<DeviceId> {
        self.begun.get(epoch).map(|begun| begun.by)
    }

    /// The retired devices that an epoch was made without.
    pub fn without(&self, epoch: &Ref) -> impl Iterator<Item = DeviceId> {
        self.begun.get(epoch).into_iter().flat_map(|begun| begun.without.iter().copied())
    }

    /// The retired devices that an epoch is not kept from: made before anybody knew, or given to them since.
    pub fn exposed_to(&self, epoch: &Ref, retired: &Retirements) -> impl Iterator<Item = DeviceId> {
        let without = self.begun.get(epoch).map(|begun| &begun.without);
        let given = self.given_to(epoch, retired);
        let is_kept = move |device: &&DeviceId| {
            without.is_some_and(|without| without.contains(device)) && !given.contains(device)
        };
        retired.keys().filter(move |device| !is_kept(device)).copied()
    }

    /// Whom an epoch's secret was sealed to.
    pub fn given_to(&self, epoch: &Ref, retired: &Retirements) -> BTreeSet<DeviceId> {
        self.copies_of(epoch, retired).map(|copy| copy.to).collect()
    }

    /// The copies of an epoch's secret that count, the earliest first.
    pub fn copies_of(&self, epoch: &Ref, retired: &Retirements) -> impl Iterator<Item = &EpochCopy> {
        let all = self.copies.get(epoch).into_iter().flat_map(BTreeMap::values);
        all.filter(|copy| counts(retired, &copy.by, &copy.record)).map(|copy| &copy.copy)
    }
}

fn counts(retired: &Retirements, by: &DeviceId, entry: &Ref) -> bool {
    retired.get(by).is_none_or(|retirement| !retirement.is_late(entry))
}
