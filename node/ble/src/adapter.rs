//! Where the adapter's HCI is, and how to get at it.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr};

use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader},
    net::TcpStream,
};

/// How fast a serial dongle speaks. What Zephyr's and Nordic's HCI firmware for USB takes; over USB the number means
/// nothing.
const SERIAL_BAUD: u32 = 1_000_000;

/// More than the largest HCI packet, so that one read of a packet socket takes all of it.
const READ_AHEAD_BYTES: usize = 4_096;

/// Where an adapter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adapter {
    /// HCI over TCP: a virtual controller, or an adapter on another machine.
    Tcp(SocketAddr),
    /// A dongle that speaks HCI over a serial line.
    Serial(PathBuf),
    /// An adapter of this machine, taken from the system as long as it is used.
    Linux(u16),
}

/// A text that names no adapter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no adapter: tcp:127.0.0.1:6401, serial:/dev/ttyACM0 or hci0")]
pub struct AdapterError(String);

impl FromStr for Adapter {
    type Err = AdapterError;

    fn from_str(text: &str) -> Result<Self, AdapterError> {
        let unknown = || AdapterError(text.to_owned());
        if let Some(address) = text.strip_prefix("tcp:") {
            return address.parse().map(Self::Tcp).map_err(|_| unknown());
        }
        if let Some(path) = text.strip_prefix("serial:").filter(|path| !path.is_empty()) {
            return Ok(Self::Serial(path.into()));
        }
        text.strip_prefix("hci").and_then(|number| number.parse().ok()).map(Self::Linux).ok_or_else(unknown)
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "tcp:{address}"),
            Self::Serial(path) => write!(formatter, "serial:{}", path.display()),
            Self::Linux(number) => write!(formatter, "hci{number}"),
        }
    }
}

/// HCI as bytes: from the adapter, and to it. A packet is written whole, in one write.
pub(crate) struct Wires {
    pub(crate) from: Box<dyn AsyncRead + Unpin>,
    pub(crate) to: Box<dyn AsyncWrite + Unpin>,
}

impl Adapter {
    /// Takes the adapter.
    pub(crate) async fn open(&self) -> io::Result<Wires> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(wires(stream))
            }
            Self::Serial(path) => {
                let port = serial2_tokio::SerialPort::open(path, SERIAL_BAUD)?;
                port.discard_buffers()?;
                Ok(wires(port))
            }
            Self::Linux(number) => Ok(wires(bt_hci_linux::Socket::new(*number)?)),
        }
    }
}

fn wires(both: impl AsyncRead + AsyncWrite + 'static) -> Wires {
    let (from, to) = tokio::io::split(both);
    let from = BufReader::with_capacity(READ_AHEAD_BYTES, from);
    Wires { from: Box::new(from), to: Box::new(to) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_are_read_and_written_alike() {
        for text in ["tcp:127.0.0.1:6401", "tcp:[::1]:6401", "serial:/dev/ttyACM0", "hci0", "hci17"] {
            assert_eq!(text.parse::<Adapter>().unwrap().to_string(), text);
        }
        for text in ["", "hci", "hci-1", "hci70000", "tcp:", "tcp:localhost", "serial:", "usb:0"] {
            assert!(text.parse::<Adapter>().is_err(), "{text}");
        }
    }
}
