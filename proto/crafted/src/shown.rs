//! Everything that views show of stock, claims, steps and trust, in words: what an entry that counts for nothing must leave as
//! it was. What is wrong with such an entry is no part of it.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::holdings::Holdings;
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::trust::Trust;

/// What is shown, by what of it.
pub type Shown = BTreeMap<String, String>;

/// What is shown of stock, claims and steps; of what waits with each of `devices`.
pub fn of_stock(holdings: &Holdings, devices: impl IntoIterator<Item = DeviceId>) -> Shown {
    let mut shown = Shown::new();
    let mut show = |what: String, how: String| _ = shown.insert(what, how);
    for (lot, state) in holdings.lots() {
        let of = (&state.drop, &state.sku, &state.units, &state.outcome, &state.frozen, &state.doubled);
        show(format!("lot {lot}"), format!("{of:?}"));
    }
    for (reference, parcel) in holdings.live() {
        let of = (&parcel.owner, &parcel.from, &parcel.free, &parcel.held, &parcel.frozen);
        let more = (&parcel.wish, &parcel.place, parcel.received, parcel.available());
        show(format!("parcel {reference}"), format!("{of:?} {more:?}"));
    }
    for (claim, known) in holdings.claims().filter(|(_, known)| known.sold().is_some()) {
        let Some(standing) = known.standing(*claim) else { continue };
        let of = (standing.custodian, standing.under, standing.redeemed, &standing.left, &standing.refunded);
        let asked = known.request_for_refund().map(|request| request.by);
        show(format!("claim {claim}"), format!("{:?} {of:?} {} {asked:?}", known.state(), standing.expired));
    }
    for device in devices {
        let waiting: Vec<Ref> = holdings.waiting_with(&device).collect();
        show(format!("what waits with {device:?}"), format!("{waiting:?}"));
    }
    for (hold, held) in holdings.holds() {
        show(format!("hold {hold}"), format!("{held:?}"));
    }
    for (redemption, opening) in holdings.openings() {
        let of = (opening.state(), &opening.doors, &opening.settled);
        show(format!("doors {redemption}"), format!("{of:?}"));
    }
    for drop in holdings.drops_with_steps() {
        let steps: Vec<_> = holdings.steps_of(drop).into_iter().flat_map(|steps| steps.all()).collect();
        show(format!("steps of {drop}"), format!("{steps:?}"));
    }
    show("balances".to_owned(), format!("{:?}", holdings.balances()));
    shown
}

/// What is shown of retirements, of the event's secret, and of what each of `devices` has a right to, or has left.
pub fn of_trust(trust: &Trust, devices: impl IntoIterator<Item = DeviceId>) -> Shown {
    let mut shown = Shown::new();
    let mut show = |what: String, how: String| _ = shown.insert(what, how);
    show("retired".to_owned(), format!("{:?}", trust.retired()));
    let forked: Vec<_> = trust.forks().collect();
    show("forks".to_owned(), format!("{forked:?}"));
    let epochs = trust.epochs();
    for epoch in epochs.in_order(trust.retired()) {
        let given = epochs.given_to(&epoch, trust.retired());
        show(format!("epoch {epoch}"), format!("{:?} {given:?}", epochs.mark(&epoch)));
    }
    for device in devices {
        let right = trust.rights().holder(device);
        show(format!("right of {device:?}"), format!("{right:?} {:?}", trust.left(&device)));
    }
    shown
}

/// What is shown otherwise before and after, or in one alone.
pub fn differences(before: &Shown, after: &Shown) -> Vec<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |key: &&&String| before.get(**key) != after.get(**key);
    let of = |key: &String| {
        let shown = |views: &Shown| views.get(key).cloned().unwrap_or_else(|| "nothing".to_owned());
        let (before, after) = (shown(before), shown(after));
        let same = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(60);
        let rest = |text: &str| text.get(same..).unwrap_or(text).chars().take(300).collect::<String>();
        format!("{key}:\n    before … {}\n    after  … {}", rest(&before), rest(&after))
    };
    keys.iter().filter(differs).map(|key| of(key)).collect()
}
