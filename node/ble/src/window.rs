//! What may be under way on a link, counted in units, and the byte before each unit that tells.
//!
//! L2CAP has credits for this. The host gives them back for what came in and not for what was taken, so with them alone
//! a reader that is slow would lose units. Here the other end may send so many units as its user's reader has room for,
//! and no more come in than the host has room for.
//!
//! The first byte of a unit says how many units were taken since it was last said, and whether this is the end. A unit
//! without more is not counted.

use std::cell::Cell;

use tokio::sync::Notify;

/// Units under way in each direction at most.
pub(crate) const UNITS_MAX: u8 = 32;

/// What was taken is said after so many units, unless a unit goes that way sooner.
const TELL_AFTER: u8 = UNITS_MAX / 2;

const END: u8 = 0x80;

/// The other end does not keep to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// What a unit says besides its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Nothing,
    End,
}

/// The window of one link.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Units sent that the other end has not taken.
    sent: Cell<u8>,
    /// Units that came in and were not yet said to be taken.
    received: Cell<u8>,
    /// Those of them that were taken.
    taken: Cell<u8>,
    /// Told of everything that a sender may wait for.
    pub(crate) changed: Notify,
}

impl Window {
    /// Whether a unit may be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.sent.get() < UNITS_MAX
    }

    /// Whether the other end is to be told, with or without bytes to send.
    pub(crate) fn must_tell(&self) -> bool {
        self.taken.get() >= TELL_AFTER
    }

    /// The byte before a unit that is about to be sent.
    pub(crate) fn send(&self, has_bytes: bool) -> u8 {
        if has_bytes {
            self.sent.set(self.sent.get() + 1);
        }
        let taken = self.taken.take();
        self.received.set(self.received.get() - taken);
        taken
    }

    /// The byte of the last unit.
    pub(crate) fn end(&self) -> u8 {
        self.send(false) | END
    }

    /// A unit came in.
    pub(crate) fn receive(&self, unit: &[u8]) -> Result<Unit, Broken> {
        let (first, bytes) = unit.split_first().ok_or(Broken)?;
        let sent = self.sent.get().checked_sub(first & !END).ok_or(Broken)?;
        self.sent.set(sent);
        self.changed.notify_one();
        if first & END != 0 {
            return if bytes.is_empty() { Ok(Unit::End) } else { Err(Broken) };
        }
        if bytes.is_empty() {
            return Ok(Unit::Nothing);
        }
        if self.received.get() >= UNITS_MAX {
            return Err(Broken);
        }
        self.received.set(self.received.get() + 1);
        Ok(Unit::Bytes)
    }

    /// The user took a unit that came in.
    pub(crate) fn take(&self) {
        self.taken.set(self.taken.get() + 1);
        if self.must_tell() {
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_as_the_other_end_takes() {
        let (one, other) = (Window::default(), Window::default());
        for number in 0..1_000 {
            while one.is_open() {
                assert_eq!(other.receive(&[one.send(true), 7]), Ok(Unit::Bytes));
            }
            assert!(!other.must_tell(), "{number}");
            while !other.must_tell() {
                other.take();
            }
            assert_eq!(one.receive(&[other.send(false)]), Ok(Unit::Nothing));
            assert!(one.is_open());
        }
        assert_eq!(other.receive(&[one.end()]), Ok(Unit::End));
    }

    #[test]
    fn what_breaks_it_is_noticed() {
        let window = Window::default();
        assert_eq!(window.receive(&[]), Err(Broken));
        assert_eq!(window.receive(&[1]), Err(Broken), "it takes what was not sent");
        assert_eq!(window.receive(&[END, 1]), Err(Broken), "it goes on after the end");
        for _ in 0..UNITS_MAX {
            assert_eq!(window.receive(&[0, 1]), Ok(Unit::Bytes));
        }
        assert_eq!(window.receive(&[0, 1]), Err(Broken), "it sends more than it may");
    }
}
