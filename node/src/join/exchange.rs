//! What the two sides say to each other, as state machines without I/O. Five frames, and the new device always speaks
//! first. The other side is called the organiser here, also where it is a device that may admit others:
//!
//! ```text
//! new device                                   organiser
//!   Hello    ticket's mark, SPAKE2 share   →
//!                                          ←   Answer   SPAKE2 share, tag
//!   Proof    tag, sealed Request           →
//!                                          ←   Sealed   Verdict
//!   Sealed   Installed                     →
//! ```
//!
//! Every key is derived from SPAKE2's and a hash of `Hello` and of the answer's share, so one altered bit in either makes
//! all tags and seals wrong. A tag is compared before anything is opened: an AEAD alone would let one ciphertext try many
//! codes at once (Len, Grubbs, Ristenpart, "Partitioning Oracle Attacks", USENIX Security 2021). The organiser proves
//! itself first; a device's name and key go to nobody else. Until both have proven themselves nothing is said but shares,
//! tags and one refusal that is the same for every reason; a ticket's mark is keyed with its secret and differs each time,
//! so strangers learn neither which event this is nor whether two devices have the same ticket. Each side seals with a key of its own, and counts.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use minicbor::bytes::{ByteArray, ByteVec};
use sha2::{Digest, Sha256};
use spake2::rand_core::CryptoRng;
use spake2::{Ed25519Group, Identity, Password, Spake2, SysRng, UnwrapErr};
use zeroize::Zeroizing;

use super::code::JoinCode;
use super::ticket::{MARK, Ticket};

/// The most bytes that a frame has.
pub(super) const MAX_FRAME: usize = 16 * 1024;
const VERSION: u8 = 2;
const NEW_DEVICE: &[u8] = b"popmesh join v1: new device";
const ORGANISER: &[u8] = b"popmesh join v1: organiser";
const TRANSCRIPT: &[u8] = b"popmesh join v1: transcript";

/// Why an exchange goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// Not what is said at this point.
    #[error("the other side speaks another language than joining does; is it popmesh, of a like version?")]
    Malformed,
    /// The other side does not know the code, or somebody between replaced something.
    #[error(
        "the other side has another code or ticket, or somebody between the two is replacing what they say"
    )]
    Unproven,
    /// Damaged after both had proven themselves.
    #[error("somebody between the two is replacing what they say")]
    Replaced,
    /// The other side says, unproven, that it goes no further. There is one such word for every reason, so a stranger
    /// learns nothing from it, and who hears it cannot know whether the other side said it.
    #[error(
        "the other side refuses: it does not know this code or ticket, or somebody between the two is replacing what \
         they say"
    )]
    Refused,
    /// A ticket where a code is wanted, or the other way round.
    #[error("the other side has a ticket where a code is wanted, or the other way round")]
    OtherWay,
}

#[derive(minicbor::Encode, minicbor::Decode)]
enum Frame {
    #[n(0)]
    Hello {
        #[n(0)]
        version: u8,
        #[n(1)]
        ticket: Option<ByteArray<MARK>>,
        #[n(2)]
        share: ByteVec,
    },
    #[n(1)]
    Answer {
        #[n(0)]
        share: ByteVec,
        #[n(1)]
        tag: ByteArray<32>,
    },
    #[n(2)]
    Proof {
        #[n(0)]
        tag: ByteArray<32>,
        #[n(1)]
        sealed: ByteVec,
    },
    #[n(3)]
    Sealed(#[n(0)] ByteVec),
    #[n(4)]
    Refused,
}

/// What a new device asks for.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub(super) struct Request {
    /// Its enrolment.
    #[n(0)]
    pub(super) enrolment: String,
    /// What its clock says, Unix milliseconds.
    #[n(1)]
    pub(super) clock_ms: u64,
}

/// What the organiser answers.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub(super) enum Verdict {
    /// Admitted.
    #[n(0)]
    Admitted(#[n(0)] Package),
    /// Not admitted, and why.
    #[n(1)]
    Refused(#[n(0)] String),
}

/// What a device installs, in text forms, and the clock to compare its own with.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub(super) struct Package {
    #[n(0)]
    pub(super) charter: String,
    #[n(1)]
    pub(super) certificate: String,
    /// Sealed to the device once more.
    #[n(2)]
    pub(super) secret: String,
    /// What the organiser's clock says, Unix milliseconds.
    #[n(3)]
    pub(super) clock_ms: u64,
}

