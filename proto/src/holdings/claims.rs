//! Claims: who is the custodian of each, and what the custodians did about it. A function of the set of records, in
//! whatever order they came.
//!
//! Each deed names what made its author the custodian, the sale or a record of custody. Those under one such record are
//! its author's alone and go by the author's time, until one of them gives custody away; then those under that one
//! follow. Whatever does not fit in (a second redemption, a refund of what has been handed out, a deed of somebody who
//! is not the custodian) counts for nothing and is a breach.

use std::collections::{BTreeMap, BTreeSet};

use super::Precedence;
use crate::clock::Hlc;
use crate::command::ClaimState;
use crate::id::{DeviceId, Ref};
use crate::text::Place;
use crate::units::UnitSet;

/// What a custodian does about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Another device is the custodian.
    Custody(DeviceId),
    /// The device that retired the custodian takes its place.
    Inherit {
        /// The retired device.
        from: DeviceId,
        /// Who takes its place.
        to: DeviceId,
    },
    /// Handed out.
    Redeem,
    /// Units are taken back.
    Refund {
        /// Which, by parcel of the sale.
        units: BTreeMap<Ref, UnitSet>,
        /// Where they lie from now on.
        place: Place,
        /// They are out of sale.
        damaged: bool,
        /// They had been handed out.
        returned: bool,
        /// Nobody came for them in time.
        unclaimed: bool,
    },
}

/// A deed, by whom and by what right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Its entry.
    pub entry: Ref,
    /// Its author.
    pub author: DeviceId,
    /// What made the author the custodian.
    pub under: Ref,
    /// What it does.
    pub deed: Deed,
}

/// The sale that a claim comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    /// Who sold.
    pub seller: DeviceId,
    /// When.
    pub at: Hlc,
    /// The first custodian.
    pub custodian: DeviceId,
    /// Handed over at once.
    pub handed_over: bool,
    /// What, by parcel, each once.
    pub units: Box<[(Ref, UnitSet)]>,
}

/// When, where and by which entry something was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedOut {
    /// The entry.
    pub entry: Ref,
    /// Who did.
    pub by: DeviceId,
    /// When.
    pub at: Hlc,
}

/// How a claim stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The one device that may redeem or refund it.
    pub custodian: DeviceId,
    /// What made it that.
    pub under: Ref,
    /// Whether, when and where it was handed out.
    pub redeemed: Option<HandedOut>,
    /// What it is still for, by parcel: neither lost nor taken back.
    pub left: BTreeMap<Ref, UnitSet>,
    /// What was taken back, by parcel.
    pub refunded: BTreeMap<Ref, UnitSet>,
    /// Nobody came for what was left of it in time.
    pub expired: bool,
    /// The acts that count, in order.
    pub(super) valid: Vec<Act>,
    /// Those that do not, and why.
    void: BTreeMap<Ref, String>,
}

/// A claim, as far as known: perhaps deeds and no sale yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    sold: Option<Sold>,
    /// Most claims have none: they take no room for it.
    deeds: Option<Box<Deeds>>,
}

/// What was done about a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Deeds {
    acts: BTreeMap<(Precedence, Ref), Act>,
    /// Requests for a refund.
    requests: BTreeSet<Ref>,
    /// How it stands, if the sale is known and something was done.
    standing: Option<Standing>,
}

impl Claim {
    /// The sale, if it is known.
    pub fn sold(&self) -> Option<&Sold> {
        self.sold.as_ref()
    }

    /// How it stands, if the sale is known.
    pub fn standing(&self, claim: Ref) -> Option<Standing> {
        match self.stood() {
            Some(standing) => Some(standing.clone()),
            None => self.sold.as_ref().map(|sold| Standing::of(claim, sold)),
        }
    }

    /// What became of it, if the sale is known.
    pub fn state(&self) -> Option<ClaimState> {
        let (handed_out, nothing_left, expired) = match (self.stood(), &self.sold) {
            (Some(standing), _) => (standing.redeemed.is_some(), standing.left.is_empty(), standing.expired),
            (None, Some(sold)) => (sold.handed_over, false, false),
            (None, None) => return None,
        };
        Some(match (handed_out, nothing_left) {
            (true, false) => ClaimState::Redeemed,
            (true, true) => ClaimState::Returned,
            (false, true) if expired => ClaimState::Expired,
            (false, true) => ClaimState::Refunded,
            (false, false) if self.is_asked_back() => ClaimState::RefundRequested,
            (false, false) => ClaimState::Issued,
        })
    }

