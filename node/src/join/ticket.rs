//! Tickets: a secret with which devices join that nobody attends, for a while and a number of times.

use std::fmt;
use std::str::FromStr;

use popmesh_proto::id::EventId;
use popmesh_proto::identity::{armor, unarmor};

/// The label of a ticket's text form.
const TICKET: &str = "popmesh-ticket-1";
const EVENT: usize = 32;
const ID: usize = 8;
const SECRET: usize = 16;

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
}
