//! Joining: a new device gets its certificate, the charter and the event's secret over the local network, from the
//! organiser or from a device that may admit others, and nobody between them can read or replace any of it.
//!
//! Both know a short code that a person carried from one screen to the other, or a ticket. They run SPAKE2 with it
//! (Abdalla and Pointcheval, "Simple Password-Based Encrypted Key Exchange Protocols", CT-RSA 2005): who does not know it
//! learns nothing by listening, and by taking part can try one code, once, and is seen. `exchange` is that, without I/O;
//! `link` carries it over TCP, `lan` finds the other side by mDNS, `newcomer` and `admitting` are the two sides. `code`
//! and `ticket` are what people carry, `ledger` counts the uses of tickets.

mod admitting;
mod code;
mod exchange;
mod lan;
mod ledger;
mod link;
mod newcomer;
mod ticket;

pub use admitting::{AdmitError, Admitted, Admitting};
pub use code::{CodeError, Invitation, JoinCode};
pub use lan::{Announced, Browsing, LanError, Seen, Service};
pub use ledger::{Ledger, LedgerError, MAX_COUNT, Record, Use};
pub use newcomer::{JoinError, Joined, Newcomer};
pub use ticket::{Ticket, TicketError, TicketId};
