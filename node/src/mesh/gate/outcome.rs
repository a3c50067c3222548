//! How a connection fares at the gate, if it does not become a link.

use std::io;

use crate::mesh::{DeviceKey, Unfit, admission::Turned, gate::hello::Malformed, identity::short};

/// Why a connection did not pass the gate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    /// The other end is this device itself.
    #[error("the other end is this device itself")]
    Myself,
    /// Another device answers at the dialled address.
    #[error("device {} answers there", short(.0))]
    Another(DeviceKey),
    /// The other end's key is not of the only kind that devices have.
    #[error("the other end has no Ed25519 key")]
    ForeignKey,
    /// The other end has not shown that it is a device of this event.
    #[error("the other end does not show that it is a device of this event")]
    Stranger,
    /// The other end, which this device dialled, does not take it for a device of its event.
    #[error(
        "{} does not take this device for one of its event: it is of another event, or speaks another version of \
         popmesh",
        short(.0)
    )]
    TurnedAway(DeviceKey),
    /// A device of the event speaks otherwise than this one.
    #[error("the other end does not speak this version of popmesh")]
    Protocol(#[from] Malformed),
    /// This device refused the other's certificate.
    #[error("{} refused: {unfit}", short(.device))]
    Refused { device: DeviceKey, unfit: Unfit },
    /// A device of the event refused this one's certificate. It may keep the reason to itself.
    #[error("{} refused this device: {}", short(.device), reason.as_deref().unwrap_or("it does not say why"))]
    RefusedByPeer { device: DeviceKey, reason: Option<String> },
    /// There is a link already.
    #[error("there is a link already")]
    Duplicate,
    /// One end has as many links as it can take.
    #[error("one end has as many links as it can take")]
    Busy,
    /// The handshake took too long.
    #[error("the handshake took too long")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// Links are switched off.
    #[error("links are switched off on this device")]
    LinksOff,
    /// The mesh is stopping.
    #[error("the mesh is stopping")]
    Stopping,
}

impl From<Turned> for GateError {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::Duplicate => Self::Duplicate,
            Turned::Busy => Self::Busy,
        }
    }
}

/// How a handshake ended that did not pass, for the peer book and the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotPassed {
    /// The other end has not shown that it is a device of the event.
    Stranger,
    /// The other end, which this device dialled, does not take it for a device of its event.
    TurnedAway,
    /// This device refused a device of the event.
    RefusedByUs(Unfit),
    /// A device of the event refused this one; perhaps without a reason.
    RefusedByPeer(Option<String>),
    /// There is a link.
    Duplicate,
    /// The other end is this device.
    Myself,
    /// Something else, in words.
    Failed(String),
}

impl GateError {
    /// For the peer book and the operator, given who dialled, and whether the other end showed that it is a device of the event.
    pub(crate) fn reason(&self, dialled: bool, proven: bool) -> NotPassed {
        match self {
            Self::Myself => NotPassed::Myself,
            Self::TurnedAway(_) => NotPassed::TurnedAway,
            Self::Stranger => NotPassed::Stranger,
            // Whatever came in between: one that calls and shows nothing is a stranger.
            _ if !dialled && !proven => NotPassed::Stranger,
            Self::Refused { unfit, .. } => NotPassed::RefusedByUs(unfit.clone()),
            Self::RefusedByPeer { reason, .. } => NotPassed::RefusedByPeer(reason.clone()),
            Self::Duplicate => NotPassed::Duplicate,
            other => NotPassed::Failed(other.to_string()),
        }
    }
}