/// What became of it on the new device.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub(super) enum Installed {
    /// It has its place in the event.
    #[n(0)]
    Yes,
    /// It has not, and why.
    #[n(1)]
    No(#[n(0)] String),
}

/// A side's word that it goes no further: the same bytes whatever the reason.
pub(super) fn refusal() -> Vec<u8> {
    encode(&Frame::Refused)
}

/// The new device, which has said `Hello`.
pub(super) struct Greeted {
    spake: Spake2<Ed25519Group>,
    hello: Vec<u8>,
}

/// What a new device has to show.
#[derive(Clone, Copy)]
pub(super) enum With<'a> {
    /// The code on its screen.
    Code(&'a JoinCode),
    /// A ticket that it was given.
    Ticket(&'a Ticket),
}

impl<'a> With<'a> {
    fn password(self) -> &'a [u8] {
        match self {
            With::Code(code) => code.password(),
            With::Ticket(ticket) => ticket.password(),
        }
    }
}

/// The new device begins: what it waits with, and the frame to send.
pub(super) fn greet(with: With<'_>) -> (Greeted, Vec<u8>) {
    greet_by(with, UnwrapErr(SysRng))
}

/// The same, with this chance.
fn greet_by(with: With<'_>, chance: impl CryptoRng) -> (Greeted, Vec<u8>) {
    let password = Password::new(with.password());
    let (spake, share) = Spake2::<Ed25519Group>::start_a_with_rng(&password, &names().0, &names().1, chance);
    let ticket = match with {
        With::Code(_) => None,
        With::Ticket(ticket) => Some(ticket.hello_mark(&share).into()),
    };
    let hello = encode(&Frame::Hello { version: VERSION, ticket, share: share.into() });
    (Greeted { spake, hello: hello.clone() }, hello)
}

impl Greeted {
    /// The organiser answered: the frame to send.
    pub(super) fn answered(self, frame: &[u8], request: &Request) -> Result<(Channel, Vec<u8>), Broken> {
        let Frame::Answer { share, tag } = decode(frame)? else { return Err(Broken::Malformed) };
        let key = Zeroizing::new(self.spake.finish(&share).map_err(|_| Broken::Unproven)?);
        let (mut channel, tags) = Channel::derive(&key, &self.hello, &share, Side::NewDevice);
        tags.check(Side::Organiser, &tag)?;
        let sealed = channel.seal(request)?;
        Ok((channel, encode(&Frame::Proof { tag: tags.of(Side::NewDevice), sealed })))
    }
}

/// What a new device said first.
pub(super) struct Hello {
    /// The mark of the ticket that it has; a code if absent.
    ticket: Option<[u8; MARK]>,
    share: Vec<u8>,
    frame: Vec<u8>,
}

impl Hello {
    /// Reads it.
    pub(super) fn read(frame: &[u8]) -> Result<Self, Broken> {
        match decode(frame)? {
            Frame::Hello { version: VERSION, ticket, share } => {
                Ok(Self { ticket: ticket.map(Into::into), share: share.into(), frame: frame.to_vec() })
            }
            _ => Err(Broken::Malformed),
        }
    }

    /// Whether it has a ticket to show, and no code.
    pub(super) fn has_ticket(&self) -> bool {
        self.ticket.is_some()
    }

    /// Whether it says that it has this ticket. Whoever has not cannot find out which tickets there are.
    pub(super) fn is_with(&self, ticket: &Ticket) -> bool {
        self.ticket.is_some_and(|mark| ticket.hello_mark(&self.share) == mark)
    }

    /// The organiser answers: what it waits with, and the frame to send.
    pub(super) fn answer(self, password: &[u8]) -> Result<(Answered, Vec<u8>), Broken> {
        self.answer_by(password, UnwrapErr(SysRng))
    }

    /// The same, with this chance.
    fn answer_by(self, password: &[u8], chance: impl CryptoRng) -> Result<(Answered, Vec<u8>), Broken> {
        let (password, (new_device, organiser)) = (Password::new(password), names());
        let (spake, share) =
            Spake2::<Ed25519Group>::start_b_with_rng(&password, &new_device, &organiser, chance);
        let key = Zeroizing::new(spake.finish(&self.share).map_err(|_| Broken::Unproven)?);
        let (channel, tags) = Channel::derive(&key, &self.frame, &share, Side::Organiser);
        let frame = encode(&Frame::Answer { share: share.into(), tag: tags.of(Side::Organiser) });
        Ok((Answered { channel, tags }, frame))
    }
}

