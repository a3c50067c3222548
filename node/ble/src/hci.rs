//! Packets to and from the adapter: counted, bounded, and whole, whoever gives up waiting.

use std::{convert::Infallible, io, sync::Arc};

use bt_hci::{
    ReadHciError,
    transport::{PacketKind, PacketToController, PacketToHost, Transport, WithIndicator},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    sync::{Mutex, Notify, mpsc},
};

use super::{
    adapter::Wires,
    counters::{Counting, add},
    guard::Guard,
};

/// Packets that wait to be written.
const UNWRITTEN_PACKETS_MAX: usize = 16;

/// The largest packet that the host takes, with its header: it has 259 bytes for one.
const PACKET_BYTES_MAX: usize = 259;

/// Why there is no packet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HciError {
    /// The adapter is gone.
    #[error("the adapter is gone: {0}")]
    Gone(#[from] io::Error),
    /// The adapter says what no adapter says.
    #[error("the adapter does not speak HCI: {0}")]
    Nonsense(&'static str),
}

impl embedded_io::Error for HciError {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Gone(_) => embedded_io::ErrorKind::BrokenPipe,
            Self::Nonsense(_) => embedded_io::ErrorKind::InvalidData,
        }
    }
}

impl From<ReadHciError<Infallible>> for HciError {
    fn from(_: ReadHciError<Infallible>) -> Self {
        Self::Nonsense("an answer is malformed")
    }
}

/// HCI as the host wants it.
pub(crate) struct Hci {
    from: Mutex<Box<dyn AsyncRead + Unpin>>,
    to: mpsc::Sender<Vec<u8>>,
    counting: Arc<Counting>,
    guard: Guard,
    called: Arc<Notify>,
}

/// The transport, which tells `called` when somebody has connected to this device, and what writes for it: a packet that was begun is written to its end though whoever sends it gives up.
pub(crate) fn open(
    wires: Wires,
    counting: Arc<Counting>,
    called: Arc<Notify>,
) -> (Hci, impl Future<Output = Result<Infallible, HciError>>) {
    let (to, mut packets) = mpsc::channel::<Vec<u8>>(UNWRITTEN_PACKETS_MAX);
    let mut wire = wires.to;
    let count = Arc::clone(&counting);
    let write = async move {
        while let Some(packet) = packets.recv().await {
            wire.write_all(&packet).await?;
            wire.flush().await?;
            add(&count.hci_bytes_out, packet.len() as u64);
            if packet.first() == Some(&(PacketKind::AclData as u8)) {
                add(&count.link_bytes_out, packet.len() as u64);
            }
        }
        Err(HciError::Gone(io::ErrorKind::BrokenPipe.into()))
    };
    (Hci { from: Mutex::new(wires.from), to, counting, guard: Guard::default(), called }, write)
}

impl embedded_io::ErrorType for Hci {
    type Error = HciError;
}

impl Transport for Hci {
    async fn read<'a, P: PacketToHost<'a>>(&self, into: &'a mut [u8]) -> Result<P, HciError> {
        let mut from = self.from.lock().await;
        let mut packet = [0; PACKET_BYTES_MAX];
        loop {
            let (kind, length) = self.read_packet(&mut **from, &mut packet).await?;
            let Some(packet) = packet.get(..length).filter(|packet| self.guard.lets_in(kind, packet)) else {
                add(&self.counting.malformed, 1);
                continue;
            };
            if kind == PacketKind::Event && is_call(packet) {
                self.called.notify_one();
            }
            return P::read_hci(kind, &mut &*packet, into)
                .map_err(|_| HciError::Nonsense("a packet is malformed"));
        }
    }

    async fn write<P: PacketToController>(&self, packet: &P) -> Result<(), HciError> {
        let mut bytes = Vec::with_capacity(packet.size() + 1);
        let written = WithIndicator::new(packet).write_hci(&mut bytes);
        debug_assert!(written.is_ok(), "memory takes everything");
        self.guard.goes_out(P::KIND, bytes.get(1..).unwrap_or_default());
        self.to.send(bytes).await.map_err(|_| HciError::Gone(io::ErrorKind::BrokenPipe.into()))
    }
}

