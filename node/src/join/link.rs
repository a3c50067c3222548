//! Frames over a TCP connection: four bytes of length, then the frame; bounded in size, and in time all together.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::exchange::MAX_FRAME;

/// The longest that an exchange may take once the other side proved itself: nobody types during one.
const EXCHANGE: Duration = Duration::from_secs(15);
/// The longest that the other side may take to prove itself: one round trip and some milliseconds of sums.
const UNPROVEN: Duration = Duration::from_secs(5);
/// The longest that a new device which was connected to may take to speak: a stranger who says nothing is passed over then.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// The longest that a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(2);

/// The bytes that are made room for at once.
const CHUNK: usize = 1024;

/// Why nothing more comes.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The other side went.
    #[error("the other side went away in the middle of it")]
    Gone,
    /// It took too long.
    #[error("the other side went silent")]
    Silent,
    /// It announces more than a frame can have.
    #[error("the other side speaks another language than joining does")]
    TooLong,
    /// The system says no.
    #[error("the connection broke: {0}")]
    Io(io::Error),
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Self::Gone
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silent,
            _ => Self::Io(error),
        }
    }
}

/// A connection on which one exchange takes place.
pub(super) struct Link {
    stream: TcpStream,
    until: Instant,
}

impl Link {
    /// Connects to the other side.
    pub(super) fn connect(address: SocketAddr) -> Result<Self, LinkError> {
        Self::over(TcpStream::connect_timeout(&address, CONNECT)?)
    }

    /// Connects to who speaks first, and receives what that says.
    pub(super) fn connect_and_receive(address: SocketAddr) -> Result<(Self, Vec<u8>), LinkError> {
        let mut link = Self::connect(address)?;
        link.until = Instant::now() + FIRST_WORD;
        let first = link.receive()?;
        link.until = Instant::now() + UNPROVEN;
        Ok((link, first))
    }

    /// Over a connection that was accepted.
    pub(super) fn over(stream: TcpStream) -> Result<Self, LinkError> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(false)?;
        Ok(Self { stream, until: Instant::now() + UNPROVEN })
    }

    /// The other side has proven itself: it gets the time that the rest takes.
    pub(super) fn proven(&mut self) {
        self.until = Instant::now() + EXCHANGE;
    }

    /// Sends a frame.
    pub(super) fn send(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        let length = u32::try_from(frame.len()).map_err(|_| LinkError::TooLong)?;
        self.stream.set_write_timeout(Some(self.left()?))?;
        Ok(self.stream.write_all(&[&length.to_be_bytes()[..], frame].concat())?)
    }

    /// Receives a frame. Its memory grows with what arrives: a length that is announced takes none.
    pub(super) fn receive(&mut self) -> Result<Vec<u8>, LinkError> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME {
            return Err(LinkError::TooLong);
        }
        let mut frame = Vec::new();
        while frame.len() < length {
            let from = frame.len();
            frame.resize(length.min(from + CHUNK), 0);
            self.fill(&mut frame[from..])?;
        }
        Ok(frame)
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), LinkError> {
        while !buffer.is_empty() {
            // Anew before each read, so that a byte now and then does not make it last for ever.
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(LinkError::Gone),
                Ok(read) => buffer = &mut buffer[read..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn left(&self) -> Result<Duration, LinkError> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(LinkError::Silent) } else { Ok(left) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Link::connect(listener.local_addr().unwrap()).unwrap();
        (link, listener.accept().unwrap().0)
    }

    #[test]
    fn frames_arrive_whole_however_they_are_cut() {
        let (mut link, mut stream) = pair();
        for byte in [0, 0, 0, 3, 7, 8, 9, 0, 0, 0, 0] {
            stream.write_all(&[byte]).unwrap();
        }
        assert_eq!(link.receive().unwrap(), [7, 8, 9]);
        assert_eq!(link.receive().unwrap(), [0; 0]);
        link.send(&[1, 2]).unwrap();
        let mut sent = [0; 6];
        stream.read_exact(&mut sent).unwrap();
        assert_eq!(sent, [0, 0, 0, 2, 1, 2]);
        drop(stream);
        assert!(matches!(link.receive(), Err(LinkError::Gone)));
    }

    #[test]
    fn a_length_beyond_the_bound_takes_no_memory() {
        let (mut link, mut stream) = pair();
        stream.write_all(&(MAX_FRAME as u32 + 1).to_be_bytes()).unwrap();
        assert!(matches!(link.receive(), Err(LinkError::TooLong)));
        let (mut link, mut stream) = pair();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(matches!(link.receive(), Err(LinkError::TooLong)));
    }

    #[test]
    fn who_goes_silent_is_given_up() {
        let (mut link, _stream) = pair();
        link.until = Instant::now();
        assert!(matches!(link.receive(), Err(LinkError::Silent)));
        assert!(matches!(link.send(&[1]), Err(LinkError::Silent)));
    }
}
