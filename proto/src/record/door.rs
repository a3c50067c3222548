//! What is written about doors.

use crate::id::Ref;
use crate::identity::is_display_name;
use crate::text::Compartment;

/// The most characters of why a door did not open.
pub const MAX_REASON: usize = 160;

/// How a door behaved, or what a person found out.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Door {
    /// The redemption.
    #[n(0)]
    pub redemption: Ref,
    /// How.
    #[n(1)]
    pub behaved: Behaved,
}

/// See [`Door`].
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Behaved {
    /// The compartment opened.
    #[n(0)]
    Opened(#[n(0)] Compartment),
    /// The compartment did not open.
    #[n(1)]
    Stuck {
        /// It.
        #[n(0)]
        compartment: Compartment,
        /// Why, as far as its board said; at most [`MAX_REASON`] characters.
        #[n(1)]
        reason: String,
    },
    /// A person looked, and that settles it for all of the redemption.
    #[n(2)]
    Settled {
        /// Whether the shopper has the units.
        #[n(0)]
        handed_over: bool,
        /// Who looked; 1 to 80 characters.
        #[n(1)]
        by: String,
    },
}

impl Door {
    pub(super) fn bounds(&self) -> Result<(), &'static str> {
        match &self.behaved {
            Behaved::Stuck { reason, .. } if reason.chars().count() > MAX_REASON => {
                Err("a reason that is too long")
            }
            Behaved::Settled { by, .. } if !is_display_name(by) => Err("an impossible name of who looked"),
            Behaved::Opened(_) | Behaved::Stuck { .. } | Behaved::Settled { .. } => Ok(()),
        }
    }
}