impl Hci {
    /// Reads one packet to its end, and as much of it as there is room for. Says how long it is.
    async fn read_packet(
        &self,
        from: &mut (dyn AsyncRead + Unpin),
        packet: &mut [u8; PACKET_BYTES_MAX],
    ) -> Result<(PacketKind, usize), HciError> {
        let kind = match from.read_u8().await? {
            2 => PacketKind::AclData,
            3 => PacketKind::SyncData,
            4 => PacketKind::Event,
            5 => PacketKind::IsoData,
            _ => return Err(HciError::Nonsense("an unknown kind of packet")),
        };
        let head_bytes = match kind {
            PacketKind::AclData | PacketKind::IsoData => 4,
            PacketKind::SyncData => 3,
            _ => 2,
        };
        let (head, room) = packet.split_at_mut(head_bytes);
        from.read_exact(head).await?;
        let body_bytes = match kind {
            PacketKind::AclData => usize::from(u16::from_le_bytes([head[2], head[3]])),
            PacketKind::IsoData => usize::from(u16::from_le_bytes([head[2], head[3]]) & 0x3fff),
            _ => usize::from(head[head_bytes - 1]),
        };
        let fits = body_bytes.min(room.len());
        from.read_exact(&mut room[..fits]).await?;
        let beyond = (body_bytes - fits) as u64;
        if beyond > 0 {
            let skipped = tokio::io::copy(&mut from.take(beyond), &mut tokio::io::sink()).await?;
            if skipped < beyond {
                return Err(HciError::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let bytes = (1 + head_bytes + body_bytes) as u64;
        add(&self.counting.hci_bytes_in, bytes);
        if kind == PacketKind::AclData {
            add(&self.counting.link_bytes_in, bytes);
        }
        Ok((kind, head_bytes + body_bytes))
    }
}

/// Whether an event says that somebody connected to this device.
fn is_call(event: &[u8]) -> bool {
    const LE: u8 = 0x3e;
    const CONNECTED: [u8; 2] = [0x01, 0x0a];
    const PERIPHERAL: u8 = 1;
    matches!(event, [LE, _, kind, 0, _, _, PERIPHERAL, ..] if CONNECTED.contains(kind))
}

#[cfg(test)]
mod tests {
    use bt_hci::ControllerToHostPacket;

    use super::*;

    fn acl(boundary: u8, data: &[u8]) -> Vec<u8> {
        let mut packet = vec![2, 1, boundary << 4];
        packet.extend_from_slice(&(data.len() as u16).to_le_bytes());
        packet.extend_from_slice(data);
        packet
    }

    async fn read_all(bytes: &'static [u8]) -> (usize, crate::Counters) {
        let counting = Arc::new(Counting::default());
        let wires = Wires { from: Box::new(bytes), to: Box::new(tokio::io::sink()) };
        let (hci, _write) = open(wires, Arc::clone(&counting), Arc::default());
        let mut read = 0;
        let mut buffer = [0; 259];
        while hci.read::<ControllerToHostPacket<'_>>(&mut buffer).await.is_ok() {
            read += 1;
        }
        (read, counting.read())
    }

    #[tokio::test]
    async fn what_would_break_the_host_is_left_out_and_counted() {
        let good: [Vec<u8>; 3] =
            [acl(0b01, &[7]), acl(0b10, &[1, 0, 4, 0, 1]), vec![4, 0x05, 4, 0, 1, 0, 0x13]];
        let bad: [Vec<u8>; 3] =
            [acl(0b10, &[]), acl(0b10, &[5, 0, 0x40, 0, 3, 0, 7, 7, 7]), acl(0b10, &[0; 1_000])];
        let bytes: Vec<u8> = bad.iter().chain(&good).flatten().copied().collect();
        let total = bytes.len() as u64;
        let over_links = total - good[2].len() as u64;
        let (read, counters) = read_all(Box::leak(bytes.into_boxed_slice())).await;
        assert_eq!(read, good.len());
        assert_eq!(counters.malformed, bad.len() as u64);
        assert_eq!((counters.hci_bytes_in, counters.link_bytes_in), (total, over_links));
    }

    #[tokio::test]
    async fn any_bytes_are_read_without_a_panic() {
        for seed in 0..=255_u8 {
            let bytes: Vec<u8> = (0..2_000_u32)
                .map(|at| {
                    let mixed = at.wrapping_mul(2_654_435_761).wrapping_add(u32::from(seed) << 13);
                    // Kinds of packets are rare among bytes drawn by chance.
                    if at.is_multiple_of(7) { 2 + (mixed >> 29) as u8 % 4 } else { (mixed >> 24) as u8 }
                })
                .collect();
            read_all(Box::leak(bytes.into_boxed_slice())).await;
        }
    }
}
