//! Claims as they are written, seen from outside: who is the custodian of each, what was handed out and what was taken
//! back. Knows nothing of how devices judge the same records.
//!
//! A claim is redeemed at most once, never both redeemed and refunded, no unit of it is refunded twice, and only its
//! custodian does anything about it (I2).

use std::collections::BTreeMap;

use popmesh_proto::command::ClaimState;
use popmesh_proto::holdings::Event;
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::record::{Body, Line, Refund, Sale};
use popmesh_proto::units::UnitSet;

/// A claim as it stands in truth.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) custodian: DeviceId,
    /// Units handed out, once they are.
    pub(super) handed_out: Option<u64>,
    /// What is not taken back, by parcel.
    left: BTreeMap<Ref, UnitSet>,
    prices: Vec<(Ref, UnitSet, i64)>,
    /// Units taken back.
    pub(super) units_back: u64,
    /// What was paid for them.
    pub(super) paid_back: i64,
    is_asked_back: bool,
    /// Nobody came for what was left of it in time.
    expired: bool,
}

impl Claim {
    fn of(event: &Event<'_>, sale: &Sale) -> Self {
        let mut left: BTreeMap<Ref, UnitSet> = BTreeMap::new();
        for line in &sale.lines {
            left.entry(line.parcel).or_default().insert_all(&line.units);
        }
        let units = left.values().map(UnitSet::len).sum();
        Self {
            custodian: sale.pickup_at.unwrap_or(event.author),
            handed_out: sale.pickup_at.is_none().then_some(units),
            left,
            prices: sale
                .lines
                .iter()
                .map(|line| (line.parcel, line.units.clone(), line.unit_price))
                .collect(),
            units_back: 0,
            paid_back: 0,
            is_asked_back: false,
            expired: false,
        }
    }

    fn units_left(&self) -> u64 {
        self.left.values().map(UnitSet::len).sum()
    }

    /// What every device is to say of it.
    pub(super) fn state(&self) -> ClaimState {
        match (self.handed_out.is_some(), self.units_left() == 0) {
            (true, false) => ClaimState::Redeemed,
            (true, true) => ClaimState::Returned,
            (false, true) if self.expired => ClaimState::Expired,
            (false, true) => ClaimState::Refunded,
            (false, false) if self.is_asked_back => ClaimState::RefundRequested,
            (false, false) => ClaimState::Issued,
        }
    }

    fn redeem(&mut self) -> Result<(), String> {
        if self.handed_out.is_some() {
            return Err("is redeemed a second time".to_owned());
        }
        if self.units_left() == 0 {
            return Err("is redeemed after it was refunded".to_owned());
        }
        self.handed_out = Some(self.units_left());
        Ok(())
    }

    fn refund(&mut self, refund: &Refund) -> Result<(), String> {
        match (refund.handed_out.is_some(), self.handed_out.is_some()) {
            (false, true) => return Err("is refunded after it was redeemed".to_owned()),
            (true, false) => return Err("is taken back before it was redeemed".to_owned()),
            _ => {}
        }
        self.expired = refund.unclaimed == Some(true);
        for Line { parcel, units } in &refund.lines {
            let left = self.left.get_mut(parcel).filter(|left| left.contains_all(units));
            let Some(left) = left else {
                return Err(format!(
                    "has units {units} refunded that are not in it, or were refunded before"
                ));
            };
            left.remove_all(units);
            self.units_back += units.len();
            for (_, sold, price) in self.prices.iter().filter(|(of, _, _)| of == parcel) {
                self.paid_back += price * sold.intersection(units).len() as i64;
            }
        }
        Ok(())
    }
}

/// All claims.
#[derive(Debug, Default)]
pub(super) struct Claims {
    all: BTreeMap<Ref, Claim>,
    /// Units that may be sold again, by parcel of the sale that they were in, until somebody asks.
    came_back: Vec<(Ref, UnitSet)>,
}

