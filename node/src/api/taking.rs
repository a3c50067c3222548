//! Answers that are taken too slowly: a connection whose caller does not read is let go.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a caller may leave an answer lying, at first.
const GRACE: Duration = Duration::from_secs(20);
/// And how fast it has to take it from then on, in bytes a second.
const PACE: u64 = 16 * 1024;

/// A connection that breaks when what is written to it is not taken.
///
/// An example: of an answer of 1 MB, 160 kB have been taken after 30 s. That is 20 s and 10 s for these bytes, and so it
/// breaks, unless it goes on faster.
#[derive(Debug)]
pub(super) struct Taking<S> {
    inner: S,
    grace: Duration,
    /// Since when something waits to be taken, and how many bytes of it have been.
    since: Option<Instant>,
    taken: u64,
    until: Pin<Box<Sleep>>,
}

impl<S> Taking<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, grace: GRACE, since: None, taken: 0, until: Box::pin(sleep(GRACE)) }
    }

    fn waits(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let since = match self.since {
            Some(since) => since,
            None => {
                self.taken = 0;
                *self.since.insert(Instant::now())
            }
        };
        self.until.as_mut().reset(since + self.grace + Duration::from_millis(self.taken * 1_000 / PACE));
        ready!(self.until.as_mut().poll(context));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the answer was not taken"))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taking<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taking<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write(context, bytes) {
            Poll::Pending => self.waits(context).map(Err),
            Poll::Ready(Ok(count)) => {
                self.taken = self.taken.saturating_add(count as u64);
                Poll::Ready(Ok(count))
            }
            failed => failed,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_flush(context) {
            Poll::Pending => self.waits(context).map(Err),
            flushed => {
                self.since = None;
                flushed
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_shutdown(context) {
            Poll::Pending => self.waits(context).map(Err),
            shut => shut,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_does_not_read_is_let_go_and_who_reads_is_not() {
        let grace = Duration::from_millis(100);
        let (here, _there) = tokio::io::duplex(1024);
        let mut here = Taking { grace, ..Taking::new(here) };
        let began = Instant::now();
        let problem = here.write_all(&[0; 1_000_000]).await.unwrap_err();
        assert_eq!(problem.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= grace, "{:?}", began.elapsed());

        let (again, mut slow) = tokio::io::duplex(16 * 1024);
        let mut again = Taking { grace, ..Taking::new(again) };
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            let mut all = 0;
            while all < 200_000 {
                tokio::time::sleep(Duration::from_millis(30)).await;
                all += slow.read(&mut buffer).await.unwrap();
            }
        });
        let began = Instant::now();
        again.write_all(&[0; 200_000]).await.unwrap();
        assert!(began.elapsed() > 2 * grace, "it takes long and goes on");
        reader.await.unwrap();
    }
}
