//! The product's view beside the truth.

use std::collections::BTreeMap;

use popmesh_proto::holdings::Holdings;
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::trust::Retirements;

use super::{Fate, Truth, Unit};

/// What a difference is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Where a unit has gone.
    Unit,
    /// How a claim stands.
    Claim,
    /// Who was retired, and up to where its entries count.
    Retirement,
}

/// Something that a view has otherwise than it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is about.
    pub about: About,
    /// What is true, and what the view has.
    pub text: String,
}

/// Everything that a view of the same entries has otherwise.
pub fn compare(truth: &Truth, view: &Holdings, retired: &Retirements) -> Vec<Difference> {
    let mut differences = units(truth, view);
    differences.extend(claims(truth, view));
    differences.extend(retirements(truth, retired));
    differences
}

fn differ<T: PartialEq + std::fmt::Debug>(
    about: About,
    what: impl Fn() -> String,
    is: &T,
    has: &T,
) -> Option<Difference> {
    (is != has)
        .then(|| Difference { about, text: format!("{}: {is:?} is true, and the view has {has:?}", what()) })
}

fn units(truth: &Truth, view: &Holdings) -> Vec<Difference> {
    let mut shown: BTreeMap<Unit, Vec<Fate>> = BTreeMap::new();
    for (reference, parcel) in view.live() {
        for serial in parcel.free.iter() {
            let (holder, place) = (parcel.owner, parcel.place.clone());
            let fate = Fate::Held { parcel: *reference, holder, place };
            shown.entry((parcel.lot, serial)).or_default().push(fate);
        }
    }
    for (claim, known) in view.claims() {
        let lost = view.lost_of(claim);
        for (parcel, left) in known.standing(*claim).iter().flat_map(|standing| &standing.left) {
            let lot = view.parcel(parcel).map_or(*parcel, |parcel| parcel.lot);
            let lost = lost.and_then(|lost| lost.get(parcel));
            for serial in left.iter().filter(|serial| !lost.is_some_and(|lost| lost.contains(*serial))) {
                shown.entry((lot, serial)).or_default().push(Fate::Claimed { claim: *claim });
            }
        }
    }
    let mut differences = Vec::new();
    for (lot, state) in view.lots() {
        for serial in state.units.iter() {
            let has = shown.remove(&(*lot, serial)).unwrap_or_else(|| vec![Fate::Damaged]);
            let is: Vec<Fate> = truth.units.get(&(*lot, serial)).cloned().into_iter().collect();
            let what = || format!("unit {serial} of {lot}");
            differences.extend(differ(About::Unit, what, &is, &has));
        }
    }
    let unknown = truth.units.keys().filter(|(lot, _)| view.lot(lot).is_none());
    let text =
        |(lot, serial): &Unit| format!("unit {serial} of {lot} was minted, and the view has no such lot");
    differences.extend(unknown.map(|unit| Difference { about: About::Unit, text: text(unit) }));
    differences
}

fn claims(truth: &Truth, view: &Holdings) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (claim, is) in &truth.claims {
        let standing = view.claim(claim).and_then(|known| known.standing(*claim));
        let left = |parcels: &BTreeMap<Ref, popmesh_proto::units::UnitSet>| {
            let each = parcels.iter();
            each.flat_map(|(parcel, units)| units.iter().map(|serial| (*parcel, serial))).collect()
        };
        let has = standing.map(|standing| {
            let handed_out = standing.redeemed.map(|redeemed| redeemed.entry);
            (standing.custodian, handed_out, left(&standing.left))
        });
        let is = Some((is.custodian, is.handed_out, is.left.clone()));
        differences.extend(differ(About::Claim, || format!("claim {claim}"), &is, &has));
    }
    let sold = view.claims().filter(|(_, known)| known.sold().is_some());
    for (claim, _) in sold.filter(|(claim, _)| !truth.claims.contains_key(claim)) {
        let text = format!("claim {claim} counts for nothing, and the view has it");
        differences.push(Difference { about: About::Claim, text });
    }
    differences
}

fn retirements(truth: &Truth, retired: &Retirements) -> Vec<Difference> {
    let is: BTreeMap<DeviceId, (Ref, DeviceId)> =
        truth.retired.iter().map(|(device, gone)| (*device, (gone.entry, gone.by))).collect();
    let has: BTreeMap<DeviceId, (Ref, DeviceId)> =
        retired.iter().map(|(device, gone)| (*device, (gone.entry, gone.by))).collect();
    let whole = differ(About::Retirement, || "retirements".to_owned(), &is, &has);
    let mut differences: Vec<Difference> = whole.into_iter().collect();
    for (device, gone) in &truth.retired {
        let Some(shown) = retired.get(device) else { continue };
        for (chain, upto) in &gone.upto {
            let what = || format!("of retired {}, chain {} counts up to", device.short(), chain.short());
            differences.extend(differ(About::Retirement, what, upto, &shown.upto(chain)));
        }
    }
    differences
}