    /// The one device that may redeem or refund it, if the sale is known.
    pub fn custodian(&self) -> Option<DeviceId> {
        let stood = self.stood().map(|standing| standing.custodian);
        stood.or_else(|| self.sold.as_ref().map(|sold| sold.custodian))
    }

    /// Its custodian, while somebody may still come for it.
    pub(super) fn waits_with(&self) -> Option<DeviceId> {
        match (self.stood(), &self.sold) {
            (Some(standing), _) => standing.waits().then_some(standing.custodian),
            (None, Some(sold)) => (!sold.handed_over && !sold.units.is_empty()).then_some(sold.custodian),
            (None, None) => None,
        }
    }

    fn stood(&self) -> Option<&Standing> {
        self.deeds.as_ref()?.standing.as_ref()
    }

    fn acts(&self) -> impl Iterator<Item = (&(Precedence, Ref), &Act)> {
        self.deeds.iter().flat_map(|deeds| &deeds.acts)
    }

    /// The acts that count, in order.
    pub(super) fn valid(&self) -> &[Act] {
        self.stood().map_or(&[], |standing| &standing.valid)
    }

    /// The redemption by `device` of a claim whose sale is not known yet.
    pub fn redeemed_unseen(&self, device: &DeviceId) -> Option<HandedOut> {
        let acts = self.acts().filter(|(_, act)| act.author == *device && act.deed == Deed::Redeem);
        acts.map(|(((at, _), entry), act)| HandedOut { entry: *entry, by: act.author, at: *at }).next()
    }

    /// Whether somebody asked for a refund.
    pub fn is_asked_back(&self) -> bool {
        self.deeds.as_ref().is_some_and(|deeds| !deeds.requests.is_empty())
    }

    /// Acts that count for nothing, and why.
    pub(super) fn void(&self) -> impl Iterator<Item = (&Ref, &str)> {
        let void = self.stood().into_iter().flat_map(|standing| &standing.void);
        void.map(|(entry, text)| (entry, text.as_str()))
    }

    /// Redemptions of a claim whose sale is not known, after the first of them: whatever the sale says, one is too many.
    pub(super) fn redeemed_again_unseen(&self, claim: Ref) -> impl Iterator<Item = (Ref, String)> {
        let redemptions = self.acts().filter(|(_, act)| act.deed == Deed::Redeem);
        redemptions.skip(1).map(move |(_, act)| (act.entry, refused(claim, act, REDEEMED_BEFORE)))
    }

    /// Every act, each a breach: the sale counts for nothing.
    pub(super) fn acts_on_nothing(&self, claim: Ref) -> impl Iterator<Item = (Ref, String)> {
        self.acts().map(move |(_, act)| {
            let text = format!(
                "claim {claim} was acted on in {} by {}, and its sale counts for nothing",
                act.entry,
                act.author.short()
            );
            (act.entry, text)
        })
    }

    /// The refunds that count, in order.
    pub fn counted_refunds(&self) -> impl Iterator<Item = Ref> {
        self.valid().iter().filter(|act| matches!(act.deed, Deed::Refund { .. })).map(|act| act.entry)
    }

    pub(super) fn request(&mut self, entry: Ref) {
        self.deeds.get_or_insert_default().requests.insert(entry);
    }

    /// Takes in the sale. Whether something has been done about it already.
    pub(super) fn sell(&mut self, claim: Ref, sold: Sold) -> bool {
        self.sold = Some(sold);
        self.stand(claim);
        self.stood().is_some()
    }

    pub(super) fn act(&mut self, claim: Ref, precedence: Precedence, act: Act) {
        self.deeds.get_or_insert_default().acts.insert((precedence, act.entry), act);
        self.stand(claim);
    }

