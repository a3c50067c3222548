//! Bugs to plant, so that whoever looks for bugs can be seen to find them. Only with the
//! feature `planted` can a device be given one.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// Outputs do not wait until what they tell of is durable.
    AcknowledgeBeforeSync,
    /// What a device has given away it still sells.
    KeepWhatIsGiven,
    /// A sale takes units that another device holds.
    SellWithoutHolding,
    /// An entry is accepted without those before it.
    AcceptOutOfChain,
    /// After a restart the old life goes on.
    KeepOldLife,
    /// Units that are given, and not yet acknowledged, are in nobody's holding.
    ForgetInTransit,
    /// Entries count as they arrive, whether or not what they need is there.
    DecideByArrival,
    /// An entry that had to wait is never shown.
    DropWaiting,
    /// A claim is handed out, or taken back, by whoever is asked.
    RedeemWithoutCustody,
    /// After a restart receipts are numbered from 1 again.
    NumberReceiptsAnew,
    /// A life with two histories goes on.
    KeepForks,
    /// What a device wrote is not taken in by those who know that it has two pasts.
    RefuseSuspended,
    /// A device that was set back spends before it has heard what it did since.
    ForgetPast,
    /// Payloads of personal data that was erased stay where they are.
    KeepErased,
    /// What a device wrote after its retirement counts.
    CountLate,
    /// Digests leave out what was written about stock and claims.
    BlindDigests,
    /// Whoever retires a device takes over all that it was ever given, sold or not.
    InheritSold,
    /// Lots may print what another prints, and nobody says so.
    PrintTwice,
    /// What a device hands out by the token alone names the sale, whatever the token says; and it hands out again what its
    /// view says waits.
    HandOutAgain,
    /// A custodian refunds a claim, attended or not, as soon as somebody asks for it.
    RefundOnWord,
    /// A peer that has nothing to tell a device of its past clears it of having been set back.
    BelieveWhoKnowsNothing,
    /// Whoever is asked for a large wish gives its last units.
    StripForWishes,
    /// What came for a large wish stays put aside when that has ended in vain.
    KeepWishes,
    /// A device tells everybody every second that it is there, whatever the air carries.
    TellEverySecond,
    /// Whoever knows that a device was retired goes on talking to it.
    TalkToRetired,
    /// After a retirement the event's secret stays what it was.
    KeepSecret,
    /// What entries tell is stored with the write after theirs.
    TellApart,
    /// A board counts as claimed what is claimed now: what comes back is claimed no more.
    ClaimedIsLive,
    /// A board counts as left what devices in reach hold.
    ForgetCutOff,
    /// A board counts what was claimed since its device was started.
    CountFromZero,
    /// A board says that all is sold while devices out of reach hold some.
    SellOutEarly,
    /// A board is as of now, whoever has not been heard.
    BoardOfNow,
    /// A device sells on after a close that it knows of.
    SellAfterClose,
    /// How far a drop is goes by the step that came last.
    StepsByArrival,
    /// Sales are after the close that were heard of after it.
    LateByArrival,
    /// Stock goes to another till at every turn, however it lies.
    ShareForNothing,
    /// The stock view is worked out anew for each entry.
    FoldAnew,
    /// Digests of the log are summed up anew from all chains for each that is asked for.
    DigestAnew,
    /// A device tells everybody each second what it wrote last.
    GossipOn,
    /// A retirement names two chains of a device, and no more.
    FewChains,
    /// Of two that spend one unit the later has it, on every device alike.
    LaterHasIt,
    /// A spend counts whoever holds the units.
    SpendAnybodys,
    /// Whatever is done about a claim counts as done by its custodian.
    DeedsByAnybody,
    /// A token of anybody's making says whom a claim is handed out by.
    TrustAnyToken,
    /// Units that are given count as received when anybody says so.
    ReceiveForAnybody,
    /// Anybody ends a hold.
    ReleaseAnybodys,
    /// Anybody puts units aside.
    HoldAnybodys,
    /// Entries are taken in whatever role their author has.
    AdmitAnyRole,
    /// Whatever a peer says that a device wrote, it believes.
    BelieveAnyProof,
}

impl Planted {
    /// Every one.
    pub const ALL: [Planted; 49] = [
        Planted::AcknowledgeBeforeSync,
        Planted::KeepWhatIsGiven,
        Planted::SellWithoutHolding,
        Planted::AcceptOutOfChain,
        Planted::KeepOldLife,
        Planted::ForgetInTransit,
        Planted::DecideByArrival,
        Planted::DropWaiting,
        Planted::RedeemWithoutCustody,
        Planted::NumberReceiptsAnew,
        Planted::KeepForks,
        Planted::RefuseSuspended,
        Planted::ForgetPast,
        Planted::KeepErased,
        Planted::CountLate,
        Planted::BlindDigests,
        Planted::InheritSold,
        Planted::PrintTwice,
        Planted::HandOutAgain,
        Planted::RefundOnWord,
        Planted::BelieveWhoKnowsNothing,
        Planted::StripForWishes,
        Planted::KeepWishes,
        Planted::TellEverySecond,
        Planted::TalkToRetired,
        Planted::KeepSecret,
        Planted::TellApart,
        Planted::ClaimedIsLive,
        Planted::ForgetCutOff,
        Planted::CountFromZero,
        Planted::SellOutEarly,
        Planted::BoardOfNow,
        Planted::SellAfterClose,
        Planted::StepsByArrival,
        Planted::LateByArrival,
        Planted::ShareForNothing,
        Planted::FoldAnew,
        Planted::DigestAnew,
        Planted::GossipOn,
        Planted::FewChains,
        Planted::LaterHasIt,
        Planted::SpendAnybodys,
        Planted::DeedsByAnybody,
        Planted::TrustAnyToken,
        Planted::ReceiveForAnybody,
        Planted::ReleaseAnybodys,
        Planted::HoldAnybodys,
        Planted::AdmitAnyRole,
        Planted::BelieveAnyProof,
    ];
}

/// The bug that a device, or a part of it, works with. Part of no view: those of a device with a bug and of one without
/// are equal until the bug makes them differ.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Plant {
    #[cfg(feature = "planted")]
    bug: Option<Planted>,
}

impl PartialEq for Plant {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Plant {}

impl Plant {
    #[cfg(feature = "planted")]
    pub(crate) fn new(bug: Option<Planted>) -> Self {
        Self { bug }
    }

    #[cfg(feature = "planted")]
    pub(crate) fn has(self, bug: Planted) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(feature = "planted"))]
    pub(crate) const fn has(self, _: Planted) -> bool {
        false
    }
}
