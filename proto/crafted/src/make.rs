//! Makes the record that does what a form says to what there is.

use popmesh_proto::command::Tender;
use popmesh_proto::document::Document;
use popmesh_proto::id::{DeviceId, Hash, Ref};
use popmesh_proto::payment::{Back, BackPart, PaymentSettled};
use popmesh_proto::pin::EpochMark;
use popmesh_proto::receipt::ReceiptLink;
use popmesh_proto::record::{
    Aside, Behaved, Body, COPY_BYTES, Cause, Consent, Custody, Damage, Door, Entrust, Epoch, EpochCopies,
    EpochCopy, Erase, Hold, Inherit, Leave, Line, Mint, Move, Personal, PersonalKind, Received, Redeem,
    Refund, RefundRequest, Release, Renewal, Resolve, Retire, RetireCut, Sale, SaleLine, Step, StepKind,
    Transfer, Unlock, WrongPin,
};
use popmesh_proto::text::{DropId, Place};
use popmesh_proto::units::UnitSet;

use crate::form::Form;
use crate::prey::{Prey, PreyClaim, PreyUnits};

/// The price of one unit, minor units.
const PRICE: i64 = 2_500;
/// For how long things are put aside, milliseconds.
const ASIDE_MS: u64 = 60_000;
/// Serials that nobody else mints.
const MINTED: (u32, u32) = (900_001, 900_009);

impl Form {
    /// The document that an entry of this form about this prey belongs to, and its record; `None` where there is no such
    /// prey, and for what is no record, or begins a chain. `to` is who is given whatever is given.
    pub fn entry(self, prey: &Prey, to: DeviceId) -> Option<(Document, Body)> {
        let body = self.body(prey, to)?;
        let document = match &body {
            Body::Personal(_) | Body::Erase(_) => Document::People,
            Body::Retire(_)
            | Body::RetireCut(_)
            | Body::Entrust(_)
            | Body::Fork(_)
            | Body::Resolve(_)
            | Body::Renewal(_)
            | Body::Leave(_)
            | Body::Epoch(_)
            | Body::EpochCopies(_) => Document::Devices,
            Body::Mint(_)
            | Body::Transfer(_)
            | Body::Received(_)
            | Body::Move(_)
            | Body::Damage(_)
            | Body::Inherit(_)
            | Body::Hold(_)
            | Body::Release(_)
            | Body::Step(_) => Document::Stock(self.drop(prey)?),
            Body::Sale(_)
            | Body::Custody(_)
            | Body::Redeem(_)
            | Body::Refund(_)
            | Body::RefundRequest(_)
            | Body::Door(_)
            | Body::PaymentSettled(_)
            | Body::WrongPin(_)
            | Body::Unlock(_) => Document::Claims(self.drop(prey)?),
            Body::Start(_) => return None,
        };
        Some((document, body))
    }

    /// The drop of what an entry of this form is about.
    fn drop(self, prey: &Prey) -> Option<DropId> {
        let of_claim = |claim: &Option<PreyClaim>| claim.as_ref().map(|claim| claim.drop.clone());
        match self {
            Form::Mint | Form::Announce | Form::Open | Form::LastCall | Form::Close => {
                prey.drop.as_ref().map(|(drop, ..)| drop.clone())
            }
            Form::Receive => prey.given.as_ref().map(|(drop, _)| drop.clone()),
            Form::Release => prey.hold.as_ref().map(|(drop, _)| drop.clone()),
            Form::Inherit => prey.retirement.as_ref()?.1.as_ref().map(|units| units.drop.clone()),
            Form::TakeOverClaim => of_claim(&prey.retirement.as_ref()?.2),
            Form::PassOnHandedOut | Form::TakeBack => of_claim(&prey.handed_out),
            Form::DoorOpened | Form::DoorStuck | Form::DoorSettled => {
                prey.opening.as_ref().map(|(drop, ..)| drop.clone())
            }
            Form::SettlePayment => prey.deferred.as_ref().map(|(drop, ..)| drop.clone()),
            Form::LiftLock => prey.lock.as_ref().map(|(drop, ..)| drop.clone()),
            Form::PassOn
            | Form::Redeem
            | Form::RedeemByToken
            | Form::Refund
            | Form::Expire
            | Form::RequestRefund
            | Form::WrongPin
            | Form::Unlock => of_claim(&prey.waiting),
            _ => prey.units.as_ref().map(|units| units.drop.clone()),
        }
    }

