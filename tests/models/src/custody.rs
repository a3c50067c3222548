//! One claim on one unit: who may hand it out or pay it back, what its token says, and who inherits it.
//!
//! # State
//! Four devices: the *seller* (a laptop with a drawer, which may be given the right to retire), two *lockers* (no drawer),
//! and the *registrar* (a laptop with a drawer and the right to retire). All entries that were ever written, in the order of
//! their times, and which of them each device had when it wrote last. Entry 0 is the sale, for pickup at the first locker;
//! the seller and that locker have it. What really happened is in the entries: each redemption (but for one that is
//! [said again](Deed::Redeem)) handed the thing over, each refund paid for it.
//!
//! # Actions
//! A device hears more entries, any that have what they need, from anybody; then it writes one: it gives custody away, hands out
//! (by the claim or by a token that is shown to it), pays back, retires a device, gives the right to do so away, takes over
//! as an heir, or says again what it had handed out in vain. It decides by the entries that it has, and by nothing else. So
//! whatever is cut off, late, lost on the way or told by somebody else is here: it is a device that has not heard yet.
//!
//! # Rules
//! [`Rules`] has three that are new, and one that was always there, so that it can be seen to be needed. What is the same in all: a deed names what made its author the custodian; deeds under one
//! record are followed in the order of their times until one gives custody away, heirs last; an entry of a retired device beyond
//! its cut counts for nothing.
//!
//! # What is left out, and why that is safe
//! - A second unit, a second claim: deeds of one claim read nothing of another, but for who was retired, which is here.
//! - Returns of what was handed out: they come after the end of a claim that is looked at here.
//! - Clocks: times order deeds under one record, and those are one author's, whose own chain orders them, or an heir's, who
//!   comes last whatever its clock says.
//! - Hearing without writing: nobody sees it but who hears, and what that does next may hear it then.
//! - When a token was printed: any is shown that the seller could have printed, in any of its lives, whatever that had heard
//!   and whatever it had forgotten. A device that forgets its *own* deeds is the other model's.
//! - What is written down at once with something else (a retirement and what it takes over) is two actions: more can
//!   happen here than there.

mod view;

use std::collections::BTreeMap;
use std::fmt;

use stateright::{Model, Property};

use view::{Standing, View};

/// A device of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Device {
    /// Who sold, and prints the token; has a drawer; may be given the right to retire.
    Seller,
    /// Where the claim waits first.
    Locker,
    /// Another locker.
    Other,
    /// Who has the right to retire first; has a drawer.
    Registrar,
}

use Device::{Locker, Other, Registrar, Seller};

impl Device {
    const ALL: [Self; 4] = [Seller, Locker, Other, Registrar];

    fn is_attended(self) -> bool {
        matches!(self, Seller | Registrar)
    }
}

/// An entry, by its number.
pub type Id = u8;
/// A set of entries: a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Set(u16);

impl Set {
    const SALE: Self = Self(1);

    /// All of the first so many.
    fn first(entries: usize) -> Self {
        Self((1 << entries) - 1)
    }

    fn has(self, id: Id) -> bool {
        self.0 & (1 << id) != 0
    }

    fn with(self, id: Id) -> Self {
        Self(self.0 | 1 << id)
    }

    fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    fn ids(self) -> impl Iterator<Item = Id> {
        (0..16).filter(move |id| self.has(*id))
    }
}

impl FromIterator<Id> for Set {
    fn from_iter<I: IntoIterator<Item = Id>>(ids: I) -> Self {
        ids.into_iter().fold(Self(0), Self::with)
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.ids()).finish()
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Deed {
    /// The claim: the first locker is its custodian.
    Sale,
    /// Another device is the custodian.
    Custody {
        /// What made its author the custodian; of an heir, what made the one before it.
        under: Id,
        /// Who is now.
        to: Device,
        /// The retirements by which its author inherits, that of the custodian first; none if custody is given.
        heirs: Vec<Id>,
    },
    /// The thing was handed over; or, `again`, it had been before, and that had counted for nothing.
    Redeem {
        /// What made its author the custodian.
        under: Id,
        /// By the token alone.
        token: bool,
        /// Nothing was handed over by this.
        again: bool,
    },
    /// The money was paid back.
    Refund {
        /// What made its author the custodian.
        under: Id,
    },
    /// A device was retired.
    Retire {
        /// Which.
        device: Device,
        /// Those of its entries that count.
        cut: Set,
    },
    /// The registrar gives the seller the right to retire.
    Entrust,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    author: Device,
    deed: Deed,
}

impl Entry {
    /// The record that its author acts under.
    fn under(&self) -> Option<Id> {
        match self.deed {
            Deed::Custody { under, .. } | Deed::Redeem { under, .. } | Deed::Refund { under } => Some(under),
            _ => None,
        }
    }

