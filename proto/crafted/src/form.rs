//! What an entry can do, and the rights that it takes.

use popmesh_proto::record::{
    Behaved, Body, Cause, Custody, Door, Entrust, Erase, Leave, Personal, PersonalKind, Redeem, Refund,
    Retire, Sale, Step, StepKind, Transfer, Unlock,
};

/// A right that an entry takes: what its author lacks where the entry is to count for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// A certificate that holds at the entry's own time.
    Certificate,
    /// The key of the chain that it is written to.
    Chain,
    /// A time after that of the entry before it.
    Time,
    /// The document that such entries belong to.
    Document,
    /// Not to have been retired before.
    NotRetired,
    /// A role in the certificate.
    Role,
    /// To hold the units.
    Holding,
    /// To name each unit once.
    Once,
    /// Units, or a claim, of the drop whose document it is written to.
    Drop,
    /// To be the custodian of the claim.
    Custody,
    /// A claim that stands as the entry says: handed out, or not; not taken back before.
    Standing,
    /// Units that are in the claim.
    Claimed,
    /// A token of the claim's seller that says so.
    Token,
    /// To have made, or been given, what it names: a hold, a transfer, a redemption, a sale, personal data.
    Own,
    /// To be the heir of the device whose place it takes.
    Heir,
    /// Not to have given the right away, and to have been given it where it says so.
    Given,
    /// Two histories that the author of a life has signed.
    Proof,
    /// To have signed the certificate.
    Issuer,
}

/// What every entry takes, whatever it does.
pub const EVERYBODY: [Right; 5] =
    [Right::Certificate, Right::Chain, Right::Time, Right::Document, Right::NotRetired];

/// Everything that an entry can do. Records that do several things have a form for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is what its record does, by the record's name")]
pub enum Form {
    Start,
    Mint,
    Give,
    GiveCart,
    GiveLeaving,
    GiveForWish,
    Receive,
    Move,
    Damage,
    Sell,
    SellForPickup,
    PassOn,
    PassOnHandedOut,
    TakeOverClaim,
    Redeem,
    RedeemByToken,
    Refund,
    TakeBack,
    Expire,
    RequestRefund,
    Hold,
    Release,
    WrongPin,
    Unlock,
    LiftLock,
    Retire,
    RetireByGift,
    RetireCut,
    Entrust,
    EntrustByGift,
    Inherit,
    Fork,
    Resolve,
    Renew,
    Leave,
    Return,
    DoorOpened,
    DoorStuck,
    DoorSettled,
    SettlePayment,
    OptIn,
    Contact,
    Note,
    Waitlist,
    Erase,
    EraseShopper,
    Epoch,
    EpochCopies,
    Announce,
    Open,
    LastCall,
    Close,
    /// A change of the programme, which is no record.
    Programme,
}

impl Form {
    /// Every one.
    pub const ALL: [Form; 53] = [
        Form::Start,
        Form::Mint,
        Form::Give,
        Form::GiveCart,
        Form::GiveLeaving,
        Form::GiveForWish,
        Form::Receive,
        Form::Move,
        Form::Damage,
        Form::Sell,
        Form::SellForPickup,
        Form::PassOn,
        Form::PassOnHandedOut,
        Form::TakeOverClaim,
        Form::Redeem,
        Form::RedeemByToken,
        Form::Refund,
        Form::TakeBack,
        Form::Expire,
        Form::RequestRefund,
        Form::Hold,
        Form::Release,
        Form::WrongPin,
        Form::Unlock,
        Form::LiftLock,
        Form::Retire,
        Form::RetireByGift,
        Form::RetireCut,
        Form::Entrust,
        Form::EntrustByGift,
        Form::Inherit,
        Form::Fork,
        Form::Resolve,
        Form::Renew,
        Form::Leave,
        Form::Return,
        Form::DoorOpened,
        Form::DoorStuck,
        Form::DoorSettled,
        Form::SettlePayment,
        Form::OptIn,
        Form::Contact,
        Form::Note,
        Form::Waitlist,
        Form::Erase,
        Form::EraseShopper,
        Form::Epoch,
        Form::EpochCopies,
        Form::Announce,
        Form::Open,
        Form::LastCall,
        Form::Close,
        Form::Programme,
    ];