    fn body(self, prey: &Prey, to: DeviceId) -> Option<Body> {
        let units = || prey.units.as_ref();
        let waiting = || prey.waiting.as_ref();
        let give =
            |aside, cause| Some(Body::Transfer(Transfer { to, lines: units()?.lines(), aside, cause }));
        let door = |behaved: fn(_) -> Behaved| {
            let (_, redemption, compartment) = prey.opening.clone()?;
            Some(Body::Door(Door { redemption, behaved: behaved(compartment) }))
        };
        Some(match self {
            Form::Start | Form::Programme => return None,
            Form::Mint => {
                let (_, sku, place) = prey.drop.clone()?;
                let (first, last) = MINTED;
                Body::Mint(Mint { sku, first, last, numbered: true, place, edition: None })
            }
            Form::Give => give(None, None)?,
            Form::GiveCart => {
                let cart = units()?.parcel;
                let aside = Aside { cart, pieces: 1, left_ms: ASIDE_MS, unit_price: PRICE, shopper: None };
                give(Some(aside), None)?
            }
            Form::GiveLeaving => give(None, Some(Cause::Leave(prey.leave?)))?,
            Form::GiveForWish => give(None, Some(Cause::Wish { number: 1, left_ms: ASIDE_MS }))?,
            Form::Receive => Body::Received(Received { transfers: vec![prey.given.as_ref()?.1] }),
            Form::Move => {
                let place: Place = "moon".parse().ok()?;
                Body::Move(Move { place, lines: units()?.lines() })
            }
            Form::Damage => Body::Damage(Damage { lines: units()?.lines() }),
            Form::Sell => Body::Sale(units()?.sale(None)),
            Form::SellForPickup => Body::Sale(units()?.sale(Some(to))),
            Form::PassOn => Body::Custody(waiting()?.custody(to)),
            Form::PassOnHandedOut => Body::Custody(prey.handed_out.as_ref()?.custody(to)),
            Form::TakeOverClaim => {
                let (retirement, _, claim) = prey.retirement.as_ref()?;
                Body::Custody(Custody { retirement: Some(*retirement), ..claim.as_ref()?.custody(to) })
            }
            Form::Redeem => Body::Redeem(waiting()?.redeem(None)),
            Form::RedeemByToken => {
                let claim = waiting()?;
                Body::Redeem(claim.redeem(Some(claim.token.clone()?)))
            }
            Form::Refund => Body::Refund(waiting()?.refund()),
            Form::TakeBack => Body::Refund(prey.handed_out.as_ref()?.refund()),
            Form::Expire => Body::Refund(Refund { unclaimed: Some(true), ..waiting()?.refund() }),
            Form::RequestRefund => Body::RefundRequest(RefundRequest { claim: waiting()?.claim }),
            Form::Hold => Body::Hold(Hold { lines: units()?.priced(), ttl_ms: ASIDE_MS, shopper: None }),
            Form::Release => Body::Release(Release { hold: prey.hold.as_ref()?.1 }),
            Form::WrongPin => Body::WrongPin(WrongPin { claim: waiting()?.claim }),
            Form::Unlock => Body::Unlock(Unlock { claim: waiting()?.claim, lock: None }),
            Form::LiftLock => {
                let (_, claim, lock) = prey.lock.as_ref()?;
                Body::Unlock(Unlock { claim: *claim, lock: Some(*lock) })
            }
            Form::Retire => prey.retire(None)?,
            Form::RetireByGift => prey.retire(Some(prey.right?))?,
            Form::RetireCut => {
                let (device, cut) = prey.lost.clone()?;
                Body::RetireCut(RetireCut { device, cut })
            }
            Form::Entrust => Body::Entrust(Entrust { to, under: None }),
            Form::EntrustByGift => Body::Entrust(Entrust { to, under: Some(prey.right?) }),
            Form::Inherit => {
                let (retirement, units, _) = prey.retirement.as_ref()?;
                let lines = units.as_ref()?.lines();
                Body::Inherit(Inherit { retirement: *retirement, lines, heirs: None })
            }
            Form::Fork => Body::Fork(Box::new(prey.fork.clone()?)),
            Form::Resolve => {
                Body::Resolve(Resolve { incident: prey.incident?, note: "all is well".to_owned() })
            }
            Form::Renew => Body::Renewal(Renewal { certificate: prey.certificate.clone()? }),
            Form::Leave => Body::Leave(Leave { to: Some(to) }),
            Form::Return => Body::Leave(Leave { to: None }),
            Form::DoorOpened => door(Behaved::Opened)?,
            Form::DoorStuck => {
                door(|compartment| Behaved::Stuck { compartment, reason: "it is jammed".to_owned() })?
            }
            Form::DoorSettled => door(|_| Behaved::Settled { handed_over: true, by: "Mallory".to_owned() })?,
            Form::SettlePayment => {
                let (_, claim, amount) = *prey.deferred.as_ref()?;
                Body::PaymentSettled(PaymentSettled {
                    claim,
                    payment: 1,
                    amount,
                    failed: false,
                    reference: None,
                })
            }
            Form::OptIn => prey.personal_of(PersonalKind::OptIn)?,
            Form::Contact => prey.personal_of(PersonalKind::Contact)?,
            Form::Note => prey.personal_of(PersonalKind::Note)?,
            Form::Waitlist => prey.personal_of(PersonalKind::Waitlist)?,
            Form::Erase => Body::Erase(Erase { entries: vec![prey.personal.as_ref()?.0], shopper: None }),
            Form::EraseShopper => {
                let shopper = prey.personal.as_ref()?.1.clone()?;
                Body::Erase(Erase { entries: Vec::new(), shopper: Some(shopper) })
            }
            Form::Epoch => {
                let copies = copies(to);
                Body::Epoch(Epoch { mark: EpochMark([0xc4; 4]), without: Vec::new(), copies })
            }
            Form::EpochCopies => Body::EpochCopies(EpochCopies { epoch: prey.epoch?, copies: copies(to) }),
            Form::Announce => step(StepKind::Announce),
            Form::Open => step(StepKind::Open),
            Form::LastCall => step(StepKind::LastCall),
            Form::Close => step(StepKind::Close),
        })
    }
}

