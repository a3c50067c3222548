//! What there is that entries can be about.

use popmesh_proto::Device;
use popmesh_proto::holdings::Holdings;
use popmesh_proto::holdings::claims::Claim;
use popmesh_proto::id::{DeviceId, Ref};
use popmesh_proto::record::Fork;
use popmesh_proto::text::{Compartment, DropId, Place, ShopperRef, Sku};
use popmesh_proto::units::UnitSet;

/// Units of one parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreyUnits {
    /// The drop that they are of.
    pub drop: DropId,
    /// Who holds them, or held them when it was retired.
    pub holder: DeviceId,
    /// Their parcel.
    pub parcel: Ref,
    /// Which of it.
    pub units: UnitSet,
    /// Where they lie.
    pub place: Place,
}

/// A claim, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreyClaim {
    /// The drop in which it was sold.
    pub drop: DropId,
    /// It.
    pub claim: Ref,
    /// Its custodian.
    pub custodian: DeviceId,
    /// What made it that: the sale, or a record of custody.
    pub under: Ref,
    /// What is in it, by parcel.
    pub lines: Vec<(Ref, UnitSet)>,
    /// Where the units lie.
    pub place: Place,
    /// What handed it out.
    pub handed_out: Option<Ref>,
    /// A token of it.
    pub token: Option<Vec<u8>>,
}

/// What there is that entries can be about: for each kind of thing one, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prey {
    /// A drop, with a SKU and a place.
    pub drop: Option<(DropId, Sku, Place)>,
    /// Units for sale.
    pub units: Option<PreyUnits>,
    /// Units given and not acknowledged, by the transfer.
    pub given: Option<(DropId, Ref)>,
    /// A hold.
    pub hold: Option<(DropId, Ref)>,
    /// A claim that waits to be handed out.
    pub waiting: Option<PreyClaim>,
    /// A claim that was handed out.
    pub handed_out: Option<PreyClaim>,
    /// A redemption with doors, and one of its compartments.
    pub opening: Option<(DropId, Ref, Compartment)>,
    /// A claim with a payment that waits to be authorised, and its amount, minor units. The first of the payments.
    pub deferred: Option<(DropId, Ref, i64)>,
    /// A wrong PIN that locks a claim: the claim, and it.
    pub lock: Option<(DropId, Ref, Ref)>,
    /// A device to retire, and the last entries known of it.
    pub lost: Option<(DeviceId, Vec<Ref>)>,
    /// A hand-over of the right to retire.
    pub right: Option<Ref>,
    /// A retirement, units that the device held then, and a claim in its custody.
    pub retirement: Option<(Ref, Option<PreyUnits>, Option<PreyClaim>)>,
    /// An incident.
    pub incident: Option<Ref>,
    /// Personal data, and whose it is.
    pub personal: Option<(Ref, Option<ShopperRef>)>,
    /// A certificate that some device signed for another, as it travels.
    pub certificate: Option<Vec<u8>>,
    /// An epoch of the event's secret.
    pub epoch: Option<Ref>,
    /// A leave of some device's.
    pub leave: Option<Ref>,
    /// What is said to prove two histories.
    pub fork: Option<Fork>,
}

