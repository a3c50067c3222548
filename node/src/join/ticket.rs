//! Tickets: a secret with which devices join that nobody attends, for a while and a number of times.

use std::fmt;
use std::str::FromStr;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use popmesh_proto::id::EventId;
use popmesh_proto::identity::{armor, unarmor};
use sha2::Sha256;

/// The label of a ticket's text form.
const TICKET: &str = "popmesh-ticket-1";
const HELLO: &[u8] = b"popmesh join v2: hello";
const EVENT: usize = 32;
const ID: usize = 8;
const SECRET: usize = 16;
/// Bytes of what says on the network that a ticket is meant.
pub(super) const MARK: usize = 8;

/// Not a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a ticket; give the line that `popmesh device ticket` printed, whole")]
pub struct TicketError;

/// Which ticket; no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketId(pub [u8; ID]);

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A ticket as it is carried to a device. Its event is in it, so that another holder of the same ticket cannot pass for
/// the organiser.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The event that it admits to.
    pub event: EventId,
    /// Which one it is.
    pub id: TicketId,
    secret: [u8; SECRET],
}

impl Ticket {
    /// The ticket that these random bytes make: its id and 128 bits of secret.
    pub fn from_random(event: EventId, id: [u8; ID], secret: [u8; SECRET]) -> Self {
        Self { event, id: TicketId(id), secret }
    }

    /// The text form: one line. Secret.
    pub fn to_text(&self) -> String {
        armor(TICKET, &[&self.event.0[..], &self.id.0, &self.secret].concat())
    }

    /// What the exchange is keyed with.
    pub(crate) fn password(&self) -> &[u8] {
        &self.secret
    }

    /// What a hello with this share says in the place of the ticket's id, which would be the same each time. Whoever has
    /// not got the ticket's 128 bits can neither make it nor tell two of one ticket from two of two.
    pub(super) fn hello_mark(&self, share: &[u8]) -> [u8; MARK] {
        self.mark(HELLO, &[share])
    }

    /// `N` bytes (at most 32) of a keyed sum of `parts`, with a label for each use of it.
    pub(super) fn mark<const N: usize>(&self, label: &[u8], parts: &[&[u8]]) -> [u8; N] {
        // Derived, so that nothing on the network is keyed with the exchange's own password.
        let mut key = [0; 64];
        // SHA-256 gives 255 times 32 bytes before it runs out.
        let _ = Hkdf::<Sha256>::new(None, &self.secret).expand(label, &mut key);
        let mut sum = Hmac::<Sha256>::new(&key.into());
        for part in parts {
            sum.update(&(part.len() as u64).to_be_bytes());
            sum.update(part);
        }
        let sum: [u8; 32] = sum.finalize().into_bytes().into();
        std::array::from_fn(|at| sum[at])
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.id)
    }
}

impl FromStr for Ticket {
    type Err = TicketError;
    fn from_str(text: &str) -> Result<Self, TicketError> {
        let bytes = unarmor(TICKET, text).ok_or(TicketError)?;
        let bytes = <[u8; EVENT + ID + SECRET]>::try_from(bytes).map_err(|_| TicketError)?;
        let (event, rest) = bytes.split_first_chunk::<EVENT>().ok_or(TicketError)?;
        let (id, secret) = rest.split_first_chunk::<ID>().ok_or(TicketError)?;
        Ok(Self::from_random(EventId(*event), *id, secret.try_into().map_err(|_| TicketError)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_read_whole_or_not_at_all() {
        let ticket = Ticket::from_random(EventId([1; 32]), [2; 8], [3; 16]);
        let text = ticket.to_text();
        assert_eq!(format!(" {text}\n").parse(), Ok(ticket.clone()));
        assert_eq!(text[..text.len() - 1].parse::<Ticket>(), Err(TicketError));
        assert_eq!(format!("{text}AA").parse::<Ticket>(), Err(TicketError));
        assert_eq!("".parse::<Ticket>(), Err(TicketError));
        assert_eq!(format!("{ticket:?}"), "Ticket(0202020202020202)");
    }

    #[test]
    fn marks_differ_by_ticket_use_and_what_they_are_of() {
        let [one, other] = [3, 4].map(|secret| Ticket::from_random(EventId([1; 32]), [2; 8], [secret; 16]));
        let mark = one.hello_mark(b"share");
        assert_eq!(mark, one.hello_mark(b"share"));
        assert_ne!(mark, other.hello_mark(b"share"));
        assert_ne!(mark, one.hello_mark(b"another"));
        assert_ne!(mark, one.mark(b"another use", &[b"share"]));
        assert_ne!(one.mark::<8>(HELLO, &[b"ab", b"c"]), one.mark(HELLO, &[b"a", b"bc"]));
    }
}