/// The organiser, which has answered.
pub(super) struct Answered {
    channel: Channel,
    tags: Tags,
}

impl Answered {
    /// The new device proved itself, and asks.
    pub(super) fn proven(mut self, frame: &[u8]) -> Result<(Channel, Request), Broken> {
        let Frame::Proof { tag, sealed } = decode(frame)? else { return Err(Broken::Malformed) };
        self.tags.check(Side::NewDevice, &tag)?;
        let request = self.channel.open(&sealed)?;
        Ok((self.channel, request))
    }
}

/// What both have once they proved themselves.
pub(super) struct Channel {
    transcript: [u8; 32],
    sends: Seal,
    receives: Seal,
}

impl Channel {
    fn derive(key: &[u8], hello: &[u8], share: &[u8], side: Side) -> (Self, Tags) {
        let mut hasher = Sha256::new_with_prefix(TRANSCRIPT);
        for part in [hello, share] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let transcript: [u8; 32] = hasher.finalize().into();
        let derived = Hkdf::<Sha256>::new(Some(&transcript), key);
        let seal = |of: Side| Seal { key: expand(&derived, of, b"seal"), count: 0 };
        let (sends, receives) = (seal(side), seal(side.other()));
        let tag = |of: Side| expand(&derived, of, b"tag");
        let tags = Tags { new_device: tag(Side::NewDevice), organiser: tag(Side::Organiser), transcript };
        (Self { transcript, sends, receives }, tags)
    }

    /// Seals what is sent next, as a frame.
    pub(super) fn say(&mut self, value: &impl minicbor::Encode<()>) -> Result<Vec<u8>, Broken> {
        Ok(encode(&Frame::Sealed(self.seal(value)?)))
    }

    /// Opens what came next.
    pub(super) fn hear<T: for<'b> minicbor::Decode<'b, ()>>(&mut self, frame: &[u8]) -> Result<T, Broken> {
        let Frame::Sealed(sealed) = decode(frame)? else { return Err(Broken::Malformed) };
        self.open(&sealed)
    }

    fn seal(&mut self, value: &impl minicbor::Encode<()>) -> Result<ByteVec, Broken> {
        let plain = Zeroizing::new(encode(value));
        let (cipher, nonce) = self.sends.next();
        let payload = Payload { msg: &plain, aad: &self.transcript };
        Ok(cipher.encrypt(&nonce, payload).map_err(|_| Broken::Malformed)?.into())
    }

    fn open<T: for<'b> minicbor::Decode<'b, ()>>(&mut self, sealed: &[u8]) -> Result<T, Broken> {
        let (cipher, nonce) = self.receives.next();
        let payload = Payload { msg: sealed, aad: &self.transcript };
        let plain = Zeroizing::new(cipher.decrypt(&nonce, payload).map_err(|_| Broken::Replaced)?);
        minicbor::decode(&plain).map_err(|_| Broken::Malformed)
    }
}

struct Seal {
    key: Zeroizing<[u8; 32]>,
    count: u64,
}

impl Seal {
    fn next(&mut self) -> (ChaCha20Poly1305, Nonce) {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.count.to_be_bytes());
        self.count += 1;
        (ChaCha20Poly1305::new(&(*self.key).into()), nonce.into())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    NewDevice,
    Organiser,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Side::NewDevice => Side::Organiser,
            Side::Organiser => Side::NewDevice,
        }
    }

    fn name(self) -> &'static [u8] {
        match self {
            Side::NewDevice => NEW_DEVICE,
            Side::Organiser => ORGANISER,
        }
    }
}

/// How each side proves that it has the same key.
struct Tags {
    new_device: Zeroizing<[u8; 64]>,
    organiser: Zeroizing<[u8; 64]>,
    transcript: [u8; 32],
}

impl Tags {
    fn mac(&self, side: Side) -> Hmac<Sha256> {
        let key = match side {
            Side::NewDevice => &self.new_device,
            Side::Organiser => &self.organiser,
        };
        Hmac::<Sha256>::new(&(**key).into()).chain_update(self.transcript)
    }

    fn of(&self, side: Side) -> ByteArray<32> {
        <[u8; 32]>::from(self.mac(side).finalize().into_bytes()).into()
    }

    /// In constant time.
    fn check(&self, side: Side, tag: &ByteArray<32>) -> Result<(), Broken> {
        self.mac(side).verify_slice(&tag[..]).map_err(|_| Broken::Unproven)
    }
}

