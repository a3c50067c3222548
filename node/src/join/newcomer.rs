//! The new device's side of joining.

use std::net::{SocketAddr, TcpStream};

use popmesh_proto::clock::utc;
use popmesh_proto::id::EventId;
use popmesh_proto::identity::{Enrolment, SecretKey, SignedCertificate, SignedCharter};

use super::admitting::clocks;
use super::code::JoinCode;
use super::exchange::{self, Broken, Installed, Package, Plain, Request, Verdict};
use super::link::{Link, LinkError};
use super::ticket::Ticket;
use crate::clock::now_ms;
use crate::enrol::{self, EnrolError};
use crate::folder::Folder;
use crate::secret;

/// A device that has its place in an event now.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The event's charter.
    pub charter: SignedCharter,
    /// The device's certificate.
    pub certificate: SignedCertificate,
    /// How far the two clocks are apart, in words, if it matters.
    pub clocks: Option<String>,
}

/// Why a device has not joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Nobody answered who could have tried the code: it is as good as before.
    #[error("{0}")]
    Nobody(String),
    /// The code was tried, and failed. It is void.
    #[error("{0}")]
    Void(String),
    /// Whoever serves tickets there does not know this one; somebody else may.
    #[error("{0}")]
    Elsewhere(String),
    /// Who admits, or this device, will not have it so, whatever the code.
    #[error("{0}")]
    Refused(String),
}

impl JoinError {
    fn nobody(error: &LinkError) -> Self {
        Self::Nobody(error.to_string())
    }

    fn void(error: &impl std::fmt::Display) -> Self {
        Self::Void(error.to_string())
    }
}

/// A device that wants to join.
#[derive(Debug)]
pub struct Newcomer {
    data: Folder,
    key: SecretKey,
    enrolment: String,
}

impl Newcomer {
    /// A device whose folder has its key.
    ///
    /// # Errors
    /// [`EnrolError`] if it has none, or the name cannot be.
    pub fn new(data: Folder, name: &str) -> Result<Self, EnrolError> {
        let key = data.key()?;
        let enrolment = Enrolment::to_text(name, &key)?;
        Ok(Self { data, key, enrolment })
    }

    /// Serves a connection of somebody who may know the code.
    ///
    /// # Errors
    /// [`JoinError`] says whether the code is void.
    pub fn by_code(&self, stream: TcpStream, code: &JoinCode) -> Result<Joined, JoinError> {
        let mut link = Link::over(stream).map_err(|error| JoinError::nobody(&error))?;
        let (greeted, hello) = exchange::greet(code.password(), None);
        link.send(&hello).map_err(|error| JoinError::nobody(&error))?;
        let answer = link.receive().map_err(|error| JoinError::nobody(&error))?;
        self.go_on(&mut link, greeted, &answer, None)
    }

    /// Shows a ticket to who serves tickets.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn by_ticket(&self, server: SocketAddr, ticket: &Ticket) -> Result<Joined, JoinError> {
        let mut link = Link::connect(server).map_err(|error| JoinError::nobody(&error))?;
        let (greeted, hello) = exchange::greet(ticket.password(), Some(ticket.id));
        link.send(&hello).map_err(|error| JoinError::nobody(&error))?;
        let answer = link.receive().map_err(|error| JoinError::nobody(&error))?;
        self.go_on(&mut link, greeted, &answer, Some(&ticket.event))
    }

    fn go_on(
        &self,
        link: &mut Link,
        greeted: exchange::Greeted,
        answer: &[u8],
        event: Option<&EventId>,
    ) -> Result<Joined, JoinError> {
        let request = Request { enrolment: self.enrolment.clone(), clock_ms: now_ms() };
        let (mut channel, proof) = greeted.answered(answer, &request).map_err(|broken| {
            if broken == Broken::Unproven {
                // That it does not hear why is no reason to do otherwise.
                let _ = link.send(&exchange::refusal(Plain::Unproven));
            }
            match broken {
                // No guess was in it.
                Broken::Malformed => JoinError::Nobody(broken.to_string()),
                Broken::Refused(Plain::TicketUnknown) => JoinError::Elsewhere(broken.to_string()),
                broken => JoinError::void(&broken),
            }
        })?;
        link.send(&proof).map_err(|error| JoinError::void(&error))?;
        let verdict = link.receive().map_err(|error| JoinError::void(&error))?;
        let verdict = channel.hear(&verdict).map_err(|broken| {
            let _ = link.send(&exchange::refusal(Plain::Unproven));
            JoinError::void(&broken)
        })?;
        let package = match verdict {
            Verdict::Admitted(package) => package,
            Verdict::Refused(why) => {
                return Err(JoinError::Refused(format!("who admits refuses: {why}")));
            }
        };
        let joined = self.install(&package, event);
        let word = joined.as_ref().map_or_else(|why| Installed::No(why.clone()), |_| Installed::Yes);
        if let Ok(frame) = channel.say(&word) {
            // What is installed stays so, whether or not the other side hears of it.
            let _ = link.send(&frame);
        }
        joined.map_err(JoinError::Refused)
    }

    /// Checks everything, then installs everything.
    fn install(&self, package: &Package, event: Option<&EventId>) -> Result<Joined, String> {
        let charter = SignedCharter::from_text(&package.charter).map_err(|error| error.to_string())?;
        if let Some(event) = event
            && charter.event() != *event
        {
            return Err(format!(
                "the ticket is for event {}, and who answered is of event {}; somebody else has this ticket",
                event.short(),
                charter.event().short()
            ));
        }
        let certificate = SignedCertificate::from_text(&package.certificate, &charter)
            .map_err(|error| error.to_string())?;
        let secret = secret::open(&package.secret, &charter.event(), &self.key)
            .map_err(|error| error.to_string())?
            .ok_or("the event's secret did not come along")?;
        let now_ms = now_ms();
        let clocks = clocks(now_ms, package.clock_ms, &certificate)?;
        enrol::install(&self.data, &charter, &certificate, Some(&secret), now_ms)
            .map_err(|error| error.to_string())?;
        Ok(Joined { charter, certificate, clocks })
    }
}

/// What a device's certificate says of its time, for people.
pub(super) fn validity(certificate: &SignedCertificate) -> String {
    format!("from {} to {}", utc(certificate.not_before_ms), utc(certificate.not_after_ms))
}