impl Prey {
    /// What a device knows of, and `not_of` neither holds nor has made.
    pub fn seen_by(device: &Device, not_of: &DeviceId) -> Self {
        let holdings = device.holdings();
        let units = holdings.live().filter(|(_, parcel)| parcel.owner != *not_of);
        let mut units =
            units.filter(|(_, parcel)| parcel.available_count() > 0).map(|(reference, _)| *reference);
        let units = units.next().and_then(|parcel| PreyUnits::of(holdings, parcel));
        let drop = holdings.lots().next();
        let drop = drop.map(|(_, lot)| (lot.drop.clone(), lot.sku.clone(), lot.place.clone()));
        let drop_of = |parcel: &Ref| {
            let lot = holdings.parcel(parcel)?.lot;
            Some(holdings.lot(&lot)?.drop.clone())
        };
        let mut given = holdings.parcels().filter(|(_, parcel)| !parcel.received && parcel.owner != *not_of);
        let given = given.find_map(|(transfer, _)| Some((drop_of(transfer)?, *transfer)));
        let mut holds = holdings.holds().filter(|(_, held)| held.by != *not_of);
        let hold = holds.find_map(|(hold, held)| Some((drop_of(&held.lines.first()?.parcel)?, *hold)));
        let claim_that = |stands: fn(&Claim) -> bool| {
            let mut claims = holdings.claims().filter(|(_, claim)| {
                claim.custodian().is_some_and(|custodian| custodian != *not_of) && stands(claim)
            });
            claims.find_map(|(claim, _)| PreyClaim::of(holdings, *claim))
        };
        let waiting = claim_that(|claim| !claim.is_handed_out());
        let handed_out = claim_that(Claim::is_handed_out);
        let mut openings = holdings.openings().filter(|(_, opening)| opening.by != *not_of);
        let opening = openings.find_map(|(redemption, opening)| {
            let drop = PreyClaim::of(holdings, opening.claim)?.drop;
            Some((drop, *redemption, opening.doors.keys().next()?.clone()))
        });
        let trust = device.trust();
        let retired = trust
            .retired()
            .iter()
            .find(|(device, retirement)| **device != *not_of && retirement.by != *not_of);
        let retirement = retired.map(|(device, retirement)| {
            let held =
                holdings.live_of(device).next().and_then(|(parcel, _)| PreyUnits::of(holdings, *parcel));
            let custody = holdings.waiting_with(device).find_map(|claim| PreyClaim::of(holdings, claim));
            (retirement.entry, held, custody)
        });
        let log = device.log();
        let lost = log
            .chains()
            .find(|chain| chain.device != *not_of && !trust.retired().contains_key(&chain.device));
        let lost = lost.map(|chain| {
            let ends = log.chains().filter(|other| other.device == chain.device);
            (chain.device, ends.map(|end| Ref { chain: end.id, seq: end.len() }).collect())
        });
        let mut personal = device.people().all().filter(|(_, taken)| taken.by != *not_of);
        let personal = personal.next().map(|(entry, taken)| (*entry, taken.record.shopper.clone()));
        let incident = holdings.breaches().next().map(|(entry, ..)| entry);
        let epoch = trust.epochs().in_order(trust.retired()).first().copied();
        Self {
            drop,
            units,
            given,
            hold,
            waiting,
            handed_out,
            opening,
            lost,
            retirement,
            incident,
            personal,
            epoch,
            ..Self::default()
        }
    }
}

impl PreyUnits {
    /// What is left of a parcel; none if nothing is.
    pub fn of(holdings: &Holdings, parcel: Ref) -> Option<Self> {
        let known = holdings.parcel(&parcel).filter(|known| !known.free.is_empty())?;
        let drop = holdings.lot(&known.lot)?.drop.clone();
        let (holder, units, place) = (known.owner, known.available(), known.place.clone());
        Some(Self { drop, holder, parcel, units, place })
    }
}

impl PreyClaim {
    /// A claim whose sale is known, with what is left in it.
    pub fn of(holdings: &Holdings, claim: Ref) -> Option<Self> {
        let standing = holdings.claim(&claim)?.standing(claim)?;
        let lines: Vec<(Ref, UnitSet)> = standing.left.into_iter().collect();
        let parcel = holdings.parcel(&lines.first()?.0)?;
        Some(Self {
            drop: holdings.lot(&parcel.lot)?.drop.clone(),
            claim,
            custodian: standing.custodian,
            under: standing.under,
            lines,
            place: parcel.place.clone(),
            handed_out: standing.redeemed.map(|redeemed| redeemed.entry),
            token: None,
        })
    }
}