    /// Whether the thing, or the money for it, left a device's hands.
    fn is_act(&self) -> bool {
        matches!(self.deed, Deed::Redeem { again: false, .. } | Deed::Refund { .. })
    }

    /// Which document it is in: a device's chain is one in each.
    fn is_of_devices(&self) -> bool {
        matches!(self.deed, Deed::Retire { .. } | Deed::Entrust)
    }
}

/// A printed token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    custodian: Device,
    /// The record of custody that it names, if it does.
    under: Option<Id>,
}

/// Which rules hold.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A token names the record that made its custodian the custodian, and the seller's word stands for that record where it
    /// is not here. Without: a redemption by the token alone is one under the sale.
    pub token_names_custody: bool,
    /// What a device has done about a claim, counted or not, keeps it from doing anything about it again.
    pub own_deeds_block: bool,
    /// Who inherits from a retired heir inherits what that had inherited.
    pub heirs_have_heirs: bool,
    /// A retirement is taken in after those entries of the retired device that it names. This was always so.
    pub retirements_need_their_cut: bool,
}

impl Rules {
    /// As they were.
    pub const OLD: Self = Self {
        token_names_custody: false,
        own_deeds_block: false,
        heirs_have_heirs: false,
        retirements_need_their_cut: true,
    };
    /// As they are.
    pub const NEW: Self = Self {
        token_names_custody: true,
        own_deeds_block: true,
        heirs_have_heirs: true,
        retirements_need_their_cut: true,
    };
}

/// The model.
#[derive(Debug, Clone, Copy)]
pub struct Custody {
    /// Which rules hold.
    pub rules: Rules,
    /// The most entries, that of the sale included; at most 16.
    pub entries: usize,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    entries: Vec<Entry>,
    /// What each device had when it wrote last.
    knows: [Set; 4],
}

/// An action: a device, which has these entries by now, writes this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writes {
    by: Device,
    has: Set,
    deed: Deed,
}

impl Custody {
    fn view<'a>(&self, state: &'a State, known: Set) -> View<'a> {
        View::of(self.rules, &state.entries, known)
    }

    /// What all entries together say.
    fn truth<'a>(&self, state: &'a State) -> View<'a> {
        self.view(state, Set::first(state.entries.len()))
    }

    /// Every token that the seller could have printed by now.
    fn tokens(&self, views: &[View<'_>]) -> Vec<Token> {
        let of = |view: &View<'_>| {
            let claim = view.claim.as_ref().filter(|claim| claim.waits())?;
            let under = Some(claim.under).filter(|under| self.rules.token_names_custody && *under > 0);
            Some(Token { custodian: claim.custodian, under })
        };
        let mut tokens: Vec<Token> = views.iter().filter_map(of).collect();
        tokens.sort();
        tokens.dedup();
        tokens
    }
}

impl State {
    /// What has to be there before an entry is taken in: its author's before it in the same document, and what it names.
    fn needs(&self, rules: Rules, id: Id) -> Set {
        let entry = &self.entries[usize::from(id)];
        let mine =
            |before: &Entry| before.author == entry.author && before.is_of_devices() == entry.is_of_devices();
        let chain = (0..id).filter(|before| mine(&self.entries[usize::from(*before)]));
        let named: Vec<Id> = match &entry.deed {
            // By the token alone it needs nothing: the locker has seen neither the sale nor the custody.
            Deed::Redeem { token: true, .. } | Deed::Sale | Deed::Entrust => Vec::new(),
            Deed::Redeem { under, .. } | Deed::Refund { under } => vec![*under],
            Deed::Custody { under, heirs, .. } => heirs.iter().copied().chain([*under]).collect(),
            Deed::Retire { cut, .. } => {
                let gave = |before: &Id| {
                    entry.author == Seller && self.entries[usize::from(*before)].deed == Deed::Entrust
                };
                let cut = cut.ids().filter(|_| rules.retirements_need_their_cut);
                (0..id).filter(gave).chain(cut).collect()
            }
        };
        chain.chain(named).collect()
    }

    /// Every set of entries that some device may have: each with what it needs.
    fn whole_sets(&self, rules: Rules) -> impl Iterator<Item = Set> {
        let needs: Vec<Set> = (0..self.entries.len() as Id).map(|id| self.needs(rules, id)).collect();
        let all = (0..=Set::first(self.entries.len()).0).map(Set);
        all.filter(move |set| set.ids().all(|id| needs[usize::from(id)].is_within(*set)))
    }

    /// Hand-outs and payments, by one device or by all.
    fn acts(&self, by: Option<Device>) -> usize {
        let of = |entry: &&Entry| entry.is_act() && by.is_none_or(|by| entry.author == by);
        self.entries.iter().filter(of).count()
    }

