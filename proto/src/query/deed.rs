//! What a command has done, asked for by an entry that it wrote.

use crate::command::Command;

/// What an entry is asked for as: what is answered is what the command of that kind was answered with, made again from the log.
/// Any device that has the entries can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeedKind {
    /// A lot was minted.
    Lot,
    /// Units were given.
    Transfer,
    /// Units were moved.
    Move,
    /// Units were taken out of sale.
    Damage,
    /// Units were sold.
    Sale,
    /// Units were put aside.
    Cart,
    /// A claim was handed out.
    Redemption,
    /// A claim was given into another device's custody.
    Custody,
    /// A claim was taken back, or its custodian was asked to.
    Refund,
    /// It is known what became of a payment.
    Settlement,
    /// What nobody came for was taken back.
    Sweep,
    /// A device was retired.
    Retirement,
    /// Certificates were signed anew.
    Renewal,
    /// Personal data was taken.
    Personal,
    /// Personal data was erased.
    Erasure,
}

impl DeedKind {
    /// What a command does, if an entry that it wrote says so.
    pub fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::LotMint(_) => Self::Lot,
            Command::Transfer(_) => Self::Transfer,
            Command::Move(_) => Self::Move,
            Command::Damage(_) => Self::Damage,
            Command::Sell(_) => Self::Sale,
            Command::CartNew(_) => Self::Cart,
            Command::Redeem(_) => Self::Redemption,
            Command::GiveCustody(_) => Self::Custody,
            Command::Refund(_) => Self::Refund,
            Command::SettlePayment(_) => Self::Settlement,
            Command::Sweep(_) => Self::Sweep,
            Command::Retire(_) => Self::Retirement,
            Command::Renew(_) => Self::Renewal,
            Command::PersonalAdd(_) => Self::Personal,
            Command::PersonalErase(_) => Self::Erasure,
            _ => return None,
        })
    }
}

impl std::fmt::Display for DeedKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lot => "lot",
            Self::Transfer => "transfer",
            Self::Move => "move",
            Self::Damage => "damage",
            Self::Sale => "sale",
            Self::Cart => "cart",
            Self::Redemption => "redemption",
            Self::Custody => "custody",
            Self::Refund => "refund",
            Self::Settlement => "settlement",
            Self::Sweep => "sweep",
            Self::Retirement => "retirement",
            Self::Renewal => "renewal",
            Self::Personal => "personal data",
            Self::Erasure => "erasure",
        })
    }
}
