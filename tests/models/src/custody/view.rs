//! What a set of entries says of the claim: the same for whoever has that set, in whatever order it came.

use super::Device::{Locker, Registrar, Seller};
use super::{Deed, Device, Entry, Id, Rules, Set, Token};

/// A retirement that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retired {
    pub(super) entry: Id,
    pub(super) by: Device,
    pub(super) cut: Set,
}

/// What a set of entries says of the claim.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) custodian: Device,
    pub(super) under: Id,
    pub(super) redeemed: Option<Id>,
    pub(super) refunded: bool,
}

impl Standing {
    pub(super) fn waits(&self) -> bool {
        self.redeemed.is_none() && !self.refunded
    }
}

/// What a set of entries says.
pub(super) struct View<'a> {
    rules: Rules,
    entries: &'a [Entry],
    pub(super) known: Set,
    pub(super) retired: [Option<Retired>; 4],
    pub(super) registrar: Device,
    /// None if the sale is not known, or counts for nothing.
    pub(super) claim: Option<Standing>,
}

impl<'a> View<'a> {
    pub(super) fn of(rules: Rules, entries: &'a [Entry], known: Set) -> Self {
        let mut view = Self { rules, entries, known, retired: [None; 4], registrar: Registrar, claim: None };
        for (id, entry) in view.all() {
            if entry.author != view.registrar || view.is_late(id) {
                continue;
            }
            match entry.deed {
                Deed::Entrust => view.registrar = Seller,
                Deed::Retire { device, cut } if view.retired[device as usize].is_none() => {
                    view.retired[device as usize] = Some(Retired { entry: id, by: entry.author, cut });
                }
                _ => {}
            }
        }
        view.claim = view.stand();
        view
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (Id, &'a Entry)> + use<'a> {
        let entries = self.entries;
        let known = self.known.ids().take_while(|id| usize::from(*id) < entries.len());
        known.map(|id| (id, &entries[usize::from(id)]))
    }

    pub(super) fn is_late(&self, id: Id) -> bool {
        let retired = self.retired[self.entries[usize::from(id)].author as usize];
        retired.is_some_and(|retired| !retired.cut.has(id))
    }

    /// The retirements from a device to its living heir, and who that is.
    pub(super) fn succession(&self, device: Device) -> (Device, Vec<Id>) {
        let (mut heir, mut named) = (device, Vec::new());
        while let Some(retired) = self.retired[heir as usize] {
            named.push(retired.entry);
            heir = retired.by;
        }
        (heir, named)
    }

    /// Who inherits what a retired device left behind, and by which retirements; nobody if that is no living device.
    pub(super) fn heir(&self, device: Device) -> Option<(Device, Vec<Id>)> {
        let (heir, named) = self.succession(device);
        let reaches = !named.is_empty() && (self.rules.heirs_have_heirs || named.len() == 1);
        reaches.then_some((heir, named))
    }

    /// The retired custodian whose place a record of custody takes, if its author is an heir by what it names.
    pub(super) fn inherits(&self, entry: &Entry) -> Option<Device> {
        let Deed::Custody { heirs, .. } = &entry.deed else { return None };
        let first = heirs.first()?;
        let is_first = |device: &Device| self.retired[*device as usize].is_some_and(|it| it.entry == *first);
        let from = Device::ALL.into_iter().find(is_first)?;
        let mut at = from;
        for named in heirs {
            let retired = self.retired[at as usize].filter(|retired| retired.entry == *named)?;
            at = retired.by;
        }
        (at == entry.author).then_some(from)
    }

    pub(super) fn stand(&self) -> Option<Standing> {
        if !self.known.has(0) || self.is_late(0) {
            return None;
        }
        let mut standing = Standing { custodian: Locker, under: 0, redeemed: None, refunded: false };
        let mut rest: Vec<(Id, &Entry)> =
            self.all().filter(|(id, entry)| entry.under().is_some() && !self.is_late(*id)).collect();
        loop {
            let under = standing.under;
            let (mut now, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(_, entry)| entry.under() == Some(under));
            now.sort_by_key(|(id, entry)| (self.inherits(entry).is_some(), *id));
            rest = others;
            if now.is_empty() {
                break;
            }
            for (id, entry) in now {
                self.follow(&mut standing, under, id, entry);
            }
        }
        for (id, entry) in rest {
            let is_vouched = matches!(entry.deed, Deed::Redeem { token: true, .. });
            if is_vouched && self.rules.token_names_custody && standing.waits() {
                standing.redeemed = Some(id);
            }
        }
        Some(standing)
    }

    pub(super) fn follow(&self, standing: &mut Standing, under: Id, id: Id, entry: &Entry) {
        let inherits = self.inherits(entry) == Some(standing.custodian);
        let may = standing.under == under && (entry.author == standing.custodian || inherits);
        if !may || !standing.waits() {
            return;
        }
        match entry.deed {
            Deed::Custody { to, .. } => (standing.custodian, standing.under) = (to, id),
            Deed::Redeem { .. } => standing.redeemed = Some(id),
            Deed::Refund { .. } => standing.refunded = true,
            _ => {}
        }
    }

    /// Whether a device has handed out or paid back, whether or not that counts.
    pub(super) fn has_acted(&self, device: Device) -> bool {
        self.all().any(|(_, entry)| entry.author == device && entry.is_act())
    }

    /// The claim, if `device` may end it or give it away.
    pub(super) fn in_custody(&self, device: Device) -> Option<&Standing> {
        let free = !(self.rules.own_deeds_block && self.has_acted(device));
        self.claim.as_ref().filter(|claim| free && claim.waits() && claim.custodian == device)
    }

    /// The record under which a token alone lets `device` hand out, if it does. Where the claim is known, and what the
    /// token names as well, the token says nothing new.
    pub(super) fn by_token(&self, device: Device, token: &Token) -> Option<Id> {
        if token.custodian != device || self.has_acted(device) && self.rules.own_deeds_block {
            return None;
        }
        // Without the sale, the first redemption is seen all the same.
        let seen = self.all().any(|(_, entry)| entry.author == device && entry.is_act());
        let Some(claim) = &self.claim else {
            // The sale of a retired seller, beyond its cut: its token is refused.
            let late = self.retired[Seller as usize].is_some_and(|retired| !retired.cut.has(0));
            return (!late && !seen).then_some(token.under.unwrap_or(0));
        };
        let news = token.under.filter(|under| !self.known.has(*under));
        news.filter(|_| claim.waits())
    }

    /// What a device that has these entries may write.
    pub(super) fn may_write(
        &self,
        by: Device,
        tokens: &[Token],
        retire: impl Fn(Device) -> Deed,
    ) -> Vec<Deed> {
        let mut deeds = Vec::new();
        // Who has heard that it was retired writes no more.
        if self.retired[by as usize].is_some() {
            return deeds;
        }
        let by_token = |under| Deed::Redeem { under, token: true, again: false };
        deeds.extend(tokens.iter().filter_map(|token| self.by_token(by, token)).map(by_token));
        let living = |other: &Device| self.retired[*other as usize].is_none();
        let others = || Device::ALL.into_iter().filter(|other| *other != by).filter(living);
        if let Some(Standing { under, .. }) = self.in_custody(by).cloned() {
            deeds.push(Deed::Redeem { under, token: false, again: false });
            deeds.extend(others().map(|to| Deed::Custody { under, to, heirs: Vec::new() }));
            if by.is_attended() {
                deeds.push(Deed::Refund { under });
            }
        }
        if let Some(claim) = self.claim.as_ref().filter(|claim| claim.waits()) {
            let under = claim.under;
            if let Some((_, heirs)) = self.heir(claim.custodian).filter(|(heir, _)| *heir == by) {
                deeds.push(Deed::Custody { under, to: by, heirs });
            }
            if claim.custodian == by && self.rules.own_deeds_block && self.has_acted(by) {
                deeds.push(Deed::Redeem { under, token: false, again: true });
            }
        }
        if self.registrar == by {
            deeds.extend(others().map(retire));
            if by == Registrar && living(&Seller) {
                deeds.push(Deed::Entrust);
            }
        }
        deeds
    }

    /// Whether a device was retired too early: it had done, or did later, what its retirement does not know of. That is the
    /// risk that is told before a device is retired.
    pub(super) fn is_retired_too_early(&self) -> bool {
        self.all().any(|(id, _)| self.is_late(id))
    }
}
