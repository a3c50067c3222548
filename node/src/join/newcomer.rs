//! The new device's side of joining.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use popmesh_proto::clock::utc;
use popmesh_proto::id::EventId;
use popmesh_proto::identity::{Enrolment, SecretKey, SignedCertificate, SignedCharter};

use super::admitting::clocks;
use super::code::JoinCode;
use super::exchange::{self, Broken, Channel, Installed, Package, Request, Verdict, With};
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
    /// The code went while somebody was about to try it; there is another.
    #[error("the code that it was about to try is shown no more")]
    Late,
    /// Another code than the one that is shown was tried.
    #[error("{0}")]
    Wrong(String),
    /// Who knows the code did not end what it began. The code is void.
    #[error("{0}")]
    Void(String),
    /// Whoever serves tickets there does not know this one, or is of another event; somebody else may.
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

/// The code that a new device shows, from when it is shown until it is void. Any number may try it at once, and of a short
/// code one try counts: what comes after a wrong one finds no code.
#[derive(Debug, Default)]
pub struct Showing(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    code: Option<JoinCode>,
    /// Somebody has proven to know it, and goes on.
    is_taken: bool,
}

impl Showing {
    /// Shows another code, or none.
    pub fn show(&self, code: Option<JoinCode>) {
        *self.lock() = Shown { code, is_taken: false };
    }

    fn code(&self) -> Option<JoinCode> {
        let shown = self.lock();
        shown.code.clone().filter(|_| !shown.is_taken)
    }

    /// Hears who says that it knows `code`, unless that is shown no more. One at a time, so that nobody tries a short code
    /// twice before it is void.
    fn hear(
        &self,
        code: &JoinCode,
        greeted: exchange::Greeted,
        answer: &[u8],
        request: &Request,
    ) -> Result<(Channel, Vec<u8>), JoinError> {
        let mut shown = self.lock();
        if shown.is_taken || shown.code.as_ref() != Some(code) {
            return Err(JoinError::Late);
        }
        match greeted.answered(answer, request) {
            Ok(both) => {
                shown.is_taken = true;
                Ok(both)
            }
            Err(Broken::Unproven) => {
                if !code.is_long() {
                    shown.code = None;
                }
                Err(JoinError::Wrong(Broken::Unproven.to_string()))
            }
            // No guess was in it.
            Err(broken) => Err(JoinError::Nobody(broken.to_string())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Serves a connection of somebody who may know the code; `proven` is called once it is known to.
    ///
    /// # Errors
    /// [`JoinError`] says what becomes of the code.
    pub fn by_code(
        &self,
        stream: TcpStream,
        showing: &Showing,
        proven: impl FnOnce(),
    ) -> Result<Joined, JoinError> {
        let code = showing.code().ok_or(JoinError::Late)?;
        let mut link = Link::over(stream).map_err(|error| JoinError::nobody(&error))?;
        let (greeted, hello) = exchange::greet(With::Code(&code));
        link.send(&hello).map_err(|error| JoinError::nobody(&error))?;
        let answer = link.receive().map_err(|error| JoinError::nobody(&error));
        let heard = answer.and_then(|answer| showing.hear(&code, greeted, &answer, &self.request()));
        let (channel, proof) = heard.inspect_err(|_| {
            // The same to everybody. That it does not get there is no reason to do otherwise.
            let _ = link.send(&exchange::refusal());
        })?;
        proven();
        self.go_on(&mut link, channel, &proof, None)
    }

    /// Shows a ticket to who serves tickets.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn by_ticket(&self, server: SocketAddr, ticket: &Ticket) -> Result<Joined, JoinError> {
        let mut link = Link::connect(server).map_err(|error| JoinError::nobody(&error))?;
        let (greeted, hello) = exchange::greet(With::Ticket(ticket));
        link.send(&hello).map_err(|error| JoinError::nobody(&error))?;
        let answer = link.receive().map_err(|error| JoinError::nobody(&error))?;
        let answered = greeted.answered(&answer, &self.request());
        let (channel, proof) = answered.map_err(|broken| {
            if broken == Broken::Unproven {
                let _ = link.send(&exchange::refusal());
            }
            match broken {
                Broken::Malformed => JoinError::Nobody(broken.to_string()),
                broken => JoinError::Elsewhere(broken.to_string()),
            }
        })?;
        self.go_on(&mut link, channel, &proof, Some(&ticket.event))
    }

    fn request(&self) -> Request {
        Request { enrolment: self.enrolment.clone(), clock_ms: now_ms() }
    }

    /// The other side has proven itself.
    fn go_on(
        &self,
        link: &mut Link,
        mut channel: Channel,
        proof: &[u8],
        event: Option<&EventId>,
    ) -> Result<Joined, JoinError> {
        link.proven();
        link.send(proof).map_err(|error| JoinError::void(&error))?;
        let verdict = link.receive().map_err(|error| JoinError::void(&error))?;
        let verdict = channel.hear(&verdict).map_err(|broken| {
            let _ = link.send(&exchange::refusal());
            JoinError::void(&broken)
        })?;
        let package = match verdict {
            Verdict::Admitted(package) => package,
            Verdict::Refused(why) => {
                return Err(JoinError::Refused(format!("who admits refuses: {why}")));
            }
        };
        let joined = self.install(&package, event);
        let word = joined.as_ref().map_or_else(|why| Installed::No(why.to_string()), |_| Installed::Yes);
        if let Ok(frame) = channel.say(&word) {
            // What is installed stays so, whether or not the other side hears of it.
            let _ = link.send(&frame);
        }
        joined
    }

    /// Checks everything, then installs everything.
    fn install(&self, package: &Package, event: Option<&EventId>) -> Result<Joined, JoinError> {
        let charter = SignedCharter::from_text(&package.charter)
            .map_err(|error| JoinError::Refused(error.to_string()))?;
        if let Some(event) = event
            && charter.event() != *event
        {
            return Err(JoinError::Elsewhere(format!(
                "the ticket is for event {}, and who answered is of event {}; somebody else has this ticket",
                event.short(),
                charter.event().short()
            )));
        }
        self.install_checked(package, charter).map_err(JoinError::Refused)
    }

    fn install_checked(&self, package: &Package, charter: SignedCharter) -> Result<Joined, String> {
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
