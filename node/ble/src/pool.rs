//! Packets of the host: from the heap, and bounded.

use std::sync::atomic::{AtomicUsize, Ordering};

use trouble_host::{Packet, PacketPool};

use super::{session::LINKS_MAX, window::UNITS_MAX};

/// What one packet of the air holds, with data length extension, and its L2CAP header.
const PACKET_BYTES: usize = 255;

/// For each link what it may have under way, and some more for what is not counted.
const PACKETS_MAX: usize = LINKS_MAX * (UNITS_MAX as usize + 16);

static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// A packet. It counts until it is dropped.
pub(crate) struct HeapPacket(Box<[u8; PACKET_BYTES]>);

impl Packet for HeapPacket {}

impl AsRef<[u8]> for HeapPacket {
    fn as_ref(&self) -> &[u8] {
        &*self.0
    }
}

impl AsMut<[u8]> for HeapPacket {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut *self.0
    }
}

impl Drop for HeapPacket {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The packets of all hosts of a process; there is one, but for tests.
pub(crate) struct Pool;

impl PacketPool for Pool {
    type Packet = HeapPacket;

    const MTU: usize = PACKET_BYTES;

    fn allocate() -> Option<HeapPacket> {
        let taken = IN_USE.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            (used < PACKETS_MAX).then_some(used + 1)
        });
        taken.ok().map(|_| HeapPacket(Box::new([0; PACKET_BYTES])))
    }

    fn capacity() -> usize {
        PACKETS_MAX
    }
}