    fn stand(&mut self, claim: Ref) {
        let (Some(sold), Some(deeds)) = (&self.sold, &mut self.deeds) else { return };
        if deeds.acts.is_empty() {
            return;
        }
        let mut standing = Standing::of(claim, sold);
        let mut rest: Vec<(Precedence, &Act)> = deeds.acts.iter().map(|((at, _), act)| (*at, act)).collect();
        loop {
            let under = standing.under;
            let (mut now, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(_, act)| act.under == under);
            // Whoever retires a device takes over what it left behind, whatever its clock said.
            now.sort_by_key(|(at, act)| (matches!(act.deed, Deed::Inherit { .. }), *at, act.entry));
            rest = others;
            if now.is_empty() {
                break;
            }
            for ((at, _), act) in now {
                match standing.follow(act, at, under) {
                    Ok(()) => standing.valid.push(act.clone()),
                    Err(problem) => standing.refuse(claim, act, problem),
                }
            }
        }
        for (_, act) in rest {
            standing.refuse(claim, act, "its author was never its custodian");
        }
        deeds.standing = Some(standing);
    }
}

impl Standing {
    /// Whether somebody may still come for it.
    pub fn waits(&self) -> bool {
        self.redeemed.is_none() && !self.left.is_empty()
    }

    /// How a claim stands before anything is done about it.
    pub(super) fn of(claim: Ref, sold: &Sold) -> Self {
        let first = HandedOut { entry: claim, by: sold.seller, at: sold.at };
        Self {
            custodian: sold.custodian,
            under: claim,
            redeemed: sold.handed_over.then_some(first),
            left: sold.units.iter().cloned().collect(),
            refunded: BTreeMap::new(),
            expired: false,
            valid: Vec::new(),
            void: BTreeMap::new(),
        }
    }

    fn follow(&mut self, act: &Act, at: Hlc, under: Ref) -> Result<(), &'static str> {
        if self.under != under {
            return Err("its author had given it away before");
        }
        let inherits = matches!(act.deed, Deed::Inherit { from, .. } if from == self.custodian);
        if act.author != self.custodian && !inherits {
            return Err("its author is not its custodian");
        }
        match &act.deed {
            Deed::Custody(_) | Deed::Inherit { .. } if self.redeemed.is_some() => {
                Err("it had been handed out before")
            }
            Deed::Custody(to) | Deed::Inherit { to, .. } => {
                self.custodian = *to;
                self.under = act.entry;
                Ok(())
            }
            Deed::Redeem if self.redeemed.is_some() => Err(REDEEMED_BEFORE),
            Deed::Redeem if self.left.is_empty() => Err("it had been refunded before"),
            Deed::Redeem => {
                self.redeemed = Some(HandedOut { entry: act.entry, by: act.author, at });
                Ok(())
            }
            Deed::Refund { returned, .. } if *returned != self.redeemed.is_some() => {
                Err(if *returned { "it had not been handed out" } else { REDEEMED_BEFORE })
            }
            Deed::Refund { units, unclaimed, .. } => {
                let has = |(parcel, units): (&Ref, &UnitSet)| {
                    self.left.get(parcel).is_some_and(|left| left.contains_all(units))
                };
                if !units.iter().all(has) {
                    return Err("units of it are not in the claim, or had been taken back before");
                }
                for (parcel, units) in units {
                    if let Some(left) = self.left.get_mut(parcel) {
                        left.remove_all(units);
                    }
                    self.refunded.entry(*parcel).or_default().insert_all(units);
                }
                self.left.retain(|_, left| !left.is_empty());
                self.expired = *unclaimed;
                Ok(())
            }
        }
    }

    fn refuse(&mut self, claim: Ref, act: &Act, problem: &str) {
        self.void.insert(act.entry, refused(claim, act, problem));
    }
}

const REDEEMED_BEFORE: &str = "it had been redeemed before";

/// What a person reads of an act that counts for nothing.
fn refused(claim: Ref, act: &Act, problem: &str) -> String {
    let what = match act.deed {
        Deed::Custody(_) | Deed::Inherit { .. } => "change of custody",
        Deed::Redeem => "redemption",
        Deed::Refund { .. } => "refund",
    };
    format!("{what} {} of claim {claim} by {}: {problem}", act.entry, act.author.short())
}