fn names() -> (Identity, Identity) {
    (Identity::new(NEW_DEVICE), Identity::new(ORGANISER))
}

fn expand<const N: usize>(derived: &Hkdf<Sha256>, side: Side, what: &[u8]) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    // SHA-256 gives 255 times 32 bytes before it runs out.
    let _ = derived.expand_multi_info(&[side.name(), b": ", what], &mut *key);
    key
}

pub(super) fn encode(value: &impl minicbor::Encode<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = minicbor::encode(value, &mut bytes);
    bytes
}

fn decode(frame: &[u8]) -> Result<Frame, Broken> {
    let mut decoder = minicbor::Decoder::new(frame);
    match decoder.decode().map_err(|_| Broken::Malformed)? {
        Frame::Refused => Err(Broken::Refused),
        _ if decoder.position() != frame.len() => Err(Broken::Malformed),
        frame => Ok(frame),
    }
}

/// What a frame says, written anew; none if it is no frame.
pub(super) fn rewritten(frame: &[u8]) -> Option<Vec<u8>> {
    match decode(frame) {
        Ok(frame) => Some(encode(&frame)),
        Err(Broken::Refused) => Some(refusal()),
        Err(_) => None,
    }
}

/// What was sealed as a `T`, written anew; none if it is none.
pub(super) fn decoded<T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()>>(
    plain: &[u8],
) -> Option<Vec<u8>> {
    minicbor::decode::<T>(plain).ok().map(|value| encode(&value))
}

