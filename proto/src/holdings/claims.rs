//! Claims: who is the custodian of each, and what the custodians did about it. A function of the set of records, in
//! whatever order they came.
//!
//! Each deed names what made its author the custodian, the sale or a record of custody. Those under one such record are
//! its author's alone and go by the author's time, until one of them gives custody away; then those under that one
//! follow. Whatever does not fit in (a second redemption, a refund of what has been handed out, a deed of somebody who
//! is not the custodian) counts for nothing and is a breach.
//!
//! A redemption by the token alone may name a record of custody that is not here, or that was made by a device whose later
//! entries do not count. The seller's own signature says that it made its author the custodian, and the thing is gone: so
//! it counts, after all that is in the line, if nothing there has ended the claim.

use std::collections::BTreeMap;

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
    Custody {
        /// Which.
        to: DeviceId,
        /// The retired device whose place its heir takes, if that is what it does.
        from: Option<DeviceId>,
        /// What handed the claim out before, if that was done: it may be taken back there.
        handed_out: Option<Ref>,
    },
    /// Handed out.
    Redeem {
        /// Who issued the token that the author went by; none if it went by the claim itself.
        vouched_by: Option<DeviceId>,
    },
    /// Units are taken back.
    Refund {
        /// Which, by parcel of the sale.
        units: BTreeMap<Ref, UnitSet>,
        /// Where they lie from now on.
        place: Place,
        /// They are out of sale.
        damaged: bool,
        /// What had handed them out, if they are brought back.
        returned: Option<Ref>,
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
    /// It is written in the documents of another drop than the claim's chain is.
    pub(super) elsewhere: bool,
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
    seller: DeviceId,
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

/// Somebody's word that the shopper of a claim wants the money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Which of two comes first.
    precedence: Precedence,
    /// The entry.
    pub entry: Ref,
    /// Who wrote it.
    pub by: DeviceId,
}

impl Request {
    /// When, by its author's hybrid clock.
    pub fn at(&self) -> Hlc {
        self.precedence.0
    }
}

/// What was done about a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Deeds {
    acts: BTreeMap<(Precedence, Ref), Act>,
    /// The first request for a refund: however many there are, one is kept.
    request: Option<Request>,
    /// How it stands, if the sale is known and something was done.
    standing: Option<Standing>,
}

impl Standing {
    /// What was handed out, by parcel, also where it was brought back since.
    pub fn handed_out(&self) -> BTreeMap<Ref, UnitSet> {
        let mut out = self.left.clone();
        for act in &self.valid {
            let Deed::Refund { units, returned: Some(_), .. } = &act.deed else { continue };
            for (parcel, units) in units {
                out.entry(*parcel).or_default().insert_all(units);
            }
        }
        out
    }
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

    /// Whether it was handed out.
    pub fn is_handed_out(&self) -> bool {
        match self.stood() {
            Some(standing) => standing.redeemed.is_some(),
            None => self.sold.as_ref().is_some_and(|sold| sold.handed_over),
        }
    }

    /// The first redemption by `device`, whether or not it counts, and whether or not the sale is known.
    pub fn handed_out_by(&self, device: &DeviceId) -> Option<HandedOut> {
        let acts = self.acts().filter(|(_, act)| act.author == *device && act.is_redemption());
        acts.map(|(((at, _), _), act)| act.handed_out(*at)).next()
    }

    /// Units of it that `device` took back and paid for, and that are in the claim all the same: its refund counts for
    /// nothing.
    pub fn refunded_in_vain_by(&self, device: &DeviceId) -> BTreeMap<Ref, UnitSet> {
        let mut back: BTreeMap<Ref, UnitSet> = BTreeMap::new();
        let own = self.acts().map(|(_, act)| act).filter(|act| act.author == *device);
        for act in own.filter(|act| !self.valid().contains(act)) {
            if let Deed::Refund { units, .. } = &act.deed {
                for (parcel, units) in units {
                    back.entry(*parcel).or_default().insert_all(units);
                }
            }
        }
        back
    }

    /// Whether a record of custody of this claim is here, whether or not it counts.
    pub fn knows_of(&self, custody: &Ref) -> bool {
        self.acts().any(|((_, entry), _)| entry == custody)
    }

    /// The first request for a refund, if somebody asked for one.
    pub fn request_for_refund(&self) -> Option<&Request> {
        self.deeds.as_ref()?.request.as_ref()
    }

    /// Whether somebody asked for a refund.
    pub fn is_asked_back(&self) -> bool {
        self.request_for_refund().is_some()
    }

    /// Acts that count for nothing, and why.
    pub(super) fn void(&self) -> impl Iterator<Item = (&Ref, &str)> {
        let void = self.stood().into_iter().flat_map(|standing| &standing.void);
        void.map(|(entry, text)| (entry, text.as_str()))
    }

