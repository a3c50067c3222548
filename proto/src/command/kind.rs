//! The names of all commands, for whoever counts or lists them.

use super::Command;

macro_rules! kinds {
    ($($variant:ident => $name:literal,)*) => {
        impl Command {
            /// The name of each kind of command.
            pub const KINDS: &'static [&'static str] = &[$($name),*];

            /// The name of its kind. A command without one does not compile.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Command::$variant { .. } => $name,)*
                }
            }
        }
    };
}

kinds! {
    ProductAdd => "product_add",
    DropNew => "drop_new",
    DropStep => "drop_step",
    LotMint => "lot_mint",
    Transfer => "transfer",
    Move => "move",
    Damage => "damage",
    Sell => "sell",
    CartNew => "cart_new",
    CartRelease => "cart_release",
    CartPaying => "cart_paying",
    CartAdd => "cart_add",
    CartRemove => "cart_remove",
    CartTake => "cart_take",
    Redeem => "redeem",
    GiveCustody => "give_custody",
    Refund => "refund",
    Retire => "retire",
    Renew => "renew",
    Entrust => "entrust",
    ResolveIncident => "resolve_incident",
    Unlock => "unlock",
    Leave => "leave",
    AcceptPast => "accept_past",
    Sweep => "sweep",
    DoorReport => "door_report",
    DoorOpen => "door_open",
    DoorSettle => "door_settle",
    SettlePayment => "settle_payment",
    RulesSet => "rules_set",
    LimitSet => "limit_set",
    PersonalAdd => "personal_add",
    PersonalErase => "personal_erase",
    Undo => "undo",
}
