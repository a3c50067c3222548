//! Joining with frames that somebody else made up.

use popmesh_proto::id::EventId;

use super::asking::{self, Ask, AskNonce};
use super::exchange::{self, Answered, Broken, Channel, Greeted, Hello, Installed, Request, Verdict, With};
use super::ticket::Ticket;

/// The most bytes that a frame has.
pub const MAX_FRAME: usize = exchange::MAX_FRAME;

/// The one question.
const NONCE: AskNonce = [9; 16];

/// What both sides of these exchanges know.
fn ticket() -> Ticket {
    Ticket::from_random(EventId([1; 32]), [5; 8], [3; 16])
}

/// A place in the exchange at which a side reads a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Who admits reads the first frame.
    Hello,
    /// The new device reads the second.
    Answer,
    /// Who admits reads the third.
    Proof,
    /// The new device reads the fourth.
    Verdict,
    /// Who admits reads the last.
    Installed,
}

impl Place {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Hello, Self::Answer, Self::Proof, Self::Verdict, Self::Installed];
}

/// Two sides that know the same code and have come to a place in the exchange.
enum Sides {
    Greeted(Greeted),
    Answered(Answered),
    Proven { device: Channel, organiser: Channel },
}

fn request() -> Request {
    Request { enrolment: "popmesh-enrolment-1:AAAA".to_owned(), clock_ms: 7 }
}

/// The frame that is read at `place` in an exchange between two honest sides, and the sides before it is.
fn before(place: Place) -> Result<(Sides, Vec<u8>), Broken> {
    let (greeted, hello) = exchange::greet(With::Ticket(&ticket()));
    if place == Place::Hello {
        return Ok((Sides::Greeted(greeted), hello));
    }
    let (answered, answer) = Hello::read(&hello)?.answer(ticket().password())?;
    if place == Place::Answer {
        return Ok((Sides::Greeted(greeted), answer));
    }
    let (mut device, proof) = greeted.answered(&answer, &request())?;
    if place == Place::Proof {
        return Ok((Sides::Answered(answered), proof));
    }
    let (mut organiser, _) = answered.proven(&proof)?;
    let frame = match place {
        Place::Verdict => organiser.say(&Verdict::Refused("no".to_owned()))?,
        _ => device.say(&Installed::Yes)?,
    };
    Ok((Sides::Proven { device, organiser }, frame))
}

/// A frame that an honest side sends at `place`. Each time another: shares are random.
///
/// # Panics
/// If two sides with one code do not come to an end.
pub fn honest(place: Place) -> Vec<u8> {
    match before(place) {
        Ok((_, frame)) => frame,
        Err(broken) => panic!("an honest exchange broke at {place:?}: {broken}"),
    }
}

/// What became of a frame that a stranger made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Refused, with these words for people.
    Refused,
    /// A first frame, which anybody may send: it was answered with a frame of so many bytes.
    Answered(usize),
    /// It was believed.
    Believed,
}

/// Gives a side of an honest exchange a frame that a stranger made up.
///
/// # Panics
/// If two honest sides do not get as far as `place`, or a refusal has no words.
pub fn stranger(place: Place, frame: &[u8]) -> Heard {
    let outcome = if place == Place::Hello {
        // The answer goes to whoever asked.
        Hello::read(frame)
            .and_then(|hello| hello.answer(ticket().password()))
            .map(|(_, answer)| Heard::Answered(answer.len()))
    } else {
        let sides = match before(place) {
            Ok((sides, _)) => sides,
            Err(broken) => panic!("an honest exchange broke before {place:?}: {broken}"),
        };
        match sides {
            Sides::Greeted(greeted) => greeted.answered(frame, &request()).map(drop),
            Sides::Answered(answered) => answered.proven(frame).map(drop),
            Sides::Proven { mut device, .. } if place == Place::Verdict => {
                device.hear::<Verdict>(frame).map(drop)
            }
            Sides::Proven { mut organiser, .. } => organiser.hear::<Installed>(frame).map(drop),
        }
        .map(|()| Heard::Believed)
    };
    outcome.unwrap_or_else(|broken| {
        assert!(!broken.to_string().is_empty(), "a refusal without words");
        Heard::Refused
    })
}

/// What a frame says, written anew; none if it is no frame.
pub fn rewritten(frame: &[u8]) -> Option<Vec<u8>> {
    exchange::rewritten(frame)
}

/// What the other side sealed, written anew: a request if `place` is [`Place::Proof`], a verdict if it is
/// [`Place::Verdict`], else the last word. None if it is none.
pub fn sealed_rewritten(place: Place, plain: &[u8]) -> Option<Vec<u8>> {
    match place {
        Place::Proof => exchange::decoded::<Request>(plain),
        Place::Verdict => exchange::decoded::<Verdict>(plain),
        _ => exchange::decoded::<Installed>(plain),
    }
}

/// What the other side seals at a place, in the clear, for seeds.
pub fn sealed(place: Place) -> Vec<Vec<u8>> {
    let text = |text: &str| text.to_owned();
    match place {
        Place::Proof => vec![exchange::encode(&request())],
        Place::Verdict => {
            let package = exchange::Package {
                charter: text("popmesh-charter-1:AAAA"),
                certificate: text("popmesh-certificate-1:AAAA"),
                secret: text("popmesh-sealed-secret-1:AAAA"),
                clock_ms: 8,
            };
            vec![
                exchange::encode(&Verdict::Admitted(package)),
                exchange::encode(&Verdict::Refused(text("no"))),
            ]
        }
        _ => vec![exchange::encode(&Installed::Yes), exchange::encode(&Installed::No(text("full")))],
    }
}

/// Whether what somebody announces asks about the ticket of these exchanges.
pub fn asks(text: &str) -> bool {
    asking::heard(text, &ticket()).is_some()
}

/// How many addresses somebody names who says that it answers the one question that is asked here; none if it is no answer.
pub fn answers(answer: &str, at: &str) -> Option<usize> {
    Ask::new(&ticket(), NONCE).answered(&ticket(), answer, at).map(|addresses| addresses.len())
}

/// What is announced between two that have the ticket: the question, the answer to it, and the addresses in that.
pub fn announced() -> [String; 3] {
    let ask = Ask::new(&ticket(), NONCE);
    let addresses = ["192.0.2.7:4001", "[2001:db8::7]:4001"].map(|it| it.parse());
    let addresses: Vec<_> = addresses.into_iter().flatten().collect();
    let (answer, at) = asking::answer(&ticket(), &NONCE, NONCE, &addresses);
    [ask.text().to_owned(), answer, at]
}

/// The word with which a side goes no further.
pub fn refusal() -> Vec<u8> {
    exchange::refusal()
}
