//! A connection that closes in bounded time, even when its peer has silently vanished.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::core::{
    StreamMuxer,
    muxing::{StreamMuxerBox, StreamMuxerEvent, SubstreamBox},
};
use tokio::time::{Sleep, sleep};

/// How long an orderly close may take. Behind a cut cable it would wait for the kernel to give up, a quarter of an hour.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// A muxer whose close gives up after [`CLOSE_TIMEOUT`].
pub(crate) struct ClosesInTime {
    inner: StreamMuxerBox,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl ClosesInTime {
    pub(crate) fn new(inner: StreamMuxerBox) -> Self {
        Self { inner, deadline: None }
    }
}

impl StreamMuxer for ClosesInTime {
    type Substream = SubstreamBox;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        Pin::new(&mut self.inner).poll_inbound(cx)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        Pin::new(&mut self.inner).poll_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = Pin::new(&mut self.inner).poll_close(cx) {
            return Poll::Ready(result);
        }
        self.deadline.get_or_insert_with(|| Box::pin(sleep(CLOSE_TIMEOUT))).as_mut().poll(cx).map(Ok)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}
