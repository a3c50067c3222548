//! What of a stranger's packets the host gets to see.
//!
//! The host panics on frames that are shorter than their own header, and does not ask whose channel a frame names. Both
//! is settled here: a frame goes through if it is whole, and its channel is one of its own connection.

use std::{cell::RefCell, collections::HashMap};

use bt_hci::transport::PacketKind;

/// The channel on which channels are opened and closed.
const SIGNALS: u16 = 5;

/// Channels from here on are connection-oriented.
const DYNAMIC_CHANNEL_FIRST: u16 = 0x40;

/// Channels that are remembered at most. The host has far fewer.
const CHANNELS_MAX: usize = 256;

const DISCONNECTION_COMPLETE: u8 = 0x05;

const CHANNEL_REQUEST: u8 = 0x14;
const CHANNEL_RESPONSE: u8 = 0x15;
const CLOSE_REQUEST: u8 = 0x06;
const CLOSE_RESPONSE: u8 = 0x07;

/// Knows which channel the host gave to which connection.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    connection_of: RefCell<HashMap<u16, u16>>,
}

/// The beginning of a frame of L2CAP.
struct Frame<'a> {
    connection: u16,
    channel: u16,
    /// What the header says.
    length: usize,
    /// As much of it as is here.
    body: &'a [u8],
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// Whether a packet goes on with a frame that began before.
fn continues(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|flags| flags >> 4 & 0b11 == 0b01)
}

fn frame(packet: &[u8]) -> Option<Frame<'_>> {
    let connection = number(packet, 0)? & 0x0fff;
    let (length, channel) = (number(packet, 4)?, number(packet, 6)?);
    Some(Frame { connection, channel, length: length.into(), body: &packet[8..] })
}

impl Guard {
    /// Sees a packet on its way to the adapter, without its kind.
    pub(crate) fn goes_out(&self, kind: PacketKind, packet: &[u8]) {
        if kind != PacketKind::AclData || continues(packet) {
            return;
        }
        let Some(frame) = frame(packet).filter(|frame| frame.channel == SIGNALS) else { return };
        let own_channel = match frame.body.first() {
            Some(&CHANNEL_REQUEST) => number(frame.body, 6),
            Some(&CHANNEL_RESPONSE) => number(frame.body, 4),
            _ => None,
        };
        let mut known = self.connection_of.borrow_mut();
        // A channel that was refused has number 0.
        if let Some(channel) = own_channel.filter(|channel| *channel >= DYNAMIC_CHANNEL_FIRST)
            && known.len() < CHANNELS_MAX
        {
            known.insert(channel, frame.connection);
        }
    }

    /// Whether the host may see a packet from the adapter, without its kind.
    pub(crate) fn lets_in(&self, kind: PacketKind, packet: &[u8]) -> bool {
        match kind {
            PacketKind::AclData => continues(packet) || self.lets_frame_in(packet),
            PacketKind::Event => {
                if packet.first() == Some(&DISCONNECTION_COMPLETE)
                    && let Some(gone) = number(packet, 3)
                {
                    self.connection_of.borrow_mut().retain(|_, connection| *connection != gone & 0x0fff);
                }
                true
            }
            _ => true,
        }
    }

    fn lets_frame_in(&self, packet: &[u8]) -> bool {
        let Some(frame) = frame(packet) else { return false };
        if frame.length < frame.body.len() {
            return false;
        }
        let is_own = |channel| self.connection_of.borrow().get(&channel) == Some(&frame.connection);
        if frame.channel >= DYNAMIC_CHANNEL_FIRST {
            // This crate sends units that are one frame each; a unit in pieces is nobody's who means well.
            let is_whole = number(frame.body, 0).is_some_and(|unit| usize::from(unit) + 2 == frame.length);
            return is_whole && is_own(frame.channel);
        }
        if frame.channel != SIGNALS {
            return true;
        }
        // One signal a frame, all of it here.
        let is_whole =
            number(frame.body, 2).is_some_and(|length| usize::from(length) + 4 == frame.body.len());
        is_whole
            && frame.length == frame.body.len()
            && match frame.body.first() {
                Some(&CLOSE_REQUEST) => number(frame.body, 4).is_some_and(is_own),
                Some(&CLOSE_RESPONSE) => number(frame.body, 6).is_some_and(is_own),
                _ => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(connection: u16, boundary: u16, frame: &[u8]) -> Vec<u8> {
        let mut packet = (connection | boundary << 12).to_le_bytes().to_vec();
        packet.extend_from_slice(&(frame.len() as u16).to_le_bytes());
        packet.extend_from_slice(frame);
        packet
    }

    fn lets_in(guard: &Guard, connection: u16, frame: &[u8]) -> bool {
        guard.lets_in(PacketKind::AclData, &acl(connection, 0b10, frame))
    }

    /// A guard that saw channel 0x40 be opened to connection 1, and 0x41 to connection 2.
    fn guard() -> Guard {
        let guard = Guard::default();
        let asked = [14, 0, 5, 0, CHANNEL_REQUEST, 1, 10, 0, 0xb5, 0, 0x40, 0, 251, 0, 251, 0, 60, 0];
        guard.goes_out(PacketKind::AclData, &acl(1, 0, &asked));
        let granted = [14, 0, 5, 0, CHANNEL_RESPONSE, 1, 10, 0, 0x41, 0, 251, 0, 251, 0, 60, 0, 0, 0];
        guard.goes_out(PacketKind::AclData, &acl(2, 0, &granted));
        guard
    }

    #[test]
    fn frames_go_through_on_channels_of_their_own_connection() {
        let guard = guard();
        let on = |channel: u8| [5, 0, channel, 0, 3, 0, 7, 7, 7];
        assert!(lets_in(&guard, 1, &on(0x40)) && lets_in(&guard, 2, &on(0x41)));
        assert!(!lets_in(&guard, 2, &on(0x40)) && !lets_in(&guard, 1, &on(0x41)));
        assert!(!lets_in(&guard, 1, &on(0x42)));
        let close = |channel: u8| [8, 0, 5, 0, CLOSE_REQUEST, 1, 4, 0, channel, 0, 0x40, 0];
        assert!(lets_in(&guard, 1, &close(0x40)) && !lets_in(&guard, 1, &close(0x41)));
        assert!(guard.lets_in(PacketKind::Event, &[DISCONNECTION_COMPLETE, 4, 0, 1, 0, 0x13]));
        assert!(!lets_in(&guard, 1, &on(0x40)) && lets_in(&guard, 2, &on(0x41)));
    }

    #[test]
    fn what_is_not_whole_stays_out() {
        let guard = guard();
        for frame in [
            &[][..],
            &[1, 0, 0x40],
            &[0, 0, 0x40, 0],
            &[1, 0, 0x40, 0, 7],
            &[5, 0, 0x40, 0, 0xff, 0xff, 7, 7, 7],
            &[1, 0, 0x40, 0, 3, 0, 7, 7, 7],
            &[0, 0, 5, 0],
            &[4, 0, 5, 0, 0x14, 1, 10, 0],
            &[8, 0, 5, 0, 0x14, 1, 0, 0, 0x14, 1, 0, 0],
        ] {
            assert!(!lets_in(&guard, 1, frame), "{frame:?}");
        }
        assert!(lets_in(&guard, 1, &[5, 0, 0x40, 0, 3, 0, 7]), "the rest may follow");
        assert!(guard.lets_in(PacketKind::AclData, &acl(1, 0b01, &[7])), "as it does");
        assert!(
            lets_in(&guard, 1, &[4, 0, 5, 0, 0x99, 1, 0, 0]),
            "the host answers signals it does not know"
        );
    }
}
