//! What people carry to join: tickets, and the codes and addresses of invitations, as they are typed, pasted or scanned; and
//! what is announced by who has a ticket, and by who serves it, as anybody could.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use popmesh::fuzzed::join;
use popmesh::join::{Invitation, JoinCode, Ticket};
use popmesh_proto::id::EventId;

use crate::Target;

const TICKET: u8 = 0;
const CODE: u8 = 1;
const INVITATION: u8 = 2;
const ASK: u8 = 3;
const ANSWER: u8 = 4;

pub(crate) const TARGET: Target = Target {
    name: "ticket",
    what: "tickets, codes to join with and invitations, as text, and what is announced about tickets",
    run,
    seeds,
    most_bytes: 512,
};

fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match *kind {
        TICKET => read::<Ticket>(&text, Ticket::to_text),
        CODE => read::<JoinCode>(&text, JoinCode::to_string),
        // Nobody without the ticket makes either.
        ASK => assert!(!join::asks(&text) || text.eq_ignore_ascii_case(&join::announced()[0])),
        ANSWER => {
            let (answer, at) = text.split_once('\n').unwrap_or((&text, ""));
            let [_, honest, honest_at] = join::announced();
            let heard = join::answers(answer, at);
            assert!(heard.is_none() || answer.eq_ignore_ascii_case(&honest) && at == honest_at, "{text}");
        }
        _ => read::<Invitation>(&text, Invitation::to_string),
    }
}

/// What is read is written, and read the same; what is not is refused in words that do not grow with it.
fn read<T: FromStr<Err: Display + Debug> + PartialEq + Debug>(text: &str, write: fn(&T) -> String) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(write(&value).parse::<T>().expect("what was written is read"), value),
        Err(error) => assert!((1..1_024).contains(&error.to_string().len()), "{error}"),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    let ticket = Ticket::from_random(EventId([1; 32]), [2; 8], [3; 16]).to_text();
    let code = JoinCode::from_random([0x5a; 16]);
    let [asks, answer, addresses] = join::announced();
    assert!(join::asks(&asks) && join::answers(&answer, &addresses) == Some(2));
    let at = |address: &str| Invitation { code: code.clone(), address: Some(address.parse().unwrap()) };
    vec![
        seed(TICKET, &ticket),
        seed(TICKET, &format!("\n {ticket} \n")),
        seed(CODE, &code.to_string()),
        seed(CODE, &code.to_string().to_lowercase().replace('-', " ")),
        seed(ASK, &asks),
        seed(ANSWER, &format!("{answer}\n{addresses}")),
        seed(INVITATION, &code.to_string()),
        seed(INVITATION, &at("192.0.2.7:4001").to_string()),
        seed(INVITATION, &at("[2001:db8::7]:4001").to_string()),
    ]
}
