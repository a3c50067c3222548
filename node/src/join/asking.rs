//! What a device with a ticket and who serves it say to find each other, so that nothing is announced while nobody joins,
//! and others see random bytes alone: no event, no ticket, nothing that is the same twice.
//!
//! ```text
//! new device                                        who serves tickets
//!   ask = nonce, mark(ticket, nonce)             →
//!                                                ←  nonce', mark(ticket, ask's nonce, nonce', addresses), addresses
//! ```
//!
//! Only who has the ticket can make either, or know one for what it is. The answer is good for one ask, and for the
//! addresses in it alone: a stranger who repeats it elsewhere has nobody dial there.

use std::net::{IpAddr, SocketAddr};

use super::ticket::Ticket;

/// The key of an ask in what a new device announces.
pub const ASK: &str = "ask";
/// The key of an answer in what who serves tickets announces.
pub const ANSWER: &str = "answer";
/// The key of the addresses that belong to an answer.
pub const AT: &str = "at";

const NONCE: usize = 16;
const MARK: usize = 16;
const ASK_LABEL: &[u8] = b"popmesh join v2: ask";
const ANSWER_LABEL: &[u8] = b"popmesh join v2: answer";
/// The most bytes of addresses that fit into one property.
const AT_MAX: usize = 240;

/// A new device's question, once heard: which one, so that it is answered once.
pub type AskNonce = [u8; NONCE];

/// What a new device says to be answered by who knows its ticket.
pub struct Ask {
    nonce: AskNonce,
    text: String,
}

impl Ask {
    /// A question of its own.
    pub fn new(ticket: &Ticket, nonce: AskNonce) -> Self {
        let mark = ticket.mark::<MARK>(ASK_LABEL, &[&nonce]);
        Self { nonce, text: hex::encode([nonce, mark].concat()) }
    }

    /// What is announced.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where somebody who has the ticket serves it, if this answers this very question.
    pub fn answered(&self, ticket: &Ticket, answer: &str, at: &str) -> Option<Vec<SocketAddr>> {
        let (nonce, mark) = split(answer)?;
        let is_of_the_ticket =
            ticket.mark::<MARK>(ANSWER_LABEL, &[&self.nonce, &nonce, at.as_bytes()]) == mark;
        if !is_of_the_ticket {
            return None;
        }
        at.split(' ').map(|address| address.parse().ok()).collect()
    }
}

/// The question in what was announced, if it is one about this ticket.
pub fn heard(text: &str, ticket: &Ticket) -> Option<AskNonce> {
    let (nonce, mark) = split(text)?;
    (ticket.mark::<MARK>(ASK_LABEL, &[&nonce]) == mark).then_some(nonce)
}

/// The answer to a question: what is announced under [`ANSWER`] and [`AT`].
pub fn answer(
    ticket: &Ticket,
    ask: &AskNonce,
    nonce: AskNonce,
    addresses: &[SocketAddr],
) -> (String, String) {
    let mut addresses: Vec<SocketAddr> =
        addresses.iter().copied().filter(|address| !address.ip().is_unspecified()).collect();
    addresses.sort_by_key(|address| matches!(address.ip(), IpAddr::V6(_)));
    let mut at = String::new();
    for address in addresses {
        let more = if at.is_empty() { address.to_string() } else { format!(" {address}") };
        if at.len() + more.len() <= AT_MAX {
            at.push_str(&more);
        }
    }
    let mark = ticket.mark::<MARK>(ANSWER_LABEL, &[ask, &nonce, at.as_bytes()]);
    (hex::encode([nonce, mark].concat()), at)
}

fn split(text: &str) -> Option<([u8; NONCE], [u8; MARK])> {
    let mut bytes = [0; NONCE + MARK];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    let (nonce, mark) = bytes.split_first_chunk()?;
    Some((*nonce, mark.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use popmesh_proto::id::EventId;
    use proptest::prelude::*;

    use super::*;

    fn ticket(secret: u8) -> Ticket {
        Ticket::from_random(EventId([1; 32]), [2; 8], [secret; 16])
    }

    fn addresses() -> Vec<SocketAddr> {
        vec!["[fd00::7]:4000".parse().unwrap(), "10.77.0.1:4000".parse().unwrap()]
    }

    #[test]
    fn who_has_the_ticket_is_understood_and_nobody_else() {
        let ask = Ask::new(&ticket(3), [7; 16]);
        assert_eq!(heard(ask.text(), &ticket(3)), Some([7; 16]));
        assert_eq!(heard(ask.text(), &ticket(4)), None);
        let (said, at) = answer(&ticket(3), &[7; 16], [8; 16], &addresses());
        assert_eq!(at, "10.77.0.1:4000 [fd00::7]:4000");
        let mut expected = addresses();
        expected.reverse();
        assert_eq!(ask.answered(&ticket(3), &said, &at), Some(expected));
        assert_eq!(ask.answered(&ticket(4), &said, &at), None);
        // Said again elsewhere, or to somebody else.
        assert_eq!(ask.answered(&ticket(3), &said, "10.77.0.9:4000"), None);
        assert_eq!(Ask::new(&ticket(3), [9; 16]).answered(&ticket(3), &said, &at), None);
        let (forged, at) = answer(&ticket(4), &[7; 16], [8; 16], &addresses());
        assert_eq!(ask.answered(&ticket(3), &forged, &at), None);
    }

    #[test]
    fn nothing_that_is_said_is_of_the_event_or_the_ticket_or_the_same_twice() {
        let of = |nonce| {
            let (said, at) = answer(&ticket(3), &[nonce; 16], [nonce + 1; 16], &addresses());
            [Ask::new(&ticket(3), [nonce; 16]).text().to_owned(), said, at]
        };
        let (one, other) = (of(7), of(9));
        for said in [&one, &other] {
            for secret in [hex::encode([1; 32]), hex::encode([2; 8]), hex::encode([3; 16])] {
                assert!(!said.concat().contains(&secret[..8]));
            }
        }
        for (one, other) in one.iter().zip(&other).take(2) {
            // Behind the nonces, which are drawn and not made here.
            let marks = one[2 * NONCE..].bytes().zip(other[2 * NONCE..].bytes());
            assert!(marks.filter(|(one, other)| one == other).count() < 10, "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_is_believed(said in ".{0,80}", at in ".{0,40}") {
            prop_assert_eq!(heard(&said, &ticket(3)), None);
            prop_assert_eq!(Ask::new(&ticket(3), [7; 16]).answered(&ticket(3), &said, &at), None);
        }

        #[test]
        fn however_many_addresses_there_are_they_fit(count in 0_u16..40) {
            let many: Vec<SocketAddr> =
                (0..count).map(|port| format!("[2001:db8:1111:2222:3333:4444:5555:6666]:{}", 10_000 + port).parse().unwrap()).collect();
            let (said, at) = answer(&ticket(3), &[7; 16], [8; 16], &many);
            prop_assert!(at.len() <= AT_MAX && said.len() == 64);
        }
    }
}