    /// Redemptions of a claim whose sale is not known, after the first of them: whatever the sale says, one is too many.
    pub(super) fn redeemed_again_unseen(&self, claim: Ref) -> impl Iterator<Item = (Ref, String)> {
        let redemptions = self.acts().filter(|(_, act)| act.is_redemption());
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

    pub(super) fn request(&mut self, precedence: Precedence, entry: Ref, by: DeviceId) {
        let request = Request { precedence, entry, by };
        let first = &mut self.deeds.get_or_insert_default().request;
        *first = Some(first.map_or(request, |known| known.min(request)));
    }

    /// Takes in the sale. Whether something has been done about it already. `is_elsewhere` says of a deed's entry whether it is
    /// written in the documents of another drop.
    pub(super) fn sell(&mut self, claim: Ref, sold: Sold, is_elsewhere: impl Fn(&Ref) -> bool) -> bool {
        self.sold = Some(sold);
        for act in self.deeds.iter_mut().flat_map(|deeds| deeds.acts.values_mut()) {
            act.elsewhere = is_elsewhere(&act.entry);
        }
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
        let mut refused = Vec::new();
        let (elsewhere, here): (Vec<_>, Vec<_>) =
            deeds.acts.iter().map(|((at, _), act)| (*at, act)).partition(|(_, act)| act.elsewhere);
        refused.extend(elsewhere.into_iter().map(|(_, act)| (act, ELSEWHERE)));
        let mut rest: Vec<(Precedence, &Act)> = here.clone();
        loop {
            let under = standing.under;
            let (mut now, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(_, act)| act.under == under);
            // Whoever retires a device takes over what it left behind, whatever its clock said.
            let inherits = |act: &Act| matches!(act.deed, Deed::Custody { from: Some(_), .. });
            now.sort_by_key(|(at, act)| (inherits(act), *at, act.entry));
            rest = others;
            if now.is_empty() {
                break;
            }
            for ((at, _), act) in now {
                match standing.follow(act, at, under, &here) {
                    Ok(()) => standing.valid.push(act.clone()),
                    Err(problem) => refused.push((act, problem)),
                }
            }
        }
        for ((at, _), act) in rest {
            let done = match act.is_vouched_by(&sold.seller) {
                true => standing.hand_out(act, at),
                false => Err("its author was never its custodian"),
            };
            match done {
                Ok(()) => standing.valid.push(act.clone()),
                Err(problem) => refused.push((act, problem)),
            }
        }
        for (act, problem) in refused {
            standing.refuse(claim, act, problem);
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
            seller: sold.seller,
            valid: Vec::new(),
            void: BTreeMap::new(),
        }
    }

    fn follow(
        &mut self,
        act: &Act,
        at: Hlc,
        under: Ref,
        acts: &[(Precedence, &Act)],
    ) -> Result<(), &'static str> {
        if self.under != under {
            return Err("its author had given it away before");
        }
        let inherits = matches!(act.deed, Deed::Custody { from: Some(from), .. } if from == self.custodian);
        if act.author != self.custodian && !inherits {
            return Err("its author is not its custodian");
        }
        // What a token alone vouches for comes after the line, and before what is brought back of it.
        if let (Deed::Refund { returned: Some(named), .. }, None) = (&act.deed, self.redeemed) {
            let mut vouched = acts.iter().filter(|(_, act)| act.is_vouched_by(&self.seller));
            let named = vouched.find(|(_, act)| act.entry == *named);
            self.redeemed = named.map(|((at, _), act)| act.handed_out(*at));
        }
        match &act.deed {
            Deed::Custody { handed_out, .. } if handed_out.is_some() != self.redeemed.is_some() => {
                Err(if handed_out.is_some() { NOT_HANDED_OUT } else { "it had been handed out before" })
            }
            Deed::Custody { to, .. } => {
                self.custodian = *to;
                self.under = act.entry;
                Ok(())
            }
            Deed::Redeem { .. } => self.hand_out(act, at),
            Deed::Refund { returned, .. } if returned.is_some() != self.redeemed.is_some() => {
                Err(if returned.is_some() { NOT_HANDED_OUT } else { REDEEMED_BEFORE })
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

    fn hand_out(&mut self, act: &Act, at: Hlc) -> Result<(), &'static str> {
        match self.redeemed {
            // A return has named it before it was its turn.
            Some(redeemed) if redeemed.entry == act.entry => Ok(()),
            Some(_) => Err(REDEEMED_BEFORE),
            None if self.left.is_empty() => Err("it had been refunded before"),
            None => {
                self.redeemed = Some(act.handed_out(at));
                Ok(())
            }
        }
    }

    /// Whoever reads of an act that counts for nothing has to know that it was done all the same.
    fn refuse(&mut self, claim: Ref, act: &Act, problem: &str) {
        let mut text = refused(claim, act, problem);
        let undone = self.redeemed.is_none() && !self.left.is_empty();
        text.push_str(match &act.deed {
            Deed::Custody { .. } => "",
            Deed::Redeem { .. } if undone => {
                "; it was handed out there, and waits to be handed out all the same"
            }
            Deed::Redeem { .. } if self.redeemed.is_none() => "; it was handed out, and paid back as well",
            Deed::Redeem { .. } => "; it was handed out twice",
            Deed::Refund { .. } => "; it was paid back all the same",
        });
        self.void.insert(act.entry, text);
    }
}

impl Act {
    fn is_redemption(&self) -> bool {
        matches!(self.deed, Deed::Redeem { .. })
    }

    /// Whether a token of the seller's says that its author was to hand the claim out. That the token is genuine, and says so,
    /// was found when the entry was admitted.
    fn is_vouched_by(&self, seller: &DeviceId) -> bool {
        matches!(&self.deed, Deed::Redeem { vouched_by: Some(issuer) } if issuer == seller)
    }

    fn handed_out(&self, at: Hlc) -> HandedOut {
        HandedOut { entry: self.entry, by: self.author, at }
    }
}

const REDEEMED_BEFORE: &str = "it had been redeemed before";
const ELSEWHERE: &str = "it is written in the documents of another drop";
const NOT_HANDED_OUT: &str = "it had not been handed out";

/// What a person reads of an act that counts for nothing.
fn refused(claim: Ref, act: &Act, problem: &str) -> String {
    let what = match act.deed {
        Deed::Custody { .. } => "change of custody",
        Deed::Redeem { .. } => "redemption",
        Deed::Refund { .. } => "refund",
    };
    format!("{what} {} of claim {claim} by {}: {problem}", act.entry, act.author.short())
}
