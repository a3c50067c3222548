//! The side of joining that admits: the organiser, or a device that may.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use popmesh_proto::clock::utc;
use popmesh_proto::id::DeviceId;
use popmesh_proto::identity::{Enrolment, SignedCertificate};

use super::code::JoinCode;
use super::exchange::{self, Broken, Channel, Hello, Installed, Package, Verdict};
use super::ledger::{Ledger, Record, Use};
use super::link::{Link, LinkError};
use super::names::{self, Known, NameError, Names};
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

/// Says whether a ticket is served.
type Serves = Box<dyn Fn(&TicketId) -> bool + Send + Sync>;

/// Who admits devices, and the tickets that were given out there.
pub struct Admitting {
    issuer: Issuer,
    ledger: Ledger,
    names: Names,
    known: Option<Box<dyn Known>>,
    reuses_names: bool,
    /// Which of the tickets that were made here are served; all if absent.
    serves: Option<Serves>,
}

impl std::fmt::Debug for Admitting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admitting").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Admitting {
    /// The organiser of the folder that `popmesh event init` wrote.
    ///
    /// # Errors
    /// [`EnrolError`] if it is none.
    pub fn organiser(folder: &Path) -> Result<Self, EnrolError> {
        Ok(Self::of(Issuer::organiser(folder)?, folder))
    }

    /// The device of a data folder, if it may admit others.
    ///
    /// # Errors
    /// [`EnrolError`] if it may not.
    pub fn device(data: &Folder) -> Result<Self, EnrolError> {
        Ok(Self::of(Issuer::device(data)?, data.path()))
    }

    fn of(issuer: Issuer, folder: &Path) -> Self {
        let (ledger, names) = (Ledger::of(folder), Names::of(folder));
        Self { issuer, ledger, names, known: None, reuses_names: false, serves: None }
    }

    /// The same, not giving the names of devices that the running node knows.
    #[must_use]
    pub fn knowing(self, known: impl Known + 'static) -> Self {
        Self { known: Some(Box::new(known)), ..self }
    }

    /// The same, giving names that are in use: a person says that the other device is gone for good.
    #[must_use]
    pub fn reusing_names(self) -> Self {
        Self { reuses_names: true, ..self }
    }

    /// The same, serving such tickets alone.
    #[must_use]
    pub fn serving(self, serves: impl Fn(&TicketId) -> bool + Send + Sync + 'static) -> Self {
        Self { serves: Some(Box::new(serves)), ..self }
    }

    /// The tickets that are served.
    pub fn served(&self) -> Vec<Record> {
        let mut all = self.ledger.all();
        if let Some(serves) = &self.serves {
            all.retain(|record| serves(&record.ticket.id));
        }
        all
    }

    /// Who signs.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The tickets.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Connects to a device that shows a code, or to a stranger who says so.
    ///
    /// # Errors
    /// [`AdmitError::Link`] if it cannot be reached; [`AdmitError::Unproven`] if it could try one code, and that was not
    /// this one.
    pub fn by_code(
        &self,
        device: SocketAddr,
        code: &JoinCode,
        grant: &Grant,
    ) -> Result<Admitted, AdmitError> {
        let (mut link, first) = Link::connect_and_receive(device)?;
        let hello = Hello::read(&first)?;
        if hello.has_ticket() {
            return Err(Broken::OtherWay.into());
        }
        let (channel, request) = prove(&mut link, hello, code.password()).map_err(|error| match error {
            AdmitError::Link(why) => {
                AdmitError::Unproven(format!("{why}, before it proved that it has the code"))
            }
            error => error,
        })?;
        self.decide(&mut link, channel, &request, grant, None)
    }

    /// Serves a device that connected to show a ticket, or a stranger; `proven` is called once it is no stranger.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub fn by_ticket(&self, stream: TcpStream, proven: impl FnOnce()) -> Result<Admitted, AdmitError> {
        let mut link = Link::over(stream)?;
        let (record, channel, request) = self.shown_ticket(&mut link).inspect_err(|_| {
            // The same to everybody, whatever it was. That it does not get there is no reason to do otherwise.
            let _ = link.send(&exchange::refusal());
        })?;
        proven();
        self.decide(&mut link, channel, &request, &record.grant, Some(&record))
    }

    /// Which ticket a device shows, once it has proven that it has it.
    fn shown_ticket(&self, link: &mut Link) -> Result<(Record, Channel, exchange::Request), AdmitError> {
        let hello = Hello::read(&link.receive()?)?;
        if !hello.has_ticket() {
            return Err(Broken::OtherWay.into());
        }
        let shown = self.served().into_iter().find(|record| hello.is_with(&record.ticket));
        let record = shown.ok_or_else(|| {
            AdmitError::Unproven(
                "a ticket that was not made here; serve it where it was, or make one here with `popmesh device ticket`"
                    .to_owned(),
            )
        })?;
        let id = record.ticket.id;
        let (answered, answer) = hello.answer(record.ticket.password())?;
        link.send(&answer)?;
        let proven = answered.proven(&link.receive()?);
        let (channel, request) =
            proven.map_err(|broken| AdmitError::Unproven(format!("ticket {id}: {broken}")))?;
        Ok((record, channel, request))
    }

    fn decide(
        &self,
        link: &mut Link,
        mut channel: Channel,
        request: &exchange::Request,
        grant: &Grant,
        record: Option<&Record>,
    ) -> Result<Admitted, AdmitError> {
        link.proven();
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

    /// What the device is told. Last of all its name is given, and its ticket used.
    fn judge(
        &self,
        request: &exchange::Request,
        grant: &Grant,
        record: Option<&Record>,
        now_ms: u64,
    ) -> Result<(Verdict, Admitted), String> {
        if let Some(record) = record {
            record.check_time(now_ms).map_err(|error| error.to_string())?;
        }
        let mut enrolment = Enrolment::from_text(&request.enrolment).map_err(|error| error.to_string())?;
        if let Some(record) = record {
            enrolment.name = record.named(enrolment.name);
        }
        let certificate = self.issuer.sign(enrolment, grant, now_ms).map_err(|error| error.to_string())?;
        let clocks = clocks(request.clock_ms, now_ms, &certificate)?;
        let secret = self.issuer.seal_secret(&certificate).map_err(|error| error.to_string())?;
        let (name, device) = (&certificate.name, &certificate.device);
        let is_given_now = self.give_name(name, device, now_ms).map_err(|error| error.to_string())?;
        let used = record.map(|record| {
            let used = self.ledger.take(record, device, name, now_ms);
            used.map(|used| (record.ticket.id, used))
        });
        let ticket = used.transpose().map_err(|error| {
            if is_given_now {
                self.names.take_back(device, None);
            }
            error.to_string()
        })?;
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

impl Admitting {
    /// Gives a name to a device unless another has it; whether only now.
    fn give_name(&self, name: &str, device: &DeviceId, now_ms: u64) -> Result<bool, NameError> {
        let known = self.known.as_deref();
        let is_gone =
            |other: &DeviceId| self.reuses_names || known.is_some_and(|known| known.is_retired(other));
        let wanted = names::key(name);
        let signers = self.issuer.signers();
        let devices = known.map(Known::devices).unwrap_or_default();
        // Of who signs itself nobody else gets the name, whatever somebody says.
        let own = signers.into_iter().find(|(other, held)| other != device && names::key(held) == wanted);
        let other = own.or_else(|| {
            let others = devices.into_iter();
            others
                .filter(|(other, held)| other != device && names::key(held) == wanted)
                .find(|(other, _)| !is_gone(other))
        });
        match other {
            Some((device, held)) => Err(NameError::InUse { name: name.to_owned(), held, device }),
            None => self.names.give(name, device, now_ms, is_gone),
        }
    }
}

/// Answers a hello, and waits for the device's proof.
fn prove(link: &mut Link, hello: Hello, password: &[u8]) -> Result<(Channel, exchange::Request), AdmitError> {
    let unproven = |link: &mut Link, broken: Broken| {
        let _ = link.send(&exchange::refusal());
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
    use popmesh_proto::id::Nonce;
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
