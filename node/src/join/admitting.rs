//! The side of joining that admits: the organiser, or a device that may.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use popmesh_proto::clock::utc;
use popmesh_proto::identity::{Enrolment, SignedCertificate};

use super::code::JoinCode;
use super::exchange::{self, Broken, Channel, Hello, Installed, Package, Plain, Verdict};
use super::ledger::{Ledger, LedgerError, Record, Use};
use super::link::{Link, LinkError};
use super::newcomer::validity;
use super::ticket::TicketId;
use crate::clock::now_ms;
use crate::enrol::{EnrolError, Grant, Issuer};
use crate::folder::Folder;

/// By how much two clocks may differ without a word, in milliseconds.
const CLOCKS_DIFFER_MS: u64 = 60_000;

/// A device that was admitted.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Its certificate.
    pub certificate: SignedCertificate,
    /// Which ticket it had, and which use of it this was.
    pub ticket: Option<(TicketId, Use)>,
    /// How far the two clocks are apart, in words, if it matters.
    pub clocks: Option<String>,
    /// That its certificate ends when that of who signed it does, in words, if it would have held for longer.
    pub shortened: Option<String>,
}

/// Why a device is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// It was not reached, or went away before it proved itself.
    #[error("{0}")]
    Link(String),
    /// It did not prove itself.
    #[error("{0}")]
    Unproven(String),
    /// It proved itself, and is refused.
    #[error("{0}")]
    Refused(String),
    /// Its certificate was signed and sent, and it did not say that it installed it.
    #[error("{0}")]
    Unconfirmed(String),
}

impl From<LinkError> for AdmitError {
    fn from(error: LinkError) -> Self {
        Self::Link(error.to_string())
    }
}

impl From<Broken> for AdmitError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Malformed => Self::Link(broken.to_string()),
            broken => Self::Unproven(broken.to_string()),
        }
    }
}

/// Who admits devices, and the tickets that were given out there.
#[derive(Debug)]
pub struct Admitting {
    issuer: Issuer,
    ledger: Ledger,
}

impl Admitting {
    /// The organiser of the folder that `popmesh event init` wrote.
    ///
    /// # Errors
    /// [`EnrolError`] if it is none.
    pub fn organiser(folder: &Path) -> Result<Self, EnrolError> {
        Ok(Self { issuer: Issuer::organiser(folder)?, ledger: Ledger::of(folder) })
    }

    /// The device of a data folder, if it may admit others.
    ///
    /// # Errors
    /// [`EnrolError`] if it may not.
    pub fn device(data: &Folder) -> Result<Self, EnrolError> {
        Ok(Self { issuer: Issuer::device(data)?, ledger: Ledger::of(data.path()) })
    }

    /// Who signs.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The tickets.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Connects to a device that shows a code.
    ///
    /// # Errors
    /// [`AdmitError::Link`] if it cannot be reached; every other means that the code is void.
    pub fn by_code(
        &self,
        device: SocketAddr,
        code: &JoinCode,
        grant: &Grant,
    ) -> Result<Admitted, AdmitError> {
        let mut link = Link::connect(device)?;
        let hello = Hello::read(&link.receive()?)?;
        if hello.ticket.is_some() {
            return Err(Broken::Refused(Plain::OtherWay).into());
        }
        let (channel, request) = prove(&mut link, hello, code.password()).map_err(|error| match error {
            AdmitError::Link(why) => {
                AdmitError::Unproven(format!("{why}, before it proved that it has the code"))
            }
            error => error,
        })?;
        self.decide(&mut link, channel, &request, grant, None)
    }

