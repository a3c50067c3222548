//! Bytes from strangers on the mesh's ports: they change nothing, and the node sells on.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};
use popmesh_tests::Random;
use popmesh_tests::refusal::unchanged;

use crate::{DEADLINE, event, listening, port, start_beside, start_hq};

const TRIES: usize = 30;

#[test]
fn random_bytes_on_the_ports_of_the_mesh() -> Result<()> {
    let event = event()?;
    let hq = start_hq(&event)?;
    let (tcp, udp) = (port(&listening(&hq, "tcp")?)?, port(&listening(&hq, "udp")?)?);
    let mut random = Random::new(5);
    let mut noise = |length: usize| (0..length).map(|_| random.next() as u8).collect::<Vec<u8>>();
    unchanged(&[&hq], || {
        for length in (0..TRIES).map(|number| 1 << (number % 15)) {
            let mut stream = TcpStream::connect(("127.0.0.1", tcp)).context("connect to the mesh")?;
            stream.set_read_timeout(Some(DEADLINE))?;
            // It may hang up in the middle.
            let _ =
                stream.write_all(&noise(length)).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
            let mut answer = Vec::new();
            match stream.read_to_end(&mut answer) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    anyhow::bail!("{length} bytes of noise keep a connection open for {DEADLINE:?}")
                }
                _ => {}
            }
        }
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        for length in (0..TRIES * 10).map(|number| number * 4) {
            let mut datagram = noise(length);
            if let Some(first) = datagram.first_mut().filter(|_| length % 8 == 0) {
                // As a QUIC handshake begins.
                *first = 0xc0;
            }
            socket.send_to(&datagram, ("127.0.0.1", udp))?;
        }
        hq.get("/v1/health")
    })?;
    // Devices still get in.
    start_beside(&event, "till", &hq)?;
    hq.sell("CAP", Duration::from_secs(20), None)?.ok().map(drop)
}