    /// Who has `known` retires a device: it names what it has of it.
    fn retire(&self, device: Device, known: Set) -> Deed {
        let cut = known.ids().filter(|id| self.entries[usize::from(*id)].author == device).collect();
        Deed::Retire { device, cut }
    }
}

/// Nothing is handed out twice, or paid back as well, unless a device was retired too early.
pub const ONCE: &str = "a claim is handed out or paid back once";
/// No device does twice what it has done, retired too early or not.
pub const NOT_AGAIN: &str = "no device does again what it has done";
/// What was handed out counts.
pub const ENDED: &str = "what was handed out waits no more";
/// Where a claim waits, somebody alive can end it.
pub const LIVING: &str = "a claim that waits has somebody alive to end it";
/// A redemption by the token alone, under a record of custody, counts.
pub const BY_TOKEN: &str = "handed out by a token that names a custody";
/// A refund counts.
pub const PAID: &str = "paid back";
/// An heir of an heir is the custodian.
pub const HEIRS_HEIR: &str = "an heir's heir has taken over";
/// What retiring a device too early risks.
pub const RISK: &str = "a retirement too early, and handed out twice";

impl Model for Custody {
    type State = State;
    type Action = Writes;

    fn init_states(&self) -> Vec<State> {
        let sale = Entry { author: Seller, deed: Deed::Sale };
        let nothing = Set(0);
        vec![State { entries: vec![sale], knows: [Set::SALE, Set::SALE, nothing, nothing] }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Writes>) {
        if state.entries.len() >= self.entries {
            return;
        }
        let views: Vec<View<'_>> = state.whole_sets(self.rules).map(|set| self.view(state, set)).collect();
        let tokens = self.tokens(&views);
        for by in Device::ALL {
            let before = state.knows[by as usize];
            // Who has heard less and does the same can do all that who has heard more can do later.
            let mut fewest: BTreeMap<Deed, Vec<Set>> = BTreeMap::new();
            for view in views.iter().filter(|view| before.is_within(view.known)) {
                for deed in view.may_write(by, &tokens, |device| state.retire(device, view.known)) {
                    let sets = fewest.entry(deed).or_default();
                    if !sets.iter().any(|less| less.is_within(view.known)) {
                        sets.retain(|more| !view.known.is_within(*more));
                        sets.push(view.known);
                    }
                }
            }
            for (deed, sets) in fewest {
                actions.extend(sets.into_iter().map(|has| Writes { by, has, deed: deed.clone() }));
            }
        }
    }

    fn next_state(&self, last: &State, Writes { by, has, deed }: Writes) -> Option<State> {
        let mut state = last.clone();
        state.knows[by as usize] = has.with(state.entries.len() as Id);
        state.entries.push(Entry { author: by, deed });
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |model: &Self, state: &State| {
                state.acts(None) <= 1 || model.truth(state).is_retired_too_early()
            }),
            Property::always(NOT_AGAIN, |_, state: &State| {
                Device::ALL.into_iter().all(|device| state.acts(Some(device)) <= 1)
            }),
            Property::always(ENDED, |model: &Self, state: &State| {
                let truth = model.truth(state);
                let waits = truth.claim.as_ref().is_some_and(Standing::waits);
                !waits || state.acts(None) == 0 || truth.is_retired_too_early()
            }),
            Property::always(LIVING, |model: &Self, state: &State| {
                let truth = model.truth(state);
                let Some(claim) = truth.claim.as_ref().filter(|claim| claim.waits()) else { return true };
                truth.retired[claim.custodian as usize].is_none() || truth.heir(claim.custodian).is_some()
            }),
            Property::sometimes(BY_TOKEN, |model: &Self, state: &State| {
                let truth = model.truth(state);
                let redeemed = truth.claim.as_ref().and_then(|claim| claim.redeemed);
                let by = redeemed.map(|id| &state.entries[usize::from(id)].deed);
                matches!(by, Some(Deed::Redeem { under: 1.., token: true, .. }))
            }),
            Property::sometimes(PAID, |model: &Self, state: &State| {
                model.truth(state).claim.is_some_and(|claim| claim.refunded)
            }),
            Property::sometimes(HEIRS_HEIR, |model: &Self, state: &State| {
                let Some(claim) = model.truth(state).claim else { return false };
                let by = &state.entries[usize::from(claim.under)].deed;
                matches!(by, Deed::Custody { heirs, .. } if heirs.len() > 1)
            }),
            Property::sometimes(RISK, |model: &Self, state: &State| {
                state.acts(None) > 1 && model.truth(state).is_retired_too_early()
            }),
        ]
    }
}