    /// Serves a device that connected to show a ticket.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub fn by_ticket(&self, stream: TcpStream) -> Result<Admitted, AdmitError> {
        let mut link = Link::over(stream)?;
        let hello = Hello::read(&link.receive()?)?;
        let refuse = |link: &mut Link, plain: Plain| {
            // That it does not hear why is no reason to do otherwise.
            let _ = link.send(&exchange::refusal(plain));
        };
        let Some(id) = hello.ticket else {
            refuse(&mut link, Plain::OtherWay);
            return Err(Broken::Refused(Plain::OtherWay).into());
        };
        let record = self.ledger.find(&id, now_ms()).map_err(|error| {
            let plain = match error {
                LedgerError::Expired { .. } => Plain::TicketExpired,
                _ => Plain::TicketUnknown,
            };
            refuse(&mut link, plain);
            AdmitError::Refused(error.to_string())
        })?;
        let (channel, request) =
            prove(&mut link, hello, record.ticket.password()).map_err(|error| match error {
                AdmitError::Unproven(why) => AdmitError::Unproven(format!("ticket {id}: {why}")),
                AdmitError::Link(why) => AdmitError::Link(format!("ticket {id}: {why}")),
                error => error,
            })?;
        self.decide(&mut link, channel, &request, &record.grant, Some(&record))
    }

    fn decide(
        &self,
        link: &mut Link,
        mut channel: Channel,
        request: &exchange::Request,
        grant: &Grant,
        record: Option<&Record>,
    ) -> Result<Admitted, AdmitError> {
        let now_ms = now_ms();
        let (verdict, admitted) = match self.judge(request, grant, record, now_ms) {
            Ok(both) => both,
            Err(why) => {
                if let Ok(frame) = channel.say(&Verdict::Refused(why.clone())) {
                    let _ = link.send(&frame);
                }
                return Err(AdmitError::Refused(why));
            }
        };
        let unconfirmed = |why: &dyn std::fmt::Display| {
            AdmitError::Unconfirmed(format!(
                "{} ({}) was sent its certificate, and did not say that it has it: {why}; see whether it has joined, \
                 and let it try again if not",
                admitted.certificate.name,
                admitted.certificate.device.short()
            ))
        };
        let frame = channel.say(&verdict)?;
        link.send(&frame).map_err(|error| unconfirmed(&error))?;
        let word = link.receive().map_err(|error| unconfirmed(&error))?;
        match channel.hear(&word).map_err(|broken| unconfirmed(&broken))? {
            Installed::Yes => Ok(admitted),
            Installed::No(why) => Err(AdmitError::Refused(format!(
                "{} ({}) does not take it: {why}",
                admitted.certificate.name,
                admitted.certificate.device.short()
            ))),
        }
    }

    /// What the device is told. Last of all its ticket is used.
    fn judge(
        &self,
        request: &exchange::Request,
        grant: &Grant,
        record: Option<&Record>,
        now_ms: u64,
    ) -> Result<(Verdict, Admitted), String> {
        let enrolment = Enrolment::from_text(&request.enrolment).map_err(|error| error.to_string())?;
        let name = enrolment.name.clone();
        let certificate = self.issuer.sign(enrolment, grant, now_ms).map_err(|error| error.to_string())?;
        let clocks = clocks(request.clock_ms, now_ms, &certificate)?;
        let secret = self.issuer.seal_secret(&certificate).map_err(|error| error.to_string())?;
        let ticket = record
            .map(|record| {
                let used = self.ledger.take(record, &certificate.device, &name, now_ms);
                used.map(|used| (record.ticket.id, used)).map_err(|error| error.to_string())
            })
            .transpose()?;
        let verdict = Verdict::Admitted(Package {
            charter: self.issuer.charter().to_text(),
            certificate: certificate.to_text(),
            secret,
            clock_ms: now_ms,
        });
        let shortened = self.issuer.shortened(&certificate, grant);
        Ok((verdict, Admitted { certificate, ticket, clocks, shortened }))
    }
}

/// Answers a hello, and waits for the device's proof.
fn prove(link: &mut Link, hello: Hello, password: &[u8]) -> Result<(Channel, exchange::Request), AdmitError> {
    let unproven = |link: &mut Link, broken: Broken| {
        if matches!(broken, Broken::Unproven | Broken::Replaced) {
            let _ = link.send(&exchange::refusal(Plain::Unproven));
        }
        AdmitError::from(broken)
    };
    let (answered, answer) = hello.answer(password).map_err(|broken| unproven(link, broken))?;
    link.send(&answer)?;
    let proof = link.receive()?;
    answered.proven(&proof).map_err(|broken| unproven(link, broken))
}

