//! Who was retired, by whom, and up to where its entries count.
//!
//! The right to retire is one thing, that begins with a certificate and is handed on. Of all deeds whose right has been given
//! the earliest is looked at next. It counts if its author has the right still, was not retired before, and does not retire
//! itself or one of its own heirs. A device that was retired already is not retired again.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::record::Body;

use super::{Gone, Order, Written};

/// What a deed takes: the right of a certificate, or what an earlier deed gave.
type Right = Result<DeviceId, Ref>;

struct Deed<'a> {
    order: Order,
    right: Right,
    of: &'a Written,
}

pub(super) fn retired(written: &[Written]) -> BTreeMap<DeviceId, Gone> {
    let mut left: Vec<Deed<'_>> = written.iter().filter_map(deed).collect();
    let mut gone: BTreeMap<DeviceId, Gone> = BTreeMap::new();
    let mut given_to: BTreeMap<Ref, DeviceId> = BTreeMap::new();
    let mut spent: BTreeSet<Right> = BTreeSet::new();
    loop {
        let ready =
            |deed: &Deed<'_>| deed.right.is_ok() || deed.right.is_err_and(|by| given_to.contains_key(&by));
        let next = left.iter().enumerate().filter(|(_, deed)| ready(deed)).min_by_key(|(_, deed)| deed.order);
        let Some((at, _)) = next else { return gone };
        let deed = left.swap_remove(at);
        let author = deed.of.author;
        let is_theirs = match deed.right {
            Ok(device) => device == author,
            Err(by) => given_to.get(&by) == Some(&author),
        };
        let entry = deed.of.entry;
        let was_gone = gone
            .get(&author)
            .is_some_and(|gone| gone.upto.get(&entry.chain).is_none_or(|upto| entry.seq > *upto));
        if !is_theirs || was_gone || spent.contains(&deed.right) {
            continue;
        }
        match &deed.of.record.body {
            Body::Entrust(entrust) => {
                spent.insert(deed.right);
                given_to.insert(entry, entrust.to);
            }
            Body::Retire(retire) => {
                if gone.contains_key(&retire.device) || is_heir(&gone, &retire.device, author) {
                    continue;
                }
                let named = cut_before(written, entry, retire.device, retire.parts.unwrap_or(0));
                let upto = named.into_iter().chain(retire.cut.iter().copied());
                let upto = upto.map(|last| (last.chain, last.seq)).collect();
                gone.insert(retire.device, Gone { entry, by: author, upto });
            }
            _ => {}
        }
    }
}

fn deed(of: &Written) -> Option<Deed<'_>> {
    let under = match &of.record.body {
        Body::Entrust(entrust) => entrust.under,
        Body::Retire(retire) => retire.under,
        _ => return None,
    };
    Some(Deed { order: of.order(), right: under.map_or(Ok(of.author), Err), of })
}

/// Whether `device` is `who`, or comes after it in its line of heirs.
fn is_heir(gone: &BTreeMap<DeviceId, Gone>, device: &DeviceId, who: DeviceId) -> bool {
    let mut at = who;
    loop {
        if at == *device {
            return true;
        }
        match gone.get(&at) {
            Some(next) => at = next.by,
            None => return false,
        }
    }
}

/// What the records directly before a retirement name of the same device.
fn cut_before(written: &[Written], entry: Ref, device: DeviceId, parts: u32) -> Vec<Ref> {
    let first = entry.seq.saturating_sub(u64::from(parts));
    let of_chain = written.iter().filter(|one| one.entry.chain == entry.chain);
    let before = of_chain.filter(|one| (first..entry.seq).contains(&one.entry.seq));
    let named = before.filter_map(|one| match &one.record.body {
        Body::RetireCut(part) if part.device == device => Some(part.cut.clone()),
        _ => None,
    });
    named.flatten().collect()
}

/// Whether these retirements, in their order, lead from a retired device to `heir`.
pub(super) fn lead_to(
    gone: &BTreeMap<DeviceId, Gone>,
    device: &DeviceId,
    named: impl IntoIterator<Item = Ref>,
    heir: &DeviceId,
) -> bool {
    let mut at = *device;
    for entry in named {
        match gone.get(&at) {
            Some(next) if next.entry == entry => at = next.by,
            _ => return false,
        }
    }
    at == *heir
}