/// Of a round after all others, so that whatever was done before does not make it mean nothing.
fn step(kind: StepKind) -> Body {
    Body::Step(Step { kind, round: 7, venue: None, units: None, ends_ms: None })
}

/// A copy of a secret, which nobody can open.
fn copies(to: DeviceId) -> Vec<EpochCopy> {
    vec![EpochCopy { to, sealed: vec![7; COPY_BYTES].into() }]
}

impl Prey {
    fn retire(&self, under: Option<Ref>) -> Option<Body> {
        let (device, cut) = self.lost.clone()?;
        Some(Body::Retire(Retire { device, cut, under, parts: None }))
    }

    fn personal_of(&self, kind: PersonalKind) -> Option<Body> {
        let (_, shopper) = self.personal.clone()?;
        let sku = match kind {
            PersonalKind::Waitlist => Some(self.drop.clone()?.1),
            PersonalKind::OptIn | PersonalKind::Contact | PersonalKind::Note => None,
        };
        let consent = Some(Consent { text: "tell me".to_owned(), version: "1".to_owned() });
        let hash = Hash([9; 32]);
        Some(Body::Personal(Personal { kind, shopper, sku, drop: None, consent, hash, size: 256 }))
    }
}

impl PreyUnits {
    fn lines(&self) -> Vec<Line> {
        vec![Line { parcel: self.parcel, units: self.units.clone() }]
    }

    fn priced(&self) -> Vec<SaleLine> {
        vec![SaleLine { parcel: self.parcel, units: self.units.clone(), unit_price: PRICE }]
    }

    fn sale(&self, pickup_at: Option<DeviceId>) -> Sale {
        Sale::plain(self.priced(), pickup_at)
    }
}

impl PreyClaim {
    fn custody(&self, to: DeviceId) -> Custody {
        Custody { handed_out: self.handed_out, ..Custody::of(self.claim, self.under, to) }
    }

    fn redeem(&self, token: Option<Vec<u8>>) -> Redeem {
        Redeem { claim: self.claim, under: self.under, token, compartments: None }
    }

    /// Takes all of it back, for cash.
    fn refund(&self) -> Refund {
        let units: u64 = self.lines.iter().map(|(_, units)| units.len()).sum();
        let amount = i64::try_from(units).unwrap_or(0).saturating_mul(PRICE);
        let part = BackPart { payment: 1, tender: Tender::Cash, amount, cancelled: false, rounding: None };
        let line = |(parcel, units): &(Ref, UnitSet)| Line { parcel: *parcel, units: units.clone() };
        Refund {
            claim: self.claim,
            under: self.under,
            lines: self.lines.iter().map(line).collect(),
            place: self.place.clone(),
            damaged: false,
            handed_out: self.handed_out,
            receipt: ReceiptLink::FIRST,
            back: Back { parts: vec![part], taxes: None },
            unclaimed: None,
        }
    }
}