/// Compares the clocks of the new device and of who admits it: what to say of it, if they differ.
///
/// # Errors
/// In words, if the certificate does not hold at the time that the device believes in.
pub(super) fn clocks(
    device_ms: u64,
    admitting_ms: u64,
    certificate: &SignedCertificate,
) -> Result<Option<String>, String> {
    let both =
        format!("the new device's clock says {}, the admitting side's {}", utc(device_ms), utc(admitting_ms));
    let apart_ms = device_ms.abs_diff(admitting_ms);
    if certificate.valid_at(device_ms).is_err() {
        let cure = if apart_ms > CLOCKS_DIFFER_MS {
            format!(
                "set the clock that is wrong, on the new device with `date -u -s @{}` if it is that one, and join again",
                admitting_ms / 1_000
            )
        } else {
            "have it admitted with another --from, --until or --days".to_owned()
        };
        return Err(format!("{both}, and its certificate would hold {}; {cure}", validity(certificate)));
    }
    Ok((apart_ms > CLOCKS_DIFFER_MS)
        .then(|| format!("{both}: {} apart; set the one that is wrong", apart(apart_ms))))
}

fn apart(ms: u64) -> String {
    let minutes = ms / 60_000;
    if minutes < 120 { format!("{minutes} min") } else { format!("{} h", minutes / 60) }
}

#[cfg(test)]
mod tests {
    use popmesh_proto::id::{DeviceId, Nonce};
    use popmesh_proto::identity::{Certificate, Charter, Role, SecretKey, SignedCharter};

    use super::*;

    const HOUR_MS: u64 = crate::enrol::HOUR_MS;

    fn certificate(not_before_ms: u64, not_after_ms: u64) -> SignedCertificate {
        let root = SecretKey::from_seed(&[1; 32]);
        let charter = Charter {
            name: "Neon".to_owned(),
            currency: "EUR".parse().unwrap(),
            root: root.id(),
            created_ms: 0,
            nonce: Nonce([7; 16]),
        };
        let charter = SignedCharter::sign(charter, &root).unwrap();
        let certificate = Certificate {
            device: DeviceId([9; 32]),
            name: "till".to_owned(),
            roles: [Role::Pos].into_iter().collect(),
            venue: "hall-a".parse().unwrap(),
            not_before_ms,
            not_after_ms,
        };
        SignedCertificate::sign(certificate, &root, &charter).unwrap()
    }

    #[test]
    fn clocks_that_differ_are_told_and_those_beyond_the_certificate_refused() {
        let now_ms = 1_800_000_000_000;
        let certificate = certificate(now_ms - HOUR_MS, now_ms + 24 * HOUR_MS);
        assert_eq!(clocks(now_ms + 59_000, now_ms, &certificate), Ok(None));
        assert_eq!(clocks(now_ms - 59_000, now_ms, &certificate), Ok(None));
        let told = clocks(now_ms - 30 * 60_000, now_ms, &certificate).unwrap().unwrap();
        assert!(told.contains("30 min apart") && told.contains(&utc(now_ms)), "{told}");
        for wrong_ms in [0, now_ms - HOUR_MS - 1, now_ms + 24 * HOUR_MS, u64::MAX] {
            let refused = clocks(wrong_ms, now_ms, &certificate).unwrap_err();
            assert!(refused.contains(&utc(now_ms)) && refused.contains(&utc(wrong_ms)), "{refused}");
            assert!(refused.contains("date -u -s @1800000000"), "{refused}");
        }
        let refused = clocks(now_ms, now_ms, &self::certificate(now_ms + 1, now_ms + 2)).unwrap_err();
        assert!(refused.contains("another --from"), "{refused}");
    }
}