impl Claims {
    pub(super) fn get(&self, claim: &Ref) -> Option<&Claim> {
        self.all.get(claim)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether a device keeps something that somebody may come for.
    pub(super) fn are_kept_by(&self, device: &DeviceId) -> bool {
        let waits = |claim: &Claim| claim.handed_out.is_none() && claim.units_left() > 0;
        self.all.values().any(|claim| claim.custodian == *device && waits(claim))
    }

    /// The units that came back since this was asked last.
    pub(super) fn take_what_came_back(&mut self) -> Vec<(Ref, UnitSet)> {
        std::mem::take(&mut self.came_back)
    }

    /// Takes in a record. What it does that no custodian may is the error.
    pub(super) fn fold(&mut self, event: &Event<'_>) -> Result<(), String> {
        let (reference, is_for_custodian) = match &event.record.body {
            Body::Sale(sale) => {
                self.all.insert(event.entry, Claim::of(event, sale));
                return Ok(());
            }
            Body::Custody(custody) => (custody.claim, true),
            Body::Redeem(redeem) => (redeem.claim, true),
            Body::Refund(refund) => (refund.claim, true),
            Body::RefundRequest(request) => (request.claim, false),
            Body::Start(_)
            | Body::Mint(_)
            | Body::Transfer(_)
            | Body::Received(_)
            | Body::Move(_)
            | Body::Damage(_)
            | Body::Hold(_)
            | Body::Release(_)
            | Body::PaymentSettled(_)
            | Body::WrongPin(_)
            | Body::Unlock(_)
            | Body::Door(_)
            | Body::Retire(_)
            | Body::RetireCut(_)
            | Body::Entrust(_)
            | Body::Leave(_)
            | Body::Inherit(_)
            | Body::Fork(_)
            | Body::Renewal(_)
            | Body::Epoch(_)
            | Body::EpochCopies(_)
            | Body::Step(_)
            | Body::Resolve(_)
            | Body::Personal(_)
            | Body::Erase(_) => return Ok(()),
        };
        let who = event.author.short();
        let Some(claim) = self.all.get_mut(&reference) else {
            return Err(format!("claim {reference}, which nobody has sold, is acted on by {who}"));
        };
        if is_for_custodian && claim.custodian != event.author {
            return Err(format!("claim {reference} is acted on by {who}, which is not its custodian"));
        }
        let done = match &event.record.body {
            // What moves of a claim that was handed out is the right to take it back, which says so.
            Body::Custody(custody) if claim.handed_out.is_some() != custody.handed_out.is_some() => {
                Err("changes its custodian as if it had been, or had not been, redeemed".to_owned())
            }
            Body::Custody(custody) => {
                claim.custodian = custody.to;
                Ok(())
            }
            Body::Redeem(_) => claim.redeem(),
            Body::Refund(refund) => claim.refund(refund),
            _ => {
                claim.is_asked_back = true;
                Ok(())
            }
        };
        done.map_err(|problem| format!("claim {reference} {problem}, by {who}"))?;
        if let Body::Refund(Refund { lines, damaged: false, .. }) = &event.record.body {
            self.came_back.extend(lines.iter().map(|line| (line.parcel, line.units.clone())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use popmesh_proto::clock::Hlc;
    use popmesh_proto::id::{ChainId, Hash};
    use popmesh_proto::payment::Back;
    use popmesh_proto::receipt::ReceiptLink;
    use popmesh_proto::record::{Custody, Record, Redeem, SaleLine};
    use popmesh_proto::text::DropId;

    use super::*;

    const TILL: DeviceId = DeviceId([1; 32]);
    const LOCKER: DeviceId = DeviceId([2; 32]);

    fn entry(seq: u64) -> Ref {
        Ref { chain: ChainId([7; 16]), seq }
    }

    /// What the records make of three units that the till sold: each record's author, and whether it may be.
    fn follow(pickup_at: Option<DeviceId>, deeds: &[(DeviceId, Body)]) -> (Claims, Vec<Result<(), String>>) {
        let line = SaleLine { parcel: entry(1), units: UnitSet::range(1, 3), unit_price: 500 };
        let sale = Sale::plain(vec![line], pickup_at);
        let mut claims = Claims::default();
        let drop: DropId = "friday".parse().unwrap();
        let mut results = Vec::new();
        let sale = (TILL, Body::Sale(sale));
        for (seq, (author, body)) in (10..).zip([&sale].into_iter().chain(deeds)) {
            let record = Record { at: Hlc(seq), body: body.clone(), key: None };
            let event = Event {
                entry: entry(seq),
                drop: &drop,
                author: *author,
                hash: Hash([0; 32]),
                record: &record,
            };
            results.push(claims.fold(&event));
        }
        (claims, results.split_off(1))
    }

    fn redeem() -> Body {
        Body::Redeem(Redeem { claim: entry(10), under: entry(10), token: None, compartments: None })
    }

    fn refund(units: UnitSet, returned: bool) -> Body {
        Body::Refund(Refund {
            claim: entry(10),
            under: entry(10),
            lines: vec![Line { parcel: entry(1), units }],
            place: "hall".parse().unwrap(),
            damaged: false,
            handed_out: returned.then(|| entry(11)),
            receipt: ReceiptLink::FIRST,
            back: Back::default(),
            unclaimed: None,
        })
    }

    fn all() -> UnitSet {
        UnitSet::range(1, 3)
    }

    fn is_refused(pickup_at: Option<DeviceId>, deeds: &[(DeviceId, Body)], problem: &str) {
        let (_, results) = follow(pickup_at, deeds);
        let (last, before) = results.split_last().unwrap();
        assert!(before.iter().all(Result::is_ok), "{before:?}");
        assert!(last.as_ref().is_err_and(|text| text.contains(problem)), "{last:?}");
    }

    #[test]
    fn a_claim_is_handed_out_once_or_refunded() {
        let at = Some(LOCKER);
        is_refused(at, &[(LOCKER, redeem()), (LOCKER, redeem())], "a second time");
        is_refused(None, &[(TILL, redeem())], "a second time");
        is_refused(at, &[(LOCKER, refund(all(), false)), (LOCKER, redeem())], "after it was refunded");
        is_refused(at, &[(LOCKER, redeem()), (LOCKER, refund(all(), false))], "after it was redeemed");
        is_refused(at, &[(LOCKER, refund(all(), true))], "before it was redeemed");
        let one = || (LOCKER, refund(UnitSet::range(1, 1), false));
        is_refused(at, &[one(), one()], "refunded before");
    }

    #[test]
    fn only_its_custodian_deals_with_a_claim() {
        let at = Some(LOCKER);
        let give = |to| Body::Custody(Custody::of(entry(10), entry(10), to));
        is_refused(at, &[(TILL, redeem())], "not its custodian");
        is_refused(at, &[(TILL, refund(all(), false))], "not its custodian");
        is_refused(at, &[(LOCKER, give(TILL)), (LOCKER, redeem())], "not its custodian");
        is_refused(at, &[(LOCKER, redeem()), (LOCKER, give(TILL))], "as if it had been");
        let (claims, results) = follow(at, &[(LOCKER, give(TILL)), (TILL, redeem())]);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(claims.get(&entry(10)).unwrap().state(), ClaimState::Redeemed);
    }

    #[test]
    fn what_is_left_is_handed_out_and_what_comes_back_may_be_sold_again() {
        let one = UnitSet::range(1, 1);
        let deeds = [
            (LOCKER, refund(one.clone(), false)),
            (LOCKER, redeem()),
            (LOCKER, refund(UnitSet::range(2, 3), true)),
        ];
        let (mut claims, results) = follow(Some(LOCKER), &deeds);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let claim = claims.get(&entry(10)).unwrap();
        assert_eq!((claim.handed_out, claim.units_back, claim.paid_back), (Some(2), 3, 1_500));
        assert_eq!(claim.state(), ClaimState::Returned);
        let back = claims.take_what_came_back();
        assert_eq!(back, [(entry(1), one), (entry(1), UnitSet::range(2, 3))]);
    }
}
