//! Joining: a new device gets its certificate, the charter and the event's secret over the local network, from the
//! organiser or from a device that may admit others, and nobody between them can read or replace any of it.
//!
//! Both know a short code that a person carried from one screen to the other, or a ticket. They run SPAKE2 with it
//! (Abdalla and Pointcheval, "Simple Password-Based Encrypted Key Exchange Protocols", CT-RSA 2005): who does not know it
//! learns nothing by listening, and by taking part can try one code, once, and is seen. `exchange` is that, without I/O;
//! `link` carries it over TCP, `lan` and `browsing` find the other side by mDNS, `newcomer` and `admitting` are the two
//! sides. `code` and `ticket` are what people carry, `ledger` counts the uses of tickets, `names` has the names in use.
//! `looking` finds who shows a code, `serving` serves tickets, and `windows` does both inside a running node, each for a while.
//! `asking` is what is said by mDNS, and only while somebody joins; `reception` keeps strangers who knock from holding up
//! who is meant.

mod admitting;
mod announced;
mod asking;
mod browsing;
mod code;
mod exchange;
#[doc(hidden)]
pub mod fuzzed;
mod lan;
mod ledger;
mod link;
mod looking;
mod names;
mod newcomer;
mod reception;
mod serving;
mod ticket;
mod windows;

pub use admitting::{AdmitError, Admitted, Admitting};
pub use asking::{ANSWER, ASK, AT, Ask, AskNonce, answer, heard};
pub use browsing::Browsing;
pub use code::{CodeError, Invitation, JoinCode};
pub use lan::{Announced, Announcer, LanError, Seen, Service};
pub use ledger::{Ledger, LedgerError, MAX_COUNT, Record, Use, User};
pub use looking::{Found, LookError, look_for};
pub use names::{Known, NameError, Names};
pub use newcomer::{JoinError, Joined, Newcomer, Showing};
pub use reception::{Reception, Visit, Visitor, Waits};
pub use serving::{ListenError, Stop, answer_asks, listen, serve};
pub use ticket::{Ticket, TicketError, TicketId};
pub use windows::{By, Came, Knock, Opening, State, Window, WindowError, Windows};
