//! How claims stand: who has custody, and what was handed out and taken back.
//!
//! Each deed names what made its author the custodian: the sale, or a record of custody. Those that name the sale are looked at
//! first, in the order of their times, an heir's after all others; once one of them gives custody away, those that name that
//! one. What is left names something that never was, or is no longer: of those a redemption counts by a token of the seller's,
//! if nothing ended the claim before.

use std::collections::{BTreeMap, BTreeSet};

use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::record::{Body, Line};
use popmesh_proto::text::DropId;
use popmesh_proto::token::UnprovenToken;

use super::retired::lead_to;
use super::stock::{Sale, Stock};
use super::{Gone, Order, Stands, Written};

/// The units of a claim that a deed is about: parcels and serials.
type Units = BTreeSet<(Ref, u32)>;

enum What {
    /// Custody goes to somebody; the retired device whose heir takes it; what had handed it out.
    Give { to: DeviceId, from: Option<DeviceId>, handed_out: Option<Ref> },
    /// Handed out, by a token of whose.
    HandOut { issuer: Option<DeviceId> },
    /// Taken back: which units, and what had handed them out.
    TakeBack { units: Units, handed_out: Option<Ref> },
}

struct Deed {
    order: Order,
    entry: Ref,
    author: DeviceId,
    under: Ref,
    what: What,
}

impl Deed {
    fn is_of_token(&self, seller: &DeviceId) -> bool {
        matches!(self.what, What::HandOut { issuer: Some(issuer) } if issuer == *seller)
    }
}

pub(super) fn claims(
    written: &[&Written],
    stock: &Stock<'_>,
    retired: &BTreeMap<DeviceId, Gone>,
) -> BTreeMap<Ref, Stands> {
    let mut deeds: BTreeMap<Ref, Vec<(&DropId, Deed)>> = BTreeMap::new();
    for one in written {
        if let (Some((claim, deed)), Some(drop)) = (deed(one, stock, retired), &one.drop) {
            deeds.entry(claim).or_default().push((drop, deed));
        }
    }
    let stand = |(claim, sale): (&Ref, &Sale)| {
        // What is written among another drop's documents is about nothing there.
        let here =
            deeds.remove(claim).unwrap_or_default().into_iter().filter(|(drop, _)| **drop == sale.drop);
        (*claim, stands(*claim, sale, here.map(|(_, deed)| deed).collect()))
    };
    stock.sales.iter().map(stand).collect()
}

fn deed(one: &Written, stock: &Stock<'_>, retired: &BTreeMap<DeviceId, Gone>) -> Option<(Ref, Deed)> {
    let (claim, under, what) = match &one.record.body {
        Body::Custody(custody) => {
            let from = custody.retirement.and_then(|first| {
                let (device, _) = retired.iter().find(|(_, gone)| gone.entry == first)?;
                let named = std::iter::once(first).chain(custody.heirs.iter().flatten().copied());
                lead_to(retired, device, named, &one.author).then_some(*device)
            });
            let what = What::Give { to: custody.to, from, handed_out: custody.handed_out };
            (custody.claim, custody.under, what)
        }
        Body::Redeem(redeem) => {
            let token = redeem.token.as_ref().and_then(|token| UnprovenToken::parse(token).ok());
            let issuer = token.map(|token| token.issuer().device);
            (redeem.claim, redeem.under, What::HandOut { issuer })
        }
        Body::Refund(refund) if stock.is_of_one_lot(&refund.lines) => {
            let what = What::TakeBack { units: units_of(&refund.lines), handed_out: refund.handed_out };
            (refund.claim, refund.under, what)
        }
        _ => return None,
    };
    Some((claim, Deed { order: one.order(), entry: one.entry, author: one.author, under, what }))
}

fn units_of(lines: &[Line]) -> Units {
    lines.iter().flat_map(|line| line.units.iter().map(|serial| (line.parcel, serial))).collect()
}

fn stands(claim: Ref, sale: &Sale, mut deeds: Vec<Deed>) -> Stands {
    deeds.sort_by_key(|deed| deed.order);
    let mut now = Stands {
        custodian: sale.pickup_at.unwrap_or(sale.seller),
        handed_out: sale.pickup_at.is_none().then_some(claim),
        refunds: Vec::new(),
        left: sale.units.clone(),
    };
    let tokens: Vec<(Ref, bool)> =
        deeds.iter().map(|deed| (deed.entry, deed.is_of_token(&sale.seller))).collect();
    let by_token = |entry: &Ref| tokens.iter().any(|(token, is_one)| token == entry && *is_one);
    let mut under = claim;
    loop {
        let (mut turn, rest): (Vec<Deed>, Vec<Deed>) =
            deeds.into_iter().partition(|deed| deed.under == under);
        deeds = rest;
        if turn.is_empty() {
            break;
        }
        turn.sort_by_key(|deed| (matches!(deed.what, What::Give { from: Some(_), .. }), deed.order));
        let named = under;
        for deed in &turn {
            if under != named {
                break;
            }
            if let Some(next) = follow(&mut now, deed, &by_token) {
                under = next;
            }
        }
        if under == named {
            break;
        }
    }
    for deed in deeds.iter().filter(|deed| deed.is_of_token(&sale.seller)) {
        if now.handed_out.is_none() && !now.left.is_empty() {
            now.handed_out = Some(deed.entry);
        }
    }
    now
}

/// What a deed of the custodian's does; what gave custody away, if it did.
fn follow(now: &mut Stands, deed: &Deed, by_token: &dyn Fn(&Ref) -> bool) -> Option<Ref> {
    let inherits = matches!(deed.what, What::Give { from: Some(from), .. } if from == now.custodian);
    if deed.author != now.custodian && !inherits {
        return None;
    }
    match &deed.what {
        What::Give { to, handed_out, .. } => {
            if handed_out.is_some() != now.handed_out.is_some() {
                return None;
            }
            now.custodian = *to;
            Some(deed.entry)
        }
        What::HandOut { .. } => {
            if now.handed_out.is_none() && !now.left.is_empty() {
                now.handed_out = Some(deed.entry);
            }
            None
        }
        What::TakeBack { units, handed_out } => {
            // Whoever takes back what a token alone handed out names that, and so it was handed out.
            if let Some(named) = handed_out.filter(|named| now.handed_out.is_none() && by_token(named)) {
                now.handed_out = Some(named);
            }
            if handed_out.is_some() == now.handed_out.is_some() && units.is_subset(&now.left) {
                units.iter().for_each(|unit| {
                    now.left.remove(unit);
                });
                now.refunds.push((deed.entry, units.clone()));
            }
            None
        }
    }
}