    /// What a record does. A new kind of record, or a new thing that one can do, has no form until it is named here.
    pub fn of(body: &Body) -> Self {
        match body {
            Body::Start(_) => Form::Start,
            Body::Mint(_) => Form::Mint,
            Body::Transfer(Transfer { aside: Some(_), .. }) => Form::GiveCart,
            Body::Transfer(Transfer { cause: Some(Cause::Leave(_)), .. }) => Form::GiveLeaving,
            Body::Transfer(Transfer { cause: Some(Cause::Wish { .. }), .. }) => Form::GiveForWish,
            Body::Transfer(Transfer { cause: None, .. }) => Form::Give,
            Body::Received(_) => Form::Receive,
            Body::Move(_) => Form::Move,
            Body::Damage(_) => Form::Damage,
            Body::Sale(Sale { pickup_at: None, .. }) => Form::Sell,
            Body::Sale(Sale { pickup_at: Some(_), .. }) => Form::SellForPickup,
            Body::Custody(Custody { retirement: Some(_), .. }) => Form::TakeOverClaim,
            Body::Custody(Custody { handed_out: Some(_), .. }) => Form::PassOnHandedOut,
            Body::Custody(_) => Form::PassOn,
            Body::Redeem(Redeem { token: None, .. }) => Form::Redeem,
            Body::Redeem(Redeem { token: Some(_), .. }) => Form::RedeemByToken,
            Body::Refund(Refund { unclaimed: Some(true), .. }) => Form::Expire,
            Body::Refund(Refund { handed_out: Some(_), .. }) => Form::TakeBack,
            Body::Refund(_) => Form::Refund,
            Body::RefundRequest(_) => Form::RequestRefund,
            Body::Hold(_) => Form::Hold,
            Body::Release(_) => Form::Release,
            Body::WrongPin(_) => Form::WrongPin,
            Body::Unlock(Unlock { lock: None, .. }) => Form::Unlock,
            Body::Unlock(Unlock { lock: Some(_), .. }) => Form::LiftLock,
            Body::Retire(Retire { under: None, .. }) => Form::Retire,
            Body::Retire(Retire { under: Some(_), .. }) => Form::RetireByGift,
            Body::RetireCut(_) => Form::RetireCut,
            Body::Entrust(Entrust { under: None, .. }) => Form::Entrust,
            Body::Entrust(Entrust { under: Some(_), .. }) => Form::EntrustByGift,
            Body::Inherit(_) => Form::Inherit,
            Body::Fork(_) => Form::Fork,
            Body::Resolve(_) => Form::Resolve,
            Body::Renewal(_) => Form::Renew,
            Body::Leave(Leave { to: Some(_) }) => Form::Leave,
            Body::Leave(Leave { to: None }) => Form::Return,
            Body::Door(Door { behaved: Behaved::Opened(_), .. }) => Form::DoorOpened,
            Body::Door(Door { behaved: Behaved::Stuck { .. }, .. }) => Form::DoorStuck,
            Body::Door(Door { behaved: Behaved::Settled { .. }, .. }) => Form::DoorSettled,
            Body::PaymentSettled(_) => Form::SettlePayment,
            Body::Personal(Personal { kind, .. }) => match kind {
                PersonalKind::OptIn => Form::OptIn,
                PersonalKind::Contact => Form::Contact,
                PersonalKind::Note => Form::Note,
                PersonalKind::Waitlist => Form::Waitlist,
            },
            Body::Erase(Erase { shopper: None, .. }) => Form::Erase,
            Body::Erase(Erase { shopper: Some(_), .. }) => Form::EraseShopper,
            Body::Epoch(_) => Form::Epoch,
            Body::EpochCopies(_) => Form::EpochCopies,
            Body::Step(Step { kind, .. }) => match kind {
                StepKind::Announce => Form::Announce,
                StepKind::Open => Form::Open,
                StepKind::LastCall => Form::LastCall,
                StepKind::Close => Form::Close,
            },
        }
    }

    /// Whether it takes one of the rights that [`EVERYBODY`] needs. What a shopper said is the shopper's word, what was erased does
    /// not come back, certificates are judged alone, and two histories are proven by who wrote them: these count, whoever
    /// tells.
    pub fn takes(self, right: Right) -> bool {
        let whoever_tells = matches!(
            self,
            Form::Fork
                | Form::Renew
                | Form::OptIn
                | Form::Contact
                | Form::Note
                | Form::Waitlist
                | Form::Erase
                | Form::EraseShopper
        );
        EVERYBODY.contains(&right) && !(right == Right::NotRetired && whoever_tells)
    }

    /// The rights that it takes beside those of [`EVERYBODY`].
    pub fn rights(self) -> &'static [Right] {
        use Right::{
            Claimed, Custody, Drop, Given, Heir, Holding, Issuer, Once, Own, Proof, Role, Standing, Token,
        };
        match self {
            Form::Start => &[Own],
            Form::Mint => &[Role],
            Form::Give | Form::GiveCart | Form::GiveForWish => &[Holding, Drop, Once],
            Form::GiveLeaving => &[Holding, Drop, Once],
            Form::Receive => &[Own, Drop],
            Form::Move | Form::Damage | Form::Sell | Form::SellForPickup => &[Holding, Drop, Once],
            Form::PassOn => &[Custody, Standing, Drop],
            Form::PassOnHandedOut => &[Custody, Standing, Drop],
            Form::TakeOverClaim => &[Heir, Drop],
            Form::Redeem => &[Custody, Standing, Drop],
            Form::RedeemByToken => &[Custody, Token, Standing, Drop],
            Form::Refund | Form::TakeBack | Form::Expire => &[Custody, Standing, Claimed, Drop, Once],
            Form::RequestRefund => &[Drop],
            Form::Hold => &[Holding, Drop, Once],
            Form::Release => &[Own, Drop],
            // Each device counts those given to it.
            Form::WrongPin => &[],
            Form::Unlock => &[Own],
            Form::LiftLock => &[Role],
            Form::Retire | Form::Entrust => &[Role, Given],
            Form::RetireByGift | Form::EntrustByGift => &[Role, Given],
            Form::RetireCut => &[Own],
            Form::Inherit => &[Heir, Holding, Drop, Once],
            Form::Fork => &[Proof],
            Form::Resolve => &[Role],
            Form::Renew => &[Issuer],
            // What a device says of itself.
            Form::Leave | Form::Return => &[],
            Form::DoorOpened | Form::DoorStuck | Form::DoorSettled => &[Own, Drop],
            Form::SettlePayment => &[Own, Drop],
            // Everybody may take down what a shopper says.
            Form::OptIn | Form::Contact | Form::Note | Form::Waitlist => &[],
            Form::Erase | Form::EraseShopper => &[Own],
            Form::Epoch | Form::EpochCopies => &[Role],
            Form::Announce | Form::Open | Form::LastCall | Form::Close => &[Role],
            Form::Programme => &[Role],
        }
    }
}