#[cfg(test)]
mod known;
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use popmesh_proto::id::EventId;

    use super::*;

    fn code(text: &str) -> JoinCode {
        text.parse().unwrap()
    }

    fn ticket() -> Ticket {
        Ticket::from_random(EventId([1; 32]), [5; 8], [3; 16])
    }

    fn request() -> Request {
        Request { enrolment: "popmesh-enrolment-1:AAAA".to_owned(), clock_ms: 7 }
    }

    fn verdict() -> Verdict {
        let text = |text: &str| text.to_owned();
        Verdict::Admitted(Package {
            charter: text("c"),
            certificate: text("d"),
            secret: text("s"),
            clock_ms: 8,
        })
    }

    /// Runs an exchange in which `between` may alter each frame, counted from 0; how each side ended.
    fn run(
        ours: With<'_>,
        theirs: &[u8],
        mut between: impl FnMut(usize, &mut Vec<u8>),
    ) -> [Result<(), Broken>; 2] {
        let mut carry = |number, mut frame: Vec<u8>| {
            between(number, &mut frame);
            frame
        };
        let (greeted, hello) = greet(ours);
        let answer = Hello::read(&carry(0, hello)).and_then(|hello| hello.answer(theirs));
        let (answered, answer) = match answer {
            Ok(both) => both,
            Err(broken) => return [Ok(()), Err(broken)],
        };
        let (mut device, proof) = match greeted.answered(&carry(1, answer), &request()) {
            Ok(both) => both,
            Err(broken) => {
                return [Err(broken), answered.proven(&refusal()).map(drop)];
            }
        };
        let (mut organiser, asked) = match answered.proven(&carry(2, proof)) {
            Ok(both) => both,
            Err(broken) => {
                return [device.hear::<Verdict>(&refusal()).map(drop), Err(broken)];
            }
        };
        assert_eq!(asked, request());
        let heard = device.hear::<Verdict>(&carry(3, organiser.say(&verdict()).unwrap()));
        match heard {
            Err(broken) => return [Err(broken), Ok(())],
            Ok(heard) => assert_eq!(heard, verdict()),
        }
        let done = organiser.hear::<Installed>(&carry(4, device.say(&Installed::Yes).unwrap()));
        [Ok(()), done.map(|done| assert_eq!(done, Installed::Yes))]
    }

    #[test]
    fn who_knows_the_code_gets_through() {
        assert_eq!(run(With::Ticket(&ticket()), ticket().password(), |_, _| {}), [Ok(()), Ok(())]);
    }

    #[test]
    fn who_does_not_is_seen_by_both() {
        let [device, organiser] =
            run(With::Code(&code("417-7K2-M9Q")), code("417-7K2-M9R").password(), |_, _| {});
        assert_eq!(device, Err(Broken::Unproven));
        assert_eq!(organiser, Err(Broken::Refused));
    }

    #[test]
    fn a_guess_in_the_middle_with_shares_of_its_own_is_seen_by_both() {
        // To the device it plays the organiser, to the organiser the device, each with a code of its own choice.
        let (greeted, hello) = greet(With::Code(&code("417-7K2-M9Q")));
        let (_, answer) = Hello::read(&hello).unwrap().answer(code("417-000-000").password()).unwrap();
        assert_eq!(greeted.answered(&answer, &request()).map(drop), Err(Broken::Unproven));
        let (attacker, hello) = greet(With::Code(&code("417-000-000")));
        let (organiser, answer) =
            Hello::read(&hello).unwrap().answer(code("417-7K2-M9Q").password()).unwrap();
        assert_eq!(attacker.answered(&answer, &request()).map(drop), Err(Broken::Unproven));
        // Without the key it can prove nothing.
        let forged = Frame::Proof { tag: [0; 32].into(), sealed: vec![0; 64].into() };
        assert_eq!(organiser.proven(&encode(&forged)).map(drop), Err(Broken::Unproven));
    }

    #[test]
    fn its_own_words_sent_back_to_a_side_are_none_of_the_other() {
        let (greeted, hello) = greet(With::Code(&code("417-7K2-M9Q")));
        assert!(greeted.answered(&hello, &request()).is_err());
        let (greeted, hello) = greet(With::Code(&code("417-7K2-M9Q")));
        let (answered, answer) = Hello::read(&hello).unwrap().answer(code("417-7K2-M9Q").password()).unwrap();
        let (mut device, proof) = greeted.answered(&answer, &request()).unwrap();
        let (mut organiser, _) = answered.proven(&proof).unwrap();
        let own = device.say(&Installed::Yes).unwrap();
        assert_eq!(device.hear::<Installed>(&own), Err(Broken::Replaced));
        assert_eq!(organiser.hear::<Installed>(&own), Ok(Installed::Yes));
        assert_eq!(organiser.hear::<Installed>(&own), Err(Broken::Replaced), "said twice");
    }

    #[test]
    fn every_altered_bit_is_seen_by_whoever_it_was_sent_to() {
        let mut lengths = [0; 5];
        assert_eq!(
            run(With::Ticket(&ticket()), ticket().password(), |number, frame| lengths[number] = frame.len()),
            [Ok(()), Ok(())]
        );
        for (number, length) in lengths.into_iter().enumerate() {
            for bit in (0..length * 8).step_by(7) {
                let ends = run(With::Ticket(&ticket()), ticket().password(), |at, frame| {
                    if at == number {
                        frame[bit / 8] ^= 1 << (bit % 8);
                    }
                });
                // What goes to the organiser are the even ones. A hello with another share is noticed by the
                // first that compares a tag, which is the device.
                let seen = if number == 0 {
                    ends.iter().any(Result::is_err)
                } else {
                    ends[(number + 1) % 2].is_err()
                };
                assert!(seen, "bit {bit} of frame {number} was altered: {ends:?}");
            }
        }
    }

    #[test]
    fn a_hello_for_another_ticket_is_seen() {
        let ends = run(With::Ticket(&ticket()), ticket().password(), |number, frame| {
            if number == 0 {
                let hello = Hello::read(frame).unwrap();
                assert!(hello.is_with(&ticket()));
                let mark = hello.ticket.unwrap();
                let at = frame.windows(MARK).position(|bytes| bytes == mark).unwrap();
                frame[at] ^= 1;
                assert!(!Hello::read(frame).unwrap().is_with(&ticket()));
            }
        });
        assert_eq!(ends[0], Err(Broken::Unproven));
    }

    #[test]
    fn a_hello_says_nothing_of_its_ticket_and_nothing_twice() {
        let frames = [(); 2].map(|()| greet(With::Ticket(&ticket())).1);
        for frame in &frames {
            for known in [&ticket().event.0[..], &ticket().id.0, ticket().password()] {
                assert!(!frame.windows(8).any(|bytes| bytes == &known[..8]));
            }
        }
        let marks = frames.map(|frame| Hello::read(&frame).unwrap().ticket);
        assert_ne!(marks[0], marks[1]);
        assert!(!Hello::read(&greet(With::Code(&code("417-7K2-M9Q"))).1).unwrap().is_with(&ticket()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(frame in proptest::collection::vec(any::<u8>(), 0..200), number in 0..5_usize) {
            let ends = run(With::Ticket(&ticket()), ticket().password(), |at, given| if at == number { given.clone_from(&frame) });
            prop_assert!(ends.iter().any(Result::is_err));
        }
    }
}
