//! A stream to a device, as its user has it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::io::{AsyncRead, AsyncWrite};
use tokio::io::{DuplexStream, duplex};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// Bytes under way between a stream's user and its link, in each direction.
const BETWEEN_BYTES: usize = 4 * 1024;

/// Bytes to and from a device in radio range. Closing or dropping it ends the connection, once what was written is sent.
#[derive(Debug)]
pub struct BleStream {
    bytes: Compat<DuplexStream>,
    address: [u8; 6],
}

impl BleStream {
    /// A stream, and the end of it that the link has.
    pub(crate) fn new(address: [u8; 6]) -> (Self, DuplexStream) {
        let (here, there) = duplex(BETWEEN_BYTES);
        (Self { bytes: here.compat(), address }, there)
    }

    /// The address that the other end had on the air when the stream was opened, most significant byte first. It says
    /// nothing about who that is.
    #[must_use]
    pub fn address(&self) -> [u8; 6] {
        let mut address = self.address;
        address.reverse();
        address
    }
}

impl AsyncRead for BleStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_read(cx, into)
    }
}

impl AsyncWrite for BleStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_close(cx)
    }
}
