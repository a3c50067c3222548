//! Roles: what a device is used as, and which roles whoever has one may grant.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What a device is used as. A device may have several roles.
///
/// A device is *attended* if it is a `pos` or an `hq`, whatever else it is: a person is at it, and a drawer. Money goes
/// back there alone, by that person's act; see [`Roles::are_attended`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Role {
    /// Sells.
    Pos,
    /// Hands out; may sell.
    Locker,
    /// Runs the stream; announces drops and sells to viewers.
    Encoder,
    /// The organiser's: edits the programme, mints lots, and admits devices.
    Hq,
    /// Retires devices that are lost or dead. One device of an event: two could share out the same stock twice.
    Registrar,
    /// Admits devices that sell: a right that the organiser or an hq gave it. It does nothing else by it.
    Steward,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 6] =
        [Role::Pos, Role::Locker, Role::Encoder, Role::Hq, Role::Registrar, Role::Steward];

    /// Its name, as in a certificate's text and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Role::Pos => "pos",
            Role::Locker => "locker",
            Role::Encoder => "encoder",
            Role::Hq => "hq",
            Role::Registrar => "registrar",
            Role::Steward => "steward",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Role::ALL
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| format!("{text:?} is no role: pos, locker, encoder, hq, registrar or steward"))
    }
}

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Roles(#[n(0)] u8);

impl Roles {
    /// Whether `role` is among them.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether one of them sells, and so issues claims; an hq alone only keeps stock for those that do.
    pub fn sells(self) -> bool {
        [Role::Pos, Role::Locker, Role::Encoder].into_iter().any(|role| self.has(role))
    }

    /// Whether a person with a drawer is at the device: money goes back nowhere else. A locker and an encoder have none, nor
    /// has a device that only admits or retires others.
    pub fn are_attended(self) -> bool {
        self.has(Role::Pos) || self.has(Role::Hq)
    }

    /// Whether a device with these hands things out, and so may have claims in its custody on its own asking.
    pub fn hand_out(self) -> bool {
        self.are_attended() || self.has(Role::Locker)
    }

    /// Whether one of them holds stock and claims: those that sell do, and an hq, which keeps stock for them. A steward
    /// admits devices, and a registrar retires them; neither does anything else.
    pub fn holds(self) -> bool {
        self.sells() || self.has(Role::Hq)
    }

    /// The roles that a device with these may give to others: none, unless it is an hq or a steward.
    pub fn may_grant(self) -> Self {
        const SELLING: [Role; 3] = [Role::Pos, Role::Locker, Role::Encoder];
        let steward = self.has(Role::Hq).then_some(Role::Steward);
        let selling = SELLING.into_iter().filter(|_| self.admits());
        selling.chain(steward).collect()
    }

    /// Whether a device with these may admit others.
    pub fn admits(self) -> bool {
        self.has(Role::Hq) || self.has(Role::Steward)
    }

    /// Whether all of these are among `others`; also those that this build does not know.
    pub fn are_among(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// The roles, in order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.iter().map(|role| role.to_string()).collect();
        f.write_str(&names.join(","))
    }
}

/// The roles of a text such as `pos,locker`.
///
/// # Errors
/// The word that is no role.
impl FromStr for Roles {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let roles: BTreeSet<Role> =
            text.split(',').map(|word| word.trim().parse()).collect::<Result<_, _>>()?;
        Ok(roles.into_iter().collect())
    }
}
